# Degrees of freedom for tests of fixed effects, from one call of engine_moments() at the
# optimum. The variance parameters are the natural ones, phi = (sigma2 psi_c, sigma2), in
# which V = sum_c phi_c G_c + sigma2 I is linear. H^-1 = sigma2 V^-1 is what engines give,
# P is H^-1 free of X, and Q = (X'H^-1 X)^-1.

# The moments of all components and, last, of the residual. Its G is I = H - sum_c psi_c G_c,
# so that nothing of the size of the data is needed.
all_moments <- function(engine, theta, psi) {
  at <- engine_moments(engine, theta, order = 2L)
  m <- length(psi)
  size <- nrow(at$S)
  mine <- seq_len(m)
  transposed <- as.vector(t(matrix(seq_len(size^2), size)))
  trace <- c(at$trace, engine$work$n - sum(psi * at$trace))
  traces <- matrix(0, m + 1L, m + 1L)
  traces[mine, mine] <- at$traces
  traces[mine, m + 1L] <- traces[m + 1L, mine] <- at$trace - at$traces %*% psi
  traces[m + 1L, m + 1L] <- trace[[m + 1L]] - sum(psi * traces[mine, m + 1L])
  W <- matrix(at$W, size^2, m)
  W <- cbind(W, as.vector(at$S) - W %*% psi)
  WW <- array(0, c(size^2, m + 1L, m + 1L))
  WW[, mine, mine] <- at$WW
  right <- W[, mine] - matrix(matrix(at$WW, size^2 * m) %*% psi, size^2)
  WW[, mine, m + 1L] <- right
  WW[, m + 1L, mine] <- right[transposed, ]
  WW[, m + 1L, m + 1L] <- W[, m + 1L] - right[transposed, , drop = FALSE] %*% psi
  list(logdet = at$logdet, S = at$S, trace = trace, traces = traces,
       W = array(W, c(size, size, m + 1L)), WW = array(WW, c(size, size, m + 1L, m + 1L)))
}

# The elements of Psi_t, lower triangle by columns, term by term.
components <- function(random, theta) pack_products(term_factors(random, theta))

# Derivatives of -2 log-likelihood (or the REML criterion, with P for H^-1 in the traces)
# in phi, beta profiled out:
#   gradient   tr(P G_a) / s - y'P G_a P y / s^2
#   expected   tr(P G_a P G_b) / s^2
#   observed   2 y'P G_a P G_b P y / s^3 - tr(P G_a P G_b) / s^2
# with s = sigma2; `value`, of which these are derivatives; and what those of the covariance
# of beta need: Q, `half` = Q R^-T, W and WW of X in the basis of the engine.
fit_information <- function(fit) {
  s <- fit$sigma^2
  at <- all_moments(fit$engine, unname(fit$theta), components(fit$random, fit$theta))
  p <- fit$engine$work$p
  x <- seq_len(p)
  count <- length(at$trace)
  Q <- basis_unscaled(at$S)
  d <- c(-Q %*% at$S[x, p + 1L], 1)
  Wd <- matrix(apply(at$W, 3L, function(W) W %*% d), ncol = count)
  quadratic <- drop(crossprod(Wd, d))
  Wx <- Wd[x, , drop = FALSE]
  quadratics <- apply(at$WW, 3:4, function(WW) sum(d * (WW %*% d))) -
    crossprod(Wx, Q %*% Wx)
  W <- at$W[x, x, , drop = FALSE]
  WW <- at$WW[x, x, , , drop = FALSE]
  trace <- at$trace
  traces <- at$traces
  if (fit$REML) {
    QW <- matrix(apply(W, 3L, function(W) Q %*% W), p^2, count)
    WQ <- matrix(apply(W, 3L, function(W) W %*% Q), p^2, count)
    trace <- trace - apply(W, 3L, function(W) sum(Q * W))
    traces <- traces - 2 * apply(WW, 3:4, function(WW) sum(Q * WW)) + crossprod(WQ, QW)
  }
  list(s = s, value = natural_value(fit, at), gradient = trace / s - quadratic / s^2,
       expected = traces / s^2, observed = 2 * quadratics / s^3 - traces / s^2, Q = Q,
       half = Q %*% t(coefficient_map(fit$engine$work)), W = W, WW = WW)
}

