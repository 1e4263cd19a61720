K <- withr::with_seed(4, toy_kinship(20, 200)) + diag(0.05, 20)
Q <- solve(K)
data <- withr::with_seed(5, toy_pheno(K, rep(c(0L, 1L, 3L, 2L), 5)))

test_that("a precision matrix is as good as its inverse", {
  by_kernel <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K))
  by_precision <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = precision(Q)))
  expect_equal(deviance(by_precision), deviance(by_kernel), tolerance = 1e-9)
  expect_equal(blup(by_precision), blup(by_kernel), tolerance = 1e-6)
  as_term <- lmmfit(y ~ x + kin(1 | id, precision(Q)), data)
  expect_equal(deviance(as_term), deviance(by_precision))
})

test_that("sparse matrices are taken", {
  skip_if_not_installed("Matrix")
  tree <- diag(2, 20)
  tree[abs(row(tree) - col(tree)) == 1] <- -0.9
  dimnames(tree) <- dimnames(K)
  sparse <- Matrix::Matrix(tree, sparse = TRUE)
  inverse <- solve(tree)
  checked <- check_kinship(precision(sparse), rownames(K), "id", "kinship", NULL)
  expect_equal(checked, inverse, tolerance = 1e-9)
})

test_that("what can't be a precision matrix is refused", {
  fit <- function(Q) lmmfit(y ~ x + (1 | id), data, kinship = list(id = precision(Q)))
  expect_kinlmm_error(precision(1:3), "argument", "must be a matrix")
  expect_kinlmm_error(precision(data.frame(a = 1)), "argument", "must be a matrix")
  expect_kinlmm_error(precision(), "argument", "must be given")
  singular <- tcrossprod(Q[, 1:5])
  expect_kinlmm_error(fit(singular), "precision", "positive definite", list(group = "id"))
  expect_kinlmm_error(fit(unname(Q)), "kinship_noids", "no row names")
  expect_kinlmm_error(fit(Q[-2, -2]), "kinship_ids", "\"i2\"")
  expect_output(print(precision(Q)), "20 ids")
})

test_that("a sparse matrix stays sparse for lmmfit(), and is checked", {
  skip_if_not_installed("Matrix")
  tree <- diag(2, 20)
  tree[abs(row(tree) - col(tree)) == 1] <- -0.9
  dimnames(tree) <- dimnames(K)
  sparse <- function(Q) Matrix::Matrix(Q, sparse = TRUE)
  checked <- function(Q) {
    check_sparse_kinship(precision(Q), rownames(K), "id", "kinship", NULL)
  }
  for (form in list(sparse(tree), methods::as(sparse(tree), "generalMatrix"),
                    Matrix::forceSymmetric(sparse(tree), "U"),
                    Matrix::forceSymmetric(sparse(tree), "L"),
                    methods::as(sparse(tree), "TsparseMatrix"))) {
    kernel <- checked(form)
    expect_s3_class(kernel, "sparse_kernel")
    expect_equal(dimnames(kernel), dimnames(K))
    expect_equal(kernel$diagonal, unname(diag(solve(tree))), tolerance = 1e-12)
    expect_equal(kernel$logdet, as.numeric(determinant(tree)$modulus), tolerance = 1e-12)
  }
  # no gain
  expect_true(is.matrix(checked(sparse(Q))))
  wrong <- function(i, j, value) {
    tree[i, j] <- value
    checked(methods::as(sparse(tree), "generalMatrix"))
  }
  expect_kinlmm_error(wrong(3, 4, -0.5), "kinship_asymmetric")
  expect_kinlmm_error(wrong(3, 3, NA), "kinship_na", "i3")
  expect_kinlmm_error(wrong(3, 3, 0.1), "precision", "positive definite")
  expect_kinlmm_error(wrong(3, 3, 0), "precision", "positive definite")
  expect_kinlmm_error(checked(sparse(tree)[-2, -2]), "kinship_ids", "i2")
  expect_kinlmm_error(checked(unname(sparse(tree))), "kinship_noids")
})
