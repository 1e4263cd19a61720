#' Bayesian variance components: priors and settings
#'
#' `bayes_control()` holds the settings of `variance_components(..., method = "Bayes")`:
#' the priors of the variances, and how many draws of how many chains. The others make
#' priors.
#'
#' @section Model:
#' y = X b + Z u + e with the random terms of the formula, u ~ N(0, Sigma) (times the
#' relationship matrix where the term has one) and e ~ N(0, sigma2 / weights). Fixed effects
#' have a flat prior. They and the random effects are integrated out exactly, so that what
#' is left to sample are the few variance parameters themselves.
#'
#' @section Algorithm:
#' Slice sampling (Neal 2003) of the marginal posterior of the logarithms of standard
#' deviations and of the correlations, along directions that the warm-up learns from the
#' covariance of its draws (Tibbits et al. 2014), in C++. A Gibbs sampler that draws the
#' random effects in turn is exact too, but its draws of a small variance hang together
#' over hundreds of iterations, as the effects tie it to its last value; here they are
#' nearly independent, and one needs no more than the log-likelihood, which every engine
#' of [lmmfit()] has: O(q) with one kernel, by cross-products without kernels. A sweep takes
#' about five evaluations for each variance. With several kernels one costs a Cholesky
#' decomposition of the order of the individuals; there, beyond an order of 200, most
#' iterations are Metropolis steps to independent proposals from a multivariate t
#' distribution fitted to the warm-up (Tierney 1994): one evaluation for a draw. Given the
#' variances fixed effects are drawn from their normal distribution.
#'
#' Chains start far apart, and are reproducible by [set.seed()] whatever the number of
#' threads (`options(kinlmm.threads = )`).
#'
#' @section Priors:
#' * `prior_half_t()`, the default: half-t on each standard deviation, recommended by Gelman
#'   (2006). `df = 1` is the half-Cauchy, `df = Inf` the half-normal. Unlike inverse-gamma
#'   priors it neither excludes a variance of zero nor favours it. With several columns
#'   (slopes) the correlation matrix R has the density |R|^(lkj - 1) (Lewandowski et al.
#'   2009): uniform by default.
#' * `prior_inverse_chisq()`: scaled inverse chi-square on a variance, df scale / chi2(df):
#'   the prior of many programs of animal breeding.
#' * `prior_inverse_wishart()`: inverse Wishart on a covariance matrix (k x k).
#' * `prior_flat()`: a constant density of the standard deviation, the variance, or its
#'   logarithm (1 / variance). It is improper, and refused where the posterior would be so
#'   too: the variance of a random term can't be flat on the log scale, as zero then has all
#'   the mass; and flat ones need enough levels (three with an intercept and a flat standard
#'   deviation). For every set of such terms the rank of their columns beside X must exceed
#'   their number, twice that for flat variances (compare Hobert and Casella 1996).
#'
#' A `scale` that is not given is that of the data: the residual standard deviation of the
#' least-squares fit without random terms, divided by the root mean square of the column
#' (of a relationship matrix, by the root of its mean diagonal after centring). A
#' term then explains, a priori, about as much as the residuals, give or take an
#' order of magnitude. Such priors depend, weakly, on y; give scales where that matters.
#'
#' @param prior a prior for every term and the residuals, or a list named by the labels of
#'   terms (the grouping factor; `id.1` for the second term on `id`) and `Residual`; those
#'   that are not named have `prior_half_t()`.
#' @param chains (`integer(1)`) independent chains; fewer than four say little of
#'   convergence.
#' @param iterations (`integer(1)`) draws of each chain that are kept; at most 10 million of
#'   all chains.
#' @param warmup (`integer(1)`) iterations of each chain before, used to learn directions,
#'   and not kept.
#' @param thin (`integer(1)`) iterations for each draw; by default 5, which makes draws
#'   nearly independent even where a variance may be zero, and 1 where the likelihood is
#'   dear.
#' @param sampler `"slice"`, `"metropolis"` (see above), or `"auto"`: the one that suits the
#'   cost of the likelihood.
#' @param df (`numeric(1)`) degrees of freedom, > 0; of the inverse Wishart, > k - 1.
#'   Three for the half-t: its tail is light enough for variances to have a mean
#'   whatever the number of levels.
#' @param scale `NULL` for that of the data; of `prior_half_t()` a standard deviation (or one
#'   for each column of the term), of `prior_inverse_chisq()` a variance, of
#'   `prior_inverse_wishart()` a positive definite matrix (k x k; with `df`, the sum of
#'   squares of that many prior observations).
#' @param lkj (`numeric(1)`) > 0, see above.
#' @param on what has a constant density.
#' @return `bayes_control()`: a list of class `bayes_control`. The others: a list of class
#'   `variance_prior`.
#'
#' @references
#' Gelman A (2006). Prior distributions for variance parameters in hierarchical models.
#' Bayesian Analysis 1, 515-534. \doi{10.1214/06-BA117A}
#'
#' Hobert JP, Casella G (1996). The effect of improper priors on Gibbs sampling in
#' hierarchical linear mixed models. JASA 91, 1461-1473.
#' \doi{10.1080/01621459.1996.10476714}
#'
#' Lewandowski D, Kurowicka D, Joe H (2009). Generating random correlation matrices based on
#' vines and extended onion method. J. Multivariate Analysis 100, 1989-2001.
#' \doi{10.1016/j.jmva.2009.04.008}
#'
#' Neal RM (2003). Slice sampling. Annals of Statistics 31, 705-767.
#' \doi{10.1214/aos/1056562461}
#'
#' Tibbits MM, Groendyke C, Haran M, Liechty JC (2014). Automated factor slice sampling.
#' J. Computational and Graphical Statistics 23, 543-563.
#' \doi{10.1080/10618600.2013.791193}
#'
#' Tierney L (1994). Markov chains for exploring posterior distributions. Annals of
#' Statistics 22, 1701-1728. \doi{10.1214/aos/1176325750}
#'
#' @examples
#' bayes_control(prior = list(id = prior_half_t(df = 1, scale = 2)), chains = 2)
#' prior_inverse_chisq(df = 5, scale = 0.5)
#' @export
bayes_control <- function(prior = prior_half_t(), chains = 4L, iterations = 1000L,
                          warmup = 300L, thin = NULL,
                          sampler = c("auto", "slice", "metropolis")) {
  here <- rlang::current_env()
  check_prior(prior, here)
  chains <- check_count(chains, max = 1000L)
  structure(list(prior = prior, chains = chains,
                 iterations = check_count(iterations, 4L, 1e7L %/% chains),
                 warmup = check_count(warmup, 20L, 1e7L),
                 thin = if (!is.null(thin)) check_count(thin, max = 1e6L),
                 sampler = check_choice(sampler, c("auto", "slice", "metropolis"))),
            class = "bayes_control")
}

