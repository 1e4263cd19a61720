# What the engines with one variance ratio share: i.i.d. effects of one column, and one
# kernel (core/rotated.h).

#' @exportS3Method
n_theta.engine_ratio <- function(engine) 1L

#' @exportS3Method
engine_moments.engine_ratio <- function(engine, theta, order = 0L) {
  at <- check_core(cpp_rotated_evaluate(engine$data, theta^2, FALSE,
                                        isTRUE(engine$contrasts)))
  if (order == 0L) return(at[c("logdet", "S")])
  width <- ncol(at$S)
  # derivatives in tau, the only component
  list(logdet = at$logdet, S = at$S, trace = at$logdet1, W = array(-at$S1, c(width, width, 1)),
       traces = matrix(-at$logdet2), WW = array(at$S2 / 2, c(width, width, 1, 1)))
}

#' @exportS3Method
engine_optimise.engine_ratio <- function(engine, REML, control, start = NULL) {
  fit <- check_core(cpp_rotated_optimise(engine$data, REML, isTRUE(engine$contrasts)))
  theta <- sqrt(fit$tau)
  list(theta = theta, converged = TRUE, singular = fit$bound < 0,
       gradient = 2 * theta * fit$first,
       hessian = matrix(2 * fit$first + 4 * fit$tau * fit$second),
       iterations = fit$iterations, evaluations = fit$evaluations, starts = fit$minima,
       bound = c("zero", "none", "upper")[[fit$bound + 2L]])
}

#' @exportS3Method
engine_recombine.engine_ratio <- function(engine, M) {
  engine$data$Xy <- engine$data$Xy %*% M
  engine$data$within <- crossprod(M, engine$data$within %*% M)
  engine
}

# X, y - X beta and the weights in the basis, and Q = (X'H^-1 X)^-1.
ratio_at <- function(engine, theta) {
  data <- engine$data
  inner <- seq_len(engine$work$p)
  S <- engine_moments(engine, theta)$S
  X <- data$Xy[, inner, drop = FALSE]
  Q <- basis_unscaled(S)
  beta <- Q %*% S[inner, length(inner) + 1L]
  list(X = X, residual = data$Xy[, length(inner) + 1L] - drop(X %*% beta),
       w = 1 / (theta^2 * data$d + 1), Q = Q)
}

# Of effects with the variances `own$conditional` and the covariances `own$through` with
# H^-1 X; `level` NA has the variance `prior`. X in the basis.
ratio_row_variances <- function(own, prior, level, z, X) {
  known <- which(!is.na(level))
  level <- level[known]
  variance <- rep(prior, length(z))
  variance[known] <- own$conditional[level]
  X[known, ] <- X[known, , drop = FALSE] - z[known] * own$through[level, , drop = FALSE]
  z^2 * variance + rowSums((X %*% own$Q) * X)
}

# A REML criterion that does not depend on the ratio can't tell it: the effects, beside
# the fixed ones, look like residuals.
check_identified <- function(engine, term, call) {
  values <- vapply(c(0, 0.1, 1, 10) / engine$data$unit, function(tau) {
    check_core(cpp_rotated_evaluate(engine$data, tau, TRUE, FALSE))$objective
  }, numeric(1))
  if (diff(range(values)) <= 1e-9 * max(1, abs(values))) {
    abort_unidentified(list(term), call)
  }
  engine
}
