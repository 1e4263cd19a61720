K <- withr::with_seed(4, toy_kinship(30))

dense_kernel <- function(fit, data, theta) {
  Z <- 1 * outer(data$id, rownames(K), "==")
  list(X = model.matrix(fit), Z = Z, D = theta^2 * K, W = diag(weights(fit)))
}

cases <- withr::with_seed(5, list(
  single = toy_pheno(K),
  unphenotyped = toy_pheno(K, rep(c(1L, 0L, 1L), 10)),
  repeated = toy_pheno(K, rep(c(0L, 1L, 2L, 5L, 3L), 6))
))

test_that("criterion, effects and variances are the dense formulas'", {
  for (data in cases) {
    for (weighted in c(FALSE, TRUE)) {
      for (REML in c(TRUE, FALSE)) {
        data$weight <- if (weighted) data$w else 1
        fit <- suppressMessages(lmmfit(y ~ x + (1 | id), data, kinship = list(id = K),
                                       weights = weight, REML = REML))
        for (theta in c(0, 0.3, 1, 3)) {
          at <- dense_kernel(fit, data, theta)
          H <- solve(at$W) + at$Z %*% at$D %*% t(at$Z)
          expect_equal(engine_criterion(fit$engine, theta, REML),
                       dense_criterion(data$y, at$X, H, REML), tolerance = 1e-10)
        }
        at <- dense_kernel(fit, data, unname(fit$theta))
        by_hand <- dense_effects(data$y, at$X, at$Z, at$D, at$W, REML)
        expect_equal(fixef(fit), by_hand$beta, tolerance = 1e-8, ignore_attr = TRUE)
        expect_equal(sigma(fit), by_hand$sigma, tolerance = 1e-7)
        predictions <- blup(fit)
        expect_equal(predictions$id, rownames(K))
        expect_equal(predictions$value, by_hand$mode, tolerance = 1e-6,
                     ignore_attr = TRUE)
        expect_equal(predictions$pev, by_hand$prediction, tolerance = 1e-6,
                     ignore_attr = TRUE)
        with_records <- ranef(fit)$id
        expect_equal(as.vector(attr(with_records, "postVar")),
                     by_hand$conditional[match(rownames(with_records), rownames(K))],
                     tolerance = 1e-6, ignore_attr = TRUE)
      }
    }
  }
})

test_that("derivatives in the variance ratio are those of central differences", {
  fit <- lmmfit(y ~ x + (1 | id), cases$repeated, kinship = list(id = K))
  data <- fit$engine$data
  for (REML in c(TRUE, FALSE)) {
    for (centred in c(TRUE, FALSE)) {
      value <- function(tau, what) cpp_rotated_evaluate(data, tau, REML, centred)[[what]]
      for (tau in c(0.05, 1, 20)) {
        expect_equal(value(tau, "first"),
                     numeric_gradient(function(t) value(t, "objective"), tau),
                     tolerance = 1e-6)
        expect_equal(value(tau, "second"),
                     numeric_gradient(function(t) value(t, "first"), tau),
                     tolerance = 1e-6)
      }
    }
  }
})

test_that("the basis is tridiagonal and leads to the spectrum", {
  scale <- seq(0.5, 2, length.out = 30)
  basis <- kernel_basis(K, scale, "id", NULL)
  S <- K * tcrossprod(scale)
  T <- diag(basis$d)
  T[cbind(1:29, 2:30)] <- T[cbind(2:30, 1:29)] <- basis$beside
  expect_equal(from_basis(basis, T), unname(S) %*% from_basis(basis, diag(30)),
               tolerance = 1e-12)
  expect_equal(to_basis(basis, from_basis(basis, T)), T, tolerance = 1e-12)
  expect_equal(quadratic(basis, scale), drop(scale %*% T %*% scale), tolerance = 1e-12)
  spectrum <- basis_spectrum(basis)
  expect_equal(spectrum$d, rev(eigen(S)$values), tolerance = 1e-12)
  expect_equal(spectrum$U %*% (spectrum$d * t(spectrum$U)), unname(S), tolerance = 1e-12)
  expect_identical(basis_spectrum(basis), spectrum)
})

