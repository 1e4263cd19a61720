test_that("factors are those that others print", {
  # GCTA's formula, values of its users
  expect_equal(liability(1, 0.01, 0.5)$factor, 0.551907, tolerance = 1e-6)
  expect_equal(liability(1, 0.1, 0.5)$factor, 1.05196, tolerance = 1e-5)
})

test_that("standard errors and intervals follow, and no ascertainment is the default", {
  out <- liability(c(a = 0.2, b = 0.4), 0.2, se = c(0.05, 0.1))
  z <- stats::dnorm(stats::qnorm(0.8))
  expect_equal(out$estimate, c(0.2, 0.4) * 0.2 * 0.8 / z^2)
  expect_equal(out$se, c(0.05, 0.1) * out$factor)
  expect_output(print(out), "no ascertainment")
  expect_output(print(out), "a ")
  expect_s3_class(out[1, ], "data.frame", exact = TRUE)
})

test_that("a value above one is said", {
  expect_output(print(liability(0.97, 0.1, 0.5)), "Above 1, which no heritability is")
  expect_output(print(liability(0.5, 0.1, 0.5)), "0.5260")
})

test_that("the threshold model is recovered", {
  skip_on_cran()
  # sibs share half of the liability's genetic variance
  withr::with_seed(1, {
    families <- 4000
    family <- rep(seq_len(families), each = 2)
    common <- stats::rnorm(families, sd = sqrt(0.3))[family]
    y <- as.numeric(common + stats::rnorm(2 * families, sd = sqrt(0.7)) > stats::qnorm(0.7))
  })
  fit <- lmmfit(y ~ 1 + (1 | family), data.frame(y, family))
  h <- heritability(fit)
  out <- liability(h, prevalence = 0.3)
  expect_lt(abs(out$estimate - 0.3), 3 * out$se)
  expect_output(print(h), "liability()")
})

test_that("what is no share or no case-control response is refused", {
  expect_kinlmm_error(liability(0.3, 1), "argument", "`prevalence` must be a share")
  expect_kinlmm_error(liability(0.3, 0.1, 0), "argument", "`cases` must be a share")
  expect_kinlmm_error(liability("a", 0.1), "argument", "`h2` must be")
  expect_kinlmm_error(liability(0.3, 0.1, se = -1), "argument", "`se` must be")
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  expect_kinlmm_error(liability(heritability(fit), 0.1), "liability", "0 (controls)")
})

test_that("of two traits those of zeros and ones are transformed", {
  d <- two_traits(60)
  d$data$ill <- as.numeric(d$data$a > 3)
  fit <- bivariate(cbind(ill, b) ~ x + (1 | id), d$data, list(id = d$K))
  h <- heritability(fit)
  expect_identical(dim(h), c(2L, 11L))
  expect_output(print(h), "ill is 0 or 1")
  out <- liability(h, 0.2)
  expect_identical(out$term, "ill")
  own <- liability(h$estimate[[1]], 0.2, mean(d$data$ill), se = h$se[[1]])
  expect_equal(out$estimate, own$estimate)
  expect_equal(out$lower, h$lower[[1]] * own$factor)
  expect_kinlmm_error(liability(h, c(0.1, 0.2)), "argument", "`prevalence` must be")
  d$data$too <- as.numeric(d$data$b > 0)
  h <- heritability(bivariate(cbind(ill, too) ~ x + (1 | id), d$data, list(id = d$K)))
  both <- liability(h, c(0.1, 0.2))
  cases <- c(mean(d$data$ill), mean(d$data$too))
  by <- function(K, P) liability(1, K, P)$factor
  expect_equal(both$factor, c(by(0.1, cases[[1]]), by(0.2, cases[[2]])))
  expect_output(print(both), "too: prevalence 0.2")
  expect_equal(liability(h, 0.1)$factor, c(by(0.1, cases[[1]]), by(0.1, cases[[2]])))
  expect_equal(liability(h, 0.1, 0.1)$factor, rep(by(0.1, 0.1), 2))
  plain <- heritability(bivariate(cbind(a, b) ~ x + (1 | id), d$data, list(id = d$K)))
  expect_kinlmm_error(liability(plain, 0.1), "liability", "0 (controls)")
})
