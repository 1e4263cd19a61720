# Forms in the reduced coordinates are those of the records.
expect_same_forms <- function(fit, order = names(fit$random)) {
  model <- fit_model(fit)
  reduced <- reduced_model(model, order, NULL)
  dense <- dense_components(fit)
  count <- length(reduced$forms)
  expect_equal(sum(reduced$y^2) + reduced$rest, sum(dense$r^2))
  expect_equal(length(reduced$y) + reduced$rest_df, dense$n - ncol(dense$X))
  for (c in seq_len(count)) {
    F <- dense$M %*% dense$G[[c]] %*% dense$M
    expect_equal(sum(diag(reduced$forms[[c]])), sum(diag(F)))
    expect_equal(drop(crossprod(reduced$y, reduced$forms[[c]] %*% reduced$y)),
                 drop(crossprod(dense$r, F %*% dense$r)))
    for (d in seq_len(c)) {
      expect_equal(sum(reduced$forms[[c]] * reduced$forms[[d]]), sum(F * dense$G[[d]]))
    }
  }
}

test_that("reduced models keep every form, whatever the terms", {
  d <- unbalanced_example()
  expect_same_forms(lmmfit(y ~ x + (1 | a) + (1 | b), d, weights = w))
  expect_same_forms(lmmfit(y ~ (1 + x | a) + (1 | a:b), d))
  expect_same_forms(lmmfit(y ~ 0 + (1 + x || b), d, offset = x))
  at <- repeated_example()
  K <- at$K
  fit <- suppressMessages(lmmfit(y ~ x + kin(1 + x | id, K) + (1 | id), at$data))
  expect_same_forms(fit, c("id.1", "id"))
})

test_that("blocks are the degrees of freedom of terms after those before", {
  fit <- lmmfit(y ~ x + (1 | a) + (1 | b), unbalanced_example())
  forward <- table(reduced_model(fit_model(fit), c("a", "b"), NULL)$block)
  expect_identical(c(forward), c(a = 4L, b = 7L))
  nested <- lmmfit(y ~ x + (1 | a / b), unbalanced_example())
  expect_false("a" %in% reduced_model(fit_model(nested), c("b:a", "a"), NULL)$block)
})

test_that("covariances of forms are those of normal data", {
  fit <- lmmfit(y ~ x + (1 | a) + (1 | b), unbalanced_example())
  reduced <- reduced_model(fit_model(fit), call = NULL)
  dense <- dense_components(fit)
  phi <- c(2, 1, 0.5)
  A <- c(reduced$forms, list(diag(length(reduced$y))))
  ours <- quadratic_covariance(reduced, A, c(0, 0, 1), phi)
  V <- Reduce(`+`, Map(`*`, dense$G, phi))
  B <- c(lapply(dense$G[1:2], function(G) dense$M %*% G %*% dense$M), list(dense$M))
  theirs <- outer(1:3, 1:3, Vectorize(function(a, b) {
    2 * sum(diag(B[[a]] %*% V %*% B[[b]] %*% V))
  }))
  expect_equal(ours, theirs)
})

test_that("too many effects are refused, or cost the standard errors", {
  fit <- lmmfit(y ~ x + (1 | a) + (1 | b), unbalanced_example())
  model <- fit_model(fit)
  expect_null(reduced_model(model, call = NULL, limit = 12L))
  out <- moments_result(model, "MINQUE", 1:3, NULL, "Any.")
  expect_true(all(is.na(out$components$se)))
  expect_match(out$notes, "No standard errors")
  expect_kinlmm_error(abort_method_size("HE-SD", NULL, 6000L, NULL), "method_size",
                      c("6,000 x 6,000", "more records"))
})
