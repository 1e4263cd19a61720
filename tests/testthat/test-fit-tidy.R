skip_if_not_installed("generics")
tidy <- generics::tidy
data <- as.data.frame(nlme::Orthodont)
fit <- lmmfit(distance ~ age * Sex + (age | Subject), data)

test_that("tables have the columns and rows of broom.mixed", {
  skip_if_not_installed("broom.mixed")
  exact <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9),
                             calc.derivs = FALSE)
  theirs <- lme4::lmer(distance ~ age * Sex + (age | Subject), data, control = exact)
  for (effects in list(c("ran_pars", "fixed"), "fixed", "ran_pars", "ran_vals", "ran_coefs",
                       c("ran_vals", "fixed"))) {
    a <- tidy(fit, effects, ddf = "none")
    b <- tidy(theirs, effects)
    expect_s3_class(a, class(b)[[1L]])
    expect_equal(as.data.frame(a), as.data.frame(b), tolerance = 1e-4,
                 info = toString(effects))
  }
  expect_equal(as.data.frame(tidy(fit, conf.int = TRUE, ddf = "none")),
               as.data.frame(tidy(theirs, conf.int = TRUE)), tolerance = 1e-4)
  expect_equal(as.data.frame(tidy(fit, "ran_pars", scales = "vcov")),
               as.data.frame(tidy(theirs, "ran_pars", scales = "vcov")), tolerance = 1e-4)
  expect_equal(as.data.frame(generics::glance(fit)),
               as.data.frame(generics::glance(theirs)), tolerance = 1e-5)
  ml <- refitML(fit)
  expect_equal(as.data.frame(generics::glance(ml)),
               as.data.frame(generics::glance(refitML(theirs))), tolerance = 1e-4)
  a <- generics::augment(fit)
  b <- as.data.frame(generics::augment(theirs))
  expect_equal(as.data.frame(a)[setdiff(names(a), ".weights")],
               b[setdiff(names(a), ".weights")], tolerance = 1e-4)
})

test_that("intervals are those of confint()", {
  wald <- tidy(fit, "fixed", conf.int = TRUE, conf.level = 0.9, ddf = "none")
  expect_equal(unname(cbind(wald$conf.low, wald$conf.high)),
               unname(confint(fit, "beta_", level = 0.9, method = "Wald")))
  small <- lmmfit(distance ~ age + (1 | Subject), data)
  profile <- tidy(small, conf.int = TRUE, conf.method = "profile", ddf = "none")
  expect_equal(unname(cbind(profile$conf.low, profile$conf.high)),
               unname(confint(small)[c(3:4, 1:2), ]))
  values <- tidy(fit, "ran_vals", conf.int = TRUE)
  expect_equal(values$conf.high - values$estimate, stats::qnorm(0.975) * values$std.error)
})

test_that("fixed effects have the tests of summary()", {
  for (ddf in c("Satterthwaite", "Kenward-Roger")) {
    table <- coef(summary(fit, ddf = ddf))
    rows <- tidy(fit, "fixed", conf.int = TRUE, ddf = ddf)
    expect_equal(rows$df, unname(table[, "df"]))
    expect_equal(rows$p.value, unname(table[, "Pr(>|t|)"]))
    expect_equal((rows$conf.high - rows$estimate) / rows$std.error,
                 stats::qt(0.975, rows$df))
  }
  expect_true("df" %in% names(tidy(fit)))
})

test_that("augment() keeps rows of the data that were left out, and predicts new ones", {
  d <- mixed_example()
  d$x[3] <- NA
  fit <- lmmfit(y ~ x + (1 | g), d, weights = w)
  expect_equal(nrow(generics::augment(fit)), 119L)
  all <- generics::augment(fit, d)
  expect_equal(which(is.na(all$.fitted)), 3L)
  expect_equal(all$.resid[-3], unname(residuals(fit)))
  expect_equal(all$.cooksd[-3], unname(cooks.distance(fit)))
  expect_equal(all$.weights[-3], d$w[-3])
  new <- generics::augment(fit, newdata = data.frame(x = 1:2, g = c("1", "new")))
  expect_equal(new$.fixed, unname(predict(fit, data.frame(x = 1:2), re.form = NA)))
  expect_equal(new$.fitted[2], new$.fixed[2])
  expect_kinlmm_error(generics::augment(fit, d[-5, ]), "augment", "\"5\"")
})

test_that("arguments are checked", {
  expect_kinlmm_error(tidy(fit, "random"), "argument", "ran_pars")
  expect_error(tidy(fit, nonsense = 1), class = "rlib_error_dots_nonempty")
})
