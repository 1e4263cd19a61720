#' Methods for models of two traits
#'
#' What reads a model fitted by [bivariate()].
#'
#' `heritability()` gives shares of the phenotypic variance by term and trait, on the scale
#' of the sample as for one trait (see [heritability()]): a relationship matrix counts by
#' its mean diagonal after centring. With one random term they have profile-likelihood
#' intervals, each of which takes some 20 fits; with several, intervals of the standard
#' errors, cut at 0 and 1, and none on a boundary.
#'
#' `confint()`: `"profile"` for heritabilities (`"h2:trait"`, with one random term) and
#' correlations (`"cor:term"`), see [genetic_correlation()]; `"Wald"`, estimates plus and
#' minus normal quantiles times standard errors, for the fixed effects (`"trait:column"`),
#' covariances (`"term:trait"`, `"term:trait1,trait2"`) and the phenotypic correlation too.
#'
#' `blup()` predicts both traits of every id of the relationship matrix, with and without
#' records of either. As for one trait the prediction error variances allow for the
#' estimation of the fixed effects and take the variances as known.
#'
#' `simulate()` draws from the model all values, those that are missing in the data too,
#' unless `missing = TRUE` leaves them out.
#'
#' @param object,x a model fitted by [bivariate()], or its summary.
#' @param level (`numeric(1)`) confidence level.
#' @param parm (`character` or `integer`) which parameters, see Details; all by default.
#' @param method `"profile"` or `"Wald"`.
#' @param nsim (`integer(1)`) how many data sets.
#' @param seed as for [simulate()][simulate.lmmfit].
#' @param missing (`logical(1)`) whether to leave out what the data lack.
#' @param digits significant digits.
#' @param ... not used; anything here is an error.
#' @return
#' `summary()`: a list of class `summary.bivariate` with the tables `coefficients` (`Estimate`,
#'   `Std. Error`, `z value`, `Pr(>|z|)`), `covariances` and `parameters`.
#'
#' `VarCorr()`: a list of 2 x 2 covariance matrices, by term, `Residual` last, each with
#'   attributes `stddev`, `correlation` and `se` (2 x 2, of the covariances).
#'
#' `fixef()`, `coef()`: p x 2. `vcov()`: covariance matrix of the fixed effects, those of
#'   the first trait first. `ranef()`: a list of data frames by term, ids x 2. `blup()`: a
#'   data frame of class `blup`, with a row for each id and trait: `group`, `id`, `term` (the
#'   trait), `value`, `pev`, `reliability`, `records` (of that trait).
#'
#' `fitted()`, `residuals()`: n x 2; fitted values are there for missing ones too.
#'   `simulate()`: a list of `nsim` matrices n x 2. `heritability()`: an object of class
#'   `heritability`, a data frame with a row for each term and trait and the columns `term`,
#'   `trait`, `estimate`, `se`, `lower`, `upper`, `raw`, `genetic`,
#'   `residual`, `k` and `group`, as of [heritability()]; [liability()] takes it where a
#'   trait is 0 or 1.
#' @seealso [bivariate()], [genetic_correlation()]
#' @examples
#' path <- system.file("extdata", package = "kinlmm")
#' mice <- read.csv(file.path(path, "mouse_pheno.csv"))
#' K <- grm(read_bed(file.path(path, "mouse")))
#' mice <- mice[complete.cases(mice), ]
#' fit <- bivariate(cbind(cd8, mch) ~ 1 + (1 | id), mice[1:300, ], list(id = K))
#' summary(fit)
#' heritability(fit)
#' confint(fit, "cor:id")
#' head(blup(fit))
#' @name bivariate-methods
NULL

#' @rdname bivariate-methods
#' @export
print.bivariate <- function(x, digits = 4L, ...) {
  print_traits_title(x)
  print_traits_variances(x, digits)
  if (nrow(x$coefficients) > 0L) {
    cat("\nFixed effects\n")
    print(x$coefficients, digits = digits)
  }
  print_traits_notes(x)
  invisible(x)
}

