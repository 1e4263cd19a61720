#' Results of a spike-and-slab fit
#'
#' @param object,x a result of [spike_slab()].
#' @param newdata `predict()`: genotypes of other samples, as `geno` of [spike_slab()]; they
#'   must hold the SNPs of the fit, with the same alleles counted. Missing genotypes are
#'   taken for the mean of the sample of the fit. By default the samples of the fit.
#' @param X `predict()`: the design matrix of the fixed effects for `newdata` (samples x p),
#'   to predict responses; without it the genetic values are predicted.
#' @param level `heritability()`: confidence or credible level of the interval.
#' @param n `summary()`: how many SNPs of the largest inclusion probabilities to show.
#' @param row.names,optional not used.
#' @param digits significant digits.
#' @param ... not used; anything but in `print()` is an error.
#' @return `coef()`: the fixed effects; `vcov()`: their covariance matrix. `fitted()`:
#'   X b + Z E(b_j | y). `predict()`: a named numeric vector. `as.data.frame()`: `markers` of
#'   the fit. `heritability()`: an object of class `heritability`, a data frame of
#'   one row with the columns `group`, `estimate`, `se`, `lower`, `upper`, `genetic` and
#'   `residual` (the variances) and `term`; for Bayes the posterior mean, standard
#'   deviation and quantiles, for MCEM the interval of the standard error, cut at 0 and 1,
#'   and `NA` where there is none. `summary()`: a list of class `summary.spike_slab` with
#'   `parameters`, `fixed` (estimates and standard errors), `top` (SNPs) and `notes`.
#' @section Errors: `kinlmm_error_spike_snps` for `newdata` without some of the SNPs,
#'   `kinlmm_error_argument` for an `X` of another size.
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' pheno <- read.csv(system.file("extdata", "mouse_pheno.csv", package = "kinlmm"))
#' set.seed(1)
#' few <- geno[, geno$map$chr == "17"]
#' fit <- spike_slab(cd8 ~ 1, pheno[1:400, ], few, "Bayes", id = "id", draws = 100)
#' summary(fit, n = 3)
#' head(predict(fit, few[401:600, ]))
#' @name spike_slab-methods
NULL

#' @rdname spike_slab-methods
#' @export
print.spike_slab <- function(x, digits = 4L, ...) {
  print_spike_title(x)
  print_spike_parameters(x, digits)
  print_spike_notes(x)
  invisible(x)
}

print_spike_title <- function(x) {
  how <- if (x$settings$method == "Bayes") "Bayesian, Gibbs sampling" else
    paste0("Monte-Carlo EM, ", if (x$settings$REML) "REML" else "ML")
  cat("Spike and slab: ", how, "\n", sep = "")
  cat("Formula: ", paste(deparse(x$formula), collapse = "\n"), "\n", sep = "")
  cat("Data:    ", n_of(x$n, "record"), ", ", n_of(x$m, "SNP"),
      if (x$dropped > 0L) paste0(" (", count(x$dropped), " without variation left out)"),
      "\n", sep = "")
}

print_spike_parameters <- function(x, digits) {
  bayes <- x$settings$method == "Bayes"
  table <- x$parameters
  table <- rbind(table, NA)
  rownames(table) <- c("pi (share of SNPs with an effect)", "h2", "genetic variance",
                       "residual variance", "SNPs with an effect (m pi)")
  table[5L, 1:2] <- x$m * table[1L, 1:2]
  if (bayes) {
    table[5L, c("lower", "upper")] <- x$m * table[1L, c("lower", "upper")]
    table$rhat <- spike_text(table$rhat, 3L)
    table$ess <- spike_text(table$ess, 3L)
  }
  for (name in setdiff(names(table), c("rhat", "ess"))) {
    table[[name]] <- spike_text(table[[name]], if (name == "mc_error") 2L else digits)
  }
  names(table) <- c(estimate = if (bayes) "mean" else "estimate",
                    se = if (bayes) "sd" else "std. error", mc_error = "MC error",
                    lower = "2.5%", upper = "97.5%", rhat = "R-hat",
                    ess = "ESS")[names(table)]
  cat("\n")
  print(as.matrix(table), quote = FALSE, right = TRUE)
  genetic <- stats::median(x$draws$genetic)
  cat("\nVariance of the genetic values in the sample: ", format(genetic, digits = digits),
      "\nSNPs with an effect, of the draws: ",
      paste(round(stats::quantile(x$draws$active, c(0.025, 0.5, 0.975))), collapse = ", "),
      " (2.5%, 50%, 97.5%)\n", sep = "")
  cat(spike_effort(x), "\n", sep = "")
}

# Numbers as text, blank where there is none.
spike_text <- function(x, digits) {
  out <- vapply(x, function(value) format(signif(value, digits), scientific = -2),
                character(1))
  replace(out, is.na(x), "")
}

spike_effort <- function(x) {
  set <- x$settings
  if (set$method == "Bayes") {
    return(paste0(n_of(set$chains, "chain"), " of ",
                  count(nrow(x$draws) / set$chains), " draws kept"))
  }
  paste0(n_of(nrow(x$path), "iteration"), " of ", n_of(set$chains, "chain"), ", ",
         count(sum(x$path$sweeps)), " sweeps each; ",
         if (x$converged) "converged" else "not converged")
}

