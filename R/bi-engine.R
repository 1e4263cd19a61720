# How two traits are computed (core/bivariate.h): "paired" where every record has both and
# there is one random term, in the eigenbasis of its kernel, else "joint", on Var(y). Traits
# have unit residual standard deviation and kernels unit mean diagonal there. An engine is a
# list of
#   name, reason   which, and why
#   data           what the C++ functions take
#   units          what an element of psi is multiplied by, to be that of the data as given
#   constant       of the criterion: what the units, weights and bases add to it for ML, and
#                  to the part of it that REML adds
#   held           by terms and residuals: whether no two records tell the covariance; and
#   held_theta     by elements of theta
#   starts         a theta in each column
#   lift           by what (X'V^-1 X)^-1 of its moments is too large: REML is that of V and of
#                  V + X C X' for any C >= 0 alike, and the second is not singular where only
#                  X tells of it, as with a centred kernel and no residual variance. A list
#                  with `term`, times V_1 (x) I, and `own`, times I
#   basis          "paired": d, U (NULL for the identity), scale of the levels
# psi and theta are in the order of core/bivariate.h.

bivariate_engine <- function(model, REML, call) {
  paired <- length(model$random) == 1L && all(model$observed)
  lift <- if (paired && REML) kernel_lift(model) else 0
  if (lift > 0) model$random[[1L]]$kernel <- lifted_kernel(model, lift)
  single <- single_traits(model, call)
  built <- if (paired) paired_engine(model, single, lift) else joint_engine(model, REML)
  scale <- vapply(model$parts, `[[`, numeric(1), "scale")
  pairs <- c(scale[[1L]]^2, prod(scale), scale[[2L]]^2)
  built$units <- rep(pairs, length(built$unit) + 1L) / rep(c(built$unit, 1), each = 3L)
  n <- vapply(model$parts, function(part) length(part$rows), integer(1))
  p <- vapply(model$parts, function(part) length(part$kept), integer(1))
  weights <- vapply(model$parts, function(part) sum(log(model$frame$weights[part$rows])), 0)
  bases <- vapply(model$parts, function(part) sum(log(abs(diag(part$R)))), numeric(1))
  built$constant <- c(2 * sum(n * log(scale)) - sum(weights),
                      2 * sum(bases) - 2 * sum(p * log(scale)))
  built$data$values <- sum(n)
  built$held_theta <- rep(built$held, each = 3L) & rep(c(FALSE, TRUE, FALSE),
                                                       length(built$held))
  starts <- trait_starts(model, built, single)
  if (!paired) starts <- cbind(complete_start(model, built), starts)
  built$starts <- starts
  built
}

# theta from the records with both traits, which cost little to fit; NULL where they are
# few or can't be fitted alone.
complete_start <- function(model, engine) {
  both <- which(rowSums(model$observed) == 2L)
  few <- length(both) < 30L + 2L * ncol(model$fixed$X)
  if (length(model$random) > 1L || few) return(NULL)
  model$frame$frame <- model$frame$frame[both, , drop = FALSE]
  model$frame$weights <- model$frame$weights[both]
  model$Y <- model$Y[both, ]
  model$observed <- model$observed[both, ]
  model$fixed$X <- model$fixed$X[both, , drop = FALSE]
  model$random[[1L]]$factor <- used_levels(model$random[[1L]]$factor[both])
  # whatever is wrong with a part of the data is no matter of the user's
  tryCatch({
    model$parts <- lapply(1:2, function(a) trait_part(model, a, NULL))
    part <- bivariate_engine(model, TRUE, NULL)
    opt <- bivariate_optimise(part, TRUE, lmm_control(tolerance = 1e-4))
    V <- split_packed(opt$psi * part$units / engine$units, c(2L, 2L))
    unlist(lapply(V, function(packed) {
      V <- unpack_lower(packed, TRUE)
      pack_lower(t(chol(V + diag(0.01, 2L))))
    }))
  }, kinlmm_error = function(e) NULL)
}

