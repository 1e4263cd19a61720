fit <- lmmfit(distance ~ age + Sex + (age | Subject), nlme::Orthodont)

test_that("predictions of the fit's own records", {
  expect_equal(predict(fit), fitted(fit))
  expect_equal(predict(fit, as.data.frame(nlme::Orthodont)), fitted(fit))
  population <- drop(model.matrix(fit) %*% fixef(fit))
  expect_equal(predict(fit, re.form = NA), population, ignore_attr = TRUE)
  expect_equal(predict(fit, re.form = ~0), population, ignore_attr = TRUE)
})

test_that("re.form takes some of the effects", {
  new <- as.data.frame(nlme::Orthodont)[1:6, ]
  intercept <- predict(fit, new, re.form = ~ (1 | Subject))
  by_hand <- predict(fit, new, re.form = NA) +
    ranef(fit)$Subject[as.character(new$Subject), "(Intercept)"]
  expect_equal(intercept, by_hand)
  expect_equal(predict(fit, new, re.form = ~ (age | Subject)), predict(fit, new))
  expect_kinlmm_error(predict(fit, new, re.form = ~ (1 | Sex)), "argument",
                      "`re.form` must be")
  expect_kinlmm_error(predict(fit, new, re.form = 3), "argument", "`re.form` must be")
})

test_that("new levels are an error, or at the population mean", {
  new <- data.frame(age = c(8, 10), Sex = "Male", Subject = c("M01", "nobody"))
  expect_kinlmm_error(predict(fit, new), "new_levels",
                      c("`Subject`", "1 is not: \"nobody\"", "allow.new.levels"),
                      list(unknown = "nobody"))
  value <- predict(fit, new, allow.new.levels = TRUE)
  expect_equal(value[[2]], predict(fit, new, re.form = NA)[[2]])
  expect_false(value[[1]] == predict(fit, new, re.form = NA)[[1]])
})

test_that("missing values give NA, rows keep their names", {
  new <- data.frame(age = c(8, NA), Sex = "Male", Subject = c("M01", "M02"),
                    row.names = c("a", "b"))
  value <- predict(fit, new)
  expect_named(value, c("a", "b"))
  expect_true(is.na(value[["b"]]))
})

test_that("offsets in the formula and as an argument are added", {
  data <- as.data.frame(nlme::Orthodont)
  inside <- lmmfit(distance ~ age + offset(age / 10) + (1 | Subject), data)
  outside <- lmmfit(distance ~ age + (1 | Subject), data, offset = age / 10)
  expect_equal(predict(inside, data), fitted(inside))
  expect_equal(predict(outside, data), fitted(outside))
})

test_that("unphenotyped relatives are predicted through the kernel", {
  K <- withr::with_seed(1, toy_kinship(40))
  data <- withr::with_seed(2, toy_pheno(K, rep(c(1L, 0L), 20)))
  fit <- suppressMessages(lmmfit(y ~ x + (1 | id), data, kinship = list(id = K)))
  new <- data.frame(id = rownames(K), x = 0)
  expect_equal(predict(fit, new, re.form = NULL) - fixef(fit)[["(Intercept)"]],
               blup(fit)$value, ignore_attr = TRUE)
  expect_kinlmm_error(predict(fit, data.frame(id = "stranger", x = 0)), "new_levels",
                      "stranger")
})

test_that("simulations have the model's mean and covariance", {
  draws <- as.matrix(simulate(fit, 4000, seed = 1))
  Z <- model.matrix(fit, "random")
  V <- Z %*% kronecker(diag(27), VarCorr(fit)$Subject) %*% t(Z) + diag(sigma(fit)^2, 108)
  expect_equal(rowMeans(draws), predict(fit, re.form = NA), tolerance = 0.01)
  expect_equal(stats::cov(t(draws))[1:8, 1:8], V[1:8, 1:8], tolerance = 0.1,
               ignore_attr = TRUE)
  kept <- as.matrix(simulate(fit, 2000, seed = 1, use.u = TRUE))
  expect_equal(rowMeans(kept), fitted(fit), tolerance = 0.01)
})

