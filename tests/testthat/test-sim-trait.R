truth_of <- function(trait) attr(trait, "truth")

# n unrelated animals
unrelated <- function(n) data.frame(id = seq_len(n), sire = NA, dam = NA)

test_that("the heritability is h2 in expectation, and exact in the sample if asked", {
  set.seed(1)
  geno <- simulate_genotypes(120, 200, missing = 0.02)
  for (method in c("standardized", "centered")) {
    # 300 traits are 300 replicates
    trait <- simulate_trait(geno, h2 = rep(0.6, 300), method = method)
    g <- truth_of(trait)$values
    v <- apply(g, 2, stats::var) * 119 / 120
    expect_lt(abs(mean(v) - 0.6), 4 * stats::sd(v) / sqrt(300))
    # but they have the same causal SNPs
    sparse <- replicate(100, {
      stats::var(truth_of(simulate_trait(geno, 0.6, pi = 0.1, method = method))$values)
    }) * 119 / 120
    expect_lt(abs(mean(sparse) - 0.6), 4 * stats::sd(sparse) / 10)
    e <- as.matrix(trait[-1]) - g
    expect_lt(abs(mean(e^2) - 0.4), 4 * 0.4 * sqrt(2 / length(e)))
  }
  for (x in list(geno, simulate_pedigree(20))) {
    trait <- simulate_trait(x, h2 = c(0.3, 0.7), scale = "sample")
    g <- truth_of(trait)$values
    y <- as.matrix(trait[-1])
    expect_equal(apply(g, 2, stats::var), c(0.3, 0.7), tolerance = 1e-12)
    expect_equal(unname(apply(y - g, 2, stats::var)), c(0.7, 0.3), tolerance = 1e-12)
    expect_equal(stats::cor(g[, 1], (y - g)[, 1]), 0, tolerance = 1e-12)
    expect_equal(unname(apply(y, 2, stats::var)), c(1, 1), tolerance = 1e-12)
  }
})

test_that("genetic values are the effects times the genotypes", {
  set.seed(2)
  geno <- simulate_genotypes(50, 300, missing = 0.05)
  G <- as.matrix(geno)
  mean <- colMeans(G, na.rm = TRUE)
  G[is.na(G)] <- mean[col(G)[is.na(G)]]
  G <- G - rep(mean, each = 50)
  for (scale in c("population", "sample")) {
    trait <- simulate_trait(geno, h2 = c(0.5, 0.2), causal = 40, scale = scale)
    truth <- truth_of(trait)
    expect_identical(nrow(truth$effects), 40L)
    at <- truth$effects$snp
    B <- as.matrix(truth$effects[c("effect1", "effect2")])
    expect_equal(truth$values, G[, at] %*% B, tolerance = 1e-10, ignore_attr = TRUE)
    expect_identical(rownames(truth$values), rownames(geno))
    expect_equal(truth$effects$frequency, unname(mean[at]) / 2)
    expect_identical(truth$effects$a1, geno$map$a1[match(at, geno$map$snp)])
  }
})

test_that("g has the covariance K h2 of grm() of the same method", {
  set.seed(3)
  geno <- simulate_genotypes(12, 60, missing = 0.05)
  for (method in c("standardized", "centered")) {
    t <- 600
    g <- truth_of(simulate_trait(geno, rep(0.5, t), method = method))$values
    K <- suppressMessages(grm(geno, method, maf = 0, missing = 1))
    if (method == "centered") K <- K / mean(diag(K))
    S <- tcrossprod(g) / t
    error <- sqrt((outer(diag(K), diag(K)) + K^2) / t) / 2
    expect_lt(max(abs(S - K / 2) / error), 5)
  }
})

