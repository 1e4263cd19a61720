test_that("estimable are the combinations of rows of X", {
  d <- expand.grid(a = c("u", "v", "w"), b = c("k", "l"), r = 1:2)
  d$y <- sin(seq_len(nrow(d)))
  # a cell without records
  d <- d[!(d$a == "w" & d$b == "l"), ]
  fit <- blue(y ~ a * b, d, full = TRUE)
  expect_identical(fit$rank, 5L)
  withr::local_seed(4)
  inside <- matrix(rnorm(3 * nrow(d)), 3) %*% fit$X
  null <- null_basis(fit$X)
  outside <- inside + matrix(rnorm(3 * ncol(null)), 3) %*% t(null)
  expect_true(all(suppressMessages(estimable(fit, inside))$estimable))
  expect_false(any(suppressMessages(estimable(fit, outside))$estimable))
  got <- estimable(fit, inside)
  cells <- stats::lm(y ~ 0 + a:b, d)
  rows <- inside %*% pseudo_inverse(fit$X)
  expect_equal(got$Estimate, drop(rows %*% fitted(cells)), ignore_attr = TRUE)
})

test_that("text, vectors and matrices say the same", {
  d <- mixed_example()
  fit <- blue(y ~ x + f, d)
  text <- estimable(fit, "2 * x - (fb - fc) / 4 + `(Intercept)` * 3")
  row <- c(3, 2, -1 / 4, 1 / 4)
  expect_equal(text$Estimate, sum(row * coef(fit)))
  expect_equal(estimable(fit, row)$Estimate, text$Estimate)
  named <- c(fc = 1 / 4, fb = -1 / 4, x = 2, `(Intercept)` = 3)
  expect_equal(estimable(fit, named), estimable(fit, row))
  expect_identical(rownames(estimable(fit, row)), "3 (Intercept) + 2 x - 0.25 fb + 0.25 fc")
  lm <- stats::lm(y ~ x + f, d)
  expect_equal(text$`Std. Error`, sqrt(drop(row %*% stats::vcov(lm) %*% row)))
  expect_identical(rownames(estimable(fit, c(slope = "x", "fb"))), c("slope", "fb"))
})

test_that("what is no linear function is an error that says so", {
  fit <- blue(y ~ x + f, mixed_example())
  for (text in c("x * fb", "log(x)", "3", "x + 1", "1 / x", "x +", "x / 0", "x^2")) {
    expect_kinlmm_error(estimable(fit, text), "argument", "sums, differences and multiples")
  }
  expect_kinlmm_error(estimable(fit, "z + x"), "argument", 'Not found: "z"')
  expect_kinlmm_error(estimable(fit, c(z = 1)), "argument", 'Not found: "z"')
  expect_kinlmm_error(estimable(fit, 1:3), "argument", "each of the 4 coefficients")
  expect_kinlmm_error(estimable(fit, c(1, NA, 0, 0)), "argument", "finite")
  expect_kinlmm_error(estimable(fit, list(1)), "argument", "numeric or text")
})

test_that("a function that is not estimable is NA and named, or an error", {
  d <- data.frame(gain = c(53, 46, 58, 61, 66, 57), g = rep(c("a", "b"), each = 3))
  fit <- blue(gain ~ g, d, full = TRUE)
  L <- c("ga", "gb - ga")
  expect_message(got <- estimable(fit, L), '"ga"', class = "kinlmm_message_not_estimable")
  expect_identical(got$estimable, c(FALSE, TRUE))
  expect_true(all(is.na(got[1, -1])))
  expect_equal(got$Estimate[2], 9)
  expect_output(print(got), "ga (not estimable)", fixed = TRUE)
  expect_kinlmm_error(estimable(fit, L, strict = TRUE), "not_estimable", '"ga"',
                      list(functions = "ga"))
  suppressMessages(expect_output(print(estimable(fit, "ga")), "0 of 1 estimable"))
})

test_that("columns of very different size do not hide dependence", {
  d <- mixed_example()
  d$big <- 1e8 * d$x
  d$tiny <- 1e-8 * d$z
  fit <- blue(y ~ x + big + tiny, d)
  expect_identical(suppressMessages(estimable(fit, c("x", "big", "tiny", "x + 1e8 * big")))$
                     estimable, c(FALSE, FALSE, TRUE, TRUE))
})

test_that("functions of a mixed model count the columns that were dropped", {
  d <- mixed_example()
  d$x2 <- 2 * d$x
  expect_message(fit <- lmmfit(y ~ x + x2 + f + (1 | g), d), "x2")
  expect_message(got <- estimable(fit, c("x + 2 * x2", "x", "fb - fc")), '"x"')
  expect_identical(got$estimable, c(TRUE, FALSE, TRUE))
  plain <- lmmfit(y ~ x + f + (1 | g), d)
  L <- rbind(c(0, 1, 0, 0), c(0, 0, 1, -1))
  want <- contest(plain, L, joint = FALSE, confint = FALSE)
  expect_equal(as.data.frame(got)[c(1, 3), 2:6], want, tolerance = 1e-6, ignore_attr = TRUE)
  expect_equal(estimable(plain, L)$Estimate, want$Estimate)
})

test_that("functions that can't be read are errors that name L", {
  fit <- blue(distance ~ age + Sex, nlme::Orthodont)
  expect_kinlmm_error(estimable(fit), "argument", "`L` must be given")
  expect_kinlmm_error(estimable(), "argument", "`object` must be given")
  expect_kinlmm_error(estimable(fit, character()), "argument", "numeric or text")
  for (text in c("`/`(age)", "`(`(age, age)", "age * age", "age +", "2")) {
    expect_kinlmm_error(estimable(fit, text), "argument", "sums, differences and multiples")
  }
  twice <- matrix(1, 1, 2, dimnames = list(NULL, c("age", "age")))
  expect_kinlmm_error(estimable(fit, twice), "argument", 'Repeated: "age"')
  expect_kinlmm_error(estimable(fit, "age", strict = 3), "argument", "`strict`")
})
