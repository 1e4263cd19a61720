#' Simulate genotypes
#'
#' Genotypes of unrelated samples or of a pedigree, with linkage disequilibrium by blocks,
#' populations, inbreeding and missing values, in memory or straight into PLINK files.
#'
#' @section The model:
#' * *Frequencies* of A1 are uniform on `maf`, or given.
#' * *Populations* (Balding and Nichols 1995): the frequency of population k is drawn from a
#'   beta distribution with mean p and variance F_k p (1 - p), F_k = `fst`.
#' * *Linkage disequilibrium*: chromosomes are cut into blocks of `block` SNPs; blocks are
#'   independent. Each haplotype of a founder carries a level, uniform on (0, 1), and A1
#'   wherever its level is below the frequency of A1. From a SNP to the next of the block it
#'   keeps its level with probability `rho`, and else draws a new one: a mosaic, as in the
#'   copying model of Li and Stephens (2003), of infinitely many nested haplotypes. Two SNPs
#'   d apart with frequencies p <= q have the correlation
#'   r = rho^d sqrt(p (1 - q) / (q (1 - p))) among haplotypes (and among genotypes, in a
#'   population without structure): r^2 = rho^(2d) where frequencies are equal.
#' * *Inbreeding*: in each block the two haplotypes of a founder are identical with
#'   probability `inbreeding`, so that heterozygotes are 2 p (1 - p) (1 - F).
#' * *Pedigree*: founders are as above; every child gets from each parent a gamete with
#'   crossovers at the rate of the map and without interference (Haldane 1919). Loci are
#'   autosomal; there are no mutations, and no genotyping errors.
#' * *Missing* genotypes are so completely at random.
#'
#' Results are decided by [set.seed()] and the arguments: they are the same in memory and in
#' a file, and with any number of threads. One batch of SNPs is in memory, whole blocks: at
#' least `n * block` bytes.
#'
#' @param n A whole number: samples. May be left out with `populations` or `pedigree`.
#' @param m A whole number: SNPs.
#' @param maf Two numbers from 0 to 1: the range of the frequencies of A1. The default,
#'   0.05 to 0.5, is that of common SNPs.
#' @param frequency `NULL`, or m numbers from 0 to 1: frequencies of A1 (before the drift
#'   of `fst`), instead of `maf`.
#' @param block A whole number: SNPs in a block of linkage disequilibrium. The default, 1,
#'   makes all SNPs independent.
#' @param rho A number from 0 to 1: the correlation of neighbours in a block that have equal
#'   frequencies.
#' @param populations `NULL`, or founders by population, such as `c(a = 100, b = 100)`, in
#'   this order. The family id of a sample is then its population.
#' @param fst A number, at least 0 and below 1, or one for each population: drift from the
#'   common ancestor. Not used without `populations`. The default, 0.05, is moderate.
#' @param inbreeding A number from 0 to 1, or one for each population.
#' @param missing A number, at least 0 and below 1: the share of missing genotypes.
#' @param pedigree `NULL`, or a data frame of `id`, `sire`, `dam` (see
#'   [pedigree_kinship()]) and, if there is one, `sex` (1 male, 2 female). All its animals
#'   are simulated, parents without a row too. The founders, of which `populations` speaks,
#'   are animals with an unknown parent; one that has the other parent gets half of its
#'   alleles as a founder.
#' @param chromosomes A whole number: chromosomes "1", "2", ..., of about as many SNPs each.
#' @param length A positive number: the length of a chromosome in centimorgan. SNPs are
#'   equally spaced; a centimorgan is a million base pairs.
#' @param file `NULL`, or a string: the prefix of the PLINK files to be written, see
#'   [write_bed()].
#'
#' @return Genotypes (see [genotypes]) with chromosomes, positions and alleles; with `file`,
#'   what [read_bed()] makes of the files. The attribute `frequency` is a matrix of
#'   populations x SNPs: the frequencies of A1 that the founders were drawn from.
#'
#' @section Errors:
#' `kinlmm_error_argument`; `kinlmm_error_simulate_size` if `n` contradicts `populations`
#' or `pedigree`; those of [pedigree_kinship()] for the pedigree and of [write_bed()] for
#' the file.
#'
#' @references
#' Balding DJ, Nichols RA (1995). A method for quantifying differentiation between
#' populations at multi-allelic loci and its implications for investigating identity and
#' paternity. *Genetica* 96, 3-12. \doi{10.1007/BF01441146}
#'
#' Li N, Stephens M (2003). Modeling linkage disequilibrium and identifying recombination
#' hotspots using single-nucleotide polymorphism data. *Genetics* 165, 2213-2233.
#' \doi{10.1093/genetics/165.4.2213}
#'
#' Haldane JBS (1919). The combination of linkage values, and the calculation of distances
#' between the loci of linked factors. *Journal of Genetics* 8, 299-309.
#'
#' @seealso [simulate_pedigree()], [simulate_trait()], [grm()].
#' @examples
#' set.seed(1)
#' geno <- simulate_genotypes(200, 500, block = 10, rho = 0.8)
#' geno
#'
#' # r2 falls with the distance within a block
#' few <- as.matrix(simulate_genotypes(500, 10, frequency = rep(0.3, 10), block = 10,
#'                                     rho = 0.8))
#' round(rbind(simulated = cor(few)[1, ]^2, theory = 0.8^(2 * 0:9)), 2)
#'
#' # two populations: the first axis of the relationship matrix tells them apart
#' two <- simulate_genotypes(m = 500, populations = c(a = 50, b = 50), fst = 0.1)
#' axis <- eigen(grm(two, maf = 0))$vectors[, 1]
#' tapply(axis, two$samples$fid, range)
#'
#' # families: full sibs share half of their genome
#' sibs <- simulate_genotypes(m = 500, pedigree = simulate_pedigree(20), chromosomes = 5)
#' sibs$samples[c(1, 21, 41), ]
#' @export
simulate_genotypes <- function(n, m, maf = c(0.05, 0.5), frequency = NULL, block = 1,
                               rho = 0.9, populations = NULL, fst = 0.05, inbreeding = 0,
                               missing = 0, pedigree = NULL, chromosomes = 1, length = 100,
                               file = NULL) {
  call <- rlang::current_env()
  if (missing(m)) abort_argument("m", "given", "missing", call)
  m <- check_count(m)
  chromosomes <- check_count(chromosomes, max = m)
  length <- check_positive(length)
  missing <- check_share_below_one(missing)
  if (!is.null(file)) plink_stem(check_string(file), call)
  samples <- simulated_samples(if (missing(n)) NULL else n, pedigree, populations, call)
  map <- simulated_map(m, chromosomes, length)
  K <- max(1L, length(populations))
  fst <- check_per_population(fst, K, below_one = TRUE, call = call)
  plan <- c(samples$plan, list(
    chromosome = as.integer(map$chr), cm = map$cm,
    inbreeding = check_per_population(inbreeding, K, call = call),
    block = check_count(block), rho = check_number(rho, 0, 1), missing = missing
  ))
  p <- simulated_frequencies(m, maf, frequency, call)
  plan$frequency <- if (is.null(populations)) t(p) else drift(p, fst)
  plan$seed <- random_seed()
  geno <- run_simulation(plan, samples$table, map, file, call)
  dimnames(plan$frequency) <- list(names(populations), map$snp)
  structure(geno, frequency = plan$frequency)
}

