within_errors <- function(x, expected, errors = 4) {
  x <- x[is.finite(x)]
  expect_lt(abs(mean(x) - expected), errors * stats::sd(x) / sqrt(length(x)))
}

# Correlation of two SNPs of frequencies p, q at distance d in a block.
linked <- function(p, q, rho_d) {
  low <- pmin(p, q)
  high <- pmax(p, q)
  rho_d * sqrt(low * (1 - high) / (high * (1 - low)))
}

test_that("genotypes have the frequencies they are drawn from, in Hardy-Weinberg proportions", {
  set.seed(1)
  n <- 1000
  geno <- simulate_genotypes(n, 600)
  p <- attr(geno, "frequency")
  expect_identical(dimnames(p), list(NULL, colnames(geno)))
  expect_true(all(p >= 0.05 & p <= 0.5))
  expect_gt(stats::ks.test(p[1, ], "punif", 0.05, 0.5)$p.value, 1e-4)
  G <- as.matrix(geno)
  expect_true(all(G %in% 0:2))
  z <- (colMeans(G) / 2 - p) / sqrt(p * (1 - p) / (2 * n))
  within_errors(z, 0)
  within_errors(z^2, 1)
  h <- 2 * p * (1 - p)
  z <- (colMeans(G == 1) - h) / sqrt(h * (1 - h) / n)
  within_errors(z, 0)
  within_errors(z^2, 1)
  # neither samples nor SNPs are correlated
  r <- stats::cor(G)
  within_errors(r[upper.tri(r)] * sqrt(n), 0)
  within_errors((r[upper.tri(r)] * sqrt(n))^2, 1)
})

test_that("given frequencies are kept, 0 and 1 too", {
  set.seed(2)
  G <- as.matrix(simulate_genotypes(4000, 4, frequency = c(0, 1, 0.02, 0.7)))
  expect_true(all(G[, 1] == 0) && all(G[, 2] == 2))
  expect_lt(max(abs(colMeans(G[, 3:4]) / 2 - c(0.02, 0.7))), 0.025)
})

test_that("inbreeding removes heterozygotes, in whole blocks", {
  set.seed(3)
  geno <- simulate_genotypes(800, 400, inbreeding = 0.3)
  p <- attr(geno, "frequency")
  within_errors(colMeans(as.matrix(geno) == 1) / (2 * p * (1 - p)), 0.7)
  blocks <- as.matrix(simulate_genotypes(300, 40, frequency = rep(0.5, 40), block = 40,
                                         rho = 0, inbreeding = 0.25))
  expect_lt(abs(mean(rowSums(blocks == 1) == 0) - 0.25), 5 * sqrt(0.25 * 0.75 / 300))
  expect_true(all(as.matrix(simulate_genotypes(50, 50, inbreeding = 1)) != 1))
})

test_that("populations differ by their F_ST", {
  # Hudson's estimator, as a ratio of averages
  hudson <- function(G, population) {
    sizes <- table(population)
    p <- rowsum(G, population) / (2 * as.vector(sizes))
    within <- p * (1 - p) / (2 * as.vector(sizes) - 1)
    num <- (p[1, ] - p[2, ])^2 - colSums(within)
    den <- p[1, ] * (1 - p[2, ]) + p[2, ] * (1 - p[1, ])
    drop <- (sum(num) - num) / (sum(den) - den)
    m <- length(num)
    c(sum(num) / sum(den), sqrt((m - 1) / m * sum((drop - mean(drop))^2)))
  }
  for (fst in list(0, 0.1, c(0.02, 0.2))) {
    set.seed(4)
    geno <- simulate_genotypes(m = 1500, populations = c(b = 100, a = 150), fst = fst)
    expect_identical(geno$samples$fid, rep(c("b", "a"), c(100, 150)))
    expect_identical(rownames(attr(geno, "frequency")), c("b", "a"))
    estimate <- hudson(as.matrix(geno), geno$samples$fid)
    expect_lt(abs(estimate[[1]] - mean(fst)), 4 * estimate[[2]])
    expect_lt(estimate[[2]], 0.01)
  }
})

