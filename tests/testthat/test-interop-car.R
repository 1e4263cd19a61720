skip_if_not_installed("car")
skip_if_not_installed("lme4")
exact <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9),
                           calc.derivs = FALSE)
d <- mixed_example()
formula <- y ~ f * x + h + (1 | g)
fit <- lmmfit(formula, d, weights = w)
theirs <- lme4::lmer(formula, d, weights = w, control = exact)

test_that("tables of tests are those of lme4's fit", {
  for (type in list("II", "III", 2, 3)) {
    a <- car::Anova(fit, type = type)
    b <- car::Anova(theirs, type = type)
    expect_equal(a, b, tolerance = 1e-5)
  }
  double <- car::Anova(fit, vcov. = 4 * vcov(fit))
  expect_equal(double$Chisq, car::Anova(fit)$Chisq / 4)
  expect_equal(car::Anova(fit, vcov. = function(x) 4 * vcov(x)), double)
  expect_kinlmm_error(car::Anova(fit, type = "IV"), "argument", "\"III\"")
})

test_that("linear hypotheses, functions of the coefficients and variance inflation", {
  for (hypothesis in list("x = 0", c("fb = fc", "x = 1"))) {
    a <- car::linearHypothesis(fit, hypothesis)
    b <- car::linearHypothesis(theirs, hypothesis)
    expect_equal(as.data.frame(a), as.data.frame(b), tolerance = 1e-5, ignore_attr = TRUE)
  }
  expect_kinlmm_error(car::linearHypothesis(fit, "x = 0", test = "F"), "argument")
  expect_equal(car::deltaMethod(fit, "x / fb"), car::deltaMethod(theirs, "x / fb"),
               tolerance = 1e-5)
  additive <- lmmfit(y ~ f + x + (1 | g), d)
  expect_equal(car::vif(additive), car::vif(lme4::lmer(y ~ f + x + (1 | g), d)),
               tolerance = 1e-4)
  expect_named(car::vif(lmmfit(y ~ z + x + (1 | g), d)), c("z", "x"))
  expect_kinlmm_error(car::vif(lmmfit(y ~ x + (1 | g), d)), "argument", "1 term")
})

test_that("F tests have the degrees of freedom of Kenward and Roger", {
  skip_if_not_installed("pbkrtest")
  plain <- lmmfit(formula, d)
  same <- lme4::lmer(formula, d, control = exact)
  for (type in c("II", "III")) {
    a <- car::Anova(plain, type = type, test.statistic = "F")
    b <- car::Anova(same, type = type, test.statistic = "F")
    expect_equal(a, b, tolerance = 1e-3)
  }
})

test_that("a model without terms has no rows in either table", {
  skip_if_not_installed("car")
  none <- lmmfit(distance ~ 0 + (1 | Subject), nlme::Orthodont)
  mean <- lmmfit(distance ~ 1 + (1 | Subject), nlme::Orthodont)
  for (test in c("Chisq", "F")) {
    expect_equal(nrow(car::Anova(none, test.statistic = test)), 0L)
    expect_equal(nrow(car::Anova(mean, test.statistic = test)), 0L)
  }
})
