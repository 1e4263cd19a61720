# Whether the data tell the components of the covariance from one another and from the
# residual variance: where P G_c P and P H P = P (see engine.R) are linearly independent,
# P = H^-1 - H^-1 X (X'H^-1 X)^-1 X'H^-1. That does not depend on theta.

# Of a blocked engine that C++ found doubtful: at theta where every effect has a variance
# of 1 in its units, so that X and large levels take no digits. Covariances of columns that
# no level has both of are in no G_c, as in (0 + f | g) where f does not vary within g:
# they are not looked at, since the variances are told.
check_components <- function(engine, random, call) {
  pairs <- lapply(engine$sizes, lower_pairs)
  own <- unlist(lapply(pairs, function(at) at$row == at$col))
  owner <- rep(seq_along(random), lengths(lapply(pairs, `[[`, "row")))
  at <- check_core(cpp_blocked_moments(engine$data, as.numeric(own), 2L))
  M <- residual_products(at, engine$work)
  traces <- at$traces
  every <- as.numeric(own)
  absent <- absent_components(engine, traces, pairs)
  if (any(absent)) {
    J <- unit_components(engine)
    every <- solve(J, every)[!absent]
    J <- J[, !absent, drop = FALSE]
    traces <- crossprod(J, traces %*% J)
    J <- block_diagonal(list(J, 1))
    M <- crossprod(J, M %*% J)
    owner <- owner[!absent]
  }
  last <- ncol(M)
  lost <- diag(M)[-last] <= 1e-12 * diag(traces)
  if (any(lost)) abort_unidentified(random[unique(owner[lost])], call)
  null <- null_space(M)
  if (ncol(null) == 0L) return(invisible())
  # P H P is the sum of the residuals and of every effect
  null[-last, ] <- null[-last, ] + outer(every, null[last, ])
  share <- sqrt(rowSums(null[-last, , drop = FALSE]^2) * diag(M)[-last])
  abort_unidentified(random[unique(owner[share > 0.1 * max(share)])], call)
}

# Which components of the columns (not of their units) are in no G_c.
absent_components <- function(engine, traces, pairs) {
  J <- unit_components(engine)
  size <- colSums(J * (traces %*% J))
  before <- cumsum(c(0L, lengths(lapply(pairs, `[[`, "row"))))
  unlist(Map(function(at, before) {
    mine <- size[before + seq_along(at$row)]
    variance <- mine[at$row == at$col]
    at$row != at$col & mine <= 1e-14 * sqrt(variance[at$row] * variance[at$col])
  }, pairs, before[seq_along(pairs)]))
}

# tr(P G_c P G_d), and in the last row and column those with H.
residual_products <- function(at, work) {
  count <- length(at$trace)
  inner <- seq_len(work$p)
  Q <- if (work$p > 0L) chol2inv(chol(at$S[inner, inner])) else matrix(0, 0L, 0L)
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
  unit * spectrum$vectors[, spectrum$values < 1e-12, drop = FALSE]
}
