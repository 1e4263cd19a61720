damage <- function(prefix, at, byte) {
  path <- paste0(prefix, ".bed")
  bytes <- readBin(path, "raw", file.size(path))
  bytes[at] <- as.raw(byte)
  writeBin(bytes, path)
}

resize <- function(prefix, by) {
  path <- paste0(prefix, ".bed")
  bytes <- readBin(path, "raw", file.size(path))
  writeBin(c(bytes, raw(max(0, by)))[seq_len(length(bytes) + by)], path)
}

caught <- function(expr) tryCatch(expr, kinlmm_error = identity)

test_that("read_bed() reads what was written, for every remainder of n by 4", {
  for (n in 4:8) {
    G <- random_genotypes(n, 9, missing = 0.2)
    geno <- read_bed(write_test_bed(G))
    expect_s3_class(geno, c("bed", "genotypes"), exact = TRUE)
    expect_identical(as.matrix(geno), G)
    expect_identical(dim(geno), c(n, 9L))
  }
})

test_that("read_bed() takes the path of the .bed, and does not depend on the directory", {
  dir <- withr::local_tempdir()
  G <- random_genotypes(5, 3)
  write_test_bed(G, file.path(dir, "some.thing"))
  withr::with_dir(dir, {
    geno <- read_bed("some.thing.bed")
    expect_identical(read_bed("some.thing"), geno)
  })
  expect_identical(as.matrix(geno), G)
})

test_that("random subsets agree with those of the matrix", {
  G <- random_genotypes(31, 40)
  geno <- read_bed(write_test_bed(G))
  withr::local_seed(2)
  for (k in 1:20) {
    i <- sample(31, sample(31, 1))
    j <- sample(40, sample(60, 1), replace = TRUE)
    expect_identical(as.matrix(geno[i, j]), G[i, j, drop = FALSE])
    expect_identical(geno_block(geno[i, ], j), G[i, j, drop = FALSE])
    inner <- sample(length(i), 1)
    expect_identical(as.matrix(geno[i, ][inner, j]), G[i[inner], j, drop = FALSE])
  }
})

test_that("tables may have tabs, spaces, Windows line ends and empty lines", {
  G <- random_genotypes(2, 3, missing = 0)
  prefix <- write_test_bed(G)
  fam <- c("f1\t id#1 0 0\t1 -9", "", "  f2  NA 0 0 2\t2.5  ")
  bim <- c("1 a\"b 0 1 A G", "   ", "X\trs{2}\t0.5 -7 A G", "2 c 0 1e6 I D")
  write_lines(prefix, ".fam", fam, sep = "\r\n")
  write_lines(prefix, ".bim", bim)
  geno <- read_bed(prefix)
  expect_identical(dimnames(geno), list(c("id#1", "NA"), c("a\"b", "rs{2}", "c")))
  expect_identical(geno$samples$sex, 1:2)
  expect_identical(geno$samples$pheno, c(NA, 2.5))
  expect_identical(geno$map$chr, c("1", "X", "2"))
  expect_identical(geno$map$cm, c(0, 0.5, 0))
  expect_identical(geno$map$pos, c(1L, NA, 1000000L))
  expect_identical(geno$map$a2, c("G", "G", "D"))
})

test_that("a .fam may have further phenotypes, and phenotypes that are text", {
  prefix <- write_test_bed(random_genotypes(2, 3))
  write_lines(prefix, ".fam", c("f a 0 0 1 high 1 NA", "f b 0 0 male low 2 NA"))
  samples <- read_bed(prefix)$samples
  expect_identical(samples$pheno, c("high", "low"))
  expect_identical(samples$sex, c(1L, 0L))
})

test_that("shared individual ids are told apart by family, with a message", {
  ids <- c("1", "1", "2")
  prefix <- write_test_bed(random_genotypes(3, 2), fid = c("A", "B", "B"), ids = ids)
  expect_message(geno <- read_bed(prefix), class = "kinlmm_message_ids",
                 regexp = "known as FID:IID, such as \"A:1\"")
  expect_identical(rownames(geno), c("A:1", "B:1", "B:2"))
  expect_identical(geno$samples$iid, ids)
  prefix <- write_test_bed(random_genotypes(3, 2), fid = "A", ids = ids)
  error <- caught(read_bed(prefix))
  expect_s3_class(error, c("kinlmm_error_fam", "kinlmm_error_file"))
  expect_identical(error$ids, "A:1")
  expect_match(conditionMessage(error), "1 id is there more than once: \"A:1\"")
})

