test_that("epistatic() is the elementwise product, with a mean diagonal of 1", {
  G <- random_genotypes(30, 60)
  A <- suppressMessages(grm(G, "vanraden1", missing = 1))
  D <- suppressMessages(grm(G, "vitezica", missing = 1))
  a <- matrix(A, 30)
  d <- matrix(D, 30)
  AA <- epistatic(A)
  expect_s3_class(AA, "kinship")
  expect_null(attr(AA, "grm"))
  expect_identical(dimnames(AA), dimnames(A))
  expect_equal(matrix(AA, 30), a * a / (sum(diag(a * a)) / 30))
  expect_equal(matrix(epistatic(A, D, scale = FALSE), 30), a * d)
  # Schur: the product of positive semi-definite matrices is one
  expect_gt(min(eigen(matrix(AA, 30), TRUE)$values), -1e-10)
})

test_that("epistatic() counts pairs of loci", {
  # sum_i sum_j (z_i z_j)(z_i z_j)' = (sum_i z_i z_i') o (sum_j z_j z_j')
  Z <- withr::with_seed(1, matrix(stats::rnorm(12 * 7), 12))
  K <- tcrossprod(Z)
  dimnames(K) <- rep(list(letters[1:12]), 2)
  pairs <- expand.grid(i = 1:7, j = 1:7)
  W <- Z[, pairs$i] * Z[, pairs$j]
  expect_equal(matrix(epistatic(K, scale = FALSE), 12), tcrossprod(W))
})

test_that("epistatic() matches by id", {
  K <- toy_kinship(8)
  L <- toy_kinship(10)
  o <- withr::with_seed(1, sample(10))
  expect_equal(epistatic(K, L[o, o]), epistatic(K, L[1:8, 1:8]))
  expect_kinlmm_error(epistatic(L, K), "kinship_ids", '"i9", "i10"',
                      list(missing = c("i9", "i10")))
})

test_that("epistatic() needs matrices with ids", {
  K <- toy_kinship(4)
  expect_kinlmm_error(epistatic(K[1:3, ]), "argument", "a square matrix")
  expect_kinlmm_error(epistatic(K, unname(K)), "kinship_noids", "`L` has no row names")
  expect_kinlmm_error(epistatic(K, K[c(1, 1, 2, 3), c(1, 1, 2, 3)]), "kinship_duplicated",
                      "in `L`")
  expect_kinlmm_error(epistatic(replace(K, 2, NA)), "kinship_na", "`K`")
  expect_kinlmm_error(epistatic(K, replace(K, 2, 9)), "kinship_asymmetric", "`L`")
  expect_kinlmm_error(epistatic(K, -K), "argument", "no positive mean")
  expect_kinlmm_error(epistatic(K, scale = 2), "argument", "TRUE or FALSE")
  expect_s3_class(epistatic(Matrix::Matrix(K)), "kinship")
})
