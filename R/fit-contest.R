#' Test linear combinations of the fixed effects
#'
#' Tests L beta = rhs: with one F test of all rows of L, or with a t test of each.
#'
#' @param model a model fitted by [lmmfit()]. A fit of 'lme4' or 'lmerTest' is passed on to
#'   'lmerTest', which has a function of the same name.
#' @param L (`numeric(p)` or a matrix of q x p) the combinations, one in a row; or a list of
#'   such, each tested for itself.
#' @param rhs (`numeric(1)` or `numeric(q)`) the values under the hypothesis.
#' @param joint (`logical(1)`) one F test of all rows, or a t test of each.
#' @param confint (`logical(1)`) with t tests, add confidence limits.
#' @param level (`numeric(1)`) their confidence level.
#' @param ddf how to find denominator degrees of freedom: `"Satterthwaite"`, or
#'   `"Kenward-Roger"`, with its correction of the covariance (REML only).
#' @param ... not used; anything here is an error.
#' @section Degrees of freedom:
#' Satterthwaite's method matches the variance of l'Var(beta)l as an estimate, found from
#' the observed information of the variance parameters, to that of a scaled chi-square
#' variable. For several rows the contrasts are made uncorrelated first, and their degrees
#' of freedom are combined as Fai and Cornelius (1996) do. Where the covariance of the
#' random effects is singular the estimates are taken to move on this boundary only; a
#' variance that is zero counts as known. Kenward and Roger's method takes the expected
#' information, in which a zero variance counts as estimated. Both are exact functions of
#' the estimates; nothing is differentiated numerically.
#' @return A data frame. F tests: one row for each element of `L` with `Sum Sq`, `Mean Sq`,
#'   `NumDF`, `DenDF`, `F value`, `Pr(>F)`. t tests: a row for each row of `L` with
#'   `Estimate`, `Std. Error`, `df`, `t value`, `lower`, `upper`, `Pr(>|t|)`.
#'
#'   A contrast of the wrong length or with missing values, and an `rhs` that no coefficients
#'   can give, are errors.
#' @references
#' Fai AHT, Cornelius PL (1996). Approximate F-tests of multiple degree of freedom hypotheses
#' in generalized least squares analyses of unbalanced split-plot experiments. Journal of
#' Statistical Computation and Simulation 54, 363-378. \doi{10.1080/00949659608811740}
#'
#' Kenward MG, Roger JH (1997). Small sample inference for fixed effects from restricted
#' maximum likelihood. Biometrics 53, 983-997. \doi{10.2307/2533558}
#' @examples
#' fit <- lmmfit(distance ~ age * Sex + (1 | Subject), data = nlme::Orthodont)
#' # do the sexes differ at 8, and in their growth?
#' L <- rbind(`at 8` = c(0, 0, 1, 8), growth = c(0, 0, 0, 1))
#' contest(fit, L)
#' contest(fit, L, joint = FALSE)
#' @export
contest <- function(model, L, ...) UseMethod("contest")

#' @rdname contest
#' @export
contest.lmmfit <- function(model, L, rhs = 0, joint = TRUE, confint = TRUE, level = 0.95,
                           ddf = c("Satterthwaite", "Kenward-Roger"), ...) {
  rlang::check_dots_empty()
  here <- rlang::current_env()
  check_flag(joint)
  check_flag(confint)
  level <- check_number(level, 0.001, 0.9999)
  ddf <- check_ddf(ddf, here, c("Satterthwaite", "Kenward-Roger"))
  contrasts <- lapply(if (is.list(L)) L else list(L), check_contrast, model, here)
  sizes <- vapply(contrasts, nrow, 1L)
  for (size in sizes) check_rhs(rhs, size, here)
  contrasts <- contrasts[sizes > 0L & length(model$coefficients) > 0L]
  if (length(contrasts) == 0L) return(f_table(list()))
  tests <- fit_ddf(model, ddf, here)
  if (joint) {
    rows <- lapply(contrasts, function(L) {
      f_test(model, tests, L, rep_len(rhs, nrow(L)), here)
    })
    return(f_table(rows))
  }
  t_table(model, tests, contrasts, rhs, if (confint) level)
}

# lmerTest has a generic of the same name: each must know the fits of both packages,
# whichever was attached last
#' @export
contest.default <- function(model, L, ...) {
  if (inherits(model, "merMod")) {
    rlang::check_installed("lmerTest", "for contrasts of fits of lme4.")
    return(lmerTest::contest(model, L, ...))
  }
  abort_argument("model", "a model fitted by lmmfit()", describe(model),
                 rlang::current_env())
}

#' @rawNamespace S3method(lmerTest::contest, lmmfit)
NULL

# A matrix with a row for each contrast.
check_contrast <- function(L, model, call) {
  p <- length(model$coefficients)
  if (!is.matrix(L)) L <- matrix(L, nrow = 1L)
  if (!is.numeric(L)) abort_contrast("be numeric", paste("It is", describe(L)), call)
  if (ncol(L) != p) {
    abort_contrast(paste0("have a column for each of the ", n_of(p, "coefficient")),
                   paste("It has", count(ncol(L))), call)
  }
  if (any(!is.finite(L))) {
    abort_contrast("be finite", paste("It has", n_of(sum(!is.finite(L)), "other value")),
                   call)
  }
  L
}

check_rhs <- function(rhs, size, call) {
  if (!is.numeric(rhs) || !length(rhs) %in% c(1L, size) || any(!is.finite(rhs))) {
    abort_argument("rhs", paste0("finite and numeric, one value or ", size,
                                 ", one for each row of L"), describe(rhs), call)
  }
}

# level: NULL for no confidence limits.
t_table <- function(model, tests, contrasts, rhs, level) {
  rows <- lapply(unname(contrasts), function(L) {
    out <- t_tests(model, tests, L, rhs)
    if (!is.null(level)) {
      half <- stats::qt((1 + level) / 2, out$df) * out$`Std. Error`
      limits <- data.frame(lower = out$Estimate - half, upper = out$Estimate + half)
      out <- cbind(out[1:4], limits, out[5L])
    }
    rownames(out) <- rownames(L)
    out
  })
  do.call(rbind, rows)
}
