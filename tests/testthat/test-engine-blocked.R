sleep_like <- withr::with_seed(3, {
  sizes <- c(2, 5, 9, 4, 7, 3)
  data <- data.frame(g = rep(letters[1:6], sizes), x = stats::rnorm(30),
                     w = stats::runif(30, 0.5, 2))
  data$y <- data$x + stats::rnorm(6)[match(data$g, letters)] +
    data$x * stats::rnorm(6)[match(data$g, letters)] + stats::rnorm(30)
  data
})

dense_of <- function(fit, theta) {
  T <- matrix(c(theta[1:2], 0, theta[3]), 2)
  Z <- model.matrix(fit, "random")
  list(X = model.matrix(fit), Z = Z, D = kronecker(diag(ncol(Z) / 2), tcrossprod(T)),
       W = diag(weights(fit)))
}

test_that("the criterion at fixed theta is the dense formula's", {
  fit <- lmmfit(y ~ x + (x | g), sleep_like, weights = w)
  for (theta in list(c(1, 0.3, 0.8), c(0.2, -0.5, 0), c(0, 0, 0), c(0, 0, 2))) {
    at <- dense_of(fit, theta)
    H <- solve(at$W) + at$Z %*% at$D %*% t(at$Z)
    for (REML in c(TRUE, FALSE)) {
      expect_equal(engine_criterion(fit$engine, theta, REML),
                   dense_criterion(fit$y, at$X, H, REML), tolerance = 1e-11)
    }
  }
})

test_that("moments at fixed theta are the dense formulas'", {
  fit <- lmmfit(y ~ x + (x | g), sleep_like, weights = w)
  for (theta in list(c(0.7, 0.4, 0.9), c(1.5, -0.2, 0.1), c(0.3, 0.3, 0), c(0, 0, 0))) {
    expect_equal(engine_moments(fit$engine, theta, 2L), dense_moments(fit, theta),
                 tolerance = 1e-11)
  }
  expect_named(engine_moments(fit$engine, c(1, 0, 1)), c("logdet", "S"))
})

test_that("several factors, crossed and nested, equal the dense formulas", {
  data <- withr::with_seed(5, {
    d <- data.frame(a = sample(letters[1:9], 120, TRUE), b = sample(LETTERS[1:6], 120, TRUE),
                    x = stats::rnorm(120), w = stats::runif(120, 0.5, 2))
    d$ab <- paste(d$a, d$b)
    d$y <- d$x + match(d$a, letters) %% 3 + d$x * match(d$b, LETTERS) %% 2 + stats::rnorm(120)
    d
  })
  for (formula in c(y ~ x + (1 | a) + (x | b), y ~ x + (1 | a / b), y ~ (x || a) + (1 | b),
                    y ~ x + (0 + x | a) + (1 | ab) + (1 | b))) {
    fit <- suppressMessages(lmmfit(formula, data, weights = w))
    theta <- withr::with_seed(1, stats::rnorm(length(fit$theta)))
    expect_equal(engine_moments(fit$engine, theta, 2L), dense_moments(fit, theta),
                 tolerance = 1e-10)
    expect_lt(max(abs(fit$opt$gradient)), 1e-7)
    f <- function(theta) engine_criterion(fit$engine, theta, TRUE)
    expect_equal(theta_gradient(fit, theta),
                 numeric_gradient(f, theta), tolerance = 1e-6)
  }
})

test_that("a covariate far from zero costs no accuracy", {
  sleep_like$shift <- 0
  near <- lmmfit(y ~ x + (I(x + shift) | g), sleep_like)
  sleep_like$shift <- 1e5
  expect_no_warning(far <- lmmfit(y ~ x + (I(x + shift) | g), sleep_like))
  expect_equal(deviance(far), deviance(near), tolerance = 1e-9)
  expect_equal(fitted(far), fitted(near), tolerance = 1e-6)
})