test_that("spike and slab, counts and given SNPs", {
  set.seed(4)
  geno <- simulate_genotypes(60, 2000)
  effects <- truth_of(simulate_trait(geno, 0.5, pi = 0.1))$effects
  expect_lt(abs(nrow(effects) - 200), 5 * sqrt(180))
  G <- as.matrix(geno)
  v <- apply(G[, effects$snp], 2, stats::var) * 59 / 60
  b2 <- effects$effect^2 * v
  # b_j of a standardised SNP ~ N(0, h2 / (m pi))
  expect_lt(abs(mean(b2) / (0.5 / 200) - 1), 5 * sqrt(2 / nrow(effects)))
  ids <- c("snp7", "snp1999")
  expect_setequal(truth_of(simulate_trait(geno, 0.5, causal = ids))$effects$snp, ids)
  expect_identical(nrow(truth_of(simulate_trait(geno, 0, causal = 0))$effects), 0L)
  expect_kinlmm_error(simulate_trait(geno, 0.5, causal = 0), "argument", "`causal`")
  expect_identical(nrow(truth_of(simulate_trait(geno, 0.5))$effects),
                   sum(apply(G, 2, stats::var) > 0))
})

test_that("groups have their shares of the variance", {
  set.seed(5)
  geno <- simulate_genotypes(150, 300)
  groups <- rep(c("coding", "other", NA), c(50, 200, 50))
  v <- apply(as.matrix(geno), 2, stats::var) * 149 / 150
  share <- function(...) {
    effects <- truth_of(simulate_trait(geno, rep(0.5, 200), groups = groups, ...))$effects
    expect_true(all(effects$snp %in% geno$map$snp[1:250]))
    B <- as.matrix(effects[grep("^effect", names(effects))])
    rowsum(B^2 * v[effects$snp], effects$group)
  }
  near <- function(x, expected) {
    expect_lt(abs(mean(x) - expected), 4 * stats::sd(x) / sqrt(length(x)))
  }
  given <- share(shares = c(other = 0.2, coding = 0.8))
  near(given["coding", ], 0.4)
  near(given["other", ], 0.1)
  alike <- share()
  near(alike["coding", ], 0.1)
  near(alike["other", ], 0.4)
  counts <- share(shares = c(coding = 0.5, other = 0.5), causal = c(other = 30, coding = 10),
                  method = "centered")
  near(counts["coding", ], 0.25)
  near(counts["other", ], 0.25)
  sparse <- simulate_trait(geno, groups = groups, pi = c(coding = 1, other = 0.02))
  found <- table(truth_of(sparse)$effects$group)
  expect_identical(found[["coding"]], sum(v[1:50] > 0))
  expect_lt(found[["other"]], 15)
})

test_that("kernels, their inverses and pedigrees give values of their covariance", {
  set.seed(6)
  ped <- simulate_pedigree(2, children = 4, generations = 3)
  A <- pedigree_kinship(ped)
  expect_gt(max(diag(A)), 1)
  t <- 600
  forms <- list(ped, A)
  if (requireNamespace("Matrix", quietly = TRUE)) {
    forms <- c(forms, list(precision(pedigree_kinship(ped, inverse = TRUE))))
  }
  for (x in forms) {
    trait <- simulate_trait(x, rep(0.8, t))
    expect_identical(trait$id, rownames(A))
    S <- tcrossprod(truth_of(trait)$values) / t
    error <- sqrt((outer(diag(A), diag(A)) + A^2) / t) * 0.8
    expect_lt(max(abs(S - 0.8 * A) / error), 5)
  }
  # a singular kernel: two identical twins
  twins <- matrix(1, 2, 2, dimnames = rep(list(c("a", "b")), 2))
  g <- truth_of(simulate_trait(twins, 0.5))$values
  expect_equal(g[[1]], g[[2]])
  twins[1, 2] <- twins[2, 1] <- 1.5
  expect_error(simulate_trait(twins), class = "kinlmm_error_kinship_psd")
  indefinite <- matrix(-0.9, 3, 3, dimnames = rep(list(c("a", "b", "c")), 2))
  diag(indefinite) <- 1
  expect_error(simulate_trait(indefinite), class = "kinlmm_error_kinship_psd")
})

test_that("traits have the correlations asked for", {
  set.seed(7)
  n <- 4000
  trait <- simulate_trait(unrelated(n), c(0.5, 0.4), rg = -0.6, re = 0.3)
  g <- truth_of(trait)$values
  e <- as.matrix(trait[c("y1", "y2")]) - g
  expect_lt(abs(stats::cor(g)[1, 2] + 0.6), 4 * 0.64 / sqrt(n))
  expect_lt(abs(stats::cor(e)[1, 2] - 0.3), 4 * 0.91 / sqrt(n))
  geno <- simulate_genotypes(30, 3000)
  B <- truth_of(simulate_trait(geno, c(0.5, 0.5), rg = 1))$effects
  expect_equal(B$effect1, B$effect2)
})

