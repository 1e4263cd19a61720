#' Test whether variances are zero
#'
#' Likelihood-ratio tests of one or several random terms, or of a slope beside an intercept,
#' with null distributions that know that a variance can't be negative.
#'
#' The model is fitted again without the terms, by REML or ML as the fit, and LRT is twice
#' the difference of the log-likelihoods. On the boundary of the parameters it is not
#' chi-square distributed.
#'
#' @section Null distributions:
#' `"mixture"`: the limit for many independent groups, a mixture of chi-squares. Of one
#' variance it is half a chi-square on 0 and half on 1 degree of freedom; of a slope beside
#' k - 1 other effects with which it may be correlated, half on k - 1 and half on k
#' (Self and Liang 1987, Stram and Lee 1994). Of q variances at once the weights depend on
#' the correlations of their estimates, which the expected information under the null
#' hypothesis gives: by formulas for q up to 3, by simulation of `nsim` normal vectors above
#' (Shapiro 1988). Of a whole term `(x | g)` with two effects they come from a simulation:
#' the projection of `nsim` normal vectors on the covariance matrices. Fewer than about 20
#' levels, very unequal groups or a kernel with a few large eigenvalues make the probability
#' of an estimate of zero larger than one half, and these p-values too large.
#'
#' `"exact"`: of the one term of a model, with one effect per level, the distribution in
#' samples of this size and design, by simulation from its spectral form (Crainiceanu and
#' Ruppert 2004): no response is drawn and no model fitted, and `nsim` values cost about a
#' second. It does not depend on any parameter.
#'
#' `"bootstrap"`: `nsim` responses are simulated from the model without the terms, and both
#' models fitted to each. For any model, with the variances that stay at their estimates.
#'
#' P-values of simulations are (b + 1) / (nsim + 1), where b simulated values are as large as
#' that of the data.
#'
#' @param fit a model fitted by [lmmfit()].
#' @param terms (`character` or `integer`) what to leave out: labels of terms as in
#'   [VarCorr()], terms as they are printed, such as `"(1 | g)"` or `"kin(1 | id, K)"`, or one
#'   of the rows of [ranova()], such as `"x in (x | g)"`. All terms by default.
#' @param method `"mixture"`, `"exact"` or `"bootstrap"`.
#' @param nsim (`integer(1)`) how many values are simulated: by default 10,000 where no model
#'   is fitted to them, 1,000 for the bootstrap.
#' @param seed (`integer(1)`) seed of the simulation, as for [simulate()][simulate.lmmfit].
#' @param x what `variance_test()` returned.
#' @param digits significant digits.
#' @param ... not used; anything here is an error.
#' @return An object of classes `variance_test` and `htest`: a list with `statistic` (LRT),
#'   `p.value`, `method`, `data.name`, `terms` (what was left out), `null` (how the
#'   distribution was found), `weights` and `df` of the chi-squares of a mixture, `draws`,
#'   the simulated values, where there are any, `estimates` (the variances that were
#'   tested), and `problems`: how many fits of the bootstrap did not converge.
#' @references Self SG, Liang KY (1987). Asymptotic properties of maximum likelihood estimators
#' and likelihood ratio tests under nonstandard conditions. Journal of the American
#' Statistical Association 82, 605-610. \doi{10.1080/01621459.1987.10478472}
#'
#' Shapiro A (1988). Towards a unified theory of inequality constrained testing in
#' multivariate analysis. International Statistical Review 56, 49-62. \doi{10.2307/1403361}
#'
#' Stram DO, Lee JW (1994). Variance components testing in the longitudinal mixed effects
#' model. Biometrics 50, 1171-1177. \doi{10.2307/2533455}
#'
#' Crainiceanu CM, Ruppert D (2004). Likelihood ratio tests in linear mixed models with one
#' variance component. Journal of the Royal Statistical Society B 66, 165-185.
#' \doi{10.1111/j.1467-9868.2004.00438.x}
#' @seealso [ranova()] for a table of all terms.
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' variance_test(fit)
#' variance_test(fit, method = "exact", seed = 1)
#' slopes <- lmmfit(distance ~ age + (age | Subject), data = nlme::Orthodont)
#' variance_test(slopes, "age in (age | Subject)")
#' @export
variance_test <- function(fit, terms = NULL, method = c("mixture", "exact", "bootstrap"),
                          nsim = NULL, seed = NULL, ...) {
  rlang::check_dots_empty()
  here <- rlang::current_env()
  check_fit(fit)
  method <- check_choice(method, c("mixture", "exact", "bootstrap"))
  nsim <- if (is.null(nsim)) (if (method == "bootstrap") 1000L else 10000L) else
    check_count(nsim)
  removal <- removed_terms(fit, terms, here)
  if (method == "exact") check_exact(fit, removal, here)
  if (method == "mixture") check_mixture(removal, here)
  null <- null_optimum(fit, removal$kept, here)
  lrt <- max(0, null$criterion - fit$opt$criterion)
  out <- with_seed(seed, switch(method,
    mixture = mixture_null(fit, removal, null, lrt, nsim),
    exact = exact_null(fit, lrt, nsim),
    bootstrap = bootstrap_null(fit, null, lrt, nsim)
  ))$value
  title <- paste0("Likelihood-ratio test of ", removal$what, " (",
                  if (fit$REML) "REML" else "ML", ")")
  structure(c(list(statistic = c(LRT = lrt), p.value = out$p, method = title,
                   data.name = deparse1(formula(fit)), terms = removal$names), out[-1L],
              list(estimates = tested_variances(fit, removal))),
            class = c("variance_test", "htest"))
}

