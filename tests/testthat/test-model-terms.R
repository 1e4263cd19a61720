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

test_that("kinship is a list named by grouping factors", {
  K <- toy_kinship(12)
  data <- toy_pheno(K)
  expect_kinlmm_error(lmmfit(y ~ (1 | id), data, kinship = K), "argument",
                      "Did you mean `kinship = list(id = K)`?")
  expect_kinlmm_error(lmmfit(y ~ (1 | id), data, kinship = list(animal = K)),
                      "kinship_group", c("Not a grouping factor: \"animal\"", "\"id\""))
  # of a list that lacks it
  expect_kinlmm_error(lmmfit(y ~ (1 | id), data, kinship = list(id = list(a = K)$b)),
                      "argument", 'NULL for "id"')
  expect_kinlmm_error(lmmfit(y ~ kin(1 | id, Kay), data), "variable", "Kay")
})

test_that("slopes must be finite", {
  d <- mixed_example()
  d$z[5] <- Inf
  expect_kinlmm_error(lmmfit(y ~ x + (z | g), d), "covariate",
                      c("random slopes must be finite", "Infinite values in \"z\""))
})

test_that("a grouping factor may be a call", {
  d <- mixed_example()
  d$i <- rev(d$i)
  d$ii <- factor(d$i)
  by_name <- lmmfit(y ~ x + (1 | ii), d)
  i <- rep(1L, 120)
  by_call <- lmmfit(y ~ x + (1 | factor(i)), d)
  expect_equal(deviance(by_call), deviance(by_name))
  expect_equal(predict(by_call, d), predict(by_name))
  expect_kinlmm_error(predict(by_call, d[c("x", "g")]), "newdata", "Not found: \"i\"",
                      list(missing = "i"))
  pairs <- lmmfit(y ~ x + (1 | interaction(h, f)), d)
  expect_equal(unname(ngrps(pairs)), 6L)
  expect_equal(predict(pairs, d[3:9, ]), predict(pairs)[3:9])
  expect_equal(deviance(lmmfit(y ~ x + (1 | paste(h, f)), d)), deviance(pairs))
  expect_equal(unname(ngrps(lmmfit(y ~ x + (1 | cut(z, 3)), d))), 3L)
})

test_that("a grouping factor is a vector", {
  d <- mixed_example()
  d$m <- cbind(d$i, d$i)
  expect_kinlmm_error(lmmfit(y ~ (1 | m), d), "group", "an integer matrix of 120 x 2")
  expect_kinlmm_error(eval_group(quote(i %% 2), d, NULL), "group", "`i%%2`")
})

test_that("whole numbers are levels without an exponent", {
  d <- mixed_example()
  d$id <- c(1e5, 2e5, 3:12)[d$i]
  levels <- c(3:12, "100000", "200000")
  fit <- lmmfit(y ~ x + (1 | id), d)
  expect_equal(rownames(ranef(fit)$id), levels)
  expect_equal(predict(fit, d), predict(fit))
  d$id <- as.integer(d$id)
  expect_equal(rownames(ranef(lmmfit(y ~ x + (1 | id), d))$id), levels)
  expect_equal(levels(group_factor(c(2.5, 1e5, NA))), c("2.5", "100000"))
})

test_that("contrasts are for the fixed effects", {
  d <- transform(mixed_example(), h = rep(c("u", "u", "v", "v", "v"), 24))
  expect_no_warning(suppressMessages(
    fit <- lmmfit(y ~ h + (h | g), d, contrasts = list(h = "contr.sum"))
  ))
  expect_named(fixef(fit), c("(Intercept)", "h1"))
  expect_named(ranef(fit)$g, c("(Intercept)", "hv"))
  expect_equal(predict(fit, d), predict(fit))
  expect_warning(lmmfit(y ~ x + (1 | g), d, contrasts = list(f = "contr.sum")),
                 "Not used: \"f\"", class = "kinlmm_warning_contrasts")
  expect_kinlmm_error(lmmfit(y ~ f + (1 | g), d, contrasts = "contr.sum"), "argument",
                      "`contrasts` must be a list")
  expect_kinlmm_error(lmmfit(y ~ x + (1 | g), d, contrasts = list(x = "contr.sum")),
                      "frame", "contrasts apply only to factors")
})

