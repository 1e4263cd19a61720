test_that("read_bimbam() reads dosages, separated by commas or blanks", {
  G <- random_genotypes(7, 9, missing = 0.2)
  G[2, 3] <- 0.123456789012345
  for (sep in c(", ", ",", " ", "\t", " ,\t")) {
    geno <- read_bimbam(write_bimbam(G, sep = sep), ids = rownames(G))
    expect_s3_class(geno, c("bimbam", "genotypes"), exact = TRUE)
    expect_identical(as.matrix(geno), G)
  }
  expect_identical(geno$map$a1, rep("A", 9))
  expect_identical(geno$map$a2, rep("G", 9))
})

test_that("line ends, empty lines, a last comma and no last line end do no harm", {
  path <- withr::local_tempfile()
  bytes <- charToRaw("rs1, A, G, 0, 1,\r\n\r\n  rs2 T  C\t2 NA  \n\nrs3,T,C,1e-1,.5")
  writeBin(bytes, path)
  geno <- read_bimbam(path)
  expect_identical(dimnames(geno), list(c("1", "2"), c("rs1", "rs2", "rs3")))
  expect_identical(unname(as.matrix(geno)), cbind(c(0, 1), c(2, NA), c(0.1, 0.5)))
  expect_identical(geno$map$a1, c("A", "T", "T"))
})

test_that("random subsets agree with those of the matrix", {
  G <- random_genotypes(13, 40) / 2
  geno <- read_bimbam(write_bimbam(G), ids = rownames(G))
  withr::local_seed(2)
  for (k in 1:10) {
    i <- sample(13, sample(13, 1))
    j <- sample(40, sample(60, 1), replace = TRUE)
    expect_identical(as.matrix(geno[i, j]), G[i, j, drop = FALSE])
  }
  expect_identical(dim(as.matrix(geno[integer(), ])), c(0L, 40L))
  expect_identical(dim(as.matrix(geno[, integer()])), c(13L, 0L))
})

test_that("numbers are read as R reads them", {
  withr::local_seed(1)
  text <- c(format(stats::runif(200, 0, 2), digits = 17),
            format(stats::runif(50), digits = 22),
            formatC(stats::runif(50), format = "e", digits = 12), "0.10000000000000000000001",
            "1.99999999999999999999", "0.000000000000000000000012345", "2", "+1", "00001.50")
  path <- withr::local_tempfile()
  writeLines(paste(c("rs1 A G", trimws(text)), collapse = " "), path)
  expect_identical(unname(as.matrix(read_bimbam(path))[, 1]), as.numeric(text))
})

test_that("a packed file is unpacked once, and again where the copy is gone", {
  G <- random_genotypes(5, 4)
  path <- withr::local_tempfile(fileext = ".gz")
  con <- gzfile(path, "w")
  writeLines(readLines(write_bimbam(G)), con)
  close(con)
  geno <- read_bimbam(path, ids = rownames(G))
  expect_identical(geno$path, normalizePath(path))
  plain <- unpacked_file(geno$path)
  time <- file.mtime(plain)
  expect_identical(as.matrix(geno), G)
  expect_identical(file.mtime(unpacked_file(geno$path)), time)
  unlink(plain)
  expect_identical(as.matrix(geno), G)
  # cut off, and two in a row
  bytes <- readBin(path, "raw", 1e5)
  for (size in c(3, 17, 30, length(bytes) - c(9, 8, 4, 1))) {
    writeBin(bytes[seq_len(size)], path)
    expect_error(read_bimbam(path), class = "kinlmm_error_bimbam_unpack")
  }
  writeBin(c(bytes, bytes), path)
  expect_identical(snp_ids(read_bimbam(path)), rep(colnames(G), 2))
})

test_that("errors name the file that is packed", {
  path <- withr::local_tempfile(fileext = ".gz")
  try_lines <- function(...) {
    con <- gzfile(path, "w")
    writeLines(c(...), con)
    close(con)
    tryCatch(as.matrix(read_bimbam(path)), kinlmm_error = identity)
  }
  expect_identical(try_lines("rs1 A G 0 1", "rs2 A G 1")$path, normalizePath(path, "/"))
  expect_identical(try_lines("rs1 A G 0 1", "rs2 A G 1 x")$path, normalizePath(path, "/"))
})

