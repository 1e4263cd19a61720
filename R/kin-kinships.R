#' Lists of relationship matrices
#'
#' What [grm()] returns for groups of SNPs, or for all chromosomes but one: a named list of
#' relationship matrices of the same samples.
#'
#' @param x An object of class `kinships`.
#' @param i Names or numbers of matrices to keep, for `x[[i]]` of one.
#' @param ... Not used.
#' @param row.names,optional Not used.
#'
#' @return
#' `x[i]`: an object of class `kinships`; `x[[i]]` and `x$name` are single matrices of class
#' `kinship`. `as.list(x)`: a plain list of these.
#'
#' `as.data.frame(x)`: a row for each matrix with its `name` (of the group, or of the
#' chromosome left out), the number of its SNPs `m` and the mean of its diagonal,
#' `mean_diagonal`.
#'
#' `print(x)`: `x`, invisibly.
#' @section Errors:
#' `kinlmm_error_kinships_names` for names that are not there, which are in `unknown`, and
#' `kinlmm_error_argument` for other indices (both below `kinlmm_error_input`).
#' @seealso [grm()]
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' K <- grm(geno[1:100, geno$map$chr %in% c("1", "2", "X")], by = "chr")
#' K
#' dim(K[["1"]])
#' @name kinships
NULL

# K: a named list of matrices of class kinship, of the same samples; by: "chr", "loco"
# (names are chromosomes left out) or "group".
new_kinships <- function(K, by) structure(K, by = by, class = "kinships")

#' @rdname kinships
#' @export
`[.kinships` <- function(x, i) {
  if (missing(i)) return(x)
  call <- rlang::current_env()
  names <- names(x)
  if (is.factor(i)) i <- as.character(i)
  if (is.character(i) && !all(i %in% names)) {
    abort_kinships_names(setdiff(i, names), names, call)
  }
  if (!is.atomic(i) || anyNA(stats::setNames(seq_along(names), names)[i])) {
    abort_argument("i", paste0("names or numbers of the ", length(names), " matrices"),
                   describe(i), call)
  }
  new_kinships(as.list(x)[i], attr(x, "by"))
}

#' @rdname kinships
#' @export
`[[.kinships` <- function(x, i) {
  one <- x[i]
  if (length(one) != 1L) {
    abort_argument("i", "one name or number", describe(i), rlang::current_env())
  }
  as.list(one)[[1L]]
}

# A list would take "10" for "1" if there were no "1", and NULL for what is not there, by
# which a model would have no relationship matrix.
#' @export
`$.kinships` <- function(x, name) x[[name]]

#' @rdname kinships
#' @export
as.list.kinships <- function(x, ...) {
  attr(x, "by") <- NULL
  unclass(x)
}

#' @rdname kinships
#' @export
as.data.frame.kinships <- function(x, row.names = NULL, optional = FALSE, ...) {
  x <- as.list(x)
  m <- vapply(x, function(K) c(attr(K, "grm")[["m"]], NA_real_)[[1L]], 0)
  mean_diagonal <- vapply(x, function(K) mean(diag(K)), 0)
  data.frame(name = as.character(names(x)), m = unname(m),
             mean_diagonal = unname(mean_diagonal))
}

#' @rdname kinships
#' @export
print.kinships <- function(x, ...) {
  what <- switch(attr(x, "by"), loco = ", each without one chromosome",
                 chr = ", one for each chromosome", ", one for each group of SNPs")
  n <- if (length(x) > 0L) nrow(x[[1L]]) else 0L
  cat("Relationship matrices: ", length(x), " of ", n_of(n, "individual"), what, "\n",
      sep = "")
  if (length(x) == 0L) return(invisible(x))
  note <- attr(x[[1L]], "grm")
  cat("Method:                ", note$method, ", ", missing_rule(note),
      if (isTRUE(note$weighted)) ", SNPs weighted", "\n\n", sep = "")
  table <- as.data.frame(x)
  table$m <- count(table$m)
  table$mean_diagonal <- format(table$mean_diagonal, digits = 4L)
  names(table) <- c(switch(attr(x, "by"), loco = "without", chr = "chr", "group"), "SNPs",
                    "mean diagonal")
  print(table, row.names = FALSE, right = TRUE)
  invisible(x)
}

missing_rule <- function(note) {
  if (isTRUE(note$pairwise)) return("missing genotypes left out pair by pair")
  "missing genotypes replaced by the mean"
}
