#' Relatives, and sparse relationship matrices
#'
#' `relatives()` lists the pairs of a relationship matrix that are related by a threshold or
#' more. `sparse_kinship()` keeps these pairs, and the diagonal, and sets all others to zero.
#'
#' In a sample of a population most pairs are hardly related. Setting them to zero leaves
#' families (all that are connected by pairs that are kept), a block each, and a matrix that
#' tells the resemblance of relatives from what is shared through many small effects: the
#' sparse matrix of GCTA (option `--make-bK-sparse`, with the same threshold). The matrix
#' may lose its positive semi-definiteness, since pairs are dropped within families too;
#' that is checked for each family, and refused. `repair = TRUE` multiplies the covariances
#' within such a family by the largest factor that suffices, 1 - w, and leaves its diagonal.
#'
#' @param K A relationship matrix, see [as_kinship()].
#' @param threshold A number: pairs with values of at least that are kept. The default, 0.05,
#'   is the usual one for matrices with a diagonal of about 1; the scale of `"centered"`
#'   matrices is another one.
#' @param repair `TRUE` or `FALSE` (default): whether families that are not positive
#'   semi-definite are changed, or an error.
#' @return `sparse_kinship()`: a symmetric sparse matrix (`dsCMatrix` of package 'Matrix')
#'   with ids, which [lmmfit()] takes as it takes K. A message of class
#'   `kinlmm_message_sparse_kinship` says how many pairs and families are left.
#'
#'   `relatives()`: a data frame of `id1`, `id2` and `value`, largest first.
#' @section Errors: `kinlmm_error_kinship_psd` if a family is not positive semi-definite;
#'   `kinlmm_error_package` without package 'Matrix'; `kinlmm_error_argument`; those of
#'   [as_kinship()].
#' @references Jiang L et al. (2019). A resource-efficient tool for mixed model association
#'   analysis of large-scale data. *Nature Genetics* 51, 1749-1755.
#'   \doi{10.1038/s41588-019-0530-8}
#'
#'   Zaitlen N et al. (2013). Using extended genealogy to estimate components of heritability
#'   for 23 quantitative and dichotomous traits. *PLoS Genetics* 9, e1003520.
#'   \doi{10.1371/journal.pgen.1003520}
#' @examples
#' pedigree <- data.frame(id = c("a", "b", "c", "d", "e"), sire = c(NA, NA, "a", "a", NA),
#'                        dam = c(NA, NA, "b", "b", NA))
#' A <- pedigree_kinship(pedigree)
#' relatives(A, 0.5)
#' if (requireNamespace("Matrix", quietly = TRUE)) sparse_kinship(A)
#' @export
sparse_kinship <- function(K, threshold = 0.05, repair = FALSE) {
  call <- rlang::current_env()
  check_number(threshold)
  check_flag(repair)
  if (!requireNamespace("Matrix", quietly = TRUE)) {
    abort_package("Matrix", "sparse_kinship()", call)
  }
  K <- as_kinship_of(K, call)
  n <- nrow(K)
  kept <- cpp_find_relatives(K, threshold)
  family <- cpp_find_families(n, kept$row, kept$column)
  members <- Filter(function(one) length(one) > 1L, unname(split(seq_len(n), family)))
  weights <- family_weights(K, members, threshold, call)
  bad <- weights$weight > 0
  if (any(bad) && !repair) {
    abort_sparse_kinship(threshold, lengths(members)[bad], weights$smallest[bad], call)
  }
  factor <- rep(1, n)
  for (one in which(bad)) factor[members[[one]]] <- 1 - weights$weight[[one]]
  inform_sparse_kinship(length(kept$value), n * (n - 1) / 2, lengths(members), n, threshold,
                        weights$weight[bad])
  Matrix::sparseMatrix(i = c(seq_len(n), kept$row), j = c(seq_len(n), kept$column),
                       x = c(diag(K), kept$value * factor[kept$row]), dims = c(n, n),
                       symmetric = TRUE, dimnames = rep(list(rownames(K)), 2L))
}

# By how much the covariances within each family, of places `members`, must be lowered, and
# the smallest eigenvalues of those where they must.
family_weights <- function(K, members, threshold, call) {
  variance <- diag(K)
  if (any(variance < 0)) {
    bad <- which(variance < 0)
    abort_kinship_diagonal(rownames(K)[bad], variance[bad], NULL, "K", call)
  }
  K <- plain_matrix(K)
  found <- vapply(members, function(at) {
    block <- unname(K[at, at])
    block[block < threshold & row(block) != col(block)] <- 0
    lowered(block)
  }, c(weight = 0, smallest = 0))
  list(weight = found["weight", ], smallest = found["smallest", ])
}

# The smallest w for which `block` with all but its diagonal times 1 - w is positive
# semi-definite. Elements with a variance of zero cannot have covariances.
lowered <- function(block) {
  good <- c(weight = 0, smallest = 0)
  size <- max(diag(block))
  shifted <- block
  diag(shifted) <- diag(block) + 1e-9 * size
  if (!inherits(try(chol(shifted), silent = TRUE), "try-error")) return(good)
  values <- kernel_values(block)
  smallest <- min(values)
  if (smallest >= -1e-9 * values[[1L]]) return(good)
  sd <- sqrt(diag(block))
  if (any(sd == 0)) return(c(weight = 1, smallest = smallest))
  least <- min(kernel_values(block / tcrossprod(sd)))
  # (1 - w) C + w I of the correlations C has (1 - w) least + w
  c(weight = min(1, -least / (1 - least) * (1 + 1e-10)), smallest = smallest)
}

#' @rdname sparse_kinship
#' @export
relatives <- function(K, threshold = 0.05) {
  check_number(threshold)
  call <- rlang::current_env()
  if (inherits(K, "sparseMatrix")) return(sparse_relatives(K, threshold, call))
  K <- as_kinship_of(K, call)
  found <- cpp_find_relatives(K, threshold)
  relatives_table(rownames(K), found$column, found$row, found$value)
}

sparse_relatives <- function(K, threshold, call) {
  check_kinship_names(K, NULL, "K", call)
  at <- methods::as(methods::as(methods::as(K, "generalMatrix"), "CsparseMatrix"),
                    "TsparseMatrix")
  keep <- at@i > at@j & at@x >= threshold
  relatives_table(rownames(K), at@j[keep] + 1L, at@i[keep] + 1L, at@x[keep])
}

relatives_table <- function(ids, i, j, value) {
  order <- order(-value, i, j)
  data.frame(id1 = ids[i[order]], id2 = ids[j[order]], value = value[order])
}
