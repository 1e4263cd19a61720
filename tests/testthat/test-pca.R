# Z of pca() by its definition, and what a singular value decomposition makes of it.
dense_pca <- function(G, snps, method, k) {
  X <- sweep(G[, snps, drop = FALSE], 2, colMeans(G[, snps, drop = FALSE], na.rm = TRUE))
  p <- colMeans(G[, snps, drop = FALSE], na.rm = TRUE) / 2
  X[is.na(X)] <- 0
  unit <- switch(method, standardized = sqrt(colMeans(X^2)),
                 vanraden2 = sqrt(2 * p * (1 - p)), centered = 1)
  Z <- sweep(X, 2, unit, "/")
  s <- svd(Z, k, k)
  list(Z = Z, values = s$d[seq_len(k)]^2 / ncol(Z), share = s$d[seq_len(k)]^2 / sum(s$d^2),
       scores = s$u %*% diag(s$d[seq_len(k)], k) / sqrt(ncol(Z)), loadings = s$v)
}

# Columns of x with the signs of those of y.
same_signs <- function(x, y) sweep(x, 2, sign(colSums(x * y)), "*")

structured <- function(m = 1500, missing = 0.02, sizes = c(a = 30, b = 40, c = 50), ...) {
  withr::with_seed(1, simulate_genotypes(m = m, populations = sizes, missing = missing,
                                         ...))
}

silently <- function(...) suppressMessages(pca(...))

test_that("scores, loadings and eigenvalues are those of the standardised matrix", {
  geno <- structured()
  G <- as.matrix(geno)
  for (method in c("standardized", "vanraden2", "centered")) {
    for (exact in c(TRUE, FALSE)) {
      pc <- silently(geno, 2, method, exact = exact)
      dense <- dense_pca(G, pc$markers$snp, method, 2)
      tolerance <- if (exact) 1e-10 else 1e-5
      expect_equal(unname(pc$values), dense$values, tolerance = tolerance^2 + 1e-10)
      expect_equal(unname(pc$share), dense$share, tolerance = tolerance^2 + 1e-10)
      expect_equal(unname(pc$scores), same_signs(dense$scores, pc$scores),
                   tolerance = tolerance)
      expect_equal(unname(pc$loadings), same_signs(dense$loadings, pc$loadings),
                   tolerance = tolerance)
    }
  }
  expect_identical(rownames(pc$scores), rownames(geno))
  expect_identical(rownames(pc$loadings), pc$markers$snp)
  expect_equal(pc$markers$mean, unname(colMeans(G[, pc$markers$snp], na.rm = TRUE)))
})

test_that("from a file and from dosages it is the same", {
  G <- random_genotypes(40, 120)
  few <- silently(G, 3, missing = 0.2, exact = FALSE)
  path <- write_test_bed(G, withr::local_tempfile())
  expect_identical(silently(read_bed(path), 3, missing = 0.2, exact = FALSE)$scores,
                   few$scores)
  G[1, ] <- G[1, ] * 0.99
  for (exact in c(TRUE, FALSE)) {
    pc <- silently(G, 3, missing = 0.2, exact = exact, tolerance = 1e-6)
    dense <- dense_pca(G, pc$markers$snp, "standardized", 3)
    expect_equal(unname(pc$scores), same_signs(dense$scores, pc$scores), tolerance = 1e-5)
  }
})

test_that("iterations agree with the spectrum for more samples than the exact way takes", {
  skip_on_cran()
  geno <- structured(3000, 0.01, c(a = 300, b = 400, c = 500))
  pc <- silently(geno, 2)
  expect_false(pc$exact)
  exact <- silently(geno, 2, exact = TRUE)
  expect_true(all(diag(cor(pc$scores, exact$scores)) > 1 - 1e-8))
  expect_equal(pc$values, exact$values, tolerance = 1e-8)
  expect_true(all(pc$converged) && max(pc$residuals) <= 1e-4)
  expect_equal(predict(pc, geno), pc$scores, tolerance = 1e-10)
})

