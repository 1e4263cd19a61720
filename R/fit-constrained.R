# The likelihood (ML) with one parameter fixed, minimised over all the others by Newton's
# method: what profiles and their intervals are made of.

# Coordinates u: for each term the lower triangle by columns of the factor L of its
# covariance matrix sigma2 Psi = L L', then log(sigma). They need no bounds, as the sign of
# a column of L is nothing. The effects of a term may be permuted (`order`), so that the
# one whose standard deviation is fixed comes first, L_11, and the two whose correlation is
# fixed are first and second.

# -2 log-likelihood at u, the fixed effects profiled: value; with an order of 1 also the
# gradient in u, of 2 the Hessian. `M` ((p+1) x (m+1)): [Q r] M are the columns of the fixed
# effects that are free, and the response.
coordinate_criterion <- function(problem, u, order, M = problem$M) {
  n <- problem$engine$work$n
  precision <- exp(-2 * u[[length(u)]])
  reach <- sum(u[-length(u)]^2) * precision
  if (!is.finite(reach) || reach > 1e100) return(nowhere(length(u), nrow(M)))
  factors <- coordinate_factors(problem, u)
  moments <- tryCatch(
    engine_moments(problem$engine, coordinate_theta(problem, u, factors), order),
    kinlmm_error_numeric = function(e) NULL
  )
  at <- if (!is.null(moments)) free_effects(moments$S, M)
  if (is.null(at)) return(nowhere(length(u), nrow(M)))
  value <- moments$logdet - problem$engine$work$logweights + n * log(2 * pi / precision) +
    at$s * precision
  if (!is.finite(value)) return(nowhere(length(u), nrow(M)))
  out <- list(value = value, a = at$a, pull = drop(moments$S %*% at$a) * precision)
  if (order == 0L) return(out)
  by_psi <- psi_derivatives(moments, at, precision, M, problem$components)
  c(out, coordinate_derivatives(problem, factors, precision, by_psi, at$s, n))
}

# At absurd ratios rounding may leave nothing to decompose: no place to go to.
nowhere <- function(count, width) {
  list(value = 1e300, a = numeric(width), pull = numeric(width), gradient = numeric(count),
       hessian = diag(count))
}

# s = a'S a at its minimum over the free fixed effects, NULL where there is none.
free_effects <- function(S, M) {
  S <- crossprod(M, S %*% M)
  m <- ncol(S) - 1L
  if (m == 0L) return(list(s = S[[1L]], a = drop(M), Q = matrix(0, 0L, 0L)))
  inner <- seq_len(m)
  root <- tryCatch(chol(S[inner, inner, drop = FALSE]), error = function(e) NULL)
  if (is.null(root)) return(NULL)
  Q <- chol2inv(root)
  b <- drop(Q %*% S[inner, m + 1L])
  list(s = S[m + 1L, m + 1L] - sum(b * S[inner, m + 1L]), a = drop(M %*% c(-b, 1)), Q = Q)
}

# Derivatives of log|H| + s / sigma2 in psi, with `mixed` those in psi and log(sigma).
psi_derivatives <- function(moments, at, precision, M, components) {
  width <- length(at$a)
  count <- length(moments$trace)
  Wa <- matrix(at$a %*% matrix(moments$W, width), width)
  q <- drop(at$a %*% Wa)
  out <- list(gradient = (moments$trace - q * precision)[components],
              mixed = (2 * precision * q)[components])
  if (is.null(moments$traces)) return(out)
  twice <- matrix(at$a %*% matrix(at$a %*% matrix(moments$WW, width), width), count)
  through <- crossprod(M[, -ncol(M), drop = FALSE], Wa)
  curvature <- twice + t(twice) - 2 * crossprod(through, at$Q %*% through)
  out$hessian <- (precision * curvature - moments$traces)[components, components,
                                                           drop = FALSE]
  out
}

# By the chain rule, psi = L L' / sigma2.
coordinate_derivatives <- function(problem, factors, precision, by_psi, s, n) {
  parts <- Map(function(L, g) factor_derivatives(L, g, precision), factors,
               split_packed(by_psi$gradient, problem$sizes))
  inner <- block_diagonal(lapply(parts, `[[`, "jacobian"))
  psi <- pack_products(factors) * precision
  J <- cbind(inner, -2 * psi)
  last <- ncol(J)
  gradient <- drop(crossprod(J, by_psi$gradient))
  slopes <- gradient
  gradient[[last]] <- gradient[[last]] + 2 * (n - s * precision)
  if (is.null(by_psi$hessian)) return(list(gradient = gradient))
  hessian <- crossprod(J, by_psi$hessian %*% J)
  bend <- block_diagonal(lapply(parts, `[[`, "bend"))
  hessian[-last, -last] <- hessian[-last, -last] + bend
  cross <- drop(crossprod(J, by_psi$mixed)) - 2 * slopes
  hessian[last, ] <- hessian[last, ] + cross
  hessian[, last] <- hessian[, last] + cross
  # both lines above met here, and the second derivative of psi is 4 psi = -2 (-2 psi)
  hessian[last, last] <- hessian[last, last] + 2 * slopes[[last]] + 4 * s * precision
  list(gradient = gradient, hessian = hessian)
}