test_that("an annotation is matched by id", {
  G <- random_genotypes(3, 4)
  path <- write_bimbam(G)
  annotation <- withr::local_tempfile()
  writeLines(c("rs3, 500, 2", "rs9 1 1", "rs1\t-9\tX\t0.3", "", "rs2,NA,NA"), annotation)
  map <- read_bimbam(path, annotation)$map
  expect_identical(map$chr, c("X", NA, "2", NA))
  expect_identical(map$pos, c(NA, NA, 500L, NA))
  writeLines(c("rs3, 500, 2", "rs1 4", "rs2 5"), annotation)
  error <- tryCatch(read_bimbam(path, annotation), kinlmm_error = identity)
  expect_s3_class(error, "kinlmm_error_bimbam_annotation")
  expect_identical(error$lines, 2:3)
  writeLines("rs3 here 2", annotation)
  expect_error(read_bimbam(path, annotation), 'has "here"',
               class = "kinlmm_error_bimbam_annotation")
})

test_that("ids are those given, or numbers", {
  G <- random_genotypes(3, 2)
  path <- write_bimbam(G)
  expect_identical(rownames(read_bimbam(path)), c("1", "2", "3"))
  expect_identical(rownames(read_bimbam(path, ids = 11:13)), c("11", "12", "13"))
  expect_error(read_bimbam(path, ids = c("a", "b")), class = "kinlmm_error_argument")
  expect_identical(rownames(read_bimbam(path, ids = c(1e5, 2, 3))), c("100000", "2", "3"))
  for (bad in c(NA, "")) {
    expect_error(read_bimbam(path, ids = c("a", "b", bad)), "missing or empty",
                 class = "kinlmm_error_argument")
  }
  expect_error(read_bimbam(path, ids = c("a", "b", "a")),
               class = "kinlmm_error_genotypes_names")
})

test_that("what is wrong in a file has its line and column", {
  path <- withr::local_tempfile(fileext = ".txt")
  try_lines <- function(...) {
    writeLines(c(...), path)
    tryCatch(as.matrix(read_bimbam(path)), kinlmm_error = identity)
  }
  error <- try_lines("rs1 A G 0 1", "", "rs2 A G 0")
  expect_s3_class(error, "kinlmm_error_bimbam_columns")
  expect_identical(c(error$line, error$got, error$expected), c(3, 4, 5))
  for (bad in c("2.5", "-0.1", "abc", "0x1", "1e", "NaN", "inf", "1.2.3", "na", "0..1")) {
    error <- try_lines("rs1 A G 0 1", "", paste("rs2 A G 0", bad), "rs3 A G 3 3")
    expect_s3_class(error, "kinlmm_error_bimbam_value")
    expect_identical(c(error$line, error$column), c(3, 5))
    expect_identical(error$value, bad)
  }
  expect_s3_class(try_lines("rs1 A G 0 1", "rs2,A,G,,1"), "kinlmm_error_bimbam_value")
  expect_s3_class(try_lines("rs1 A G"), "kinlmm_error_bimbam_columns")
  expect_s3_class(try_lines("", " "), "kinlmm_error_bimbam_empty")
  expect_s3_class(try_lines(character()), "kinlmm_error_bimbam_empty")
  expect_error(read_bimbam("no such file"), class = "kinlmm_error_bimbam_missing")
  expect_error(read_bimbam(tempdir()), class = "kinlmm_error_bimbam_missing")
  writeLines(c("rs1 A G 0 1", "rs2 A G 1 1"), path)
  geno <- read_bimbam(path)
  writeLines(c("rs1 A G 0 1", "rs2 A G 1"), path)
  expect_error(as.matrix(geno), class = "kinlmm_error_bimbam_changed")
  unlink(path)
  expect_error(snp_stats(geno), class = "kinlmm_error_bimbam_missing")
})

