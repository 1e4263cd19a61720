K <- withr::with_seed(4, toy_kinship(25))
K2 <- withr::with_seed(5, toy_kinship(25))

# ids of K with 0 to 5 records
example <- withr::with_seed(6, {
  data <- toy_pheno(K, rep(c(0L, 1L, 2L, 5L, 3L), 5))
  data$h <- factor(sample(6, nrow(data), TRUE))
  data$far <- 1e6 + data$x
  data$y <- data$y + stats::rnorm(6)[data$h] + stats::rnorm(25)[factor(data$id)] * data$x
  data
})

formulas <- list(
  y ~ x + kin(1 | id, K) + (1 | id),
  y ~ x + kin(1 | id, K) + kin(1 | id, K2) + (1 | h),
  y ~ x + kin(1 + x | id, K) + (1 | id) + (1 | h),
  y ~ x + kin(1 + x | id, K),
  y ~ x + kin(0 + x | id, K) + (1 + x | h) + (1 | id),
  y ~ 1 + kin(1 | id, K) + (0 + w | id) + (1 | id)
)

# The parts of lmmfit() up to the engine.
dense_model <- function(formula, data, weighted = FALSE) {
  environment(formula) <- environment()
  call <- if (weighted) quote(lmmfit(weights = w)) else quote(lmmfit())
  parts <- model_formula(formula, data, NULL)
  frame <- model_frame(parts, call, data, environment(), NULL)
  fixed <- model_fixed(parts, frame$frame, NULL, NULL)
  kernel <- function(expr) get(deparse1(expr))
  random <- label_terms(model_random(parts, frame$frame, NULL, kernel, NULL))
  list(y = frame$y, X = fixed$X, W = diag(frame$weights), random = random,
       engine = engine_dense(engine_work(frame, fixed, NULL), random, NULL))
}

engine_of <- function(model) {
  frame <- list(y = model$y, weights = diag(model$W), offset = 0)
  engine_dense(engine_work(frame, list(X = model$X), NULL), model$random, NULL)
}

# Z and D of all terms by their definitions, levels of kernels all their ids.
dense_design <- function(model, theta) {
  factors <- term_factors(model$random, theta)
  parts <- Map(function(term, T) {
    ids <- if (is.null(term$kernel)) levels(term$factor) else rownames(term$kernel)
    among <- if (is.null(term$kernel)) diag(length(ids)) else term$kernel
    J <- 1 * outer(as.character(term$factor), ids, "==")
    Z <- term_design(term)
    columns <- lapply(seq_len(ncol(Z)), function(a) J * Z[, a])
    list(Z = do.call(cbind, columns), D = kronecker(tcrossprod(T), among))
  }, model$random, factors)
  list(Z = do.call(cbind, lapply(parts, `[[`, "Z")),
       D = block_diagonal(lapply(parts, `[[`, "D")))
}

dense_by_hand <- function(model, theta, REML) {
  at <- dense_design(model, theta)
  dense_criterion(model$y, model$X, solve(model$W) + at$Z %*% at$D %*% t(at$Z), REML)
}

each_model <- function(code) {
  for (formula in formulas) {
    for (weighted in c(FALSE, TRUE)) code(dense_model(formula, example, weighted))
  }
}

test_that("the criterion is the textbook's, reduced or on the records", {
  each_model(function(model) {
    theta <- seq(0.3, 1.2, length.out = n_theta(model$engine))
    for (REML in c(TRUE, FALSE)) {
      expect_equal(engine_criterion(model$engine, theta, REML),
                   dense_by_hand(model, theta, REML), tolerance = 1e-11)
    }
  })
  one_record <- example[!duplicated(example$id), ]
  model <- dense_model(y ~ x + kin(1 | id, K) + (1 | h), one_record)
  expect_equal(nrow(model$engine$data$Xy), nrow(one_record))
  expect_equal(engine_criterion(model$engine, c(0.5, 2), TRUE),
               dense_by_hand(model, c(0.5, 2), TRUE), tolerance = 1e-11)
})

test_that("moments are those of the components in the units of the user", {
  each_model(function(model) {
    engine <- model$engine
    theta <- seq(0.3, 1.2, length.out = n_theta(engine))
    psi <- unlist(lapply(term_factors(model$random, theta), function(factor) {
      pack_lower(tcrossprod(factor))
    }))
    at_psi <- function(psi, what) {
      theta <- unlist(lapply(split_packed(psi, term_sizes(engine)), function(part) {
        pack_lower(t(chol(unpack_lower(part, symmetric = TRUE))))
      }))
      c(engine_moments(engine, theta, order = 1L)[[what]])
    }
    moments <- engine_moments(engine, theta, order = 2L)
    step <- 1e-5
    for (c in seq_along(psi)) {
      h <- replace(numeric(length(psi)), c, step)
      slope <- function(what) (at_psi(psi + h, what) - at_psi(psi - h, what)) / (2 * step)
      expect_equal(moments$trace[[c]], slope("logdet"), tolerance = 1e-6)
      expect_equal(c(moments$W[, , c]), -slope("S"), tolerance = 1e-6)
      expect_equal(moments$traces[, c], -slope("trace"), tolerance = 1e-5)
      WW <- moments$WW[, , , c, drop = FALSE] +
        aperm(moments$WW[, , , c, drop = FALSE], c(2L, 1L, 3L, 4L))
      expect_equal(c(WW), -slope("W"), tolerance = 1e-5)
    }
  })
})