# What is left out: `names`, as written; `kept`, the terms that stay; `whole`, places of the
# terms that go, and their `sizes`, or `slope`, whether the term that changes loses one
# column; `what` is tested.
removed_terms <- function(fit, terms, call) {
  labels <- names(fit$random)
  texts <- vapply(fit$random, term_text, "")
  if (is.null(terms)) terms <- labels
  if (is.numeric(terms) && all(terms %in% seq_along(labels))) terms <- labels[terms]
  whole <- match(terms, labels)
  whole[is.na(whole)] <- match(terms[is.na(whole)], texts)
  if (length(terms) > 0L && !anyNA(whole)) {
    whole <- sort(unique(whole))
    one <- length(whole) == 1L && length(fit$random[[whole]]$columns) == 1L
    sizes <- vapply(fit$random[whole], function(term) length(term$columns), integer(1))
    return(list(names = unname(texts[whole]), kept = fit$random[-whole], whole = whole,
                sizes = unname(sizes), what = if (one) "a variance" else "variances"))
  }
  reduced <- reduced_terms(fit, TRUE, call)
  at <- if (length(terms) == 1L) match(terms, names(reduced))
  if (length(at) == 0L || is.na(at)) {
    known <- unique(c(texts, names(reduced)))
    abort_test_terms(setdiff(terms, c(labels, texts)), terms, known, call)
  }
  kept <- reduced[[at]]
  list(names = terms, kept = kept, what = "a random slope", slope = adds_one_variance(
    list(fixed = fit$fixed, random = kept), fit))
}

# The fit without the terms: its criterion, and the fit itself, NULL without random terms.
null_optimum <- function(fit, kept, call) {
  if (length(kept) == 0L) {
    none <- numeric(length(fit$theta))
    return(list(criterion = engine_criterion(fit$engine, none, fit$REML)))
  }
  at <- terms_optimum(fit, kept, call)
  out <- fit
  out$random <- label_terms(kept)
  out$engine <- at$engine
  out <- at_optimum(out, at$opt, fit$REML)
  list(criterion = out$opt$criterion, fit = out)
}

tested_variances <- function(fit, removal) {
  variances <- Map(function(factor) diag(tcrossprod(factor)),
                   term_factors(fit$random, fit$theta * fit$sigma))
  if (is.null(removal$whole)) return(NULL)
  unlist(stats::setNames(variances[removal$whole], removal$names))
}

# Mixtures ----

check_mixture <- function(removal, call) {
  if (isTRUE(removal$slope)) return(invisible())
  if (!is.null(removal$whole) && is_simple_cone(removal)) return(invisible())
  abort_no_mixture(removal$names, call)
}

# Whether all are single variances, or it is one term of two effects.
is_simple_cone <- function(removal) all(removal$sizes == 1L) || identical(removal$sizes, 2L)

