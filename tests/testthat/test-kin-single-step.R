# A pedigree in no order, with inbreeding, of which some animals have genotypes.
herd <- withr::with_seed(1, {
  ped <- simulate_pedigree(6, children = 4, dams = 2, generations = 3)
  ped <- ped[sample(nrow(ped)), ]
  geno <- simulate_genotypes(pedigree = ped, m = 300)
  list(ped = ped, young = sample(ped$id[ped$generation > 0], 50), geno = geno)
})
G <- suppressMessages(grm(geno[herd$young, ], maf = 0))
ped <- herd$ped
A <- unclass(pedigree_kinship(ped))
A22 <- A[herd$young, herd$young]

# G as it enters H, by the formulas of the papers.
mixed <- function(blend, tune) {
  K <- unclass(G)[herd$young, herd$young]
  if (tune) {
    m <- nrow(K)
    # mean diagonal and overall mean, as Christensen et al. (2012)
    left <- rbind(c(1, mean(diag(K))), c(1, mean(K)))
    ab <- solve(left, c(mean(diag(A22)), mean(A22)))
    K <- ab[1] + ab[2] * K
  }
  (1 - blend) * K + blend * A22
}

# H^-1 by the dense formula, inverses by LU.
dense_inverse <- function(K, tau = 1, omega = 1) {
  Q <- solve(A)
  at <- rownames(K)
  Q[at, at] <- Q[at, at] + tau * solve(K) - omega * solve(A22[at, at])
  Q
}

strip <- function(K) matrix(K, nrow(K), dimnames = dimnames(K))

test_that("H is that of Legarra, Aguilar and Misztal", {
  K <- mixed(0.05, TRUE)
  two <- herd$young
  one <- setdiff(ped$id, two)
  A12 <- A[one, two]
  inverse <- solve(A22)
  H <- A
  H[one, one] <- A[one, one] + A12 %*% inverse %*% (K - A22) %*% inverse %*% t(A12)
  H[one, two] <- A12 %*% inverse %*% K
  H[two, one] <- t(H[one, two])
  H[two, two] <- K
  found <- single_step(ped, G)
  expect_s3_class(found, "kinship")
  expect_identical(dimnames(found), dimnames(A))
  expect_equal(strip(found), strip(H), tolerance = 1e-12)
  expect_identical(strip(found), t(strip(found)))
  expect_gt(min(eigen(found, TRUE, only.values = TRUE)$values), 0)
  note <- attr(found, "grm")
  expect_identical(note$method, "single-step")
  expect_identical(note$genotyped, 50L)
  upper <- upper.tri(A22)
  expect_equal(note$correlation, cor(G[two, two][upper], A22[upper]))
})

test_that("H and its inverse are each other's, for every tau, omega, blend and tune", {
  skip_if_not_installed("Matrix")
  cases <- list(list(), list(blend = 0.3, tune = FALSE), list(tau = 1.4, omega = 0.6),
                list(tau = 0.7, omega = 1.1, blend = 0.5), list(omega = 0, tau = 2))
  for (case in cases) {
    set <- utils::modifyList(list(tau = 1, omega = 1, blend = 0.05, tune = TRUE), case)
    expected <- dense_inverse(mixed(set$blend, set$tune), set$tau, set$omega)
    Q <- do.call(single_step, c(list(ped, G, inverse = TRUE), case))
    expect_s4_class(Q, "dsCMatrix")
    expect_identical(dimnames(Q), dimnames(A))
    expect_equal(as.matrix(Q), strip(expected), tolerance = 1e-9)
    H <- do.call(single_step, c(list(ped, G), case))
    expect_equal(strip(H), solve(strip(expected)), tolerance = 1e-9)
  }
  # sparse beside the block of the genotyped
  Q <- single_step(ped, G, inverse = TRUE)
  expect_lt(Matrix::nnzero(Q), 50^2 + 7 * nrow(A))
})

test_that("with relationships of the pedigree for genomic ones, H is A", {
  expect_equal(strip(single_step(ped, A22)), strip(A), tolerance = 1e-12)
  # whatever their scale and origin
  scaled <- single_step(ped, 3 * A22 - 0.4, blend = 0)
  expect_equal(strip(scaled), strip(A), tolerance = 1e-10)
  expect_equal(attr(scaled, "grm")$tune, c(a = 0.4 / 3, b = 1 / 3))
  expect_equal(strip(single_step(ped, G, blend = 1)), strip(A), tolerance = 1e-12)
  skip_if_not_installed("Matrix")
  expect_equal(as.matrix(single_step(ped, A22, inverse = TRUE)),
               as.matrix(pedigree_kinship(ped, inverse = TRUE)), tolerance = 1e-10)
})

test_that("tuned, G has the means of A22, and its scale does not matter", {
  H <- single_step(ped, G, blend = 0)[herd$young, herd$young]
  upper <- upper.tri(A22)
  expect_equal(mean(diag(H)), mean(diag(A22)))
  expect_equal(mean(H[upper]), mean(A22[upper]))
  expect_equal(strip(single_step(ped, 7 * G + 1)), strip(single_step(ped, G)),
               tolerance = 1e-10)
  raw <- single_step(ped, G, blend = 0, tune = FALSE)
  expect_equal(strip(raw[herd$young, herd$young]), strip(G[herd$young, herd$young]))
})

