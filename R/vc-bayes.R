# Bayesian variance components: see ?bayes_control. model: what read_model() returns, with
# labels on its random terms. Returns new_components() of class "bayes_components" besides,
# with
#   diagnostics  data frame by parameter, see draw_summary(); `kind`: "component", "share"
#                or "fixed"
#   priors       a list by term, with their scales
#   control      the settings; evaluations, of the likelihood
vc_bayes <- function(model, control = bayes_control(), call = rlang::caller_env()) {
  if (!inherits(control, "bayes_control")) {
    abort_argument("control", "settings made by bayes_control()", describe(control), call)
  }
  if (!is.null(model$frame$responses)) abort_bayes_responses(call)
  random <- model$random
  # that of a fit, unless it is of contrasts
  engine <- if (!is.null(model$engine) && !isTRUE(model$engine$contrasts)) model$engine else
    choose_engine(model$frame, model$fixed, random, call)
  unit <- column_spread(random)
  check_inexact(engine, random, unit, call)
  deviation <- residual_deviation(engine)
  priors <- resolve_priors(control$prior, random, unit, deviation, call)
  check_proper(priors, model, random, call)
  if (is.null(control$thin)) control$thin <- if (is_dear(engine, control)) 1L else 5L
  raw <- sample_components(engine, random, priors, unit, deviation, control, call)
  out <- bayes_components(model, engine, raw$draws, control)
  out$priors <- priors
  out$control <- control
  out$evaluations <- raw$evaluations
  out$assumptions <- append(out$assumptions, paste0("Priors: ", prior_texts(priors), "."), 1L)
  out$notes <- c(out$notes, moment_notes(priors, model))
  report_sampling(out)
  out
}

# Where the effects leave no residuals, REML's criterion falls without bound as their
# standard deviations, here relative to that of the residuals, grow.
check_inexact <- function(engine, random, unit, call) {
  diagonal <- theta_diagonal(random)
  far <- vapply(c(1e5, 1e6), function(ratio) {
    theta <- replace(0 * diagonal, diagonal, ratio / unlist(unit))
    at <- engine_fixed(engine, theta)
    if (at$s > 0) engine_criterion(engine, theta, TRUE, at) else -Inf
  }, numeric(1))
  if (isTRUE(far[[2L]] == -Inf) || isTRUE(far[[2L]] < far[[1L]] - 1)) abort_exact_fit(call)
}

# Standard deviation of y beside X.
residual_deviation <- function(engine) {
  work <- engine$work
  S <- engine_moments(engine, numeric(n_theta(engine)))$S
  sqrt(S[work$p + 1L, work$p + 1L] / (work$n - work$p))
}

# The chains, a row per draw: components, sigma2, coefficients on the basis of the engine.
sample_components <- function(engine, random, priors, unit, deviation, control, call) {
  sizes <- term_widths(random)
  needed <- c(list(name = engine$name, data = engine$data, p = engine$work$p),
              if (!is.null(engine$units)) list(units = engine$units))
  own <- lapply(unname(priors), function(prior) {
    prior[c("kind", "df", "scale", "matrix", "lkj")]
  })
  seed <- random_seed()
  total <- control$warmup + as.double(control$iterations) * control$thin
  out <- with_progress("Sampling", total, function(tick) {
    cpp_vc_bayes(needed, unname(sizes), own, unlist(unit), deviation, control$chains,
                 control$warmup, control$iterations, control$thin, is_dear(engine, control),
                 n_threads(), seed, tick)
  })
  check_core(out, list(sampler_start = function(data, subject) {
    abort_sampler_start(call)
  }), call)
}

# Whether the likelihood takes so long that most iterations must do with one of it.
is_dear <- function(engine, control) {
  if (control$sampler != "auto") return(control$sampler == "metropolis")
  order <- switch(engine$name, dense = nrow(engine$data$Xy),
                  blocked = nrow(engine$data$rest_Xy), 0)
  order > 200
}

