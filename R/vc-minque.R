# Minimum norm quadratic unbiased estimates: what quadratic forms y'P G_c P y expect, with P
# at variances that are fixed before the data are seen.

# Effects beyond which there are no standard errors.
minque_limit <- 4000L

# prior: 0, every variance but the residual one; 1, all equal; or components in the order
# of the result, on any scale. iterations: how often the estimates become the prior.
vc_minque <- function(model, prior = 1, iterations = 1L, call) {
  iterations <- check_count(iterations, call = call)
  psi <- prior_ratios(model$random, prior, call)
  for (iteration in seq_len(iterations)) {
    used <- psi
    phi <- minque_step(model, psi, call)
    psi <- feasible_ratios(model$random, phi)
    # nothing moves any more
    if (max(abs(psi - used)) <= 1e-12 * max(1, psi)) break
  }
  of <- if (iterations > 1L) {
    c(paste("The prior is the estimates of the step before: REML in the limit, where that is",
            "inside."),
      "Not unbiased, as the prior depends on the data.",
      "Standard errors are those of normal data at the estimates, the prior taken as fixed.")
  } else {
    c("Unbiased whether the data are normal or not.",
      paste0("Of least variance if the data are normal and the prior is right: ",
             describe_prior(prior), "."),
      "Standard errors are those of normal data at the estimates.")
  }
  moments_result(model, "MINQUE", phi, minque_covariance(model, used, phi, call), of)
}

vc_minque0 <- function(model, call) {
  replace(vc_minque(model, 0, call = call), "method", "MINQUE0")
}

vc_minque1 <- function(model, call) {
  replace(vc_minque(model, 1, call = call), "method", "MINQUE1")
}

describe_prior <- function(prior) {
  if (length(prior) > 1L) return(paste0("variances as ", toString(format(prior))))
  if (prior == 0) "no variance but the residual one" else "equal variances"
}

# Components relative to the residual variance.
prior_ratios <- function(random, prior, call) {
  diagonal <- theta_diagonal(random)
  if (is.numeric(prior) && length(prior) == 1L && prior %in% 0:1) return(prior * diagonal)
  wanted <- length(diagonal) + 1L
  if (!is.numeric(prior) || length(prior) != wanted || !all(is.finite(prior))) {
    abort_argument("prior", paste0("0, 1 or ", wanted, " variances (",
                                   toString(component_names(random)), ")"),
                   describe(prior), call)
  }
  psi <- prior[-wanted] / prior[[wanted]]
  moved <- max(abs(feasible_ratios(random, prior) - psi))
  if (prior[[wanted]] <= 0 || moved > 1e-8 * max(abs(psi))) {
    abort_argument("prior", "variances that are not negative, the residual one positive",
                   describe(prior), call)
  }
  psi
}

# tr(P G_c P G_d) phi = y'P G_c P y, solved with H in place of the residual's I, as P H P = P:
# V = sum_c (phi_c - phi_e psi_c) G_c + phi_e H.
minque_step <- function(model, psi, call) {
  engine <- model$engine
  at <- engine_moments(engine, ratio_theta(model$random, psi), 2L)
  M <- residual_products(at, engine$work)
  p <- engine$work$p
  x <- seq_len(p)
  d <- c(-basis_unscaled(at$S) %*% at$S[x, p + 1L], 1)
  q <- c(apply(at$W, 3L, function(W) sum(d * (W %*% d))), sum(d * (at$S %*% d)))
  solution <- solve_components(M, q, model$random, call)
  residual <- solution[[length(solution)]]
  c(solution[-length(solution)] + residual * psi, residual)
}

# Var(phi_hat) = M^-1 Var(q) M^-1 for normal data with the variances phi; NULL where the
# matrices, many products of which are needed, would be too large.
minque_covariance <- function(model, psi, phi, call) {
  reduced <- reduced_model(model, call = call, limit = minque_limit)
  if (is.null(reduced)) return(NULL)
  A <- c(reduced$forms, list(diag(length(reduced$y))))
  if (any(psi != 0)) {
    Hi <- chol2inv(chol(reduced_covariance(reduced, c(psi, 1))))
    A <- c(lapply(reduced$forms, function(form) Hi %*% form %*% Hi), list(Hi))
  }
  weight <- c(numeric(length(psi)), 1)
  expected <- quadratic_expectations(reduced, A, weight)
  inverse <- scaled_inverse(expected)
  inverse %*% tcrossprod(quadratic_covariance(reduced, A, weight, phi), inverse)
}

# What the forms of quadratic_covariance() expect of each component, one row each.
quadratic_expectations <- function(reduced, A, weight) {
  of <- vapply(reduced$forms, function(form) {
    vapply(A, function(A) sum(A * form), numeric(1))
  }, numeric(length(A)))
  cbind(matrix(of, length(A)), vapply(A, function(A) sum(diag(A)), numeric(1)) +
          weight * reduced$rest_df)
}

# S phi = q for a positive semi-definite S; components that S can't tell are an error.
solve_components <- function(S, q, random, call) {
  owner <- rep(seq_along(random), vapply(split_theta(random, theta_diagonal(random)),
                                         length, integer(1)))
  last <- ncol(S)
  none <- diag(S) <= 0
  null <- if (any(none)) diag(last)[, none, drop = FALSE] else null_space(S)
  if (ncol(null) > 0L) {
    lost <- rowSums(abs(null[-last, , drop = FALSE])) > 1e-6 * max(abs(null))
    if (!any(lost)) lost[] <- TRUE
    abort_unidentified(random[unique(owner[lost])], call)
  }
  drop(scaled_inverse(S) %*% q)
}

# On the scale of a unit diagonal: components differ by powers of the units of covariates.
scaled_inverse <- function(S) {
  unit <- tcrossprod(1 / sqrt(diag(S)))
  solve(S * unit, tol = 0) * unit
}

# theta of components relative to the residual variance, or of the nearest ones that are
# covariance matrices.
ratio_theta <- function(random, psi) {
  unlist(lapply(split_theta(random, psi), function(packed) {
    if (length(packed) == 1L) return(sqrt(max(packed, 0)))
    spectrum <- eigen(unpack_lower(packed, TRUE), symmetric = TRUE)
    lower_root(spectrum$vectors %*% diag(sqrt(pmax(spectrum$values, 0))))
  }), use.names = FALSE)
}

# Components relative to the residual variance, as near as covariances may be.
feasible_ratios <- function(random, phi) {
  last <- length(phi)
  residual <- max(phi[[last]], 1e-6 * sum(abs(phi)))
  pack_products(term_factors(random, ratio_theta(random, phi[-last] / residual)))
}
