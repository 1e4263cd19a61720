test_that("scores, pairs and eigenvalues are drawn", {
  withr::local_pdf(NULL)
  G <- random_genotypes(40, 100, missing = 0)
  pc <- suppressMessages(pca(G, 4))
  groups <- rep(c("a", "b", NA, "c"), 10)
  old <- graphics::par("mar")
  expect_identical(plot(pc), pc)
  plot(pc, groups = groups, main = "title", xlim = c(-1, 1))
  plot(pc, components = c(2, 4), groups = stats::setNames(groups, rev(rownames(G))),
       new = predict(pc, G[1:3, ]))
  plot(pc, components = 1:3, groups = groups)
  plot(pc, components = 1:3)
  plot(pc, "scree", col = "red")
  expect_identical(graphics::par("mar"), old)
  for (wrong in list(list(components = 1), list(components = c(1, 5)), list(groups = 1:3),
                     list(type = "map"), list(new = matrix(0, 1, 2)),
                     list(components = c(1, NA)))) {
    expect_error(do.call(plot, c(list(pc), wrong)), class = "kinlmm_error_argument")
  }
  expect_error(plot(suppressMessages(pca(G, 1))), class = "kinlmm_error_argument")
})

test_that("groups are matched by ids", {
  pc <- suppressMessages(pca(random_genotypes(5, 30, missing = 0), 2))
  groups <- c(id005 = "x", id001 = "y", id002 = "y", id003 = "y", id004 = "y")
  expect_identical(as.character(pca_groups(groups, pc, NULL)), c("y", "y", "y", "y", "x"))
})
