#' Best linear unbiased estimates by least squares
#'
#' Ordinary, weighted and generalised least squares in one verb: y = X b + e with
#' Var(e) = sigma2 V, where V is the identity, diagonal, any matrix, or that of relatives
#' with a heritability that is known. X may have dependent columns.
#'
#' @details
#' The normal equations X'V^-1 X b = X'V^-1 y always have a solution, b = G X'V^-1 y with G
#' any generalised inverse of A = X'V^-1 X. Where columns of X depend on others there are
#' many, and single coefficients mean nothing; what all solutions agree on are the estimable
#' functions, combinations L b of rows of X, fitted values among them: see [estimable()].
#' Their estimates are the best linear unbiased ones (BLUE), and with normal errors those
#' of maximum likelihood, whatever sigma2 is. `coef()` has the solution as it is, `summary()`
#' marks what is not estimable.
#'
#' `G = "reflexive"` inverts the part of A that belongs to the first independent columns, and
#' sets the rest, and so the other coefficients, to zero; `"moore-penrose"` gives the
#' solution of least length; a matrix may be given, which must satisfy A G A = A.
#'
#' @param formula (`formula`) response ~ fixed effects, as for [stats::lm()]; random terms
#'   are for [lmmfit()] and [mme()].
#' @param data (`data.frame`, `list` or `environment`) where the variables are; by default
#'   where the formula was made.
#' @param weights (`numeric(n)`) w > 0, as for [stats::lm()]: Var(e_i) = sigma2 / w_i.
#' @param covariance (`matrix`, n x n) V, up to sigma2: symmetric and positive definite. With
#'   row names it is matched to the row names of `data`, and may have more rows than there
#'   are; without, to the order of the rows.
#' @param kinship (named `list`) relationship matrices by the names of the variables that
#'   have their ids, as for [lmmfit()]; with `h2`.
#' @param h2 (`numeric`) for each matrix K of `kinship` its share of the variance:
#'   V = h2 K + (1 - h2) W^-1 for one. On the matrix as it is given: where the mean of its
#'   diagonal is not 1, this is not the share that [heritability()] calls `estimate`.
#' @param sigma2 (`numeric(1)`) where it is known; tests are then normal ones. By default it
#'   is estimated.
#' @param G the generalised inverse, see below: `"reflexive"`, `"moore-penrose"`, or a matrix
#'   (p x p).
#' @param full (`logical(1)`) a column for every level of every factor that has no element in
#'   `contrasts`, as textbooks write models. By default only the contrasts of R.
#' @param offset,subset,na.action,contrasts as for [lmmfit()].
#' @param ... in `blue()` not used; anything here is an error.
#'
#' @return An object of class `blue`, a list with `coefficients` (p), `vcov` (p x p,
#'   sigma2 G A G'), `sigma2` (RSS / (n - r), or as given), `sigma2_ml` (RSS / n), `rss` (in
#'   the metric of V), `rank` (r), `df` (n - r), `G`, `A`, `X` (n x p), `fitted`, `residuals`
#'   and what was asked. The usual functions read it: `summary()`, `coef()`, `vcov()`,
#'   `confint()`, `fitted()`, `residuals()`, `predict()`, `logLik()`, `sigma()`, `nobs()`,
#'   `model.matrix()`, and [estimable()].
#'
#'   A covariance that is not symmetric and positive definite, or that lacks rows, a
#'   relationship matrix without `h2`, and variables that are not there are errors that name
#'   them. Where V is singular (h2 of 1 and a matrix of lower rank, or two records of an id)
#'   there is no V^-1, which is said.
#'
#' @references
#' Aitken AC (1936). On least squares and linear combination of observations. Proceedings
#' of the Royal Society of Edinburgh 55, 42-48. \doi{10.1017/S0370164600014346}
#'
#' Searle SR (1971). Linear Models. Wiley, New York.
#' @seealso [estimable()], [mme()], [two_stage()]
#' @examples
#' weight <- data.frame(gain = c(53, 46, 58, 61, 66, 57),
#'                      group = rep(c("control", "treatment"), each = 3))
#' summary(blue(gain ~ group, weight))
#'
#' # an intercept and both groups: solutions differ, what is estimable does not
#' one <- blue(gain ~ group, weight, full = TRUE)
#' other <- blue(gain ~ group, weight, full = TRUE, G = "moore-penrose")
#' cbind(coef(one), coef(other))
#' estimable(one, "grouptreatment - groupcontrol")
#' estimable(other, "grouptreatment - groupcontrol")
#'
#' # correlated errors
#' V <- 0.5^abs(outer(1:6, 1:6, "-"))
#' blue(gain ~ group, weight, covariance = V)
#' @export
blue <- function(formula, data = NULL, weights, covariance = NULL, kinship = NULL,
                 h2 = NULL, sigma2 = NULL, G = c("reflexive", "moore-penrose"),
                 full = FALSE, offset, subset, na.action, contrasts = NULL, ...) {
  if (...length() > 0L) rlang::check_dots_empty()
  call <- match.call()
  here <- rlang::current_env()
  if (missing(formula)) abort_argument("formula", "given", "missing", here)
  formula <- as_formula(formula, here)
  if (!is.null(sigma2)) check_positive(sigma2)
  if (!is.matrix(G)) G <- check_choice(G, c("reflexive", "moore-penrose"))
  check_flag(full)
  check_shares(kinship, h2, here)
  if (!is.null(covariance) && (!is.null(kinship) || "weights" %in% names(call))) {
    abort_covariance_twice(if (is.null(kinship)) "weights" else "kinship", here)
  }
  model <- fixed_model(formula, call, data, names(kinship), full, contrasts,
                       parent.frame(), here)
  metric <- if (!is.null(covariance)) {
    matrix_metric(given_covariance(covariance, model$frame$frame, data, here), here)
  } else if (!is.null(kinship)) {
    matrix_metric(kinship_covariance(kinship, h2, model$frame, here), here)
  } else {
    weight_metric(model$frame$weights)
  }
  solution <- least_squares_solution(model$design$X, model$frame$y - model$frame$offset,
                                     metric, G, here)
  new_blue(call, model, metric, solution, sigma2, kinship, h2, covariance)
}

