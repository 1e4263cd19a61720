# What lme4's own tests assert of fits, in our words: tests/testthat/test-lmer.R,
# tests/lmer-1.R, REMLdev.R, devCritFun.R, lme4_nlme.R, priorWeights.R,
# priorWeightsModComp.R, boundary.R, falsezero_dorie.R, minval.R.

quiet <- function(...) suppressMessages(lmmfit(...))

test_that("Dyestuff: every figure (test-lmer.R)", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff)
  expect_equal(unname(fixef(fit)), 1527.5, tolerance = 1e-12)
  expect_equal(VarCorr(fit)$Batch[1, 1], 1764.050060, tolerance = 1e-5)
  expect_equal(deviance(fit), 319.654276842342, tolerance = 1e-12)
  expect_equal(sigma(fit), 49.5101, tolerance = 1e-6)
  expect_equal(vcov(fit)[1, 1], 375.7167, tolerance = 1e-5)
  expect_equal(unname(fit$theta), 0.84832, tolerance = 1e-5)
  expect_equal(extractAIC(fit), c(3, 333.327059881135), tolerance = 1e-12)
  expect_identical(family(fit), gaussian())
  ml <- update(fit, REML = FALSE)
  expect_equal(deviance(ml), 327.327059881135, tolerance = 1e-12)
  expect_equal(sigma(ml), 49.5101, tolerance = 1e-6)
  expect_equal(vcov(ml)[1, 1], 313.0972, tolerance = 1e-6)
  expect_equal(extractAIC(ml), c(3, 333.327059881135), tolerance = 1e-12)
  expect_equal(model.matrix(fit), matrix(1, 30, 1), ignore_attr = TRUE)
  Z <- model.matrix(fit, "random")
  expect_identical(dim(Z), c(30L, 6L))
  expect_identical(colnames(Z), levels(lme4::Dyestuff$Batch))
  expect_equal(Z, outer(as.integer(lme4::Dyestuff$Batch), 1:6, `==`) + 0,
               ignore_attr = TRUE)
  other <- quiet(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2)
  expect_equal(unname(fixef(other)), 5.6656, tolerance = 1e-12)
  expect_identical(VarCorr(other)[[1]][1, 1], 0)
})

test_that("arguments in every harmless form give the same fit (test-lmer.R)", {
  skip_if_not_installed("lme4")
  dye <- lme4::Dyestuff
  plain <- lmmfit(Yield ~ 1 + (1 | Batch), dye)
  same <- list(
    lmmfit(Yield ~ 1 + (1 | Batch), dye, REML = TRUE),
    lmmfit(Yield ~ 1 + (1 | Batch), dye, start = NULL),
    lmmfit(Yield ~ 1 + (1 | Batch), dye, subset = TRUE),
    lmmfit(Yield ~ 1 + (1 | Batch), dye, weights = rep(1, nrow(dye))),
    lmmfit(Yield ~ 1 + (1 | Batch), dye, na.action = "na.exclude"),
    lmmfit(Yield ~ 1 + (1 | Batch), dye, offset = rep(0, nrow(dye))),
    lmmfit(Yield ~ 1 + (1 | Batch), dye, contrasts = NULL),
    lmmfit(Yield ~ 1 + (1 | Batch), dye, control = lmm_control()),
    lmmfit(Yield ~ (1 | Batch), dye), lmmfit(Yield ~ 1 + (1 | Batch), dye)
  )
  for (fit in same) {
    expect_equal(fit[c("coefficients", "theta", "sigma", "vcov")],
                 plain[c("coefficients", "theta", "sigma", "vcov")], tolerance = 1e-14)
  }
  expect_error(lmmfit(Yield ~ 1 + (1 | Batch), dye, junk = TRUE))
  expect_kinlmm_error(lmmfit(Yield ~ 1 + (1 | Batch), dye, control = list()), "argument")
  expect_error(lmmfit(Yield ~ 1 + (1 | Batch), no_such_data))
  expect_kinlmm_error(lmmfit(no_such ~ 1 + (1 | Batch), dye), "variable", "no_such")
})

