#' Principal components of genotypes
#'
#' The k leading eigenvectors of the relationship matrix K = Z Z' / m of [grm()], the
#' loadings of the SNPs, and the scores of new samples. For many samples K is never formed:
#' the genotypes are read a few times, by blocks, and multiplied as they are stored.
#'
#' @section Method:
#' The columns of Z are copies of allele A1, centred by the mean of the SNP and divided by
#' its unit (see `method`); missing genotypes are the mean. With the singular values
#' sqrt(m d), Z = sqrt(m) U sqrt(d) V': `loadings` are V, `scores` are Z V / sqrt(m) =
#' U sqrt(d). Their sums of squares are the eigenvalues d, and all of them together would give
#' K = S S'. Other programs print U, which is `scores` divided by `sqrt(values)`. A
#' component has no sign of its own: here its largest score is positive.
#'
#' With `exact`, K (n x n) is formed and decomposed. Else a block Krylov method (as in Halko
#' and others 2011) starts with power iterations on a sixteenth of the SNPs; every further
#' pass over the genotypes extends a basis by the residuals K u - d u of the leading vectors,
#' until those of k components are at most `tolerance` times d, or for 30 passes. These
#' passes are computed in single precision, sums beyond some hundred terms, eigenvalues
#' and a last pass in double. Up to 256 MB of genotypes (a byte each) are kept in memory
#' meanwhile; more are read again in every pass. The angle between a component and the exact one is about its
#' residual over the distance to the nearest other eigenvalue, both relative to d: components
#' that stand out are right to a millionth or better, while those within the bulk of
#' eigenvalues (noise, or relatives) converge slowly. A message names those that did not
#' reach `tolerance`; `exact = TRUE` computes them, but they describe little.
#'
#' Results do not depend on the number of threads, and random numbers of R are not used.
#' They differ by rounding between kinds of processors.
#'
#' Projections of *new* samples by `predict()` are shrunk towards zero, the more so the more
#' SNPs there are per sample and the smaller the eigenvalue, because the loadings fit the
#' noise of the samples they were computed from (Lee, Zou and Wright 2010): do not compare
#' them with scores of these samples where they may be mistaken for a difference.
#'
#' SNPs in linkage disequilibrium count as often as they are there; long-range regions (HLA,
#' inversions) can make components of their own. Prune before, and look at `loadings`.
#'
#' @param geno Genotypes, see [genotypes], or a numeric matrix of samples x SNPs; or a
#'   relationship matrix: of class `kinship`, or square with the same ids on both sides. It
#'   is decomposed as it is, without centring; then only `k` is looked at.
#' @param k A whole number: components. Default 10; at most n - 1 (n for a relationship
#'   matrix).
#' @param method A string, the unit of a SNP: `"standardized"` (default) its standard
#'   deviation in the sample, so that all weigh the same; `"vanraden2"` sqrt(2p(1-p)),
#'   as in GCTA and PLINK 2; `"centered"` none, so that rare SNPs weigh less.
#' @param maf,missing,hwe Numbers: SNPs with a smaller minor allele frequency, a larger share
#'   of missing genotypes, or a smaller p-value of the exact test of Hardy-Weinberg
#'   proportions are left out. Defaults 0.01, 0.05 and 0, as in [grm()]. SNPs without
#'   variation always are.
#' @param chr Chromosomes: `"autosomes"` (default), `"all"`, or names.
#' @param exact `TRUE` to form K; `NULL` (default) does so for up to 1,000 samples.
#' @param tolerance A positive number, see Method. Default 1e-4.
#'
#' @return An object of class `pca`, a list of
#'   * `values`: numeric, k eigenvalues, decreasing;
#'   * `share`: their share of the trace of K, the variance explained;
#'   * `scores`: a numeric matrix of samples x k, with ids and `PC1`, `PC2`, ...;
#'   * `loadings`: a numeric matrix of SNPs x k, with columns of length one, and `markers`: a
#'     data frame of these SNPs with `chr`, `snp`, `pos`, `effect_allele` (the one counted),
#'     `other_allele`, `mean` (of its count) and `unit`; both `NULL` for a relationship
#'     matrix;
#'   * `residuals`: k numbers, relative to `values`, and `converged`, whether at most
#'     `tolerance`;
#'   * `trace`, `n`, `m` (SNPs used), `dropped` (SNPs left out, by reason), `method`,
#'     `filter`, `exact`, `passes` (over the genotypes) and `tolerance`; of a relationship
#'     matrix `negative` (how many eigenvalues are) and `centred` (whether its rows sum to
#'     zero: else the first component may be hardly more than the mean).
#'
#'   A message of class `kinlmm_message_pca` says how many SNPs were used. Methods:
#'   `print()`, `summary()` (a data frame of the components), [plot()][plot.pca],
#'   [predict()][predict.pca], `as.data.frame()` (`id` and scores).
#'
#' @section Errors:
#' `kinlmm_error_pca_empty` if no SNP is left, `kinlmm_error_pca_rank` if there are fewer
#' than `k` components, `kinlmm_error_argument`; those of [genotypes] and of relationship
#' matrices. All are below `kinlmm_error_input`.
#' @references
#' Galinsky KJ, Bhatia G, Loh PR, et al. (2016). Fast principal-component analysis reveals
#' convergent evolution of ADH1B in Europe and East Asia. *American Journal of Human
#' Genetics* 98, 456-472. \doi{10.1016/j.ajhg.2015.12.022}
#'
#' Halko N, Martinsson PG, Tropp JA (2011). Finding structure with randomness: probabilistic
#' algorithms for constructing approximate matrix decompositions. *SIAM Review* 53,
#' 217-288. \doi{10.1137/090771806}
#'
#' Lee S, Zou F, Wright FA (2010). Convergence and prediction of principal component scores
#' in high-dimensional settings. *Annals of Statistics* 38, 3605-3629.
#' \doi{10.1214/10-AOS821}
#'
#' Patterson N, Price AL, Reich D (2006). Population structure and eigenanalysis. *PLoS
#' Genetics* 2, e190. \doi{10.1371/journal.pgen.0020190}
#' @seealso [grm()].
#' @examples
#' set.seed(1)
#' geno <- simulate_genotypes(m = 2000, populations = c(a = 40, b = 40, c = 40))
#' pc <- pca(geno, k = 4)
#' pc
#' plot(pc, groups = geno$samples$fid)
#' head(as.data.frame(pc))
#' @export
pca <- function(geno, k = 10L, method = c("standardized", "vanraden2", "centered"),
                maf = 0.01, missing = 0.05, hwe = 0, chr = "autosomes", exact = NULL,
                tolerance = 1e-4) {
  call <- rlang::current_env()
  if (!missing(geno) && is_kinship(geno)) return(pca_kinship(geno, k, call))
  geno <- as_genotypes(geno)
  method <- check_choice(method, c("standardized", "vanraden2", "centered"))
  filter <- marker_filter(maf, missing, hwe)
  check_positive(tolerance)
  if (nrow(geno) < 2L) abort_pca_samples(nrow(geno), call)
  k <- check_count(k, 1L, nrow(geno) - 1L)
  exact <- if (is.null(exact)) nrow(geno) <= 1000L else check_flag(exact)
  geno <- use_snps(geno, chr, call = call)
  found <- compute_pca(geno, k, method, filter, exact, tolerance, call)
  out <- new_pca(found, sample_ids(geno))
  at <- found$used0 + 1
  out$markers <- data.frame(geno$map[at, c("chr", "snp", "pos")],
                            effect_allele = geno$map$a1[at],
                            other_allele = geno$map$a2[at], mean = found$mean,
                            unit = 1 / found$scale, row.names = NULL)
  out[c("m", "method", "exact", "passes", "tolerance")] <-
    list(length(at), method, exact, found$passes, tolerance)
  out$filter <- c(filter, list(chr = chr))
  out$dropped <- found$dropped
  out$converged <- exact | out$residuals <= tolerance
  inform_pca(out)
  out
}

