weight_gain <- function() {
  data.frame(gain = c(53, 46, 58, 61, 66, 57),
             group = rep(c("control", "treatment"), each = 3))
}

flowering <- function() {
  data.frame(days = c(3.4, 3.7, 3.2, 2.9, 2.5, 3.1, 2.6),
             genotype = factor(rep(c("qq", "Qq", "QQ"), c(3, 2, 2)), c("qq", "Qq", "QQ")))
}

test_that("weight gain is as computed by hand, in both parametrisations", {
  means <- blue(gain ~ 0 + group, weight_gain())
  expect_equal(unname(coef(means)), c(157 / 3, 184 / 3), tolerance = 1e-14)
  # within: 0.444 + 40.111 + 32.111 + 0.111 + 21.778 + 18.778
  expect_equal(means$rss, 340 / 3, tolerance = 1e-13)
  expect_equal(means$sigma2, 340 / 12, tolerance = 1e-13)
  expect_equal(means$sigma2_ml, 340 / 18, tolerance = 1e-13)
  expect_equal(unname(vcov(means)), diag(340 / 36, 2), tolerance = 1e-13)

  shift <- blue(gain ~ group, weight_gain())
  expect_equal(unname(coef(shift)), c(157 / 3, 9), tolerance = 1e-13)
  expect_equal(unname(vcov(shift)), 340 / 36 * cbind(c(1, -1), c(-1, 2)), tolerance = 1e-13)
  expect_equal(fitted(shift), fitted(means), tolerance = 1e-14)
  expect_equal(logLik(shift), logLik(means), tolerance = 1e-14)
  expect_equal(summary(shift)$coefficients[2, 3], 9 / sqrt(680 / 36), tolerance = 1e-13)
})

test_that("flowering time is as computed by hand", {
  full <- blue(days ~ genotype, flowering(), full = TRUE)
  expect_identical(full$rank, 3L)
  expect_equal(unname(fitted(full)), rep(c(10.3 / 3, 2.7, 2.85), c(3, 2, 2)),
               tolerance = 1e-14)
  # 0.126667 + 0.08 + 0.125
  expect_equal(full$rss, 0.38 / 3 + 0.205, tolerance = 1e-12)
  expect_equal(full$sigma2, full$rss / 4)
  L <- c(a = "(genotypeQQ - genotypeqq) / 2",
         d = "genotypeQq - (genotypeQQ + genotypeqq) / 2")
  got <- estimable(full, L)
  expect_equal(got$Estimate, c((2.85 - 10.3 / 3) / 2, 2.7 - (2.85 + 10.3 / 3) / 2),
               tolerance = 1e-13)
  expect_equal(got$`Std. Error`,
               sqrt(full$sigma2 * c((1 / 2 + 1 / 3) / 4, 1 / 2 + (1 / 2 + 1 / 3) / 4)),
               tolerance = 1e-13)
})

test_that("generalised inverses differ, estimable functions do not", {
  for (data in list(weight_gain(), stats::setNames(flowering(), c("gain", "group")))) {
    fits <- list(reflexive = blue(gain ~ group, data, full = TRUE),
                 penrose = blue(gain ~ group, data, full = TRUE, G = "moore-penrose"))
    A <- fits[[1]]$A
    p <- ncol(A)
    null <- c(1, rep(-1, p - 1))
    expect_equal(drop(A %*% null), numeric(p), ignore_attr = TRUE)
    other <- fits$reflexive$G + null %*% t(seq_len(p)) + (p:1) %*% t(null)
    fits$given <- blue(gain ~ group, data, full = TRUE, G = other)
    expect_gt(max(abs(coef(fits[[1]]) - coef(fits[[2]]))), 0.5)
    expect_gt(max(abs(coef(fits[[1]]) - coef(fits[[3]]))), 0.5)
    L <- rbind(c(0, -1, 1, numeric(p - 3)), c(1, 1, 0, numeric(p - 3)))
    expect_gt(max(abs(vcov(fits[[1]]) - vcov(fits[[2]]))), 0.01)
    for (fit in fits) {
      expect_equal(fit$A %*% fit$G %*% fit$A, fit$A, tolerance = 1e-11)
      expect_equal(drop(fit$A %*% coef(fit)), colSums(fit$X * data$gain), tolerance = 1e-11)
      expect_equal(estimable(fit, L), estimable(fits[[1]], L), tolerance = 1e-11)
      expect_equal(L %*% vcov(fit) %*% t(L), L %*% vcov(fits[[1]]) %*% t(L),
                   tolerance = 1e-11)
      expect_equal(fitted(fit), fitted(fits[[1]]), tolerance = 1e-12)
    }
    # Moore's and Penrose's other three conditions, and the least length
    G <- fits$penrose$G
    expect_equal(G %*% A %*% G, G, tolerance = 1e-12)
    expect_equal(G %*% A, t(G %*% A), tolerance = 1e-12)
    expect_lt(abs(sum(coef(fits$penrose) * null)), 1e-11)
  }
})

