test_that("tests are those of the model of the records", {
  data <- simulate_scan(q = 40, m = 6, missing = 0.04)
  withr::local_seed(3)
  id <- c(seq_len(40), sample(40, 25, replace = TRUE))
  Z <- diag(40)[id, ]
  w <- stats::runif(65, 0.5, 2)
  # one covariate of the ids, one of the records
  X <- cbind(between = drop(Z %*% stats::rnorm(40)), within = stats::rnorm(65))
  y <- drop(Z %*% (data$y - 2) + stats::rnorm(65))
  hits <- gwas(scan_fit(y, data$K, X, rownames(data$K)[id], w), data$G)
  for (j in seq_len(6)) {
    x <- data$G[, j]
    x[is.na(x)] <- mean(x, na.rm = TRUE)
    expected <- dense_test(y, cbind(1, X), data$K, Z, w, x)
    got <- unlist(as.data.frame(hits)[j, names(expected)])
    # optimize() finds lambda to the root of the precision of the likelihood
    lambdas <- c("lambda", "lambda_ml")
    expect_equal(got[lambdas], expected[lambdas], tolerance = 1e-5)
    rest <- setdiff(names(expected), lambdas)
    expect_equal(got[rest], expected[rest], tolerance = 1e-7)
  }
})

test_that("the columns are those that ?gwas promises", {
  data <- simulate_scan()
  hits <- simulated_gwas(data)
  expect_s3_class(hits, c("gwas", "data.frame"), exact = TRUE)
  expect_named(hits, c(
    "chr", "snp", "pos", "effect_allele", "other_allele", "n", "eaf", "beta", "se",
    "lambda", "lambda_ml", "p_wald", "p_lrt", "p_score", "neg_log10_p_wald",
    "neg_log10_p_lrt", "neg_log10_p_score", "reason"
  ))
  expect_identical(hits$snp, colnames(data$G))
  expect_identical(hits$n, as.integer(colSums(!is.na(data$G))))
  expect_equal(hits$eaf, unname(colMeans(data$G, na.rm = TRUE) / 2), tolerance = 1e-14)
  expect_equal(hits$neg_log10_p_lrt, -log10(hits$p_lrt), tolerance = 1e-12)
  scan <- attr(hits, "scan")
  expect_identical(scan[c("variance", "n", "q", "p")],
                   list(variance = "per-snp", n = 60L, q = 60L, p = 1L))
})

test_that("the null model's ratio can be kept", {
  data <- simulate_scan()
  exact <- simulated_gwas(data)
  kept <- simulated_gwas(data, variance = "null")
  scan <- attr(kept, "scan")
  expect_identical(unique(kept$lambda), scan$lambda)
  expect_identical(unique(kept$lambda_ml), scan$lambda_ml)
  expect_equal(kept$p_score, exact$p_score, tolerance = 1e-10)
  # an optimum is never worse
  expect_true(all(exact$neg_log10_p_lrt >= kept$neg_log10_p_lrt - 1e-10))
  expect_equal(kept$beta, exact$beta, tolerance = 0.05)
})

test_that("what cannot be tested has a reason", {
  data <- simulate_scan(q = 100, m = 6)
  data$G[, 1] <- NA
  data$G[, 2] <- rep(c(NA, 0, 1, 2), c(6, 44, 30, 20))
  data$G[, 3] <- 1
  data$G[, 4] <- c(1, rep(0, 99))
  x <- data$G[, 6]
  x[is.na(x)] <- mean(x, na.rm = TRUE)
  fit <- scan_fit(data$y, data$K, cbind(x = x))
  hits <- gwas(fit, data$G)
  expect_identical(hits$reason, c(
    "no genotypes", "missing > 0.05", "monomorphic", "maf < 0.01", NA,
    "collinear with covariates"
  ))
  tests <- setdiff(names(hits), c(
    "chr", "snp", "pos", "effect_allele", "other_allele", "n", "eaf", "reason"
  ))
  expect_true(all(is.na(hits[c(1:4, 6), tests])))
  expect_false(anyNA(hits[5, tests]))
  bold <- gwas(fit, data$G, maf = 0, missing = 0.06)
  expect_identical(bold$reason[c(2, 4)], c(NA_character_, NA))
})

test_that("ids are matched in any order and others are ignored", {
  data <- simulate_scan()
  more <- rbind(data$G, stranger = 0)
  withr::local_seed(5)
  expect_identical(as.data.frame(simulated_gwas(data, more[sample(61), ])),
                   as.data.frame(simulated_gwas(data)))
})

test_that("a SNP's result does not depend on the others, their order or threads", {
  data <- simulate_scan(q = 90, m = 700)
  plain <- function(x) as.data.frame(x)
  hits <- simulated_gwas(data)
  back <- plain(simulated_gwas(data, data$G[, 700:1]))[700:1, ]
  # some BLAS sum a column in an order that depends on where it stands
  expect_equal(back, plain(hits), tolerance = 1e-8, ignore_attr = TRUE)
  few <- c(3, 299, 650)
  expect_equal(plain(simulated_gwas(data, data$G[, few])), plain(hits)[few, ],
               tolerance = 1e-8, ignore_attr = TRUE)
  withr::local_options(kinlmm.threads = 1)
  expect_identical(plain(simulated_gwas(data)), plain(hits))
})

test_that("tests do not depend on the units of the response or of the kinship", {
  data <- simulate_scan()
  hits <- simulated_gwas(data)
  big <- data
  big$y <- 1000 * data$y
  big$K <- 4 * data$K
  scaled <- simulated_gwas(big)
  expect_equal(scaled$beta, 1000 * hits$beta, tolerance = 1e-8)
  expect_equal(scaled$lambda, hits$lambda / 4, tolerance = 1e-7)
  expect_equal(scaled$p_wald, hits$p_wald, tolerance = 1e-8)
  expect_equal(scaled$p_lrt, hits$p_lrt, tolerance = 1e-7)
})

