# One parameter of sleepstudy's model fixed: the optimum over the others by a simplex.
test_that("the optimum over the others is that of a general search", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, REML = FALSE)
  base <- profile_base(fit)
  dense <- function(sd, correlation, sigma) {
    psi <- outer(sd, sd) * matrix(c(1, correlation, correlation, 1), 2) / sigma^2
    factor <- t(chol(psi))
    at <- engine_fixed(fit$engine, factor[lower.tri(factor, diag = TRUE)])
    at$logdet + 180 * log(2 * pi * sigma^2) + at$s / sigma^2
  }
  others <- function(f, start) {
    best <- stats::optim(start, f, control = list(maxit = 5000, reltol = 1e-14))
    stats::optim(best$par, f, control = list(maxit = 5000, reltol = 1e-14))$value
  }
  zeta <- function(index, x) {
    pin <- parameter_pin(base, index)
    centre <- pin_centre(pin)
    solve_pinned(pin, x, centre, centre)$zeta^2 + deviance(fit)
  }
  expect_equal(zeta(1, 35), others(function(v) {
    dense(c(35, exp(v[[1]])), tanh(v[[2]]), exp(v[[3]]))
  }, log(c(6, 1, 25))), tolerance = 1e-9)
  expect_equal(zeta(2, 0.6), others(function(v) {
    dense(exp(v[1:2]), 0.6, exp(v[[3]]))
  }, log(c(24, 6, 25))), tolerance = 1e-9)
  expect_equal(zeta(3, 3), others(function(v) {
    dense(c(exp(v[[1]]), 3), tanh(v[[2]]), exp(v[[3]]))
  }, log(c(24, 1, 25))), tolerance = 1e-9)
  expect_equal(zeta(4, 30), others(function(v) {
    dense(exp(v[1:2]), tanh(v[[3]]), 30)
  }, log(c(24, 6, 1))), tolerance = 1e-9)
})

test_that("slopes of zeta are its derivatives, on every scale", {
  data <- mixed_example()
  fit <- suppressMessages(lmmfit(y ~ x + (x + z | g), data, REML = FALSE))
  base <- profile_base(fit)
  for (scale in c("sdcor", "varcov")) for (index in seq_len(9)) {
    pin <- parameter_pin(base, index, scale)
    centre <- pin_centre(pin)
    x <- centre$x + 0.7 / centre$slope
    if (pin$kind == "cor") x <- min(x, 0.9)
    h <- 1e-4 / centre$slope
    at <- lapply(c(x - h, x, x + h), function(x) solve_pinned(pin, x, centre, centre))
    expect_equal(at[[2]]$slope, (at[[3]]$zeta - at[[1]]$zeta) / (2 * h), tolerance = 1e-4)
  }
})

test_that("points carry the parameter that is fixed, and the best fixed effects", {
  data <- mixed_example()
  fit <- suppressMessages(lmmfit(y ~ x + (x + z | g), data, REML = FALSE))
  base <- profile_base(fit)
  for (index in seq_len(9)) {
    pin <- parameter_pin(base, index)
    centre <- pin_centre(pin)
    x <- centre$x + 0.5 / centre$slope
    point <- solve_pinned(pin, x, centre, centre)
    expect_equal(point_values(pin, point, "sdcor")[[index]], x, tolerance = 1e-8)
  }
})

test_that("without exact Hessians the optimum is the same", {
  data <- mixed_example()
  fit <- suppressMessages(lmmfit(y ~ x + (x + z | g), data, REML = FALSE))
  base <- profile_base(fit)
  for (index in seq_len(9)) {
    pin <- parameter_pin(base, index)
    centre <- pin_centre(pin)
    x <- centre$x + 0.5 / centre$slope
    exact <- solve_pinned(pin, x, centre, centre)
    A <- pinned(pin, centre$x, centre$z)$A
    pin$hessian <- crossprod(A, pin$whole %*% A)
    centre <- pin_centre(pin)
    expect_equal(solve_pinned(pin, x, centre, centre)$zeta, exact$zeta, tolerance = 1e-6)
  }
})
