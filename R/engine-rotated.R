# One kernel: everything in the eigenbasis of K among the individuals with records.

# Records are reduced to individuals (core/rotated.h): with N_j the summed weights of
# individual j, the kernel is N^1/2 K N^1/2 and `within` holds what records of one
# individual differ by.
engine_rotated <- function(work, term, call) {
  ids <- levels(term$factor)
  counts <- tabulate(as.integer(term$factor), length(ids))
  scale <- sqrt(as.vector(rowsum(work$root^2, as.integer(term$factor))))
  spectrum <- kernel_spectrum(term$kernel[ids, ids], scale, term$group, call)
  Xy <- cbind(work$Q, work$r)
  sums <- rowsum(Xy * work$root, as.integer(term$factor)) / scale
  within <- if (all(counts == 1L)) matrix(0, ncol(Xy), ncol(Xy)) else
    crossprod(Xy) - crossprod(sums)
  intercept <- if (!is.null(work$intercept)) {
    drop(crossprod(spectrum$U, scale)) / sqrt(sum(scale^2))
  }
  # what the intercept explains of the kernel is not variance
  origin <- if (!is.null(intercept)) sum(spectrum$d * intercept^2) else 0
  data <- list(d = spectrum$d, Xy = crossprod(spectrum$U, sums), within = within,
               n = work$n, intercept = intercept,
               unit = (sum(spectrum$d) - origin) / length(spectrum$d), upper = 1e5)
  reason <- "one kernel, one variance ratio: eigendecomposition of the kernel"
  new_engine("rotated", reason, data, work, "ratio", U = spectrum$U, scale = scale,
             levels = ids)
}

# Eigenvalues and eigenvectors of S K S, S = diag(scale); K must be positive
# semi-definite up to rounding, and tiny eigenvalues of either sign are zero.
kernel_spectrum <- function(K, scale, group, call) {
  # two matrices of this size fewer, in the usual case
  if (any(scale != 1)) K <- K * tcrossprod(scale)
  spectrum <- check_core(cpp_symmetric_eigen(unname(K)), call = call)
  d <- spectrum$d
  largest <- max(d, 0)
  negative <- d < -1e-8 * largest
  if (largest == 0 || any(negative)) {
    abort_kinship_psd(min(d), largest, sum(negative), group, call)
  }
  d[d < 1e-10 * largest] <- 0
  list(d = d, U = spectrum$U)
}

# The same engine on the data free of the intercept: n - 1 contrasts, whose likelihood
# does not depend on the origin of K. That of all n records does, and for a centred K of
# full rank it is unbounded: the direction of the intercept then has variance sigma2_e and
# no data. The engine itself where the model has no intercept.
without_intercept <- function(engine) {
  if (is.null(engine$data$intercept)) return(engine)
  engine$contrasts <- TRUE
  engine$data$n <- engine$data$n - 1
  engine$work$n <- engine$work$n - 1
  engine
}

# With k_a the covariances of id a with the individuals of the data,
#   u_a = tau k_a' Z'Py,  PEV_a = sigma2 tau (K_aa - tau k_a' Z'PZ k_a),
# and the variance given beta has H^-1 for P.

#' @exportS3Method
engine_modes.engine_rotated <- function(engine, theta, random) {
  kernel <- random[[1L]]$kernel
  at <- ratio_at(engine, theta)
  v <- engine$scale * drop(engine$U %*% (at$w * at$residual))
  mode <- matrix(theta^2 * drop(kernel[, engine$levels, drop = FALSE] %*% v),
                 dimnames = list(rownames(kernel), random[[1L]]$columns))
  stats::setNames(list(mode), names(random))
}

#' @exportS3Method
engine_variances.engine_rotated <- function(engine, theta, sigma, random) {
  kernel <- random[[1L]]$kernel
  at <- ratio_at(engine, theta)
  tau <- theta^2
  loadings <- sweep(kernel[, engine$levels, drop = FALSE], 2L, engine$scale, "*") %*% engine$U
  through <- loadings %*% (at$w * at$X)
  conditional <- tau * (diag(kernel) - tau * drop(loadings^2 %*% at$w))
  prediction <- conditional + tau^2 * rowSums((through %*% at$Q) * through)
  variances <- lapply(list(conditional = conditional, prediction = prediction),
                      function(variance) array(sigma^2 * variance, c(1L, 1L, length(variance))))
  stats::setNames(list(variances), names(random))
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
       lambda_max = data$upper / data$unit,
       lambda_reml = optimum(TRUE), lambda_ml = optimum(FALSE))
}
