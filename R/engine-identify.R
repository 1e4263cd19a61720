# Whether the data tell the components of the covariance from one another and from the
# residual variance: where P G_c P and P H P = P (see engine.R) are linearly independent,
# P = H^-1 - H^-1 X (X'H^-1 X)^-1 X'H^-1. That does not depend on theta.

# Of a blocked engine that C++ found doubtful: at theta where every effect has a variance
# of 1 in its units, so that X and large levels take no digits. Returns which components
# are covariances of effects that never meet: these have none to estimate, but variances.
check_components <- function(engine, random, call) {
  diagonal <- unlist(lapply(engine$sizes, function(k) pack_lower(diag(k))))
  at <- check_core(cpp_blocked_moments(engine$data, diagonal, 2L))
  M <- residual_products(at, engine$work)
  last <- ncol(M)
  owner <- rep(seq_along(random), engine$sizes * (engine$sizes + 1L) / 2L)
  apart <- unlist(lapply(random, never_meet), use.names = FALSE)
  lost <- diag(M)[-last] <= 1e-9 * diag(at$traces) & !apart
  if (any(lost)) abort_unidentified(random[unique(owner[lost])], call)
  null <- null_space(M[c(!apart, TRUE), c(!apart, TRUE)])
  if (ncol(null) > 0L) {
    # P H P is the sum of the residuals and of every effect
    effects <- -nrow(null)
    null[effects, ] <- null[effects, ] + outer(diagonal[!apart], null[nrow(null), ])
    share <- sqrt(rowSums(null[effects, , drop = FALSE]^2) * diag(M)[-last][!apart])
    abort_unidentified(random[unique(owner[!apart][share > 0.1 * max(share)])], call)
  }
  if (any(apart)) inform_apart(random[unique(owner[apart])])
  apart
}

# Pairs of columns of a term, packed, that no level has both of.
never_meet <- function(term) {
  there <- rowsum(abs(term_design(term)), as.integer(term$factor)) > 0
  meet <- crossprod(there) > 0
  !pack_lower(meet) & pack_lower(diag(ncol(there))) == 0
}

# theta with covariances of zero for components that are `apart`, where that is a covariance.
without_apart <- function(theta, apart, sizes) {
  unlist(Map(function(packed, apart) {
    if (!any(apart)) return(packed)
    psi <- unpack_lower(replace(pack_lower(tcrossprod(unpack_lower(packed))), apart, 0), TRUE)
    root <- tryCatch(t(chol(psi)), error = function(e) NULL)
    if (all(psi[lower.tri(psi)] == 0)) root <- diag(sqrt(diag(psi)), nrow(psi))
    if (is.null(root)) packed else pack_lower(root)
  }, split_packed(theta, sizes), split_packed(apart, sizes)), use.names = FALSE)
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
  unit * spectrum$vectors[, spectrum$values < 1e-9, drop = FALSE]
}
