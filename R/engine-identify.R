# Whether the data tell the components of the covariance from one another and from the
# residual variance: where P G_c P and P H P = P (see engine.R) are linearly independent,
# P = H^-1 - H^-1 X (X'H^-1 X)^-1 X'H^-1. That does not depend on theta.

# Of a blocked engine that C++ found doubtful: at theta where every effect has a variance
# of 1 in its units, so that X and large levels take no digits. Returns which components
# are covariances of effects that never meet: these have none to estimate, but variances.
check_components <- function(engine, random, call) {
  every <- pack_identities(engine$sizes)
  at <- check_core(cpp_blocked_moments(engine$data, every, 2L))
  M <- residual_products(at, engine$work)
  traces <- at$traces
  owner <- rep(seq_along(random), engine$sizes * (engine$sizes + 1L) / 2L)
  apart <- unlist(lapply(random, never_meet), use.names = FALSE)
  if (any(apart)) {
    # components of the columns: those of their units mix them
    J <- unit_components(engine)
    every <- solve(J, every)[!apart]
    J <- J[, !apart, drop = FALSE]
    traces <- crossprod(J, traces %*% J)
    J <- block_diagonal(list(J, 1))
    M <- crossprod(J, M %*% J)
  }
  refuse_dependent(M, traces, every, random, owner[!apart], call)
  if (any(apart)) inform_apart(random[unique(owner[apart])])
  apart
}

# every: what H has of each component; owner: the terms they belong to.
refuse_dependent <- function(M, traces, every, random, owner, call) {
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
  unit * spectrum$vectors[, spectrum$values < 1e-12, drop = FALSE]
}
