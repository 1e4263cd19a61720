# Predictions and their variances from the records that are not in `own`, at the variance
# ratios of a fit, by its covariance matrix.
dense_left_out <- function(fit, groups) {
  root <- sqrt(fit$weights)
  V <- dense_covariance(fit, fit$theta)$H / tcrossprod(root)
  X <- fit$fixed$X
  y <- fit$y - fit$offset
  out <- data.frame(predicted = y, pev = y)
  for (own in split(seq_along(y), groups)) {
    Vi <- solve(V[-own, -own])
    x <- X[-own, , drop = FALSE]
    Q <- if (ncol(x) > 0L) solve(t(x) %*% Vi %*% x) else matrix(0, 0, 0)
    b <- Q %*% t(x) %*% Vi %*% y[-own]
    C <- V[own, -own, drop = FALSE] %*% Vi
    out$predicted[own] <- X[own, , drop = FALSE] %*% b + C %*% (y[-own] - x %*% b)
    through <- X[own, , drop = FALSE] - C %*% x
    out$pev[own] <- fit$sigma^2 * diag(V[own, own] - C %*% V[-own, own, drop = FALSE] +
                                         through %*% Q %*% t(through))
  }
  out$predicted <- out$predicted + fit$offset
  out
}

loo_example <- function() {
  withr::with_seed(11, {
    K <- toy_kinship(40)
    d <- toy_pheno(K, sample(0:4, 40, replace = TRUE))
    n <- nrow(d)
    d$g <- factor(sample(9, n, replace = TRUE))
    d$o <- stats::rnorm(n)
    d$y <- d$y + d$o + stats::rnorm(9)[d$g] + 0.5 * d$x * stats::rnorm(9)[d$g]
  })
  list(K = K, d = d)
}

expect_left_out <- function(fit, by) {
  for (groups in c(list(seq_along(fit$y)), by)) {
    factor <- if (length(groups) == 1L) fit$random[[groups]]$factor else groups
    dense <- dense_left_out(fit, factor)
    ours <- suppressMessages(leave_one_out(fit, groups))
    expect_lt(max(abs(ours$predicted - dense$predicted)), 1e-8)
    expect_lt(max(abs(ours$pev / dense$pev - 1)), 1e-8)
    expect_equal(ours$observed - ours$residual, ours$predicted)
  }
  singly <- leave_one_out(fit)
  each <- leave_one_out(fit, seq_along(fit$y))
  expect_equal(singly$predicted, each$predicted, tolerance = 1e-9)
  expect_equal(singly$pev, each$pev, tolerance = 1e-9)
}

test_that("predictions are those without the records: i.i.d. terms", {
  at <- loo_example()
  folds <- withr::with_seed(1, sample(rep_len(1:4, nrow(at$d))))
  scalar <- lmmfit(y ~ x + (1 | g), at$d, weights = w, offset = o)
  expect_identical(scalar$engine$name, "scalar")
  expect_left_out(scalar, list("g", folds))
  expect_left_out(lmmfit(y ~ 0 + (1 | g), at$d), list("g"))
  blocked <- suppressMessages(lmmfit(y ~ x + (x | g) + (1 | id), at$d, weights = w,
                                     offset = o))
  expect_identical(blocked$engine$name, "blocked")
  expect_left_out(blocked, list("g", "id", folds))
  # with more effects than fit into a matrix
  rows <- unname(split(seq_along(folds), folds))
  few <- projection_blocks(blocked, rows)
  expect_null(effects_inverse(blocked, 10))
  many <- products_projection(blocked$engine, unname(blocked$theta), blocked, rows)
  expect_equal(many, few, tolerance = 1e-8)
  expect_lt(max(lengths(row_chunks(as.list(1:100), 10))), 11)
})

test_that("predictions are those without the records: kernels", {
  at <- loo_example()
  K <- at$K
  folds <- withr::with_seed(1, sample(rep_len(1:4, nrow(at$d))))
  rotated <- lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = K), weights = w, offset = o)
  expect_identical(rotated$engine$name, "rotated")
  expect_left_out(rotated, list("id", folds))
  once <- at$d[!duplicated(at$d$id), ]
  expect_left_out(suppressMessages(lmmfit(y ~ x + (1 | id), once, kinship = list(id = K))),
                  list("id"))
  # in a basis of the effects, and on the records
  for (formula in list(y ~ x + kin(1 | id, K) + (1 | g), y ~ x + kin(x | id, K) + (1 | id))) {
    dense <- suppressMessages(lmmfit(formula, at$d, weights = w, offset = o))
    expect_identical(dense$engine$name, "dense")
    expect_left_out(dense, list("id", folds))
  }
})

