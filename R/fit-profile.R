# Profile likelihoods behind confint(): one parameter fixed, the criterion (ML) minimised
# over the others.

# A fixed effect. Fixing it at b is a model without its column and with b times it taken off
# the response, which is a recombination of the cross-products: the engine's own optimiser
# finds the optimum.
profile_fixed <- function(fit, index, level) {
  work <- fit$engine$work
  R <- work$R[, order(work$pivot), drop = FALSE]
  estimate <- fit$coefficients[[index]]
  # [Q r] M is an orthonormal basis of the other columns, and the response, up to them
  others <- qr.Q(qr(R[, -index, drop = FALSE]))
  if (isTRUE(fit$engine$contrasts) && !in_span(work$intercept, others)) {
    # data free of the intercept say nothing about it
    se <- sqrt(fit$vcov[index, index])
    return(estimate + c(-1, 1) * stats::qnorm((1 + level) / 2) * se)
  }
  at_b <- function(b) {
    rbind(cbind(others, R[, index] * (work$beta[[index]] - b)),
          c(rep(0, work$p - 1L), 1))
  }
  profiled <- function(b, from) {
    engine <- engine_recombine(fit$engine, at_b(b))
    opt <- engine_optimise(engine, FALSE, fit$control, from)
    at <- engine_moments(engine, opt$theta)
    s <- schur_complement(at$S)
    n <- work$n
    list(value = at$logdet - work$logweights + n * (1 + log(2 * pi * s / n)),
         from = opt$theta)
  }
  profile_interval(profiled, unname(fit$theta), estimate, deviance(fit), level,
                   step = sqrt(fit$vcov[index, index]), lower = -Inf, upper = Inf)
}

in_span <- function(v, Q) sum((v - Q %*% crossprod(Q, v))^2) < 1e-10 * sum(v^2)

# The last element of S given the others.
schur_complement <- function(S) {
  p <- ncol(S) - 1L
  if (p == 0L) return(S[1L, 1L])
  half <- backsolve(chol(S[seq_len(p), seq_len(p)]), S[seq_len(p), p + 1L],
                    transpose = TRUE)
  S[p + 1L, p + 1L] - sum(half^2)
}

# A standard deviation, a correlation or sigma. The parameters v are those of confint(), in
# their order; they are searched as variances and correlations, since the criterion has no
# slope in a standard deviation of zero.
profile_variance <- function(fit, index, level) {
  v <- variance_vector(fit)
  is_sd <- c(theta_diagonal(fit$random), TRUE)
  work <- fit$engine$work
  criterion <- function(v) {
    theta <- variance_theta(fit, v)
    if (anyNA(theta)) return(1e300)
    at <- engine_fixed(fit$engine, theta)
    sigma2 <- v[[length(v)]]^2
    min(at$logdet - work$logweights + work$n * log(2 * pi * sigma2) + at$s / sigma2, 1e300)
  }
  lower <- replace(rep(0, length(v)), !is_sd, -1 + 1e-8)
  lower[length(v)] <- 1e-6 * fit$sigma
  upper <- replace(rep(Inf, length(v)), !is_sd, 1 - 1e-8)
  scale <- replace(pmax(abs(v), fit$sigma * 0.1), !is_sd, 0.3)
  free <- seq_along(v)[-index]
  squared <- function(v) replace(v, is_sd, v[is_sd]^2)[free]
  fill <- function(part, x) {
    full <- replace(v, index, x)
    full[free] <- part
    from_variance <- is_sd & seq_along(v) != index
    replace(full, from_variance, sqrt(full[from_variance]))
  }
  profiled <- function(x, from) {
    best <- minimise_free(function(part) criterion(fill(part, x)),
                          profile_starts(from, v, is_sd, free),
                          lower = squared(lower), upper = squared(upper),
                          scale = squared(scale))
    list(value = best$value, from = fill(best$par, x))
  }
  profile_interval(profiled, v, v[[index]], deviance(fit), level,
                   step = 0.2 * scale[[index]], lower = lower[[index]],
                   upper = upper[[index]])
}

# Where to start from: the last optimum and the estimate; and, since a search that is at
# zero may stay there, the same with small variances raised.
profile_starts <- function(from, v, is_sd, free) {
  sigma <- v[[length(v)]]
  squared <- lapply(list(from, v), function(at) replace(at, is_sd, at[is_sd]^2)[free])
  raised <- lapply(squared, function(at) {
    small <- is_sd[free] & at < 0.01 * sigma^2
    replace(at, small, 0.3 * sigma^2)
  })
  unique(c(squared, raised))
}

