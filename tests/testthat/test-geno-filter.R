test_that("chromosomes are taken by name, all, or without X, Y and MT", {
  map <- data.frame(chr = c("1", "X", "2", "chrY", "MT", NA))
  expect_identical(on_chromosomes(map, "all"), 1:6)
  expect_identical(on_chromosomes(map, "autosomes"), c(1L, 3L, 6L))
  expect_identical(on_chromosomes(map, c("2", "X")), 2:3)
  expect_identical(on_chromosomes(map, c("chr2", "y")), 3:4)
  expect_identical(on_chromosomes(map, 1:2), c(1L, 3L))
})

test_that("codes 23 to 26 are X, Y, XY and MT, unless there are more chromosomes", {
  map <- data.frame(chr = c("22", "23", "24", "25", "26", "0", "chrX", "PAR1", "M"))
  expect_identical(on_chromosomes(map, "autosomes"), c(1L, 6L))
  cattle <- data.frame(chr = c(22:30, "X", "0"))
  expect_identical(on_chromosomes(cattle, "autosomes"), c(1:9, 11L))
})

test_that("chromosomes that are not there are an error", {
  map <- data.frame(chr = c("1", "2"))
  expect_error(on_chromosomes(map, c("1", "7")), class = "kinlmm_error_chromosomes")
  error <- tryCatch(on_chromosomes(map, 6:7), kinlmm_error = identity)
  expect_identical(error$chr, c("6", "7"))
  for (bad in list(NULL, NA, character(), TRUE, list("1"))) {
    expect_error(on_chromosomes(map, bad), class = "kinlmm_error_argument")
  }
  unknown <- data.frame(chr = rep(NA_character_, 2))
  expect_error(on_chromosomes(unknown, "1"), "any SNP", class = "kinlmm_error_chromosomes")
})

test_that("use_snps() says what it leaves out", {
  G <- random_genotypes(5, 6)
  geno <- read_bed(write_test_bed(G, chr = c(1, 1, "X", "Y", 2, 2)))
  message <- expect_message(few <- use_snps(geno, "autosomes"), "2 SNPs on X, Y",
                            class = "kinlmm_message_chromosomes")
  expect_identical(snp_ids(few), c("rs1", "rs2", "rs5", "rs6"))
  expect_silent(few <- use_snps(geno, "all", c("rs6", "rs3")))
  expect_identical(snp_ids(few), c("rs6", "rs3"))
  expect_silent(use_snps(geno[, c(1, 5)], "autosomes"))
})

# Fates by plain R on the matrix, in the order of filter_snps().
dense_filter <- function(G, maf, missing, hwe) {
  s <- as.data.frame(snp_stats(G))
  reason <- rep("used", ncol(G))
  reason[s$hwe < hwe] <- "hwe"
  reason[s$maf < maf - 1e-12] <- "maf"
  same <- apply(G, 2, function(x) length(unique(x[!is.na(x)])) < 2)
  if (maf > 0) reason[same] <- "monomorphic"
  reason[s$missing > missing] <- "missing"
  reason
}

test_that("filter_snps() equals the definition, each SNP under its first reason", {
  G <- random_genotypes(50, 200, missing = 0.06)
  G[, 1:3] <- rep(0:2, each = 50)
  G[, 4] <- NA
  G[, 5] <- rep(0:1, c(48, 2))
  geno <- read_bed(write_test_bed(G))
  for (k in 1:8) {
    maf <- c(0, 0.1)[1 + k %% 2]
    missing <- c(1, 0.05)[1 + (k %/% 2) %% 2]
    hwe <- c(0, 0.2)[1 + (k %/% 4) %% 2]
    expected <- dense_filter(G, maf, missing, hwe)
    message <- expect_message(out <- filter_snps(geno, maf, missing, hwe),
                              class = "kinlmm_message_filter")
    expect_identical(snp_ids(out), colnames(G)[expected == "used"])
    left <- tryCatch(filter_snps(geno, maf, missing, hwe), kinlmm_message = identity)
    table <- table(expected[expected != "used"])
    expect_identical(sort(as.character(names(left$left_out))),
                     sort(as.character(names(table))))
    expect_equal(as.vector(left$left_out[names(table)]), as.vector(table))
  }
})

test_that("a frequency at the limit passes, whichever allele is counted", {
  # 1 - 0.9 is less than 0.1
  for (carriers in c(1, 2, 3, 7, 10)) {
    x <- c(rep(1, 2 * carriers), rep(0, 100 - 2 * carriers))
    G <- cbind(rare = x, common = 2 - x)
    rownames(G) <- seq_len(100)
    expect_identical(ncol(suppressMessages(filter_snps(G, maf = carriers / 100))), 2L)
    expect_identical(ncol(suppressMessages(filter_snps(G, maf = 1.001 * carriers / 100))), 0L)
  }
})

