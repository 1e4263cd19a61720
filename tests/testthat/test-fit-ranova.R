expect_ranova_equal <- function(formula, data, rows, df, tolerance = 1e-4) {
  fit <- suppressMessages(lmmfit(formula, data))
  table <- ranova(fit, mixture = FALSE)
  expect_equal(rownames(table), c("<none>", rows))
  expect_equal(table$Df[-1], df)
  theirs <- suppressWarnings(suppressMessages(
    # its data must be in the call, which it evaluates
    lmerTest::ranova(do.call(lmerTest::lmer, list(formula, data)))))
  expect_equal(as.matrix(table), as.matrix(theirs), tolerance = tolerance)
  invisible(fit)
}

test_that("a slope, an intercept, a whole term: lmerTest's tests", {
  skip_if_not_installed("lmerTest")
  sleep <- lme4::sleepstudy
  fit <- expect_ranova_equal(Reaction ~ Days + (Days | Subject), sleep,
                             "Days in (Days | Subject)", 2)
  smaller <- lmmfit(Reaction ~ Days + (1 | Subject), sleep)
  expect_equal(ranova(fit)$LRT[[2]], anova(fit, smaller, refit = FALSE)$Chisq[[2]])
  expect_equal(ranova(fit)$`Pr(>Chisq)`[[2]],
               anova(fit, smaller, refit = FALSE)$`Pr(>Chisq)`[[2]])
  whole <- ranova(fit, reduce.terms = FALSE)
  expect_equal(whole$Df, c(NA, 3))
  least <- stats::lm(Reaction ~ Days, sleep)
  expect_equal(whole$LRT[[2]],
               2 * as.numeric(logLik(fit) - logLik(least, REML = TRUE)))
  expect_match(attr(whole, "heading")[[3]], "P-values: chi-square on Df")
  expect_ranova_equal(Reaction ~ Days + (1 | Subject), sleep, "(1 | Subject)", 1)
  expect_ranova_equal(Reaction ~ Days + (1 + Days | Subject), sleep,
                      "Days in (1 + Days | Subject)", 2)
})

test_that("ML fits are tested by ML", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  least <- stats::lm(Reaction ~ Days, sleep)
  fit <- lmmfit(Reaction ~ Days + (1 | Subject), sleep, REML = FALSE)
  table <- ranova(fit)
  expect_equal(table$logLik, as.numeric(c(logLik(fit), logLik(least))))
  expect_equal(table$AIC, c(stats::AIC(fit), stats::AIC(least)))
  none <- lmmfit(Reaction ~ 0 + (1 | Subject), sleep)
  expect_equal(ranova(none)$logLik[[2]],
               as.numeric(logLik(stats::lm(Reaction ~ 0, sleep))))
})

test_that("one variance has half the p-value, as the mixture says", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff)
  table <- ranova(fit)
  plain <- ranova(fit, mixture = FALSE)
  expect_equal(table$`Pr(>Chisq)`, plain$`Pr(>Chisq)` / 2)
  expect_match(attr(table, "heading")[[3]], "half chi-square on 0 df")
  zero <- suppressMessages(lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2))
  expect_equal(ranova(zero)$`Pr(>Chisq)`[[2]], 1)
})

test_that("decorrelated columns are terms of their own", {
  skip_if_not_installed("lmerTest")
  sleep <- lme4::sleepstudy
  fit <- lmmfit(Reaction ~ Days + (Days || Subject), sleep)
  table <- ranova(fit, mixture = FALSE)
  expect_equal(rownames(table), c("<none>", "(1 | Subject)", "(0 + Days | Subject)"))
  theirs <- lmerTest::ranova(lmerTest::lmer(Reaction ~ Days + (Days || Subject), sleep),
                             reduce.terms = FALSE)
  expect_equal(as.matrix(table), as.matrix(theirs), tolerance = 1e-4)
})

