#' Fit a linear mixed model
#'
#' Fits y = X b + Z u + e by restricted maximum likelihood (REML) or maximum likelihood
#' (ML), with the formula of 'lme4' and relationship matrices on those random terms that
#' have one.
#'
#' @section Formula:
#' The fixed part is that of [stats::lm()]. Random terms are written as in 'lme4':
#' `(1 | g)`, `(x | g)` for correlated and `(x || g)` for uncorrelated intercepts and
#' slopes (factors are decorrelated too, which 'lme4' before version 2 does not do).
#' A relationship matrix K is given either to every term on `id`, by
#' `kinship = list(id = K)`, or to one term, by `kin(1 | id, K)` (K is looked up in `data`,
#' where the formula was made, and where `lmmfit()` was called): the effects of two
#' individuals then have the covariance sigma2_g K_ij.
#'
#' Nothing else may stand round a bar. A dot in the fixed part is the sum of the columns of
#' `data` that are neither in the response nor in a grouping factor; a column that is also
#' given as `weights` or `offset` is among them, as in [stats::lm()]. A grouping factor is
#' a variable, a function of variables such as `factor(id)`, or an interaction `a:b`; whole
#' numbers become levels without an exponent ("100000").
#'
#' Terms may be crossed, `(1 | a) + (1 | b)`, or nested, `(1 | a / b)`; the left-hand side
#' may hold matrices and bases such as `poly(x, 2)`. Terms with a kernel may stand beside
#' others, on the same grouping factor too (repeated records: a genetic and a permanent
#' effect), and may have slopes, `kin(1 + age | id, K)` or `kin(age || id, K)`. An inverse
#' relationship matrix is given as [precision()]. Terms whose variances the data can't tell
#' from one another, beside the fixed effects, or from that of the residuals are an error
#' that names them.
#'
#' @section Method:
#' The criterion is -2 times the full log-likelihood, with the fixed effects and the
#' residual variance profiled out; its gradient is exact. I.i.d. effects are computed from
#' cross-products: levels with equal designs are merged, the grouping factor with the most
#' effects is eliminated level by level, and what remains of the others is factored, dense or
#' sparse. One random intercept with a kernel is reduced to a tridiagonal matrix; several
#' kernels, slopes with one, or kernels beside other terms, are matrices of the order of what
#' the effects span. But for the last, no evaluation depends on the number of records.
#' Random intercepts with sparse inverses of relationship matrices, as of a pedigree, are
#' computed from the sparse mixed-model equations, see [precision()].
#' `vignette("algorithms")` has the details.
#'
#' With one variance ratio every local minimum over the whole range is found; otherwise a
#' trust-region Newton search runs from one or several starts, with the exact Hessian or,
#' where that is dear, the average information. A covariance is singular only when the
#' derivatives on the boundary say so.
#'
#' @param formula (`formula`) response ~ fixed effects + random terms.
#' @param data (`data.frame`, `list` or `environment`) where the variables are. By default
#'   they are taken from where the formula was made.
#' @param kinship (named `list`) relationship matrices by the name of the grouping factor:
#'   symmetric positive semi-definite matrices (q x q) whose row and column names are ids.
#'   Inverses of such matrices are given by [precision()].
#'   Levels are matched by id; ids without records are kept for [blup()] and predictions.
#' @param REML (`logical(1)`) REML, the default, as its variance estimates allow for the
#'   estimated fixed effects; or ML, which likelihood-ratio tests of fixed effects need
#'   ([anova()][anova.lmmfit] fits again by itself). With a relationship matrix and an
#'   intercept ML depends on the origin of the matrix, and with a centred one of full rank
#'   small samples may have their maximum at a residual variance of zero; REML has neither
#'   weakness.
#' @param weights (`numeric(n)`) prior weights w > 0: the residual variance of a record is
#'   sigma2 / w.
#' @param offset (`numeric(n)`) a known part of the mean. To predict for new data it must
#'   be made of columns of `data`.
#' @param subset an expression, evaluated in `data`, that says which rows to use.
#' @param na.action what to do with missing values, by default `getOption("na.action")`:
#'   rows with any are left out, and counted by `summary()`.
#' @param contrasts (named `list`) contrasts of factors of the fixed part, as for
#'   [stats::lm()]; others are ignored with a warning.
#' @param start (`numeric`) a first value of theta, tried beside the usual ones (with
#'   several variance parameters).
#' @param control the settings made by [lmm_control()].
#' @param ... not used; anything here is an error.
#'
#' @return With several responses, `cbind(y1, y2) ~ ...`, an object of class `lmmfits`, see
#'   [refit()]. With one an object of class `lmmfit`: a list with
#'   \item{call, formula}{what was asked}
#'   \item{coefficients}{the p fixed effects; `dropped` the names of columns left out
#'     because they are combinations of others}
#'   \item{theta}{variance parameters relative to sigma: the lower triangle of the factor
#'     T, Var(u) = sigma2 T T', term by term}
#'   \item{sigma}{residual standard deviation (of a record of weight 1)}
#'   \item{opt}{the convergence record: criterion, gradient in theta, iterations,
#'     evaluations, starts, and which bound the estimate is on; with one variance ratio also
#'     the Hessian}
#'   \item{engine}{which engine computed it and why, with what it needs}
#'   \item{frame, fixed, random}{the data and the design}
#'   Use the extractors ([fixef()], [ranef()], [VarCorr()], [heritability()], [blup()], and
#'   the usual methods) rather than its elements.
#'
#' Unknown variables, a response that is constant, infinite or missing everywhere, weights
#' that are not positive, grouping factors with one level or with as many random effects as
#' records (without a kernel), and relationship matrices without ids, with missing ids or
#' values, not symmetric or not positive semi-definite are errors that name what is wrong.
#'
#' @references
#' Bates D, Maechler M, Bolker B, Walker S (2015). Fitting linear mixed-effects models
#' using lme4. Journal of Statistical Software 67(1). \doi{10.18637/jss.v067.i01}
#'
#' Patterson HD, Thompson R (1971). Recovery of inter-block information when block sizes
#' are unequal. Biometrika 58, 545-554. \doi{10.1093/biomet/58.3.545}
#'
#' Kang HM et al. (2008). Efficient control of population structure in model organism
#' association mapping. Genetics 178, 1709-1723. \doi{10.1534/genetics.107.080101}
#'
#' @examples
#' fit <- lmmfit(distance ~ age + Sex + (1 | Subject), data = nlme::Orthodont)
#' summary(fit)
#'
#' # a relationship matrix: two families of four full sibs, and unrelated others
#' ids <- paste0("id", 1:60)
#' K <- diag(60)
#' K[1:4, 1:4] <- K[5:8, 5:8] <- 0.5
#' diag(K) <- 1
#' dimnames(K) <- list(ids, ids)
#' set.seed(1)
#' pheno <- data.frame(id = rep(ids, 2), y = rnorm(120) + rep(rnorm(60), 2))
#' fit <- lmmfit(y ~ 1 + (1 | id), pheno, kinship = list(id = K))
#' heritability(fit)
#' @export
lmmfit <- function(formula, data = NULL, kinship = NULL, REML = TRUE, weights, offset,
                   subset, na.action, contrasts = NULL, start = NULL,
                   control = lmm_control(), ...) {
  if (...length() > 0L) rlang::check_dots_empty()
  call <- match.call()
  env <- parent.frame()
  here <- rlang::current_env()
  check_flag(REML)
  check_control(control, here)
  if (missing(formula)) abort_argument("formula", "given", "missing", here)
  formula <- as_formula(formula, here)

  model <- read_model(formula, call, data, kinship, contrasts, env, here, sparse = TRUE)
  engine <- choose_engine(model$frame, model$fixed, model$random, here)
  check_start(start, engine, here)
  opt <- engine_optimise(engine, REML, control, start)
  fit <- new_lmmfit(call, model, REML, engine, opt, control)
  if (!is.null(model$frame$responses)) return(new_lmmfits(fit, model$frame$responses))
  report_convergence(fit)
  fit
}

