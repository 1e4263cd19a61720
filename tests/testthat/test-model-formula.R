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
