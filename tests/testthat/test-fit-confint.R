test_that("profile intervals are lme4's", {
  skip_if_not_installed("lme4")
  dye <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, REML = FALSE)
  ci <- confint(dye)
  expect_equal(unname(ci["(Intercept)", ]), c(1486.4515, 1568.5485), tolerance = 1e-7)
  expect_equal(unname(ci[".sigma", ]), exp(c(3.64362, 4.21446)), tolerance = 1e-5)
  sleep <- lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  theirs <- confint(lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy),
                    quiet = TRUE)
  expect_equal(confint(sleep), theirs, tolerance = 1e-4, ignore_attr = TRUE)
  expect_equal(rownames(confint(sleep)), rownames(theirs))
})

test_that("Wald intervals, parameter names and subsets", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  wald <- confint(fit, method = "Wald")
  expect_equal(unname(wald["Days", ]), c(7.437592, 13.496980), tolerance = 1e-6)
  expect_true(all(is.na(wald[".sig01", ])))
  expect_equal(rownames(confint(fit, "beta_", method = "Wald")), c("(Intercept)", "Days"))
  expect_equal(rownames(confint(fit, method = "Wald", signames = FALSE))[1:4],
               c("sd_(Intercept)|Subject", "cor_Days.(Intercept)|Subject",
                 "sd_Days|Subject", "sigma"))
  expect_equal(rownames(confint(fit, 6, method = "Wald")), "Days")
  expect_kinlmm_error(confint(fit, "nobody"), "argument", "Not found: \"nobody\"")
  expect_kinlmm_error(confint(fit, level = 2), "argument", "`level` must be")
})

test_that("Wald intervals may take the quantiles of t tests", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  for (ddf in c("Satterthwaite", "Kenward-Roger")) {
    limits <- contest(fit, diag(2), joint = FALSE, ddf = ddf)[c("lower", "upper")]
    expect_equal(confint(fit, "beta_", method = "Wald", ddf = ddf), as.matrix(limits),
                 ignore_attr = TRUE)
  }
})

test_that("an interval reaches the bound when nothing speaks against it", {
  skip_if_not_installed("lme4")
  fit <- suppressMessages(lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2))
  ci <- confint(fit)
  expect_identical(ci[[".sig01", 1]], 0)
  expect_gt(ci[[".sig01", 2]], 1)
})

test_that("at an interval's ends the refitted likelihood is the quantile away", {
  data <- as.data.frame(nlme::Orthodont)
  fit <- lmmfit(distance ~ age + (1 | Subject), data, REML = FALSE)
  ends <- confint(fit, "age")
  for (b in ends) {
    fixed <- lmmfit(distance ~ 1 + (1 | Subject), data, REML = FALSE, offset = b * age)
    expect_equal(deviance(fixed) - deviance(fit), stats::qchisq(0.95, 1), tolerance = 1e-5)
  }
})