test_that("kernel effects are simulated with covariance K", {
  K <- withr::with_seed(1, toy_kinship(8, 200))
  data <- withr::with_seed(2, toy_pheno(K, rep(2L, 8)))
  fit <- suppressMessages(lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = K)))
  fit$theta[] <- 2
  draws <- as.matrix(simulate(fit, 6000, seed = 1)) / sigma(fit)
  Z <- 1 * outer(data$id, rownames(K), "==")
  expect_equal(stats::cov(t(draws)), 4 * Z %*% K %*% t(Z) + diag(16), tolerance = 0.1,
               ignore_attr = TRUE)
})

test_that("slopes with a kernel beside other terms, too", {
  K <- withr::with_seed(1, toy_kinship(6, 100))
  data <- withr::with_seed(2, toy_pheno(K, rep(4L, 6)))
  data$h <- rep(c("a", "b", "c"), 8)
  fit <- suppressMessages(lmmfit(y ~ 1 + kin(1 + x | id, K) + (1 | h), data))
  fit$theta[] <- c(1, 0.5, 0.8, 0.7)
  draws <- as.matrix(simulate(fit, 8000, seed = 1)) / sigma(fit)
  psi <- tcrossprod(matrix(c(1, 0.5, 0, 0.8), 2))
  Z <- cbind(1, data$x)
  wanted <- Z %*% psi %*% t(Z) * K[data$id, data$id] +
    0.49 * outer(data$h, data$h, "==") + diag(24)
  error <- (stats::cov(t(draws)) - wanted) /
    sqrt((outer(diag(wanted), diag(wanted)) + wanted^2) / 8000)
  expect_lt(max(abs(error)), 5)
})

test_that("a seed makes simulations reproducible and leaves the generator alone", {
  withr::local_seed(7)
  before <- .Random.seed
  one <- simulate(fit, 2, seed = 5)
  expect_identical(.Random.seed, before)
  expect_identical(one, simulate(fit, 2, seed = 5))
  expect_named(one, c("sim_1", "sim_2"))
})

test_that("an offset is taken from newdata alone", {
  d <- mixed_example()
  fit <- lmmfit(y ~ x + (1 | g), d, offset = log(abs(o) + 1) / 2)
  expect_equal(predict(fit, d[7:9, ]), predict(fit)[7:9])
  expect_kinlmm_error(predict(fit, d[c("x", "g")]), "newdata",
                      c("offset of the fit", "Not found there: \"o\""),
                      list(missing = "o"))
  elsewhere <- d$o
  fit <- lmmfit(y ~ x + (1 | g), d, offset = elsewhere)
  expect_kinlmm_error(predict(fit, d), "newdata", "\"elsewhere\"")
  fit <- do.call(lmmfit, list(y ~ x + (1 | g), d, offset = elsewhere))
  expect_kinlmm_error(predict(fit, d), "newdata", "a vector for the records of the fit")
  fit <- lmmfit(y ~ x + (1 | g), d, offset = rep(0.5, 120))
  expect_kinlmm_error(predict(fit, d[1:3, ]), "newdata", "length 120, for 3 rows")
})

test_that("na.action sees the variables of all parts at once", {
  d <- mixed_example()
  fit <- lmmfit(y ~ x + (z | g), d)
  new <- d[1:4, ]
  rownames(new) <- letters[1:4]
  complete <- predict(fit, new)
  new$x[2] <- NA
  new$z[3] <- NA
  padded <- replace(complete, 2:3, NA)
  expect_equal(predict(fit, new), padded)
  expect_equal(predict(fit, new, na.action = na.exclude), padded)
  expect_equal(predict(fit, new, na.action = na.omit), complete[c(1, 4)])
  expect_kinlmm_error(predict(fit, new, na.action = na.fail), "frame", "missing values")
  new$g[4] <- NA
  expect_equal(predict(fit, new, na.action = na.omit), complete[1])
  expect_equal(predict(fit, new, allow.new.levels = TRUE)[["d"]],
               predict(fit, new, re.form = NA)[["d"]])
  skip_if_not_installed("lme4")
  theirs <- lme4::lmer(y ~ x + (z | g), d)
  new <- new[1:3, ]
  expect_equal(predict(fit, new), predict(theirs, new), tolerance = 1e-4)
  expect_equal(predict(fit, new, na.action = na.exclude),
               predict(theirs, new, na.action = na.exclude), tolerance = 1e-4)
  expect_true(is.na(predict(fit, data.frame(x = NA, z = 1, g = "1"))))
})

