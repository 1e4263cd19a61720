# Short dense implementations of the model, by its textbook formulas:
# y ~ N(X b, sigma2 H), H = W^-1 + Z Psi Z' (or tau Z K Z').

dense_criterion <- function(y, X, H, REML) {
  n <- length(y)
  p <- ncol(X)
  Hi <- solve(H)
  XtHX <- t(X) %*% Hi %*% X
  P <- Hi - Hi %*% X %*% solve(XtHX) %*% t(X) %*% Hi
  s <- drop(t(y) %*% P %*% y)
  dof <- if (REML) n - p else n
  logdet <- function(A) as.numeric(determinant(A)$modulus)
  logdet(H) + (if (REML) logdet(XtHX) else 0) + dof * (1 + log(2 * pi * s / dof))
}

# Everything about the effects u ~ N(0, sigma2 D) at H = W^-1 + Z D Z'.
dense_effects <- function(y, X, Z, D, W, REML) {
  H <- solve(W) + Z %*% D %*% t(Z)
  Hi <- solve(H)
  Q <- solve(t(X) %*% Hi %*% X)
  P <- Hi - Hi %*% X %*% Q %*% t(X) %*% Hi
  sigma2 <- drop(t(y) %*% P %*% y) / (length(y) - if (REML) ncol(X) else 0)
  list(beta = drop(Q %*% t(X) %*% Hi %*% y), vcov = sigma2 * Q, sigma = sqrt(sigma2),
       mode = drop(D %*% t(Z) %*% P %*% y),
       conditional = sigma2 * diag(D - D %*% t(Z) %*% Hi %*% Z %*% D),
       prediction = sigma2 * diag(D - D %*% t(Z) %*% P %*% Z %*% D))
}

# engine_moments(order = 2) by its definition, n x n. `X` and `y` are the columns [Q r] of
# the engine, `G` the derivatives of H.
dense_moments <- function(fit, theta) {
  A <- dense_basis(fit)
  at <- dense_covariance(fit, theta)
  Hi <- solve(at$H)
  HiA <- Hi %*% A
  HiG <- lapply(at$G, function(G) Hi %*% G)
  count <- length(at$G)
  size <- ncol(A)
  W <- vapply(at$G, function(G) t(HiA) %*% G %*% HiA, matrix(0, size, size))
  WW <- array(0, c(size, size, count, count))
  traces <- matrix(0, count, count)
  for (c in seq_len(count)) for (d in seq_len(count)) {
    traces[c, d] <- sum(HiG[[c]] * t(HiG[[d]]))
    WW[, , c, d] <- t(HiA) %*% at$G[[c]] %*% Hi %*% at$G[[d]] %*% HiA
  }
  list(logdet = as.numeric(determinant(at$H)$modulus), S = unname(t(A) %*% HiA),
       trace = vapply(HiG, function(x) sum(diag(x)), 0),
       W = array(W, c(size, size, count)), traces = traces, WW = WW)
}

dense_basis <- function(fit) {
  work <- fit$engine$work
  root <- sqrt(fit$weights)
  X <- fit$fixed$X * root
  Q <- X[, work$pivot, drop = FALSE] %*% solve(work$R)
  cbind(Q, root * (fit$y - fit$offset) - X %*% work$beta)
}

# H and its derivatives in the components of every Psi_t, lower triangle by columns.
dense_covariance <- function(fit, theta) {
  root <- sqrt(fit$weights)
  H <- diag(length(root))
  G <- list()
  factors <- term_factors(fit$random, theta)
  for (label in names(fit$random)) {
    term <- fit$random[[label]]
    columns <- if (is.null(term$Z)) matrix(1, length(root), 1L) else as.matrix(term$Z)
    indicator <- stats::model.matrix(~ 0 + f, data.frame(f = term$factor))
    ids <- levels(term$factor)
    K <- if (is.null(term$kernel)) diag(length(ids)) else as.matrix(term$kernel[ids, ids])
    Z <- lapply(seq_len(ncol(columns)), function(k) root * columns[, k] * indicator)
    Psi <- tcrossprod(factors[[label]])
    for (j in seq_along(Z)) for (i in j:length(Z)) {
      one <- Z[[i]] %*% K %*% t(Z[[j]])
      G <- c(G, list(if (i == j) one else one + t(one)))
      H <- H + Psi[i, j] * G[[length(G)]]
    }
  }
  list(H = H, G = G)
}

