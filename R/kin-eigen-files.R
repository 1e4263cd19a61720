#' Eigendecompositions in the files of GEMMA
#'
#' Reads and writes what `gemma -eigen` does: a file of eigenvalues, one a line, and a file
#' of eigenvectors, whose rows are the samples. Numbers are written such that the same come
#' back; GEMMA itself prints ten digits.
#'
#' GEMMA decomposes the relationship matrix of the samples that have a phenotype, after
#' centring it, and sets eigenvalues below 1e-10 to zero. Its eigenvalues increase; those
#' of the result decrease, and are written increasing.
#'
#' @param d,u Strings: the paths of the eigenvalues (`.eigenD.txt`) and of the
#'   eigenvectors (`.eigenU.txt`).
#' @param ids Ids of the samples in the order of the rows of `u`: a vector, genotypes from
#'   [read_bed()], or the path of a `.fam`. The files hold none.
#' @param E An object of class `kin_eigen`.
#' @param prefix A string: the path that the two files have in common.
#'
#' @return `read_eigen()`: an object of class `kin_eigen`: a list of `ids`, `values`
#'   (decreasing) and `vectors` (samples x vectors, with the ids as row names).
#'   `write_eigen()`: `prefix`, invisibly.
#'
#' @section Errors:
#' `kinlmm_error_kinship_missing`, `_kinship_file` (also if the vectors are not orthogonal
#' or not of length one, up to 1e-6) and `_kinship_write`, all below `kinlmm_error_file`;
#' `kinlmm_error_argument`.
#'
#' @references
#' Zhou X, Stephens M (2012). Genome-wide efficient mixed-model analysis for association
#' studies. *Nature Genetics* 44, 821-824. \doi{10.1038/ng.2310}
#'
#' @seealso [read_kinship()].
#' @examples
#' prefix <- tempfile("example")
#' writeLines(c("0.5", "1.5"), paste0(prefix, ".eigenD.txt"))
#' writeLines(c("0.6\t0.8", "-0.8\t0.6"), paste0(prefix, ".eigenU.txt"))
#' E <- read_eigen(paste0(prefix, ".eigenD.txt"), paste0(prefix, ".eigenU.txt"),
#'                 ids = c("a", "b"))
#' E$values
#' write_eigen(E, prefix)
#' @export
read_eigen <- function(d, u, ids) {
  call <- rlang::current_env()
  check_string(d)
  check_string(u)
  if (missing(ids)) abort_kin_ids(u, "gemma", call)
  ids <- given_ids(ids, call)
  n <- length(ids)
  matrix_of <- function(path, columns) {
    path <- path.expand(path)
    if (!file.exists(path) || dir.exists(path)) {
      abort_kin_missing(path, files_with_prefix(path), call)
    }
    read_through(path, n, FALSE, function(pull, tick) {
      cpp_text_matrix_read(pull, n, columns, FALSE, tick)
    }, ids, call)$K
  }
  values <- drop(matrix_of(d, 1))
  vectors <- matrix_of(u, n)
  check_orthonormal(vectors, u, call)
  down <- order(values, decreasing = TRUE)
  new_kin_eigen(values[down], vectors[, down, drop = FALSE], ids)
}

#' @rdname read_eigen
#' @export
write_eigen <- function(E, prefix) {
  call <- rlang::current_env()
  if (!inherits(E, "kin_eigen")) {
    abort_argument("E", "an eigendecomposition, of class kin_eigen", describe(E), call)
  }
  prefix <- path.expand(check_string(prefix))
  up <- order(E$values)
  write <- list(
    .eigenD.txt = function(push, tick) {
      cpp_text_matrix_write(as.matrix(E$values[up]), FALSE, push, tick)
    },
    .eigenU.txt = function(push, tick) {
      cpp_text_matrix_write(unname(E$vectors)[, up, drop = FALSE], FALSE, push, tick)
    }
  )
  write_parts(prefix, write, length(E$ids), call)
  invisible(prefix)
}

# Any vector keeps its length under U' if U is orthogonal; all products would
# take n^3.
check_orthonormal <- function(U, path, call) {
  probe <- cos(seq_len(nrow(U))^2)
  lengths <- c(sqrt(colSums(U^2)),
               sqrt(sum(drop(crossprod(U, probe))^2) / sum(probe^2)))
  worst <- lengths[[which.max(abs(lengths - 1))]]
  if (abs(worst - 1) > 1e-6) abort_eigen_vectors(path, worst, call)
}
