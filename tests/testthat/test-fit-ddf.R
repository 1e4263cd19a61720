test_that("moments of the residual follow from those of the components", {
  d <- mixed_example()
  fit <- lmmfit(y ~ x + f + (z | g), d, weights = w)
  at <- all_moments(fit$engine, unname(fit$theta), components(fit$random, fit$theta))
  A <- dense_basis(fit)
  V <- dense_covariance(fit, fit$theta)
  G <- c(V$G, list(diag(nrow(d))))
  Hi <- solve(V$H)
  B <- Hi %*% A
  for (a in seq_along(G)) {
    expect_equal(at$trace[[a]], sum(Hi * G[[a]]))
    expect_equal(at$W[, , a], t(B) %*% G[[a]] %*% B, ignore_attr = TRUE)
    for (b in seq_along(G)) {
      expect_equal(at$traces[a, b], sum((Hi %*% G[[a]]) * t(Hi %*% G[[b]])))
      expect_equal(at$WW[, , a, b], t(B) %*% G[[a]] %*% Hi %*% G[[b]] %*% B,
                   ignore_attr = TRUE)
    }
  }
})

test_that("gradient and Hessian are those of the criterion in the variances", {
  d <- mixed_example()
  for (REML in c(TRUE, FALSE)) {
    fit <- lmmfit(y ~ x + f + (z | g), d, weights = w, REML = REML)
    information <- fit_information(fit)
    root <- sqrt(d$w)
    X <- fit$fixed$X * root
    V <- dense_covariance(fit, fit$theta)
    V <- c(V$G, list(diag(nrow(d))))
    criterion <- function(phi) {
      H <- Reduce(`+`, Map(`*`, phi, V))
      Hi <- solve(H)
      XHX <- t(X) %*% Hi %*% X
      e <- d$y * root - X %*% solve(XHX, t(X) %*% Hi %*% (d$y * root))
      logdet <- function(A) as.numeric(determinant(A)$modulus)
      logdet(H) + (if (REML) logdet(XHX) else 0) + sum(e * (Hi %*% e))
    }
    phi <- fit$sigma^2 * c(components(fit$random, fit$theta), 1)
    gradient <- function(at) numeric_gradient(criterion, at, 1e-4)
    expect_lt(max(abs(information$gradient)), 1e-6)
    hessian <- vapply(seq_along(phi), function(i) {
      h <- replace(numeric(length(phi)), i, 1e-3)
      (gradient(phi + h) - gradient(phi - h)) / 2e-3
    }, phi)
    expect_equal(information$observed, hessian, tolerance = 1e-4)
  }
})

test_that("the covariance of a singular fit is that of movements on the boundary", {
  # Psi = a a': the same as one effect with the column Z a / |a|
  block <- boundary_block(tcrossprod(c(2, -1)), c(1, 4, 4))
  expect_equal(dim(block$jacobian), c(3L, 2L))
  move <- function(a) tcrossprod(a)[c(1, 2, 4)]
  expect_equal(block$jacobian,
               vapply(1:2, function(i) {
                 h <- replace(c(0, 0), i, 1e-6)
                 (move(c(2, -1) + h) - move(c(2, -1) - h)) / 2e-6
               }, numeric(3)), tolerance = 1e-8)
  # Psi_21 counts once: g11 a1^2 + g21 a1 a2 + g22 a2^2
  expect_equal(block$curvature, matrix(c(2, 4, 4, 8), 2))
  expect_equal(boundary_block(diag(2), numeric(3))$jacobian, diag(c(2, 1, 2)))
  none <- boundary_block(matrix(0, 2, 2), numeric(3))
  expect_equal(dim(none$jacobian), c(3L, 0L))
})

test_that("Satterthwaite's degrees of freedom are lmerTest's", {
  skip_if_not_installed("lmerTest")
  sleep <- lme4::sleepstudy
  for (REML in c(TRUE, FALSE)) {
    fit <- lmmfit(Reaction ~ Days + I(Days^2) + (Days | Subject), sleep, REML = REML)
    theirs <- coef(summary(lmer_at(fit, sleep)))
    expect_equal(coef(summary(fit)), theirs, tolerance = 1e-6)
  }
  fit <- lmmfit(Reaction ~ Days + (1 | Subject), sleep)
  theirs <- coef(summary(lmerTest::lmer(Reaction ~ Days + (1 | Subject), sleep)))
  expect_equal(coef(summary(fit)), theirs, tolerance = 1e-5)
})