test_that("repeated records share a permanent environment", {
  set.seed(8)
  n <- 1500
  trait <- simulate_trait(unrelated(n), h2 = 0.3, permanent = 0.25, records = 2)
  expect_identical(names(trait), c("id", "record", "y"))
  expect_identical(trait$record, rep(1:2, n))
  y <- matrix(trait$y, 2)
  expect_lt(abs(stats::cor(y[1, ], y[2, ]) - 0.55), 4 * 0.7 / sqrt(n))
  uneven <- simulate_trait(unrelated(3), records = c(0, 2, 1), permanent = 0.5)
  expect_identical(uneven$id, c("2", "2", "3"))
  exact <- simulate_trait(unrelated(50), 0.3, permanent = 0.25, records = 3, scale = "sample")
  truth <- truth_of(exact)
  who <- match(exact$id, rownames(truth$values))
  e <- exact$y - truth$values[who] - truth$permanent[who]
  expect_equal(c(stats::var(truth$values), stats::var(truth$permanent), stats::var(e)),
               c(0.3, 0.25, 0.45))
  expect_equal(stats::cor(truth$values[, 1], truth$permanent[, 1]), 0)
})

test_that("covariates are matched by id, or drawn", {
  set.seed(9)
  ped <- unrelated(6)
  X <- matrix(stats::rnorm(14), 7, dimnames = list(c(6:1, 9), c("age", "dose")))
  beta <- c(dose = 2, age = -1)
  trait <- simulate_trait(ped, h2 = 1, covariates = X, beta = beta)
  expect_identical(names(trait), c("id", "y", "dose", "age"))
  expect_equal(trait$age, unname(X[as.character(1:6), "age"]))
  expect_equal(trait$y, truth_of(trait)$values[, 1] + 2 * trait$dose - trait$age,
               ignore_attr = TRUE)
  set.seed(10)
  frame <- simulate_trait(ped, h2 = 1, beta = beta,
                          covariates = data.frame(id = rownames(X), X))
  set.seed(10)
  expect_identical(frame, simulate_trait(ped, h2 = 1, covariates = X, beta = beta))
  drawn <- simulate_trait(unrelated(2000), 0.5, beta = c(age = 0.5), records = 2)
  expect_lt(abs(stats::coef(stats::lm(y ~ age, drawn))[["age"]] - 0.5), 0.1)
  expect_identical(drawn$age[1], drawn$age[2])
  lost <- expect_error(simulate_trait(ped, covariates = X[-2, ], beta = beta), '"5"',
                       class = "kinlmm_error_simulate_covariates")
  expect_identical(lost$missing, "5")
  expect_error(simulate_trait(ped, covariates = X, beta = c(sex = 1)), '"sex"',
               class = "kinlmm_error_simulate_covariates")
})

test_that("cases exceed the threshold and are as many as asked", {
  set.seed(11)
  n <- 20000
  K <- 0.1
  trait <- simulate_trait(unrelated(n), h2 = 0.4, prevalence = K)
  truth <- truth_of(trait)
  expect_equal(truth$threshold, stats::qnorm(0.9))
  expect_identical(trait$y, as.integer(trait$liability > truth$threshold))
  expect_lt(abs(mean(trait$y) - K), 4 * sqrt(K * (1 - K) / n))
  # mean genetic liability of cases: h2 z / K; regression of y on g: z
  z <- stats::dnorm(truth$threshold)
  g <- truth$values[, 1]
  expect_lt(abs(mean(g[trait$y == 1]) - 0.4 * z / K), 4 * sqrt(0.4 / (n * K)))
  b <- summary(stats::lm(trait$y ~ g))$coefficients[2, ]
  expect_lt(abs(b[[1]] - z), 5 * b[[2]])
  # so that the observed-scale h2 = z^2 h2 / (K (1 - K)) of Dempster and Lerner follows
  expect_lt(abs(b[[1]]^2 * stats::var(g) / stats::var(trait$y) -
                  z^2 * 0.4 / (K * (1 - K))), 0.02)
  some <- simulate_trait(unrelated(n), 0.4, prevalence = K, cases = 500, controls = 700)
  expect_identical(as.vector(table(some$y)), c(700L, 500L))
  expect_false(is.unsorted(as.integer(some$id)))
  # with covariates the prevalence still holds
  X <- matrix(rep(0:1, n / 2), dimnames = list(seq_len(n), "sex"))
  strong <- simulate_trait(unrelated(n), 0.4, prevalence = 0.2, covariates = X,
                           beta = c(sex = 2))
  expect_lt(abs(mean(strong$y) - 0.2), 4 * sqrt(0.16 / n))
  few <- expect_error(simulate_trait(unrelated(100), prevalence = 0.05, cases = 80),
                      "80 cases", class = "kinlmm_error_simulate_cases")
  expect_equal(few$want[["cases"]], 80)
  expect_lt(few$have[["cases"]], 30)
})