test_that("each magic byte is checked", {
  prefix <- write_test_bed(random_genotypes(4, 3))
  good <- readBin(paste0(prefix, ".bed"), "raw", 100)
  for (at in 1:2) {
    writeBin(good, paste0(prefix, ".bed"))
    damage(prefix, at, 0xff)
    error <- caught(read_bed(prefix))
    expect_s3_class(error, "kinlmm_error_bed_magic")
    expect_s3_class(error, "kinlmm_error_file")
    expect_identical(error$bytes[[at]], 255)
  }
  for (mode in c(0x00, 0x02, 0x10, 0x11, 0x81)) {
    writeBin(good, paste0(prefix, ".bed"))
    damage(prefix, 3, mode)
    error <- caught(read_bed(prefix))
    expect_s3_class(error, "kinlmm_error_bed_mode")
    expect_identical(error$mode, mode)
  }
})

test_that("the bytes of other formats are recognised", {
  prefix <- file.path(withr::local_tempdir(), "x")
  write_test_bed(random_genotypes(4, 3), prefix)
  message_after <- function(bytes) {
    damage(prefix, 1:3, bytes)
    conditionMessage(caught(read_bed(prefix)))
  }
  expect_match(message_after(c(0x1f, 0x8b, 0x08)), "starts with 1f 8b 08.*gzip")
  expect_match(message_after(c(0x28, 0xb5, 0x2f)), "zstd")
  expect_match(message_after(utf8ToInt("F1 ")), "text. Is this a .ped file")
  expect_match(message_after(c(0x6c, 0x1b, 0x00)), "sample-major.*plink --make-bed")
  expect_match(message_after(c(0x6c, 0x1b, 0x10)), "PLINK 2 .pgen.*plink2 --make-bed")
  expect_no_match(message_after(c(0x6c, 0x1b, 0x77)), "plink")
  expect_no_match(message_after(c(0xff, 0xd8, 0xff)), "gzip|zstd|text")
})

test_that("a .bed of another size is an error that says what is cut", {
  G <- random_genotypes(9, 5)
  sizes <- function(by, G9 = G) {
    prefix <- write_test_bed(G9)
    resize(prefix, by)
    caught(read_bed(prefix))
  }
  for (by in c(-18, -16, -15, -4, -1, 1, 3)) {
    error <- sizes(by)
    expect_s3_class(error, c("kinlmm_error_bed_size", "kinlmm_error_file"))
    expect_identical(c(error$expected, error$got), c(18, 18 + by))
    expect_identical(c(error$n_samples, error$n_snps), c(9L, 5L))
  }
  expect_match(conditionMessage(sizes(-1)), "last 1 \\(variant 5\\) are missing")
  expect_match(conditionMessage(sizes(-4)), "last 4 \\(variants 4 to 5\\)")
  expect_match(conditionMessage(sizes(-17)), "variants 1 to 5.*interrupted")
  expect_match(conditionMessage(sizes(3)), "18 bytes.*21: 3 bytes too many")
  expect_match(conditionMessage(sizes(3)), "size of 6 variants of as many samples")
  expect_match(conditionMessage(sizes(5)), "as many variants of 13 to 16 samples")
})

test_that("missing files are named, with what is there instead", {
  dir <- withr::local_tempdir()
  error <- caught(read_bed(file.path(dir, "a")))
  expect_s3_class(error, c("kinlmm_error_bed_missing", "kinlmm_error_file"))
  expect_match(conditionMessage(error), "no file with this prefix")
  prefix <- write_test_bed(random_genotypes(4, 3), file.path(dir, "a"))
  file.rename(paste0(prefix, ".bed"), paste0(prefix, ".bed.gz"))
  error <- caught(read_bed(prefix))
  expect_identical(error$path, paste0(prefix, ".bed"))
  expect_identical(basename(error$found), c("a.bed.gz", "a.bim", "a.fam"))
  expect_match(conditionMessage(error), "decompress .*a.bed.gz' first?")
  file.rename(paste0(prefix, ".bed.gz"), paste0(prefix, ".bed"))
  for (suffix in c(".bim", ".fam")) {
    file.rename(paste0(prefix, suffix), paste0(prefix, ".was"))
    error <- caught(read_bed(prefix))
    expect_identical(error$path, paste0(prefix, suffix))
    file.rename(paste0(prefix, ".was"), paste0(prefix, suffix))
  }
  expect_error(read_bed(dir), class = "kinlmm_error_bed_missing")
  expect_error(read_bed(c("a", "b")), class = "kinlmm_error_argument")
})

