# Means of components and shares within three Monte-Carlo errors of `expected`. The seeds
# are fixed, so that this passes always or never; five components would each fail one
# time in 370.
expect_means <- function(fit, expected, kinds = c("component", "share")) {
  own <- fit$diagnostics[fit$diagnostics$kind %in% kinds, ]
  expect_length(expected, nrow(own))
  z <- (own$mean - expected) / own$mcse
  expect_lt(max(abs(z)), 3)
  # and the errors are small enough to tell
  expect_lt(max(own$mcse / own$sd), 0.03)
}

test_that("one i.i.d. term: posterior means are those of quadrature", {
  d <- data.frame(g = factor(rep(1:6, c(2, 3, 4, 4, 3, 2))), x = sin(1:18),
                  w = rep(c(0.5, 1, 2), 6), o = cos(1:18))
  d$y <- d$x + d$o + rep(c(-1, 0.5, 2, -0.4, 0, 1.5), c(2, 3, 4, 4, 3, 2)) + sin(5 * 1:18)
  model <- bayes_model(y ~ x + (1 | g), d, weights = quote(w), offset = quote(o))
  Z <- model.matrix(~ 0 + g, d)
  axes <- list(seq(-11, 4, length.out = 120), seq(-2, 2, length.out = 50))
  expected <- quadrature_means(axes, function(v) {
    dense_log_posterior(v, d$y - d$o, cbind(1, d$x), list(tcrossprod(Z)), diag(1 / d$w),
                        function(s) sum(log_half_t(s, 3, 1.5)))
  })
  set.seed(1)
  fits <- lapply(c("slice", "metropolis"), function(sampler) {
    vc_bayes(model, bayes_control(prior_half_t(3, 1.5), iterations = 2000,
                                  sampler = sampler))
  })
  for (fit in fits) expect_means(fit, expected)
  # for the price of fewer evaluations
  expect_lt(2 * fits[[2L]]$evaluations, fits[[1L]]$evaluations)
})

test_that("a covariance matrix: the same", {
  skip_on_cran()
  d <- data.frame(g = factor(rep(1:5, 4)), x = rep(c(-1, 0, 1, 3), each = 5))
  d$y <- c(1, 0, -1, 2, 1)[d$g] + c(0.5, -0.5, 0.3, 1, -1)[d$g] * d$x + sin(7 * 1:20)
  prior <- prior_inverse_wishart(7, matrix(c(4, 1, 1, 3), 2))
  set.seed(1)
  fit <- vc_bayes(bayes_model(y ~ x + (x | g), d),
                  bayes_control(list(g = prior, Residual = prior_inverse_chisq(6, 0.7))))
  Z <- model.matrix(~ 0 + g, d)
  V <- list(Z %*% t(Z), (Z * d$x) %*% t(Z) + Z %*% t(Z * d$x), (Z * d$x) %*% t(Z * d$x))
  # log standard deviations and Fisher's z of the correlation
  grid <- as.matrix(expand.grid(seq(-1.3, 1.8, length.out = 12),
                                seq(-1.3, 1.6, length.out = 12),
                                seq(-2, 2.4, length.out = 11),
                                seq(-1.1, 0.9, length.out = 10)))
  psi <- cbind(exp(2 * grid[, 1L]), tanh(grid[, 3L]) * exp(grid[, 1L] + grid[, 2L]),
               exp(2 * grid[, 2L]), exp(2 * grid[, 4L]))
  value <- apply(psi, 1L, function(v) {
    Psi <- matrix(v[c(1, 2, 2, 3)], 2)
    dense_log_posterior(v, d$y, cbind(1, d$x), V, diag(20), function(s) {
      -5 * log(det(Psi)) - sum(diag(prior$scale %*% solve(Psi))) / 2 -
        6 * log(s[[4L]]) - 6 * 0.7 / (2 * s[[4L]]^2)
    })
  })
  # Jacobians: of the components s1^2, r s1 s2, s2^2 in these coordinates
  value <- value + 3 * (grid[, 1L] + grid[, 2L]) - 2 * log(cosh(grid[, 3L]))
  weight <- exp(value - max(value))
  expect_means(fit, colSums(weight * psi) / sum(weight), "component")
})

