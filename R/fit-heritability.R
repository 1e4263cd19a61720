#' Heritability
#'
#' The share of the variance that each random effect explains, and that of all effects with
#' a relationship matrix together, with standard errors and intervals.
#'
#' With a relationship matrix the share is on the scale of the sample: with one term
#' h2 = sigma2_g k / (sigma2_g k + sigma2_e), where k is the mean diagonal of the
#' relationship matrix after centring it over the individuals with records. This is the
#' variance that the effects are expected to show in this sample, whatever the scale and
#' the origin of the matrix; GEMMA calls it pve. The `raw` share takes k = 1, as GCTA does.
#' Without a relationship matrix it is the intraclass correlation (repeatability), k = 1.
#' With several terms the denominator is the sum of all, k_1 sigma2_1 + k_2 sigma2_2 + ... +
#' sigma2_e, and where two or more have a relationship matrix a row `total` has their sum.
#'
#' The standard errors come from the curvature of the criterion (REML or ML, as the fit) in
#' the variances, by the delta method, with the information that `information` names. GCTA
#' and GEMMA (`-vc 2`) use the average of the observed and the expected information.
#'
#' @section Intervals:
#' `"profile"` holds every value that a likelihood-ratio test with the chi-square
#' distribution on one degree of freedom does not reject, the criterion minimised over all
#' other parameters at each share; it is not symmetric, and near 0 or 1 it is to be
#' preferred to the standard error. `"wald"` is the estimate and normal quantiles of its
#' standard error, cut at 0 and 1. `"bootstrap"` has the quantiles of the estimates in
#' `nsim` responses simulated from the fit, and their standard deviation as `se`.
#'
#' Of a component whose variance is estimated as zero there is no standard error, and the
#' interval starts at 0; the standard errors of the others take it as known to be zero.
#'
#' @section Slopes:
#' With random slopes the variance, and with it the share, depends on the covariate: `at`
#' gives its value. Intervals are then `"wald"` (the default) or `"bootstrap"`.
#'
#' @section Binary traits:
#' The shares of a response of zeros and ones are on the observed scale; [liability()]
#' transforms them.
#'
#' @param object a model fitted by [lmmfit()], [bivariate()] or [spike_slab()]; what
#'   follows is of the first.
#' @param level (`numeric(1)`) confidence level of the intervals.
#' @param method `"profile"`, `"wald"` or `"bootstrap"`, see below.
#' @param information `"observed"`, `"average"` or `"expected"`: the information matrix of
#'   standard errors. Observed by default, the curvature at the estimate; with one term the
#'   same as GEMMA's in a scan.
#' @param at (`data.frame` of one row, or named `list`) values of the covariates of random
#'   slopes.
#' @param nsim (`integer(1)`, at least 2) how many responses the bootstrap simulates.
#' @param seed (`integer(1)`) seed of the bootstrap, as for [simulate()][simulate.lmmfit].
#' @param ... not used; anything here is an error.
#' @return An object of class `heritability`: a data frame with a row for each term, and
#'   perhaps `total`, with the columns `group` (label of the term, as in [VarCorr()]),
#'   `estimate`, `se` (`NA` on a boundary), `lower`, `upper`, `raw`, the variances `genetic`
#'   (of the term) and `residual` (sigma2_e), the mean diagonal `k`, and `term`, as
#'   written. Its methods are `print()`, `plot()`, which shows estimates with their
#'   intervals, `as.data.frame()` and [liability()]. Those of [bivariate()] and
#'   [spike_slab()] are of the same class, see [bivariate-methods] and
#'   [spike_slab-methods] for their columns.
#' @references Zhou X, Stephens M (2012). Genome-wide efficient mixed-model analysis for
#' association studies. Nature Genetics 44, 821-824. \doi{10.1038/ng.2310}
#'
#' Yang J, Lee SH, Goddard ME, Visscher PM (2011). GCTA: a tool for genome-wide complex trait
#' analysis. American Journal of Human Genetics 88, 76-82. \doi{10.1016/j.ajhg.2010.11.011}
#' @seealso [h2_partition()] for groups of SNPs, [variance_test()].
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' heritability(fit)
#' slopes <- lmmfit(distance ~ age + (age | Subject), data = nlme::Orthodont)
#' heritability(slopes, at = list(age = 8))
#' heritability(slopes, at = list(age = 14))
#' @export
heritability <- function(object, ...) UseMethod("heritability")

