# Random terms of any structure, at least one of them with a kernel: C++ on dense matrices
# of the order of what the random effects span (core/dense.h).
#
# The columns of each term have units (see engine-units.R) in which a component of 1 is a
# variance like that of the residuals. A loading is a term in these units and in the basis
# of the engine, m x q for each column: either `R`, a list of such matrices, or, where every
# row has but one level, `level` (m) and `z` (m x k).

engine_dense <- function(work, terms, call) {
  check_independent(terms, call)
  kernels <- lapply(terms, level_kernel, call = call)
  space <- random_space(work, terms)
  V <- Map(term_covariances, space$loadings, kernels)
  inner <- space$Xy[, seq_len(work$p), drop = FALSE]
  units <- Map(function(V, term) {
    column_units(V, inner, work$n - work$p, term, call)
  }, V, terms)
  V <- unlist(Map(rescale_covariances, V, units), recursive = FALSE)
  data <- list(V = V, Xy = space$Xy, within = space$within, n = work$n)
  new_engine("dense", dense_reason(terms, nrow(space$Xy)), data, work,
             units = Map(function(A, unit) unit * A, space$units, units),
             loadings = Map(rescale_loading, space$loadings, units),
             levels = lapply(terms, function(term) levels(term$factor)),
             start = moment_start(data, terms, call))
}

dense_reason <- function(terms, m) {
  kernels <- sum(!vapply(terms, function(term) is.null(term$kernel), logical(1)))
  others <- length(terms) - kernels
  paste0(n_of(kernels, "kernel term"),
         if (others > 0L) paste0(" beside ", n_of(others, "i.i.d. term")),
         ": dense matrices of order ", count(m))
}

# Several columns of one kernel, or of all i.i.d. effects of a factor, must be independent.
check_independent <- function(terms, call) {
  kernel <- !vapply(terms, function(term) is.null(term$kernel), logical(1))
  groups <- term_groups(terms)
  for (term in terms[kernel]) check_columns(list(term), call)
  for (group in unique(groups[!kernel])) check_columns(terms[!kernel & groups == group], call)
}

# K among the levels of a term, NULL for the identity.
level_kernel <- function(term, call) {
  if (is.null(term$kernel)) return(NULL)
  ids <- levels(term$factor)
  K <- unname(term$kernel[ids, ids])
  check_psd(K, term$group, call)
  K
}

# The Cholesky factor of K + 1e-8 of its largest eigenvalue exists where no eigenvalue is
# below that; the eigenvalues themselves are for the message.
check_psd <- function(K, group, call) {
  largest <- max(rowSums(abs(K)))
  shifted <- K
  diag(shifted) <- diag(K) + 0.9e-8 * norm_estimate(K)
  if (largest > 0 && !inherits(try(chol(shifted), silent = TRUE), "try-error")) {
    return(invisible())
  }
  d <- eigen(K, symmetric = TRUE, only.values = TRUE)$values
  negative <- d < -1e-8 * max(d, 0)
  if (max(d) <= 0 || any(negative)) {
    abort_kinship_psd(min(d), max(d, 0), sum(negative), group, call)
  }
}

# A lower bound of the largest eigenvalue, close to it, by the power method.
norm_estimate <- function(K) {
  x <- K[, which.max(diag(K))]
  for (step in 1:5) {
    x <- x / max(sqrt(sum(x^2)), .Machine$double.xmin)
    x <- drop(K %*% x)
  }
  sqrt(sum(x^2))
}

# The basis ----

# [Q r] and the loadings of the terms in a basis of all random effects, or on the records
# where these are fewer; `within` is the cross-product of [Q r] beside the basis.
random_space <- function(work, terms) {
  groups <- term_groups(terms)
  units <- lapply(terms, term_units, root = work$root)
  columns <- Map(function(term, A) unit_design(term, work$root, A), terms, units)
  Xy <- cbind(work$Q, work$r)
  joint <- lapply(unique(groups), function(group) {
    orthonormal_columns(do.call(cbind, columns[groups == group]))
  })
  levels <- lapply(terms[match(unique(groups), groups)], `[[`, "factor")
  wide <- sum(vapply(joint, ncol, 0L) * vapply(levels, nlevels, 0L))
  loading <- if (wide < nrow(Xy)) {
    space <- reduced_space(joint, levels, Xy)
    Map(function(columns, group) {
      recombine_loading(space$loadings[[match(group, unique(groups))]],
                        crossprod(joint[[match(group, unique(groups))]], columns))
    }, columns, groups)
  } else {
    space <- list(Xy = Xy, within = matrix(0, ncol(Xy), ncol(Xy)))
    Map(function(columns, term) list(level = as.integer(term$factor), z = columns),
        columns, terms)
  }
  list(Xy = space$Xy, within = space$within, loadings = loading, units = units)
}

