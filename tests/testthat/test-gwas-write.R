test_that("a scan is read back as it was written", {
  hits <- simulated_gwas()
  hits$reason[2] <- "maf < 0.01"
  folder <- withr::local_tempdir()
  for (name in c("hits.tsv", "hits.tsv.gz")) {
    path <- file.path(folder, name)
    expect_identical(expect_invisible(write_gwas(hits, path)), path)
    back <- data.table::fread(text = readLines(path), sep = "\t", na.strings = "NA",
                              data.table = FALSE)
    expect_named(back, names(hits))
    expect_equal(back$beta, hits$beta, tolerance = 1e-14)
    expect_identical(back$reason, hits$reason)
  }
  expect_setequal(list.files(folder), c("hits.tsv", "hits.tsv.gz"))
  gzip_bytes <- as.raw(c(0x1f, 0x8b))
  expect_identical(readBin(file.path(folder, "hits.tsv.gz"), "raw", 2), gzip_bytes)
})

test_that("a file that is there is replaced", {
  path <- withr::local_tempfile(lines = "old", fileext = ".tsv")
  write_gwas(simulated_gwas(), path)
  expect_length(readLines(path), 13)
})

test_that("a missing folder is refused, and nothing is left behind", {
  hits <- simulated_gwas()
  folder <- withr::local_tempdir()
  path <- file.path(folder, "none", "hits.tsv")
  e <- expect_error(write_gwas(hits, path), class = "kinlmm_error_scan_write")
  expect_s3_class(e, "kinlmm_error_file")
  # a folder of that name cannot be replaced by a file
  dir.create(file.path(folder, "hits.tsv"))
  expect_error(write_gwas(hits, file.path(folder, "hits.tsv")),
               class = "kinlmm_error_scan_write")
  expect_identical(list.files(folder), "hits.tsv")
  expect_snapshot(error = TRUE, {
    write_gwas(hits, "no-such-folder/hits.tsv")
    write_gwas(as.list(hits), "hits.tsv")
  })
})

test_that("the ending of the name decides on commas and compression", {
  hits <- simulated_gwas()
  folder <- withr::local_tempdir()
  csv <- write_gwas(hits, file.path(folder, "hits.CSV"))
  expect_equal(utils::read.csv(csv)$p_wald, hits$p_wald)
  packed <- write_gwas(hits, file.path(folder, "hits.tsv.GZ"))
  expect_equal(readBin(packed, "raw", 2), as.raw(c(0x1f, 0x8b)))
  expect_kinlmm_error(write_gwas(hits, folder), "scan_write", "It is a folder")
})
