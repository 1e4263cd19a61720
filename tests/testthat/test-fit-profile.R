test_that("profile() is lme4's: zeta, the other parameters, and the interval", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  ours <- profile(fit)
  model <- lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  theirs <- suppressWarnings(profile(model))
  expect_equal(names(ours), names(theirs))
  expect_equal(confint(ours), confint(theirs), tolerance = 1e-4)
  # at lme4's own points
  base <- profile_base(refit_ml(fit))
  at <- as.data.frame(theirs)
  for (row in seq(2, nrow(at), by = 9)) {
    pin <- parameter_pin(base, match(at$.par[[row]], names(at)) - 1L)
    centre <- pin_centre(pin)
    point <- solve_pinned(pin, at$.focal[[row]], centre, centre)
    expect_equal(point$zeta, at$.zeta[[row]], tolerance = 1e-3)
    values <- point_values(pin, point, "sdcor")
    expect_lt(max(abs(values - unlist(at[row, 2:7])) / c(7, 0.3, 1.3, 1.5, 6.6, 1.5)), 0.02)
  }
})

test_that("a profile is steps in zeta to a joint region, and its interval the fit's", {
  fit <- suppressMessages(lmmfit(y ~ x + (x + z | g), mixed_example()))
  table <- profile(fit)
  cutoff <- sqrt(stats::qchisq(0.99, 9))
  for (name in levels(table$.par)) {
    zeta <- table$.zeta[table$.par == name]
    # level, but for rounding, where a standard deviation has vanished
    expect_gt(min(diff(zeta)), -1e-6)
    expect_lt(max(diff(zeta)), 2.5 * cutoff / 8 + 1e-8)
    bounds <- attr(table, "bounds")[, name]
    ends <- range(table[[name]][table$.par == name])
    expect_true(all(abs(range(zeta)) >= cutoff | abs(ends - bounds) < 1e-8))
  }
  # the fit is singular: some of its profiles have corners
  expect_equal(confint(table), confint(fit), tolerance = 5e-3)
  expect_equal(as.data.frame(table)$.focal[table$.par == "x"], table$x[table$.par == "x"])
  expect_identical(levels(profile(fit, "beta_")$.par), c("(Intercept)", "x"))
  expect_s3_class(table[1:2, c("x", ".zeta")], "data.frame", exact = TRUE)
  expect_equal(attr(table, "estimates")[["x"]], fixef(update(fit, REML = FALSE))[["x"]])
  expect_output(print(table), "Likelihood profiles at")
  expect_equal(confint(table, "x", 0.9), confint(fit, "x", 0.9), tolerance = 1e-3)
  # beyond its reach
  expect_true(all(is.na(confint(profile(fit, "x", alphamax = 0.99), level = 0.999))))
  expect_kinlmm_error(confint(table, "nobody"), "argument", "nobody")
})

test_that("variances are squares, covariances as in lme4", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  ours <- confint(profile(fit, "theta_", prof.scale = "varcov", signames = FALSE))
  expect_equal(rownames(ours)[2:3], c("cov_Days.(Intercept)|Subject", "var_Days|Subject"))
  sd <- confint(fit, "theta_")
  expect_equal(ours[-2, ], sd[-2, ]^2, tolerance = 1e-4, ignore_attr = TRUE)
  # lme4's profile of this model on this scale, which takes seconds
  expect_equal(unname(ours[2, ]), c(-105.3538, 107.0337), tolerance = 1e-4)
})

test_that("a kernel's profile is that of contrasts, a straight line for the intercept", {
  K <- withr::with_seed(2, toy_kinship(40))
  pheno <- withr::with_seed(3, toy_pheno(K, 2L))
  fit <- lmmfit(y ~ x + (1 | id), pheno, kinship = list(id = K))
  table <- profile(fit)
  line <- table[table$.par == "(Intercept)", ]
  expect_equal(line[["(Intercept)"]],
               attr(table, "estimates")[["(Intercept)"]] +
                 line$.zeta * sqrt(vcov(fit)[1, 1]), tolerance = 1e-8)
  expect_equal(confint(table), confint(fit), tolerance = 1e-3)
})

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
    for (end in ci["x", ]) {
      expect_equal(excess_of_fixed(fit, "x", end), quantile, tolerance = 1e-4)
    }
    for (end in ci[".sigma", ]) {
      expect_equal(excess_of_sigma(fit, end), quantile, tolerance = 1e-3)
    }
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
    b <- stats::rnorm(12)
    d$y <- b[d$g] + 0.1 * stats::rnorm(12)[d$g] * (d$yr - 2005) + stats::rnorm(120)
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

test_that("a level stretch is left in the direction of the search", {
  d <- mixed_example()
  d$y <- withr::with_seed(1, stats::rnorm(120) + 0.4 * stats::rnorm(12)[d$g])
  fit <- suppressMessages(lmmfit(y ~ 1 + (z | g), d))
  profile <- profile(fit, which = 2)
  expect_true(all(is.finite(profile$.zeta)))
  expect_true(all(abs(profile$.sig02) <= 1))
})