test_that("linkage disequilibrium decays as the page says, and ends with the block", {
  set.seed(5)
  n <- 3000
  for (rho in c(0.5, 0.9, 1)) {
    p <- c(0.5, 0.5, 0.2, 0.3, 0.1, 0.5, 0.4, 0.2)
    G <- as.matrix(simulate_genotypes(n, 8, frequency = p, block = 6, rho = rho))
    block <- rep(1:2, c(6, 2))
    expected <- outer(1:8, 1:8, function(i, j) {
      linked(p[i], p[j], rho^abs(i - j)) * (block[i] == block[j])
    })
    expect_lt(max(abs(stats::cor(G) - expected)), 5 / sqrt(n))
  }
  # no block crosses a chromosome
  G <- as.matrix(simulate_genotypes(n, 4, frequency = rep(0.5, 4), block = 4, rho = 1,
                                    chromosomes = 2))
  expect_identical(G[, 1], G[, 2])
  expect_lt(abs(stats::cor(G[, 2], G[, 3])), 5 / sqrt(n))
})

test_that("every trio is consistent and relatives share what the pedigree says", {
  set.seed(6)
  ped <- simulate_pedigree(4, children = 4, dams = 2, generations = 3)
  ped <- ped[sample(nrow(ped)), ]
  m <- 3000
  # spaced so far that SNPs are nearly unlinked
  geno <- simulate_genotypes(m = m, pedigree = ped, length = 100 * m)
  expect_identical(geno$samples$father, replace(ped$sire, is.na(ped$sire), "0"))
  expect_identical(geno$samples$sex, ped$sex)
  G <- as.matrix(geno)
  expect_identical(rownames(G), ped$id)
  young <- ped[ped$generation > 0, ]
  low <- (G[young$sire, ] == 2) + (G[young$dam, ] == 2)
  high <- (G[young$sire, ] > 0) + (G[young$dam, ] > 0)
  expect_identical(sum(G[young$id, ] < low | G[young$id, ] > high), 0L)

  p <- attr(geno, "frequency")[1, ]
  Z <- (t(G) - 2 * p) / sqrt(2 * p * (1 - p))
  A <- pedigree_kinship(ped)
  K <- crossprod(Z) / m
  error <- (K - A)[upper.tri(A, diag = TRUE)]
  expect_lt(max(abs(error)), 7 * sqrt(3 / m))
  expect_lt(abs(mean(error)), 0.02)
  expect_gt(max(diag(A)), 1.05)
  expect_lt(abs(stats::coef(stats::lm(diag(K) ~ diag(A)))[[2]] - 1), 0.3)
})

test_that("full sibs share half", {
  set.seed(7)
  ped <- simulate_pedigree(60, children = 2)
  geno <- simulate_genotypes(m = 1000, pedigree = ped, chromosomes = 10, block = 5)
  p <- attr(geno, "frequency")[1, ]
  Z <- (t(as.matrix(geno)) - 2 * p) / sqrt(2 * p * (1 - p))
  young <- ped[ped$generation == 1, ]
  pairs <- split(young$id, young$dam)
  sharing <- vapply(pairs, function(pair) mean(Z[, pair[1]] * Z[, pair[2]]), 0)
  within_errors(sharing, 0.5)
})

test_that("crossovers are those of Haldane's map", {
  set.seed(8)
  # the haplotypes of a founder are 1 throughout or 0 throughout
  children <- 3000
  ped <- data.frame(id = c("s", "d", paste0("c", seq_len(children))),
                    sire = rep(c(NA, "s"), c(2, children)),
                    dam = rep(c(NA, "d"), c(2, children)))
  repeat {
    G <- as.matrix(simulate_genotypes(m = 80, pedigree = ped, frequency = rep(0.5, 80),
                                      block = 80, rho = 1, chromosomes = 2, length = 200))
    if (all(G["s", ] == 1) && all(G["d", ] %in% c(0, 2))) break
  }
  gamete <- G[-(1:2), ] - rep(G["d", ] / 2, each = children)
  expect_true(all(gamete %in% 0:1))
  # switch the second chromosome's phase to that of the first, which is arbitrary
  cm <- (1:40 - 0.5) / 40 * 200
  recombined <- function(i, j) mean(gamete[, i] != gamete[, j])
  for (pair in list(c(1, 2), c(1, 5), c(3, 13), c(1, 40), c(42, 50))) {
    d <- abs(diff(cm[(pair - 1) %% 40 + 1]))
    r <- 0.5 * (1 - exp(-2 * d / 100))
    expect_lt(abs(recombined(pair[1], pair[2]) - r), 4.5 * sqrt(r * (1 - r) / children))
  }
  expect_lt(abs(recombined(40, 41) - 0.5), 4.5 * sqrt(0.25 / children))
  # no interference: crossovers in neighbouring intervals are independent
  a <- gamete[, 5] != gamete[, 10]
  b <- gamete[, 10] != gamete[, 15]
  expect_lt(abs(stats::cor(a, b)), 4.5 / sqrt(children))
})