test_that("least squares is that of lm()", {
  d <- mixed_example()
  d$x2 <- 2 * d$x + 1
  cases <- list(list(y ~ x * f, NULL), list(y ~ poly(x, 2) + f + offset(o), d$w),
                list(y ~ x + x2 + f, d$w), list(y ~ 0 + f, d$w))
  for (case in cases) {
    d$ww <- if (is.null(case[[2]])) 1 else case[[2]]
    want <- stats::lm(case[[1]], d, weights = ww)
    fit <- blue(case[[1]], d, weights = ww)
    kept <- !is.na(coef(want))
    expect_equal(coef(fit)[kept], coef(want)[kept], tolerance = 1e-11)
    expect_equal(vcov(fit)[kept, kept], stats::vcov(want, complete = FALSE),
                 tolerance = 1e-11)
    expect_equal(fitted(fit), fitted(want), tolerance = 1e-11)
    expect_equal(residuals(fit, "pearson"), residuals(want, "pearson"), tolerance = 1e-10)
    expect_equal(sigma(fit), sigma(want), tolerance = 1e-12)
    expect_equal(c(logLik(fit)), c(logLik(want)), tolerance = 1e-12)
    expect_equal(attr(logLik(fit), "df"), attr(logLik(want), "df"))
    expect_equal(c(logLik(fit, REML = TRUE)), c(logLik(want, REML = TRUE)),
                 tolerance = 1e-11)
    expect_equal(AIC(fit), AIC(want))
    if (all(kept)) {
      expect_equal(unname(coef(summary(fit))), unname(coef(summary(want))),
                   tolerance = 1e-9)
      expect_equal(confint(fit), confint(want), tolerance = 1e-10, ignore_attr = TRUE)
      new <- d[c(5, 3), ]
      mine <- predict(fit, new, se.fit = TRUE)
      theirs <- predict(want, new, se.fit = TRUE)
      expect_equal(mine, theirs[c("fit", "se.fit")], tolerance = 1e-10, ignore_attr = TRUE)
    }
  }
})

test_that("offsets count in predictions", {
  d <- mixed_example()
  want <- stats::lm(y ~ f + offset(o), d)
  new <- d[c(1, 8, 3), ]
  inside <- blue(y ~ f + offset(o), d)
  outside <- blue(y ~ f, d, offset = o)
  expect_equal(predict(inside, new), predict(want, new), tolerance = 1e-10)
  expect_equal(predict(outside, new), predict(want, new), tolerance = 1e-10)
  expect_equal(predict(outside), fitted(want), tolerance = 1e-10)
  expect_kinlmm_error(predict(inside, new["f"]), "newdata", '"o"')
  new$f[1] <- NA
  expect_equal(predict(inside, new), predict(want, new), tolerance = 1e-10)
  new$f <- "z"
  expect_error(predict(inside, new), class = "kinlmm_error")
  withr::local_options(contrasts = c("contr.helmert", "contr.poly"))
  helmert <- blue(y ~ f, d)
  withr::local_options(contrasts = c("contr.treatment", "contr.poly"))
  expect_equal(predict(helmert, d[1:3, ]), fitted(helmert)[1:3], tolerance = 1e-10)
})

test_that("missing values and subsets are those of lm()", {
  d <- mixed_example()
  d$y[c(3, 9)] <- NA
  want <- stats::lm(y ~ x, d, subset = h == "u", na.action = stats::na.exclude)
  fit <- blue(y ~ x, d, subset = h == "u", na.action = stats::na.exclude)
  expect_equal(fitted(fit), fitted(want))
  expect_equal(residuals(fit), residuals(want))
  expect_identical(nobs(fit), 58L)
  expect_output(print(fit), "2 observations deleted due to missingness")
})

