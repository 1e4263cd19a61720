# What lme4's own tests assert of methods, in our words: tests/testthat/test-ranef.R,
# test-predict.R, test-methods.R, test-NAhandling.R, test-weights.R, test-summary.R,
# tests/confint.R, profile-tst.R, predsim.R.

# One fit of sleepstudy for all.
sleep_fit <- function(...) {
  lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, ...)
}

test_that("conditional variances (test-ranef.R)", {
  skip_if_not_installed("lme4")
  dye <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, REML = FALSE)
  expect_equal(as.vector(attr(ranef(dye, condVar = TRUE)$Batch, "postVar")),
               rep(362.3583, 6), tolerance = 2e-4)
  variance <- attr(ranef(sleep_fit())$Subject, "postVar")[, , 1]
  expect_equal(variance, matrix(c(145.71273, -21.440414, -21.440414, 5.310927), 2),
               tolerance = 2e-4)
  apart <- lmmfit(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), lme4::sleepstudy)
  table <- as.data.frame(ranef(apart))
  at <- table[table$grp == "308", ]
  expect_equal(at$condval, c(1.5116973, 9.32373076), tolerance = 1e-3)
  expect_equal(at$condsd, c(12.2388456, 2.33546851), tolerance = 1e-3)
  expect_identical(as.character(at$term), c("(Intercept)", "Days"))
  expect_null(attr(ranef(dye, condVar = FALSE)$Batch, "postVar"))
})

test_that("fitted values of a crossed design (test-predict.R)", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(diameter ~ (1 | plate) + (1 | sample), lme4::Penicillin)
  expect_equal(unname(head(predict(fit))),
               c(25.9638, 22.7663, 25.7147, 23.6799, 23.7629, 20.773), tolerance = 1e-5)
  expect_equal(unique(unname(predict(fit, re.form = NA))), 22.9722222222, tolerance = 1e-9)
  new <- with(lme4::Penicillin, expand.grid(plate = unique(plate), sample = unique(sample)))
  all <- predict(fit, new)
  expect_equal(predict(fit, new, re.form = ~ (1 | plate) + (1 | sample)), all)
  expect_equal(predict(fit, new, re.form = ~ (1 | sample) + (1 | plate)), all)
  parts <- lapply(list(NA, ~ (1 | plate), ~ (1 | sample)), function(form) {
    predict(fit, new, re.form = form)
  })
  expect_equal(parts[[2]] + parts[[3]] - parts[[1]], all)
})

test_that("random slopes, part by part (test-predict.R)", {
  skip_if_not_installed("lme4")
  fit <- sleep_fit()
  new <- data.frame(Days = rep(c(0, 9), 3), Subject = rep(c("308", "309", "310"), each = 2))
  expected <- list(
    c(253.663652, 430.660019, 211.006416, 227.634789, 212.444743, 257.610538),
    c(251.405104848, 345.610678485, 251.405104848, 345.610678485, 251.405104848,
      345.610678485),
    c(251.405105, 428.401472, 251.405105, 268.033478, 251.405105, 296.570901),
    c(253.663652, 347.869226, 211.006416, 305.211989, 212.444743, 306.650316)
  )
  forms <- list(NULL, NA, ~ (0 + Days | Subject), ~ (1 | Subject))
  for (i in 1:4) {
    got <- unname(predict(fit, new, re.form = forms[[i]]))
    expect_equal(got, expected[[i]], tolerance = 1e-6)
  }
  sleep <- lme4::sleepstudy
  expect_equal(unname(head(predict(fit, sleep), 3)), c(253.664, 273.33, 292.996),
               tolerance = 1e-5)
  expect_equal(predict(fit, sleep), predict(fit))
  expect_equal(range(residuals(fit)), c(-101.18, 132.547), tolerance = 1e-4)
})