test_that("one kernel with repeated records: the same", {
  withr::local_seed(3)
  K <- toy_kinship(10)
  d <- toy_pheno(K, rep(1:2, 5))
  Z <- outer(d$id, rownames(K), `==`) * 1
  control <- bayes_control(list(id = prior_half_t(1, 2), Residual = prior_inverse_chisq(4, 1)),
                           iterations = 2000)
  fit <- vc_bayes(bayes_model(y ~ 1 + (1 | id), d, list(id = K)), control)
  axes <- list(seq(-11, 7, length.out = 120), seq(-3, 3, length.out = 60))
  log_density <- function(v) {
    dense_log_posterior(v, d$y, matrix(1, nrow(d)), list(Z %*% K %*% t(Z)), diag(nrow(d)),
                        # of the standard deviation: with the Jacobian
                        function(s) log_half_t(s[[1L]], 1, 2) - 5 * log(s[[2L]]) -
                          4 / (2 * s[[2L]]^2))
  }
  expected <- quadrature_means(axes, log_density)
  # the share is on the scale of the centred kernel
  k <- mean(diag(K)) - mean(K)
  grid <- as.matrix(expand.grid(axes))
  w <- apply(grid, 1L, function(x) log_density(exp(2 * x)) + sum(x))
  w <- exp(w - max(w)) / sum(exp(w - max(w)))
  v <- exp(2 * grid)
  expected[[3L]] <- sum(w * k * v[, 1L] / (k * v[, 1L] + v[, 2L]))
  expect_means(fit, expected)
})

test_that("two terms, a kernel beside another: the same", {
  skip_on_cran()
  withr::local_seed(4)
  K <- toy_kinship(8)
  d <- toy_pheno(K, rep(2L, 8))
  d$g <- factor(rep(1:4, 4))
  d$y <- d$y + c(-1, 1, 0.5, -0.5)[d$g]
  prior <- prior_inverse_chisq(4, 0.5)
  fit <- vc_bayes(bayes_model(y ~ 1 + (1 | id) + (1 | g), d, list(id = K)),
                  bayes_control(prior))
  V <- list(tcrossprod(outer(d$id, rownames(K), `==`) %*% t(chol(K + diag(1e-10, 8)))),
            tcrossprod(model.matrix(~ 0 + g, d)))
  axes <- list(seq(-2.2, 3.2, length.out = 20), seq(-2.2, 3.2, length.out = 20),
               seq(-1.3, 1.2, length.out = 15))
  expected <- quadrature_means(axes, function(v) {
    dense_log_posterior(v, d$y, matrix(1, 16), V, diag(16), function(s) {
      sum(-5 * log(s) - 2 * 0.5 / s^2)
    })
  })
  expect_means(fit, expected[1:3], "component")
})

test_that("simulation-based calibration: ranks are uniform (Talts et al. 2018)", {
  skip_on_cran()
  d <- data.frame(g = factor(rep(1:5, each = 3)), x = cos(1:15), y = rnorm(15))
  model <- bayes_model(y ~ x + (1 | g), d)
  control <- bayes_control(list(g = prior_half_t(3, 1), Residual = prior_inverse_chisq(6, 1)),
                           chains = 1, iterations = 31, warmup = 80, thin = 3)
  set.seed(11)
  ranks <- replicate(240, {
    s <- c(abs(rt(1, 3)), sqrt(6 / rchisq(1, 6)))
    model$frame$y <- drop(rnorm(5, sd = s[[1L]])[d$g] + rnorm(15, sd = s[[2L]]))
    draws <- suppressWarnings(vc_bayes(model, control))$draws
    truth <- c(s^2, 0)
    c(colSums(as.matrix(draws[c("g", "Residual", "beta.x")]) < rep(truth, each = 31)))
  })
  p <- apply(ranks, 1L, function(r) chisq.test(table(factor(r %/% 4, 0:7)))$p.value)
  expect_gt(min(p), 0.01)
})

test_that("records that say nothing leave the prior, of three columns too", {
  skip_on_cran()
  noise <- withr::with_seed(2, matrix(stats::rnorm(180), 60))
  d <- data.frame(g = gl(10, 6), x = noise[, 1], z = noise[, 2], y = 1e3 * noise[, 3],
                  w = 1e-6)
  model <- bayes_model(y ~ 1 + (1 + x + z | g), d, weights = quote(w))
  draws <- function(prior) {
    set.seed(1)
    suppressWarnings(vc_bayes(model, bayes_control(list(g = prior))))
  }
  W <- matrix(c(3, 0.5, -1, 0.5, 2, 0.3, -1, 0.3, 1.5), 3)
  fit <- draws(prior_inverse_wishart(14, W))
  z <- (coef(fit)[1:6] - W[lower.tri(W, TRUE)] / 10) / fit$diagnostics$mcse[1:6]
  expect_lt(max(abs(z)), 3.5)
  v <- draws(prior_half_t(5, c(1, 2, 0.5), lkj = 3))$draws
  square <- cbind(v[[4]]^2 / (v[[3]] * v[[6]]), v[[5]]^2 / (v[[3]] * v[[8]]),
                  v[[7]]^2 / (v[[6]] * v[[8]]))
  # of a correlation, (r + 1) / 2 ~ beta(lkj + 1/2, lkj + 1/2)
  expect_equal(colMeans(square), rep(1 / 8, 3), tolerance = 0.08)
  below <- t(v[c(3, 6, 8)]) < c(1, 4, 0.25) * stats::qt(0.75, 5)^2
  expect_lt(max(abs(rowMeans(below) - 0.5)), 0.06)
})