run_simulation <- function(plan, samples, map, file, call) {
  threads <- n_threads(call)
  run <- function(work) with_progress("Simulating genotypes", nrow(map), work)
  if (is.null(file)) {
    G <- check_core(run(function(tick) cpp_sim_matrix(plan, threads, tick)))$genotypes
    dimnames(G) <- list(samples$id, map$snp)
    return(new_genotypes("genotype_matrix", samples, map, data = G))
  }
  stem <- write_plink(file, samples, map, function(path) {
    result <- run(function(tick) cpp_sim_bed(plan, path, threads, tick))
    check_core(result, bed_write_errors(file, call), call)
  }, call)
  read_bed(stem)
}

# The table of samples, and of the plan (see as_plan() of src/sim_genotypes.cpp) what is
# about them.
simulated_samples <- function(n, pedigree, populations, call) {
  ped <- if (!is.null(pedigree)) read_simulated_pedigree(pedigree, call)
  founders <- if (is.null(ped)) NULL else sum(ped$sire == 0L | ped$dam == 0L)
  sizes <- check_populations(populations, founders, call)
  if (is.null(ped)) {
    n <- check_size(n, sum(sizes), !is.null(sizes), "populations", call)
    id <- numbered("id", seq_len(n), n)
    family <- if (is.null(sizes)) id else rep(names(sizes), sizes)
    ped <- list(id = id, sire = integer(), dam = integer(), father = "0", mother = "0",
                sex = 0L)
    founders <- n
  } else {
    n <- check_size(n, length(ped$id), TRUE, "pedigree", call)
    family <- "1"
  }
  if (is.null(sizes)) sizes <- founders
  population0 <- rep(seq_along(sizes) - 1L, sizes)
  table <- data.frame(id = ped$id, fid = rep_len(family, n), iid = ped$id,
                      father = rep_len(ped$father, n), mother = rep_len(ped$mother, n),
                      sex = rep_len(ped$sex, n), pheno = rep(NA_real_, n))
  list(table = table, plan = list(sire = ped$sire, dam = ped$dam, population0 = population0))
}

