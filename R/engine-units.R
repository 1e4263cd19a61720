# Units of the columns of Z. An engine may compute with B of Z = B A, where A (k x k) is
# lower triangular and the columns of B are orthogonal: then neither scales nor covariates
# far from zero matter. The effects of B have the factor A T, which is linear in theta, and
# the components A Psi A'. engine$units holds A for every term.

# A for the columns of one term, which are independent.
term_units <- function(term, root) {
  if (is.null(term$Z)) return(matrix(sqrt(mean(root^2))))
  Z <- term_design(term) * root
  size <- sqrt(colMeans(Z^2))
  if (ncol(Z) == 1L) return(matrix(if (size > 0) size else 1))
  back <- rev(seq_len(ncol(Z)))
  gram <- crossprod(Z) / nrow(Z) / tcrossprod(size)
  R <- tryCatch(chol(gram[back, back]), error = function(e) {
    qr.R(qr((Z * rep(1 / size, each = nrow(Z)))[, back], tol = 0)) / sqrt(nrow(Z))
  })
  # that of the columns in reverse order, in reverse order, is lower triangular
  A <- R[back, back] * rep(size, each = ncol(Z))
  A * replace(sign(diag(A)), diag(A) == 0, 1)
}

# B, n x k, with the weights.
unit_design <- function(term, root, A) unit_columns(term_design(term) * root, A)

unit_columns <- function(Z, A) {
  if (ncol(Z) == 1L) Z / A[[1L]] else Z %*% forwardsolve(A, diag(ncol(A)))
}

unit_theta <- function(engine, theta) change_theta(engine, theta, `%*%`)
column_theta <- function(engine, theta) change_theta(engine, theta, forwardsolve)

change_theta <- function(engine, theta, through) {
  last <- 0L
  for (A in engine$units) {
    k <- ncol(A)
    at <- last + seq_len(k * (k + 1L) / 2L)
    last <- last + length(at)
    theta[at] <- if (k == 1L) through(A, theta[at]) else
      pack_lower(through(A, unpack_lower(theta[at])))
  }
  theta
}

# The convergence record of an optimum that C++ found in units. Where every other variance
# dwarfs that of the residuals the search ended on its way to a residual variance of zero.
unit_record <- function(engine, fit) {
  upper <- max(abs(fit$theta)) > if (fit$converged) 1e5 else 1e3
  list(theta = column_theta(engine, fit$theta), converged = fit$converged,
       singular = fit$singular, gradient = change_theta(engine, fit$gradient, crossprod),
       iterations = fit$iterations, evaluations = fit$evaluations, starts = fit$starts,
       bound = if (upper) "upper" else if (fit$singular) "zero" else "none")
}

# The components of the units are this matrix times those of the columns.
unit_components <- function(engine) {
  block_diagonal(lapply(engine$units, function(A) {
    at <- lower_pairs(ncol(A))
    columns <- Map(function(i, j) {
      D <- matrix(0, ncol(A), ncol(A))
      D[i, j] <- D[j, i] <- 1
      pack_lower(A %*% D %*% t(A))
    }, at$row, at$col)
    do.call(cbind, columns)
  }))
}

# Moments (see engine.R) in components psi from those in components J psi.
change_moments <- function(at, J) {
  if (is.null(at$trace)) return(at)
  width <- nrow(at$S)
  count <- ncol(J)
  at$trace <- drop(crossprod(J, at$trace))
  at$W <- array(matrix(at$W, width^2) %*% J, c(width, width, count))
  if (is.null(at$traces)) return(at)
  at$traces <- crossprod(J, at$traces %*% J)
  at$WW <- array(matrix(at$WW, width^2) %*% kronecker(J, J), c(width, width, count, count))
  at
}
