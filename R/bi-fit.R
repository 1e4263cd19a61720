#' Two traits: genetic covariance and correlation
#'
#' Fits the linear mixed model of two traits at once by restricted maximum likelihood
#' (REML), with unstructured covariances between the traits for each random term and for
#' the residuals: the genetic and the residual correlation, and what each trait tells of
#' the other. A record may lack either trait.
#'
#' @section Model:
#' For trait a = 1, 2 the model is y_a = X beta_a + sum_t Z_t u_ta + e_a with
#' Cov(u_ta, u_tb) = G_t\[a, b\] K_t and Cov(e_a, e_b) = R\[a, b\] I, G_t and R symmetric
#' positive semi-definite 2 x 2. Both traits have the same fixed effects, each with its own
#' coefficients; a column that the records of one trait do not identify is left out for
#' that trait. Random terms are intercepts, `(1 | id)` with `kinship = list(id = K)`,
#' `kin(1 | id, K)`, and i.i.d. ones such as a permanent effect of the id or a cage. Slopes
#' are refused.
#'
#' A record with one trait observed is used for that trait: it informs the other through
#' the covariances, and the estimates stay valid where values are missing at random. Where no
#' record has both traits (say, one per sex) the residual covariance can't be estimated, and
#' is held at zero; the genetic one is that of relatives.
#'
#' @section Method:
#' Where every record has both traits and there is one random term, the eigenvectors of the
#' relationship matrix make of each individual a problem of two values: after the
#' decomposition, that of one trait, an evaluation of the criterion with its exact Hessian
#' takes O(n p^2). Otherwise Var(y), of order N, the number of observed values, is factored:
#' N^3 operations for each step of average-information REML, and 2 N^3 for each random term
#' for the standard errors.
#'
#' The search is over the Cholesky factors of the covariances, by Newton's method in a
#' trust region. It starts from the fits of the single traits, with correlations of 0, 0.8
#' and -0.8: from each of them with the first method or at most 800 values, else from the
#' best. Where a covariance is singular (a correlation of -1 or 1, or a variance of zero)
#' the derivatives on the boundary of the positive semi-definite matrices must say that
#' this is an optimum. With a relationship matrix of low rank (fewer markers than
#' individuals) the criterion may fall without end towards some singular residual covariance;
#' an optimum inside is then returned where there is one, and else an error.
#'
#' Standard errors are from the observed information, as GEMMA's are. With a covariance on
#' the boundary they are those of the model with that restriction, and there is none for what
#' the restriction fixes.
#'
#' @param formula (`formula`) `cbind(trait1, trait2) ~ fixed effects + random terms`, as
#'   in [lmmfit()]. Missing values in either trait are allowed; records that lack both, or a
#'   covariate, are left out, and counted by `print()`. An offset is refused.
#' @param data,kinship,contrasts,control as in [lmmfit()].
#' @param REML (`logical(1)`) REML, or maximum likelihood, for tests of fixed effects, which
#'   depends on the origin of a relationship matrix, as in [lmmfit()].
#' @param weights (`numeric(n)`) prior weights w > 0: the residual covariance of a record
#'   is R / w.
#' @param subset an expression, evaluated in `data`, that says which records to use.
#' @param ... not used; anything here is an error.
#'
#' @return An object of class `bivariate`: a list with
#'   \item{call, formula, REML, traits}{what was asked; the names of the traits}
#'   \item{covariances}{the 2 x 2 matrices G_t, by term, and R, as `Residual`}
#'   \item{psi, psi_vcov}{their elements 11, 21, 22, and the covariance matrix of these
#'     estimates}
#'   \item{boundary}{for each of them `"inside"` or what restricts it}
#'   \item{coefficients, vcov}{fixed effects (p x 2, `NA` where left out), and the covariance
#'     matrix of those that are not}
#'   \item{modes}{predicted random effects, by term: ids x 2}
#'   \item{opt}{the convergence record: criterion (-2 log-likelihood), gradient in the
#'     Cholesky factors of standardised traits, iterations, evaluations, starts}
#'   See [bivariate-methods] for what reads it, and [genetic_correlation()].
#'
#' Responses that are not two, constant or perfectly correlated beside the fixed effects,
#' and whatever [lmmfit()] refuses for one of the traits, are errors.
#'
#' @references
#' Henderson CR, Quaas RL (1976). Multiple trait evaluation using relatives' records.
#' Journal of Animal Science 43, 1188-1197. \doi{10.2527/jas1976.4361188x}
#'
#' Zhou X, Stephens M (2014). Efficient multivariate linear mixed model algorithms for
#' genome-wide association studies. Nature Methods 11, 407-409. \doi{10.1038/nmeth.2848}
#'
#' Lee SH, Yang J, Goddard ME, Visscher PM, Wray NR (2012). Estimation of pleiotropy
#' between complex diseases using single-nucleotide polymorphism-derived genomic
#' relationships and restricted maximum likelihood. Bioinformatics 28, 2540-2542.
#' \doi{10.1093/bioinformatics/bts474}
#'
#' @examples
#' path <- system.file("extdata", package = "kinlmm")
#' mice <- read.csv(file.path(path, "mouse_pheno.csv"))
#' K <- grm(read_bed(file.path(path, "mouse")))
#' fit <- bivariate(cbind(cd8, mch) ~ 1 + (1 | id), mice, kinship = list(id = K))
#' fit
#' genetic_correlation(fit, interval = FALSE)
#' @export
bivariate <- function(formula, data = NULL, kinship = NULL, REML = TRUE, weights, subset,
                      contrasts = NULL, control = lmm_control(), ...) {
  if (...length() > 0L) rlang::check_dots_empty()
  call <- match.call()
  env <- parent.frame()
  here <- rlang::current_env()
  check_flag(REML)
  check_control(control, here)
  if (missing(formula)) abort_argument("formula", "given", "missing", here)
  formula <- as_formula(formula, here)

  model <- read_traits(formula, call, data, kinship, contrasts, env, here)
  engine <- bivariate_engine(model, REML, here)
  opt <- bivariate_optimise(engine, REML, control)
  if (!opt$converged && is_degenerate(opt$psi)) {
    abort_traits_degenerate(colnames(model$Y), here)
  }
  fit <- new_bivariate(call, model, REML, engine, opt, control)
  if (!opt$converged) warn_convergence(max(abs(opt$gradient)), opt$iterations)
  fit
}

