#' Genomic relationship matrix
#'
#' Computes the relationship matrix of the samples from their genotypes: additive or
#' dominance, of all SNPs, of each group of them, or of all chromosomes but one, for each.
#' The genotypes are read once, by blocks of SNPs: beside the result, only one block is in
#' memory.
#'
#' With x the copies of allele A1, p its frequency, q = 1 - p and h = 2pq, the matrix is
#' K = (sum over SNPs of w z z') / (sum of w d), w = 1 unless there are `weights`:
#'
#' | `method` | z | d | whose |
#' |---|---|---|---|
#' | `"centered"` | x - 2p | 1 | Zhou and Stephens (2012) |
#' | `"standardized"` | (x - 2p) / sd(x) | 1 | Zhou and Stephens (2012) |
#' | `"vanraden1"` | x - 2p | h | VanRaden (2008), first |
#' | `"vanraden2"` | (x - 2p) / sqrt(h) | 1 | VanRaden (2008), second; Yang et al. (2010) |
#' | `"dominance"` | \[x = 1\] - h | h (1 - h) | Su et al. (2012) |
#' | `"vitezica"` | -2qq, h, -2pp for x = 2, 1, 0 | hh | Vitezica et al. (2013) |
#'
#' `"centered"` lets SNPs weigh in by their variance; `"vanraden1"` is a multiple of it that
#' has the scale of the pedigree's matrix, with self-relationships near 1 where mating is
#' random. In `"standardized"` and `"vanraden2"` all SNPs weigh the same, so that rare ones
#' contribute more; the first divides by the standard deviation in the sample (divisor n,
#' missing genotypes replaced by the mean), the second by the one that random mating would
#' give. Of the dominance matrices, that of Su et al. codes heterozygotes against
#' homozygotes; that of Vitezica et al. is orthogonal to the additive effects under random
#' mating, so that beside `"vanraden1"` its variance is the classical dominance variance. A
#' dosage between 0, 1 and 2 takes a dominance value between theirs, linearly.
#' [lmmfit()] and [heritability()] do not depend on the scale of K.
#'
#' **Missing genotypes** are replaced by the mean of the SNP (z = 0), which keeps K positive
#' semi-definite but moves the relationships of incomplete samples towards 0. With
#' `pairwise = TRUE` they are left out pair by pair: every element is divided by the sum of
#' w d over the SNPs that both samples have (and the sd of `"standardized"` is of the
#' observed genotypes). That is what GCTA, plink1.9 and plink2 do by default. Such a matrix
#' may have negative eigenvalues, and [lmmfit()] then refuses it.
#'
#' **Which SNPs and samples.** Frequencies, deviations and filters are those of all samples
#' in `geno`. A `geno` that is subset first therefore gives another K than K subset
#' afterwards. Chromosomes X, Y, XY and MT are left out unless `chr` asks for them, since
#' the formulas take two copies for granted.
#'
#' **Groups.** `by` splits the map: with D_g the denominator of group g, the matrices K_g of
#' the groups give the whole as sum(D_g K_g) / sum(D_g). `loco = TRUE` gives for every
#' chromosome the matrix of all others, the kernel for testing the SNPs of that chromosome
#' (Listgarten et al. 2012, Yang et al. 2014): all in one pass, for little more than the
#' time of one matrix, but with memory for one each.
#'
#' **Precision.** Of genotypes that are whole numbers the sums are computed in integers. Where
#' all SNPs have the same w and no standard deviation, K is exact but for rounding; elsewhere
#' (`"standardized"`, `"vanraden2"`, `weights`) it differs from the formula by about 1e-10 of its
#' largest elements, of more than 25,000 SNPs by about 1e-8, and parts sum to the whole to that.
#' `"vitezica"` and dosages are computed in doubles.
#'
#' @section Other programs:
#' With the same SNPs these are equal, element by element:
#'
#' | here | there |
#' |---|---|
#' | `"centered"` | `gemma -gk 1`; `plink2 --make-rel cov meanimpute` |
#' | `"centered"`, `pairwise` | `plink2 --make-rel cov`; `plink1.9 --make-rel cov` |
#' | `"standardized"` | `gemma -gk 2` |
#' | `"vanraden2"` | `plink2 --make-rel meanimpute` |
#' | `"vanraden2"`, `pairwise` | plink2, plink1.9: `--make-rel`, `--make-grm-bin` |
#' | | `gcta --make-grm` |
#' | `"vanraden1"` | `gcta --make-grm-alg 1`, of complete genotypes |
#'
#' The package's tests compare with GEMMA, plink2 and plink1.9; what is said of GCTA is by its
#' documentation. GEMMA filters SNPs on the samples with a phenotype, but centres and scales
#' them on all; PLINK takes frequencies of founders only, unless told `--nonfounders`.
#'
#' @param geno Genotypes from [read_bed()], [read_pgen()] or [read_bimbam()], or a numeric
#'   matrix of samples x SNPs (sample ids as row names, SNP ids as column names, values from
#'   0 to 2, `NA` if missing).
#' @param method A string: which z and d of the table in the details. The default is that of
#'   GEMMA.
#' @param maf A number from 0 to 0.5: SNPs with a smaller minor allele frequency are left
#'   out. The default, 0.01, is that of GEMMA. SNPs without variation always are.
#' @param missing A number from 0 to 1: SNPs with a larger share of missing genotypes are
#'   left out. The default, 0.05, is that of GEMMA.
#' @param hwe A number from 0 to 1: SNPs with a smaller p-value of the exact test of
#'   Hardy-Weinberg proportions are left out. By default (0) none is.
#' @param chr `"autosomes"` (the default: all but X, Y, XY, MT, M and PAR), `"all"`, or names
#'   of chromosomes as in the map of `geno`; see [filter_snps()].
#' @param weights A number for each SNP of `geno`, not negative, in their order or named by
#'   their ids. Only their ratios matter, and they may be from 1e-100 to 1e100; SNPs of weight
#'   0 are left out. By default all weigh the same.
#' @param by `"chr"`, or a factor or character vector that names a group for each SNP of
#'   `geno` (`NA`: left out): a matrix for each chromosome or group.
#' @param loco `TRUE` for a matrix of all chromosomes but one, for each.
#' @param pairwise `TRUE` to leave missing genotypes out pair by pair. By default they are
#'   replaced by the mean.
#'
#' @return A symmetric numeric matrix of samples x samples with their ids as dimnames, of
#'   class `kinship`. Its attribute `grm` is a list of `method`, `maf`, `missing`, `hwe`,
#'   `chr`, `m` (SNPs used), `denominator` (the sum of w d), `dropped` (a named vector: SNPs
#'   left out by reason; each is counted once, under the first reason that holds),
#'   `weighted`, `pairwise`, and of the grouping `by` (`"chr"`, `"loco"`, `"group"` or
#'   `NULL`) and `part` (the group, or the chromosome left out): from it [marker_effects()]
#'   knows how K was made. With `pairwise` the attribute `observed` is the matrix of numbers
#'   of SNPs that both samples have.
#'
#'   With `by` or `loco` a list of them, of class [kinships]: `lmmfit(..., kinship =
#'   list(id = Ks[["1"]]))`.
#'
#'   A message of class `kinlmm_message_grm` says how many SNPs were used and why others
#'   were not.
#'
#' @section Errors:
#' `kinlmm_error_grm_empty` if no SNP is left, in all or in a group;
#' `kinlmm_error_grm_chromosomes` if `loco` has fewer than two chromosomes, or if it or
#' `by = "chr"` meets SNPs without one; `kinlmm_error_grm_pairs` if with `pairwise` two
#' samples have no SNP in common; `kinlmm_error_grm_weights` for weights that do not belong
#' to the SNPs; `kinlmm_error_argument`, `kinlmm_error_genotypes_names` and
#' `kinlmm_error_genotypes_range` for unsuitable arguments (all below
#' `kinlmm_error_input`); those of [read_bed()] if the file has changed since it was opened.
#'
#' @references
#' Listgarten J, Lippert C, Kadie CM, et al. (2012). Improved linear mixed models for
#' genome-wide association studies. *Nature Methods* 9, 525-526. \doi{10.1038/nmeth.2037}
#'
#' Su G, Christensen OF, Ostersen T, Henryon M, Lund MS (2012). Estimating additive and
#' non-additive genetic variances and predicting genetic merits using genome-wide dense
#' single nucleotide polymorphism markers. *PLoS ONE* 7, e45293.
#' \doi{10.1371/journal.pone.0045293}
#'
#' VanRaden PM (2008). Efficient methods to compute genomic predictions. *Journal of Dairy
#' Science* 91, 4414-4423. \doi{10.3168/jds.2007-0980}
#'
#' Vitezica ZG, Varona L, Legarra A (2013). On the additive and dominant variance and
#' covariance of individuals within the genomic selection scope. *Genetics* 195, 1223-1230.
#' \doi{10.1534/genetics.113.155176}
#'
#' Yang J, Benyamin B, McEvoy BP, et al. (2010). Common SNPs explain a large proportion of
#' the heritability for human height. *Nature Genetics* 42, 565-569. \doi{10.1038/ng.608}
#'
#' Yang J, Zaitlen NA, Goddard ME, Visscher PM, Price AL (2014). Advantages and pitfalls in
#' the application of mixed-model association methods. *Nature Genetics* 46, 100-106.
#' \doi{10.1038/ng.2876}
#'
#' Zhou X, Stephens M (2012). Genome-wide efficient mixed-model analysis for association
#' studies. *Nature Genetics* 44, 821-824. \doi{10.1038/ng.2310}
#'
#' @seealso [epistatic()] for products of matrices, [kinships] for lists of them,
#'   [pedigree_kinship()] for the pedigree.
#' @examples
#' geno <- matrix(c(0, 1, 2, NA, 2, 2, 1, 0, 0, 1, 1, 2), nrow = 4,
#'                dimnames = list(paste0("id", 1:4), paste0("rs", 1:3)))
#' grm(geno, missing = 0.5)
#' grm(geno, "vanraden1", missing = 0.5, pairwise = TRUE)
#'
#' mouse <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' grm(mouse[1:100, ], loco = TRUE)
#' @export
grm <- function(geno, method = c("centered", "standardized", "vanraden1", "vanraden2",
                                 "dominance", "vitezica"), maf = 0.01, missing = 0.05,
                hwe = 0, chr = "autosomes", weights = NULL, by = NULL, loco = FALSE,
                pairwise = FALSE) {
  call <- rlang::current_env()
  geno <- as_genotypes(geno)
  method <- check_choice(method, grm_methods)
  filter <- marker_filter(maf, missing, hwe)
  check_flag(pairwise)
  plan <- grm_plan(geno, chr, weights, by, check_flag(loco), call)
  limits <- c(filter, other = plan$other)
  if (length(plan$snps) == 0L) abort_grm_empty(plan$dropped, limits, call)
  result <- compute_grm(geno, plan, method, filter, pairwise, call = call)
  counts <- kernel_counts(result$counts, plan$by)
  dropped <- c(plan$dropped, colSums(result$counts)[marker_fate_names[-1L]])
  if (sum(result$counts[, "used"]) == 0) abort_grm_empty(dropped, limits, call)
  empty <- counts[, "used"] == 0
  if (any(empty)) abort_grm_group(names(plan$sizes)[empty], plan$by, limits, call)
  if (pairwise) check_pairs(result$observed, sample_ids(geno), call)
  inform_grm(sum(result$counts[, "used"]), dropped, limits, plan)
  note <- list(method = method, maf = maf, missing = missing, hwe = hwe, chr = chr,
               m = 0, denominator = 0, dropped = dropped, weighted = !is.null(weights),
               pairwise = pairwise)
  note_kinships(result, counts, note, plan, sample_ids(geno))
}