test_that("results do not depend on threads or on the seed", {
  geno <- structured()
  set.seed(1)
  one <- withr::with_options(list(kinlmm.threads = 1), silently(geno, 2, exact = FALSE))
  set.seed(2)
  state <- .Random.seed
  expect_identical(silently(geno, 2, exact = FALSE), one)
  expect_identical(.Random.seed, state)
  top <- apply(abs(one$scores), 2, which.max)
  expect_true(all(one$scores[cbind(top, 1:2)] > 0))
})

test_that("components of a kinship are those of its genotypes", {
  geno <- structured()
  pc <- silently(geno, 3)
  K <- suppressMessages(grm(geno, "standardized"))
  of <- pca(K, 3)
  expect_equal(of$scores, pc$scores, tolerance = 1e-8)
  expect_equal(of$share, pc$share, tolerance = 1e-10)
  expect_null(of$loadings)
  # without its class and its note
  plain <- matrix(K, nrow(K), dimnames = dimnames(K))
  expect_identical(pca(plain, 3)$scores, of$scores)
  expect_error(predict(of, geno), class = "kinlmm_error_argument")
  expect_error(pca(K, 121), class = "kinlmm_error_argument")
  expect_error(pca(K, 120), class = "kinlmm_error_pca_rank")
  indefinite <- matrix(c(1, 2, 2, 1), 2, dimnames = list(c("a", "b"), c("a", "b")))
  expect_output(print(pca(indefinite, 1)), "not centred; 1 eigenvalue is negative")
  expect_error(pca(indefinite, 2), class = "kinlmm_error_pca_rank")
  expect_error(pca(matrix(1:4, 2, dimnames = dimnames(indefinite)), 1),
               class = "kinlmm_error_kinship_asymmetric")
})

test_that("samples are projected by SNP id, whatever allele is counted", {
  geno <- structured()
  old <- rep(c(TRUE, TRUE, FALSE), 40)
  pc <- silently(geno[old, ], 2)
  expect_equal(suppressMessages(predict(pc, geno[old, ])), pc$scores, tolerance = 1e-12)
  new <- predict(pc, geno[!old, ])
  Z <- sweep(as.matrix(geno[!old, ])[, pc$markers$snp], 2, pc$markers$mean)
  Z[is.na(Z)] <- 0
  by_hand <- sweep(Z, 2, pc$markers$unit, "/") %*% pc$loadings / sqrt(pc$m)
  expect_equal(new, by_hand, tolerance = 1e-12)

  shuffled <- geno[!old, rev(seq_len(ncol(geno)))]
  expect_equal(predict(pc, shuffled), new, tolerance = 1e-12)
  swapped <- shuffled
  at <- seq(2, ncol(geno), by = 2)
  swapped$data[, at] <- 2 - swapped$data[, at]
  rows <- match(snp_ids(geno)[at], snp_ids(swapped))
  swapped$map[rows, c("a1", "a2")] <- swapped$map[rows, c("a2", "a1")]
  expect_message(flipped <- predict(pc, swapped), "swapped")
  expect_equal(flipped, new, tolerance = 1e-12)

  expect_message(part <- predict(pc, geno[!old, pc$markers$snp[-(1:100)]]), "100 SNPs")
  lost <- by_hand - sweep(Z[, 1:100], 2, pc$markers$unit[1:100], "/") %*%
    pc$loadings[1:100, ] / sqrt(pc$m)
  expect_equal(part, lost, tolerance = 1e-12)
})

