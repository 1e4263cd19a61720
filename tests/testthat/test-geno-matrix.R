caught <- function(expr) tryCatch(expr, kinlmm_error = identity)

test_that("a matrix is a source like any other", {
  G <- random_genotypes(7, 9)
  geno <- as_genotypes(G)
  bed <- read_bed(write_test_bed(G))
  expect_s3_class(geno, c("genotype_matrix", "genotypes"), exact = TRUE)
  expect_identical(as.matrix(geno), G)
  expect_identical(as.matrix(geno[c(7, 2), c("rs9", "rs1")]), G[c(7, 2), c(9, 1)])
  expect_identical(geno_block(geno, 3:2), geno_block(bed, 3:2))
  expect_identical(names(geno$samples), names(bed$samples))
  expect_identical(names(geno$map), names(bed$map))
  expect_equal(suppressMessages(grm(geno)), suppressMessages(grm(bed)),
               tolerance = 1e-14)
})

test_that("integers and dosages are taken, and NaN is missing", {
  G <- matrix(c(0L, 1L, 2L, NA), 2, dimnames = list(c("a", "b"), c("s", "t")))
  expect_identical(as.matrix(as_genotypes(G)), G + 0)
  G[] <- c(0.25, NaN, 2, 0)
  expect_identical(as.matrix(as_genotypes(G)), replace(G, 2, NA))
  expect_identical(dim(as_genotypes(G[0, , drop = FALSE])), c(0L, 2L))
  expect_identical(dim(as_genotypes(G[, 0])), c(2L, 0L))
})

test_that("ids are required and unique", {
  G <- random_genotypes(3, 2)
  for (side in 1:2) {
    nameless <- G
    dimnames(nameless)[side] <- list(NULL)
    error <- caught(as_genotypes(nameless, "geno"))
    expect_s3_class(error, c("kinlmm_error_genotypes_names", "kinlmm_error_input"))
    expect_match(conditionMessage(error), c("as row names", "as column names")[[side]])
    dimnames(nameless)[[side]] <- c("x", "", "y")[seq_len(dim(G)[[side]])]
    expect_error(as_genotypes(nameless), class = "kinlmm_error_genotypes_names")
  }
  rownames(G) <- c("a", "b", "a")
  error <- caught(as_genotypes(G, "geno"))
  expect_s3_class(error, "kinlmm_error_genotypes_names")
  expect_identical(error$ids, "a")
  expect_match(conditionMessage(error), "row names of `geno`.*1 id is")
})

test_that("values out of range are named", {
  G <- random_genotypes(3, 2, missing = 0)
  G[3, 1] <- -9
  G[1, 2] <- Inf
  error <- caught(as_genotypes(G, "geno"))
  expect_s3_class(error, c("kinlmm_error_genotypes_range", "kinlmm_error_input"))
  expect_identical(c(error$sample, error$snp), c("id003", "rs1"))
  expect_identical(c(error$value, error$n), c(-9, 2))
  expect_match(conditionMessage(error), "2 values are not, in `geno`: -9 of sample")
  G[] <- NA
  expect_s3_class(as_genotypes(G), "genotypes")
})