#' @rdname bayes_control
#' @export
prior_half_t <- function(df = 3, scale = NULL, lkj = 1) {
  here <- rlang::current_env()
  if (!identical(df, Inf)) df <- check_number(df, 1e-3, arg = "df", call = here)
  check_scale(scale, here)
  new_prior("half_t", df, scale, check_number(lkj, 1e-3, call = here))
}

#' @rdname bayes_control
#' @export
prior_inverse_chisq <- function(df = 3, scale = NULL) {
  here <- rlang::current_env()
  check_scale(scale, here)
  new_prior("inverse_chisq", check_number(df, 1e-3, call = here), scale)
}

#' @rdname bayes_control
#' @export
prior_inverse_wishart <- function(df, scale) {
  here <- rlang::current_env()
  if (missing(scale) || !is.numeric(scale) || length(dim(scale)) != 2L ||
        !all(is.finite(scale)) ||
        !isTRUE(all.equal(unname(scale), unname(t(scale)))) ||
        inherits(try(chol(scale), silent = TRUE), "try-error")) {
    abort_argument("scale", "a positive definite matrix",
                   if (missing(scale)) "missing" else describe(scale), here)
  }
  if (missing(df)) abort_argument("df", "given", "missing", here)
  df <- check_number(df, call = here)
  if (df <= nrow(scale) - 1) {
    abort_argument("df", paste("larger than", nrow(scale) - 1, "for a proper prior"), df,
                   here)
  }
  new_prior("inverse_wishart", df, unname(scale))
}

#' @rdname bayes_control
#' @export
prior_flat <- function(on = c("deviation", "variance", "log")) {
  on <- check_choice(on, c("deviation", "variance", "log"))
  new_prior(c(deviation = "flat_deviation", variance = "flat_variance",
              log = "flat_log_variance")[[on]], 0, NULL)
}