# The fits of the single traits: variances of the terms and the residuals, one trait in a
# row, and, with one kernel, the engine of the first.
single_traits <- function(model, call) {
  engines <- list()
  variances <- matrix(0, 2L, length(model$random) + 1L)
  for (a in 1:2) {
    shared <- a == 2L && all(model$observed) && identical(engines[[1L]]$name, "rotated")
    engines[[a]] <- single_engine(model, a, if (shared) engines[[1L]], call)
    opt <- engine_optimise(engines[[a]], TRUE, lmm_control(tolerance = 1e-4))
    work <- engines[[a]]$work
    sigma2 <- engine_fixed(engines[[a]], opt$theta)$s / (work$n - work$p)
    variances[a, ] <- sigma2 * c(opt$theta^2, 1)
  }
  list(variances = variances, engine = engines[[1L]])
}

# The engine of one trait, which also checks that its variances can be told apart; `known`
# one for the same records.
single_engine <- function(model, a, known, call) {
  part <- model$parts[[a]]
  rows <- part$rows
  frame <- list(frame = model$frame$frame[rows, , drop = FALSE], y = model$Y[rows, a],
                weights = model$frame$weights[rows], offset = rep(0, length(rows)))
  fixed <- list(X = part$X)
  random <- lapply(model$random, function(term) {
    term$factor <- used_levels(term$factor[rows])
    term
  })
  if (!is.null(known)) {
    work <- engine_work(frame, fixed, call)
    known$work <- work[names(known$work)]
    return(respond_rotated(known, work, random[[1L]]))
  }
  check_random(random, length(rows), call)
  choose_engine(frame, fixed, random, call)
}

# How much of Q Q' is added to the kernel: none where covariates vary within individuals.
kernel_lift <- function(model) {
  term <- model$random[[1L]]
  if (is.null(term$kernel)) return(0)
  sums <- level_sums(model, model$parts[[1L]]$Q)
  if (ncol(sums) == 0L || max(abs(crossprod(sums) - diag(ncol(sums)))) > 1e-8) return(0)
  ids <- levels(term$factor)
  mean(diag(term$kernel)[match(ids, rownames(term$kernel))] * level_scale(model)^2)
}

# The kernel among the individuals with records, with what `lift` adds.
lifted_kernel <- function(model, lift) {
  term <- model$random[[1L]]
  ids <- levels(term$factor)
  sums <- level_sums(model, model$parts[[1L]]$Q) / level_scale(model)
  term$kernel[ids, ids] + lift * tcrossprod(sums)
}

# N^1/2 and N^-1/2 Z'W^1/2 B, as in engine_rotated().
level_scale <- function(model) {
  sqrt(as.vector(rowsum(model$frame$weights, as.integer(model$random[[1L]]$factor))))
}

level_sums <- function(model, B) {
  sums <- rowsum(B * sqrt(model$frame$weights), as.integer(model$random[[1L]]$factor))
  unname(sums) / level_scale(model)
}

# Both traits share Q. Records are reduced to individuals as in engine_rotated().
paired_engine <- function(model, single, lift) {
  term <- model$random[[1L]]
  scale <- level_scale(model)
  basis <- list(scale = scale, levels = levels(term$factor))
  if (is.null(term$kernel)) {
    basis$d <- scale^2
  } else {
    basis[c("d", "U")] <- basis_spectrum(single$engine$basis)[c("d", "U")]
  }
  Xy <- cbind(model$parts[[1L]]$Q, model$parts[[1L]]$r, model$parts[[2L]]$r)
  sums <- level_sums(model, Xy)
  q <- length(scale)
  within <- if (q == nrow(Xy)) matrix(0, ncol(Xy), ncol(Xy)) else
    crossprod(Xy) - crossprod(sums)
  unit <- mean(basis$d)
  if (!is.null(basis$U)) sums <- crossprod(basis$U, sums)
  list(name = "paired", unit = unit, basis = basis, held = c(FALSE, FALSE),
       lift = list(term = lift / unit, own = 0),
       reason = "both traits of every record, one random term: eigenbasis of the kernel",
       data = list(d = basis$d / unit, Xy = unname(sums), within = unname(within),
                   beside = nrow(Xy) - q))
}

