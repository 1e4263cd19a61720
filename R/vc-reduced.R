# The model free of its fixed effects, in as few coordinates as the random effects need.
# With M = I - X(X'X)^-1 X' (weighted, as engine_work() has it) and B an orthonormal basis
# of M Z, in blocks of one term after the other, each free of those before:
#   forms    by component: F_c = B'G_c B (r x r), see engine.R; M G_c M = B F_c B'
#   y        B'y (r), and `rest`, the sum of squares of My beside B, on `rest_df` degrees of
#            freedom: its covariance is sigma2 I whatever the variances of the effects are
#   block    which term each coordinate belongs to (r), by its label
#   span     by term: B'Z (r x kq)
# so that B'y ~ N(0, sum_c phi_c F_c + sigma2 I). Formed from cross-products.

# Effects beyond which matrices of their order are too large.
reduced_limit <- 6000L

# order: labels of the terms, in the order of the blocks. NULL beyond the limit.
reduced_model <- function(model, order = names(model$random), call,
                          limit = reduced_limit) {
  random <- model$random
  sizes <- vapply(random, function(term) {
    nlevels(term$factor) * length(term$columns)
  }, numeric(1))
  if (sum(sizes) > limit) return(NULL)
  work <- engine_work(model$frame, model$fixed, call)
  rows <- split(seq_len(sum(sizes)), rep(factor(order, order), sizes[order]))
  products <- effect_products(random[order], work)
  free <- free_of_blocks(products$ZMZ, products$Zr, rows)
  total <- sum(work$r^2)
  rank <- length(free$y)
  list(forms = reduced_kernels(random, free$L, rows), y = free$y,
       rest = max(0, total - sum(free$y^2)), rest_df = work$n - work$p - rank,
       block = rep(order, free$ranks), span = lapply(rows, function(at) {
         t(free$L[at, , drop = FALSE])
       }), total = total, df = work$n - work$p)
}

# Z'MZ and Z'My of all effects, term by term and column by column.
effect_products <- function(random, work) {
  columns <- unlist(lapply(unname(random), function(term) {
    Z <- term_design(term) * work$root
    lapply(seq_len(ncol(Z)), function(j) list(code = as.integer(term$factor), z = Z[, j],
                                              q = nlevels(term$factor)))
  }), recursive = FALSE)
  sums <- function(values) do.call(rbind, lapply(columns, function(at) {
    unname(rowsum(values * at$z, at$code))
  }))
  ZQ <- sums(work$Q)
  rows <- lapply(columns, function(a) {
    do.call(cbind, lapply(columns, function(b) level_products(a, b)))
  })
  list(ZMZ = do.call(rbind, rows) - tcrossprod(ZQ), Zr = drop(sums(work$r)))
}

# Sums of z_a z_b by the levels of both.
level_products <- function(a, b) {
  out <- matrix(0, a$q, b$q)
  sums <- rowsum(a$z * b$z, a$code + a$q * (b$code - 1))
  out[as.numeric(rownames(sums))] <- sums
  out
}

# Cholesky decomposition C = L L' of a singular matrix in blocks: the columns of L of a
# block are those that the blocks before leave independent. y: L'y_B = Z'My solved for y_B.
free_of_blocks <- function(C, y, blocks) {
  unit <- sqrt(diag(C))
  unit[unit == 0] <- 1
  C <- C / tcrossprod(unit)
  y <- y / unit
  L <- matrix(0, nrow(C), 0L)
  coordinates <- numeric()
  ranks <- integer()
  for (own in blocks) {
    S <- C[own, own, drop = FALSE]
    # a rank below the order is no surprise
    R <- suppressWarnings(chol(S, pivot = TRUE, tol = 1e-10))
    rank <- if (max(diag(S)) <= 1e-10) 0L else attr(R, "rank")
    ranks <- c(ranks, rank)
    if (rank == 0L) next
    at <- seq_len(rank)
    pivots <- own[attr(R, "pivot")[at]]
    R <- R[at, at, drop = FALSE]
    new <- t(backsolve(R, t(C[, pivots, drop = FALSE]), transpose = TRUE))
    mine <- backsolve(R, y[pivots], transpose = TRUE)
    # nothing is left to free
    if (identical(own, blocks[[length(blocks)]])) C[] <- 0 else C <- C - tcrossprod(new)
    y <- y - drop(new %*% mine)
    L <- cbind(L, new)
    coordinates <- c(coordinates, mine)
  }
  list(L = L * unit, y = coordinates, ranks = ranks)
}

# B'G_c B by component, in the order of theta.
reduced_kernels <- function(random, L, rows) {
  unlist(lapply(names(random), function(label) {
    term <- random[[label]]
    ids <- levels(term$factor)
    column <- function(j) {
      t(L[rows[[label]][(j - 1L) * length(ids) + seq_along(ids)], , drop = FALSE])
    }
    K <- if (!is.null(term$kernel)) unname(term$kernel[ids, ids])
    at <- lower_pairs(length(term$columns))
    Map(function(i, j) {
      half <- if (is.null(K)) column(i) else column(i) %*% K
      G <- tcrossprod(half, column(j))
      if (i == j) G else G + t(G)
    }, at$row, at$col)
  }), recursive = FALSE)
}

# The covariance matrix of B'y at components phi, the residual variance last.
reduced_covariance <- function(reduced, phi) {
  m <- length(reduced$forms)
  V <- diag(phi[[m + 1L]], length(reduced$y))
  for (c in seq_len(m)) V <- V + phi[[c]] * reduced$forms[[c]]
  V
}

# Of normal quadratic forms y_B'A_a y_B + weight_a rest, the covariance matrix:
# 2 tr(A_a V A_b V) + 2 weight_a weight_b sigma2^2 rest_df.
quadratic_covariance <- function(reduced, A, weight, phi) {
  V <- reduced_covariance(reduced, phi)
  2 * (trace_products(lapply(A, `%*%`, V)) +
         tcrossprod(weight) * phi[[length(phi)]]^2 * reduced$rest_df)
}

# tr(B_a B_b) of a list of matrices.
trace_products <- function(B) {
  count <- length(B)
  out <- matrix(0, count, count)
  for (a in seq_len(count)) {
    transposed <- t(B[[a]])
    for (b in seq_len(a)) out[a, b] <- out[b, a] <- sum(transposed * B[[b]])
  }
  out
}
