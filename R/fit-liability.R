#' Heritability on the scale of liability
#'
#' Transforms a heritability that was estimated from cases (1) and controls (0) to that of
#' the liability, the normally distributed trait whose upper tail are the cases. Cases may
#' be more frequent in the sample than in the population.
#'
#' With the prevalence K, the share P of cases in the sample and z, the height of the normal
#' density at the threshold that a share K exceeds,
#' \deqn{h^2_l = h^2_o \, \frac{K(1 - K)}{z^2} \, \frac{K(1 - K)}{P(1 - P)}}{
#' h2_l = h2_o K(1-K)/z^2 K(1-K)/(P(1-P))}
#' (Lee et al. 2011). Without ascertainment P = K, and the last factor is 1 (Dempster and
#' Lerner 1950). The standard error and the interval are multiplied by the same factor.
#'
#' @section Limits:
#' The transformation supposes small effects, no fixed effects that explain much of the
#' liability, and a prevalence that is known. The estimate of REML itself is too small
#' where cases of a rare and very heritable trait are oversampled (Golan, Lander and Rosset
#' 2014). A value above 1 is not cut, as it says that one of these does not hold, or that
#' the sample is small.
#'
#' @param h2 (`numeric`) heritability on the observed scale, or what [heritability()]
#'   returned for a response of zeros and ones.
#' @param prevalence (`numeric(1)`) share of cases in the population, in (0, 1). Of two
#'   binary traits of [bivariate()] it may be two.
#' @param cases (`numeric(1)`) share of cases in the sample, in (0, 1). By default the
#'   prevalence (no ascertainment) for a number, and the share of ones in the response for
#'   an object of [heritability()]. As `prevalence` it may be two.
#' @param se (`numeric`, as long as `h2`) standard error on the observed scale.
#' @param x what `liability()` returned.
#' @param digits (`integer(1)`) decimals of shares.
#' @param ... not used; anything here is an error.
#' @return An object of class `liability`: a data frame with a row for each value and the
#'   columns `term`, `observed`, `estimate`, `se`, `lower`, `upper` (`NA` where they are
#'   not known), and `factor`, and the attributes `prevalence` and `cases`: one value, or one
#'   for each row where they differ. Of two traits those of zeros and ones have rows.
#' @references Lee SH, Wray NR, Goddard ME, Visscher PM (2011). Estimating missing
#' heritability for disease from genome-wide association studies. American Journal of Human
#' Genetics 88, 294-305. \doi{10.1016/j.ajhg.2011.02.002}
#'
#' Dempster ER, Lerner IM (1950). Heritability of threshold characters. Genetics 35,
#' 212-236. \doi{10.1093/genetics/35.2.212}
#'
#' Golan D, Lander ES, Rosset S (2014). Measuring missing heritability: inferring the
#' contribution of common variants. PNAS 111, E5272-E5281. \doi{10.1073/pnas.1419064111}
#' @examples
#' liability(0.3, prevalence = 0.01, cases = 0.5, se = 0.05)
#' liability(0.3, prevalence = 0.1)
#' @export
liability <- function(h2, ...) UseMethod("liability")

#' @rdname liability
#' @export
liability.default <- function(h2, prevalence, cases = prevalence, se = NA_real_, ...) {
  rlang::check_dots_empty()
  here <- rlang::current_env()
  if (!is.numeric(h2) || length(h2) == 0L || any(!is.finite(h2))) {
    abort_argument("h2", "a finite number, or made by heritability()", describe(h2), here)
  }
  fits <- (is.numeric(se) || all(is.na(se))) && length(se) %in% c(1L, length(h2))
  if (!fits || any(se < 0, na.rm = TRUE)) {
    abort_argument("se", "one standard error for each value, not negative", describe(se),
                   here)
  }
  prevalence <- check_open_share(prevalence)
  cases <- check_open_share(cases)
  names <- if (is.null(names(h2))) character(length(h2)) else names(h2)
  new_liability(names, as.double(h2), as.double(se), NA_real_, NA_real_, prevalence, cases)
}