test_that("some levels, new levels, factors that were numbers (test-predict.R)", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  two <- predict(fit, data.frame(Days = 6, Subject = c("308", "309")))
  four <- predict(fit, data.frame(Days = rep(6, 4), Subject = c("308", "309")))
  expect_equal(unname(four), rep(unname(two), 2))
  known <- factor("308", levels = levels(lme4::sleepstudy$Subject))
  expect_equal(predict(fit, data.frame(Days = 6, Subject = known)), two[1])
  new <- data.frame(Days = 0:1, Subject = paste0("new", 1:2))
  expect_kinlmm_error(predict(fit, new), "new_levels", "new1")
  expect_equal(predict(fit, new, allow.new.levels = TRUE), predict(fit, new, re.form = NA))
  withr::local_seed(101)
  train <- data.frame(groups = rep(1:3, each = 100), x = stats::rnorm(300),
                      dv = stats::rnorm(300))
  at <- sample(300, 240)
  with_dot <- suppressMessages(lmmfit(dv ~ . - groups + (1 | groups), train[at, ]))
  without <- suppressMessages(lmmfit(dv ~ x + (1 | groups), train[at, ]))
  expect_equal(predict(with_dot, train[-at, ]), predict(without, train[-at, ]),
               tolerance = 1e-10)
})

test_that("bases, matrices and contrasts in new data (test-predict.R, test-methods.R)", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  spline <- lmmfit(Reaction ~ splines::ns(Days, 4) + (poly(Days, 2) | Subject), sleep)
  expect_equal(predict(spline, sleep[7, ]), fitted(spline)[7])
  slopes <- lmmfit(Reaction ~ Days + (poly(Days, 2) | Subject), sleep)
  expect_equal(predict(slopes, sleep[1, ]), fitted(slopes)[1])
  fixed <- lmmfit(Reaction ~ poly(Days, 2) + (1 | Subject), sleep)
  expect_equal(predict(fixed, sleep[1, ]), fitted(fixed)[1])
  sleep$X <- cbind(1, sleep$Days)
  matrix <- lmmfit(Reaction ~ -1 + X + (Days | Subject), sleep)
  expect_equal(stats::quantile(predict(matrix, sleep), names = FALSE),
               c(211.0108, 260.9496, 296.873, 328.6378, 458.1584), tolerance = 1e-5)
  withr::local_seed(1)
  d <- data.frame(fac = factor(rep(c("a", "b"), 100)), grp = rep(1:25, each = 8))
  d$y <- stats::rnorm(200) + stats::rnorm(25)[d$grp]
  contrasts(d$fac) <- matrix(c(0.5, -0.5), dimnames = list(c("a", "b"), "a"))
  own <- suppressMessages(lmmfit(y ~ fac + (fac | grp), d))
  expect_no_warning(expect_equal(predict(own, d), fitted(own)))
  only <- suppressMessages(lmmfit(y ~ 1 + (0 + fac | grp), d))
  expect_no_warning(expect_equal(unname(predict(only, d)), unname(fitted(only))))
})

test_that("terms left out of a prediction need no columns (test-predict.R)", {
  skip_if_not_installed("lme4")
  withr::local_seed(101)
  d <- data.frame(yield = stats::rnorm(100), lc = factor(rep(1:2, 50)),
                  g1 = factor(rep(1:10, 10)), g3 = factor(rep(1:10, each = 10)))
  fit <- suppressMessages(lmmfit(yield ~ 1 + (1 | g1) + (lc | g3), d))
  expect_equal(unname(predict(fit, data.frame(g1 = "1"), re.form = ~ (1 | g1))),
               unname(predict(fit, re.form = ~ (1 | g1))[1]))
  d$f <- factor(rep(1:5, 20))
  nested <- suppressMessages(lmmfit(yield ~ f + (1 | g3 / f) + (1 | g1), d))
  expect_equal(unname(predict(nested, d[1, c("f", "g3")], re.form = ~ (1 | g3 / f))),
               unname(predict(nested, re.form = ~ (1 | g3 / f))[1]))
})

