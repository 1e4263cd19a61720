test_that("what is written is what is read, for any number of samples", {
  dir <- withr::local_tempdir()
  for (n in c(1, 4, 5, 7)) {
    G <- random_genotypes(n, 9, missing = 0.3, seed = n)
    prefix <- file.path(dir, "a.b")
    expect_identical(write_bed(G, prefix), prefix)
    expect_invisible(write_bed(G, paste0(prefix, ".bed")))
    expect_setequal(list.files(dir), paste0("a.b", c(".bed", ".bim", ".fam")))
    geno <- read_bed(prefix)
    expect_identical(as.matrix(geno), G)
    # byte for byte what the tests write by a table of codes
    expect_identical(readBin(geno$path, "raw", 1e4), bed_bytes(G))
    expect_true(all(geno$map$a1 == "1" & geno$map$a2 == "2" & geno$map$chr == "0"))
    expect_identical(geno$samples$fid, rownames(G))
  }
})

test_that("maps and samples survive, of subsets in any order too", {
  dir <- withr::local_tempdir()
  set.seed(1)
  ped <- simulate_pedigree(3)
  geno <- simulate_genotypes(m = 700, pedigree = ped, missing = 0.02, chromosomes = 3)
  back <- read_bed(write_bed(geno, file.path(dir, "all")))
  expect_equal(back$map, geno$map, tolerance = 0)
  expect_equal(back$samples, geno$samples)
  expect_identical(as.matrix(back), as.matrix(geno))
  few <- back[c(5, 1, 12), 700:3]
  again <- read_bed(write_bed(few, file.path(dir, "few")))
  expect_identical(as.matrix(again), as.matrix(few))
  expect_equal(again$map, few$map)
  # over the file that is read from
  write_bed(few, file.path(dir, "all"))
  expect_identical(as.matrix(read_bed(file.path(dir, "all"))), as.matrix(again))
})

test_that("plink counts the same", {
  skip_if_no_program("plink2")
  dir <- withr::local_tempdir()
  G <- random_genotypes(23, 50, missing = 0.1)
  prefix <- write_bed(G, file.path(dir, "g"))
  freq <- function(program, args, suffix) {
    status <- system2(program, c("--bfile", prefix, args, "--out", prefix), stdout = FALSE,
                      stderr = FALSE)
    expect_identical(status, 0L)
    utils::read.table(paste0(prefix, suffix), header = TRUE, comment.char = "",
                      check.names = FALSE)
  }
  two <- freq("plink2", c("--freq", "counts"), ".acount")
  # plink2 has a2 of the .bim as REF
  expect_identical(two$ALT_CTS, as.integer(colSums(G, na.rm = TRUE)))
  expect_identical(two$OBS_CT, as.integer(2 * colSums(!is.na(G))))
  expect_identical(two$ID, colnames(G))
  skip_if_no_program("plink1.9")
  one <- freq("plink1.9", c("--freq", "--keep-allele-order"), ".frq")
  expect_equal(one$MAF, unname(colMeans(G, na.rm = TRUE) / 2), tolerance = 5e-4)
})

test_that("dosages are refused by name, and leave nothing behind", {
  dir <- withr::local_tempdir()
  G <- random_genotypes(5, 600)
  G[3, 580] <- 0.25
  error <- expect_error(write_bed(G, file.path(dir, "g")), "0.25",
                        class = "kinlmm_error_bed_dosage")
  expect_identical(c(error$sample, error$snp), c("id003", "rs580"))
  expect_length(list.files(dir), 0)
  G[3, 580] <- 1
  write_bed(G, file.path(dir, "g"))
  before <- readBin(file.path(dir, "g.bed"), "raw", 1e5)
  G[3, 580] <- 1.5
  expect_error(write_bed(G, file.path(dir, "g")), class = "kinlmm_error_bed_dosage")
  expect_identical(readBin(file.path(dir, "g.bed"), "raw", 1e5), before)
  expect_length(list.files(dir), 3)
})

test_that("unsuitable names and places are refused", {
  dir <- withr::local_tempdir()
  G <- random_genotypes(3, 2)
  expect_error(write_bed(G, file.path(dir, "no", "g")), "no folder",
               class = "kinlmm_error_bed_write")
  expect_error(write_bed(G, 3), class = "kinlmm_error_argument")
  expect_error(write_bed("x", "y"), class = "kinlmm_error_argument")
  rownames(G)[[2]] <- "a b"
  error <- expect_error(write_bed(G, file.path(dir, "g")), "a b",
                        class = "kinlmm_error_bed_ids")
  expect_identical(error$ids, "a b")
  rownames(G)[[2]] <- "ab"
  colnames(G)[[1]] <- "rs\t1"
  expect_error(write_bed(G, file.path(dir, "g")), class = "kinlmm_error_bed_ids")
  expect_length(list.files(dir), 0)
})

test_that("a .bed that shrinks while it is read is an error of reading", {
  dir <- withr::local_tempdir()
  geno <- read_bed(write_bed(random_genotypes(5, 6), file.path(dir, "a")))
  writeBin(as.raw(c(0x6c, 0x1b, 0x01)), geno$path)
  expect_error(write_bed(geno, file.path(dir, "b")), class = "kinlmm_error_bed_size")
  expect_length(list.files(dir), 3)
})

test_that("nothing to write, or nowhere, is an error", {
  G <- random_genotypes(4, 3)
  expect_kinlmm_error(write_bed(G[0, ], tempfile()), "argument", "0 samples and 3 SNPs")
  expect_kinlmm_error(write_bed(G[, 0], tempfile()), "argument", "`geno`")
  expect_kinlmm_error(write_bed(G), "argument", "`prefix` must be given")
})

test_that("ids in another encoding are written as UTF-8, and bytes of none are refused", {
  G <- random_genotypes(2, 3)
  rownames(G) <- c("a", `Encoding<-`("\xe9", "latin1"))
  prefix <- write_bed(G, tempfile())
  expect_identical(rownames(read_bed(prefix)), c("a", "\u00e9"))
  rownames(G) <- c("a", "b\xff")
  expect_kinlmm_error(write_bed(G, tempfile()), "bed_ids", "b<ff>")
})
