fit <- lmmfit(distance ~ age * Sex + (age | Subject), nlme::Orthodont)

test_that("likelihood, information criteria and degrees of freedom", {
  ll <- logLik(fit)
  expect_equal(attr(ll, "df"), 8)
  expect_equal(attr(ll, "nobs"), 108)
  expect_equal(AIC(fit), deviance(fit) + 16)
  expect_equal(BIC(fit), deviance(fit) + 8 * log(108))
  expect_equal(df.residual(fit), 100)
  expect_equal(nobs(fit), 108)
  expect_equal(ngrps(fit), c(Subject = 27L))
  ml <- lmmfit(distance ~ age * Sex + (age | Subject), nlme::Orthodont, REML = FALSE)
  expect_gt(as.numeric(logLik(ml)), as.numeric(logLik(fit, REML = FALSE)))
})

test_that("nlme agrees", {
  data <- as.data.frame(nlme::Orthodont)
  theirs <- nlme::lme(distance ~ age * Sex, data, ~ age | Subject)
  expect_equal(as.numeric(logLik(fit)), as.numeric(logLik(theirs)), tolerance = 1e-7)
  expect_equal(fixef(fit), nlme::fixef(theirs), tolerance = 1e-5)
  expect_equal(sigma(fit), theirs$sigma, tolerance = 1e-4)
})

test_that("fitted values and residuals add up, in the frame's order", {
  expect_equal(unname(fitted(fit) + residuals(fit)), nlme::Orthodont$distance)
  expect_equal(residuals(fit, scaled = TRUE), residuals(fit) / sigma(fit))
  expect_named(fitted(fit), rownames(model.frame(fit)))
})

test_that("design matrices, frame, formula and terms", {
  expect_equal(dim(model.matrix(fit)), c(108L, 4L))
  expect_equal(dim(model.matrix(fit, "random")), c(108L, 54L))
  expect_named(model.frame(fit, fixed.only = TRUE), c("distance", "age", "Sex"))
  expect_true("Subject" %in% names(model.frame(fit)))
  expect_equal(formula(fit), distance ~ age * Sex + (age | Subject), ignore_attr = TRUE)
  expect_equal(deparse1(formula(fit, fixed.only = TRUE)), "distance ~ age * Sex")
  expect_s3_class(terms(fit), "terms")
  expect_equal(family(fit)$family, "gaussian")
})

test_that("coef() is fixed plus random effects", {
  expect_equal(coef(fit)$Subject$age, fixef(fit)[["age"]] + ranef(fit)$Subject$age)
  expect_equal(unique(coef(fit)$Subject$SexFemale), fixef(fit)[["SexFemale"]])
  slope_only <- lmmfit(distance ~ 1 + (0 + age | Subject), nlme::Orthodont)
  expect_named(coef(slope_only)$Subject, c("(Intercept)", "age"))
})

test_that("random effects and variance components as data frames", {
  effects <- as.data.frame(ranef(fit))
  expect_named(effects, c("grpvar", "term", "grp", "condval", "condsd"))
  expect_equal(nrow(effects), 54L)
  expect_output(print(ranef(fit)), "with conditional variances")
  expect_null(attr(ranef(fit, condVar = FALSE)$Subject, "postVar"))
  components <- as.data.frame(VarCorr(fit))
  expect_named(components, c("grp", "var1", "var2", "vcov", "sdcor"))
  expect_equal(components$grp, c("Subject", "Subject", "Subject", "Residual"))
  expect_output(print(VarCorr(fit)), "Corr")
  expect_equal(attr(vcov(fit, correlation = TRUE), "correlation"), stats::cov2cor(vcov(fit)))
})

test_that("update() changes formula and arguments", {
  expect_equal(names(fixef(update(fit, . ~ . - age:Sex))),
               c("(Intercept)", "age", "SexFemale"))
  expect_false(update(fit, REML = FALSE)$REML)
  in_function <- function() {
    local_data <- as.data.frame(nlme::Orthodont)
    small <- lmmfit(distance ~ age + (1 | Subject), local_data)
    update(small, . ~ . + Sex)
  }
  expect_length(fixef(in_function()), 3L)
})

test_that("lme4's extractors find the methods", {
  skip_if_not_installed("lme4")
  expect_equal(lme4::fixef(fit), fixef(fit))
  expect_equal(lme4::ngrps(fit), ngrps(fit))
  expect_equal(lme4::ranef(fit), ranef(fit))
})

