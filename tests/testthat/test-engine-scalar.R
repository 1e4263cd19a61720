data <- withr::with_seed(6, {
  sizes <- c(1, 4, 2, 9, 3, 5, 1)
  d <- data.frame(g = rep(letters[1:7], sizes), x = stats::rnorm(25), w = stats::runif(25, 0.5, 2))
  d$y <- 1 + d$x + stats::rnorm(7)[match(d$g, letters)] + stats::rnorm(25)
  d
})

test_that("criterion, effects and variances are the dense formulas'", {
  for (formula in list(y ~ x + (1 | g), y ~ x + (0 + x | g), y ~ 1 + (1 | g))) {
    for (REML in c(TRUE, FALSE)) {
      fit <- lmmfit(formula, data, weights = w, REML = REML)
      expect_equal(fit$engine$name, "scalar")
      X <- model.matrix(fit)
      Z <- model.matrix(fit, "random")
      W <- diag(data$w)
      for (theta in c(0, 0.5, 2, 30)) {
        H <- solve(W) + theta^2 * tcrossprod(Z)
        expect_equal(engine_criterion(fit$engine, theta, REML),
                     dense_criterion(data$y, X, H, REML), tolerance = 1e-10)
      }
      by_hand <- dense_effects(data$y, X, Z, fit$theta[[1]]^2 * diag(7), W, REML)
      expect_equal(fixef(fit), by_hand$beta, tolerance = 1e-9, ignore_attr = TRUE)
      expect_equal(ranef(fit)$g[[1]], by_hand$mode, tolerance = 1e-8, ignore_attr = TRUE)
      expect_equal(as.vector(attr(ranef(fit)$g, "postVar")), by_hand$conditional,
                   tolerance = 1e-8)
      expect_equal(blup(fit)$pev, by_hand$prediction, tolerance = 1e-8)
    }
  }
})

test_that("a level in which the covariate is zero has no part", {
  data$x[data$g == "d"] <- 0
  fit <- lmmfit(y ~ 1 + (0 + x | g), data)
  expect_identical(ranef(fit)$g["d", 1], 0)
  expect_equal(blup(fit)$reliability[[4]], 0)
})

test_that("a huge variance between groups costs no accuracy within", {
  base <- withr::with_seed(1, {
    d <- data.frame(g = factor(rep(1:20, each = 5)), x = stats::rnorm(100))
    d$between <- stats::rnorm(20)[d$g]
    d$within <- d$x + stats::rnorm(100)
    d
  })
  within <- sigma(lm(within ~ g + x, base))
  for (sd in c(1e2, 1e4, 1e5)) {
    base$y <- sd * base$between + base$within
    fit <- lmmfit(y ~ x + (1 | g), base)
    expect_equal(sigma(fit), within, tolerance = 1e-3)
    h <- heritability(fit)
    expect_true(h$lower < h$estimate && h$estimate <= h$upper)
  }
})

test_that("no variation within groups is said to be the boundary it is", {
  constant <- data.frame(g = rep(1:6, each = 3), y = rep(stats::rnorm(6), each = 3))
  expect_kinlmm_error(lmmfit(y ~ factor(g) + (1 | g), constant), "response")
  expect_message(fit <- lmmfit(y ~ 1 + (1 | g), constant), "residual variance")
  expect_equal(fit$opt$bound, "upper")
})

test_that("an effect for every level leaves nothing to estimate", {
  expect_kinlmm_error(lmmfit(y ~ factor(g) + (1 | g), data), "unidentified",
                      "can't be told from the residuals")
})

test_that("levels of one size are one class", {
  d <- withr::with_seed(3, {
    d <- data.frame(g = rep(1:40, rep(c(2, 3, 7, 4), c(20, 14, 5, 1))))
    d$x <- stats::rnorm(nrow(d))
    d$y <- d$x + stats::rnorm(40)[d$g] + stats::rnorm(nrow(d))
    d
  })
  fit <- lmmfit(y ~ x + (1 | g), d)
  # three rows of each class, and the level that is alone in its size
  expect_equal(fit$engine$data$d, rep(c(2, 3, 4, 7), c(3, 3, 1, 3)))
  expect_equal(fit$engine$data$count, c(20, 0, 0, 14, 0, 0, 1, 5, 0, 0))
  X <- model.matrix(fit)
  Z <- model.matrix(fit, "random")
  for (theta in c(0, 0.5, 2, 30)) {
    H <- diag(nrow(d)) + theta^2 * tcrossprod(Z)
    expect_equal(engine_criterion(fit$engine, theta, TRUE),
                 dense_criterion(d$y, X, H, TRUE), tolerance = 1e-11)
    expect_equal(engine_moments(level_engine(fit$engine), theta),
                 engine_moments(fit$engine, theta), tolerance = 1e-11)
  }
  at <- cpp_rotated_evaluate(fit$engine$data, 0.7, TRUE, FALSE)
  whole <- cpp_rotated_evaluate(level_engine(fit$engine)$data, 0.7, TRUE, FALSE)
  expect_equal(at[c("first", "second")], whole[c("first", "second")], tolerance = 1e-10)
  by_hand <- dense_effects(d$y, X, Z, fit$theta[[1]]^2 * diag(40), diag(nrow(d)), TRUE)
  expect_equal(ranef(fit)$g[[1]], by_hand$mode, tolerance = 1e-9)
  expect_equal(blup(fit)$pev, by_hand$prediction, tolerance = 1e-9)
  M <- withr::with_seed(1, matrix(stats::rnorm(9), 3))
  recombined <- engine_recombine(fit$engine, M)
  expect_equal(engine_moments(level_engine(recombined), 0.8)$S,
               engine_moments(recombined, 0.8)$S, tolerance = 1e-11)
})