test_that("other nodes and panels give the same optima", {
  data <- simulate_scan(q = 80, m = 40)
  fit <- scan_fit(data$y, data$K)
  null <- null_model(fit)
  source <- core_source(as_genotypes(data$G))
  run <- function(nodes, half_width) {
    cpp_gwas_scan(null, source, TRUE, marker_filter(0.01, 0.05), 1L, nodes, half_width, NULL)
  }
  usual <- run(scan_nodes, scan_half_width)
  fine <- run(24L, 0.4)
  expect_equal(usual$wald, fine$wald, tolerance = 1e-9)
  expect_equal(usual$lrt, fine$lrt, tolerance = 1e-9)
  expect_equal(usual$beta, fine$beta, tolerance = 1e-9)
  expect_equal(usual$lambda, fine$lambda, tolerance = 1e-6)
})

test_that("p-values have a logarithm where they have no value", {
  data <- simulate_scan(q = 60, m = 2)
  x <- data$G[, 1]
  x[is.na(x)] <- mean(x, na.rm = TRUE)
  withr::local_seed(6)
  data$y <- 1e6 * x + stats::rnorm(60)
  hits <- simulated_gwas(data)
  expect_gt(hits$neg_log10_p_wald[1], 300)
  expect_true(all(is.finite(hits$neg_log10_p_wald)))
})

test_that("a fit can be saved and read", {
  data <- simulate_scan()
  fit <- scan_fit(data$y, data$K)
  path <- withr::local_tempfile()
  saveRDS(fit, path)
  expect_identical(as.data.frame(gwas(readRDS(path), data$G)),
                   as.data.frame(gwas(fit, data$G)))
})

test_that(".bed and matrix give the same", {
  data <- simulate_scan()
  bed <- simulated_gwas(data, read_bed(write_test_bed(data$G)))
  tests <- grep("^p_|beta|se|lambda|eaf|^n$", names(bed), value = TRUE)
  expect_identical(as.list(bed)[tests], as.list(simulated_gwas(data))[tests])
  expect_identical(bed$effect_allele, rep("A", 12))
  expect_identical(bed$pos, 1:12)
})

test_that("models without one kinship term are refused", {
  data <- simulate_scan()
  expect_error(gwas(stats::lm(data$y ~ 1), data$G), class = "kinlmm_error_scan_model")
  other <- structure(list(), class = "lmmfit")
  expect_error(gwas(other, data$G), class = "kinlmm_error_scan_model")
  expect_snapshot(error = TRUE, {
    gwas(NULL, data$G)
    gwas(other, data$G)
  })
})

test_that("individuals without genotypes are named", {
  data <- simulate_scan()
  e <- expect_error(simulated_gwas(data, data$G[-(3:9), ]),
                    class = "kinlmm_error_scan_ids")
  expect_identical(e$missing, rownames(data$G)[3:9])
  fit <- scan_fit(data$y, data$K)
  strangers <- data$G
  rownames(strangers) <- paste0("0_", rownames(data$G))
  expect_snapshot(error = TRUE, {
    gwas(fit, data$G[-(3:9), ])
    gwas(fit, strangers)
  })
})

test_that("arguments are checked", {
  data <- simulate_scan()
  fit <- scan_fit(data$y, data$K)
  expect_error(gwas(fit, data$G, variance = "p3d"), class = "kinlmm_error_argument")
  expect_error(gwas(fit, data$G, maf = 0.6), class = "kinlmm_error_argument")
  expect_error(gwas(fit, data$G, missing = -1), class = "kinlmm_error_argument")
  expect_error(gwas(fit, "geno.bed"), class = "kinlmm_error_argument")
})

test_that("no SNPs are no error", {
  data <- simulate_scan()
  hits <- simulated_gwas(data, data$G[, 0])
  expect_identical(nrow(hits), 0L)
})

test_that("ids that R made of numbers are found", {
  data <- simulate_scan()
  rownames(data$G) <- c(100000, seq_len(59))
  expect_true("1e+05" %in% rownames(data$G))
  K <- suppressMessages(grm(data$G))
  pheno <- data.frame(id = c(100000, seq_len(59)), y = stats::rnorm(60))
  fit <- suppressMessages(lmmfit(y ~ 1 + (1 | id), pheno, kinship = list(id = K)))
  expect_s3_class(suppressMessages(gwas(fit, data$G)), "gwas")
})

test_that("a likelihood without a maximum is said to be one", {
  G <- withr::with_seed(1, {
    f <- stats::runif(300, 0.1, 0.5)
    matrix(stats::rbinom(60 * 300, 2, rep(f, each = 60)), 60,
           dimnames = list(paste0("i", 1:60), paste0("s", 1:300)))
  })
  K <- suppressMessages(grm(G, maf = 0))
  told <- 0
  for (seed in 1:5) {
    y <- withr::with_seed(seed, {
      drop(scale(G) %*% stats::rnorm(300, 0, sqrt(0.5 / 300))) + stats::rnorm(60, 0, sqrt(0.5))
    })
    fit <- suppressMessages(lmmfit(y ~ 1 + (1 | id), data.frame(id = rownames(G), y),
                                   kinship = list(id = K)))
    null <- null_model(fit)
    beyond <- null$lambda_ml >= null$lambda_max && null$lambda_reml < null$lambda_max
    messages <- capture_messages(gwas(fit, G[, 1:3]))
    expect_identical(any(grepl("rely on the Wald test", messages)), beyond)
    told <- told + beyond
  }
  expect_gt(told, 0)
})