test_that("the order of G does not matter, nor what kind of matrix it is", {
  H <- single_step(ped, G)
  some <- withr::with_seed(5, sample(herd$young))
  expect_equal(single_step(ped, G[some, some]), H, tolerance = 1e-12)
  skip_if_not_installed("Matrix")
  expect_equal(single_step(ped, Matrix::Matrix(unclass(G)[some, some])), H,
               tolerance = 1e-12)
})

test_that("ids may be numbers, and as R writes them", {
  number <- stats::setNames(c(1e5, seq_len(nrow(ped) - 1)), ped$id)
  coded <- data.frame(id = number[ped$id], sire = number[ped$sire], dam = number[ped$dam])
  first <- ped$id[[1]]
  with_it <- unique(c(first, herd$young))
  K <- A[with_it, with_it]
  dimnames(K) <- rep(list(as.character(number[with_it])), 2)
  expect_true("1e+05" %in% rownames(K))
  expect_equal(unname(strip(single_step(coded, K))), unname(strip(A)), tolerance = 1e-12)
})

test_that("one, all and no relatives genotyped", {
  one <- G[1, 1, drop = FALSE]
  H <- single_step(ped, one, blend = 0)
  expect_equal(strip(H), strip(A), tolerance = 1e-12)
  all <- suppressMessages(grm(herd$geno, maf = 0))
  expect_equal(strip(single_step(ped, all, blend = 0, tune = FALSE)),
               strip(all[ped$id, ped$id]), tolerance = 1e-12)
  founders <- data.frame(id = 1:3, sire = NA, dam = NA)
  K <- diag(c(1, 2)) + 1
  dimnames(K) <- list(c(3, 1), c(3, 1))
  H <- single_step(founders, K, tune = FALSE, blend = 0)
  expect_equal(unname(strip(H)), rbind(c(3, 0, 1), c(0, 1, 0), c(1, 0, 2)))
})

test_that("a model with H is the model with its inverse", {
  skip_if_not_installed("Matrix")
  trait <- withr::with_seed(6, simulate_trait(ped, h2 = 0.6))
  by_H <- lmmfit(y ~ 1 + (1 | id), trait, kinship = list(id = single_step(ped, G)))
  Q <- precision(single_step(ped, G, inverse = TRUE))
  by_inverse <- lmmfit(y ~ 1 + (1 | id), trait, kinship = list(id = Q))
  expect_equal(as.numeric(logLik(by_H)), as.numeric(logLik(by_inverse)), tolerance = 1e-8)
  expect_equal(ranef(by_H)$id[ped$id, 1], ranef(by_inverse)$id[ped$id, 1], tolerance = 1e-5)
})

test_that("what does not go together is refused by name", {
  other <- G
  dimnames(other) <- rep(list(c("x1", "x2", rownames(G)[-(1:2)])), 2)
  error <- expect_error(single_step(ped, other), '2 of 50 are not there: "x1", "x2"',
                        class = "kinlmm_error_single_step_ids")
  expect_identical(error$missing, c("x1", "x2"))
  expect_error(single_step(ped, unname(G)), class = "kinlmm_error_kinship_noids")
  expect_error(single_step(ped, replace(G, 2, NA)), class = "kinlmm_error_kinship_na")
  expect_error(single_step(ped, "G"), class = "kinlmm_error_argument")
  expect_error(single_step(ped, G[0, 0]), "at least one", class = "kinlmm_error_argument")
  expect_error(single_step(ped), "`G` must be given", class = "kinlmm_error_argument")
  expect_error(single_step(G = G), "`pedigree`", class = "kinlmm_error_argument")
  for (wrong in list(list(tau = 0), list(omega = NA), list(blend = 1.1), list(tune = 1),
                     list(inverse = NULL), list(hermaphrodites = "no"))) {
    expect_error(do.call(single_step, c(list(ped, G), wrong)), names(wrong),
                 class = "kinlmm_error_argument")
  }
  flat <- G * 0 + 1
  expect_error(single_step(ped, flat), "mean of its diagonal is 1",
               class = "kinlmm_error_single_step_tune")
  expect_error(single_step(ped, flat, tau = 2, tune = FALSE, blend = 0), "`blend`",
               class = "kinlmm_error_single_step_singular")
  expect_error(single_step(ped, G, omega = 100), "`omega` of at most 1",
               class = "kinlmm_error_single_step_singular")
  expect_identical(unname(diag(single_step(ped, flat, tune = FALSE, blend = 0)))[
    match(herd$young, ped$id)], rep(1, 50))
})

test_that("an inverse that is not positive definite is refused", {
  skip_if_not_installed("Matrix")
  expect_error(single_step(ped, G, omega = 100, inverse = TRUE), "`omega`",
               class = "kinlmm_error_single_step_singular")
})