joint_engine <- function(model, REML) {
  root <- sqrt(model$frame$weights)
  K <- lapply(unname(model$random), function(term) record_kernel(term) * tcrossprod(root))
  unit <- vapply(K, function(one) mean(diag(one)), numeric(1))
  K <- Map(`/`, K, unit)
  rows <- lapply(model$parts, `[[`, "rows")
  apart <- vapply(K, function(one) all(one[rows[[1L]], rows[[2L]]] == 0), NA)
  reason <- if (all(model$observed)) "several random terms: Var(y)" else
    "records with one trait: Var(y) of what is observed"
  Q <- block_diagonal(lapply(model$parts, `[[`, "Q"))
  list(name = "joint", unit = unit, reason = reason, lift = list(term = 0, own = REML + 0),
       held = c(apart, !any(rowSums(model$observed) == 2L)),
       data = list(K = K, rows = rows, lift = REML + 0,
                   Xy = unname(cbind(Q, unlist(lapply(model$parts, `[[`, "r"))))))
}

# Z K Z' between records.
record_kernel <- function(term) {
  if (is.null(term$kernel)) return(outer(as.integer(term$factor), as.integer(term$factor),
                                         `==`) + 0)
  ids <- as.character(term$factor)
  unname(term$kernel[ids, ids])
}

# From the single traits: correlations of the random effects of 0, 0.8 and -0.8, those of
# the residuals as they were before any effect.
trait_starts <- function(model, engine, single) {
  residual <- residual_correlation(model)
  variances <- rbind(t(single$variances)) / rep(vapply(model$parts, `[[`, 0, "scale")^2,
                                                each = ncol(single$variances))
  variances <- variances * c(engine$unit, 1)
  # at a variance of zero the gradient in its root is zero too
  sd <- sqrt(pmax(variances, 0.01))
  terms <- nrow(sd) - 1L
  vapply(c(0, 0.8, -0.8), function(r) {
    r <- c(rep(r, terms), residual)
    r[engine$held] <- 0
    as.vector(rbind(sd[, 1L], r * sd[, 2L], sqrt(1 - r^2) * sd[, 2L]))
  }, numeric(3L * (terms + 1L)))
}

# Within +-0.9.
residual_correlation <- function(model) {
  r <- vapply(model$parts, function(part) {
    replace(rep(NA_real_, nrow(model$Y)), part$rows, part$r)
  }, numeric(nrow(model$Y)))
  both <- stats::complete.cases(r)
  if (sum(both) < 3L) return(0)
  r <- r[both, ]
  max(-0.9, min(0.9, sum(r[, 1L] * r[, 2L]) / sqrt(sum(r[, 1L]^2) * sum(r[, 2L]^2))))
}

# The criterion at theta with its derivatives in psi, all of the engine's units.
bivariate_at <- function(engine, theta, REML, order = 0L) {
  check_core(cpp_bivariate_evaluate(engine$data, pack_pairs(theta), REML, order))
}

# The optimum over theta = M phi; see joint_optimise() of the core. M is the identity
# unless given; `positive`: columns whose phi must not be negative.
bivariate_optimise <- function(engine, REML, control, M = NULL, starts = engine$starts,
                               positive = integer()) {
  if (is.null(M)) M <- diag(nrow(starts))
  free <- colSums(M[engine$held_theta, , drop = FALSE] != 0) == 0
  positive <- which(which(free) %in% positive)
  M <- M[, free, drop = FALSE]
  if (engine$name == "joint" && engine$data$values > 800 && ncol(starts) > 1L) {
    value <- apply(starts, 2L, function(theta) bivariate_at(engine, theta, REML)$value)
    starts <- starts[, which.min(value), drop = FALSE]
  }
  opt <- check_core(cpp_bivariate_optimise(engine$data, M, REML, control$tolerance,
                                           control$max_iterations, positive, starts))
  # rounding may leave less than was asked for
  opt$converged <- opt$converged || max(abs(opt$gradient)) < 1e-6
  opt
}

