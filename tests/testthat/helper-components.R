# The pieces of a model of variance components, n x n, by their definitions: rows multiplied
# by the roots of the weights, G (the residual's I last), r = M y and M.
dense_components <- function(fit) {
  root <- sqrt(fit$weights)
  X <- fit$fixed$X * root
  n <- length(root)
  M <- diag(n)
  if (ncol(X) > 0L) M <- M - X %*% solve(crossprod(X), t(X))
  G <- c(dense_covariance(fit, 0 * fit$theta)$G, list(diag(n)))
  y <- root * unname(fit$y - fit$offset)
  list(G = G, X = X, M = M, y = y, r = drop(M %*% y), n = n)
}

# P at V = sum phi_c G_c.
dense_p <- function(dense, phi) {
  Vi <- solve(Reduce(`+`, Map(`*`, dense$G, phi)))
  X <- dense$X
  Vi - Vi %*% X %*% solve(t(X) %*% Vi %*% X, t(X) %*% Vi)
}

# Estimates that equate forms y'A_a y to what they expect, and their covariance matrix for
# normal data at these estimates.
dense_moment_fit <- function(dense, A, phi = NULL) {
  E <- t(vapply(A, function(A) vapply(dense$G, function(G) sum(A * G), 0),
                numeric(length(dense$G))))
  q <- vapply(A, function(A) drop(t(dense$y) %*% A %*% dense$y), 0)
  phi <- solve(E, q)
  V <- Reduce(`+`, Map(`*`, dense$G, phi))
  variance <- outer(seq_along(A), seq_along(A), Vectorize(function(a, b) {
    2 * sum((A[[a]] %*% V) * t(A[[b]] %*% V))
  }))
  list(phi = phi, vcov = solve(E, t(solve(E, variance))))
}

# On the span of the columns of Z, beside nothing.
dense_projection <- function(Z) {
  Q <- svd(Z)
  U <- Q$u[, Q$d > 1e-8 * Q$d[[1L]], drop = FALSE]
  tcrossprod(U)
}

# Unbalanced two-way data with an interaction, a covariate and weights.
unbalanced_example <- function(n = 90) {
  withr::with_seed(7, {
    d <- data.frame(a = factor(sample(1:5, n, TRUE, c(1, 1, 2, 3, 4))),
                    b = factor(sample(1:8, n, TRUE)), x = stats::rnorm(n),
                    w = stats::runif(n, 0.5, 2))
    d$y <- 2 + d$x + stats::rnorm(5, sd = 2)[d$a] + stats::rnorm(8)[d$b] + stats::rnorm(n)
    d
  })
}

# Repeated records of related individuals.
repeated_example <- function() {
  withr::with_seed(3, {
    K <- toy_kinship(25)
    list(K = K, data = toy_pheno(K, sample(1:4, 25, TRUE), h2 = 0.6))
  })
}
