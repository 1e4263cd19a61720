#' Estimated marginal means
#'
#' [emmeans::emmeans()] and what builds on it understand fits of [lmmfit()].
#'
#' @param object a model fitted by [lmmfit()].
#' @param trms,xlev,grid what 'emmeans' passes: terms, factor levels and the reference grid.
#' @param mode (`character(1)`) degrees of freedom: `"satterthwaite"`, the default,
#'   `"kenward-roger"` (which also adjusts the covariance of the estimates) or
#'   `"asymptotic"`.
#' @param vcov. (`matrix` or `function`) another covariance of the fixed effects.
#' @param ... passed on by 'emmeans'.
#' @return What the generics of 'emmeans' must return.
#' @examples
#' if (requireNamespace("emmeans", quietly = TRUE)) {
#'   fit <- lmmfit(distance ~ age * Sex + (1 | Subject), data = nlme::Orthodont)
#'   emmeans::emmeans(fit, "Sex", at = list(age = 10))
#' }
#' @name lmmfit-emmeans
NULL

#' @rawNamespace
#' S3method(emmeans::recover_data, lmmfit)
#' S3method(emmeans::emm_basis, lmmfit)
NULL

#' @rdname lmmfit-emmeans
#' @method recover_data lmmfit
recover_data.lmmfit <- function(object, ...) {
  call <- object$call
  call$formula <- stats::formula(object$fixed$terms)
  emmeans::recover_data(call, stats::delete.response(object$fixed$terms),
                        attr(object$frame, "na.action"), frame = object$frame, ...)
}

#' @rdname lmmfit-emmeans
#' @method emm_basis lmmfit
emm_basis.lmmfit <- function(object, trms, xlev, grid,
                             mode = c("satterthwaite", "kenward-roger", "asymptotic"),
                             vcov. = NULL, ...) {
  call <- rlang::current_env()
  mode <- check_choice(mode, c("satterthwaite", "kenward-roger", "asymptotic"))
  frame <- stats::model.frame(trms, grid, na.action = stats::na.pass, xlev = xlev)
  X <- stats::model.matrix(trms, frame, contrasts.arg = object$fixed$contrasts)
  bhat <- stats::setNames(rep(NA_real_, ncol(X)), colnames(X))
  bhat[names(object$coefficients)] <- object$coefficients
  nbasis <- matrix(NA)
  if (anyNA(bhat)) {
    full <- stats::model.matrix(trms, object$frame, contrasts.arg = object$fixed$contrasts)
    nbasis <- estimability::nonest.basis(full)
  }
  df <- contrast_degrees(object, mode, call)
  V <- df$vcov
  if (is.function(vcov.)) V <- vcov.(object) else if (!is.null(vcov.)) V <- vcov.
  list(X = X, bhat = unname(bhat), nbasis = nbasis, V = V,
       dffun = structure(function(k, dfargs) dfargs$df(k), mesg = df$mode),
       dfargs = list(df = df$df), misc = list())
}

# The covariance of the fixed effects that a method uses, and a function of the
# coefficients of one contrast that gives its degrees of freedom.
contrast_degrees <- function(fit, mode, call) {
  if (mode == "asymptotic") {
    return(list(vcov = fit$vcov, df = function(k) Inf, mode = "asymptotic"))
  }
  methods <- c(satterthwaite = "Satterthwaite", `kenward-roger` = "Kenward-Roger")
  tests <- fit_ddf(fit, methods[[mode]], call)
  list(vcov = tests$vcov, mode = mode,
       df = function(k) t_tests(fit, tests, matrix(k, 1L))$df)
}
