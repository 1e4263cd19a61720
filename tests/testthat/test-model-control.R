test_that("settings are checked once", {
  expect_s3_class(lmm_control(), "lmm_control")
  expect_kinlmm_error(lmm_control(tolerance = -1), "argument", "`tolerance` must be")
  expect_kinlmm_error(lmm_control(max_iterations = 0.5), "argument", "whole number")
  expect_kinlmm_error(lmmfit(distance ~ (1 | Subject), nlme::Orthodont, control = list()),
                      "argument", "lmm_control()")
})

test_that("too few iterations are reported, not hidden", {
  expect_warning(
    fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont,
                  control = lmm_control(max_iterations = 1)),
    class = "kinlmm_warning_convergence")
  expect_false(fit$opt$converged)
  expect_output(print(summary(fit)), "Not converged")
})
