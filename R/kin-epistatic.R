#' Relationship matrix of epistatic effects
#'
#' The elementwise (Hadamard) product of two relationship matrices: the covariance of
#' interactions of all pairs of loci between the effects of the one and those of the other.
#' The product of an additive matrix with itself is additive x additive, with one of
#' dominance additive x dominance, and so on; further products give higher orders.
#'
#' The product counts pairs of a locus with itself, too, whose share is of the order of one
#' in the number of independent loci. The variance components are orthogonal, and add up to
#' the genetic variance, under linkage equilibrium, and where the matrices are (see
#' `"vitezica"` in [grm()]).
#'
#' @param K,L Relationship matrices with ids as row and column names, as from [grm()] or
#'   [pedigree_kinship()]. `L`, by default `K`, is matched by id and must hold every id
#'   of `K`; its other ids are left out.
#' @param scale `TRUE` (the default) to divide by the mean of the diagonal, as Vitezica et
#'   al. (2017) do, so that variances compare with those of other matrices with a mean
#'   diagonal of 1.
#'
#' @return A symmetric matrix of class `kinship` with the ids of `K`.
#'
#' @section Errors:
#' `kinlmm_error_kinship_ids` if `L` lacks ids of `K`; `kinlmm_error_argument` if the diagonal
#' of the product has no positive mean; those of [as_kinship()] for what is no relationship
#' matrix (all below `kinlmm_error_input`).
#'
#' @references
#' Henderson CR (1985). Best linear unbiased prediction of nonadditive genetic merits in
#' noninbred populations. *Journal of Animal Science* 60, 111-117.
#' \doi{10.2527/jas1985.601111x}
#'
#' Vitezica ZG, Legarra A, Toro MA, Varona L (2017). Orthogonal estimates of variances for
#' additive, dominance, and epistatic effects in populations. *Genetics* 206, 1297-1307.
#' \doi{10.1534/genetics.116.199406}
#' @seealso [grm()]
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' A <- grm(geno[1:100, ], "vanraden1")
#' D <- grm(geno[1:100, ], "vitezica")
#' AA <- epistatic(A)
#' AD <- epistatic(A, D)
#' AD[1:3, 1:3]
#' @export
epistatic <- function(K, L = K, scale = TRUE) {
  call <- rlang::current_env()
  check_flag(scale)
  K <- plain_matrix(valid_kernel(K, NULL, "K", call))
  L <- if (missing(L)) K else plain_matrix(valid_kernel(L, NULL, "L", call))
  ids <- rownames(K)
  if (!identical(rownames(L), ids)) {
    at <- match(ids, rownames(L))
    if (anyNA(at)) abort_epistatic_ids(ids[is.na(at)], length(ids), call)
    L <- L[at, at, drop = FALSE]
  }
  out <- K * L
  if (scale) {
    mean <- mean(diag(out))
    if (!isTRUE(mean > 0)) {
      abort_argument("scale", "FALSE if the diagonal of the product has no positive mean",
                     paste("TRUE, and the mean is", format(mean)), call)
    }
    out <- out / mean
  }
  new_kinship(out)
}
