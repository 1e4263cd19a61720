test_that("the engine and its reason are recorded", {
  fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  expect_equal(fit$engine$name, "blocked")
  expect_match(fit$engine$reason, "2 i.i.d. random effects per level")
})

test_that("a large mean and badly scaled covariates cost no accuracy", {
  data <- as.data.frame(nlme::Orthodont)
  fit <- lmmfit(distance ~ age + (1 | Subject), data)
  data$distance <- data$distance + 1e6
  data$age <- data$age * 1e5 + 1e7
  moved <- lmmfit(distance ~ age + (1 | Subject), data)
  expect_equal(moved$theta, fit$theta, tolerance = 1e-7)
  expect_equal(sigma(moved), sigma(fit), tolerance = 1e-7)
  expect_equal(fixef(moved)[["age"]] * 1e5, fixef(fit)[["age"]], tolerance = 1e-7)
})

test_that("the scale of the response scales the variances", {
  fit <- function(scale) {
    lmmfit(I(distance * scale) ~ age + (age | Subject), nlme::Orthodont)
  }
  one <- fit(1)
  for (scale in c(1e-4, 1e6)) {
    other <- fit(scale)
    expect_equal(other$theta, one$theta, tolerance = 1e-8)
    expect_equal(sigma(other), sigma(one) * scale, tolerance = 1e-8)
  }
})

test_that("a perfect fit is refused", {
  data <- data.frame(x = 1:6, g = rep(1:2, 3))
  data$y <- 2 + 3 * data$x
  expect_kinlmm_error(lmmfit(y ~ x + (1 | g), data), "response", "fit the response exactly")
})

test_that("no fixed effects at all", {
  data <- as.data.frame(nlme::Orthodont)
  fit <- lmmfit(distance ~ 0 + (1 | Subject), data)
  Z <- model.matrix(~ 0 + factor(as.character(data$Subject)))
  H <- diag(nrow(data)) + unname(fit$theta)^2 * tcrossprod(Z)
  logdet <- as.numeric(determinant(H)$modulus)
  s <- drop(data$distance %*% solve(H, data$distance))
  expect_equal(deviance(fit), logdet + 108 * (1 + log(2 * pi * s / 108)))
  expect_length(fixef(fit), 0L)
  expect_output(print(fit), "No fixed effects")
})

test_that("variances of rows at any parameters, zero among them", {
  K <- withr::with_seed(4, toy_kinship(12, prefix = ""))
  d <- mixed_example()
  d$h <- rep(1:8, 15)
  X <- cbind(1, d$x)[1:20, ]
  expect_rows <- function(formula, thetas, name) {
    fit <- suppressMessages(lmmfit(formula, d, weights = w))
    expect_equal(fit$engine$name, name)
    fit$sigma <- 1
    all <- lapply(frame_rows(fit, all_columns(fit)), function(row) {
      list(level = row$level[1:20], Z = row$Z[1:20, , drop = FALSE])
    })
    # levels that are not known, and terms without a part
    for (unknown in list(0L, 3L, 1:20)) for (kept in unique(list(seq_along(all), 1L))) {
      rows <- lapply(all[kept], function(row) {
        list(level = replace(row$level, unknown, NA), Z = row$Z)
      })
      by_name <- Map(function(row, term) {
        names <- if (is.null(term$kernel)) levels(term$factor) else rownames(term$kernel)
        list(level = replace(names[row$level], unknown, "unknown"), Z = row$Z)
      }, rows, fit$random[kept])
      for (theta in thetas) {
        fit$theta <- theta
        expect_equal(sqrt(engine_row_variances(fit$engine, theta, fit$random, X, rows)),
                     dense_prediction_error(fit, X, by_name), tolerance = 1e-8)
      }
    }
  }
  expect_rows(y ~ x + (1 | g), list(0, 0.5, 30), "scalar")
  expect_rows(y ~ x + (z | g) + (1 | h),
              list(c(1, 0.5, 0.3, 2), c(1, 0.5, 0, 0), numeric(4)), "blocked")
  expect_rows(y ~ x + kin(1 | g, K), list(0, 0.5, 30), "rotated")
  expect_rows(y ~ x + kin(1 + z | g, K) + (1 | g),
              list(c(1, 0.5, 0.3, 2), c(1, 0.5, 0, 0)), "dense")
})
