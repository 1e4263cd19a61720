caught <- function(expr) tryCatch(expr, kinlmm_error = identity)

ids <- paste0("id", 1:6)
K <- crossprod(matrix(sin(1:36), 6))
dimnames(K) <- list(ids, ids)
check <- function(K, levels = ids) {
  check_kinship(K, levels, "animal", "kinship$animal", NULL)
}

test_that("a good matrix is returned as it is, whatever the levels' order", {
  expect_identical(check(K), K)
  expect_identical(check(K, factor(c("id3", "id1", "id3"))), K)
  identity <- matrix(as.integer(diag(6)), 6, dimnames = list(ids, ids))
  expect_identical(check(identity), identity + 0)
})

test_that("matrices of the Matrix package become base matrices", {
  skip_if_not_installed("Matrix")
  dense <- Matrix::Matrix(K)
  sparse <- Matrix::forceSymmetric(Matrix::Matrix(K * (K > 0), sparse = TRUE))
  expect_equal(check(dense), K, tolerance = 1e-15)
  expect_equal(check(sparse), K * (K > 0), tolerance = 1e-15)
})

test_that("small differences are averaged, larger ones refused", {
  nearly <- K
  nearly[2, 5] <- nearly[2, 5] + 1e-10
  checked <- check(nearly)
  expect_true(isSymmetric(checked, tol = 0))
  expect_lt(max(abs(checked - K)), 1e-9)
  nearly[2, 5] <- K[2, 5] + 0.5
  nearly[1, 3] <- K[1, 3] + 0.4
  error <- caught(check(nearly))
  expect_s3_class(error, c("kinlmm_error_kinship_asymmetric", "kinlmm_error_input"))
  expect_setequal(error$pair, c("id2", "id5"))
  expect_equal(error$difference, 0.5)
  expect_match(conditionMessage(error), "they differ by\\s+0.5")
})

test_that("asymmetry is found wherever it is", {
  for (n in c(2L, 64L, 65L, 200L)) {
    big <- diag(n)
    big[n, 1] <- 1e-3
    worst <- cpp_check_symmetry(big)
    expect_identical(worst$difference, 1e-3)
    expect_setequal(c(worst$row, worst$column), c(n, 1L))
  }
  expect_identical(cpp_check_symmetry(matrix(0, 0, 0))$difference, 0)
})

test_that("ids are required, the same on both sides, and unique", {
  nameless <- unname(K)
  expect_error(check(nameless), "no row names", class = "kinlmm_error_kinship_noids")
  rownames(nameless) <- ids
  expect_error(check(nameless), "no column names", class = "kinlmm_error_kinship_noids")
  expect_error(check(K[, 6:1]), "not the same", class = "kinlmm_error_kinship_noids")
  error <- caught(check(K[c(1, 1, 2), c(1, 1, 2)]))
  expect_s3_class(error, c("kinlmm_error_kinship_duplicated", "kinlmm_error_input"))
  expect_identical(error$ids, "id1")
})

test_that("what is no finite square matrix is refused", {
  expect_error(check(as.data.frame(K)), "a data frame", class = "kinlmm_error_argument")
  expect_error(check(K[1:3, ]), "a square matrix", class = "kinlmm_error_argument")
  expect_error(check(NULL), "NULL", class = "kinlmm_error_argument")
  broken <- K
  broken[4, 2] <- NaN
  broken[2, 4] <- Inf
  error <- caught(check(broken))
  expect_s3_class(error, c("kinlmm_error_kinship_na", "kinlmm_error_input"))
  expect_identical(error$n, 2L)
  expect_identical(error$ids, c("id2", "id4"))
  expect_match(conditionMessage(error), "2 values are missing or infinite")
})

test_that("levels without a row are named", {
  error <- caught(check(K, c("id1", "x{1}", "y", "y")))
  expect_s3_class(error, c("kinlmm_error_kinship_ids", "kinlmm_error_input"))
  expect_identical(error$missing, c("x{1}", "y"))
  expect_identical(error$have, ids)
  expect_match(conditionMessage(error), "2 of 3 levels have none: \"x\\{1\\}\", \"y\"")
  expect_no_match(conditionMessage(error), "prefix")
})

test_that("a family prefix is recognised only where it explains everything", {
  hint <- function(missing, have) kinship_ids_hint("animal", "K", missing, have)
  in_k <- "ids in .* carry a family prefix"
  in_data <- "levels of .* carry a family prefix"
  expect_match(hint(c("a", "b"), c("F1:a", "F2:b", "F2:c")), in_k)
  expect_match(hint(c("a", "b"), c("0_a", "0_b")), in_k)
  expect_match(hint("s_1", c("s_1_s_1", "s_2_s_2")), in_k)
  expect_match(hint(c("F1:a", "F2:b"), c("a", "b", "c")), in_data)
  expect_null(hint(c("a", "d"), c("F1:a", "F2:b")))
  expect_null(hint("a", c("b", "c")))
})

test_that("other differences of ids are recognised where they explain everything", {
  hint <- function(missing, have) kinship_ids_hint("animal", "K", missing, have)
  expect_match(hint(c("1", "a-b"), c("X1", "a.b", "c")), "check.names")
  expect_match(hint(c("a ", "b"), c("a", "b", "c")), "blanks")
  expect_match(hint(c("7", "1"), c("007", "01")), "zeros in front")
  expect_match(hint("Anna", c("ANNA", "OTTO")), "upper and lower case")
  expect_null(hint(c("7", "a"), c("007", "b")))
})

