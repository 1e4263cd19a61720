K <- as_kinship(withr::with_seed(4, toy_kinship(40)))

test_that("cells are means of neighbours, relatives side by side", {
  order <- withr::with_seed(1, sample(40))
  shuffled <- kronecker(diag(8), matrix(0.5, 5, 5)) + diag(0.5, 40)
  blocks <- as_kinship(shuffled[order, order], paste0("i", 1:40))
  at <- relatedness_order(blocks)
  family <- (order[at] - 1) %/% 5
  expect_identical(length(rle(family)$lengths), 8L)
  expect_equal(cpp_cell_means(blocks, at, 8L), diag(0.5, 8))
  expect_identical(cpp_cell_means(blocks, at, 40L), unname(as.matrix(blocks)[at, at]))
})

test_that("colours have white for zero and limits by the pairs", {
  expect_identical(kinship_colours(c(0, 1))[[1]], "#FFFFFF")
  both <- kinship_colours(c(-1, 1))
  blue <- grDevices::col2rgb(both[[1]])[, 1]
  red <- grDevices::col2rgb(both[[256]])[, 1]
  expect_gt(blue[["blue"]], blue[["red"]])
  expect_gt(red[["red"]], red[["blue"]])
  expect_identical(colour_limits(diag(5)), c(0, 1))
  far <- matrix(seq(-1, 1, length.out = 10000), 100)
  diag(far) <- 50
  expect_lt(colour_limits(far)[[2]], 1)
  for (same in list(matrix(1), matrix(0), matrix(-1, 3, 3))) {
    expect_lt(diff(rev(colour_limits(same))), 0)
  }
})

test_that("a histogram of one value is a narrow bar there", {
  for (value in c(-2, 0, 1)) {
    bars <- graphics::hist(rep(value, 5), histogram_breaks(rep(value, 5)), plot = FALSE)
    expect_equal(bars$mids[bars$counts > 0], value)
    expect_identical(sum(bars$counts > 0), 1L)
  }
  expect_identical(histogram_breaks(c(1, 1.01)), 60L)
})

test_that("every type is drawn, and devices are left as they were", {
  withr::local_pdf(NULL)
  old <- graphics::par(no.readonly = TRUE)
  for (type in c("heatmap", "spectrum", "pairs")) {
    expect_identical(plot(K, type), K)
    expect_identical(plot(K[1:2, 1:2], type, main = "two"), K[1:2, 1:2])
    expect_identical(plot(K["i3", "i3", drop = FALSE], type), K["i3", "i3", drop = FALSE])
    expect_identical(graphics::par("mar", "mfrow", "oma"), old[c("mar", "mfrow", "oma")])
  }
  expect_identical(plot(K, order = "given", cells = 10, limits = c(0, 1)), K)
  negative <- K - 2 * diag(40)
  expect_identical(plot(negative), negative)
  expect_identical(plot(negative, "spectrum"), negative)
  expect_kinlmm_error(plot(K, "pie"), "argument", "heatmap")
  expect_kinlmm_error(plot(K, limits = c(1, 0)), "argument", "two increasing numbers")
  expect_kinlmm_error(plot(K[0, 0]), "argument", "at least one id")
})
