skip_if_not_installed("multcomp")
skip_if_not_installed("lme4")

test_that("simultaneous tests are those of lme4's fit", {
  d <- mixed_example()
  fit <- lmmfit(y ~ f + x + (1 | g), d)
  theirs <- lme4::lmer(y ~ f + x + (1 | g), d)
  for (linfct in list(c("x = 0", "fb - fc = 0"), rbind(c(0, 1, 0, 0), c(0, 0, 1, 0)))) {
    a <- summary(multcomp::glht(fit, linfct), test = multcomp::univariate())$test
    b <- summary(multcomp::glht(theirs, linfct), test = multcomp::univariate())$test
    for (part in c("coefficients", "sigma", "tstat")) {
      expect_equal(a[[part]], b[[part]], tolerance = 1e-5)
    }
  }
  t_tests <- multcomp::glht(fit, "x = 0", df = 10)
  expect_equal(t_tests$df, 10)
})

test_that("comparisons of the levels of a factor", {
  d <- mixed_example()
  fit <- lmmfit(y ~ f + x + (1 | g), d)
  theirs <- lme4::lmer(y ~ f + x + (1 | g), d)
  pairs <- multcomp::mcp(f = "Tukey")
  a <- multcomp::glht(fit, pairs)
  b <- multcomp::glht(theirs, pairs)
  expect_equal(a$linfct, b$linfct)
  expect_equal(summary(a, test = multcomp::univariate())$test$tstat,
               summary(b, test = multcomp::univariate())$test$tstat, tolerance = 1e-5)
})
