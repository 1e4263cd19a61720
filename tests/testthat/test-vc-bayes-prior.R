test_that("priors are objects that say what they are", {
  expect_snapshot({
    prior_half_t()
    prior_half_t(1, 2.5)
    prior_half_t(Inf, c(1, 2))
    prior_inverse_chisq(5, 0.5)
    prior_inverse_wishart(4, diag(2))
    prior_flat("variance")
    bayes_control(list(id = prior_flat()), chains = 2, thin = 3)
  })
})

test_that("arguments of priors are checked", {
  expect_kinlmm_error(prior_half_t(-1), "argument", "df")
  expect_kinlmm_error(prior_half_t(scale = c(1, NA)), "argument", "scale")
  expect_kinlmm_error(prior_inverse_chisq(3, -1), "argument", "scale")
  expect_kinlmm_error(prior_inverse_wishart(3, matrix(c(1, 2, 2, 1), 2)), "argument",
                      "positive definite")
  expect_kinlmm_error(prior_inverse_wishart(3, matrix(c(1, NA, NA, 1), 2)), "argument",
                      "positive definite")
  expect_kinlmm_error(prior_inverse_wishart(1, diag(2)), "argument", "larger than 1")
  expect_kinlmm_error(prior_flat("sd"), "argument", "deviation")
  expect_kinlmm_error(bayes_control("flat"), "argument", "prior")
  expect_kinlmm_error(bayes_control(list(prior_half_t())), "argument", "named")
  expect_kinlmm_error(bayes_control(chains = 0), "argument", "chains")
  expect_kinlmm_error(bayes_control(warmup = 5), "argument", "warmup")
  expect_kinlmm_error(bayes_control(chains = 100, iterations = 1e7), "argument", "100,000")
})

test_that("priors go to their terms, with the scale of the data", {
  d <- mixed_example()
  model <- bayes_model(y ~ x + (1 + z | g) + (1 | f), d)
  unit <- column_spread(model$random)
  expect_equal(unit$g, c(1, sqrt(mean((d$z - mean(d$z))^2))))
  own <- resolve_priors(list(f = prior_inverse_chisq(4)), model$random, unit, 2, NULL)
  expect_named(own, c("g", "f", "Residual"))
  expect_equal(own$g$scale, 2 / unit$g)
  expect_identical(own$g$kind, "half_t")
  expect_equal(own$f$scale, 4)
  expect_equal(own$Residual$scale, 2)
  expect_kinlmm_error(vc_bayes(model, bayes_control(list(h = prior_half_t()))), "argument",
                      c("no \"h\"", "\"Residual\""))
  expect_kinlmm_error(vc_bayes(model, bayes_control(prior_inverse_chisq(3))), "argument",
                      "2 columns")
  wrong <- bayes_control(list(g = prior_inverse_wishart(4, diag(3))))
  expect_kinlmm_error(vc_bayes(model, wrong), "argument", "3 x 3")
  wrong <- bayes_control(list(g = prior_half_t(3, 1:3)))
  expect_kinlmm_error(vc_bayes(model, wrong), "argument", "3 values")
})

test_that("kernels have the scale of their centred diagonal", {
  withr::local_seed(1)
  K <- toy_kinship(20)
  model <- bayes_model(y ~ 1 + (1 | id), toy_pheno(K), list(id = K))
  expect_equal(column_spread(model$random)$id, sqrt(mean(diag(K)) - mean(K)))
})

test_that("improper posteriors are refused, and no others", {
  few <- data.frame(g = factor(rep(1:2, each = 5)), y = c(1:5, 3, 9, 1, 4, 4))
  flat <- function(on) bayes_control(list(g = prior_flat(on)), iterations = 10, warmup = 20)
  refused <- function(model, on, ...) {
    expect_kinlmm_error(vc_bayes(model, flat(on)), "improper", ...)
  }
  model <- bayes_model(y ~ 1 + (1 | g), few)
  refused(model, "deviation", "is 1", list(rank = 1, labels = "g"))
  refused(model, "log", "can't be flat")
  quiet <- function(...) suppressWarnings(vc_bayes(...))
  three <- rbind(few, data.frame(g = "3", y = c(2, 8, 7)))
  model <- bayes_model(y ~ 1 + (1 | g), three)
  expect_s3_class(quiet(model, flat("deviation")), "bayes_components")
  refused(model, "variance", "is 2")
  # without an intercept no dimension is lost
  expect_s3_class(quiet(bayes_model(y ~ 0 + (1 | g), few), flat("deviation")),
                  "bayes_components")
})

test_that("nested terms with flat priors are judged together", {
  d <- expand.grid(r = 1:2, h = 1:2, g = 1:3)
  d$y <- c(1, 3, 2, 5, 1, 1, 4, 6, 2, 2, 3, 7)
  control <- function(...) bayes_control(list(...), iterations = 10, warmup = 20)
  model <- bayes_model(y ~ 1 + (1 | g / h), d)
  expect_s3_class(suppressWarnings(
    vc_bayes(model, control(g = prior_flat(), "h:g" = prior_flat()))), "bayes_components")
  # six levels leave a rank of three beside four fixed effects, and of two beside g:h
  d$k <- factor(d$g)
  model <- bayes_model(y ~ k + (1 | k:h) + (1 | r), d)
  expect_kinlmm_error(vc_bayes(model, control(r = prior_flat())), "improper")
  wide <- control("k:h" = prior_flat("variance"))
  expect_s3_class(suppressWarnings(vc_bayes(model, wide)), "bayes_components")
  model <- bayes_model(y ~ k + factor(h) + (1 | k:h) + (1 | r), d)
  expect_kinlmm_error(vc_bayes(model, wide), "improper", "rank of \"k:h\"")
})

test_that("a residual variance flat on the log scale needs residuals", {
  withr::local_seed(2)
  K <- toy_kinship(12, 60) + diag(0.1, 12)
  d <- toy_pheno(K)
  control <- bayes_control(list(Residual = prior_flat("log")), iterations = 10, warmup = 20)
  expect_kinlmm_error(vc_bayes(bayes_model(y ~ 1 + (1 | id), d, list(id = K)), control),
                      "improper", "residual variance")
  twice <- rbind(d, transform(d, y = y + rnorm(12)))
  model <- bayes_model(y ~ 1 + (1 | id), twice, list(id = K))
  expect_s3_class(suppressWarnings(vc_bayes(model, control)), "bayes_components")
})

test_that("flat priors of the residuals count too", {
  d <- data.frame(g = factor(c(1, 1, 2, 3)), y = c(1, 2, 5, 4))
  prior <- list(g = prior_flat(), Residual = prior_flat("variance"))
  expect_kinlmm_error(vc_bayes(bayes_model(y ~ 1 + (1 | g), d), bayes_control(prior)),
                      "improper", "3 degrees")
  d <- data.frame(g = factor(c(1, 1, 2, 3, 3)), y = c(1, 2, 5, 4, 6))
  model <- bayes_model(y ~ 1 + (1 | g), d)
  priors <- resolve_priors(prior, model$random, list(1), 1, NULL)
  expect_silent(check_proper(priors, model, model$random, NULL))
})