test_that("designs that do not identify the model are refused (test-lmer.R, lmer-1.R)", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  expect_error(lmmfit(Reaction ~ Days + (1 | Subject), sleep,
                      subset = Subject == levels(Subject)[1]), "at least two levels",
               class = "kinlmm_error")
  expect_error(lmmfit(Reaction ~ Days + (Days | Subject), sleep, subset = Days %in% c(1, 9)),
               class = "kinlmm_error")
  each <- transform(sleep, obs = seq_len(nrow(sleep)))
  expect_error(lmmfit(Reaction ~ Days + (1 | obs), each), class = "kinlmm_error")
  expect_error(lmmfit(y ~ 1 + (1 | group), data.frame(group = letters[1:5], y = 1:5)),
               class = "kinlmm_error")
  none <- transform(sleep, Days = NA_real_)
  expect_error(lmmfit(Reaction ~ Days + (1 | Subject), none), class = "kinlmm_error")
  few <- lmmfit(Reaction ~ Days + (1 | Subject), sleep,
                subset = Subject %in% levels(Subject)[1:4])
  expect_identical(unname(ngrps(few)), 4L)
})

test_that("effects on covariates of any scale (test-lmer.R)", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  plain <- lmmfit(Reaction ~ Days + (Days | Subject), sleep)
  for (scale in c(1e-6, 1e6)) {
    scaled <- expect_silent(lmmfit(Reaction ~ x + (x | Subject),
                                   transform(sleep, x = Days * scale)))
    expect_equal(unname(fixef(scaled) * c(1, scale)), unname(fixef(plain)), tolerance = 1e-9)
    expect_equal(unname(scaled$theta * c(1, scale, scale)), unname(plain$theta),
                 tolerance = 1e-6)
    expect_equal(deviance(scaled), deviance(plain) + 2 * log(scale), tolerance = 1e-9)
  }
})

test_that("coef() adds what the fixed effects lack (test-lmer.R)", {
  withr::local_seed(101)
  d <- data.frame(resp = stats::runif(100), v1 = factor(sample(1:5, 100, TRUE)),
                  v2 = stats::runif(100), v3 = factor(sample(1:5, 100, TRUE)))
  fit <- quiet(resp ~ 0 + v1 + v1:v2 + (1 | v3), d)
  table <- coef(fit)$v3
  expect_s3_class(table, "data.frame")
  expect_setequal(names(table), c("(Intercept)", names(fixef(fit))))
  expect_equal(table[["(Intercept)"]], ranef(fit)$v3[["(Intercept)"]])
})

test_that("sleepstudy: the same model in several spellings (lmer-1.R)", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  one <- lmmfit(Reaction ~ Days + (Days | Subject), sleep)
  apart <- lmmfit(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), sleep)
  expect_equal(fixef(one), fixef(apart), tolerance = 1e-12)
  expect_equal(unname(fixef(one)), c(251.405104848485, 10.467285959595), tolerance = 1e-12)
  expect_equal(stats::cov2cor(vcov(one))[2, 1], -0.1375, tolerance = 4e-4)
  updated <- update(one, . ~ Days + (1 | Subject) + (0 + Days | Subject))
  expect_equal(updated$theta, apart$theta)
  ml <- lapply(list(one, apart), update, REML = FALSE)
  expect_equal(vapply(ml, AIC, 0), c(1763.94, 1762), tolerance = 2e-6)
  expect_equal(vapply(ml, BIC, 0), c(1783.1, 1777.97), tolerance = 2e-6)
  logged <- lmmfit(log(Reaction) ~ log(Days + 1) + (log(Days + 1) | Subject), sleep,
                   REML = FALSE)
  expect_identical(dim(ranef(logged)$Subject), c(18L, 2L))
})

test_that("a variance of zero leaves the fixed effects of a linear model (lmer-1.R)", {
  skip_if_not_installed("lme4")
  fit <- quiet(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2)
  expect_equal(unname(coef(summary(fit))[, c("Estimate", "Std. Error", "t value")]),
               c(5.6656, 0.67838803150, 8.3515624346), tolerance = 1e-9)
  expect_true(all(coef(fit)$Batch == fixef(fit)))
})

test_that("random effects of a small simulated sample (lmer-1.R)", {
  group <- gl(10, 2)
  withr::local_seed(0)
  a <- stats::rnorm(10, 1, 2)
  y <- stats::rnorm(20, a[group], 1)
  fit <- lmmfit(y ~ 1 + (1 | group))
  expect_equal(fixef(fit), c("(Intercept)" = 1.571312129), tolerance = 1e-9)
  expect_equal(ranef(fit)$group[[1]],
               c(1.8046888, -1.8097665, 1.6146451, 1.5408268, -0.1331995, -3.3306655,
                 -1.8259277, -0.8735145, -0.3591311, 3.3720441), tolerance = 1e-5)
  expect_equal(as.vector(attr(ranef(fit)$group, "postVar")), rep(0.311091076, 10),
               tolerance = 1e-5)
})

