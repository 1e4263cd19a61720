K <- as_kinship(rbind(c(1, 0.9, 0.2), c(0.9, 1.1, 0.9), c(0.2, 0.9, 1)), c("a", "b", "c"))

test_that("clipping gives the nearest matrix without negative eigenvalues", {
  base <- eigen(as.matrix(K))
  expect_message(fixed <- kin_repair(K), class = "kinlmm_message_kin_repair",
                 regexp = "1 eigenvalue below 0, down to")
  nearest <- base$vectors %*% (pmax(base$values, 0) * t(base$vectors))
  expect_equal(as.matrix(fixed), nearest, tolerance = 1e-14, ignore_attr = TRUE)
  expect_true(isSymmetric(as.matrix(fixed), tol = 0))
  expect_identical(dimnames(fixed), dimnames(K))
  raised <- suppressMessages(kin_repair(K, tolerance = 0.1))
  expect_equal(min(eigen(raised)$values), 0.1 * base$values[[1]], tolerance = 1e-12)
  skip_if_not_installed("Matrix")
  projected <- Matrix::nearPD(as.matrix(K), do2eigen = FALSE, posd.tol = 0, eig.tol = 0)
  expect_equal(as.matrix(fixed), as.matrix(projected$mat), tolerance = 1e-6)
})

test_that("blending lowers all relationships alike", {
  fixed <- suppressMessages(kin_repair(K, "blend"))
  expect_lt(abs(min(eigen(fixed)$values)), 1e-12)
  off <- as.matrix(fixed)[lower.tri(K)] / as.matrix(K)[lower.tri(K)]
  expect_equal(off, rep(off[[1]], 3), tolerance = 1e-12)
  expect_equal(mean(diag(fixed)), mean(diag(K)), tolerance = 1e-14)
  given <- suppressMessages(kin_repair(K, "blend", weight = 0.5))
  expect_equal(as.matrix(given), 0.5 * as.matrix(K) + 0.5 * diag(mean(diag(K)), 3))
  error <- expect_error(kin_repair(K, "blend", weight = 0.01),
                        class = "kinlmm_error_kin_repair")
  expect_equal(error$needed, 1 - off[[1]], tolerance = 1e-8)
  good <- as_kinship(diag(3), letters[1:3]) + 0.5
  expect_message(other <- kin_repair(good, "blend", weight = 0.1), "No eigenvalue was below")
  expect_equal(other[["a", "b"]], 0.45)
})

test_that("a good matrix is returned as it is, with its note", {
  good <- new_kinship(crossprod(as.matrix(K)), list(m = 3))
  for (method in c("clip", "blend")) {
    expect_message(same <- kin_repair(good, method), "Nothing to repair")
    expect_identical(same, good)
  }
})

test_that("repaired matrices are covariances for models", {
  S <- as_kinship(withr::with_seed(1, toy_kinship(30))) - 0.3 * diag(30)
  data <- withr::with_seed(2, toy_pheno(diag(30) + 0 * as.matrix(S)))
  fit <- function(K) lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = K))
  expect_kinlmm_error(fit(S), "kinship_psd", "`kin_repair()` gives the nearest one")
  for (method in c("clip", "blend")) {
    expect_s3_class(fit(suppressMessages(kin_repair(S, method))), "lmmfit")
  }
})

test_that("arguments are checked", {
  expect_kinlmm_error(kin_repair(K, "bend"), "argument", "\"clip\", \"blend\"")
  expect_kinlmm_error(kin_repair(K, weight = 0.1), "argument", "NULL with \"clip\"")
  expect_kinlmm_error(kin_repair(K, "blend", weight = 2), "argument", "between 0 and 1")
  expect_kinlmm_error(kin_repair(K, tolerance = -1), "argument")
  expect_kinlmm_error(kin_repair(-1 * K), "argument", "whose mean diagonal is positive")
  expect_kinlmm_error(kin_repair(K[0, 0]), "argument")
})
