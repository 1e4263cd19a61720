methods <- c("centered", "standardized", "vanraden1", "vanraden2", "dominance", "vitezica")

# K from its definition: samples x SNPs, whole numbers.
dense_grm <- function(G, method, maf = 0, missing = 1, pairwise = FALSE,
                      weights = rep(1, ncol(G)), snps = TRUE) {
  n <- nrow(G)
  O <- !is.na(G)
  p <- colMeans(G, na.rm = TRUE) / 2
  h <- 2 * p * (1 - p)
  spread <- apply(G, 2, function(x) length(unique(x[!is.na(x)])))
  keep <- colMeans(!O) <= missing & spread > 1 & pmin(p, 1 - p) >= maf - 1e-12 & snps
  Z <- switch(method, dominance = sweep(1 * (G == 1), 2, h), vitezica = {
    outer(rep(1, n), -2 * p^2) * (G == 0) + outer(rep(1, n), h) * (G == 1) +
      outer(rep(1, n), -2 * (1 - p)^2) * (G == 2)
  }, sweep(G, 2, 2 * p))
  Z[!O] <- 0
  sd <- sqrt(colSums(Z^2) / if (pairwise) colSums(O) else n)
  Z <- switch(method, standardized = sweep(Z, 2, sd, "/"),
              vanraden2 = sweep(Z, 2, sqrt(h), "/"), Z)
  d <- switch(method, vanraden1 = h, dominance = h * (1 - h), vitezica = h^2,
              rep(1, ncol(G)))
  if (!pairwise) O[] <- TRUE
  product <- function(Z, w) Z[, keep, drop = FALSE] %*% (w[keep] * t(Z[, keep, drop = FALSE]))
  product(Z, weights) / product(O, weights * d)
}

caught <- function(expr) tryCatch(expr, kinlmm_error = identity)

quiet_grm <- function(...) suppressMessages(grm(...))

bare <- function(K) matrix(K, nrow(K))

expect_near <- function(x, y, bound = 1e-12) expect_lt(max(abs(bare(x) - bare(y))), bound)

# Integers take weights that differ to some 1e-10, see add_gram() in src/core/gram.h.
bound <- function(method, weighted = FALSE) {
  if (weighted || method %in% c("standardized", "vanraden2")) 1e-9 else 1e-12
}

core_grm <- function(geno, block, threads, method = "centered", pairwise = FALSE) {
  withr::local_options(kinlmm.threads = threads)
  plan <- grm_plan(geno, "all", NULL, NULL, FALSE, NULL)
  compute_grm(geno, plan, method, marker_filter(0.01, 0.05), pairwise, block, NULL)$K[[1]]
}

test_that("grm() agrees with its definition", {
  G <- random_genotypes(53, 700)
  G[, 7] <- 1
  geno <- read_bed(write_test_bed(G))
  for (method in methods) {
    for (filter in list(c(0, 1), c(0.01, 0.05), c(0.2, 0.03))) {
      for (pairwise in c(FALSE, TRUE)) {
        K <- quiet_grm(geno, method, filter[[1]], filter[[2]], pairwise = pairwise)
        reference <- dense_grm(G, method, filter[[1]], filter[[2]], pairwise)
        expect_near(K, reference, bound(method))
        expect_true(isSymmetric(bare(K), tol = 0))
        expect_identical(dimnames(K), list(rownames(G), rownames(G)))
        expect_s3_class(K, "kinship")
      }
    }
  }
  expect_identical(attr(K, "grm")$method, "vitezica")
  kept <- colMeans(is.na(G)) <= 0.03 & pmin(colMeans(G, TRUE), 2 - colMeans(G, TRUE)) >= 0.4
  kept[[7]] <- FALSE
  expect_equal(attr(K, "observed"), tcrossprod(!is.na(G[, kept])))
})

test_that("grm() of dosages is that of a matrix and its definition", {
  G <- random_genotypes(40, 60)
  for (method in methods) {
    for (pairwise in c(FALSE, TRUE)) {
      # a SNP that the filter leaves out takes the block from counts to numbers
      both <- cbind(G, dose = seq(0, 0.01, length.out = 40))
      K <- quiet_grm(both, method, missing = 1, pairwise = pairwise)
      expect_near(K, dense_grm(G, method, pairwise = pairwise), bound(method))
    }
  }
  G[] <- pmin(pmax(G + withr::with_seed(2, stats::runif(2400, -0.1, 0.1)), 0), 2)
  for (method in methods[1:4]) {
    expect_near(quiet_grm(G, method, missing = 1), dense_grm(G, method))
  }
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
  expect_identical(record$dropped, c(chr = 0, missing = 2, monomorphic = 1, maf = 1,
                                     hwe = 0))
  expect_message(grm(G[, 10:20]), "Used 11 of 11 SNPs.$")
  expect_identical(attr(quiet_grm(G, maf = 0.0125), "grm")$m, 47)
})