test_that("generalised least squares is that of nlme and MASS", {
  skip_if_not_installed("MASS")
  d <- as.data.frame(nlme::Orthodont)
  want <- nlme::gls(distance ~ age * Sex, d, correlation = nlme::corAR1(0.6, ~ 1 | Subject,
                                                                        fixed = TRUE))
  V <- outer(d$Subject, d$Subject, "==") * 0.6^abs(outer(d$age, d$age, "-") / 2)
  fit <- blue(distance ~ age * Sex, d, covariance = V)
  expect_equal(coef(fit), coef(want), tolerance = 1e-9)
  expect_equal(vcov(fit), vcov(want), tolerance = 1e-8, ignore_attr = TRUE)
  expect_equal(sigma(fit), sigma(want), tolerance = 1e-9, ignore_attr = TRUE)
  expect_equal(c(logLik(fit, REML = TRUE)), c(logLik(want)), tolerance = 1e-9)
  ml <- nlme::gls(distance ~ age * Sex, d, method = "ML",
                  correlation = nlme::corAR1(0.6, ~ 1 | Subject, fixed = TRUE))
  expect_equal(c(logLik(fit)), c(logLik(ml)), tolerance = 1e-9)
  masses <- MASS::lm.gls(distance ~ age * Sex, d, W = V, inverse = TRUE)
  expect_equal(coef(fit), coef(masses), tolerance = 1e-9)
  expect_equal(crossprod(residuals(fit, "normalized"))[1], fit$rss, tolerance = 1e-12)
})

test_that("a kinship with its h2 is the covariance it stands for", {
  K <- withr::with_seed(2, toy_kinship(20)) + diag(0.1, 20)
  d <- withr::with_seed(3, toy_pheno(K, rep(1:2, 10)))[30:1, ]
  at <- match(d$id, rownames(K))
  V <- 0.4 * K[at, at] + diag(0.6 / d$w)
  fit <- blue(y ~ x, d, weights = w, kinship = list(id = K[20:1, 20:1]), h2 = 0.4)
  X <- cbind(1, d$x)
  Vi <- solve(V)
  b <- solve(t(X) %*% Vi %*% X, t(X) %*% Vi %*% d$y)
  expect_equal(unname(coef(fit)), drop(b), tolerance = 1e-11)
  s2 <- sum((d$y - X %*% b) * (Vi %*% (d$y - X %*% b))) / 28
  expect_equal(unname(vcov(fit)), s2 * solve(t(X) %*% Vi %*% X), tolerance = 1e-11)
  same <- blue(y ~ x, d, covariance = unname(V))
  expect_equal(coef(fit), coef(same), tolerance = 1e-12)
  expect_output(print(fit), "V = 0.4 K[id] + 0.6 diag(1 / weights), K as given",
                fixed = TRUE)
  # at the estimates of REML it is the mixed model
  lmm <- lmmfit(y ~ x + (1 | id), d, kinship = list(id = K))
  ratio <- lmm$theta[[1]]^2
  fixed <- blue(y ~ x, d, kinship = list(id = K), h2 = ratio / (1 + ratio))
  expect_equal(coef(fixed), fixef(lmm), tolerance = 1e-9)
  expect_equal(vcov(fixed), lmm$vcov, tolerance = 1e-8)
  # missing records leave their ids out
  d$x[4] <- NA
  some <- blue(y ~ x, d, kinship = list(id = K), h2 = 0.4)
  expect_identical(nobs(some), 29L)
})

