test_that("likelihood-ratio tests are lme4's", {
  skip_if_not_installed("lme4")
  d <- mixed_example()[-(1:17), ]
  for (formula in list(y ~ f * h + x + (1 | g), y ~ 0 + f + h + (1 | g),
                       y ~ f + x + (z | g))) {
    fit <- suppressMessages(lmmfit(formula, d))
    ours <- drop1(fit, test = "Chisq")
    theirs <- suppressMessages(drop1(lme4::lmer(formula, d), test = "Chisq"))
    expect_equal(rownames(ours), rownames(theirs))
    expect_equal(as.matrix(ours), as.matrix(theirs), tolerance = 1e-4, ignore_attr = TRUE)
    expect_equal(names(drop1(fit)), c("Df", "AIC"))
    expect_equal(ours$AIC[[1]], stats::extractAIC(fit)[[2]])
  }
})

test_that("a ratio is that of the model fitted without the term", {
  d <- mixed_example()
  fit <- lmmfit(y ~ f + x + (z | g), d, weights = w, REML = FALSE)
  table <- drop1(fit, test = "Chisq", k = 3)
  smaller <- suppressMessages(update(fit, . ~ . - f))
  expect_equal(table["f", "LRT"], deviance(smaller) - deviance(fit), tolerance = 1e-7)
  expect_equal(table["f", "AIC"], deviance(smaller) + 3 * (length(fixef(smaller)) + 4),
               tolerance = 1e-10)
})

test_that("several grouping factors, and a kernel", {
  oats <- as.data.frame(nlme::Oats)
  fit <- lmmfit(yield ~ Variety + nitro + (1 | Block / Variety), oats)
  table <- drop1(fit, test = "Chisq")
  compared <- suppressMessages(anova(fit, update(fit, . ~ . - Variety)))
  expect_equal(table["Variety", "LRT"], compared$Chisq[[2]], tolerance = 1e-6)
  K <- withr::with_seed(3, toy_kinship(30))
  data <- withr::with_seed(4, toy_pheno(K, rep(c(1L, 2L, 3L), 10)))
  fit <- lmmfit(y ~ x + w + (1 | id), data, kinship = list(id = K))
  compared <- suppressMessages(anova(fit, update(fit, . ~ . - x)))
  expect_equal(drop1(fit, "x", test = "Chisq")$LRT[[2]], compared$Chisq[[2]],
               tolerance = 1e-6)
})

test_that("F tests are lmerTest's", {
  skip_if_not_installed("lmerTest")
  skip_if_not_installed("pbkrtest")
  d <- mixed_example()[-(1:17), ]
  fit <- lmmfit(y ~ f * h + x + (1 | g), d)
  theirs <- lmer_at(fit, d)
  for (ddf in c("Satterthwaite", "Kenward-Roger")) {
    expect_equal(as.matrix(drop1(fit, test = "F", ddf = ddf)),
                 as.matrix(drop1(theirs, ddf = ddf)), tolerance = 1e-6)
  }
})

test_that("without an intercept a factor has one degree of freedom less than levels", {
  d <- mixed_example()[-(1:17), ]
  fit <- lmmfit(y ~ 0 + f + h + (1 | g), d)
  with <- lmmfit(y ~ f + h + (1 | g), d)
  expect_equal(drop1(fit, test = "F")$NumDF, c(2, 1))
  expect_equal(drop1(fit, test = "F")$`F value`, drop1(with, test = "F")$`F value`)
})

test_that("scope says which terms", {
  fit <- lmmfit(distance ~ age * Sex + (1 | Subject), nlme::Orthodont)
  expect_equal(rownames(drop1(fit)), c("<none>", "age:Sex"))
  expect_equal(drop1(fit, "age:Sex"), drop1(fit, ~ age:Sex))
  expect_kinlmm_error(drop1(fit, "age"), "argument", c("\"age\" can't be left out",
                                                     "There are \"age:Sex\""))
  none <- lmmfit(distance ~ 1 + (1 | Subject), nlme::Orthodont)
  expect_equal(nrow(drop1(none)), 1L)
  expect_equal(nrow(drop1(none, test = "F")), 0L)
})

test_that("step() leaves out fixed effects and keeps the random ones", {
  d <- mixed_example()
  fit <- lmmfit(y ~ x + f + h + (1 | g), d, REML = FALSE)
  chosen <- suppressMessages(stats::step(fit, trace = 0))
  expect_s3_class(chosen, "lmmfit")
  expect_equal(names(chosen$random), "g")
  expect_lte(stats::AIC(chosen), stats::AIC(fit))
  expect_true("x" %in% names(fixef(chosen)))
  expect_equal(formula(chosen), y ~ x + (1 | g), ignore_attr = TRUE)
  kept <- suppressMessages(stats::step(fit, scope = list(lower = ~ f), trace = 0))
  expect_true("fb" %in% names(fixef(kept)))
})