test_that("the densities that are plotted do not bend at zero", {
  value <- stats::qexp(stats::ppoints(2000))
  at <- draw_density(value, c(0, 8))
  expect_equal(at$y[[1]], 1, tolerance = 0.15)
  expect_equal(sum(at$y) * diff(at$x[1:2]), 1, tolerance = 0.02)
})

test_that("slopes are sampled with their correlation", {
  data <- lme4::sleepstudy
  set.seed(1)
  fit <- vc_bayes(bayes_model(Reaction ~ Days + (Days | Subject), data))
  expect_identical(fit$components$component,
                   c("Subject.(Intercept)", "Subject.Days.(Intercept)", "Subject.Days",
                     "Residual"))
  expect_lt(max(fit$diagnostics$rhat), 1.01)
  # the REML estimates of lme4 lie where the posterior has its mass
  theirs <- lme4::lmer(Reaction ~ Days + (Days | Subject), data)
  reml <- as.data.frame(lme4::VarCorr(theirs))$vcov[c(1, 3, 2, 4)]
  own <- fit$diagnostics[1:4, ]
  expect_true(all(reml > own$q2.5 & reml < own$q97.5))
  expect_equal(unname(fit$beta), unname(lme4::fixef(theirs)), tolerance = 5e-3)
  # every draw is a covariance matrix
  v <- fit$draws
  expect_true(all(v[["Subject.(Intercept)"]] * v$Subject.Days >
                    v[["Subject.Days.(Intercept)"]]^2))
})

test_that("mouse CD8: chains agree, and the mean is near that of REML", {
  geno <- read_bed(system.file("extdata", "mouse.bed", package = "kinlmm"))
  pheno <- read.csv(system.file("extdata", "mouse_pheno.csv", package = "kinlmm"))
  K <- suppressMessages(grm(geno, method = "centered"))
  set.seed(1)
  fit <- vc_bayes(bayes_model(cd8 ~ 1 + (1 | id), pheno, list(id = K)))
  expect_lt(max(fit$diagnostics$rhat), 1.01)
  expect_gt(min(fit$diagnostics$ess_bulk), 1500)
  h <- heritability(lmmfit(cd8 ~ 1 + (1 | id), pheno, kinship = list(id = K)))
  own <- fit$diagnostics["share.id", ]
  expect_equal(own$mean, h$estimate, tolerance = 0.03)
  expect_equal(own$sd, h$se, tolerance = 0.15)
})

test_that("all mice: chains agree, and the posterior is about GEMMA's estimate", {
  skip_on_cran()
  prefix <- mouse_hs1940()
  pheno <- utils::read.table("/usr/share/doc/gemma/example/mouse_hs1940.pheno.txt.gz")
  geno <- read_bed(prefix)
  K <- suppressMessages(grm(geno, method = "centered"))
  set.seed(1)
  data <- data.frame(id = rownames(geno), cd8 = pheno$V1)
  fit <- vc_bayes(bayes_model(cd8 ~ 1 + (1 | id), data, list(id = K)))
  expect_identical(fit$n, 1410L)
  expect_lt(max(fit$diagnostics$rhat), 1.01)
  # pve 0.609672 (0.0327788), vg 1.47914, ve 0.340552; its matrix has 15 SNPs fewer
  own <- fit$diagnostics
  expect_equal(own["share.id", "mean"], 0.609672, tolerance = 0.005)
  expect_equal(own["share.id", "sd"], 0.0327788, tolerance = 0.05)
  expect_equal(own["id", "median"], 1.47914, tolerance = 0.02)
  expect_equal(own["Residual", "median"], 0.340552, tolerance = 0.01)
})