test_that("text that is none is an error, wherever it is", {
  path <- withr::local_tempfile()
  annotation <- withr::local_tempfile()
  put <- function(text, bytes, to = path) {
    parts <- strsplit(text, "@", fixed = TRUE)[[1]]
    writeBin(c(charToRaw(parts[[1]]), as.raw(bytes), charToRaw(parts[[2]])), to)
  }
  says <- function(pattern, class, annotation = NULL) {
    error <- expect_error(as.matrix(read_bimbam(path, annotation)), pattern)
    expect_s3_class(error, paste0("kinlmm_error_bimbam_", class))
  }
  put("rs1 A G 0\nrs@2 A G 1\n", 0)
  says("Line 2 has a NUL", "text")
  put("rs1 A G 0\nrs@2 A G 1\n", 0xe9)
  says("1 name is not", "text")
  put("rs1 A G 0\nrs2 A G @1\n", 0xe9)
  says("Line 2.*in column 4, of sample 1", "value")
  # of an old Macintosh: one line
  writeBin(charToRaw("rs1 A G 0\rrs2 A G 1\r"), path)
  says("Line 1, of \"rs1\", has \"rs2\" in column 5", "value")
  put("rs1 A G 0\nr@s2 A G 1\n", c(0xc3, 0xa9))
  expect_identical(snp_ids(read_bimbam(path)), c("rs1", "r\u00e9s2"))
  put("r@s2 7 1\n", c(0xc3, 0xa9), annotation)
  expect_identical(read_bimbam(path, annotation)$map$pos, c(NA, 7L))
  put("rs1 7 1\nr@s2 7 1\n", 0xe9, annotation)
  says("Line 2 has bytes", "annotation", annotation)
  put("rs1 7 1\nr@s2 7 1\n", 0, annotation)
  says("Line 2 has a NUL", "annotation", annotation)
  writeLines("rs1 7.5 1", annotation)
  says("a position.*7.5", "annotation", annotation)
})

test_that("the messages read well", {
  dir <- withr::local_tempdir()
  withr::local_dir(dir)
  expect_snapshot(error = TRUE, {
    read_bimbam("none.txt")
    writeLines(c("rs1 A G 0 1", "rs2 A G 0"), "a.txt")
    read_bimbam("a.txt")
  }, transform = function(x) gsub("'/.*/", "'", x))
  writeLines(c("rs1 A G 0 1", "rs2 A G 0 2.5"), "b.txt")
  error <- tryCatch(as.matrix(read_bimbam("b.txt")), kinlmm_error = conditionMessage)
  expect_match(error, "Line 2, of \"rs2\", has \"2.5\" in column 5, of sample 2",
               fixed = TRUE)
})

test_that("GEMMA's mouse in BIMBAM is that of its .bed, and so are the matrices", {
  skip_on_cran()
  prefix <- mouse_hs1940()
  bed <- read_bed(prefix)
  example <- sub("mouse$", "", "/usr/share/doc/gemma/example/mouse")
  bimbam <- read_bimbam(paste0(example, "mouse_hs1940.geno.txt.gz"),
                        paste0(example, "mouse_hs1940.anno.txt.gz"), rownames(bed))
  expect_identical(dim(bimbam), dim(bed))
  columns <- c("chr", "snp", "pos", "a1", "a2")
  expect_identical(bimbam$map[columns], bed$map[columns])
  s <- snp_stats(bimbam)
  whole <- which(!is.na(s$n0))
  few <- as.data.frame(snp_stats(bed[, whole]))
  expect_gt(length(whole), 5000)
  expect_identical(as.data.frame(s)[whole, -1], few[-1], ignore_attr = TRUE)
  expect_identical(as.matrix(bimbam[, whole[1:500]]), as.matrix(bed[, whole[1:500]]))
  # 0.5 is what the .bed calls a homozygote
  expect_equal(s$freq, snp_stats(bed)$freq, tolerance = 0.01)
  K <- suppressMessages(grm(bimbam[, whole]))
  expect_equal(K, suppressMessages(grm(bed[, whole])), tolerance = 1e-12)
})

test_that("GEMMA makes the same matrix of a file of dosages", {
  skip_if_no_program("gemma")
  dir <- withr::local_tempdir()
  withr::local_dir(dir)
  G <- random_genotypes(40, 300, missing = 0.02) * 0.9
  write_bimbam(round(G, 3), "geno.txt")
  writeLines(as.character(stats::rnorm(40)), "pheno.txt")
  run_program("gemma", c("-g geno.txt -p pheno.txt -gk 1 -o k"))
  theirs <- as.matrix(utils::read.table("output/k.cXX.txt"))
  ours <- suppressMessages(grm(read_bimbam("geno.txt")))
  expect_equal(unname(ours), unname(theirs), tolerance = 1e-8, ignore_attr = TRUE)
})