# The model without random terms: list(formula, frame, terms, design), X with all its
# columns. groups: variables that are needed beside those of the formula.
fixed_model <- function(formula, mf_call, data, groups, full, contrasts, env, call) {
  check_data(data, call)
  parts <- model_formula(formula, data, call, FALSE)
  if (length(parts$bars) > 0L) {
    abort_fixed_only(vapply(parts$bars, describe_bar, character(1)), call)
  }
  for (group in groups) {
    parts$all[[3L]] <- call("+", parts$all[[3L]], call("(", group_language(group)))
  }
  frame <- one_response(model_frame(parts, mf_call, data, env, call), call)
  terms <- frame_terms(parts$fixed, frame$frame)
  contrasts <- chosen_contrasts(contrasts, full, terms, frame$frame, call)
  design <- design_matrix(terms, frame$frame, contrasts, "fixed effects", call)
  if (ncol(design$X) == 0L) abort_no_fixed(call)
  list(formula = parts$formula, frame = frame, terms = terms, design = design)
}

# "id" or "factor(id)", and names that R could not read, such as "my id".
group_language <- function(group) tryCatch(str2lang(group), error = function(e) as.name(group))

# The frame of model_frame(), of one response.
one_response <- function(frame, call) {
  if (!is.null(frame$responses)) {
    found <- paste("one with", ncol(frame$responses))
    abort_argument("formula", "one with a single response", found, call)
  }
  frame
}

# Those given; with `full` a column for each level of all other factors.
chosen_contrasts <- function(contrasts, full, terms, frame, call) {
  contrasts <- known_contrasts(contrasts, terms, call)
  if (!full) return(contrasts)
  levels <- stats::.getXlevels(terms, frame)
  levels <- levels[setdiff(names(levels), names(contrasts))]
  c(contrasts, lapply(levels, function(x) stats::contr.treatment(x, contrasts = FALSE)))
}

check_shares <- function(kinship, h2, call) {
  if (is.null(kinship)) {
    if (!is.null(h2)) abort_share_alone("h2", "kinship", call)
    return(invisible())
  }
  if (!is.list(kinship) || is.data.frame(kinship) || is.null(names(kinship)) ||
        !all(nzchar(names(kinship)))) {
    abort_argument("kinship", "a list named by the variables with the ids",
                   describe(kinship), call)
  }
  if (is.null(h2)) abort_share_alone("kinship", "h2", call)
  count <- length(kinship)
  if (!is.numeric(h2) || length(h2) != count || any(!is.finite(h2)) || any(h2 < 0) ||
        sum(h2) > 1 + 1e-12) {
    must <- if (count == 1L) "a number between 0 and 1" else
      paste("as many as `kinship`,", count, "numbers not below 0 with a sum of at most 1")
    abort_argument("h2", must, describe(h2), call)
  }
}

