caught <- function(expr) tryCatch(expr, kinlmm_error = identity)

some_kinship <- function(n = 6, seed = 1) {
  K <- withr::with_seed(seed, tcrossprod(matrix(stats::rnorm(2 * n^2), n)) / (2 * n))
  dimnames(K) <- rep(list(sprintf("id%02d", seq_len(n))), 2)
  K
}

bare <- function(K) structure(c(K), dim = dim(K), dimnames = dimnames(K))

put <- function(lines, suffix, prefix = tempfile("kin")) {
  write_lines(prefix, suffix, lines)
  prefix
}

test_that("a kinship in R's own file is itself", {
  K <- suppressMessages(grm(random_genotypes(8, 30), missing = 1))
  attr(K, "observed") <- matrix(7, 8, 8, dimnames = dimnames(K))
  path <- withr::local_tempfile()
  saveRDS(K, path)
  expect_identical(readRDS(path), K)
})

test_that("every format gives back what was written", {
  for (n in c(1, 2, 9)) {
    K <- some_kinship(n)
    for (format in names(kinship_endings)) {
      prefix <- write_kinship(K, tempfile("kin"), format)
      got <- read_kinship(prefix, ids = if (format == "gemma") rownames(K))
      expect_s3_class(got, "kinship")
      expect_null(attr(got, "observed"))
      expect_identical(names(attr(got, "grm")), "file")
      expect_equal(bare(got), bare(K), tolerance = if (format == "gcta") 1e-7 else 1e-300)
      expect_identical(dimnames(got), dimnames(K))
    }
  }
})

test_that("numbers of SNPs go with the kinship, where the format has them", {
  K <- some_kinship(4)
  all_same <- new_kinship(K, list(m = 12))
  counts <- structure(10 + outer(1:4, 1:4) %% 3, dimnames = dimnames(K))
  differ <- structure(K, observed = counts)
  for (format in c("gcta", "gcta-gz")) {
    got <- read_kinship(write_kinship(all_same, tempfile("kin"), format))
    expect_identical(attr(got, "grm")$m, 12)
    expect_output(print(got), "made by     read from kin.*[.]grm[.].*, 12 SNPs")
    expect_null(attr(got, "observed"))
    got <- read_kinship(write_kinship(differ, tempfile("kin"), format))
    expect_identical(attr(got, "observed"), attr(differ, "observed"))
    expect_null(attr(got, "grm")$m)
  }
})

test_that("files written by hand are read as their formats say", {
  K <- matrix(c(1, 0.5, -0.25, 0.5, 2, 0, -0.25, 0, 1.5), 3)
  ids <- c("a", "b", "c")
  dimnames(K) <- list(ids, ids)
  prefix <- put(c("#FID IID", "f a", "f b", "g c"), ".rel.id")
  for (lines in list(c("1", "0.5 2", "-0.25 0 1.5"), c("1 0 0", "0.5 2 0", "-0.25 0 1.5"),
                     c("1 0.5 -.25", "0.5 2 0", "-2.5e-1 0 1.5"))) {
    write_lines(prefix, ".rel", lines, "\r\n")
    expect_identical(bare(read_kinship(prefix)), K)
    expect_identical(bare(read_kinship(paste0(prefix, ".rel"))), K)
    expect_identical(bare(read_kinship(paste0(prefix, ".rel.id"))), K)
    con <- gzfile(paste0(prefix, ".rel.gz"), "wb")
    writeLines(lines, con)
    close(con)
    expect_identical(bare(read_kinship(paste0(prefix, ".rel.gz"))), K)
    unlink(paste0(prefix, ".rel.gz"))
  }
  lower <- t(K)[upper.tri(K, TRUE)]
  layouts <- list(K, K * lower.tri(K, TRUE), lower)
  for (x in layouts) for (size in c(4, 8)) {
    unlink(paste0(prefix, ".rel"))
    values <- if (is.matrix(x)) c(t(x)) else x
    writeBin(values, paste0(prefix, ".rel.bin"), size = size, endian = "little")
    expect_identical(bare(read_kinship(prefix)), K)
  }
})

