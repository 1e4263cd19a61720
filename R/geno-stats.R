#' Statistics of SNPs and of samples
#'
#' Counts, frequencies, missing genotypes, heterozygosity and Hardy-Weinberg tests of every
#' SNP; missing genotypes, heterozygosity and the inbreeding coefficient of every sample.
#' Each is one pass over the file, by blocks of SNPs.
#'
#' @section Hardy-Weinberg test:
#' Given the counts of the two alleles, `hwe` is the probability of all numbers of
#' heterozygotes that are at most as likely as the one observed (Wigginton, Cutler and
#' Abecasis 2005), as `plink --hardy` has it. It takes every genotype as diploid, and the
#' samples as unrelated: on X use females alone, in families expect small values.
#' `midp = TRUE` counts those that are as likely as the one observed half (Graffelman and
#' Moreno 2013): the test is then less conservative at rare alleles. SNPs with a dosage that
#' is no whole number have no test and no counts.
#'
#' @section Inbreeding coefficient:
#' `f` is (O - E) / (N - E), where O counts the homozygous genotypes of the sample, E those
#' expected from the frequencies in `geno`, the sum of 1 - 2p(1 - p), and N all of its
#' genotypes: that of `plink --het`. It is below 0 with more heterozygotes than expected,
#' which in a sample apart from the others may be contamination. SNPs with dosages that are
#' not whole numbers are left out of it.
#'
#' @param geno Genotypes from [read_bed()], [read_pgen()] or [read_bimbam()], or a numeric
#'   matrix of samples x SNPs, see [genotypes]. Statistics are those of its samples: subset
#'   it for those of some.
#' @param midp `TRUE` or `FALSE` (default): the mid-p variant of the test?
#' @param chr Chromosomes, see [filter_snps()]. Default `"autosomes"` for samples, because
#'   males have no heterozygous genotypes on X; a message of class
#'   `kinlmm_message_chromosomes` says which were left out.
#' @param x An object of class `snp_stats` or `sample_stats`.
#' @param n A whole number: rows to print.
#' @param ... Ignored.
#'
#' @return
#' `snp_stats()`: a data frame of class `c("snp_stats", "data.frame")`, one row per SNP in
#' the order of `geno`:
#' * `chr`, `snp`, `pos`, `a1`, `a2`: the map; `a1` is the allele counted;
#' * `n`: samples with a genotype;
#' * `n0`, `n1`, `n2`: of these, with 0, 1 and 2 copies of `a1` (`NA` with dosages);
#' * `freq`: frequency of `a1` (`NA` without genotypes); `maf`: that of the rarer allele;
#' * `missing`: share of the samples without a genotype;
#' * `het`, `het_expected`: share of heterozygotes, observed and 2p(1 - p);
#' * `hwe`: p-value of the exact test.
#'
#' `sample_stats()`: a data frame of class `c("sample_stats", "data.frame")`, one row per
#' sample: `id`; `n`, SNPs with a genotype; `missing`, the share without; `het` and
#' `het_expected`, the shares of heterozygous genotypes, observed and expected; `f`.
#'
#' @section Errors:
#' `kinlmm_error_argument` (below `kinlmm_error_input`); those of [genotypes], and of
#' reading `geno`.
#'
#' @references
#' Wigginton JE, Cutler DJ, Abecasis GR (2005). A note on exact tests of Hardy-Weinberg
#' equilibrium. *American Journal of Human Genetics* 76, 887-893. \doi{10.1086/429864}
#'
#' Graffelman J, Moreno V (2013). The mid p-value in exact tests for Hardy-Weinberg
#' equilibrium. *Statistical Applications in Genetics and Molecular Biology* 12, 433-448.
#' \doi{10.1515/sagmb-2012-0039}
#' @seealso [filter_snps()].
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' snp_stats(geno)
#' sample_stats(geno)
#' @export
snp_stats <- function(geno, midp = FALSE) {
  call <- rlang::current_env()
  geno <- as_genotypes(geno)
  check_flag(midp)
  raw <- compute_snp_stats(geno, marker_filter(0, 1), TRUE, midp, call)
  p <- raw$mean / 2
  counts <- raw$counts
  out <- data.frame(geno$map[c("chr", "snp", "pos", "a1", "a2")], n = raw$observed,
                    n0 = counts[, 1L], n1 = counts[, 2L], n2 = counts[, 3L], freq = p,
                    maf = pmin(p, 1 - p),
                    missing = 1 - quotient(raw$observed, rep(nrow(geno), ncol(geno))),
                    het = quotient(counts[, 2L], raw$observed),
                    het_expected = 2 * p * (1 - p), hwe = raw$hwe)
  structure(out, samples = nrow(geno), midp = midp, class = c("snp_stats", "data.frame"))
}

# See cpp_snp_stats(): test, whether every SNP is tested.
compute_snp_stats <- function(geno, filter, test, midp, call) {
  threads <- n_threads(call)
  result <- with_progress("Statistics of SNPs", ncol(geno), function(tick) {
    cpp_snp_stats(core_source(geno), filter, test, midp, threads, tick)
  })
  check_core(result, source_errors(geno, call), call)
}