print_traits_title <- function(x) {
  cat("Two-trait mixed model fit by ", if (x$REML) "REML" else "maximum likelihood",
      " ['bivariate']\n", sep = "")
  cat("Formula: ", paste(deparse(x$formula), collapse = "\n"), "\n", sep = "")
  for (arg in c("data", "subset", "weights")) {
    code <- x$call[[arg]]
    label <- paste0(toupper(substr(arg, 1L, 1L)), substring(arg, 2L))
    if (!is.null(code)) cat(sprintf("%7s: %s\n", label, describe_code(code)))
  }
  both <- sum(rowSums(x$observed) == 2L)
  counts <- c(both, colSums(x$observed) - both)
  parts <- paste0(count_each(counts), " with ", c("both", paste(x$traits, "alone")))
  cat("Records: ", paste(parts[counts > 0], collapse = ", "), "\n", sep = "")
  omitted <- x$omitted[x$omitted > 0]
  why <- c(traits = "neither trait", covariates = "a covariate or weight missing")
  if (length(omitted) > 0L) {
    cat("  left out: ", paste(count_each(omitted), "with", why[names(omitted)],
                              collapse = ", "), "\n", sep = "")
  }
  what <- if (x$REML) "REML criterion" else "-2 log-likelihood"
  cat(what, " at convergence: ", format(round(x$opt$criterion, 4), nsmall = 2), "\n",
      sep = "")
}

count_each <- function(x) vapply(x, count, character(1))

print_traits_variances <- function(x, digits) {
  table <- covariance_table(x)
  cat("\nCovariances\n")
  print_aligned(data.frame(table[c("term", "traits")], Estimate = table$estimate,
                           `Std. Error` = table$se, check.names = FALSE), digits)
  parameters <- trait_parameters(x)
  share <- startsWith(parameters$parameter, "h2:")
  kernel <- any(!vapply(x$random, function(term) is.null(term$kernel), NA))
  cat("\nShares of the phenotypic variance", if (kernel) {
    ", relationship matrix centred (heritability)"
  }, "\n", sep = "")
  print_aligned(data.frame(
    term = rep(names(x$random), each = 2L), trait = rep(x$traits, length(x$random)),
    Estimate = parameters$estimate[share], `Std. Error` = parameters$se[share],
    check.names = FALSE
  ), digits)
  cat("\nCorrelations of ", paste(x$traits, collapse = " and "), "\n", sep = "")
  print_aligned(data.frame(
    term = sub("^cor:", "", parameters$parameter[!share]),
    Estimate = parameters$estimate[!share], `Std. Error` = parameters$se[!share],
    check.names = FALSE
  ), digits)
}

# Text to the left, numbers to the right, each column in its own format; no row names.
print_aligned <- function(table, digits) {
  cells <- lapply(names(table), function(name) {
    column <- table[[name]]
    if (is.character(column)) return(format(c("", column)))
    format(c(name, replace(format(column, digits = digits), is.na(column), "-")),
           justify = "right")
  })
  cat(paste0("  ", do.call(paste, c(cells, sep = "  "))), sep = "\n")
}

# A row for each element of the covariances: term, traits, estimate, se.
covariance_table <- function(x) {
  data.frame(term = rep(names(x$covariances), each = 3L),
             traits = rep(c(x$traits[[1L]], paste(x$traits, collapse = ", "),
                            x$traits[[2L]]), length(x$covariances)),
             estimate = unname(x$psi), se = unname(psi_se(x)))
}

# Boundaries, what is not estimable and convergence, said once.
print_traits_notes <- function(x) {
  at <- x$boundary[x$boundary != "inside"]
  notes <- vapply(names(at), function(label) {
    what <- at[[label]]
    if (grepl("not estimable", what)) {
      return(paste0("The covariance of ", label, " can't be estimated, and is held at zero: ",
                    if (label == "Residual") "no record has both traits." else
                      "records of one trait share none with those of the other."))
    }
    what <- sub("trait 1", x$traits[[1L]], sub("trait 2", x$traits[[2L]], what))
    paste0(label, ": ", what, ", the optimum on the boundary. Standard errors are those of",
           " the model with this restriction.")
  }, character(1))
  if (length(notes) > 0L) cat("\n", paste0(strwrap(notes, 78), "\n"), sep = "")
  if (any(is.na(x$coefficients))) {
    cat("\nNA: coefficients that the records of the trait do not identify.\n")
  }
  if (!x$opt$converged) {
    cat("\nNot converged: the largest gradient is ",
        signif(max(abs(x$opt$gradient)), 3), ".\n", sep = "")
  }
}

#' @rdname bivariate-methods
#' @export
summary.bivariate <- function(object, ...) {
  rlang::check_dots_empty()
  beta <- object$coefficients[!is.na(object$coefficients)]
  se <- sqrt(diag(object$vcov))
  z <- beta / se
  table <- cbind(Estimate = beta, `Std. Error` = se, `z value` = z,
                 `Pr(>|z|)` = 2 * stats::pnorm(-abs(z)))
  rownames(table) <- rownames(object$vcov)
  structure(list(fit = object, coefficients = table,
                 covariances = covariance_table(object),
                 parameters = trait_parameters(object)), class = "summary.bivariate")
}