# V, n x n, of records whose ids are in the frame.
kinship_covariance <- function(kinship, h2, frame, call) {
  V <- diag(max(1 - sum(h2), 0) / frame$weights, length(frame$y))
  for (at in seq_along(kinship)) {
    group <- names(kinship)[[at]]
    ids <- group_factor(frame$frame[[as_text(group_language(group))]])
    if (anyNA(ids)) abort_group_missing(group, sum(is.na(ids)), call)
    K <- check_kinship(kinship[[at]], levels(ids), group, "kinship", call)
    rows <- match(levels(ids), rownames(K))[ids]
    V <- V + h2[[at]] * K[rows, rows]
  }
  unname(V)
}

# The rows of `covariance` that belong to those of the frame.
given_covariance <- function(covariance, frame, data, call) {
  V <- if (inherits(covariance, "Matrix")) as.matrix(covariance) else covariance
  if (!is.matrix(V) || !is.numeric(V) || nrow(V) != ncol(V)) {
    abort_argument("covariance", "a square numeric matrix", describe(covariance), call)
  }
  rows <- rownames(frame)
  if (!is.null(rownames(V))) {
    if (!is.null(colnames(V)) && !identical(rownames(V), colnames(V))) {
      abort_covariance_names(call)
    }
    twice <- rownames(V)[duplicated(rownames(V))]
    lost <- setdiff(rows, rownames(V))
    if (length(lost) + length(twice) > 0L) {
      abort_covariance_rows(lost, unique(twice), rownames(V), call)
    }
    at <- match(rows, rownames(V))
  } else if (nrow(V) == length(rows)) {
    at <- seq_along(rows)
  } else if (is.data.frame(data) && nrow(V) == nrow(data)) {
    at <- match(rows, rownames(data))
  } else {
    abort_covariance_size(nrow(V), length(rows), call)
  }
  V <- unname(V[at, at, drop = FALSE])
  if (any(!is.finite(V))) abort_covariance_value(sum(!is.finite(V)), call)
  worst <- max(abs(V - t(V)))
  if (worst > 1e-8 * max(abs(V))) abort_covariance_asymmetric(worst, call)
  (V + t(V)) / 2
}

# What least squares needs of V: whiten(x), the rows of x with the variance V made
# uncorrelated, and the logarithm of its determinant.
matrix_metric <- function(V, call) {
  # what goes wrong in making V is not caught below
  force(V)
  root <- tryCatch(chol(V), error = function(e) NULL)
  # a pivot is what the records before leave of the variance of a record
  if (is.null(root) || any(diag(root)^2 <= 1e-12 * diag(V))) {
    abort_covariance_singular(nrow(V), call)
  }
  list(whiten = function(x) backsolve(root, x, transpose = TRUE), V = V,
       logdet = 2 * sum(log(diag(root))))
}

weight_metric <- function(weights) {
  root <- sqrt(weights)
  list(whiten = function(x) x * root, logdet = -sum(log(weights)))
}

# A solution of the normal equations, see new_blue() for its parts; `kept` are the columns
# of X that are independent of those before.
least_squares_solution <- function(X, y, metric, G, call) {
  white <- metric$whiten(X)
  response <- drop(metric$whiten(matrix(y)))
  decomposition <- qr(white, tol = 1e-7)
  rank <- decomposition$rank
  kept <- sort(decomposition$pivot[seq_len(rank)])
  A <- crossprod(white)
  kind <- if (is.matrix(G)) "given" else G
  if (kind == "given") {
    b <- drop(check_ginverse(G, A, call) %*% crossprod(white, response))
  } else if (kind == "reflexive" || rank == 0L) {
    root <- qr(white[, kept, drop = FALSE], tol = 0)
    b <- replace(numeric(ncol(X)), kept, qr.coef(root, response))
    G <- matrix(0, ncol(X), ncol(X))
    inner <- order(root$pivot)
    if (rank > 0L) G[kept, kept] <- chol2inv(qr.R(root))[inner, inner]
  } else {
    parts <- svd(white)
    at <- seq_len(rank)
    half <- parts$v[, at, drop = FALSE] / rep(parts$d[at], each = ncol(X))
    b <- drop(half %*% crossprod(parts$u[, at, drop = FALSE], response))
    G <- tcrossprod(half)
  }
  names <- colnames(X)
  dimnames(A) <- dimnames(G) <- list(names, names)
  list(b = stats::setNames(b, names), A = A, G = G, kind = kind, rank = rank, kept = kept,
       rss = sum((response - white %*% b)^2))
}

