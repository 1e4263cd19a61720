chromosomes <- function() {
  geno <- read_bed(write_test_bed(random_genotypes(50, 90), chr = rep(1:3, each = 30)))
  suppressMessages(grm(geno, missing = 1, loco = TRUE))
}

test_that("a list of relationship matrices is taken apart like a list", {
  K <- chromosomes()
  expect_s3_class(K, "kinships")
  expect_s3_class(K[["2"]], "kinship")
  expect_s3_class(K[2:3], "kinships")
  expect_named(K[2:3], c("2", "3"))
  expect_named(K[factor("3")], "3")
  expect_identical(K[c("3", "1")][["1"]], K[["1"]])
  expect_kinlmm_error(K[c("1", "7")], "kinships_names", '"7"', list(unknown = "7"))
  expect_identical(K$`2`, K[["2"]])
  expect_identical(K[[factor("3")]], as.list(K)[[3]])
  expect_identical(K[], K)
  expect_named(K[-1], c("2", "3"))
  # of a list this would be NULL, and "10" by K$`1`
  expect_kinlmm_error(K[["7"]], "kinships_names", '"7"')
  expect_kinlmm_error(structure(K, names = c("10", "2", "3"))$`1`, "kinships_names", '"1"')
  for (bad in list(4, NA, "2"[NA], list(1), c(TRUE, FALSE, TRUE, TRUE))) {
    expect_kinlmm_error(K[bad], c("argument", "kinships_names")[1 + identical(bad, "2"[NA])],
                        "names")
  }
  expect_kinlmm_error(K[[1:2]], "argument", "one name or number")
  expect_type(as.list(K), "list")
  expect_null(attr(as.list(K), "by"))
  expect_null(attr(as.list(K), "class"))
  expect_length(K[0], 0L)
})

test_that("a list of relationship matrices is a table, too", {
  K <- chromosomes()
  table <- as.data.frame(K)
  expect_identical(table$name, c("1", "2", "3"))
  expect_identical(table$m, vapply(as.list(K), function(x) attr(x, "grm")$m, 0,
                                   USE.NAMES = FALSE))
  expect_equal(table$mean_diagonal[[2]], mean(diag(K[[2]])))
  shown <- capture.output(print(K))
  expect_match(shown[[1]], "3 of 50 individuals, each without one chromosome")
  expect_match(shown, "centered, missing genotypes replaced by the mean", all = FALSE)
  expect_match(shown, "without +SNPs +mean diagonal", all = FALSE)
  expect_output(print(K[0]), "0 of 0")
  expect_output(print(K[["2"]]), "without\\s+chromosome 2")
})

test_that("one of them is a relationship matrix for lmmfit() and marker_effects()", {
  G <- random_genotypes(50, 90, missing = 0)
  geno <- read_bed(write_test_bed(G, chr = rep(1:3, each = 30)))
  K <- suppressMessages(grm(geno, "vanraden1", loco = TRUE))
  withr::local_seed(1)
  data <- data.frame(id = rownames(G), y = drop(scale(G) %*% stats::rnorm(90, 0, 0.2)) +
                       stats::rnorm(50))
  fit <- lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = K[["2"]]))
  plain <- matrix(K[["2"]], 50, dimnames = dimnames(K[["2"]]))
  expect_equal(logLik(fit), logLik(lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = plain))))
  effects <- marker_effects(fit, geno)
  expect_identical(effects$snp, colnames(G)[-(31:60)])
  expect_equal(predict(effects, geno)[data$id], stats::setNames(blup(fit)$value, blup(fit)$id)[
    data$id], tolerance = 1e-6)
  by_group <- suppressMessages(grm(geno, by = rep(c("a", "b"), 45)))
  fit <- lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = by_group$a))
  expect_kinlmm_error(marker_effects(fit, geno), "marker_kernel", 'of group "a"')
  expect_identical(marker_effects(fit, geno[, rep(c(TRUE, FALSE), 45)])$snp,
                   colnames(G)[rep(c(TRUE, FALSE), 45)])
  by_chr <- suppressMessages(grm(geno, "vanraden2", by = "chr"))
  fit <- lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = by_chr[["2"]]))
  expect_identical(marker_effects(fit, geno)$snp, colnames(G)[31:60])
})

test_that("marker_effects() refuses matrices that it cannot take apart", {
  G <- random_genotypes(50, 90)
  data <- data.frame(id = rownames(G), y = withr::with_seed(1, stats::rnorm(50)))
  refused <- function(text, ...) {
    K <- suppressMessages(grm(G, missing = 1, ...))
    # positive definite, with the note that a sum would lose
    if (isTRUE(list(...)$pairwise)) K <- new_kinship(plain_matrix(K) + diag(50), attr(K, "grm"))
    fit <- suppressWarnings(lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = K)))
    expect_kinlmm_error(marker_effects(fit, G), "marker_kernel", text)
  }
  refused("is one of dominance", method = "dominance")
  refused("is one of dominance", method = "vitezica")
  refused("has weights", weights = 1:90)
  refused("pair by pair", pairwise = TRUE)
})
