# The exact test by its definition, all numbers of heterozygotes in turn.
dense_hwe <- function(n0, n1, n2, midp = FALSE) {
  if (n0 + n1 + n2 == 0) return(NA_real_)
  k <- seq(n1 %% 2, min(2 * n0 + n1, 2 * n2 + n1), by = 2)
  logs <- k * log(2) - lfactorial(n0 + (n1 - k) / 2) - lfactorial(k) -
    lfactorial(n2 + (n1 - k) / 2)
  p <- exp(logs - max(logs))
  p <- p / sum(p)
  at <- p[k == n1]
  tie <- abs(p / at - 1) < 1e-9
  sum(p[p < at & !tie]) + sum(p[tie]) * if (midp) 0.5 else 1
}

test_that("statistics of SNPs are those of the matrix", {
  G <- random_genotypes(83, 60, missing = 0.15)
  G[, 5] <- NA
  G[, 6] <- 2
  G[-1, 7] <- NA
  s <- snp_stats(read_bed(write_test_bed(G)))
  expect_s3_class(s, c("snp_stats", "data.frame"), exact = TRUE)
  expect_equal(s$n, unname(colSums(!is.na(G))))
  for (k in 0:2) {
    expect_equal(s[[paste0("n", k)]], unname(colSums(G == k, na.rm = TRUE)))
  }
  p <- unname(colMeans(G, na.rm = TRUE)) / 2
  p[is.nan(p)] <- NA
  expect_equal(s$freq, p, tolerance = 1e-14)
  expect_equal(s$maf, pmin(p, 1 - p), tolerance = 1e-14)
  expect_equal(s$missing, unname(colMeans(is.na(G))), tolerance = 1e-14)
  het <- unname(colMeans(G == 1, na.rm = TRUE))
  expect_equal(s$het, replace(het, is.nan(het), NA), tolerance = 1e-14)
  expect_equal(s$het_expected, 2 * p * (1 - p), tolerance = 1e-14)
  expect_equal(s$hwe, mapply(dense_hwe, s$n0, s$n1, s$n2), tolerance = 1e-10)
  midp <- snp_stats(G, midp = TRUE)
  expect_equal(midp$hwe, mapply(dense_hwe, s$n0, s$n1, s$n2, TRUE), tolerance = 1e-10)
  expect_identical(s$a1, rep("A", 60))
})

test_that("statistics do not depend on the source, the threads or the order", {
  G <- random_genotypes(40, 600, missing = 0.05)
  bed <- read_bed(write_test_bed(G))
  columns <- c("n", "n0", "n1", "n2", "freq", "maf", "missing", "het", "hwe")
  s <- as.data.frame(snp_stats(bed))
  expect_equal(as.data.frame(snp_stats(G))[columns], s[columns], tolerance = 1e-14)
  one <- withr::with_options(list(kinlmm.threads = 1L), as.data.frame(snp_stats(bed)))
  expect_identical(one, s)
  some <- c(577, 3, 3, 120)
  few <- as.data.frame(snp_stats(bed[, some]))
  expect_equal(few, s[some, ], ignore_attr = TRUE)
  expect_equal(snp_stats(bed[30:1, ])$n1, unname(colSums(G[1:30, ] == 1, na.rm = TRUE)))
})

test_that("SNPs with dosages have frequencies, but neither counts nor a test", {
  G <- random_genotypes(30, 4)
  G[3, 2] <- 0.5
  s <- snp_stats(G)
  expect_identical(is.na(s$hwe), c(FALSE, TRUE, FALSE, FALSE))
  expect_identical(is.na(s$n1), c(FALSE, TRUE, FALSE, FALSE))
  expect_equal(s$freq, unname(colMeans(G, na.rm = TRUE)) / 2, tolerance = 1e-14)
  expect_output(print(s), "dosages: +1 SNP, not tested")
  few <- sample_stats(G)
  expect_equal(few$het, unname(rowMeans(G[, -2] == 1, na.rm = TRUE)), tolerance = 1e-14)
  expect_equal(few$n, unname(rowSums(!is.na(G))))
})

test_that("statistics of samples are those of the matrix", {
  G <- random_genotypes(25, 700, missing = 0.1)
  G[7, ] <- NA
  s <- sample_stats(read_bed(write_test_bed(G)))
  p <- colMeans(G, na.rm = TRUE) / 2
  expected <- drop((!is.na(G)) %*% (1 - 2 * p * (1 - p)))
  n <- rowSums(!is.na(G))
  expect_equal(s$n, unname(n))
  expect_equal(s$missing, unname(rowMeans(is.na(G))), tolerance = 1e-12)
  f <- (rowSums(G != 1, na.rm = TRUE) - expected) / (n - expected)
  expect_equal(s$f[-7], unname(f)[-7], tolerance = 1e-12)
  expect_identical(s$f[[7]], NA_real_)
  expect_equal(s$het_expected[-7], unname(1 - expected / n)[-7], tolerance = 1e-12)
})

