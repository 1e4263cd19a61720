# The result of a scan: a data frame that knows its null model.

# scan: see @return of gwas().
new_gwas <- function(x, scan) {
  attr(x, "scan") <- scan
  class(x) <- c("gwas", "data.frame")
  x
}

gwas_tests <- c("wald", "lrt", "score")

# What print() and plot() cannot do without.
gwas_columns <- c("chr", "snp", "pos", paste0("p_", gwas_tests),
                  paste0("neg_log10_p_", gwas_tests), "reason")

#' @export
`[.gwas` <- function(x, i, j, ..., drop = TRUE) {
  out <- NextMethod()
  if (!is.data.frame(out)) return(out)
  if (!all(gwas_columns %in% names(out))) return(as.data.frame.gwas(out))
  new_gwas(out, attr(x, "scan"))
}

#' @export
as.data.frame.gwas <- function(x, ...) {
  attr(x, "scan") <- NULL
  class(x) <- "data.frame"
  x
}

#' The strongest associations of a scan
#'
#' @param x A `"gwas"` from [gwas()].
#' @param n A whole number of SNPs. Default `10`.
#' @param p A string: by which test, `"wald"` (default), `"lrt"` or `"score"`.
#' @return A `"gwas"` like `x` with at most `n` rows: the tested SNPs with the
#'   smallest p-values, smallest first.
#' @section Errors: `kinlmm_error_argument`.
#' @seealso [gwas()].
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' pheno <- read.csv(system.file("extdata", "mouse_pheno.csv", package = "kinlmm"))
#' fit <- lmmfit(cd8 ~ 1 + (1 | id), pheno, kinship = list(id = grm(geno)))
#' top_hits(gwas(fit, geno), 5)
#' @export
top_hits <- function(x, n = 10, p = c("wald", "lrt", "score")) {
  check_gwas(x)
  n <- check_count(n)
  y <- gwas_neg_log10(x, check_choice(p, gwas_tests))
  x[utils::head(order(-y, na.last = NA), n), , drop = FALSE]
}

# A result of gwas(), or a data frame that was made of one and still has its columns.
check_gwas <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (!is.data.frame(x)) abort_argument(arg, "a result of gwas()", describe(x), call)
  missing <- setdiff(gwas_columns, names(x))
  if (length(missing) > 0L) {
    abort_argument(arg, "a result of gwas() with its columns",
                   paste("a data frame without", some_of(missing)), call)
  }
  invisible(x)
}

gwas_neg_log10 <- function(x, p) x[[paste0("neg_log10_p_", p)]]

# Median of the chi squared statistics of these -log10 p, over its expectation.
lambda_gc <- function(neg_log10) {
  middle <- stats::median(neg_log10, na.rm = TRUE)
  stats::qchisq(-middle * log(10), 1, lower.tail = FALSE, log.p = TRUE) /
    stats::qchisq(0.5, 1)
}

# p-values as text, also where they have no double.
format_p <- function(neg_log10, digits = 3L) {
  exponent <- floor(-neg_log10)
  mantissa <- round(10^(-neg_log10 - exponent), digits - 1L)
  over <- !is.na(mantissa) & mantissa >= 10
  mantissa[over] <- 1
  exponent[over] <- exponent[over] + 1
  out <- paste0(formatC(mantissa, digits - 1L, format = "f"), "e", exponent)
  ordinary <- !is.na(neg_log10) & neg_log10 < 4
  out[ordinary] <- formatC(10^-neg_log10[ordinary], digits, format = "fg", flag = "#")
  out[is.na(neg_log10)] <- NA
  out
}

#' @export
print.gwas <- function(x, n = 10, ...) {
  scan <- attr(x, "scan")
  if (is.null(scan) || !all(gwas_columns %in% names(x))) {
    print(as.data.frame(x))
    return(invisible(x))
  }
  if (nrow(x) != scan$m) {
    cat(count(nrow(x)), if (nrow(x) == 1L) " row" else " rows", " of a genome scan of ",
        n_of(scan$m, "SNP"), " in ", count(scan$q), " individuals\n\n", sep = "")
    print_hits(x[utils::head(seq_len(nrow(x)), n), ])
    return(invisible(x))
  }
  tested <- is.na(x$reason)
  cat("Genome scan: ", count(sum(tested)), " of ", n_of(nrow(x), "SNP"), " tested in ",
      count(scan$q), " individuals", sep = "")
  if (scan$n != scan$q) cat(" (", count(scan$n), " records)", sep = "")
  cat("\n")
  reasons <- sort(table(x$reason), decreasing = TRUE)
  if (length(reasons) > 0L) {
    cat("Not tested:  ",
        paste0(count(as.vector(reasons)), " ", names(reasons), collapse = ", "), "\n",
        sep = "")
  }
  cat("Variance:    ",
      if (scan$variance == "null") "that of the null model"
      else "a ratio for every SNP",
      " (null model: sigma2_g/sigma2_e ", format(scan$lambda, digits = 4), ")\n", sep = "")
  if (any(tested)) {
    cat("lambda_GC:   ", format(lambda_gc(x$neg_log10_p_wald), digits = 4),
        " (Wald)\n\n", sep = "")
    print_hits(top_hits(x, n))
    if (!all(is.na(x$effect_allele))) cat("\nalleles: effect/other\n")
  }
  invisible(x)
}

print_hits <- function(hits) {
  text <- function(column, ...) format(hits[[column]], ...)
  table <- data.frame(chr = text("chr"), snp = text("snp"), pos = text("pos"))
  table <- table[!vapply(hits[names(table)], function(x) all(is.na(x)), NA)]
  if (!all(is.na(hits$effect_allele)) && !is.null(hits$other_allele)) {
    table$alleles <- paste(hits$effect_allele, hits$other_allele, sep = "/")
  }
  for (column in intersect(c("eaf", "beta", "se"), names(hits))) {
    table[[column]] <- text(column, digits = 3)
  }
  for (p in gwas_tests) table[[paste0("p_", p)]] <- format_p(gwas_neg_log10(hits, p))
  print(table, row.names = FALSE, right = TRUE)
}
