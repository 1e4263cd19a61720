test_that("EM ends where REML does, and never goes down", {
  skip_if_not_installed("lme4")
  d <- unbalanced_example()
  at <- repeated_example()
  K <- at$K
  fits <- list(lmmfit(y ~ x + (1 | a) + (1 | b), d, weights = w, offset = x),
               lmmfit(y ~ x + (1 | b), d),
               lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy),
               lmmfit(y ~ x + kin(1 | id, K), at$data))
  for (fit in fits) {
    em <- variance_components(fit, method = "EM-REML")
    expect_true(em$converged)
    expect_equal(unname(coef(em)), fit_phi(fit), tolerance = 1e-6)
    expect_lt(max(diff(em$iterates$criterion)), 1e-9)
    expect_equal(em$criterion, fit$opt$criterion, tolerance = 1e-10)
    expect_equal(em$components$se, variance_components(fit)$components$se,
                 tolerance = 1e-4)
    expect_equal(em$iterates$iteration, seq_len(nrow(em$iterates)) - 1)
  }
})

test_that("a step is that of the mixed-model equations", {
  fit <- lmmfit(y ~ x + (1 | a) + (1 | b), unbalanced_example())
  X <- fit$fixed$X
  Z <- lapply(fit$random, function(term) stats::model.matrix(~ 0 + term$factor))
  phi <- c(1.5, 0.7, 2)
  W <- cbind(X, Z$a, Z$b)
  C <- crossprod(W) / phi[[3]]
  at <- list(a = 2 + 1:5, b = 7 + 1:8)
  diag(C)[at$a] <- diag(C)[at$a] + 1 / phi[[1]]
  diag(C)[at$b] <- diag(C)[at$b] + 1 / phi[[2]]
  inverse <- solve(C)
  solution <- drop(inverse %*% crossprod(W, fit$y)) / phi[[3]]
  update <- function(rows) (sum(solution[rows]^2) + sum(diag(inverse)[rows])) / length(rows)
  e <- fit$y - W %*% solution
  residual <- (sum(e^2) + sum(diag(W %*% inverse %*% t(W)))) / length(e)
  step <- em_step(fit_model(fit), phi)
  expect_equal(step$phi, c(update(at$a), update(at$b), residual))
  V <- phi[[3]] * diag(length(e)) + phi[[1]] * tcrossprod(Z$a) + phi[[2]] * tcrossprod(Z$b)
  P <- dense_p(list(G = list(V), X = X), 1)
  half <- function(A) as.numeric(determinant(A)$modulus)
  expect_equal(step$criterion, half(V) + half(t(X) %*% solve(V, X)) +
                 drop(t(fit$y) %*% P %*% fit$y) + (length(e) - 2) * log(2 * pi))
})

test_that("EM says when it has not converged", {
  skip_if_not_installed("lme4")
  em <- variance_components(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, method = "EM-REML",
                            max_iterations = 50)
  expect_false(em$converged)
  expect_identical(nrow(em$iterates), 51L)
  expect_true(all(is.na(em$components$se)))
  expect_match(em$notes[[1]], "Not converged after 50 iterations")
  optimum <- variance_components(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2)$criterion
  expect_match(em$notes[[3]], paste(format(em$criterion - optimum, digits = 2), "lower"),
               fixed = TRUE)
  few <- variance_components(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, method = "EM-REML",
                             start = c(1000, 100), max_iterations = 2)
  expect_equal(unlist(few$iterates[1, 3:4], use.names = FALSE), c(1000, 100))
  expect_kinlmm_error(variance_components(Yield ~ 1 + (1 | Batch), lme4::Dyestuff,
                                          method = "EM-REML", start = c(0, 1)),
                      "argument", "above zero")
  expect_kinlmm_error(variance_components(Yield ~ 1 + (1 | Batch), lme4::Dyestuff,
                                          method = "EM-REML", start = 1),
                      "argument", "2 variances (Batch, Residual)")
})
