#' Genomic relationship matrix
#'
#' Computes K = Z Z' / m over the m SNPs used, by blocks of SNPs: beside the result, only
#' one block is in memory.
#'
#' The columns of Z are copies of allele A1. Missing genotypes are first replaced by the
#' mean of the SNP, which keeps K positive semi-definite; every column is then centred by
#' its mean and, for `"standardized"`, divided by its standard deviation in the sample
#' (divisor n, after the replacement). These are the matrices of `gemma -gk 1` and
#' `gemma -gk 2`, up to the choice of SNPs: frequencies and filters here are those of all
#' samples in `geno`. A `geno` that is subset first therefore gives another K than K
#' subset afterwards. The scale is not VanRaden's, who divides by the sum of 2p(1 - p), nor
#' that of GCTA and PLINK, which divide each SNP by its 2p(1 - p); [lmmfit()] and
#' [heritability()] do not depend on it.
#'
#' All chromosomes are used alike. To leave one out, subset:
#' `geno[, geno$map$chr != "X"]`.
#'
#' @param geno Genotypes from [read_bed()], or a numeric matrix of samples x SNPs (sample
#'   ids as row names, SNP ids as column names, values from 0 to 2, `NA` if missing).
#' @param method A string: `"centered"` (the default: SNPs weigh in by their variance) or
#'   `"standardized"` (all SNPs weigh the same, so that rare ones contribute more).
#' @param maf A number from 0 to 0.5: SNPs with a smaller minor allele frequency are left
#'   out. The default, 0.01, is that of GEMMA. SNPs without variation always are.
#' @param missing A number from 0 to 1: SNPs with a larger share of missing genotypes are
#'   left out. The default, 0.05, is that of GEMMA.
#'
#' @return A symmetric numeric matrix of samples x samples with their ids as dimnames. Its
#'   attribute `grm` is a list of `method`, `maf`, `missing`, `m` (SNPs used) and `dropped`
#'   (a named vector: SNPs left out by reason; each is counted once, under the first reason
#'   that holds): from it [marker_effects()] knows how K was made. A message of class
#'   `kinlmm_message_grm` says how many SNPs were used.
#'
#' @section Errors:
#' `kinlmm_error_grm_empty` if no SNP is left; `kinlmm_error_argument`,
#' `kinlmm_error_genotypes_names` and `kinlmm_error_genotypes_range` for unsuitable
#' arguments (all below `kinlmm_error_input`); those of [read_bed()] if the file has
#' changed since it was opened.
#'
#' @references
#' VanRaden PM (2008). Efficient methods to compute genomic predictions. *Journal of Dairy
#' Science* 91, 4414-4423. \doi{10.3168/jds.2007-0980}
#'
#' Yang J, Benyamin B, McEvoy BP, et al. (2010). Common SNPs explain a large proportion of
#' the heritability for human height. *Nature Genetics* 42, 565-569. \doi{10.1038/ng.608}
#'
#' Zhou X, Stephens M (2012). Genome-wide efficient mixed-model analysis for association
#' studies. *Nature Genetics* 44, 821-824. \doi{10.1038/ng.2310}
#'
#' @examples
#' geno <- matrix(c(0, 1, 2, NA, 2, 2, 1, 0, 0, 1, 1, 2), nrow = 4,
#'                dimnames = list(paste0("id", 1:4), paste0("rs", 1:3)))
#' grm(geno, missing = 0.5)
#' @export
grm <- function(geno, method = c("centered", "standardized"), maf = 0.01,
                missing = 0.05) {
  call <- rlang::current_env()
  geno <- as_genotypes(geno)
  method <- check_choice(method, c("centered", "standardized"))
  filter <- marker_filter(maf, missing)
  result <- compute_grm(geno, method, filter, call = call)
  dropped <- c(missing = result$missing, monomorphic = result$monomorphic,
               maf = result$rare)
  if (result$used == 0) abort_grm_empty(dropped, maf, missing, call)
  inform_grm(result$used, dropped, maf, missing)
  K <- result$K
  dimnames(K) <- list(sample_ids(geno), sample_ids(geno))
  new_kinship(K, list(method = method, maf = maf, missing = missing, m = result$used,
                      dropped = dropped))
}

# block: markers held at a time; few enough to be interrupted soon, and enough for BLAS.
compute_grm <- function(geno, method, filter, block = 256L, call) {
  threads <- n_threads(call)
  result <- with_progress("Relationship matrix", ncol(geno), function(tick) {
    cpp_grm(core_source(geno), method == "standardized", filter, block, threads, tick)
  })
  check_core(result, bed_errors(geno$n_file, geno$m_file, call), call)
}
