test_that("every id of the kernel is predicted, with its records counted", {
  K <- withr::with_seed(1, toy_kinship(30))
  data <- withr::with_seed(2, toy_pheno(K, rep(c(0L, 1L, 3L), 10)))
  fit <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K))
  predictions <- blup(fit)
  expect_s3_class(predictions, "blup")
  expect_named(predictions,
               c("group", "id", "term", "value", "pev", "reliability", "records"))
  expect_equal(predictions$records, rep(c(0L, 1L, 3L), 10))
  prior <- unname(fit$theta)^2 * sigma(fit)^2 * diag(K)
  expect_equal(predictions$reliability, 1 - predictions$pev / unname(prior))
  expect_true(all(predictions$reliability >= 0 & predictions$reliability <= 1))
  by_records <- tapply(predictions$reliability, predictions$records, mean)
  expect_true(all(diff(by_records) > 0))
})

test_that("reliability is not defined when the variance is zero", {
  skip_if_not_installed("lme4")
  fit <- suppressMessages(lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2))
  expect_true(all(is.na(blup(fit)$reliability)))
  expect_true(all(blup(fit)$value == 0))
})

test_that("slopes have rows of their own", {
  fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  predictions <- blup(fit)
  expect_equal(nrow(predictions), 54L)
  slopes <- predictions[predictions$term == "age", ]
  expect_equal(slopes$value, ranef(fit)$Subject$age)
})

test_that("arguments that do not exist are errors", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  expect_error(blup(fit, level = 0.9), class = "rlib_error_dots_nonempty")
  expect_error(heritability(fit, conf = 0.9), class = "rlib_error_dots_nonempty")
})