test_that("rows and columns in different orders are told from different ids", {
  expect_error(check(K[, 6:1]), "in another order", class = "kinlmm_error_kinship_noids")
  other <- K
  colnames(other)[1] <- "x"
  message <- conditionMessage(caught(check(other)))
  expect_match(message, "not the same\\.")
})

test_that("ids that only the matrix has are kept", {
  expect_identical(rownames(check(K, c("id2", "id5"))), ids)
  expect_identical(rownames(check(new_kinship(K), "id2")), ids)
})

test_that("the class goes, the note stays", {
  note <- list(method = "centered", m = 7)
  checked <- check(new_kinship(K, note))
  expect_identical(class(checked), c("matrix", "array"))
  expect_identical(attributes(checked), list(dim = c(6L, 6L), dimnames = list(ids, ids),
                                             grm = note))
})

test_that("messages are calm and complete", {
  named <- K
  dimnames(named) <- list(paste0("0_", ids), paste0("0_", ids))
  skewed <- K
  skewed[2, 5] <- 7
  expect_snapshot(error = TRUE, {
    check(named)
    check(unname(K))
    check(skewed)
    abort_kinship_psd(-0.0842, 12.3, 214, "animal", NULL)
  })
})

test_that("an indefinite matrix is reported with its eigenvalues", {
  error <- caught(abort_kinship_psd(-0.0842, 12.3, 1, "animal", NULL))
  expect_s3_class(error, c("kinlmm_error_kinship_psd", "kinlmm_error_input"))
  expect_identical(c(error$min, error$max, error$n_negative), c(-0.0842, 12.3, 1))
  expect_match(conditionMessage(error), "1 eigenvalue is below the tolerance")
})

test_that("variances below zero and impossible covariances are named", {
  wrong <- K
  wrong[6, 6] <- -0.5
  expect_kinlmm_error(check(wrong, ids[1:4]), "kinship_psd", "-0.5 for \"id6\"",
                      list(ids = "id6"))
  wrong <- K
  wrong[6, 2] <- wrong[2, 6] <- 3 * max(K)
  expect_kinlmm_error(check(wrong, ids[1:4]), "kinship_psd", "for \"id2\", \"id6\"",
                      list(ids = c("id2", "id6")))
})

test_that("numbers as ids are matched whatever R made of them", {
  numeric <- K
  dimnames(numeric) <- rep(list(c(1e5, 2e5, 3:6)), 2)
  expect_equal(rownames(check(numeric, c("100000", "3"))), c("100000", "200000", 3:6))
  expect_equal(rownames(check(numeric, "1e+05"))[1], "1e+05")
})

test_that("the root of a kernel of any rank", {
  expect_equal(crossprod(kernel_root(K)), unname(K), tolerance = 1e-12)
  low <- tcrossprod(matrix(sin(1:12), 6))
  root <- kernel_root(low)
  expect_equal(crossprod(root), low, tolerance = 1e-12)
  expect_equal(qr(root)$rank, 2L)
  expect_equal(crossprod(kernel_root(diag(c(2, 0)))), diag(c(2, 0)))
})

test_that("ids must not be empty or missing", {
  K <- diag(3)
  for (ids in list(c("a", "", "c"), c("a", NA, "c"))) {
    dimnames(K) <- list(ids, ids)
    expect_kinlmm_error(check_kinship(K, "a", "id"), "kinship_noids", "empty or missing")
  }
})

test_that("models say what is wrong with a matrix, one term or several", {
  S <- withr::with_seed(1, toy_kinship(20))
  data <- withr::with_seed(2, toy_pheno(S, rep(2L, 20)))
  ids <- rownames(S)
  named <- function(K, rows, columns = rows) {
    dimnames(K) <- list(rows, columns)
    K
  }
  cases <- list(
    kinship_psd = list(S - diag(0.3, 20), "must be positive semi-definite"),
    kinship_noids = list(unname(S), "has no row names"),
    kinship_noids = list(named(S, ids, rev(ids)), "in another order"),
    kinship_noids = list(named(S, c("", ids[-1])), "empty or missing"),
    kinship_duplicated = list(named(S, ids[c(1, 1, 3:20)]), "1 id is more than once"),
    kinship_ids = list(S[-(1:3), -(1:3)], "3 of 20 levels have none: \"i1\", \"i2\", \"i3\""),
    kinship_ids = list(named(S, paste0("fam", 1:20, ":", ids)), "carry a family prefix?"),
    kinship_asymmetric = list(replace(S, 2, 5), "they differ by"),
    kinship_na = list(replace(S, 2, NA), "1 value is missing or infinite")
  )
  forms <- list(y ~ x + (1 | id), y ~ x + (1 + x | id))
  for (i in seq_along(cases)) for (form in forms) {
    expect_kinlmm_error(lmmfit(form, data, kinship = list(id = cases[[i]][[1]])),
                        names(cases)[[i]], cases[[i]][[2]], list(group = "id"))
  }
  fit <- function(K) lmmfit(y ~ x + (1 | id), data[data$id %in% ids[1:15], ],
                            kinship = list(id = K))
  mixed <- withr::with_seed(3, sample(20))
  expect_equal(deviance(fit(S[mixed, mixed])), deviance(fit(S)), tolerance = 1e-10)
  # more ids than data: the others are predicted
  expect_identical(nrow(blup(fit(S))), 20L)
  expect_kinlmm_error(lmmfit(y ~ x + (1 | id), data, kinship = kin_eigen(S)), "argument",
                      "a list of matrices named by grouping factor")
})