mixture_null <- function(fit, removal, null, lrt, nsim) {
  if (is.null(removal$whole)) {
    k <- max(term_widths(fit$random)[changed_term(fit, removal)])
    return(chibar_null(lrt, c(0.5, 0.5), c(k - 1, k)))
  }
  if (identical(removal$sizes, 2L)) return(cone_null(fit, removal, null, lrt, nsim))
  q <- length(removal$whole)
  weights <- if (q == 1L) c(0.5, 0.5) else
    chibar_weights(null_covariance(fit, removal, null), nsim)
  chibar_null(lrt, weights, 0:q, if (q > 3L) nsim)
}

# Which term has lost a column.
changed_term <- function(fit, removal) {
  sizes <- term_widths(fit$random)
  which(sizes != term_widths(removal$kept))
}

chibar_null <- function(lrt, weights, df, nsim = NULL) {
  list(p = chibar_p_value(lrt, weights, df), weights = weights, df = df,
       null = paste0("mixture of chi-squares", if (!is.null(nsim)) {
         paste(", weights by", count(nsim), "simulated vectors")
       }))
}

# P(X >= x); a statistic of zero, up to rounding, is as likely as not.
chibar_p_value <- function(x, weights, df) {
  above <- stats::pchisq(x, df, lower.tail = FALSE)
  above[df == 0] <- as.numeric(x < 1e-7)
  min(1, sum(weights * above))
}

# The covariance of the estimates of the tested components under the null, where they are
# zero, by the expected information; other variances that are zero there count as known.
null_covariance <- function(fit, removal, null) {
  owner <- rep(seq_along(fit$random), packed_count(fit))
  tested <- owner %in% removal$whole
  theta <- unname(fit$theta) * 0
  if (!is.null(null$fit)) theta[!tested] <- unname(null$fit$theta)
  fixed <- engine_fixed(fit$engine, theta)
  work <- fit$engine$work
  fit$theta <- stats::setNames(theta, names(fit$theta))
  fit$sigma <- sqrt(fixed$s / (work$n - if (fit$REML) work$p else 0))
  information <- fit_information(fit)$expected / 2
  zero <- vapply(seq_along(fit$random), function(t) all(theta[owner == t] == 0), NA)
  known <- c(zero[owner] & !tested, FALSE)
  covariance <- positive_inverse(information[!known, !known])
  at <- which(c(tested, FALSE)[!known])
  covariance[at, at, drop = FALSE]
}

packed_count <- function(fit) {
  sizes <- term_widths(fit$random)
  unname(sizes * (sizes + 1L) / 2L)
}

# Weights of the chi-squares on 0, ..., q degrees of freedom for a normal vector with this
# covariance, projected on the vectors without negative elements (in the metric of its
# inverse): how likely it is that so many elements of the projection are positive. For a
# set S of them that is P(C_NN^-1 z_N < 0) P(z_S given z_N = 0 > 0), N the others.
chibar_weights <- function(C, nsim = 10000L) {
  q <- ncol(C)
  sets <- as.matrix(expand.grid(rep(list(c(FALSE, TRUE)), q)))
  z <- if (q > 3L) matrix(stats::rnorm(nsim * q), nsim) %*% chol(C)
  share <- apply(sets, 1L, function(S) {
    inner <- if (all(S)) C else conditional_covariance(C, S)
    outer <- if (all(S)) C[!S, !S, drop = FALSE] else solve(C[!S, !S, drop = FALSE])
    if (q <= 3L) return(orthant(inner) * orthant(outer))
    to <- z[, !S, drop = FALSE] %*% outer
    x <- z[, S, drop = FALSE] - to %*% C[!S, S, drop = FALSE]
    mean(rowSums(x <= 0) == 0 & rowSums(to > 0) == 0)
  })
  weights <- vapply(0:q, function(j) sum(share[rowSums(sets) == j]), numeric(1))
  weights / sum(weights)
}

conditional_covariance <- function(C, S) {
  if (!any(S)) return(C[S, S, drop = FALSE])
  C[S, S, drop = FALSE] -
    C[S, !S, drop = FALSE] %*% solve(C[!S, !S, drop = FALSE], C[!S, S, drop = FALSE])
}

# P(z > 0) of up to three normal variables.
orthant <- function(C) {
  q <- ncol(C)
  if (q == 0L) return(1)
  r <- stats::cov2cor(C)
  angles <- asin(pmin(1, pmax(-1, r[lower.tri(r)])))
  switch(q, 0.5, 0.25 + angles / (2 * pi), 0.125 + sum(angles) / (4 * pi))
}