grm_methods <- c("centered", "standardized", "vanraden1", "vanraden2", "dominance",
                 "vitezica")

# Which SNPs of `geno` are read: their places `snps`, group by group, the `sizes` of the
# groups by name, their `weights`; and how many are not, `dropped` by reason, those on
# `other` chromosomes.
grm_plan <- function(geno, chr, weights, by, loco, call) {
  m <- ncol(geno)
  weights <- check_snp_weights(weights, geno, call)
  by_chr <- loco || identical(by, "chr")
  if (loco && !is.null(by)) abort_argument("by", "NULL if `loco` is TRUE", describe(by), call)
  group <- if (by_chr) geno$map$chr else check_snp_groups(by, m, call)
  here <- seq_len(m) %in% on_chromosomes(geno$map, chr, call)
  positive <- if (is.null(weights)) rep(TRUE, m) else weights > 0
  known <- if (by_chr || is.null(group)) rep(TRUE, m) else !is.na(group)
  snps <- which(here & positive & known)
  sizes <- c(all = length(snps))
  if (!is.null(group)) {
    if (by_chr) check_chromosomes(group[snps], loco, call)
    names <- if (is.factor(group)) levels(droplevels(group)) else unique(group)
    names <- intersect(names, group[if (by_chr) snps else known])
    code <- match(group[snps], names)
    snps <- snps[order(code)]
    sizes <- stats::setNames(tabulate(code, length(names)), names)
  }
  dropped <- c(chr = sum(!here), if (!is.null(weights)) c(weight = sum(here & !positive)),
               if (!is.null(by) && !by_chr) c(group = sum(here & positive & !known)))
  list(snps = snps, sizes = sizes, weights = weights[snps], dropped = dropped,
       by = if (loco) "loco" else if (by_chr) "chr" else if (!is.null(by)) "group",
       other = chromosome_ranges(geno$map$chr[!here]))
}