# -2 log-likelihood (or the REML criterion) at theta and sigma of the fit; at: moments there.
natural_value <- function(fit, at) {
  work <- fit$engine$work
  fixed <- engine_fixed(fit$engine, unname(fit$theta), at)
  dof <- work$n - if (fit$REML) work$p else 0
  fixed$logdet + (if (fit$REML) fixed$logdet_x else 0) - work$logweights +
    dof * log(2 * pi * fit$sigma^2) + fixed$s / fit$sigma^2
}

# R^-1, from coefficients in the basis Q to those of the columns of X.
coefficient_map <- function(work) {
  if (work$p == 0L) return(matrix(0, 0L, 0L))
  backsolve(work$R, diag(work$p))[order(work$pivot), , drop = FALSE]
}

# The asymptotic covariance of phi, twice the inverse of the observed Hessian. Where a
# Psi_t is singular the estimate moves on the boundary only: Psi_t = A A' with as many
# columns of A as the rank; variances that are zero are taken as known.
phi_covariance <- function(fit, information) {
  blocks <- Map(function(factor, gradient) {
    boundary_block(tcrossprod(factor) * information$s, gradient)
  }, term_factors(fit$random, fit$theta), split_theta(fit$random, information$gradient))
  blocks <- c(blocks, list(list(jacobian = matrix(1), curvature = matrix(0))))
  jacobian <- block_diagonal(lapply(blocks, `[[`, "jacobian"))
  hessian <- crossprod(jacobian, information$observed %*% jacobian) +
    block_diagonal(lapply(blocks, `[[`, "curvature"))
  2 * jacobian %*% tcrossprod(positive_inverse(hessian), jacobian)
}

# How the elements of Psi = A A' depend on those of A, triangular up to the order of rows:
# the Jacobian, and the second derivatives weighted by the gradient.
boundary_block <- function(Psi, gradient) {
  k <- nrow(Psi)
  root <- sqrt(diag(Psi))
  scale <- replace(root, root == 0, 1)
  # the warning is that of a rank below the order
  factor <- suppressWarnings(chol(Psi / tcrossprod(scale), pivot = TRUE, tol = 1e-8))
  rank <- if (all(root == 0)) 0L else attr(factor, "rank")
  count <- length(gradient)
  A <- matrix(0, k, rank)
  pivot <- attr(factor, "pivot")
  A[pivot, ] <- t(factor[seq_len(rank), , drop = FALSE])
  A <- A * scale
  free <- matrix(FALSE, k, rank)
  free[pivot, ] <- row(free) >= col(free)
  free <- which(free, arr.ind = TRUE)
  jacobian <- apply(free, 1L, function(element) {
    moved <- matrix(0, k, k)
    moved[element[[1L]], ] <- A[, element[[2L]]]
    pack_lower(moved + t(moved))
  })
  slope <- unpack_lower(gradient)
  slope <- slope + t(slope)
  same <- outer(free[, 2L], free[, 2L], "==")
  list(jacobian = matrix(jacobian, count), curvature = slope[free[, 1L], free[, 1L]] * same)
}

# The inverse on the eigenvectors whose eigenvalues are positive, on the scale of a unit
# diagonal.
positive_inverse <- function(x) {
  scale <- sqrt(abs(diag(x)))
  scale[scale == 0] <- 1
  spectrum <- eigen(x / tcrossprod(scale), symmetric = TRUE)
  keep <- spectrum$values > 1e-10
  vectors <- spectrum$vectors[, keep, drop = FALSE] / scale
  tcrossprod(sweep(vectors, 2L, sqrt(spectrum$values[keep]), "/"))
}