check_ginverse <- function(G, A, call) {
  if (!is.numeric(G) || !identical(dim(G), dim(A)) || any(!is.finite(G))) {
    abort_argument("G", paste0("a finite matrix of ", nrow(A), " x ", nrow(A)),
                   describe(G), call)
  }
  scale <- sqrt(pmax(diag(A), .Machine$double.xmin))
  error <- max(abs(A %*% G %*% A - A) / tcrossprod(scale))
  if (error > 1e-6) abort_ginverse(error, call)
  unname(G)
}

new_blue <- function(call, model, metric, solution, sigma2, kinship, h2, covariance) {
  frame <- model$frame
  X <- model$design$X
  n <- nrow(X)
  df <- n - solution$rank
  known <- !is.null(sigma2)
  if (!known) sigma2 <- if (df > 0L) solution$rss / df else NA_real_
  fitted <- drop(X %*% solution$b) + frame$offset
  names(fitted) <- rownames(X)
  method <- if (!is.null(covariance)) "covariance" else
    if (!is.null(kinship)) "kinship" else if (any(frame$weights != 1)) "weights" else "ols"
  structure(list(
    call = call, formula = model$formula, coefficients = solution$b,
    vcov = sigma2 * solution$G %*% solution$A %*% t(solution$G), sigma2 = sigma2,
    sigma2_ml = solution$rss / n, known = known, rss = solution$rss, rank = solution$rank,
    kept = solution$kept, df = df, n = n, G = solution$G, A = solution$A,
    ginverse = solution$kind, X = X, fitted = fitted, residuals = frame$y - fitted,
    method = method, h2 = if (!is.null(kinship)) stats::setNames(h2, names(kinship)),
    metric = metric, frame = frame$frame, y = frame$y, weights = frame$weights,
    offset = frame$offset, variables = frame$variables,
    fixed = c(list(terms = model$terms), model$design[c("xlevels", "contrasts")]),
    na.action = attr(frame$frame, "na.action")
  ), class = "blue")
}

blue_title <- function(x) {
  switch(x$method, ols = "ordinary least squares", weights = "weighted least squares",
         "generalised least squares")
}

# What V is, in words.
describe_metric <- function(x) {
  switch(x$method, ols = "V = I", weights = "V = diag(1 / weights)",
         covariance = "V as given",
         kinship = paste0("V = ", paste0(signif(x$h2, 4), " K[", names(x$h2), "]",
                                         collapse = " + "), " + ",
                          signif(1 - sum(x$h2), 4),
                          if (any(x$weights != 1)) " diag(1 / weights)" else " I",
                          ", K as given"))
}

print_blue_head <- function(x) {
  cat("Best linear unbiased estimates by ", blue_title(x), " ['blue']\n", sep = "")
  cat("Formula: ", paste(deparse(x$formula), collapse = "\n"), "\n", sep = "")
  cat("Var(y) = sigma2 V, ", describe_metric(x), "\n", sep = "")
  cat(n_of(x$n, "record"), ", ", n_of(ncol(x$X), "column"), " of X, rank ", x$rank,
      if (x$rank < ncol(x$X)) paste0("; generalised inverse: ", x$ginverse), "\n", sep = "")
  if (length(x$na.action) > 0L) cat("(", stats::naprint(x$na.action), ")\n", sep = "")
}

#' Read a fit by least squares
#'
#' @param object,x a fit by [blue()], or its summary.
#' @param parm which coefficients: names or numbers; all by default.
#' @param level (`numeric(1)`) confidence level.
#' @param newdata (`data.frame`) new records; by default those of the fit.
#' @param se.fit (`logical(1)`) standard errors of the means, too.
#' @param type of residuals: `"response"`, y - X b; `"pearson"`, times the square root of the
#'   weights; or `"normalized"`, made uncorrelated by the Cholesky factor of V.
#' @param scaled (`logical(1)`) divide the residuals by sigma.
#' @param which (`character(1)`) scaled residuals, of the type `"normalized"`, against fitted
#'   values (`"fitted"`), or their normal quantile plot (`"qq"`).
#' @param REML (`logical(1)`) the likelihood of the data free of fixed effects. That of a
#'   rank-deficient X is of its first independent columns.
#' @param digits significant digits.
#' @param signif.stars (`logical(1)`) mark small p-values by stars.
#' @param ... in `plot()` passed to [graphics::plot()]; else not used.
#' @return `deviance()`: the residual sum of squares, in the metric of V. `summary()`: a list of
#'   class `summary.blue` with the table `coefficients` (p x 4; where a coefficient is not
#'   estimable NA but for the estimate, the value in the solution), and `estimable` (p).
#'   `confint()`: p x 2, NA in such rows. `predict()`: means X b of new records, NA, with a
#'   message, where they are not estimable; with `se.fit` a list of `fit` and `se.fit`.
#'   `logLik()`: at the ML (REML) estimate of sigma2, or at the known one.
#' @examples
#' fit <- blue(distance ~ age + Sex, nlme::Orthodont)
#' summary(fit)
#' predict(fit, data.frame(age = 11, Sex = "Male"), se.fit = TRUE)
#' @name blue-methods
NULL