compute_pca <- function(geno, k, method, filter, exact, tolerance, call) {
  threads <- n_threads(call)
  # markers held at a time: what the kernels take, within 64 MB
  block <- as.integer(96L * min(10, max(1, 2^26 %/% (96 * nrow(geno)))))
  unit <- match(method, c("standardized", "vanraden2", "centered")) - 1L
  found <- with_progress("Principal components", ncol(geno), function(tick) {
    cpp_pca(core_source(geno), k, unit, filter, exact, tolerance, 30L, block,
            cpu_instructions(call), threads, tick)
  })
  handlers <- source_errors(geno, call)
  handlers$pca_rank <- function(data, subject) abort_pca_rank(k, data$rank, call)
  found <- check_core(found, handlers, call)
  found$dropped <- stats::setNames(found$fates[-1L], marker_fate_names[-1L])
  if (length(found$used0) == 0L) abort_pca_empty(found$dropped, filter, call)
  rownames(found$loadings) <- snp_ids(geno)[found$used0 + 1]
  found
}

# found: values, scores, loadings, residuals and trace.
new_pca <- function(found, ids) {
  names <- paste0("PC", seq_along(found$values))
  dimnames(found$scores) <- list(ids, names)
  if (!is.null(found$loadings)) colnames(found$loadings) <- names
  structure(
    list(values = stats::setNames(found$values, names),
         share = stats::setNames(found$values / found$trace, names),
         scores = found$scores, loadings = found$loadings, markers = NULL,
         residuals = stats::setNames(found$residuals, names), converged = NULL,
         trace = found$trace, n = length(ids)),
    class = "pca"
  )
}

