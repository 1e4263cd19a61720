# Simulation-based calibration (Talts et al. 2018) of Bayesian variance components: variances
# are drawn from their priors and data from the model; the rank of the truth among the draws
# is uniform if, and only if, density and sampler are right. Rscript bench/sbc.R [replicates]
# prints the tables of results/sbc.md.

library(kinlmm)
internal <- asNamespace("kinlmm")

labelled <- function(formula, data, kernels = list()) {
  env <- list2env(c(kernels, list(data = data)), parent = globalenv())
  environment(formula) <- env
  call <- as.call(list(quote(f), formula = formula, data = quote(data)))
  model <- internal$read_model(formula, call, data, NULL, NULL, env)
  model$random <- internal$label_terms(model$random)
  model
}

normal <- function(covariance) drop(crossprod(chol(covariance), rnorm(nrow(covariance))))

wishart_inverse <- function(df, scale) solve(rWishart(1, df, solve(scale))[, , 1])

set.seed(20261120)
d <- data.frame(id = rep(sprintf("i%02d", 1:8), each = 3), x = cos(1:24), g = rep(1:4, 6),
                w = rep(c(0.5, 1, 2), 8))
d$id <- factor(d$id)
K <- crossprod(matrix(rnorm(80), 10)) / 10 + diag(0.05, 8)
dimnames(K) <- list(levels(d$id), levels(d$id))
Z <- model.matrix(~ 0 + id, d)
G <- model.matrix(~ 0 + factor(g), d)
chisq <- function(df, scale) df * scale / rchisq(1, df)

# Each: the model, its settings, and one draw of truth and response from the prior.
cases <- list(
  "(1 | id), half-t(3, 1)" = list(
    model = y ~ x + (1 | id),
    prior = list(id = prior_half_t(3, 1), Residual = prior_half_t(3, 1)),
    draw = function() {
      v <- c(rt(1, 3)^2, rt(1, 3)^2)
      list(v = v, y = Z %*% rnorm(8, sd = sqrt(v[[1]])) + rnorm(24, sd = sqrt(v[[2]])))
    }),
  "kin(1 | id, K), half-Cauchy and inverse chi-square" = list(
    model = y ~ x + kin(1 | id, K),
    prior = list(id = prior_half_t(1, 0.5), Residual = prior_inverse_chisq(5, 1)),
    draw = function() {
      v <- c((0.5 * rt(1, 1))^2, chisq(5, 1))
      list(v = v, y = Z %*% (sqrt(v[[1]]) * normal(K)) + rnorm(24, sd = sqrt(v[[2]])))
    }),
  "kin(1 | id, K) + (1 | id) + (1 | g)" = list(
    model = y ~ x + kin(1 | id, K) + (1 | id) + (1 | g),
    prior = prior_half_t(Inf, 1),
    draw = function() {
      v <- rnorm(4)^2
      list(v = v, y = Z %*% (sqrt(v[[1]]) * normal(K)) + Z %*% rnorm(8, sd = sqrt(v[[2]])) +
             G %*% rnorm(4, sd = sqrt(v[[3]])) + rnorm(24, sd = sqrt(v[[4]])))
    }),
  "(x | id), inverse Wishart" = list(
    model = y ~ x + (x | id),
    prior = list(id = prior_inverse_wishart(6, matrix(c(3, 1, 1, 4), 2)),
                 Residual = prior_inverse_chisq(5, 1)),
    draw = function() {
      Psi <- wishart_inverse(6, matrix(c(3, 1, 1, 4), 2))
      u <- matrix(rnorm(16), 8) %*% chol(Psi)
      v <- chisq(5, 1)
      list(v = c(Psi[c(1, 2, 4)], v),
           y = Z %*% u[, 1] + d$x * (Z %*% u[, 2]) + rnorm(24, sd = sqrt(v)))
    }),
  "kin(x | id, K), half-t and LKJ(2)" = list(
    model = y ~ x + kin(x | id, K),
    prior = list(id = prior_half_t(4, c(1, 0.5), lkj = 2), Residual = prior_half_t(4, 1)),
    draw = function() {
      s <- abs(rt(3, 4)) * c(1, 0.5, 1)
      r <- 2 * rbeta(1, 2, 2) - 1
      Psi <- s[1:2] %o% s[1:2] * matrix(c(1, r, r, 1), 2)
      u <- cbind(normal(K), normal(K)) %*% chol(Psi)
      list(v = c(Psi[c(1, 2, 4)], s[[3]]^2),
           y = Z %*% u[, 1] + d$x * (Z %*% u[, 2]) + rnorm(24, sd = s[[3]]))
    })
)

draws <- 63L
bins <- 16L

# Ranks of the components and of the slope of x, whose true value is zero.
ranks_of <- function(case, replicates, sampler) {
  d$y <- rnorm(24)
  model <- labelled(case$model, d, list(K = K))
  control <- bayes_control(case$prior, chains = 1, iterations = draws, warmup = 150, thin = 4,
                           sampler = sampler)
  t(replicate(replicates, {
    truth <- case$draw()
    model$frame$y <- drop(truth$y)
    fit <- suppressWarnings(internal$vc_bayes(model, control))
    own <- as.matrix(fit$draws[c(fit$components$component, "beta.x")])
    colSums(own < rep(c(truth$v, 0), each = draws))
  }))
}

replicates <- as.integer(c(commandArgs(TRUE), "1000")[[1]])
cat("# Simulation-based calibration of Bayesian variance components\n\n",
    replicates, " replicates, ", draws, " draws of one chain (every fourth) after 150, ranks ",
    "in ", bins, " bins; 24 records, 8 ids.\n", R.version.string, ", kinlmm ",
    format(packageVersion("kinlmm")), ", `Rscript bench/sbc.R ", replicates, "`.\n\n",
    "| model | sampler | parameter | chi-square, ", bins - 1, " df | p |\n",
    "|---|---|---|--:|--:|\n", sep = "")
all <- c()
for (name in names(cases)) for (sampler in c("slice", "metropolis")) {
  ranks <- ranks_of(cases[[name]], replicates, sampler)
  for (parameter in colnames(ranks)) {
    counts <- table(factor(ranks[, parameter] %/% ((draws + 1) / bins), seq_len(bins) - 1))
    test <- chisq.test(counts)
    all <- c(all, test$p.value)
    # a bar would end the cell
    cat(sprintf("| %s | %s | %s | %.1f | %.3f |\n", gsub("|", "\\|", name, fixed = TRUE),
                sampler, parameter, test$statistic, test$p.value))
  }
}
together <- suppressWarnings(ks.test(all, "punif"))$p.value
cat(sprintf("\nSmallest of %d p-values %.4f (expected about %.4f), ", length(all), min(all),
            1 / (length(all) + 1)),
    sprintf("uniformity of all: p %.2f.\n", together), sep = "")
