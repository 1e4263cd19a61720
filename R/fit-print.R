#' Print and summarise a fit
#'
#' The layout of lme4's summary: criterion, scaled residuals, random effects, fixed
#' effects and their correlation.
#'
#' Tests of the coefficients need the second derivatives of the criterion, which
#' `summary()` finds each time, as [lmmfit()] does not. In models with many crossed effects
#' they take about as long as the fit; `ddf = "none"` does without.
#'
#' @param object,x a model fitted by [lmmfit()], or its summary.
#' @param ddf how to find degrees of freedom of the t tests: `"Satterthwaite"`;
#'   `"Kenward-Roger"`, which also corrects the standard errors (REML only); or `"none"`, no
#'   tests, as 'lme4'. See [contest()].
#' @param correlation (`logical(1)`) print the correlation of the fixed effects; by
#'   default when there are 2 to 12 of them.
#' @param digits significant digits.
#' @param signif.stars (`logical(1)`) mark small p-values by stars.
#' @param ... not used; in `summary()` anything here is an error.
#' @return `summary()` returns a list of class `summary.lmmfit` with the table
#'   `coefficients` (p x 5: `Estimate`, `Std. Error`, `df`, `t value`, `Pr(>|t|)`), `varcor`,
#'   `residuals` (scaled), `sigma`, `vcov`, `ngrps`, `nobs`, `opt` and `call`; `print()` its
#'   argument, invisibly.
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' summary(fit)
#' coef(summary(fit, ddf = "Kenward-Roger"))
#' @export
summary.lmmfit <- function(object, correlation = NULL,
                           ddf = c("Satterthwaite", "Kenward-Roger", "none"), ...) {
  rlang::check_dots_empty()
  here <- rlang::current_env()
  ddf <- check_ddf(ddf, here)
  if (!is.null(correlation)) check_flag(correlation)
  structure(list(
    call = object$call, formula = formula(object), REML = object$REML, ddf = ddf,
    coefficients = coefficient_tests(object, ddf, here),
    varcor = VarCorr(object), sigma = object$sigma, vcov = object$vcov,
    residuals = stats::na.omit(residuals(object, "pearson", scaled = TRUE)),
    ngrps = ngrps(object), correlation = correlation,
    nobs = nobs(object), logLik = logLik(object), df.residual = df.residual(object),
    opt = object$opt, engine = object$engine[c("name", "reason")],
    dropped = object$dropped, na.action = attr(object$frame, "na.action"),
    kernels = kernel_notes(object)
  ), class = "summary.lmmfit")
}

# "id: 1,940 ids, 1,410 with records" for each kernel.
kernel_notes <- function(object) {
  has <- Filter(function(term) !is.null(term$kernel), object$random)
  vapply(names(has), function(label) {
    term <- has[[label]]
    paste0("Relationship matrix of ", label,
           if (!is.null(term$kernel_text)) paste0(" (", term$kernel_text, ")"), ": ",
           count(nrow(term$kernel)), " ids, ", count(nlevels(term$factor)), " with records")
  }, character(1))
}

#' @rdname summary.lmmfit
#' @export
print.summary.lmmfit <- function(x, digits = max(3L, getOption("digits") - 3L),
                                 correlation = x$correlation,
                                 signif.stars = getOption("show.signif.stars"), ...) {
  print_title(x)
  print_criterion(x)
  residuals <- stats::quantile(x$residuals, names = FALSE)
  names(residuals) <- c("Min", "1Q", "Median", "3Q", "Max")
  cat("Scaled residuals: \n")
  print(zapsmall(residuals, digits + 1L), digits = digits)
  cat("\nRandom effects:\n")
  print(x$varcor, digits = digits, comp = c("Variance", "Std.Dev."))
  print_sizes(x)
  for (note in x$kernels) cat(note, "\n", sep = "")
  if (nrow(x$coefficients) > 0L) {
    cat("\nFixed effects:\n")
    stats::printCoefmat(x$coefficients, digits = digits, signif.stars = signif.stars)
    print_correlation(x, correlation)
  }
  print_notes(x)
  invisible(x)
}

print_title <- function(x) {
  method <- if (x$REML) "REML" else "maximum likelihood"
  tests <- if (!is.null(x$ddf) && x$ddf != "none") {
    paste0(". t-tests use ", x$ddf, "'s method")
  }
  cat("Linear mixed model fit by ", method, tests, " ['lmmfit']\n", sep = "")
  cat("Formula: ", paste(deparse(mixed_formula(x)), collapse = "\n"), "\n", sep = "")
  for (arg in c("data", "subset", "weights")) {
    code <- x$call[[arg]]
    label <- paste0(toupper(substr(arg, 1L, 1L)), substring(arg, 2L))
    if (!is.null(code)) cat(sprintf("%7s: %s\n", label, describe_code(code)))
  }
}

# An argument as it was written, in a line; of a value that a call holds only what it is.
describe_code <- function(expr) {
  if (!is.language(expr) && length(expr) > 1L) return(describe(expr))
  text <- deparse1(expr)
  if (nchar(text) > 60L) paste0(substr(text, 1L, 57L), "...") else text
}

print_criterion <- function(x) {
  if (x$REML) {
    cat("\nREML criterion at convergence:", format(round(-2 * as.numeric(x$logLik), 1)),
        "\n\n")
    return(invisible())
  }
  table <- c(AIC = stats::AIC(x$logLik), BIC = stats::BIC(x$logLik),
             logLik = as.numeric(x$logLik), deviance = -2 * as.numeric(x$logLik),
             df.resid = x$df.residual)
  table <- format(round(table, 1))
  table[["df.resid"]] <- format(x$df.residual)
  cat("\n")
  print(table, quote = FALSE)
  cat("\n")
}

