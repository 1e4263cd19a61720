test_that("plots draw without complaint and return the fit", {
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  for (which in c("fitted", "qq", "ranef")) {
    expect_silent(expect_identical(plot(fit, which), fit))
  }
  expect_kinlmm_error(plot(fit, "pie"), "argument", "one of \"fitted\", \"qq\", \"ranef\"")
})

test_that("random effects are drawn panel by panel and leave the device as it was", {
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  before <- graphics::par("mfrow", "mar")
  effects <- ranef(fit)
  expect_silent(expect_identical(plot(effects), effects))
  expect_identical(graphics::par("mfrow", "mar"), before)
  expect_silent(plot(ranef(fit, condVar = FALSE)))
  intervals <- effect_intervals(effects, 0.9)
  expect_equal(intervals$half, stats::qnorm(0.95) * as.data.frame(effects)$condsd)
  many <- mixed_example()
  many$g <- factor(rep(1:70, length.out = 120))
  expect_silent(plot(ranef(suppressMessages(lmmfit(y ~ x + (1 | g), many)))))
})