#' @rdname blue-methods
#' @export
print.blue <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  print_blue_head(x)
  cat("\nCoefficients", if (x$rank < ncol(x$X)) " (one solution of many)", ":\n", sep = "")
  print(format(x$coefficients, digits = digits), quote = FALSE)
  print_blue_variance(x, digits)
  invisible(x)
}

print_blue_variance <- function(x, digits) {
  cat("\nsigma2: ")
  if (x$known) {
    cat(format(x$sigma2, digits = digits), ", taken as known\n", sep = "")
  } else if (x$df == 0L) {
    cat("not estimable, no degrees of freedom are left\n")
  } else {
    cat(format(x$sigma2, digits = digits), " = RSS / ", x$df, " (unbiased), ",
        format(x$sigma2_ml, digits = digits), " = RSS / ", x$n, " (ML)\n", sep = "")
  }
}

#' @rdname blue-methods
#' @export
summary.blue <- function(object, ...) {
  rlang::check_dots_empty()
  estimable <- estimable_rows(diag(length(object$coefficients)), row_space(object$X))
  se <- sqrt(pmax(diag(object$vcov), 0))
  se[!estimable] <- NA
  t <- object$coefficients / se
  p <- 2 * if (object$known) stats::pnorm(-abs(t)) else safe_pt(t, object$df)
  table <- cbind(object$coefficients, se, t, p)
  letter <- if (object$known) "z" else "t"
  colnames(table) <- c("Estimate", "Std. Error", paste(letter, "value"),
                       paste0("Pr(>|", letter, "|)"))
  out <- object[c("call", "formula", "X", "rank", "df", "n", "sigma2", "sigma2_ml", "known",
                  "method", "h2", "weights", "ginverse", "na.action")]
  structure(c(out, list(coefficients = table,
                        estimable = stats::setNames(estimable, rownames(table)))),
            class = "summary.blue")
}

# Two-sided, NA without degrees of freedom.
safe_pt <- function(t, df) if (df > 0L) stats::pt(-abs(t), df) else rep(NA_real_, length(t))

#' @rdname blue-methods
#' @export
print.summary.blue <- function(x, digits = max(3L, getOption("digits") - 3L),
                               signif.stars = getOption("show.signif.stars"), ...) {
  print_blue_head(x)
  cat("\nCoefficients:\n")
  table <- x$coefficients
  lost <- !x$estimable
  rownames(table)[lost] <- paste(rownames(table)[lost], "(!)")
  stats::printCoefmat(table, digits = digits, signif.stars = signif.stars, na.print = "",
                      has.Pvalue = any(!is.na(table[, 4L])))
  if (any(lost)) {
    cat("(!) not estimable: the value is that of one solution and means nothing by itself;",
        "\n    estimable() tests combinations that do\n", sep = "")
  }
  print_blue_variance(x, digits)
  if (!x$known && x$df > 0L) cat("t tests on ", x$df, " degrees of freedom\n", sep = "")
  invisible(x)
}

#' @rdname blue-methods
#' @export
coef.blue <- function(object, ...) object$coefficients

#' @rdname blue-methods
#' @export
vcov.blue <- function(object, ...) object$vcov

#' @rdname blue-methods
#' @export
fitted.blue <- function(object, ...) stats::napredict(object$na.action, object$fitted)

