test_that("a seed follows set.seed(), and every call draws another", {
  set.seed(1)
  first <- random_seed()
  second <- random_seed()
  set.seed(1)
  expect_identical(random_seed(), first)
  expect_false(any(first == second))
  expect_true(all(first == round(first) & first >= 0 & first < 2^32))
})