# Of one term: dpsi/dL, and what the curvature of psi in L adds to the Hessian.
factor_derivatives <- function(L, g, precision) {
  k <- nrow(L)
  at <- lower_pairs(k)
  jacobian <- vapply(seq_along(at$row), function(c) {
    D <- matrix(0, k, k)
    D[at$row[[c]], ] <- L[, at$col[[c]]]
    pack_lower(D + t(D))
  }, numeric(length(at$row)))
  G <- unpack_lower(g)
  G <- G + t(G)
  list(jacobian = precision * matrix(jacobian, length(at$row)),
       bend = precision * G[at$row, at$row, drop = FALSE] * outer(at$col, at$col, `==`))
}

coordinate_factors <- function(problem, u) {
  lapply(split_packed(u[-length(u)], problem$sizes), unpack_lower)
}

coordinate_theta <- function(problem, u, factors) {
  scale <- exp(-u[[length(u)]])
  unlist(Map(function(L, order) {
    if (length(L) == 1L) return(abs(drop(L)) * scale)
    lower_root(L[order(order), , drop = FALSE] * scale)
  }, factors, problem$orders), use.names = FALSE)
}

# The lower triangle, packed, of L with L L' = B B' and no negative diagonal.
lower_root <- function(B) {
  L <- t(qr.R(qr(t(B), tol = 0)))
  pack_lower(L * rep(replace(sign(diag(L)), diag(L) == 0, 1), each = nrow(L)))
}

# The problem with the effects of the terms in the given orders, by default their own.
coordinate_problem <- function(fit, orders = NULL) {
  sizes <- term_widths(fit$random)
  if (is.null(orders)) orders <- lapply(sizes, seq_len)
  before <- cumsum(c(0L, sizes * (sizes + 1L) / 2L))
  components <- unlist(Map(function(order, k, before) {
    at <- lower_pairs(k)
    place <- matrix(0L, k, k)
    place[cbind(at$row, at$col)] <- place[cbind(at$col, at$row)] <- seq_along(at$row)
    before + place[cbind(order[at$row], order[at$col])]
  }, orders, sizes, before[seq_along(sizes)]), use.names = FALSE)
  factors <- term_factors(fit$random, unname(fit$theta) * fit$sigma)
  u <- unlist(Map(function(L, order) {
    if (length(L) == 1L) L[[1L]] else lower_root(L[order, , drop = FALSE])
  }, factors, orders), use.names = FALSE)
  list(engine = fit$engine, sizes = unname(sizes), orders = orders, components = components,
       before = before, M = diag(fit$engine$work$p + 1L), u = c(u, log(fit$sigma)))
}

# Where an exact Hessian costs many gradients, one of the estimates is updated instead.
exact_hessian <- function(engine) {
  if (engine$name == "sparse") return(engine$data$first[[n_theta(engine) + 1L]] <= 1500L)
  !inherits(engine, "engine_blocked") || blocked_cost(engine) < 1e7
}

# Minimises f(z) from z, some coordinates bounded below. f gives value, gradient and, if it
# has one, the Hessian; else `hessian`, as it was where the search starts, is updated.
# Directions of negative curvature are followed, so that no saddle point is an answer.
newton_minimise <- function(f, z, lower, hessian = NULL) {
  z <- pmax(z, lower)
  at <- f(z)
  exact <- !is.null(at$hessian)
  if (!exact) at$hessian <- hessian
  radius <- 1
  for (iteration in 1:200) {
    step <- newton_step(at, z, lower, radius)
    if (step$gain < 1e-9 || radius < 1e-10) break
    to <- pmax(z + step$move, lower)
    trial <- f(to)
    gained <- at$value - trial$value
    if (!exact) trial$hessian <- secant_update(at, to - z, trial)
    radius <- if (gained < 0.1 * step$gain) step$length / 4 else
      if (gained > 0.7 * step$gain) max(radius, 2 * step$length) else radius
    if (gained > -1e-10) {
      at <- trial
      z <- to
    } else if (!exact) {
      at$hessian <- trial$hessian
    }
  }
  c(at, list(z = z))
}

# In units of the curvature of each coordinate, at most `radius` long.
newton_step <- function(at, z, lower, radius) {
  free <- which(!(z <= lower & at$gradient > 0))
  move <- numeric(length(z))
  if (length(free) == 0L) return(list(move = move, gain = 0, length = 0))
  H <- at$hessian[free, free, drop = FALSE]
  unit <- sqrt(abs(diag(H)))
  unit <- 1 / pmax(unit, 1e-4 * max(unit), 1e-100)
  e <- eigen(H * outer(unit, unit), symmetric = TRUE)
  along <- drop(crossprod(e$vectors, at$gradient[free] * unit))
  step <- -along / pmax(abs(e$values), 1e-6)
  gain <- function(step) -sum(along * step) - sum(e$values * step^2) / 2
  last <- length(step)
  if (e$values[[last]] < -1e-3 && gain(step) < 1e-3) {
    # nothing pulls off a saddle point
    step[[last]] <- if (along[[last]] > 0) -radius else radius
  }
  size <- sqrt(sum(step^2))
  if (size > radius) step <- step * (radius / size)
  move[free] <- unit * drop(e$vectors %*% step)
  list(move = move, gain = gain(step), length = min(size, radius))
}

# The symmetric rank-one update: it keeps negative curvature.
secant_update <- function(at, step, trial) {
  missed <- trial$gradient - at$gradient - drop(at$hessian %*% step)
  against <- sum(missed * step)
  small <- abs(against) < 1e-8 * sqrt(sum(missed^2) * sum(step^2))
  if (small || trial$value >= 1e300) return(at$hessian)
  at$hessian + tcrossprod(missed) / against
}
