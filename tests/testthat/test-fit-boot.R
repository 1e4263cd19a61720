test_that("draws are fits of simulated responses", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  draws <- bootstrap(fit, nsim = 6, seed = 1)
  data <- lme4::sleepstudy
  # lme4's refit() is not accurate enough
  theirs <- vapply(simulate(fit, 6, seed = 1), function(y) {
    data$Reaction <- y
    model <- suppressMessages(lme4::lmer(Reaction ~ Days + (Days | Subject), data))
    varcor <- as.data.frame(lme4::VarCorr(model), order = "lower.tri")
    c(varcor$sdcor, lme4::fixef(model))
  }, numeric(6))
  expect_equal(draws$t, t(theirs), tolerance = 1e-4, ignore_attr = TRUE)
  expect_equal(colnames(draws$t), rownames(confint(fit, method = "Wald")))
  expect_equal(unname(draws$t0[["Days"]]), fixef(fit)[["Days"]])
})

test_that("a statistic of one's own sees whole fits; failures are counted, not said", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  own <- bootstrap(fit, sigma, nsim = 8, seed = 2)
  expect_equal(drop(own$t), unname(bootstrap(fit, nsim = 8, seed = 2)$t[, ".sigma"]))
  calls <- 0
  expect_silent(noisy <- bootstrap(fit, function(fit) {
    calls <<- calls + 1
    if (calls == 3) abort_comparison("no", NULL)
    if (calls > 1) message("listen")
    c(s = sigma(fit))
  }, nsim = 5, seed = 2))
  expect_equal(which(is.na(noisy$t[, "s"])), 2L)
  expect_equal(noisy$problems$conditions[["listen"]], 4L)
  expect_equal(summary(noisy)$values, 4)
  expect_output(print(noisy), "4 x listen")
  expect_kinlmm_error(bootstrap(fit, function(fit) "a", nsim = 2), "argument", "numbers")
  expect_kinlmm_error(bootstrap(fit, "sigma", nsim = 2), "argument", "a function")
})

test_that("singular fits are counted", {
  skip_if_not_installed("lme4")
  fit <- suppressMessages(lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2))
  draws <- expect_silent(bootstrap(fit, nsim = 20, seed = 1))
  expect_equal(draws$problems$singular, sum(draws$t[, ".sig01"] == 0))
  expect_gt(draws$problems$singular, 0)
})

test_that("intervals are boot.ci()'s", {
  skip_if_not_installed("boot")
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  draws <- bootstrap(fit, nsim = 99, seed = 3)
  for (level in c(0.9, 0.87)) for (type in c("norm", "basic", "perc")) {
    theirs <- suppressWarnings(boot::boot.ci(draws, level, type, index = 4))[[4]]
    ours <- confint(draws, "age", level, type)
    expect_equal(drop(unname(ours)), utils::tail(c(theirs), 2), tolerance = 1e-8)
  }
  expect_equal(rownames(confint(draws, "theta_")), c(".sig01", ".sigma"))
  expect_equal(rownames(confint(draws, 3:4)), c("(Intercept)", "age"))
  expect_kinlmm_error(confint(draws, "nobody"), "argument", "nobody")
})

test_that("the generator is left where it was, and blocks of draws do not matter", {
  fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  set.seed(9)
  before <- .Random.seed
  bootstrap(fit, nsim = 2, seed = 1)
  expect_identical(.Random.seed, before)
  whole <- withr::with_seed(1, simulate_matrix(fit, 4L, wanted_columns(fit, NA, NULL)))
  parts <- withr::with_seed(1, cbind(simulate_matrix(fit, 1L, wanted_columns(fit, NA, NULL)),
                                     simulate_matrix(fit, 3L, wanted_columns(fit, NA, NULL))))
  expect_identical(whole, parts)
})

test_that("random effects may be kept", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  kept <- bootstrap(fit, nsim = 40, seed = 1, use.u = TRUE)
  drawn <- bootstrap(fit, nsim = 40, seed = 1)
  expect_lt(sd(kept$t[, ".sig01"]), sd(drawn$t[, ".sig01"]))
})
