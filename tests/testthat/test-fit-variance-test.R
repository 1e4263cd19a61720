test_that("one variance, one slope: those of ranova()", {
  fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  test <- variance_test(fit, "age in (age | Subject)")
  table <- ranova(fit)
  expect_equal(unname(test$statistic), table$LRT[[2]])
  expect_equal(test$p.value, table$`Pr(>Chisq)`[[2]])
  expect_identical(test$df, c(1, 2))
  one <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  test <- variance_test(one)
  expect_equal(test$p.value, ranova(one)$`Pr(>Chisq)`[[2]])
  expect_s3_class(test, "htest")
  expect_output(print(test), "0.5 chi2\\(0\\) \\+ 0.5 chi2\\(1\\)")
  zero <- lmmfit(y ~ 1 + (1 | g), data.frame(y = rep(1:4, 5), g = gl(5, 4)),
                 control = lmm_control()) |> suppressMessages()
  expect_equal(variance_test(zero)$p.value, 1)
})

test_that("weights of mixtures: formulas, simulation, known cases", {
  expect_equal(chibar_weights(diag(2)), c(1, 2, 1) / 4)
  expect_equal(chibar_weights(diag(3)), c(1, 3, 3, 1) / 8)
  C <- stats::cov2cor(crossprod(matrix(c(2, 1, 0, -1, 1, 1, 0.5, 0, 1), 3)))
  weights <- chibar_weights(C)
  expect_equal(sum(weights), 1)
  expect_equal(sum(weights[c(1, 3)]), 0.5)
  # the last is the orthant's probability, the first that of the polar cone
  expect_equal(weights[[4]], orthant(C))
  expect_equal(weights[[1]], orthant(solve(C)))
  two <- C[1:2, 1:2]
  expect_equal(chibar_weights(two)[[1]], acos(two[1, 2]) / (2 * pi))
  expect_equal(chibar_weights(7 * two), chibar_weights(two))
  four <- withr::with_seed(1, chibar_weights(diag(4), 50000))
  expect_equal(four, c(1, 4, 6, 4, 1) / 16, tolerance = 0.02)
})

test_that("the weights are those of projected normal vectors", {
  C <- matrix(c(1, 0.6, -0.3, 0.6, 2, 0.2, -0.3, 0.2, 1), 3)
  metric <- solve(C)
  sizes <- withr::with_seed(2, replicate(4000, {
    z <- drop(t(chol(C)) %*% stats::rnorm(3))
    x <- stats::optim(pmax(z, 0.1), function(x) sum((x - z) * (metric %*% (x - z))),
                      function(x) drop(2 * metric %*% (x - z)), method = "L-BFGS-B",
                      lower = 0, control = list(factr = 10))$par
    sum(x > 1e-6)
  }))
  share <- tabulate(sizes + 1L, 4) / 4000
  expect_lt(max(abs(share - chibar_weights(C))), 0.03)
})

test_that("information of several variances under the null is the dense one", {
  data <- withr::with_seed(2, data.frame(
    a = factor(sample(6, 60, TRUE)), b = factor(sample(9, 60, TRUE)),
    c = gl(12, 5), y = stats::rnorm(60), x = stats::rnorm(60)
  ))
  fit <- suppressMessages(lmmfit(y ~ x + (1 | a) + (1 | b) + (1 | c), data))
  removal <- removed_terms(fit, c("a", "b"), NULL)
  null <- null_optimum(fit, removal$kept, NULL)
  C <- null_covariance(fit, removal, null)
  G <- lapply(data[c("a", "b", "c")], function(f) tcrossprod(stats::model.matrix(~ 0 + f)))
  V <- null$fit$sigma^2 * (diag(60) + unname(null$fit$theta)^2 * G$c)
  Vi <- solve(V)
  X <- fit$fixed$X
  P <- Vi - Vi %*% X %*% solve(t(X) %*% Vi %*% X) %*% t(X) %*% Vi
  PG <- lapply(c(G, list(diag(60))), function(G) P %*% G)
  if (null$fit$theta == 0) PG$c <- NULL
  information <- outer(seq_along(PG), seq_along(PG), Vectorize(function(i, j) {
    sum(PG[[i]] * t(PG[[j]])) / 2
  }))
  expect_equal(C, solve(information)[1:2, 1:2], tolerance = 1e-6)
})

test_that("the exact distribution is that of refitted responses", {
  skip_on_cran()
  data <- withr::with_seed(3, data.frame(g = factor(rep(1:6, c(2, 3, 4, 8, 12, 1))),
                                         x = stats::rnorm(30)))
  data$y <- withr::with_seed(4, stats::rnorm(30))
  for (REML in c(TRUE, FALSE)) {
    fit <- suppressMessages(lmmfit(y ~ x + (1 | g), data, REML = REML,
                                   weights = rep(c(1, 2), 15)))
    exact <- variance_test(fit, method = "exact", nsim = 20000, seed = 1)$draws
    boot <- variance_test(fit, method = "bootstrap", nsim = 2000, seed = 2)$draws
    expect_lt(abs(mean(exact < 1e-6) - mean(boot < 1e-6)), 0.035)
    for (at in stats::quantile(exact, c(0.8, 0.9, 0.95))) {
      expect_lt(abs(mean(boot > at) - mean(exact > at)), 0.03)
    }
  }
})