# read_model() with two responses of which either may be missing: `observed` (n x 2) says
# where they are not, `Y` (n x 2) has NA elsewhere, and `parts` is what belongs to each trait.
read_traits <- function(formula, mf_call, data, kinship, contrasts, env, call) {
  seen <- new.env(parent = emptyenv())
  mf_call$na.action <- function(frame) keep_observed(frame, seen)
  model <- read_model(formula, mf_call, data, kinship, contrasts, env, call)
  Y <- model$frame$responses
  if (NCOL(Y) != 2L || is.null(Y)) abort_two_traits(max(1L, NCOL(Y)), call)
  if (any(model$frame$offset != 0)) abort_trait_offset(call)
  for (term in model$random) {
    if (!identical(term$columns, "(Intercept)")) abort_trait_slopes(describe_term(term), call)
  }
  model$random <- label_terms(model$random)
  Y[!seen$observed] <- NA
  dimnames(Y) <- list(rownames(model$frame$frame), colnames(Y))
  model$Y <- Y
  model$observed <- seen$observed
  model$omitted <- c(traits = seen$traits, covariates = seen$covariates)
  model$parts <- lapply(1:2, function(a) trait_part(model, a, call))
  check_distinct(model, call)
  model
}

# An action for missing values that leaves out records without either trait or with other
# missing values. What else is missing is filled, so that model_frame() goes on, and noted
# in `seen`.
keep_observed <- function(frame, seen) {
  Y <- as.matrix(frame[[1L]])
  known <- rep(TRUE, nrow(frame))
  for (column in frame[-1L]) known <- known & !rowSums(is.na(as.matrix(column)))
  some <- rowSums(!is.na(Y)) > 0
  keep <- known & some
  Y <- Y[keep, , drop = FALSE]
  seen$observed <- unname(!is.na(Y))
  seen$traits <- sum(known & !some)
  seen$covariates <- sum(!known)
  for (a in seq_len(ncol(Y))) Y[is.na(Y[, a]), a] <- Y[match(FALSE, is.na(Y[, a])), a]
  out <- frame[keep, , drop = FALSE]
  if (nrow(out) > 0L) out[[1L]] <- if (is.matrix(frame[[1L]])) Y else drop(Y)
  if (!all(keep)) attr(out, "na.action") <- structure(which(!keep), class = "omit")
  out
}

# What belongs to a trait: its records `rows`, of the columns of X those that they identify
# (`kept`), and the least-squares fit: sqrt(W) X = Q R, coefficients beta, residuals r in
# units of their standard deviation `scale`.
trait_part <- function(model, a, call) {
  rows <- which(model$observed[, a])
  name <- colnames(model$Y)[[a]]
  X <- model$fixed$X[rows, , drop = FALSE]
  y <- model$Y[rows, a]
  check_spread(y, name, call)
  kept <- independent_columns(X, 1e-7)
  if (length(kept) >= length(rows)) abort_too_many_fixed(length(kept), length(rows), call)
  X <- X[, kept, drop = FALSE]
  root <- sqrt(model$frame$weights[rows])
  work <- least_squares(X, y, root)
  if (is_exact(matrix(work$r), matrix(y * root))) abort_perfect_fit(call)
  scale <- sqrt(sum(work$r^2) / (length(rows) - length(kept)))
  work$r <- work$r / scale
  c(work, list(rows = rows, kept = kept, scale = scale, names = colnames(X), X = X))
}

