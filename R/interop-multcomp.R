#' @rawNamespace S3method(multcomp::modelparm, lmmfit)
NULL

#' @rdname lmmfit-car
#' @method modelparm lmmfit
modelparm.lmmfit <- function(model, coef. = fixef, vcov. = vcov, df = NULL, ...) {
  value <- function(x) if (is.function(x)) x(model) else x
  beta <- value(coef.)
  structure(list(coef = beta, vcov = as.matrix(value(vcov.)),
                 df = if (is.null(df)) 0 else check_number(df, 0),
                 estimable = rep(TRUE, length(beta))), class = "modelparm")
}
