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

test_that("crossed and nested factors have lme4's intervals", {
  skip_if_not_installed("lme4")
  models <- list(list(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin),
                 list(strength ~ 1 + (1 | batch / cask), lme4::Pastes))
  for (model in models) {
    theirs <- suppressWarnings(confint(lme4::lmer(model[[1]], model[[2]]), quiet = TRUE))
    expect_equal(confint(lmmfit(model[[1]], model[[2]])), theirs, tolerance = 1e-4)
  }
})

test_that("bootstrap intervals are those of bootstrap()", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  draws <- bootstrap(fit, nsim = 30, seed = 4)
  for (type in c("perc", "basic", "norm")) {
    expect_identical(confint(fit, "age", 0.9, method = "boot", nsim = 30, seed = 4,
                             boot.type = type), confint(draws, "age", 0.9, type))
  }
})

test_that("free of its origin, a kernel has the Wald interval for the intercept", {
  K <- withr::with_seed(2, toy_kinship(40))
  pheno <- withr::with_seed(3, toy_pheno(K, 2L))
  fit <- lmmfit(y ~ x + (1 | id), pheno, kinship = list(id = K))
  ci <- confint(fit)
  # round the estimate by ML
  wald <- confint(fit, "(Intercept)", method = "Wald")
  expect_equal(diff(ci["(Intercept)", ]), diff(wald[1, ]))
  expect_equal(ci["(Intercept)", ], wald[1, ], tolerance = 1e-3)
  moved <- lmmfit(y ~ x + (1 | id), pheno, kinship = list(id = K + 3))
  expect_equal(ci[-3, ], confint(moved)[-3, ], tolerance = 1e-6)
})

test_that("several kernels: at the ends the likelihood is the quantile away", {
  K <- withr::with_seed(2, toy_kinship(30))
  pheno <- withr::with_seed(3, toy_pheno(K, 3L))
  fit <- suppressMessages(lmmfit(y ~ x + kin(1 | id, K) + (1 | id), pheno, REML = FALSE))
  ci <- confint(fit)
  expect_false(anyNA(ci))
  for (b in ci["x", ]) {
    at_b <- suppressMessages(lmmfit(y ~ 1 + kin(1 | id, K) + (1 | id), pheno, REML = FALSE,
                                    offset = b * x))
    expect_equal(deviance(at_b) - deviance(fit), stats::qchisq(0.95, 1), tolerance = 1e-4)
  }
})