# Traits that the fixed effects and a factor make of one another have no likelihood.
check_distinct <- function(model, call) {
  r <- lapply(model$parts, function(part) replace(rep(NA, nrow(model$Y)), part$rows, part$r))
  both <- rowSums(model$observed) == 2L
  if (sum(both) < ncol(model$fixed$X) + 3L) return(invisible())
  # of records with both the residuals of one may differ from those of the other by X beta
  X <- model$fixed$X[both, , drop = FALSE] * sqrt(model$frame$weights[both])
  left <- stats::lm.fit(cbind(X, r[[1L]][both]), r[[2L]][both])$residuals
  if (sum(left^2) <= 1e-12 * sum(r[[2L]][both]^2)) {
    abort_traits_identical(colnames(model$Y), call)
  }
}

# Whether the last covariance of psi, that of the residuals, is close to singular.
is_degenerate <- function(psi) {
  V <- unpack_lower(utils::tail(psi, 3L), TRUE)
  min(diag(V)) < 1e-6 || det(V) < 1e-6 * prod(diag(V))
}

# The fit object, see bivariate().
new_bivariate <- function(call, model, REML, engine, opt, control) {
  traits <- colnames(model$Y)
  random <- lapply(model$random, function(term) term[c("group", "factor", "kernel",
                                                        "kernel_text", "columns")])
  fit <- structure(list(
    call = call, formula = model$formula, REML = REML, traits = traits, Y = model$Y,
    observed = model$observed, omitted = model$omitted, weights = model$frame$weights,
    frame = model$frame$frame, fixed = model$fixed, random = random,
    parts = model$parts, engine = engine, control = control
  ), class = "bivariate")
  fit$k <- vapply(random, mean_diagonal, numeric(1))
  at_traits(fit, opt)
}

# The parts of a fit that depend on the optimum.
at_traits <- function(fit, opt) {
  engine <- fit$engine
  labels <- c(names(fit$random), "Residual")
  pairs <- c(fit$traits[[1L]], paste(fit$traits, collapse = ","), fit$traits[[2L]])
  names <- paste0(rep(labels, each = 3L), ":", pairs)
  settled <- settle_factors(opt$theta)
  at <- bivariate_at(engine, settled$theta, fit$REML, 2L)
  if (!is.finite(at$value)) {
    # singular, but only nearly so
    settled <- list(theta = opt$theta, free = rep(TRUE, length(opt$theta)),
                    boundary = rep("inside", length(labels)))
    at <- bivariate_at(engine, opt$theta, fit$REML, 2L)
    if (!is.finite(at$value)) abort_traits_degenerate(fit$traits, rlang::caller_env(2L))
  }
  fit$boundary <- stats::setNames(settled$boundary, labels)
  fit$boundary[engine$held & settled$boundary == "inside"] <- "covariance not estimable"
  opt$criterion <- opt$value + engine$constant[[1L]] +
    (if (fit$REML) engine$constant[[2L]] else 0)
  opt$theta <- settled$theta
  opt$value <- NULL
  fit$psi <- stats::setNames(pack_pairs(settled$theta) * engine$units, names)
  fit$covariances <- lapply(split_packed(fit$psi, rep(2L, length(labels))), function(packed) {
    structure(unpack_lower(unname(packed), TRUE), dimnames = list(fit$traits, fit$traits))
  })
  names(fit$covariances) <- labels
  free <- settled$free & !engine$held_theta
  fit$psi_vcov <- structure(psi_covariance(at, settled$theta, free) *
                              tcrossprod(engine$units), dimnames = list(names, names))
  fit$opt <- opt
  fixed <- trait_effects(fit, at$S)
  fit[c("coefficients", "vcov")] <- fixed[c("coefficients", "vcov")]
  fit$modes <- trait_modes(fit, settled$theta, fixed)
  fit
}

# The elements 11, 21, 22 of each T T'.
pack_pairs <- function(theta) {
  pack_products(lapply(split_packed(theta, rep(2L, length(theta) / 3L)), unpack_lower))
}

