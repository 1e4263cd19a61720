#' Confidence intervals
#'
#' `"profile"`: the values that a likelihood-ratio test does not reject. Each parameter is
#' fixed in turn and the likelihood (ML, also for a REML fit, as in lme4) maximised over
#' the others. Where a random intercept with a relationship matrix is the only random term,
#' beside a fixed intercept, it is the likelihood of the data free of the intercept: that of
#' all data depends on the origin of the matrix. The fixed intercept itself then has its
#' Wald interval. An interval reaches its bound (0 for a
#' standard deviation, -1 and 1 for a correlation) where the test never rejects. `"Wald"`:
#' estimate plus and minus a quantile times the standard error, for fixed effects only; the
#' quantile is that of the normal distribution or, with `ddf`, of a t distribution.
#' `"boot"`: of [bootstrap()], estimates from responses simulated from the fit.
#'
#' @param object a model fitted by [lmmfit()].
#' @param parm (`character` or `integer`) which parameters; `"beta_"` the fixed effects,
#'   `"theta_"` the variance parameters. All by default.
#' @param level (`numeric(1)`) confidence level.
#' @param method `"profile"`, `"Wald"` or `"boot"`.
#' @param nsim,seed how many bootstrap responses, and the seed of their simulation.
#' @param boot.type `"perc"`: quantiles of the estimates from the simulated responses;
#'   `"basic"`: these reflected at the estimate; `"norm"`: estimate minus bias plus and
#'   minus a normal quantile times their standard deviation.
#' @param signames (`logical(1)`) lme4's short names `.sig01`, ..., `.sigma`, or speaking
#'   ones such as `sd_(Intercept)|Subject`.
#' @param ddf for `"Wald"`: `"none"`, normal quantiles; or the degrees of freedom of t tests,
#'   `"Satterthwaite"` or `"Kenward-Roger"`, see [contest()].
#' @param ... not used; anything here is an error.
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
confint.lmmfit <- function(object, parm, level = 0.95,
                           method = c("profile", "Wald", "boot"), nsim = 500,
                           boot.type = c("perc", "basic", "norm"), seed = NULL,
                           signames = TRUE,
                           ddf = c("none", "Satterthwaite", "Kenward-Roger"), ...) {
  rlang::check_dots_empty()
  ddf <- check_ddf(ddf, rlang::current_env(), c("none", "Satterthwaite", "Kenward-Roger"))
  method <- check_choice(method, c("profile", "Wald", "boot"))
  boot.type <- check_choice(boot.type, c("perc", "basic", "norm"))
  level <- check_number(level, 0.001, 0.9999)
  labels <- parameter_names(object, check_flag(signames))
  all <- c(labels$variance, labels$fixed)
  wanted <- if (missing(parm)) all else match_parameters(parm, labels,
                                                         rlang::current_env())
  if (method == "boot") {
    draws <- bootstrap(object, nsim = nsim, seed = seed, signames = signames)
    return(confint(draws, wanted, level, type = boot.type))
  }
  out <- matrix(NA_real_, length(all), 2L, dimnames = list(all, interval_names(level)))
  if (method == "Wald") {
    tests <- coefficient_tests(object, ddf, rlang::current_env())
    out[labels$fixed, ] <- wald_limits(tests, level)
  } else {
    base <- profile_base(ml_fit(object))
    for (name in wanted) out[name, ] <- profile_interval(base, match(name, all), level)
  }
  out[wanted, , drop = FALSE]
}

# tests: a table of coefficient_tests().
wald_limits <- function(tests, level) {
  df <- if ("df" %in% colnames(tests)) tests[, "df"] else Inf
  half <- stats::qt((1 - level) / 2, df, lower.tail = FALSE) * tests[, "Std. Error"]
  tests[, "Estimate"] + cbind(-half, half)
}

profile_interval <- function(base, index, level) {
  pin <- parameter_pin(base, index)
  zeta <- sqrt(stats::qchisq(level, 1))
  centre <- pin_centre(pin)
  if (isTRUE(pin$silent)) {
    return(centre$x + c(-1, 1) * zeta * sqrt(base$fit$asked[pin$at, pin$at]))
  }
  c(profile_end(pin, centre, -1, zeta), profile_end(pin, centre, 1, zeta))
}

# "2.5 %" and "97.5 %".
interval_names <- function(level) {
  tail <- (1 - level) / 2
  paste(format(100 * c(tail, 1 - tail), trim = TRUE, digits = 3, scientific = FALSE), "%")
}

# Names of the variance parameters and of the fixed effects.
parameter_names <- function(object, signames, prof.scale = "sdcor") {
  prefix <- if (prof.scale == "sdcor") c("sd_", "cor_") else c("var_", "cov_")
  varcor <- lapply(names(object$random), function(label) {
    columns <- object$random[[label]]$columns
    at <- lower_pairs(length(columns))
    names <- paste0(prefix[[2L]], columns[at$row], ".", columns[at$col], "|", label)
    sd <- at$row == at$col
    replace(names, sd, paste0(prefix[[1L]], columns[at$row[sd]], "|", label))
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