print_spike_notes <- function(x) {
  for (note in x$notes) cat(strwrap(note, 79L, exdent = 2L, initial = "! "), sep = "\n")
}

#' @rdname spike_slab-methods
#' @export
summary.spike_slab <- function(object, n = 10, ...) {
  rlang::check_dots_empty()
  n <- check_count(n)
  top <- object$markers[utils::head(order(-object$markers$pip), n), , drop = FALSE]
  fixed <- cbind(Estimate = object$coefficients, "Std. Error" = sqrt(diag(object$vcov)))
  structure(list(fit = object, parameters = object$parameters, fixed = fixed, top = top,
                 notes = object$notes), class = "summary.spike_slab")
}

#' @export
print.summary.spike_slab <- function(x, digits = 4L, ...) {
  print_spike_title(x$fit)
  print_spike_parameters(x$fit, digits)
  if (nrow(x$fixed) > 0L) {
    cat("\nFixed effects:\n")
    print(x$fixed, digits = digits)
  }
  cat("\nLargest inclusion probabilities:\n")
  top <- x$top
  shown <- data.frame(top[c("chr", "snp", "pos")], p = round(top$p, 3),
                      pip = format(round(top$pip, 3), nsmall = 3),
                      effect = signif(top$effect, 3), sd = signif(top$sd, 3))
  shown <- shown[!vapply(shown, function(column) all(is.na(column)), NA)]
  print(shown, row.names = FALSE)
  print_spike_notes(x)
  invisible(x)
}

#' @rdname spike_slab-methods
#' @export
coef.spike_slab <- function(object, ...) {
  rlang::check_dots_empty()
  object$coefficients
}

#' @rdname spike_slab-methods
#' @export
vcov.spike_slab <- function(object, ...) {
  rlang::check_dots_empty()
  object$vcov
}

#' @rdname spike_slab-methods
#' @export
fitted.spike_slab <- function(object, ...) {
  rlang::check_dots_empty()
  object$fitted
}

#' @rdname spike_slab-methods
#' @export
as.data.frame.spike_slab <- function(x, row.names = NULL, optional = FALSE, ...) {
  x$markers
}

#' @rdname spike_slab-methods
#' @export
heritability.spike_slab <- function(object, level = 0.95, ...) {
  rlang::check_dots_empty()
  level <- check_number(level, 0.001, 0.9999)
  at <- object$parameters
  h2 <- at["h2", ]
  bayes <- object$settings$method == "Bayes"
  limits <- if (bayes) {
    stats::quantile(object$draws$h2, (1 + c(-level, level)) / 2, names = FALSE)
  } else {
    h2$estimate + c(-1, 1) * stats::qnorm((1 + level) / 2) * h2$se
  }
  out <- data.frame(group = "SNPs", estimate = h2$estimate, se = h2$se,
                    lower = max(limits[[1L]], 0), upper = min(limits[[2L]], 1),
                    genetic = at["sigma_g2", "estimate"],
                    residual = at["sigma_e2", "estimate"], term = "SNPs")
  structure(out, level = level, kernel = TRUE, kernels = TRUE,
            method = if (bayes) "credible" else "wald", n = object$n,
            cases = case_share(object$model$frame$y), class = c("heritability", "data.frame"))
}

#' @rdname spike_slab-methods
#' @export
predict.spike_slab <- function(object, newdata = NULL, X = NULL, ...) {
  rlang::check_dots_empty()
  call <- rlang::current_env()
  if (is.null(newdata)) return(if (is.null(X)) object$genetic else object$fitted)
  geno <- as_genotypes(newdata)
  markers <- object$markers
  at <- spike_columns(object, geno, call)
  value <- numeric(nrow(geno))
  for (first in seq(1L, length(at), by = 512L)) {
    block <- first:min(first + 511L, length(at))
    G <- geno_block(geno, at[block], call)
    centred <- G - rep(2 * markers$p[block], each = nrow(G))
    # missing: the mean of the fit's sample
    centred[is.na(centred)] <- 0
    value <- value + drop(centred %*% markers$beta[block])
  }
  if (!is.null(X)) {
    p <- length(object$coefficients)
    if (!is.matrix(X) || !is.numeric(X) || nrow(X) != nrow(geno) || ncol(X) != p) {
      abort_argument("X", paste0("a numeric matrix of ", nrow(geno), " x ", p),
                     describe(X), call)
    }
    value <- value + drop(X %*% object$coefficients)
  }
  stats::setNames(value, sample_ids(geno))
}

# The place of each SNP of the fit in `geno`. SNPs may share a name, if all are there.
spike_columns <- function(object, geno, call) {
  used <- object$markers$snp
  ids <- snp_ids(geno)
  if (identical(ids, snp_ids(object$geno))) return(object$state_used + 1L)
  at <- match(used, ids)
  if (anyNA(at)) abort_spike_snps(used[is.na(at)], length(used), call)
  if (anyDuplicated(used) || any(used %in% ids[duplicated(ids)])) {
    abort_genotype_ambiguous("SNP", unique(c(used[duplicated(used)],
                                             intersect(used, ids[duplicated(ids)]))), call)
  }
  at
}
