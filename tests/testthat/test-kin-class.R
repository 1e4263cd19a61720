test_that("a kinship is a matrix with a note", {
  K <- new_kinship(diag(2), list(m = 3))
  expect_s3_class(K, c("kinship", "matrix"))
  expect_identical(attr(K, "grm")$m, 3)
})