print_sizes <- function(x) {
  groups <- paste(names(x$ngrps), x$ngrps, sep = ", ", collapse = "; ")
  cat("Number of obs: ", x$nobs, ", groups:  ", groups, "\n", sep = "")
  if (length(x$na.action) > 0L) cat("(", stats::naprint(x$na.action), ")\n", sep = "")
}

print_correlation <- function(x, correlation) {
  p <- nrow(x$vcov)
  wanted <- if (is.null(correlation)) p <= 12L else check_flag(correlation)
  if (p < 2L || !wanted) return(invisible())
  cat("\nCorrelation of Fixed Effects:\n")
  names <- rownames(x$vcov)
  table <- matrix(format(round(stats::cov2cor(x$vcov), 3), nsmall = 3), p,
                  dimnames = list(abbreviate(names, minlength = 11),
                                  abbreviate(names, minlength = 6)))
  table[!lower.tri(table)] <- ""
  print(table[-1L, -p, drop = FALSE], quote = FALSE)
}

# What the convergence record has to say, once and calmly.
print_notes <- function(x) {
  if (length(x$dropped) > 0L) {
    cat("\nDropped, as combinations of other columns: ", some_of(x$dropped, quote = FALSE),
        "\n", sep = "")
  }
  zero <- zero_components(x)
  if (length(zero) > 0L) {
    cat("\nZero is the best estimate of the variance of ", some_of(zero, quote = FALSE),
        ".\n", sep = "")
  } else if (x$opt$singular) {
    cat("\nThe covariance of the random effects is estimated as singular.\n")
  }
  if (identical(x$opt$bound, "upper")) cat("\nThe residual variance is estimated as zero.\n")
  if (!x$opt$converged) {
    cat("\nNot converged: the largest gradient is ",
        signif(max(abs(x$opt$gradient)), 3), ".\n", sep = "")
  }
}

# Names of the variances that are exactly zero, for a fit or its summary.
zero_components <- function(x) {
  varcor <- if (inherits(x, "lmmfit")) VarCorr(x) else x$varcor
  unlist(lapply(names(varcor), function(group) {
    sd <- attr(varcor[[group]], "stddev")
    if (any(sd == 0)) paste0(group, " ", names(sd)[sd == 0])
  }))
}

#' @rdname summary.lmmfit
#' @export
print.lmmfit <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  print_title(x)
  if (x$REML) {
    cat("REML criterion at convergence:", round(deviance(x), 4), "\n")
  } else {
    ll <- logLik(x)
    print(c(AIC = stats::AIC(ll), BIC = stats::BIC(ll), logLik = as.numeric(ll),
            deviance = deviance(x), df.resid = df.residual(x)), digits = digits + 1L)
  }
  cat("Random effects:\n")
  print(VarCorr(x), digits = digits, comp = "Std.Dev.")
  print_sizes(list(ngrps = ngrps(x), nobs = nobs(x),
                   na.action = attr(x$frame, "na.action")))
  for (note in kernel_notes(x)) cat(note, "\n", sep = "")
  if (length(fixef(x)) > 0L) {
    cat("Fixed Effects:\n")
    print(fixef(x), digits = digits)
  } else {
    cat("No fixed effects\n")
  }
  print_notes(x)
  invisible(x)
}

#' @rdname lmmfit-methods
#' @export
print.VarCorr.lmmfit <- function(x, digits = max(3L, getOption("digits") - 2L),
                                 comp = "Std.Dev.", ...) {
  print(format_varcorr(x, digits, comp), quote = FALSE)
  invisible(x)
}

# Character matrix: Groups, Name, what `comp` asks for, and Corr where there is any.
format_varcorr <- function(x, digits, comp) {
  sd <- c(lapply(x, attr, "stddev"), list(Residual = attr(x, "sc")))
  sizes <- lengths(sd)
  first <- cumsum(c(1L, sizes))[seq_along(sizes)]
  groups <- rep("", sum(sizes))
  groups[first] <- names(sd)
  out <- cbind(Groups = groups,
               Name = c(unlist(lapply(x, rownames), use.names = FALSE), ""))
  if ("Variance" %in% comp) {
    out <- cbind(out, Variance = format(unlist(sd)^2, digits = digits))
  }
  if ("Std.Dev." %in% comp) {
    out <- cbind(out, Std.Dev. = format(unlist(sd), digits = digits))
  }
  widest <- max(sizes)
  if (widest > 1L) {
    places <- max(2L, digits - 2L)
    corr <- matrix("", nrow(out), widest - 1L)
    for (i in which(sizes > 1L)) {
      k <- sizes[[i]]
      cells <- format(round(attr(x[[i]], "correlation"), places), nsmall = places)
      cells[!lower.tri(cells)] <- ""
      corr[first[[i]] + seq_len(k) - 1L, seq_len(k - 1L)] <- cells[, -k]
    }
    colnames(corr) <- c("Corr", rep("", widest - 2L))
    out <- cbind(out, corr)
  }
  rownames(out) <- rep("", nrow(out))
  out
}

# Paragraphs, within the width of the console.
cat_wrapped <- function(text, ...) cat(strwrap(text, getOption("width"), ...), sep = "\n")
