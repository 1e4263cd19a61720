#' A relationship matrix by its inverse
#'
#' Marks a matrix as the inverse of a relationship matrix, the form in which pedigree
#' programs give it (A^-1, sparse). The result stands wherever [lmmfit()] takes a
#' relationship matrix.
#'
#' A sparse Q (of package 'Matrix', with at most a quarter of its elements stored) stays so
#' in [lmmfit()] where all terms are random intercepts and every one with a kernel has
#' such a Q; i.i.d. terms may stand beside. Everything is then computed from the sparse
#' mixed-model equations and from what of their inverse is on the pattern of their
#' Cholesky factor: the fit is the same, and so are the prediction error variances of all
#' ids. A pedigree of 100,000 animals takes seconds. What needs the relationship matrix
#' itself ([gwas()], a [variance_test()] by the exact distribution, and the like)
#' forms it for up to 5,000 ids, and is an error for more.
#'
#' In all other models the inverse is formed as a dense q x q matrix for all q ids of Q, once
#' for each fit, by Cholesky: q^3 operations and a few times 8 q^2 bytes, so that about
#' 10,000 ids are a sensible limit; of a sparse Q it is one.
#'
#' @param Q (`matrix` or a matrix of package 'Matrix', q x q) symmetric and positive
#'   definite, with ids as row and column names, the same on both sides.
#' @return An object of class `kinlmm_precision`. Whether Q is a precision matrix, and
#'   whether it holds every level, is checked when it is used: values that are missing, not
#'   symmetric or not positive definite are errors that name the grouping factor.
#' @references Henderson CR (1976). A simple method for computing the inverse of a numerator
#' relationship matrix used in prediction of breeding values. Biometrics 32, 69-83.
#' \doi{10.2307/2529339}
#' @examples
#' # two unrelated parents, a and b, and their children c and d
#' Ainv <- rbind(a = c(2, 1, -1, -1), b = c(1, 2, -1, -1),
#'               c = c(-1, -1, 2, 0), d = c(-1, -1, 0, 2))
#' colnames(Ainv) <- rownames(Ainv)
#' set.seed(1)
#' data <- data.frame(id = rep(c("a", "b", "c", "d"), 5), y = rnorm(20) + rep(rnorm(4), 5))
#' fit <- lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = precision(Ainv)))
#' blup(fit)
#' @export
precision <- function(Q) {
  call <- rlang::current_env()
  if (missing(Q)) abort_argument("Q", "given", "missing", call)
  if (length(dim(Q)) != 2L || is.data.frame(Q)) {
    abort_argument("Q", "a matrix", describe(Q), call)
  }
  structure(list(Q = Q), class = "kinlmm_precision")
}

#' @export
dim.kinlmm_precision <- function(x) dim(x$Q)

#' @export
dimnames.kinlmm_precision <- function(x) dimnames(x$Q)

#' @export
print.kinlmm_precision <- function(x, ...) {
  cat("Inverse of a relationship matrix of", paste0(n_of(nrow(x), "id"), "\n"))
  invisible(x)
}

# The relationship matrix of a precision matrix that check_kinship() has found good.
invert_precision <- function(Q, group, arg, call) {
  R <- tryCatch(chol(Q), error = function(e) NULL)
  # a pivot is what the ids before leave of an element of the diagonal
  if (is.null(R) || any(diag(R)^2 <= 1e-13 * diag(Q))) abort_precision(group, arg, call)
  structure(chol2inv(R), dimnames = dimnames(Q))
}

# Sparse precision matrices ----
# An object of class c("sparse_kernel", "kinlmm_precision") stands for K = Q^-1 where a term
# has its kernel: Q is a dsCMatrix (lower triangle), `logdet` log|Q|, and `diagonal` that of
# K. What asks for elements of K gets them by solving, within limits.

most_dense_ids <- 10000L
most_solved_ids <- 5000L

# check_kinship() that leaves a sparse precision matrix what it is.
check_sparse_kinship <- function(K, ids, group, arg, call) {
  sparse <- inherits(K, "kinlmm_precision") && inherits(K$Q, "sparseMatrix") &&
    length(dim(K$Q)) == 2L && requireNamespace("Matrix", quietly = TRUE) &&
    Matrix::nnzero(K$Q, na.counted = TRUE) <= 0.25 * as.double(nrow(K$Q)) * ncol(K$Q)
  if (!sparse) return(check_kinship(K, ids, group, arg, call))
  # not as an argument: methods of package 'Matrix' would wrap its errors
  Q <- symmetric_sparse(K$Q, ids, group, arg, call)
  sparse_kernel(Q, group, arg, call)
}