test_that("re.form with what the fit does not have is an error", {
  d <- transform(mixed_example(), f = rep(c("a", "b", "c", "b", "a"), 24))
  fit <- suppressMessages(lmmfit(y ~ x + (f | g), d))
  for (form in list(~ (z | g), ~1, ~x, ~g, ~ x + (1 | g), ~ (1 | h), ~ (0 + f | g),
                    y ~ (1 | g))) {
    expect_kinlmm_error(predict(fit, d, re.form = form), "argument", "`re.form` must be")
    expect_kinlmm_error(simulate(fit, re.form = form), "argument", "`re.form` must be")
  }
  expect_equal(predict(fit, d, re.form = ~ (f | g)), predict(fit))
})

test_that("newdata must have variables, types and levels of the fit", {
  d <- mixed_example()
  fit <- lmmfit(y ~ x + f + (1 | g), d)
  expect_kinlmm_error(predict(fit, d["x"]), "newdata", "Not found: \"f\", \"g\"",
                      list(missing = c("f", "g")))
  expect_length(predict(fit, d[c("x", "f")], re.form = NA), 120L)
  new <- d[1:3, ]
  new$f <- c("a", "q", "r")
  expect_kinlmm_error(predict(fit, new), "newdata_level",
                      c("`f` in `newdata`", "2 levels are not: \"q\", \"r\""),
                      list(factor = "f", unknown = c("q", "r")))
  new$f <- 1
  expect_kinlmm_error(predict(fit, new), "newdata", "`f` in `newdata` must be a factor")
  new$f <- "a"
  new$x <- "one"
  expect_kinlmm_error(predict(fit, new), "newdata", "`x` in `newdata` must be numeric")
  expect_kinlmm_error(predict(fit, 3), "argument", "`newdata` must be a data frame")
})

test_that("constants stay where the formula was made", {
  d <- mixed_example()
  degree <- 2
  fit <- lmmfit(y ~ poly(x, degree) + (1 | g), d)
  expect_equal(predict(fit, d[3:6, ]), predict(fit)[3:6])
})

test_that("arguments that would be ignored are errors", {
  expect_error(predict(fit, se.fit = TRUE), class = "rlib_error_dots_nonempty")
  expect_error(simulate(fit, newdata = nlme::Orthodont),
               class = "rlib_error_dots_nonempty")
})

test_that("re.form tells terms with a matrix from those without", {
  K <- withr::with_seed(1, toy_kinship(12))
  data <- withr::with_seed(2, toy_pheno(K, rep(4L, 12)))
  fit <- suppressMessages(lmmfit(y ~ x + kin(1 | id, K) + (1 | id), data))
  parts <- list(~ kin(1 | id, K), ~ (1 | id), ~ kin(1 | id, K) + (1 | id))
  effects <- lapply(parts, function(part) predict(fit, re.form = part) - predict(fit, re.form = NA))
  id <- as.character(data$id)
  expect_equal(unname(effects[[1L]]), unname(term_modes(fit, "id")[id, 1L]))
  expect_equal(unname(effects[[2L]]), unname(term_modes(fit, "id.1")[id, 1L]))
  expect_equal(effects[[3L]], effects[[1L]] + effects[[2L]])
  expect_kinlmm_error(predict(fit, re.form = ~ kin(1 | id, A)), "argument", "kin(1 | id, A)")
  decorrelated <- suppressMessages(lmmfit(y ~ x + kin(x || id, K), data))
  expect_named(decorrelated$theta, c("id.(Intercept)", "id.1.x"))
})

test_that("ids of the kernel are known to i.i.d. effects beside it", {
  K <- withr::with_seed(4, toy_kinship(20))
  d <- withr::with_seed(5, toy_pheno(K, rep(c(4L, 0L), c(15, 5))))
  fit <- suppressMessages(lmmfit(y ~ x + kin(1 | id, K) + (1 | id), d))
  new <- data.frame(x = 0, id = c("i3", "i18"))
  modes <- fit$modes
  expect_equal(unname(predict(fit, new)),
               unname(fixef(fit)[[1]] + modes$id[new$id, ] + c(modes$id.1["i3", ], 0)))
  expect_kinlmm_error(predict(fit, data.frame(x = 0, id = "nobody")), "new_levels", "nobody")
})
