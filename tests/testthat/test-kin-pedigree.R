# Mrode (2014), Linear Models for the Prediction of Animal Breeding Values, example 2.1.
mrode <- data.frame(id = 3:6, sire = c(1, 1, 4, 5), dam = c(2, NA, 3, 2))
mrode_A <- matrix(c(
  1, 0, 0.5, 0.5, 0.5, 0.25,
  0, 1, 0.5, 0, 0.25, 0.625,
  0.5, 0.5, 1, 0.25, 0.625, 0.5625,
  0.5, 0, 0.25, 1, 0.625, 0.3125,
  0.5, 0.25, 0.625, 0.625, 1.125, 0.6875,
  0.25, 0.625, 0.5625, 0.3125, 0.6875, 1.125
), 6)
mrode_inverse <- matrix(c(
  1.833, 0.5, -1, -0.667, 0, 0,
  0.5, 2.033, -1, 0, 0.533, -1.067,
  -1, -1, 2.5, 0.5, -1, 0,
  -0.667, 0, 0.5, 1.833, -1, 0,
  0, 0.533, -1, -1, 2.533, -1.067,
  0, -1.067, 0, 0, -1.067, 2.133
), 6)

# A of animals whose parents come before them, by its definition T D T'.
dense_relationship <- function(sire, dam) {
  n <- length(sire)
  A <- matrix(0, n, n)
  for (i in seq_len(n)) {
    parents <- c(sire[i], dam[i])
    parents <- parents[parents > 0]
    for (p in parents) A[i, ] <- A[i, ] + 0.5 * A[p, ]
    A[, i] <- A[i, ]
    A[i, i] <- 1 + if (length(parents) == 2) 0.5 * A[sire[i], dam[i]] else 0
  }
  A
}

# A kinship as a matrix and nothing else.
plain <- function(K) matrix(K, nrow(K))

# Overlapping generations: odd animals are male, every parent is among the last `span`.
overlapping <- function(n, span, seed) {
  withr::with_seed(seed, {
    i <- seq_len(n)
    sire <- 2 * floor((i - 1 - stats::runif(n) * span) / 2) - 1
    dam <- 2 * floor((i - 1 - stats::runif(n) * span) / 2)
    sire[sire < 1 | stats::runif(n) < 0.02] <- 0
    dam[dam < 1 | stats::runif(n) < 0.02] <- 0
  })
  data.frame(id = i, sire = sire, dam = dam)
}

test_that("the example of Mrode comes out as printed", {
  A <- pedigree_kinship(mrode)
  # parents without a row come first, sires before dams
  expect_identical(dimnames(A), rep(list(as.character(1:6)), 2))
  expect_equal(plain(A), mrode_A, tolerance = 1e-14)
  expect_s3_class(A, "kinship")
  expect_identical(attr(A, "grm"), list(method = "pedigree"))
  expect_equal(inbreeding(mrode), c("3" = 0, "4" = 0, "5" = 0.125, "6" = 0.125))
  skip_if_not_installed("Matrix")
  Q <- pedigree_kinship(mrode, inverse = TRUE)
  expect_s4_class(Q, "dsCMatrix")
  expect_identical(dimnames(Q), dimnames(A))
  expect_lt(max(abs(as.matrix(Q) - mrode_inverse)), 5.1e-4)
  expect_equal(as.matrix(Q) %*% A, diag(6), tolerance = 1e-13, ignore_attr = TRUE)
})

test_that("A, its inverse and F are those of the definition, inbred and in any order", {
  skip_if_not_installed("Matrix")
  for (seed in 1:6) {
    ped <- overlapping(400, c(12, 20, 60)[[seed %% 3 + 1]], seed)
    A <- dense_relationship(ped$sire, ped$dam)
    expect_gt(max(diag(A)), 1.1)
    mixed <- withr::with_seed(seed, ped[sample(nrow(ped)), ])
    found <- pedigree_kinship(mixed)
    expect_identical(rownames(found), as.character(mixed$id))
    expect_equal(plain(found), A[mixed$id, mixed$id], tolerance = 1e-12)
    expect_equal(unname(inbreeding(mixed)), diag(A)[mixed$id] - 1, tolerance = 1e-12)
    Q <- as.matrix(pedigree_kinship(mixed, inverse = TRUE))
    expect_lt(max(abs(Q %*% found - diag(nrow(ped)))), 1e-10)
  }
})

