# The engine at a theta in lme4's order of terms, beside lme4's own function.
expect_objective <- function(formula, data, thetas, weights = NULL) {
  fit <- fit_weighted(formula, data, TRUE, weights)
  for (REML in c(TRUE, FALSE)) {
    objective <- lme4_objective(formula, data, REML, weights)
    for (theta in c(list(objective$start, lme4_theta(fit, objective$columns)), thetas)) {
      theta <- rep_len(theta, length(objective$start))
      mine <- our_theta(fit, theta, objective$columns)
      expect_equal(engine_criterion(fit$engine, mine, REML), objective$devfun(theta),
                   tolerance = 1e-9)
    }
  }
}

test_that("the objective at fixed theta is lme4's", {
  skip_if_not_installed("lme4")
  scalars <- list(0, 1e-3, 0.3, 5, 200)
  expect_objective(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, scalars)
  expect_objective(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin,
                   c(scalars, list(c(0, 2), c(3, 0))))
  expect_objective(strength ~ 1 + (1 | batch / cask), lme4::Pastes,
                   c(scalars, list(c(0, 2), c(3, 0))))
  expect_objective(angle ~ recipe * temperature + (1 | recipe:replicate), lme4::cake, scalars)
  expect_objective(yield ~ nitro * Variety + (1 | Block / Variety), as.data.frame(nlme::Oats),
                   c(scalars, list(c(0, 2), c(3, 0))))
  dye <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff)
  expect_equal(engine_criterion(dye$engine, 1, TRUE), 319.792389042002, tolerance = 1e-13)
  expect_equal(engine_criterion(dye$engine, 0, TRUE), 326.023232155879, tolerance = 1e-13)
})

test_that("the objective at fixed theta is lme4's, with slopes", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  factors <- list(c(0.5, -0.2, 0.1), c(0, 0, 0.3), c(2, 1, 0), c(1, -1, 1e-3), c(30, 5, 8))
  withr::local_seed(1)
  weights <- stats::runif(nrow(sleep), 0.1, 4)
  expect_objective(Reaction ~ Days + (Days | Subject), sleep, factors)
  expect_objective(Reaction ~ Days + (Days | Subject), sleep, factors, weights)
  expect_objective(Reaction ~ Days + (Days || Subject), sleep, list(c(0, 1), c(3, 0.2)))
  expect_objective(pixel ~ day + I(day^2) + (day | Dog) + (1 | Side:Dog),
                   as.data.frame(nlme::Pixel), list(c(0, 1, -0.5, 0.2), c(2, 0, 0, 0.3)))
  sleep$batch <- factor(rep(1:5, 36))
  expect_objective(Reaction ~ Days + (1 | batch) + (Days | Subject), sleep,
                   list(c(1, 0.1, 0.2, 0.7), c(1, 0, 0, 0), c(0, 0, 0, 1)))
  expect_objective(Reaction ~ Days + (Days | batch) + (Days | Subject), sleep,
                   list(c(1, 0.1, 0.2, 0.7, -0.3, 0.4), c(0, 0, 0.1, 0.5, 0, 0)))
})

test_that("the objective at fixed theta is lme4's, random models", {
  skip_if_not_installed("lme4")
  for (seed in 5001:5015) {
    model <- random_model(seed, most = 300)
    thetas <- withr::with_seed(seed, list(stats::rnorm(20, 1), stats::rnorm(20, 0, 5)))
    expect_objective(model$formula, model$data, thetas, model$data$w)
  }
})

test_that("classic data give lme4's figures", {
  skip_if_not_installed("lme4")
  for (REML in c(TRUE, FALSE)) {
    expect_lme4(Reaction ~ Days + (1 | Subject), lme4::sleepstudy, REML)
    expect_lme4(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, REML)
    expect_lme4(Reaction ~ Days + (Days || Subject), lme4::sleepstudy, REML)
    expect_lme4(Reaction ~ poly(Days, 2) + (0 + Days | Subject), lme4::sleepstudy, REML)
    expect_lme4(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, REML)
    orthodont <- as.data.frame(nlme::Orthodont)
    orthodont$Subject <- factor(orthodont$Subject, ordered = FALSE)
    expect_lme4(distance ~ age * Sex + (1 | Subject), orthodont, REML)
    expect_lme4(distance ~ age * Sex + (age | Subject), orthodont, REML)
    expect_lme4(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin, REML)
    expect_lme4(strength ~ 1 + (1 | batch / cask), lme4::Pastes, REML)
    expect_lme4(angle ~ recipe + temp + (1 | recipe:replicate), lme4::cake, REML)
    expect_lme4(yield ~ nitro + (1 | Block / Variety), as.data.frame(nlme::Oats), REML)
    expect_lme4(pixel ~ day + I(day^2) + (day | Dog) + (1 | Side:Dog),
                as.data.frame(nlme::Pixel), REML)
  }
})

test_that("a variance of zero is exactly zero, and said once", {
  skip_if_not_installed("lme4")
  for (REML in c(TRUE, FALSE)) {
    messages <- capture_messages(
      fit <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, REML = REML))
    expect_length(messages, 1L)
    expect_match(messages, "Batch \\(Intercept\\) is estimated as zero")
    expect_identical(unname(fit$theta), 0)
    expect_lme4(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, REML)
  }
})

test_that("200 random unbalanced data sets: same figures, never a worse optimum", {
  skip_if_not_installed("lme4")
  skip_on_cran()
  withr::local_seed(20)
  for (i in 1:200) {
    q <- sample(3:12, 1)
    sizes <- sample(1:8, q, replace = TRUE) + (seq_len(q) == 1L)
    data <- data.frame(g = factor(rep(seq_len(q), sizes)), x = stats::rnorm(sum(sizes)))
    sd <- sample(c(0, 0.1, 1, 3), 1)
    data$y <- 2 + data$x + stats::rnorm(q, sd = sd)[data$g] + stats::rnorm(nrow(data))
    data$w <- if (i %% 3 == 0) stats::runif(nrow(data), 0.2, 3) else 1
    data$y <- data$y * 10^sample(-3:3, 1)
    slopes <- i %% 2 == 0 && nrow(data) > 2 * q + 2
    formula <- if (slopes) y ~ x + (x | g) else y ~ x + (1 | g)
    expect_lme4(formula, data, REML = i %% 5 != 0, weights = data$w)
  }
})
