test_that("nuclear families and half sibs have the relationships of their kind", {
  set.seed(1)
  ped <- simulate_pedigree(families = 10, children = 3, dams = 2)
  expect_identical(names(ped), c("id", "sire", "dam", "sex", "generation"))
  expect_identical(dim(ped), c(10L + 20L + 60L, 5L))
  expect_identical(as.vector(table(ped$generation)), c(30L, 60L))
  young <- ped[ped$generation == 1, ]
  expect_identical(unique(as.vector(table(young$dam))), 3L)
  expect_identical(unique(as.vector(table(young$sire))), 6L)
  expect_true(all(ped$sex[match(young$sire, ped$id)] == 1))
  expect_true(all(ped$sex[match(young$dam, ped$id)] == 2))
  expect_identical(sum(young$sex == 1), 30L)
  A <- pedigree_kinship(ped)[young$id, young$id]
  full <- outer(young$dam, young$dam, "==") & !diag(nrow(A))
  half <- outer(young$sire, young$sire, "==") & outer(young$dam, young$dam, "!=")
  expect_true(all(A[full] == 0.5) && all(A[half] == 0.25))
  expect_true(all(A[!full & !half & !diag(nrow(A))] == 0))
})

test_that("children may differ by dam", {
  ped <- withr::with_seed(1, simulate_pedigree(3, children = c(1, 0, 4)))
  expect_identical(sum(ped$generation == 1), 5L)
  expect_setequal(as.vector(table(ped$dam)), c(1L, 4L))
})

test_that("a closed population keeps its size and becomes inbred as theory says", {
  set.seed(2)
  # 4 sires and 4 dams chosen at random: about 1 / (2 Ne) a generation, Ne = 8 or a bit more
  f <- vapply(1:40, function(k) {
    ped <- simulate_pedigree(4, children = 6, generations = 5)
    mean(inbreeding(ped)[ped$generation == 5])
  }, 0)
  expect_identical(levels(factor(simulate_pedigree(4, 6, generations = 5)$generation)),
                   as.character(0:5))
  expect_lt(abs(mean(f) - (1 - (1 - 1 / 17)^4)), 4 * stats::sd(f) / sqrt(40) + 0.03)
})

test_that("selection raises the trait, h2 = 0 does not", {
  set.seed(3)
  response <- function(h2) {
    ped <- simulate_pedigree(10, children = 10, dams = 2, generations = 3, h2 = h2)
    expect_true(all(c("u", "y") %in% names(ped)))
    mean(ped$u[ped$generation == 3])
  }
  expect_gt(response(0.5), 1)
  expect_identical(response(0), 0)
})

test_that("the first response is i h2, and Mendelian sampling keeps the variance", {
  set.seed(4)
  ped <- simulate_pedigree(200, children = 10, generations = 2, h2 = 0.4)
  young <- ped[ped$generation == 2, ]
  parents <- ped[ped$id %in% c(young$sire, young$dam), ]
  before <- ped[ped$generation == 1, ]
  difference <- mean(parents$y) - mean(before$y)
  # 400 parents of 2000: i = 1.40; response = h2 times the selection differential
  expect_lt(abs(difference / stats::sd(before$y) - 1.4), 0.05)
  expect_lt(abs(mean(young$u) - mean(before$u) - 0.4 * difference), 0.08)
  within <- young$u - (ped$u[match(young$sire, ped$id)] + ped$u[match(young$dam, ped$id)]) / 2
  expect_lt(abs(stats::var(within) / 0.2 - 1), 5 * sqrt(2 / nrow(young)))
})

test_that("the seed decides", {
  draw <- function(seed) withr::with_seed(seed, simulate_pedigree(5, 4, 2, 3))
  expect_identical(draw(1), draw(1))
  expect_false(identical(draw(1), draw(2)))
})

test_that("impossible designs are refused", {
  expect_error(simulate_pedigree(0), class = "kinlmm_error_argument")
  expect_error(simulate_pedigree(2, children = 1:3), "2 dams", class = "kinlmm_error_argument")
  expect_error(simulate_pedigree(2, children = 1.5), class = "kinlmm_error_argument")
  expect_error(simulate_pedigree(2, children = 0), class = "kinlmm_error_argument")
  expect_error(simulate_pedigree(2, h2 = 2), class = "kinlmm_error_argument")
  error <- expect_error(simulate_pedigree(4, children = 1, generations = 2),
                        class = "kinlmm_error_pedigree_parents")
  expect_identical(error$need, c(sires = 4L, dams = 4L))
})