test_that("ids follow the rule of read_bed(), with or without a header", {
  read <- function(lines) {
    prefix <- put(lines, ".rel.id")
    write_lines(prefix, ".rel", c("1", "0 1"))
    rownames(read_kinship(prefix))
  }
  expect_identical(read(c("f 1", "g 2")), c("1", "2"))
  expect_message(ids <- read(c("f 1", "g 1")), class = "kinlmm_message_ids")
  expect_identical(ids, c("f:1", "g:1"))
  expect_identical(read(c("#IID", "x", "y")), c("x", "y"))
  expect_identical(read(c("#IID SID", "x 0", "y 0")), c("x", "y"))
  expect_identical(read(c("#FID IID SID", "f x 0", "f y 0")), c("x", "y"))
  expect_identical(read(c("x", "1e5")), c("x", "1e5"))
  for (lines in list(c("f 1", "f 1"), c("x", "x"), c("#IID", "x", "x"))) {
    expect_match(conditionMessage(caught(read(lines))), "id of its own")
  }
  expect_s3_class(caught(read("#FID IID")), "kinlmm_error_fam")
  expect_s3_class(caught(read(c("f x 1 2", "f y 1 2"))), "kinlmm_error_fam")
  expect_s3_class(caught(read(c("f x", "f"))), "kinlmm_error_fam")
})

test_that("ids may be given, and must be where the file has none", {
  prefix <- put(c("1 0.5", "0.5 1"), ".cXX.txt")
  error <- caught(read_kinship(prefix))
  expect_s3_class(error, c("kinlmm_error_kinship_ids", "kinlmm_error_file"))
  expect_match(conditionMessage(error), "GEMMA's files hold none.*lines of its '.fam'")
  ids <- function(x) rownames(read_kinship(prefix, ids = x))
  expect_identical(ids(c("a", "b")), c("a", "b"))
  expect_identical(ids(factor(c("b", "a"))), c("b", "a"))
  expect_identical(ids(c(100000, 2)), c("100000", "2"))
  G <- random_genotypes(2, 3)
  bed <- write_test_bed(G)
  expect_identical(ids(read_bed(bed)), rownames(G))
  expect_identical(ids(paste0(bed, ".fam")), rownames(G))
  for (bad in list(c("a", "a"), c("a", NA), c("a", ""), list("a", "b"), character(),
                   c(1.5, 2), c("a", "b\xff"))) {
    expect_s3_class(caught(ids(bad)), "kinlmm_error_argument")
  }
  expect_match(conditionMessage(caught(ids(c("a", "a")))), "\"a\" more than once")
  expect_match(conditionMessage(caught(ids(c("a", "b", "c")))),
               "Line 1.*3 numbers.*holds 2.*There are 3 ids")
  other <- put(c("1 0.5", "0.5 1"), ".dat")
  path <- paste0(other, ".dat")
  expect_match(conditionMessage(caught(read_kinship(path))), "Can't tell the format")
  expect_identical(rownames(read_kinship(path, "gemma", c("a", "b"))), c("a", "b"))
  expect_match(conditionMessage(caught(read_kinship(path, "plink2"))), "leads to its ids")
})

test_that("what is not there, or is there twice, is said", {
  folder <- withr::local_tempdir()
  prefix <- file.path(folder, "k")
  expect_match(conditionMessage(caught(read_kinship(prefix))), "none with this prefix")
  K <- some_kinship(3)
  write_kinship(K, prefix, "gcta")
  write_kinship(K, prefix, "plink2")
  error <- caught(read_kinship(prefix))
  expect_s3_class(error, "kinlmm_error_kinship_format")
  expect_match(conditionMessage(error), "\"k.grm.bin\", \"k.rel\"")
  expect_identical(bare(read_kinship(prefix, "plink2")), K)
  unlink(paste0(prefix, ".rel.id"))
  error <- caught(read_kinship(prefix, "plink2"))
  expect_s3_class(error, "kinlmm_error_kinship_missing")
  expect_match(conditionMessage(error), "k.rel.id.*the ids of")
  expect_identical(bare(read_kinship(prefix, "plink2", rownames(K))), K)
  writeBin(as.raw(c(0x28, 0xb5, 0x2f, 0xfd, 1, 2)), file.path(folder, "z.rel.zst"))
  expect_match(conditionMessage(caught(read_kinship(file.path(folder, "z")))), "decompress")
  zst <- caught(read_kinship(file.path(folder, "z.rel.zst")))
  expect_match(conditionMessage(zst), "run with `zs`.*zstd -d")
})

