# One parameter of the fit, by its place among those of confint() (see parameter_names()),
# as the constraint that it puts on the coordinates: `kind`, the problem with the effects
# in a suitable order, `at` (places in u) and `bounds` of the values.
parameter_pin <- function(base, index, prof.scale = "sdcor") {
  pin <- variance_pin(base$fit, index, prof.scale)
  pin$fit <- base$fit
  pin$minimum <- deviance(base$fit)
  # small standard deviations, in the order of the pin
  pin$small <- unlist(Map(function(small, order) {
    pack_lower(diag(small[order], length(small)))
  }, base$small, pin$problem$orders), use.names = FALSE)
  own <- !any(vapply(pin$problem$orders, is.unsorted, logical(1)))
  pin$whole <- if (own) base$hessian else whole_hessian(pin$problem)
  if (!exact_hessian(base$fit$engine)) {
    A <- pinned(pin, pin_value(pin), unpinned(pin, pin$problem$u))$A
    pin$hessian <- crossprod(A, pin$whole %*% A)
  }
  pin
}

# What all parameters of a fit by ML share.
profile_base <- function(fit) {
  small <- lapply(fit$random, function(term) {
    size <- sqrt(colMeans(term_design(term)^2))
    0.03 * fit$sigma / replace(size, size == 0, 1)
  })
  list(fit = fit, small = small, hessian = whole_hessian(coordinate_problem(fit)))
}

whole_hessian <- function(problem) coordinate_criterion(problem, problem$u, 2L)$hessian

variance_pin <- function(fit, index, prof.scale) {
  count <- length(fit$theta)
  if (index > count + 1L) return(pin_fixed(fit, index - count - 1L))
  if (index == count + 1L) {
    return(list(kind = "sigma", problem = coordinate_problem(fit), at = count + 1L,
                bounds = c(1e-6 * fit$sigma, Inf)))
  }
  sizes <- term_widths(fit$random)
  ends <- cumsum(sizes * (sizes + 1L) / 2L)
  term <- which(index <= ends)[[1L]]
  pair <- lapply(lower_pairs(sizes[[term]]), `[[`,
                 index - ends[[term]] + sizes[[term]] * (sizes[[term]] + 1L) / 2L)
  first <- unique(c(pair$col, pair$row))
  orders <- lapply(sizes, seq_len)
  orders[[term]] <- unname(c(first, setdiff(orders[[term]], first)))
  problem <- coordinate_problem(fit, orders)
  at <- problem$before[[term]] + c(1L, 2L, sizes[[term]] + 1L)
  if (length(first) == 1L) {
    return(list(kind = "sd", problem = problem, at = at[[1L]], bounds = c(0, Inf)))
  }
  if (prof.scale == "varcov") {
    return(list(kind = "cov", problem = problem, at = at, bounds = c(-Inf, Inf)))
  }
  list(kind = "cor", problem = problem, at = at, bounds = c(-1, 1))
}

# Fixing an effect at b is a model without its column and with b times it taken off the
# response: [Q r] M.
pin_fixed <- function(fit, index) {
  work <- fit$engine$work
  R <- work$R[, order(work$pivot), drop = FALSE]
  others <- qr.Q(qr(R[, -index, drop = FALSE]))
  list(kind = "fixed", problem = coordinate_problem(fit), at = index, bounds = c(-Inf, Inf),
       others = others, column = R[, index], from = work$beta[[index]],
       silent = isTRUE(fit$engine$contrasts) && !in_span(work$intercept, others))
}

in_span <- function(v, Q) sum((v - Q %*% crossprod(Q, v))^2) < 1e-10 * sum(v^2)

# u at the value x of the parameter and the free coordinates z, with A = du/dz, t = du/dx
# and, where u is not linear in z, `bend`.
pinned <- function(pin, x, z) {
  at <- pin$at
  count <- length(pin$problem$u)
  unit <- function(place, value = 1) replace(numeric(count), place, value)
  without <- function(place) diag(count)[, -place, drop = FALSE]
  switch(pin$kind,
    fixed = list(u = z, A = diag(count)),
    sigma = list(u = append(z, log(x), at - 1L), A = without(at), t = unit(at, 1 / x)),
    sd = list(u = append(z, x, at - 1L), A = without(at), t = unit(at)),
    cor = {
      s <- z[[at[[2L]]]]
      side <- sqrt(1 - x^2)
      u <- append(z, s * side, at[[3L]] - 1L)
      A <- without(at[[3L]])
      A[at[2:3], at[[2L]]] <- c(x, side)
      list(u = replace(u, at[[2L]], s * x), A = A,
           t = unit(at[2:3], c(s, -s * x / max(side, 1e-8))))
    },
    cov = {
      first <- exp(z[[at[[1L]]]])
      u <- append(replace(z, at[[1L]], first), x / first, at[[2L]] - 1L)
      A <- without(at[[2L]])
      A[at[1:2], at[[1L]]] <- c(first, -x / first)
      list(u = u, A = A, t = unit(at[[2L]], 1 / first), bend = c(first, x / first))
    })
}

# The free coordinates at u, and their lower bounds: with a correlation fixed the signs of
# L_11 and of the second row are its own.
unpinned <- function(pin, u) {
  at <- pin$at
  switch(pin$kind, fixed = u, sigma = , sd = u[-at],
         cor = replace(u, at[[2L]], sqrt(sum(u[at[2:3]]^2)))[-at[[3L]]],
         cov = replace(u, at[[1L]], log(max(u[[at[[1L]]]], 1e-4 * exp(u[[length(u)]])))
                       )[-at[[2L]]])
}

