test_that("results print, are tables, and plot", {
  skip_if_not_installed("lme4")
  out <- variance_components(strength ~ 1 + (1 | batch / cask), lme4::Pastes,
                             method = "ANOVA-I")
  out$seconds <- 0.01
  expect_snapshot(print(out))
  expect_snapshot(print(summary(out)))
  table <- as.data.frame(out)
  expect_named(table, c("method", "component", "variance", "se", "bound", "share",
                        "share_se"))
  expect_identical(table$component, c("cask:batch", "batch", "Residual"))
  interval <- confint(out, "batch", level = 0.9)
  expect_equal(interval[1, ], table$variance[2] + table$se[2] * stats::qnorm(c(0.05, 0.95)),
               ignore_attr = TRUE)
  expect_identical(colnames(interval), c("5 %", "95 %"))
  expect_identical(rownames(confint(out, 2:3)), c("batch", "Residual"))
  expect_kinlmm_error(confint(out, "plate"), "argument", "parm")
  expect_kinlmm_error(confint(out, 4), "argument", "parm")
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  expect_identical(plot(out), out)
  em <- variance_components(strength ~ 1 + (1 | batch / cask), lme4::Pastes,
                            method = "EM-REML")
  expect_identical(plot(em), em)
  expect_output(print(summary(em)), "Iterates \\(155\\)")
})

test_that("numbers are aligned, and NA is empty", {
  expect_identical(aligned(c(1764.06, 2451.2, NA), 5), c("1764.1", "2451.2", ""))
  expect_identical(aligned(c(0.0012345, 0.2), 3), c("0.001", "0.200"))
  expect_identical(aligned(c(1e-12, NA), 3), c("1.00e-12", ""))
  expect_identical(aligned(c(1.5e11, 0), 3), c("1.50e+11", "0.00e+00"))
  expect_identical(aligned(NA_real_, 3), "")
})
