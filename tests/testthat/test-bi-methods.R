test_that("print and summary show every part, aligned", {
  sibs <- two_traits(60)
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), without_traits(sibs$data, 1:9, 5:12),
                   list(id = sibs$K))
  out <- utils::capture.output(print(fit))
  expect_match(out, "Records: 48 with both, 3 with a alone, 4 with b alone", all = FALSE)
  expect_match(out, "left out: 5 with neither trait", all = FALSE)
  for (part in c("Covariances", "Shares of the phenotypic variance", "Correlations of a and b",
                 "Fixed effects", "phenotypic")) {
    expect_match(out, part, all = FALSE, fixed = TRUE)
  }
  rows <- out[grep("^  (id|Residual) .*[0-9]$", out)][1:6]
  expect_identical(length(unique(nchar(rows))), 1L)
  table <- coef(summary(fit))
  expect_identical(dim(table), c(4L, 4L))
  expect_equal(table[, 2], sqrt(diag(vcov(fit))))
  expect_output(print(summary(fit)), "largest gradient")
})

test_that("fitted values and residuals add up, those that are missing are predicted", {
  sibs <- two_traits(60)
  data <- without_traits(sibs$data, 1:4, 50:52)
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), data, list(id = sibs$K))
  expect_equal(fitted(fit) + residuals(fit), cbind(a = data$a, b = data$b),
               ignore_attr = TRUE)
  expect_identical(which(is.na(residuals(fit))), c(1:4, 110:112))
  beta <- fixef(fit)
  expect_equal(unname(fitted(fit)[1, "a"]),
               beta[[1, "a"]] + beta[[2, "a"]] * data$x[[1]] + ranef(fit)$id["i001", "a"])
  expect_identical(colnames(ranef(fit)$id), c("a", "b"))
})

test_that("VarCorr() and confint() agree with the estimates", {
  sibs <- two_traits(60)
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), sibs$data, list(id = sibs$K))
  V <- VarCorr(fit)
  expect_identical(names(V), c("id", "Residual"))
  expect_equal(attr(V$id, "stddev")^2, diag(fit$covariances$id))
  expect_equal(attr(V$id, "se")[2, 1], sqrt(fit$psi_vcov[2, 2]))
  wald <- confint(fit, method = "Wald")
  expect_equal(rowMeans(wald)[names(fit$psi)], fit$psi)
  expect_equal(wald["a:x", 2] - wald["a:x", 1],
               2 * stats::qnorm(0.975) * sqrt(vcov(fit)["a:x", "a:x"]))
  expect_identical(rownames(confint(fit)), c("h2:a", "h2:b", "cor:id", "cor:Residual"))
})

test_that("simulated traits have the covariances of the model", {
  sibs <- two_traits(60)
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), without_traits(sibs$data, 1:9, 50:52),
                   list(id = sibs$K), weights = w)
  draws <- simulate(fit, 4000, seed = 1)
  expect_identical(draws[1:2], simulate(fit, 2, seed = 1))
  Y <- vapply(draws, function(Y) Y[c(1, 2, 61, 62)], numeric(4))
  K <- sibs$K[1:2, 1:2]
  W <- diag(1 / fit$weights[1:2])
  V <- kronecker(fit$covariances$id, K) + kronecker(fit$covariances$Residual, W)
  expect_equal(stats::cov(t(Y)), V, tolerance = 0.06)
  expect_identical(is.na(simulate(fit, 1, seed = 1, missing = TRUE)[[1]]), is.na(fit$Y))
})
