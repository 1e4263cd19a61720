#' Relationship and inbreeding from a pedigree
#'
#' `pedigree_kinship()` gives the numerator relationship matrix A of a pedigree, or its
#' sparse inverse; `inbreeding()` the inbreeding coefficients, F_i = A_ii - 1.
#'
#' A_ij is twice the probability that an allele of i and one of j, taken at random, descend
#' from one and the same allele of the founders; animals without known parents are
#' unrelated and not inbred. A is filled by the tabular method, n^2 operations and 8 n^2
#' bytes. Its inverse is built animal by animal by Henderson's rules, with the inbreeding
#' of the parents; it has at most 7 n elements that are not zero, and takes seconds for a
#' million animals.
#'
#' With `type = "dominance"` the matrix is that of dominance deviations: two animals with
#' parents s, d and s', d' share both alleles with probability
#' D_ij = (A_ss' A_dd' + A_sd' A_ds') / 4, and D_ii = 1; animals of which a parent is not
#' known share them with none. This **ignores inbreeding** (Lynch and Walsh 1998, Mrode
#' 2014): inbred animals have dominance variances, means and covariances with additive
#' values that no single matrix holds. Where [inbreeding()] is not 0, D is an approximation
#' and need not be positive semi-definite.
#'
#' Inbreeding coefficients are half of the relationship of the parents. They come from
#' columns of A on the ancestors concerned (Colleau 2002), one for each parent on the side
#' of which there are fewer, which serves all of its mates (as in Sargolzaei et al. 2005),
#' eight at a time. The results are those of Meuwissen and Luo (1992), whose algorithm
#' visits the ancestors of every animal anew. Time is in proportion to these parents times
#' their ancestors: seconds for a million animals with 10,000 sires, but seconds for 100,000
#' and many minutes for a million where sires and dams alike have two progeny each for dozens
#' of generations.
#'
#' @param pedigree A data frame with a row per animal, in any order, and columns `id`,
#'   `sire` and `dam` (ids, of any type). Unknown parents are `NA`, `""` or 0. Parents
#'   without a row of their own are added as founders. Other columns are not looked at.
#' @param inverse `TRUE` for the inverse of A, which needs the package 'Matrix'. The
#'   default, `FALSE`, is A itself.
#' @param type A string: `"additive"` (the default) for A, or `"dominance"` for D, of which
#'   there is no sparse inverse.
#' @param hermaphrodites `TRUE` if an individual may be a sire and a dam, also of the same
#'   progeny (selfing), as in plants. The default, `FALSE`, makes it an error, since in
#'   animals it is a mistake.
#'
#' @return
#' `pedigree_kinship()`: a symmetric matrix of class `kinship`, ids as row and column names:
#' first the
#' parents that were added, in the order in which they appear, then the rows of `pedigree`
#' as they are. With `inverse = TRUE` it is a sparse `"dsCMatrix"`, which [precision()]
#' takes.
#'
#' `inbreeding()`: a numeric vector of a value from 0 to 1 per row of `pedigree`, named by
#' id.
#'
#' @section Errors:
#' All below `kinlmm_error_input`: `kinlmm_error_pedigree_columns` (a column is missing),
#' `_pedigree_ids` (ids that are missing or repeated), `_pedigree_sexes` (an animal is a
#' sire and a dam, in one row or in several, without `hermaphrodites`), `_pedigree_loop`
#' (an animal is its own ancestor; the error prints the loop and holds `ids`).
#' `kinlmm_error_package` if 'Matrix' is not there.
#'
#' @references
#' Henderson CR (1976). A simple method for computing the inverse of a numerator
#' relationship matrix used in prediction of breeding values. *Biometrics* 32, 69-83.
#' \doi{10.2307/2529339}
#'
#' Meuwissen THE, Luo Z (1992). Computing inbreeding coefficients in large populations.
#' *Genetics Selection Evolution* 24, 305-313. \doi{10.1186/1297-9686-24-4-305}
#'
#' Colleau JJ (2002). An indirect approach to the extensive calculation of relationship
#' coefficients. *Genetics Selection Evolution* 34, 409-421.
#' \doi{10.1186/1297-9686-34-4-409}
#'
#' Lynch M, Walsh B (1998). *Genetics and Analysis of Quantitative Traits*. Sinauer,
#' Sunderland. Mrode RA (2014). *Linear Models for the Prediction of Animal Breeding
#' Values*, 3rd edition. CABI, Wallingford.
#'
#' Sargolzaei M, Iwaisaki H, Colleau JJ (2005). A fast algorithm for computing inbreeding
#' coefficients in large populations. *Journal of Animal Breeding and Genetics* 122,
#' 325-331. \doi{10.1111/j.1439-0388.2005.00538.x}
#'
#' @seealso [simulate_pedigree()]; [single_step()] with genotypes; [precision()] for A^-1 in
#'   [lmmfit()].
#' @examples
#' # c and d are full sibs, e is the child of both
#' pedigree <- data.frame(id = c("c", "d", "e"), sire = c("a", "a", "c"),
#'                        dam = c("b", "b", "d"))
#' pedigree_kinship(pedigree)
#' inbreeding(pedigree)
#' # full sibs have a dominance relationship of 1/4
#' pedigree_kinship(pedigree, type = "dominance")
#' if (requireNamespace("Matrix", quietly = TRUE)) {
#'   pedigree_kinship(pedigree, inverse = TRUE)
#' }
#' @export
pedigree_kinship <- function(pedigree, inverse = FALSE,
                             type = c("additive", "dominance"),
                             hermaphrodites = FALSE) {
  call <- rlang::current_env()
  check_flag(inverse)
  type <- check_choice(type, c("additive", "dominance"))
  if (inverse && type == "dominance") {
    abort_argument("inverse", "FALSE for dominance", "TRUE", call)
  }
  if (inverse && !requireNamespace("Matrix", quietly = TRUE)) {
    abort_package("Matrix", "pedigree_kinship(inverse = TRUE)", call)
  }
  if (missing(pedigree)) abort_argument("pedigree", "given", "missing", call)
  ped <- read_pedigree(pedigree, "pedigree", call, hermaphrodites)
  if (!inverse) {
    K <- pedigree_relationship(ped, call)
    if (type == "dominance") K <- cpp_ped_dominance(ped$sire, ped$dam, K)
    dimnames(K) <- list(ped$id, ped$id)
    method <- switch(type, additive = "pedigree", dominance = "pedigree dominance")
    return(new_kinship(K, list(method = method)))
  }
  pedigree_inverse(ped, call)
}

