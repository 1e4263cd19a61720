# One kernel: everything in a basis in which K among the individuals with records is
# tridiagonal; a scan needs its eigenvectors, which then take up from there.

# Records are reduced to individuals (core/rotated.h): with N_j the summed weights of
# individual j, the kernel is N^1/2 K N^1/2 and `within` holds what records of one
# individual differ by.
engine_rotated <- function(work, term, call) {
  ids <- levels(term$factor)
  counts <- tabulate(as.integer(term$factor), length(ids))
  scale <- sqrt(as.vector(rowsum(work$root^2, as.integer(term$factor))))
  basis <- given_basis(attr(term$kernel, "spectrum"), ids, scale)
  given <- !is.null(basis)
  if (!given) basis <- kernel_basis(term$kernel[ids, ids], scale, term$group, call)
  Xy <- cbind(work$Q, work$r)
  sums <- rowsum(Xy * work$root, as.integer(term$factor)) / scale
  within <- if (all(counts == 1L)) matrix(0, ncol(Xy), ncol(Xy)) else
    crossprod(Xy) - crossprod(sums)
  intercept <- if (!is.null(work$intercept)) {
    drop(to_basis(basis, matrix(scale / sqrt(sum(scale^2)))))
  }
  # what the intercept explains of the kernel is not variance
  origin <- if (!is.null(intercept)) quadratic(basis, intercept) else 0
  data <- list(d = basis$d, beside = basis$beside, Xy = to_basis(basis, sums),
               within = within, n = work$n, intercept = intercept,
               unit = (sum(basis$d) - origin) / length(basis$d), upper = 1e5)
  reason <- paste("one kernel, one variance ratio:",
                  if (given) "the spectrum of kin_eigen()" else
                    "tridiagonal form of the kernel")
  new_engine("rotated", reason, data, work, "ratio", basis = basis, scale = scale,
             levels = ids)
}

# The same engine for another response.
respond_rotated <- function(engine, work, term) {
  level <- as.integer(term$factor)
  Xy <- cbind(work$Q, work$r)
  sums <- rowsum(Xy * work$root, level) / engine$scale
  engine$data$Xy <- to_basis(engine$basis, sums)
  if (any(engine$data$within != 0)) engine$data$within <- crossprod(Xy) - crossprod(sums)
  engine
}

# T = Q'S K S Q, S = diag(scale), tridiagonal: `d` and `beside` its diagonals, `memo` where
# the spectrum is kept once it was needed. K must be positive semi-definite up to rounding;
# where more than rounding is to be forgiven T is the diagonal matrix of the eigenvalues.
kernel_basis <- function(K, scale, group, call) {
  # two matrices of this size fewer, in the usual case
  if (any(scale != 1)) K <- K * tcrossprod(scale)
  basis <- check_core(cpp_tridiagonalise(K), call = call)
  basis$memo <- new.env(parent = emptyenv())
  if (basis$largest > 0 && basis$negative == 0) return(basis)
  spectrum <- tridiagonal_spectrum(basis)
  d <- spectrum$d
  largest <- max(d, 0)
  negative <- d < -1e-8 * largest
  if (largest == 0 || any(negative)) {
    abort_kinship_psd(min(d), largest, sum(negative), group, call)
  }
  list(d = without_rounding(d), beside = numeric(), U = spectrum$U)
}

# The same of the spectrum that kin_eigen() found, where it is that of the levels `ids` with
# equal weights; else NULL.
given_basis <- function(spectrum, ids, scale) {
  if (length(ids) != length(spectrum$ids) || any(scale != scale[[1L]])) return(NULL)
  increasing <- rev(seq_along(ids))
  list(d = spectrum$values[increasing] * scale[[1L]]^2, beside = numeric(),
       U = spectrum$vectors[match(ids, spectrum$ids), increasing, drop = FALSE])
}

# Q'B and Q B.
to_basis <- function(basis, B) {
  if (!is.null(basis$U)) return(crossprod(basis$U, B))
  cpp_reflect(basis$reflectors, basis$scales, B, TRUE)
}

from_basis <- function(basis, B) {
  if (!is.null(basis$U)) return(basis$U %*% B)
  cpp_reflect(basis$reflectors, basis$scales, B, FALSE)
}

# c'Tc
quadratic <- function(basis, c) {
  m <- length(c)
  sum(basis$d * c^2) + 2 * sum(basis$beside * c[-m] * c[-1L])
}

tridiagonal_spectrum <- function(basis) {
  spectrum <- check_core(cpp_tridiagonal_eigen(basis$d, basis$beside))
  spectrum$U <- from_basis(basis, spectrum$U)
  spectrum
}

# Tiny eigenvalues of either sign are zero.
without_rounding <- function(d) replace(d, d < 1e-10 * max(d), 0)

