# A fit that costs little.
small_fit <- function(..., seed = 1, data = small$data, G = small$G) {
  withr::with_seed(seed, suppressWarnings(suppressMessages(spike_slab(y ~ 1, data, G, ...))))
}
small <- local({
  G <- random_genotypes(120, 60, seed = 5)
  withr::with_seed(5, {
    y <- 1.2 * replace(G[, 3], is.na(G[, 3]), 1) + rnorm(120)
  })
  list(G = G, data = data.frame(y = y, row.names = rownames(G)))
})

test_that("draws do not depend on threads, and do on the seed", {
  one <- withr::with_options(list(kinlmm.threads = 1), small_fit(sweeps = 300))
  two <- withr::with_options(list(kinlmm.threads = 2), small_fit(sweeps = 300))
  expect_identical(one$parameters, two$parameters)
  expect_identical(one$draws, two$draws)
  expect_false(identical(one$draws, small_fit(sweeps = 300, seed = 2)$draws))
  bayes <- lapply(1:2, function(threads) {
    withr::with_options(list(kinlmm.threads = threads), small_fit(method = "Bayes",
                                                                  draws = 50))
  })
  expect_identical(bayes[[1]]$draws, bayes[[2]]$draws)
})

test_that("standard errors need draws", {
  # as with few, where the variance of the scores is too small
  expect_false(anyNA(small_fit(draws = 200)$parameters$se[2:4]))
  expect_true(all(is.na(small_fit(draws = 40)$parameters$se)))
})

test_that("fitted values, predictions and marker effects agree", {
  fit <- small_fit(sweeps = 500)
  p <- colMeans(small$G, na.rm = TRUE) / 2
  expect_equal(fit$markers$p, unname(p))
  expect_equal(fit$markers$scale, unname(sqrt(2 * p * (1 - p))))
  expect_equal(fit$markers$beta, fit$markers$effect / fit$markers$scale)
  Z <- sweep(small$G, 2, 2 * p)
  Z[is.na(Z)] <- 0
  genetic <- drop(Z %*% fit$markers$beta)
  expect_equal(predict(fit), genetic, tolerance = 1e-6)
  expect_equal(predict(fit, small$G), genetic, tolerance = 1e-10)
  expect_equal(fitted(fit), genetic + coef(fit)[[1]], tolerance = 1e-6)
  expect_equal(predict(fit, small$G[5:1, 60:1]), genetic[5:1], tolerance = 1e-10)
  expect_gt(fit$markers$pip[[3]], 0.99)
  expect_lt(max(fit$markers$pip[-3]), 0.9)
})

test_that("going on is the same as having gone further", {
  skip_on_cran()
  runs <- lapply(1:6, function(seed) {
    whole <- small_fit(method = "Bayes", draws = 4000, warmup = 500, seed = seed)
    half <- small_fit(method = "Bayes", draws = 2000, warmup = 500, seed = 100 + seed)
    joined <- withr::with_seed(200 + seed, suppressWarnings(more(half, draws = 2000)))
    expect_identical(dim(joined$draws), dim(whole$draws))
    expect_identical(joined$draws$chain, whole$draws$chain)
    c(whole$parameters$estimate, joined$parameters$estimate)
  })
  runs <- do.call(rbind, runs)
  gap <- colMeans(runs[, 1:4]) - colMeans(runs[, 5:8])
  error <- sqrt((apply(runs[, 1:4], 2, var) + apply(runs[, 5:8], 2, var)) / 6)
  expect_true(all(abs(gap) < 4 * error))
  # MCEM
  fit <- small_fit(sweeps = 200)
  further <- withr::with_seed(2, suppressWarnings(more(fit, sweeps = 4000, tolerance = 0.005)))
  long <- small_fit(sweeps = 4200, seed = 9, tolerance = 0.005)
  expect_identical(further$path[seq_len(nrow(fit$path)), -1], fit$path[, -1])
  expect_lt(abs(further$parameters["h2", "estimate"] - long$parameters["h2", "estimate"]),
            0.03)
})

test_that("the Gibbs sampler has the right distribution: calibrated by simulation", {
  skip_on_cran()
  withr::local_seed(7)
  prior <- list(pi = c(2, 2), sigma_g2 = c(8, 1), sigma_e2 = c(8, 1))
  G <- random_genotypes(25, 8, missing = 0, seed = 6)
  p <- colMeans(G) / 2
  Z <- sweep(sweep(G, 2, 2 * p), 2, sqrt(2 * p * (1 - p)), "/")
  ranks <- replicate(150, {
    pi <- rbeta(1, 2, 2)
    sigma2 <- 8 / rchisq(2, 8)
    b <- rbinom(8, 1, pi) * rnorm(8, sd = sqrt(sigma2[1] / (8 * pi)))
    data <- data.frame(y = drop(Z %*% b) + rnorm(25, sd = sqrt(sigma2[2])),
                       row.names = rownames(G))
    fit <- suppressWarnings(spike_slab(y ~ 1, data, G, "Bayes", prior = prior, chains = 1,
                                       warmup = 300, draws = 1980, thin = 20))
    truth <- c(pi, sigma2, sum(b != 0))
    drawn <- fit$draws[c("pi", "sigma_g2", "sigma_e2", "active")]
    # ties, of counts, at random
    vapply(1:4, function(k) {
      (sum(drawn[[k]] < truth[k]) + runif(1) * (sum(drawn[[k]] == truth[k]) + 1)) / 100
    }, 0)
  })
  for (k in 1:4) expect_gt(stats::ks.test(ranks[k, ], "punif")$p.value, 1e-3)
})

test_that("R-hat and effective draws see chains that differ or creep", {
  withr::local_seed(1)
  x <- matrix(rnorm(4000), 1000)
  expect_lt(chain_diagnostics(x)$rhat, 1.01)
  expect_gt(chain_diagnostics(sweep(x, 2, c(0, 0, 0, 2), "+"))$rhat, 1.2)
  expect_lt(abs(chain_diagnostics(x)$ess_bulk / 4000 - 1), 0.2)
  creep <- apply(x, 2, stats::filter, filter = 0.9, method = "recursive")
  # (1 - 0.9) / (1 + 0.9)
  expect_lt(abs(chain_diagnostics(creep)$ess_bulk / 4000 * 19 - 1), 0.5)
})