# The best that bounded searches from each start find; with one parameter, of a grid over
# eight orders of magnitude as well.
minimise_free <- function(f, starts, lower, upper, scale) {
  if (length(lower) == 1L) return(minimise_one(f, lower, upper, scale))
  fits <- lapply(starts, function(start) {
    stats::nlminb(pmin(pmax(start, lower), upper), f, scale = 1 / scale, lower = lower,
                  upper = upper, control = list(rel.tol = 1e-12, x.tol = 1e-10))
  })
  best <- fits[[which.min(vapply(fits, `[[`, numeric(1), "objective"))]]
  list(value = best$objective, par = best$par)
}

minimise_one <- function(f, lower, upper, scale) {
  grid <- c(lower, scale * 10^seq(-6, 6, by = 0.5))
  grid <- grid[grid >= lower & grid <= upper]
  values <- vapply(grid, f, numeric(1))
  at <- which.min(values)
  bracket <- grid[c(max(1L, at - 1L), min(length(grid), at + 1L))]
  # on a log scale, but from a bound of zero
  log_scale <- bracket[[1L]] > 0
  g <- if (log_scale) function(u) f(exp(u)) else f
  inside <- stats::optimize(g, if (log_scale) log(bracket) else bracket, tol = 1e-11)
  if (inside$objective > values[[at]]) return(list(value = values[[at]], par = grid[[at]]))
  list(value = inside$objective,
       par = if (log_scale) exp(inside$minimum) else inside$minimum)
}

variance_vector <- function(fit) {
  parts <- lapply(VarCorr(fit), function(covariance) {
    values <- attr(covariance, "correlation")
    values[is.na(values)] <- 0
    diag(values) <- attr(covariance, "stddev")
    values[lower.tri(values, diag = TRUE)]
  })
  c(unlist(parts, use.names = FALSE), fit$sigma)
}

# theta of variance parameters, NA where the correlations are impossible.
variance_theta <- function(fit, v) {
  sigma <- v[[length(v)]]
  unlist(Map(function(term, mine) {
    k <- length(term$columns)
    at <- lower_pairs(k)
    correlation <- matrix(0, k, k)
    correlation[cbind(at$row, at$col)] <- mine
    diag(correlation) <- 1
    # chol() reads the upper triangle
    factor <- tryCatch(t(chol(t(correlation))), error = function(e) NULL)
    if (is.null(factor)) return(rep(NA_real_, length(mine)))
    (factor * mine[at$row == at$col] / sigma)[lower.tri(factor, diag = TRUE)]
  }, fit$random, split_theta(fit$random, v)), use.names = FALSE)
}

# Where `profiled(x, from)$value` exceeds its minimum by the chi-square quantile, on both
# sides; `from`, where the other parameters were last, is carried along.
profile_interval <- function(profiled, start, estimate, minimum, level, step, lower,
                             upper) {
  target <- stats::qchisq(level, 1)
  one_side <- function(direction, bound) {
    state <- start
    excess <- function(x) {
      at <- profiled(x, state)
      state <<- at$from
      at$value - minimum - target
    }
    inside <- list(x = estimate, value = -target)
    reach <- step
    for (i in 1:60) {
      outside <- inside$x + direction * reach
      if ((outside - bound) * direction >= 0) outside <- bound
      value <- excess(outside)
      if (value > 0) {
        return(profile_root(excess, inside, list(x = outside, value = value),
                            tolerance = 1e-7 * max(abs(estimate), step)))
      }
      if (outside == bound) return(bound_value(bound))
      inside <- list(x = outside, value = value)
      reach <- 1.7 * reach
    }
    NA_real_
  }
  c(one_side(-1, lower), one_side(1, upper))
}

profile_root <- function(excess, inside, outside, tolerance) {
  ends <- list(inside, outside)[order(c(inside$x, outside$x))]
  stats::uniroot(excess, c(ends[[1L]]$x, ends[[2L]]$x), f.lower = ends[[1L]]$value,
                 f.upper = ends[[2L]]$value, tol = tolerance)$root
}

# The bounds of correlations and of sigma keep a distance that only the search needs.
bound_value <- function(bound) if (abs(bound) > 1 - 1e-7) sign(bound) else bound
