example <- withr::with_seed(1, {
  d <- data.frame(a = rep(1:12, 10), x = stats::rnorm(120), one = 1,
                  h = rep(1:10, each = 12))
  d$b <- letters[d$a]
  d$few <- factor(d$a %% 3)
  d$u <- stats::rnorm(12)[d$a]
  d$y <- d$x + stats::rnorm(12)[d$a] + stats::rnorm(120)
  d
})

unidentified <- function(formula, ...) {
  expect_kinlmm_error(lmmfit(formula, example), "unidentified", c(...))$group
}

test_that("terms with the same effects are refused by name", {
  expect_equal(unidentified(y ~ x + (1 | a) + (1 | b), "(1 | a), (1 | b)"), c("a", "b"))
  expect_equal(unidentified(y ~ x + (1 | a) + (1 | h) + (1 | b), "(1 | a), (1 | b)"),
               c("a", "b"))
  expect_equal(unidentified(y ~ x + (1 | a / few), "(1 | few:a), (1 | a)"), c("few:a", "a"))
  expect_equal(unidentified(y ~ x + (x | a) + (1 | b), "(x | a), (1 | b)"),
               c("a", "b"))
  expect_equal(unidentified(y ~ x + (one || a), "(1 | a), (0 + one | a)"), "a")
  expect_equal(unidentified(y ~ x + (0 + few | h) + (1 | h:few), "(1 | h:few)"),
               c("h", "h:few"))
})

test_that("terms that the fixed effects or the residuals contain are refused by name", {
  expect_equal(unidentified(y ~ factor(a) + (1 | a) + (1 | h), "(1 | a) can't"), "a")
  expect_equal(unidentified(y ~ factor(a) * x + (x | a), "(x | a)"), "a")
  # each level of a has one of few
  expect_equal(unidentified(y ~ x + (few | a), "(few | a)"), "a")
})

test_that("what is identified, if hardly, is fitted", {
  near <- transform(example, b = replace(b, c(1, 15), c("b", "a")))
  expect_s3_class(suppressMessages(lmmfit(y ~ x + (1 | a) + (1 | b), near)), "lmmfit")
  # a slope on what does not vary within levels: their variances differ
  expect_s3_class(suppressMessages(lmmfit(y ~ x + (u | a), example)), "lmmfit")
  # one level has nearly all records
  large <- withr::with_seed(2, data.frame(a = c(rep(1, 2e4), 2:9), b = rep(1:4, 5002),
                                          y = stats::rnorm(20008)))
  expect_s3_class(suppressMessages(lmmfit(y ~ 1 + (1 | a) + (1 | b), large)), "lmmfit")
})

test_that("effects that never meet have variances, and a covariance of zero", {
  expect_message(fit <- lmmfit(y ~ x + (0 + few | a), example), class = "kinlmm_message_apart")
  V <- VarCorr(fit)$a
  expect_equal(V[lower.tri(V)], c(0, 0, 0))
  # the same variances as of terms that say so
  apart <- suppressMessages(lmmfit(y ~ x + (0 + few || a), example))
  expect_equal(deviance(fit), deviance(apart), tolerance = 1e-10)
})

test_that("products are those of the dense matrices", {
  fit <- lmmfit(y ~ x + (x | a) + (1 | h), example)
  theta <- c(0.7, 0.2, 0.4, 0.5)
  at <- dense_covariance(fit, theta)
  Hi <- solve(at$H)
  X <- fit$fixed$X
  P <- Hi - Hi %*% X %*% solve(t(X) %*% Hi %*% X, t(X) %*% Hi)
  G <- c(at$G, list(at$H))
  dense <- outer(seq_along(G), seq_along(G), Vectorize(function(c, d) {
    sum((P %*% G[[c]]) * t(P %*% G[[d]]))
  }))
  products <- residual_products(engine_moments(fit$engine, theta, 2L), fit$engine$work)
  expect_equal(products, dense, tolerance = 1e-9)
})

test_that("an intercept and a covariate far from zero are told apart", {
  far <- transform(example, x = x + 1e5)
  expect_s3_class(suppressMessages(lmmfit(y ~ x + (x || a), far)), "lmmfit")
})

test_that("effects that never meet may stand beside others, and in the dense engine", {
  expect_message(lmmfit(y ~ x + (0 + few + x | a), example), "no level has both",
                 class = "kinlmm_message_apart")
  I <- diag(12)
  dimnames(I) <- rep(list(as.character(1:12)), 2L)
  dense <- suppressMessages(lmmfit(y ~ x + kin(0 + few | a, I), example))
  apart <- suppressMessages(lmmfit(y ~ x + (0 + few || a), example))
  expect_equal(deviance(dense), deviance(apart), tolerance = 1e-8)
})
