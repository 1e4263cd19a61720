caught <- function(expr) tryCatch(expr, kinlmm_error = identity)

G <- random_genotypes(8, 12)
geno <- read_bed(write_test_bed(G, chr = rep(c("1", "2", "X"), each = 4)))

test_that("genotypes are subset by ids, numbers and logical values", {
  expect_identical(as.matrix(geno[c("id005", "id002"), ]), G[c(5, 2), ])
  expect_identical(as.matrix(geno[factor(c("id005", "id002")), ]), G[c(5, 2), ])
  expect_identical(as.matrix(geno[-1, -(2:12)]), G[-1, 1, drop = FALSE])
  expect_identical(as.matrix(geno[, geno$map$chr == "2"]), G[, 5:8])
  expect_identical(as.matrix(geno[, c("rs3", "rs3", "rs1")]), G[, c(3, 3, 1)])
  expect_identical(geno[, ], geno)
  expect_identical(geno[1:2, 3, drop = TRUE], geno[1:2, 3])
  few <- geno[c(4, 1), c(12, 2)]
  expect_identical(few$samples$id, c("id004", "id001"))
  expect_identical(few$map$chr, c("X", "1"))
  expect_identical(dimnames(few), list(c("id004", "id001"), c("rs12", "rs2")))
  expect_identical(c(nrow(few), ncol(few)), c(2L, 2L))
  expect_identical(dim(geno[character(), integer()]), c(0L, 0L))
  expect_identical(dim(as.matrix(geno[, integer()])), c(8L, 0L))
})

test_that("unknown ids are errors that name them", {
  error <- caught(geno[c("id001", "no{1}", "none"), ])
  expect_s3_class(error, c("kinlmm_error_genotype_index", "kinlmm_error_input"))
  expect_identical(error$ids, c("no{1}", "none"))
  expect_match(conditionMessage(error), "2 sample ids are not: \"no\\{1\\}\", \"none\"")
  expect_match(conditionMessage(error), "look like \"id001\"")
  expect_error(geno[, c("rs1", NA)], class = "kinlmm_error_genotype_index")
})

test_that("unsuitable indices are errors", {
  refused <- function(expr, regexp) {
    expect_error(expr, regexp, class = "kinlmm_error_genotype_index")
  }
  refused(geno[c(1, 2, 1), ], "taken more than once: \"id001\"")
  refused(geno[9, ], "from 1 to 8")
  refused(geno[, 0], "whole numbers")
  refused(geno[, 1.5], "whole numbers")
  refused(geno[, c(1, NA)], "whole numbers")
  refused(geno[, c(-1, 2)], "all positive or all negative")
  refused(geno[TRUE, ], "as long as there are samples, 8")
  refused(geno[, rep(NA, 12)], "12 with 12 NA")
  refused(geno[list(1), ], "ids, numbers or logical")
  refused(geno[1], "samples and SNPs")
  refused(geno[], "samples and SNPs")
})

test_that("a repeated SNP id is allowed but cannot be taken", {
  twins <- read_bed(write_test_bed(G, snps = rep(c("a", "b", "c"), c(2, 9, 1))))
  expect_identical(ncol(twins), 12L)
  expect_identical(unname(as.matrix(twins[, "c"])), unname(G[, 12, drop = FALSE]))
  error <- caught(twins[, c("c", "a")])
  expect_s3_class(error, "kinlmm_error_genotype_index")
  expect_identical(error$ids, "a")
  expect_match(conditionMessage(error), "belong to one SNP")
})

test_that("genotypes print what they are", {
  geno$path <- "cohort.bed"
  expect_snapshot({
    geno
    geno[1:2, 1:4]
    as_genotypes(G)
  })
  expect_output(expect_identical(print(geno), geno))
})

test_that("chromosomes are abbreviated", {
  chr <- c("2", "1", "3", "X", "10", "MT", "2")
  expect_identical(chromosome_ranges(chr), "1-3, 10, MT, X")
  expect_identical(chromosome_ranges("X"), "X")
  expect_identical(chromosome_ranges(NA_character_), "")
})

test_that("as_genotypes() refuses anything else", {
  for (x in list(NULL, 1, data.frame(a = 1), "mouse.bed", matrix("a"))) {
    expect_error(as_genotypes(x, "geno"), "`geno` must be genotypes, as from read_bed",
                 class = "kinlmm_error_argument")
  }
})

test_that("what genotypes can't do is said", {
  geno <- as_genotypes(matrix(0:2, 3, 2, dimnames = list(letters[1:3], c("s", "t"))))
  expect_kinlmm_error(t(geno), "genotypes_operation", "can't be transposed")
  expect_kinlmm_error(geno[1, 1] <- 0, "genotypes_operation", "can't be changed")
})
