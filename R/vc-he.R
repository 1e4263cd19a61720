# Haseman-Elston regression: products of the residuals r of least squares, or their squared
# differences, on what they expect. With F_c = M G_c M (see vc-reduced.R, here n x n) and M
# for the residual, E(r r') = sum_c phi_c F_c.
#   HE        all products r_i r_j, squares among them: MINQUE with a prior of zero
#   HE-pairs  products with i < j; the residual variance from the sum of squares
#   HE-SD     squared differences (r_i - r_j)^2
# Every estimate is S^-1 q with quadratic forms q_a = r'Q_a r.

# Rows beyond which n x n matrices are too large.
regression_limit <- 6000L

vc_he <- function(model, se = "normal", call) {
  regression_components(model, "HE", se, call)
}

vc_he_pairs <- function(model, se = "normal", call) {
  regression_components(model, "HE-pairs", se, call)
}

vc_he_sd <- function(model, se = "normal", call) {
  regression_components(model, "HE-SD", se, call)
}

regression_components <- function(model, method, se, call) {
  se <- check_choice(se, c("normal", "empirical", "jackknife"), call = call)
  groups <- if (se == "jackknife") jackknife_groups(model$random, call)
  if (length(model$frame$y) > regression_limit) {
    if (method != "HE" || se != "normal") {
      abort_method_size(method, NULL, regression_limit, call)
    }
    # the same estimates without matrices of the order of the records
    out <- vc_minque0(model, call)
    return(replace(out, c("method", "assumptions"),
                   list(method, regression_assumptions(method, se))))
  }
  data <- regression_data(model, method)
  total <- regression_sums(data)
  keep <- regression_kept(total, model$random, method, call)
  phi <- regression_solve(total, keep)
  vcov <- if (se == "jackknife") {
    jackknife_covariance(data, keep, groups)
  } else {
    regression_covariance(data, total, keep, phi, se)
  }
  moments_result(model, method, phi, vcov, regression_assumptions(method, se, groups))
}

regression_assumptions <- function(method, se, groups = NULL) {
  c(switch(method,
           HE = "Least squares on all products of residuals: MINQUE with a prior of zero.",
           `HE-pairs` = "Least squares on products of residuals of different records.",
           `HE-SD` = "Least squares on squared differences of residuals."),
    "Unbiased whether the data are normal or not; not of least variance.",
    switch(se, normal = "Standard errors are those of normal data at the estimates.",
           empirical = "Standard errors are GEMMA's: half of V is replaced by the products.",
           jackknife = paste("Standard errors leave out one of",
                             count(length(unique(groups))),
                             "groups of records at a time, taken as independent: those of",
                             "relatives are too small.")))
}

# `forms`, the F_c with M last, r, and which elements the regression is on.
regression_data <- function(model, method) {
  work <- engine_work(model$frame, model$fixed, NULL)
  M <- -tcrossprod(work$Q)
  diag(M) <- diag(M) + 1
  free <- function(G) {
    GQ <- G %*% work$Q
    half <- tcrossprod(GQ, work$Q)
    G - half - t(half) + work$Q %*% tcrossprod(crossprod(work$Q, GQ), work$Q)
  }
  forms <- lapply(record_kernels(model$random, work$root), free)
  list(forms = c(forms, list(M)), r = work$r, method = method)
}

# G_c by its definition, n x n.
record_kernels <- function(random, root) {
  unlist(lapply(unname(random), function(term) {
    Z <- term_design(term) * root
    f <- as.integer(term$factor)
    ids <- levels(term$factor)
    K <- if (is.null(term$kernel)) 1 * outer(f, f, `==`) else
      unname(term$kernel[ids, ids])[f, f]
    at <- lower_pairs(ncol(Z))
    Map(function(i, j) {
      G <- K * outer(Z[, i], Z[, j])
      if (i == j) G else G + t(G)
    }, at$row, at$col)
  }), recursive = FALSE)
}

# What the regression has for a symmetric matrix.
regression_values <- function(A, method) {
  if (method == "HE") return(A)
  if (method == "HE-pairs") {
    diag(A) <- 0
    return(A)
  }
  outer(diag(A), diag(A), `+`) - 2 * A
}

