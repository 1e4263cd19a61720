test_that("the verb refuses what it does not know", {
  d <- unbalanced_example()
  expect_kinlmm_error(variance_components(y ~ (1 | a), d, method = "MIVQUE"), "argument",
                      c('"MIVQUE"', '"HE-SD"'))
  expect_kinlmm_error(variance_components(y ~ (1 | a), d, iterations = 2), "argument",
                      c("iterations", "information"))
  expect_kinlmm_error(variance_components(y ~ (1 | a), d, method = "MINQUE0", prior = 2),
                      "argument", "It has none")
  expect_kinlmm_error(variance_components(y ~ (1 | a), d, "HE", se = "normal", se = "x"),
                      "argument", "twice")
  expect_kinlmm_error(variance_components(y ~ x, d), "formula")
  expect_kinlmm_error(variance_components(cbind(y, x) ~ (1 | a), d), "response",
                      "one response")
  fit <- lmmfit(y ~ (1 | a), d)
  expect_kinlmm_error(variance_components(fit, data = d), "argument", '"data"')
  expect_kinlmm_error(variance_components(fit, information = "x"), "argument", '"observed"')
})

test_that("one group and equal kernels are said clearly", {
  d <- unbalanced_example()
  d$one <- factor("only")
  K <- toy_kinship(30)
  K2 <- 3 * K
  pheno <- withr::with_seed(1, toy_pheno(K))
  for (method in names(component_methods())) {
    expect_kinlmm_error(variance_components(y ~ (1 | one), d, method = method), "group",
                        '"only"')
    expect_kinlmm_error(
      variance_components(y ~ kin(1 | id, K) + kin(1 | id, K2), pheno, method = method),
      "unidentified"
    )
  }
})

test_that("arguments of the model are those of lmmfit()", {
  d <- unbalanced_example()
  K <- NULL
  out <- variance_components(y ~ x + (1 | a), d, weights = w, offset = x, subset = x > -1)
  fit <- lmmfit(y ~ x + (1 | a), d, weights = w, offset = x, subset = x > -1)
  expect_equal(unname(coef(out)), fit_phi(fit), tolerance = 1e-6)
  expect_identical(nobs(out), nobs(fit))
  expect_identical(out$method, "REML")
  expect_identical(formula(out), out$formula)
  expect_gte(out$seconds, 0)
})

test_that("shares are the heritability, with its standard error", {
  at <- repeated_example()
  data <- at$data[!duplicated(at$data$id), ]
  fit <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = at$K))
  h <- heritability(fit)
  out <- variance_components(fit)
  expect_equal(out$components$share[[1]], h$estimate)
  expect_equal(out$components$share_se[[1]], h$se, tolerance = 1e-5)
  expect_equal(sum(out$components$share), 1)
  slopes <- variance_components(y ~ (x | a), unbalanced_example())
  expect_true(all(is.na(slopes$components$share)))
})

test_that("fixed effects are those of generalised least squares", {
  fit <- lmmfit(y ~ x + (1 | a) + (1 | b), unbalanced_example(), weights = w)
  dense <- dense_components(fit)
  out <- variance_components(fit, method = "MINQUE1")
  Vi <- solve(Reduce(`+`, Map(`*`, dense$G, coef(out))))
  C <- solve(t(dense$X) %*% Vi %*% dense$X)
  expect_equal(unname(vcov(out, "fixed")), unname(C))
  expect_equal(unname(fixef(out)), drop(unname(C %*% t(dense$X) %*% Vi %*% dense$y)))
})