bayes_components <- function(model, engine, draws, control) {
  random <- model$random
  names <- component_names(random)
  count <- length(names)
  components <- draws[, seq_len(count), drop = FALSE]
  colnames(components) <- names
  shares <- draw_shares(components, random)
  fixed <- draw_coefficients(engine, draws[, -seq_len(count), drop = FALSE])
  values <- cbind(components, shares, fixed)
  chain <- rep(seq_len(control$chains), each = control$iterations)
  kind <- rep(c("component", "share", "fixed"), c(count, ncol(shares), ncol(fixed)))
  diagnostics <- draw_summary(values, chain)
  diagnostics <- cbind(kind = kind, diagnostics)
  frame <- data.frame(chain = chain,
                      iteration = rep(seq_len(control$iterations), control$chains),
                      values, check.names = FALSE)
  beta <- colMeans(fixed)
  names(beta) <- engine$work$names
  beta_vcov <- stats::cov(fixed)
  dimnames(beta_vcov) <- list(names(beta), names(beta))
  out <- new_components(
    "Bayes", names, colMeans(components), se = apply(components, 2L, stats::sd),
    vcov = stats::cov(components), beta = beta, beta_vcov = beta_vcov, n = engine$work$n,
    assumptions = c("Effects and residuals are normal; fixed effects have flat priors.",
                    "Estimates are posterior means, standard errors posterior deviations."),
    draws = frame
  )
  out$diagnostics <- diagnostics
  out$formula <- model$formula
  class(out) <- c("bayes_components", class(out))
  out
}

# Of each draw the share of every term in the variance of the records: see column_spread().
draw_shares <- function(components, random) {
  weights <- lapply(random, spread_weights)
  last <- cumsum(lengths(weights))
  terms <- Map(function(weight, last) {
    drop(components[, seq(last - length(weight) + 1L, last), drop = FALSE] %*% weight)
  }, weights, last)
  terms <- do.call(cbind, terms)
  shares <- terms / (rowSums(terms) + components[, ncol(components)])
  colnames(shares) <- paste0("share.", names(random))
  shares
}

# What each component of a term adds to the mean variance of the records.
spread_weights <- function(term) {
  if (identical(term$columns, "(Intercept)")) return(mean_diagonal(term))
  Z <- term_design(term)
  own <- if (is.null(term$kernel)) 1 else diag(term$kernel)[as.character(term$factor)]
  at <- lower_pairs(ncol(Z))
  vapply(seq_along(at$row), function(c) {
    twice <- if (at$row[[c]] == at$col[[c]]) 1 else 2
    twice * mean(Z[, at$row[[c]]] * Z[, at$col[[c]]] * own)
  }, numeric(1))
}

# Fixed effects from coefficients on the basis, a row per draw.
draw_coefficients <- function(engine, basis) {
  work <- engine$work
  if (work$p == 0L) return(matrix(0, nrow(basis), 0L))
  moved <- backsolve(work$R, t(basis))[order(work$pivot), , drop = FALSE]
  out <- t(work$beta + moved)
  colnames(out) <- paste0("beta.", work$names)
  out
}

# Where few levels leave the posterior of a variance so long a tail that its mean or its
# deviation does not exist, though that of any sample does.
moment_notes <- function(priors, model) {
  root <- sqrt(model$frame$weights)
  X <- model$fixed$X * root
  unlist(lapply(names(model$random), function(label) {
    term <- model$random[[label]]
    prior <- priors[[label]]
    if (length(term$columns) > 1L || !is.null(term$kernel)) return(NULL)
    more <- switch(prior$kind, flat_deviation = -1, flat_variance = -2, prior$df)
    # the rank beside X is no less
    if (nlevels(term$factor) - ncol(X) + more > 4) return(NULL)
    tail <- span_rank(cbind(X, term_span(term, root))) - ncol(X) + more
    if (tail > 4) return(NULL)
    paste0("With ", n_of(nlevels(term$factor), "level"), " and this prior the variance of ",
           label, " has no posterior ", if (tail <= 2) "mean" else "standard deviation",
           ": use its median and quantiles.")
  }))
}

# R-hat and effective sizes must allow what is printed (Vehtari et al. 2021).
sampling_trouble <- function(x) {
  own <- x$diagnostics[x$diagnostics$kind != "fixed", ]
  rhat <- own$rhat
  size <- pmin(own$ess_bulk, own$ess_tail)
  list(rhat = max(rhat), ess = min(size),
       bad = rownames(own)[is.na(rhat) | rhat > 1.01 | is.na(size) | size < 400])
}

report_sampling <- function(x) {
  trouble <- sampling_trouble(x)
  if (length(trouble$bad) > 0L) warn_sampling(trouble$bad, trouble$rhat, trouble$ess)
}

