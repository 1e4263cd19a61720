fit <- lmmfit(distance ~ age * Sex + (age | Subject), nlme::Orthodont)

test_that("likelihood, information criteria and degrees of freedom", {
  ll <- logLik(fit)
  expect_equal(attr(ll, "df"), 8)
  expect_equal(attr(ll, "nobs"), 108)
  expect_equal(AIC(fit), deviance(fit) + 16)
  expect_equal(BIC(fit), deviance(fit) + 8 * log(108))
  expect_equal(df.residual(fit), 100)
  expect_equal(nobs(fit), 108)
  expect_equal(ngrps(fit), c(Subject = 27L))
  ml <- lmmfit(distance ~ age * Sex + (age | Subject), nlme::Orthodont, REML = FALSE)
  expect_gt(as.numeric(logLik(ml)), as.numeric(logLik(fit, REML = FALSE)))
})

test_that("nlme agrees", {
  data <- as.data.frame(nlme::Orthodont)
  theirs <- nlme::lme(distance ~ age * Sex, data, ~ age | Subject)
  expect_equal(as.numeric(logLik(fit)), as.numeric(logLik(theirs)), tolerance = 1e-7)
  expect_equal(fixef(fit), nlme::fixef(theirs), tolerance = 1e-5)
  expect_equal(sigma(fit), theirs$sigma, tolerance = 1e-4)
})

test_that("fitted values and residuals add up, in the frame's order", {
  expect_equal(unname(fitted(fit) + residuals(fit)), nlme::Orthodont$distance)
  expect_equal(residuals(fit, scaled = TRUE), residuals(fit) / sigma(fit))
  expect_named(fitted(fit), rownames(model.frame(fit)))
})

test_that("design matrices, frame, formula and terms", {
  expect_equal(dim(model.matrix(fit)), c(108L, 4L))
  expect_equal(dim(model.matrix(fit, "random")), c(108L, 54L))
  expect_named(model.frame(fit, fixed.only = TRUE), c("distance", "age", "Sex"))
  expect_true("Subject" %in% names(model.frame(fit)))
  expect_equal(formula(fit), distance ~ age * Sex + (age | Subject), ignore_attr = TRUE)
  expect_equal(deparse1(formula(fit, fixed.only = TRUE)), "distance ~ age * Sex")
  expect_s3_class(terms(fit), "terms")
  expect_equal(family(fit)$family, "gaussian")
})

test_that("coef() is fixed plus random effects", {
  expect_equal(coef(fit)$Subject$age, fixef(fit)[["age"]] + ranef(fit)$Subject$age)
  expect_equal(unique(coef(fit)$Subject$SexFemale), fixef(fit)[["SexFemale"]])
  slope_only <- lmmfit(distance ~ 1 + (0 + age | Subject), nlme::Orthodont)
  expect_named(coef(slope_only)$Subject, c("(Intercept)", "age"))
})

test_that("random effects and variance components as data frames", {
  effects <- as.data.frame(ranef(fit))
  expect_named(effects, c("grpvar", "term", "grp", "condval", "condsd"))
  expect_equal(nrow(effects), 54L)
  expect_output(print(ranef(fit)), "with conditional variances")
  expect_null(attr(ranef(fit, condVar = FALSE)$Subject, "postVar"))
  components <- as.data.frame(VarCorr(fit))
  expect_named(components, c("grp", "var1", "var2", "vcov", "sdcor"))
  expect_equal(components$grp, c("Subject", "Subject", "Subject", "Residual"))
  expect_output(print(VarCorr(fit)), "Corr")
  expect_equal(attr(vcov(fit, correlation = TRUE), "correlation"), stats::cov2cor(vcov(fit)))
})

test_that("update() changes formula and arguments", {
  expect_equal(names(fixef(update(fit, . ~ . - age:Sex))),
               c("(Intercept)", "age", "SexFemale"))
  expect_false(update(fit, REML = FALSE)$REML)
  in_function <- function() {
    local_data <- as.data.frame(nlme::Orthodont)
    small <- lmmfit(distance ~ age + (1 | Subject), local_data)
    update(small, . ~ . + Sex)
  }
  expect_length(fixef(in_function()), 3L)
})

test_that("lme4's extractors find the methods", {
  skip_if_not_installed("lme4")
  expect_equal(lme4::fixef(fit), fixef(fit))
  expect_equal(lme4::ngrps(fit), ngrps(fit))
  expect_equal(lme4::ranef(fit), ranef(fit))
})
