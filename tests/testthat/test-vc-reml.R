test_that("REML and ML are those of lmmfit(), from a formula or a fit", {
  d <- unbalanced_example()
  for (REML in c(TRUE, FALSE)) {
    fit <- lmmfit(y ~ x + (1 + x | a) + (1 | b), d, REML = REML)
    method <- if (REML) "REML" else "ML"
    one <- variance_components(y ~ x + (1 + x | a) + (1 | b), d, method = method)
    two <- variance_components(fit, method = method)
    expect_equal(unname(coef(one)), fit_phi(fit), tolerance = 1e-6)
    expect_equal(coef(one), coef(two), tolerance = 1e-6)
    expect_equal(fixef(one), fixef(fit), tolerance = 1e-6)
    expect_equal(vcov(one, "fixed"), vcov(fit), tolerance = 1e-6)
    expect_identical(names(coef(one)), c("a.(Intercept)", "a.x.(Intercept)", "a.x", "b",
                                         "Residual"))
  }
})

test_that("standard errors are those of the information asked for", {
  fit <- lmmfit(y ~ x + (1 | a) + (1 | b), unbalanced_example(), weights = w)
  dense <- dense_components(fit)
  phi <- unname(coef(variance_components(fit)))
  P <- dense_p(dense, phi)
  PG <- lapply(dense$G, function(G) P %*% G)
  both <- function(f) outer(1:3, 1:3, Vectorize(f))
  expected <- both(function(a, b) sum(PG[[a]] * t(PG[[b]])) / 2)
  average <- both(function(a, b) {
    drop(t(dense$y) %*% PG[[a]] %*% PG[[b]] %*% P %*% dense$y) / 2
  })
  information <- list(expected = expected, average = average,
                      observed = 2 * average - expected)
  for (kind in names(information)) {
    out <- variance_components(fit, information = kind)
    expect_equal(unname(vcov(out)), solve(information[[kind]]), tolerance = 1e-6)
    expect_equal(out$components$se, sqrt(diag(solve(information[[kind]]))),
                 tolerance = 1e-6)
  }
})

test_that("standard errors of ML are those of its own information", {
  fit <- lmmfit(y ~ x + (1 | a) + (1 | b), unbalanced_example(), REML = FALSE)
  dense <- dense_components(fit)
  out <- variance_components(fit, method = "ML", information = "expected")
  Vi <- solve(Reduce(`+`, Map(`*`, dense$G, coef(out))))
  VG <- lapply(dense$G, function(G) Vi %*% G)
  expected <- outer(1:3, 1:3, Vectorize(function(a, b) sum(VG[[a]] * t(VG[[b]])) / 2))
  expect_equal(unname(vcov(out)), solve(expected), tolerance = 1e-6)
})

test_that("the boundary is said, and has no standard error", {
  skip_if_not_installed("lme4")
  out <- variance_components(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2)
  expect_identical(out$components$bound, c(TRUE, FALSE))
  expect_identical(is.na(out$components$se), c(TRUE, FALSE))
  expect_identical(out$components$variance[[1]], 0)
  expect_match(out$notes, "Estimated as zero.*: Batch\\.")
  # the residual variance as in a sample of 30
  s2 <- stats::var(lme4::Dyestuff2$Yield)
  expect_equal(unlist(out$components[2, c("variance", "se")], use.names = FALSE),
               s2 * c(1, sqrt(2 / 29)))
})

test_that("a residual variance of zero is said", {
  K <- withr::with_seed(4, toy_kinship(30))
  data <- data.frame(id = rownames(K), y = withr::with_seed(1, {
    drop(crossprod(chol(K + diag(1e-6, 30)), stats::rnorm(30)))
  }))
  out <- variance_components(y ~ 1 + kin(1 | id, K), data)
  expect_identical(out$components$bound, c(FALSE, TRUE))
  expect_true(all(is.na(out$components$se)))
  expect_match(out$notes, "residual variance is estimated as zero")
})
