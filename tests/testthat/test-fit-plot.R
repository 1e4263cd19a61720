test_that("plots draw without complaint and return the fit", {
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  for (which in c("fitted", "qq", "ranef")) {
    expect_silent(expect_identical(plot(fit, which), fit))
  }
  expect_kinlmm_error(plot(fit, "pie"), "argument", "one of \"fitted\", \"qq\", \"ranef\"")
})
