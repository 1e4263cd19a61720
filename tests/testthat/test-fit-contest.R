test_that("contrasts are lmerTest's", {
  skip_if_not_installed("lmerTest")
  skip_if_not_installed("pbkrtest")
  sleep <- lme4::sleepstudy
  fit <- lmmfit(Reaction ~ Days + I(Days^2) + (Days || Subject), sleep)
  theirs <- lmer_at(fit, sleep)
  L <- rbind(a = c(0, 1, 0), b = c(1, 2, 4))
  for (ddf in c("Satterthwaite", "Kenward-Roger")) {
    expect_equal(contest(fit, L, ddf = ddf), lmerTest::contest(theirs, L, ddf = ddf),
                 tolerance = 1e-6)
    expect_equal(contest(fit, L, rhs = c(5, 250), ddf = ddf),
                 lmerTest::contest(theirs, L, rhs = c(5, 250), ddf = ddf),
                 tolerance = 1e-6)
    expect_equal(contest(fit, L, joint = FALSE, ddf = ddf),
                 lmerTest::contest(theirs, L, joint = FALSE, ddf = ddf), tolerance = 1e-6)
    expect_equal(contest(fit, L, rhs = 3, joint = FALSE, ddf = ddf, level = 0.99),
                 lmerTest::contest(theirs, L, rhs = 3, joint = FALSE, ddf = ddf,
                                   level = 0.99), tolerance = 1e-6)
    whole <- contest(fit, diag(3), ddf = ddf)
    expect_equal(whole, lmerTest::contest(theirs, diag(3), ddf = ddf), tolerance = 1e-6)
  }
  expect_equal(names(contest(fit, L, joint = FALSE, confint = FALSE)),
               c("Estimate", "Std. Error", "df", "t value", "Pr(>|t|)"))
})

test_that("t tests of the unit contrasts are those of summary()", {
  fit <- lmmfit(distance ~ age * Sex + (age | Subject), nlme::Orthodont)
  for (ddf in c("Satterthwaite", "Kenward-Roger")) {
    table <- contest(fit, diag(4), joint = FALSE, confint = FALSE, ddf = ddf)
    expect_equal(as.matrix(table), coef(summary(fit, ddf = ddf)), ignore_attr = TRUE)
  }
})

test_that("one row: F is the square of t", {
  fit <- lmmfit(distance ~ age * Sex + (1 | Subject), nlme::Orthodont)
  L <- c(0, 0, 1, 8)
  t <- contest(fit, L, rhs = 1, joint = FALSE)
  F <- contest(fit, L, rhs = 1)
  expect_equal(t$`t value`^2, F$`F value`)
  expect_equal(t$df, F$DenDF)
  expect_equal(t$`Pr(>|t|)`, F$`Pr(>F)`)
})

test_that("rows that are combinations of others count once", {
  fit <- lmmfit(distance ~ age * Sex + (1 | Subject), nlme::Orthodont)
  L <- diag(4)[2:3, ]
  for (ddf in c("Satterthwaite", "Kenward-Roger")) {
    once <- contest(fit, L, rhs = c(1, 2), ddf = ddf)
    more <- contest(fit, rbind(L, colSums(L)), rhs = c(1, 2, 3), ddf = ddf)
    expect_equal(more$NumDF, 2)
    expect_equal(more$`F value`, once$`F value`)
  }
  expect_kinlmm_error(contest(fit, rbind(L, colSums(L)), rhs = c(1, 2, 4)), "argument",
                      "`rhs` must be a value")
  expect_true(is.na(contest(fit, rep(0, 4))$`F value`))
})

test_that("a list of contrasts, no contrasts, and no coefficients", {
  fit <- lmmfit(distance ~ age * Sex + (1 | Subject), nlme::Orthodont)
  table <- contest(fit, list(age = c(0, 1, 0, 0), sex = diag(4)[3:4, ]))
  expect_equal(rownames(table), c("age", "sex"))
  expect_equal(table$NumDF, 1:2)
  expect_equal(nrow(contest(fit, diag(4)[0, ])), 0L)
  empty <- lmmfit(distance ~ 0 + (1 | Subject), nlme::Orthodont)
  expect_equal(nrow(contest(empty, numeric())), 0L)
  expect_equal(nrow(contest(empty, numeric(), joint = FALSE)), 0L)
})

test_that("contrasts that do not fit are named", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  expect_kinlmm_error(contest(fit, 1:3), "argument", "for each of the 2 coefficients")
  expect_kinlmm_error(contest(fit, matrix(1, 2, 1)), "argument", "It has 1")
  expect_kinlmm_error(contest(fit, c(1, NA)), "argument", "1 other value")
  expect_kinlmm_error(contest(fit, c("1", "2")), "argument", "`L` must be numeric")
  expect_kinlmm_error(contest(fit, 1:2, rhs = 1:3), "argument", "`rhs` must be finite")
  expect_kinlmm_error(contest(fit, 1:2, ddf = "none"), "argument", "`ddf` must be")
  expect_kinlmm_error(contest(1, 1), "argument", "`model` must be")
})

test_that("lmerTest and kinlmm know each other's fits", {
  skip_if_not_installed("lmerTest")
  theirs <- lmerTest::lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  fit <- lmmfit(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  expect_equal(contest(theirs, 0:1), lmerTest::contest(theirs, 0:1))
  expect_equal(lmerTest::contest(fit, 0:1), contest(fit, 0:1))
  expect_equal(ranova(theirs), lmerTest::ranova(theirs))
})
