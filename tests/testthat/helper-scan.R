# Fits for scans, and dense references in plain R.

# y on the covariates in X, beside an intercept, of records of these ids.
scan_fit <- function(y, K, X = NULL, id = rownames(K), w = rep(1, length(y))) {
  data <- data.frame(y = y, id = id, w = w)
  data$X <- X
  fixed <- if (is.null(X)) y ~ 1 + (1 | id) else y ~ X + (1 | id)
  lmmfit(fixed, data, kinship = list(id = K), weights = w)
}

# Global minimum over lambda, 0 included.
reference_optimum <- function(f, from = 1e-6, to = 1e6) {
  grid <- seq(log(from), log(to), length.out = 80)
  value <- vapply(exp(grid), f, 0)
  best <- which.min(value)
  near <- grid[pmin(pmax(best + c(-1L, 1L), 1L), length(grid))]
  inside <- stats::optimize(function(t) f(exp(t)), near, tol = 1e-9)
  if (f(0) <= inside$objective) 0 else exp(inside$minimum)
}

# One marker in the model of the records, without any rotation: x is per id.
dense_test <- function(y, X, K, Z, w, x) {
  n <- length(y)
  G <- Z %*% K %*% t(Z)
  at <- function(lambda, M) {
    root <- chol(diag(1 / w) + lambda * G)
    half <- function(v) backsolve(root, v, transpose = TRUE)
    rest <- qr(half(M))
    rss <- sum(qr.resid(rest, half(y))^2)
    log_h <- 2 * sum(log(diag(root)))
    list(
      reml = log_h + 2 * sum(log(abs(diag(qr.R(rest))))) + (n - ncol(M)) * log(rss),
      ml = log_h + log(sum(half(rep(1, n))^2)) + n * log(rss),
      beta = qr.coef(rest, half(y)), rss = rss, unit = chol2inv(qr.R(rest))
    )
  }
  full <- cbind(X, Z %*% x)
  k <- ncol(full)
  lambda <- reference_optimum(function(l) at(l, full)$reml)
  lambda_ml <- reference_optimum(function(l) at(l, full)$ml)
  null_ml <- reference_optimum(function(l) at(l, X)$ml)
  best <- at(lambda, full)
  se <- sqrt(best$rss / (n - k) * best$unit[k, k])
  lrt <- at(null_ml, X)$ml - at(lambda_ml, full)$ml
  share <- 1 - at(null_ml, full)$rss / at(null_ml, X)$rss
  c(beta = best$beta[[k]], se = se, lambda = lambda, lambda_ml = lambda_ml,
    p_wald = stats::pf((best$beta[[k]] / se)^2, 1, n - k, lower.tail = FALSE),
    p_lrt = stats::pchisq(lrt, 1, lower.tail = FALSE),
    p_score = stats::pf(n * share, 1, n - k, lower.tail = FALSE))
}

# Genotypes of q ids, a kinship from other markers, and a heritable trait.
simulate_scan <- function(q = 60, m = 12, seed = 1, missing = 0.01) {
  G <- random_genotypes(q, m, missing, seed)
  withr::with_seed(seed + 1, {
    W <- scale(matrix(stats::rbinom(q * 80, 2, 0.4), q))
    K <- tcrossprod(W) / ncol(W)
    g <- drop(t(chol(K + diag(1e-8, q))) %*% stats::rnorm(q))
    y <- 2 + g + stats::rnorm(q)
  })
  dimnames(K) <- list(rownames(G), rownames(G))
  list(G = G, K = K, y = y)
}

simulated_gwas <- function(data = simulate_scan(), geno = data$G, ...) {
  gwas(scan_fit(data$y, data$K), geno, ...)
}
