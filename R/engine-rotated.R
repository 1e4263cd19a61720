# One kernel: everything in the eigenbasis of K among the individuals with records.

# Records are reduced to individuals (core/rotated.h): with N_j the summed weights of
# individual j, the kernel is N^1/2 K N^1/2 and `within` holds what records of one
# individual differ by.
engine_rotated <- function(work, term, call) {
  ids <- levels(term$factor)
  counts <- tabulate(as.integer(term$factor), length(ids))
  scale <- sqrt(as.vector(rowsum(work$root^2, as.integer(term$factor))))
  spectrum <- kernel_spectrum(term$kernel[ids, ids], scale, term$group, call)
  if (all(counts == 1L)) check_not_identity(spectrum$d, term$group, call)
  Xy <- cbind(work$Q, work$r)
  sums <- rowsum(Xy * work$root, as.integer(term$factor)) / scale
  within <- if (all(counts == 1L)) matrix(0, ncol(Xy), ncol(Xy)) else
    crossprod(Xy) - crossprod(sums)
  intercept <- if (work$intercept) drop(crossprod(spectrum$U, scale)) / sqrt(sum(scale^2))
  # what the intercept explains of the kernel is not variance
  origin <- if (work$intercept) sum(spectrum$d * intercept^2) else 0
  data <- list(d = spectrum$d, Xy = crossprod(spectrum$U, sums), within = within,
               n = work$n, intercept = intercept,
               unit = (sum(spectrum$d) - origin) / length(spectrum$d))
  reason <- "one kernel, one variance ratio: eigendecomposition of the kernel"
  new_engine("rotated", reason, data, work, U = spectrum$U, scale = scale, levels = ids)
}

# Eigenvalues and eigenvectors of S K S, S = diag(scale); K must be positive
# semi-definite up to rounding, and tiny eigenvalues of either sign are zero.
kernel_spectrum <- function(K, scale, group, call) {
  spectrum <- check_core(cpp_symmetric_eigen(unname(K) * tcrossprod(scale)), call = call)
  d <- spectrum$d
  largest <- max(d, 0)
  negative <- d < -1e-8 * largest
  if (largest == 0 || any(negative)) {
    abort_kinship_psd(min(d), largest, sum(negative), group, call)
  }
  d[d < 1e-10 * largest] <- 0
  list(d = d, U = spectrum$U)
}

# With one record per individual, a multiple of the identity is the residual again.
check_not_identity <- function(d, group, call) {
  if (max(d) - min(d) <= 1e-8 * max(d)) abort_kinship_identity(group, call)
}

#' @exportS3Method
engine_moments.engine_rotated <- function(engine, theta) {
  check_core(cpp_rotated_evaluate(engine$data, theta^2, FALSE, FALSE))[c("logdet", "S")]
}

#' @exportS3Method
engine_optimise.engine_rotated <- function(engine, REML, control, start = NULL) {
  fit <- check_core(cpp_rotated_optimise(engine$data, REML, FALSE))
  theta <- sqrt(fit$tau)
  list(theta = theta, converged = TRUE, singular = fit$bound < 0,
       gradient = 2 * theta * fit$first,
       hessian = matrix(2 * fit$first + 4 * fit$tau * fit$second),
       iterations = fit$iterations, evaluations = fit$evaluations, starts = fit$minima,
       bound = c("zero", "none", "upper")[[fit$bound + 2L]])
}

# With k_a the covariances of id a with the individuals of the data,
#   u_a = tau k_a' Z'Py,  PEV_a = sigma2 tau (K_aa - tau k_a' Z'PZ k_a),
# and the variance given beta has H^-1 for P.

#' @exportS3Method
engine_modes.engine_rotated <- function(engine, theta, kernel) {
  at <- rotated_at(engine, theta)
  residual <- at$y - drop(at$X %*% (at$Q %*% at$Xy))
  v <- engine$scale * drop(engine$U %*% (at$w * residual))
  stats::setNames(theta^2 * drop(kernel[, engine$levels, drop = FALSE] %*% v),
                  rownames(kernel))
}

#' @exportS3Method
engine_variances.engine_rotated <- function(engine, theta, sigma, kernel) {
  at <- rotated_at(engine, theta)
  tau <- theta^2
  loadings <- sweep(kernel[, engine$levels, drop = FALSE], 2L, engine$scale, "*") %*% engine$U
  through <- loadings %*% (at$w * at$X)
  conditional <- tau * (diag(kernel) - tau * drop(loadings^2 %*% at$w))
  prediction <- conditional + tau^2 * rowSums((through %*% at$Q) * through)
  lapply(list(conditional = conditional, prediction = prediction), function(variance) {
    stats::setNames(sigma^2 * variance, rownames(kernel))
  })
}

# X, y and the weights in the eigenbasis, Q = (X'H^-1 X)^-1 and Xy = X'H^-1 y.
rotated_at <- function(engine, theta) {
  data <- engine$data
  inner <- seq_len(engine$work$p)
  S <- engine_moments(engine, theta)$S
  list(X = data$Xy[, inner, drop = FALSE], y = data$Xy[, length(inner) + 1L],
       w = 1 / (theta^2 * data$d + 1), Xy = S[inner, length(inner) + 1L],
       Q = if (length(inner) > 0L) chol2inv(chol(S[inner, inner])) else matrix(0, 0, 0))
}

# What gwas() needs of the fit: see core/scan.h. Its ML ratio is that of the centred
# kernel when the model has an intercept, as a scan is to be free of the origin of K.
null_model <- function(fit) {
  engine <- fit$engine
  p <- engine$work$p
  data <- engine$data
  optimum <- function(REML) check_core(cpp_rotated_optimise(data, REML, !REML))$tau
  list(ids = engine$levels, U = engine$U, d = data$d, scale = engine$scale,
       X = data$Xy[, seq_len(p), drop = FALSE], y = data$Xy[, p + 1L],
       within = data$within, n = data$n, p = p, intercept = data$intercept,
       lambda_max = 1e5 / data$unit,
       lambda_reml = optimum(TRUE), lambda_ml = optimum(FALSE))
}