orthonormal_columns <- function(B) {
  decomposition <- qr(B, tol = 1e-10)
  qr.Q(decomposition)[, seq_len(decomposition$rank), drop = FALSE]
}

# By the Cholesky factor R of the cross-products of all columns by level: a basis is
# Z R^-1, the loadings are the columns of R. All that is needed later is a function of the
# cross-products, so that squaring the condition of Z does no harm.
reduced_space <- function(joint, levels, Xy) {
  sizes <- vapply(levels, nlevels, 0L)
  widths <- vapply(joint, ncol, 0L)
  group <- rep(seq_along(joint), widths)
  column <- sequence(widths)
  first <- cumsum(c(0L, rep(sizes, widths)))
  Zy <- matrix(0, first[[length(first)]], ncol(Xy))
  gram <- matrix(0, nrow(Zy), nrow(Zy))
  part <- function(b) {
    list(z = joint[[group[[b]]]][, column[[b]]], level = as.integer(levels[[group[[b]]]]),
         size = sizes[[group[[b]]]])
  }
  for (b in seq_along(group)) {
    mine <- part(b)
    rows <- first[[b]] + seq_len(mine$size)
    Zy[rows, ] <- rowsum(Xy * mine$z, mine$level)
    for (d in seq_len(b)) {
      other <- part(d)
      cells <- rowsum(mine$z * other$z, mine$level + mine$size * (other$level - 1))
      at <- as.numeric(rownames(cells)) - 1
      at <- cbind(rows[at %% mine$size + 1], first[[d]] + at %/% mine$size + 1)
      gram[at] <- cells
      gram[at[, 2:1]] <- cells
    }
  }
  reduced <- cholesky_basis(gram, Zy)
  list(Xy = reduced$Xy, within = crossprod(Xy) - crossprod(reduced$Xy),
       loadings = lapply(seq_along(joint), function(g) {
         thin_loading(lapply(which(group == g), function(b) {
           reduced$R[, first[[b]] + seq_len(sizes[[g]]), drop = FALSE]
         }))
       }))
}

# R with R'R = gram, of full row rank, and R^-T Zy.
cholesky_basis <- function(gram, Zy) {
  unit <- sqrt(diag(gram))
  unit[unit == 0] <- 1
  gram <- gram / tcrossprod(unit)
  # the warning is that of a rank below the order, which is as good
  R <- suppressWarnings(chol(gram, pivot = TRUE, tol = .Machine$double.eps))
  pivot <- attr(R, "pivot")
  kept <- seq_len(attr(R, "rank"))
  Xy <- backsolve(R[kept, kept, drop = FALSE], (Zy / unit)[pivot[kept], , drop = FALSE],
                  transpose = TRUE)
  R <- R[kept, order(pivot), drop = FALSE]
  list(R = sweep(R, 2L, unit, "*"), Xy = Xy)
}

# Loadings ----

# Where every row of the matrices R has one level.
thin_loading <- function(R) {
  present <- Reduce(`|`, lapply(R, function(one) one != 0))
  if (any(rowSums(present) > 1)) return(list(R = R))
  level <- max.col(present, "first")
  at <- cbind(seq_along(level), level)
  list(level = level, z = vapply(R, function(one) one[at], numeric(length(level))))
}

# The loading of B = U C from that of U.
recombine_loading <- function(loading, C) {
  if (is.null(loading$R)) {
    loading$z <- matrix(loading$z, ncol = nrow(C)) %*% C
    return(loading)
  }
  list(R = lapply(seq_len(ncol(C)), function(a) {
    Reduce(`+`, Map(`*`, loading$R, C[, a]))
  }))
}

rescale_loading <- function(loading, unit) {
  if (is.null(loading$R)) {
    loading$z <- sweep(loading$z, 2L, unit, "/")
    return(loading)
  }
  list(R = Map(`/`, loading$R, unit))
}

