balanced_example <- function() {
  withr::with_seed(5, {
    d <- expand.grid(r = 1:3, b = factor(1:4), a = factor(1:6))
    d$y <- stats::rnorm(6, sd = 2)[d$a] + stats::rnorm(24, sd = 1.5)[d$a:d$b] +
      stats::rnorm(4)[d$b] + stats::rnorm(72)
    d
  })
}

test_that("ANOVA is REML in balanced designs where it is positive", {
  d <- balanced_example()
  for (formula in list(y ~ (1 | a), y ~ (1 | a / b), y ~ (1 | a) + (1 | b),
                       y ~ (1 | a) + (1 | b) + (1 | a:b))) {
    reml <- coef(variance_components(formula, d))
    expect_gt(min(reml), 0)
    for (method in c("ANOVA-I", "ANOVA-III")) {
      expect_equal(coef(variance_components(formula, d, method = method)), reml,
                   tolerance = 1e-10)
    }
  }
})

test_that("sums of squares are those of aov()", {
  d <- unbalanced_example()
  out <- variance_components(y ~ x + (1 | b) + (1 | a) + (1 | a:b), d, method = "ANOVA")
  theirs <- stats::anova(stats::lm(y ~ x + b + a + a:b, d))
  expect_equal(out$table$Df, theirs$Df[-1])
  expect_equal(out$table$`Sum Sq`, theirs$`Sum Sq`[-1])
  # nested factors come after, the order may be given
  nested <- variance_components(y ~ x + (1 | a:b) + (1 | a), d, method = "ANOVA")
  expect_identical(rownames(nested$table), c("(1 | a)", "(1 | a:b), after the above",
                                             "Residual"))
  turned <- variance_components(y ~ x + (1 | b) + (1 | a), d, method = "ANOVA",
                                order = c("a", "b"))
  expect_equal(turned$table$`Sum Sq`,
               stats::anova(stats::lm(y ~ x + a + b, d))$`Sum Sq`[-1])
})

test_that("Henderson III is that of dense projections, unbalanced", {
  at <- repeated_example()
  K <- at$K
  d <- unbalanced_example()
  fits <- list(lmmfit(y ~ x + (1 | a) + (1 | b) + (1 | a:b), d, weights = w, offset = x),
               lmmfit(y ~ (1 | a) + (0 + x | a) + (1 | b), d),
               lmmfit(y ~ x + kin(1 | id, K), at$data))
  for (fit in fits) {
    dense <- dense_components(fit)
    root <- sqrt(fit$weights)
    Z <- lapply(fit$random, function(term) {
      root * drop(term_design(term)) * stats::model.matrix(~ 0 + term$factor)
    })
    spans <- Reduce(cbind, Z, dense$X, accumulate = TRUE)
    projections <- c(lapply(spans, dense_projection), list(diag(dense$n)))
    A <- Map(`-`, projections[-1], projections[-length(projections)])
    theirs <- dense_moment_fit(dense, A)
    ours <- variance_components(fit, method = "ANOVA-III")
    expect_equal(unname(coef(ours)), theirs$phi, tolerance = 1e-8)
    expect_equal(unname(vcov(ours)), theirs$vcov, tolerance = 1e-7)
  }
})

test_that("Henderson I is that of uncorrected sums of squares, unbalanced", {
  d <- unbalanced_example()
  fit <- lmmfit(y ~ (1 | a) + (1 | b) + (1 | a:b), d)
  dense <- dense_components(fit)
  mean <- matrix(1 / dense$n, dense$n, dense$n)
  between <- lapply(fit$random, function(term) {
    dense_projection(stats::model.matrix(~ 0 + term$factor)) - mean
  })
  theirs <- dense_moment_fit(dense, c(between, list(diag(dense$n) - mean)))
  ours <- variance_components(fit, method = "ANOVA-I")
  expect_equal(unname(coef(ours)), theirs$phi)
  expect_equal(unname(vcov(ours)), theirs$vcov)
  # T_ab - T_a - T_b + T_mean
  sums <- vapply(between, function(A) drop(t(fit$y) %*% A %*% fit$y), 0)
  expect_equal(ours$table["(1 | a:b)", "Sum Sq"], sums[["a:b"]] - sums[["a"]] - sums[["b"]])
  expect_equal(sum(ours$table$`Sum Sq`), sum((fit$y - base::mean(fit$y))^2))
})

test_that("one-way standard errors are the textbook's", {
  d <- balanced_example()
  out <- variance_components(y ~ (1 | a), d, method = "ANOVA")
  MS <- out$table$`Mean Sq`
  expect_equal(out$components$variance, c((MS[1] - MS[2]) / 12, MS[2]))
  expect_equal(out$components$se, sqrt(c(2 / 144 * (MS[1]^2 / 5 + MS[2]^2 / 66),
                                         2 * MS[2]^2 / 66)))
  expect_equal(unname(out$expected), rbind(c(12, 1), c(0, 1)))
})

test_that("negative estimates are reported as such", {
  skip_if_not_installed("lme4")
  MS <- stats::anova(stats::lm(Yield ~ Batch, lme4::Dyestuff2))$`Mean Sq`
  out <- variance_components(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, method = "ANOVA")
  expect_equal(unname(coef(out)), c((MS[1] - MS[2]) / 5, MS[2]))
  expect_lt(coef(out)[["Batch"]], 0)
  expect_match(out$notes, "Negative: Batch")
  # fixed effects at a variance of zero
  expect_equal(unname(vcov(out, "fixed")), matrix(MS[2] / 30))
})

test_that("rounding error is not called a negative estimate", {
  d <- data.frame(g = gl(8, 1, 40), y = rep(1:8, 5))
  for (method in c("ANOVA-I", "ANOVA-III", "MINQUE0", "MINQUE1", "HE", "HE-pairs", "HE-SD")) {
    out <- variance_components(y ~ (1 | g), d, method)
    expect_identical(coef(out)[["Residual"]], 0)
    expect_equal(coef(out)[["g"]], 6)
    expect_length(out$notes, 0L)
  }
})

test_that("ANOVA refuses by name what it can't do", {
  d <- unbalanced_example()
  at <- repeated_example()
  K <- at$K
  one <- at$data[!duplicated(at$data$id), ]
  components <- function(...) variance_components(..., method = "ANOVA")
  henderson <- function(...) variance_components(..., method = "ANOVA-I")
  expect_kinlmm_error(components(y ~ (x | a), d), "method_terms", "(x | a)")
  expect_kinlmm_error(henderson(y ~ (0 + x | a), d), "method_terms", "(0 + x | a)")
  expect_kinlmm_error(henderson(y ~ kin(1 | id, K), at$data), "method_terms",
                      "kin(1 | id)")
  expect_kinlmm_error(henderson(y ~ x + (1 | a), d), "henderson", '"x"')
  expect_kinlmm_error(components(y ~ kin(1 | id, K), one), "residual_df", "kin(1 | id)")
  expect_kinlmm_error(components(y ~ kin(1 | id, K) + (1 | id), at$data), "confounded",
                      "(1 | id)")
  expect_kinlmm_error(components(y ~ (1 | a / b), d, order = c("b:a", "a")), "confounded",
                      "(1 | a)")
  expect_kinlmm_error(components(y ~ (1 | a), d, order = "b"), "argument",
                      "names of all random terms (a)")
})
