test_that("methods stand side by side, with the reasons of those that do not apply", {
  skip_if_not_installed("lme4")
  both <- compare_components(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  expect_identical(both$methods$method[!both$methods$applies], "ANOVA-I")
  expect_match(both$methods$reason[!both$methods$applies], "biased")
  one <- variance_components(Reaction ~ Days + (1 | Subject), lme4::sleepstudy,
                             method = "HE")
  table <- as.data.frame(both)
  expect_equal(table[table$method == "HE", -1], one$components, ignore_attr = TRUE)
  expect_identical(nrow(table), 2L * sum(both$methods$applies))
  expect_identical(names(both$results), both$methods$method[both$methods$applies])
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  expect_identical(plot(both), both)
})

test_that("the comparison prints", {
  skip_if_not_installed("lme4")
  both <- compare_components(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2,
                             methods = c("REML", "ANOVA", "HE", "HE-SD"))
  for (i in seq_along(both$results)) both$results[[i]]$seconds <- 0.01
  expect_snapshot(print(both))
  none <- compare_components(Reaction ~ Days + (Days | Subject), lme4::sleepstudy,
                             methods = c("ANOVA-I", "ANOVA-III"))
  expect_output(print(none), "by 0 methods")
  expect_identical(dim(as.data.frame(none)), c(0L, 7L))
  several <- compare_components(Reaction ~ Days + (Days | Subject), lme4::sleepstudy,
                                methods = c("REML", "HE"))
  expect_lte(max(nchar(capture.output(print(several)))), 80)
})

test_that("settings reach their methods", {
  d <- unbalanced_example()
  both <- compare_components(y ~ (1 | a), d, methods = c("REML", "MINQUE"),
                             settings = list(MINQUE = list(iterations = 100)))
  expect_equal(coef(both$results$MINQUE), coef(both$results$REML), tolerance = 1e-7)
  expect_kinlmm_error(compare_components(y ~ (1 | a), d, settings = list(MINQUE = list())),
                      "argument", "settings")
  expect_kinlmm_error(compare_components(y ~ (1 | a), d, methods = "REML",
                                         settings = list(REML = list(prior = 1))),
                      "argument", "prior")
  wrong <- list(HE = list(se = "x"))
  expect_kinlmm_error(compare_components(y ~ (1 | a), d, methods = "HE", settings = wrong),
                      "argument", '"empirical"')
  expect_kinlmm_error(compare_components(y ~ (1 | a), d, settings = NULL), "argument",
                      "settings")
  expect_kinlmm_error(compare_components(y ~ (1 | a), d, methods = "MIVQUE"), "argument",
                      "methods")
  expect_kinlmm_error(compare_components(y ~ (1 | a), d, methods = 1), "argument",
                      "names of methods")
  expect_error(compare_components(y ~ (1 | a), d, level = 1),
               class = "rlib_error_dots_nonempty")
})
