skip_if_not_installed("insight", "1.0.0")
data <- as.data.frame(nlme::Orthodont)
fit <- lmmfit(distance ~ age * Sex + (age | Subject), data)

test_that("the parts of the formula and their variables are told apart", {
  skip_if_not_installed("reformulas")
  skip_if_not_installed("lme4")
  formulas <- list(distance ~ age * Sex + (age | Subject), distance ~ age + (1 | Subject),
                   distance ~ age + (1 | Subject) + (0 + age | Subject))
  for (formula in formulas) {
    ours <- suppressMessages(lmmfit(formula, data))
    theirs <- suppressMessages(lme4::lmer(formula, data))
    for (name in c("find_random", "find_response", "find_predictors", "find_variables",
                   "find_random_slopes", "is_mixed_model", "n_grouplevels", "n_parameters",
                   "find_parameters", "find_statistic", "get_df", "get_data", "get_random",
                   "get_predictors", "n_obs", "get_response")) {
      f <- getExportedValue("insight", name)
      expect_equal(f(ours), f(theirs), info = name, ignore_attr = TRUE)
    }
    expect_equal(insight::get_statistic(ours), insight::get_statistic(theirs),
                 tolerance = 1e-3, ignore_attr = TRUE)
    expect_equal(insight::get_parameters(ours), insight::get_parameters(theirs),
                 tolerance = 1e-3, ignore_attr = TRUE)
    expect_equal(as.numeric(insight::get_loglikelihood(ours)), as.numeric(logLik(theirs)),
                 tolerance = 1e-6)
  }
})

test_that("variances add up as Nakagawa and others define them", {
  of <- insight::get_variance(fit)
  Z <- cbind(1, data$age)
  expect_equal(of$var.random, mean(diag(Z %*% VarCorr(fit)$Subject %*% t(Z))))
  expect_equal(of$var.fixed, stats::var(predict(fit, re.form = NA)))
  expect_equal(of$var.residual, sigma(fit)^2)
  expect_equal(of$var.intercept, c(Subject = VarCorr(fit)$Subject[1, 1]))
  expect_equal(of$var.slope, c(Subject.age = VarCorr(fit)$Subject[2, 2]))
  expect_equal(of$cor.slope_intercept,
               unname(attr(VarCorr(fit)$Subject, "correlation")[2, 1]),
               ignore_attr = TRUE)
  expect_equal(insight::get_variance(fit, "random"), of$var.random)
  withr::local_seed(3)
  K <- toy_kinship(30)
  pheno <- toy_pheno(K, records = rep(2L, 30), h2 = 0.9)
  kernel <- lmmfit(y ~ x + (1 | id), pheno, kinship = list(id = K))
  expect_gt(kernel$theta, 0.5)
  expect_equal(insight::get_variance(kernel, "random"),
               VarCorr(kernel)$id[1, 1] * mean(diag(K)))
})

test_that("parameters of both kinds", {
  expect_equal(insight::find_parameters(fit, "fixed", flatten = TRUE), names(fixef(fit)))
  expect_equal(insight::find_parameters(fit, "random")$random,
               list(Subject = c("(Intercept)", "age")))
  expect_equal(insight::get_parameters(fit, "random")$Subject,
               ranef(fit, condVar = FALSE)$Subject)
  expect_equal(insight::find_algorithm(refitML(fit))$algorithm, "ML")
  expect_equal(insight::get_df(fit, "normal"), Inf)
})

test_that("coefficients of determination are those of lme4's fit", {
  skip_if_not_installed("performance", "0.13.0")
  skip_if_not_installed("lme4")
  theirs <- lme4::lmer(distance ~ age * Sex + (age | Subject), data)
  expect_equal(unlist(performance::r2(fit)), unlist(performance::r2(theirs)),
               tolerance = 1e-3)
  expect_equal(unlist(performance::icc(fit)), unlist(performance::icc(theirs)),
               tolerance = 1e-3)
  expect_true(performance::check_convergence(fit))
  expect_lt(attr(performance::check_convergence(fit), "gradient"), 1e-6)
  expect_false(performance::check_singularity(fit))
})