loading_width <- function(loading) {
  if (is.null(loading$R)) ncol(loading$z) else length(loading$R)
}

# C L_a' for column a of a loading; C NULL is the identity of q levels.
spread <- function(C, loading, a, q = NULL) {
  if (!is.null(loading$R)) {
    return(if (is.null(C)) t(loading$R[[a]]) else tcrossprod(C, loading$R[[a]]))
  }
  z <- loading$z[, a]
  if (!is.null(C)) return(C[, loading$level, drop = FALSE] * rep(z, each = nrow(C)))
  out <- matrix(0, q, length(z))
  out[cbind(loading$level, seq_along(z))] <- z
  out
}

# dH/dpsi of the components of one term.
term_covariances <- function(loading, K) {
  q <- if (is.null(K)) loading_levels(loading) else nrow(K)
  half <- lapply(seq_len(loading_width(loading)), function(a) t(spread(K, loading, a, q)))
  at <- lower_pairs(length(half))
  Map(function(i, j) {
    V <- spread(half[[i]], loading, j)
    if (i == j) V else V + t(V)
  }, at$row, at$col)
}

loading_levels <- function(loading) {
  if (is.null(loading$R)) max(loading$level) else ncol(loading$R[[1L]])
}

# Units and the start ----

# What an effect of variance 1 of each column adds to the mean square of the residuals.
column_units <- function(V, inner, dof, term, call) {
  at <- lower_pairs(packed_size(length(V)))
  vapply(V[at$row == at$col], function(V) {
    total <- sum(diag(V))
    left <- total - sum(inner * (V %*% inner))
    if (left <= 1e-10 * total) abort_unidentified(list(term), call)
    sqrt(left / dof)
  }, numeric(1))
}

rescale_covariances <- function(V, unit) {
  at <- lower_pairs(length(unit))
  unname(Map(function(V, i, j) V / (unit[[i]] * unit[[j]]), V, at$row, at$col))
}

# Estimates from the second moments of the residuals (MINQUE with a prior of zero), kept
# away from the bounds. Components that this information can't tell apart, no other does.
moment_start <- function(data, terms, call) {
  sizes <- term_widths(terms)
  p <- ncol(data$Xy) - 1L
  Q <- data$Xy[, seq_len(p), drop = FALSE]
  r <- data$Xy[, p + 1L]
  VQ <- lapply(data$V, `%*%`, Q)
  count <- length(data$V)
  information <- matrix(data$n - p, count + 1L, count + 1L)
  for (c in seq_len(count)) {
    information[c, count + 1L] <- sum(diag(data$V[[c]])) - sum(Q * VQ[[c]])
    for (d in seq_len(c)) {
      information[c, d] <- sum(data$V[[c]] * data$V[[d]]) - 2 * sum(VQ[[c]] * VQ[[d]]) +
        sum(crossprod(Q, VQ[[c]]) * crossprod(Q, VQ[[d]]))
    }
  }
  information[upper.tri(information)] <- t(information)[upper.tri(information)]
  information[count + 1L, ] <- information[, count + 1L] <-
    c(information[seq_len(count), count + 1L], data$n - p)
  seen <- c(!absent_covariances(data$V, sizes), TRUE)
  owner <- rep(seq_along(terms), sizes * (sizes + 1L) / 2L)
  check_information(information[seen, seen], terms, owner[seen[-length(seen)]], call)
  total <- sum(r^2) + data$within[p + 1L, p + 1L]
  moments <- c(vapply(data$V, function(V) sum(r * (V %*% r)), numeric(1)), total)
  estimate <- numeric(count + 1L)
  estimate[seen] <- solve(information[seen, seen], moments[seen], tol = 0)
  floor <- 0.05 * total / (data$n - p)
  start <- split_packed(estimate[seq_len(count)] / max(estimate[[count + 1L]], floor),
                        sizes)
  unlist(lapply(start, function(psi) {
    spectrum <- eigen(unpack_lower(psi, TRUE), symmetric = TRUE)
    d <- pmin(pmax(spectrum$values, 0.05), 100)
    pack_lower(t(chol(tcrossprod(sweep(spectrum$vectors, 2L, sqrt(d), "*")))))
  }))
}

