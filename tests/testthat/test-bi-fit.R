# Fits of each kind: both traits complete, either missing, weights, repeated records with
# two terms, maximum likelihood.
example_fits <- function() {
  sibs <- two_traits()
  d <- sibs$data
  some <- without_traits(d, c(3, 10:20), c(1, 40:44))
  again <- rbind(d, transform(d[1:40, ], a = a + 0.3 * w, b = b - 0.2 * x))
  again$cage <- rep_len(1:7, nrow(again))
  K <- list(id = sibs$K)
  list(
    complete = bivariate(cbind(a, b) ~ x + (1 | id), d, K),
    weighted = bivariate(cbind(a, b) ~ x + (1 | id), d, K, weights = w),
    ml = bivariate(cbind(a, b) ~ x + (1 | id), d, K, REML = FALSE),
    missing = bivariate(cbind(a, b) ~ x + (1 | id), some, K, weights = w),
    missing_ml = bivariate(cbind(a, b) ~ x + (1 | id), some, K, REML = FALSE),
    repeated = bivariate(cbind(a, b) ~ x + (1 | id), again, K, weights = w),
    terms = suppressMessages(bivariate(cbind(a, b) ~ x + (1 | id) + (1 | cage), again, K))
  )
}

test_that("the criterion is the dense one, and nothing near is lower", {
  for (fit in example_fits()) {
    expect_true(fit$opt$converged)
    expect_lt(max(abs(fit$opt$gradient)), 1e-6)
    expect_equal(deviance(fit), dense_pair_criterion(fit), tolerance = 1e-10)
    expect_equal(as.numeric(logLik(fit)), -deviance(fit) / 2)
    for (label in names(fit$covariances)) {
      for (h in c(-1e-3, 1e-3)) for (at in list(1, 4, 2:3)) {
        V <- fit$covariances
        V[[label]][at] <- V[[label]][at] + h
        if (min(eigen(V[[label]])$values) < 0) next
        expect_gt(dense_pair_criterion(fit, V), deviance(fit))
      }
    }
  }
})

test_that("fixed effects and their covariance are those of GLS", {
  for (fit in example_fits()) {
    at <- dense_pair(fit)
    Vi <- solve(at$V)
    vcov <- solve(t(at$X) %*% Vi %*% at$X)
    expect_equal(as.vector(fixef(fit)), drop(vcov %*% t(at$X) %*% Vi %*% at$y),
                 ignore_attr = TRUE, tolerance = 1e-8)
    expect_equal(vcov(fit), vcov, ignore_attr = TRUE, tolerance = 1e-7)
    expect_identical(rownames(vcov(fit)), c("a:(Intercept)", "a:x", "b:(Intercept)", "b:x"))
  }
})

test_that("standard errors are those of the observed information", {
  sibs <- two_traits(120, seed = 2)
  for (data in list(sibs$data, without_traits(sibs$data, 1:20, 90:100))) {
    fit <- bivariate(cbind(a, b) ~ x + (1 | id), data, list(id = sibs$K))
    expect_setequal(unname(fit$boundary), "inside")
    value <- function(psi) {
      V <- lapply(split_packed(psi, c(2L, 2L)), unpack_lower, symmetric = TRUE)
      dense_pair_criterion(fit, stats::setNames(V, names(fit$covariances)))
    }
    H <- stats::optimHess(unname(fit$psi), value, control = list(ndeps = rep(1e-3, 6)))
    expect_equal(fit$psi_vcov, 2 * solve(H), tolerance = 1e-3, ignore_attr = TRUE)
  }
})

test_that("nlme fits the same with families as an i.i.d. term, complete or not", {
  skip_if_not_installed("nlme")
  d <- two_traits(120, seed = 4)$data
  d$family <- rep(1:30, each = 4)
  for (data in list(d, without_traits(d, 5:20, 50:58))) {
    fit <- bivariate(cbind(a, b) ~ x + (1 | family), data)
    long <- data.frame(y = c(data$a, data$b), x = data$x, family = data$family,
                       record = seq_len(120), trait = rep(1:2, each = 120))
    long <- long[!is.na(long$y), ]
    long <- long[order(long$family, long$record, long$trait), ]
    long$t <- factor(long$trait)
    lme <- nlme::lme(y ~ 0 + t + t:x, long, ~ 0 + t | family,
                     correlation = nlme::corSymm(form = ~ trait | family / record),
                     weights = nlme::varIdent(form = ~ 1 | trait),
                     control = nlme::lmeControl(opt = "optim", msTol = 1e-10, tolerance = 1e-8,
                                                niterEM = 200))
    expect_equal(as.numeric(logLik(fit)), as.numeric(logLik(lme)), tolerance = 1e-7)
    expect_gte(as.numeric(logLik(fit)), as.numeric(logLik(lme)) - 1e-7)
    expect_equal(unclass(nlme::getVarCov(lme)), fit$covariances$family, tolerance = 2e-3,
                 ignore_attr = TRUE)
    expect_equal(as.vector(fixef(fit)), unname(nlme::fixef(lme)[c(1, 3, 2, 4)]),
                 tolerance = 1e-3)
  }
})

