# our table and lmerTest's at our optimum
expect_anova_equal <- function(fit, theirs, tolerance = 1e-5,
                               ddf = c("Satterthwaite", "Kenward-Roger")) {
  for (method in ddf) for (type in c("I", "II", "III")) {
    mine <- anova(fit, type = type, ddf = method)
    other <- suppressMessages(anova(theirs, type = type, ddf = method))
    expect_equal(as.matrix(mine), as.matrix(other)[rownames(mine), , drop = FALSE],
                 tolerance = tolerance, label = paste("type", type, method))
  }
}

test_that("tests of terms are lmerTest's: factors, covariates, interactions", {
  skip_if_not_installed("lmerTest")
  skip_if_not_installed("pbkrtest")
  d <- mixed_example()[-c(1:17, 40, 77), ]
  d$h <- factor(d$h)
  for (formula in list(y ~ f * h + x + (1 | g), y ~ f * h * x + (1 | g),
                       y ~ 0 + f + h + (1 | g), y ~ poly(x, 2) + f + (1 | g),
                       y ~ f + (1 | g), y ~ x + (1 | g), y ~ x * z + (z | g))) {
    fit <- lmmfit(formula, d)
    expect_anova_equal(fit, lmer_at(fit, d))
  }
  codings <- list(f = "contr.sum", h = "contr.helmert")
  fit <- lmmfit(y ~ f * h * x + (1 | g), d, contrasts = codings)
  expect_anova_equal(fit, lmer_at(fit, d, codings))
})

test_that("tests of terms are lmerTest's: carrots and ham", {
  skip_if_not_installed("lmerTest")
  carrots <- lmerTest::carrots
  fit <- lmmfit(Preference ~ sens2 * Homesize + (1 + sens2 | Consumer), carrots)
  expect_anova_equal(fit, lmer_at(fit, carrots), ddf = "Satterthwaite")
  ham <- lmerTest::ham
  fit <- lmmfit(Informed.liking ~ Product * Information * Gender + (1 | Product:Consumer),
                ham)
  expect_anova_equal(fit, lmer_at(fit, ham), ddf = "Satterthwaite")
})

test_that("missing cells: as lmerTest, whatever the contrasts", {
  skip_if_not_installed("lmerTest")
  cake <- lme4::cake
  cake$temperature <- factor(cake$temperature, ordered = FALSE)
  cake <- droplevels(subset(cake, temperature %in% levels(temperature)[1:3]))
  cake <- droplevels(subset(cake, !(
    recipe == "A" & temperature == "175" | recipe == "B" & temperature == "185" |
      recipe == "C" & temperature == "195")))
  formula <- angle ~ recipe * temperature + (1 | recipe:replicate)
  codings <- list(NULL, list(recipe = "contr.sum", temperature = "contr.SAS"),
                  list(recipe = stats::contr.helmert, temperature = "contr.poly"))
  first <- NULL
  for (coding in codings) {
    fit <- suppressMessages(lmmfit(formula, cake, contrasts = coding))
    table <- anova(fit)
    theirs <- suppressMessages(anova(lmerTest::lmer(formula, cake, contrasts = coding)))
    expect_equal(as.matrix(table), as.matrix(theirs), tolerance = 1e-4)
    if (is.null(first)) first <- table
    expect_equal(table, first, tolerance = 1e-6, ignore_attr = TRUE)
  }
})

test_that("types agree where they must: the cake data", {
  skip_if_not_installed("lme4")
  cake <- lme4::cake
  same <- function(a, b, ...) expect_equal(a, b, tolerance = 1e-6, ignore_attr = TRUE)
  F <- c("Sum Sq", "Mean Sq", "F value")
  fit <- lmmfit(angle ~ recipe * temp + (1 | recipe:replicate), cake)
  table <- anova(fit)
  expect_equal(table$NumDF, c(2, 1, 2))
  expect_equal(table$DenDF, c(254.0157612, 222, 222), tolerance = 1e-6)
  expect_match(attr(table, "heading"), "Type III .* Satterthwaite's method")
  same(anova(fit, ddf = "Kenward-Roger")[F], table[F])
  same(table, anova(fit, type = 2))
  expect_false(isTRUE(all.equal(anova(fit, type = "1"), table, check.attributes = FALSE)))
  same(anova(fit, type = "I")[F], anova(fit, ddf = "none")[F])

  for (ordered in c(TRUE, FALSE)) {
    cake$temperature <- factor(cake$temperature, ordered = ordered)
    fit <- lmmfit(angle ~ recipe * temperature + (1 | recipe:replicate), cake)
    table <- anova(fit, type = 1)
    expect_equal(table$DenDF, c(42, 210, 210), tolerance = 1e-6)
    same(table, anova(fit, type = 2))
    same(table, anova(fit, type = 3))
    same(table[F], anova(fit, ddf = "none")[F])
    same(table[F], anova(fit, type = 1, ddf = "Kenward-Roger")[F])
  }
  for (fit in list(
    lmmfit(angle ~ 0 + recipe * temp + (1 | recipe:replicate), cake),
    lmmfit(angle ~ recipe * temp + (1 | recipe:replicate), cake, REML = FALSE),
    lmmfit(angle ~ recipe * temp + (1 | recipe:replicate), cake,
           contrasts = list(recipe = "contr.sum"))
  )) same(anova(fit, type = 1)[F], anova(fit, ddf = "none")[F])
})

