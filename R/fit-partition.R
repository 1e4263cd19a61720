#' Partition of the heritability by groups of SNPs
#'
#' For a fit with a relationship matrix of each of several groups of SNPs (by annotation,
#' chromosome, frequency): which share of the genetic variance each group has, how much more
#' that is than its share of the SNPs (enrichment), and tests.
#'
#' With sigma2_g and k_g the variance of group g and the mean diagonal of its centred matrix
#' (see [heritability()]), the share is k_g sigma2_g / sum(k sigma2), the enrichment this
#' divided by m_g / sum(m), the fraction of SNPs. Standard errors are by the delta method,
#' and hold where neither the group nor the whole is near zero; intervals are those of the
#' profile likelihood.
#'
#' The test of an enrichment of 1 is a likelihood-ratio test: the model is fitted again with
#' the share of the group held at its fraction of SNPs. The test of equal variance per SNP
#' holds all of them so, on one degree of freedom less than there are groups. Both are
#' chi-square tests, as these hypotheses are not on a boundary. With groups in linkage
#' disequilibrium with each other, SNPs of one group tag the variance of another: the
#' partition is of what the matrices explain.
#'
#' @param fit a model fitted by [lmmfit()] with two or more intercepts with a relationship
#'   matrix each, such as `kin(1 | id, KA) + kin(1 | id, KB)`. It may have others.
#' @param snps (named `numeric`) how many SNPs each matrix was made of. Names that are those
#'   of the matrices in [kin()][lmmfit] or labels of terms are matched; other names are new
#'   ones for the terms in their order. By default what [grm()] noted in its result.
#' @param level (`numeric(1)`) confidence level of the intervals.
#' @param information as for [heritability()].
#' @param x what `h2_partition()` returned.
#' @param digits (`integer(1)`) decimals.
#' @param row.names,optional not used.
#' @param main a title.
#' @param ... not used; anything here is an error.
#' @return An object of class `h2_partition`: a data frame with a row for each group and the
#'   columns `group`, `snps`, `fraction` (of SNPs), `variance`, `share` (of the genetic
#'   variance), `se`, `lower`, `upper`, `enrichment`, `enrichment_se`, `LRT` and `p.value`
#'   (of an enrichment of 1), and `per_snp`, k sigma2 / m. The attribute `test` has the test
#'   of equal variance per SNP (`LRT`, `df`, `p.value`), `heritability` the total and its
#'   standard error.
#' @references Yang J, Manolio TA, Pasquale LR, et al. (2011). Genome partitioning of genetic
#' variation for complex traits using common SNPs. Nature Genetics 43, 519-525.
#' \doi{10.1038/ng.823}
#'
#' Gusev A, Lee SH, Trynka G, et al. (2014). Partitioning heritability of regulatory and
#' cell-type-specific variants across 11 common diseases. American Journal of Human Genetics
#' 95, 535-552. \doi{10.1016/j.ajhg.2014.10.004}
#' @examples
#' set.seed(1)
#' ids <- paste0("i", 1:150)
#' geno <- matrix(rbinom(150 * 400, 2, 0.3), 150,
#'                dimnames = list(ids, paste0("rs", 1:400)))
#' # one SNP in four is coding, and has four times the variance
#' b <- rnorm(400, sd = rep(c(2, 1), c(100, 300)) * 0.1)
#' g <- drop(scale(geno, scale = FALSE) %*% b)
#' pheno <- data.frame(id = ids, y = g + rnorm(150, sd = 2))
#' coding <- grm(geno[, 1:100])
#' other <- grm(geno[, 101:400])
#' fit <- lmmfit(y ~ 1 + kin(1 | id, coding) + kin(1 | id, other), pheno)
#' h2_partition(fit)
#' @export
h2_partition <- function(fit, snps = NULL, level = 0.95,
                         information = c("observed", "average", "expected"), ...) {
  rlang::check_dots_empty()
  here <- rlang::current_env()
  check_fit(fit)
  level <- check_number(level, 0.001, 0.9999)
  information <- check_choice(information, c("observed", "average", "expected"))
  kernels <- partition_terms(fit, here)
  snps <- check_snps(snps, fit$random[kernels], here)
  shares <- variance_shares(fit, NULL, here)
  shares$observed <- fit_information(fit)$observed
  size <- shares$k[kernels] * shares$phi[kernels]
  if (sum(size) <= 0) abort_partition_zero(here)
  covariance <- information_covariance(fit, information)
  out <- data.frame(group = names(snps), snps = unname(snps),
                    fraction = unname(snps / sum(snps)),
                    variance = unname(shares$phi[kernels]), share = unname(size / sum(size)))
  out$se <- partition_errors(shares, kernels, covariance)
  ends <- t(vapply(seq_along(kernels), function(g) {
    pin <- share_pin(fit, shares, kernels[[g]], kernels)
    profile_share(pin, out$se[[g]], level)
  }, numeric(2)))
  out$lower <- ends[, 1L]
  out$upper <- ends[, 2L]
  out$enrichment <- out$share / out$fraction
  out$enrichment_se <- out$se / out$fraction
  out$LRT <- enrichment_tests(fit, shares, kernels, out$fraction)
  out$p.value <- stats::pchisq(out$LRT, 1, lower.tail = FALSE)
  out$per_snp <- unname(size) / out$snps
  structure(out, level = level, test = equal_variance_test(fit, shares, kernels, snps),
            heritability = partition_total(shares, kernels, covariance), REML = fit$REML,
            class = c("h2_partition", "data.frame"))
}