test_that("sizes are checked before binary files are read", {
  K <- some_kinship(5)
  prefix <- write_kinship(new_kinship(K, list(m = 9)), tempfile("kin"))
  resize <- function(suffix, size) {
    path <- paste0(prefix, suffix)
    bytes <- readBin(path, "raw", 1e4)
    writeBin(c(bytes, raw(1000))[seq_len(size)], path)
    error <- caught(read_kinship(prefix))
    writeBin(bytes, path)
    error
  }
  for (suffix in c(".grm.bin", ".grm.N.bin")) for (size in c(0, 59, 61)) {
    error <- resize(suffix, size)
    expect_s3_class(error, c("kinlmm_error_kinship_size", "kinlmm_error_file"))
    expect_identical(as.numeric(error$got), size)
  }
  expect_match(conditionMessage(error), "must hold 60 bytes for 5 samples.*holds 61")
  expect_match(conditionMessage(resize(".grm.bin", 84)), "the size for 6 samples")
  prefix <- write_kinship(K, tempfile("kin"), "plink2-bin")
  error <- resize(".rel.bin", 199)
  expect_match(conditionMessage(error), "must hold 120 or 60 or 200 or 100 bytes")
})

test_that("what is wrong inside is said with its place", {
  says <- function(lines, pattern, suffix = ".rel", sep = "\n") {
    prefix <- put(lines, suffix)
    if (sep != "\n") write_lines(prefix, suffix, lines, sep)
    ids <- c("a", "b")
    error <- caught(read_kinship(prefix, ids = ids))
    expect_s3_class(error, c("kinlmm_error_kinship_file", "kinlmm_error_file"))
    expect_match(conditionMessage(error), pattern)
  }
  says(c("1 0.5", "0.5 NA"), "Line 2 has \"NA\" as number 2")
  says(c("1 0.5", "", "0.5 {x}"), "Line 3 has \"[{]x[}]\" as number 2")
  says(c("1 0.5", "0.5 1", "1 1"), "must hold 2 lines for 2 samples.*It holds more")
  says("1 0.5", "It holds 1")
  says(c("1 0.5", "0.4 1"), "must be symmetric.*has 0.[45] for \"[ab]\"")
  says("1 0.5\n0.5 1", "must end with a line break.*Line 2", sep = "")
  says(c("1 1 9 1", "2 1 9 0.5", "2 1 9 0.5"), "Line 3 repeats 2 and 1", ".grm.gz")
  says(c("1 1 9 1", "2 3 9 0.5", "2 1 9 0.5"), "Line 2 is of 2 and 3", ".grm.gz")
  says(c("1 1 9 1", "2 1 -9 0.5", "2 2 9 1"), "\"b\", \"a\" is -9", ".grm.gz")
  prefix <- tempfile("kin")
  writeBin(c(1, NaN, 1), paste0(prefix, ".grm.bin"), size = 4, endian = "little")
  error <- caught(read_kinship(prefix, ids = c("a", "b")))
  expect_identical(error$ids, c("b", "a"))
  expect_match(conditionMessage(error), "must be finite.*share no SNP")
})

test_that("a broken archive is an error", {
  prefix <- write_kinship(some_kinship(30), tempfile("kin"), "gcta-gz")
  path <- paste0(prefix, ".grm.gz")
  bytes <- readBin(path, "raw", 1e5)
  writeBin(utils::head(bytes, -500), path)
  expect_s3_class(caught(read_kinship(prefix)), "kinlmm_error_kinship_file")
  writeBin(replace(bytes, 1000, xor(bytes[[1000]], as.raw(16))), path)
  expect_s3_class(caught(read_kinship(prefix)), "kinlmm_error_kinship_file")
})