test_that("with two kinships, and with h2 one, V is as it must be", {
  K <- withr::with_seed(2, toy_kinship(20)) + diag(0.1, 20)
  L <- withr::with_seed(5, toy_kinship(20))
  d <- withr::with_seed(3, toy_pheno(K))
  d$same <- d$id
  fit <- blue(y ~ x, d, kinship = list(id = K, same = L), h2 = c(0.3, 0.5))
  want <- blue(y ~ x, d, covariance = unname(0.3 * K + 0.5 * L + diag(0.2, 20)))
  expect_equal(coef(fit), coef(want), tolerance = 1e-11)
  expect_equal(coef(blue(y ~ x, d, kinship = list(id = K), h2 = 1)),
               coef(blue(y ~ x, d, covariance = unname(K))), tolerance = 1e-11)
  expect_equal(coef(blue(y ~ x, d, kinship = list(id = K), h2 = 0)),
               coef(blue(y ~ x, d)), tolerance = 1e-12)
  d[["my id"]] <- d$id
  spaced <- blue(y ~ x, d, kinship = list(`my id` = K), h2 = 0.4)
  called <- blue(y ~ x, d, kinship = list(`factor(id)` = K), h2 = 0.4)
  plain <- blue(y ~ x, d, kinship = list(id = K), h2 = 0.4)
  expect_equal(coef(spaced), coef(plain))
  expect_equal(coef(called), coef(plain))
  # L is centred: of rank 19
  expect_kinlmm_error(blue(y ~ x, d, kinship = list(id = L), h2 = 1),
                      "covariance_singular", "no variance")
})

test_that("a covariance is matched by row names, and what is wrong is named", {
  d <- weight_gain()
  V <- 0.5^abs(outer(1:6, 1:6, "-"))
  want <- coef(blue(gain ~ group, d, covariance = V))
  rownames(d) <- letters[1:6]
  named <- structure(V, dimnames = rep(list(letters[1:6]), 2))[6:1, 6:1]
  expect_equal(coef(blue(gain ~ group, d, covariance = named)), want, tolerance = 1e-12)
  some <- blue(gain ~ group, d, covariance = named, subset = c(1:4, 6))
  expect_equal(coef(some), coef(blue(gain ~ group, d, covariance = V, subset = c(1:4, 6))),
               tolerance = 1e-12)
  expect_kinlmm_error(blue(gain ~ group, d, covariance = named[-2, -2]), "covariance_rows",
                      'It lacks 1 row: "e"', list(lost = "e"))
  expect_kinlmm_error(blue(gain ~ group, d, covariance = V[-1, -1]), "covariance_size",
                      "It is 5 x 5")
  expect_kinlmm_error(blue(gain ~ group, d, covariance = replace(V, 2, 9)),
                      "covariance_asymmetric", "8.5")
  expect_kinlmm_error(blue(gain ~ group, d, covariance = replace(V, 2, NA)),
                      "covariance_value", "1 value")
  expect_kinlmm_error(blue(gain ~ group, d, covariance = matrix(1, 6, 6)),
                      "covariance_singular")
  expect_kinlmm_error(blue(gain ~ group, d, covariance = -V), "covariance_singular")
  expect_kinlmm_error(blue(gain ~ group, d, covariance = V, weights = 1:6), "argument",
                      "`weights` is given too")
})

test_that("arguments that make no sense are errors", {
  d <- weight_gain()
  expect_kinlmm_error(blue(gain ~ (1 | group), d), "fixed_only", "(1 | group)")
  expect_kinlmm_error(blue(gain ~ 0, d), "no_fixed")
  expect_kinlmm_error(blue(cbind(gain, gain + 1:6) ~ group, d), "argument", "single response")
  d$id <- c(NA, letters[2:6])
  K <- structure(diag(5), dimnames = rep(list(letters[2:6]), 2))
  expect_kinlmm_error(blue(gain ~ group, d, kinship = list(id = K), h2 = 0.5,
                           na.action = stats::na.pass), "group", "missing in 1 row")
  expect_kinlmm_error(blue(gain ~ group, d, kinship = list(id = K[-1, -1]), h2 = 0.5),
                      "kinship_ids", '"b"')
  d$id <- NULL
  expect_kinlmm_error(blue(gain ~ group, d, h2 = 0.5), "argument", "`kinship` is not given")
  expect_kinlmm_error(blue(gain ~ group, d, kinship = list(id = diag(6))), "argument",
                      "`h2` is not given")
  expect_kinlmm_error(blue(gain ~ group, d, kinship = list(id = diag(6)), h2 = 1.5),
                      "argument", "between 0 and 1")
  expect_kinlmm_error(blue(gain ~ group, d, kinship = list(id = diag(6)), h2 = 0.5),
                      "variable", '"id"')
  expect_kinlmm_error(blue(gain ~ group, d, G = diag(2)), "ginverse", "6.5")
  expect_kinlmm_error(blue(gain ~ group, d, G = diag(3)), "argument", "2 x 2")
  expect_kinlmm_error(blue(gain ~ group, d, sigma2 = 0), "argument")
  expect_kinlmm_error(confint(blue(gain ~ group, d), "x"), "argument", '"x"')
})

