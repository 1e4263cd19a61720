spike_example <- function(...) {
  G <- random_genotypes(100, 40, seed = 8)
  withr::with_seed(8, {
    data <- data.frame(id = rev(rownames(G)), x = rnorm(100))
    data$y <- drop(replace(G, is.na(G), 1)[data$id, 2]) + data$x + rnorm(100)
    suppressWarnings(suppressMessages(spike_slab(y ~ x, data, G, id = "id", ...)))
  })
}

test_that("results print, in both methods", {
  fit <- spike_example(sweeps = 200)
  text <- capture.output(print(fit))
  expect_match(text, "Monte-Carlo EM, REML", all = FALSE)
  expect_match(text, "100 records, 40 SNPs", all = FALSE)
  expect_match(text, "^h2 ", all = FALSE)
  shown <- capture.output(print(summary(fit, 3)))
  expect_match(shown, "rs2 ", all = FALSE)
  expect_match(shown, "Fixed effects", all = FALSE)
  bayes <- spike_example(method = "Bayes", draws = 200)
  text <- capture.output(print(bayes))
  expect_match(text, "R-hat", all = FALSE)
  expect_identical(summary(bayes, 1)$top$snp, "rs2")
  h <- heritability(bayes)
  expect_equal(unlist(h[c("estimate", "se", "lower", "upper")]),
               unlist(bayes$parameters["h2", c("estimate", "se", "lower", "upper")]))
  expect_lt(heritability(bayes, 0.5)$upper, h$upper)
  expect_output(print(h), "95% credible interval")
  h <- heritability(fit)
  expect_equal(h$estimate, fit$parameters["h2", "estimate"])
  expect_output(print(h), "Heritability of SNPs.*95% Wald interval")
  expect_kinlmm_error(liability(h, 0.1), "liability", "0 (controls)")
})

test_that("fixed effects are near those of least squares on the SNP", {
  for (fit in list(spike_example(sweeps = 300), spike_example(sweeps = 300, REML = FALSE),
                   spike_example(method = "Bayes", draws = 500))) {
    expect_named(coef(fit), c("(Intercept)", "x"))
    expect_lt(abs(coef(fit)[["x"]] - 1), 0.3)
    expect_identical(dimnames(vcov(fit)), rep(list(c("(Intercept)", "x")), 2))
    expect_lt(abs(sqrt(vcov(fit)[2, 2]) / 0.1 - 1), 0.4)
    expect_identical(nrow(as.data.frame(fit)), 40L)
  }
})

test_that("records are matched by id, and predictions by SNP", {
  fit <- spike_example(sweeps = 200)
  expect_identical(names(predict(fit)), rev(sprintf("id%03d", 1:100)))
  G <- random_genotypes(100, 40, seed = 8)
  expect_equal(predict(fit, G)[names(predict(fit))], predict(fit), tolerance = 1e-6)
  X <- cbind(1, rep(0:1, 50))
  expect_equal(predict(fit, G, X) - predict(fit, G),
               stats::setNames(drop(X %*% coef(fit)), rownames(G)))
  expect_error(predict(fit, G[, -2]), class = "kinlmm_error_spike_snps")
  expect_error(predict(fit, G, X[, 1, drop = FALSE]), class = "kinlmm_error_argument")
})

test_that("what can't be fitted is refused by name", {
  G <- random_genotypes(20, 5, missing = 0)
  data <- data.frame(y = rnorm(20), g = rep(1:2, 10), id = rownames(G))
  spike <- function(formula = y ~ 1, data = data, geno = G, ...) {
    spike_slab(formula, data, geno, ...)
  }
  expect_error(spike(data = data), class = "kinlmm_error_spike_ids")
  expect_error(spike(data = rbind(data, data), id = "id"),
               class = "kinlmm_error_spike_repeated")
  expect_error(spike(y ~ (1 | g), data, id = "id"), class = "kinlmm_error_spike_random")
  expect_error(spike(data = data, geno = G * 0 + 1, id = "id"),
               class = "kinlmm_error_spike_markers")
  expect_error(spike(data = data, id = "who"), class = "kinlmm_error_argument")
  expect_error(spike(data = data, id = "id", start = c(pi = 2, h2 = 0.5)),
               class = "kinlmm_error_argument")
  expect_error(spike(data = data, id = "id", prior = list(p = 1)),
               class = "kinlmm_error_argument")
  expect_error(spike(data = replace(data, "id", c(NA, data$id[-1])), id = "id"),
               class = "kinlmm_error_spike_ids")
  one <- cbind(G, same = 1)
  expect_message(suppressWarnings(spike(data = data, geno = one, id = "id", sweeps = 20)),
                 class = "kinlmm_message_spike_dropped")
})

test_that("the boundaries are said", {
  skip_on_cran()
  G <- random_genotypes(200, 50, missing = 0, seed = 3)
  withr::local_seed(4)
  none <- data.frame(y = resid(lm(rnorm(200) ~ G)), row.names = rownames(G))
  fit <- suppressWarnings(spike_slab(y ~ 1, none, G))
  expect_lt(fit$parameters["h2", "estimate"], 0.01)
  expect_match(fit$notes, "close to its bound 0", all = FALSE)
  every <- data.frame(y = drop(scale(G) %*% sample(c(-1, 1), 50, TRUE)) + rnorm(200),
                      row.names = rownames(G))
  fit <- suppressWarnings(spike_slab(y ~ 1, every, G))
  expect_match(fit$notes, "close to its bound 1", all = FALSE)
  expect_gt(fit$parameters["h2", "estimate"], 0.95)
})

test_that("with few effects MCEM is less variable than GREML", {
  skip_on_cran()
  h2 <- vapply(1:12, function(seed) {
    G <- random_genotypes(300, 300, missing = 0, seed = seed)
    withr::local_seed(seed)
    g <- drop(scale(G[, 1:3]) %*% rnorm(3))
    data <- data.frame(y = g / sd(g) + rnorm(300), id = rownames(G), row.names = rownames(G))
    K <- suppressMessages(grm(G, "standardized", maf = 0))
    greml <- lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = K))
    fit <- suppressWarnings(spike_slab(y ~ 1, data, G, sweeps = 600, draws = 20,
                                       tolerance = 0.02))
    c(heritability(greml)$estimate, heritability(fit)$estimate)
  }, numeric(2))
  expect_lt(sd(h2[2, ]), 0.8 * sd(h2[1, ]))
  expect_lt(abs(mean(h2[2, ]) - 0.5), 0.05)
})