new_prior <- function(kind, df, scale, lkj = 1) {
  structure(list(kind = kind, df = df, scale = scale, lkj = lkj), class = "variance_prior")
}

check_scale <- function(scale, call) {
  if (is.null(scale)) return(invisible())
  if (!is.numeric(scale) || length(scale) == 0L || !is.null(dim(scale)) ||
        !all(is.finite(scale)) || any(scale <= 0)) {
    abort_argument("scale", "positive, or NULL", describe(scale), call)
  }
}

check_prior <- function(prior, call) {
  if (inherits(prior, "variance_prior")) return(invisible())
  good <- is.list(prior) && !is.null(names(prior)) && all(nzchar(names(prior))) &&
    !anyDuplicated(names(prior)) &&
    all(vapply(prior, inherits, NA, what = "variance_prior"))
  if (!good) {
    abort_argument("prior", "a prior, such as prior_half_t(), or a list of such, named",
                   describe(prior), call)
  }
}

# What a prior is, in words.
prior_text <- function(prior) {
  number <- function(x) paste(format(signif(x, 4)), collapse = ", ")
  at <- if (is.null(prior$scale)) "" else paste0(", scale ", number(prior$scale))
  name <- if (prior$df == 1) "half-Cauchy" else if (is.infinite(prior$df)) "half-normal" else
    paste0("half-t, ", format(prior$df), " df")
  switch(prior$kind,
         half_t = paste0(name, at, ", on the standard deviation",
                         if (length(prior$columns) > 1L) {
                           paste0("s; LKJ(", format(prior$lkj), ") on the correlations")
                         }),
         inverse_chisq = paste0("scaled inverse chi-square, ", format(prior$df), " df", at,
                                ", on the variance"),
         inverse_wishart = paste0("inverse Wishart, ", format(prior$df),
                                  " df, on the covariance matrix"),
         flat_deviation = "flat on the standard deviation (improper)",
         flat_variance = "flat on the variance (improper)",
         "flat on the logarithm of the variance (improper)")
}

# Of all terms, and each text once.
prior_texts <- function(priors) {
  text <- vapply(priors, prior_text, character(1))
  of <- split(names(priors), factor(text, unique(text)))
  paste0(vapply(of, toString, ""), ": ", names(of), collapse = "; ")
}

#' @export
print.variance_prior <- function(x, ...) {
  cat("Prior: ", prior_text(x), "\n", sep = "")
  if (is.null(x$scale) && x$kind %in% c("half_t", "inverse_chisq")) {
    cat("  its scale is taken from the data\n")
  }
  if (is.matrix(x$scale)) print(x$scale)
  invisible(x)
}

#' @export
print.bayes_control <- function(x, ...) {
  cat(n_of(x$chains, "chain"), " of ", n_of(x$iterations, "draw"), ", after ",
      count(x$warmup), " to warm up",
      if (isTRUE(x$thin > 1L)) paste0(", one in ", x$thin, " kept"), "\n", sep = "")
  priors <- if (inherits(x$prior, "variance_prior")) list("all terms" = x$prior) else x$prior
  for (name in names(priors)) {
    cat("  ", name, ": ", prior_text(priors[[name]]), "\n", sep = "")
  }
  invisible(x)
}

# The prior of every term and of the residuals, with all that the C++ needs: `columns`,
# `scale`, `matrix`. unit: see column_spread(); deviation: of the response.
resolve_priors <- function(prior, random, unit, deviation, call) {
  labels <- c(names(random), "Residual")
  own <- if (inherits(prior, "variance_prior")) {
    stats::setNames(rep(list(prior), length(labels)), labels)
  } else {
    unknown <- setdiff(names(prior), labels)
    if (length(unknown) > 0L) abort_prior_label(unknown, labels, call)
    default <- stats::setNames(rep(list(prior_half_t()), length(labels)), labels)
    utils::modifyList(default, prior)[labels]
  }
  columns <- c(lapply(random, `[[`, "columns"), list("(Intercept)"))
  Map(function(prior, label, columns, unit) {
    resolve_prior(prior, label, columns, deviation / unit, call)
  }, own, labels, columns, c(unit, list(1)))
}

