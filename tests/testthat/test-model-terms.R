test_that("linearly dependent columns are dropped and named, as lme4 does", {
  data <- as.data.frame(nlme::Orthodont)
  data$twice <- 2 * data$age
  expect_message(fit <- lmmfit(distance ~ age + twice + Sex + (1 | Subject), data),
                 "1 column is dropped: \"twice\"", class = "kinlmm_message_dropped")
  expect_named(fixef(fit), c("(Intercept)", "age", "SexFemale"))
  expect_equal(deviance(fit),
               deviance(lmmfit(distance ~ age + Sex + (1 | Subject), data)))
  expect_equal(fit$dropped, "twice")
  expect_equal(predict(fit, data), predict(fit), ignore_attr = TRUE)
})

test_that("factors, interactions, contrasts and stored bases", {
  data <- as.data.frame(nlme::Orthodont)
  sum_coded <- lmmfit(distance ~ age * Sex + (1 | Subject), data,
                      contrasts = list(Sex = "contr.sum"))
  treatment <- lmmfit(distance ~ age * Sex + (1 | Subject), data)
  expect_named(fixef(sum_coded), c("(Intercept)", "age", "Sex1", "age:Sex1"))
  expect_equal(fitted(sum_coded), fitted(treatment))
  basis <- lmmfit(distance ~ poly(age, 2) + (poly(age, 1) | Subject), data)
  new <- data[c(5, 90), ]
  expect_equal(predict(basis, new), predict(basis)[c(5, 90)], ignore_attr = TRUE)
})

test_that("`||` decorrelates columns, factors too", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  two <- lmmfit(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), sleep)
  bars <- lmmfit(Reaction ~ Days + (Days || Subject), sleep)
  expect_equal(deviance(two), deviance(bars))
  expect_named(VarCorr(bars), c("Subject", "Subject.1"))
  sleep$late <- factor(sleep$Days > 4)
  factor_term <- lmmfit(Reaction ~ Days + (0 + late || Subject), sleep)
  expect_length(factor_term$theta, 2L)
})

test_that("an interaction groups by pairs", {
  data <- data.frame(y = sin(1:24), a = rep(1:2, 12), b = rep(1:3, each = 8))
  data$ab <- interaction(data$a, data$b)
  expect_equal(deviance(lmmfit(y ~ (1 | a:b), data)), deviance(lmmfit(y ~ (1 | ab), data)))
})

test_that("grouping factors that say nothing are errors", {
  data <- data.frame(y = c(1, 3, 2, 5), one = "a", each = 1:4, g = c(1, 1, 2, 2))
  expect_kinlmm_error(lmmfit(y ~ (1 | one), data), "group",
                      "must have at least two levels", list(group = "one"))
  expect_kinlmm_error(lmmfit(y ~ (1 | each), data), "group",
                      c("fewer levels than there are records", "4 levels for 4 records",
                        "kinship = list(each = K)"),
                      list(group = "each", levels = 4L, n = 4L))
  expect_kinlmm_error(lmmfit(y ~ (each | g), data), "group", "4 random effects")
  expect_kinlmm_error(lmmfit(y ~ factor(each) + (1 | g), data), "rank",
                      "4 linearly independent columns for 4 records")
  data$x <- c(1, Inf, 2, 3)
  expect_kinlmm_error(lmmfit(y ~ x + (1 | g), data), "covariate", "x")
})

test_that("several grouping factors are refused by name, not fitted wrongly", {
  data <- data.frame(y = sin(1:12), a = rep(1:3, 4), b = rep(1:4, each = 3))
  expect_kinlmm_error(lmmfit(y ~ (1 | a) + (1 | b), data), "unsupported",
                      c("several grouping factors", "\"a\", \"b\""))
})

test_that("kinship is a list named by grouping factors", {
  K <- toy_kinship(12)
  data <- toy_pheno(K)
  expect_kinlmm_error(lmmfit(y ~ (1 | id), data, kinship = K), "argument",
                      "Did you mean `kinship = list(id = K)`?")
  expect_kinlmm_error(lmmfit(y ~ (1 | id), data, kinship = list(animal = K)),
                      "kinship_group", c("Not a grouping factor: \"animal\"", "\"id\""))
  expect_kinlmm_error(lmmfit(y ~ kin(1 | id, Kay), data), "variable", "Kay")
  expect_kinlmm_error(lmmfit(y ~ kin(x | id, K), data), "unsupported", "with slopes")
})