#' @rdname snp_stats
#' @export
sample_stats <- function(geno, chr = "autosomes") {
  call <- rlang::current_env()
  geno <- use_snps(as_genotypes(geno), chr, NULL, call)
  threads <- n_threads(call)
  raw <- with_progress("Statistics of samples", ncol(geno), function(tick) {
    cpp_sample_stats(core_source(geno), threads, tick)
  })
  raw <- check_core(raw, source_errors(geno, call), call)
  homozygous <- raw$calls - raw$heterozygous
  out <- data.frame(id = sample_ids(geno), n = raw$observed,
                    missing = 1 - quotient(raw$observed, rep(ncol(geno), nrow(geno))),
                    het = quotient(raw$heterozygous, raw$calls),
                    het_expected = 1 - quotient(raw$expected, raw$calls),
                    f = quotient(homozygous - raw$expected, raw$calls - raw$expected))
  structure(out, snps = ncol(geno), class = c("sample_stats", "data.frame"))
}

# x / y, NA where there is nothing to divide by.
quotient <- function(x, y) replace(x / y, y == 0, NA)

# Methods ----

#' @rdname snp_stats
#' @export
print.snp_stats <- function(x, n = 10L, ...) {
  n <- check_count(n, 0L)
  needed <- c("a1", "a2", "n", "n0", "maf", "missing", "hwe")
  samples <- attr(x, "samples")
  if (is.null(samples) || !all(needed %in% names(x))) {
    print(as.data.frame(x))
    return(invisible(x))
  }
  dosages <- sum(is.na(x$n0) & x$n > 0)
  cat("Statistics of ", n_of(nrow(x), "SNP"), " in ", n_of(samples, "sample"), "\n", sep = "")
  cat("  missing:        ", range_and_mean(x$missing), "\n", sep = "")
  cat("  minor allele:   ", range_and_mean(x$maf), ", ", count(sum(x$maf == 0, na.rm = TRUE)),
      " without variation\n", sep = "")
  cat("  Hardy-Weinberg: ", print_hwe(x$hwe),
      if (isTRUE(attr(x, "midp"))) " (mid-p)" else "", "\n", sep = "")
  if (dosages > 0) cat("  dosages:        ", n_of(dosages, "SNP"), ", not tested\n", sep = "")
  table <- as.data.frame(x)
  if (!all(is.na(table$a1))) table$alleles <- paste(table$a1, table$a2, sep = "/")
  shown <- c("chr", "snp", "pos", "alleles", "n", "freq", "missing", "het", "hwe")
  print_some_rows(table[intersect(shown, names(table))], n)
  if (n > 0L && !is.null(table$alleles)) cat("\nalleles: counted/other\n")
  invisible(x)
}

#' @rdname snp_stats
#' @export
print.sample_stats <- function(x, n = 10L, ...) {
  n <- check_count(n, 0L)
  snps <- attr(x, "snps")
  if (is.null(snps) || !all(c("missing", "het", "f") %in% names(x))) {
    print(as.data.frame(x))
    return(invisible(x))
  }
  cat("Statistics of ", n_of(nrow(x), "sample"), " at ", n_of(snps, "SNP"), "\n", sep = "")
  cat("  missing:      ", range_and_mean(x$missing), "\n", sep = "")
  cat("  heterozygous: ", range_and_mean(x$het), "\n", sep = "")
  cat("  inbreeding f: ", range_and_mean(x$f), "\n", sep = "")
  print_some_rows(as.data.frame(x), n)
  invisible(x)
}

# "0 to 0.4 (mean 0.1)".
range_and_mean <- function(x) {
  x <- x[is.finite(x)]
  if (length(x) == 0L) return("unknown")
  of <- vapply(c(range(x), mean(x)), function(v) format(v, digits = 3L), "")
  paste0(of[[1L]], " to ", of[[2L]], " (mean ", of[[3L]], ")")
}

print_hwe <- function(p) {
  p <- p[!is.na(p)]
  if (length(p) == 0L) return("not tested")
  paste0(count(sum(p < 1e-6)), " of ", count(length(p)), " with p < 1e-6")
}

print_some_rows <- function(table, n) {
  n <- min(n, nrow(table))
  if (n == 0L) return(invisible())
  more <- nrow(table) - n
  table <- utils::head(table, n)
  table <- table[!vapply(table, function(column) all(is.na(column)), NA)]
  table <- lapply(table, function(column) {
    if (!is.double(column)) return(column)
    vapply(column, format, "", digits = 3L)
  })
  cat("\n")
  print(as.data.frame(table), row.names = FALSE, right = TRUE)
  if (more > 0L) cat("and ", n_of(more, "more row"), "\n", sep = "")
}

#' @export
as.data.frame.snp_stats <- function(x, ...) {
  attr(x, "samples") <- attr(x, "midp") <- NULL
  class(x) <- "data.frame"
  x
}

#' @export
as.data.frame.sample_stats <- function(x, ...) {
  attr(x, "snps") <- NULL
  class(x) <- "data.frame"
  x
}
