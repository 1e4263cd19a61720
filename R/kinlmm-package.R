#' kinlmm: exact linear mixed models for statistical genetics
#'
#' [lmmfit()] fits a linear mixed model written in the formula of 'lme4': any number of
#' random terms, with a relationship matrix on those that have one. Its methods are those
#' that users of 'lme4' and 'lmerTest' know, with tests of fixed effects
#' ([anova()][anova.lmmfit], [contest()]) and of random ones ([ranova()]).
#' [read_bed()] opens genotypes, [grm()] builds the relationship matrix, [heritability()]
#' and [blup()] read the fit, [gwas()] tests every marker against it.
#'
#' Other estimators take the same formula and data: [blue()] and [mme()] (least squares and
#' Henderson's equations), [variance_components()] and [compare_components()] (REML, ML, EM,
#' ANOVA, MINQUE, Haseman-Elston, Bayes), [bivariate()] (two traits), [spike_slab()],
#' [two_stage()]. [h2_partition()], [variance_test()] and [liability()] go on from
#' heritability; [marker_effects()], [leave_one_out()] and [cross_validate()] predict;
#' [simulate_genotypes()], [simulate_pedigree()] and [simulate_trait()] make data.
#'
#' `vignette("kinlmm")` goes from [stats::lm()] to a genome scan; `vignette("mixed-models")`
#' is for users of 'lme4', and names every difference; `vignette("blup")` goes from least
#' squares to genomic prediction, `vignette("heritability")` from the model of Yang and others
#' to the spike and slab, `vignette("relationship")` from genotypes and pedigrees to
#' relationship matrices; `vignette("algorithms")` says how it is computed.
#'
#' @section Threads:
#' Loops of the package use `getOption("kinlmm.threads", 2)` threads. Matrix
#' products and eigendecompositions are those of the BLAS and LAPACK that R uses;
#' a threaded BLAS has its own setting, for example `OPENBLAS_NUM_THREADS`.
#'
#' Relationship matrices and scans are the same bit for bit whatever `kinlmm.threads` is.
#' BLAS and LAPACK may sum in another order with another number of threads, or where a
#' column stands elsewhere in a matrix: with OpenBLAS a scan's -log10 p differed by at most
#' 4e-10 relative between one and two threads.
#'
#' Relationship matrices are computed with the best instructions of the processor at hand:
#' AVX-512 VNNI, AVX2, or portable ones, with the same result bit for bit.
#' `options(kinlmm.instructions = "portable")` (or `"avx2"`, `"vnni"`) takes others. On Windows
#' there are only the portable ones.
#'
#' @useDynLib kinlmm, .registration = TRUE
#' @importFrom Rcpp evalCpp
#' @importFrom stats anova coef confint deviance df.residual extractAIC family fitted
#' @importFrom stats formula logLik
#' @importFrom stats model.frame model.matrix nobs predict residuals sigma simulate terms
#' @importFrom stats update vcov weights
#' @keywords internal
"_PACKAGE"