test_that("grm() takes matrices from other samples and SNPs for what they are", {
  one <- matrix(c(0, 1), 2, dimnames = list(c("1", "2"), "rs"))
  expect_near(quiet_grm(one), matrix(c(1, -1, -1, 1) / 4, 2))
  # ids like numbers, and ids of SNPs that are repeated
  expect_identical(rownames(quiet_grm(one)), c("1", "2"))
  twice <- cbind(one, one)
  expect_near(quiet_grm(twice), quiet_grm(one))
  G <- random_genotypes(20, 30)
  G[, 4] <- NA
  G[3, ] <- NA
  K <- quiet_grm(G, missing = 0.5)
  expect_identical(attr(K, "grm")$dropped[["missing"]], 1)
  expect_lt(max(abs(K[3, ])), 1e-15)
})

test_that("grm() takes autosomes, and other chromosomes if asked to", {
  G <- random_genotypes(30, 40, missing = 0)
  chr <- rep(c("1", "2", "X", "MT"), each = 10)
  geno <- read_bed(write_test_bed(G, chr = chr))
  expect_message(K <- grm(geno), "Used 20 of 40.*20 on other chromosomes \\(MT, X\\)")
  expect_near(K, dense_grm(G[, 1:20], "centered"))
  expect_near(quiet_grm(geno, chr = "all"), dense_grm(G, "centered"))
  K <- quiet_grm(geno, chr = c("X", "2"))
  expect_near(K, dense_grm(G[, 11:30], "centered"))
  expect_identical(attr(K, "grm")$chr, c("X", "2"))
  expect_identical(attr(K, "grm")$dropped[["chr"]], 20)
})

test_that("grm() weighs SNPs", {
  G <- random_genotypes(30, 50)
  w <- withr::with_seed(1, stats::rexp(50))
  w[3:5] <- 0
  for (method in methods) {
    for (pairwise in c(FALSE, TRUE)) {
      K <- quiet_grm(G, method, missing = 1, weights = w, pairwise = pairwise)
      expect_near(K, dense_grm(G, method, pairwise = pairwise, weights = w), 3e-9)
    }
  }
  expect_output(print(K), "SNPs weighted,\\s+missing\\s+genotypes left out by\\s+pair")
  expect_message(K <- grm(G, missing = 1, weights = w), "Used 47 of 50.*3 of weight 0")
  named <- stats::setNames(w, colnames(G))
  expect_near(quiet_grm(G, missing = 1, weights = rev(c(named, other = 7))), K, 1e-15)
  expect_near(quiet_grm(G, missing = 1, weights = 10 * w), K, 3e-9)
  expect_kinlmm_error(grm(G, weights = named[-(1:2)]), "grm_weights", "2 SNPs have none",
                      list(ids = c("rs1", "rs2")))
  expect_kinlmm_error(grm(G, weights = w[-1]), "argument", "as long as there are SNPs, 50")
  expect_kinlmm_error(grm(G, weights = -w), "argument", "not negative")
  expect_kinlmm_error(grm(G, weights = replace(w, 2, NA)), "argument", "with 1 NA")
  expect_kinlmm_error(grm(G, weights = 0 * w), "grm_empty", "50 of weight 0")
  for (extreme in c(1e-200, 1e200)) {
    expect_kinlmm_error(grm(G, weights = replace(w, 3, extreme)), "argument",
                        "from 1e-100 to 1e100")
  }
})