test_that("a variance of zero, and one that is all, are no exception", {
  d <- withr::with_seed(1, data.frame(g = rep(1:10, each = 3), x = stats::rnorm(30),
                                      e = stats::rnorm(30)))
  d$y <- d$e - stats::ave(d$e, d$g)
  zero <- suppressMessages(lmmfit(y ~ x + (1 | g), d))
  expect_equal(unname(zero$theta), 0)
  plain <- stats::lm(y ~ x, d)
  expect_equal(leave_one_out(zero)$residual,
               unname(stats::residuals(plain) / (1 - stats::hatvalues(plain))))
  g <- rep(1:8, each = 4)
  exact <- data.frame(g = g, y = withr::with_seed(1, stats::rnorm(8))[g] +
                        1e-9 * withr::with_seed(2, stats::rnorm(32)), h = rep(1:4, 8))
  scalar <- suppressMessages(lmmfit(y ~ 1 + (1 | g), exact))
  expect_identical(scalar$opt$bound, "upper")
  # what is left is a mean of seven groups
  means <- as.vector(tapply(exact$y, g, mean))
  expect_equal(leave_one_out(scalar, "g")$predicted,
               ((sum(means) - means) / 7)[g], tolerance = 1e-6)
  blocked <- suppressMessages(lmmfit(y ~ 1 + (1 | g) + (1 | h), exact))
  expect_identical(blocked$opt$bound, "upper")
  expect_kinlmm_error(leave_one_out(blocked), "no_residual")
  expect_kinlmm_error(cross_validate(blocked, 3, refit = FALSE), "no_residual")
  K <- withr::with_seed(2, toy_kinship(40))
  data <- withr::with_seed(3, toy_pheno(K, rep(2L, 40), h2 = 1))
  data$y <- data$y + withr::with_seed(4, stats::rnorm(80, sd = 1e-3))
  all <- suppressWarnings(suppressMessages(
    lmmfit(y ~ x + (1 | id), data, kinship = list(id = K))
  ))
  expect_gt(heritability(all)$estimate, 0.99)
  ours <- leave_one_out(all)
  dense <- dense_left_out(all, seq_len(80))
  expect_equal(ours$predicted, dense$predicted, tolerance = 1e-8)
})

test_that("records that alone determine a fixed effect are not predicted", {
  at <- loo_example()
  at$d$f <- factor(c("lone", rep(c("a", "b"), length.out = nrow(at$d) - 1L)))
  fit <- lmmfit(y ~ x + f + (1 | g), at$d)
  expect_message(ours <- leave_one_out(fit), "1 record can't be predicted: without it",
                 class = "kinlmm_message_not_predictable")
  expect_identical(which(is.na(ours$predicted)), 1L)
  groups <- c(1L, 1L, 1L, rep(2:8, length.out = nrow(at$d) - 3L))
  expect_message(blocks <- leave_one_out(fit, groups), "1 record can't")
  expect_identical(which(is.na(blocks$predicted)), 1L)
  # the others of its group, from the model without the level
  own <- 2:3
  rest <- lmmfit(y ~ x + f + (1 | g), at$d[-(1:3), ])
  rest <- at_optimum(rest, list(theta = unname(fit$theta)), TRUE)
  expect_equal(blocks$predicted[own], unname(predict(rest, at$d[own, ])), tolerance = 1e-8)
  expect_output(print(blocks), "Not predicted: 1")
})

test_that("the identity of GCTA's cvBLUP is ours without fixed effects", {
  at <- loo_example()
  once <- at$d[!duplicated(at$d$id), ]
  fit <- suppressMessages(lmmfit(y ~ 0 + (1 | id), once, kinship = list(id = at$K)))
  H <- unname(fit$theta)^2 * at$K[once$id, once$id]
  H <- H %*% solve(H + diag(nrow(H)))
  h <- diag(H)
  expect_equal(leave_one_out(fit)$predicted,
               unname((drop(H %*% once$y) - h * once$y) / (1 - h)), tolerance = 1e-9)
})

test_that("results are summarised, printed and plotted", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  one <- leave_one_out(fit)
  at <- summary(one)
  expect_equal(at$correlation, stats::cor(one$observed, one$predicted))
  line <- stats::coef(stats::lm(observed ~ predicted, as.data.frame(one)))
  expect_equal(unname(c(at$intercept, at$slope)), unname(line))
  expect_equal(at$mse, mean(one$residual^2))
  expect_equal(one$residual / sqrt(one$pev), unname(rstandard(fit)), tolerance = 1e-10)
  by <- leave_one_out(fit, "Subject")
  expect_identical(by$group, as.character(nlme::Orthodont$Subject))
  expect_output(print(one), "single records left out.*slope of observed on predicted")
  expect_output(print(by), "27 groups by Subject left out")
  withr::local_pdf(NULL)
  expect_identical(plot(by), by)
  expect_identical(rownames(one), rownames(fit$frame))
})

test_that("groups are names or a value for each record", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  expect_kinlmm_error(leave_one_out(fit, "dog"), "argument",
                      c("names of \"Subject\"", "no \"dog\""))
  expect_kinlmm_error(leave_one_out(fit, 1:3), "argument", "each of the 108 records")
  expect_kinlmm_error(leave_one_out(fit, c(NA, 2:108)), "argument", "1 are missing")
  expect_kinlmm_error(leave_one_out(1), "argument")
})

test_that("a fit and groups that are not there are errors", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  expect_kinlmm_error(leave_one_out(), "argument", "`fit` must be given")
  expect_kinlmm_error(leave_one_out(fit, character()), "argument", "`by`")
  expect_kinlmm_error(cross_validate(), "argument", "`fit` must be given")
})

test_that("where nothing can be predicted this is said", {
  d <- withr::with_seed(1, data.frame(y = stats::rnorm(30), f = factor(rep(1:10, 3)),
                                      g = factor(rep(1:6, 5))))
  fit <- suppressMessages(lmmfit(y ~ f + (1 | g), d))
  out <- suppressMessages(leave_one_out(fit, by = "f"))
  expect_true(all(is.na(out$predicted)))
  expect_identical(unlist(summary(out)[-1], use.names = FALSE), rep(NA_real_, 5))
  expect_output(print(out), "Not predicted: 30 records$")
  expect_kinlmm_error(plot(out), "argument", "one record or more")
})