test_that("a factor with one level is named", {
  d <- mixed_example()
  expect_kinlmm_error(lmmfit(y ~ f + (1 | g), d, subset = f == "a"), "factor",
                      c("`f` must have at least two levels", "\"a\""), list(factor = "f"))
})

test_that("more columns than records are no harm if they are combinations of few", {
  d <- withr::with_seed(1, data.frame(y = stats::rnorm(12), g = rep(1:4, 3)))
  d$X <- withr::with_seed(2, matrix(stats::rnorm(24), 12) %*% matrix(stats::rnorm(28), 2))
  fit <- suppressMessages(lmmfit(y ~ X + (1 | g), d))
  expect_named(fixef(fit), c("(Intercept)", "X1", "X2"))
  skip_if_not_installed("lme4")
  theirs <- suppressMessages(lme4::lmer(y ~ X + (1 | g), d))
  expect_equal(fixef(fit), lme4::fixef(theirs), tolerance = 1e-5)
})

test_that("a term has one relationship matrix", {
  d <- mixed_example()
  K <- withr::with_seed(1, toy_kinship(12, prefix = ""))
  expect_kinlmm_error(lmmfit(y ~ x + kin(1 | g, K), d, kinship = list(g = K)),
                      "kinship_group", "More than one is given for \"g\"")
  expect_kinlmm_error(lmmfit(y ~ x + (1 | g), d, kinship = list(g = K, g = K)),
                      "kinship_group", "More than one is given for \"g\"")
})

test_that("the matrix of kin() is found in data, with the formula, or by the caller", {
  d <- mixed_example()
  kernel <- withr::with_seed(1, toy_kinship(12, prefix = ""))
  expected <- sigma(lmmfit(y ~ x + (1 | g), d, kinship = list(g = kernel)))
  as_list <- c(as.list(d), list(KK = kernel))
  expect_equal(sigma(lmmfit(y ~ x + kin(1 | g, KK), list2env(as_list))), expected)
  formula <- y ~ x + kin(1 | g, mine)
  caller <- function(mine) lmmfit(formula, d)
  expect_equal(sigma(caller(kernel)), expected)
  d$kernel <- d$x
  expect_equal(sigma(lmmfit(y ~ x + kin(1 | g, kernel), d)), expected)
  expect_kinlmm_error(lmmfit(y ~ kin(1 | g, x), d), "variable",
                      "'x' not found")
})

test_that("an interaction has the levels of interaction()", {
  withr::local_seed(4)
  a <- factor(sample(c("z", "b", "m"), 40, TRUE), c("z", "unused", "m", "b"))
  b <- factor(sample(1:12, 40, TRUE))
  expected <- interaction(a, b, sep = ":", drop = TRUE, lex.order = TRUE)
  expect_identical(as.character(cross_factors(a, b)), as.character(expected))
  expect_identical(levels(cross_factors(a, b)), levels(expected))
  a[3] <- NA
  expect_equal(which(is.na(cross_factors(a, b))), 3L)
  # the product of the numbers of levels is no integer
  many <- factor(1:50000)
  pairs <- cross_factors(many, many)
  expect_identical(as.character(pairs), paste(1:50000, 1:50000, sep = ":"))
  expect_equal(nlevels(pairs), 50000L)
  same <- cross_factors(factor(c("a:b", "a")), factor(c("c", "b:c")))
  expect_identical(as.character(same), rep("a:b:c", 2))
})

test_that("a grouping factor is what factor() makes of it", {
  withr::local_seed(5)
  examples <- list(
    sample(5:9, 30, TRUE), c(-3L, 7L, NA, -3L), c(1234567, -1234567, 2), c(-2147483647L, 2147483647L), c(0.5, 2, 2, NA),
    c("b", "a", NA), c(TRUE, FALSE), as.Date(c("2020-01-02", "2019-05-06")),
    factor(c("u", "v"), c("w", "v", "u")), ordered(c("u", "v"), c("w", "v", "u")),
    structure(factor(c("u", "v")), contrasts = "contr.sum"), c(2^31, 1, 2)
  )
  for (x in examples) {
    expect_identical(as.character(group_factor(x)), as.character(factor(x)))
    expect_identical(levels(group_factor(x)), levels(factor(x)))
    expect_identical(is.ordered(group_factor(x)), is.ordered(x))
    expect_setequal(names(attributes(group_factor(x))), c("levels", "class"))
  }
  expect_identical(levels(group_factor(c(1 + 1e-16, 1, 0.1 + 0.2, 0.3))), c("0.3", "1"))
})