# Predicted effects by term: all ids of its kernel, or its levels, x 2.
trait_modes <- function(fit, theta, fixed) {
  v <- trait_solve(fit, theta, fixed)
  Map(function(term, V) {
    sums <- rowsum(v, as.integer(term$factor))
    rownames(sums) <- levels(term$factor)
    modes <- if (is.null(term$kernel)) sums %*% V else
      term$kernel[, levels(term$factor), drop = FALSE] %*% sums %*% V
    dimnames(modes) <- list(if (is.null(term$kernel)) levels(term$factor) else
      rownames(term$kernel), fit$traits)
    modes
  }, fit$random, fit$covariances[names(fit$random)])
}

# W^1/2 V^-1 (y - X beta) by record and trait, zero where it is missing, on the scale of
# the data.
trait_solve <- function(fit, theta, fixed) {
  engine <- fit$engine
  data <- engine$data
  scale <- vapply(fit$parts, `[[`, numeric(1), "scale")
  root <- sqrt(fit$weights)
  if (engine$name == "joint") {
    L <- t(chol(joint_covariance(engine, theta)))
    e <- data$Xy %*% c(-fixed$inside, 1)
    solved <- backsolve(t(L), forwardsolve(L, e))
    out <- matrix(0, nrow(fit$Y), 2L)
    out[cbind(unlist(data$rows), rep(1:2, lengths(data$rows)))] <- solved
    return(out * root / rep(scale, each = nrow(out)))
  }
  # what of the residuals is of the individuals: Z' of the rest is zero
  p <- ncol(data$Xy) - 2L
  beta <- matrix(fixed$inside, p, 2L)
  e <- data$Xy[, p + 1:2] - data$Xy[, seq_len(p), drop = FALSE] %*% beta
  w <- paired_inverse(engine, theta)
  v <- cbind(w$a * e[, 1L] + w$b * e[, 2L], w$b * e[, 1L] + w$c * e[, 2L])
  if (!is.null(engine$basis$U)) v <- engine$basis$U %*% v
  level <- as.integer(fit$random[[1L]]$factor)
  sums <- v * engine$basis$scale
  # records of an individual share its sum by weight
  share <- fit$weights / engine$basis$scale[level]^2
  sums[level, , drop = FALSE] * share / rep(scale, each = length(level))
}

# The elements 11, 21, 22 of (d V_1 + V_e)^-1.
paired_inverse <- function(engine, theta) {
  psi <- pack_pairs(theta)
  d <- engine$data$d
  a <- d * psi[[1L]] + psi[[4L]]
  b <- d * psi[[2L]] + psi[[5L]]
  c <- d * psi[[3L]] + psi[[6L]]
  det <- a * c - b^2
  list(a = c / det, b = -b / det, c = a / det)
}

# Var(y) of the observed values, lifted.
joint_covariance <- function(engine, theta) {
  psi <- split_packed(pack_pairs(theta), rep(2L, length(theta) / 3L))
  rows <- engine$data$rows
  kernels <- c(engine$data$K, list(NULL))
  block <- function(a, b) {
    Reduce(`+`, Map(function(K, packed) {
      K <- if (is.null(K)) outer(rows[[a]], rows[[b]], `==`) else
        K[rows[[a]], rows[[b]], drop = FALSE]
      packed[[a + b - 1L]] * K
    }, kernels, psi))
  }
  X <- engine$data$Xy[, -ncol(engine$data$Xy), drop = FALSE]
  rbind(cbind(block(1L, 1L), block(1L, 2L)), cbind(block(2L, 1L), block(2L, 2L))) +
    engine$data$lift * tcrossprod(X)
}