test_that("singular fits have lmerTest's degrees of freedom", {
  skip_if_not_installed("lmerTest")
  d <- lme4::sleepstudy
  singular <- 0
  for (seed in c(1, 4, 5, 12)) {
    d$y <- withr::with_seed(seed, 5 * d$Days + stats::rnorm(18, sd = 10)[d$Subject] *
                              (1 + (seed > 2) * d$Days / 5) + stats::rnorm(180, sd = 20))
    fit <- suppressMessages(lmmfit(y ~ Days + (Days | Subject), d))
    singular <- singular + fit$opt$singular
    expect_equal(coef(summary(fit)), coef(summary(lmer_at(fit, d))), tolerance = 1e-6)
  }
  expect_gte(singular, 2)
  # a variance of zero is known: ordinary least squares
  fit <- suppressMessages(lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2))
  least_squares <- summary(stats::lm(Yield ~ 1, lme4::Dyestuff2))
  expect_equal(coef(summary(fit))[[1, "df"]], 29)
  expect_equal(coef(summary(fit))[, -3], coef(least_squares)[1, ], tolerance = 1e-8)
})

test_that("a variance of zero leaves the tests of the model without it", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  sleep$two <- factor(rep(1:2, c(170, 10)))
  small <- lmmfit(Reaction ~ Days + (Days | Subject), sleep)
  large <- suppressMessages(lmmfit(Reaction ~ Days + (Days | Subject) + (1 | two), sleep))
  expect_identical(attr(VarCorr(large)$two, "stddev")[[1]], 0)
  expect_equal(coef(summary(large)), coef(summary(small)), tolerance = 1e-6)
  expect_equal(anova(large), anova(small), tolerance = 1e-6, ignore_attr = TRUE)
  expect_equal(anova(large, ddf = "none"), anova(small, ddf = "none"), tolerance = 1e-6)
})

test_that("Kenward and Roger's covariance and tests are pbkrtest's", {
  skip_if_not_installed("pbkrtest")
  skip_if_not_installed("lmerTest")
  orthodont <- as.data.frame(nlme::Orthodont)[-c(1, 6, 30:33), ]
  for (formula in list(distance ~ age * Sex + (age | Subject),
                       distance ~ age * Sex + (1 | Subject))) {
    fit <- lmmfit(formula, orthodont)
    theirs <- lmer_at(fit, orthodont)
    ours <- fit_ddf(fit, "Kenward-Roger")
    expect_equal(ours$vcov, as.matrix(pbkrtest::vcovAdj(theirs)), tolerance = 1e-8,
                 ignore_attr = TRUE)
    for (q in 1:3) {
      L <- diag(4)[5 - seq_len(q), , drop = FALSE]
      test <- pbkrtest::KRmodcomp(theirs, L)$test
      mine <- f_test(fit, ours, L)
      expect_equal(unlist(mine[c("F value", "NumDF", "DenDF", "Pr(>F)")]),
                   unlist(test["Ftest", c("stat", "ndf", "ddf", "p.value")]),
                   tolerance = 1e-7, ignore_attr = TRUE)
    }
    expect_equal(coef(summary(fit, ddf = "Kenward-Roger")),
                 coef(summary(theirs, ddf = "Kenward-Roger")), tolerance = 1e-7)
  }
})

test_that("Kenward and Roger's method needs REML", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont, REML = FALSE)
  expect_kinlmm_error(summary(fit, ddf = "Kenward-Roger"), "kenward_roger", "by ML")
})

