test_that("a response of one's own gives the fit that lmmfit() gives", {
  data <- mixed_example()
  fit <- suppressMessages(lmmfit(y ~ x + (x | g), data, weights = w, offset = o))
  Y <- as.matrix(simulate(fit, 3, seed = 1))
  fits <- refit_responses(fit, Y)
  for (b in 1:3) {
    data$y <- Y[, b]
    whole <- suppressMessages(update(fit, data = data))
    one <- refit_one(fit, Y[, b])
    for (name in c("theta", "sigma", "coefficients", "vcov", "modes", "y")) {
      expect_equal(one[[name]], whole[[name]], ignore_attr = TRUE)
    }
    expect_equal(fits$theta[b, ], unname(whole$theta))
    expect_equal(fits$sigma[[b]], sigma(whole))
    expect_equal(fits$coefficients[b, ], fixef(whole))
    expect_equal(fits$criterion[[b]], deviance(whole))
    expect_identical(fits$singular[[b]], whole$opt$singular)
  }
})