test_that("designs of numeric vectors are those of model.matrix()", {
  d <- mixed_example()
  frame <- stats::model.frame(y ~ x + z + i + f + poly(x, 2) + log(w) + I(z^2), d)
  for (formula in list(~ x, ~ 0 + x, ~ z + i + log(w), ~ 1, ~ i - 1)) {
    terms <- frame_terms(formula, frame)
    expected <- stats::model.matrix(terms, frame)
    design <- design_matrix(terms, frame, NULL, "", NULL)
    expect_equal(design$X, expected, ignore_attr = c("assign", "contrasts"))
    expect_equal(design$assign, attr(expected, "assign"))
    expect_type(design$X, "double")
  }
  for (formula in list(~ x:z, ~ f, ~ x + poly(x, 2), ~ I(z^2))) {
    expect_null(numeric_design(frame_terms(formula, frame), frame))
  }
})

test_that("independent columns are those of qr()", {
  withr::local_seed(6)
  x <- stats::rnorm(50)
  for (distance in c(1e-3, 1e-5, 1e-6, 1e-8, 0)) {
    X <- cbind(1, x, x + distance * stats::rnorm(50), stats::rnorm(50))
    expect_equal(independent_columns(X, 1e-7), if (distance > 1e-7) 1:4 else c(1L, 2L, 4L))
  }
  expect_equal(independent_columns(cbind(0, x), 1e-7), 2L)
})

test_that("an intercept has no Z of its own", {
  d <- mixed_example()
  expect_null(lmmfit(y ~ x + (1 | g), d)$random[[1]]$Z)
  terms <- lmmfit(y ~ x + (z || g), d)$random
  expect_null(terms[[1]]$Z)
  expect_equal(term_design(terms[[1]]), matrix(1, 120, 1))
  expect_equal(term_design(terms[[2]]), cbind(d$z))
})

test_that("columns of zeros are named", {
  d <- transform(mixed_example(), none = 0)
  K <- withr::with_seed(1, toy_kinship(12, prefix = ""))
  for (formula in c(y ~ x + (0 + none | g), y ~ x + (none | g), y ~ x + (none || g),
                    y ~ x + kin(0 + none | g, K))) {
    expect_kinlmm_error(lmmfit(formula, d), "random_columns",
                        c("`g`", "\"none\" is zero in every row"))
  }
})

test_that("as many levels as records are refused with a hint that holds", {
  d <- mixed_example()
  d$id <- sprintf("i%03d", seq_len(120))
  K <- withr::with_seed(1, toy_kinship(120, prefix = "i"))
  dimnames(K) <- list(d$id, d$id)
  expect_kinlmm_error(lmmfit(y ~ x + (1 | id), d), "group", "kinship = list(id = K)")
  expect_kinlmm_error(lmmfit(y ~ x + (1 | g:id), d), "group", "kinship = list(`g:id` = K)")
  expect_kinlmm_error(lmmfit(y ~ x + kin(1 | id, K) + (1 | id), d), "group",
                      "needs levels with several records")
})

test_that("an offset in a random term is refused", {
  expect_kinlmm_error(lmmfit(y ~ x + (offset(o) | g), mixed_example()), "formula",
                      "`(offset(o) | g)` has one")
})

test_that("values whose squares are no numbers are refused", {
  d <- transform(mixed_example(), large = x * 1e200, small = x * 1e-200)
  for (formula in c(y ~ large + (1 | g), y ~ x + (large | g), y ~ x + (0 + large | g))) {
    expect_kinlmm_error(lmmfit(formula, d), "covariate", "Too large values in \"large\"")
  }
  expect_kinlmm_error(lmmfit(y ~ x + (0 + small | g), d), "random_columns", "small")
})
