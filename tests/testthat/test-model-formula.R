bars_of <- function(formula) model_formula(formula)$bars

test_that("a formula is split into its fixed part and its random terms", {
  parts <- model_formula(y ~ x + poly(z, 2) + (1 + x | g))
  expect_equal(deparse1(parts$fixed), "y ~ x + poly(z, 2)")
  expect_length(parts$bars, 1L)
  expect_equal(parts$bars[[1]]$group, quote(g))
  expect_equal(parts$bars[[1]]$lhs, quote(1 + x))
  expect_true(parts$bars[[1]]$correlated)
  expect_null(parts$bars[[1]]$kernel)
  expect_setequal(all.vars(parts$all), c("y", "x", "z", "g"))
})

test_that("`||` is decorrelated, kin() keeps its matrix out of the frame", {
  expect_false(bars_of(y ~ (x || g))[[1]]$correlated)
  parts <- model_formula(y ~ kin(1 | id, K))
  expect_equal(parts$bars[[1]]$kernel, quote(K))
  expect_setequal(all.vars(parts$all), c("y", "id"))
})

test_that("a formula with only random terms keeps the intercept", {
  expect_equal(deparse1(model_formula(y ~ (1 | g))$fixed), "y ~ 1")
})

test_that("bad formulas are named", {
  expect_kinlmm_error(lmmfit(~ x + (1 | g)), "argument", "two-sided formula")
  expect_kinlmm_error(lmmfit(1), "argument", "`formula` must be a two-sided formula",
                      list(arg = "formula"))
  expect_kinlmm_error(lmmfit(y ~ x), "formula",
                      c("`formula` must have a random term.", "`y ~ x` has none",
                        "(1 | group)"))
  expect_kinlmm_error(lmmfit(y ~ kin(1 | id)), "formula", "kin(1 | id, K)")
})

test_that("what stands round a bar is refused, not dropped", {
  wrapped <- list(y ~ Kin(1 | g, K), y ~ ar1(1 | g), y ~ cs(x | g), y ~ diag(x | g),
                  y ~ I(1 | g), y ~ x:(1 | g), y ~ x * (1 | g), y ~ x - (1 | g))
  names <- c("Kin", "ar1", "cs", "diag", "I", ":", "*", "-")
  for (i in seq_along(wrapped)) {
    expect_kinlmm_error(model_formula(wrapped[[i]]), "formula",
                        paste0("has a bar inside `", names[[i]], "`"))
  }
  expect_kinlmm_error(model_formula(y ~ (1 | g | x)), "formula", "is not a bar term")
  for (term in list(y ~ kin(1 | id), y ~ kin(id, K),
                    y ~ kin((1 | id), K), y ~ kin(1 | id, K, K))) {
    expect_kinlmm_error(model_formula(term), "formula", "as `kin(1 | id, K)`")
  }
  expect_kinlmm_error(model_formula(y ~ (1 | a * 2)), "formula", "It is `a * 2`")
  expect_length(bars_of(y ~ x + ((1 | g)) + (kin(1 | id, K))), 2L)
})

test_that("nested factors are a term each, the finest first", {
  groups <- vapply(bars_of(y ~ (x | a / b / c)), function(bar) deparse1(bar$group), "")
  expect_equal(groups, c("c:(b:a)", "b:a", "a"))
})

test_that("what is left without the random terms", {
  fixed <- function(formula) deparse1(model_formula(formula)$fixed)
  expect_equal(fixed(y ~ (1 | g) - 1), "y ~ -1")
  expect_equal(fixed(y ~ 0 + (1 | g) + x:z), "y ~ 0 + x:z")
  expect_equal(fixed(y ~ x + (1 | g) + offset(w)), "y ~ x + offset(w)")
  expect_equal(fixed(y ~ (1 | g) + kin(1 | id, K)), "y ~ 1")
  expect_equal(fixed(rep(y, 2) ~ (1 | g)), "rep(y, 2) ~ 1")
})

test_that("a bar on the left is part of the response", {
  expect_length(bars_of((a | b) ~ x + (1 | g)), 1L)
})

test_that("a term needs an intercept or a slope", {
  d <- mixed_example()
  for (term in list(y ~ (0 | g), y ~ (-1 | g), y ~ (0 || g))) {
    expect_kinlmm_error(lmmfit(term, d), "formula",
                        paste0("`", deparse1(term[[3]]), "` has neither"))
  }
})

test_that("a dot is the columns that are nowhere else in the formula", {
  d <- mixed_example()[c("y", "x", "z", "g", "w", "o")]
  fit <- lmmfit(y ~ . + (1 | g), d, weights = w, offset = o)
  expect_named(fixef(fit), c("(Intercept)", "x", "z", "w", "o"))
  expect_equal(predict(fit, d), predict(fit))
  expect_named(fixef(update(fit, . ~ . - z)), c("(Intercept)", "x", "w", "o"))
  expect_named(fixef(lmmfit(log(y + 100) ~ . - z + (1 | g), d)),
               c("(Intercept)", "x", "w", "o"))
  expect_named(fixef(lmmfit(y ~ .^2 + (1 | g), d[c("y", "x", "z", "g")])),
               c("(Intercept)", "x", "z", "x:z"))
  expect_named(fixef(lmmfit(y ~ . + (1 | g), d[c("y", "g")])), "(Intercept)")
  y <- d$y
  g <- d$g
  expect_kinlmm_error(lmmfit(y ~ . + (1 | g)), "variable", "Not found: \".\"")
})