# Which terms have a kernel: at least two, and all terms intercepts.
partition_terms <- function(fit, call) {
  terms <- fit$random
  kernel <- !vapply(terms, function(term) is.null(term$kernel), NA)
  intercepts <- vapply(terms, function(term) identical(term$columns, "(Intercept)"), NA)
  if (sum(kernel) < 2L || !all(intercepts)) {
    abort_partition_terms(vapply(terms, term_text, ""), call)
  }
  unname(which(kernel))
}

# Numbers of SNPs by group, in the order of the terms.
check_snps <- function(snps, terms, call) {
  known <- vapply(terms, function(term) {
    if (is.null(term$kernel_text)) term$group else term$kernel_text
  }, "")
  known <- make.unique(unname(known))
  if (is.null(snps)) {
    snps <- lapply(terms, function(term) attr(term$kernel, "grm")[["m"]])
    if (any(lengths(snps) == 0L)) abort_partition_snps(known[lengths(snps) == 0L], call)
    return(stats::setNames(as.double(unlist(snps)), known))
  }
  if (!is.numeric(snps) || length(snps) != length(known) || any(!is.finite(snps)) ||
        any(snps <= 0)) {
    abort_argument("snps", paste0("a positive number for each of the ", length(known),
                                  " groups"), describe(snps), call)
  }
  if (is.null(names(snps))) return(stats::setNames(as.double(snps), known))
  for (labels in list(known, names(terms))) {
    if (setequal(names(snps), labels)) {
      return(stats::setNames(as.double(snps[labels]), labels))
    }
  }
  mixed <- intersect(names(snps), c(known, names(terms)))
  if (length(mixed) > 0L) abort_partition_names(setdiff(names(snps), mixed), known, call)
  stats::setNames(as.double(snps), names(snps))
}

partition_errors <- function(shares, kernels, covariance) {
  whole <- replace(numeric(length(shares$phi)), kernels, shares$k[kernels])
  se <- vapply(kernels, function(g) {
    part <- replace(0 * whole, g, whole[[g]])
    share_error(part, whole, shares$phi, covariance)
  }, numeric(1))
  # alone, a group has all of it
  positive <- shares$phi[kernels] > 0
  replace(se, !positive | sum(positive) == 1L, NA_real_)
}

