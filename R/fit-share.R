# Shares of the variance: of phi, the components of fit_information(), linear combinations
# w'phi / v'phi. For intercepts w and v are k, the mean diagonals of the kernels, or zero.

# What heritability() needs of a fit: phi; `k` by term; `weights`, a row for each term, and
# `residual`, such that the shares are weights phi / (colSums(weights) + residual) phi;
# `kernel`, which terms have one. at: a row of covariates, where there are slopes.
variance_shares <- function(fit, at, call) {
  k <- vapply(fit$random, mean_diagonal, numeric(1))
  sizes <- term_widths(fit$random)
  rows <- lapply(fit$random, function(term) {
    z <- covariate_row(term, at, call)
    pair <- lower_pairs(length(z))
    z[pair$row] * z[pair$col] * (1 + (pair$row != pair$col))
  })
  raw <- cbind(t(block_diagonal(lapply(rows, matrix))), 0)
  phi <- c(components(fit$random, fit$theta), 1) * fit$sigma^2
  list(phi = phi, k = k, raw = raw, weights = raw * k,
       residual = replace(numeric(length(phi)), length(phi), 1),
       kernel = !vapply(fit$random, function(term) is.null(term$kernel), logical(1)),
       intercepts = all(sizes == 1L) && is.null(at))
}

# The columns of a term at given values of its covariates.
covariate_row <- function(term, at, call) {
  if (identical(term$columns, "(Intercept)")) return(1)
  missing <- setdiff(all.vars(stats::formula(term$terms)), names(at))
  if (length(missing) > 0L) abort_share_at(describe_term(term), missing, call)
  row <- tryCatch({
    frame <- stats::model.frame(term$terms, at, xlev = term$xlevels)
    stats::model.matrix(term$terms, frame, contrasts.arg = term$contrasts)
  }, error = function(e) abort_frame(e, call))
  unname(row[1L, term$columns])
}

# One share w'phi / v'phi by the delta method, covariance: that of phi.
share_error <- function(w, v, phi, covariance) {
  total <- sum(v * phi)
  slope <- (w - v * sum(w * phi) / total) / total
  sqrt(max(0, sum(slope * (covariance %*% slope))))
}

# The covariance of phi by one of the information matrices.
information_covariance <- function(fit, which) {
  information <- fit_information(fit)
  information$observed <- switch(which, observed = information$observed,
    expected = information$expected,
    average = (information$observed + information$expected) / 2)
  phi_covariance(fit, information)
}

# Profiles ----

# The criterion at phi, of which the last is the variance of the residuals.
natural_criterion <- function(fit, phi, exact) {
  last <- length(phi)
  no <- list(value = 1e300, gradient = numeric(last), hessian = diag(last))
  if (!all(is.finite(phi)) || any(phi < 0) || phi[[last]] <= 0) return(no)
  fit$sigma <- sqrt(phi[[last]])
  fit$theta <- sqrt(phi[-last] / phi[[last]])
  # at absurd ratios rounding may leave nothing to decompose
  at <- tryCatch(if (exact) fit_information(fit) else natural_slopes(fit),
                 error = function(e) NULL)
  if (is.null(at) || !is.finite(at$value) || anyNA(at$gradient)) return(no)
  list(value = at$value, gradient = at$gradient, hessian = at$observed)
}

# Value and gradient alone.
natural_slopes <- function(fit) {
  theta <- unname(fit$theta)
  at <- engine_moments(fit$engine, theta, 1L)
  psi <- theta^2
  p <- fit$engine$work$p
  s <- fit$sigma^2
  Q <- basis_unscaled(at$S)
  x <- seq_len(p)
  d <- c(-Q %*% at$S[x, p + 1L], 1)
  W <- matrix(at$W, ncol = length(psi))
  W <- cbind(W, as.vector(at$S) - W %*% psi)
  trace <- c(at$trace, fit$engine$work$n - sum(psi * at$trace))
  quadratic <- drop(crossprod(W, as.vector(tcrossprod(d))))
  if (fit$REML) {
    inner <- matrix(0, p + 1L, p + 1L)
    inner[x, x] <- Q
    trace <- trace - drop(crossprod(W, as.vector(inner)))
  }
  list(value = natural_value(fit, at), gradient = trace / s - quadratic / s^2)
}

# The share sum(k phi over `part`) / sum(k phi over `whole`) as the pin of a profile, see
# parameter_pin(). All terms are intercepts; of several parts the residual must be in the
# whole. `observed` of shares: that of fit_information().
share_pin <- function(fit, shares, part, whole) {
  k <- c(shares$k, 1)
  phi <- shares$phi
  x <- sum((k * phi)[part]) / sum((k * phi)[whole])
  list(kind = "share", fit = fit, k = unname(k), part = part, whole = whole, phi = phi,
       value = x, minimum = fit$opt$criterion, bounds = c(0, max(x, 1 - 1e-7)),
       exact = exact_hessian(fit$engine), hessian = shares$observed)
}