# Eigenvalues d and eigenvectors U of S K S. Kept with the fit: each part of a scan needs
# them again.
basis_spectrum <- function(basis) {
  if (!is.null(basis$U)) return(basis[c("d", "U")])
  if (is.null(basis$memo$spectrum)) {
    spectrum <- tridiagonal_spectrum(basis)
    basis$memo$spectrum <- list(d = without_rounding(spectrum$d), U = spectrum$U)
  }
  basis$memo$spectrum
}

# The same engine on the data free of the intercept: n - 1 contrasts, whose likelihood
# does not depend on the origin of K. That of all n records does, and for a centred K of
# full rank it is unbounded: the direction of the intercept then has variance sigma2_e and
# no data. The engine itself where the model has no intercept.
without_intercept <- function(engine) {
  if (is.null(engine$data$intercept)) return(engine)
  engine$contrasts <- TRUE
  if (engine$name == "sparse") engine$data$contrasts <- TRUE
  engine$data$n <- engine$data$n - 1
  engine$work$n <- engine$work$n - 1
  engine
}

# With k_a the covariances of id a with the individuals of the data,
#   u_a = tau k_a' Z'Py,  PEV_a = sigma2 tau (K_aa - tau k_a' Z'PZ k_a),
# and the variance given beta has H^-1 for P.

#' @exportS3Method
engine_modes.engine_rotated <- function(engine, theta, random, known = NULL) {
  kernel <- random[[1L]]$kernel
  at <- ratio_at(engine, theta)
  through <- cpp_rotated_solve(engine$data, theta^2, matrix(at$residual))
  v <- engine$scale * drop(from_basis(engine$basis, through))
  mode <- matrix(theta^2 * drop(kernel[, engine$levels, drop = FALSE] %*% v),
                 dimnames = list(rownames(kernel), random[[1L]]$columns))
  stats::setNames(list(mode), names(random))
}

#' @exportS3Method
engine_variances.engine_rotated <- function(engine, theta, sigma, random) {
  kernel <- random[[1L]]$kernel
  own <- rotated_effects(engine, theta^2, kernel, seq_len(nrow(kernel)))
  prediction <- own$conditional + rowSums((own$through %*% own$Q) * own$through)
  variances <- lapply(list(conditional = own$conditional, prediction = prediction),
                      function(v) array(sigma^2 * v, c(1L, 1L, length(v))))
  stats::setNames(list(variances), names(random))
}

# Of some ids the variances given beta, and the covariances with H^-1 X.
rotated_effects <- function(engine, tau, kernel, ids) {
  at <- ratio_at(engine, sqrt(tau))
  HX <- cpp_rotated_solve(engine$data, tau, at$X)
  explained <- numeric(length(ids))
  through <- matrix(0, length(ids), ncol(at$X))
  for (some in split(seq_along(ids), (seq_along(ids) - 1L) %/% 1000L)) {
    k <- kernel[ids[some], engine$levels, drop = FALSE]
    loadings <- to_basis(engine$basis, engine$scale * t(k))
    explained[some] <- colSums(loadings * cpp_rotated_solve(engine$data, tau, loadings))
    through[some, ] <- crossprod(loadings, HX)
  }
  list(conditional = tau * (diag(kernel)[ids] - tau * explained), through = tau * through,
       Q = at$Q)
}

#' @exportS3Method
engine_row_variances.engine_rotated <- function(engine, theta, random, X, rows) {
  kernel <- random[[1L]]$kernel
  ids <- sort(unique(rows[[1L]]$level))
  own <- rotated_effects(engine, theta^2, kernel, ids)
  ratio_row_variances(own, theta^2 * unknown_scale(kernel), match(rows[[1L]]$level, ids),
                      rows[[1L]]$Z[, 1L], basis_rows(engine, X))
}

# The element of K for an id that is not in it: one like the others, and related to none.
unknown_scale <- function(kernel) if (is.null(kernel)) 1 else mean(diag(kernel))

# What gwas() needs of the fit: see core/scan.h. Its ML ratio is that of the centred
# kernel when the model has an intercept, as a scan is to be free of the origin of K.
null_model <- function(fit) {
  engine <- fit$engine
  p <- engine$work$p
  data <- engine$data
  spectrum <- basis_spectrum(engine$basis)
  rotate <- function(B) crossprod(spectrum$U, from_basis(engine$basis, B))
  optimum <- function(REML) check_core(cpp_rotated_optimise(data, REML, !REML))$tau
  Xy <- rotate(data$Xy)
  list(ids = engine$levels, U = spectrum$U, d = spectrum$d,
       X = Xy[, seq_len(p), drop = FALSE], y = Xy[, p + 1L], scale = engine$scale,
       within = data$within, n = data$n, p = p,
       intercept = if (!is.null(data$intercept)) drop(rotate(matrix(data$intercept))),
       lambda_max = data$upper / data$unit,
       lambda_reml = optimum(TRUE), lambda_ml = optimum(FALSE))
}
