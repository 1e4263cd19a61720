# I.i.d. effects, any number of terms and grouping factors: C++ on cross-products.

# Grouping factors are eliminated in the order of `factors`. engine$data is what the C++ of
# core/blocked.h takes; `levels` the same without equal levels merged, for the effects.
# Within a term the columns of Z are made orthonormal, so that neither their scales nor
# covariates far from zero matter: Z = Z* R, Psi* = R Psi R', and `bases` holds the R.
engine_blocked <- function(work, random, call) {
  check_columns(random, call)
  groups <- vapply(random, `[[`, character(1), "group")
  bases <- lapply(random, term_basis, root = work$root)
  factors <- blocked_factors(random, groups, bases, work$root)
  sizes <- lengths(lapply(random, `[[`, "columns"))
  terms <- lapply(factors, `[[`, "terms")
  data <- check_core(cpp_blocked_data(factors, cbind(work$Q, work$r), sizes, terms))
  new_engine("blocked", blocked_reason(factors, sizes), data$data, work,
             levels = data$levels, bases = bases, sizes = sizes,
             order = vapply(factors, `[[`, character(1), "group"))
}

# For each grouping factor its levels (0-based), their number, and the columns of all its
# terms; the one with the most effects is eliminated first.
blocked_factors <- function(random, groups, bases, root) {
  out <- lapply(unique(groups), function(group) {
    terms <- which(groups == group)
    Z <- lapply(terms, function(t) basis_design(random[[t]], root, bases[[t]]))
    factor <- random[[terms[[1L]]]]$factor
    list(group = group, level = as.integer(factor) - 1L, q = nlevels(factor),
         Z = do.call(cbind, Z), terms = terms - 1L)
  })
  effects <- vapply(out, function(factor) factor$q * ncol(factor$Z), numeric(1))
  out[order(-effects)]
}

blocked_reason <- function(factors, sizes) {
  k <- sum(sizes)
  if (length(factors) == 1L) {
    return(sprintf("one grouping factor, %d i.i.d. random effects per level", k))
  }
  sprintf("%d grouping factors, i.i.d. effects; %s is eliminated first", length(factors),
          factors[[1L]]$group)
}

# R of Z'WZ = R'R, on the scale of one record, for a term whose columns are independent.
term_basis <- function(term, root) {
  Z <- term_design(term) * root
  size <- sqrt(colMeans(Z^2))
  if (ncol(Z) == 1L) return(matrix(if (size > 0) size else 1))
  gram <- crossprod(Z) / nrow(Z)
  R <- tryCatch(chol(gram / tcrossprod(size)), error = function(e) NULL)
  # any R will do as long as Z R^-1 is far from dependence
  if (is.null(R)) return(qr.R(qr(Z, tol = 0)) / sqrt(nrow(Z)))
  R * rep(size, each = ncol(R))
}

basis_design <- function(term, root, R) {
  Z <- term_design(term) * root
  if (ncol(Z) == 1L) Z / R[[1L]] else Z %*% backsolve(R, diag(ncol(R)))
}

# Columns of one term must be independent, and stand in one term of a grouping factor only.
check_columns <- function(random, call) {
  groups <- vapply(random, `[[`, character(1), "group")
  for (group in unique(groups)) {
    columns <- unlist(lapply(random[groups == group], `[[`, "columns"))
    if (anyDuplicated(columns)) {
      abort_random_columns(group, unique(columns[duplicated(columns)]),
                           "stands in more than one term", call)
    }
  }
  for (term in random) {
    if (length(term$columns) == 1L) next
    kept <- independent_columns(term_design(term), 1e-9)
    if (length(kept) < length(term$columns)) {
      abort_random_columns(term$group, term$columns[-kept],
                           "is a combination of the others", call)
    }
  }
}

# theta of the bases, from and to that of the columns as they are.
basis_theta <- function(engine, theta) change_theta(engine, theta, identity)
column_theta <- function(engine, theta) change_theta(engine, theta, solve)

change_theta <- function(engine, theta, through) {
  unlist(Map(function(R, packed) {
    if (length(R) == 1L) return(packed * drop(through(R)))
    T <- unpack_lower(packed, ncol(R))
    lower_factor(through(R) %*% T, any(diag(T) == 0))
  }, engine$bases, split_packed(theta, engine$sizes)), use.names = FALSE)
}

# The lower triangle of T with T T' = B B' and no negative diagonal; where that is
# singular, the columns that its rank does not need are zero.
lower_factor <- function(B, singular) {
  T <- if (singular) singular_factor(tcrossprod(B)) else t(qr.R(qr(t(B), tol = 0)))
  T <- T * rep(replace(sign(diag(T)), diag(T) == 0, 1), each = nrow(T))
  T[lower.tri(T, diag = TRUE)]
}

singular_factor <- function(psi) {
  k <- nrow(psi)
  T <- matrix(0, k, k)
  for (c in seq_len(k)) {
    left <- psi[, c] - drop(T %*% T[c, ])
    if (left[[c]] <= 1e-14 * psi[c, c]) next
    T[c:k, c] <- left[c:k] / sqrt(left[[c]])
  }
  T
}

unpack_lower <- function(packed, k) {
  out <- matrix(0, k, k)
  out[lower.tri(out, diag = TRUE)] <- packed
  out
}

# The derivative of psi* in psi, term by term: psi* = J psi.
basis_jacobian <- function(engine) {
  blocks <- lapply(engine$bases, function(R) {
    k <- ncol(R)
    at <- lower_pairs(k)
    columns <- Map(function(i, j) {
      D <- matrix(0, k, k)
      D[i, j] <- D[j, i] <- 1
      moved <- R %*% D %*% t(R)
      moved[lower.tri(moved, diag = TRUE)]
    }, at$row, at$col)
    do.call(cbind, columns)
  })
  block_diagonal(blocks)
}

