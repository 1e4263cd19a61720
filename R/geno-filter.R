#' Filter SNPs
#'
#' Takes the SNPs that are common enough, observed in enough samples, in Hardy-Weinberg
#' proportions, and on the chromosomes or of the ids asked for. One pass over the file;
#' nothing is copied: the result is the same source with fewer SNPs.
#'
#' Everything is computed on the samples of `geno`. Verbs that have these arguments
#' themselves, such as [grm()] and [gwas()], compute them on the samples that they use,
#' which may be fewer: a SNP that passes here may be left out there.
#'
#' The exact test of Hardy-Weinberg proportions is that of Wigginton, Cutler and Abecasis
#' (2005), see [snp_stats()]. Genotypes are taken as diploid: for X, test the females.
#' SNPs with dosages that are not whole numbers have no test, and `hwe` leaves them in. In a
#' sample of relatives proportions differ from Hardy-Weinberg's, which is why the default
#' leaves nothing out; 1e-6 is a usual limit for genotyping errors in unrelated samples.
#'
#' @param geno Genotypes from [read_bed()], [read_pgen()] or [read_bimbam()], or a numeric
#'   matrix of samples x SNPs, see [genotypes].
#' @param maf A number from 0 to 0.5: SNPs with a smaller minor allele frequency are left
#'   out, and so are those without variation if it is above the default, 0.
#' @param missing A number from 0 to 1: SNPs with a larger share of missing genotypes are
#'   left out. Default 1: none.
#' @param hwe A number from 0 to 1: SNPs with a smaller p-value of the exact test of
#'   Hardy-Weinberg proportions are left out. Default 0: none.
#' @param chr Chromosomes: `"all"` (default); `"autosomes"`, all but X, Y, XY, MT, M and PAR
#'   (also chrX and so on, and PLINK's codes 23 to 26, unless the map has chromosomes above
#'   26), where SNPs on unknown chromosomes (`NA`, `"0"`) stay in; or names, such as `1:3`
#'   or `c("1", "X")`, with or without `chr`.
#' @param snps,exclude SNPs to keep, and to leave out: ids, numbers or logical values, see
#'   [genotypes]. Default `NULL`: all, and none.
#'
#' @return Genotypes: `geno` with the SNPs that are left, in their order, which may be none.
#'   A message of class `kinlmm_message_filter` has the counts by reason; a SNP is counted
#'   once, under the first reason that holds of chromosome, `snps`, `exclude`, missing,
#'   monomorphic, maf, hwe. The condition's `left_out` has them by name.
#'
#' @section Errors:
#' `kinlmm_error_argument`, `kinlmm_error_chromosomes` (names that the map lacks),
#' `kinlmm_error_genotype_index` (SNPs that are not there), all below
#' `kinlmm_error_input`; those of reading `geno`.
#'
#' @references
#' Wigginton JE, Cutler DJ, Abecasis GR (2005). A note on exact tests of Hardy-Weinberg
#' equilibrium. *American Journal of Human Genetics* 76, 887-893. \doi{10.1086/429864}
#' @seealso [snp_stats()].
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' filter_snps(geno, maf = 0.05, missing = 0.1, chr = 1:5)
#' @export
filter_snps <- function(geno, maf = 0, missing = 1, hwe = 0, chr = "all", snps = NULL,
                        exclude = NULL) {
  call <- rlang::current_env()
  geno <- as_genotypes(geno)
  filter <- marker_filter(maf, missing, hwe)
  why <- rep("used", ncol(geno))
  leave_out <- function(rows, reason) replace(why, rows[why[rows] == "used"], reason)
  all <- seq_len(ncol(geno))
  if (!is.null(exclude)) {
    why <- leave_out(resolve_index(exclude, snp_ids(geno), "SNP", call), "excluded")
  }
  if (!is.null(snps)) {
    why[setdiff(all, resolve_index(snps, snp_ids(geno), "SNP", call))] <- "snps"
  }
  why[setdiff(all, on_chromosomes(geno$map, chr, call))] <- "chr"
  if (maf > 0 || missing < 1 || hwe > 0) {
    rows <- which(why == "used")
    why[rows] <- marker_fates(geno[, rows], filter, call)
  }
  left_out <- table(factor(why, names(fate_reasons(filter))))
  inform_filter(sum(why == "used"), ncol(geno), left_out, fate_reasons(filter))
  geno[, why == "used"]
}

# Which markers of the genotypes at hand are used, as MarkerFilter of the core takes it.
marker_filter <- function(maf, missing, hwe = 0, call = rlang::caller_env()) {
  list(maf = check_number(maf, 0, 0.5, "maf", call),
       missing = check_number(missing, 0, 1, "missing", call),
       hwe = check_number(hwe, 0, 1, "hwe", call))
}

# In the order of MarkerFate in src/core/genotypes.h.
marker_fate_names <- c("used", "missing", "monomorphic", "maf", "hwe")

# What becomes of each SNP; those without variation are only left out where maf is asked
# for.
marker_fates <- function(geno, filter, call) {
  stats <- compute_snp_stats(geno, filter, filter$hwe > 0, FALSE, call)
  fate <- marker_fate_names[stats$fate + 1L]
  if (filter$maf > 0) return(fate)
  same <- fate == "monomorphic"
  fate[same] <- c("used", "hwe")[1L + (stats$hwe[same] < filter$hwe) %in% TRUE]
  fate
}

# Why SNPs are left out, as text behind their number.
fate_reasons <- function(filter) {
  c(chr = "on other chromosomes", snps = "not among `snps`", excluded = "excluded",
    missing = paste0("with more than ", 100 * filter$missing, "% missing"),
    monomorphic = "monomorphic",
    maf = paste("with a minor allele frequency below", filter$maf),
    hwe = paste("with a Hardy-Weinberg p-value below", filter$hwe))
}

# Chromosomes ----

# Places in the map of the SNPs on the chromosomes that `chr` asks for, see filter_snps().
on_chromosomes <- function(map, chr, call = rlang::caller_env()) {
  if (identical(chr, "all")) return(seq_len(nrow(map)))
  have <- plain_chromosome(map$chr)
  if (identical(chr, "autosomes")) return(which(!not_autosomal(have)))
  if (!is.atomic(chr) || length(chr) == 0L || anyNA(chr) || is.logical(chr)) {
    abort_argument("chr", "\"autosomes\", \"all\" or names of chromosomes", describe(chr),
                   call)
  }
  unknown <- !plain_chromosome(chr) %in% have
  if (any(unknown)) abort_chromosomes(as.character(chr)[unknown], map$chr, call)
  which(have %in% plain_chromosome(chr))
}

# "chrX" as "X".
plain_chromosome <- function(chr) toupper(sub("^chr", "", chr, ignore.case = TRUE))

not_autosomal <- function(chr) {
  named <- grepl("^(X|Y|XY|MT?|PAR[12]?)$", chr)
  number <- suppressWarnings(as.numeric(unique(chr)))
  # as PLINK codes X, Y, XY and MT of man
  if (any(number > 26, na.rm = TRUE)) return(named)
  named | chr %in% c("23", "24", "25", "26")
}

# The SNPs that a verb uses, and a message if they are not all.
use_snps <- function(geno, chr = "all", snps = NULL, call = rlang::caller_env()) {
  if (!is.null(snps)) geno <- geno[, resolve_index(snps, snp_ids(geno), "SNP", call)]
  rows <- on_chromosomes(geno$map, chr, call)
  if (length(rows) == ncol(geno)) return(geno)
  inform_chromosomes(geno$map$chr[-rows], length(rows), chr)
  geno[, rows]
}