# Normal equations S, q, and what the sum of squares expects: `trace` of F, and `squares`.
# With groups these are lists by what is left without each.
regression_sums <- function(data, groups = NULL) {
  E <- lapply(c(data$forms, list(tcrossprod(data$r))), regression_values, data$method)
  count <- length(E)
  levels <- max(1L, groups)
  products <- array(0, c(levels, count, count))
  for (a in seq_len(count)) for (b in seq_len(a)) {
    products[, a, b] <- products[, b, a] <- sum_without(E[[a]] * E[[b]], groups)
  }
  diagonals <- vapply(data$forms, diag, numeric(length(data$r)))
  squares <- cbind(diagonals, data$r^2)
  left <- matrix(colSums(squares), levels, count, byrow = TRUE)
  if (!is.null(groups)) left <- left - rowsum(squares, groups)
  lapply(seq_len(levels), function(g) {
    P <- matrix(products[g, , ], count)
    list(S = P[-count, -count, drop = FALSE], q = P[-count, count], trace = left[g, -count],
         squares = left[g, count])
  })
}

# The sum of a symmetric matrix, or its sums without the rows and columns of each group.
sum_without <- function(P, groups) {
  if (is.null(groups)) return(sum(P))
  rows <- rowsum(P, groups)
  within <- diag(rowsum(t(rows), groups))
  sum(P) - 2 * rowSums(rows) + within
}

# Which equations of the regression there are: of pairs, with M only where it has any.
regression_kept <- function(total, random, method, call) {
  S <- total[[1L]]$S
  last <- ncol(S)
  keep <- seq_len(last)
  if (method == "HE-pairs" && S[last, last] <= 1e-20) keep <- keep[-last]
  # refuses components that the products can't tell
  solve_components(S[keep, keep, drop = FALSE], numeric(length(keep)),
                   random, call)
  if (method != "HE-pairs") return(keep)
  structure(keep, pairs = TRUE)
}

regression_solve <- function(total, keep) {
  at <- total[[1L]]
  drop(regression_inverse(at, keep) %*% c(at$q[keep], at$squares))
}

# Estimates are this matrix times c(q, sum of squares).
regression_inverse <- function(at, keep) {
  last <- ncol(at$S)
  inverse <- scaled_inverse(at$S[keep, keep, drop = FALSE])
  if (is.null(attr(keep, "pairs"))) return(cbind(inverse, 0))
  slopes <- inverse[-last, , drop = FALSE]
  if (length(keep) < last) slopes <- inverse
  rbind(cbind(slopes, 0),
        c(-at$trace[-last] %*% slopes, 1) / at$trace[[last]])
}

# Var(q) is 2 tr(Q_a V Q_b V) for normal data; with one V replaced by r r' it is
# 2 r'Q_a V Q_b r, which needs no product of matrices.
regression_covariance <- function(data, total, keep, phi, se) {
  Q <- c(lapply(data$forms[keep], regression_form, data$method),
         data$forms[length(data$forms)])
  V <- Reduce(`+`, Map(`*`, data$forms, phi))
  variance <- if (se == "normal") {
    trace_products(lapply(Q, `%*%`, V))
  } else {
    Qr <- vapply(Q, function(Q) drop(Q %*% data$r), data$r)
    crossprod(Qr, V %*% Qr)
  }
  inverse <- regression_inverse(total[[1L]], keep)
  2 * inverse %*% tcrossprod(variance, inverse)
}

# Q with sum(regression_values(A) * regression_values(r r')) = r'Q r.
regression_form <- function(A, method) {
  E <- regression_values(A, method)
  if (method != "HE-SD") return(E)
  2 * (diag(rowSums(E)) - E)
}

jackknife_covariance <- function(data, keep, groups) {
  without <- regression_sums(data, groups)
  each <- vapply(without, function(at) regression_solve(list(at), keep),
                 numeric(length(data$forms)))
  count <- length(without)
  centred <- each - rowMeans(each)
  (count - 1) / count * tcrossprod(centred)
}

# Records that belong together, numbered: the levels of the grouping factor that all others
# are nested in.
jackknife_groups <- function(random, call) {
  sizes <- vapply(random, function(term) nlevels(term$factor), 1L)
  outer <- random[[which.min(sizes)]]$factor
  nested <- vapply(random, function(term) nested_in(term$factor, outer), NA)
  if (!all(nested)) {
    abort_method_terms("The jackknife", random[!nested],
                       "It leaves out groups of records that are independent of the others:
                        grouping factors that are crossed leave none.", call)
  }
  as.integer(outer)
}
