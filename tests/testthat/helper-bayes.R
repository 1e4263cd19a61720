# read_model() with labels, as variance_components() gives it to vc_bayes().
bayes_model <- function(formula, data, kinship = NULL, weights = NULL, offset = NULL) {
  call <- as.call(c(list(quote(f), formula = formula, data = quote(data)),
                    if (!is.null(weights)) list(weights = weights),
                    if (!is.null(offset)) list(offset = offset)))
  model <- read_model(formula, call, data, kinship, NULL, rlang::current_env())
  model$random <- label_terms(model$random)
  model
}

# Log posterior density of variances `v` (terms, then residual) up to a constant, n x n:
# flat beta, `log_prior` of the standard deviations. V: of the terms, at variance one.
dense_log_posterior <- function(v, y, X, V, W, log_prior) {
  H <- v[[length(v)]] * W
  for (t in seq_along(V)) H <- H + v[[t]] * V[[t]]
  root <- chol(H)
  Xs <- backsolve(root, X, transpose = TRUE)
  ys <- backsolve(root, y, transpose = TRUE)
  fit <- qr(Xs)
  -sum(log(diag(root))) - sum(log(abs(diag(qr.R(fit))))) - sum(qr.resid(fit, ys)^2) / 2 +
    log_prior(sqrt(pmax(v, 0)))
}

# Posterior means of the variances and of their share by quadrature: a grid of equal steps in
# the logarithms of standard deviations, ends far in the tails. `axes`: a vector of log
# standard deviations for each.
quadrature_means <- function(axes, log_density) {
  grid <- as.matrix(expand.grid(axes))
  # densities of logarithms
  value <- apply(grid, 1L, function(x) log_density(exp(2 * x)) + sum(x))
  weight <- exp(value - max(value))
  edge <- apply(grid, 1L, function(x) {
    any(mapply(function(one, axis) one %in% range(axis), x, axes))
  })
  stopifnot(max(weight[edge]) < 1e-3)
  weight <- weight / sum(weight)
  v <- exp(2 * grid)
  c(colSums(weight * v), colSums(weight * v / rowSums(v))[-ncol(v)])
}

log_half_t <- function(s, df, scale) stats::dt(s / scale, df, log = TRUE)