test_that("a factor nested in fixed effects, written in two ways (lmer-1.R)", {
  withr::local_seed(1)
  dat <- data.frame(lagoon = gl(4, 25), habitat = gl(20, 5))
  dat$y <- round(10 * stats::rnorm(100, 10 * as.numeric(dat$lagoon)))
  expect_error(lmmfit(y ~ habitat + (1 | habitat * lagoon), dat), class = "kinlmm_error")
  long <- lmmfit(y ~ 0 + lagoon + (1 | habitat:lagoon), dat)
  short <- lmmfit(y ~ 0 + lagoon + (1 | habitat), dat)
  expect_equal(fixef(long), fixef(short), tolerance = 1e-14)
  expect_equal(ranef(long)[[1]], ranef(short)[[1]], tolerance = 1e-10, ignore_attr = TRUE)
  expect_equal(unname(fixef(short)) - (1:4) * 100, c(1.72, 0.28, 1.76, 0.8),
               tolerance = 1e-12)
  expect_equal(unname(vcov(short)), diag(9.9833 / 3, 4), tolerance = 1e-4)
})

test_that("parentheses round a left-hand side change nothing (lmer-1.R)", {
  withr::local_seed(2)
  D <- data.frame(y = stats::rnorm(24, 10), ff = gl(3, 2, 24),
                  x1 = round(stats::rnorm(24, 3), 1), x2 = round(stats::rnorm(24, 7), 1))
  modes <- lapply(list(y ~ ((x1 + x2) | ff), y ~ (x1 + x2 | ff)), function(f) {
    ranef(quiet(f, D))
  })
  expect_equal(modes[[1]], modes[[2]])
  modes <- lapply(list(y ~ x1 + (x2 | ff), y ~ (x2 | ff) + x1), function(f) ranef(quiet(f, D)))
  expect_equal(modes[[1]], modes[[2]])
  expect_error(lmmfit(y ~ x2 | ff + x1, D), class = "kinlmm_error")
})

test_that("very unequal numbers of records, NA in response and group (lmer-1.R)", {
  sizes <- c(800, 300, 150, 100, 50, 50, 50, 20, 20, 5, 2, 2, 2, 2)
  withr::local_seed(101)
  d <- data.frame(g = factor(rep(seq_len(sum(sizes)), rep(seq_along(sizes), sizes))))
  d$z <- stats::rnorm(nrow(d))
  d$z[sample(nrow(d), 100)] <- NA
  d$g[sample(nrow(d), 100)] <- NA
  fit <- quiet(z ~ (1 | g), d)
  omitted <- quiet(z ~ (1 | g), stats::na.omit(d))
  expect_equal(deviance(fit), deviance(omitted), tolerance = 1e-12)
  expect_equal(VarCorr(fit)$g[1, 1], VarCorr(omitted)$g[1, 1])
  skip_if_not_installed("lme4")
  theirs <- lme4_objective(z ~ (1 | g), d, TRUE)
  expect_lte(deviance(fit), lme4_optimum(theirs, "bobyqa")$criterion + 1e-6)
})

test_that("likelihood and REML criterion of either fit (REMLdev.R, devCritFun.R)", {
  skip_if_not_installed("lme4")
  reml <- lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  ml <- update(reml, REML = FALSE)
  expect_equal(deviance(reml), 1743.6282722424, tolerance = 1e-9)
  expect_equal(deviance(reml, REML = FALSE), 1751.98581103058, tolerance = 1e-7)
  expect_equal(c(logLik(reml), logLik(ml)), c(deviance(reml), deviance(ml)) / -2)
  expect_equal(c(logLik(reml, REML = FALSE)), deviance(reml, REML = FALSE) / -2)
  expect_gt(deviance(reml, REML = FALSE), deviance(ml))
  expect_gt(deviance(ml, REML = TRUE), deviance(reml))
  sleep <- lme4::sleepstudy
  withr::local_seed(1)
  sleep$w <- stats::runif(nrow(sleep))
  fit <- lmmfit(Reaction ~ Days + (Days | Subject), sleep, weights = w)
  theirs <- lme4_objective(Reaction ~ Days + (Days | Subject), sleep, FALSE, sleep$w)
  expect_equal(deviance(fit, REML = FALSE), theirs$devfun(unname(fit$theta)),
               tolerance = 1e-10)
})

# nlme stops at about 1e-4 of its estimates.
expect_nlme <- function(ours, theirs) {
  expect_equal(as.numeric(logLik(ours)), as.numeric(logLik(theirs)), tolerance = 1e-7)
  expect_equal(unname(fixef(ours)), unname(nlme::fixef(theirs)), tolerance = 1e-4)
  expect_equal(unname(sqrt(diag(vcov(ours)))), unname(summary(theirs)$tTable[, "Std.Error"]) *
                 sqrt(if (theirs$method == "ML") 1 - length(fixef(ours)) / nobs(ours) else 1),
               tolerance = 1e-3)
  expect_equal(sigma(ours), sigma(theirs), tolerance = 1e-3)
}

