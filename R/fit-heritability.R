#' Heritability
#'
#' The share of the variance that the random effect explains, with its standard error and
#' a profile-likelihood interval.
#'
#' With a relationship matrix the share is on the scale of the sample:
#' h2 = sigma2_g k / (sigma2_g k + sigma2_e), where k is the mean diagonal of the
#' relationship matrix after centring it over the individuals with records. This is the
#' variance that the effects are expected to show in this sample, whatever the scale and
#' the origin of the matrix; GEMMA calls it pve. The `raw` share takes k = 1, as GCTA does.
#' Without a relationship matrix it is the intraclass correlation (repeatability), k = 1.
#'
#' The standard error comes from the curvature of the profiled criterion (REML or ML, as
#' the fit) in the variance ratio. The interval holds every value that a likelihood-ratio
#' test with the chi-square distribution on one degree of freedom does not reject; it is
#' not symmetric, and near 0 or 1 it is to be preferred to the standard error.
#'
#' @param object a model fitted by [lmmfit()] with one random term, an intercept.
#' @param level (`numeric(1)`) confidence level of the interval.
#' @param ... not used; anything here is an error.
#' @return An object of class `heritability`: a data frame with one row and the columns
#'   `group`, `estimate`, `se` (`NA` on a boundary), `lower`, `upper`, `raw`, and the
#'   variances `genetic` (sigma2_g) and `residual` (sigma2_e), the mean diagonal `k`, and
#'   the attribute `level`.
#' @references Zhou X, Stephens M (2012). Genome-wide efficient mixed-model analysis for
#' association studies. Nature Genetics 44, 821-824. \doi{10.1038/ng.2310}
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' heritability(fit)
#' @export
heritability <- function(object, ...) UseMethod("heritability")

#' @rdname heritability
#' @export
heritability.lmmfit <- function(object, level = 0.95, ...) {
  rlang::check_dots_empty()
  level <- check_number(level, 0.001, 0.9999)
  term <- object$random[[1L]]
  if (length(object$theta) != 1L || !identical(term$columns, "(Intercept)")) {
    abort_no_heritability(vapply(object$random, describe_term, character(1)),
                          rlang::current_env())
  }
  tau <- object$theta[[1L]]^2
  k <- mean_diagonal(term)
  estimate <- variance_share(tau, k)
  inside <- identical(object$opt$bound, "none")
  # the Hessian is in theta: d2/dtheta2 = 4 tau d2/dtau2 where the gradient is zero
  curvature <- object$opt$hessian[1, 1] / (4 * tau)
  se <- if (inside) k / (1 + tau * k)^2 * sqrt(2 / curvature) else NA_real_
  interval <- share_interval(object, k, level)
  out <- data.frame(
    group = term$group, estimate = estimate, se = se, lower = interval[[1L]],
    upper = interval[[2L]], raw = variance_share(tau, 1), genetic = tau * object$sigma^2,
    residual = object$sigma^2, k = k
  )
  structure(out, level = level, kernel = !is.null(term$kernel),
            class = c("heritability", "data.frame"))
}

# The share of the variance at a variance ratio of tau, for a mean diagonal of k.
variance_share <- function(tau, k) tau * k / (tau * k + 1)

# Mean diagonal of the kernel centred over the individuals with records; 1 without one.
mean_diagonal <- function(term) {
  if (is.null(term$kernel)) return(1)
  K <- term$kernel[levels(term$factor), levels(term$factor)]
  mean(diag(K)) - mean(K)
}

# Ratios at which the criterion exceeds its minimum by the chi-square quantile, as shares.
share_interval <- function(object, k, level) {
  unit <- object$engine$data$unit
  top <- object$engine$data$upper / unit
  excess <- function(log_tau) {
    engine_criterion(object$engine, exp(log_tau / 2), object$REML) -
      object$opt$criterion - stats::qchisq(level, 1)
  }
  at <- log(min(max(object$theta[[1L]]^2, 1e-12 / unit), top))
  end <- function(bound, value) {
    if (abs(bound - at) < 1e-9 || excess(bound) <= 0) return(value)
    tau <- exp(stats::uniroot(excess, sort(c(at, bound)), tol = 1e-10)$root)
    variance_share(tau, k)
  }
  c(end(log(1e-12 / unit), 0), end(log(top), 1))
}

#' @export
print.heritability <- function(x, digits = 4L, ...) {
  show <- function(value) format(round(value, digits), nsmall = digits, trim = TRUE)
  what <- if (attr(x, "kernel")) "Heritability" else "Repeatability (intraclass correlation)"
  cat(what, " of ", x$group, "\n", sep = "")
  se <- if (is.na(x$se)) "standard error not defined on the boundary" else
    paste0("standard error ", show(x$se))
  cat("  estimate ", show(x$estimate), ", ", se, "\n", sep = "")
  cat("  ", format(100 * attr(x, "level")), "% profile interval ", show(x$lower), " to ",
      show(x$upper), "\n", sep = "")
  cat("  variances: ", if (attr(x, "kernel")) "genetic " else "between ",
      format(x$genetic, digits = digits + 1L), ", residual ",
      format(x$residual, digits = digits + 1L), "\n", sep = "")
  if (abs(x$raw - x$estimate) > 5e-5) {
    cat("  raw ", show(x$raw), " (relationship matrix as given; its mean diagonal in this",
        " sample is ", format(x$k, digits = 4), ")\n", sep = "")
  }
  invisible(x)
}