# Of a 2 x 2 covariance matrix: normal vectors projected on the positive semi-definite
# matrices. What is not one of these itself goes to a matrix r (cos a, sin a)'(cos a, sin a),
# or to zero. The squared length is a mixture of chi-squares on 0, ..., 3 degrees of freedom
# for any cone: the last weight is that of its inside, the first that of what goes to zero,
# and the even ones have a sum of one half, as the odd ones have.
cone_null <- function(fit, removal, null, lrt, nsim) {
  C <- null_covariance(fit, removal, null)
  metric <- solve(C)
  z <- matrix(stats::rnorm(nsim * 3L), nsim) %*% chol(C)
  a <- seq(0, pi, length.out = 361L)[-1L]
  rays <- rbind(cos(a)^2, cos(a) * sin(a), sin(a)^2)
  inside <- mean(z[, 1L] > 0 & z[, 1L] * z[, 3L] > z[, 2L]^2)
  along <- z %*% metric %*% rays
  nowhere <- mean(along[cbind(seq_len(nsim), max.col(along, "first"))] <= 0)
  chibar_null(lrt, c(nowhere, 0.5 - inside, 0.5 - nowhere, inside), 0:3, nsim)
}

# The maximum of each row near its largest element, by a parabola through it and its
# neighbours, at the ends the element itself.
peak_value <- function(values, at) {
  rows <- seq_along(at)
  middle <- values[cbind(rows, at)]
  left <- values[cbind(rows, pmax(at - 1L, 1L))]
  right <- values[cbind(rows, pmin(at + 1L, ncol(values)))]
  bend <- left - 2 * middle + right
  rise <- (right - left)^2 / (-8 * pmin(bend, -1e-300))
  inner <- at > 1L & at < ncol(values) & bend < 0
  middle + replace(rise, !inner, 0)
}

# With room for rounding: draws may repeat the statistic.
simulated_p_value <- function(lrt, draws) {
  draws <- draws[is.finite(draws)]
  (sum(draws >= lrt - 1e-7) + 1) / (length(draws) + 1)
}

# Finite samples ----

check_exact <- function(fit, removal, call) {
  terms <- fit$random
  one <- length(terms) == 1L && length(terms[[1L]]$columns) == 1L
  if (!one) abort_exact_terms(vapply(terms, term_text, ""), call)
  levels <- nlevels(terms[[1L]]$factor)
  if (levels > 5000L) abort_exact_levels(terms[[1L]]$group, levels, call)
}

# With `mu` the eigenvalues of K^1/2 Z'QZ K^1/2, Q the projection off X, and for ML `xi`,
# those of K^1/2 Z'Z K^1/2, LRT is the largest over the ratio t of
#   dof log(sum w / (sum w / (1 + t mu))) - sum log(1 + t xi)
# for independent chi-square variables w on 1 df, n - p of them.
exact_null <- function(fit, lrt, nsim) {
  spectra <- exact_spectra(fit)
  dof <- fit$engine$work$n - if (fit$REML) fit$engine$work$p else 0
  draws <- spectral_draws(spectra$mu, spectra$xi, spectra$rest, dof, nsim)
  list(p = simulated_p_value(lrt, draws), draws = draws,
       null = paste0("exact distribution, ", count(nsim), " draws"))
}

# rest: how many of the w have an eigenvalue of zero.
exact_spectra <- function(fit) {
  term <- fit$random[[1L]]
  root <- sqrt(fit$weights)
  z <- drop(term_design(term)) * root
  level <- as.integer(term$factor)
  X <- fit$fixed$X * root
  own <- as.vector(rowsum(z^2, level))
  Q <- if (ncol(X) > 0L) qr.Q(qr(X)) else X
  shared <- rowsum(Q * z, level)
  R <- if (!is.null(term$kernel)) {
    kernel_root(term$kernel[levels(term$factor), levels(term$factor)])
  }
  spectrum <- function(gram) {
    if (!is.null(R)) gram <- R %*% tcrossprod(gram, R)
    values <- eigen(gram, symmetric = TRUE, only.values = TRUE)$values
    values[values > 1e-10 * max(values)]
  }
  xi <- if (is.null(R)) own else spectrum(diag(own, length(own)))
  mu <- spectrum(diag(own, length(own)) - tcrossprod(shared))
  n <- length(z) - ncol(X)
  mu <- utils::head(mu, n)
  list(mu = mu, xi = if (fit$REML) mu else xi, rest = n - length(mu))
}

