# What users see of variance components.

#' Print, summarise and extract variance components
#'
#' @param x,object the result of [variance_components()].
#' @param digits significant digits.
#' @param which (`character(1)`) the covariance matrix of the estimated `"components"`, or of
#'   the `"fixed"` effects.
#' @param row.names,optional not used.
#' @param level (`numeric(1)`) confidence of intervals, from standard errors.
#' @param ... further arguments of [graphics::plot()] for `plot()`, else not used.
#' @return `print()` and `plot()` their argument, invisibly. `summary()` a list of class
#'   `summary.variance_components` whose print shows the fixed effects, the ANOVA
#'   table, or the last iterates too. `as.data.frame()` the table of components with the
#'   column `method` before. `coef()` a named vector of components, `fixef()` of fixed
#'   effects, `vcov()` a matrix (`NULL` where the method gives none), `confint()` estimates
#'   plus and minus normal quantiles of standard errors (symmetric, and rough for few levels:
#'   [confint()][confint.lmmfit] of a fit has profile intervals), `nobs()` the number of
#'   records.
#' @examples
#' out <- variance_components(travel ~ 1 + (1 | Rail), nlme::Rail, method = "ANOVA")
#' coef(out)
#' as.data.frame(out)
#' @export
print.variance_components <- function(x, digits = max(4L, getOption("digits") - 3L), ...) {
  cat("Variance components by ", method_title(x$method), "\n", sep = "")
  cat("Formula: ", paste(deparse(x$formula), collapse = "\n"), "\n", sep = "")
  cat(n_of(x$n, "record"), ", ", format(signif(x$seconds, 2)), " s\n\n", sep = "")
  print_components(x$components, digits)
  print_kernels(x$kernels, x$components$share)
  print_sentences("\nAssumptions", x$assumptions)
  print_sentences("Notes", x$notes)
  invisible(x)
}

print_kernels <- function(kernels, share) {
  if (length(kernels) == 0L) return(invisible())
  cat("\nRelationship matrix of ", paste0(names(kernels), ": ", kernels, collapse = "; "),
      if (!all(is.na(share))) "\nShares are on the scale of the sample, see ?heritability.",
      "\n", sep = "")
}

method_title <- function(method) {
  titles <- c(REML = "REML", ML = "maximum likelihood", `EM-REML` = "REML, by EM",
              `ANOVA-I` = "ANOVA (Henderson I)", `ANOVA-III` = "ANOVA (Henderson III)",
              MINQUE0 = "MINQUE(0)", MINQUE1 = "MINQUE(1)", MINQUE = "MINQUE",
              HE = "Haseman-Elston regression (all products)",
              `HE-pairs` = "Haseman-Elston regression (products of pairs)",
              `HE-SD` = "Haseman-Elston regression (squared differences)",
              Bayes = "sampling from the posterior")
  if (method %in% names(titles)) titles[[method]] else method
}

print_components <- function(table, digits) {
  show <- function(x) aligned(x, digits)
  columns <- list(Component = c("Component", format(table$component)),
                  Variance = c("Variance", show(table$variance)),
                  se = c("Std.Error", show(table$se)))
  if (!is.null(table$share) && !all(is.na(table$share))) {
    columns$share <- c("Share", decimals(table$share, 4L))
    columns$share_se <- c("Std.Error", decimals(table$share_se, 4L))
  }
  empty <- vapply(columns, function(x) all(trimws(x[-1L]) == ""), NA)
  columns <- columns[!empty]
  text <- c(list(format(columns[[1L]])), lapply(columns[-1L], format, justify = "right"))
  cat(paste0(" ", trimws(do.call(paste, c(text, sep = "  ")), "right")), sep = "\n")
}

# Numbers with as many decimals as one of this size needs for `digits` of its own, by default
# the largest; NA is "".
aligned <- function(x, digits, size = suppressWarnings(max(abs(x), na.rm = TRUE))) {
  before <- if (is.finite(size) && size > 0) floor(log10(size)) + 1 else 1
  if (before < -5 || before > 9) {
    return(replace(formatC(x, digits = max(0, digits - 1), format = "e"), is.na(x), ""))
  }
  decimals(x, max(0, digits - before))
}

decimals <- function(x, count) {
  replace(formatC(x, digits = count, format = "f"), is.na(x), "")
}

print_sentences <- function(title, sentences) {
  if (length(sentences) == 0L) return(invisible())
  cat(title, ":\n", sep = "")
  for (sentence in sentences) {
    cat(strwrap(sentence, getOption("width") - 2L, initial = "- ", prefix = "  "), sep = "\n")
  }
}

#' @rdname print.variance_components
#' @export
summary.variance_components <- function(object, ...) {
  rlang::check_dots_empty()
  se <- sqrt(diag(object$beta_vcov))
  fixed <- cbind(Estimate = object$beta, `Std. Error` = se, `t value` = object$beta / se)
  structure(list(result = object, fixed = fixed), class = "summary.variance_components")
}

