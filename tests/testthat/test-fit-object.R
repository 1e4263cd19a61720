test_that("the fit holds what its help page says", {
  fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  expect_s3_class(fit, "lmmfit")
  expect_named(fit$theta, c("Subject.(Intercept)", "Subject.age.(Intercept)",
                            "Subject.age"))
  expect_true(fit$opt$converged)
  expect_lt(max(abs(fit$opt$gradient)), 1e-6)
  expect_equal(fit$opt$bound, "none")
})

test_that("a fit survives saveRDS() and keeps nothing outside R", {
  K <- withr::with_seed(1, toy_kinship(20))
  data <- withr::with_seed(2, toy_pheno(K))
  fit <- suppressMessages(lmmfit(y ~ x + (1 | id), data, kinship = list(id = K)))
  path <- withr::local_tempfile(fileext = ".rds")
  saveRDS(fit, path)
  again <- readRDS(path)
  expect_equal(heritability(again), heritability(fit))
  expect_equal(blup(again), blup(fit))
  expect_equal(deviance(again, REML = FALSE), deviance(fit, REML = FALSE))
})

test_that("fitting again by ML is the same as fitting so", {
  reml <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  ml <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont, REML = FALSE)
  expect_equal(refit_ml(reml)$theta, ml$theta, tolerance = 1e-7)
  expect_equal(deviance(refit_ml(reml)), deviance(ml), tolerance = 1e-12)
})

test_that("what is not a fit is refused", {
  expect_kinlmm_error(anova(lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont), 3),
                      "argument", "a model fitted by lmmfit()")
})