#' @export
heritability.default <- function(object, ...) {
  abort_argument("object", "a model fitted by lmmfit(), bivariate() or spike_slab()",
                 describe(object), rlang::current_env())
}

#' @rdname heritability
#' @export
heritability.lmmfit <- function(object, level = 0.95,
                                method = c("profile", "wald", "bootstrap"),
                                information = c("observed", "average", "expected"),
                                at = NULL, nsim = 500, seed = NULL, ...) {
  rlang::check_dots_empty()
  here <- rlang::current_env()
  level <- check_number(level, 0.001, 0.9999)
  asked <- !missing(method)
  method <- check_choice(method, c("profile", "wald", "bootstrap"))
  information <- check_choice(information, c("observed", "average", "expected"))
  nsim <- check_count(nsim, 2L)
  shares <- variance_shares(object, check_at(at, object$random, here), here)
  if (!shares$intercepts && method == "profile") {
    if (asked) abort_share_profile(here)
    method <- "wald"
  }
  out <- share_table(object, shares)
  out$se <- share_errors(object, shares, information)
  draws <- if (method == "bootstrap") {
    bootstrap_shares(object, function(phi) component_shares(shares, phi), nsim, seed, here)
  }
  if (!is.null(draws)) out$se <- apply(draws$t, 2L, stats::sd, na.rm = TRUE)
  limits <- share_limits(object, shares, out, method, level, draws)
  out$lower <- limits[, 1L]
  out$upper <- limits[, 2L]
  structure(out, level = level, kernel = any(shares$kernel), method = method,
            information = information, kernels = c(shares$kernel, NA)[seq_len(nrow(out))],
            at = at, n = nobs(object), REML = object$REML, cases = case_share(object$y),
            draws = draws$t, class = c("heritability", "data.frame"))
}

check_at <- function(at, terms, call) {
  if (is.null(at)) return(NULL)
  named <- is.list(at) && length(at) > 0L && !is.null(names(at))
  if (!named || any(lengths(at) != 1L) || anyNA(unlist(at))) {
    abort_argument("at", "a named list with one known value for each covariate",
                   if (named && anyNA(unlist(at))) "NA in part" else describe(at), call)
  }
  known <- unique(unlist(lapply(terms, function(term) {
    if (!identical(term$columns, "(Intercept)")) all.vars(stats::formula(term$terms))
  })))
  other <- setdiff(names(at), known)
  if (length(other) > 0L) abort_at_unknown(other, known, call)
  as.data.frame(at)
}

share_table <- function(object, shares) {
  phi <- shares$phi
  count <- length(object$random)
  variance <- drop(shares$raw %*% phi)
  residual <- object$sigma^2
  group <- names(object$random)
  if (count == 1L) group <- object$random[[1L]]$group
  term <- vapply(object$random, term_text, character(1))
  k <- unname(shares$k)
  raw <- variance / (sum(variance) + residual)
  if (sum(shares$kernel) > 1L) {
    group <- c(group, "total")
    term <- c(term, "all relationship matrices")
    k <- c(k, NA)
    raw <- c(raw, sum(raw[shares$kernel]))
    variance <- c(variance, sum(variance[shares$kernel]))
  }
  data.frame(group = group, estimate = component_shares(shares, phi), se = NA_real_,
             lower = NA_real_, upper = NA_real_, raw = raw, genetic = variance,
             residual = residual, k = k, term = unname(term))
}

# Numerators of the rows of the table.
share_rows <- function(shares) {
  if (sum(shares$kernel) < 2L) return(shares$weights)
  rbind(shares$weights, colSums(shares$weights[shares$kernel, , drop = FALSE]))
}

share_whole <- function(shares) colSums(shares$weights) + shares$residual

component_shares <- function(shares, phi) {
  drop(share_rows(shares) %*% phi) / sum(share_whole(shares) * phi)
}

share_errors <- function(object, shares, information) {
  rows <- share_rows(shares)
  ratio <- length(object$theta) == 1L && !is.null(object$opt$hessian)
  if (ratio && information == "observed" && shares$intercepts) {
    return(ratio_error(object, shares$k))
  }
  covariance <- information_covariance(object, information)
  se <- apply(rows, 1L, share_error, share_whole(shares), shares$phi, covariance)
  replace(se, drop(rows %*% shares$phi) <= 0, NA_real_)
}