test_that("a kernel negative by more than rounding has its eigenvalues taken as zero", {
  e <- eigen(K, symmetric = TRUE)
  by <- function(d) {
    out <- e$vectors %*% (d * t(e$vectors))
    dimnames(out) <- dimnames(K)
    (out + t(out)) / 2
  }
  negative <- by(replace(e$values, 30, -5e-9 * e$values[[1]]))
  zero <- by(replace(e$values, 30, 0))
  fit <- function(K) lmmfit(y ~ x + (1 | id), cases$single, kinship = list(id = K))
  expect_length(fit(negative)$engine$data$beside, 0L)
  expect_equal(deviance(fit(negative)), deviance(fit(zero)), tolerance = 1e-9)
  expect_equal(blup(fit(negative))$pev, blup(fit(zero))$pev, tolerance = 1e-6)
})

test_that("K = ZZ' is the random intercept, and kin() the kinship argument", {
  skip_if_not_installed("lme4")
  dye <- lme4::Dyestuff
  dye$id <- paste0("r", seq_len(nrow(dye)))
  Z <- model.matrix(~ 0 + Batch, dye)
  K <- tcrossprod(Z)
  dimnames(K) <- list(dye$id, dye$id)
  as_group <- lmmfit(Yield ~ 1 + (1 | Batch), dye)
  as_kernel <- lmmfit(Yield ~ 1 + (1 | id), dye, kinship = list(id = K))
  as_term <- lmmfit(Yield ~ 1 + kin(1 | id, K), dye)
  expect_equal(deviance(as_kernel), deviance(as_group), tolerance = 1e-11)
  expect_equal(unname(as_kernel$theta), unname(as_group$theta), tolerance = 1e-8)
  expect_identical(deviance(as_term), deviance(as_kernel))
})

test_that("the scale and the order of K do not matter", {
  data <- cases$single
  fit <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K))
  order <- withr::with_seed(1, sample(nrow(K)))
  permuted <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K[order, order]))
  expect_equal(deviance(permuted), deviance(fit), tolerance = 1e-11)
  for (scale in c(1e-8, 1e8)) {
    scaled <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = scale * K))
    expect_equal(deviance(scaled), deviance(fit), tolerance = 1e-10)
    expect_equal(heritability(scaled)$estimate, heritability(fit)$estimate,
                 tolerance = 1e-6)
  }
  shuffled <- data[order, ]
  expect_equal(blup(lmmfit(y ~ x + (1 | id), shuffled, kinship = list(id = K)))$value,
               blup(fit)$value, tolerance = 1e-7)
})

test_that("REML does not depend on the origin of K, ML of the centred K is the scan's", {
  data <- withr::with_seed(8, toy_pheno(K))
  ones <- matrix(1, nrow(K), ncol(K), dimnames = dimnames(K))
  fit <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K))
  moved <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K + 2 * ones))
  expect_equal(moved$theta, fit$theta, tolerance = 1e-7)
  expect_equal(deviance(moved), deviance(fit), tolerance = 1e-10)
  expect_equal(heritability(moved)$estimate, heritability(fit)$estimate, tolerance = 1e-7)
  centred <- scale(t(scale(K, scale = FALSE)), scale = FALSE)
  dimnames(centred) <- dimnames(K)
  ml <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = centred), REML = FALSE)
  expect_equal(null_model(moved)$lambda_ml, unname(ml$theta)^2, tolerance = 1e-6)
  expect_equal(null_model(moved)$lambda_reml, unname(fit$theta)^2, tolerance = 1e-6)
})