# Factors of covariances that are singular but for rounding, made so: list(theta, free:
# which elements a restriction leaves free, boundary: what it says). Traits have unit scale.
settle_factors <- function(theta) {
  each <- lapply(split_packed(theta, rep(2L, length(theta) / 3L)), function(packed) {
    V <- tcrossprod(unpack_lower(packed))
    zero <- diag(V) < 1e-9
    r2 <- V[2L, 1L]^2 / (V[1L, 1L] * V[2L, 2L])
    if (any(zero)) {
      free <- c(!zero[[1L]], FALSE, !zero[[2L]])
      what <- if (all(zero)) "both variances zero" else
        paste("variance of trait", which(zero), "zero")
      sd <- sqrt(diag(V))
      return(list(theta = c(sd[[1L]], 0, sd[[2L]]) * free, free = free, boundary = what))
    }
    if (r2 > 1 - 1e-9) {
      sign <- sign(V[2L, 1L])
      factor <- c(sqrt(V[1L, 1L]), sign * sqrt(V[2L, 2L]), 0)
      return(list(theta = factor, free = c(TRUE, TRUE, FALSE),
                  boundary = paste("correlation", if (sign > 0) "1" else "-1")))
    }
    signs <- sign(packed[c(1L, 1L, 3L)])
    list(theta = packed * signs, free = rep(TRUE, 3L), boundary = "inside")
  })
  list(theta = unlist(lapply(each, `[[`, "theta"), use.names = FALSE),
       free = unlist(lapply(each, `[[`, "free"), use.names = FALSE),
       boundary = vapply(each, `[[`, character(1), "boundary"))
}

# Covariance matrix of the estimates of psi, from the observed information in the elements
# of theta that are free.
psi_covariance <- function(at, theta, free) {
  J <- psi_jacobian(theta)
  H <- crossprod(J, at$hessian %*% J) + psi_curvature(at$gradient)
  H <- H[free, free, drop = FALSE]
  root <- tryCatch(chol(H), error = function(e) NULL)
  if (is.null(root)) return(matrix(NA_real_, length(theta), length(theta)))
  half <- backsolve(root, t(J[, free, drop = FALSE]), transpose = TRUE)
  2 * crossprod(half)
}

# dpsi/dtheta.
psi_jacobian <- function(theta) {
  block_diagonal(lapply(split_packed(theta, rep(2L, length(theta) / 3L)), function(l) {
    matrix(c(2 * l[[1L]], l[[2L]], 0, 0, l[[1L]], 2 * l[[2L]], 0, 0, 2 * l[[3L]]), 3L)
  }))
}

# Sum of gradient_c d2psi_c/dtheta2.
psi_curvature <- function(gradient) {
  block_diagonal(lapply(split_packed(gradient, rep(2L, length(gradient) / 3L)), function(g) {
    matrix(c(2 * g[[1L]], g[[2L]], 0, g[[2L]], 2 * g[[3L]], 0, 0, 0, 2 * g[[3L]]), 3L)
  }))
}

# Fixed effects at the optimum from S of the moments: the table, its covariance, and the
# coefficients and (X'V^-1 X)^-1 in the bases Q of the traits.
trait_effects <- function(fit, S) {
  parts <- fit$parts
  p <- vapply(parts, function(part) length(part$kept), integer(1))
  inner <- seq_len(sum(p))
  unscaled <- basis_unscaled(S)
  inside <- drop(unscaled %*% S[inner, sum(p) + 1L])
  back <- function(part, x) {
    if (length(part$kept) == 0L) return(x)
    backsolve(part$R, x)[order(part$pivot), , drop = FALSE]
  }
  table <- matrix(NA_real_, ncol(fit$fixed$X), 2L,
                  dimnames = list(colnames(fit$fixed$X), fit$traits))
  for (a in 1:2) {
    mine <- sum(p[seq_len(a - 1L)]) + seq_len(p[[a]])
    table[parts[[a]]$kept, a] <- parts[[a]]$beta +
      parts[[a]]$scale * drop(back(parts[[a]], matrix(inside[mine])))
  }
  J <- block_diagonal(lapply(parts, function(part) {
    part$scale * back(part, diag(length(part$kept)))
  }))
  names <- paste0(rep(fit$traits, p), ":", unlist(lapply(parts, `[[`, "names")))
  lift <- fit$engine$lift
  V <- unpack_lower(pack_pairs(fit$opt$theta)[1:3], TRUE)
  if (lift$term > 0) unscaled <- unscaled - kronecker(lift$term * V, diag(p[[1L]]))
  unscaled <- unscaled - lift$own * diag(sum(p))
  list(coefficients = table, inside = inside,
       vcov = structure(J %*% unscaled %*% t(J), dimnames = list(names, names)))
}
