#' Confidence intervals
#'
#' `"profile"`: the values that a likelihood-ratio test does not reject. Each parameter is
#' fixed in turn and the likelihood (ML, also for a REML fit, as in lme4) maximised over
#' the others. With a relationship matrix and an intercept it is the likelihood of the data
#' free of the intercept: that of all data depends on the origin of the matrix. The
#' intercept itself then has its Wald interval. An interval reaches its bound (0 for a
#' standard deviation, -1 and 1 for a correlation) where the test never rejects. `"Wald"`:
#' estimate plus and minus a quantile times the standard error, for fixed effects only; the
#' quantile is that of the normal distribution or, with `ddf`, of a t distribution.
#'
#' @param object a model fitted by [lmmfit()].
#' @param parm (`character` or `integer`) which parameters; `"beta_"` the fixed effects,
#'   `"theta_"` the variance parameters. All by default.
#' @param level (`numeric(1)`) confidence level.
#' @param method `"profile"` or `"Wald"`.
#' @param signames (`logical(1)`) lme4's short names `.sig01`, ..., `.sigma`, or speaking
#'   ones such as `sd_(Intercept)|Subject`.
#' @param ddf for `"Wald"`: `"none"`, normal quantiles; or the degrees of freedom of t tests,
#'   `"Satterthwaite"` or `"Kenward-Roger"`, see [contest()].
#' @param ... not used.
#' @return A matrix with a row for each parameter (standard deviations and correlations of
#'   the random effects, sigma, fixed effects) and two columns; `NA` where a method gives no
#'   interval.
#' @references Bates D, Maechler M, Bolker B, Walker S (2015). Fitting linear mixed-effects
#' models using lme4. Journal of Statistical Software 67(1). \doi{10.18637/jss.v067.i01}
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' confint(fit)
#' confint(fit, method = "Wald")
#' @export
confint.lmmfit <- function(object, parm, level = 0.95, method = c("profile", "Wald"),
                           signames = TRUE,
                           ddf = c("none", "Satterthwaite", "Kenward-Roger"), ...) {
  rlang::check_dots_empty()
  ddf <- check_ddf(ddf, rlang::current_env(), c("none", "Satterthwaite", "Kenward-Roger"))
  method <- check_choice(method, c("profile", "Wald"))
  level <- check_number(level, 0.001, 0.9999)
  labels <- parameter_names(object, check_flag(signames))
  all <- c(labels$variance, labels$fixed)
  wanted <- if (missing(parm)) all else match_parameters(parm, labels,
                                                         rlang::current_env())
  tail <- (1 - level) / 2
  columns <- paste(format(100 * c(tail, 1 - tail), trim = TRUE, digits = 3,
                          scientific = FALSE), "%")
  out <- matrix(NA_real_, length(all), 2L, dimnames = list(all, columns))
  if (method == "Wald") {
    out[labels$fixed, ] <- wald_limits(object, tail, ddf, rlang::current_env())
  } else {
    fit <- refit_ml(object)
    fit$vcov <- object$vcov
    for (name in wanted) {
      out[name, ] <- if (name %in% labels$variance) {
        profile_variance(fit, match(name, labels$variance), level)
      } else {
        profile_fixed(fit, match(name, labels$fixed), level)
      }
    }
  }
  out[wanted, , drop = FALSE]
}

wald_limits <- function(object, tail, ddf, call) {
  tests <- coefficient_tests(object, ddf, call)
  df <- if (ddf == "none") Inf else tests[, "df"]
  half <- stats::qt(tail, df, lower.tail = FALSE) * tests[, "Std. Error"]
  tests[, "Estimate"] + cbind(-half, half)
}

parameter_names <- function(object, signames) {
  varcor <- lapply(names(object$random), function(label) {
    columns <- object$random[[label]]$columns
    at <- lower_pairs(length(columns))
    names <- paste0("cor_", columns[at$row], ".", columns[at$col], "|", label)
    sd <- at$row == at$col
    replace(names, sd, paste0("sd_", columns[at$row[sd]], "|", label))
  })
  speaking <- unlist(varcor)
  short <- sprintf(".sig%02d", seq_along(speaking))
  list(variance = if (signames) c(short, ".sigma") else c(speaking, "sigma"),
       fixed = names(object$coefficients))
}

match_parameters <- function(parm, labels, call) {
  all <- unlist(labels, use.names = FALSE)
  if (is.numeric(parm)) parm <- all[parm]
  if (identical(parm, "beta_")) return(labels$fixed)
  if (identical(parm, "theta_")) return(labels$variance)
  unknown <- parm[is.na(parm) | !parm %in% all]
  if (length(unknown) > 0L) abort_parameter(unknown, all, call)
  parm
}
