#' Fit again to other responses
#'
#' Fits the same model to other values of the response, without evaluating formula or data
#' again. Many responses are fitted at once: for example the expression of thousands of
#' genes, or simulated responses.
#'
#' With i.i.d. random effects all are fitted in one call of C++, and only the cross-products
#' with the response are formed anew for each. With one random intercept that has a
#' relationship matrix its tridiagonal form is shared. With other terms that have one each
#' response costs as much as a fit.
#'
#' `lmmfit(cbind(y1, y2) ~ ...)` with a matrix as response does the same; rows with a
#' missing value in any response are then left out of all.
#'
#' @param object a model fitted by [lmmfit()], or by 'lme4'; for `fixef()` what `refit()` of
#'   several responses returned.
#' @param newresp (`numeric(n)`, `matrix` or `data.frame` of n rows) the responses, for the
#'   records of the fit in their order: a column each. Values missing from the original data
#'   may be there, and are left out as they were.
#' @param REML (`logical(1)`) as for [lmmfit()]; by default that of the fit.
#' @param x what `refit()` of several responses returned.
#' @param i (`integer(1)` or `character(1)`) which response.
#' @param row.names,optional as for [as.data.frame()].
#' @param ... not used.
#' @return For one response a fit as [lmmfit()] returns it. For several an object of class
#'   `lmmfits`: a list with, a row for each of B responses, `theta` (B x parameters), `sigma`,
#'   `coefficients` and `std.error` (B x p), `criterion`, `gradient` (the largest),
#'   `converged` and `singular`; `NA`, and not converged, where the fixed effects fit a
#'   response exactly, such as a constant. `fits[[i]]` is the fit of one response in full, and
#'   `as.data.frame()` a table with a row for each response and parameter: `response`,
#'   `effect` (`"fixed"` or `"ran_pars"`), `group`, `term`, `estimate` (standard deviations
#'   and correlations for `"ran_pars"`), `std.error` and `statistic`.
#' @references Bates D, Maechler M, Bolker B, Walker S (2015). Fitting linear mixed-effects
#'   models using lme4. Journal of Statistical Software 67(1). \doi{10.18637/jss.v067.i01}
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' again <- refit(fit, nlme::Orthodont$distance^2)
#' many <- refit(fit, simulate(fit, 20, seed = 1))
#' many
#' head(as.data.frame(many))
#' @export
refit <- function(object, newresp, ...) UseMethod("refit")

#' @export
refit.default <- function(object, newresp, ...) hand_over("refit", object, newresp, ...)

#' @rdname refit
#' @export
refit.lmmfit <- function(object, newresp, REML = object$REML, ...) {
  rlang::check_dots_empty()
  object$REML <- check_flag(REML)
  Y <- check_responses(object, newresp, rlang::current_env())
  if (ncol(Y) == 1L) return(refit_one(object, drop(Y), rlang::current_env()))
  new_lmmfits(object, Y)
}

# n x B, named; na.action of the fit applied where all rows of the data are given.
check_responses <- function(object, newresp, call) {
  Y <- if (is.data.frame(newresp)) as.matrix(newresp) else newresp
  if (!is.numeric(Y) || length(dim(Y)) > 2L) {
    abort_argument("newresp", "a numeric vector, matrix or data frame", describe(newresp),
                   call)
  }
  Y <- as.matrix(Y)
  if (ncol(Y) == 0L) abort_argument("newresp", "at least one response", describe(Y), call)
  omitted <- attr(object$frame, "na.action")
  n <- nobs(object)
  if (length(omitted) > 0L && nrow(Y) == n + length(omitted)) {
    Y <- Y[setdiff(seq_len(nrow(Y)), omitted), , drop = FALSE]
  }
  if (nrow(Y) != n) {
    abort_argument("newresp", paste0("of ", count(n), " rows, those of the fit"),
                   paste0("of ", count(nrow(Y))), call)
  }
  if (!all(is.finite(Y))) {
    bad <- which(!is.finite(Y), arr.ind = TRUE)
    rows <- some_of(unique(bad[, 1L]), quote = FALSE)
    abort_response("newresp", "finite", paste("missing or infinite in row", rows), call)
  }
  storage.mode(Y) <- "double"
  if (is.null(colnames(Y))) colnames(Y) <- paste0("response", seq_len(ncol(Y)))
  dimnames(Y) <- list(rownames(object$frame), make.unique(colnames(Y)))
  Y
}

# The fit with y in the place of its response.
refit_one <- function(fit, y, call = rlang::caller_env()) {
  check_spread(y, "newresp", call)
  fit$y <- stats::setNames(as.double(y), rownames(fit$frame))
  fit$frame[[1L]] <- unname(y)
  start <- unname(fit$theta)
  fit$engine <- new_response(fit, call)
  at_optimum(fit, engine_optimise(fit$engine, fit$REML, fit$control, start), fit$REML)
}