test_that("interactions as grouping factors predict themselves (predsim.R, test-factors.R)", {
  withr::local_seed(101)
  d <- expand.grid(f = letters[1:10], g = letters[1:10], rep = 1:5)
  d$y <- stats::rnorm(nrow(d)) + stats::rnorm(10)[as.integer(factor(d$f))]
  codes <- transform(d, f = as.integer(factor(f)), g = as.integer(factor(g)))
  for (formula in list(y ~ (1 | f:g), y ~ (1 | f / g))) {
    fits <- lapply(list(d, codes), function(data) suppressMessages(lmmfit(formula, data)))
    expect_equal(predict(fits[[1]], d), predict(fits[[1]]))
    expect_equal(predict(fits[[2]], codes), predict(fits[[2]]))
    expect_equal(predict(fits[[1]]), predict(fits[[2]]), tolerance = 1e-8)
    expect_equal(deviance(fits[[1]]), deviance(fits[[2]]), tolerance = 1e-12)
  }
})

test_that("rows with NA keep their names (test-NAhandling.R, test-weights.R)", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  rownames(sleep) <- paste0("a", rownames(sleep))
  missing <- within(sleep, Reaction[1:3] <- NA)
  whole <- lmmfit(Reaction ~ Days + (Days | Subject), sleep)
  part <- update(whole, data = missing)
  expect_identical(head(names(fitted(whole))), paste0("a", 1:6))
  expect_identical(head(names(fitted(part))), paste0("a", 4:9))
  expect_identical(names(predict(part)), names(fitted(part)))
  expect_length(predict(part), 177L)
  expect_identical(dim(simulate(part, 2, seed = 1)), c(177L, 2L))
  expect_identical(rownames(simulate(part, seed = 1))[1:2], c("a4", "a5"))
  padded <- update(part, na.action = na.exclude)
  for (f in list(fitted, predict, residuals, weights)) {
    expect_length(f(padded), 180L)
    expect_identical(sum(is.na(f(padded))), 3L)
    expect_equal(unname(f(padded)[-(1:3)]), unname(f(part)))
  }
  expect_identical(nobs(padded), 177L)
  expect_equal(fixef(padded), fixef(part))
  expect_error(update(whole, data = missing, na.action = na.pass), class = "kinlmm_error")
  expect_error(update(whole, data = missing, na.action = na.fail), class = "kinlmm_error")
  expect_error(update(whole, data = within(sleep, Days[1:3] <- NA), na.action = na.pass),
               class = "kinlmm_error")
  expect_error(lmmfit(Reaction ~ Days + (Days | Subject),
                      within(sleep, Reaction[Reaction > 400] <- Inf)), "infinite",
               class = "kinlmm_error")
})

test_that("NA in new data (test-NAhandling.R)", {
  skip_if_not_installed("lme4")
  cake <- lme4::cake
  fit <- lmmfit(angle ~ temp + (1 | recipe) + (1 | replicate), cake)
  no_x <- within(cake, temp[1:5] <- NA)
  for (form in list(NA, NULL)) {
    pass <- predict(fit, no_x, re.form = form)
    expect_identical(unname(which(is.na(pass))), 1:5)
    expect_length(predict(fit, no_x, re.form = form, na.action = na.omit), nrow(cake) - 5L)
    expect_equal(predict(fit, no_x, re.form = form, na.action = na.omit), pass[-(1:5)],
                 ignore_attr = TRUE)
    expect_length(predict(fit, no_x, re.form = form, na.action = na.exclude), nrow(cake))
    expect_error(predict(fit, no_x, re.form = form, na.action = na.fail))
  }
  no_group <- within(cake, replicate[1:5] <- NA)
  expect_equal(predict(fit, no_group, allow.new.levels = TRUE)[1:5],
               predict(fit, no_group, re.form = ~ (1 | recipe))[1:5])
  extra <- rbind(cake, utils::tail(cake, 1))
  extra$angle[nrow(extra)] <- NA
  full <- angle ~ recipe * temperature + (1 | recipe:replicate)
  one <- lmmfit(full, cake)
  two <- lmmfit(full, extra)
  expect_equal(fixef(one), fixef(two))
  expect_equal(ranef(one), ranef(two))
})