test_that("update() finds the fit's own arguments where its formula was made", {
  d <- mixed_example()
  shifted <- d
  shifted$y <- d$y + 100
  in_lapply <- lapply(list(shifted), function(d) lmmfit(y ~ x + (1 | g), data = d))[[1]]
  expect_gt(fixef(update(in_lapply, . ~ . - x))[[1]], 90)
  hidden <- list(
    function() { data <- d; lmmfit(y ~ x + (1 | g), data) },
    function() { df <- d; lmmfit(y ~ x + (1 | g), df) },
    function() { c <- d; lmmfit(y ~ x + (1 | g), c) }
  )
  for (make in hidden) expect_false(update(make(), REML = FALSE)$REML)
  weighted <- function(d) {
    twice <- 2 * d$w
    lmmfit(y ~ x + (1 | g), d, weights = twice)
  }
  expect_equal(sigma(update(weighted(d), . ~ .)), sigma(weighted(d)))
  expect_equal(sigma(update(weighted(d), data = shifted)), sigma(weighted(d)))
})

test_that("update() finds new arguments in data, then where it is called", {
  d <- mixed_example()
  weighted <- function(v) lmmfit(y ~ x + (1 | g), d, weights = v)
  fit <- weighted(d$w)
  v <- rev(d$w)
  expect_equal(sigma(update(fit, weights = v)), sigma(weighted(v)))
  changed <- update(fit, weights = 1 / w, subset = x > 0)
  expect_equal(nobs(changed), sum(d$x > 0))
  expect_equal(changed$call$weights, quote(1 / w))
  expect_null(update(fit, weights = NULL)$call$weights)
  formula <- y ~ x + (1 | g)
  lost <- function(inside) lmmfit(formula, inside)
  expect_kinlmm_error(update(lost(d), REML = FALSE), "update",
                      c("`data` must be known", "'inside' not found"))
  expect_error(update(fit, nonsense = 1), class = "rlib_error_dots_nonempty")
})

test_that("arguments that would be ignored are errors", {
  for (ignored in expression(ranef(fit, foo = 1), summary(fit, foo = 1),
                             VarCorr(fit, foo = 1), fixef(fit, add.dropped = TRUE),
                             as.data.frame(VarCorr(fit), foo = 1))) {
    expect_error(eval(ignored), class = "rlib_error_dots_nonempty")
  }
})

test_that("VarCorr() takes another sigma and rows in two orders, as lme4", {
  twice <- VarCorr(fit, sigma = 2 * sigma(fit))
  expect_equal(unclass(twice$Subject), 4 * unclass(VarCorr(fit)$Subject),
               ignore_attr = TRUE)
  expect_equal(attr(twice, "sc"), 2 * sigma(fit))
  skip_if_not_installed("lme4")
  theirs <- lme4::lmer(distance ~ age * Sex + (age | Subject),
                       as.data.frame(nlme::Orthodont))
  for (order in c("cov.last", "lower.tri")) {
    expect_equal(as.data.frame(VarCorr(fit), order = order),
                 as.data.frame(lme4::VarCorr(theirs), order = order), tolerance = 0.01)
  }
  expect_equal(as.data.frame(VarCorr(fit, sigma = 2)),
               as.data.frame(lme4::VarCorr(theirs, sigma = 2)), tolerance = 0.01)
  expect_equal(extractAIC(fit), extractAIC(theirs), tolerance = 1e-6)
})

test_that("residuals of every type and weights are padded alike", {
  d <- mixed_example()
  d$x[3] <- NA
  fit <- lmmfit(y ~ x + (1 | g), d, weights = w, na.action = na.exclude)
  expect_identical(residuals(fit, "working"), residuals(fit))
  expect_identical(residuals(fit, "deviance"), residuals(fit, "pearson"))
  expect_equal(weights(fit), replace(d$w, 3, NA))
})

test_that("ngrps() knows lme4's fits, whichever generic is called", {
  expect_kinlmm_error(ngrps(3), "argument", "a model fitted by lmmfit()")
  skip_if_not_installed("lme4")
  theirs <- lme4::lmer(distance ~ age + (1 | Subject), nlme::Orthodont)
  expect_equal(ngrps(theirs), c(Subject = 27L))
  expect_equal(lme4::ngrps(fit), c(Subject = 27L))
})

test_that("a design that can't be written out is an error", {
  big <- fit
  big$random[[1]]$factor <- factor(rep("a", 108), levels = seq_len(1e6))
  expect_kinlmm_error(model.matrix(big, "random"), "dense", "2,000,000 columns")
})
