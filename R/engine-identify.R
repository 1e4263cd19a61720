# Whether the data tell the components of the covariance from one another and from the
# residual variance: where P G_c P and P H P = P (see engine.R) are linearly independent,
# P = H^-1 - H^-1 X (X'H^-1 X)^-1 X'H^-1. That does not depend on theta.

# Of a blocked engine that C++ found doubtful: at theta where every effect has a variance
# of 1 in its units, so that X and large levels take no digits.
check_components <- function(engine, random, call) {
  diagonal <- pack_identities(engine$sizes)
  at <- check_core(cpp_blocked_moments(engine$data, diagonal, 2L))
  M <- residual_products(at, engine$work)
  last <- ncol(M)
  owner <- rep(seq_along(random), engine$sizes * (engine$sizes + 1L) / 2L)
  lost <- diag(M)[-last] <= 1e-9 * diag(at$traces)
  if (any(lost)) abort_unidentified(random[unique(owner[lost])], call)
  null <- null_space(M)
  if (ncol(null) == 0L) return(invisible())
  # P H P is the sum of the residuals and of every effect
  null[-last, ] <- null[-last, ] + outer(diagonal, null[last, ])
  share <- sqrt(rowSums(null[-last, , drop = FALSE]^2) * diag(M)[-last])
  abort_unidentified(random[unique(owner[share > 0.1 * max(share)])], call)
}

# tr(P G_c P G_d), and in the last row and column those with H.
residual_products <- function(at, work) {
  count <- length(at$trace)
  inner <- seq_len(work$p)
  Q <- basis_unscaled(at$S)
  QW <- lapply(seq_len(count), function(c) Q %*% at$W[inner, inner, c])
  M <- matrix(work$n - work$p, count + 1L, count + 1L)
  for (c in seq_len(count)) {
    M[c, count + 1L] <- M[count + 1L, c] <- at$trace[[c]] - sum(diag(QW[[c]]))
    for (d in seq_len(count)) {
      M[c, d] <- at$traces[c, d] - 2 * sum(Q * at$WW[inner, inner, c, d]) +
        sum(QW[[c]] * t(QW[[d]]))
    }
  }
  M
}

# Combinations of the columns of a positive semi-definite matrix that are zero.
null_space <- function(M) {
  unit <- 1 / sqrt(diag(M))
  spectrum <- eigen(M * tcrossprod(unit), symmetric = TRUE)
  unit * spectrum$vectors[, spectrum$values < 1e-9, drop = FALSE]
}