# The engine of the fit for the response fit$y.
new_response <- function(fit, call) {
  frame <- fit_frame(fit)
  engine <- fit$engine
  if (!engine$name %in% c("rotated", "sparse")) {
    return(choose_engine(frame, fit$fixed, fit$random, call))
  }
  work <- engine_work(frame, fit$fixed, call)
  engine$work <- work[names(engine$work)]
  if (engine$name == "sparse") {
    engine$effect <- sparse_effects(engine, fit$random)
    engine <- respond_sparse(engine, work)
    engine$effect <- NULL
    return(engine)
  }
  respond_rotated(engine, work, fit$random[[1L]])
}

# refit_one() for the columns of Y (n x B), without what only a full fit needs: a list with
# a row or an element for each of them.
refit_responses <- function(fit, Y) {
  if (fit$engine$name %in% c("blocked", "scalar")) return(refit_blocked(fit, Y))
  each <- lapply(seq_len(ncol(Y)), function(b) refit_one(fit, Y[, b]))
  rows <- function(f, size) {
    matrix(as.numeric(unlist(lapply(each, f))), length(each), size, byrow = TRUE)
  }
  p <- length(fit$coefficients)
  list(theta = rows(function(one) one$theta, length(fit$theta)),
       coefficients = rows(function(one) one$coefficients, p),
       std.error = rows(function(one) sqrt(diag(one$vcov)), p),
       sigma = vapply(each, `[[`, 0, "sigma"),
       criterion = vapply(each, function(one) one$opt$criterion, 0),
       gradient = vapply(each, function(one) max(abs(one$opt$gradient)), 0),
       converged = vapply(each, function(one) one$opt$converged, NA),
       singular = vapply(each, function(one) one$opt$singular, NA))
}

refit_blocked <- function(fit, Y) {
  frame <- fit_frame(fit)
  work <- engine_work(frame, fit$fixed, rlang::current_env())
  engine <- engine_blocked(work, fit$random, rlang::current_env())
  groups <- term_groups(fit$random)
  factors <- blocked_factors(fit$random, groups, engine$units, work$root)
  start <- unit_theta(engine, unname(fit$theta))
  # on a boundary the search would begin at a saddle
  on_diagonal <- pack_identities(engine$sizes) == 1
  start[start == 0 & on_diagonal] <- 0.1
  plain <- all(fit$offset == 0) && all(work$root == 1)
  refit_part <- function(part) {
    Y <- Y[, part, drop = FALSE]
    if (!plain) Y <- (Y - fit$offset) * work$root
    check_core(cpp_blocked_refit(level_data(engine), factors, work$Q, Y, fit$REML,
                                 fit$control$tolerance, fit$control$max_iterations, start,
                                 n_threads()))
  }
  # in parts, between which it can be interrupted
  at <- bind_rows(lapply(split(seq_len(ncol(Y)), ceiling(seq_len(ncol(Y)) / 2000)),
                         refit_part))
  back <- coefficient_map(work)
  variance <- at$unscaled %*% t(square_rows(back))
  constant <- -work$logweights +
    (if (fit$REML) 2 * sum(log(abs(diag(work$R)))) else 0)
  # linear in theta
  columns <- apply(diag(ncol(at$theta)), 2L, column_theta, engine = engine)
  list(theta = at$theta %*% t(columns),
       coefficients = at$beta %*% t(back), std.error = at$sigma * sqrt(variance),
       sigma = at$sigma, criterion = at$criterion + constant, gradient = at$gradient,
       converged = at$converged, singular = at$singular)
}

# Lists of the same vectors and matrices, one below the other.
bind_rows <- function(parts) {
  lapply(stats::setNames(nm = names(parts[[1L]])), function(name) {
    values <- unname(lapply(parts, `[[`, name))
    do.call(if (is.matrix(values[[1L]])) rbind else c, values)
  })
}

# Row i holds the elements of b_i b_i' for the rows b_i of B: times vec(Q), b_i'Q b_i.
square_rows <- function(B) {
  p <- ncol(B)
  B[, rep(seq_len(p), p), drop = FALSE] * B[, rep(seq_len(p), each = p), drop = FALSE]
}