# Relationship matrices ----

# Genotypes have SNPs as column names.
is_kinship <- function(x) {
  if (inherits(x, c("kinship", "Matrix", "kinlmm_precision"))) return(TRUE)
  is.matrix(x) && is.numeric(x) && nrow(x) == ncol(x) && !is.null(rownames(x)) &&
    identical(rownames(x), colnames(x))
}

pca_kinship <- function(K, k, call) {
  note <- attr(K, "grm")
  K <- check_kinship(K, rownames(K), "pca()", "geno", call)
  k <- check_count(k, 1L, nrow(K), "k", call)
  basis <- check_core(cpp_tridiagonalise(unname(K)), call = call)
  inner <- check_core(cpp_tridiagonal_eigen(basis$d, basis$beside), call = call)
  at <- seq(nrow(K), by = -1L, length.out = k)
  values <- inner$d[at]
  rank <- sum(inner$d > 1e-10 * max(inner$d, 0))
  if (rank < k) abort_pca_rank(k, rank, call)
  U <- cpp_reflect(basis$reflectors, basis$scales, inner$U[, at, drop = FALSE], FALSE)
  signs <- vapply(seq_len(k), function(j) sign(U[which.max(abs(U[, j])), j]), 0)
  scores <- U * rep(signs * sqrt(values), each = nrow(U))
  found <- list(values = values, scores = scores, residuals = numeric(k),
                trace = sum(diag(K)))
  out <- new_pca(found, rownames(K))
  out$converged <- stats::setNames(rep(TRUE, k), names(out$values))
  out[c("m", "method", "exact", "negative")] <-
    list(note[["m"]], note[["method"]], TRUE, sum(inner$d < -1e-8 * max(inner$d)))
  out$centred <- max(abs(rowSums(K))) <= 1e-6 * max(inner$d)
  out
}

# Methods ----

