test_that("recombined cross-products are those of the recombined data", {
  data <- as.data.frame(nlme::Orthodont)
  for (formula in list(distance ~ age + Sex + (1 | Subject),
                       distance ~ age + Sex + (age | Subject))) {
    fit <- lmmfit(formula, data)
    M <- withr::with_seed(1, matrix(stats::rnorm(12), 4, 3))
    recombined <- engine_moments(engine_recombine(fit$engine, M), unname(fit$theta))
    before <- engine_moments(fit$engine, unname(fit$theta))
    expect_equal(recombined$S, crossprod(M, before$S %*% M), tolerance = 1e-10)
    expect_equal(recombined$logdet, before$logdet)
  }
})

test_that("the likelihood free of the intercept is that of n - 1 contrasts", {
  K <- withr::with_seed(1, toy_kinship(12)) + 0.3
  data <- withr::with_seed(2, toy_pheno(K))
  fit <- suppressMessages(lmmfit(y ~ x + (1 | id), data, kinship = list(id = K)))
  free <- without_intercept(fit$engine)
  contrasts <- qr.Q(qr(cbind(1, diag(12)[, -1])))[, -1]
  X <- crossprod(contrasts, data$x)
  for (theta in c(0.2, 1, 4)) {
    H <- crossprod(contrasts, (diag(12) + theta^2 * K) %*% contrasts)
    expect_equal(engine_criterion(free, theta, FALSE),
                 dense_criterion(drop(crossprod(contrasts, data$y)), X, H, FALSE),
                 tolerance = 1e-9)
  }
})