test_that("X is left out for samples, with a message", {
  G <- random_genotypes(6, 10)
  geno <- read_bed(write_test_bed(G, chr = rep(c("1", "X"), c(7, 3))))
  expect_message(s <- sample_stats(geno), class = "kinlmm_message_chromosomes")
  expect_equal(s$n, unname(rowSums(!is.na(G[, 1:7]))))
  expect_silent(all <- sample_stats(geno, chr = "all"))
  expect_equal(all$n, unname(rowSums(!is.na(G))))
})

test_that("one sample, one SNP and none", {
  G <- random_genotypes(1, 1, missing = 0)
  expect_identical(nrow(snp_stats(G)), 1L)
  expect_identical(snp_stats(G)$hwe, 1)
  none <- read_bed(write_test_bed(G))[, integer()]
  expect_identical(dim(snp_stats(none)), c(0L, 15L))
  expect_output(print(snp_stats(none)), "0 SNPs in 1 sample")
  expect_identical(sample_stats(none)$f, NA_real_)
  nobody <- snp_stats(read_bed(write_test_bed(G))[integer(), ])
  expect_identical(nobody$n, 0)
  expect_identical(c(nobody$freq, nobody$missing, nobody$het, nobody$hwe), rep(NA_real_, 4))
})

test_that("printing and subsetting", {
  prefix <- file.path(system.file("extdata", package = "kinlmm"), "mouse")
  s <- snp_stats(read_bed(prefix))
  expect_snapshot({
    print(s, n = 3)
    print(sample_stats(read_bed(prefix)), n = 3)
  })
  expect_output(print(s[1:3, ]), "Statistics of 3 SNPs")
  expect_output(print(s[c("snp", "hwe")][1:2, ]), "snp +hwe")
  expect_identical(class(as.data.frame(s)), "data.frame")
})

test_that("all SNPs of the mouse agree with plink1.9 and plink2", {
  skip_if_no_program("plink1.9")
  skip_if_no_program("plink2")
  prefix <- mouse_for_plink()
  out <- file.path(dirname(prefix), "out")
  plain <- c("--bfile", prefix, "--allow-no-sex", "--silent", "--out")
  run_program("plink1.9", c(plain, out, "--hardy"))
  run_program("plink1.9", c(plain, paste0(out, "-mid"), "--hardy", "midp"))
  run_program("plink2", c("--bfile", prefix, "--out", out, "--freq", "--missing", "--hardy",
                          "--het"))
  read <- function(suffix, ...) {
    utils::read.table(paste0(out, suffix), header = TRUE, comment.char = "",
                      check.names = FALSE, ...)
  }
  geno <- read_bed(prefix)
  s <- snp_stats(geno)
  expect_identical(nrow(s), 12226L)
  hardy <- read(".hwe", colClasses = c(A1 = "character", A2 = "character"))
  hardy <- hardy[startsWith(hardy$TEST, "ALL"), ]
  # plink1.9 turns alleles so that A1 is the rarer one
  turned <- paste(pmax(s$n0, s$n2), s$n1, pmin(s$n0, s$n2))
  counts <- do.call(rbind, strsplit(hardy$GENO, "/"))
  mode(counts) <- "numeric"
  expect_identical(paste(pmax(counts[, 1], counts[, 3]), counts[, 2],
                         pmin(counts[, 1], counts[, 3])), turned)
  # they print four digits
  worst <- function(theirs, ours) max(abs(theirs / ours - 1))
  expect_lt(worst(hardy$P, s$hwe), 6e-4)
  middle <- read("-mid.hwe")
  middle <- middle$P[startsWith(middle$TEST, "ALL")]
  expect_lt(worst(middle, snp_stats(geno, midp = TRUE)$hwe), 6e-4)
  exact <- read(".hardy")
  expect_lt(worst(exact$P, s$hwe), 6e-6)
  expect_equal(exact[["O(HET_A1)"]], s$het, tolerance = 1e-5)
  expect_equal(exact[["E(HET_A1)"]], s$het_expected, tolerance = 1e-5)
  expect_equal(read(".afreq")$ALT_FREQS, s$freq, tolerance = 1e-5)
  expect_equal(read(".vmiss")$F_MISS, s$missing, tolerance = 1e-5)
  samples <- sample_stats(geno)
  expect_equal(read(".smiss")$F_MISS, samples$missing, tolerance = 1e-5)
  expect_equal(read(".het")$F, samples$f, tolerance = 1e-4)
})