#' @export
print.pca <- function(x, n = 10L, ...) {
  shown <- min(check_count(n), length(x$values))
  cat("Principal components of ", count(x$n), " samples", sep = "")
  if (is.null(x$markers)) {
    cat(" from a relationship matrix\n")
  } else {
    cat(" and ", n_of(x$m, "SNP"), " (", x$method, ")\n", sep = "")
  }
  cat("  ", pca_how(x), "\n\n", sep = "")
  table <- summary(x)[seq_len(shown), ]
  percent <- function(share) sprintf("%.2f%%", 100 * share)
  lines <- data.frame(
    eigenvalue = formatC(table$value, digits = 5L, format = "fg", flag = "#"),
    variance = percent(table$share), cumulative = percent(table$cumulative),
    row.names = table$component
  )
  if (!all(x$converged)) lines$residual <- sprintf("%.0e", table$residual)
  print(lines)
  rest <- length(x$values) - shown
  if (rest > 0L) cat("... and", count(rest), "more\n")
  invisible(x)
}

# How they were computed, and what is to be said of it.
pca_how <- function(x) {
  if (is.null(x$markers)) {
    return(paste0("exact, by its spectrum", if (!x$centred) "; it is not centred",
                  if (x$negative > 0) paste0("; ", n_are(x$negative, "eigenvalue"),
                                             " negative")))
  }
  if (x$exact) return("exact, by the spectrum of the relationship matrix")
  done <- all(x$converged)
  paste0("block Krylov method, ", x$passes, " passes over the genotypes, residuals ",
         if (done) "below " else "up to ",
         format(if (done) x$tolerance else max(x$residuals), digits = 1L))
}

#' @export
summary.pca <- function(object, ...) {
  data.frame(component = names(object$values), value = object$values,
             share = object$share, cumulative = cumsum(object$share),
             residual = object$residuals, converged = object$converged, row.names = NULL)
}

#' @export
as.data.frame.pca <- function(x, row.names = NULL, optional = FALSE, ...) {
  data.frame(id = rownames(x$scores), x$scores, row.names = row.names)
}

#' Scores of new samples
#'
#' Projects samples onto the components of [pca()]: centred and scaled by the means and
#' units of the samples that the components are of, then multiplied with the loadings.
#'
#' Projections of samples that [pca()] was computed from are their scores. Those of others
#' are shrunk towards zero, see [pca()].
#'
#' @param object A result of [pca()] of genotypes.
#' @param newgeno Genotypes, see [genotypes]. SNPs are matched by id, and their alleles
#'   compared where both sides have them: swapped ones are recoded; others that differ are
#'   left out with a message. SNPs that are not there, and missing genotypes, count as the
#'   mean. A matrix has no alleles: it must count the same ones.
#' @param ... Not used.
#' @return A numeric matrix of samples x components, on the scale of `scores`, with their
#'   ids as row names.
#' @section Errors: `kinlmm_error_marker_none` if no SNP of `newgeno` can be used,
#'   `kinlmm_error_marker_ids` for ids that belong to several SNPs,
#'   `kinlmm_error_argument`; all below `kinlmm_error_input`.
#' @seealso [pca()].
#' @examples
#' set.seed(1)
#' geno <- simulate_genotypes(m = 2000, populations = c(a = 40, b = 40, c = 40))
#' old <- rep(c(TRUE, TRUE, TRUE, FALSE), 30)
#' pc <- pca(geno[old, ], k = 2)
#' plot(pc, groups = geno$samples$fid[old], new = predict(pc, geno[!old, ]))
#' @export
predict.pca <- function(object, newgeno, ...) {
  rlang::check_dots_empty()
  call <- rlang::current_env()
  if (is.null(object$markers)) {
    abort_argument("object", "of genotypes, whose SNPs have loadings",
                   "of a relationship matrix", call)
  }
  newgeno <- as_genotypes(newgeno)
  matched <- match_markers(object$markers, newgeno$map, call)
  from <- matched$from
  source <- core_source(newgeno[, matched$to])
  found <- with_progress("Projecting", length(from), function(tick) {
    cpp_pca_project(source, recoded_mean(object$markers$mean[from], matched$sign),
                    matched$sign / object$markers$unit[from],
                    object$loadings[from, , drop = FALSE], n_threads(call), tick)
  })
  found <- check_core(found, source_errors(newgeno, call), call)
  scores <- found$scores / sqrt(object$m)
  dimnames(scores) <- list(sample_ids(newgeno), names(object$values))
  scores
}
