test_that("data frames, tibbles and data tables give the same fit", {
  data <- as.data.frame(nlme::Orthodont)
  data$Subject <- as.character(data$Subject)
  fit <- lmmfit(distance ~ age + (1 | Subject), data)
  expect_equal(deviance(lmmfit(distance ~ age + (1 | Subject),
                               data.table::as.data.table(data))), deviance(fit))
  skip_if_not_installed("tibble")
  expect_equal(deviance(lmmfit(distance ~ age + (1 | Subject), tibble::as_tibble(data))),
               deviance(fit))
})

test_that("arguments are checked", {
  expect_kinlmm_error(lmmfit(distance ~ (1 | Subject), nlme::Orthodont, REML = NA),
                      "argument", "`REML` must be TRUE or FALSE")
  expect_error(lmmfit(distance ~ (1 | Subject), nlme::Orthodont, reml = TRUE),
               class = "rlib_error_dots_nonempty")
})

test_that("a formula as text", {
  text <- lmmfit("distance ~ age + (1 | Subject)", nlme::Orthodont)
  expect_equal(deviance(text),
               deviance(lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)))
})

test_that("tiny noise does not change the fit", {
  data <- as.data.frame(nlme::Orthodont)
  fit <- lmmfit(distance ~ age + (age | Subject), data)
  data$distance <- data$distance + withr::with_seed(1, stats::rnorm(108, sd = 1e-12))
  expect_equal(lmmfit(distance ~ age + (age | Subject), data)$theta, fit$theta,
               tolerance = 1e-8)
})

test_that("known parameters are recovered", {
  estimates <- vapply(1:20, function(seed) {
    data <- withr::with_seed(seed, {
      g <- rep(1:60, each = 6)
      x <- stats::rnorm(360)
      y <- 1 + 2 * x + stats::rnorm(60, sd = 1.5)[g] + stats::rnorm(360, sd = 0.7)
      data.frame(g, x, y)
    })
    fit <- lmmfit(y ~ x + (1 | g), data)
    c(fixef(fit)[["x"]], sqrt(VarCorr(fit)$g[1, 1]), sigma(fit))
  }, numeric(3))
  expect_equal(rowMeans(estimates), c(2, 1.5, 0.7), tolerance = 0.03)
})

test_that("a missing formula is named", {
  expect_kinlmm_error(lmmfit(data = nlme::Orthodont), "argument", "`formula` must be given")
})

test_that("text that is no formula is refused as an argument", {
  for (text in c("distance", "distance ~", NA)) {
    expect_kinlmm_error(lmmfit(text, nlme::Orthodont), "argument", "`formula` must be")
  }
  fit <- lmmfit("distance ~ age + (1 | Subject)", nlme::Orthodont)
  expect_identical(nobs(fit), 108L)
})