# The standard error of x'b_hat + z'u_hat as a prediction of x'b + z'u, for rows of X, and
# by the labels of some terms `Z` (n x k) and `level`, names of levels.
dense_prediction_error <- function(fit, X, rows) {
  root <- sqrt(fit$weights)
  Hi <- solve(dense_covariance(fit, fit$theta)$H)
  HiX <- Hi %*% (fit$fixed$X * root)
  factors <- term_factors(fit$random, fit$theta)
  prior <- numeric(nrow(X))
  C <- matrix(0, nrow(X), length(root))
  for (label in names(rows)) {
    row <- rows[[label]]
    term <- fit$random[[label]]
    Psi <- tcrossprod(factors[[label]])
    at <- as.character(term$factor)
    K <- 1 * outer(row$level, at, `==`)
    own <- rep(1, nrow(X))
    if (!is.null(term$kernel)) {
      known <- row$level %in% rownames(term$kernel)
      K[known, ] <- term$kernel[row$level[known], at]
      own[] <- mean(diag(term$kernel))
      own[known] <- diag(term$kernel)[row$level[known]]
    }
    prior <- prior + own * rowSums((row$Z %*% Psi) * row$Z)
    C <- C + row$Z %*% Psi %*% t(term_design(term) * root) * K
  }
  through <- X - C %*% HiX
  Q <- if (ncol(X) > 0L) solve(t(fit$fixed$X * root) %*% HiX) else matrix(0, 0, 0)
  variance <- prior - rowSums((C %*% Hi) * C) + rowSums((through %*% Q) * through)
  unname(fit$sigma * sqrt(variance))
}

# The fit of lmerTest at our optimum: its own may be 1e-4 away.
lmer_at <- function(fit, data, contrasts = NULL) {
  parsed <- lme4::lFormula(fit$formula, data, REML = fit$REML, contrasts = contrasts)
  criterion <- do.call(lme4::mkLmerDevfun, parsed)
  theta <- unname(fit$theta)
  groups <- names(parsed$reTrms$cnms)
  if (anyDuplicated(groups) == 0L && setequal(groups, names(fit$random))) {
    theta <- unlist(split_theta(fit$random, theta)[
      match(groups, names(fit$random))], use.names = FALSE)
  }
  optimum <- list(par = theta, fval = criterion(theta), feval = 1L, conv = 0L,
                  message = NULL)
  call <- as.call(list(quote(lme4::lmer), formula = fit$formula, data = data,
                       REML = fit$REML, contrasts = contrasts))
  model <- lme4::mkMerMod(environment(criterion), optimum, parsed$reTrms, parsed$fr, call)
  suppressWarnings(suppressMessages(lmerTest::as_lmerModLmerTest(model)))
}

# Central differences.
numeric_gradient <- function(f, x, step = 1e-5) {
  vapply(seq_along(x), function(i) {
    h <- replace(numeric(length(x)), i, step * max(1, abs(x[[i]])))
    (f(x + h) - f(x - h)) / (2 * sum(h))
  }, numeric(1))
}

# A positive definite relationship matrix with ids, from q individuals and m markers.
toy_kinship <- function(q, m = 3 * q, prefix = "i") {
  G <- matrix(stats::rbinom(q * m, 2, rep(stats::runif(m, 0.1, 0.5), each = q)), q)
  Z <- scale(G, scale = FALSE)
  K <- tcrossprod(Z) / m
  dimnames(K) <- rep(list(paste0(prefix, seq_len(q))), 2)
  K
}