# What tests of fixed effects need: `vcov` of the estimates, `base` the one that the
# degrees of freedom refer to, `covariance` that of phi, and how Var(beta) depends on phi:
# d(l'Var(beta)l)/dphi_a = h'W_a h with h = half l.
fit_ddf <- function(fit, method, call) {
  if (method == "Kenward-Roger" && !fit$REML) abort_kenward_roger(call)
  information <- fit_information(fit)
  out <- list(method = method, vcov = fit$vcov, base = fit$vcov,
              half = information$half, W = information$W)
  if (method == "Kenward-Roger") {
    out$covariance <- 2 * positive_inverse(information$expected)
    out$vcov[] <- fit$vcov + kenward_roger(information, out$covariance)
  } else {
    out$covariance <- phi_covariance(fit, information)
  }
  out
}

# The bias of Var(beta) that Kenward and Roger (1997) add:
# 2 Phi {sum_ab cov(phi_a, phi_b) (X'V^-1 G_a V^-1 G_b V^-1 X - P_a Phi P_b)} Phi with
# Phi = Var(beta) and P_a = -X'V^-1 G_a V^-1 X.
kenward_roger <- function(information, covariance) {
  Q <- information$Q
  p <- nrow(Q)
  count <- nrow(covariance)
  weighted <- matrix(matrix(information$WW, p^2) %*% as.vector(covariance), p)
  for (a in seq_len(count)) {
    mixed <- matrix(matrix(information$W, p^2) %*% covariance[, a], p)
    weighted <- weighted - information$W[, , a] %*% Q %*% mixed
  }
  weighted <- (weighted + t(weighted)) / 2
  2 / information$s * crossprod(information$half, weighted %*% information$half)
}

# d(L Var(beta) L')/dphi: q x q x (components + 1) for L of q rows.
contrast_slopes <- function(ddf, L) {
  h <- ddf$half %*% t(L)
  count <- dim(ddf$W)[[3L]]
  out <- vapply(seq_len(count), function(a) {
    crossprod(h, matrix(ddf$W[, , a], nrow(h)) %*% h)
  }, matrix(0, nrow(L), nrow(L)))
  array(out, c(nrow(L), nrow(L), count))
}

# One test for each row of L. The degrees of freedom 2 v^2 / Var(v) are those of a scaled
# chi-square variable with the mean and the variance of v = l'Var(beta)l; Kenward and
# Roger's are the same for one row.
t_tests <- function(fit, ddf, L, rhs = 0) {
  estimate <- drop(L %*% fit$coefficients)
  se <- sqrt(rowSums((L %*% ddf$vcov) * L))
  h <- ddf$half %*% t(L)
  slopes <- vapply(seq_len(dim(ddf$W)[[3L]]), function(a) {
    colSums(h * (matrix(ddf$W[, , a], nrow(h)) %*% h))
  }, numeric(nrow(L)))
  slopes <- matrix(slopes, nrow(L))
  base <- rowSums((L %*% ddf$base) * L)
  df <- 2 * base^2 / rowSums((slopes %*% ddf$covariance) * slopes)
  t <- (estimate - rhs) / se
  data.frame(Estimate = estimate, `Std. Error` = se, df = df, `t value` = t,
             `Pr(>|t|)` = 2 * stats::pt(-abs(t), df), check.names = FALSE)
}

# One test of L beta = rhs, as a row of a table. `Mean Sq` is F sigma2, with Kenward and
# Roger's F before it is scaled.
f_test <- function(fit, ddf, L, rhs = numeric(nrow(L)), call = rlang::caller_env()) {
  at <- principal_contrasts(ddf, L, rhs, call)
  q <- nrow(at$L)
  test <- if (q == 0L) {
    list(value = NA_real_, df = NA_real_, scale = 1)
  } else if (ddf$method == "Kenward-Roger") {
    kenward_roger_test(fit, ddf, at)
  } else {
    satterthwaite_test(fit, ddf, at)
  }
  statistic <- test$value * test$scale
  data.frame(`Sum Sq` = test$value * fit$sigma^2 * q, `Mean Sq` = test$value * fit$sigma^2,
             NumDF = q, DenDF = test$df, `F value` = statistic,
             `Pr(>F)` = stats::pf(statistic, q, test$df, lower.tail = FALSE),
             check.names = FALSE)
}

