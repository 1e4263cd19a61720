#' The matrix of single-step evaluations, from a pedigree and genotypes
#'
#' Relationships of all animals of a pedigree, of which some are genotyped: H holds the
#' genomic relationships of those that are, and carries them over to their relatives.
#'
#' With A the relationship matrix of the pedigree, its animals 1 without and 2 with
#' genotypes, and G the genomic relationship matrix of the latter,
#'
#' H = A + \[B, I\]' (G - A22) \[B, I\] with B = A22^-1 A21, and
#'
#' H^-1 = A^-1 + \[0, 0; 0, tau G^-1 - omega A22^-1\].
#'
#' The second has the sparse A^-1 plus a dense block for the genotyped, and is the form for
#' many animals: n = 1,000,000 with m = 3,000 genotyped is a matter of seconds. A22 is not
#' cut from A, but computed on the ancestors of the genotyped animals alone (Colleau 2002).
#' H itself is dense: 8 n^2 bytes, and time in proportion to n m (n + m).
#'
#' G must be on the scale of A before the two can be mixed. It is changed in this order:
#'
#' * `tune`: to a + b G, so that its mean diagonal and its mean off-diagonal element are
#'   those of A22 (Chen et al. 2011; Christensen et al. 2012; why: Vitezica et al. 2011). G
#'   from allele frequencies of the genotyped animals takes these as the base population, A
#'   the founders; a accounts for what they have in common, b for the reduced variance. It
#'   also makes the scale of G irrelevant: any additive `method` of [grm()] may be used.
#'   (With one genotyped animal, b is 1.)
#' * `blend`: to (1 - w) G + w A22, which makes it invertible and gives the share w of the
#'   genetic variance to what markers do not see (Aguilar et al. 2010; Christensen and Lund
#'   2010).
#' * `tau`, `omega`: as in the formula of H^-1, against the inflation of predictions. H is
#'   the inverse of that, which has (tau G^-1 + (1 - omega) A22^-1)^-1 in place of G
#'   (Martini et al. 2018). 1 and 1, the default, are the H of the theory.
#'
#' @param pedigree A pedigree as for [pedigree_kinship()].
#' @param G (m x m) The genomic relationship matrix of the genotyped animals, such as
#'   [grm()] makes it, with their ids as row and column names, in any order. Each must be an
#'   animal of the pedigree.
#' @param inverse `TRUE` for H^-1, which needs the package 'Matrix'. The default, `FALSE`,
#'   is H itself.
#' @param tau A number above 0, the weight of G^-1.
#' @param omega A number, the weight of A22^-1. Above 1, H may not be positive definite,
#'   which is an error.
#' @param blend A number w from 0 to 1: the share of A22 in G. The default is 0.05, that of
#'   Aguilar et al. (2010). With 0, H^-1 needs a G that is positive definite: one of fewer
#'   SNPs than animals is not.
#' @param tune `TRUE` (the default) or `FALSE`.
#' @param hermaphrodites As for [pedigree_kinship()].
#'
#' @return A matrix of all animals, ids as row and column names, in the order of
#'   [pedigree_kinship()]: H of class `kinship`, or with `inverse = TRUE` H^-1 as a sparse
#'   `"dsCMatrix"`, which [precision()] takes. What was done is in the attribute `grm` of
#'   H, a list of `method`, `genotyped` (how many), `tune` (a and b), `blend`, `tau`,
#'   `omega` and `correlation` (of the off-diagonal elements of `G` and A22 as they were;
#'   one near 0 hints at ids that were mixed up, if the genotyped are related at all).
#'
#' @section Errors:
#' Those of [pedigree_kinship()] for the pedigree. For `G`, `kinlmm_error_argument`,
#' `kinlmm_error_kinship_noids`, `_kinship_duplicated`, `_kinship_na`,
#' `_kinship_asymmetric`, `_kinship_psd`; `kinlmm_error_single_step_ids` (genotyped animals
#' that are not in the pedigree), `_single_step_tune` (G is constant, so that nothing can
#' be tuned); `kinlmm_error_single_step_singular` if what must be inverted is not positive
#' definite. `kinlmm_error_package` if 'Matrix' is not there.
#'
#' @references
#' Legarra A, Aguilar I, Misztal I (2009). A relationship matrix including full pedigree and
#' genomic information. *Journal of Dairy Science* 92, 4656-4663.
#' \doi{10.3168/jds.2009-2061}
#'
#' Aguilar I, Misztal I, Johnson DL, Legarra A, Tsuruta S, Lawlor TJ (2010). Hot topic: a
#' unified approach to utilize phenotypic, full pedigree, and genomic information for
#' genetic evaluation of Holstein final score. *Journal of Dairy Science* 93, 743-752.
#' \doi{10.3168/jds.2009-2730}
#'
#' Christensen OF, Lund MS (2010). Genomic prediction when some animals are not genotyped.
#' *Genetics Selection Evolution* 42, 2. \doi{10.1186/1297-9686-42-2}
#'
#' Chen CY, Misztal I, Aguilar I, Legarra A, Muir WM (2011). Effect of different genomic
#' relationship matrices on accuracy and scale. *Journal of Animal Science* 89, 2673-2679.
#' \doi{10.2527/jas.2010-3555}
#'
#' Vitezica ZG, Aguilar I, Misztal I, Legarra A (2011). Bias in genomic predictions for
#' populations under selection. *Genetics Research* 93, 357-366.
#' \doi{10.1017/S001667231100022X}
#'
#' Christensen OF, Madsen P, Nielsen B, Ostersen T, Su G (2012). Single-step methods for
#' genomic evaluation in pigs. *Animal* 6, 1565-1571. \doi{10.1017/S1751731112000742}
#'
#' Colleau JJ (2002). An indirect approach to the extensive calculation of relationship
#' coefficients. *Genetics Selection Evolution* 34, 409-421.
#' \doi{10.1186/1297-9686-34-4-409}
#'
#' Martini JWR, Schrauf MF, Garcia-Baccino CA, et al. (2018). The effect of the H^-1 scaling
#' factors tau and omega on the structure of H in the single-step procedure. *Genetics
#' Selection Evolution* 50, 16. \doi{10.1186/s12711-018-0386-x}
#'
#' @seealso [pedigree_kinship()], [grm()]; [precision()] for H^-1 in [lmmfit()].
#' @examples
#' set.seed(1)
#' pedigree <- simulate_pedigree(families = 10, children = 4)
#' geno <- simulate_genotypes(pedigree = pedigree, m = 500)
#' # only the children of the first five families are genotyped
#' young <- pedigree$id[pedigree$generation == 1][1:20]
#' G <- grm(geno[young, ])
#' H <- single_step(pedigree, G)
#' attr(H, "grm")$tune
#'
#' # the parents know more of each other than the pedigree says
#' trait <- simulate_trait(pedigree, h2 = 0.5)
#' fit <- lmmfit(y ~ 1 + (1 | id), trait, kinship = list(id = H))
#' head(blup(fit))
#' @export
single_step <- function(pedigree, G, inverse = FALSE, tau = 1, omega = 1, blend = 0.05,
                        tune = TRUE, hermaphrodites = FALSE) {
  call <- rlang::current_env()
  check_flag(inverse)
  tau <- check_positive(tau)
  omega <- check_number(omega)
  blend <- check_number(blend, 0, 1)
  check_flag(tune)
  if (inverse && !requireNamespace("Matrix", quietly = TRUE)) {
    abort_package("Matrix", "single_step(inverse = TRUE)", call)
  }
  if (missing(pedigree)) abort_argument("pedigree", "given", "missing", call)
  if (missing(G)) abort_argument("G", "given", "missing", call)
  ped <- read_pedigree(pedigree, "pedigree", call, hermaphrodites)
  G <- check_genomic(G, ped$id, call)
  at <- match(rownames(G), ped$id)
  G <- G[order(at), order(at), drop = FALSE]
  at <- sort(at)
  A22 <- pedigree_block(ped, at, call)
  mixed <- mix_genomic(G, A22, blend, tune, call)
  if (inverse) return(single_step_inverse(ped, at, mixed$G, A22, tau, omega, call))
  note <- list(method = "single-step", genotyped = length(at), tune = mixed$tune,
               blend = blend, tau = tau, omega = omega, correlation = mixed$correlation)
  new_kinship(single_step_direct(ped, at, mixed$G, A22, tau, omega, call), note)
}

