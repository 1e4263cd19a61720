#' Spectrum of a relationship matrix
#'
#' Computes eigenvalues and eigenvectors once, K = U D U', and keeps them with the ids. The
#' result stands wherever a model takes a relationship matrix.
#'
#' A model with one relationship matrix, `y ~ ... + (1 | id)`, is computed in the basis of
#' its eigenvectors. [lmmfit()] takes it from a `kin_eigen()` where the individuals with
#' records are exactly its ids and have records of the same total weight, one each for
#' example: then K is not decomposed again, for any trait and covariates. The fit is the
#' same as with K, up to rounding. Where some individuals have no record (or other
#' terms are there) the spectrum is that of another matrix, and K is used as if it had been
#' given. Subset first to have the spectrum of those with records:
#' `kin_eigen(K[ids, ids])`.
#'
#' Time grows with n^3 and memory is 8 n^2 bytes for the eigenvectors, beside K. Eigenvalues
#' of either sign below 1e-10 of the largest are set to zero.
#'
#' @param K A relationship matrix, see [as_kinship()].
#' @param x A result of `kin_eigen()`.
#' @param ... Passed on to [graphics::plot.default()].
#' @return An object of class `"kin_eigen"`, a list of `ids`, `values` (decreasing),
#'   `vectors` (n x n, one column for each value) and `K`. `as_kinship()` gives K back,
#'   `plot()` shows the eigenvalues and the share of their sum.
#' @section Errors: `kinlmm_error_kinship_psd` if an eigenvalue is below -1e-8 of the largest
#'   (see [kin_repair()]); those of [as_kinship()].
#' @references Kang HM et al. (2008). Efficient control of population structure in model
#'   organism association mapping. *Genetics* 178, 1709-1723.
#'   \doi{10.1534/genetics.107.080101}
#'
#'   Lippert C et al. (2011). FaST linear mixed models for genome-wide association studies.
#'   *Nature Methods* 8, 833-835. \doi{10.1038/nmeth.1681}
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' pheno <- read.csv(system.file("extdata", "mouse_pheno.csv", package = "kinlmm"))
#' pheno <- pheno[!is.na(pheno$cd8), ]
#' K <- grm(geno)
#' E <- kin_eigen(K[pheno$id, pheno$id])
#' E
#' fit <- lmmfit(cd8 ~ 1 + (1 | id), pheno, kinship = list(id = E))
#' heritability(fit)
#' plot(E)
#' @export
kin_eigen <- function(K) {
  call <- rlang::current_env()
  if (inherits(K, "kin_eigen")) return(K)
  note <- attr(K, "grm")
  K <- new_kinship(plain_matrix(valid_kernel(K, NULL, "K", call)), note)
  if (nrow(K) == 0L) abort_argument("K", "a matrix of at least one id", describe(K), call)
  spectrum <- kernel_spectrum(K, call)
  check_spectrum(spectrum$values, NULL, call)
  new_kin_eigen(without_rounding(spectrum$values), spectrum$vectors, rownames(K), K)
}

# values: decreasing; vectors: n x n; K: the matrix itself, if it is at hand.
new_kin_eigen <- function(values, vectors, ids, K = NULL) {
  structure(list(ids = ids, values = values, vectors = vectors, K = K),
            class = "kin_eigen")
}

# Eigenvalues, decreasing, and eigenvectors.
kernel_spectrum <- function(K, call) {
  basis <- check_core(cpp_tridiagonalise(K), call = call)
  found <- tridiagonal_spectrum(basis)
  decreasing <- rev(seq_along(found$d))
  list(values = found$d[decreasing], vectors = found$U[, decreasing, drop = FALSE])
}

check_spectrum <- function(values, group, call) {
  largest <- max(values, 0)
  negative <- sum(values < -1e-8 * largest)
  if (largest == 0 || negative > 0) {
    abort_kinship_psd(min(values), largest, negative, group, call)
  }
}

# K = U D U'
eigen_kernel <- function(E) {
  if (!is.null(E$K)) return(E$K)
  K <- tcrossprod(E$vectors * rep(sqrt(pmax(E$values, 0)), each = length(E$ids)))
  dimnames(K) <- list(E$ids, E$ids)
  new_kinship(K)
}

# As check_kinship(), with attribute "spectrum": see given_basis().
check_kin_eigen <- function(E, ids, group, arg, call) {
  check_spectrum(E$values, group, call)
  K <- check_kinship(eigen_kernel(E), ids, group, arg, call)
  attr(K, "spectrum") <- list(ids = rownames(K), values = without_rounding(E$values),
                              vectors = unname(E$vectors))
  K
}

#' @export
dim.kin_eigen <- function(x) dim(x$vectors)

#' @export
dimnames.kin_eigen <- function(x) list(x$ids, x$ids)

#' @export
as.matrix.kin_eigen <- function(x, ...) plain_matrix(eigen_kernel(x))

#' @rdname kin_eigen
#' @export
print.kin_eigen <- function(x, ...) {
  n <- length(x$ids)
  cat("Spectrum of a relationship matrix of ", n_of(n, "id"), "\n", sep = "")
  cat_field("made by", describe_note(attr(x$K, "grm")))
  print_spectrum(x$values)
  total <- sum(x$values)
  first <- sum(utils::head(x$values, 10L)) / total
  if (n > 10L) {
    cat_field("first ten", paste0(formatC(100 * first, 3, format = "fg"), "% of the sum, ",
                                  format(signif(total, 4))))
  }
  cat_field("effective", paste(formatC(total^2 / sum(x$values^2), 4, format = "fg"),
                               "dimensions (square of the sum over sum of squares)"))
  invisible(x)
}

#' @rdname kin_eigen
#' @export
plot.kin_eigen <- function(x, ...) {
  plot_spectrum(x$values, kinship_title(length(x$ids), attr(x$K, "grm")), ...)
  invisible(x)
}