test_that("effects and their variances are the dense formulas'", {
  for (REML in c(TRUE, FALSE)) {
    fit <- lmmfit(y ~ x + (x | g), sleep_like, weights = w, REML = REML)
    at <- dense_of(fit, unname(fit$theta))
    by_hand <- dense_effects(fit$y, at$X, at$Z, at$D, at$W, REML)
    expect_equal(fixef(fit), by_hand$beta, tolerance = 1e-9, ignore_attr = TRUE)
    expect_equal(vcov(fit), by_hand$vcov, tolerance = 1e-9, ignore_attr = TRUE)
    expect_equal(as.vector(t(ranef(fit)$g)), by_hand$mode, tolerance = 1e-9)
    expect_equal(as.vector(apply(attr(ranef(fit)$g, "postVar"), 3, diag)),
                 by_hand$conditional, tolerance = 1e-9)
    expect_equal(blup(fit)$pev, as.vector(t(matrix(by_hand$prediction, 2))),
                 tolerance = 1e-9)
  }
})

test_that("the order of rows and levels does not matter", {
  fit <- lmmfit(y ~ x + (x | g), sleep_like)
  shuffled <- sleep_like[withr::with_seed(1, sample(30)), ]
  shuffled$g <- factor(shuffled$g, rev(letters[1:6]))
  again <- lmmfit(y ~ x + (x | g), shuffled)
  expect_equal(again$theta, fit$theta, tolerance = 1e-7)
  expect_equal(deviance(again), deviance(fit), tolerance = 1e-12)
})

test_that("balanced one-way ML has its closed form", {
  data <- withr::with_seed(9, data.frame(g = rep(1:8, each = 5), y = stats::rnorm(40)))
  data$y <- data$y + withr::with_seed(8, stats::rnorm(8, sd = 2))[data$g]
  fit <- lmmfit(y ~ 1 + (1 | g), data, REML = FALSE)
  means <- tapply(data$y, data$g, mean)
  within <- sum((data$y - means[data$g])^2) / 32
  between <- 5 * sum((means - mean(data$y))^2) / 8
  expect_equal(sigma(fit)^2, within, tolerance = 1e-9)
  expect_equal(unname(fit$theta)^2, (between / within - 1) / 5, tolerance = 1e-9)
})

test_that("a correlation on its boundary is found, and no worse point kept", {
  data <- withr::with_seed(12, {
    d <- data.frame(g = rep(1:6, each = 4), x = rep(0:3, 6))
    u <- stats::rnorm(6)
    d$y <- u[d$g] * (1 + d$x) + stats::rnorm(24, sd = 0.5)
    d
  })
  fit <- suppressMessages(lmmfit(y ~ x + (x | g), data))
  grid <- expand.grid(a = seq(0, 4, 0.5), b = seq(-4, 4, 0.5), c = seq(0, 4, 0.5))
  values <- apply(grid, 1, function(t) engine_criterion(fit$engine, t, TRUE))
  expect_true(all(values >= deviance(fit) - 1e-9))
})

test_that("a given start gives the same optimum", {
  fit <- lmmfit(y ~ x + (x | g), sleep_like)
  for (start in list(c(1e-3, 0, 1e-3), c(30, -5, 20), c(0, 0, 0))) {
    again <- suppressMessages(lmmfit(y ~ x + (x | g), sleep_like, start = start))
    expect_equal(deviance(again), deviance(fit), tolerance = 1e-12)
  }
  expect_kinlmm_error(lmmfit(y ~ x + (x | g), sleep_like, start = 1), "argument",
                      "finite numeric vector of length 3")
})

test_that("a curved valley towards a singular optimum is followed to its end", {
  data <- withr::with_seed(4, {
    d <- data.frame(g = factor(sample(sprintf("g%02d", 1:12), 120, TRUE)),
                    x = stats::rnorm(120), z = stats::runif(120, 1, 5))
    invisible(sample(c("a", "b", "c"), 120, TRUE))
    d$y <- 1 + 0.5 * d$x + stats::rnorm(12)[d$g] + stats::rnorm(120)
    d
  })
  fit <- expect_warning(suppressMessages(lmmfit(y ~ x + (x + z | g), data)), NA)
  expect_lt(max(abs(fit$opt$gradient)), 1e-5)
})

test_that("what is nearly zero is zero, and said to be", {
  d <- mixed_example()
  for (seed in c(23, 60, 105, 136)) {
    d$y <- withr::with_seed(seed, stats::rnorm(120) + 0.3 * stats::rnorm(12)[d$g])
    expect_message(fit <- lmmfit(y ~ x + (log(abs(z) + 1) | g), d), "singular")
    expect_equal(fit$theta[[3]], 0)
    expect_true(fit$opt$singular)
    expect_lt(max(abs(fit$opt$gradient)), 1e-7)
  }
})
