#' Test every SNP against a fitted model
#'
#' Adds one SNP at a time to the fixed effects of a fitted model with one kinship
#' term and tests it, by default with the variance ratio
#' \eqn{\lambda = \sigma^2_g / \sigma^2_e}{lambda = sigma2_g / sigma2_e} optimised anew
#' for every SNP, as exactly as if [lmmfit()] were called for each. Covariates,
#' kinship, weights and repeated records are those of the fit: fit once, save it with
#' [saveRDS()], and test any part of any file anywhere.
#'
#' @section Tests:
#' With \eqn{p} fixed effects and \eqn{n} records in the null model:
#' * **Wald**: \eqn{(\beta / se)^2} at the SNP's restricted maximum likelihood (REML)
#'   against \eqn{F(1, n - p - 1)};
#' * **LRT**: twice the difference of the maximum log-likelihoods (ML), each at its own
#'   variance ratio, against \eqn{\chi^2_1};
#' * **score**: \eqn{n (x'Py)^2 / (x'Px \cdot y'Py)}{n (x'Py)^2 / (x'Px y'Py)} at the
#'   null model's ML against \eqn{F(1, n - p - 1)}.
#'
#' All three are those of GEMMA's `-lmm 4`. ML is that of the kinship centred over the
#' records (by their weights), if the model has an intercept; REML is the same either way.
#' `-log10 p` is computed in log space: it has a value where `p` is too small for one.
#'
#' With a kinship of full rank that ML has no maximum: it grows without bound, though
#' slowly, towards a residual variance of zero. In samples of thousands it has a maximum
#' long before. In small ones, or where almost all variance is genetic, the search may end
#' at its upper bound, and a message says so: then rely on the Wald test, which is that of
#' REML. GEMMA's LRT and score test share this.
#'
#' A SNP's results do not depend on `getOption("kinlmm.threads")`. On the other SNPs and
#' their order, and on the threads of BLAS, they depend by rounding only (about 1e-10),
#' where BLAS does.
#'
#' The tested SNP is in the kinship too, which costs power: tests of strong signals are
#' conservative, and lambda_GC may be below 1. To leave a chromosome out of the kinship,
#' see [grm()].
#'
#' The ratio is searched from 0 to `1e5` divided by the mean eigenvalue of the centred
#' kinship, so that a kinship multiplied by a number gives the same tests.
#'
#' @section SNPs that are not tested:
#' They keep their row, with `NA` and a `reason`, the first that applies of:
#' `"no genotypes"`; `"missing > 0.05"`; `"monomorphic"` (all observed genotypes
#' equal); `"maf < 0.01"`; `"hwe < 1e-06"`; `"collinear with covariates"`, which is when
#' the covariates leave less than `1e-8` of the SNP's sum of squares about its mean. This
#' only excludes what rounding errors would decide; GEMMA's bound is `1e-4`, of the sum of
#' squares about zero.
#'
#' @param fit An `"lmmfit"` from [lmmfit()] with exactly one kinship term and no other
#'   random term.
#' @param geno Genotypes of `m` SNPs: from [read_bed()], [read_pgen()] or
#'   [read_bimbam()], or a numeric matrix of allele counts (individuals x `m`, in 0 to 2,
#'   `NA` where missing) with individuals
#'   as row names and SNPs as column names. Individuals are matched to the levels of
#'   the kinship term by id, in any order; those outside of the fit are ignored. Missing
#'   genotypes are replaced by the SNP's mean over the analysed individuals.
#' @param variance A string: `"per-snp"` (default) finds the best variance ratio for
#'   every SNP; `"null"` keeps the null model's, which is the approximation known as
#'   EMMAX or P3D. The exact one is the default because it costs about the same here.
#' @param maf A number in 0 to 0.5: SNPs whose rarer allele has a smaller frequency
#'   among the observed genotypes of the analysed individuals are not tested. Default
#'   `0.01`, below which the tests are unreliable in samples of some thousands.
#' @param missing A number in 0 to 1: SNPs with a larger proportion of missing
#'   genotypes among the analysed individuals are not tested. Default `0.05`, because
#'   imputation by the mean loses power beyond.
#' @param hwe A number in 0 to 1: SNPs with a smaller p-value of the exact test of
#'   Hardy-Weinberg proportions in the analysed individuals are not tested, see
#'   [snp_stats()]. Default 0, since they are related.
#' @param chr,snps Which SNPs are looked at, see [filter_snps()]: others have no row in the
#'   result. By default all of `geno`, on X, Y and MT too, where all genotypes are taken as
#'   diploid.
#' @return A data frame of class `c("gwas", "data.frame")`, one row per SNP in the
#'   order of `geno`:
#'   * `chr`, `snp`, `pos`: chromosome, name and position in base pairs (character,
#'     character, integer; `NA` where `geno` has none);
#'   * `effect_allele`, `other_allele`: `effect_allele` is the one counted, A1 of the
#'     .bim;
#'   * `n`: analysed individuals with an observed genotype (integer);
#'   * `eaf`: frequency of the effect allele among them;
#'   * `beta`, `se`: effect of one copy of the effect allele in units of the response,
#'     and its standard error, at the REML optimum;
#'   * `lambda`, `lambda_ml`: the SNP's variance ratio by REML and by ML;
#'   * `p_wald`, `p_lrt`, `p_score`: p-values (0 below about 1e-308);
#'   * `neg_log10_p_wald`, `neg_log10_p_lrt`, `neg_log10_p_score`: `-log10 p`;
#'   * `reason`: why the SNP has no test, `NA` if it has one.
#'
#'   Attribute `"scan"` is a list: `call`; `variance`; `n` records, `q` individuals and
#'   `p` fixed effects of the null model; its `lambda` and `lambda_ml`; `m` SNPs, `tested`
#'   of them; and `seconds` by stage. Columns may be added, as in `hits$gene <- genes`.
#' @section Errors:
#' `kinlmm_error_scan_model` if `fit` is not a model with one kinship term,
#' `kinlmm_error_scan_ids` if individuals of the fit have no genotypes, and
#' `kinlmm_error_argument` for the other arguments. They are all
#' `kinlmm_error_input`s.
#' @references
#' Zhou X, Stephens M (2012). Genome-wide efficient mixed-model analysis for association
#' studies. *Nature Genetics* 44, 821-824. \doi{10.1038/ng.2310}
#'
#' Kang HM and others (2010). Variance component model to account for sample structure in
#' genome-wide association studies. *Nature Genetics* 42, 348-354.
#' \doi{10.1038/ng.548}
#' @seealso [top_hits()], [plot.gwas()], [write_gwas()].
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' pheno <- read.csv(system.file("extdata", "mouse_pheno.csv", package = "kinlmm"))
#' fit <- lmmfit(cd8 ~ 1 + (1 | id), pheno, kinship = list(id = grm(geno)))
#' hits <- gwas(fit, geno)
#' hits
#' plot(hits)
#' @export
gwas <- function(fit, geno, variance = c("per-snp", "null"), maf = 0.01,
                 missing = 0.05, hwe = 0, chr = "all", snps = NULL) {
  call <- match.call()
  null <- scan_null(fit)
  variance <- check_choice(variance, c("per-snp", "null"))
  filter <- marker_filter(maf, missing, hwe)
  geno <- use_snps(as_genotypes(geno), chr, snps)
  rows <- match_scan_ids(null$ids, sample_ids(geno))
  source <- core_source(geno)
  source$sample_index0 <- source$sample_index0[rows]

  raw <- with_progress("Testing SNPs", ncol(geno), function(tick) {
    cpp_gwas_scan(null, source, variance == "per-snp", filter, n_threads(), scan_nodes,
                  scan_half_width, tick)
  })
  raw <- check_core(raw, source_errors(geno, rlang::current_env()))
  if (null$lambda_ml >= null$lambda_max && null$lambda_reml < null$lambda_max) {
    inform_scan_bound(null$lambda_ml)
  }
  columns <- scan_columns(raw, null, geno$map, filter)
  new_gwas(columns, list(
    call = call, variance = variance, n = null$n, q = length(null$ids), p = null$p,
    lambda = null$lambda_reml, lambda_ml = null$lambda_ml, m = nrow(columns),
    tested = sum(is.na(columns$reason)), widened = raw$widened, seconds = raw$seconds
  ))
}

