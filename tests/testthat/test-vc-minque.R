dense_minque <- function(fit, prior) {
  dense <- dense_components(fit)
  P <- dense_p(dense, prior)
  dense_moment_fit(dense, lapply(dense$G, function(G) P %*% G %*% P))
}

test_that("MINQUE is that of the dense formulas on random models", {
  at <- repeated_example()
  K <- at$K
  d <- unbalanced_example()
  fits <- list(lmmfit(y ~ x + (1 | a) + (1 | b) + (1 | a:b), d, weights = w, offset = x),
               lmmfit(y ~ x + kin(1 | id, K) + (1 | id), at$data),
               lmmfit(y ~ kin(1 | id, K), at$data[!duplicated(at$data$id), ]))
  for (seed in c(11, 12, 14, 15)) {
    model <- random_model(seed, most = 150, max_theta = 6L)
    fits <- c(fits, list(lmmfit(model$formula, model$data, weights = w)))
  }
  for (fit in suppressMessages(fits)) {
    diagonal <- c(theta_diagonal(fit$random), TRUE)
    for (prior in 0:1) {
      # for the dense formulas, on the scale of the estimates
      theirs <- dense_minque(fit, replace(prior * diagonal, length(diagonal), 1))
      ours <- variance_components(fit, method = "MINQUE", prior = prior)
      scale <- sum(abs(theirs$phi))
      expect_equal(unname(coef(ours)) / scale, theirs$phi / scale, tolerance = 1e-7)
      expect_equal(unname(vcov(ours)) / scale^2, theirs$vcov / scale^2, tolerance = 1e-6)
    }
  }
})

test_that("a prior may be given, on any scale", {
  fit <- lmmfit(y ~ x + (1 + x | a) + (1 | b), unbalanced_example())
  prior <- c(3, 0.5, 1, 2, 0.7)
  ours <- variance_components(fit, method = "MINQUE", prior = 10 * prior)
  theirs <- dense_minque(fit, prior)
  expect_equal(unname(coef(ours)), theirs$phi)
  expect_equal(unname(vcov(ours)), theirs$vcov)
  expect_kinlmm_error(variance_components(fit, method = "MINQUE", prior = c(1, 2)),
                      "argument", "0, 1 or 5 variances")
  expect_kinlmm_error(variance_components(fit, method = "MINQUE", prior = c(1, 5, 1, 1, 1)),
                      "argument", "not negative")
})

test_that("iterated MINQUE is REML", {
  fit <- lmmfit(y ~ x + (1 | a) + (1 | b), unbalanced_example(), weights = w)
  iterated <- variance_components(fit, method = "MINQUE", iterations = 100)
  reml <- variance_components(fit, information = "expected")
  expect_equal(coef(iterated), coef(reml), tolerance = 1e-8)
  expect_match(iterated$assumptions, "Not unbiased", all = FALSE)
  # there the estimates are the prior, and their covariance that of the information
  expect_equal(vcov(iterated), vcov(reml), tolerance = 1e-6)
})

test_that("names of methods give their priors", {
  fit <- lmmfit(y ~ x + (1 | a) + (1 | b), unbalanced_example())
  expect_equal(coef(variance_components(fit, method = "MINQUE0")),
               coef(variance_components(fit, method = "MINQUE", prior = 0)))
  one <- variance_components(fit, method = "MINQUE1")
  expect_identical(one$method, "MINQUE1")
  expect_equal(coef(one), coef(variance_components(fit, method = "MINQUE")))
})

test_that("what is no covariance matrix has the root of the nearest", {
  random <- lmmfit(y ~ (x | a) + (1 | b), unbalanced_example())$random
  expect_equal(ratio_theta(random, c(4, 2, 5, -1)), c(2, 1, 2, 0))
  expect_equal(feasible_ratios(random, c(1, 2, 1, 0.5, 1)), c(1.5, 1.5, 1.5, 0.5))
  expect_equal(feasible_ratios(random, c(1, 0, 1, -0.5, 2)), c(0.5, 0, 0.5, 0))
})
