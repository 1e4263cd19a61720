#' Simulate a pedigree
#'
#' Families in one or several generations: nuclear families by default, half sibs where a
#' sire has several dams, and a closed breeding population if `generations` is more than
#' one.
#'
#' Generation 0 holds `families` unrelated sires and `families * dams` unrelated dams.
#' Every sire is mated to `dams` dams, at random, and every dam has `children` children;
#' half of all children (to one) are male. In the next generation as many sires and dams
#' are taken from these children, at random or, with `h2`, by their own record: of each sex
#' those of the highest phenotype, y = u + e with variances h2 and 1 - h2 in generation 0
#' (breeding values u follow the infinitesimal model: the mean of the parents plus a
#' Mendelian sampling with variance h2 (1 - (F_sire + F_dam) / 2) / 2). Mating is random
#' otherwise, brothers and sisters included, so that inbreeding builds up.
#'
#' Random numbers are those of R: [set.seed()] makes the pedigree reproducible.
#'
#' @param families A whole number: sires in every generation.
#' @param children A whole number, 0 or more, or one per dam (`families * dams` of them,
#'   the same in every generation): children of a dam.
#' @param dams A whole number: dams for each sire. 1, the default, gives full sibs; more
#'   give half sibs.
#' @param generations A whole number: generations of children.
#' @param h2 `NULL` (the default) for parents taken at random, or a number from 0 to 1 for
#'   mass selection on a trait of that heritability.
#'
#' @return A data frame with a row per animal, parents before children, and columns
#'   * `id`, `sire`, `dam`: text, `NA` for the parents of generation 0,
#'   * `sex`: 1 male, 2 female,
#'   * `generation`: 0 for founders,
#'   * `u`, `y`, only with `h2`: breeding value and phenotype of the selected trait.
#'
#' @section Errors:
#' `kinlmm_error_argument`; `kinlmm_error_pedigree_parents` if a generation has too few
#' children of one sex for the next one's parents (all below `kinlmm_error_input`).
#'
#' @references
#' Falconer DS, Mackay TFC (1996). *Introduction to Quantitative Genetics*, 4th edition.
#' Longman, Harlow.
#'
#' @seealso [pedigree_kinship()]; [simulate_genotypes()] and [simulate_trait()] take the
#'   result.
#' @examples
#' set.seed(1)
#' # two families of three children each; then two sires with two dams each
#' simulate_pedigree(families = 2, children = 3)
#' pedigree_kinship(simulate_pedigree(families = 1, dams = 2, children = 1))
#'
#' # inbreeding under random mating and under selection
#' random <- simulate_pedigree(5, children = 8, dams = 2, generations = 6)
#' selected <- simulate_pedigree(5, children = 8, dams = 2, generations = 6, h2 = 0.5)
#' cbind(random = tapply(inbreeding(random), random$generation, mean),
#'       selected = tapply(inbreeding(selected), selected$generation, mean),
#'       response = tapply(selected$u, selected$generation, mean))
#' @export
simulate_pedigree <- function(families = 50, children = 2, dams = 1, generations = 1,
                              h2 = NULL) {
  call <- rlang::current_env()
  families <- check_count(families)
  dams <- check_count(dams)
  generations <- check_count(generations)
  if (!is.null(h2)) h2 <- check_number(h2, 0, 1)
  mates <- families * dams
  children <- check_children(children, mates, call)
  if (generations > 1L) {
    born <- sum(children)
    have <- c(sires = born - born %/% 2, dams = born %/% 2)
    need <- c(sires = families, dams = mates)
    if (any(have < need)) abort_pedigree_parents(have, need, call)
  }
  ped <- pedigree_founders(families, mates, h2)
  for (g in seq_len(generations)) {
    now <- which(ped$generation == g - 1L)
    sires <- select_parents(ped, now, 1L, families)
    mothers <- select_parents(ped, now, 2L, mates)
    ped <- add_generation(ped, rep(sires, each = dams), mothers, children, g, h2, call)
  }
  name <- function(i) replace(numbered("a", i, nrow(ped)), i == 0L, NA)
  out <- data.frame(id = name(seq_len(nrow(ped))), sire = name(ped$sire),
                    dam = name(ped$dam), ped[-(1:2)])
  if (is.null(h2)) out[setdiff(names(out), c("u", "y"))] else out
}

check_children <- function(children, mates, call) {
  good <- is.numeric(children) && length(children) %in% c(1L, mates) &&
    all(is.finite(children)) && all(children >= 0 & children == round(children))
  if (!good) {
    must <- paste0("a whole number, or one for each of the ", n_of(mates, "dam"))
    abort_argument("children", must, describe(children), call)
  }
  if (sum(children) == 0) abort_argument("children", "more than 0 in all", "0", call)
  rep_len(as.integer(children), mates)
}

# "a007" for 7 of 200.
numbered <- function(prefix, i, of) {
  sprintf("%s%0*d", prefix, nchar(sprintf("%d", of)), i)
}

# Parents are rows of the table, 0 if unknown.
pedigree_founders <- function(sires, dams, h2) {
  n <- sires + dams
  u <- if (is.null(h2)) rep(0, n) else sqrt(h2) * stats::rnorm(n)
  y <- if (is.null(h2)) u else u + sqrt(1 - h2) * stats::rnorm(n)
  data.frame(sire = 0L, dam = 0L, sex = rep(1:2, c(sires, dams)), generation = 0L, u = u,
             y = y)
}

# Rows of `count` animals of a sex, in random order: of the highest y, where all y are equal
# at random.
select_parents <- function(ped, among, sex, count) {
  among <- among[ped$sex[among] == sex]
  among <- among[sample.int(length(among))]
  best <- among[order(-ped$y[among])[seq_len(count)]]
  best[sample.int(count)]
}

add_generation <- function(ped, sires, dams, children, generation, h2, call) {
  sire <- rep(sires, children)
  dam <- rep(dams, children)
  n <- length(sire)
  sex <- sample(rep_len(1:2, n))
  born <- data.frame(sire = sire, dam = dam, sex = sex, generation = generation, u = 0, y = 0)
  if (!is.null(h2)) {
    inbred <- pedigree_inbreeding(list(sire = ped$sire, dam = ped$dam), call)
    variance <- 0.5 * h2 * (1 - (inbred[sire] + inbred[dam]) / 2)
    born$u <- (ped$u[sire] + ped$u[dam]) / 2 + sqrt(variance) * stats::rnorm(n)
    born$y <- born$u + sqrt(1 - h2) * stats::rnorm(n)
  }
  rbind(ped, born)
}