#' Draws of Bayesian variance components
#'
#' What `variance_components(..., method = "Bayes")` returns is printed and summarised with
#' its diagnostics, plotted, and converted for the package 'posterior'. For priors and
#' settings see [bayes_control()].
#'
#' `diagnostics`, a data frame in the result, has for each component, for the `share` of each
#' term in the variance (heritability, on the scale of [heritability()], where the model has
#' one term), and for each fixed effect: posterior mean, median, standard deviation (`sd`),
#' 2.5 and 97.5 percent quantiles, the Monte-Carlo standard error of the mean (`mcse`), the
#' rank-normalised split R-hat, and the effective sample sizes for the centre and for the
#' tails (Vehtari et al. 2021); computed by 'posterior' where that is installed, else by our
#' own code, which agrees with it. An R-hat above 1.01 or an effective size
#' below 400, of a variance or share, is a warning.
#'
#' `plot()` shows for each parameter the trace of every chain, and the density of its draws
#' beside that of all (black), with marks at the median and the 2.5 and 97.5 percent quantiles.
#'
#' @param x,object what `variance_components(..., method = "Bayes")` returned.
#' @param digits (`integer(1)`) significant digits.
#' @param parameters (`character`) which to plot, by their names in `diagnostics`; by default
#'   all variances and shares.
#' @param ... not used; anything here is an error.
#' @return `summary()` the diagnostics, a data frame of class `summary.bayes_components`;
#'   `confint()` a matrix of posterior quantiles;
#'   `as_draws()` a `draws_df` of 'posterior', which its other formats take;
#'   the others `x`, invisibly.
#' @references Vehtari A, Gelman A, Simpson D, Carpenter B, Buerkner PC (2021).
#' Rank-normalization, folding, and localization: an improved R-hat for assessing convergence
#' of MCMC. Bayesian Analysis 16, 667-718. \doi{10.1214/20-BA1221}
#' @examples
#' set.seed(1)
#' fit <- variance_components(travel ~ 1 + (1 | Rail), nlme::Rail, method = "Bayes",
#'                            control = bayes_control(iterations = 500))
#' fit
#' summary(fit)
#' confint(fit, "share.Rail", level = 0.9)
#' plot(fit)
#' @name bayes_components
NULL

#' @rdname bayes_components
#' @export
print.bayes_components <- function(x, digits = 4L, ...) {
  control <- x$control
  cat("Variance components by Bayesian sampling\n")
  cat("Formula: ", paste(deparse(x$formula), collapse = "\n"), "\n", sep = "")
  cat_wrapped(paste0(
    n_of(x$n, "record"), "; ", n_of(control$chains, "chain"), " of ",
    n_of(control$iterations, "draw"), " after ", count(control$warmup),
    " to warm up", if (control$thin > 1L) paste0(", thinned by ", control$thin),
    if (!is.null(x$seconds)) paste0("; ", format(signif(x$seconds, 2)), " s")
  ))
  cat("\n")
  print_draws(x$diagnostics[x$diagnostics$kind != "fixed", ], digits)
  cat("\nPriors\n")
  labels <- format(names(x$priors))
  for (i in seq_along(labels)) {
    cat_wrapped(prior_text(x$priors[[i]]), initial = paste0("  ", labels[[i]], "  "),
                prefix = strrep(" ", nchar(labels[[i]]) + 4L))
  }
  cat_wrapped("Fixed effects: flat. They and the random effects are integrated out exactly.",
              indent = 2L, exdent = 4L)
  print_kernels(x$kernels, x$components$share)
  cat("\n")
  cat_wrapped(describe_convergence(x))
  for (note in x$notes) cat_wrapped(paste0("Note: ", note), exdent = 2L)
  invisible(x)
}

describe_convergence <- function(x) {
  trouble <- sampling_trouble(x)
  text <- paste0("largest R-hat ", sprintf("%.3f", trouble$rhat),
                 ", smallest effective sample size ", count(round(trouble$ess)))
  agree <- if (x$control$chains > 1L) "Chains agree: " else "No trouble in the one chain: "
  if (length(trouble$bad) == 0L) return(paste0(agree, text, "."))
  verdict <- if (isTRUE(trouble$rhat <= 1.01)) "TOO FEW DRAWS" else "NOT CONVERGED"
  paste0(verdict, " (", text, "): take more iterations. In doubt: ",
         some_of(trouble$bad, quote = FALSE), ".")
}

# Each row with the decimals of its mean and deviation; of the two effective sizes the
# smaller.
print_draws <- function(own, digits) {
  values <- as.matrix(own[c("mean", "sd", "q2.5", "median", "q97.5")])
  text <- matrix(vapply(seq_len(nrow(own)), function(i) {
    aligned(values[i, ], digits, max(abs(values[i, 1:2])))
  }, character(5)), 5L)
  table <- data.frame(
    mean = text[1L, ], mcse = vapply(signif(own$mcse, 2L), format, character(1)),
    sd = text[2L, ], "2.5%" = text[3L, ], median = text[4L, ], "97.5%" = text[5L, ],
    "R-hat" = sprintf("%.3f", own$rhat),
    ESS = count(round(pmin(own$ess_bulk, own$ess_tail))),
    row.names = rownames(own), check.names = FALSE
  )
  print(table)
}

