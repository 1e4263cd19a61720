#' A relationship matrix without negative eigenvalues
#'
#' Relationship matrices from pairwise-complete genotypes, from averages of several sources,
#' or rounded ones may have negative eigenvalues, and no model can have them as covariances.
#' kinlmm refuses such a matrix. `kin_repair()` changes it, only where asked, and says by how
#' much.
#'
#' `"clip"` raises the eigenvalues that are too small, and leaves the others and all
#' eigenvectors: of all matrices whose eigenvalues reach the limit that is the nearest to K,
#' by the sum of squared differences of the elements (Higham 1988). `"blend"` gives (1 - w) K + w c I, with c the
#' mean diagonal of K: all relationships are lowered by the same factor, the diagonal moves
#' towards its mean, and all eigenvalues become positive with a w that is large enough. It
#' is the usual way to make a genomic relationship matrix invertible, with a w of 0.01 to
#' 0.05.
#'
#' @param K A relationship matrix, see [as_kinship()].
#' @param method A string: `"clip"` (default) or `"blend"`.
#' @param tolerance A number from 0 to 1: the smallest eigenvalue that K is to have, over the
#'   largest of K. The default, 0, makes K positive semi-definite, up to rounding; 1e-6, for
#'   example, positive definite. A K whose eigenvalues are not below that (by more than
#'   1e-10 of the largest, which is rounding) is returned as it is.
#' @param weight A number from 0 to 1, the w of `"blend"`: `NULL` (default) takes the
#'   smallest that suffices, none if K is good. A number that is given is used in any
#'   case.
#' @return A matrix of class `"kinship"`. A message of class `kinlmm_message_kin_repair` says
#'   what was changed.
#' @section Errors: `kinlmm_error_kin_repair` if `weight` is too small;
#'   `kinlmm_error_argument`, also for a K whose diagonal has no positive mean; those of
#'   [as_kinship()].
#' @references Higham NJ (1988). Computing a nearest symmetric positive semidefinite matrix.
#'   *Linear Algebra and its Applications* 103, 103-118.
#'   \doi{10.1016/0024-3795(88)90223-6}
#'
#'   VanRaden PM (2008). Efficient methods to compute genomic predictions. *Journal of Dairy
#'   Science* 91, 4414-4423. \doi{10.3168/jds.2007-0980}
#' @seealso [kin_eigen()].
#' @examples
#' K <- as_kinship(rbind(c(1, 0.9, 0.2), c(0.9, 1, 0.9), c(0.2, 0.9, 1)), c("a", "b", "c"))
#' kin_repair(K)
#' kin_repair(K, "blend")
#' @export
kin_repair <- function(K, method = c("clip", "blend"), tolerance = 0, weight = NULL) {
  call <- rlang::current_env()
  method <- check_choice(method, c("clip", "blend"))
  check_number(tolerance, 0, 1)
  if (!is.null(weight)) {
    if (method == "clip") {
      abort_argument("weight", "NULL with \"clip\"", describe(weight), call)
    }
    check_number(weight, 0, 1)
  }
  K <- as_kinship_of(K, call)
  center <- mean(diag(K))
  if (!isTRUE(center > 0)) {
    abort_argument("K", "a matrix whose mean diagonal is positive",
                   paste("one with", format(center)), call)
  }
  spectrum <- if (method == "clip") kernel_spectrum(K, call) else
    list(values = kernel_values(K))
  values <- spectrum$values
  limit <- tolerance * values[[1L]]
  bad <- values < limit - 1e-10 * values[[1L]]
  if (!any(bad) && is.null(weight)) {
    inform_kin_good(min(values), values[[1L]])
    return(K)
  }
  out <- if (method == "clip") clip_kernel(K, spectrum, bad, limit) else
    blend_kernel(K, values, limit, weight, center, call)
  report_repair(K, out, values, bad, limit)
  out$K
}

as_kinship_of <- function(K, call) {
  if (inherits(K, "kin_eigen")) K <- eigen_kernel(K)
  if (inherits(K, "kinship")) return(K)
  new_kinship(plain_matrix(valid_kernel(K, NULL, "K", call)))
}

# K and `how`, in words, here and below.
clip_kernel <- function(K, spectrum, bad, limit) {
  U <- spectrum$vectors[, bad, drop = FALSE]
  raised <- tcrossprod(U * rep(sqrt(limit - spectrum$values[bad]), each = nrow(U)))
  values <- plain_matrix(K) + raised
  dimnames(values) <- dimnames(K)
  list(K = new_kinship(values),
       how = if (limit == 0) "set to 0" else paste("raised to", format(limit, digits = 3)))
}

blend_kernel <- function(K, values, limit, weight, center, call) {
  smallest <- min(values)
  needed <- max(0, (limit - smallest) / (center - smallest))
  # of rounding there may be as much again
  needed <- min(1, needed * (1 + 1e-12))
  if (is.null(weight)) weight <- needed
  if (weight < needed * (1 - 1e-6)) {
    abort_kin_repair(weight, (1 - weight) * smallest + weight * center, needed, call)
  }
  out <- (1 - weight) * plain_matrix(K)
  diag(out) <- diag(out) + weight * center
  list(K = new_kinship(out),
       how = paste0("blended, ", format(signif(1 - weight, 4)), " K + ",
                    format(signif(weight, 4)), " x ", format(center, digits = 4), " I"))
}

report_repair <- function(K, out, values, bad, limit) {
  change <- abs(plain_matrix(out$K) - plain_matrix(K))
  at <- arrayInd(which.max(change), dim(change))
  inform_kin_repair(list(n = sum(bad), min = min(values), max = values[[1L]], limit = limit),
                    out$how, max(change), unique(rownames(K)[at]),
                    c(mean(diag(K)), mean(diag(out$K))))
}