#' @export
print.summary.variance_components <- function(x, digits = max(4L, getOption("digits") - 3L),
                                              ...) {
  result <- x$result
  print(result, digits = digits)
  if (nrow(x$fixed) > 0L) {
    cat("\nFixed effects (generalised least squares at these variances):\n")
    stats::printCoefmat(x$fixed, digits = digits, cs.ind = 1:2, tst.ind = 3L)
  }
  if (!is.null(result$table)) print_anova_table(result, digits)
  if (!is.null(result$iterates)) {
    cat("\nIterates (", count(nrow(result$iterates) - 1L), "), the first and the last:\n",
        sep = "")
    shown <- unique(c(utils::head(seq_len(nrow(result$iterates)), 4L),
                      utils::tail(seq_len(nrow(result$iterates)), 3L)))
    print(result$iterates[shown, ], digits = digits + 2L, row.names = FALSE)
  }
  invisible(x)
}

print_anova_table <- function(result, digits) {
  cat("\nSums of squares:\n")
  print(result$table, digits = digits)
  cat("\nExpected mean squares, coefficients of the components:\n")
  print(zapsmall(result$expected, digits + 2L), digits = digits)
}

#' @rdname print.variance_components
#' @export
as.data.frame.variance_components <- function(x, row.names = NULL, optional = FALSE, ...) {
  cbind(method = x$method, x$components)
}

#' @rdname print.variance_components
#' @export
coef.variance_components <- function(object, ...) {
  stats::setNames(object$components$variance, object$components$component)
}

#' @rdname print.variance_components
#' @export
fixef.variance_components <- function(object, ...) object$beta

#' @rdname print.variance_components
#' @export
vcov.variance_components <- function(object, which = c("components", "fixed"), ...) {
  which <- check_choice(which, c("components", "fixed"))
  if (which == "fixed") object$beta_vcov else object$vcov
}

#' @rdname print.variance_components
#' @param parm names or numbers of components, by default all.
#' @export
confint.variance_components <- function(object, parm, level = 0.95, ...) {
  rlang::check_dots_empty()
  level <- check_number(level, 0.001, 0.9999)
  tails <- c(1 - level, 1 + level) / 2
  table <- object$components
  out <- table$variance + outer(table$se, stats::qnorm(tails))
  dimnames(out) <- list(table$component, paste(format(100 * tails, trim = TRUE), "%"))
  if (missing(parm)) return(out)
  if (is.numeric(parm) && all(parm %in% seq_len(nrow(out)))) return(out[parm, , drop = FALSE])
  unknown <- setdiff(parm, table$component)
  if (length(unknown) > 0L) {
    abort_parameter(unknown, table$component, rlang::current_env())
  }
  out[parm, , drop = FALSE]
}

#' @export
nobs.variance_components <- function(object, ...) object$n

#' @export
formula.variance_components <- function(x, ...) x$formula

#' @rdname print.variance_components
#' @export
plot.variance_components <- function(x, level = 0.95, ...) {
  if (is.null(x$iterates)) {
    level <- check_number(level, 0.001, 0.9999)
    plot_estimates(list(x), level, ...)
  } else {
    plot_iterates(x, ...)
  }
  invisible(x)
}

# Variances above, what the criterion is above its last value below.
plot_iterates <- function(x, ...) {
  old <- graphics::par(mfrow = c(2L, 1L), mar = c(4, 5.8, 2, 1), las = 1L)
  on.exit(graphics::par(old))
  at <- x$iterates$iteration + 1
  values <- as.matrix(x$iterates[-(1:2)])
  colours <- seq_len(ncol(values))
  graphics::matplot(at, values, type = "l", lty = 1L, col = colours, log = "x",
                    xlab = "Iteration + 1", ylab = "", main = method_title(x$method), ...)
  graphics::title(ylab = "Variance", line = 4.4)
  graphics::legend("right", colnames(values), col = colours, lty = 1L, bty = "n")
  above <- x$iterates$criterion - min(x$iterates$criterion)
  # below it is rounding
  shown <- above > 1e-9
  if (!any(shown)) return(invisible())
  graphics::plot(at[shown], above[shown], log = "xy", type = "l", xlab = "Iteration + 1",
                 xlim = range(at), ylab = "")
  graphics::title(ylab = "-2 logLik less its last", line = 4.4)
}

# A panel for each component: estimates of several results with their intervals.
plot_estimates <- function(results, level, ...) {
  names <- results[[1L]]$components$component
  methods <- vapply(results, `[[`, "", "method")
  old <- graphics::par(mfrow = c(1L, length(names)), mar = c(4, 6, 3, 1), las = 1L)
  on.exit(graphics::par(old))
  z <- stats::qnorm((1 + level) / 2)
  y <- rev(seq_along(results))
  for (i in seq_along(names)) {
    at <- vapply(results, function(x) x$components$variance[[i]], 0)
    se <- vapply(results, function(x) x$components$se[[i]], 0)
    ends <- cbind(at - z * se, at + z * se)
    graphics::plot(at, y, xlim = range(at, ends, 0, na.rm = TRUE), pch = 19L, yaxt = "n",
                   ylim = c(0.5, length(y) + 0.5), xlab = "Estimate", ylab = "",
                   main = names[[i]], ...)
    graphics::axis(2L, y, methods, tick = FALSE)
    graphics::abline(v = 0, col = "grey", lty = 3L)
    graphics::segments(ends[, 1L], y, ends[, 2L], y)
  }
}