test_that("the optimum is the best of a fine grid, at either bound too", {
  withr::local_seed(11)
  for (i in 1:30) {
    data <- toy_pheno(K, h2 = c(0.01, 0.5, 0.999)[[i %% 3 + 1]])
    fit <- suppressMessages(lmmfit(y ~ x + (1 | id), data, kinship = list(id = K)))
    theta <- sqrt(c(0, 10^seq(-6, 4.5, 0.05)))
    values <- vapply(theta, function(t) engine_criterion(fit$engine, t, TRUE), 0)
    expect_true(all(values >= deviance(fit) - 1e-9))
    if (fit$opt$bound == "none") expect_lt(abs(fit$opt$gradient), 1e-6)
  }
})

test_that("anova() and confint() do not depend on the origin of K", {
  n <- 200
  centred <- withr::with_seed(1, toy_kinship(n, 2000))
  data <- withr::with_seed(2, toy_pheno(centred, h2 = 0.4))
  fit_with <- function(formula, K) {
    suppressMessages(lmmfit(formula, data, kinship = list(id = K)))
  }
  fits <- lapply(list(centred, centred + 1), fit_with, formula = y ~ x + (1 | id))
  small <- lapply(list(centred, centred + 1), fit_with, formula = y ~ (1 | id))
  expect_equal(confint(fits[[1]], "theta_"), confint(fits[[2]], "theta_"), tolerance = 1e-5)
  expect_equal(confint(fits[[1]], "x"), confint(fits[[2]], "x"), tolerance = 1e-5)
  expect_equal(confint(fits[[2]], "(Intercept)"),
               confint(fits[[2]], "(Intercept)", method = "Wald"), tolerance = 1e-4)
  interval <- confint(fits[[1]])
  expect_lt(interval[".sigma", 1], sigma(fits[[1]]))
  expect_gt(interval[".sigma", 2], sigma(fits[[1]]))
  tests <- Map(function(a, b) suppressMessages(anova(a, b))$Chisq[[2]], fits, small)
  expect_equal(tests[[1]], tests[[2]], tolerance = 1e-6)
})

test_that("what can't be a kernel is refused", {
  data <- cases$single
  negative <- K
  negative[1, 2] <- negative[2, 1] <- 30
  expect_kinlmm_error(lmmfit(y ~ (1 | id), data, kinship = list(id = negative)),
                      "kinship_psd", c("positive semi-definite", "smallest eigenvalue", "1 eigenvalue is"),
                      list(group = "id", n_negative = 1L))
  identity <- diag(2, 30)
  dimnames(identity) <- dimnames(K)
  expect_kinlmm_error(lmmfit(y ~ (1 | id), data, kinship = list(id = identity)),
                      "unidentified", "multiple of the identity")
  # beside an intercept, so is a constant relationship
  compound <- identity / 4 + 0.5
  expect_kinlmm_error(lmmfit(y ~ (1 | id), data, kinship = list(id = compound)),
                      "unidentified")
  repeated <- cases$repeated
  expect_s3_class(
    suppressMessages(lmmfit(y ~ (1 | id), repeated, kinship = list(id = identity))),
    "lmmfit")
})

test_that("kinships without ids, with missing ids or values, or asymmetric are refused", {
  data <- cases$single
  fit <- function(K) lmmfit(y ~ (1 | id), data, kinship = list(id = K))
  expect_kinlmm_error(fit(unname(K)), "kinship_noids", "no row names", list(group = "id"))
  expect_kinlmm_error(fit(K[-(1:2), -(1:2)]), "kinship_ids", c("\"i1\"", "\"i2\""),
                      list(missing = c("i1", "i2")))
  holes <- K
  holes[3, 3] <- NA
  expect_kinlmm_error(fit(holes), "kinship_na", "\"i3\"", list(group = "id"))
  crooked <- K
  crooked[3, 4] <- crooked[3, 4] + 0.1
  expect_kinlmm_error(fit(crooked), "kinship_asymmetric", c("\"i3\"", "\"i4\""),
                      list(difference = 0.1))
})