block_diagonal <- function(blocks) {
  sizes <- vapply(blocks, ncol, integer(1))
  out <- matrix(0, sum(sizes), sum(sizes))
  last <- cumsum(sizes)
  for (b in seq_along(blocks)) {
    at <- seq(last[[b]] - sizes[[b]] + 1L, last[[b]])
    out[at, at] <- blocks[[b]]
  }
  out
}

#' @exportS3Method
engine_moments.engine_blocked <- function(engine, theta, order = 0L) {
  at <- check_core(cpp_blocked_moments(engine$data, basis_theta(engine, theta), order))
  change_moments(at, basis_jacobian(engine))
}

# Moments of components psi from those of components psi* = J psi.
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

#' @exportS3Method
engine_optimise.engine_blocked <- function(engine, REML, control, start = NULL) {
  diagonal <- as.double(unlist(lapply(engine$sizes, function(k) {
    at <- lower_pairs(k)
    at$row == at$col
  })))
  # other starts cost little where an evaluation does
  starts <- outer(diagonal, if (blocked_cost(engine) < 1e5) c(1, 0.1, 10) else 1)
  if (!is.null(start)) starts <- cbind(basis_theta(engine, start), starts)
  fit <- check_core(cpp_blocked_optimise(engine$data, REML, control$tolerance,
                                         control$max_iterations, starts))
  theta <- column_theta(engine, fit$theta)
  list(theta = theta, converged = fit$converged, singular = fit$singular,
       gradient = theta_gradient(engine, theta,
                                 drop(crossprod(basis_jacobian(engine), fit$psi_gradient))),
       iterations = fit$iterations, evaluations = fit$evaluations, starts = fit$starts,
       bound = if (fit$singular) "zero" else "none")
}

# Roughly the arithmetic of one evaluation.
blocked_cost <- function(engine) {
  r <- nrow(engine$data$rest_Xy)
  length(engine$data$A) * 10 + length(engine$data$B) * 10 + r^3
}

# Derivatives in theta from those in psi: dPsi_ab/dT_rc = [a = r] T_bc + [b = r] T_ac.
theta_gradient <- function(engine, theta, psi_gradient) {
  unlist(Map(function(packed, g, k) {
    G <- unpack_lower(g, k)
    G <- (G + t(G)) / 2
    out <- 2 * G %*% unpack_lower(packed, k)
    out[lower.tri(out, diag = TRUE)]
  }, split_packed(theta, engine$sizes), split_packed(psi_gradient, engine$sizes),
  engine$sizes), use.names = FALSE)
}

#' @exportS3Method
engine_recombine.engine_blocked <- function(engine, M) {
  engine$data <- recombine_blocked(engine$data, M)
  if (!is.null(engine$levels)) engine$levels <- recombine_blocked(engine$levels, M)
  engine
}

recombine_blocked <- function(data, M) {
  k <- nrow(data$B)
  slices <- array(data$B, c(k, nrow(M), ncol(data$B) / nrow(M)))
  data$B <- matrix(apply(slices, 3L, function(slice) matrix(slice, k) %*% M), k)
  data$rest_Xy <- data$rest_Xy %*% M
  data$C <- crossprod(M, data$C %*% M)
  data
}

#' @exportS3Method
engine_modes.engine_blocked <- function(engine, theta, random) {
  effects <- blocked_effects(engine, theta, FALSE)
  out <- lapply(blocked_blocks(engine, random), function(block) {
    mode <- effects[[block$at]]$mode
    Map(function(label, rows) {
      term <- random[[label]]
      values <- t(solve(engine$bases[[match(label, names(random))]],
                        mode[rows, , drop = FALSE]))
      dimnames(values) <- list(levels(term$factor), term$columns)
      values
    }, block$labels, block$rows)
  })
  stats::setNames(unlist(out, recursive = FALSE, use.names = FALSE),
                  unlist(lapply(blocked_blocks(engine, random), `[[`, "labels")))[names(random)]
}

#' @exportS3Method
engine_variances.engine_blocked <- function(engine, theta, sigma, random) {
  effects <- blocked_effects(engine, theta, TRUE)
  blocks <- blocked_blocks(engine, random)
  lapply(blocks, function(block) {
    back <- solve(block_diagonal(engine$bases[match(block$labels, names(random))]))
    lapply(effects[[block$at]][c("conditional", "prediction")], function(variance) {
      k <- nrow(back)
      # back V back', level by level
      half <- array(back %*% variance, c(k, k, ncol(variance) / k))
      whole <- back %*% matrix(aperm(half, c(2L, 1L, 3L)), k)
      array(whole, dim(half)) * sigma^2
    })
  })
}

blocked_effects <- function(engine, theta, variances) {
  data <- if (is.null(engine$levels)) engine$data else engine$levels
  check_core(cpp_blocked_effects(data, basis_theta(engine, theta), variances))
}

# The blocks of the fit with their labels, the place of their factor among the engine's,
# and which rows of its effects belong to each term.
blocked_blocks <- function(engine, random) {
  lapply(random_blocks(random), function(labels) {
    sizes <- vapply(random[labels], function(term) length(term$columns), integer(1))
    list(labels = labels, at = match(random[[labels[[1L]]]]$group, engine$order),
         rows = Map(function(last, size) seq(last - size + 1L, last), cumsum(sizes), sizes))
  })
}
