cv_example <- function() {
  withr::with_seed(21, {
    K <- toy_kinship(40)
    d <- toy_pheno(K, sample(1:3, 40, replace = TRUE))
    d$o <- stats::rnorm(nrow(d))
    d$y <- d$y + d$o
    d$f <- factor(sample(c("u", "v", "w"), nrow(d), replace = TRUE))
    d$family <- as.integer(sub("i", "", d$id)) %% 9
  })
  list(K = K, d = d)
}

test_that("each fold is predicted by the fit to the others", {
  at <- cv_example()
  K <- at$K
  folds <- at$d$family %% 4
  formulas <- list(y ~ x + f + kin(1 | id, K), y ~ x + f + (1 | family),
                   y ~ x + kin(1 | id, K) + (1 | id), y ~ poly(x, 2) + (x || family))
  for (formula in formulas) {
    fit <- suppressMessages(lmmfit(formula, at$d, weights = w, offset = o))
    cv <- suppressMessages(cross_validate(fit, folds))
    expected <- numeric(nrow(at$d))
    for (fold in unique(folds)) {
      own <- folds == fold
      part <- suppressMessages(lmmfit(formula, at$d[!own, ], weights = w, offset = o))
      expected[own] <- predict(part, at$d[own, ], allow.new.levels = TRUE)
    }
    expect_equal(cv$predictions$predicted, expected, tolerance = 1e-5)
    expect_equal(cv$by_repeat$correlation, stats::cor(expected, at$d$y), tolerance = 1e-5)
    first <- cv$by_fold[cv$by_fold$fold == folds[[1]], ]
    own <- folds == folds[[1]]
    expect_equal(first$n, sum(own))
    expect_equal(first$mse, mean((at$d$y - expected)[own]^2), tolerance = 1e-5)
    expect_equal(first$slope, stats::cov(expected[own], at$d$y[own]) /
                   stats::var(expected[own]), tolerance = 1e-4)
  }
  expect_equal(dim(cv$variances), c(4L, 3L))
  last <- as.data.frame(lme4::VarCorr(part))
  expect_equal(sort(unname(cv$variances[4, ])), sort(last$vcov), tolerance = 1e-4)
  known <- cross_validate(fit, folds, refit = FALSE)
  expect_identical(colnames(known$variances), colnames(cv$variances))
  expect_equal(unname(known$variances[2, "sigma^2"]), stats::sigma(fit)^2)
})

test_that("with known variances predictions are in closed form", {
  at <- cv_example()
  fit <- lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = at$K), weights = w)
  folds <- rep_len(1:5, nrow(at$d))
  cv <- cross_validate(fit, folds, refit = FALSE)
  expect_equal(cv$predictions$predicted, leave_one_out(fit, folds)$predicted)
  own <- folds == 2
  part <- lmmfit(y ~ x + (1 | id), at$d[!own, ], kinship = list(id = at$K), weights = w)
  part <- at_optimum(part, list(theta = unname(fit$theta)), TRUE)
  expect_equal(cv$predictions$predicted[own], unname(predict(part, at$d[own, ])),
               tolerance = 1e-8)
})

test_that("folds are of equal size, random, reproducible, and keep groups together", {
  at <- cv_example()
  fit <- lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = at$K))
  draw <- function(...) withr::with_seed(5, cross_validate(fit, refit = FALSE, ...))
  cv <- draw(folds = 7, repeats = 3)
  expect_identical(draw(folds = 7, repeats = 3), cv)
  expect_equal(nrow(cv$predictions), 3 * nrow(at$d))
  sizes <- table(cv$predictions$rep, cv$predictions$fold)
  expect_lte(diff(range(sizes)), 1)
  expect_false(identical(cv$predictions$fold[1:50], cv$predictions$fold[nrow(at$d) + 1:50]))
  together <- draw(folds = 5, groups = "id")$predictions
  expect_true(all(tapply(together$fold, at$d$id, function(x) length(unique(x))) == 1))
  families <- draw(folds = 9, groups = at$d$family)$predictions
  expect_true(all(tapply(families$fold, at$d$family, function(x) length(unique(x))) == 1))
  expect_identical(sort(unique(families$fold)), as.character(1:9))
})

test_that("folds without an estimate are counted, not hidden", {
  at <- cv_example()
  at$d$f <- factor(replace(as.character(at$d$f), 1:2, "lone"))
  fit <- suppressMessages(lmmfit(y ~ x + f + (1 | id), at$d, kinship = list(id = at$K)))
  folds <- c(1, 1, rep(2:4, length.out = nrow(at$d) - 2))
  for (refit in c(TRUE, FALSE)) {
    expect_message(cv <- cross_validate(fit, folds, refit = refit), "2 records can't",
                   class = "kinlmm_message_not_predictable")
    expect_identical(which(is.na(cv$predictions$predicted)), 1:2)
  }
  expect_output(print(cv), "Not predicted: 2 records")
  # all that is left of the response is one value
  d <- data.frame(y = c(rep(1, 30), withr::with_seed(1, stats::rnorm(10))),
                  g = rep(1:8, 5))
  fit <- suppressMessages(lmmfit(y ~ 1 + (1 | g), d))
  expect_warning(cv <- cross_validate(fit, rep(1:2, c(30, 10))), "1 fold could not be fitted",
                 class = "kinlmm_warning_folds")
  expect_equal(cv$settings$failed, 1)
  expect_equal(sum(is.na(cv$predictions$predicted)), 10)
})

test_that("results are summarised, printed and plotted", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  cv <- withr::with_seed(1, cross_validate(fit, 4, "Subject", 2, FALSE, h2 = 0.5))
  at <- summary(cv)
  expect_equal(at["accuracy", ], at["correlation", ] / sqrt(0.5), ignore_attr = TRUE)
  expect_equal(at["slope", "mean"], mean(cv$by_fold$slope))
  expect_equal(at["mse", "pooled"], mean(cv$by_repeat$mse))
  expect_output(print(cv), "4 folds that keep Subject together, 2 repeats.*those of the fit")
  expect_identical(as.data.frame(cv), cv$predictions)
  withr::local_pdf(NULL)
  expect_identical(plot(cv), cv)
  expect_kinlmm_error(cross_validate(fit, 1), "argument")
  expect_kinlmm_error(cross_validate(fit, 28, "Subject"), "argument", "between 2 and 27")
  expect_kinlmm_error(cross_validate(fit, rep(1, 108)), "argument", "There is one")
  expect_kinlmm_error(cross_validate(fit, rep(1:2, 54), "Subject"), "argument")
  expect_kinlmm_error(cross_validate(fit, h2 = 2), "argument")
})

test_that("what single records have no value of is a dash", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  cv <- cross_validate(fit, 108, refit = FALSE)
  expect_identical(summary(cv)["slope", "mean"], NA_real_)
  lines <- utils::capture.output(print(cv))
  expect_match(lines, "^slope +- +- +0.9", all = FALSE)
  expect_no_match(lines, "NaN")
})