# The model that a formula and data describe, before any method: list(formula, frame, fixed,
# random), see model_frame(), model_fixed() and model_random(). mf_call: the matched call of
# the verb; env: where it was called; bars: whether random terms must be there; sparse:
# whether sparse precision matrices may stay so.
read_model <- function(formula, mf_call, data, kinship, contrasts, env,
                       call = rlang::caller_env(), bars = TRUE, sparse = FALSE) {
  check_data(data, call)
  parts <- model_formula(formula, data, call, bars)
  frame <- model_frame(parts, mf_call, data, env, call)
  fixed <- model_fixed(parts, frame$frame, contrasts, call)
  kernel <- function(expr) eval_kernel(expr, data, formula, env, call)
  random <- model_random(parts, frame$frame, kinship, kernel, call, sparse = sparse)
  list(formula = parts$formula, frame = frame, fixed = fixed, random = random)
}

as_formula <- function(formula, call) {
  if (is.character(formula) && length(formula) == 1L) {
    env <- rlang::caller_env(2L)
    # text that is no formula stays as it is, and is refused
    formula <- tryCatch(stats::as.formula(formula, env), error = function(e) formula)
  }
  if (!inherits(formula, "formula")) {
    abort_argument("formula", "a two-sided formula such as y ~ x + (1 | group)",
                   describe(formula), call)
  }
  formula
}

check_control <- function(control, call) {
  if (!inherits(control, "lmm_control")) {
    abort_argument("control", "made by lmm_control()", describe(control), call)
  }
}

check_start <- function(start, engine, call) {
  if (is.null(start)) return(invisible())
  wanted <- n_theta(engine)
  if (!is.numeric(start) || length(start) != wanted || any(!is.finite(start))) {
    abort_argument("start", paste0("a finite numeric vector of length ", wanted,
                                   ", the number of variance parameters"),
                   describe(start), call)
  }
}
