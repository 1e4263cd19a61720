# Simulated records of n samples with m SNPs, k of which explain h2 of the variance.
spike_data <- function(n, m, k, h2, seed) {
  G <- random_genotypes(n, m, missing = 0.02, seed = seed)
  withr::with_seed(seed, {
    Z <- scale(G[, sample(m, k), drop = FALSE])
    Z[is.na(Z)] <- 0
    g <- drop(Z %*% rnorm(k))
    x <- rnorm(n)
    y <- 0.5 * x + g * sqrt(h2 / var(g)) + rnorm(n, sd = sqrt(1 - h2))
  })
  list(G = G, data = data.frame(y = y, x = x, row.names = rownames(G)))
}

# Genotypes as the model has them: n x m.
standardise <- function(G) {
  p <- colMeans(G, na.rm = TRUE) / 2
  Z <- sweep(G, 2, 2 * p)
  Z[is.na(Z)] <- 0
  sweep(Z, 2, sqrt(2 * p * (1 - p)), "/")
}

# Inclusion probabilities and mean effects over all 2^m configurations, with effects
# integrated out; REML integrates the fixed effects too.
enumerate <- function(y, X, Z, pi, sigma_g2, sigma_e2, beta = NULL) {
  m <- ncol(Z)
  if (is.null(beta)) {  # contrasts free of X
    A <- qr.Q(qr(X), complete = TRUE)[, -seq_len(ncol(X))]
    y <- crossprod(A, y)
    Z <- crossprod(A, Z)
  } else {
    y <- y - X %*% beta
  }
  slab <- sigma_g2 / (m * pi)
  log_weight <- numeric(2^m)
  include <- matrix(0, 2^m, m)
  mean <- matrix(0, 2^m, m)
  for (i in seq_len(2^m)) {
    on <- which(bitwAnd(i - 1L, 2L^(seq_len(m) - 1L)) > 0)
    V <- sigma_e2 * diag(length(y)) + slab * tcrossprod(Z[, on, drop = FALSE])
    root <- chol(V)
    Viy <- backsolve(root, backsolve(root, y, transpose = TRUE))
    log_weight[i] <- length(on) * log(pi) + (m - length(on)) * log1p(-pi) -
      sum(log(diag(root))) - sum(y * Viy) / 2
    include[i, on] <- 1
    mean[i, on] <- slab * crossprod(Z[, on, drop = FALSE], Viy)
  }
  weight <- exp(log_weight - max(log_weight))
  weight <- weight / sum(weight)
  list(pip = colSums(weight * include), effect = colSums(weight * mean),
       active = sum(weight * rowSums(include)))
}

# The E-step at given parameters.
e_step <- function(d, formula, at, REML, draws, seed = 1) {
  withr::local_seed(seed)
  geno <- as_genotypes(d$G)
  settings <- list(REML = REML, scale = "expected", chains = 2L)
  X <- model.matrix(formula, d$data)
  spec <- spike_model(list(fixed = list(X = X), frame = list(y = d$data$y, offset = 0)),
                      settings)
  cpp_spike_em(core_source(geno), spec, at, matrix(0, 0, 5), 0, 1, draws, 0.01,
               random_seed(), 1L, NULL)
}

test_that("the E-step's probabilities are those of all 4,096 configurations", {
  skip_on_cran()
  d <- spike_data(40, 12, 3, 0.5, 1)
  # two SNPs in high LD, so that exchanges matter
  d$G[, 5] <- d$G[, 4]
  d$G[1:2, 5] <- 2 - d$G[1:2, 5]
  Z <- standardise(d$G)
  X <- cbind(1, d$data$x)
  for (REML in c(TRUE, FALSE)) {
    beta <- c(0.2, 0.4)
    gamma <- if (REML) numeric() else drop(qr.R(qr(X)) %*% beta)
    at <- list(pi = 0.2, sigma_g2 = 0.6, sigma_e2 = 0.5, gamma = gamma)
    exact <- enumerate(d$data$y, X, Z, 0.2, 0.6, 0.5, if (!REML) beta)
    runs <- lapply(1:8, function(seed) e_step(d, ~ x, at, REML, 10000, seed))
    for (name in c("pip", "effect")) {
      value <- vapply(runs, `[[`, numeric(12), name)
      error <- apply(value, 1, sd) / sqrt(8)
      expect_lt(max(abs(rowMeans(value) - exact[[name]]) / (4.5 * error + 1e-4)), 1)
      expect_lt(max(error), 0.01)
    }
    expect_gt(diff(range(exact$pip)), 0.5)
    active <- vapply(runs, function(run) mean(run$draws[, 2]), 0)
    expect_lt(abs(mean(active) - exact$active), 4.5 * sd(active) / sqrt(8))
  }
})

test_that("with every SNP in the model MCEM finds the estimates of GREML", {
  skip_on_cran()
  d <- spike_data(300, 200, 200, 0.5, 2)
  d$data$id <- rownames(d$data)
  K <- structure(tcrossprod(standardise(d$G)) / 200,
                 dimnames = list(rownames(d$G), rownames(d$G)))
  for (REML in c(TRUE, FALSE)) {
    exact <- lmmfit(y ~ x + (1 | id), d$data, kinship = list(id = K), REML = REML)
    fit <- withr::with_seed(3, suppressWarnings(
      spike_slab(y ~ x, d$data, d$G, REML = REML, start = c(pi = 1, h2 = 0.2),
                 sweeps = 8000, tolerance = 2e-3, draws = 2000)))
    h2 <- heritability(exact)$raw
    expect_equal(fit$parameters["pi", "estimate"], 1)
    expect_lt(abs(fit$parameters["h2", "estimate"] - h2), 0.012)
    expect_lt(abs(fit$parameters["sigma_e2", "estimate"] / exact$sigma^2 - 1), 0.03)
    expect_lt(max(abs(coef(fit) - fixef(exact)) / sqrt(diag(vcov(exact)))), 0.15)
    expect_lt(max(abs(sqrt(diag(vcov(fit)) / diag(as.matrix(vcov(exact)))) - 1)), 0.1)
    expect_lt(max(abs(predict(fit) - ranef(exact)$id[names(predict(fit)), 1])), 0.12)
    expect_lt(abs(fit$parameters["h2", "se"] / heritability(exact)$se - 1), 0.35)
  }
})
