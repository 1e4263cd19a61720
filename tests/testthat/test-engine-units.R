test_that("units are lower triangular and make the columns orthogonal", {
  Z <- withr::with_seed(1, cbind(1, stats::rnorm(40, 1e4), stats::rnorm(40)))
  root <- withr::with_seed(2, stats::runif(40, 0.5, 2))
  term <- list(Z = Z, columns = c("a", "b", "c"), factor = gl(4, 10))
  A <- term_units(term, root)
  expect_equal(A[upper.tri(A)], c(0, 0, 0))
  B <- unit_design(term, root, A)
  expect_equal(crossprod(B) / 40, diag(3), tolerance = 1e-6)
  expect_equal(B %*% A, Z * root, tolerance = 1e-12)
  # columns that depend on one another all but exactly
  term$Z[, 3] <- term$Z[, 2] + 1e-9 * term$Z[, 3]
  A <- term_units(term, root)
  expect_true(all(is.finite(A)) && all(diag(A) > 0))
})

test_that("theta in units and back, and moments, change together", {
  data <- withr::with_seed(3, {
    d <- data.frame(g = gl(6, 8), x = stats::rnorm(48, 5))
    d$y <- stats::rnorm(6)[d$g] + d$x * stats::rnorm(6)[d$g] + stats::rnorm(48)
    d
  })
  fit <- lmmfit(y ~ x + (x | g), data)
  theta <- c(1, -0.5, 0.3)
  expect_equal(column_theta(fit$engine, unit_theta(fit$engine, theta)), theta)
  expect_equal(engine_moments(fit$engine, theta, 2L), dense_moments(fit, theta),
               tolerance = 1e-10)
})

test_that("a residual variance on its way to zero is said to be that", {
  d <- mixed_example()
  d$flat <- stats::ave(d$y, d$g)
  expect_message(fit <- suppressWarnings(lmmfit(flat ~ 1 + (1 | g) + (1 | h), d)),
                 "residual variance")
  expect_equal(fit$opt$bound, "upper")
})