test_that("the exact distribution with a kernel, and one value by dense optimisation", {
  K <- withr::with_seed(3, toy_kinship(30))
  data <- withr::with_seed(4, toy_pheno(K, rep(c(1L, 2L, 3L), 10)))
  fit <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K))
  spectra <- exact_spectra(fit)
  Z <- stats::model.matrix(~ 0 + factor(id, rownames(K)), data)
  X <- fit$fixed$X
  Q <- diag(nrow(X)) - X %*% solve(crossprod(X), t(X))
  dense <- eigen(Q %*% Z %*% K %*% t(Z) %*% Q, symmetric = TRUE)$values
  expect_equal(spectra$mu, dense[seq_along(spectra$mu)], tolerance = 1e-8)
  expect_equal(length(spectra$mu) + spectra$rest, nrow(X) - ncol(X))
  # the statistic of the data, from its own contrasts
  e <- eigen(Q %*% Z %*% K %*% t(Z) %*% Q, symmetric = TRUE)
  d <- e$values[seq_along(spectra$mu)]
  w <- drop(crossprod(e$vectors[, seq_along(d)], Q %*% fit$y))^2
  rest <- sum((Q %*% fit$y)^2) - sum(w)
  gain <- function(t) {
    (nrow(X) - ncol(X)) * log((sum(w) + rest) / (sum(w / (1 + t * d)) + rest)) -
      sum(log1p(t * d))
  }
  best <- stats::optimise(function(t) gain(exp(t)), c(-10, 10), maximum = TRUE)$objective
  expect_equal(unname(variance_test(fit)$statistic), max(best, 0), tolerance = 1e-6)
})

test_that("a balanced design: the probability of zero is that of an F distribution", {
  # the REML estimate is zero where F <= 1
  data <- data.frame(g = gl(5, 4), y = withr::with_seed(1, stats::rnorm(20)))
  fit <- suppressMessages(lmmfit(y ~ 1 + (1 | g), data))
  draws <- variance_test(fit, method = "exact", nsim = 20000, seed = 5)$draws
  expect_lt(abs(mean(draws == 0) - stats::pf(1, 4, 15)), 0.012)
})

test_that("the size at 0.05 is within binomial limits", {
  skip_on_cran()
  within <- function(p, replicates, level = 0.05) {
    limits <- stats::qbinom(c(0.001, 0.999), replicates, level)
    expect_gte(sum(p <= level), limits[[1L]])
    expect_lte(sum(p <= level), limits[[2L]])
  }
  data <- data.frame(g = factor(rep(1:12, c(1:6, 1:6))), y = 0)
  data$y <- withr::with_seed(1, stats::rnorm(42))
  fit <- suppressMessages(lmmfit(y ~ 1 + (1 | g), data))
  null <- withr::with_seed(2, variance_test(fit, method = "bootstrap", nsim = 2000)$draws)
  exact <- variance_test(fit, method = "exact", nsim = 20000, seed = 3)$draws
  within(vapply(null, simulated_p_value, 0, exact), 2000)

  # two crossed factors at once, many levels
  data <- withr::with_seed(4, data.frame(a = factor(sample(40, 300, TRUE)),
                                         b = factor(sample(50, 300, TRUE)),
                                         y = stats::rnorm(300)))
  fit <- suppressMessages(lmmfit(y ~ 1 + (1 | a) + (1 | b), data))
  null <- variance_test(fit, method = "bootstrap", nsim = 2000, seed = 5)$draws
  test <- variance_test(fit)
  within(vapply(null, chibar_p_value, 0, test$weights, test$df), 2000)
})

test_that("a whole term of two effects: the cone of covariance matrices", {
  skip_on_cran()
  data <- data.frame(g = gl(80, 5), x = rep(-2:2, 80), y = 0)
  data$y <- withr::with_seed(1, stats::rnorm(400))
  fit <- suppressMessages(lmmfit(y ~ x + (x | g), data))
  test <- variance_test(fit, seed = 1)
  expect_equal(sum(test$weights), 1)
  null <- variance_test(fit, method = "bootstrap", nsim = 1000, seed = 2)$draws
  p <- vapply(null, chibar_p_value, 0, test$weights, test$df)
  limits <- stats::qbinom(c(0.001, 0.999), 1000, 0.05)
  expect_gte(sum(p <= 0.05), limits[[1]])
  expect_lte(sum(p <= 0.05), limits[[2]])
})

test_that("variances that stay are estimated under the null", {
  fit <- lmmfit(diameter ~ 1 + (1 | plate) + (1 | sample),
                withr::with_seed(1, {
                  data <- expand.grid(plate = gl(10, 1), sample = gl(5, 1))
                  data$diameter <- stats::rnorm(10)[data$plate] +
                    stats::rnorm(5)[data$sample] + stats::rnorm(50)
                  data
                }))
  for (terms in list("plate", "(1 | plate)", 1)) {
    test <- variance_test(fit, terms)
    expect_equal(unname(test$statistic), ranova(fit)$LRT[[2]])
  }
  boot <- variance_test(fit, "plate", method = "bootstrap", nsim = 50, seed = 1)
  expect_length(boot$draws, 50)
  again <- variance_test(fit, "plate", method = "bootstrap", nsim = 50, seed = 1)
  expect_identical(again, boot)
  expect_output(print(boot), "parametric bootstrap, 50 draws")
})

test_that("what has no known distribution is refused by name", {
  fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  expect_kinlmm_error(variance_test(fit, method = "exact"), "mixture",
                      "This one has (age | Subject)")
  expect_kinlmm_error(variance_test(fit, "g"), "argument", c("It has \"g\"", "age in"))
  expect_kinlmm_error(variance_test(fit, character()), "argument", "It is empty")
  expect_kinlmm_error(variance_test(1), "argument", "fitted by lmmfit()")
  three <- suppressMessages(lmmfit(distance ~ age + (age + I(age^2) | Subject),
                                   nlme::Orthodont))
  expect_kinlmm_error(variance_test(three), "mixture", "method = \"bootstrap\"")
})
