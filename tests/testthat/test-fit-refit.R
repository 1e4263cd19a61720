data <- as.data.frame(nlme::Orthodont)

test_that("a refit is the fit to that response", {
  fit <- lmmfit(distance ~ age + (age | Subject), data)
  data$other <- simulate(fit, 1, seed = 1)[[1L]]
  again <- refit(fit, data$other)
  from_scratch <- lmmfit(other ~ age + (age | Subject), data)
  expect_s3_class(again, "lmmfit")
  expect_equal(deviance(again), deviance(from_scratch), tolerance = 1e-12)
  expect_equal(again$theta, from_scratch$theta, tolerance = 1e-6)
  expect_equal(fixef(again), fixef(from_scratch), tolerance = 1e-8)
  expect_equal(ranef(again), ranef(from_scratch), tolerance = 1e-5)
  expect_equal(model.frame(again)[[1L]], data$other)
  expect_equal(deviance(refit(fit, data$other, REML = FALSE)),
               deviance(update(from_scratch, REML = FALSE)), tolerance = 1e-12)
})

test_that("many responses at once are the same as one by one", {
  data$w <- withr::with_seed(2, stats::runif(nrow(data), 0.5, 2))
  K <- withr::with_seed(1, toy_kinship(15, prefix = "M"))
  rownames(K) <- colnames(K) <- levels(factor(as.character(data$Subject)))[1:15]
  related <- data[data$Subject %in% rownames(K), ]
  fits <- list(
    lmmfit(distance ~ age + (age | Subject), data, weights = w),
    lmmfit(distance ~ age + (1 | Subject), data, REML = FALSE),
    lmmfit(distance ~ age + (1 | Subject) + (1 | age), data, offset = w),
    suppressMessages(lmmfit(distance ~ age + kin(1 | Subject, K), related)),
    suppressMessages(lmmfit(distance ~ age + kin(1 | Subject, K) + (1 | Subject), related))
  )
  for (fit in fits) {
    Y <- as.matrix(simulate(fit, 3, seed = 4))
    many <- refit(fit, Y)
    for (i in 1:3) {
      one <- suppressMessages(refit(fit, Y[, i]))
      expect_equal(many$criterion[[i]], deviance(one), tolerance = 1e-10)
      expect_equal(unname(many$theta[i, ]), unname(one$theta), tolerance = 1e-5)
      expect_equal(many$sigma[[i]], sigma(one), tolerance = 1e-6)
      expect_equal(many$coefficients[i, ], fixef(one), tolerance = 1e-6)
      expect_equal(many$std.error[i, ], sqrt(diag(vcov(one))), tolerance = 1e-5)
      expect_equal(many$singular[[i]], one$opt$singular)
    }
    expect_true(all(many$converged) && all(many$gradient < 1e-6))
  }
})

test_that("the result names its responses and is a table", {
  fit <- lmmfit(distance ~ age + (age | Subject), data)
  Y <- simulate(fit, 4, seed = 3)
  many <- refit(fit, Y)
  expect_named(many, names(Y))
  expect_length(many, 4L)
  expect_equal(deviance(many[["sim_3"]]), many$criterion[["sim_3"]])
  expect_equal(fixef(many), many$coefficients)
  table <- as.data.frame(many)
  expect_equal(nrow(table), 4L * (2L + 4L))
  one <- subset(table, response == "sim_2" & effect == "ran_pars")
  expect_equal(one$estimate, as.data.frame(VarCorr(many[["sim_2"]]))$sdcor, tolerance = 1e-6)
  expect_output(print(many), "4 responses, fitted by REML")
  expect_kinlmm_error(many[["sim_9"]], "argument", "one of the 4 responses")
})

test_that("a matrix as response is fitted column by column", {
  data$other <- data$distance^1.5
  data$other[3] <- NA
  many <- lmmfit(cbind(distance, other) ~ age + (1 | Subject), data)
  expect_s3_class(many, "lmmfits")
  expect_named(many, c("distance", "other"))
  for (name in names(many)) {
    formula <- stats::reformulate("age + (1 | Subject)", name)
    one <- lmmfit(formula, data[-3, ])
    expect_equal(many$criterion[[name]], deviance(one), tolerance = 1e-10)
    expect_equal(many$coefficients[name, ], fixef(one), tolerance = 1e-7)
  }
  expect_kinlmm_error(lmmfit(cbind(distance, 1) ~ age + (1 | Subject), data), "response",
                      "constant")
})

test_that("what can't be a response is refused", {
  fit <- lmmfit(distance ~ age + (1 | Subject), data)
  expect_kinlmm_error(refit(fit, 1:3), "argument", "of 108 rows, those of the fit")
  expect_kinlmm_error(refit(fit, letters), "argument", "a numeric vector")
  expect_kinlmm_error(refit(fit, replace(data$distance, 5, NA)), "response", "row 5")
  expect_kinlmm_error(refit(fit, rep(1, 108)), "response", "constant")
  expect_kinlmm_error(refit(3, 1), "argument", "a model fitted by lmmfit()")
})

test_that("rows left out of the fit may be given or not", {
  data$distance[c(2, 7)] <- NA
  fit <- lmmfit(distance ~ age + (1 | Subject), data)
  y <- seq_len(108) + withr::with_seed(1, stats::rnorm(108))
  expect_equal(deviance(refit(fit, y)), deviance(refit(fit, y[-c(2, 7)])))
})

test_that("a response without variation has no estimates, and stops no others", {
  K <- withr::with_seed(1, toy_kinship(nlevels(data$Subject)))
  dimnames(K) <- rep(list(levels(data$Subject)), 2L)
  for (fit in list(lmmfit(distance ~ age + (1 | Subject), data),
                   suppressMessages(lmmfit(distance ~ age + kin(1 | Subject, K), data)))) {
    Y <- cbind(a = data$distance, b = 3, c = 2 * data$age, d = data$distance^2)
    many <- refit(fit, Y)
    expect_equal(many$converged, c(a = TRUE, b = FALSE, c = FALSE, d = TRUE))
    expect_equal(is.na(many$sigma), c(a = FALSE, b = TRUE, c = TRUE, d = FALSE))
    expect_equal(many$theta[c("a", "d"), ], refit(fit, Y[, c("a", "d")])$theta[, 1L])
    expect_output(print(many), "Converged: 2")
    table <- as.data.frame(many)
    expect_equal(unique(table$response[is.na(table$estimate)]), c("b", "c"))
    expect_kinlmm_error(refit(fit, Y[, 2:3]), "response", "fit the response exactly")
    expect_kinlmm_error(refit(fit, Y[, 0L]), "argument", "at least one response")
  }
})