test_that("malformed lines are named by file and number", {
  for (kind in c("bim", "fam")) {
    prefix <- write_test_bed(random_genotypes(4, 4))
    lines <- readLines(paste0(prefix, ".", kind))
    for (bad in list(1L, 2L, 4L, c(1L, 3L))) {
      broken <- lines
      broken[bad] <- sub("\\S+$", "", broken[bad])
      write_lines(prefix, paste0(".", kind), c("", broken))
      error <- caught(read_bed(prefix))
      expect_s3_class(error, c(paste0("kinlmm_error_", kind), "kinlmm_error_file"))
      expect_identical(error$lines, bad + 1L)
      expect_identical(error$found, rep(5L, length(bad)))
      expect_identical(error$expected, 6L)
      expect_match(conditionMessage(error), paste0("Line ", bad[[1]] + 1, " has 5"))
    }
    expect_match(conditionMessage(error), "1 other line is at fault too: 4")
    write_lines(prefix, paste0(".", kind), sub(" |\t", "  extra ", lines[1:3]))
    if (kind == "bim") expect_identical(caught(read_bed(prefix))$found, rep(7L, 3))
    write_lines(prefix, paste0(".", kind), c("", "  "))
    expect_match(conditionMessage(caught(read_bed(prefix))), "but it is empty")
    write_lines(prefix, paste0(".", kind), character())
    expect_error(read_bed(prefix), class = paste0("kinlmm_error_", kind))
  }
})

test_that("positions must be numbers", {
  prefix <- write_test_bed(random_genotypes(4, 4))
  write_lines(prefix, ".bim", c("1 a 0 1 A G", "", "1 b 0 x{1} A G", "1 c 0 1.5 A G",
                                "1 d 0 3e9 A G"))
  error <- caught(read_bed(prefix))
  expect_s3_class(error, c("kinlmm_error_bim", "kinlmm_error_file"))
  expect_identical(error$lines, 3:5)
  expect_identical(error$values, c("x{1}", "1.5", "3e9"))
  expect_match(conditionMessage(error), "position \\(column 4\\).*a whole number")
  expect_match(conditionMessage(error), "Line 3 has \"x\\{1\\}\"")
  cm <- c("0", "0.1", "NA", "cM")
  write_lines(prefix, ".bim", paste(1, letters[1:4], cm, 1, "A", "G"))
  error <- caught(read_bed(prefix))
  expect_identical(error$lines, 3:4)
  expect_match(conditionMessage(error), "genetic position")
})

test_that("a file that changes after it was opened is an error", {
  prefix <- write_test_bed(random_genotypes(9, 5))
  geno <- read_bed(prefix)
  resize(prefix, -1)
  expect_error(as.matrix(geno), class = "kinlmm_error_bed_size")
  expect_error(grm(geno), class = "kinlmm_error_bed_size")
  unlink(paste0(prefix, ".bed"))
  expect_error(as.matrix(geno), class = "kinlmm_error_bed_missing")
  expect_error(abort_bed_read("a.bed", 7, NULL), "Reading failed at variant 7",
               class = "kinlmm_error_bed_read")
})

test_that("errors are reported as those of read_bed()", {
  error <- caught(read_bed("no/such/file"))
  expect_identical(as.character(error$call[[1]]), "read_bed")
})

test_that("messages are calm and complete", {
  withr::local_dir(withr::local_tempdir())
  write_test_bed(random_genotypes(9, 5), "cohort")
  expect_snapshot(error = TRUE, {
    resize("cohort", -4)
    read_bed("cohort")
    damage("cohort", 1:3, c(0x1f, 0x8b, 0x08))
    read_bed("cohort")
    damage("cohort", 1:3, c(0x6c, 0x1b, 0x00))
    read_bed("cohort")
    write_lines("cohort", ".bim", "1 rs1 0 1 A")
    read_bed("cohort")
    unlink("cohort.bim")
    read_bed("cohort")
  })
})

test_that("plink reads the same genotypes", {
  skip_if_no_program("plink1.9")
  G <- random_genotypes(23, 17, missing = 0.1)
  prefix <- write_test_bed(G)
  args <- c("--bfile", prefix, "--keep-allele-order", "--recode", "A", "--out", prefix)
  status <- system2("plink1.9", args, stdout = FALSE, stderr = FALSE)
  expect_identical(status, 0L)
  raw <- as.matrix(utils::read.table(paste0(prefix, ".raw"), header = TRUE)[-(1:6)])
  expect_identical(unname(raw) + 0, unname(as.matrix(read_bed(prefix))))
})

test_that("tables that are no text in UTF-8 are errors that name the line", {
  G <- random_genotypes(2, 3)
  spoil <- function(suffix, bytes) {
    prefix <- write_test_bed(G)
    path <- paste0(prefix, suffix)
    good <- readBin(path, "raw", 1000)
    second <- which(good == 0x0a)[[1]]
    writeBin(append(good, as.raw(bytes), second + 2), path)
    caught(read_bed(prefix))
  }
  for (suffix in c("bim", "fam")) {
    error <- spoil(paste0(".", suffix), 0)
    expect_s3_class(error, paste0("kinlmm_error_", suffix))
    expect_match(conditionMessage(error), "UTF-8.*Line 2 has a NUL byte")
    expect_match(conditionMessage(spoil(paste0(".", suffix), 0xe9)),
                 "Line 2 has bytes that are not UTF-8")
  }
  prefix <- write_test_bed(G, ids = c("a", "\u00e9"))
  expect_identical(rownames(read_bed(prefix)), c("a", "\u00e9"))
})
