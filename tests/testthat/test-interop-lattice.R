skip_if_not_installed("lattice")

test_that("dotplot() gives a plot of lattice for each group", {
  fit <- lmmfit(y ~ x + (z | g), mixed_example())
  plots <- lattice::dotplot(ranef(fit))
  expect_named(plots, "g")
  expect_s3_class(plots$g, "trellis")
  expect_equal(dimnames(plots$g)$term, c("(Intercept)", "z"))
  effects <- ranef(fit)$g
  expect_equal(plots$g$y.limits, rownames(effects)[order(effects[["(Intercept)"]])])
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  expect_silent(print(plots$g))
})