# A matrix of package 'Matrix' as a dsCMatrix of its lower triangle: square, finite,
# symmetric, with unique ids and a row for every one of `ids`.
symmetric_sparse <- function(Q, ids, group, arg, call) {
  if (nrow(Q) != ncol(Q)) abort_argument(arg, "a square matrix", describe(Q), call)
  check_kinship_names(Q, group, arg, call)
  names <- plain_numbers(rownames(Q), ids)
  lost <- setdiff(as.character(ids), names)
  if (length(lost) > 0L) abort_kinship_ids(group, arg, lost, ids, names, call)
  known <- inherits(Q, "symmetricMatrix")
  if (!known) Q <- methods::as(Q, "generalMatrix")
  Q <- methods::as(methods::as(Q, "CsparseMatrix"), "dMatrix")
  if (any(!is.finite(Q@x))) {
    at <- Q@i[!is.finite(Q@x)] + 1L
    abort_kinship_na(group, arg, length(at), names[unique(at)], call)
  }
  if (!known) {
    gap <- abs(Q - Matrix::t(Q))
    if (length(gap@x) > 0L && max(gap@x) > 1e-8 * max(abs(Q@x))) {
      worst <- Matrix::which(gap == max(gap@x), arr.ind = TRUE)[1L, ]
      values <- c(Q[worst[[1L]], worst[[2L]]], Q[worst[[2L]], worst[[1L]]])
      abort_kinship_asymmetric(group, arg, names[worst], values, call)
    }
    Q <- (Q + Matrix::t(Q)) / 2
  }
  Q <- Matrix::forceSymmetric(Q, uplo = "L")
  dimnames(Q) <- list(names, names)
  Q
}

sparse_kernel <- function(Q, group, arg, call) {
  # a diagonal that is not all there is not positive
  facts <- if (all(Matrix::diag(Q) > 0)) check_core(cpp_precision_facts(sparse_slots(Q)))
  if (is.null(facts) || facts$weakest <= 1e-13) abort_precision(group, arg, call)
  structure(list(Q = Q, logdet = facts$logdet, diagonal = facts$diagonal),
            class = c("sparse_kernel", "kinlmm_precision"))
}

sparse_slots <- function(Q) list(p = Q@p, i = Q@i, x = Q@x)

# Terms as they are where the sparse equations can take them; with dense kernels otherwise.
settle_kernels <- function(random, call) {
  sparse <- has_sparse_kernel(random)
  dense <- !vapply(random, function(term) is.null(term$kernel), NA) & !sparse
  intercepts <- vapply(random, function(term) identical(term$columns, "(Intercept)"), NA)
  if (!any(sparse) || (!any(dense) && all(intercepts))) return(random)
  with_dense_kernels(random, most_dense_ids, "this model", call)
}

has_sparse_kernel <- function(random) {
  vapply(random, function(term) inherits(term$kernel, "sparse_kernel"), NA)
}

with_dense_kernels <- function(random, most, what, call) {
  for (t in which(has_sparse_kernel(random))) {
    kernel <- random[[t]]$kernel
    if (nrow(kernel) > most) {
      abort_sparse_kernel(random[[t]]$group, nrow(kernel), most, what, call)
    }
    K <- invert_precision(as.matrix(kernel$Q), random[[t]]$group, "kinship", call)
    random[[t]]$kernel <- K
  }
  random
}

# The same fit with dense kernels, for what needs them.
with_dense_engine <- function(fit, what, call) {
  if (!inherits(fit, "lmmfit") || !any(has_sparse_kernel(fit$random))) return(fit)
  fit$random <- with_dense_kernels(fit$random, most_solved_ids, what, call)
  fit$engine <- choose_engine(fit_frame(fit), fit$fixed, fit$random, call)
  start <- unname(fit$theta)
  at_optimum(fit, engine_optimise(fit$engine, fit$REML, fit$control, start), fit$REML)
}

# K[i, j], dense.
#' @export
`[.sparse_kernel` <- function(x, i, j, ..., drop = TRUE) {
  rows <- kernel_places(x, i)
  columns <- kernel_places(x, j)
  own <- unique(columns)
  if (max(length(own), length(rows)) > most_solved_ids) {
    abort_sparse_kernel(NULL, max(length(own), length(rows)), most_solved_ids,
                        "this computation", rlang::caller_env())
  }
  K <- kernel_times(x, list(places = own))[rows, match(columns, own), drop = FALSE]
  names <- rownames(x$Q)
  dimnames(K) <- list(names[rows], names[columns])
  if (drop) drop(K) else K
}

kernel_places <- function(x, i) {
  all <- seq_len(nrow(x$Q))
  if (is.character(i)) match(i, rownames(x$Q)) else all[i]
}

#' @export
as.matrix.sparse_kernel <- function(x, ...) {
  all <- seq_len(nrow(x))
  x[all, all, drop = FALSE]
}

# K B; B a matrix, or `places` of ones in its columns.
kernel_times <- function(x, B) {
  if (is.list(B)) {
    ones <- matrix(0, nrow(x$Q), length(B$places))
    ones[cbind(B$places, seq_along(B$places))] <- 1
    B <- ones
  }
  check_core(cpp_precision_solve(sparse_slots(x$Q), B, FALSE))[[1L]]
}

# Mean of K among some ids.
kernel_mean <- function(K, ids) {
  if (!inherits(K, "sparse_kernel")) return(mean(K[ids, ids]))
  at <- match(ids, rownames(K))
  ones <- matrix(replace(numeric(nrow(K)), at, 1))
  sum(kernel_times(K, ones)[at]) / length(at)^2
}
