test_that("chromosomes are taken by name, all, or without X, Y and MT", {
  map <- data.frame(chr = c("1", "X", "2", "chrY", "MT", NA))
  expect_identical(on_chromosomes(map, "all"), 1:6)
  expect_identical(on_chromosomes(map, "autosomes"), c(1L, 3L, 6L))
  expect_identical(on_chromosomes(map, c("2", "X")), 2:3)
})
