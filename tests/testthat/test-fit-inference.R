test_that("likelihood-ratio tests refit by ML and agree with lme4", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  small <- lmmfit(Reaction ~ 1 + (Days | Subject), sleep)
  large <- lmmfit(Reaction ~ Days + (Days | Subject), sleep)
  expect_message(table <- anova(large, small), "2 models again by ML",
                 class = "kinlmm_message_refit")
  expect_equal(rownames(table), c("small", "large"))
  theirs <- suppressMessages(anova(
    lme4::lmer(Reaction ~ 1 + (Days | Subject), sleep),
    lme4::lmer(Reaction ~ Days + (Days | Subject), sleep)))
  expect_equal(as.matrix(table), as.matrix(theirs), tolerance = 1e-5, ignore_attr = TRUE)
  expect_output(print(table), "small: Reaction ~ 1")
  unchanged <- expect_silent(anova(large, small, refit = FALSE))
  expect_equal(unchanged$deviance[[2]], deviance(large))
})

test_that("sequential sums of squares are lme4's", {
  skip_if_not_installed("lme4")
  data <- as.data.frame(nlme::Orthodont)
  ours <- anova(lmmfit(distance ~ age * Sex + (1 | Subject), data))
  theirs <- anova(lme4::lmer(distance ~ age * Sex + (1 | Subject), data))
  expect_equal(as.matrix(ours), as.matrix(theirs), tolerance = 1e-5)
})

test_that("models on other data are not compared", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  fewer <- update(fit, subset = age > 8)
  expect_kinlmm_error(anova(fit, fewer), "comparison", "108 records, another 81")
  other <- update(fit, log(.) ~ .)
  expect_kinlmm_error(anova(fit, other), "comparison", "responses differ")
})

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
