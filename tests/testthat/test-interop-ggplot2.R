skip_if_not_installed("ggplot2")
d <- mixed_example()
fit <- lmmfit(y ~ x + (z | g), d)

test_that("plots of a fit hold its residuals and quantiles", {
  for (which in c("fitted", "qq")) {
    plot <- ggplot2::autoplot(fit, which)
    expect_s3_class(plot, "ggplot")
    expect_equal(plot$data$residual, unname(residuals(fit, "pearson", scaled = TRUE)))
    expect_silent(ggplot2::ggplot_build(plot))
  }
  line <- ggplot2::layer_data(ggplot2::autoplot(fit), 3L)
  expect_equal(line$y, stats::lowess(fitted(fit), residuals(fit, scaled = TRUE))$y)
  expect_kinlmm_error(ggplot2::autoplot(fit, "pie"), "argument")
})

test_that("random effects have a panel for each column, with their intervals", {
  plot <- ggplot2::autoplot(ranef(fit), level = 0.9)
  drawn <- ggplot2::layer_data(plot, 2L)
  effects <- as.data.frame(ranef(fit))
  expect_equal(sort(drawn$xmax),
               sort(effects$condval + stats::qnorm(0.95) * effects$condsd))
  expect_equal(length(unique(drawn$PANEL)), 2L)
  second <- drawn[drawn$PANEL == 2, ]
  expect_false(is.unsorted((second$xmin + second$xmax)[order(second$y)]))
})

test_that("profiles have a panel for each parameter, and the ends of the interval", {
  value <- seq(0.5, 2, 0.25)
  profile <- data.frame(.zeta = c(4 * log(value), 3 * (value - 1)),
                        .sig01 = c(value, rep(1, 7)), x = c(rep(0, 7), value),
                        .par = rep(c(".sig01", "x"), each = 7))
  class(profile) <- c("profile.lmmfit", "data.frame")
  ends <- ggplot2::layer_data(ggplot2::autoplot(profile), 3L)
  expect_equal(ends$x[ends$PANEL == 1], exp(c(-1, 1) * stats::qnorm(0.975) / 4),
               tolerance = 1e-2)
  expect_equal(ends$x[ends$PANEL == 2], 1 + stats::qnorm(0.975) / 3)
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  expect_identical(plot(profile), profile)
})