#' @rdname liability
#' @export
liability.heritability <- function(h2, prevalence, cases = NULL, ...) {
  rlang::check_dots_empty()
  own <- attr(h2, "cases")
  if (is.null(own)) abort_liability_response(rlang::current_env())
  prevalence <- check_open_share(prevalence, length(own))
  cases <- if (is.null(cases)) unname(own) else check_open_share(cases, length(own))
  rows <- as.data.frame(h2)
  rows$label <- share_labels(h2)
  trait <- rep(1L, nrow(rows))
  if (!is.null(names(own))) {
    rows <- rows[rows$trait %in% names(own), ]
    trait <- match(rows$trait, names(own))
  }
  out <- new_liability(rows$label, rows$estimate, rows$se, rows$lower, rows$upper,
                       rep_len(prevalence, length(own))[trait],
                       rep_len(cases, length(own))[trait])
  structure(out, title = interval_title(h2))
}

# One share of cases, or one for each of `count` traits.
check_open_share <- function(x, count = 1L, arg = rlang::caller_arg(x),
                             call = rlang::caller_env()) {
  good <- is.numeric(x) && length(x) %in% c(1L, count) && all(is.finite(x) & x > 0 & x < 1)
  if (!good && count > 1L) abort_liability_shares(arg, count, describe(x), call)
  if (!good) abort_argument(arg, "a share of cases, above 0 and below 1", describe(x), call)
  as.double(x)
}

liability_factor <- function(prevalence, cases) {
  z <- stats::dnorm(stats::qnorm(prevalence))
  (prevalence * (1 - prevalence) / z)^2 / (cases * (1 - cases))
}

new_liability <- function(term, observed, se, lower, upper, prevalence, cases) {
  by <- liability_factor(prevalence, cases)
  out <- data.frame(term = term, observed = observed, estimate = observed * by,
                    se = se * by, lower = lower * by, upper = upper * by, factor = by)
  single <- function(x) if (all(x == x[[1L]])) x[[1L]] else x
  structure(out, prevalence = single(prevalence), cases = single(cases),
            class = c("liability", "data.frame"))
}

#' @rdname liability
#' @export
print.liability <- function(x, digits = 4L, ...) {
  show <- function(value) replace(show_share(value, digits), is.na(value), "")
  prevalence <- attr(x, "prevalence")
  cases <- attr(x, "cases")
  cat("Heritability of the liability\n")
  one <- length(prevalence) == 1L && length(cases) == 1L
  for (i in if (one) 1L else seq_len(nrow(x))) {
    k <- rep_len(prevalence, i)[[i]]
    p <- rep_len(cases, i)[[i]]
    cat("  ", if (!one) paste0(x$term[[i]], ": "), "prevalence ", format(k),
        ", cases in the sample ", format(p, digits = 4L),
        if (k == p) " (no ascertainment)", ": factor ", format(x$factor[[i]], digits = 6L),
        "\n", sep = "")
  }
  cat("\n")
  table <- data.frame(observed = show(x$observed), liability = show(x$estimate),
                      s.e. = show(x$se),
                      interval = paste(show(x$lower), "to", show(x$upper)))
  title <- attr(x, "title")
  if (!is.null(title)) names(table)[[4L]] <- sub(" interval", "", title)
  if (any(grepl("credible", title))) names(table)[[3L]] <- "s.d."
  table[is.na(x$lower), 4L] <- ""
  keep <- c(TRUE, TRUE, any(!is.na(x$se)), any(!is.na(x$lower)))
  out <- as.matrix(table)[, keep, drop = FALSE]
  rownames(out) <- format(x$term)
  print(out, quote = FALSE, right = TRUE)
  if (any(x$estimate > 1)) {
    cat("\n  Above 1, which no heritability is: the prevalence, the ascertainment or the\n",
        "  model may be wrong, or the sample too small. See the limits in ?liability.\n",
        sep = "")
  }
  invisible(x)
}

# Part of it is a table.
#' @export
`[.liability` <- function(x, ...) plain_frame(x)[...]

#' @export
rbind.liability <- function(..., deparse.level = 1) rbind_plain(...)