test_that("simulated, written, read and fitted: the heritability comes back", {
  skip_on_cran()
  dir <- withr::local_tempdir()
  set.seed(12)
  simulate_genotypes(500, 400, file = file.path(dir, "sim"), missing = 0.01)
  geno <- read_bed(file.path(dir, "sim"))
  K <- suppressMessages(grm(geno, "standardized", maf = 0))
  for (h2 in c(0.25, 0.7)) {
    trait <- simulate_trait(geno, h2, beta = c(age = 0.5), scale = "sample")
    fit <- lmmfit(y ~ age + (1 | id), trait, kinship = list(id = K))
    h <- heritability(fit)
    expect_lt(abs(h$estimate - h2), 3 * h$se)
    expect_lt(h$se, 0.12)
    age <- stats::coef(summary(fit))["age", ]
    expect_lt(abs(age[["Estimate"]] - 0.5), 4 * age[["Std. Error"]])
  }
})

test_that("the seed decides, whatever the threads", {
  geno <- withr::with_seed(1, simulate_genotypes(20, 600))
  draw <- function(threads) {
    withr::local_options(kinlmm.threads = threads)
    withr::with_seed(2, simulate_trait(geno, c(0.3, 0.4), pi = 0.3))
  }
  expect_identical(draw(1L), draw(3L))
})

test_that("edges: h2 of 0 and 1, one sample, monomorphic SNPs", {
  set.seed(13)
  geno <- simulate_genotypes(10, 30)
  expect_true(all(truth_of(simulate_trait(geno, 0))$values == 0))
  one <- simulate_trait(geno, 1)
  expect_equal(one$y, truth_of(one)$values[, 1], ignore_attr = TRUE)
  expect_identical(dim(simulate_trait(unrelated(1))), c(1L, 2L))
  flat <- matrix(0, 4, 3, dimnames = list(letters[1:4], c("x", "y", "z")))
  expect_error(simulate_trait(flat), class = "kinlmm_error_simulate_causal")
  flat[, 2] <- 0:1
  expect_identical(truth_of(simulate_trait(flat))$effects$snp, "y")
  error <- expect_error(simulate_trait(flat, causal = c("x", "w")), "variation",
                        class = "kinlmm_error_simulate_causal")
  expect_identical(error$ids, c("x", "w"))
  expect_error(simulate_trait(flat, causal = 2), "2 SNPs are wanted; 1 SNP of",
               class = "kinlmm_error_simulate_causal")
  expect_kinlmm_error(simulate_trait(flat, causal = 0, scale = "sample"), "argument",
                      "`causal`")
})

test_that("groups that `causal` leaves without SNPs cost no heritability", {
  geno <- withr::with_seed(3, simulate_genotypes(1000, 40))
  groups <- rep(c("a", "b"), each = 20)
  variance <- function(...) {
    draw <- function(i) {
      stats::var(truth_of(simulate_trait(geno, 0.5, groups = groups, ...))$values[, 1])
    }
    withr::with_seed(4, mean(vapply(1:60, draw, 0)))
  }
  expect_equal(variance(causal = c(a = 20, b = 0)), 0.5, tolerance = 0.15)
  expect_equal(variance(causal = paste0("snp", 1:20)), 0.5, tolerance = 0.15)
  expect_kinlmm_error(variance(causal = c(a = 5, b = 0), shares = c(a = 0.5, b = 0.5)),
                      "simulate_groups", 'none in "b"')
  expect_equal(variance(causal = c(a = 20, b = 0), shares = c(a = 1, b = 0)), 0.5,
               tolerance = 0.15)
})