test_that("nlme gives the same fits (lme4_nlme.R)", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  ours <- lmmfit(Reaction ~ Days + (Days | Subject), sleep)
  theirs <- nlme::lme(Reaction ~ Days, random = ~ Days | Subject, data = sleep)
  expect_nlme(ours, theirs)
  expect_equal(as.matrix(ranef(ours)$Subject), as.matrix(nlme::ranef(theirs)),
               tolerance = 2e-4, ignore_attr = TRUE)
  covariance <- nlme::getVarCov(theirs)
  expect_equal(unname(VarCorr(ours)$Subject), matrix(covariance, 2), tolerance = 1e-3,
               ignore_attr = TRUE)
})

test_that("nlme gives the same fits with weights (priorWeights.R)", {
  withr::local_seed(1)
  n <- 1000
  d <- data.frame(g = factor(rep(1:100, each = 10)), x = stats::rnorm(n), z = stats::rnorm(n))
  u <- matrix(stats::rnorm(300), 100)[d$g, ]
  sd <- stats::rpois(n, 1) + 1
  d$y <- u[, 1] + (1 + u[, 2]) * d$x + (1 + u[, 3]) * d$z + stats::rnorm(n, sd = sd)
  d$v <- sd^2
  variance <- nlme::varFixed(~v)
  for (REML in c(TRUE, FALSE)) {
    method <- if (REML) "REML" else "ML"
    ours <- lmmfit(y ~ x + (1 | g), d, REML = REML, weights = 1 / v)
    expect_nlme(ours, nlme::lme(y ~ x, d, ~ 1 | g, weights = variance, method = method))
    ours <- lmmfit(y ~ x + (x | g), d, REML = REML, weights = 1 / v)
    expect_nlme(ours, nlme::lme(y ~ x, d, ~ x | g, weights = variance, method = method))
    ours <- lmmfit(y ~ x + z + (x + z | g), d, REML = REML, weights = 1 / v)
    expect_nlme(ours, nlme::lme(y ~ x + z, d, ~ x + z | g, weights = variance,
                                method = method))
  }
})

test_that("nlme gives the same nested fits (priorWeights.R)", {
  data <- as.data.frame(nlme::Oats)
  for (REML in c(TRUE, FALSE)) {
    ours <- lmmfit(yield ~ nitro + (1 | Block / Variety), data, REML = REML)
    expect_nlme(ours, nlme::lme(yield ~ nitro, data, ~ 1 | Block / Variety,
                                method = if (REML) "REML" else "ML"))
  }
  skip_if_not_installed("mlmRev")
  skip_on_cran()
  chem <- mlmRev::Chem97
  expect_nlme(lmmfit(score ~ 1 + (1 | lea / school), chem),
              nlme::lme(score ~ 1, chem, ~ 1 | lea / school))
})

test_that("the scale of the weights moves sigma alone (priorWeights.R, ModComp)", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  for (seed in 0:9) {
    sleep$w <- withr::with_seed(seed, 1 / (stats::rpois(nrow(sleep), 1) + 1))
    fits <- lapply(c(1, 10), function(scale) {
      sleep$w <- sleep$w * scale
      list(large = lmmfit(Reaction ~ Days + (Days | Subject), sleep, REML = FALSE,
                          weights = w),
           small = lmmfit(Reaction ~ Days + (1 | Subject), sleep, REML = FALSE, weights = w))
    })
    tables <- lapply(fits, function(pair) anova(pair$small, pair$large))
    expect_equal(tables[[1]]$Chisq[[2]], tables[[2]]$Chisq[[2]], tolerance = 1e-9)
    expect_equal(tables[[1]]$AIC, tables[[2]]$AIC, tolerance = 1e-10)
    expect_equal(sigma(fits[[2]]$large), sqrt(10) * sigma(fits[[1]]$large), tolerance = 1e-7)
    expect_equal(fixef(fits[[2]]$large), fixef(fits[[1]]$large), tolerance = 1e-7)
  }
})

test_that("no false zeros: crossed measurements (boundary.R)", {
  skip_if_not_installed("lme4")
  path <- system.file("testdata", "dat20101314.csv", package = "lme4")
  skip_if(path == "")
  gauge <- utils::read.csv(path)
  fit <- lmmfit(y ~ (1 | Operator) + (1 | Part) + (1 | Part:Operator), gauge)
  expect_true(all(fit$theta > 0))
  theirs <- lme4_objective(formula(fit), gauge, TRUE)
  expect_lte(deviance(fit), lme4_optimum(theirs)$criterion + 1e-6)
})