test_that("groups and chromosomes sum to the whole", {
  G <- random_genotypes(45, 300)
  chr <- withr::with_seed(1, sample(c("1", "2", "3", "X"), 300, TRUE))
  geno <- read_bed(write_test_bed(G, chr = chr))
  weights <- rep(c(1, 2.5, 0, 0.1), 75)
  share <- function(K) attr(K, "grm")$denominator
  for (method in methods) {
    for (w in list(NULL, weights)) {
      whole <- quiet_grm(geno, method, weights = w)
      total <- share(whole)
      parts <- quiet_grm(geno, method, weights = w, by = "chr")
      without <- quiet_grm(geno, method, weights = w, loco = TRUE)
      expect_identical(names(parts), unique(setdiff(chr, "X")))
      expect_identical(names(without), names(parts))
      sum <- Reduce(`+`, lapply(parts, function(K) share(K) * bare(K)))
      expect_near(sum / total, whole, if (is.null(w)) 1e-10 else 1e-9)
      others <- Reduce(`+`, lapply(without, function(K) share(K) * bare(K)))
      expect_near(others / (2 * total), sum / total, 1e-10)
      expect_equal(sum(vapply(parts, share, 0)), total)
      for (one in names(parts)) {
        both <- share(parts[[one]]) * parts[[one]] + share(without[[one]]) * without[[one]]
        expect_near(both / total, sum / total, 1e-10)
      }
    }
    keep <- chr %in% c("2", "3")
    expect_near(quiet_grm(geno, method, loco = TRUE)[["1"]],
                dense_grm(G, method, 0.01, 0.05, snps = keep), bound(method))
    expect_near(quiet_grm(geno, method, loco = TRUE, pairwise = TRUE)[["1"]],
                dense_grm(G, method, 0.01, 0.05, TRUE, snps = keep), bound(method))
  }
  note <- attr(quiet_grm(geno, loco = TRUE)[["2"]], "grm")
  expect_identical(note[c("by", "part")], list(by = "loco", part = "2"))
  expect_identical(note$m + sum(note$dropped[-1]), as.numeric(sum(chr %in% c("1", "3"))))
})

test_that("grm() makes a matrix for each group", {
  G <- random_genotypes(20, 40, missing = 0)
  by <- rep(c("b", "a", NA, "c"), 10)
  expect_message(K <- grm(G, by = by), "Used 30 of 40 SNPs, in 3 groups.*10 in no group")
  expect_identical(names(K), c("b", "a", "c"))
  expect_identical(names(quiet_grm(G, by = factor(by))), c("a", "b", "c"))
  for (one in names(K)) {
    expect_near(K[[one]], dense_grm(G, "centered", snps = by %in% one))
  }
  P <- quiet_grm(random_genotypes(20, 40), missing = 1, by = by, pairwise = TRUE)
  for (one in names(P)) {
    G <- random_genotypes(20, 40)
    expect_near(P[[one]], dense_grm(G, "centered", pairwise = TRUE, snps = by %in% one))
    expect_equal(attr(P[[one]], "observed"), tcrossprod(!is.na(G[, by %in% one])))
  }
  G[, by %in% "a"] <- 1
  expect_kinlmm_error(grm(G, by = by, missing = 1), "grm_empty", "None is left in 1 group",
                      list(groups = "a"))
  for (none in list(rep(NA_character_, 40), factor(rep(NA, 40)))) {
    expect_kinlmm_error(grm(G, by = none), "grm_empty", "40 in no group")
  }
  for (bad in list(by[-1], seq_len(40), replace(by, 1, ""))) {
    expect_kinlmm_error(grm(G, by = bad), "argument", "a group for each of 40 SNPs")
  }
})

test_that("chromosomes must be known, and two, to be left out", {
  G <- random_genotypes(20, 40, missing = 0)
  expect_kinlmm_error(grm(G, loco = TRUE), "grm_chromosomes", "40 SNPs are without")
  geno <- read_bed(write_test_bed(G, chr = rep(c("1", "X"), 20)))
  expect_kinlmm_error(grm(geno, loco = TRUE), "grm_chromosomes", 'All SNPs are on "1"')
  none <- geno[, integer(0)]
  expect_kinlmm_error(grm(none, loco = TRUE), "grm_chromosomes", "There is no SNP")
  expect_named(quiet_grm(geno, loco = TRUE, chr = "all"), c("1", "X"))
  expect_kinlmm_error(grm(geno, loco = TRUE, by = "chr"), "argument", "NULL if `loco`")
  expect_kinlmm_error(grm(geno, loco = 1), "argument", "TRUE or FALSE")
  G[, rep(c(FALSE, TRUE), 20)] <- 1
  geno <- read_bed(write_test_bed(G, chr = rep(c("1", "2"), 20)))
  expect_kinlmm_error(grm(geno, loco = TRUE), "grm_empty", 'Without "1" none is left')
})

test_that("pairs need a SNP in common", {
  G <- random_genotypes(6, 8, missing = 0)
  G[1, 1:4] <- NA
  G[2, 5:8] <- NA
  expect_kinlmm_error(grm(G, maf = 0, missing = 1, pairwise = TRUE), "grm_pairs",
                      c("1 pair has none", '"id002", "id001"'), list(n = 1))
  G[2, ] <- NA
  expect_kinlmm_error(grm(G, maf = 0, missing = 1, pairwise = TRUE), "grm_pairs",
                      "6 pairs have none, the first")
})

