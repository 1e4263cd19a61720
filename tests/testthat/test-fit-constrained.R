# Gradient and Hessian of the likelihood in the coordinates of the factors, by differences.
expect_derivatives <- function(problem, u) {
  value <- function(u) coordinate_criterion(problem, u, 0L)$value
  gradient <- function(u) coordinate_criterion(problem, u, 1L)$gradient
  at <- coordinate_criterion(problem, u, 2L)
  expect_equal(at$gradient, numeric_gradient(value, u), tolerance = 1e-5)
  columns <- lapply(seq_along(u), function(i) {
    h <- replace(numeric(length(u)), i, 1e-5 * max(1, abs(u[[i]])))
    (gradient(u + h) - gradient(u - h)) / (2 * sum(h))
  })
  expect_equal(at$hessian, do.call(cbind, columns), tolerance = 1e-5)
}

test_that("the likelihood has exact derivatives, in any order of the effects", {
  data <- mixed_example()
  fit <- suppressMessages(lmmfit(y ~ x + (x + z | g) + (1 | h), data, REML = FALSE,
                                 weights = w))
  for (order in list(1:3, c(3L, 1L, 2L))) {
    problem <- coordinate_problem(fit, list(order, 1L))
    expect_equal(coordinate_criterion(problem, problem$u, 0L)$value, deviance(fit),
                 tolerance = 1e-10)
    expect_derivatives(problem, problem$u + c(0.4, 0.2, -0.3, 0.5, 0.1, 0.3, 0.4, 0.1))
  }
})

test_that("a kernel, free of the intercept", {
  K <- withr::with_seed(2, toy_kinship(25))
  pheno <- withr::with_seed(3, toy_pheno(K, 2L))
  fit <- refit_ml(lmmfit(y ~ x + (1 | id), pheno, kinship = list(id = K)))
  problem <- coordinate_problem(fit)
  expect_equal(coordinate_criterion(problem, problem$u, 0L)$value, deviance(fit))
  expect_derivatives(problem, problem$u + c(0.2, 0.1))
})

test_that("Newton's method leaves saddle points, keeps bounds, and needs no exact Hessian", {
  # two minima, at (-1, 0) and (1, 0), with a saddle point between
  f <- function(z) {
    list(value = (z[[1]]^2 - 1)^2 + 3 * z[[2]]^2,
         gradient = c(4 * z[[1]] * (z[[1]]^2 - 1), 6 * z[[2]]),
         hessian = diag(c(12 * z[[1]]^2 - 4, 6)))
  }
  open <- c(-Inf, -Inf)
  expect_equal(abs(newton_minimise(f, c(0, 2), open)$z), c(1, 0), tolerance = 1e-4)
  expect_equal(newton_minimise(f, c(3, 2), c(1.5, -Inf))$z, c(1.5, 0), tolerance = 1e-4)
  without <- function(z) f(z)[c("value", "gradient")]
  best <- newton_minimise(without, c(2, 2), open, diag(2))
  expect_equal(best$z, c(1, 0), tolerance = 1e-4)
})

test_that("absurd values are no place to go to", {
  fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont, REML = FALSE)
  problem <- coordinate_problem(fit)
  at <- coordinate_criterion(problem, c(1e200, 0, 1e200, -300), 2L)
  expect_identical(at$value, 1e300)
  f <- function(z) coordinate_criterion(problem, z, 2L)
  best <- newton_minimise(f, problem$u + c(3, 1, 1, 2), rep(-Inf, 4))
  expect_equal(best$value, deviance(fit), tolerance = 1e-10)
})