test_that("an unknown parent counts as a founder of its own", {
  set.seed(9)
  ped <- data.frame(id = c("a", "b"), sire = c(NA, "a"), dam = NA)
  G <- as.matrix(simulate_genotypes(m = 4000, pedigree = ped, frequency = rep(0.4, 4000),
                                    length = 4e5))
  expect_true(all(abs(G["a", ] - G["b", ]) < 2))
  expect_lt(abs(stats::cor(G["a", ], G["b", ]) - 0.5), 0.06)
  expect_lt(abs(mean(G["b", ]) - 0.8), 0.05)
  # parents without a row are simulated too
  ped <- data.frame(id = "c", sire = "x", dam = "y")
  expect_identical(rownames(simulate_genotypes(m = 2, pedigree = ped)), c("x", "y", "c"))
})

test_that("samples and SNPs have ids, places and alleles", {
  set.seed(15)
  geno <- simulate_genotypes(100, 10, chromosomes = 3)
  expect_identical(rownames(geno)[c(1, 100)], c("id001", "id100"))
  expect_identical(geno$map$chr, rep(c("1", "2", "3"), c(3, 4, 3)))
  expect_equal(geno$map$cm[1:3], c(16.666667, 50, 83.333333))
  expect_identical(geno$map$pos[1:2], c(16666667L, 50000000L))
  expect_true(all(geno$map$a1 != geno$map$a2))
  expect_identical(nchar(rownames(simulate_genotypes(1e5, 1))), rep(8L, 1e5))
})

test_that("missing genotypes are as many as asked, and change no others", {
  draw <- function(missing) {
    set.seed(10)
    as.matrix(simulate_genotypes(300, 500, missing = missing, block = 4))
  }
  full <- draw(0)
  G <- draw(0.07)
  gone <- is.na(G)
  expect_lt(abs(mean(gone) - 0.07), 5 * sqrt(0.07 * 0.93 / length(G)))
  within_errors(colMeans(gone), 0.07)
  within_errors(rowMeans(gone), 0.07)
  expect_identical(G[!gone], full[!gone])
})

test_that("a seed gives the same in memory, in a file, and with any number of threads", {
  dir <- withr::local_tempdir()
  ped <- withr::with_seed(1, simulate_pedigree(5, children = 5, generations = 2))
  designs <- list(
    list(n = 37, m = 300, block = 7, missing = 0.1, chromosomes = 3, inbreeding = 0.1),
    list(m = 150, populations = c(a = 3, b = 10)),
    list(m = 400, pedigree = ped, chromosomes = 2, block = 30, missing = 0.05)
  )
  for (design in designs) {
    draw <- function(seed, threads, ...) {
      withr::local_options(kinlmm.threads = threads)
      set.seed(seed)
      do.call(simulate_genotypes, c(design, ...))
    }
    one <- draw(1, 1L)
    file <- draw(1, 3L, file = file.path(dir, "sim.bed"))
    expect_s3_class(one, c("genotype_matrix", "genotypes"), exact = TRUE)
    expect_s3_class(file, c("bed", "genotypes"), exact = TRUE)
    expect_identical(as.matrix(file), as.matrix(one))
    expect_equal(file$map, one$map, tolerance = 0)
    expect_equal(file$samples, one$samples)
    expect_identical(attr(file, "frequency"), attr(one, "frequency"))
    expect_false(identical(as.matrix(draw(2, 1L)), as.matrix(one)))
    # R's stream goes on from where it is, whichever way
    draw(3, 1L)
    after <- stats::runif(1)
    draw(3, 2L, file = file.path(dir, "sim"))
    expect_identical(stats::runif(1), after)
  }
  expect_length(list.files(dir), 3)
})