resolve_prior <- function(prior, label, columns, spread, call) {
  k <- length(columns)
  kind <- prior$kind
  wishart <- kind == "inverse_wishart"
  if (wishart && nrow(prior$scale) != k) {
    abort_prior_size(label, k, paste0("a matrix of ", nrow(prior$scale), " x ",
                                      ncol(prior$scale)), call)
  }
  if (!wishart && k > 1L && kind != "half_t") abort_prior_kind(label, k, call)
  if (!wishart && !length(prior$scale) %in% c(0L, 1L, k)) {
    abort_prior_size(label, k, n_of(length(prior$scale), "value"), call)
  }
  prior$matrix <- if (wishart) prior$scale else diag(k)
  if (is.null(prior$scale)) {
    prior$scale <- if (kind == "inverse_chisq") spread^2 else spread
  }
  if (kind %in% c("half_t", "inverse_chisq")) prior$scale <- rep_len(prior$scale, k)
  if (startsWith(kind, "flat")) prior$scale <- numeric(k) + 1
  prior$columns <- columns
  prior
}

# For every column of each term the root mean square of what effects of variance one add
# to the records: of a kernel after centring, as in heritability(); of slopes beside an
# intercept about their mean.
column_spread <- function(random) {
  lapply(random, function(term) {
    if (identical(term$columns, "(Intercept)")) return(sqrt(mean_diagonal(term)))
    Z <- term_design(term)
    own <- if (is.null(term$kernel)) 1 else diag(term$kernel)[as.character(term$factor)]
    vapply(seq_along(term$columns), function(j) {
      z <- Z[, j]
      if (term$columns[[1L]] == "(Intercept)" && j > 1L) z <- z - mean(z)
      sqrt(mean(z^2 * own))
    }, numeric(1))
  })
}

# Improper priors must have a proper posterior. Where the standard deviations of a set of
# terms grow at one rate s the likelihood falls as s^-rank, rank that of their columns
# beside X, and a flat prior weighs s^1 (s^2 if flat on the variance) for each of them: rates
# that differ are sums of such.
check_proper <- function(priors, model, random, call) {
  weight <- c(flat_deviation = 1, flat_variance = 2)
  kinds <- vapply(priors, `[[`, character(1), "kind")
  terms <- names(random)
  on_log <- terms[kinds[terms] == "flat_log_variance"]
  if (length(on_log) > 0L) abort_prior_log(on_log, call)
  flat <- terms[kinds[terms] %in% names(weight)]
  log_residual <- kinds[["Residual"]] == "flat_log_variance"
  check_flat_residual(kinds, weight, model, call)
  if (length(flat) == 0L && !log_residual) return(invisible())
  root <- sqrt(model$frame$weights)
  X <- model$fixed$X * root
  spans <- lapply(random, function(term) term_span(term, root))
  if (log_residual && span_rank(do.call(cbind, c(list(X), spans))) >= nrow(X)) {
    abort_prior_residual(call)
  }
  p <- ncol(X)
  for (set in nonempty_subsets(flat)) {
    rank <- span_rank(do.call(cbind, c(list(X), spans[set]))) - p
    if (rank <= sum(weight[kinds[set]])) abort_prior_flat(set, rank, call)
  }
}

# All standard deviations at one rate, that of the residuals too: the likelihood falls by the
# degrees of freedom.
check_flat_residual <- function(kinds, weight, model, call) {
  if (!kinds[["Residual"]] %in% names(weight)) return(invisible())
  flat <- names(kinds)[kinds %in% names(weight)]
  rest <- length(model$frame$y) - ncol(model$fixed$X)
  if (rest <= sum(weight[kinds[flat]])) abort_prior_records(flat, rest, call)
}

# Columns that span what the effects of a term add to the records.
term_span <- function(term, root) {
  levels <- levels(term$factor)
  Z <- term_design(term) * root
  at <- as.integer(term$factor)
  K <- if (is.null(term$kernel)) diag(length(levels)) else
    as.matrix(term$kernel[levels, levels])
  do.call(cbind, lapply(seq_len(ncol(Z)), function(j) Z[, j] * K[at, , drop = FALSE]))
}

span_rank <- function(x) {
  size <- sqrt(colSums(x^2))
  qr(x[, size > 0, drop = FALSE] / rep(size[size > 0], each = nrow(x)), tol = 1e-8)$rank
}

# All but the empty one.
nonempty_subsets <- function(x) {
  lapply(seq_len(2^length(x) - 1), function(code) {
    x[bitwAnd(code, 2^(seq_along(x) - 1)) > 0]
  })
}