test_that("draws follow set.seed(), whatever the number of threads", {
  model <- bayes_model(y ~ x + (1 | g), mixed_example())
  run <- function(threads) {
    withr::local_options(kinlmm.threads = threads)
    set.seed(5)
    vc_bayes(model, bayes_control(iterations = 500))$draws
  }
  first <- run(1L)
  expect_identical(run(2L), first)
  expect_identical(run(3L), first)
  expect_false(identical(vc_bayes(model, bayes_control(iterations = 500))$draws, first))
})

test_that("a variance of zero leaves its posterior near zero", {
  withr::local_seed(6)
  d <- data.frame(g = factor(rep(1:20, each = 5)), y = rnorm(100))
  d$y <- d$y - ave(d$y, d$g) + mean(d$y)
  fit <- vc_bayes(bayes_model(y ~ 1 + (1 | g), d))
  own <- fit$diagnostics["share.g", ]
  expect_lt(own$q2.5, 1e-3)
  expect_lt(own$median, 0.03)
  expect_gt(own$q2.5, 0)
  expect_lt(own$rhat, 1.01)
})

test_that("missing values, ids without records and dependent columns change nothing", {
  withr::local_seed(7)
  K <- toy_kinship(30)
  d <- toy_pheno(K[1:25, 1:25])
  d$twice <- 2 * d$x
  d$y[[25]] <- NA
  short <- bayes_control(iterations = 500)
  run <- function(formula, data, K) {
    set.seed(8)
    vc_bayes(bayes_model(formula, data, list(id = K)), short)
  }
  clean <- run(y ~ x + (1 | id), d[1:24, ], K[1:24, 1:24])
  expect_message(
    other <- run(y ~ x + twice + (1 | id), d, K[30:1, 30:1]), "rank deficient"
  )
  expect_equal(other$draws, clean$draws, tolerance = 1e-6)
  expect_identical(clean$n, 24L)
})

test_that("a heritability near one is no trouble", {
  withr::local_seed(9)
  K <- toy_kinship(60)
  d <- toy_pheno(K, h2 = 1)
  fit <- vc_bayes(bayes_model(y ~ x + (1 | id), d, list(id = K)))
  # the posterior reaches from there to half of the variance: chains must cross it
  expect_gt(fit$diagnostics["share.id", "q97.5"], 0.999)
  expect_lt(fit$diagnostics["share.id", "q2.5"], 0.5)
  expect_gt(min(fit$diagnostics$ess_bulk), 1000)
  expect_lt(max(fit$diagnostics$rhat), 1.01)
})

test_that("what can't be sampled is refused by name", {
  d <- mixed_example()
  one <- transform(d, h = "a")
  expect_kinlmm_error(bayes_model(y ~ x + (1 | h), one), "group")
  K <- withr::with_seed(1, toy_kinship(12, prefix = ""))
  d$id <- as.character(d$i)
  expect_kinlmm_error(
    vc_bayes(bayes_model(y ~ x + kin(1 | id, K) + kin(1 | id, 2 * K), d)), "unidentified")
  expect_kinlmm_error(vc_bayes(bayes_model(cbind(y, x) ~ 1 + (1 | g), d)), "responses")
  model <- bayes_model(y ~ x + (1 | g), d)
  expect_kinlmm_error(vc_bayes(model, list(chains = 2)), "argument", "bayes_control()")
  expect_kinlmm_error(variance_components(y ~ x + (1 | g), d, "Bayes", chain = 3), "argument",
                      '"control"')
})

test_that("records that the effects explain exactly are refused", {
  d <- data.frame(g = gl(8, 1, 40), h = gl(5, 8), y = rep(1:8, 5))
  expect_kinlmm_error(vc_bayes(bayes_model(y ~ 1 + (1 | g), d)), "improper", "exactly")
  expect_kinlmm_error(vc_bayes(bayes_model(y ~ 1 + (1 | g) + (1 | h), d)), "improper")
  # as many effects as records leave none whatever the response
  K <- withr::with_seed(1, toy_kinship(20))
  model <- bayes_model(y ~ 1 + (1 | id), withr::with_seed(1, toy_pheno(K)), list(id = K))
  unit <- column_spread(model$random)
  engine <- choose_engine(model$frame, model$fixed, model$random, NULL)
  expect_silent(check_inexact(engine, model$random, unit, NULL))
})