test_that("models with few fixed effects or none", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  sizes <- c("0" = 0, "1" = 0, "Days - 1" = 1, "Days - 1 + I(Days^2)" = 2,
             "Days + I(Days^2)" = 2)
  for (right in names(sizes)) {
    formula <- stats::as.formula(paste("Reaction ~", right, "+ (Days | Subject)"))
    fit <- suppressMessages(lmmfit(formula, sleep))
    for (type in 1:3) for (ddf in c("Satterthwaite", "Kenward-Roger", "none")) {
      table <- anova(fit, type = type, ddf = ddf)
      expect_equal(nrow(table), sizes[[right]])
      if (right == "Days - 1" && ddf != "none") {
        expect_equal(table$DenDF, 17, tolerance = 1e-6)
      }
    }
    p <- length(fixef(fit))
    for (ddf in c("Satterthwaite", "Kenward-Roger", "none")) {
      expect_equal(nrow(coef(summary(fit, ddf = ddf))), p)
    }
  }
})

test_that("types and methods are spelt out", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  for (type in list(0, "i", NA, 1:2)) {
    expect_kinlmm_error(anova(fit, type = type), "argument", "`type` must be one of")
  }
  expect_kinlmm_error(anova(fit, ddf = "KR"), "argument", "`ddf` must be one of")
  expect_equal(anova(fit, type = 3), anova(fit, type = "III"))
  expect_equal(anova(fit, ddf = "lme4"), anova(fit, ddf = "none"))
})

test_that("published SAS figures", {
  skip_if_not_installed("lmerTest")
  carrots <- lmerTest::carrots
  fit <- suppressMessages(lmmfit(
    Preference ~ sens2 * Frequency * Income + (1 + sens2 | Consumer), carrots,
    contrasts = list(Frequency = "contr.SAS", Income = "contr.SAS")))
  table <- anova(fit)
  expect_lt(table$`Pr(>F)`[[1]], 2e-5)
  expect_equal(round(table$`Pr(>F)`[-1], 5),
               c(0.15512, 0.06939, 0.08222, 0.52459, 0.03119, 0.48343), tolerance = 1e-4)
  expect_equal(round(table$DenDF), rep(83, 7))
  p <- coef(summary(fit))[, "Pr(>|t|)"]
  expect_equal(unname(p[c(2:6, 10, 28)]),
               c(0.005061, 0.6865554, 0.342613, 0.129157, 0.088231, 0.020646, 0.273686),
               tolerance = 1e-4)

  fit <- lmmfit(Preference ~ 0 + sens2 + Homesize + (1 + sens2 | Consumer), carrots)
  expect_equal(anova(fit, type = 1)$`F value`, c(56.5394, 4169.87), tolerance = 2e-5)
  expect_equal(anova(fit)$`F value`, c(54.8206, 4169.87), tolerance = 2e-5)
  fit <- lmmfit(Preference ~ sens2 * Homesize + (1 + sens2 | Consumer), carrots)
  expect_equal(anova(fit, type = 2)$`F value`, c(54.8361, 5.16138, 1.03035),
               tolerance = 1e-4)
  fit <- lmmfit(Informed.liking ~ Product * Age + (1 | Consumer), lmerTest::ham)
  expect_equal(anova(fit, type = 2)$`F value`, c(2.48135, 0.005387, 1.48451),
               tolerance = 1e-4)
  fit <- lmmfit(Preference ~ sens2 * Homesize * sens1 + (1 | Product), carrots)
  expect_equal(anova(fit, type = 2)$`F value`,
               c(16.4842, 14.0010, 0.526076, 1.18144, 0.107570, 0.335177, 1.05946),
               tolerance = 1e-4)
  expect_equal(anova(fit, type = 3)$`F value`,
               c(16.9140, 14.0010, 0.481148, 1.18144, 0.074201, 0.335177, 1.05946),
               tolerance = 1e-4)
})