test_that("a known variance gives normal tests, and no degrees of freedom no tests", {
  d <- weight_gain()
  fit <- blue(gain ~ group, d, sigma2 = 25)
  expect_equal(sqrt(diag(vcov(fit))), c(5 / sqrt(3), 5 * sqrt(2 / 3)), ignore_attr = TRUE)
  z <- 9 / (5 * sqrt(2 / 3))
  expect_equal(unname(coef(summary(fit))[2, 3:4]), c(z, 2 * pnorm(-z)))
  expect_equal(diff(confint(fit)[2, ]), 2 * qnorm(0.975) * 5 * sqrt(2 / 3),
               ignore_attr = TRUE)
  expect_equal(c(logLik(fit)), sum(dnorm(d$gain, fitted(fit), 5, log = TRUE)))
  exact <- blue(gain ~ group, d, subset = c(1, 4))
  expect_identical(exact$df, 0L)
  expect_true(all(is.na(summary(exact)$coefficients[, 2:4])))
  expect_output(print(summary(exact)), "no degrees of freedom")
  expect_true(all(is.na(confint(exact))))
})

test_that("means that are not estimable are NA", {
  d <- mixed_example()
  d$x2 <- 2 * d$x
  fit <- blue(y ~ x + x2, d)
  new <- data.frame(x = c(1, 1), x2 = c(2, 3))
  expect_message(got <- predict(fit, new, se.fit = TRUE),
                 class = "kinlmm_message_not_estimable")
  want <- predict(stats::lm(y ~ x, d), new, se.fit = TRUE)
  expect_equal(got$fit[1], want$fit[1])
  expect_equal(got$se.fit[1], want$se.fit[1], ignore_attr = TRUE)
  expect_true(is.na(got$fit[2]) && is.na(got$se.fit[2]))
  expect_output(print(summary(fit)), "x2 (!)", fixed = TRUE)
  expect_true(all(is.na(confint(fit)[2:3, ])))
})

test_that("the usual functions read a fit", {
  d <- mixed_example()
  fit <- blue(y ~ x + f, d, weights = w)
  want <- stats::lm(y ~ x + f, d, weights = w)
  expect_equal(deviance(fit), deviance(want))
  expect_equal(weights(fit), weights(want))
  expect_equal(formula(fit), y ~ x + f, ignore_attr = TRUE)
  expect_identical(attr(terms(fit), "term.labels"), c("x", "f"))
  expect_identical(df.residual(fit), 116L)
  expect_equal(coef(update(fit, . ~ x)), coef(stats::lm(y ~ x, d, weights = w)))
  expect_equal(BIC(fit), BIC(want))
  expect_equal(residuals(fit, "pearson", scaled = TRUE),
               residuals(want, "pearson") / sigma(want))
  file <- withr::local_tempfile(fileext = ".png")
  withr::with_png(file, {
    expect_invisible(plot(fit))
    expect_invisible(plot(fit, "qq"))
  })
  expect_gt(file.size(file), 1000)
})

test_that("without degrees of freedom the variance is said to be unknown", {
  d <- data.frame(y = c(1, 3), f = c("a", "b"))
  fit <- blue(y ~ f, d)
  expect_output(print(fit), "sigma2: not estimable")
  expect_no_match(utils::capture.output(print(summary(fit))), "t tests")
  expect_true(all(is.na(confint(fit))))
  expect_false(is.nan(logLik(blue(y ~ 1, d[1, ]))))
  expect_false(is.nan(logLik(fit, REML = TRUE)))
})

test_that("plots show residuals that V has been taken out of", {
  V <- 4 * 0.9^abs(outer(1:108, 1:108, "-")) * outer(1:108, 1:108)
  fit <- blue(distance ~ age, nlme::Orthodont, covariance = V)
  withr::local_pdf(NULL)
  plot(fit, "qq")
  expected <- residuals(fit, "normalized", scaled = TRUE)
  expect_equal(sum(expected^2), 106)
  expect_gt(graphics::par("usr")[4], max(expected))
  expect_lt(graphics::par("usr")[4], 1.2 * max(expected) + 0.1)
})