test_that("likelihood-ratio tables (test-methods.R)", {
  skip_if_not_installed("lme4")
  small <- lmmfit(Reaction ~ 1 + (1 | Subject), lme4::sleepstudy)
  large <- lmmfit(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  table <- suppressMessages(anova(small, large))
  expect_s3_class(table, "anova")
  expect_true(all(c("npar", "AIC", "BIC", "logLik", "Chisq", "Df", "Pr(>Chisq)") %in%
                    names(table)))
  named <- suppressMessages(anova(large, small, model.names = c("a", "b")))
  expect_identical(rownames(named), c("b", "a"))
  expect_kinlmm_error(anova(small, large, model.names = c("a", "b", "c")), "argument")
  again <- small
  expect_true(all(is.na(suppressMessages(anova(again, small))[["Pr(>Chisq)"]])))
  by_call <- suppressMessages(do.call(anova, list(small, large)))
  expect_equal(as.matrix(by_call), as.matrix(table), ignore_attr = TRUE)
  withr::local_seed(101)
  missing <- data.frame(f = sample(letters[1:10], 100, TRUE), x = stats::runif(100),
                        y = stats::rnorm(100))
  missing$x[sample(100, 10)] <- NA
  full <- suppressMessages(lmmfit(y ~ x + (1 | f), missing))
  null <- suppressMessages(lmmfit(y ~ 1 + (1 | f), missing))
  expect_kinlmm_error(anova(null, full), "comparison")
})

test_that("Wald intervals and names (test-methods.R, confint.R)", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  expect_equal(as.vector(confint(fit, method = "Wald", parm = "beta_")),
               c(232.301892, 8.891041, 270.508318, 12.043531), tolerance = 1e-6)
  expect_true(all(is.na(confint(fit, method = "Wald", parm = "theta_"))))
  wald <- confint(fit, method = "Wald")
  expect_identical(dimnames(wald), list(c(".sig01", ".sigma", "(Intercept)", "Days"),
                                        c("2.5 %", "97.5 %")))
  speaking <- confint(fit, method = "Wald", signames = FALSE)
  expect_identical(rownames(speaking), c("sd_(Intercept)|Subject", "sigma", "(Intercept)",
                                         "Days"))
  expect_identical(rownames(confint(fit)), rownames(wald))
  slopes <- sleep_fit()
  expect_equal(as.vector(confint(slopes, "Days", method = "Wald")), c(7.437592, 13.496980),
               tolerance = 1e-5)
})

test_that("profile intervals (profile-tst.R, MixedModels.jl)", {
  skip_if_not_installed("lme4")
  dye <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, REML = FALSE)
  interval <- confint(dye)
  expect_equal(unname(interval[".sigma", ]), exp(c(3.64362, 4.21446)), tolerance = 1e-5)
  expect_equal(unname(interval["(Intercept)", ]), c(1486.451500, 1568.548494),
               tolerance = 1e-7)
  slopes <- confint(sleep_fit(REML = FALSE))
  rows <- c("(Intercept)", "Days", ".sigma", ".sig01")
  expect_equal(unname(slopes[rows, 1]), c(237.681, 7.359, 22.898, 14.381), tolerance = 1e-4)
  expect_equal(unname(slopes[rows, 2]), c(265.130, 13.576, 28.858, 37.718),
               tolerance = 1e-4)
  crossed <- lmmfit(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin,
                    REML = FALSE)
  expect_equal(unname(confint(crossed)),
               cbind(c(0.633565787613112, 1.09578224011285, exp(-0.721864513060904),
                       21.2666273835452),
                     c(1.1821039843372, 3.55631937954106, exp(-0.462903300019305),
                       24.6778176174587)), tolerance = 1e-5)
})