test_that("type II of an unbalanced design in either order: SAS", {
  data <- data.frame(a = factor(c(1, 1, 1, 2, 2, 2, 2, 2, 1, 2)),
                     b = factor(c(1, 1, 2, 1, 2, 2, 2, 2, 2, 1)),
                     f = factor(rep(1:2, 5)),
                     y = c(12, 14, 11, 20, 17, 23, 35, 46, 15, 16))
  one <- anova(suppressMessages(lmmfit(y ~ a * b + (1 | f), data)), type = 2)
  two <- anova(suppressMessages(lmmfit(y ~ b * a + (1 | f), data)), type = 2)
  expect_equal(one$`F value`, c(3.90131, 1.32753, 0.99565), tolerance = 1e-5)
  expect_equal(one, two[c(2, 1, 3), ], tolerance = 1e-8, ignore_attr = TRUE)
})

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
  ours <- anova(lmmfit(distance ~ age * Sex + (1 | Subject), data), ddf = "none")
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

test_that("a variance is tested on its boundary, where the terms say so", {
  d <- mixed_example()
  d$h <- factor(d$h)
  one <- lmmfit(y ~ x + (1 | g), d)
  slope <- suppressMessages(lmmfit(y ~ x + (z | g), d))
  table <- anova(one, slope, refit = FALSE)
  chisq <- deviance(one) - deviance(slope)
  upper <- function(df) stats::pchisq(chisq, df, lower.tail = FALSE)
  expect_equal(table$`Pr(>Chisq)`[[2]], (upper(1) + upper(2)) / 2)
  expect_match(attr(table, "heading")[[5]], "P-value of slope: half .* on 1 df, half on 2")
  plain <- anova(one, slope, refit = FALSE, mixture = FALSE)
  expect_equal(plain$`Pr(>Chisq)`[[2]], upper(2))
  expect_match(attr(plain, "heading")[[5]], "P-values: chi-square on Df")

  alone <- suppressMessages(lmmfit(y ~ x + (z || g), d))
  chisq <- deviance(one) - deviance(alone)
  expect_equal(anova(one, alone, refit = FALSE)$`Pr(>Chisq)`[[2]], upper(1) / 2)
  # a covariance is not on a boundary; nor is a fixed effect
  covariance <- anova(alone, slope, refit = FALSE)
  expect_match(attr(covariance, "heading")[[5]], "P-values: chi-square on Df")
  both <- suppressMessages(lmmfit(y ~ x + f + (z | g), d))
  expect_match(attr(suppressMessages(anova(one, both)), "heading")[[5]], "chi-square on Df")
  # (1 | g) is a part of (0 + h | g), which has one effect more
  d <- transform(d, h = rep(c("u", "u", "v", "v", "v"), 24),
                 f = rep(c("a", "b", "c", "b", "a"), 24))
  cells <- suppressMessages(lmmfit(y ~ x + (0 + h | g), d))
  expect_match(attr(anova(one, cells, refit = FALSE), "heading")[[5]], "half chi-square on 1")
  # three columns more at once: several variances
  cells <- suppressMessages(lmmfit(y ~ x + (0 + f | g), d))
  expect_match(attr(anova(one, cells, refit = FALSE), "heading")[[5]], "chi-square on Df")
})

test_that("half of the null distribution of one variance is at zero", {
  expect_equal(ratio_p_value(c(NA, 0, 3, 3, 3), c(NA, 1, 1, 0, 2),
                             c(FALSE, TRUE, TRUE, FALSE, TRUE)),
               c(NA, 1, stats::pchisq(3, 1, lower.tail = FALSE) / 2, NA,
                 (stats::pchisq(3, 1, lower.tail = FALSE) +
                    stats::pchisq(3, 2, lower.tail = FALSE)) / 2))
})

test_that("least squares can be compared with", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  least <- stats::lm(Reaction ~ Days, sleep)
  fit <- lmmfit(Reaction ~ Days + (1 | Subject), sleep, REML = FALSE)
  table <- anova(fit, least)
  expect_equal(rownames(table), c("least", "fit"))
  theirs <- anova(lme4::lmer(Reaction ~ Days + (1 | Subject), sleep, REML = FALSE), least)
  expect_equal(table$Chisq, theirs$Chisq, tolerance = 1e-6)
  expect_equal(table$`Pr(>Chisq)`, theirs$`Pr(>Chisq)` / 2, tolerance = 1e-6)
  reml <- update(fit, REML = TRUE)
  expect_equal(anova(reml, least, refit = FALSE)$Chisq, ranova(reml)$LRT)
})

test_that("ML with a kernel is compared with its like only", {
  K <- withr::with_seed(3, toy_kinship(30))
  data <- withr::with_seed(4, toy_pheno(K, rep(c(1L, 2L, 3L), 10)))
  kernel <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K))
  iid <- lmmfit(y ~ x + (1 | id), data)
  expect_kinlmm_error(suppressMessages(anova(kernel, iid)), "comparison", "free of")
  expect_s3_class(anova(kernel, iid, refit = FALSE), "anova")
})
