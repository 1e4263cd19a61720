groups <- withr::with_seed(4, {
  ids <- sprintf("i%03d", 1:120)
  G <- matrix(stats::rbinom(120 * 300, 2, 0.4), 120,
              dimnames = list(ids, sprintf("rs%03d", 1:300)))
  b <- stats::rnorm(300, sd = rep(c(3, 2, 2), each = 100)) / 10
  y <- drop(scale(G, scale = FALSE) %*% b) + stats::rnorm(120)
  K <- suppressMessages(lapply(list(a = 1:100, b = 101:200, c = 201:300), function(snps) {
    grm(G[, snps])
  }))
  list(K = K,
       data = data.frame(id = ids, y = y))
})

fit_groups <- function() {
  A <- groups$K$a
  B <- groups$K$b
  C <- groups$K$c
  suppressMessages(lmmfit(y ~ 1 + kin(1 | id, A) + kin(1 | id, B) + kin(1 | id, C),
                          groups$data))
}

test_that("shares, enrichments and their errors belong together", {
  fit <- fit_groups()
  out <- h2_partition(fit, snps = c(A = 100, B = 100, C = 100))
  k <- vapply(fit$random, mean_diagonal, 0)
  size <- unname(k * fit$theta^2)
  expect_equal(out$share, size / sum(size))
  expect_equal(sum(out$share), 1)
  expect_equal(out$enrichment, out$share * 3)
  expect_equal(out$enrichment_se, out$se * 3)
  expect_equal(out$per_snp * 100, size * sigma(fit)^2)
  h <- heritability(fit, method = "wald")
  expect_equal(attr(out, "heritability"), c(estimate = h$estimate[[4]], se = h$se[[4]]))
  # numbers of SNPs that grm() noted
  expect_equal(h2_partition(fit), out)
  expect_equal(h2_partition(fit, c(100, 100, 100)), out)
  expect_identical(h2_partition(fit, c(x = 1, y = 2, z = 3))$group, c("x", "y", "z"))
  expect_equal(h2_partition(fit, c(C = 3, A = 1, B = 2))$snps, c(1, 2, 3))
})

test_that("tests are likelihood ratios of models fitted otherwise", {
  fit <- fit_groups()
  out <- h2_partition(fit, snps = c(A = 100, B = 100, C = 200))
  # equal variance per SNP: one kernel, the weighted sum
  k <- vapply(fit$random, mean_diagonal, 0)
  K <- Reduce(`+`, Map(`*`, groups$K, c(100, 100, 200) / k / 400))
  dimnames(K) <- dimnames(groups$K$a)
  equal <- lmmfit(y ~ 1 + (1 | id), groups$data, kinship = list(id = K))
  test <- attr(out, "test")
  expect_equal(test$LRT, deviance(equal) - deviance(fit), tolerance = 1e-6)
  expect_identical(test$df, 2L)
  # of one enrichment: the others stay free
  held <- function(r) {
    K <- groups$K$a / k[[1L]] / 4 + (3 / 4) * (r * groups$K$b / k[[2L]] +
                                                 (1 - r) * groups$K$c / k[[3L]])
    attr(K, "grm") <- NULL
    deviance(lmmfit(y ~ 1 + (1 | id), groups$data, kinship = list(id = K)))
  }
  best <- stats::optimise(held, c(0, 1), tol = 1e-8)$objective
  best <- min(best, held(0), held(1))
  expect_equal(out$LRT[[1]], best - deviance(fit), tolerance = 1e-5)
  expect_equal(out$p.value, stats::pchisq(out$LRT, 1, lower.tail = FALSE))
})

test_that("with two groups all tests and standard errors are one", {
  A <- groups$K$a
  B <- groups$K$b
  fit <- suppressMessages(lmmfit(y ~ 1 + kin(1 | id, A) + kin(1 | id, B), groups$data))
  out <- h2_partition(fit)
  expect_equal(out$LRT, rep(attr(out, "test")$LRT, 2), tolerance = 1e-6)
  expect_equal(out$se[[1]], out$se[[2]])
  expect_equal(out$lower[[1]], 1 - out$upper[[2]], tolerance = 1e-6)
  expect_output(print(out), "equal variance per SNP: LRT")
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  expect_identical(plot(out), out)
})

test_that("what can't be partitioned is refused", {
  fit <- fit_groups()
  expect_kinlmm_error(h2_partition(fit, c(100, 100)), "argument", "each of the 3 groups")
  expect_kinlmm_error(h2_partition(fit, c(A = 1, B = 1, D = 1)), "partition",
                      c("all of them new", "\"D\" is not"))
  one <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  expect_kinlmm_error(h2_partition(one), "partition", "It has (1 | Subject)")
  plain <- lapply(groups$K[1:2], function(K) structure(K, grm = NULL))
  A <- plain$a
  B <- plain$b
  without <- suppressMessages(lmmfit(y ~ 1 + kin(1 | id, A) + kin(1 | id, B),
                                     groups$data))
  expect_kinlmm_error(h2_partition(without), "partition", "\"A\", \"B\" were not made")
})
