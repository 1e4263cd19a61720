# K from its definition.
dense_grm <- function(G, method, maf = 0, missing = 1) {
  share <- colMeans(is.na(G))
  mean <- colMeans(G, na.rm = TRUE)
  G <- ifelse(is.na(G), rep(mean, each = nrow(G)), G)
  sd <- sqrt(colMeans(G^2) - mean^2)
  keep <- share <= missing & sd > 1e-8 & pmin(mean / 2, 1 - mean / 2) >= maf
  Z <- sweep(G, 2, mean)
  if (method == "standardized") Z <- sweep(Z, 2, sd, "/")
  tcrossprod(Z[, keep]) / sum(keep)
}

caught <- function(expr) tryCatch(expr, kinlmm_error = identity)

core_grm <- function(geno, block, threads, method = "centered") {
  withr::local_options(kinlmm.threads = threads)
  compute_grm(geno, method, marker_filter(0.01, 0.05), block, NULL)$K
}

test_that("grm() agrees with its definition", {
  G <- random_genotypes(53, 700)
  G[, 7] <- 1
  geno <- read_bed(write_test_bed(G))
  for (method in c("centered", "standardized")) {
    for (filter in list(c(0, 1), c(0.01, 0.05), c(0.2, 0.03))) {
      K <- suppressMessages(grm(geno, method, filter[[1]], filter[[2]]))
      reference <- dense_grm(G, method, filter[[1]], filter[[2]])
      expect_equal(K, reference, tolerance = 1e-12, ignore_attr = TRUE)
      expect_lt(max(abs(K - reference)), 1e-12)
      expect_true(isSymmetric(K, tol = 0))
      expect_identical(dimnames(K), list(rownames(G), rownames(G)))
    }
  }
  expect_identical(attr(K, "grm")$method, "standardized")
})

test_that("grm() says which SNPs it used", {
  G <- random_genotypes(40, 50, missing = 0)
  G[, 1] <- 2
  G[, 2] <- c(1, rep(0, 39))
  G[1:3, 3] <- NA
  G[1:3, 4] <- NA
  expect_message(K <- grm(G, maf = 0.02), class = "kinlmm_message_grm",
                 regexp = "Used 46 of 50.*2 with more than 5% missing, 1 monomorphic")
  record <- attr(K, "grm")
  expect_identical(record$m, 46)
  expect_identical(record$dropped, c(missing = 2, monomorphic = 1, maf = 1))
  expect_message(grm(G[, 10:20]), "Used 11 of 11 SNPs.$")
  expect_identical(attr(suppressMessages(grm(G, maf = 0.0125)), "grm")$m, 47)
})

test_that("grm() does not depend on blocks, threads, or the order of SNPs and samples", {
  G <- random_genotypes(61, 530)
  geno <- read_bed(write_test_bed(G))
  for (method in c("centered", "standardized")) {
    K <- core_grm(geno, 512L, 1L, method)
    expect_identical(core_grm(geno, 512L, 2L, method), K)
    for (block in c(1L, 100L, 529L, 530L, 531L)) {
      expect_lt(max(abs(core_grm(geno, block, 2L, method) - K)), 1e-13)
    }
    withr::local_seed(3)
    i <- sample(61)
    expect_lt(max(abs(core_grm(geno[i, sample(530)], 512L, 2L, method) - K[i, i])), 1e-13)
  }
})

test_that("grm() needs a SNP and suitable arguments", {
  G <- random_genotypes(5, 3, missing = 0)
  error <- caught(grm(G[1, , drop = FALSE]))
  expect_s3_class(error, c("kinlmm_error_grm_empty", "kinlmm_error_input"))
  expect_identical(error$dropped, c(missing = 0, monomorphic = 3, maf = 0))
  expect_match(conditionMessage(error), "None of 3 is left: 3 monomorphic")
  expect_match(conditionMessage(caught(grm(G[, 0]))), "`geno` holds none")
  expect_error(grm("mouse"), class = "kinlmm_error_argument")
  expect_error(grm(G, "dominance"), "centered", class = "kinlmm_error_argument")
  expect_error(grm(G, maf = 0.6), "between 0 and 0.5", class = "kinlmm_error_argument")
  expect_error(grm(G, missing = -1), class = "kinlmm_error_argument")
  expect_error(grm(G, maf = NA), class = "kinlmm_error_argument")
})

test_that("grm() agrees with GEMMA on real data", {
  skip_if_no_program("gemma")
  prefix <- mouse_hs1940()
  geno <- read_bed(prefix)
  methods <- c("centered", "standardized")
  for (k in 1:2) {
    args <- c("-bfile", prefix, "-gk", k, "-outdir", dirname(prefix), "-o", "peer")
    expect_identical(system2("gemma", args, stdout = FALSE, stderr = FALSE), 0L)
    expect_message(K <- grm(geno, methods[[k]]), "Used 10,783 of 12,226 SNPs")
    path <- file.path(dirname(prefix), c("peer.cXX.txt", "peer.sXX.txt")[[k]])
    peer <- as.matrix(data.table::fread(path))
    # GEMMA prints ten digits
    expect_lt(max(abs(K - peer)), c(1e-9, 1e-8)[[k]])
  }
})