# One weight per SNP of `geno`, in their order.
check_snp_weights <- function(weights, geno, call) {
  if (is.null(weights)) return(NULL)
  m <- ncol(geno)
  if (!is.numeric(weights) || any(!is.finite(weights)) || any(weights < 0)) {
    abort_argument("weights", "numbers that are not negative, nor missing",
                   describe_index(weights), call)
  }
  # sums and quotients of others could be infinite
  extreme <- weights[weights > 0 & (weights < 1e-100 | weights > 1e100)]
  if (length(extreme) > 0L) {
    abort_argument("weights", "0, or from 1e-100 to 1e100",
                   paste(format(extreme[[1L]]), "for one SNP"), call)
  }
  ids <- snp_ids(geno)
  if (!is.null(names(weights)) && !identical(names(weights), ids)) {
    at <- match(ids, names(weights))
    twice <- names(weights)[duplicated(names(weights))]
    bad <- unique(ids[is.na(at) | ids %in% twice])
    if (length(bad) > 0L) abort_grm_weights(bad, call)
    weights <- weights[at]
  }
  if (length(weights) != m) {
    abort_argument("weights", paste0("as long as there are SNPs, ", count(m)),
                   describe(weights), call)
  }
  as.double(weights)
}

# The group of each of m SNPs.
check_snp_groups <- function(by, m, call) {
  if (is.null(by)) return(NULL)
  if ((!is.factor(by) && !is.character(by)) || length(by) != m || any(by %in% "")) {
    must <- paste0("\"chr\", or a factor or character vector with a group for each of ",
                   count(m), " SNPs")
    abort_argument("by", must, describe(by), call)
  }
  by
}

