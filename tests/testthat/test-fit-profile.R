# Every end of an interval must be the quantile away by brute force: the same model with
# the parameter fixed by other means.

excess_of_fixed <- function(fit, name, value) {
  data <- fit$frame
  data$shift <- value * model.matrix(fit)[, name]
  formula <- stats::update(fit$formula, paste("~ . -", name))
  fixed <- suppressMessages(lmmfit(formula, data, REML = FALSE, offset = shift))
  deviance(fixed) - deviance(refit_ml(fit))
}

# Profiled over a fine grid of the ratio, for a model with one.
excess_of_sigma <- function(fit, sigma) {
  ml <- refit_ml(fit)
  n <- nobs(fit)
  values <- vapply(sqrt(c(0, 10^seq(-8, 4, 0.001))), function(theta) {
    at <- engine_fixed(ml$engine, theta)
    at$logdet + n * log(2 * pi * sigma^2) + at$s / sigma^2
  }, numeric(1))
  min(values) - deviance(ml)
}

test_that("intervals hold where a variance is or becomes zero", {
  quantile <- stats::qchisq(0.95, 1)
  for (seed in c(101:112, 116)) {
    data <- withr::with_seed(seed, {
      g <- factor(rep(1:6, each = 4))
      x <- stats::rnorm(6)[g] + 0.2 * stats::rnorm(24)
      data.frame(g, x, y = stats::rnorm(24) + 0.5 * x)
    })
    fit <- suppressMessages(lmmfit(y ~ x + (1 | g), data, REML = FALSE))
    ci <- confint(fit)
    for (end in ci["x", ]) expect_equal(excess_of_fixed(fit, "x", end), quantile, tolerance = 1e-4)
    for (end in ci[".sigma", ]) expect_equal(excess_of_sigma(fit, end), quantile, tolerance = 1e-3)
  }
})

test_that("slopes: fixed effects by brute force, and no failure on hard cases", {
  for (seed in 11:16) {
    data <- withr::with_seed(seed, {
      d <- data.frame(g = factor(rep(1:15, each = 6)), x = stats::rnorm(90))
      b <- stats::rnorm(15)
      d$y <- b[d$g] + 0.3 * stats::rnorm(15)[d$g] * d$x + stats::rnorm(90)
      d
    })
    fit <- suppressMessages(lmmfit(y ~ x + (x | g), data))
    ci <- confint(fit)
    expect_false(anyNA(ci))
    for (end in ci["x", ]) {
      expect_equal(excess_of_fixed(fit, "x", end), stats::qchisq(0.95, 1), tolerance = 1e-4)
    }
  }
})

test_that("a covariate far from zero is no obstacle", {
  data <- withr::with_seed(3, {
    d <- data.frame(g = factor(rep(1:12, each = 10)), yr = rep(2001:2010, 12))
    d$y <- stats::rnorm(12)[d$g] + 0.1 * stats::rnorm(12)[d$g] * (d$yr - 2005) + stats::rnorm(120)
    d
  })
  far <- suppressMessages(lmmfit(y ~ yr + (1 | g), data))
  data$yr <- data$yr - 2000
  near <- suppressMessages(lmmfit(y ~ yr + (1 | g), data))
  expect_equal(confint(far, "yr"), confint(near, "yr"), tolerance = 1e-5)
})

test_that("a correlation on its bound is reported as such", {
  data <- withr::with_seed(12, {
    d <- data.frame(g = rep(1:6, each = 4), x = rep(0:3, 6))
    u <- stats::rnorm(6)
    d$y <- u[d$g] * (1 + d$x) + stats::rnorm(24, sd = 0.5)
    d
  })
  fit <- suppressMessages(lmmfit(y ~ x + (x | g), data))
  ci <- confint(fit, "theta_")
  expect_identical(ci[[".sig02", 2]], 1)
  expect_false(anyNA(ci))
})