# Responses that the fixed effects fit exactly have no estimates: NA, not converged.
new_lmmfits <- function(fit, Y) {
  varies <- leaves_variation(fit, Y)
  if (!any(varies)) abort_perfect_fit(rlang::caller_env())
  at <- refit_responses(fit, Y[, varies, drop = FALSE])
  if (!all(varies)) {
    row <- replace(rep(NA_integer_, length(varies)), varies, seq_len(sum(varies)))
    at <- lapply(at, function(x) if (is.matrix(x)) x[row, , drop = FALSE] else x[row])
    at$converged[!varies] <- FALSE
  }
  for (name in c("sigma", "criterion", "gradient", "converged", "singular")) {
    names(at[[name]]) <- colnames(Y)
  }
  dimnames(at$theta) <- list(colnames(Y), names(fit$theta))
  dimnames(at$coefficients) <- dimnames(at$std.error) <- list(colnames(Y),
                                                              names(fit$coefficients))
  structure(c(at, list(fit = fit, responses = Y)), class = "lmmfits")
}

# Which columns of Y the fixed effects do not explain to the last digit.
leaves_variation <- function(fit, Y) {
  root <- sqrt(fit$weights)
  if (any(fit$offset != 0) || any(root != 1)) Y <- (Y - fit$offset) * root
  decomposition <- qr(fit$fixed$X * root)
  total <- colSums(Y^2)
  left <- total - colSums(crossprod(qr.Q(decomposition), Y)^2)
  # a difference of squares tells all but close cases
  doubtful <- which(!(left > 1e-6 * total))
  out <- rep(TRUE, ncol(Y))
  close <- Y[, doubtful, drop = FALSE]
  r <- if (ncol(fit$fixed$X) == 0L) close else qr.resid(decomposition, close)
  out[doubtful] <- !is_exact(r, close)
  out
}

#' @rdname refit
#' @export
`[[.lmmfits` <- function(x, i) {
  if (is.character(i) && length(i) == 1L && i %in% names(unclass(x))) {
    return(unclass(x)[[i]])
  }
  Y <- unclass(x)$responses
  known <- if (is.character(i)) i %in% colnames(Y) else i %in% seq_len(ncol(Y))
  if (length(i) != 1L || !known) {
    abort_argument("i", paste0("one of the ", count(ncol(Y)), " responses"), describe(i),
                   rlang::current_env())
  }
  refit_one(unclass(x)$fit, Y[, i])
}

#' @export
`$.lmmfits` <- function(x, name) unclass(x)[[name]]

#' @export
length.lmmfits <- function(x) ncol(unclass(x)$responses)

#' @export
names.lmmfits <- function(x) colnames(unclass(x)$responses)

#' @rdname refit
#' @export
fixef.lmmfits <- function(object, ...) object$coefficients

#' @rdname refit
#' @export
as.data.frame.lmmfits <- function(x, row.names = NULL, optional = FALSE, ...) {
  fit <- x$fit
  responses <- names(x)
  count <- length(x$coefficients)
  fixed <- data.frame(
    response = rep(responses, ncol(x$coefficients)), effect = rep("fixed", count),
    group = rep(NA_character_, count),
    term = rep(as.character(colnames(x$coefficients)), each = length(responses)),
    estimate = as.vector(x$coefficients), std.error = as.vector(x$std.error)
  )
  fixed$statistic <- fixed$estimate / fixed$std.error
  one <- fit
  parts <- lapply(seq_along(responses), function(b) {
    estimated <- !is.na(x$sigma[[b]])
    if (estimated) {
      one$theta <- x$theta[b, ]
      one$sigma <- x$sigma[[b]]
    }
    table <- as.data.frame(VarCorr(one))
    if (!estimated) table$sdcor <- NA_real_
    term <- replace(paste0("cor__", table$var1, ".", table$var2), is.na(table$var2),
                    paste0("sd__", table$var1)[is.na(table$var2)])
    data.frame(response = responses[[b]], effect = "ran_pars", group = table$grp,
               term = replace(term, table$grp == "Residual", "sd__Observation"),
               estimate = table$sdcor, std.error = NA_real_, statistic = NA_real_)
  })
  out <- rbind(fixed, do.call(rbind, parts))
  out <- out[order(match(out$response, responses)), ]
  rownames(out) <- row.names
  out
}

#' @rdname refit
#' @export
print.lmmfits <- function(x, ...) {
  fit <- x$fit
  cat(n_of(length(x), "response"), ", fitted by ",
      if (fit$REML) "REML" else "maximum likelihood",
      "\nFormula: ", deparse1(formula(fit)), "\n", sep = "")
  cat("Converged: ", count(sum(x$converged)), "; with a variance of zero or a singular ",
      "covariance: ", count(sum(x$singular, na.rm = TRUE)), "\n\nQuartiles over the responses:\n", sep = "")
  table <- cbind(x$coefficients, sigma = x$sigma)
  print(t(apply(table, 2L, stats::quantile, na.rm = TRUE)), digits = 4L)
  invisible(x)
}
