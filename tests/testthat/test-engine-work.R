work_of <- function(X, y, weights = NULL) {
  colnames(X) <- paste0("x", seq_len(ncol(X)))
  frame <- data.frame(y)
  frame[["(weights)"]] <- weights
  if (is.null(weights)) weights <- rep(1, length(y))
  engine_work(list(frame = frame, y = y, weights = weights, offset = 0 * y), list(X = X), NULL)
}

test_that("the decomposition and the residual are those of least squares", {
  withr::local_seed(1)
  for (n in c(30, 1024, 2500)) {
    X <- cbind(1, matrix(stats::rnorm(4 * n), n), 1e5 * stats::runif(n) + 1e7)
    y <- stats::rnorm(n) + 1e6
    for (w in list(NULL, stats::runif(n, 0.5, 2))) {
      work <- work_of(X, y, w)
      fit <- stats::lm.wfit(X, y, if (is.null(w)) rep(1, n) else w)
      expect_equal(crossprod(work$Q), diag(6), tolerance = 1e-12)
      expect_equal(work$Q %*% work$R, X[, work$pivot] * work$root, tolerance = 1e-12)
      expect_equal(work$beta, fit$coefficients, tolerance = 1e-7, ignore_attr = TRUE)
      expect_equal(work$r, fit$residuals * work$root, tolerance = 1e-8)
      expect_lt(max(abs(crossprod(work$Q, work$r))), 1e-9)
      # x1 is the intercept, but not by name
      expect_equal(drop(work$Q %*% work$intercept), work$root, tolerance = 1e-12)
      expect_equal(work$logweights, if (is.null(w)) 0 else sum(log(w)))
    }
  }
})

test_that("columns close to dependence are left to Householder's method", {
  withr::local_seed(2)
  x <- stats::rnorm(200)
  y <- x + stats::rnorm(200)
  for (distance in c(1e-2, 3e-4, 1e-4, 1e-5, 1e-6)) {
    X <- cbind(1, x, x + distance * stats::rnorm(200))
    expect_equal(cpp_least_squares(X, y, rep(1, 200))$reliable, distance > 2e-4)
    work <- work_of(X, y)
    expect_equal(crossprod(work$Q), diag(3), tolerance = 1e-11)
    expect_equal(work$Q %*% work$R, X[, work$pivot], tolerance = 1e-12, ignore_attr = TRUE)
    expect_equal(work$r, stats::lm.fit(X, y, tol = 1e-12)$residuals, tolerance = 1e-9)
  }
})

test_that("a basis without the intercept has none", {
  withr::local_seed(3)
  expect_null(work_of(matrix(stats::rnorm(60), 20), stats::rnorm(20))$intercept)
  groups <- stats::model.matrix(~ 0 + factor(rep(1:3, 7)))
  work <- work_of(groups, stats::rnorm(21))
  expect_equal(drop(work$Q %*% work$intercept), rep(1, 21))
})

test_that("a large mean and a small scale of the response are no exact fit", {
  d <- mixed_example()
  d$far <- d$y + 1e11
  near <- lmmfit(y ~ x + (z | g), d)
  far <- lmmfit(far ~ x + (z | g), d)
  expect_equal(sigma(far), sigma(near), tolerance = 1e-4)
  for (scale in c(1e-150, 1e150)) {
    d$scaled <- d$y * scale
    expect_no_warning(scaled <- lmmfit(scaled ~ x + (z | g), d))
    expect_equal(scaled$theta, near$theta, tolerance = 1e-6)
  }
})