# L and rhs turned so that the estimates of the rows are uncorrelated; `variance` is theirs.
# Rows that are combinations of others vanish.
principal_contrasts <- function(ddf, L, rhs, call) {
  if (nrow(L) == 0L) return(list(L = L, rhs = rhs, variance = numeric()))
  spectrum <- eigen(L %*% ddf$base %*% t(L), symmetric = TRUE)
  keep <- spectrum$values > sqrt(.Machine$double.eps) * max(spectrum$values, 0)
  lost <- crossprod(spectrum$vectors[, !keep, drop = FALSE], rhs)
  if (any(abs(lost) > 1e-8 * max(abs(rhs), 0))) abort_contrast_rhs(rhs, call)
  P <- spectrum$vectors[, keep, drop = FALSE]
  list(L = crossprod(P, L), rhs = drop(crossprod(P, rhs)), variance = spectrum$values[keep])
}

# Fai and Cornelius (1996): F is the mean of the squared t of uncorrelated contrasts, and has
# the degrees of freedom whose F has the mean of theirs.
satterthwaite_test <- function(fit, ddf, at) {
  each <- t_tests(fit, ddf, at$L, at$rhs)
  list(value = mean(each$`t value`^2), df = mean_df(each$df), scale = 1)
}

mean_df <- function(df) {
  if (all(is.infinite(df))) return(Inf)
  if (diff(range(df)) < 1e-8 * max(1, df[is.finite(df)])) return(mean(df))
  if (any(df <= 2)) return(2)
  ratio <- replace(df / (df - 2), is.infinite(df), 1)
  2 * sum(ratio) / (sum(ratio) - length(df))
}

# Kenward and Roger (1997): scale and degrees of freedom from the first two moments of F.
# A numerator and a denominator that vanish together, in balanced designs, cancel.
kenward_roger_test <- function(fit, ddf, at) {
  q <- nrow(at$L)
  slopes <- contrast_slopes(ddf, at$L / sqrt(at$variance))
  flat <- matrix(slopes, q^2)
  traces <- apply(slopes, 3L, function(x) sum(diag(as.matrix(x))))
  A1 <- sum(ddf$covariance * tcrossprod(traces))
  A2 <- sum(ddf$covariance * crossprod(flat))
  B <- (A1 + 6 * A2) / (2 * q)
  g <- ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
  base <- 3 * q + 2 * (1 - g)
  top <- 1 + g / base * B
  left <- 1 - (q - g) / base * B
  right <- 1 - (q + 2 - g) / base * B
  ratio <- if (max(abs(1 - A2 / q), abs(left)) < 1e-14) 1 else (1 - A2 / q) / left
  rho <- ratio^2 * (if (abs(top) < 1e-10) 0 else top) / right / q
  df <- 4 + (q + 2) / (q * rho - 1)
  scale <- if (abs(df - 2) < 0.01) 1 else df * (1 - A2 / q) / (df - 2)
  difference <- drop(at$L %*% fit$coefficients) - at$rhs
  wald <- sum(difference * solve(at$L %*% ddf$vcov %*% t(at$L), difference))
  list(value = wald / q, df = df, scale = scale)
}

# The coefficients and their tests, for summary().
coefficient_tests <- function(fit, method, call) {
  estimate <- fit$coefficients
  if (method == "none") {
    se <- sqrt(diag(fit$vcov))
    return(cbind(Estimate = estimate, `Std. Error` = se, `t value` = estimate / se))
  }
  if (length(estimate) == 0L) {
    names <- c("Estimate", "Std. Error", "df", "t value", "Pr(>|t|)")
    return(matrix(0, 0L, 5L, dimnames = list(NULL, names)))
  }
  table <- t_tests(fit, fit_ddf(fit, method, call), diag(length(estimate)))
  rownames(table) <- names(estimate)
  as.matrix(table)
}
