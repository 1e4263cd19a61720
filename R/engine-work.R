# The model that every engine computes with: weighted, orthonormal and centred on the
# least-squares fit, so that nothing later depends on the scale of the covariates or on a
# large mean of the response. For what it holds see engine.R; Q, r and root, the square
# roots of the weights, are not kept with the fit.
engine_work <- function(frame, fixed, call) {
  weights <- stats::model.weights(frame$frame)
  root <- if (is.null(weights)) frame$weights else sqrt(weights)
  y <- frame$y - frame$offset
  fit <- least_squares(fixed$X, y, root)
  if (is_exact(matrix(fit$r), matrix(y * root))) abort_perfect_fit(call)
  c(fit, list(root = root, logweights = if (is.null(weights)) 0 else sum(log(weights)),
              n = nrow(fixed$X), p = ncol(fixed$X), names = colnames(fixed$X),
              intercept = intercept_in(fit, fixed, root)))
}

# Whether the residuals r of Y, by columns, are rounding: beside a large mean it is larger.
is_exact <- function(r, Y) {
  centred <- Y - rep(colMeans(Y), each = nrow(Y))
  colSums(r^2) <= pmax(1e-20 * colSums(centred^2), 1e-29 * colSums(Y^2))
}

# sqrt(W) X = Q R up to the order of columns `pivot`, coefficients beta, and what the fit
# leaves of sqrt(W) y. Householder's method where columns are close to dependence.
least_squares <- function(X, y, root) {
  fit <- check_core(cpp_least_squares(X, y, root))
  if (fit$reliable) {
    return(c(fit[c("Q", "r", "R", "beta")], list(pivot = seq_len(ncol(X)))))
  }
  decomposition <- qr(X * root, tol = 0)
  p <- ncol(X)
  y <- y * root
  list(Q = qr.Q(decomposition)[, seq_len(p), drop = FALSE], r = qr.resid(decomposition, y),
       R = qr.R(decomposition), beta = qr.coef(decomposition, y),
       pivot = decomposition$pivot[seq_len(p)])
}

# The intercept in the basis Q, NULL where it is not in its span.
intercept_in <- function(fit, fixed, root) {
  column <- match("(Intercept)", colnames(fixed$X)[fit$pivot])
  if (!is.na(column)) return(fit$R[, column])
  at <- drop(crossprod(fit$Q, root))
  if (sum((root - fit$Q %*% at)^2) <= 1e-14 * sum(root^2)) at
}