check_chromosomes <- function(chr, loco, call) {
  unknown <- chr %in% c(NA, "0")
  if (any(unknown)) abort_grm_chromosomes(sum(unknown), NULL, call)
  if (loco && length(unique(chr)) < 2L) abort_grm_chromosomes(0L, unique(chr), call)
}

# Two samples without a common SNP have no relationship.
check_pairs <- function(observed, ids, call) {
  for (N in observed) {
    if (min(N) > 0) next
    pair <- arrayInd(which.min(N), dim(N))
    n <- (sum(N == 0) + sum(diag(N) == 0)) / 2
    abort_grm_pairs(ids[pair], n, call)
  }
}

# block: SNPs read at a time; by default as many as fit the cache.
compute_grm <- function(geno, plan, method, filter, pairwise, block = 0L, call) {
  threads <- n_threads(call)
  settings <- list(method = method, filter = filter, weights = plan$weights,
                   sizes = as.integer(plan$sizes), leave_out = identical(plan$by, "loco"),
                   pairwise = pairwise, block = block,
                   instructions = cpu_instructions(call))
  source <- core_source(geno[, plan$snps])
  result <- with_progress("Relationship matrix", length(plan$snps), function(tick) {
    cpp_grm(source, settings, threads, tick)
  })
  check_core(result, source_errors(geno, call), call)
}

# counts: groups x reasons; for `by` "loco" those of all others.
kernel_counts <- function(counts, by) {
  if (!identical(by, "loco")) return(counts)
  rep(colSums(counts), each = nrow(counts)) - counts
}

# The matrices of compute_grm() with ids, class and note. Attributes are set in place: a
# copy could be all the memory there is.
note_kinships <- function(result, counts, note, plan, ids) {
  names <- names(plan$sizes)
  for (g in seq_along(names)) {
    note[c("m", "denominator")] <- counts[g, c("used", "share")]
    if (!is.null(plan$by)) {
      note$dropped <- c(plan$dropped, counts[g, marker_fate_names[-1L]])
      note[c("by", "part")] <- list(plan$by, names[[g]])
    }
    dress <- attributes(new_kinship(matrix(1, dimnames = list("", "")), note))
    dress$dim <- NULL
    dress$dimnames <- list(ids, ids)
    if (note$pairwise) {
      cpp_set_attributes(result$observed[[g]], dress["dimnames"])
      dress$observed <- result$observed[[g]]
    }
    cpp_set_attributes(result$K[[g]], dress)
  }
  if (is.null(plan$by)) return(result$K[[1L]])
  new_kinships(stats::setNames(result$K, names), plan$by)
}