test_that("damaged files are errors or are read as they are", {
  skip_on_cran()
  counts <- fuzz(fuzz_readers(), 10, seed = 1)
  expect_identical(sum(counts[, c("wrong", "raw error", "warning")]), 0L)
  expect_true(all(counts[, "error"] > 0))
  expect_gt(sum(counts[, "result"]), 0)
})

test_that("the judge of damaged files sees what is wrong", {
  good <- fuzz_readers()$rel
  outcomes <- function(read) {
    reader <- fuzz_reader(good$bytes, read, good$agrees)
    colSums(fuzz(list(rel = reader), 12, seed = 1)) > 0
  }
  expect_true(outcomes(function(prefix) {
    K <- good$read(prefix)
    K[2, 1] <- K[1, 2] <- K[2, 1] + 1e-9
    K
  })[["wrong"]])
  expect_true(outcomes(function(prefix) stop("x"))[["raw error"]])
  expect_true(outcomes(function(prefix) warning("x"))[["warning"]])
})

test_that("mouse: files of plink1.9, plink2 and GEMMA give one fit", {
  skip_if_no_program("plink1.9")
  skip_if_no_program("plink2")
  skip_if_no_program("gemma")
  withr::local_dir(dirname(mouse_hs1940()))
  silent <- function(program, ...) {
    expect_identical(system2(program, c(...), stdout = FALSE, stderr = FALSE), 0L)
  }
  write.table(utils::head(utils::read.table("mouse.fam"), 200)[1:2], "keep", quote = FALSE,
              row.names = FALSE, col.names = FALSE)
  silent("plink1.9", "--bfile", "mouse", "--keep", "keep", "--geno", "0", "--make-bed",
         "--out", "some")
  run <- function(program, ...) {
    silent(program, "--bfile", "some", "--nonfounders", "--maf", "0.05", "--out", ...)
  }
  run("plink1.9", "a", "--make-grm-bin")
  run("plink1.9", "b", "--make-grm-gz")
  run("plink1.9", "c", "--make-rel", "square", "gz")
  run("plink2", "d", "--make-grm-bin")
  run("plink2", "e", "--make-rel")
  run("plink2", "f", "--make-rel", "square0", "bin")
  run("plink2", "g", "--make-rel", "triangle", "bin4")
  geno <- read_bed("some")
  K <- suppressMessages(grm(geno, "vanraden2", maf = 0.05))
  y <- withr::with_seed(1, {
    drop(crossprod(kernel_root(K), stats::rnorm(200))) + stats::rnorm(200)
  })
  data <- data.frame(y = y, id = rownames(geno))
  fit_file <- function(path, ids = NULL) {
    K <- read_kinship(path, ids = ids)
    expect_identical(rownames(K), rownames(geno))
    if (path %in% c("a", "b", "d")) expect_false(is.null(pair_counts(K)))
    lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = K))
  }
  h2 <- vapply(letters[1:7], function(name) heritability(fit_file(name))$estimate, 0)
  expect_equal(unname(h2), rep(h2[["f"]], 7), tolerance = 1e-4)
  # GEMMA's own matrices, and what it makes of them
  fam <- utils::read.table("some.fam", colClasses = "character")
  fam[[6]] <- format(y, digits = 17)
  write.table(fam, "some.fam", quote = FALSE, row.names = FALSE, col.names = FALSE)
  for (k in 1:2) {
    file <- paste0("output/h.", c("cXX", "sXX")[[k]], ".txt")
    silent("gemma", "-bfile", "some", "-gk", k, "-o", "h")
    silent("gemma", "-bfile", "some", "-k", file, "-lmm", "1", "-maf", "0.49", "-o", "fit")
    log <- grep("## v[ge] estimate in the null", readLines("output/fit.log.txt"), value = TRUE)
    theirs <- as.numeric(sub(".*= *", "", log))
    ours <- fit_file(file, geno)
    expect_equal(as.data.frame(VarCorr(ours))$vcov, theirs, tolerance = 1e-4)
  }
})