test_that("scales, the order of records and of traits, and transformations do not matter", {
  sibs <- two_traits(seed = 2)
  d <- sibs$data
  K <- list(id = sibs$K)
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), d, K)
  scaled <- bivariate(cbind(1e4 * a - 7, b / 1e3) ~ x + (1 | id), d,
                      list(id = 50 * sibs$K))
  expect_equal(unname(scaled$psi) / c(2e6, 0.2, 2e-8, 1e8, 10, 1e-6), unname(fit$psi),
               tolerance = 1e-7)
  missing <- without_traits(d, 1:9, 70:75)
  one <- bivariate(cbind(a, b) ~ x + (1 | id), missing, K)
  expect_equal(bivariate(cbind(a, b) ~ x + (1 | id), missing[80:1, ], K)$psi, one$psi,
               tolerance = 1e-7)
  swap <- c(3:1, 6:4)
  for (pair in list(list(fit, d), list(one, missing))) {
    swapped <- bivariate(cbind(b, a) ~ x + (1 | id), pair[[2]], K)
    expect_equal(unname(swapped$psi[swap]), unname(pair[[1]]$psi), tolerance = 1e-7)
    expect_equal(deviance(swapped), deviance(pair[[1]]), tolerance = 1e-10)
  }
  A <- matrix(c(2, 1, -1, 0.5), 2)
  mixed <- bivariate(cbind(2 * a - b, a + 0.5 * b) ~ x + (1 | id), d, K)
  for (part in c("id", "Residual")) {
    expect_equal(mixed$covariances[[part]], A %*% fit$covariances[[part]] %*% t(A),
                 tolerance = 1e-6, ignore_attr = TRUE)
  }
})

test_that("without covariances it is two fits of one trait", {
  sibs <- two_traits(seed = 3)
  d <- sibs$data
  K <- list(id = sibs$K)
  M <- diag(6)[, -c(2, 5)]
  for (data in list(d, without_traits(d, 1:20, 61:80), without_traits(d, 1:40, 41:80))) {
    fit <- bivariate(cbind(a, b) ~ x + (1 | id), data, K)
    apart <- bivariate_optimise(fit$engine, TRUE, lmm_control(), M)
    single <- lapply(c("a", "b"), function(trait) {
      data$y <- data[[trait]]
      lmmfit(y ~ x + (1 | id), data[!is.na(data$y), ], K)
    })
    expect_equal(apart$value + sum(fit$engine$constant),
                 sum(vapply(single, deviance, 0)), tolerance = 1e-9)
    wanted <- c(vapply(single, function(one) one$theta[[1]]^2 * one$sigma^2, 0),
                vapply(single, function(one) one$sigma^2, 0))
    expect_equal((apart$psi * fit$engine$units)[c(1, 3, 4, 6)], wanted, tolerance = 1e-5)
  }
})

test_that("without a record of both traits the residual covariance is held", {
  sibs <- two_traits(seed = 3)
  data <- without_traits(sibs$data, seq(1, 79, 2), seq(2, 80, 2))
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), data, list(id = sibs$K))
  expect_identical(fit$boundary[["Residual"]], "covariance not estimable")
  expect_identical(fit$psi[["Residual:a,b"]], 0)
  expect_identical(attr(logLik(fit), "df"), 9L)
  expect_true(is.na(psi_se(fit)[["Residual:a,b"]]))
  expect_output(print(fit), "no\\s+record\\s+has\\s+both\\s+traits")
  expect_error(genetic_correlation(fit, "Residual"), class = "kinlmm_error_no_correlation")
  # nor the other one, if no individual has both and there is no kernel
  data$family <- paste(is.na(data$a), rep(1:20, each = 4))
  apart <- bivariate(cbind(a, b) ~ x + (1 | family), data)
  expect_setequal(unname(apart$boundary), "covariance not estimable")
})

test_that("estimates on the boundary are optima, and said", {
  one <- matrix(1, 2, 2)
  perfect <- two_traits(60, G = one, R = diag(c(1, 0.3)), seed = 5)
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), perfect$data, list(id = perfect$K))
  expect_identical(fit$boundary[["id"]], "correlation 1")
  expect_equal(attr(VarCorr(fit)$id, "correlation")[1, 2], 1)
  expect_true(fit$opt$converged)
  # the derivative into the cone
  D <- unpack_lower(fit$opt$psi_gradient[1:3] / c(1, 2, 1), TRUE)
  expect_gt(min(eigen(D)$values), -1e-6)
  expect_equal(sum(D * unpack_lower(fit$opt$psi[1:3], TRUE)), 0, tolerance = 1e-6)
  expect_equal(deviance(fit), dense_pair_criterion(fit), tolerance = 1e-9)
  expect_output(print(fit), "correlation 1, the optimum on the boundary", fixed = TRUE)
  g <- genetic_correlation(fit)
  expect_identical(c(g$se, g$upper, g$p_one), c(NA, 1, 1))

  none <- two_traits(60, G = 0 * one, seed = 12)
  zero <- bivariate(cbind(a, b) ~ 1 + (1 | id), none$data, list(id = none$K))
  negative <- two_traits(60, G = matrix(c(1, -1, -1, 1), 2), R = diag(0.2, 2), seed = 6)
  opposite <- bivariate(cbind(a, b) ~ x + (1 | id), without_traits(negative$data, 1:5, 9:11),
                        list(id = negative$K))
  expect_identical(opposite$boundary[["id"]], "correlation -1")
  expect_true(zero$opt$converged && opposite$opt$converged)
})

