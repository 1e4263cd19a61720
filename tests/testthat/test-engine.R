test_that("the engine and its reason are recorded", {
  fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  expect_equal(fit$engine$name, "blocked")
  expect_match(fit$engine$reason, "2 i.i.d. random effects per level")
})

test_that("a large mean and badly scaled covariates cost no accuracy", {
  data <- as.data.frame(nlme::Orthodont)
  fit <- lmmfit(distance ~ age + (1 | Subject), data)
  data$distance <- data$distance + 1e6
  data$age <- data$age * 1e5 + 1e7
  moved <- lmmfit(distance ~ age + (1 | Subject), data)
  expect_equal(moved$theta, fit$theta, tolerance = 1e-7)
  expect_equal(sigma(moved), sigma(fit), tolerance = 1e-7)
  expect_equal(fixef(moved)[["age"]] * 1e5, fixef(fit)[["age"]], tolerance = 1e-7)
})

test_that("the scale of the response scales the variances", {
  fit <- function(scale) {
    lmmfit(I(distance * scale) ~ age + (age | Subject), nlme::Orthodont)
  }
  one <- fit(1)
  for (scale in c(1e-4, 1e6)) {
    other <- fit(scale)
    expect_equal(other$theta, one$theta, tolerance = 1e-8)
    expect_equal(sigma(other), sigma(one) * scale, tolerance = 1e-8)
  }
})

test_that("a perfect fit is refused", {
  data <- data.frame(x = 1:6, g = rep(1:2, 3))
  data$y <- 2 + 3 * data$x
  expect_kinlmm_error(lmmfit(y ~ x + (1 | g), data), "response", "fit the response exactly")
})

test_that("no fixed effects at all", {
  data <- as.data.frame(nlme::Orthodont)
  fit <- lmmfit(distance ~ 0 + (1 | Subject), data)
  Z <- model.matrix(~ 0 + factor(as.character(data$Subject)))
  H <- diag(nrow(data)) + unname(fit$theta)^2 * tcrossprod(Z)
  logdet <- as.numeric(determinant(H)$modulus)
  s <- drop(data$distance %*% solve(H, data$distance))
  expect_equal(deviance(fit), logdet + 108 * (1 + log(2 * pi * s / 108)))
  expect_length(fixef(fit), 0L)
  expect_output(print(fit), "No fixed effects")
})