test_that("too few samples for given variances are an error", {
  geno <- withr::with_seed(3, simulate_genotypes(2, 20))
  for (permanent in c(0, 0.2)) {
    expect_kinlmm_error(simulate_trait(geno, 0.5, scale = "sample", permanent = permanent),
                        "simulate_few", "2 values")
  }
})

test_that("arguments are refused by name", {
  geno <- withr::with_seed(1, simulate_genotypes(10, 6))
  refused <- function(..., arg, x = geno) {
    error <- expect_error(simulate_trait(x, ...), class = "kinlmm_error_argument")
    expect_identical(error$arg, arg)
  }
  refused(x = "a", arg = "x")
  refused(x = matrix("a"), arg = "x")
  refused(h2 = 1.1, arg = "h2")
  refused(h2 = numeric(), arg = "h2")
  refused(pi = 0, arg = "pi")
  refused(causal = -1, arg = "causal")
  refused(groups = 1:5, arg = "groups")
  refused(groups = rep(1:2, 3), causal = 2, arg = "causal")
  refused(h2 = c(0.1, 0.2), rg = diag(3), arg = "rg")
  refused(h2 = c(0.1, 0.2), re = matrix(c(1, 2, 2, 1), 2), arg = "re")
  refused(h2 = c(0.1, 0.2, 0.3), rg = -0.9, arg = "rg")
  refused(permanent = 0.6, arg = "permanent")
  refused(records = c(1, 2), arg = "records")
  refused(beta = 1, arg = "beta")
  refused(beta = c(y = 1), arg = "beta")
  refused(covariates = 1:10, beta = c(age = 1), arg = "covariates")
  refused(prevalence = 1, arg = "prevalence")
  refused(prevalence = 0.5, records = 2, arg = "prevalence")
  refused(prevalence = 0.5, h2 = c(0.1, 0.1), arg = "prevalence")
  refused(cases = 3, arg = "cases")
  refused(controls = 3, arg = "controls")
  refused(x = unrelated(3), pi = 0.5, arg = "pi")
  shares <- function(...) {
    expect_error(simulate_trait(geno, groups = rep(c("a", "b"), 3), ...),
                 class = "kinlmm_error_simulate_groups")
  }
  shares(shares = c(a = 0.5, b = 0.6))
  shares(shares = c(a = 1))
  expect_error(simulate_trait(geno, groups = factor(rep("a", 6), c("a", "b")),
                              shares = c(a = 0.5, b = 0.5)), '"b"',
               class = "kinlmm_error_simulate_groups")
  names <- diag(2)
  dimnames(names) <- list(c("a", "a"), c("a", "a"))
  expect_error(simulate_trait(names), class = "kinlmm_error_kinship_duplicated")
})

test_that("it prints what it is, and rows of it are a plain data frame", {
  set.seed(14)
  geno <- simulate_genotypes(30, 20)
  trait <- simulate_trait(geno, c(0.25, 0.5), groups = rep(1:2, 10), rg = 0.4,
                          beta = c(age = 0.5))
  text <- capture.output(print(trait))
  expect_match(text[[1]], "Simulated traits: 30 records of 30 samples", fixed = TRUE)
  expect_match(text, "0.25, 0.50 (population scale)", fixed = TRUE, all = FALSE)
  expect_match(text, "age 0.5", fixed = TRUE, all = FALSE)
  expect_match(text, "... and 24 more records", fixed = TRUE, all = FALSE)
  cases <- simulate_trait(geno, prevalence = 0.4)
  expect_output(print(cases), "prevalence: +0.4, liability above 0.253")
  expect_output(print(simulate_trait(unrelated(2))), "values drawn by relationship")
  expect_identical(class(trait[1:3, ]), "data.frame")
  expect_null(attr(trait[1:3, ], "truth"))
  expect_identical(trait[["y1"]], trait$y1)
})
