test_that("both engines are the same where both can be", {
  sibs <- two_traits(48, seed = 8)
  d <- rbind(sibs$data, sibs$data[1:12, ])
  model <- read_traits(cbind(a, b) ~ x + (1 | id), quote(bivariate(weights = w)), d,
                       list(id = sibs$K), NULL, environment(), NULL)
  paired <- bivariate_engine(model, TRUE, NULL)
  joint <- joint_engine(model, TRUE)
  expect_identical(c(paired$name, joint$name), c("paired", "joint"))
  joint$data$values <- paired$data$values
  ratio <- rep(c(joint$unit / paired$unit, 1), each = 3)
  for (theta in list(c(1, 0.3, 0.5, 0.8, -0.2, 0.6), c(0.1, -1, 0, 0.3, 0, 2))) {
    one <- bivariate_at(paired, theta, TRUE, 2L)
    other <- bivariate_at(joint, theta * sqrt(ratio), TRUE, 2L)
    expect_equal(other$value, one$value, tolerance = 1e-10)
    expect_equal(other$gradient * ratio, one$gradient, tolerance = 1e-8)
    expect_equal(other$hessian * tcrossprod(ratio), one$hessian, tolerance = 1e-8)
    expect_equal(other$expected * tcrossprod(ratio), one$expected, tolerance = 1e-8)
  }
})

test_that("effects and prediction errors are those of the definition", {
  sibs <- two_traits(52, seed = 9)
  d <- sibs$data[1:48, ]
  again <- rbind(d, d[1:12, ])
  again$a <- again$a + sin(1:60)
  again$b <- again$b + cos(1:60)
  again$cage <- rep_len(1:6, 60)
  centre <- diag(52) - 1 / 52
  centred <- structure(centre %*% sibs$K %*% centre, dimnames = dimnames(sibs$K))
  K <- list(id = sibs$K)
  fits <- list(
    bivariate(cbind(a, b) ~ x + (1 | id), d, K, weights = w),
    bivariate(cbind(a, b) ~ x + (1 | id), d, list(id = centred)),
    bivariate(cbind(a, b) ~ x + (1 | id), d, K, REML = FALSE),
    bivariate(cbind(a, b) ~ x + (1 | id), again, K, weights = w),
    bivariate(cbind(a, b) ~ x + (1 | id), without_traits(d, 1:7, 40:44), K, weights = w),
    bivariate(cbind(a, b) ~ x + (1 | cage), again, weights = w),
    bivariate(cbind(a, b) ~ x + (1 | id) + (1 | cage), without_traits(again, 3:5, 9), K)
  )
  for (fit in fits) {
    at <- dense_pair(fit)
    Vi <- solve(at$V)
    P <- Vi - Vi %*% at$X %*% solve(t(at$X) %*% Vi %*% at$X, t(at$X) %*% Vi)
    found <- blup(fit)
    for (label in names(fit$random)) {
      mine <- found[found$group == label, ]
      C <- at$C[[label]]
      expect_equal(mine$value, drop(C %*% P %*% at$y), tolerance = 1e-7, ignore_attr = TRUE)
      pev <- diag(at$prior[[label]]) - rowSums((C %*% P) * C)
      expect_equal(mine$pev, pev, tolerance = 1e-7, ignore_attr = TRUE)
      expect_equal(unlist(ranef(fit)[[label]], use.names = FALSE), mine$value)
    }
  }
})

test_that("the start from complete records is used for data that are not", {
  sibs <- two_traits(80, seed = 9)
  d <- without_traits(sibs$data, 1:9, 70:75)
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), d, list(id = sibs$K))
  expect_identical(ncol(fit$engine$starts), 4L)
  alone <- bivariate(cbind(a, b) ~ x + (1 | id), d[c(10:69, 76:80), ], list(id = sibs$K))
  V <- pack_pairs(fit$engine$starts[, 1]) * fit$engine$units
  expect_equal(V[c(2, 5)], unname(alone$psi[c(2, 5)]), tolerance = 1e-3)
})