pin_lower <- function(pin) {
  lower <- rep(-Inf, length(unpinned(pin, pin$problem$u)))
  if (pin$kind == "cor") lower[pin$at[1:2]] <- 0
  lower
}

# The estimate of the parameter.
pin_value <- function(pin) {
  u <- pin$problem$u
  at <- pin$at
  row <- u[at[-1L]]
  switch(pin$kind, fixed = pin$fit$coefficients[[at]], sigma = exp(u[[at]]), sd = u[[at]],
         cor = if (any(row != 0) && u[[at[[1L]]]] > 0) {
           # rounding may lead beyond
           max(-1, min(1, row[[1L]] / sqrt(sum(row^2))))
         } else {
           0
         },
         cov = u[[at[[1L]]]] * row[[1L]])
}

# The point at the estimate; its slope is what the curvature says, where it does.
pin_centre <- function(pin) {
  x <- pin_value(pin)
  sigma <- exp(pin$problem$u[[length(pin$problem$u)]])
  z <- unpinned(pin, pin$problem$u)
  if (pin$kind == "fixed") {
    spread <- sqrt(pin$fit$vcov[pin$at, pin$at])
  } else {
    spread <- curvature_spread(pin, pinned(pin, x, z))
    rough <- switch(pin$kind, cor = 0.1, cov = 0.1 * sigma^2, max(x, 0.1 * sigma) / 4)
    if (is.nan(spread) || spread > 10 * rough) spread <- rough
  }
  list(x = x, zeta = 0, slope = 1 / spread, z = z, u = pin$problem$u,
       beta = pin$fit$coefficients, hessian = pin$hessian)
}

curvature_spread <- function(pin, map) {
  H <- pin$whole
  inner <- crossprod(map$A, H %*% map$A)
  side <- drop(crossprod(map$A, H %*% map$t))
  rest <- tryCatch(sum(side * solve(inner, side)), error = function(e) NaN)
  total <- sum(map$t * (H %*% map$t)) - rest
  if (is.finite(total) && total > 0) sqrt(2 / total) else NaN
}

# The optimum with the parameter at x: zeta, its slope, and the point. `near` and `before`
# are the last two points of the same profile, from which it starts.
solve_pinned <- function(pin, x, centre, near, before = NULL) {
  if (pin$kind == "share") return(solve_share(pin, x, near))
  M <- pin_basis(pin, x)
  order <- if (is.null(pin$hessian)) 2L else 1L
  f <- function(z) pinned_criterion(pin, x, z, order, M)
  z <- near$z
  if (!is.null(before) && before$x != near$x) {
    z <- z + (z - before$z) * max(-2, min(2, (x - near$x) / (near$x - before$x)))
  }
  lower <- pin_lower(pin)
  best <- newton_minimise(f, z, lower, near$hessian)
  raised <- raised_start(pin, best$u)
  if (!is.null(raised)) {
    other <- newton_minimise(f, raised, lower, near$hessian)
    if (other$value < best$value - 1e-8) best <- other
  }
  value <- max(best$value - pin$minimum, 0)
  zeta <- sign(x - centre$x) * sqrt(value)
  list(x = x, zeta = zeta, slope = best$slope / (2 * zeta), z = best$z,
       u = best$u, beta = pin_beta(pin, best$a, x), hessian = if (order == 1L) best$hessian)
}

pinned_criterion <- function(pin, x, z, order, M) {
  map <- pinned(pin, x, z)
  at <- coordinate_criterion(pin$problem, map$u, order, M)
  p <- pin$problem$engine$work$p
  slope <- if (pin$kind == "fixed") -2 * sum(pin$column * at$pull[seq_len(p)]) else
    sum(map$t * at$gradient)
  out <- list(value = at$value, a = at$a, slope = slope, u = map$u,
              gradient = drop(crossprod(map$A, at$gradient)))
  if (order < 2L) return(out)
  out$hessian <- crossprod(map$A, at$hessian %*% map$A)
  if (!is.null(map$bend)) {
    first <- pin$at[[1L]]
    out$hessian[first, first] <- out$hessian[first, first] +
      sum(map$bend * at$gradient[pin$at[1:2]])
  }
  out
}

pin_basis <- function(pin, x) {
  if (pin$kind != "fixed") return(pin$problem$M)
  rbind(cbind(pin$others, pin$column * (pin$from - x)),
        c(rep(0, ncol(pin$others)), 1))
}

# The fixed effects of which Q a + r is the residual.
pin_beta <- function(pin, a, x) {
  work <- pin$problem$engine$work
  if (work$p == 0L) return(numeric())
  moved <- backsolve(work$R, a[seq_len(work$p)])
  beta <- work$beta - moved[order(work$pivot)]
  if (pin$kind == "fixed") beta[[pin$at]] <- x
  beta
}

# A search may be held by a standard deviation of zero: another start, with those raised.
raised_start <- function(pin, u) {
  inner <- seq_along(pin$small)
  low <- which(abs(u[inner]) < pin$small)
  if (pin$kind == "sd") low <- setdiff(low, pin$at)
  if (length(low) == 0L) return(NULL)
  unpinned(pin, replace(u, low, 10 * pin$small[low]))
}