# Mrode (2014), example 12.1: the parents of 7, ..., 12 are known in part.
test_that("the dominance relationships of Mrode come out as printed", {
  ped <- data.frame(id = 5:12, sire = c(1, 3, 6, NA, 3, 3, 6, 6),
                    dam = c(2, 4, 5, 5, 8, 8, 8, 8))
  D <- pedigree_kinship(ped, type = "dominance")
  expect_s3_class(D, "kinship")
  expected <- diag(12)
  expected[7, 9:12] <- c(0.0625, 0.0625, 0.125, 0.125)
  expected[9, 10:12] <- c(0.25, 0.125, 0.125)
  expected[10, 11:12] <- 0.125
  expected[11, 12] <- 0.25
  expected[lower.tri(expected)] <- t(expected)[lower.tri(expected)]
  expect_equal(plain(D[as.character(1:12), as.character(1:12)]), expected)
  expect_gt(min(eigen(D, TRUE, only.values = TRUE)$values), 0)
})

test_that("dominance relationships are those of the formula", {
  ped <- overlapping(150, 30, 4)
  A <- dense_relationship(ped$sire, ped$dam)
  A0 <- rbind(cbind(A, 0), 0)
  place <- function(parent) replace(parent, parent == 0, 151)
  s <- place(ped$sire)
  d <- place(ped$dam)
  expected <- (A0[s, s] * A0[d, d] + A0[s, d] * A0[d, s]) / 4
  diag(expected) <- 1
  expect_gt(sum(expected > 0), 1000)
  expect_equal(plain(pedigree_kinship(ped, type = "dominance")), expected)
  expect_error(pedigree_kinship(ped, inverse = TRUE, type = "dominance"), "FALSE",
               class = "kinlmm_error_argument")
})

test_that("plants may be sire and dam, and selfed", {
  skip_if_not_installed("Matrix")
  # F_t of a selfed line is 1 - 2^-t
  line <- data.frame(id = 1:7, sire = c(NA, 1:6), dam = c(NA, 1:6))
  expect_error(inbreeding(line), class = "kinlmm_error_pedigree_sexes")
  expect_equal(unname(inbreeding(line, hermaphrodites = TRUE)), 1 - 2^-(0:6))
  ped <- withr::with_seed(2, data.frame(
    id = 1:200,
    sire = floor((1:200) * stats::runif(200)), dam = floor((1:200) * stats::runif(200))
  ))
  ped$dam[40:90] <- ped$sire[40:90]
  A <- dense_relationship(ped$sire, ped$dam)
  expect_gt(max(diag(A)), 1.5)
  mixed <- withr::with_seed(3, ped[sample(200), ])
  found <- pedigree_kinship(mixed, hermaphrodites = TRUE)
  expect_equal(plain(found), A[mixed$id, mixed$id], tolerance = 1e-12)
  expect_equal(unname(inbreeding(mixed, TRUE)), diag(A)[mixed$id] - 1)
  Q <- as.matrix(pedigree_kinship(mixed, inverse = TRUE, hermaphrodites = TRUE))
  expect_lt(max(abs(Q %*% found - diag(200))), 1e-10)
})

test_that("results do not depend on the number of threads", {
  ped <- overlapping(3000, 400, 9)
  withr::local_options(kinlmm.threads = 1L)
  one <- inbreeding(ped)
  withr::local_options(kinlmm.threads = 3L)
  expect_identical(inbreeding(ped), one)
})

test_that("ids may be numbers, factors or text, and unknown parents NA, 0 or empty", {
  numbers <- data.frame(id = c(1e5, 200000, 3), sire = c(0, 1e5, 1e5), dam = c(NA, 0, 2e5))
  text <- data.frame(id = c("100000", "200000", "3"), sire = c("", "100000", "100000"),
                     dam = c(NA, "0", "200000"), stringsAsFactors = TRUE)
  expect_identical(pedigree_kinship(numbers), pedigree_kinship(text))
  expect_identical(rownames(pedigree_kinship(numbers)), c("100000", "200000", "3"))
  expect_identical(pedigree_kinship(transform(numbers, dam = c(NaN, NA, 2e5))),
                   pedigree_kinship(text))
  expect_identical(dim(pedigree_kinship(mrode[0, ])), c(0L, 0L))
  expect_length(inbreeding(mrode[0, ]), 0)
  skip_if_not_installed("Matrix")
  expect_identical(dim(pedigree_kinship(mrode[0, ], inverse = TRUE)), c(0L, 0L))
})

