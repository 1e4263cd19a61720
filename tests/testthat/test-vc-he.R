he_fits <- function() {
  at <- repeated_example()
  K <- at$K
  d <- unbalanced_example()
  list(lmmfit(y ~ x + kin(1 | id, K), at$data[!duplicated(at$data$id), ]),
       lmmfit(y ~ x + kin(1 | id, K) + (1 | id), at$data, weights = w),
       lmmfit(y ~ 1 + (1 | a) + (1 | b), d), lmmfit(y ~ 1 + (1 + x | a), d))
}

test_that("all products are MINQUE(0)", {
  for (fit in he_fits()) {
    he <- variance_components(fit, method = "HE")
    minque <- variance_components(fit, method = "MINQUE0")
    expect_equal(coef(he), coef(minque), tolerance = 1e-9)
    expect_equal(vcov(he), vcov(minque), tolerance = 1e-9)
  }
})

test_that("products of pairs and squared differences are regressions by lm()", {
  for (fit in he_fits()) {
    dense <- dense_components(fit)
    F <- lapply(dense$G, function(G) dense$M %*% G %*% dense$M)
    pairs <- which(upper.tri(dense$M), arr.ind = TRUE)
    i <- pairs[, 1]
    j <- pairs[, 2]
    r <- dense$r
    at <- vapply(F, function(F) F[pairs], numeric(nrow(pairs)))
    slopes <- stats::lm.fit(at, r[i] * r[j])$coefficients
    slopes <- slopes[-length(slopes)]
    traces <- vapply(F, function(F) sum(diag(F)), 0)
    residual <- (sum(r^2) - sum(traces[seq_along(slopes)] * slopes)) / traces[[length(F)]]
    ours <- variance_components(fit, method = "HE-pairs")
    expect_equal(unname(coef(ours)), unname(c(slopes, residual)), tolerance = 1e-8)

    apart <- vapply(F, function(F) diag(F)[i] + diag(F)[j] - 2 * F[pairs], numeric(length(i)))
    theirs <- stats::lm.fit(apart, (r[i] - r[j])^2)$coefficients
    sd <- variance_components(fit, method = "HE-SD")
    expect_equal(unname(coef(sd)), unname(theirs), tolerance = 1e-8)
  }
})

test_that("with a mean alone the regression of pairs has an intercept, as GCTA's", {
  at <- repeated_example()
  K <- at$K
  data <- at$data[!duplicated(at$data$id), ]
  centred <- K[data$id, data$id]
  centred <- centred - rowMeans(centred)
  centred <- t(t(centred) - colMeans(centred))
  r <- data$y - mean(data$y)
  below <- lower.tri(centred)
  theirs <- stats::coef(stats::lm(outer(r, r)[below] ~ centred[below]))[[2]]
  ours <- variance_components(y ~ 1 + kin(1 | id, K), data, method = "HE-pairs")
  expect_equal(coef(ours)[["id"]], theirs)
  apart <- outer(diag(centred), diag(centred), `+`) - 2 * centred
  theirs <- stats::coef(stats::lm(outer(r, r, `-`)[below]^2 ~ apart[below]))
  ours <- variance_components(y ~ 1 + kin(1 | id, K), data, method = "HE-SD")
  expect_equal(unname(coef(ours)), c(theirs[[2]], theirs[[1]] / 2))
})

test_that("standard errors are those of normal data", {
  fit <- he_fits()[[1]]
  dense <- dense_components(fit)
  pairs <- which(lower.tri(dense$M, diag = TRUE), arr.ind = TRUE)
  for (method in c("HE-pairs", "HE-SD")) {
    ours <- variance_components(fit, method = method)
    data <- regression_data(fit_model(fit), method)
    estimate <- function(y) {
      data$r <- drop(dense$M %*% y)
      total <- regression_sums(data)
      regression_solve(total, regression_kept(total, fit$random, method, NULL))
    }
    expect_equal(estimate(dense$y), unname(coef(ours)))
    # an estimate is y'B y: B from its values at sums of unit vectors
    unit <- diag(dense$n)
    own <- apply(unit, 1, estimate)
    V <- Reduce(`+`, Map(`*`, dense$G, coef(ours)))
    B <- lapply(1:2, function(c) diag(own[c, ]))
    for (at in which(pairs[, 1] > pairs[, 2])) {
      i <- pairs[at, 1]
      j <- pairs[at, 2]
      value <- (estimate(unit[i, ] + unit[j, ]) - own[, i] - own[, j]) / 2
      for (c in 1:2) B[[c]][i, j] <- B[[c]][j, i] <- value[[c]]
    }
    theirs <- outer(1:2, 1:2, Vectorize(function(a, b) {
      2 * sum((B[[a]] %*% V) * t(B[[b]] %*% V))
    }))
    expect_equal(unname(vcov(ours)), theirs)
  }
})

test_that("the empirical error replaces one V by what was observed", {
  fit <- he_fits()[[2]]
  dense <- dense_components(fit)
  ours <- variance_components(fit, method = "HE", se = "empirical")
  F <- lapply(dense$G, function(G) dense$M %*% G %*% dense$M)
  S <- outer(1:3, 1:3, Vectorize(function(a, b) sum(F[[a]] * F[[b]])))
  V <- Reduce(`+`, Map(`*`, F, coef(ours)))
  q <- outer(1:3, 1:3, Vectorize(function(a, b) {
    2 * drop(t(dense$r) %*% F[[a]] %*% V %*% F[[b]] %*% dense$r)
  }))
  expect_equal(unname(vcov(ours)), solve(S, t(solve(S, q))))
})

test_that("the jackknife leaves out individuals with all their records", {
  fit <- he_fits()[[2]]
  dense <- dense_components(fit)
  F <- lapply(dense$G, function(G) dense$M %*% G %*% dense$M)
  id <- as.character(fit$random$id$factor)
  each <- vapply(unique(id), function(out) {
    keep <- id != out
    F <- lapply(F, function(F) F[keep, keep])
    S <- outer(1:3, 1:3, Vectorize(function(a, b) sum(F[[a]] * F[[b]])))
    r <- dense$r[keep]
    solve(S, vapply(F, function(F) drop(t(r) %*% F %*% r), 0))
  }, numeric(3))
  G <- ncol(each)
  theirs <- (G - 1) / G * tcrossprod(each - rowMeans(each))
  ours <- variance_components(fit, method = "HE", se = "jackknife")
  expect_equal(unname(vcov(ours)), unname(theirs))
  for (method in c("HE-pairs", "HE-SD")) {
    out <- variance_components(fit, method = method, se = "jackknife")
    expect_true(all(out$components$se > 0))
  }
  crossed <- lmmfit(y ~ 1 + (1 | a) + (1 | b), unbalanced_example())
  expect_kinlmm_error(variance_components(crossed, method = "HE", se = "jackknife"),
                      "method_terms", c("jackknife", "(1 | b)"))
})
