# REML and ML by the engines, with the standard errors of the information matrix.

vc_reml <- function(model, information = "observed", control = lmm_control(), call) {
  likelihood_components(model, "REML", information, control, call)
}

vc_ml <- function(model, information = "observed", control = lmm_control(), call) {
  likelihood_components(model, "ML", information, control, call)
}

likelihood_components <- function(model, method, information, control, call) {
  information <- check_choice(information, c("observed", "expected", "average"), call = call)
  check_control(control, call)
  REML <- method == "REML"
  fit <- model$fit
  if (is.null(fit) || fit$REML != REML) {
    opt <- engine_optimise(model$engine, REML, control)
    fit <- new_lmmfit(NULL, model, REML, model$engine, opt, control)
  }
  phi <- fit_phi(fit)
  upper <- identical(fit$opt$bound, "upper")
  vcov <- if (!upper) components_covariance(fit, information)
  bound <- c(zero_rows(fit$random, fit$theta), upper)
  out <- new_components(
    method, component_names(fit$random), phi, boundary_se(vcov, bound), bound, vcov,
    beta = fit$coefficients, beta_vcov = fit$vcov, n = length(fit$y),
    assumptions = likelihood_assumptions(REML), notes = likelihood_notes(fit)
  )
  out$criterion <- fit$opt$criterion
  out
}

likelihood_assumptions <- function(REML) {
  c("Effects and residuals are normal; variances are not negative.",
    "Standard errors are asymptotic: for many levels, away from zero.",
    if (!REML) "Fixed effects are taken as known: variances are biased downwards.")
}

likelihood_notes <- function(fit) {
  opt <- fit$opt
  names <- component_names(fit$random)
  zero <- names[-length(names)][zero_rows(fit$random, fit$theta)]
  c(if (!opt$converged) {
    paste0("Not converged: the largest gradient is ", signif(max(abs(opt$gradient)), 3), ".")
  },
  if (length(zero) > 0L) {
    paste0("Estimated as zero, where the likelihood is highest: ", toString(zero),
           ". There it has no standard error, and the others take it as known.")
  } else if (opt$singular) {
    "The covariance of the effects is singular: standard errors are those on this boundary."
  },
  if (identical(opt$bound, "upper")) {
    "The residual variance is estimated as zero: there are no standard errors there."
  })
}

# The elements of every Psi and the residual variance, on the scale of the response.
fit_phi <- function(fit) {
  c(components(fit$random, unname(fit$theta)), 1) * fit$sigma^2
}

# The asymptotic covariance matrix of these from the observed, expected or average
# information. Of `fit` only random, theta, sigma, engine and REML are used.
components_covariance <- function(fit, information) {
  at <- fit_information(fit)
  at$observed <- switch(information, observed = at$observed, expected = at$expected,
                        average = (at$observed + at$expected) / 2)
  names <- component_names(fit$random)
  structure(phi_covariance(fit, at), dimnames = list(names, names))
}

boundary_se <- function(vcov, bound) {
  if (is.null(vcov)) return(NA_real_)
  replace(sqrt(pmax(diag(vcov), 0)), bound, NA_real_)
}

# Which components are zero because a row of their factor is.
zero_rows <- function(random, theta) {
  unlist(lapply(term_factors(random, theta), function(factor) {
    zero <- rowSums(abs(factor)) == 0
    pack_lower(outer(zero, zero, `|`))
  }), use.names = FALSE)
}