test_that("SNPs are kept and left out by id, number and chromosome", {
  G <- random_genotypes(9, 8)
  geno <- read_bed(write_test_bed(G, chr = rep(c("1", "2"), 4)))
  keep <- function(...) snp_ids(suppressMessages(filter_snps(geno, ...)))
  expect_identical(keep(chr = 2, exclude = "rs4"), c("rs2", "rs6", "rs8"))
  expect_identical(keep(snps = c("rs7", "rs1", "rs2")), c("rs1", "rs2", "rs7"))
  expect_identical(keep(snps = 1:3, exclude = c(TRUE, rep(FALSE, 7))), c("rs2", "rs3"))
  expect_identical(keep(exclude = 1:8), character())
  left <- tryCatch(filter_snps(geno, chr = 1, snps = 1:4, exclude = 1:3),
                   kinlmm_message = identity)
  expect_equal(c(left$left_out), c(chr = 4L, snps = 2L, excluded = 2L))
  expect_identical(left$kept, 0L)
})

test_that("a filter of nothing keeps everything and has nothing to report", {
  G <- random_genotypes(4, 3, missing = 0)
  G[, 2] <- 1
  expect_message(out <- filter_snps(G), "^Kept 3 of 3 SNPs[.]\\s*$")
  expect_identical(as.matrix(out), G)
  expect_message(none <- filter_snps(out[, integer()], maf = 0.1), "Kept 0 of 0 SNPs")
  expect_identical(dim(none), c(4L, 0L))
  # all heterozygous: not rare, and far from Hardy-Weinberg's proportions
  wide <- matrix(1, 40, 1, dimnames = list(1:40, "rs1"))
  expect_message(out <- filter_snps(wide, hwe = 1e-6), "Hardy-Weinberg p-value below 1e-06")
  expect_identical(ncol(out), 0L)
})

test_that("arguments and SNPs that are not there are errors", {
  G <- random_genotypes(4, 3)
  for (bad in list(-1, 0.6, NA, "a")) {
    expect_error(filter_snps(G, maf = bad), class = "kinlmm_error_argument")
  }
  expect_error(filter_snps(G, missing = 2), class = "kinlmm_error_argument")
  expect_error(filter_snps(G, hwe = -1), "hwe", class = "kinlmm_error_argument")
  expect_error(filter_snps(G, snps = "rs9"), class = "kinlmm_error_genotype_index")
  expect_error(filter_snps(G, exclude = 4), class = "kinlmm_error_genotype_index")
  expect_error(filter_snps(G, chr = 1), class = "kinlmm_error_chromosomes")
  expect_error(filter_snps("a"), class = "kinlmm_error_argument")
})

test_that("the messages read well", {
  G <- random_genotypes(50, 20, missing = 0.06)
  G[, 3] <- 0
  geno <- read_bed(write_test_bed(G, chr = rep(c("1", "X"), 10)))
  expect_snapshot({
    few <- filter_snps(geno, maf = 0.2, missing = 0.08, hwe = 0.3, chr = 1, exclude = 1)
    few <- use_snps(geno, "autosomes")
  })
  expect_snapshot(error = TRUE, {
    filter_snps(geno, chr = c(1, 5))
    filter_snps(G, chr = 5)
  })
})

test_that("a scan tests the SNPs asked for, and has Hardy-Weinberg among its reasons", {
  data <- simulate_scan(q = 60, m = 12)
  geno <- as_genotypes(data$G)
  geno$map$chr <- rep(c("1", "X"), 6)
  fit <- scan_fit(data$y, data$K)
  all <- as.data.frame(gwas(fit, geno))
  expect_identical(nrow(all), 12L)
  expect_message(one <- gwas(fit, geno, chr = "autosomes"),
                 class = "kinlmm_message_chromosomes")
  expect_equal(as.data.frame(one), all[all$chr == "1", ], tolerance = 1e-7,
               ignore_attr = TRUE)
  few <- gwas(fit, geno, snps = c("rs7", "rs2"))
  expect_equal(as.data.frame(few), all[c(7, 2), ], tolerance = 1e-7, ignore_attr = TRUE)
  # by the samples of the fit: one more, outside of it, has no say
  p <- snp_stats(geno)$hwe
  limit <- (sort(p)[[3]] + sort(p)[[4]]) / 2
  hits <- gwas(fit, geno, missing = 1, maf = 0, hwe = limit)
  expect_identical(hits$reason %in% paste("hwe <", limit), p < limit)
  expect_identical(sum(is.na(hits$beta)), 3L)
})

test_that("effects of markers know the filter of their kernel", {
  G <- random_genotypes(80, 30, missing = 0.02)
  G0 <- replace(G, is.na(G), 1)
  y <- withr::with_seed(1, drop(G0 %*% stats::rnorm(30)) + stats::rnorm(80))
  p <- snp_stats(G)$hwe
  limit <- stats::median(p)
  few <- G[, p >= limit]
  K <- suppressMessages(grm(few))
  plain <- new_kinship(matrix(K, 80, dimnames = dimnames(K)))
  effects <- marker_effects(scan_fit(y, plain), G, hwe = limit)
  expect_identical(effects$snp, intersect(colnames(few), effects$snp))
  expect_gt(stats::sd(effects$effect), 0.1)
  expect_equal(effects$effect, marker_effects(scan_fit(y, K), few)$effect, tolerance = 1e-8)
})
