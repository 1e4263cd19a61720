spike_trait <- function(n, m, causal, h2 = 0.6, seed = 3) {
  withr::with_seed(seed, {
    geno <- simulate_genotypes(n, m)
    list(geno = geno, trait = simulate_trait(geno, h2, causal = causal, scale = "sample"))
  })
}

fit_trait <- function(at, ...) {
  withr::with_seed(4, suppressWarnings(suppressMessages(
    spike_slab(y ~ 1, at$trait, at$geno, id = "id", ...))))
}

test_that("the bootstrap's standard errors are those of GREML where pi is 1", {
  skip_on_cran()
  at <- spike_trait(250, 100, 100)
  fit <- fit_trait(at, start = c(pi = 1, h2 = 0.5), sweeps = 400, tolerance = 0.02)
  draws <- bootstrap(fit, nsim = 40, seed = 1)
  expect_equal(names(draws$t0), c("pi", "h2", "sigma_g2", "sigma_e2"))
  expect_equal(dim(draws$t), c(40L, 4L))
  K <- grm(at$geno, "standardized", maf = 0)
  greml <- heritability(lmmfit(y ~ 1 + (1 | id), at$trait, kinship = list(id = K)))
  # of 40 draws the standard deviation is known to 11%
  ratio <- summary(draws)["h2", "se"] / greml$se
  expect_gt(ratio, 0.6)
  expect_lt(ratio, 1.5)
  expect_lt(abs(mean(draws$t[, "h2"]) - draws$t0[["h2"]]), 0.06)
})

test_that("a bootstrap is repeated by its seed, and has the usual methods", {
  fit <- fit_trait(spike_trait(100, 40, 4), sweeps = 200, tolerance = 0.1)
  draws <- bootstrap(fit, nsim = 3, seed = 2)
  expect_identical(bootstrap(fit, nsim = 3, seed = 2)$t, draws$t)
  expect_false(identical(bootstrap(fit, nsim = 3, seed = 5)$t, draws$t))
  expect_equal(dim(confint(draws, "h2")), c(1L, 2L))
  expect_output(print(draws), "Parametric bootstrap, 3 draws")
})

test_that("what can't be done is said", {
  at <- spike_trait(100, 40, 4)
  bayes <- fit_trait(at, method = "Bayes", draws = 40)
  expect_kinlmm_error(bootstrap(bayes), "argument", "Monte-Carlo EM")
  fit <- fit_trait(at, sweeps = 100)
  expect_kinlmm_error(bootstrap(fit, nsim = 0), "argument", "nsim")
})
