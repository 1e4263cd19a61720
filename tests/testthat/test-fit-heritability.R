K <- withr::with_seed(21, toy_kinship(80, 160))
data <- withr::with_seed(22, toy_pheno(K, rep(c(1L, 2L), 40), h2 = 0.6))
fit <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K))

test_that("the share is on the scale of the sample, the raw one beside it", {
  h <- heritability(fit)
  k <- mean(diag(K)) - mean(K)
  tau <- unname(fit$theta)^2
  expect_equal(h$estimate, tau * k / (tau * k + 1), tolerance = 1e-10)
  expect_equal(h$raw, tau / (tau + 1), tolerance = 1e-10)
  expect_equal(h$genetic, tau * sigma(fit)^2)
  expect_equal(h$k, k)
  expect_output(print(h), "Heritability of id")
  expect_output(print(h), "raw")
})

test_that("standard error and interval come from the profiled criterion", {
  h <- heritability(fit)
  k <- h$k
  criterion <- function(share) {
    engine_criterion(fit$engine, sqrt(share / ((1 - share) * k)), TRUE)
  }
  step <- 1e-4
  second <- (criterion(h$estimate + step) - 2 * criterion(h$estimate) +
               criterion(h$estimate - step)) / step^2
  expect_equal(h$se, sqrt(2 / second), tolerance = 1e-4)
  for (end in c(h$lower, h$upper)) {
    expect_equal(criterion(end) - deviance(fit), stats::qchisq(0.95, 1), tolerance = 1e-6)
  }
  narrower <- heritability(fit, level = 0.5)
  expect_gt(narrower$lower, h$lower)
})

test_that("on the boundary the error is not defined, the interval is", {
  skip_if_not_installed("lme4")
  zero <- suppressMessages(lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2))
  h <- heritability(zero)
  expect_identical(h$estimate, 0)
  expect_true(is.na(h$se))
  expect_identical(h$lower, 0)
  expect_gt(h$upper, 0.1)
  expect_output(print(h), "not defined on the boundary")
})

test_that("heritability needs one random intercept", {
  slopes <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  expect_kinlmm_error(heritability(slopes), "heritability",
                      c("one random term, an intercept", "This one has (age | Subject)"))
  several <- lmmfit(distance ~ age + (age || Subject), nlme::Orthodont)
  expect_kinlmm_error(heritability(several), "heritability",
                      "This one has (1 | Subject), (0 + age | Subject)")
})