test_that("a model takes the inverse by precision()", {
  skip_if_not_installed("Matrix")
  ped <- withr::with_seed(1, simulate_pedigree(15, children = 4))
  trait <- withr::with_seed(2, simulate_trait(ped, h2 = 0.5))
  Q <- precision(pedigree_kinship(ped, inverse = TRUE))
  by_inverse <- lmmfit(y ~ 1 + (1 | id), trait, kinship = list(id = Q))
  by_matrix <- lmmfit(y ~ 1 + (1 | id), trait, kinship = list(id = pedigree_kinship(ped)))
  expect_equal(as.numeric(logLik(by_inverse)), as.numeric(logLik(by_matrix)),
               tolerance = 1e-10)
})

test_that("relationships of a pedigree have neither effects nor numbers of SNPs", {
  withr::local_seed(3)
  ped <- simulate_pedigree(10, children = 4)
  geno <- simulate_genotypes(pedigree = ped, m = 100)
  A <- pedigree_kinship(ped)
  D <- pedigree_kinship(ped, type = "dominance")
  data <- simulate_trait(ped, h2 = 0.8)
  fit <- lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = A))
  expect_error(marker_effects(fit, geno), class = "kinlmm_error_marker_kernel")
  two <- lmmfit(y ~ 1 + kin(1 | id, A) + kin(1 | id, D), data)
  expect_error(h2_partition(two), "SNPs", class = "kinlmm_error_partition")
})

test_that("what is no pedigree is refused by name", {
  expect_error(inbreeding(1), class = "kinlmm_error_argument")
  expect_error(pedigree_kinship(mrode, NA), class = "kinlmm_error_argument")
  expect_error(inbreeding(mrode[-3]), '"dam"', class = "kinlmm_error_pedigree_columns")
  expect_error(inbreeding(rbind(mrode, mrode[2, ])), '"4"', class = "kinlmm_error_pedigree_ids")
  gone <- transform(mrode, id = c(NA, 4, 0, 6))
  expect_error(inbreeding(gone), "1, 3", class = "kinlmm_error_pedigree_ids")
  twice <- transform(mrode, dam = c(2, 1, 3, 2))
  error <- expect_error(inbreeding(twice), '"1"', class = "kinlmm_error_pedigree_sexes")
  expect_identical(error$ids, "1")
  several <- transform(mrode, sire = I(list(1, c(1, 2), 3, 4)))
  expect_error(inbreeding(several), "`pedigree\\$sire` must be a vector",
               class = "kinlmm_error_argument")
})

test_that("a loop is printed, and only the loop", {
  loop <- data.frame(id = c("x", "c", "b", "a", "y"), sire = c("a", "b", "a", "c", NA),
                     dam = c("y", NA, "y", "y", NA))
  for (f in list(inbreeding, pedigree_kinship, simulate_trait)) {
    error <- expect_error(f(loop), class = "kinlmm_error_pedigree_loop")
    expect_setequal(error$ids, c("a", "b", "c"))
    expect_identical(error$ids[[1]], error$ids[[4]])
    # each a parent of the one before
    parents <- loop[match(error$ids[1:3], loop$id), c("sire", "dam")]
    expect_true(all(parents$sire == error$ids[2:4] | parents$dam == error$ids[2:4],
                    na.rm = TRUE))
  }
  expect_error(inbreeding(loop), "(a <- c <- b <- a|b <- a <- c <- b|c <- b <- a <- c)")
  own <- data.frame(id = c("{a}", "b"), sire = c("{a}", NA), dam = NA)
  expect_error(inbreeding(own), "\\{a\\}.* is its own parent",
               class = "kinlmm_error_pedigree_loop")
})