#' @rdname blue-methods
#' @export
residuals.blue <- function(object, type = c("response", "pearson", "normalized"),
                           scaled = FALSE, ...) {
  type <- check_choice(type, c("response", "pearson", "normalized"))
  r <- object$residuals
  if (type == "pearson") r <- r * sqrt(object$weights)
  if (type == "normalized") r[] <- object$metric$whiten(matrix(r))
  if (check_flag(scaled)) r <- r / sqrt(object$sigma2)
  stats::naresid(object$na.action, r)
}

#' @rdname blue-methods
#' @export
deviance.blue <- function(object, ...) object$rss

#' @rdname blue-methods
#' @export
terms.blue <- function(x, ...) x$fixed$terms

#' @rdname blue-methods
#' @export
weights.blue <- function(object, ...) stats::naresid(object$na.action, object$weights)

#' @rdname blue-methods
#' @export
plot.blue <- function(x, which = c("fitted", "qq"), ...) {
  which <- check_choice(which, c("fitted", "qq"))
  draw <- if (which == "fitted") plot_fitted else plot_quantiles
  draw(x, kind = "normalized", ...)
  invisible(x)
}

#' @rdname blue-methods
#' @export
sigma.blue <- function(object, ...) sqrt(object$sigma2)

#' @rdname blue-methods
#' @export
nobs.blue <- function(object, ...) object$n

#' @rdname blue-methods
#' @export
df.residual.blue <- function(object, ...) object$df

#' @rdname blue-methods
#' @export
model.matrix.blue <- function(object, ...) object$X

#' @rdname blue-methods
#' @export
logLik.blue <- function(object, REML = FALSE, ...) {
  check_flag(REML)
  dof <- if (REML) object$df else object$n
  sigma2 <- if (object$known) object$sigma2 else object$rss / dof
  logdet <- object$metric$logdet
  if (REML) {
    A <- object$A[object$kept, object$kept, drop = FALSE]
    logdet <- logdet + as.numeric(determinant(A)$modulus)
  }
  quadratic <- if (object$known) object$rss / sigma2 else dof
  scale <- if (dof > 0L) dof * log(2 * pi * sigma2) else 0
  value <- -0.5 * (logdet + scale + quadratic)
  structure(value, df = object$rank + !object$known, nobs = object$n, nall = object$n,
            class = "logLik")
}

#' @rdname blue-methods
#' @export
confint.blue <- function(object, parm, level = 0.95, ...) {
  level <- check_number(level, 0.001, 0.9999)
  table <- summary(object)$coefficients
  tail <- c((1 - level) / 2, (1 + level) / 2)
  quantile <- if (object$known) stats::qnorm(tail) else
    if (object$df > 0L) stats::qt(tail, object$df) else c(NA, NA)
  out <- table[, 1L] + outer(table[, 2L], quantile)
  dimnames(out) <- list(rownames(table), paste(format(100 * tail, trim = TRUE), "%"))
  if (missing(parm)) return(out)
  known <- if (is.character(parm)) parm %in% rownames(out) else parm %in% seq_len(nrow(out))
  if (!all(known)) abort_parameter(parm[!known], rownames(out), rlang::current_env())
  out[parm, , drop = FALSE]
}

#' @rdname blue-methods
#' @export
predict.blue <- function(object, newdata = NULL, se.fit = FALSE, ...) {
  rlang::check_dots_empty()
  check_flag(se.fit)
  if (is.null(newdata)) {
    X <- object$X
    offset <- object$offset
  } else {
    new <- new_design(object, newdata, rlang::current_env())
    X <- new$X
    offset <- new$offset
  }
  value <- drop(X %*% object$coefficients) + offset
  se <- sqrt(pmax(rowSums((X %*% object$vcov) * X), 0))
  known <- estimable_rows(X, row_space(object$X))
  lost <- which(!known & !is.na(value))
  if (length(lost) > 0L) inform_not_estimable(rownames(X)[lost], "record")
  value[lost] <- NA
  se[lost] <- NA
  names(value) <- names(se) <- rownames(X)
  if (is.null(newdata)) {
    value <- stats::napredict(object$na.action, value)
    se <- stats::napredict(object$na.action, se)
  }
  if (se.fit) list(fit = value, se.fit = se) else value
}

# X and the offset of new records.
new_design <- function(object, newdata, call) {
  frame <- predict_frame(object, list(), newdata, TRUE, stats::na.pass, call)
  X <- stats::model.matrix(stats::delete.response(object$fixed$terms), frame,
                           contrasts.arg = object$fixed$contrasts)
  offset <- stats::model.offset(frame)
  list(X = X[, colnames(object$X), drop = FALSE], offset = if (is.null(offset)) 0 else offset)
}