# The data of lme4's test with one level pulled out: lme4's Nelder-Mead says zero.
test_that("no false zeros: an outlying level (boundary.R)", {
  skip_if_not_installed("lme4")
  path <- system.file("testdata", "koller-data.R", package = "lme4")
  skip_if(path == "")
  made <- new.env()
  sys.source(path, made)
  fit <- lmmfit(y ~ (1 | Var2), made$getData(13))
  expect_equal(unname(fit$theta), 0.21067645, tolerance = 1e-6)
  for (i in c(1, 7, 20, 31)) expect_lme4(y ~ (1 | Var2), made$getData(i))
})

test_that("zeros are zeros, and tiny variances are not (boundary.R)", {
  skip_if_not_installed("lme4")
  for (seed in 1:30) {
    withr::local_seed(seed)
    d <- data.frame(x = stats::rnorm(60), f = gl(6, 10))
    d$y <- 1 + d$x + stats::rnorm(6, sd = 0.05)[d$f] + stats::rnorm(60, sd = 5)
    fit <- expect_lme4(y ~ x + (1 | f), d)
    slope <- engine_criterion(fit$engine, 1e-3, TRUE) - engine_criterion(fit$engine, 0, TRUE)
    expect_identical(unname(fit$theta) == 0, slope >= 0)
  }
})

# Balanced one-way layout: the estimate is a formula of the sums of squares.
test_that("the closed form of a balanced layout (falsezero_dorie.R)", {
  for (seed in 1:20) {
    withr::local_seed(seed)
    n <- 5
    g <- gl(10, n)
    y <- stats::rnorm(10, 0, stats::runif(1, 0, 2))[g] + stats::rnorm(50, 2, 2)
    means <- tapply(y, g, mean)
    ratio <- n * sum((means - mean(y))^2) / sum((y - means[g])^2)
    expected <- sqrt(max((n - 1) * ratio / n - 1 / n, 0))
    fit <- quiet(y ~ 1 + (1 | g), REML = FALSE)
    expect_equal(unname(fit$theta), expected, tolerance = 1e-7)
    reml <- sqrt(max((n - 1) * ratio / n * 10 / 9 - 1 / n, 0))
    expect_equal(unname(quiet(y ~ 1 + (1 | g))$theta), reml, tolerance = 1e-7)
  }
})

test_that("a variance of three groups (minval.R)", {
  withr::local_seed(666)
  mu <- stats::rnorm(3, 0, 0.15)
  d <- data.frame(y = c(sapply(mu, function(m) stats::rnorm(8, m, 0.15))), g = gl(3, 8))
  expect_equal(VarCorr(lmmfit(y ~ (1 | g), d))$g[1, 1], 0.029662698, tolerance = 1e-6)
})

# Two crossed factors of words and readers, maximal slopes: the signs and zeros among
# which MixedModels.jl once stopped at a saddle (its issues 705 and 833).
test_that("no saddle: correlated slopes on crossed factors", {
  skip_if_not_installed("lme4")
  for (seed in 1:6) {
    withr::local_seed(seed)
    d <- expand.grid(subj = factor(1:12), item = factor(1:8), cond = c(-0.5, 0.5))
    effects <- function(q, sd, r) {
      z <- matrix(stats::rnorm(2 * q), q)
      z %*% chol(matrix(c(1, r, r, 1), 2)) %*% diag(sd)
    }
    s <- effects(12, c(1, 0.4), c(-0.95, 0.95)[1 + seed %% 2])
    i <- effects(8, c(0.3, 0.02), -0.9)
    d$y <- 2 + 0.3 * d$cond + rowSums(s[d$subj, ] * cbind(1, d$cond)) +
      rowSums(i[d$item, ] * cbind(1, d$cond)) + stats::rnorm(nrow(d))
    formula <- y ~ cond + (cond | subj) + (cond | item)
    fit <- fit_weighted(formula, d, REML = FALSE)
    best <- lme4_optimum(lme4_objective(formula, d, FALSE))
    expect_lte(deviance(fit), best$criterion + 1e-6)
    # from starts on the wrong side of a sign
    for (start in list(c(1, -1, 0.1, 1, 1, 0.1), c(0.1, 0, 1, 1, -2, 0))) {
      again <- suppressMessages(lmmfit(formula, d, REML = FALSE, start = start))
      expect_equal(deviance(again), deviance(fit), tolerance = 1e-9)
    }
  }
})