test_that("the optimum is that of a search on the textbook's criterion", {
  each_model(function(model) {
    for (REML in c(TRUE, FALSE)) {
      fit <- engine_optimise(model$engine, REML, lmm_control())
      expect_true(fit$converged)
      best <- engine_criterion(model$engine, fit$theta, REML)
      by_hand <- function(theta) dense_by_hand(model, theta, REML)
      start <- replace(fit$theta, fit$theta == 0, 0.05)
      searched <- stats::optim(start, by_hand, method = "BFGS",
                               control = list(reltol = 1e-12, maxit = 100))
      expect_lt(best - searched$value, 1e-6)
      expect_equal(fit$gradient, numeric_gradient(by_hand, fit$theta), tolerance = 1e-5)
      expect_lt(max(abs(fit$gradient)), 1e-5)
    }
  })
})

test_that("effects and their variances are the dense formulas', for all ids", {
  each_model(function(model) {
    theta <- seq(0.4, 1.1, length.out = n_theta(model$engine))
    at <- dense_design(model, theta)
    by_hand <- dense_effects(model$y, model$X, at$Z, at$D, model$W, TRUE)
    modes <- engine_modes(model$engine, theta, model$random)
    expect_named(modes, names(model$random))
    expect_equal(unlist(lapply(modes, c), use.names = FALSE), by_hand$mode,
                 tolerance = 1e-8)
    kernel <- Filter(function(term) !is.null(term$kernel), model$random)[[1L]]
    expect_equal(rownames(modes[[1L]]), rownames(kernel$kernel))
    expect_equal(colnames(modes[[1L]]), kernel$columns)
    variances <- engine_variances(model$engine, theta, by_hand$sigma, model$random)
    sizes <- lapply(modes, length)
    first <- cumsum(c(0, unlist(sizes)))
    for (label in names(variances)) {
      mine <- variances[[label]]
      expect_equal(dimnames(mine$prediction)[[3L]], rownames(modes[[label]]))
      t <- match(label, names(modes))
      k <- ncol(modes[[label]])
      for (what in c("conditional", "prediction")) {
        diagonal <- vapply(seq_len(k), function(a) mine[[what]][a, a, ],
                           numeric(nrow(modes[[label]])))
        expect_equal(c(diagonal), by_hand[[what]][first[[t]] + seq_along(diagonal)],
                     tolerance = 1e-8)
      }
    }
  })
})

test_that("intercepts and slopes of one id have their covariance", {
  model <- dense_model(y ~ x + kin(1 + x | id, K), example)
  theta <- c(1, 0.4, 0.7)
  at <- dense_design(model, theta)
  H <- diag(nrow(example)) + at$Z %*% at$D %*% t(at$Z)
  Hi <- solve(H)
  P <- Hi - Hi %*% model$X %*% solve(t(model$X) %*% Hi %*% model$X, t(model$X) %*% Hi)
  DZ <- at$D %*% t(at$Z)
  conditional <- at$D - DZ %*% Hi %*% t(DZ)
  prediction <- at$D - DZ %*% P %*% t(DZ)
  variances <- engine_variances(model$engine, theta, 2, model$random)[[1L]]
  pairs <- cbind(1:25, 26:50)
  expect_equal(unname(variances$conditional[1, 2, ]), 4 * conditional[pairs],
               tolerance = 1e-9)
  expect_equal(unname(variances$prediction[2, 1, ]), 4 * prediction[pairs],
               tolerance = 1e-9)
})

test_that("a covariate far from zero and the scale of a kernel do no harm", {
  near <- dense_model(y ~ x + kin(1 + x | id, K) + (1 | h), example)
  fit <- engine_optimise(near$engine, TRUE, lmm_control())
  best <- engine_criterion(near$engine, fit$theta, TRUE)
  far <- dense_model(y ~ x + kin(1 + far | id, K) + (1 | h), example)
  moved <- engine_optimise(far$engine, TRUE, lmm_control())
  expect_equal(engine_criterion(far$engine, moved$theta, TRUE), best, tolerance = 1e-9)
  scaled <- near
  scaled$random[[1L]]$kernel <- 1e8 * K
  engine <- engine_of(scaled)
  again <- engine_optimise(engine, TRUE, lmm_control())
  expect_equal(again$theta * c(1e4, 1e4, 1e4, 1), fit$theta, tolerance = 1e-5)
})