# Of one variance ratio: the Hessian in theta is d2/dtheta2 = 4 tau d2/dtau2 where the
# gradient is zero.
ratio_error <- function(object, k) {
  if (!identical(object$opt$bound, "none")) return(NA_real_)
  tau <- object$theta[[1L]]^2
  curvature <- object$opt$hessian[1, 1] / (4 * tau)
  unname(k / (1 + tau * k)^2 * sqrt(2 / curvature))
}

# rows x 2
share_limits <- function(object, shares, table, method, level, draws) {
  if (method == "bootstrap") {
    at <- (1 + c(-level, level)) / 2
    return(t(vapply(seq_len(nrow(table)), function(i) {
      bootstrap_interval(table$estimate[[i]], draws$t[, i], at, "perc")
    }, numeric(2))))
  }
  if (method == "wald") {
    half <- stats::qnorm((1 + level) / 2) * table$se
    return(cbind(pmax(table$estimate - half, 0), pmin(table$estimate + half, 1)))
  }
  if (length(object$theta) == 1L) return(t(share_interval(object, shares$k, level)))
  count <- length(object$random)
  whole <- seq_len(count + 1L)
  shares$observed <- fit_information(object)$observed
  parts <- c(as.list(seq_len(count)), list(which(shares$kernel))[nrow(table) > count])
  ends <- with_progress("Profiles of shares", length(parts), function(tick) {
    lapply(seq_along(parts), function(i) {
      pin <- share_pin(object, shares, parts[[i]], whole)
      out <- profile_share(pin, table$se[[i]], level)
      tick(i, length(parts))
      out
    })
  })
  do.call(rbind, ends)
}

# As written, with the name of its kernel where kin() has one.
term_text <- function(term) {
  text <- describe_term(term)
  if (is.null(term$kernel_text)) text else sub(")$", paste0(", ", term$kernel_text, ")"), text)
}

# The share of ones among zeros and ones, else NULL.
case_share <- function(y) if (all(y == 0 | y == 1)) mean(y)

# The share of the variance at a variance ratio of tau, for a mean diagonal of k.
variance_share <- function(tau, k) tau * k / (tau * k + 1)

# Mean diagonal of the kernel centred over the individuals with records; 1 without one.
mean_diagonal <- function(term) {
  if (is.null(term$kernel)) return(1)
  ids <- levels(term$factor)
  own <- kernel_diagonal(term$kernel, nrow(term$kernel))
  mean(own[match(ids, rownames(term$kernel))]) - kernel_mean(term$kernel, ids)
}

# Ratios at which the criterion exceeds its minimum by the chi-square quantile, as shares.
share_interval <- function(object, k, level) {
  unit <- object$engine$data$unit
  top <- object$engine$data$upper / unit
  excess <- function(log_tau) {
    engine_criterion(object$engine, exp(log_tau / 2), object$REML) -
      object$opt$criterion - stats::qchisq(level, 1)
  }
  at <- log(min(max(object$theta[[1L]]^2, 1e-12 / unit), top))
  end <- function(bound, value) {
    if (abs(bound - at) < 1e-9 || excess(bound) <= 0) return(value)
    tau <- exp(stats::uniroot(excess, sort(c(at, bound)), tol = 1e-10)$root)
    variance_share(tau, k)
  }
  unname(c(end(log(1e-12 / unit), 0), end(log(top), 1)))
}

#' @rdname heritability
#' @param x what `heritability()` returned.
#' @param digits (`integer(1)`) decimals of shares.
#' @export
print.heritability <- function(x, digits = 4L, ...) {
  if (!is.null(x$trait)) print_trait_shares(x, digits) else
    if (nrow(x) == 1L) print_share(x, digits) else print_shares(x, digits)
  cases <- attr(x, "cases")
  ones <- paste0(format(100 * cases, digits = 3L, trim = TRUE), "% ones")
  if (!is.null(names(cases))) {
    cat(paste0("  ", names(cases), " is 0 or 1 (", ones, "): its share is on the observed ",
               "scale, see liability().\n"), sep = "")
  } else if (!is.null(cases)) {
    cat("  The response is 0 or 1 (", ones, "): this is the observed scale,\n",
        "  see liability().\n", sep = "")
  }
  invisible(x)
}