# Which are covariances of columns that nothing has both of (see check_components()).
absent_covariances <- function(V, sizes) {
  squares <- vapply(V, function(V) sum(V^2), numeric(1))
  unlist(lapply(split_packed(squares, sizes), function(mine) {
    at <- lower_pairs(0.5 * (sqrt(8 * length(mine) + 1) - 1))
    variance <- mine[at$row == at$col]
    at$row != at$col & mine <= 1e-20 * sqrt(variance[at$row] * variance[at$col])
  }))
}

# owner: which of the terms each component belongs to.
check_information <- function(information, terms, owner, call) {
  unit <- 1 / sqrt(diag(information))
  spectrum <- eigen(information * tcrossprod(unit), symmetric = TRUE)
  null <- spectrum$vectors[seq_along(owner), spectrum$values <= 1e-9, drop = FALSE]
  if (ncol(null) == 0L) return(invisible())
  share <- sqrt(rowSums(null^2))
  abort_unidentified(terms[unique(owner[share > 0.1 * max(share)])], call)
}

# The contract ----

#' @exportS3Method
n_theta.engine_dense <- function(engine) length(engine$data$V)

#' @exportS3Method
engine_moments.engine_dense <- function(engine, theta, order = 0L) {
  at <- check_core(cpp_dense_moments(engine$data, term_sizes(engine),
                                     unit_theta(engine, theta), order))
  change_moments(at, unit_components(engine))
}

term_sizes <- function(engine) vapply(engine$units, ncol, integer(1))

# The exact Hessian costs c times the gradient and saves half of the steps; where that is
# little, other starts are too.
#' @exportS3Method
engine_optimise.engine_dense <- function(engine, REML, control, start = NULL) {
  exact <- nrow(engine$data$Xy) <= 300L
  starts <- matrix(engine$start)
  if (exact) {
    identity <- pack_identities(term_sizes(engine))
    starts <- cbind(starts, outer(identity, c(1, 0.1, 10)))
  }
  if (!is.null(start)) starts <- cbind(unit_theta(engine, start), starts)
  fit <- check_core(cpp_dense_optimise(engine$data, term_sizes(engine), REML,
                                       control$tolerance, control$max_iterations, exact,
                                       starts))
  unit_record(engine, fit)
}

#' @exportS3Method
engine_recombine.engine_dense <- function(engine, M) {
  engine$data$Xy <- engine$data$Xy %*% M
  engine$data$within <- crossprod(M, engine$data$within %*% M)
  engine
}

# The factor of each term in the units of the loadings.
unit_factors <- function(engine, theta) {
  lapply(split_packed(unit_theta(engine, theta), term_sizes(engine)), unpack_lower)
}

# The upper factor of H, L^-1[Q r], and Q = (X'H^-1 X)^-1 with the coefficient of r on Q.
dense_at <- function(engine, theta) {
  data <- engine$data
  psi <- pack_products(unit_factors(engine, theta))
  H <- diag(nrow(data$Xy))
  for (c in which(psi != 0)) H <- H + psi[[c]] * data$V[[c]]
  root <- chol(H)
  half <- backsolve(root, data$Xy, transpose = TRUE)
  inner <- seq_len(engine$work$p)
  S <- crossprod(half) + data$within
  Q <- basis_unscaled(S)
  list(root = root, half = half[, inner, drop = FALSE], Q = Q,
       residual = half[, ncol(half)] - drop(half[, inner, drop = FALSE] %*%
                                              (Q %*% S[inner, ncol(half)])))
}

# Covariances of the levels (with a kernel: all ids) `at` of a term with the data, levels x m
# for each column in user units; their own variances, and their names.
level_covariances <- function(engine, t, term, factor, at = NULL) {
  ids <- engine$levels[[t]]
  names <- if (is.null(term$kernel)) ids else rownames(term$kernel)
  if (is.null(at)) at <- seq_along(names)
  K <- if (!is.null(term$kernel)) unname(term$kernel[at, ids, drop = FALSE])
  columns <- seq_len(ncol(factor))
  plain <- lapply(columns, function(a) {
    C <- spread(K, engine$loadings[[t]], a, length(ids))
    if (is.null(K)) C[at, , drop = FALSE] else C
  })
  back <- forwardsolve(engine$units[[t]], diag(ncol(factor)))
  C <- back %*% tcrossprod(factor)
  list(data = lapply(columns, function(a) Reduce(`+`, Map(`*`, plain, C[a, ]))),
       psi = C %*% t(back), names = names[at],
       scale = if (is.null(K)) rep(1, length(at)) else unname(diag(term$kernel))[at])
}