# A of all animals of read_pedigree(), without names.
pedigree_relationship <- function(ped, call) {
  check_core(cpp_ped_relationship(ped$sire, ped$dam), pedigree_errors(ped, call))$A
}

# A^-1 of all animals of read_pedigree().
pedigree_inverse <- function(ped, call) {
  n <- length(ped$id)
  threads <- n_threads(call)
  Q <- with_progress("Inbreeding", n, function(tick) {
    cpp_ped_inverse(ped$sire, ped$dam, threads, tick)
  })
  Q <- check_core(Q, pedigree_errors(ped, call))
  Matrix::sparseMatrix(i = Q$i, p = Q$p, x = Q$x, dims = c(n, n), symmetric = TRUE,
                       index1 = FALSE, dimnames = list(ped$id, ped$id))
}

#' @rdname pedigree_kinship
#' @export
inbreeding <- function(pedigree, hermaphrodites = FALSE) {
  call <- rlang::current_env()
  if (missing(pedigree)) abort_argument("pedigree", "given", "missing", call)
  ped <- read_pedigree(pedigree, "pedigree", call, hermaphrodites)
  coefficients <- pedigree_inbreeding(ped, call)
  own <- seq.int(length(ped$id) - nrow(pedigree) + 1L, length.out = nrow(pedigree))
  stats::setNames(coefficients[own], ped$id[own])
}

# Of all animals of read_pedigree().
pedigree_inbreeding <- function(ped, call) {
  threads <- n_threads(call)
  result <- with_progress("Inbreeding", length(ped$sire), function(tick) {
    cpp_ped_inbreeding(ped$sire, ped$dam, threads, tick)
  })
  check_core(result, pedigree_errors(ped, call))$inbreeding
}

pedigree_errors <- function(ped, call) {
  list(pedigree_loop = function(data, subject) {
    abort_pedigree_loop(ped$id[unlist(data, use.names = FALSE) + 1], call)
  })
}

# A user's pedigree as list(id, sire, dam): all ids, those of parents without a row first,
# and the places of the parents in them, 0 if unknown. Loops are left to the core.
read_pedigree <- function(x, arg, call, hermaphrodites = FALSE) {
  check_flag(hermaphrodites, call = call)
  if (!is.data.frame(x)) {
    abort_argument(arg, "a data frame with columns id, sire and dam", describe(x), call)
  }
  lacking <- setdiff(c("id", "sire", "dam"), names(x))
  if (length(lacking) > 0L) abort_pedigree_columns(arg, lacking, names(x), call)
  for (column in c("id", "sire", "dam")) {
    one <- x[[column]]
    if (!is.atomic(one) || is.matrix(one)) {
      abort_argument(paste0(arg, "$", column), "a vector", describe(one), call)
    }
  }
  id <- pedigree_ids(x$id)
  sire <- pedigree_ids(x$sire)
  dam <- pedigree_ids(x$dam)
  if (anyNA(id)) abort_pedigree_ids(arg, which(is.na(id)), NULL, call)
  if (anyDuplicated(id)) abort_pedigree_ids(arg, NULL, unique(id[duplicated(id)]), call)
  sires <- unique(sire[!is.na(sire)])
  dams <- unique(dam[!is.na(dam)])
  both <- intersect(sires, dams)
  if (length(both) > 0L && !hermaphrodites) abort_pedigree_sexes(arg, both, call)
  parents <- unique(c(sires, dams))
  id <- c(parents[!parents %in% id], id)
  own <- length(id) - nrow(x)
  place <- function(parent) c(integer(own), match(parent, id, nomatch = 0L))
  list(id = id, sire = place(sire), dam = place(dam))
}

# Ids as text, NA where unknown; whole numbers without an exponent.
pedigree_ids <- function(x) {
  text <- id_text(x)
  replace(text, text %in% c("", "0", if (is.numeric(x)) "NaN"), NA)
}