#' @rdname bivariate-methods
#' @export
print.summary.bivariate <- function(x, digits = 4L, ...) {
  fit <- x$fit
  print_traits_title(fit)
  print_traits_variances(fit, digits)
  if (nrow(x$coefficients) > 0L) {
    cat("\nFixed effects (normal quantiles; variances taken as known)\n")
    stats::printCoefmat(x$coefficients, digits = digits)
  }
  method <- paste0("Method: ", fit$engine$reason, "; ", n_of(fit$opt$starts, "start"), ", ",
                   fit$opt$evaluations, " evaluations, largest gradient ",
                   format(max(abs(fit$opt$gradient)), digits = 1))
  cat("\n", paste0(strwrap(method, 78L, exdent = 2L), "\n"), sep = "")
  print_traits_notes(fit)
  invisible(x)
}

#' @rdname bivariate-methods
#' @export
VarCorr.bivariate <- function(x, ...) {
  se <- split_packed(psi_se(x), rep(2L, length(x$covariances)))
  Map(function(V, se) {
    sd <- sqrt(diag(V))
    structure(V, stddev = sd, correlation = V / tcrossprod(sd),
              se = structure(unpack_lower(unname(se), TRUE), dimnames = dimnames(V)))
  }, x$covariances, se)
}

#' @rdname bivariate-methods
#' @export
fixef.bivariate <- function(object, ...) object$coefficients

#' @rdname bivariate-methods
#' @export
coef.bivariate <- function(object, ...) object$coefficients

#' @rdname bivariate-methods
#' @export
vcov.bivariate <- function(object, ...) object$vcov

#' @rdname bivariate-methods
#' @export
logLik.bivariate <- function(object, ...) {
  variances <- length(object$psi) - sum(object$engine$held)
  structure(-object$opt$criterion / 2, df = nrow(object$vcov) + variances,
            nobs = nobs(object), class = "logLik")
}

#' @rdname bivariate-methods
#' @export
deviance.bivariate <- function(object, ...) object$opt$criterion

#' @rdname bivariate-methods
#' @export
nobs.bivariate <- function(object, ...) nrow(object$Y)

#' @rdname bivariate-methods
#' @export
formula.bivariate <- function(x, ...) x$formula

#' @rdname bivariate-methods
#' @export
ranef.bivariate <- function(object, ...) {
  rlang::check_dots_empty()
  lapply(object$modes, function(modes) as.data.frame(modes, optional = TRUE))
}

#' @rdname bivariate-methods
#' @export
fitted.bivariate <- function(object, ...) {
  out <- trait_means(object)
  for (label in names(object$random)) {
    levels <- as.character(object$random[[label]]$factor)
    out <- out + object$modes[[label]][levels, ]
  }
  structure(out, dimnames = dimnames(object$Y))
}

# X beta, NA for records that a trait lacks where it does not identify all columns.
trait_means <- function(object) {
  out <- vapply(1:2, function(a) {
    part <- object$parts[[a]]
    X <- object$fixed$X[, part$kept, drop = FALSE]
    mean <- drop(X %*% object$coefficients[part$kept, a])
    if (length(part$kept) < ncol(object$fixed$X)) mean[-part$rows] <- NA
    mean
  }, numeric(nrow(object$Y)))
  matrix(out, nrow(object$Y), dimnames = dimnames(object$Y))
}

#' @rdname bivariate-methods
#' @export
residuals.bivariate <- function(object, ...) object$Y - fitted(object)

#' @rdname bivariate-methods
#' @export
simulate.bivariate <- function(object, nsim = 1, seed = NULL, missing = FALSE, ...) {
  rlang::check_dots_empty()
  nsim <- check_count(nsim)
  check_flag(missing)
  mean <- trait_means(object)
  n <- nrow(mean)
  roots <- lapply(object$random, function(term) {
    levels <- levels(term$factor)
    if (!is.null(term$kernel)) kernel_root(term$kernel[levels, levels])
  })
  # psd to rounding on a boundary
  half <- lapply(object$covariances, kernel_root)
  draw <- function(i) {
    Y <- mean + matrix(stats::rnorm(2 * n), n) %*% half$Residual / sqrt(object$weights)
    for (label in names(roots)) {
      term <- object$random[[label]]
      z <- matrix(stats::rnorm(2 * nlevels(term$factor)), ncol = 2L)
      u <- if (is.null(roots[[label]])) z else crossprod(roots[[label]], z)
      Y <- Y + (u %*% half[[label]])[as.integer(term$factor), ]
    }
    if (missing) Y[!object$observed] <- NA
    structure(Y, dimnames = dimnames(object$Y))
  }
  with_seed(seed, lapply(seq_len(nsim), draw))$value
}

