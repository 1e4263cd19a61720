#' Parametric bootstrap of a spike and slab
#'
#' Simulates traits from the estimates of [spike_slab()] on the same genotypes, estimates
#' again from each, and so gives standard errors and intervals where Louis' formula has none,
#' and the bias.
#'
#' Each trait has effects of its own: SNPs drawn with probability pi, normal effects, normal
#' residuals. The start and the settings are those of the fit, so it takes `nsim` times as
#' long. Spread from too few sweeps is part of the standard errors, as it is of the estimates.
#'
#' @param object a fit by [spike_slab()] with `method = "MCEM"`; the posterior of `"Bayes"`
#'   has standard deviations and intervals of its own.
#' @param nsim (`integer(1)`) how many traits: 50 are enough for standard errors, intervals
#'   want more.
#' @param seed (`integer(1)` or `NULL`) see [simulate()][simulate.lmmfit].
#' @param ... not used; anything here is an error.
#' @return As [bootstrap()]: `t0` and the columns of `t` are pi, h2, sigma_g2 and sigma_e2.
#'   `summary()`, `confint()` and `print()` read it.
#' @references Davison AC, Hinkley DV (1997). Bootstrap Methods and their Application.
#' Cambridge University Press, chapter 5.
#' @examples
#' set.seed(1)
#' geno <- simulate_genotypes(120, 60)
#' trait <- simulate_trait(geno, h2 = 0.5, causal = 5)
#' fit <- spike_slab(y ~ 1, trait, geno, id = "id", sweeps = 500, tolerance = 0.05)
#' summary(bootstrap(fit, nsim = 5))
#' @export
bootstrap.spike_slab <- function(object, nsim = 50, seed = NULL, ...) {
  rlang::check_dots_empty()
  here <- rlang::current_env()
  if (object$settings$method != "MCEM") {
    abort_argument("object", "a fit by Monte-Carlo EM", "one by Gibbs sampling", here)
  }
  nsim <- check_count(nsim)
  draws <- with_seed(seed, with_progress("Bootstrap", nsim, function(tick) {
    lapply(seq_len(nsim), function(i) {
      tick(i, nsim)
      spike_replicate(object, here)
    })
  }))
  t <- do.call(rbind, lapply(draws$value, `[[`, "estimate"))
  converged <- vapply(draws$value, `[[`, NA, "converged")
  t0 <- stats::setNames(object$parameters$estimate, rownames(object$parameters))
  colnames(t) <- names(t0)
  problems <- list(singular = 0L, not_converged = sum(!converged), conditions = list())
  structure(list(t0 = t0, t = t, R = nsim, data = object$model$frame$frame,
                 seed = draws$seed, sim = "parametric", call = match.call(), mle = t0,
                 problems = problems), class = c("bootstrap.lmmfit", "boot"))
}

# The estimates from a trait that is drawn from those of the fit.
spike_replicate <- function(object, call) {
  at <- stats::setNames(object$parameters$estimate, rownames(object$parameters))
  m <- object$m
  slab <- at[["sigma_g2"]] / (m * at[["pi"]])
  b <- (stats::runif(m) < at[["pi"]]) * stats::rnorm(m, sd = sqrt(slab))
  object$markers$beta <- b / object$markers$scale
  model <- object$model
  model$frame$y <- model$frame$offset + drop(model$fixed$X %*% object$coefficients) +
    predict(object, object$geno) + stats::rnorm(object$n, sd = sqrt(at[["sigma_e2"]]))
  object$spec[c("y", "total")] <- spike_model(model, object$settings)[c("y", "total")]
  # those at the estimate are not asked for
  object$settings$draws <- 20L
  result <- run_spike_em(object, c(pi = 0.1, h2 = NA), call)
  found <- result$estimate
  h2 <- spike_share(found$pi, found$sigma_g2, found$sigma_e2)
  list(estimate = c(found$pi, h2, found$sigma_g2, found$sigma_e2),
       converged = result$converged)
}
