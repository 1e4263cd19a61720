# How it is computed. Every engine is a list of class c("engine_<name>", "engine") with
#   name, reason   which engine, and why it was chosen
#   data           what its C++ functions take: no evaluation needs the rows again
#   work           X = Q R and y = X beta + r, where Q and r are what the engine computes
#                  with: R, pivot, beta, names of the columns, logweights (the sum of the
#                  logarithms of the weights), n, p, and the intercept in the basis Q
# and answers
#   engine_moments(engine, theta)           list(logdet, S), see below
#   engine_optimise(engine, REML, control)  the convergence record, with theta
#   engine_modes(engine, theta, kernel)     the random effects: k x levels, or, with a
#                                           kernel, named by all its ids
#   engine_variances(engine, theta, sigma, kernel)  their variances: a list of
#     `conditional`, given beta, and `prediction`, of the prediction error; k x k x levels
#     or named by id. Not kept in the fit: with a kernel they cost as much as it did.
#   engine_recombine(engine, M)             the engine of [Q r] M, M (p+1) x any
# S is [Q r]'H^-1[Q r], logdet is log|H|, and Var(y) = sigma2 W^-1/2 H W^-1/2.

engine_moments <- function(engine, theta) UseMethod("engine_moments")
engine_optimise <- function(engine, REML, control, start = NULL) {
  UseMethod("engine_optimise")
}
engine_modes <- function(engine, theta, kernel) UseMethod("engine_modes")
engine_variances <- function(engine, theta, sigma, kernel) UseMethod("engine_variances")

engine_recombine <- function(engine, M) UseMethod("engine_recombine")

# From the structure of the terms to the engine.
choose_engine <- function(frame, fixed, terms, call = rlang::caller_env()) {
  groups <- unique(vapply(terms, `[[`, character(1), "group"))
  if (length(groups) > 1L) abort_unsupported("several grouping factors", groups, call)
  kernels <- !vapply(terms, function(term) is.null(term$kernel), logical(1))
  work <- engine_work(frame, fixed, call)
  if (!any(kernels)) {
    if (length(terms) == 1L && length(terms[[1L]]$columns) == 1L) {
      return(check_identified(engine_scalar(work, terms[[1L]]), groups, call))
    }
    return(engine_blocked(work, terms, call))
  }
  if (length(terms) > 1L || !identical(terms[[1L]]$columns, "(Intercept)")) {
    abort_unsupported("a kernel term beside others, or with slopes", groups, call)
  }
  check_identified(engine_rotated(work, terms[[1L]], call), groups, call)
}

new_engine <- function(name, reason, data, work, family = NULL, ...) {
  kept <- work[c("R", "pivot", "beta", "names", "logweights", "n", "p", "intercept")]
  structure(list(name = name, reason = reason, data = data, work = kept, ...),
            class = c(paste0("engine_", c(name, family)), "engine"))
}

# beta, its covariance without sigma2, y'Py and log-determinants at theta, on the scale
# of X as the user gave it.
engine_fixed <- function(engine, theta) {
  work <- engine$work
  at <- engine_moments(engine, theta)
  p <- work$p
  if (p == 0L) {
    return(list(beta = stats::setNames(numeric(), character()), unscaled = matrix(0, 0, 0),
                s = at$S[1, 1], logdet = at$logdet, logdet_x = 0))
  }
  inner <- seq_len(p)
  root <- tryCatch(chol(at$S[inner, inner, drop = FALSE]), error = function(e) NULL)
  # at absurd ratios rounding may leave nothing to decompose
  if (is.null(root)) return(list(s = Inf, logdet = Inf, logdet_x = Inf))
  half <- backsolve(root, at$S[inner, p + 1L], transpose = TRUE)
  back <- function(x) {
    out <- backsolve(work$R, x)
    out[order(work$pivot), , drop = FALSE]
  }
  beta <- work$beta + drop(back(matrix(backsolve(root, half))))
  factor <- back(backsolve(root, diag(p)))
  names <- work$names
  list(beta = stats::setNames(beta, names),
       unscaled = structure(tcrossprod(factor), dimnames = list(names, names)),
       s = at$S[p + 1L, p + 1L] - sum(half^2), logdet = at$logdet,
       logdet_x = 2 * sum(log(diag(root))) + 2 * sum(log(abs(diag(work$R)))))
}

# -2 log-likelihood (or the REML criterion) at theta, beta and sigma profiled.
engine_criterion <- function(engine, theta, REML, fixed = engine_fixed(engine, theta)) {
  dof <- engine$work$n - if (REML) engine$work$p else 0
  fixed$logdet + (if (REML) fixed$logdet_x else 0) - engine$work$logweights +
    dof * (1 + log(2 * pi * fixed$s / dof))
}