partition_total <- function(shares, kernels, covariance) {
  part <- colSums(shares$weights[kernels, , drop = FALSE])
  whole <- share_whole(shares)
  c(estimate = sum(part * shares$phi) / sum(whole * shares$phi),
    se = share_error(part, whole, shares$phi, covariance))
}

# Likelihood ratios of each share held at its fraction.
enrichment_tests <- function(fit, shares, kernels, fraction) {
  vapply(seq_along(kernels), function(g) {
    pin <- share_pin(fit, shares, kernels[[g]], kernels)
    solve_share(pin, fraction[[g]], list(phi = shares$phi))$zeta^2
  }, numeric(1))
}

# All variances of groups follow one: k sigma2 / m is the same.
equal_variance_test <- function(fit, shares, kernels, snps) {
  count <- length(shares$phi)
  phi <- shares$phi
  first <- kernels[[1L]]
  each <- snps / shares$k[kernels]
  size <- sum(shares$k[kernels] * phi[kernels]) / sum(snps)
  B <- diag(count)
  B[kernels, first] <- each / each[[1L]]
  phi[[first]] <- size * each[[1L]]
  kept <- setdiff(seq_len(count), kernels[-1L])
  best <- linear_optimum(fit, list(B = B[, kept, drop = FALSE], kept = kept), phi,
                         exact_hessian(fit$engine), shares$observed)
  lrt <- max(0, best$value - fit$opt$criterion)
  df <- length(kernels) - 1L
  data.frame(LRT = lrt, df = df, p.value = stats::pchisq(lrt, df, lower.tail = FALSE))
}

#' @rdname h2_partition
#' @export
print.h2_partition <- function(x, digits = 3L, ...) {
  show <- function(value) show_column(value, digits)
  total <- attr(x, "heritability")
  cat("Partition of the genetic variance by groups of SNPs (",
      if (attr(x, "REML")) "REML" else "ML", ")\nTotal heritability ",
      show_share(total[["estimate"]], digits), ", standard error ",
      show_share(total[["se"]], digits), "\n\n", sep = "")
  table <- data.frame(SNPs = count(x$snps), fraction = show(x$fraction), share = show(x$share),
                      s.e. = show(x$se), interval = paste(show(x$lower), "to", show(x$upper)),
                      enrichment = show(x$enrichment), s.e. = show(x$enrichment_se),
                      p = format.pval(x$p.value, digits = 2L, eps = 1e-16),
                      check.names = FALSE)
  names(table)[[5L]] <- paste0(format(100 * attr(x, "level")), "% profile")
  out <- as.matrix(table)
  rownames(out) <- format(x$group)
  print(out, quote = FALSE, right = TRUE)
  test <- attr(x, "test")
  cat("\n  p: likelihood-ratio test of an enrichment of 1\n  equal variance per SNP: LRT ",
      format(test$LRT, digits = 4L), " on ", test$df, " df, p ",
      format.pval(test$p.value, digits = 3L, eps = 1e-16), "\n", sep = "")
  zero <- x$group[x$variance <= 0]
  if (length(zero) > 0L) {
    cat("  on the boundary, without standard error: ", paste(zero, collapse = ", "), "\n",
        sep = "")
  }
  invisible(x)
}

#' @rdname h2_partition
#' @export
as.data.frame.h2_partition <- function(x, row.names = NULL, optional = FALSE, ...) {
  plain_frame(x)
}

# Part of it is a table.
#' @export
`[.h2_partition` <- function(x, ...) plain_frame(x)[...]

#' @export
rbind.h2_partition <- function(..., deparse.level = 1) rbind_plain(...)

#' @rdname h2_partition
#' @export
plot.h2_partition <- function(x, main = NULL, ...) {
  upper <- x$upper / x$fraction
  plot_intervals(x$group, x$enrichment, x$lower / x$fraction, upper, reference = 1,
                 xlim = c(0, max(1, upper, x$enrichment, na.rm = TRUE)),
                 xlab = "enrichment (share of variance / fraction of SNPs)", main = main, ...)
  invisible(x)
}
