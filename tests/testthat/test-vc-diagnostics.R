# Four chains of an autoregressive series, the last with another mean.
series <- function(rho, shift = 0, n = 400) {
  withr::with_seed(1, {
    x <- apply(matrix(rnorm(4 * n), n), 2L, stats::filter, rho, method = "recursive")
    x[, 4] <- x[, 4] + shift
    x
  })
}

test_that("diagnostics are those of the package posterior", {
  skip_if_not_installed("posterior")
  for (x in list(series(0), series(0.8), series(-0.5), series(0.3, 1), exp(series(0.9)),
                 series(0.5, n = 401), series(0.2)[, 1, drop = FALSE])) {
    expect_equal(chain_diagnostics(x, FALSE), chain_diagnostics(x, TRUE), tolerance = 1e-10)
  }
})

test_that("effective sizes follow theory", {
  # of an autoregressive series n (1 - rho) / (1 + rho)
  for (rho in c(0, 0.6, -0.4)) {
    x <- series(rho, n = 5000)
    expect_equal(effective_size(x), length(x) * (1 - rho) / (1 + rho), tolerance = 0.08)
  }
  expect_identical(effective_size(matrix(1, 10, 2)), NA_real_)
})

test_that("R-hat sees chains with other means or spreads", {
  expect_lt(chain_diagnostics(series(0), FALSE)$rhat, 1.01)
  expect_gt(chain_diagnostics(series(0, 1), FALSE)$rhat, 1.05)
  wider <- series(0)
  wider[, 1] <- 3 * wider[, 1]
  expect_gt(chain_diagnostics(wider, FALSE)$rhat, 1.05)
})

test_that("summaries are by column", {
  x <- series(0.3)
  out <- draw_summary(cbind(a = c(x), b = c(x)^2), rep(1:4, each = 400))
  expect_identical(rownames(out), c("a", "b"))
  expect_equal(out["a", "mean"], mean(x))
  expect_equal(out["b", "q97.5"], unname(quantile(x^2, 0.975)))
})