# G of animals of the pedigree, with their names there.
check_genomic <- function(G, ids, call) {
  if (identical(nrow(G), 0L)) {
    abort_argument("G", "a matrix of at least one animal", "empty", call)
  }
  G <- check_kinship(G, rownames(G), "G", "G", call)
  attr(G, "grm") <- NULL
  G <- plain_ids(unclass(G), ids)
  unknown <- setdiff(rownames(G), ids)
  if (length(unknown) > 0L) abort_single_step_ids(unknown, nrow(G), ids, call)
  G
}

# A[at, at] without names.
pedigree_block <- function(ped, at, call) {
  threads <- n_threads(call)
  result <- with_progress("Relationships of genotyped animals", length(at), function(tick) {
    cpp_ped_block(ped$sire, ped$dam, at - 1L, threads, tick)
  })
  check_core(result, pedigree_errors(ped, call), call)$A
}

# G tuned and blended, without names.
mix_genomic <- function(G, A22, blend, tune, call) {
  upper <- upper.tri(A22)
  correlation <- NA_real_
  if (sum(upper) > 1L && stats::sd(A22[upper]) > 0 && stats::sd(G[upper]) > 0) {
    correlation <- stats::cor(G[upper], A22[upper])
  }
  ab <- if (tune) genomic_scale(G, A22, call) else c(a = 0, b = 1)
  G <- unname((1 - blend) * (ab[["a"]] + ab[["b"]] * G) + blend * A22)
  list(G = G, tune = ab, correlation = correlation)
}