test_that("profile intervals of a component near zero reach zero (test-methods.R)", {
  withr::local_seed(102)
  d <- data.frame(X = stats::rnorm(50), Z = rep(stats::rnorm(10), each = 5), g = gl(10, 5))
  d$Y <- 1 + 0.3 * d$Z + (0.3 + 0.3 * d$Z) * d$X + stats::rnorm(50, 0, sqrt(0.5)) +
    stats::rnorm(10, 0, 0.02)[d$g]
  fit <- suppressMessages(lmmfit(Y ~ X * Z + (X || g), d))
  interval <- expect_no_warning(confint(fit, "theta_"))
  expect_true(all(interval[1:2, 1] == 0))
  expect_true(all(is.finite(interval)))
})

test_that("simulations have the model's moments (predsim.R, test-methods.R)", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  middle <- apply(simulate(fit, 1000, seed = 101, use.u = TRUE), 1, stats::median)
  expect_equal(middle, predict(fit), tolerance = 6e-3)
  middle <- apply(simulate(fit, 1000, seed = 101), 1, stats::median)
  expect_equal(middle, predict(fit, re.form = NA), tolerance = 8e-3)
  forms <- list(list(re.form = NA), list(re.form = ~0), list(use.u = FALSE))
  draws <- lapply(forms, function(form) {
    do.call(simulate, c(list(fit, seed = 101), form))
  })
  expect_equal(draws[[1]], draws[[2]])
  expect_equal(draws[[1]], draws[[3]])
  expect_equal(simulate(fit, seed = 1, re.form = NULL), simulate(fit, seed = 1, use.u = TRUE))
  variance <- stats::var(as.vector(t(simulate(fit, 400, seed = 2))[, 1]))
  expect_equal(variance, VarCorr(fit)$Subject[1, 1] + sigma(fit)^2, tolerance = 0.2)
})

test_that("model frames and summaries (test-methods.R, test-summary.R)", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  fixed <- function(...) names(model.frame(lmmfit(...), fixed.only = TRUE))
  expect_identical(fixed(Reaction ~ 1 + (1 | Subject), sleep), "Reaction")
  expect_identical(fixed(Reaction ~ log(1 + Days) + (1 | Subject), sleep),
                   c("Reaction", "log(1 + Days)"))
  spaced <- sleep
  names(spaced)[1] <- "Reaction Time"
  expect_identical(fixed(`Reaction Time` ~ Days + (1 | Subject), spaced),
                   c("Reaction Time", "Days"))
  fit <- lmmfit(Reaction ~ Days + (1 | Subject), sleep)
  expect_equal(df.residual(fit), 176)
  long <- stats::setNames(sleep, c("Reaction", "Days", paste0("Subject_", strrep("x", 30))))
  formulas <- lapply(c("|", "||"), function(bar) {
    stats::as.formula(paste("Reaction ~ Days + (Days", bar, names(long)[3], ")"))
  })
  fits <- lapply(formulas, lmmfit, long)
  heading <- attr(suppressMessages(anova(fits[[1]], fits[[2]])), "heading")
  expect_identical(sum(grepl(names(long)[3], heading, fixed = TRUE)), 2L)
  withr::local_seed(0)
  u <- matrix(stats::rnorm(24), 8)
  d <- data.frame(x.1 = stats::rnorm(80), x.2 = stats::rnorm(80), g = rep(1:8, each = 10))
  d$y <- 5 + u[d$g, 1] + d$x.1 * (2 + u[d$g, 2]) + d$x.2 * (4 + u[d$g, 3]) + stats::rnorm(80)
  correlations <- function(formula) {
    stats::cov2cor(vcov(suppressMessages(lmmfit(formula, d))))[lower.tri(diag(3))]
  }
  expect_equal(correlations(y ~ x.1 + x.2 + (1 + x.1 | g)), c(-0.019, 0.029, -0.043),
               tolerance = 0.02)
  expect_equal(correlations(y ~ x.1 + x.2 + (1 + x.1 + x.2 | g)), c(-0.069, 0.136, -0.103),
               tolerance = 0.02)
})