test_that("another basis of the fixed effects changes nothing", {
  model <- dense_model(formulas[[2L]], example)
  M <- rbind(cbind(matrix(c(2, 1, 0.5, 3), 2), c(0.3, -1)), c(0, 0, 1))
  theta <- c(0.5, 1, 0.7)
  expect_equal(engine_moments(engine_recombine(model$engine, M), theta)$S,
               t(M) %*% engine_moments(model$engine, theta)$S %*% M, tolerance = 1e-11)
})

test_that("what can't be told apart is refused by name", {
  one_record <- example[!duplicated(example$id), ]
  identity <- diag(2, 25)
  dimnames(identity) <- dimnames(K)
  model <- dense_model(y ~ x + kin(1 | id, K) + (1 | h), one_record)
  model$random[[1L]]$kernel <- identity
  expect_kinlmm_error(engine_of(model), "unidentified", "id", list(group = "id"))
  twice <- dense_model(y ~ x + kin(1 | id, K) + (1 | h), example)
  twice$random <- label_terms(twice$random[c(1L, 1L, 2L)])
  expect_kinlmm_error(engine_of(twice), "unidentified", "id", list(group = "id"))
  negative <- K
  pair <- rownames(K) %in% c("i2", "i3")
  negative[pair, pair] <- c(1, 3, 3, 1)
  twice$random[[2L]]$kernel <- negative
  expect_kinlmm_error(engine_of(twice), "kinship_psd", "1 eigenvalue is",
                      list(group = "id"))
})

test_that("without fixed effects", {
  model <- dense_model(y ~ 0 + kin(1 | id, K) + (1 | h), example)
  theta <- c(0.5, 1)
  at <- dense_design(model, theta)
  H <- diag(nrow(example)) + at$Z %*% at$D %*% t(at$Z)
  s <- drop(model$y %*% solve(H, model$y))
  expect_equal(engine_criterion(model$engine, theta, TRUE),
               as.numeric(determinant(H)$modulus) + 55 * (1 + log(2 * pi * s / 55)),
               tolerance = 1e-11)
  expect_equal(engine_modes(model$engine, theta, model$random)[[2L]][, 1L],
               drop(at$D %*% t(at$Z) %*% solve(H, model$y))[26:31], tolerance = 1e-9,
               ignore_attr = TRUE)
  expect_true(engine_optimise(model$engine, TRUE, lmm_control())$converged)
})

test_that("a singular kernel is as good as any other", {
  low <- tcrossprod(withr::with_seed(7, matrix(stats::rnorm(75), 25)))
  dimnames(low) <- dimnames(K)
  model <- dense_model(y ~ x + kin(1 | id, K) + (1 | h), example)
  model$random[[1L]]$kernel <- low
  model$engine <- engine_of(model)
  expect_equal(engine_criterion(model$engine, c(2, 1), TRUE),
               dense_by_hand(model, c(2, 1), TRUE), tolerance = 1e-11)
})

test_that("a fit of two kernels beside an i.i.d. term is the dense reference's", {
  data <- example
  fit <- suppressMessages(
    lmmfit(y ~ x + kin(1 | id, K) + kin(1 | id, K2) + (1 | id), data, weights = w))
  expect_equal(fit$engine$name, "dense")
  model <- dense_model(formula(fit), data, weighted = TRUE)
  by_hand <- function(theta) dense_by_hand(model, theta, TRUE)
  starts <- list(c(1, 1, 1), c(0.1, 1, 1), c(1, 0.1, 0.1))
  best <- min(vapply(starts, function(start) {
    stats::optim(start, by_hand, control = list(reltol = 1e-12, maxit = 2000))$value
  }, numeric(1)))
  expect_equal(deviance(fit), best, tolerance = 1e-9)
  expect_equal(deviance(fit), by_hand(unname(fit$theta)), tolerance = 1e-11)
  at <- dense_design(model, unname(fit$theta))
  reference <- dense_effects(model$y, model$X, at$Z, at$D, model$W, TRUE)
  expect_equal(fixef(fit), reference$beta, tolerance = 1e-8, ignore_attr = TRUE)
  expect_equal(vcov(fit), reference$vcov, tolerance = 1e-8, ignore_attr = TRUE)
  predicted <- blup(fit)
  expect_equal(predicted$value, reference$mode, tolerance = 1e-8, ignore_attr = TRUE)
  expect_equal(predicted$pev, reference$prediction, tolerance = 1e-8, ignore_attr = TRUE)
})
