# A few of the thousand of bench/random-models.R.
test_that("random models: lme4's figures, never a worse optimum", {
  skip_if_not_installed("lme4")
  for (seed in 6001:6025) {
    model <- random_model(seed, most = 400, max_theta = 7L)
    expect_no_warning(
      fit <- expect_lme4(model$formula, model$data, model$REML, model$data$w)
    )
    if (!fit$opt$singular) {
      at <- unname(fit$theta)
      slope <- numeric_gradient(
        function(theta) engine_criterion(fit$engine, theta, model$REML), at, 1e-4)
      expect_lt(max(abs(slope)), 1e-3)
    }
  }
})

test_that("a random model is the same every time", {
  expect_identical(random_model(3), random_model(3))
})
