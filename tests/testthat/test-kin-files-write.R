caught <- function(expr) tryCatch(expr, kinlmm_error = identity)

small_kinship <- function() {
  matrix(c(1, 0.5, 0.5, 2), 2, dimnames = list(c("a", "b"), c("a", "b")))
}

test_that("files are those that the formats ask for", {
  K <- new_kinship(small_kinship(), list(m = 3))
  prefix <- tempfile("kin")
  for (format in names(kinship_endings)) {
    expect_identical(write_kinship(K, prefix, format), prefix)
  }
  bytes <- function(suffix) readBin(paste0(prefix, suffix), "raw", 1000)
  expect_identical(bytes(".grm.bin"), writeBin(c(1, 0.5, 2), raw(), 4, "little"))
  expect_identical(bytes(".grm.N.bin"), writeBin(c(3, 3, 3), raw(), 4, "little"))
  expect_identical(bytes(".rel.bin"), writeBin(c(1, 0.5, 0.5, 2), raw(), 8, "little"))
  text <- function(suffix) rawToChar(bytes(suffix))
  expect_identical(text(".grm.id"), "a\ta\nb\tb\n")
  expect_identical(text(".rel"), "1\n0.5\t2\n")
  expect_identical(text(".rel.id"), "#FID\tIID\na\ta\nb\tb\n")
  expect_identical(text(".cXX.txt"), "1\t0.5\n0.5\t2\n")
  expect_identical(readLines(paste0(prefix, ".grm.gz")),
                   c("1\t1\t3\t1", "2\t1\t3\t0.5", "2\t2\t3\t2"))
  expect_identical(bytes(".grm.gz")[1:2], as.raw(c(0x1f, 0x8b)))
  standardized <- new_kinship(small_kinship(), list(method = "standardized"))
  write_kinship(standardized, prefix, "gemma")
  expect_true(file.exists(paste0(prefix, ".sXX.txt")))
  folder <- list.files(dirname(prefix))
  expect_identical(grep("^kin-", folder, value = TRUE), character())
})

test_that("a number of SNPs of another matrix does not stay behind", {
  prefix <- tempfile("kin")
  write_kinship(new_kinship(small_kinship(), list(m = 3)), prefix)
  write_kinship(small_kinship(), prefix)
  expect_false(file.exists(paste0(prefix, ".grm.N.bin")))
})

test_that("family ids come from samples, by id", {
  K <- small_kinship()
  G <- random_genotypes(3, 2)
  bed <- write_test_bed(G, fid = c("x", "y", "z"), ids = c("b", "c", "a"))
  prefix <- tempfile("kin")
  for (samples in list(read_bed(bed), paste0(bed, ".fam"))) {
    write_kinship(K, prefix, samples = samples)
    expect_identical(readLines(paste0(prefix, ".grm.id")), c("z\ta", "x\tb"))
  }
  shared <- write_test_bed(G, fid = c("x", "y", "z"), ids = c("1", "1", "2"))
  geno <- suppressMessages(read_bed(shared))
  K <- suppressMessages(grm(geno, maf = 0, missing = 1))
  write_kinship(K, prefix, samples = geno)
  expect_identical(readLines(paste0(prefix, ".grm.id")), c("x\t1", "y\t1", "z\t2"))
  expect_identical(rownames(suppressMessages(read_kinship(prefix))), rownames(geno))
  error <- caught(write_kinship(K, prefix, samples = read_bed(bed)))
  expect_match(conditionMessage(error), "without \"x:1\"")
  G <- random_genotypes(2, 3)
  rownames(G) <- c("a", "b")
  write_kinship(small_kinship(), prefix, samples = as_genotypes(G))
  expect_identical(readLines(paste0(prefix, ".grm.id")), c("a\ta", "b\tb"))
})

test_that("unsuitable matrices and places are refused", {
  K <- small_kinship()
  prefix <- tempfile("kin")
  refused <- function(K, class) {
    expect_s3_class(caught(write_kinship(K, prefix)), paste0("kinlmm_error_", class))
  }
  refused(1, "argument")
  refused(K[1, , drop = FALSE], "argument")
  refused(unname(K), "kinship_noids")
  refused(replace(K, 2, 0), "kinship_asymmetric")
  refused(replace(K, 1, NA), "kinship_na")
  refused(replace(K, 1, 1e39), "kinship_write")
  spaced <- K
  dimnames(spaced) <- rep(list(c("a", "b c")), 2)
  refused(spaced, "kinship_write")
  dimnames(spaced) <- rep(list(c("a", "b\xff")), 2)
  refused(spaced, "kinship_write")
  error <- caught(write_kinship(K, file.path(prefix, "no", "k")))
  expect_s3_class(error, c("kinlmm_error_kinship_write", "kinlmm_error_file"))
  expect_match(conditionMessage(error), "There is no folder")
  dir.create(paste0(prefix, ".grm.bin"))
  expect_s3_class(caught(write_kinship(K, prefix)), "kinlmm_error_kinship_write")
  expect_identical(Sys.glob(paste0(dirname(prefix), "/kin-*")), character())
})

test_that("GEMMA and plink1.9 read what is written", {
  skip_if_no_program("gemma")
  skip_if_no_program("plink1.9")
  withr::local_dir(withr::local_tempdir())
  G <- random_genotypes(60, 80, missing = 0)
  prefix <- write_test_bed(G, "geno")
  y <- withr::with_seed(2, G[, 1:20] %*% stats::rnorm(20) / 4 + stats::rnorm(60))
  write_lines("pheno", ".txt", format(y, digits = 15))
  K <- suppressMessages(grm(G))
  write_kinship(K, "k", "gemma")
  args <- c("-bfile", "geno", "-p", "pheno.txt", "-k", "k.cXX.txt", "-n", "1", "-lmm", "1",
            "-miss", "1", "-o", "fit")
  expect_identical(system2("gemma", args, stdout = FALSE, stderr = FALSE), 0L)
  log <- grep("## pve estimate", readLines("output/fit.log.txt"), value = TRUE)
  data <- data.frame(y = drop(y), id = rownames(G))
  fit <- lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = K))
  expect_equal(heritability(fit)$estimate, as.numeric(sub(".*=", "", log[[1L]])),
               tolerance = 1e-4)

  write_kinship(K, "k", "gcta", samples = read_bed(prefix))
  args <- c("--grm-bin", "k", "--rel-cutoff", "0.1", "--out", "cut")
  expect_identical(system2("plink1.9", args, stdout = FALSE, stderr = FALSE), 0L)
  kept <- utils::read.table("cut.grm.id", colClasses = "character")[[2]]
  off <- K[kept, kept]
  expect_true(all(off[upper.tri(off)] <= 0.1 + 1e-6))
  expect_gt(length(kept), 1)
  expect_lt(length(kept), 60)
})
