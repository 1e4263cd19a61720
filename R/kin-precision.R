#' A relationship matrix by its inverse
#'
#' Marks a matrix as the inverse of a relationship matrix, the form in which pedigree
#' programs give it (A^-1, sparse). The result stands wherever [lmmfit()] takes a
#' relationship matrix.
#'
#' The inverse is formed as a dense q x q matrix for all q ids of Q, once for each fit, by
#' Cholesky: q^3 operations and a few times 8 q^2 bytes, so that about 10,000 ids
#' are a sensible limit.
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
  if (length(dim(Q)) != 2L) {
    abort_argument("Q", "a matrix", describe(Q), rlang::current_env())
  }
  structure(list(Q = Q), class = "kinlmm_precision")
}

#' @export
dim.kinlmm_precision <- function(x) dim(x$Q)

#' @export
print.kinlmm_precision <- function(x, ...) {
  cat("Inverse of a relationship matrix of", n_of(nrow(x), "id"), "\n")
  invisible(x)
}

# The relationship matrix of a precision matrix that check_kinship() has found good.
invert_precision <- function(Q, group, arg, call) {
  R <- tryCatch(chol(Q), error = function(e) NULL)
  # a pivot is what the ids before leave of an element of the diagonal
  if (is.null(R) || any(diag(R)^2 <= 1e-13 * diag(Q))) abort_precision(group, arg, call)
  structure(chol2inv(R), dimnames = dimnames(Q))
}