show_share <- function(value, digits) {
  format(round(value, digits), nsmall = digits, trim = TRUE)
}

# Aligned, blank where missing.
show_column <- function(value, digits) {
  replace(format(round(value, digits), nsmall = digits), is.na(value), "")
}

# "95% profile interval"
interval_title <- function(x) {
  paste0(format(100 * attr(x, "level")), "% ",
         c(profile = "profile", wald = "Wald", bootstrap = "bootstrap",
           credible = "credible")[[attr(x, "method")]], " interval")
}

# " at age = 8" where there are slopes.
at_title <- function(x) {
  at <- attr(x, "at")
  if (is.null(at)) return("")
  paste0(" at ", paste(names(at), "=", vapply(at, format, ""), collapse = ", "))
}

print_share <- function(x, digits) {
  show <- function(value) show_share(value, digits)
  bayes <- attr(x, "method") == "credible"
  what <- if (attr(x, "kernel")) "Heritability" else "Repeatability (intraclass correlation)"
  cat(what, " of ", x$group, at_title(x), "\n", sep = "")
  none <- if (is.null(x$raw)) "not available" else "not defined on the boundary"
  se <- if (is.na(x$se)) none else show(x$se)
  cat("  ", if (bayes) "posterior mean " else "estimate ", show(x$estimate), ", standard ",
      if (bayes) "deviation " else "error ", se, "\n", sep = "")
  cat("  ", interval_title(x), " ",
      if (is.na(x$lower)) none else paste(show(x$lower), "to", show(x$upper)), "\n", sep = "")
  cat("  variances: ", if (attr(x, "kernel")) "genetic " else "between ",
      format(x$genetic, digits = digits + 1L), ", residual ",
      format(x$residual, digits = digits + 1L), "\n", sep = "")
  if (!is.null(x$raw) && abs(x$raw - x$estimate) > 5e-5) {
    cat("  raw ", show(x$raw), " (relationship matrix as given; its mean diagonal in this",
        " sample is ", format(x$k, digits = 4), ")\n", sep = "")
  }
}

print_shares <- function(x, digits) {
  show <- function(value) show_column(value, digits)
  cat("Shares of the variance", at_title(x), " (", if (attr(x, "REML")) "REML" else "ML", ", ",
      n_of(attr(x, "n"), "record"), ")\n\n", sep = "")
  kernels <- attr(x, "kernels")
  rows <- c(seq_len(sum(!is.na(kernels))), NA, which(is.na(kernels)))
  at <- function(value) value[rows]
  name <- replace(at(x$term), is.na(rows), "residual")
  name <- replace(name, name == "all relationship matrices", "heritability (total)")
  share <- replace(at(x$estimate), is.na(rows), 1 - sum(x$estimate[!is.na(kernels)]))
  variance <- replace(at(x$genetic), is.na(rows), x$residual[[1L]])
  interval <- paste(show(at(x$lower)), "to", show(at(x$upper)))
  table <- data.frame(share = show(share), s.e. = show(at(x$se)),
                      interval = replace(interval, is.na(at(x$lower)), ""),
                      variance = format(variance, digits = digits),
                      k = replace(format(round(at(x$k), digits)), is.na(at(x$k)), ""),
                      raw = show(at(x$raw)))
  if (all(x$k == 1, na.rm = TRUE)) table$k <- table$raw <- NULL
  names(table)[[3L]] <- sub(" interval", "", interval_title(x))
  out <- as.matrix(table)
  rownames(out) <- format(name)
  print(out, quote = FALSE, right = TRUE)
  print_share_notes(x)
}