test_that("batches do not matter", {
  skip_on_cran()
  # several batches of 335 SNPs, windows of 64 across them
  ped <- data.frame(id = 1:100000, sire = c(0, rep(1, 99999)), dam = c(0, 0, rep(2, 99998)))
  set.seed(11)
  geno <- simulate_genotypes(m = 700, pedigree = ped, block = 9, chromosomes = 2)
  G <- as.matrix(geno[c(1:2, 50000, 1e5), ])
  children <- G[3:4, ]
  low <- (G[c(1, 1), ] == 2) + (G[c(2, 2), ] == 2)
  high <- (G[c(1, 1), ] > 0) + (G[c(2, 2), ] > 0)
  expect_identical(sum(children < low | children > high), 0L)
})

test_that("plink finds no Mendelian errors", {
  skip_if_no_program("plink1.9")
  dir <- withr::local_tempdir()
  set.seed(12)
  ped <- simulate_pedigree(5, children = 3, dams = 2)
  prefix <- file.path(dir, "sim")
  geno <- simulate_genotypes(m = 500, pedigree = ped, chromosomes = 22, missing = 0.01,
                             file = prefix)
  status <- system2("plink1.9", c("--bfile", prefix, "--mendel", "--out", prefix),
                    stdout = FALSE, stderr = FALSE)
  expect_identical(status, 0L)
  log <- readLines(paste0(prefix, ".log"))
  expect_length(grep("--mendel: 0 Mendel errors detected", log, fixed = TRUE), 1)
})

test_that("arguments are refused by name", {
  refused <- function(..., arg) {
    error <- expect_error(simulate_genotypes(...), class = "kinlmm_error_argument")
    expect_identical(error$arg, arg)
  }
  refused(0, 5, arg = "n")
  refused(m = 5, arg = "n")
  refused(5, 0, arg = "m")
  refused(5, 5, maf = 0.1, arg = "maf")
  refused(5, 5, maf = c(0.5, 0.1), arg = "maf")
  refused(5, 5, frequency = 0.1, arg = "frequency")
  refused(5, 5, frequency = c(0.1, 2, 0, 0, NA), arg = "frequency")
  refused(5, 5, block = 0, arg = "block")
  refused(5, 5, rho = 1.1, arg = "rho")
  refused(5, 5, missing = 1, arg = "missing")
  refused(5, 5, fst = 1, arg = "fst")
  refused(5, 5, inbreeding = c(0.1, 0.2), arg = "inbreeding")
  refused(5, 5, length = 0, arg = "length")
  refused(5, 5, chromosomes = 6, arg = "chromosomes")
  refused(m = 5, populations = c(2, 3), arg = "populations")
  refused(m = 5, populations = c(a = 2, a = 3), arg = "populations")
  refused(5, 5, pedigree = 1, arg = "pedigree")
  ped <- data.frame(id = c("a", "b", "c"), sire = c(NA, NA, "a"), dam = c(NA, NA, "b"))
  wrong_size <- function(...) {
    expect_error(simulate_genotypes(...), class = "kinlmm_error_simulate_size")
  }
  wrong_size(4, 5, pedigree = ped)
  wrong_size(4, 5, populations = c(a = 1, b = 2))
  wrong_size(m = 5, pedigree = ped, populations = c(a = 1, b = 2))
  expect_error(simulate_genotypes(5, 5, file = file.path(tempdir(), "no", "x")),
               class = "kinlmm_error_bed_write")
})

test_that("arguments that are missing or another's are named", {
  expect_kinlmm_error(simulate_genotypes(5), "argument", "`m` must be given")
  expect_kinlmm_error(simulate_genotypes(5, 4, file = 3), "argument", "`file`")
  expect_kinlmm_error(simulate_trait(), "argument", "`x` must be given")
  expect_kinlmm_error(pedigree_kinship(), "argument", "`pedigree` must be given")
  expect_kinlmm_error(inbreeding(), "argument", "`pedigree` must be given")
})

test_that("frequencies go with the SNPs of a part, and tibbles are pedigrees", {
  geno <- simulate_genotypes(m = 8, populations = c(a = 3, b = 4))
  few <- geno[2:3, c(5, 2)]
  expect_identical(attr(few, "frequency"), attr(geno, "frequency")[, c(5, 2)])
  skip_if_not_installed("tibble")
  pedigree <- simulate_pedigree(3)
  pedigree$sex <- NULL
  expect_no_warning(simulate_genotypes(m = 4, pedigree = tibble::as_tibble(pedigree)))
})
