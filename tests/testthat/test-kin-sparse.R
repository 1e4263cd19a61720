families <- as_kinship(as.matrix(pedigree_kinship(
  withr::with_seed(1, simulate_pedigree(6, children = 3))
)))

test_that("relatives are the pairs above the threshold", {
  found <- relatives(families, 0.25)
  dense <- which(as.matrix(families) >= 0.25 & lower.tri(families), arr.ind = TRUE)
  expect_identical(nrow(found), nrow(dense))
  expect_setequal(paste(found$id1, found$id2),
                  paste(rownames(families)[dense[, 2]], rownames(families)[dense[, 1]]))
  expect_false(is.unsorted(-found$value))
  expect_identical(found$value, as.matrix(families)[cbind(found$id1, found$id2)])
  expect_identical(nrow(relatives(families, 2)), 0L)
  expect_identical(nrow(relatives(as_kinship(diag(1), "a"))), 0L)
})

test_that("a sparse matrix keeps them and the diagonal", {
  skip_if_not_installed("Matrix")
  expect_message(S <- sparse_kinship(families, 0.3), class = "kinlmm_message_sparse_kinship",
                 regexp = "6 families of up to 5 ids, and 0 ids without relatives")
  expect_s4_class(S, "dsCMatrix")
  dense <- as.matrix(families)
  expect_identical(as.matrix(S), dense * (dense >= 0.3 | diag(nrow(dense)) == 1))
  expect_identical(relatives(S, 0.3), relatives(families, 0.3))
  expect_message(none <- sparse_kinship(families, 2), "No id has relatives")
  expect_identical(as.matrix(none), diag(diag(dense), names = FALSE), ignore_attr = TRUE)
  # a value equal to the threshold stays
  expect_message(sparse_kinship(families, 0.5), "Kept 54 of 435 pairs")
})

test_that("a model takes it", {
  skip_if_not_installed("Matrix")
  data <- withr::with_seed(3, toy_pheno(as.matrix(families), rep(2L, nrow(families))))
  fit <- function(K) deviance(lmmfit(y ~ x + (1 | id), data, kinship = list(id = K)))
  S <- suppressMessages(sparse_kinship(families, 0.1))
  expect_equal(fit(S), fit(families), tolerance = 1e-10)
})

test_that("families that are not positive semi-definite are refused, or lowered", {
  skip_if_not_installed("Matrix")
  K <- diag(5)
  K[1:3, 1:3] <- c(1, 0.9, 0.65, 0.9, 1, 0.9, 0.65, 0.9, 1)
  K[4:5, 4:5] <- c(2, 1.5, 1.5, 2)
  K <- as_kinship(K, letters[1:5])
  expect_gt(min(eigen(K)$values), 0)
  error <- expect_error(sparse_kinship(K, 0.7), "1 family is not: the largest has 3 ids",
                        class = "kinlmm_error_kinship_psd")
  expect_identical(error$sizes, 3L)
  expect_equal(error$min, 1 - 0.9 * sqrt(2))
  expect_message(S <- sparse_kinship(K, 0.7, repair = TRUE), "within 1 family were lowered")
  expect_lt(abs(min(eigen(as.matrix(S))$values)), 1e-8)
  expect_equal(S["a", "b"], 1 / sqrt(2), tolerance = 1e-8)
  expect_identical(S["d", "e"], 1.5)
  expect_identical(unname(Matrix::diag(S)), unname(diag(K)))
})

test_that("arguments are checked", {
  skip_if_not_installed("Matrix")
  expect_kinlmm_error(relatives(families, "a"), "argument", "`threshold`")
  expect_kinlmm_error(sparse_kinship(families, repair = NA), "argument", "`repair`")
  expect_kinlmm_error(sparse_kinship(unname(as.matrix(families))), "kinship_noids")
  expect_kinlmm_error(sparse_kinship(families - 2 * diag(30)), "kinship_psd",
                      "30 diagonal elements are negative")
})
