K <- as_kinship(withr::with_seed(4, toy_kinship(24, 200)))
E <- kin_eigen(K)
data <- withr::with_seed(5, toy_pheno(K))

test_that("the spectrum is that of eigen()", {
  base <- eigen(as.matrix(K), symmetric = TRUE)
  expect_equal(E$values, base$values, tolerance = 1e-12)
  expect_equal(E$vectors %*% (E$values * t(E$vectors)), as.matrix(K), tolerance = 1e-12,
               ignore_attr = TRUE)
  expect_equal(crossprod(E$vectors), diag(24), tolerance = 1e-12)
  expect_identical(dimnames(E), dimnames(K))
  expect_identical(dim(E), c(24L, 24L))
  expect_identical(as.matrix(E), as.matrix(K))
  expect_identical(kin_eigen(E), E)
  # without the matrix, as files have it
  bare <- new_kin_eigen(E$values, E$vectors, E$ids)
  expect_equal(as.matrix(bare), as.matrix(K), tolerance = 1e-12)
  expect_identical(kin_eigen(as_kinship(diag(1), "a"))$values, 1)
})

test_that("a model takes the spectrum from it where it is that of the records", {
  fit <- function(kernel, rows = seq_len(nrow(data)), ...) {
    lmmfit(y ~ x + (1 | id), data[rows, ], kinship = list(id = kernel), ...)
  }
  same <- function(one, other) {
    expect_lt(abs(deviance(one) - deviance(other)), 1e-8)
    at <- match(blup(other)$id, blup(one)$id)
    expect_equal(blup(one)[at, ], blup(other), tolerance = 1e-8, ignore_attr = TRUE)
    expect_equal(one$theta, other$theta, tolerance = 1e-8)
    expect_equal(vcov(one), vcov(other), tolerance = 1e-8)
  }
  by_matrix <- fit(K)
  by_spectrum <- fit(E)
  expect_match(by_spectrum$engine$reason, "kin_eigen")
  same(by_spectrum, by_matrix)
  expect_null(attr(by_spectrum$random$id$kernel, "spectrum"))
  same(fit(new_kin_eigen(E$values, E$vectors, E$ids)), by_matrix)
  # in another order, and with the same weight or number of records for all
  mixed <- withr::with_seed(6, sample(24))
  same(fit(kin_eigen(K[mixed, mixed])), by_matrix)
  for (rows in list(rep(1:24, 2), mixed)) {
    expect_match(fit(E, rows)$engine$reason, "kin_eigen")
    same(fit(E, rows), fit(K, rows))
  }
  # not where it would be another one
  for (rows in list(1:20, c(1:24, 3L))) {
    expect_match(fit(E, rows)$engine$reason, "tridiagonal")
    same(fit(E, rows), fit(K, rows))
  }
})

test_that("several traits, several terms and other verbs take it", {
  data$z <- withr::with_seed(7, rnorm(24))
  traits <- function(kernel) {
    fits <- lmmfit(cbind(y, z) ~ x + (1 | id), data, kinship = list(id = kernel))
    c(deviance(fits[[1]]), deviance(fits[[2]]))
  }
  expect_equal(traits(E), traits(K), tolerance = 1e-10)
  twice <- data[rep(1:24, 2), ]
  twice$y <- twice$y + withr::with_seed(8, rnorm(48))
  several <- function(kernel) deviance(lmmfit(y ~ x + kin(1 | id, kernel) + (1 | id), twice))
  expect_equal(several(E), several(K), tolerance = 1e-10)
  both <- function(kernel) {
    bivariate(cbind(y, z) ~ x + (1 | id), data, kinship = list(id = kernel))
  }
  expect_equal(as.numeric(logLik(both(E))), as.numeric(logLik(both(K))), tolerance = 1e-8)
  share <- function(kernel) blue(y ~ x, data, kinship = list(id = kernel), h2 = 0.4)
  expect_equal(coef(share(E)), coef(share(K)), tolerance = 1e-10)
})

test_that("levels that it has not, and what is no covariance, are errors", {
  part <- kin_eigen(K[-1, -1])
  expect_kinlmm_error(lmmfit(y ~ x + (1 | id), data, kinship = list(id = part)),
                      "kinship_ids", "1 of 24 levels has none: \"i1\"")
  expect_kinlmm_error(kin_eigen(K - 0.3 * diag(24)), "kinship_psd", "kin_repair()")
  expect_kinlmm_error(kin_eigen(K[0, 0]), "argument", "at least one id")
  wrong <- new_kin_eigen(E$values - 0.5, E$vectors, E$ids)
  expect_kinlmm_error(lmmfit(y ~ x + (1 | id), data, kinship = list(id = wrong)),
                      "kinship_psd", "relationship matrix of `id`")
})

test_that("it is printed and plotted", {
  expect_snapshot(kin_eigen(as_kinship(diag(c(4, 3, 2, 1, 0, 0)), letters[1:6])))
  withr::local_pdf(NULL)
  expect_identical(plot(E), E)
})
