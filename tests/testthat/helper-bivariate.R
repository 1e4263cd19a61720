# Two traits of full sibs: families of four, K of rank n, Y from the model with these
# covariances.
two_traits <- function(n = 80L, G = matrix(c(1, 0.4, 0.4, 0.8), 2),
                       R = matrix(c(0.6, -0.2, -0.2, 0.5), 2), seed = 1) {
  withr::local_seed(seed)
  ids <- sprintf("i%03d", seq_len(n))
  K <- kronecker(diag(ceiling(n / 4)), matrix(0.5, 4, 4) + diag(0.5, 4))[seq_len(n), seq_len(n)]
  dimnames(K) <- list(ids, ids)
  root <- function(V) {
    e <- eigen(V, symmetric = TRUE)
    e$vectors %*% (sqrt(pmax(e$values, 0)) * t(e$vectors))
  }
  normal <- function() matrix(stats::rnorm(2 * n), n)
  Y <- t(chol(K)) %*% normal() %*% root(G) + normal() %*% root(R)
  x <- stats::rnorm(n)
  list(K = K, data = data.frame(id = ids, a = 3 + 2 * x + Y[, 1], b = Y[, 2] - x, x = x,
                                w = stats::runif(n, 0.5, 2)))
}

# Takes the first trait from `a` and the second from `b`.
without_traits <- function(data, a, b) {
  data$a[a] <- NA
  data$b[b] <- NA
  data
}

# The model of a fit by its definition, of the values observed: V, X, y and, by term, C,
# the covariances of the effects of all ids (first those on trait 1) with y.
dense_pair <- function(fit, covariances = fit$covariances) {
  at <- which(fit$observed)
  n <- nrow(fit$Y)
  X <- lapply(fit$parts, function(part) fit$fixed$X[, part$kept, drop = FALSE])
  X <- block_diagonal(X)[at, , drop = FALSE]
  V <- kronecker(covariances$Residual, diag(1 / fit$weights))[at, at]
  C <- prior <- list()
  for (label in names(fit$random)) {
    term <- fit$random[[label]]
    K <- term$kernel
    if (is.null(K)) K <- diag(nlevels(term$factor))
    if (is.null(term$kernel)) dimnames(K) <- rep(list(levels(term$factor)), 2)
    levels <- as.character(term$factor)
    V <- V + kronecker(covariances[[label]], K[levels, levels])[at, at]
    C[[label]] <- kronecker(covariances[[label]], K[, levels])[, at]
    prior[[label]] <- kronecker(covariances[[label]], K)
  }
  list(V = V, X = X, y = fit$Y[at], C = C, prior = prior)
}

dense_pair_criterion <- function(fit, covariances = fit$covariances) {
  at <- dense_pair(fit, covariances)
  logdet <- function(A) as.numeric(determinant(A)$modulus)
  Vi <- solve(at$V)
  XVX <- t(at$X) %*% Vi %*% at$X
  r <- at$y - at$X %*% solve(XVX, t(at$X) %*% Vi %*% at$y)
  dof <- length(at$y) - if (fit$REML) ncol(at$X) else 0
  logdet(at$V) + (if (fit$REML) logdet(XVX) else 0) + sum(r * (Vi %*% r)) +
    dof * log(2 * pi)
}