test_that("balanced designs have the degrees of freedom of the analysis of variance", {
  data <- as.data.frame(nlme::Oats)
  fit <- lmmfit(yield ~ Variety * factor(nitro) + (1 | Block/Variety), data)
  for (ddf in c("Satterthwaite", "Kenward-Roger")) {
    table <- anova(fit, ddf = ddf)
    expect_equal(table$DenDF, c(10, 45, 45), tolerance = 1e-6)
    by_hand <- summary(stats::aov(yield ~ Variety * factor(nitro) + Error(Block/Variety),
                                  data))
    expect_equal(table$`F value`[[1]], by_hand[[2]][[1]]$`F value`[[1]], tolerance = 1e-6)
    expect_equal(table$`F value`[2:3], by_hand[[3]][[1]]$`F value`[1:2], tolerance = 1e-6)
  }
})

test_that("weights and a kernel: equal to a dense implementation", {
  K <- withr::with_seed(3, toy_kinship(30))
  data <- withr::with_seed(4, toy_pheno(K, rep(c(1L, 2L, 3L), 10)))
  fit <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K), weights = w)
  at <- dense_moments(fit, fit$theta)
  direct <- engine_moments(fit$engine, unname(fit$theta), order = 2L)
  for (part in c("trace", "W", "traces", "WW")) {
    expect_equal(direct[[part]], at[[part]], tolerance = 1e-8, ignore_attr = TRUE)
  }
  # Satterthwaite's formula, by differences of the covariance of beta
  information <- fit_information(fit)
  V <- dense_covariance(fit, fit$theta)
  X <- fit$fixed$X * sqrt(data$w)
  variance <- function(phi) {
    solve(t(X) %*% solve(phi[[1]] * V$G[[1]] + phi[[2]] * diag(nrow(X)), X))[2, 2]
  }
  phi <- fit$sigma^2 * c(fit$theta^2, 1)
  slope <- numeric_gradient(variance, phi, 1e-5)
  df <- 2 * variance(phi)^2 / sum(slope * (2 * solve(information$observed, slope)))
  expect_equal(coef(summary(fit))[["x", "df"]], df, tolerance = 1e-6)
})

test_that("degrees of freedom of several contrasts are combined", {
  expect_equal(mean_df(c(7, 7)), 7)
  expect_equal(mean_df(c(4, 8)), 2 * (2 + 4 / 3) / (2 + 4 / 3 - 2))
  expect_equal(mean_df(c(1.5, 8)), 2)
  expect_equal(mean_df(c(Inf, Inf)), Inf)
})

test_that("degrees of freedom do not depend on the unit of the response", {
  d <- mixed_example()
  tables <- lapply(c(1e-4, 1, 1e6), function(unit) {
    d$y <- d$y * unit
    fit <- lmmfit(y ~ x + f + (z | g), d)
    cbind(coef(summary(fit))[, 3:5],
          coef(summary(fit, ddf = "Kenward-Roger"))[, 3:5])
  })
  expect_equal(tables[[1]], tables[[2]], tolerance = 1e-6)
  expect_equal(tables[[3]], tables[[2]], tolerance = 1e-6)
})

test_that("crossed and nested factors, slopes, near and on the boundary: the peers' figures", {
  skip_if_not_installed("lmerTest")
  skip_if_not_installed("pbkrtest")
  random <- c("(1 | g) + (1 | h)", "(x | g) + (1 | h)", "(x | g) + (z | h)", "(1 | g / h)")
  for (seed in 14:17) {
    d <- withr::with_seed(seed, {
      d <- data.frame(g = factor(sample(12, 120, TRUE)), h = factor(sample(8, 120, TRUE)),
                      x = stats::rnorm(120), z = stats::rnorm(120))
      d$y <- d$x + stats::rnorm(12)[d$g] * d$x + stats::rnorm(8)[d$h] + stats::rnorm(120)
      d
    })
    formula <- stats::as.formula(paste("y ~ x + z +", random[[seed - 13]]))
    fit <- suppressMessages(lmmfit(formula, d))
    theirs <- lmer_at(fit, d)
    expect_equal(coef(summary(fit)), coef(summary(theirs)), tolerance = 1e-5)
    expect_equal(coef(summary(fit, ddf = "Kenward-Roger")),
                 coef(summary(theirs, ddf = "Kenward-Roger")), tolerance = 1e-8)
  }
})