# Phenotypes with a genetic effect for the ids of K; `records` per id, may be 0.
toy_pheno <- function(K, records = rep(1L, nrow(K)), h2 = 0.5) {
  e <- eigen(K, symmetric = TRUE)
  g <- drop(e$vectors %*% (sqrt(pmax(e$values, 0)) * stats::rnorm(nrow(K))))
  g <- g / stats::sd(g) * sqrt(h2)
  id <- rep(rownames(K), records)
  x <- stats::rnorm(length(id))
  data.frame(id = id, x = x, w = stats::runif(length(id), 0.5, 2),
             y = 1 + 0.3 * x + g[match(id, rownames(K))] +
               stats::rnorm(length(id), sd = sqrt(1 - h2)))
}

height_example <- function() {
  withr::with_seed(42, {
    X <- scale(matrix(sample(0:2, 15, replace = TRUE), 5, 3), scale = TRUE)
    intercepts <- stats::rnorm(5, mean = 0, sd = 1)
    data <- data.frame(individual = factor(rep(1:5, each = 5)), X)
    data$height <- unlist(lapply(intercepts, function(b) b + stats::rnorm(5, 0, 1)))
    data
  })
}

# The errors of kinlmm carry a class, fields and a text.
expect_kinlmm_error <- function(expr, class, text = NULL, fields = list()) {
  condition <- expect_error(expr, class = paste0("kinlmm_error_", class))
  expect_s3_class(condition, "kinlmm_error")
  message <- cli::ansi_strip(conditionMessage(condition))
  message <- gsub("\\s+", " ", message)
  if (!is.null(text)) for (part in text) expect_match(message, part, fixed = TRUE)
  for (name in names(fields)) expect_equal(condition[[name]], fields[[name]])
  invisible(condition)
}

# A factor g of 12 levels (i its codes), numeric x, z, w, o, a factor f, text h; n = 120.
mixed_example <- function() {
  withr::with_seed(1, {
    i <- rep(1:12, 10)
    d <- data.frame(g = factor(i), x = stats::rnorm(120), z = stats::rnorm(120),
                    f = factor(rep(c("a", "b", "c"), 40)), h = rep(c("u", "v"), 60),
                    w = stats::runif(120, 0.5, 2), o = stats::rnorm(120), i = i)
    d$y <- 1 + d$x + stats::rnorm(12)[i] + stats::rnorm(12)[i] * d$z + stats::rnorm(120)
    d
  })
}

# Derivatives of the REML criterion in theta, from the dense moments.
theta_gradient <- function(fit, theta) {
  at <- dense_moments(fit, theta)
  p <- ncol(fit$fixed$X)
  inner <- seq_len(p)
  Q <- solve(at$S[inner, inner])
  a <- c(-Q %*% at$S[inner, p + 1L], 1)
  s <- drop(a %*% at$S %*% a)
  along <- function(f) vapply(seq_along(at$trace), function(c) f(at$W[, , c]), 0)
  in_psi <- at$trace - along(function(W) sum(Q * W[inner, inner])) -
    (nrow(fit$fixed$X) - p) * along(function(W) drop(a %*% W %*% a)) / s
  # dPsi_ab / dT_rc = [a = r] T_bc + [b = r] T_ac
  parts <- Map(function(T, g) {
    G <- unpack_lower(g, TRUE)
    pack_lower((G + diag(diag(G), nrow(G))) %*% T)
  }, term_factors(fit$random, theta), split_theta(fit$random, in_psi))
  unlist(parts, use.names = FALSE)
}

# A basis of the null space of X, in columns, and its Moore-Penrose inverse.
null_basis <- function(X) {
  parts <- svd(X, nv = ncol(X))
  parts$v[, sum(parts$d > 1e-9) + seq_len(ncol(X) - sum(parts$d > 1e-9)), drop = FALSE]
}

pseudo_inverse <- function(X) {
  parts <- svd(X)
  at <- parts$d > 1e-9
  parts$v[, at] %*% (t(parts$u[, at]) / parts$d[at])
}