test_that("grm() does not depend on blocks, threads, or the order of SNPs and samples", {
  G <- random_genotypes(61, 530)
  geno <- read_bed(write_test_bed(G))
  for (method in methods) {
    K <- core_grm(geno, 512L, 1L, method)
    expect_identical(core_grm(geno, 512L, 2L, method), K)
    for (block in c(1L, 100L, 529L, 530L, 531L)) {
      expect_near(core_grm(geno, block, 2L, method), K, bound(method))
    }
    withr::local_seed(3)
    i <- sample(61)
    expect_near(core_grm(geno[i, sample(530)], 512L, 2L, method), K[i, i], bound(method))
  }
})

test_that("grm() needs a SNP and suitable arguments", {
  G <- random_genotypes(5, 3, missing = 0)
  error <- caught(grm(G[1, , drop = FALSE]))
  expect_s3_class(error, c("kinlmm_error_grm_empty", "kinlmm_error_input"))
  expect_identical(error$dropped[c("missing", "monomorphic")], c(missing = 0, monomorphic = 3))
  expect_match(conditionMessage(error), "None of 3 is left: 3 monomorphic")
  expect_match(conditionMessage(caught(grm(G[, 0]))), "`geno` holds none")
  expect_error(grm("mouse"), class = "kinlmm_error_argument")
  expect_error(grm(G, "yang"), "centered", class = "kinlmm_error_argument")
  expect_error(grm(G, maf = 0.6), "between 0 and 0.5", class = "kinlmm_error_argument")
  expect_error(grm(G, missing = -1), class = "kinlmm_error_argument")
  expect_error(grm(G, maf = NA), class = "kinlmm_error_argument")
  expect_error(grm(G, hwe = 2), "hwe", class = "kinlmm_error_argument")
  expect_error(grm(G, pairwise = NA), "pairwise", class = "kinlmm_error_argument")
})

test_that("grm() agrees with GEMMA on real data", {
  skip_if_no_program("gemma")
  prefix <- some_mice(600)
  geno <- read_bed(prefix)
  for (k in 1:2) {
    args <- c("-bfile", prefix, "-gk", k, "-outdir", dirname(prefix), "-o", "peer")
    expect_identical(system2("gemma", args, stdout = FALSE, stderr = FALSE), 0L)
    expect_message(K <- grm(geno, methods[[k]], chr = "all"), "Used 10,859 of 12,226 SNPs")
    path <- file.path(dirname(prefix), c("peer.cXX.txt", "peer.sXX.txt")[[k]])
    peer <- as.matrix(data.table::fread(path))
    # GEMMA prints ten digits
    expect_lt(max(abs(K - peer)), c(1e-9, 1e-8)[[k]])
  }
})

# Matrices of plink, square and in doubles, or in GCTA's format.
run_plink <- function(program, prefix, args) {
  withr::local_dir(dirname(prefix))
  args <- c("--bfile", basename(prefix), "--maf", 0.01, "--geno", 0.05, "--threads", 1,
            "--out", "peer", args)
  expect_identical(system2(program, args, stdout = FALSE, stderr = FALSE), 0L)
  file.path(dirname(prefix), "peer")
}

read_square <- function(stem, n) {
  matrix(readBin(paste0(stem, ".rel.bin"), "double", n * n), n)
}

read_gcta <- function(path, n) {
  K <- matrix(0, n, n)
  K[upper.tri(K, TRUE)] <- readBin(path, "double", n * (n + 1) / 2, size = 4)
  K + t(K) - diag(diag(K))
}

test_that("grm() agrees with plink2 and plink1.9", {
  G <- random_genotypes(120, 900, 0.04)
  prefix <- write_test_bed(G)
  geno <- read_bed(prefix)
  K <- quiet_grm(geno, "vanraden2", pairwise = TRUE)
  for (program in c("plink2", "plink1.9")) {
    skip_if_no_program(program)
    rel <- function(...) {
      read_square(run_plink(program, prefix, c("--make-rel", "square", "bin", ...)), 120)
    }
    expect_near(K, rel(), bound("vanraden2"))
    expect_near(quiet_grm(geno, "centered", pairwise = TRUE), rel("cov"), 1e-12)
    stem <- run_plink(program, prefix, "--make-grm-bin")
    expect_near(K, read_gcta(paste0(stem, ".grm.bin"), 120), 1e-6)
    expect_equal(bare(attr(K, "observed")), read_gcta(paste0(stem, ".grm.N.bin"), 120))
    if (program == "plink1.9") next
    expect_near(quiet_grm(geno, "vanraden2"), rel("meanimpute"), bound("vanraden2"))
    expect_near(quiet_grm(geno, "centered"), rel("cov", "meanimpute"), 1e-12)
  }
})