#' @rdname bivariate-methods
#' @export
blup.bivariate <- function(object, ...) {
  rlang::check_dots_empty()
  rows <- lapply(names(object$random), function(label) {
    term <- object$random[[label]]
    modes <- object$modes[[label]]
    ids <- rownames(modes)
    prior <- outer(if (is.null(term$kernel)) rep(1, length(ids)) else diag(term$kernel),
                   diag(object$covariances[[label]]))
    pev <- trait_pev(object, label, ids)
    counts <- rowsum(object$observed + 0, as.integer(term$factor))
    counts <- counts[match(ids, levels(term$factor)), , drop = FALSE]
    counts[is.na(counts)] <- 0
    data.frame(group = term$group, id = rep(ids, 2L),
               term = rep(object$traits, each = length(ids)), value = as.vector(modes),
               pev = as.vector(pev),
               reliability = ratio_or_na(as.vector(pev), as.vector(prior)),
               records = as.integer(counts))
  })
  structure(do.call(rbind, rows), class = c("blup", "data.frame"))
}

# Prediction error variances of the effects of a term: ids x 2. With c_a the covariances
# of id a with the data they are the diagonal of G K_aa - G c'Pc G.
trait_pev <- function(object, label, ids) {
  engine <- object$engine
  theta <- object$opt$theta
  t <- match(label, names(object$random))
  G <- unpack_lower(split_packed(pack_pairs(theta), rep(2L, length(theta) / 3L))[[t]], TRUE)
  term <- object$random[[label]]
  own <- if (engine$name == "paired") paired_effects(engine, theta, term, ids) else
    joint_effects(object, theta, t, ids)
  at <- bivariate_at(engine, theta, object$REML)
  Q <- basis_unscaled(at$S)
  prior <- (if (is.null(term$kernel)) rep(1, length(ids)) else diag(term$kernel)) /
    engine$unit[[t]]
  C <- function(a, b) own$M[[a + b - 1L]] - rowSums((own$B[[a]] %*% Q) * own$B[[b]])
  C11 <- C(1L, 1L)
  C21 <- C(2L, 1L)
  C22 <- C(2L, 2L)
  explained <- function(g) g[[1L]]^2 * C11 + 2 * g[[1L]] * g[[2L]] * C21 + g[[2L]]^2 * C22
  scale <- vapply(object$parts, `[[`, numeric(1), "scale")
  cbind(scale[[1L]]^2 * (prior * G[1L, 1L] - explained(G[1L, ])),
        scale[[2L]]^2 * (prior * G[2L, 2L] - explained(G[2L, ])))
}

# c'V^-1 c by its elements 11, 21, 22 (`M`, a vector over ids each), and c'V^-1 X by trait
# (`B`, ids x P each).
paired_effects <- function(engine, theta, term, ids) {
  basis <- engine$basis
  p <- ncol(engine$data$Xy) - 2L
  X <- engine$data$Xy[, seq_len(p), drop = FALSE]
  w <- paired_inverse(engine, theta)
  if (is.null(term$kernel)) {
    through <- function(v) basis$scale * v * X / engine$unit
    M <- lapply(w, function(v) basis$scale^2 * v / engine$unit^2)
  } else {
    K <- term$kernel[ids, basis$levels, drop = FALSE] / engine$unit
    loadings <- (K * rep(basis$scale, each = length(ids))) %*% basis$U
    through <- function(v) loadings %*% (v * X)
    M <- lapply(w, function(v) drop(loadings^2 %*% v))
  }
  each <- lapply(w, through)
  list(M = unname(M), B = list(cbind(each$a, each$b), cbind(each$b, each$c)))
}

joint_effects <- function(object, theta, t, ids) {
  engine <- object$engine
  term <- object$random[[t]]
  levels <- as.character(term$factor)
  K <- if (is.null(term$kernel)) outer(ids, levels, `==`) + 0 else
    term$kernel[ids, levels, drop = FALSE]
  K <- K * rep(sqrt(object$weights), each = length(ids)) / engine$unit[[t]]
  Vi <- chol2inv(chol(joint_covariance(engine, theta)))
  rows <- engine$data$rows
  places <- list(seq_along(rows[[1L]]), length(rows[[1L]]) + seq_along(rows[[2L]]))
  c_of <- lapply(rows, function(rows) K[, rows, drop = FALSE])
  half <- lapply(1:2, function(a) c_of[[a]] %*% Vi[places[[a]], , drop = FALSE])
  M <- function(a, b) rowSums(half[[a]][, places[[b]], drop = FALSE] * c_of[[b]])
  X <- engine$data$Xy[, -ncol(engine$data$Xy), drop = FALSE]
  list(M = list(M(1L, 1L), M(2L, 1L), M(2L, 2L)), B = lapply(half, function(h) h %*% X))
}