test_that("what is not a part of a term does not take its place", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  for (formula in list(Reaction ~ Days + (0 + Days | Subject),
                       Reaction ~ Days + (-1 + Days | Subject))) {
    table <- ranova(lmmfit(formula, sleep))
    expect_equal(rownames(table)[[2]], "(0 + Days | Subject)")
    expect_equal(table$Df[[2]], 1)
  }
  fit <- suppressMessages(lmmfit(Reaction ~ Days + (0 + poly(Days, 2) | Subject), sleep))
  expect_equal(ranova(fit)$Df, c(NA, 3))
})

test_that("several variables and factors in a term: lmerTest's tests", {
  skip_if_not_installed("lmerTest")
  carrots <- lmerTest::carrots
  # lme4's own optimum of the whole model is 1.7 above ours
  fit <- suppressMessages(lmmfit(Preference ~ sens2 + Homesize +
                                   (sens1 + sens2 | Consumer), carrots))
  table <- ranova(fit)
  expect_equal(rownames(table)[-1], c("sens1 in (sens1 + sens2 | Consumer)",
                                      "sens2 in (sens1 + sens2 | Consumer)"))
  expect_equal(table$Df, c(NA, 3, 3))
  expect_equal(table$logLik, c(-1873.548, -1874.463, -1877.879), tolerance = 1e-6)
  expect_ranova_equal(Preference ~ sens2 + (poly(sens2, 2) | Consumer), carrots,
                      "poly(sens2, 2) in (poly(sens2, 2) | Consumer)", 5)
  expect_ranova_equal(Preference ~ sens2 + (log(10 + sens2) | Consumer), carrots,
                      "log(10 + sens2) in (log(10 + sens2) | Consumer)", 2)
  fit <- suppressMessages(lmmfit(Preference ~ sens2 + Gender + (0 + Gender | Consumer),
                                 carrots))
  table <- ranova(fit)
  expect_equal(rownames(table)[[2]], "Gender in (0 + Gender | Consumer)")
  expect_equal(table$Df[[2]], 2)
})

test_that("several grouping factors: lmerTest's tests", {
  skip_if_not_installed("lmerTest")
  TVbo <- lmerTest::TVbo
  expect_ranova_equal(Coloursaturation ~ TVset * Picture + (1 | Assessor:TVset) +
                        (1 | Assessor), TVbo, c("(1 | Assessor:TVset)", "(1 | Assessor)"),
                      c(1, 1))
  nested <- lmmfit(Coloursaturation ~ TVset * Picture + (1 | Assessor / TVset), TVbo)
  crossed <- lmmfit(Coloursaturation ~ TVset * Picture + (1 | Assessor:TVset) +
                      (1 | Assessor), TVbo)
  expect_equal(ranova(nested), ranova(crossed), tolerance = 1e-6, ignore_attr = TRUE)
  ham <- lmerTest::ham
  expect_ranova_equal(Informed.liking ~ Product + Information + (1 | Consumer) +
                        (1 | Product:Consumer) + (1 | Information:Consumer), ham,
                      c("(1 | Consumer)", "(1 | Product:Consumer)",
                        "(1 | Information:Consumer)"), c(1, 1, 1))
})

test_that("nothing is evaluated again: missing values, deleted data", {
  data <- mixed_example()
  data$x[3:9] <- NA
  fit <- lmmfit(y ~ x + (z | g), data)
  rm(data)
  expect_s3_class(ranova(fit), "anova")
  expect_equal(ranova(fit)$npar, c(6, 4))
})

test_that("a kernel is tested too", {
  K <- withr::with_seed(3, toy_kinship(30))
  data <- withr::with_seed(4, toy_pheno(K, rep(c(1L, 2L, 3L), 10)))
  fit <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K))
  least <- stats::lm(y ~ x, data)
  expect_equal(ranova(fit)$logLik[[2]], as.numeric(logLik(least, REML = TRUE)))
  expect_equal(rownames(ranova(fit))[[2]], "kin(1 | id)")
  both <- lmmfit(y ~ x + kin(1 | id, K) + (1 | id), data)
  table <- ranova(both)
  expect_equal(rownames(table), c("<none>", "kin(1 | id)", "(1 | id)"))
  expect_equal(table$logLik[[3]], as.numeric(logLik(fit)), tolerance = 1e-8)
})
