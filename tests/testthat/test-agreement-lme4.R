# lme4's optimiser stops within about 1e-5 of its optimum, so lme4 is asked for everything
# at our optimum, where it must agree to rounding; and its own optimum must not be better.

lme4_at <- function(formula, data, theta, REML, weights = NULL) {
  parsed <- do.call(lme4::lFormula, list(formula, data, REML = REML, weights = weights))
  devfun <- do.call(lme4::mkLmerDevfun, parsed)
  criterion <- devfun(theta)
  opt <- list(par = theta, fval = criterion, conv = 0, message = "")
  list(criterion = criterion,
       model = lme4::mkMerMod(environment(devfun), opt, parsed$reTrms, fr = parsed$fr))
}

expect_lme4 <- function(formula, data, REML = TRUE, weights = NULL) {
  arguments <- list(formula, data, REML = REML, weights = weights)
  ours <- suppressMessages(do.call(lmmfit, arguments))
  at <- lme4_at(formula, data, unname(ours$theta), REML, weights)
  control <- lme4::lmerControl(calc.derivs = FALSE, check.conv.singular = "ignore")
  theirs <- suppressWarnings(do.call(lme4::lmer, c(arguments, control = list(control))))
  best <- if (REML) lme4::REMLcrit(theirs) else deviance(theirs)
  expect_equal(deviance(ours), at$criterion, tolerance = 1e-10)
  expect_lte(deviance(ours), best + 1e-6)
  model <- at$model
  expect_equal(fixef(ours), lme4::fixef(model), tolerance = 1e-6)
  expect_equal(vcov(ours), as.matrix(vcov(model)), tolerance = 1e-6, ignore_attr = TRUE)
  expect_equal(sigma(ours), sigma(model), tolerance = 1e-6)
  frames <- list(as.data.frame(VarCorr(ours)), as.data.frame(lme4::VarCorr(model)))
  expect_equal(frames[[1]][1:3], frames[[2]][1:3], ignore_attr = TRUE)
  expect_equal(frames[[1]]$vcov, frames[[2]]$vcov, tolerance = 1e-6)
  their_modes <- lme4::ranef(model, condVar = TRUE)
  group <- names(their_modes)
  our_modes <- ranef(ours)
  expect_equal(as.matrix(our_modes[[group]]), as.matrix(their_modes[[group]]),
               tolerance = 1e-6, ignore_attr = TRUE)
  their_variance <- attr(their_modes[[group]], "postVar")
  if (!is.list(their_variance)) {
    expect_equal(attr(our_modes[[group]], "postVar"), their_variance, tolerance = 1e-6,
                 ignore_attr = TRUE)
  }
  expect_equal(fitted(ours), fitted(model), tolerance = 1e-6)
  expect_equal(residuals(ours, "pearson", scaled = TRUE),
               residuals(model, "pearson", scaled = TRUE), tolerance = 1e-6,
               ignore_attr = TRUE)
  if (!ours$opt$singular) expect_lt(max(abs(ours$opt$gradient)), 1e-6)
  invisible(ours)
}

test_that("the objective at fixed theta is lme4's", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  for (theta in list(c(1, 0, 1), c(0.5, -0.2, 0.1), c(0, 0, 0.3), c(2, 1, 0))) {
    for (REML in c(TRUE, FALSE)) {
      theirs <- lme4_at(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, theta, REML)
      expect_equal(engine_criterion(fit$engine, theta, REML), theirs$criterion,
                   tolerance = 1e-11)
    }
  }
  dye <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff)
  expect_equal(engine_criterion(dye$engine, 1, TRUE), 319.792389042002, tolerance = 1e-13)
  expect_equal(engine_criterion(dye$engine, 0, TRUE), 326.023232155879, tolerance = 1e-13)
})

test_that("published optima are reached", {
  skip_if_not_installed("lme4")
  criterion <- function(formula, data, REML) {
    deviance(suppressMessages(lmmfit(formula, data, REML = REML)))
  }
  sleep <- lme4::sleepstudy
  expect_equal(criterion(Reaction ~ Days + (Days | Subject), sleep, TRUE), 1743.6282722424,
               tolerance = 1e-9)
  expect_equal(criterion(Reaction ~ Days + (Days | Subject), sleep, FALSE), 1751.93934446,
               tolerance = 1e-11)
  expect_equal(criterion(Reaction ~ Days + (Days || Subject), sleep, FALSE),
               1752.00325514, tolerance = 1e-11)
  expect_equal(criterion(Reaction ~ Days + (0 + Days | Subject), sleep, FALSE),
               1774.08031528, tolerance = 1e-11)
  expect_equal(criterion(Reaction ~ Days + (1 | Subject), sleep, FALSE), 1794.0786,
               tolerance = 1e-7)
  expect_equal(criterion(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, TRUE), 319.654276842342,
               tolerance = 1e-12)
  expect_equal(criterion(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, FALSE), 327.327059881135,
               tolerance = 1e-12)
  expect_equal(criterion(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, TRUE), 161.8283,
               tolerance = 1e-6)
  expect_equal(criterion(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, FALSE), 162.87303665,
               tolerance = 1e-10)
})

test_that("classic data give lme4's figures", {
  skip_if_not_installed("lme4")
  for (REML in c(TRUE, FALSE)) {
    expect_lme4(Reaction ~ Days + (1 | Subject), lme4::sleepstudy, REML)
    expect_lme4(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, REML)
    expect_lme4(Reaction ~ Days + (Days || Subject), lme4::sleepstudy, REML)
    expect_lme4(Reaction ~ poly(Days, 2) + (0 + Days | Subject), lme4::sleepstudy, REML)
    expect_lme4(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, REML)
    orthodont <- as.data.frame(nlme::Orthodont)
    orthodont$Subject <- factor(orthodont$Subject, ordered = FALSE)
    expect_lme4(distance ~ age * Sex + (1 | Subject), orthodont, REML)
    expect_lme4(distance ~ age * Sex + (age | Subject), orthodont, REML)
  }
})

test_that("a variance of zero is exactly zero, and said once", {
  skip_if_not_installed("lme4")
  for (REML in c(TRUE, FALSE)) {
    messages <- capture_messages(
      fit <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, REML = REML))
    expect_length(messages, 1L)
    expect_match(messages, "Batch \\(Intercept\\) is estimated as zero")
    expect_identical(unname(fit$theta), 0)
    expect_lme4(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, REML)
  }
})

test_that("200 random unbalanced data sets: same figures, never a worse optimum", {
  skip_if_not_installed("lme4")
  skip_on_cran()
  withr::local_seed(20)
  for (i in 1:200) {
    q <- sample(3:12, 1)
    sizes <- sample(1:8, q, replace = TRUE) + (seq_len(q) == 1L)
    data <- data.frame(g = factor(rep(seq_len(q), sizes)), x = stats::rnorm(sum(sizes)))
    sd <- sample(c(0, 0.1, 1, 3), 1)
    data$y <- 2 + data$x + stats::rnorm(q, sd = sd)[data$g] + stats::rnorm(nrow(data))
    data$w <- if (i %% 3 == 0) stats::runif(nrow(data), 0.2, 3) else 1
    data$y <- data$y * 10^sample(-3:3, 1)
    slopes <- i %% 2 == 0 && nrow(data) > 2 * q + 2
    formula <- if (slopes) y ~ x + (x | g) else y ~ x + (1 | g)
    expect_lme4(formula, data, REML = i %% 5 != 0, weights = data$w)
  }
})