#' @rdname bayes_components
#' @export
summary.bayes_components <- function(object, ...) {
  rlang::check_dots_empty()
  structure(object$diagnostics, convergence = describe_convergence(object),
            class = c("summary.bayes_components", "data.frame"))
}

#' @rdname bayes_components
#' @export
print.summary.bayes_components <- function(x, digits = 4L, ...) {
  whole <- c("kind", "mean", "mcse", "sd", "q2.5", "median", "q97.5", "rhat", "ess_bulk",
             "ess_tail")
  # some of its columns
  if (!all(whole %in% names(x))) return(NextMethod())
  titles <- c(component = "Variance components", share = "Shares of the variance",
              fixed = "Fixed effects")
  for (kind in intersect(names(titles), x$kind)) {
    cat(titles[[kind]], "\n", sep = "")
    print_draws(x[x$kind == kind, ], digits)
    cat("\n")
  }
  cat_wrapped(attr(x, "convergence"))
  invisible(x)
}

#' @rdname bayes_components
#' @param parm names of parameters, by default all variances and shares.
#' @param level (`numeric(1)`) posterior probability of the intervals.
#' @export
confint.bayes_components <- function(object, parm, level = 0.95, ...) {
  rlang::check_dots_empty()
  level <- check_number(level, 0.001, 0.9999)
  parm <- known_parameters(object, if (missing(parm)) NULL else parm, rlang::current_env())
  ends <- vapply(parameter_draws(object)[parm], stats::quantile, numeric(2),
                 probs = (1 + c(-level, level)) / 2)
  structure(t(ends), dimnames = list(parm, interval_names(level)))
}

# Without `chain` and `iteration`, which terms may be called too.
parameter_draws <- function(x) x$draws[-(1:2)]

known_parameters <- function(x, asked, call, arg = "parm") {
  known <- rownames(x$diagnostics)
  if (is.null(asked)) return(known[x$diagnostics$kind != "fixed"])
  unknown <- setdiff(asked, known)
  if (length(unknown) > 0L || length(asked) == 0L) abort_parameter(unknown, known, call, arg)
  asked
}

#' @rdname bayes_components
#' @export
plot.bayes_components <- function(x, parameters = NULL, ...) {
  rlang::check_dots_empty()
  parameters <- known_parameters(x, parameters, rlang::current_env(), "parameters")
  rows <- min(length(parameters), 4L)
  old <- graphics::par(mfrow = c(rows, 2L), mar = c(2.6, 3.2, 2, 0.8), mgp = c(1.7, 0.6, 0))
  on.exit(graphics::par(old))
  chain <- x$draws$chain
  colours <- grDevices::hcl.colors(max(chain) + 1L, "Dark 3")
  for (name in parameters) plot_parameter(parameter_draws(x)[[name]], chain, name, colours)
  invisible(x)
}

# The trace of every chain, and the density of each with that of all.
plot_parameter <- function(value, chain, name, colours) {
  parts <- split(value, chain)
  graphics::plot(range(seq_along(parts[[1L]])), range(value), type = "n", xlab = "draw",
                 ylab = "", main = name, bty = "l")
  for (c in seq_along(parts)) graphics::lines(parts[[c]], col = colours[[c]], lwd = 0.6)
  whole <- draw_density(value, range(value))
  each <- lapply(parts, draw_density, range(value))
  top <- max(whole$y, vapply(each, function(d) max(d$y), numeric(1)))
  graphics::plot(whole, ylim = c(0, top), main = paste("density of", name), xlab = "",
                 ylab = "", bty = "l", lwd = 2, zero.line = FALSE)
  for (c in seq_along(each)) graphics::lines(each[[c]], col = colours[[c]])
  graphics::rug(stats::quantile(value, c(0.025, 0.5, 0.975)), lwd = 2)
}

# Between two ends. What can't be negative is mirrored at zero, where much of it may be.
draw_density <- function(value, ends) {
  mirrored <- ends[[1L]] >= 0
  out <- stats::density(if (mirrored) c(value, -value) else value, stats::bw.nrd0(value),
                        from = ends[[1L]], to = ends[[2L]])
  out$y <- out$y * (1 + mirrored)
  out
}

#' @rawNamespace
#' S3method(posterior::as_draws, bayes_components)
#' S3method(posterior::as_draws_df, bayes_components)
NULL

#' @rdname bayes_components
#' @method as_draws bayes_components
as_draws.bayes_components <- function(x, ...) {
  draws <- x$draws
  names(draws)[1:2] <- c(".chain", ".iteration")
  posterior::as_draws_df(draws)
}

as_draws_df.bayes_components <- function(x, ...) as_draws.bayes_components(x, ...)
