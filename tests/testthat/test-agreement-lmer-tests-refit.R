# What lme4's own tests assert of refits, profiles and bootstraps, in our words:
# tests/refit.R, profile-tst.R, bootMer.R, tests/testthat/test-methods.R,
# test-NAhandling.R, test-lmer.R.

test_that("a refit is the fit of the other response (refit.R, test-lmer.R)", {
  skip_if_not_installed("lme4")
  dye <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff)
  same <- refit(dye, lme4::Dyestuff$Yield)
  for (part in c("coefficients", "theta", "sigma", "vcov")) {
    expect_equal(same[[part]], dye[[part]], tolerance = 1e-7)
  }
  zero <- suppressMessages(refit(dye, lme4::Dyestuff2$Yield))
  expect_equal(unname(fixef(zero)), 5.6656, tolerance = 1e-10)
  expect_identical(unname(VarCorr(zero)$Batch[1, 1]), 0)
  models <- list(
    lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy),
    lmmfit(Reaction ~ Days + (Days || Subject), lme4::sleepstudy, REML = FALSE),
    lmmfit(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin),
    lmmfit(strength ~ 1 + (1 | batch / cask), lme4::Pastes)
  )
  for (fit in models) {
    y <- simulate(fit, seed = 101)[[1]]
    again <- suppressMessages(refit(fit, y))
    data <- model.frame(fit)
    data[[1]] <- y
    fresh <- fit_weighted(formula(fit), data, fit$REML)
    expect_equal(deviance(again), deviance(fresh), tolerance = 1e-9)
    expect_equal(fixef(again), fixef(fresh), tolerance = 1e-5)
    expect_equal(again$theta, fresh$theta, tolerance = 1e-4)
    expect_equal(fitted(again), fitted(fresh), tolerance = 1e-4)
  }
})

test_that("many responses are as many refits (test-methods.R)", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  responses <- as.matrix(simulate(fit, 20, seed = 1))
  many <- suppressMessages(refit(fit, responses))
  expect_length(many, 20L)
  for (i in c(1, 7, 20)) {
    theirs <- lme4_objective(formula(fit), transform(lme4::sleepstudy,
                                                     Reaction = responses[, i]), TRUE)
    one <- suppressMessages(refit(fit, responses[, i]))
    expect_equal(unname(fixef(many)[i, ]), unname(fixef(one)), tolerance = 1e-6)
    expect_lte(deviance(one), lme4_optimum(theirs, "bobyqa")$criterion + 1e-6)
  }
})

test_that("responses with NA (test-NAhandling.R)", {
  skip_if_not_installed("lme4")
  missing <- within(lme4::sleepstudy, Reaction[1:3] <- NA)
  fit <- lmmfit(Reaction ~ Days + (Days | Subject), missing)
  expect_equal(fixef(refit(fit, simulate(fit, seed = 1)[[1]])),
               fixef(update(fit, data = within(missing, {
                 Reaction[4:180] <- simulate(fit, seed = 1)[[1]]
               }))), tolerance = 1e-6)
})

test_that("profiles on both scales (test-methods.R, profile-tst.R)", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  sd <- profile(fit, which = "theta_")
  variance <- profile(fit, which = "theta_", prof.scale = "varcov")
  expect_equal(unname(confint(sd)^2), unname(confint(variance)), tolerance = 1e-4)
  expect_equal(confint(sd), confint(fit, "theta_"), tolerance = 1e-4)
  table <- as.data.frame(profile(fit, which = "Days"))
  expect_true(all(c(".zeta", ".par", ".focal") %in% names(table)))
  middle <- table[abs(table$.zeta) < 1e-8, ]
  expect_equal(unique(middle$.focal), fixef(fit)[["Days"]], tolerance = 1e-8)
  expect_true(all(diff(table$.zeta[order(table$.focal)]) > 0))
})

test_that("bootstrap intervals (bootMer.R, test-methods.R)", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  intervals <- lapply(c(0.95, 0.5), function(level) {
    suppressMessages(suppressWarnings(
      confint(fit, method = "boot", nsim = 200, seed = 101, level = level)))
  })
  expect_true(all(intervals[[1]][, 1] <= intervals[[2]][, 1]))
  expect_true(all(intervals[[1]][, 2] >= intervals[[2]][, 2]))
  again <- suppressMessages(suppressWarnings(
    confint(fit, method = "boot", nsim = 200, seed = 101)))
  expect_equal(again, intervals[[1]])
  expect_true(all(abs(again[".sig02", ]) <= 1))
  wald <- confint(fit, method = "Wald", parm = "beta_")
  expect_equal(again[rownames(wald), ], wald, tolerance = 0.15, ignore_attr = TRUE)
  expect_error(confint(fit, method = "junk"))
})
