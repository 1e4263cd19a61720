test_that("the fit holds what its help page says", {
  fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  expect_s3_class(fit, "lmmfit")
  expect_named(fit$theta, c("Subject.(Intercept)", "Subject.age.(Intercept)",
                            "Subject.age"))
  expect_true(fit$opt$converged)
  expect_lt(max(abs(fit$opt$gradient)), 1e-6)
  expect_equal(fit$opt$bound, "none")
})

test_that("a fit survives saveRDS() and keeps nothing outside R", {
  K <- withr::with_seed(1, toy_kinship(20))
  data <- withr::with_seed(2, toy_pheno(K))
  fit <- suppressMessages(lmmfit(y ~ x + (1 | id), data, kinship = list(id = K)))
  path <- withr::local_tempfile(fileext = ".rds")
  saveRDS(fit, path)
  again <- readRDS(path)
  expect_equal(heritability(again), heritability(fit))
  expect_equal(blup(again), blup(fit))
  expect_equal(deviance(again, REML = FALSE), deviance(fit, REML = FALSE))
})

test_that("fitting again by ML is the same as fitting so", {
  reml <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  ml <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont, REML = FALSE)
  expect_equal(refit_ml(reml)$theta, ml$theta, tolerance = 1e-7)
  expect_equal(deviance(refit_ml(reml)), deviance(ml), tolerance = 1e-12)
})

test_that("what is not a fit is refused", {
  expect_kinlmm_error(anova(lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont), 3),
                      "argument", "a model fitted by lmmfit()")
})

test_that("odd names of levels are names like others", {
  d <- mixed_example()
  odd <- c("NA", "a b", "a:b", "\u00e4\u00df", "", "x|y", "{q}", "1e5", "(I)", "-", "TRUE",
           "\\d")
  d$odd <- odd[d$i]
  for (formula in c(y ~ x + (z | odd), y ~ x + (1 | odd))) {
    fit <- suppressMessages(lmmfit(formula, d))
    expect_setequal(rownames(ranef(fit)$odd), odd)
    expect_setequal(blup(fit)$id, odd)
    expect_equal(blup(fit)$records, rep(10L, nrow(blup(fit))))
    expect_equal(predict(fit, d), predict(fit))
    expect_equal(as.numeric(getME(fit, "Z") %*% getME(fit, "b")) + predict(fit, re.form = NA),
                 fitted(fit), ignore_attr = TRUE)
    expect_length(hatvalues(fit), 120L)
    expect_equal(nrow(coef(fit)$odd), 12L)
    expect_output(print(summary(fit)), "odd")
    expect_equal(dim(simulate(fit, 2, seed = 1, re.form = NULL)), c(120L, 2L))
  }
})

test_that("methods do without fixed effects", {
  d <- mixed_example()
  K <- withr::with_seed(3, toy_kinship(14, prefix = ""))
  d$id <- as.character(d$i)
  for (fit in list(lmmfit(y ~ 0 + (z | g), d), lmmfit(y ~ 0 + (1 | g), d),
                   lmmfit(y ~ 0 + (1 | id), d, kinship = list(id = K)),
                   lmmfit(y ~ 0 + kin(z | id, K), d))) {
    expect_length(fixef(fit), 0L)
    expect_equal(dim(vcov(fit)), c(0L, 0L))
    if (is.null(fit$random[[1]]$kernel)) expect_equal(dim(getME(fit, "RX")), c(0L, 0L))
    expect_equal(unique(generics::tidy(fit)$effect), "ran_pars")
    many <- refit(fit, cbind(a = d$y, b = 2 * d$y))
    expect_equal(dim(fixef(many)), c(2L, 0L))
    expect_equal(unname(many$sigma), sigma(fit) * 1:2, tolerance = 1e-6)
    expect_equal(unique(as.data.frame(many)$effect), "ran_pars")
    expect_equal(nrow(bootstrap(fit, nsim = 2, seed = 1)$t), 2L)
    expect_equal(predict(fit, d), predict(fit))
  }
})
