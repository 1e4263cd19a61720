# How it is computed. Every engine is a list of class c("engine_<name>", "engine") with
#   name, reason   which engine, and why it was chosen
#   data           what its C++ functions take: no evaluation needs the rows again
#   work           X = Q R and y = X beta + r, where Q and r are what the engine computes
#                  with: R, pivot, beta, names of the columns, logweights (the sum of the
#                  logarithms of the weights), n, p, and the intercept in the basis Q
#   contrasts      TRUE where n is that of the contrasts free of the intercept, see
#                  without_intercept(); else not there
# and answers
#   n_theta(engine)                         the length of theta
#   engine_moments(engine, theta, order)    list(logdet, S), see below; for an order of 1
#     and more also `trace` and `W`, of 2 also `traces` and `WW`
#   engine_optimise(engine, REML, control, start)  the convergence record, with theta;
#     `known`, if it is there, is what was computed there already: `moments`, and `effects`
#     for engine_modes()
#   engine_modes(engine, theta, random, known)  the random effects, by the labels of the
#     terms: levels x k, with a kernel all its ids
#   engine_variances(engine, theta, sigma, random)  their variances by block (see
#     random_blocks()): `conditional`, given beta, and `prediction`, of the prediction
#     error; k x k x levels. Not kept in the fit: they may cost as much as it did.
#   engine_row_variances(engine, theta, random, X, rows)  variances, without sigma2, of
#     x'beta_hat + z'u_hat as a prediction of x'beta + z'u. X: n x p, as the user gave it;
#     rows: by the labels of the terms that have a part in z, `level` (n) among the levels,
#     with a kernel among all its ids, NA for one that the fit does not know, and `Z` (n x
#     k). A level is the same in all i.i.d. terms of a factor. For the rows of the data,
#     weighted, these are the leverages.
#   engine_recombine(engine, M)             the engine of [Q r] M, M (p+1) x any
# Var(y) = sigma2 W^-1/2 H W^-1/2, logdet is log|H|, and S is [Q r]'H^-1[Q r]. H is linear
# in the components psi of the covariances of the effects: the elements on and below the
# diagonal of each Psi, in the order of theta. With G_c = dH/dpsi_c
#   trace   tr(H^-1 G_c)                          W   [Q r]'H^-1 G_c H^-1[Q r]
#   traces  tr(H^-1 G_c H^-1 G_d)                 WW  [Q r]'H^-1 G_c H^-1 G_d H^-1[Q r]
# where W is an array (p+1) x (p+1) x c and WW one of (p+1) x (p+1) x c x d.

n_theta <- function(engine) UseMethod("n_theta")
engine_moments <- function(engine, theta, order = 0L) UseMethod("engine_moments")
engine_optimise <- function(engine, REML, control, start = NULL) {
  UseMethod("engine_optimise")
}
engine_modes <- function(engine, theta, random, known = NULL) UseMethod("engine_modes")
engine_variances <- function(engine, theta, sigma, random) UseMethod("engine_variances")

engine_row_variances <- function(engine, theta, random, X, rows) {
  UseMethod("engine_row_variances")
}

engine_recombine <- function(engine, M) UseMethod("engine_recombine")

# From the structure of the terms to the engine.
choose_engine <- function(frame, fixed, random, call = rlang::caller_env()) {
  work <- engine_work(frame, fixed, call)
  kernels <- !vapply(random, function(term) is.null(term$kernel), logical(1))
  one <- length(random) == 1L
  if (!any(kernels)) {
    if (one && length(random[[1L]]$columns) == 1L) {
      return(check_identified(engine_scalar(work, random[[1L]]), random[[1L]], call))
    }
    return(engine_blocked(work, random, call))
  }
  if (any(has_sparse_kernel(random))) return(engine_sparse(work, random, call))
  if (one && identical(random[[1L]]$columns, "(Intercept)")) {
    return(check_identified(engine_rotated(work, random[[1L]], call), random[[1L]],
                            call))
  }
  engine_dense(work, random, call)
}

new_engine <- function(name, reason, data, work, family = NULL, ...) {
  kept <- work[c("R", "pivot", "beta", "names", "logweights", "n", "p", "intercept")]
  structure(list(name = name, reason = reason, data = data, work = kept, ...),
            class = c(paste0("engine_", c(name, family)), "engine"))
}

# beta, its covariance without sigma2, y'Py and log-determinants at theta, on the scale
# of X as the user gave it.
engine_fixed <- function(engine, theta, at = NULL) {
  work <- engine$work
  if (is.null(at)) at <- engine_moments(engine, theta)
  p <- work$p
  if (p == 0L) {
    return(list(beta = stats::setNames(numeric(), character()), unscaled = matrix(0, 0, 0),
                s = at$S[1, 1], logdet = at$logdet, logdet_x = 0))
  }
  inner <- seq_len(p)
  root <- tryCatch(chol(at$S[inner, inner, drop = FALSE]), error = function(e) NULL)
  # at absurd ratios rounding may leave nothing to decompose
  if (is.null(root)) return(list(s = Inf, logdet = Inf, logdet_x = Inf))
  half <- backsolve(root, at$S[inner, p + 1L], transpose = TRUE)
  back <- function(x) {
    out <- backsolve(work$R, x)
    out[order(work$pivot), , drop = FALSE]
  }
  beta <- work$beta + drop(back(matrix(backsolve(root, half))))
  factor <- back(backsolve(root, diag(p)))
  names <- work$names
  list(beta = stats::setNames(beta, names),
       unscaled = structure(tcrossprod(factor), dimnames = list(names, names)),
       s = at$S[p + 1L, p + 1L] - sum(half^2), logdet = at$logdet,
       logdet_x = 2 * sum(log(diag(root))) + 2 * sum(log(abs(diag(work$R)))))
}

# Rows of X in the basis Q.
basis_rows <- function(engine, X) {
  work <- engine$work
  if (work$p == 0L) return(matrix(0, nrow(X), 0L))
  t(backsolve(work$R, t(X[, work$pivot, drop = FALSE]), transpose = TRUE))
}

# Q = (X'H^-1 X)^-1 in the basis of the engine.
basis_unscaled <- function(S) {
  inner <- seq_len(ncol(S) - 1L)
  if (length(inner) == 0L) return(matrix(0, 0L, 0L))
  chol2inv(chol(S[inner, inner, drop = FALSE]))
}

# -2 log-likelihood (or the REML criterion) at theta, beta and sigma profiled.
engine_criterion <- function(engine, theta, REML, fixed = engine_fixed(engine, theta)) {
  dof <- engine$work$n - if (REML) engine$work$p else 0
  fixed$logdet + (if (REML) fixed$logdet_x else 0) - engine$work$logweights +
    dof * (1 + log(2 * pi * fixed$s / dof))
}