test_that("SNPs are left out and counted by reason", {
  G <- random_genotypes(50, 60, missing = 0)
  G[, 1] <- 1
  G[, 2] <- c(1, rep(0, 49))
  G[1:10, 3] <- NA
  expect_message(pc <- pca(G, 2, maf = 0.02), "Used 57 of 60 SNPs")
  expect_identical(pc$dropped[c("missing", "monomorphic", "maf")],
                   c(missing = 1, monomorphic = 1, maf = 1))
  expect_identical(pc$markers$snp, colnames(G)[4:60])
  map <- structured(200, 0, chromosomes = 4)
  map$map$chr[map$map$chr == "4"] <- "X"
  expect_identical(silently(map, 1)$m, sum(map$map$chr != "X"))
  expect_identical(silently(map, 1, chr = "all")$m, 200L)
})

test_that("what is not possible is an error", {
  G <- random_genotypes(20, 30, missing = 0)
  expect_error(pca(), class = "kinlmm_error_argument")
  expect_error(pca(G, 20), class = "kinlmm_error_argument")
  expect_error(pca(G, 0), class = "kinlmm_error_argument")
  expect_error(pca(G, 2, tolerance = 0), class = "kinlmm_error_argument")
  expect_error(pca(G[, 1:3], 4), class = "kinlmm_error_pca_rank")
  expect_error(pca(G[, 1:3], 4, exact = FALSE), class = "kinlmm_error_pca_rank")
  expect_error(pca(G[1, , drop = FALSE]), class = "kinlmm_error_argument")
  expect_error(pca(G * 0 + 1, 1), class = "kinlmm_error_pca_empty")
  expect_error(pca(G[, 0], 1), class = "kinlmm_error_pca_empty")
  expect_error(pca(G * NA_real_, 1), class = "kinlmm_error_pca_empty")
  one <- silently(G[, 1, drop = FALSE], 1)
  expect_equal(unname(one$values), 20)
  # twice the same SNP, and samples without differences
  G[, 2] <- G[, 1]
  expect_error(pca(G[, 1:2], 2), class = "kinlmm_error_pca_rank")
})

test_that("it prints, and becomes a data frame", {
  geno <- structured()
  pc <- silently(geno, 3)
  expect_snapshot(print(pc, n = 2))
  expect_snapshot(print(pca(suppressMessages(grm(geno)), 2)))
  expect_output(print(silently(geno, 2, exact = FALSE)), "passes over the genotypes")
  expect_named(as.data.frame(pc), c("id", "PC1", "PC2", "PC3"))
  expect_equal(summary(pc)$cumulative, unname(cumsum(pc$share)))
})

test_that("components that did not converge are named", {
  of <- silently(structured(), 3, exact = FALSE)
  of$converged[3] <- FALSE
  of$residuals[3] <- 0.02
  expect_message(inform_pca(of), "PC3 is not separated")
  expect_output(print(of), "residuals up to 0.02")
})

# PLINK 2 prints six digits, and works in double.
test_that("eigenvalues and scores are those of plink2 --pca", {
  skip_if_no_program("plink2")
  geno <- structured(3000, 0.01, c(a = 60, b = 60, c = 80, d = 100))
  prefix <- withr::local_tempfile()
  suppressMessages(write_bed(geno, prefix))
  status <- system2("plink2", c("--bfile", prefix, "--pca", "3", "meanimpute", "--maf",
                                "0.01", "--geno", "0.05", "--out", prefix),
                    stdout = FALSE, stderr = FALSE)
  expect_identical(status, 0L)
  theirs <- utils::read.table(paste0(prefix, ".eigenvec"), comment.char = "",
                              header = TRUE)
  U <- as.matrix(theirs[match(rownames(geno), theirs$IID), c("PC1", "PC2", "PC3")])
  for (exact in c(TRUE, FALSE)) {
    pc <- silently(geno, 3, "vanraden2", exact = exact)
    expect_equal(unname(pc$values), scan(paste0(prefix, ".eigenval"), quiet = TRUE),
                 tolerance = 1e-5)
    ours <- sweep(pc$scores, 2, sqrt(colSums(pc$scores^2)), "/")
    expect_equal(unname(ours), same_signs(unname(U), ours), tolerance = 2e-5)
  }
})