# Of a bivariate() model.
print_trait_shares <- function(x, digits) {
  show <- function(value) show_column(value, digits)
  several <- length(unique(x$term)) > 1L
  what <- if (several) "Shares of the variance" else if (attr(x, "kernel")) "Heritability" else
    "Repeatability (intraclass correlation)"
  cat(what, if (!several) paste(" of", x$group[[1L]]), ", by trait (",
      if (attr(x, "REML")) "REML" else "ML", ", ", n_of(attr(x, "n"), "record"), ")\n\n",
      sep = "")
  table <- data.frame(share = show(x$estimate), s.e. = show(x$se),
                      interval = paste(show(x$lower), "to", show(x$upper)),
                      variance = format(x$genetic, digits = digits),
                      residual = format(x$residual, digits = digits))
  names(table)[[3L]] <- sub(" interval", "", interval_title(x))
  table[is.na(x$lower), 3L] <- ""
  out <- as.matrix(table)
  rownames(out) <- format(share_labels(x))
  print(out, quote = FALSE, right = TRUE)
  cat("\n")
  if (any(x$k != 1)) {
    cat("  share = k variance / sum, k the mean diagonal of the centred matrix in this\n",
        "  sample: ", paste(unique(paste0(show_share(x$k, digits), if (several) {
          paste0(" (", x$term, ")")
        })), collapse = ", "), "\n", sep = "")
  }
  if (anyNA(x$se)) cat("  no standard error on the boundary\n")
}

# Rows of a table of shares.
share_labels <- function(x) {
  if (is.null(x$trait)) return(x$term)
  if (length(unique(x$term)) > 1L) paste0(x$term, ", ", x$trait) else x$trait
}

print_share_notes <- function(x) {
  own <- x[!is.na(attr(x, "kernels")), ]
  cat("\n")
  if (any(own$k != 1)) {
    cat("  share = k variance / sum, k the mean diagonal of the centred matrix in this\n",
        "  sample; raw: matrices as given, k = 1\n", sep = "")
  }
  errors <- if (attr(x, "method") == "bootstrap") "standard deviations of the draws" else
    paste("delta method,", attr(x, "information"), "information")
  cat("  s.e.: ", errors, "\n", sep = "")
  zero <- own$term[own$estimate <= 0]
  if (length(zero) > 0L) {
    more <- if (attr(x, "method") == "bootstrap") "" else
      if (length(zero) == nrow(own)) "; no standard error there" else
        "; no standard error there, and\n  those of the others take it as known to be zero"
    cat("  on the boundary: ", paste(zero, collapse = ", "), more, "\n", sep = "")
  }
}

#' @rdname heritability
#' @param row.names,optional not used.
#' @export
as.data.frame.heritability <- function(x, row.names = NULL, optional = FALSE, ...) {
  plain_frame(x)
}

# Part of it is a table.
#' @export
`[.heritability` <- function(x, ...) plain_frame(x)[...]

#' @export
rbind.heritability <- function(..., deparse.level = 1) rbind_plain(...)

# A data frame without the class and the attributes of a result.
plain_frame <- function(x) {
  out <- unclass(x)
  attributes(out) <- attributes(out)[c("names", "row.names")]
  structure(out, class = "data.frame")
}

# Results of several fits are a table too.
rbind_plain <- function(...) {
  do.call(rbind, lapply(list(...), function(x) if (is.data.frame(x)) plain_frame(x) else x))
}

#' @rdname heritability
#' @param xlab,main labels of the plot.
#' @export
plot.heritability <- function(x, xlab = "share of the variance", main = NULL, ...) {
  plot_intervals(share_labels(x), x$estimate, x$lower, x$upper, xlab = xlab, main = main,
                 xlim = c(0, max(1, x$upper, na.rm = TRUE)),
                 strong = is.na(attr(x, "kernels")), ...)
  invisible(x)
}

# Estimates and their intervals, from above; `strong` ones filled.
plot_intervals <- function(labels, estimate, lower, upper, xlim, strong = FALSE,
                           reference = NULL, xlab, main = NULL, ...) {
  count <- length(estimate)
  at <- rev(seq_len(count))
  width <- max(graphics::strwidth(labels, "inches")) + 0.3
  before <- graphics::par(mai = replace(graphics::par("mai"), 2L, max(0.5, width)))
  on.exit(graphics::par(before))
  graphics::plot(NA, xlim = xlim, ylim = c(0.5, count + 0.5), yaxt = "n", ylab = "",
                 xlab = xlab, main = main, ...)
  graphics::axis(2L, at, labels, las = 1L, tick = FALSE)
  graphics::abline(v = reference, lty = 2L, col = "grey50")
  graphics::segments(lower, at, upper, at, lwd = 2)
  graphics::points(estimate, at, pch = 21L, cex = 1.4,
                   bg = c("white", "black")[1L + rep_len(strong, count)])
}
