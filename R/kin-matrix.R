# A relationship matrix as users give it, for the grouping factor `group` with levels
# `ids`: numeric, finite, symmetric, with the same unique ids on both sides and a row for
# every level; or the inverse of one, by precision(), or its spectrum, by kin_eigen().
# Returns all of K as a base matrix, exactly symmetric, in its own order: rows without a
# level stay, since their effects can be predicted.
check_kinship <- function(K, ids, group, arg = rlang::caller_arg(K),
                          call = rlang::caller_env()) {
  if (inherits(K, "kinlmm_precision")) {
    Q <- check_kinship(K$Q, ids, group, arg, call)
    return(invert_precision(Q, group, arg, call))
  }
  if (inherits(K, "kin_eigen")) return(check_kin_eigen(K, ids, group, arg, call))
  note <- attr(K, "grm")
  # the class would be in the way of what is computed with K
  K <- plain_ids(plain_matrix(valid_kernel(K, group, arg, call)), ids)
  have <- rownames(K)
  ids <- unique(as.character(ids))
  missing <- setdiff(ids, have)
  if (length(missing) > 0L) abort_kinship_ids(group, arg, missing, ids, have, call)
  check_kinship_bounds(K, ids, group, arg, call)
  attr(K, "grm") <- note
  K
}

# K as a numeric matrix, exactly symmetric, after the checks that do not depend on what it
# is for. group: the grouping factor, NULL if there is none.
valid_kernel <- function(K, group, arg, call) {
  if (inherits(K, "Matrix")) K <- as.matrix(K)
  if (!is.matrix(K) || !is.numeric(K)) {
    abort_argument(arg, "a numeric matrix", describe(K), call)
  }
  if (nrow(K) != ncol(K)) abort_argument(arg, "a square matrix", describe(K), call)
  storage.mode(K) <- "double"
  check_kinship_names(K, group, arg, call)
  symmetry <- check_core(cpp_check_symmetry(K))
  if (symmetry$not_finite > 0) {
    bad <- !is.finite(plain_matrix(K))
    abort_kinship_na(group, arg, sum(bad), rownames(K)[rowSums(bad) > 0], call)
  }
  symmetrise(K, symmetry, group, arg, call)
}

# Numbers as row names become "1e+05", where levels are "100000" (see group_factor()).
plain_ids <- function(K, ids) {
  names <- plain_numbers(rownames(K), ids)
  if (!identical(names, rownames(K))) dimnames(K) <- list(names, names)
  K
}

# Names that R made of numbers, "1e+05", as those numbers, unless `ids` has them so.
plain_numbers <- function(names, ids) {
  at <- grepl("^[1-9]([.][0-9]+)?e[+][0-9]{2}$", names) & !names %in% ids
  plain <- replace(names, at, sprintf("%.0f", as.numeric(names[at])))
  if (anyDuplicated(plain)) names else plain
}

# What the spectrum, which is of the levels alone, does not see: K_ii < 0, and
# |K_ij| > sqrt(K_ii K_jj) between a level and an id without records.
check_kinship_bounds <- function(K, ids, group, arg, call) {
  variance <- diag(K)
  rounding <- 1e-6 * max(abs(variance), 0)
  bad <- which(variance < -rounding)
  if (length(bad) > 0L) {
    abort_kinship_diagonal(rownames(K)[bad], variance[bad], group, arg, call)
  }
  sd <- sqrt(pmax(variance, 0))
  at <- match(ids, rownames(K))
  for (i in setdiff(seq_len(nrow(K)), at)) {
    bound <- sd[at] * sd[[i]]
    j <- which(abs(K[at, i]) > bound + rounding)
    if (length(j) > 0L) {
      j <- j[[1L]]
      abort_kinship_pair(c(ids[[j]], rownames(K)[[i]]), K[at[[j]], i], bound[[j]], group,
                         arg, call)
    }
  }
}

check_kinship_names <- function(K, group, arg, call) {
  # R has no names for no rows
  if (nrow(K) == 0L) return(invisible())
  names <- dimnames(K)
  if (is.null(names[[1L]])) abort_kinship_noids(group, arg, "row", call)
  if (is.null(names[[2L]])) abort_kinship_noids(group, arg, "column", call)
  if (!identical(names[[1L]], names[[2L]])) {
    side <- if (identical(sort(names[[1L]]), sort(names[[2L]]))) "order" else "same"
    abort_kinship_noids(group, arg, side, call)
  }
  if (anyNA(names[[1L]]) || !all(nzchar(names[[1L]]))) {
    abort_kinship_noids(group, arg, "empty", call)
  }
  if (anyDuplicated(names[[1L]])) {
    ids <- unique(names[[1L]][duplicated(names[[1L]])])
    abort_kinship_duplicated(group, arg, ids, call)
  }
}

# Averages differences of up to 1e-8 of the largest value; larger ones are an error.
symmetrise <- function(K, worst, group, arg, call) {
  if (worst$difference > 1e-8 * worst$largest) {
    i <- worst$row
    j <- worst$column
    values <- c(K[[i, j]], K[[j, i]])
    abort_kinship_asymmetric(group, arg, rownames(K)[c(i, j)], values, call)
  }
  if (worst$difference == 0) return(K)
  K <- plain_matrix(K)
  (K + t(K)) / 2
}

# R with R'R = K, K positive semi-definite of any rank: R'z has the covariance K.
kernel_root <- function(K) {
  # the warning is that of a rank below the order
  R <- suppressWarnings(chol(unname(K), pivot = TRUE))
  pivot <- attr(R, "pivot")
  R[seq_len(nrow(R)) > attr(R, "rank"), ] <- 0
  matrix(R[, order(pivot)], nrow(R))
}
