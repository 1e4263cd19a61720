d <- data.frame(y = c(1.5, 2, NA, 4, 6, 5), x = c(1, NA, 3, 4, 5, 7),
                g = factor(c("a", "a", "b", "b", "c", "c")))

test_that("variables come from the calling environment without data", {
  fit <- with(as.list(nlme::Orthodont), {
    lmmfit(distance ~ age + (1 | Subject))
  })
  expect_equal(deviance(fit),
               deviance(lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)))
})

test_that("rows with missing values are left out, and counted", {
  data <- as.data.frame(nlme::Orthodont)
  data$age[3] <- NA
  data$distance[10] <- NA
  fit <- lmmfit(distance ~ age + (1 | Subject), data)
  expect_equal(nobs(fit), nrow(data) - 2L)
  expect_length(residuals(fit), nobs(fit))
  excluded <- lmmfit(distance ~ age + (1 | Subject), data, na.action = na.exclude)
  expect_length(residuals(excluded), nrow(data))
  expect_true(is.na(fitted(excluded)[[3]]))
  expect_output(print(summary(fit)), "2 observations deleted due to missingness")
  expect_kinlmm_error(lmmfit(distance ~ age + (1 | Subject), data, na.action = na.fail),
                      "frame", "missing values")
})

test_that("subset, weights and offset are evaluated in data", {
  data <- as.data.frame(nlme::Orthodont)
  data$w <- seq(0.5, 2, length.out = nrow(data))
  male <- lmmfit(distance ~ age + (1 | Subject), data, subset = Sex == "Male", weights = w,
                 offset = age / 10)
  rows <- data[data$Sex == "Male", ]
  rows$shifted <- rows$distance - rows$age / 10
  by_hand <- lmmfit(shifted ~ age + (1 | Subject), rows, weights = rows$w)
  expect_equal(deviance(male), deviance(by_hand))
  expect_equal(fixef(male), fixef(by_hand))
  expect_equal(fitted(male), fitted(by_hand) + rows$age / 10, ignore_attr = TRUE)
  in_formula <- lmmfit(distance ~ age + offset(age / 10) + (1 | Subject), data,
                       subset = Sex == "Male", weights = w)
  expect_equal(deviance(in_formula), deviance(male))
})

test_that("a wrapper can pass weights through its dots", {
  wrapper <- function(...) lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont, ...)
  w <- rep(1:2, 54)
  expect_equal(deviance(wrapper(weights = w)),
               deviance(lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont,
                               weights = w)))
})

test_that("multiplying every weight changes sigma alone", {
  fit <- function(w) lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont, weights = w)
  one <- fit(rep(1, 108))
  ten <- fit(rep(10, 108))
  expect_equal(ten$coefficients, one$coefficients)
  expect_equal(sigma(ten)^2, 10 * sigma(one)^2)
  expect_equal(deviance(ten), deviance(one))
})

test_that("unknown variables are named", {
  expect_kinlmm_error(lmmfit(y ~ nope + (1 | g), d), "variable",
                      c("Not found: \"nope\"", "`data` has \"y\", \"x\", \"g\""),
                      list(missing = "nope"))
  expect_kinlmm_error(lmmfit(y ~ (1 | nobody), d), "variable", "nobody")
  expect_kinlmm_error(lmmfit(y ~ (1 | g), 1:3), "argument", "`data` must be a data frame")
})

test_that("responses that can't be modelled are named", {
  expect_kinlmm_error(lmmfit(rep(3, 6) ~ (1 | g), d), "response",
                      "constant: every value is 3", list(response = "rep(3, 6)"))
  expect_kinlmm_error(lmmfit(c(1, Inf, 3, 4, 5, 6) ~ (1 | g), d), "response",
                      "infinite in row 2")
  expect_kinlmm_error(lmmfit(rep(NA_real_, 6) ~ (1 | g), d), "response",
                      "missing in every row")
  expect_kinlmm_error(lmmfit(g ~ (1 | g), d), "response", "numeric")
  d$none <- c(NA, 1, NA, NA, NA, NA)
  expect_kinlmm_error(lmmfit(y ~ none + x + (1 | g), d), "missing",
                      "Each of the 6 rows has a missing value")
})

test_that("weights must be positive and finite, an offset numeric", {
  w <- c(1, -1, 1, 1, 0, 1)
  expect_kinlmm_error(lmmfit(y ~ (1 | g), d[-3, ], weights = w[-3]), "weights",
                      c("`weights` must be positive and finite", "2 are not: -1, 0",
                        "rows 2, 4"))
  expect_kinlmm_error(lmmfit(y ~ (1 | g), d, offset = letters[1:6]), "argument",
                      "`offset` must be numeric and finite")
})