test_that("factors may have the names of columns of the draws, or of the residuals", {
  d <- mixed_example()
  d$chain <- d$g
  d$Residual <- d$g
  short <- bayes_control(chains = 2, iterations = 100, warmup = 20)
  run <- function(formula) {
    set.seed(1)
    suppressWarnings(variance_components(formula, d, "Bayes", control = short))
  }
  fit <- run(y ~ x + (1 | chain))
  expect_equal(confint(fit), confint(run(y ~ x + (1 | g))), ignore_attr = TRUE)
  fit <- run(y ~ x + (1 | Residual))
  expect_identical(fit$components$component, c("Residual.1", "Residual"))
})

test_that("chains that are too short are said to be", {
  model <- bayes_model(y ~ x + (1 | g), mixed_example())
  set.seed(1)
  expect_warning(fit <- vc_bayes(model, bayes_control(iterations = 40, warmup = 20)),
                 class = "kinlmm_warning_sampling")
  expect_output(print(fit), "NOT CONVERGED|TOO FEW DRAWS")
})

test_that("means that do not exist are noted", {
  d <- data.frame(g = factor(rep(1:3, each = 5)), y = sin(1:15) + rep(c(0, 2, 4), each = 5))
  set.seed(1)
  model <- bayes_model(y ~ 1 + (1 | g), d)
  fit <- function(df) suppressWarnings(vc_bayes(model, bayes_control(prior_half_t(df, 1))))
  expect_match(fit(1)$notes, "no posterior standard deviation")
  expect_match(suppressWarnings(
    vc_bayes(model, bayes_control(list(g = prior_flat()))))$notes, "no posterior mean")
  expect_length(fit(3)$notes, 0L)
  # three levels about zero tell more than about their mean
  model <- bayes_model(y ~ 0 + (1 | g), d)
  expect_length(fit(2)$notes, 0L)
})

test_that("results are printed, summarised, plotted", {
  set.seed(1)
  fit <- vc_bayes(bayes_model(distance ~ age + (1 | Subject), nlme::Orthodont))
  expect_s3_class(fit, "variance_components")
  expect_identical(names(fit$components), c("component", "variance", "se", "bound"))
  expect_identical(fit$components$component, c("Subject", "Residual"))
  expect_equal(dim(fit$beta_vcov), c(2L, 2L))
  expect_named(fit$draws, c("chain", "iteration", "Subject", "Residual", "share.Subject",
                            "beta.(Intercept)", "beta.age"))
  text <- capture.output(print(fit))
  expect_true(any(grepl("half-t, 3 df, scale 2.5", text)))
  expect_true(any(grepl("Chains agree", text)))
  expect_lte(max(nchar(text)), 80)
  expect_output(print(summary(fit)[, c("mean", "sd")]), "share.Subject")
  expect_output(print(summary(fit)), "Fixed effects")
  expect_equal(confint(fit)["Residual", ], unlist(fit$diagnostics["Residual", 5:6]),
               ignore_attr = TRUE)
  expect_equal(dim(confint(fit, "beta.age", 0.5)), c(1L, 2L))
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  expect_identical(plot(fit), fit)
  expect_kinlmm_error(plot(fit, parameters = "nobody"), "argument", "parameters")
  expect_kinlmm_error(plot(fit, parameters = character()), "argument", "names none")
})

test_that("prints say whose relationship matrix it is, and the priors in a comparison", {
  K <- withr::with_seed(1, toy_kinship(20))
  d <- withr::with_seed(1, toy_pheno(K))
  settings <- list(Bayes = list(control = bayes_control(chains = 1, iterations = 50)))
  set.seed(1)
  both <- suppressWarnings(compare_components(y ~ 1 + kin(1 | id, K), d, c("REML", "Bayes"),
                                              settings = settings))
  expect_output(print(both$results$Bayes), "Relationship matrix of id: K")
  expect_output(print(both), "Priors: id: half-t, 3 df")
  expect_lte(max(nchar(capture.output(print(both)))), 80)
})

test_that("draws are those of the package posterior", {
  skip_if_not_installed("posterior")
  set.seed(1)
  fit <- vc_bayes(bayes_model(distance ~ age + (1 | Subject), nlme::Orthodont),
                  bayes_control(iterations = 300))
  draws <- posterior::as_draws(fit)
  expect_identical(posterior::nchains(draws), 4L)
  expect_identical(posterior::niterations(draws), 300L)
  expect_equal(posterior::extract_variable_matrix(draws, "Subject")[, 2],
               fit$draws$Subject[fit$draws$chain == 2], ignore_attr = TRUE)
  expect_equal(dim(posterior::as_draws_array(fit)), c(300L, 4L, 5L))
  summary <- posterior::summarise_draws(fit)
  expect_equal(as.numeric(summary$rhat), fit$diagnostics$rhat)
})