#' @exportS3Method
engine_modes.engine_dense <- function(engine, theta, random, known = NULL) {
  at <- dense_at(engine, theta)
  Py <- backsolve(at$root, at$residual)
  factors <- unit_factors(engine, theta)
  modes <- lapply(seq_along(random), function(t) {
    own <- level_covariances(engine, t, random[[t]], factors[[t]])
    modes <- vapply(own$data, function(C) drop(C %*% Py), numeric(length(own$names)))
    matrix(modes, ncol = length(own$data), dimnames = list(own$names, random[[t]]$columns))
  })
  stats::setNames(modes, names(random))
}

#' @exportS3Method
engine_variances.engine_dense <- function(engine, theta, sigma, random) {
  at <- dense_at(engine, theta)
  factors <- unit_factors(engine, theta)
  lapply(random_blocks(random), function(labels) {
    own <- lapply(match(labels, names(random)), function(t) {
      level_covariances(engine, t, random[[t]], factors[[t]])
    })
    block_variances(own, at, sigma)
  })
}

# Of one block: the prior less what the data tell, K x K x levels.
block_variances <- function(own, at, sigma) {
  half <- lapply(unlist(lapply(own, `[[`, "data"), recursive = FALSE), function(C) {
    backsolve(at$root, t(C), transpose = TRUE)
  })
  through <- lapply(half, crossprod, y = at$half)
  psi <- block_diagonal(lapply(own, `[[`, "psi"))
  prior <- own[[1L]]$scale
  size <- length(half)
  conditional <- prediction <- array(0, c(size, size, length(prior)))
  for (a in seq_len(size)) {
    for (b in seq_len(size)) {
      conditional[a, b, ] <- psi[a, b] * prior - colSums(half[[a]] * half[[b]])
      prediction[a, b, ] <- conditional[a, b, ] +
        rowSums((through[[a]] %*% at$Q) * through[[b]])
    }
  }
  lapply(list(conditional = conditional, prediction = prediction), function(variance) {
    dimnames(variance) <- list(NULL, NULL, own[[1L]]$names)
    sigma^2 * variance
  })
}

#' @exportS3Method
engine_row_variances.engine_dense <- function(engine, theta, random, X, rows) {
  at <- dense_at(engine, theta)
  factors <- unit_factors(engine, theta)
  parts <- Map(function(row, t) {
    row_covariances(engine, at, t, random[[t]], factors[[t]], row)
  }, rows, match(names(rows), names(random)))
  out <- Reduce(`+`, lapply(parts, `[[`, "prior"))
  X <- basis_rows(engine, X)
  m <- nrow(at$root)
  # some rows at a time, as there may be many more than levels
  for (some in split(seq_len(nrow(X)), (seq_len(nrow(X)) - 1L) %/% max(1, 1e6 %/% m))) {
    half <- matrix(0, m, length(some))
    for (part in parts) half <- half + row_loadings(part, some)
    out[some] <- out[some] - colSums(half^2)
    X[some, ] <- X[some, , drop = FALSE] - crossprod(half, at$half)
  }
  out + rowSums((X %*% at$Q) * X)
}

# What one term has in some rows: the prior variance of Z u, and L^-1 of the covariance of
# its levels with the data, H = L L', for each column.
row_covariances <- function(engine, at, t, term, factor, row) {
  used <- sort(unique(row$level))
  own <- level_covariances(engine, t, term, factor, used)
  level <- match(row$level, used)
  scale <- replace(own$scale[level], is.na(level), unknown_scale(term$kernel))
  list(prior = scale * rowSums((row$Z %*% own$psi) * row$Z), level = level, Z = row$Z,
       half = lapply(own$data, function(C) backsolve(at$root, t(C), transpose = TRUE)))
}

# m x rows.
row_loadings <- function(part, some) {
  out <- matrix(0, nrow(part$half[[1L]]), length(some))
  known <- which(!is.na(part$level[some]))
  for (a in seq_along(part$half)) {
    z <- part$Z[some[known], a]
    out[, known] <- out[, known] +
      part$half[[a]][, part$level[some[known]]] * rep(z, each = nrow(out))
  }
  out
}