test_that("weights are a plain numeric vector", {
  d <- mixed_example()
  for (bad in list(d$f, d$h, cbind(d$w), d$x > 0)) {
    expect_kinlmm_error(lmmfit(y ~ x + (1 | g), d, weights = bad), "argument",
                        "`weights` must be a numeric vector")
  }
  expect_kinlmm_error(lmmfit(y ~ x + (1 | g), d, weights = replace(w, 2, -1.23456789)),
                      "weights", "-1.235 in row 2")
})

test_that("a function that has the name of a variable is not taken for it", {
  d <- mixed_example()
  formula <- y ~ x + (1 | g)
  wrapper <- function(weights) lmmfit(formula, d, weights = weights)
  expect_equal(sigma(wrapper(d$w)), sigma(lmmfit(formula, d, weights = w)))
  expect_kinlmm_error(lmmfit(formula, d, weights = weights), "frame",
                      "'weights' is an object of class function")
})

test_that("what na.pass lets through is called missing", {
  d <- mixed_example()
  fit <- function(...) lmmfit(y ~ x + (z | g), replace_na(...), na.action = na.pass)
  replace_na <- function(name) {
    d[[name]][3] <- NA
    d
  }
  expect_kinlmm_error(fit("y"), "response", "missing in row 3")
  expect_kinlmm_error(fit("x"), "covariate", c("fixed effects", "Missing values in \"x\""))
  expect_kinlmm_error(fit("z"), "covariate", c("random slopes", "Missing values in \"z\""))
  expect_kinlmm_error(fit("g"), "group", "missing in 1 row.")
})

test_that("no rows are named as such", {
  d <- mixed_example()
  expect_kinlmm_error(lmmfit(y ~ x + (1 | g), d[0, ]), "missing",
                      "no rows left: `data` has none", list(n = 0L))
  expect_kinlmm_error(lmmfit(y ~ x + (1 | g), d, subset = x > 100), "missing",
                      "no rows left: `subset` has none")
})

test_that("levels that no row has are dropped as factors drop them", {
  x <- structure(factor(c("a", NA, "c"), c("c", "b", "a")), contrasts = "contr.sum")
  expect_identical(used_levels(x), structure(x[, drop = TRUE], contrasts = "contr.sum"))
  frame <- data.frame(x, y = 1:3)
  expect_identical(levels(drop_levels(frame)$x), c("c", "a"))
  expect_identical(drop_levels(frame[1:3, "y", drop = FALSE]), frame["y"])
})

test_that("any na.action is asked, in the order of model.frame()", {
  d <- mixed_example()
  n <- function(...) nobs(lmmfit(y ~ x + (1 | g), ...))
  expect_equal(n(d, na.action = function(frame) frame[-(1:5), ]), 115L)
  expect_equal(n(d, na.action = "na.exclude"), 120L)
  marked <- d
  attr(marked, "na.action") <- function(frame) frame[-1, ]
  expect_equal(n(marked), 119L)
  expect_equal(n(marked, na.action = stats::na.omit), 120L)
  expect_kinlmm_error(n(d, na.action = "no_such_action"), "frame", "no_such_action")
  d$x[1:2] <- NA
  expect_equal(withr::with_options(list(na.action = "na.omit"), n(d)), 118L)
  expect_kinlmm_error(withr::with_options(list(na.action = "na.fail"), n(d)), "frame",
                      "missing values")
  fit <- lmmfit(y ~ x + (1 | g), d, na.action = stats::na.exclude)
  expect_length(residuals(fit), 120L)
})

test_that("with a subset, variables of all rows are known as such", {
  d <- mixed_example()
  fit <- lmmfit(y ~ x + (1 | g), d, subset = x > 0)
  expect_equal(fit$variables, c("y", "x", "g"))
  power <- 2
  fit <- lmmfit(log(y + 100) ~ I(x^power) + (1 | g), d, subset = x > 0)
  expect_equal(fit$variables, c("y", "x", "g"))
  with(d, expect_equal(lmmfit(y ~ I(x^power) + (1 | g))$variables, c("y", "x", "g")))
})

test_that("an offset is one column", {
  d <- mixed_example()
  expect_kinlmm_error(lmmfit(y ~ x + (1 | g), d, offset = cbind(x, z)), "argument",
                      c("`offset` must be a numeric vector", "120 x 2"))
  expect_equal(deviance(lmmfit(y ~ x + (1 | g), d, offset = cbind(o))),
               deviance(lmmfit(y ~ x + (1 | g), d, offset = o)))
})
