# Null models in plain R until lmmfit() is there to make them, and dense references.

# n records of q ids: Z is n x q, w the weights. See null_model() for the list.
reference_null <- function(y, X, K, Z = diag(length(y)), w = rep(1, length(y))) {
  scale <- sqrt(colSums(Z * w))
  eig <- eigen(K * tcrossprod(scale), symmetric = TRUE)
  project <- function(M) unname(crossprod(eig$vectors, crossprod(Z, w * M) / scale))
  null <- list(
    ids = rownames(K), U = unname(eig$vectors), d = pmax(eig$values, 0), scale = scale,
    X = project(X), y = drop(project(y)), n = length(y), p = ncol(X),
    intercept = drop(crossprod(eig$vectors, scale / sqrt(sum(scale^2))))
  )
  all <- cbind(null$X, null$y)
  null$within <- unname(crossprod(cbind(X, y) * sqrt(w)) - crossprod(all))
  if (length(y) == length(null$d)) null$within[] <- 0
  null$lambda_reml <- reference_optimum(function(l) reference_criterion(null, l, TRUE))
  null$lambda_ml <- reference_optimum(function(l) reference_criterion(null, l, FALSE))
  null
}

reference_fit <- function(...) {
  structure(list(null = reference_null(...)), class = "lmmfit")
}

# -2 log-likelihood of the null, but for constants.
reference_criterion <- function(null, lambda, reml) {
  h <- lambda * null$d + 1
  S <- crossprod(cbind(null$X, null$y) / sqrt(h)) + null$within
  x <- seq_len(null$p)
  root <- chol(S)
  log_y <- 2 * log(root[null$p + 1L, null$p + 1L])
  if (!reml) return(sum(log(h)) + log(sum(null$intercept^2 / h)) + null$n * log_y)
  sum(log(h)) + 2 * sum(log(diag(root)[x])) + (null$n - null$p) * log_y
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
  gwas(reference_fit(data$y, cbind(rep(1, length(data$y))), data$K), geno, ...)
}