# a and b of a + b G with the mean diagonal and off-diagonal elements of A22.
genomic_scale <- function(G, A22, call) {
  m <- nrow(G)
  if (m == 1L) return(c(a = A22[[1L]] - G[[1L]], b = 1))
  means <- function(K) c(mean(diag(K)), (sum(K) - sum(diag(K))) / (m * (m - 1)))
  g <- means(G)
  target <- means(A22)
  if (g[[1L]] - g[[2L]] <= 1e-10 * max(abs(g))) abort_single_step_tune(g, call)
  b <- (target[[1L]] - target[[2L]]) / (g[[1L]] - g[[2L]])
  c(a = target[[1L]] - b * g[[1L]], b = b)
}

# `at` ascends.
single_step_inverse <- function(ped, at, G, A22, tau, omega, call) {
  pedigree <- invert_genomic(A22, "A22", call)
  extra <- tau * invert_genomic(G, "G", call) - omega * pedigree
  # what the genotyped have in H^-1 once the others are eliminated
  if (omega > 1) check_definite(extra + pedigree, "inner", call)
  n <- length(ped$id)
  columns <- integer(n)
  columns[at] <- seq_along(at)
  block <- Matrix::sparseMatrix(i = at[sequence(seq_along(at))], p = c(0L, cumsum(columns)),
                                x = extra[upper.tri(extra, diag = TRUE)], dims = c(n, n),
                                symmetric = TRUE, dimnames = list(ped$id, ped$id))
  pedigree_inverse(ped, call) + block
}

single_step_direct <- function(ped, at, G, A22, tau, omega, call) {
  if (tau != 1 || omega != 1) {
    inner <- tau * invert_genomic(G, "G", call)
    if (omega != 1) inner <- inner + (1 - omega) * invert_genomic(A22, "A22", call)
    G <- invert_genomic(inner, "inner", call)
  }
  H <- pedigree_relationship(ped, call)
  rest <- setdiff(seq_along(ped$id), at)
  R <- check_definite(A22, "A22", call)
  B <- backsolve(R, backsolve(R, H[at, rest, drop = FALSE], transpose = TRUE))
  change <- G - A22
  across <- change %*% B
  H[at, at] <- G
  H[at, rest] <- H[at, rest] + across
  H[rest, at] <- t(H[at, rest])
  H[rest, rest] <- H[rest, rest] + symmetric_product(B, across)
  dimnames(H) <- list(ped$id, ped$id)
  H
}

# X'Y, which is symmetric but for rounding, exactly so.
symmetric_product <- function(X, Y) {
  P <- crossprod(X, Y)
  (P + t(P)) / 2
}

invert_genomic <- function(K, what, call) chol2inv(check_definite(K, what, call))

# Its Cholesky factor. what: "G", "A22", or "inner" for the inverse of what takes the place
# of G.
check_definite <- function(K, what, call) {
  R <- tryCatch(chol(K), error = function(e) NULL)
  # a pivot is what the ids before leave of an element of the diagonal
  if (is.null(R) || any(diag(R)^2 <= 1e-13 * diag(K))) abort_single_step_singular(what, call)
  R
}