# phi = B z, with dB/dx: the part, if it is one, follows from the rest of the whole; of
# several the residual follows from them.
share_map <- function(pin, x) {
  count <- length(pin$phi)
  rest <- setdiff(pin$whole, pin$part)
  odds <- x / (1 - x)
  slope <- B <- diag(count)
  slope[] <- 0
  if (x == 0 || length(pin$part) == 1L) {
    B[pin$part, ] <- 0
    if (length(pin$part) == 1L) {
      ratio <- pin$k[rest] / pin$k[[pin$part]]
      B[pin$part, rest] <- odds * ratio
      slope[pin$part, rest] <- ratio / (1 - x)^2
    }
    gone <- pin$part
  } else {
    B[count, ] <- 0
    B[count, pin$part] <- pin$k[pin$part] / odds
    B[count, setdiff(rest, count)] <- -pin$k[setdiff(rest, count)]
    slope[count, pin$part] <- -pin$k[pin$part] / x^2
    gone <- count
  }
  kept <- setdiff(seq_len(count), gone)
  list(B = B[, kept, drop = FALSE], slope = slope[, kept, drop = FALSE], kept = kept)
}

# Where the ratio of the part to the rest is that of x, all else as at phi.
share_start <- function(pin, x, phi) {
  others <- setdiff(pin$whole, pin$part)
  rest <- sum((pin$k * phi)[others])
  part <- sum((pin$k * phi)[pin$part])
  if (rest == 0 && part > 0 && x > 0) {
    rest <- part * (1 - x) / x
    phi[others] <- rest / length(others) / pin$k[others]
  }
  wanted <- x / (1 - x) * rest
  phi[pin$part] <- if (part > 0) phi[pin$part] * wanted / part else
    wanted / length(pin$part) / pin$k[pin$part]
  phi
}

# As solve_pinned(), for a share. `near` starts the search along its tangent.
solve_share <- function(pin, x, near) {
  map <- share_map(pin, x)
  phi <- near$phi
  if (!is.null(near$tangent)) phi <- pmax(phi + near$tangent * (x - near$x), 0.1 * phi)
  best <- linear_optimum(pin$fit, map, share_start(pin, x, phi), pin$exact, pin$hessian)
  zeta <- sign(x - pin$value) * sqrt(max(best$value - pin$minimum, 0))
  slope <- sum(best$pull * (map$slope %*% best$z))
  list(x = x, zeta = zeta, slope = slope / (2 * zeta), phi = drop(map$B %*% best$z),
       tangent = share_tangent(map, best))
}

# dphi/dx along the profile, by the implicit function theorem; variances at zero stay.
share_tangent <- function(map, best) {
  moved <- drop(map$slope %*% best$z)
  if (is.null(best$natural)) return(NULL)
  free <- best$z > 0
  B <- map$B[, free, drop = FALSE]
  side <- crossprod(map$slope[, free, drop = FALSE], best$pull) +
    crossprod(B, best$natural %*% moved)
  along <- tryCatch(solve(crossprod(B, best$natural %*% B), side), error = function(e) NULL)
  if (!is.null(along)) moved - drop(B %*% along)
}

# The least criterion over phi = B z, z >= 0, where z is what phi has at `kept`.
linear_optimum <- function(fit, map, phi, exact, hessian = NULL) {
  B <- map$B
  last <- length(phi)
  f <- function(z) {
    at <- natural_criterion(fit, drop(B %*% z), exact)
    list(value = at$value, pull = at$gradient, gradient = drop(crossprod(B, at$gradient)),
         hessian = if (exact) crossprod(B, at$hessian %*% B), natural = at$hessian)
  }
  lower <- replace(numeric(length(map$kept)), map$kept == last, 1e-8 * phi[[last]])
  newton_minimise(f, phi[map$kept], lower, if (!exact) crossprod(B, hessian %*% B))
}

# The interval of a share that the likelihood-ratio test does not reject.
profile_share <- function(pin, se, level) {
  zeta <- sqrt(stats::qchisq(level, 1))
  if (!isTRUE(se > 0)) se <- 0.1
  centre <- list(x = pin$value, zeta = 0, slope = 1 / se, phi = pin$phi)
  if (pin$exact && pin$value > 0 && pin$value < 1) {
    map <- share_map(pin, pin$value)
    at <- list(z = pin$phi[map$kept], pull = numeric(length(pin$phi)), natural = pin$hessian)
    centre$tangent <- share_tangent(map, at)
  }
  ends <- c(profile_end(pin, centre, -1, zeta), profile_end(pin, centre, 1, zeta))
  if (isTRUE(ends[[2L]] >= 1 - 1.0001e-7)) ends[[2L]] <- 1
  ends
}

# Bootstrap ----

# Shares (rows) of draws from the fit, and what went wrong.
bootstrap_shares <- function(fit, shares_of, nsim, seed, call) {
  kept <- wanted_columns(fit, NA, call)
  refits <- function(Y) {
    fits <- refit_responses(fit, Y)
    t <- vapply(seq_len(ncol(Y)), function(b) {
      psi <- components(fit$random, unname(fits$theta[b, ]))
      shares_of(c(psi, 1) * fits$sigma[[b]]^2)
    }, shares_of(rep(1, length(fit$theta) + 1L)))
    list(t = if (is.matrix(t)) t(t) else matrix(t), singular = fits$singular,
         converged = fits$converged)
  }
  with_seed(seed, bootstrap_draws(fit, nsim, kept, refits))$value
}