test_that("a heritability of one is found, with a centred kernel too", {
  sibs <- two_traits(40, R = matrix(0, 2, 2), seed = 7)
  centre <- diag(40) - 1 / 40
  K <- structure(centre %*% sibs$K %*% centre, dimnames = dimnames(sibs$K))
  for (kernel in list(sibs$K, K)) {
    for (data in list(sibs$data, without_traits(sibs$data, 1:3, 0))) {
      fit <- bivariate(cbind(a, b) ~ x + (1 | id), data, list(id = kernel))
      expect_identical(fit$boundary[["Residual"]], "both variances zero")
      expect_equal(heritability(fit)$estimate, c(1, 1))
      expect_true(fit$opt$converged)
    }
  }
})

test_that("what can't be fitted is refused by name", {
  sibs <- two_traits(40)
  d <- sibs$data
  K <- list(id = sibs$K)
  d$f <- rep(1:4, 10)
  expect_error(bivariate(a ~ x + (1 | id), d, K), class = "kinlmm_error_two_traits")
  expect_error(bivariate(cbind(a, b, w) ~ x + (1 | id), d, K),
               class = "kinlmm_error_two_traits")
  expect_error(bivariate(cbind(a, b) ~ x + (x | id), d, K),
               class = "kinlmm_error_trait_slopes")
  expect_error(bivariate(cbind(a, b) ~ offset(x) + (1 | id), d, K),
               class = "kinlmm_error_trait_offset")
  expect_error(bivariate(cbind(a, 3 * a + x) ~ x + (1 | id), d, K),
               class = "kinlmm_error_traits_identical")
  expect_error(bivariate(cbind(a, b) ~ x, d), class = "kinlmm_error_formula")
  expect_error(bivariate(cbind(a, b) ~ x + (1 | id), d), class = "kinlmm_error")
  d$c <- 1
  expect_error(bivariate(cbind(a, c) ~ x + (1 | id), d, K), "constant",
               class = "kinlmm_error_response")
  d$c <- NA_real_
  expect_error(bivariate(cbind(a, c) ~ x + (1 | id), d, K), "missing in every row",
               class = "kinlmm_error_response")
  d$c <- replace(rep(NA, 40), 1:2, c(0.3, 1))
  expect_error(bivariate(cbind(a, c) ~ x + (1 | id), d, K),
               class = "kinlmm_error_rank")
  I <- structure(diag(40), dimnames = dimnames(sibs$K))
  expect_error(bivariate(cbind(a, b) ~ x + (1 | id), d, list(id = I)),
               class = "kinlmm_error_unidentified")
  expect_error(bivariate(cbind(a, b) ~ x + (1 | id), rbind(d, d), K),
               class = "kinlmm_error_traits_degenerate")
  expect_error(bivariate(cbind(a, b) ~ x + (1 | id), d, K, REML = "no"),
               class = "kinlmm_error_argument")
})

test_that("records without either trait or a covariate are left out and counted", {
  sibs <- two_traits(40)
  d <- without_traits(sibs$data, 1:4, 3:6)
  d$x[10:11] <- NA
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), d, list(id = sibs$K), subset = id != "i020")
  expect_identical(fit$omitted, c(traits = 2L, covariates = 2L))
  expect_identical(colSums(fit$observed), c(33, 33))
  expect_identical(nobs(fit), 35L)
  kept <- d[-c(3, 4, 10, 11, 20), ]
  expect_equal(bivariate(cbind(a, b) ~ x + (1 | id), kept, list(id = sibs$K))$psi, fit$psi)
})

test_that("a column that one trait does not identify is left out for it", {
  sibs <- two_traits(60)
  d <- sibs$data
  d$sex <- rep(c("f", "m"), 30)
  d$b[d$sex == "m"] <- NA
  fit <- bivariate(cbind(a, b) ~ sex + (1 | id), d, list(id = sibs$K))
  expect_identical(is.na(unname(fixef(fit)["sexm", ])), c(FALSE, TRUE))
  expect_identical(rownames(vcov(fit)), c("a:(Intercept)", "a:sexm", "b:(Intercept)"))
  expect_true(all(is.na(fitted(fit)[d$sex == "m", "b"])))
  expect_false(anyNA(fitted(fit)[, "a"]))
})
