refused <- function(expr, regexp) {
  expect_error(expr, regexp, class = "kinlmm_error_argument")
}

test_that("check_flag() takes TRUE and FALSE", {
  expect_true(check_flag(TRUE))
  expect_false(check_flag(FALSE))
  for (x in list(NA, 1, "TRUE", c(TRUE, FALSE), NULL)) {
    refused(check_flag(x), "`x` must be TRUE or FALSE")
  }
})

test_that("check_string() takes one non-empty string", {
  expect_identical(check_string("a"), "a")
  for (x in list(NA_character_, "", c("a", "b"), 1, NULL)) {
    refused(check_string(x), "single non-empty string")
  }
})

test_that("check_number() takes one finite number in its range", {
  expect_identical(check_number(1L), 1)
  expect_identical(check_number(0.5, 0, 0.5), 0.5)
  for (x in list(NA, NaN, Inf, "1", 1:2, NULL)) refused(check_number(x), "single number")
  refused(check_number(0.6, 0, 0.5, arg = "maf"), "`maf` must be .* between 0 and 0.5")
})

test_that("check_count() takes one whole number", {
  expect_identical(check_count(3), 3L)
  for (x in list(0, 1.5, NA, 3e9, "1", 1:2)) refused(check_count(x), "whole number")
})

test_that("check_choice() takes a choice, the first by default", {
  choices <- c("one", "two")
  expect_identical(check_choice(choices, choices), "one")
  expect_identical(check_choice("two", choices), "two")
  for (x in list("three", "t", c("two", "one"), NA, 1, NULL)) {
    refused(check_choice(x, choices), "one of \"one\", \"two\"")
  }
})

test_that("errors say what was found, and where", {
  f <- function(size) check_count(size)
  error <- tryCatch(f("{big}"), error = identity)
  expect_identical(error$arg, "size")
  expect_identical(error$call, quote(f("{big}")))
  expect_match(conditionMessage(error), "It is \"\\{big\\}\"")
})

test_that("describe() knows what users pass", {
  expect_identical(describe(NULL), "NULL")
  expect_identical(describe("a"), "\"a\"")
  expect_identical(describe(c(1, 2)), "a numeric vector of length 2")
  expect_identical(describe(matrix(1:6, 2)), "an integer matrix of 2 x 3")
  expect_identical(describe(data.frame(a = 1:2)), "a data frame of 2 x 1")
  expect_identical(describe(list(1)), "an object of class list")
  expect_identical(describe(as_genotypes(random_genotypes(2, 3))),
                   "an object of class genotype_matrix")
})

test_that("positive numbers are above zero and finite", {
  expect_identical(check_positive(2L), 2)
  for (x in list(0, -1, Inf, NA_real_, "1", c(1, 2), NULL)) {
    expect_kinlmm_error(check_positive(x, "size"), "argument", "`size` must be a single number")
  }
})