# Equal eigenvalues share one chi-square variable; the ratios are a grid, refined by
# parabolas.
spectral_draws <- function(mu, xi, rest, dof, nsim) {
  key <- signif(mu, 10L)
  mu <- unique(key)
  times <- tabulate(match(key, mu))
  ratio <- exp(seq(log(1e-5), log(1e6), length.out = 250L)) / mean(xi)
  shrink <- 1 / (1 + outer(mu, ratio))
  penalty <- vapply(ratio, function(t) sum(log1p(t * xi)), numeric(1))
  parts <- split(seq_len(nsim), (seq_len(nsim) - 1L) %/% max(1L, 2e6L %/% length(mu)))
  unlist(lapply(parts, function(part) {
    size <- length(part)
    w <- matrix(stats::rchisq(size * length(mu), rep(times, each = size)), size)
    more <- stats::rchisq(size, rest)
    gain <- dof * log((rowSums(w) + more) / (w %*% shrink + more)) -
      rep(penalty, each = size)
    pmax(peak_value(gain, max.col(gain, "first")), 0)
  }), use.names = FALSE)
}

# Both models on responses of the smaller one; without random effects neither the mean nor
# sigma matters to the ratio.
bootstrap_null <- function(fit, null, lrt, nsim) {
  refits <- function(Y) {
    large <- refit_responses(fit, Y)
    small <- if (is.null(null$fit)) least_squares_criterion(fit, Y) else
      refit_responses(null$fit, Y)$criterion
    list(t = matrix(pmax(small - large$criterion, 0)), singular = large$singular,
         converged = large$converged)
  }
  from <- null$fit
  if (is.null(from)) {
    from <- fit
    from$theta[] <- 0
  }
  out <- bootstrap_draws(from, nsim, wanted_columns(from, NA, rlang::current_env()), refits)
  draws <- drop(out$t)
  list(p = simulated_p_value(lrt, draws), draws = draws,
       problems = out$problems$not_converged,
       null = paste0("parametric bootstrap, ", count(nsim), " draws"))
}

# The criterion of each column of Y without random effects.
least_squares_criterion <- function(fit, Y) {
  work <- fit$engine$work
  none <- numeric(length(fit$theta))
  dof <- work$n - if (fit$REML) work$p else 0
  root <- sqrt(fit$weights)
  rss <- function(Y) {
    R <- (as.matrix(Y) - fit$offset) * root
    if (work$p == 0L) colSums(R^2) else colSums(qr.resid(qr(fit$fixed$X * root), R)^2)
  }
  engine_criterion(fit$engine, none, fit$REML) + dof * log(rss(Y) / rss(fit$y))
}

#' @rdname variance_test
#' @export
print.variance_test <- function(x, digits = 4L, ...) {
  line <- function(what, text) strwrap(text, 78L, initial = what, prefix = "         ")
  cat(x$method, "", line("  model: ", x$data.name),
      line("  null:  without ", paste(x$terms, collapse = ", ")), sep = "\n")
  if (length(x$estimates) > 0L) {
    values <- vapply(x$estimates, format, "", digits = digits)
    cat("  ", if (length(values) > 1L) "variances " else "variance  ",
        paste(values, collapse = ", "), "\n", sep = "")
  }
  cat("\n  LRT = ", format(x$statistic, digits = digits + 1L), ", p-value = ",
      format(x$p.value, digits = digits), if (fewest_draws(x)) ", as no draw is as large",
      "\n  ", x$null, "\n", sep = "")
  if (!is.null(x$weights)) {
    cat("  ", paste0(format(x$weights, digits = 3L, nsmall = 1L), " chi2(", x$df, ")",
                     collapse = " + "), "\n", sep = "")
  } else {
    cat("  LRT zero in ", format(100 * mean(x$draws < 1e-7, na.rm = TRUE), digits = 3L),
        "% of the draws, 95% quantile ",
        format(stats::quantile(x$draws, 0.95, na.rm = TRUE), digits = digits), "\n", sep = "")
  }
  if (isTRUE(x$problems > 0)) {
    cat("  ", n_of(x$problems, "fit"), " of the bootstrap did not converge\n", sep = "")
  }
  invisible(x)
}

# Whether the p-value is the smallest that so many draws can give.
fewest_draws <- function(x) {
  !is.null(x$draws) && x$p.value <= 1 / (sum(is.finite(x$draws)) + 0.5)
}