# Chebyshev nodes per panel and half-width of a panel in log lambda. The criteria are
# analytic where |Im log lambda| < pi, so that a panel's error falls as rho^-nodes with
# rho = pi / h + sqrt((pi / h)^2 + 1) = 6.4.
scan_nodes <- 16L
scan_half_width <- 1

# The part of a fit that the scan needs.
scan_null <- function(fit, call = rlang::caller_env()) {
  if (!inherits(fit, "lmmfit")) abort_scan_model(describe(fit), call)
  fit <- with_dense_engine(fit, "a scan", call)
  if (!identical(fit$engine$name, "rotated")) {
    abort_scan_model("a model of another kind", call)
  }
  null_model(fit)
}

# Rows of the genotypes for the analysed ids.
match_scan_ids <- function(ids, have, call = rlang::caller_env()) {
  rows <- match(ids, plain_numbers(have, ids))
  if (anyNA(rows)) abort_scan_ids(ids[is.na(rows)], length(ids), have, call)
  rows
}

# The columns of the result, from the core's and the map of the SNPs.
scan_columns <- function(raw, null, map, filter) {
  df <- null$n - null$p - 1
  raw <- lapply(raw, function(x) if (is.double(x)) replace(x, is.nan(x), NA) else x)
  neg_log10 <- function(log_p) -log_p / log(10)
  wald <- neg_log10(stats::pf(raw$wald, 1, df, lower.tail = FALSE, log.p = TRUE))
  lrt <- neg_log10(stats::pchisq(raw$lrt, 1, lower.tail = FALSE, log.p = TRUE))
  score <- neg_log10(stats::pf(raw$score, 1, df, lower.tail = FALSE, log.p = TRUE))
  data.frame(
    map[c("chr", "snp", "pos")],
    effect_allele = map$a1, other_allele = map$a2, n = raw$n, eaf = raw$eaf,
    beta = raw$beta, se = raw$se, lambda = raw$lambda, lambda_ml = raw$lambda_ml,
    p_wald = 10^-wald, p_lrt = 10^-lrt, p_score = 10^-score,
    neg_log10_p_wald = wald, neg_log10_p_lrt = lrt, neg_log10_p_score = score,
    reason = scan_reasons(filter)[raw$status + 1L]
  )
}

# In the order of ScanStatus in src/core/scan.h.
scan_reasons <- function(filter) {
  c(NA, paste("missing >", filter$missing), "monomorphic", paste("maf <", filter$maf),
    paste("hwe <", filter$hwe), "no genotypes", "collinear with covariates")
}