# read_pedigree() with what a .fam needs: names of parents, and sexes.
read_simulated_pedigree <- function(pedigree, call) {
  ped <- read_pedigree(pedigree, "pedigree", call)
  ped$father <- c("0", ped$id)[ped$sire + 1L]
  ped$mother <- c("0", ped$id)[ped$dam + 1L]
  n <- length(ped$id)
  ped$sex <- integer(n)
  if ("sex" %in% names(pedigree)) {
    own <- seq.int(n - nrow(pedigree) + 1L, length.out = nrow(pedigree))
    ped$sex[own] <- match(as.character(pedigree$sex), c("1", "2"), nomatch = 0L)
  }
  ped$sex[ped$sire] <- 1L
  ped$sex[ped$dam] <- 2L
  pedigree_inbreeding(ped, call)
  ped
}

# n, or what it follows from.
check_size <- function(n, implied, given, arg, call) {
  if (!given) return(check_count(n, arg = "n", call = call))
  if (!is.null(n) && !identical(as.double(check_count(n, call = call)), as.double(implied))) {
    abort_simulate_size(n, implied, arg, call)
  }
  as.integer(implied)
}

check_populations <- function(populations, founders, call) {
  if (is.null(populations)) return(NULL)
  names <- names(populations)
  good <- is.numeric(populations) && length(populations) > 0L &&
    all(is.finite(populations)) && all(populations >= 1) &&
    all(populations == round(populations)) && !is.null(names) &&
    !anyNA(names) && !any(grepl("^$|[[:space:]]", names)) && !anyDuplicated(names)
  if (!good) {
    abort_argument("populations", "numbers of samples named by population, without spaces",
                   describe(populations), call)
  }
  if (!is.null(founders) && sum(populations) != founders) {
    abort_simulate_size(sum(populations), founders, "founders", call)
  }
  populations
}

# A number from 0 to 1 for each of K populations.
check_per_population <- function(x, K, below_one = FALSE, arg = rlang::caller_arg(x), call) {
  good <- is.numeric(x) && length(x) %in% c(1L, K) && all(is.finite(x)) && all(x >= 0) &&
    (if (below_one) all(x < 1) else all(x <= 1))
  if (!good) {
    must <- paste0("a number, at least 0 and ", if (below_one) "below" else "at most", " 1",
                   if (K > 1L) paste0(", or one for each of ", K, " populations"))
    abort_argument(arg, must, describe(x), call)
  }
  rep_len(as.double(x), K)
}

check_share_below_one <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  force(arg)
  x <- check_number(x, 0, 1, arg, call)
  if (x == 1) abort_argument(arg, "below 1", "1", call)
  x
}

# Equally spaced SNPs; positions that read the same from a file.
simulated_map <- function(m, chromosomes, length) {
  each <- diff(round(seq(0, m, length.out = chromosomes + 1L)))
  place <- sequence(each)
  cm <- as.numeric(sprintf("%.6f", (place - 0.5) / rep(each, each) * length))
  bases <- c("A", "C", "G", "T")
  data.frame(chr = as.character(rep(seq_len(chromosomes), each)),
             snp = paste0("snp", seq_len(m)), cm = cm,
             pos = as.integer(pmax(1, pmin(.Machine$integer.max, round(cm * 1e6)))),
             a1 = rep_len(bases, m), a2 = rep_len(bases[c(3L, 4L, 1L, 2L)], m))
}

simulated_frequencies <- function(m, maf, frequency, call) {
  within <- function(x) is.numeric(x) && all(is.finite(x)) && all(x >= 0 & x <= 1)
  if (!is.null(frequency)) {
    if (length(frequency) != m || !within(frequency)) {
      abort_argument("frequency", paste(count(m), "numbers from 0 to 1, one for each SNP"),
                     describe(frequency), call)
    }
    return(as.double(frequency))
  }
  if (length(maf) != 2L || !within(maf) || maf[[1L]] > maf[[2L]]) {
    abort_argument("maf", "two numbers from 0 to 1, in ascending order", describe(maf), call)
  }
  stats::runif(m, maf[[1L]], maf[[2L]])
}

# Frequencies by population (K x m) after drift from p.
drift <- function(p, fst) {
  at <- function(f) {
    if (f == 0) return(p)
    stats::rbeta(length(p), p * (1 - f) / f, (1 - p) * (1 - f) / f)
  }
  matrix(vapply(fst, at, p), nrow = length(fst), byrow = TRUE)
}
