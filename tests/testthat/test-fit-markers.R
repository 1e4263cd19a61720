# W of some genotypes with the centres and scales of others, missing ones at the centre.
scaled_genotypes <- function(G, method, by = G) {
  mean <- colMeans(by, na.rm = TRUE)
  impute <- function(X) ifelse(is.na(X), rep(mean, each = nrow(X)), X)
  W <- sweep(impute(G), 2, mean)
  if (method == "centered") return(W)
  sweep(W, 2, sqrt(colMeans(sweep(impute(by), 2, mean)^2)), "/")
}

quiet_grm <- function(...) suppressMessages(grm(...))

# Genotypes of 60 individuals, of which 40 have a matrix, and records of 35 of these.
marker_example <- function(records = 1L, m = 90L) {
  G <- random_genotypes(60, m, missing = 0.02, seed = 5)
  withr::with_seed(6, {
    ids <- rownames(G)[1:35]
    d <- data.frame(id = rep(ids, records), x = stats::rnorm(35 * records),
                    w = stats::runif(35 * records, 0.5, 2))
    effects <- stats::rnorm(m, sd = 0.3)
    g <- drop(scaled_genotypes(G, "centered") %*% effects)
    d$y <- 2 + d$x + g[d$id] + stats::rnorm(nrow(d))
  })
  list(G = G, old = G[1:40, ], new = G[41:60, ], d = d)
}

# Ridge regression on SNPs, by Henderson's equations, at the variances of a fit.
dense_ridge <- function(fit, W, tau) {
  X <- fit$fixed$X
  S <- W[as.character(fit$random[[1]]$factor), ]
  R <- diag(fit$weights)
  p <- seq_len(ncol(X))
  C <- crossprod(cbind(X, S), R %*% cbind(X, S))
  C[-p, -p] <- C[-p, -p] + diag(ncol(S) / tau, ncol(S))
  solve(C, crossprod(cbind(X, S), R %*% (fit$y - fit$offset)))[-p]
}

test_that("marker effects are those of ridge regression, and predict what GBLUP does", {
  for (method in c("centered", "standardized")) {
    for (records in 1:2) {
      at <- marker_example(records)
      K <- quiet_grm(at$old, method, maf = 0, missing = 1)
      fit <- lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = K), weights = w)
      effects <- marker_effects(fit, at$old)
      W <- scaled_genotypes(at$old, method)
      ridge <- dense_ridge(fit, W, unname(fit$theta)^2)
      scale <- if (method == "centered") 1 else apply(W, 2, function(w) 1) *
        sqrt(colMeans(scaled_genotypes(at$old, "centered")^2))
      expect_equal(effects$effect, unname(ridge / scale), tolerance = 1e-8)
      expect_equal(effects$eaf, unname(colMeans(at$old, na.rm = TRUE)) / 2)
      own <- blup(fit)
      expect_equal(unname(predict(effects, at$old)[own$id]), own$value, tolerance = 1e-9)
      # the new ones as individuals without records, centred by the old
      J <- tcrossprod(scaled_genotypes(at$G, method, at$old)) / ncol(at$G)
      joint <- lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = J), weights = w)
      expect_equal(joint$theta, fit$theta, tolerance = 1e-8)
      other <- blup(joint)
      expect_equal(unname(predict(effects, at$G)[other$id]), other$value,
                   tolerance = 1e-7)
      joint$theta[] <- fit$theta
      joint <- at_optimum(joint, list(theta = unname(fit$theta)), TRUE)
      other <- blup(joint)
      expect_lt(max(abs(predict(effects, at$G)[other$id] - other$value)), 1e-8)
      errors <- predict(effects, at$G, fit, at$old)
      expect_lt(max(abs(errors$pev - other$pev[match(errors$id, other$id)])), 1e-8)
      expect_equal(errors$reliability, other$reliability[match(errors$id, other$id)],
                   tolerance = 1e-8)
    }
  }
})

test_that("ids of K without records have the PEV of the definition", {
  at <- marker_example(2L)
  K <- quiet_grm(at$old)
  fit <- lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = K), weights = w)
  Z <- 1 * outer(at$d$id, rownames(K), `==`)
  dense <- dense_effects(at$d$y, fit$fixed$X, Z, unname(fit$theta)^2 * K, diag(at$d$w),
                         TRUE)
  own <- blup(fit)
  expect_equal(own$value, unname(dense$mode), tolerance = 1e-8)
  expect_equal(own$pev, unname(dense$prediction), tolerance = 1e-8)
  expect_equal(sum(own$records == 0), 5)
})

test_that("effects have the PEV of ridge regression, and the score statistic of a SNP", {
  at <- marker_example(2L)
  for (method in c("centered", "standardized")) {
    K <- quiet_grm(at$old, method, maf = 0, missing = 1)
    fit <- lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = K), weights = w)
    effects <- marker_effects(fit, at$old, pev = TRUE)
    C <- scaled_genotypes(at$old, "centered")
    scale <- if (method == "centered") rep(1, ncol(C)) else 1 / sqrt(colMeans(C^2))
    S <- C[at$d$id, ]
    prior <- diag(unname(fit$theta)^2 / ncol(S) * scale^2)
    dense <- dense_effects(fit$y, fit$fixed$X, S, prior, diag(at$d$w), TRUE)
    expect_equal(effects$effect, unname(dense$mode), tolerance = 1e-8)
    expect_equal(effects$pev, unname(dense$prediction), tolerance = 1e-8)
    expect_equal(effects$reliability,
                 unname(1 - dense$prediction / (dense$sigma^2 * diag(prior))),
                 tolerance = 1e-7)
    V <- dense_covariance(fit, fit$theta)$H / tcrossprod(sqrt(at$d$w)) * sigma(fit)^2
    Vi <- solve(V)
    X <- fit$fixed$X
    P <- Vi - Vi %*% X %*% solve(t(X) %*% Vi %*% X) %*% t(X) %*% Vi
    score <- drop(t(S) %*% P %*% fit$y)^2 / colSums(S * (P %*% S))
    explained <- sigma(fit)^2 * diag(prior) - effects$pev
    expect_equal(effects$effect^2 / explained, unname(score), tolerance = 1e-7)
  }
})

test_that("several kernels, i.i.d. terms and slopes have effects of their own", {
  at <- marker_example(3L)
  A <- quiet_grm(at$old[, 1:40])
  B <- quiet_grm(at$old[, 41:90], "standardized")
  fit <- suppressMessages(
    lmmfit(y ~ x + kin(1 | id, A) + kin(1 + x || id, B) + (1 | id), at$d, weights = w)
  )
  modes <- fit$modes
  of_A <- marker_effects(fit, at$old[, 1:40], term = "A")
  expect_equal(unname(predict(of_A, at$old)[rownames(A)]), unname(modes$id[, 1]),
               tolerance = 1e-9)
  expect_identical(attr(of_A, "model")$term, "id")
  for (label in c("id.1", "id.2")) {
    effects <- suppressMessages(marker_effects(fit, at$old[, 41:90], label))
    expect_equal(unname(predict(effects, at$old)[rownames(B)]), unname(modes[[label]][, 1]),
                 tolerance = 1e-9)
  }
  expect_kinlmm_error(marker_effects(fit, at$old), "marker_term",
                      "Terms of `fit` with one are \"id\"")
  expect_kinlmm_error(marker_effects(fit, at$old, "C"), "marker_term")

  slopes <- suppressMessages(lmmfit(y ~ x + kin(x | id, A) + (1 | id), at$d))
  expect_kinlmm_error(marker_effects(slopes, at$old[, 1:40]), "argument", "(Intercept)")
  for (column in c("(Intercept)", "x")) {
    effects <- marker_effects(slopes, at$old[, 1:40], column = column)
    expect_lt(max(abs(predict(effects, at$old)[rownames(A)] - slopes$modes$id[, column])),
              1e-9)
  }
  errors <- predict(effects, at$old, slopes, at$old[, 1:40])
  own <- blup(slopes)
  own <- own[own$term == "x", ][1:40, ]
  expect_equal(errors$pev, own$pev[match(errors$id, own$id)], tolerance = 1e-8)
})

test_that("a matrix without a note, multiplied, in part or saved is recognised", {
  at <- marker_example()
  K <- quiet_grm(at$old)
  fit <- suppressMessages(lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = K)))
  effects <- marker_effects(fit, at$old)
  same <- function(K, geno, ...) {
    other <- suppressMessages(lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = K)))
    expect_equal(marker_effects(other, geno, ...)$effect, effects$effect, tolerance = 1e-5)
  }
  same(K / mean(diag(K)), at$G)
  same(K[1:36, 36:1][, 36:1], at$old)
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  expect_identical(marker_effects(readRDS(file), at$G), effects)
  S <- quiet_grm(at$old, "standardized", maf = 0.2)
  attr(S, "grm") <- NULL
  fit <- suppressMessages(lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = S)))
  expect_kinlmm_error(marker_effects(fit, at$old), "marker_kernel", "not a multiple")
  effects <- marker_effects(fit, at$old, method = "standardized", maf = 0.2)
  expect_equal(unname(predict(effects, at$old)), blup(fit)$value, tolerance = 1e-9)
})

test_that("a part of a matrix has the frequencies of all samples", {
  at <- marker_example()
  K <- quiet_grm(at$old)
  d <- at$d[at$d$id %in% rownames(K)[1:30], ]
  effects <- function(K) {
    fit <- suppressMessages(lmmfit(y ~ x + (1 | id), d, kinship = list(id = K)))
    marker_effects(fit, at$old)$effect
  }
  expect_identical(effects(K[1:30, 1:30]), effects(as.matrix(K)[1:30, 1:30]))
})

test_that("genotypes that did not make the matrix are an error", {
  at <- marker_example()
  K <- quiet_grm(at$old)
  fit <- suppressMessages(lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = K)))
  expect_kinlmm_error(marker_effects(fit, at$old[, -1]), "marker_kernel",
                      c("The matrix is of 84 SNPs", "has 83"))
  expect_kinlmm_error(marker_effects(fit, at$old[-(1:2), ]), "marker_ids",
                      c("2 of 40 are not there", "id001"))
  other <- at$old
  other[1, 1] <- 2 - other[1, 1] + (other[1, 1] == 1)
  error <- expect_kinlmm_error(marker_effects(fit, other), "marker_kernel")
  expect_gt(error$difference, 1e-5)
  # one genotype of 60,000
  G <- random_genotypes(40, 1500, seed = 8)
  large <- suppressMessages(lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = quiet_grm(G))))
  G[3, 700] <- G[3, 700] + if (G[3, 700] == 2) -1 else 1
  error <- expect_kinlmm_error(marker_effects(large, G), "marker_kernel")
  expect_lt(error$difference, 1e-2)
  changed <- K + diag(0.01, nrow(K))
  changed <- suppressMessages(lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = changed)))
  expect_kinlmm_error(marker_effects(changed, at$old), "marker_kernel", "or changed")
  plain <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  expect_kinlmm_error(marker_effects(plain, at$old), "marker_term", "No term")
  expect_kinlmm_error(marker_effects(1, at$old), "argument")
})

test_that("SNPs are matched by id, and alleles compared", {
  at <- marker_example()
  fit <- suppressMessages(
    lmmfit(y ~ x + (1 | id), at$d, kinship = list(id = quiet_grm(at$old)))
  )
  with_alleles <- function(G, a1 = "A", a2 = "G") {
    geno <- as_genotypes(G)
    geno$map$a1 <- rep_len(a1, ncol(G))
    geno$map$a2 <- rep_len(a2, ncol(G))
    geno
  }
  effects <- marker_effects(fit, with_alleles(at$old))
  plain <- predict(effects, at$new)
  expect_silent(back <- predict(effects, with_alleles(at$new)[, ncol(at$new):1]))
  expect_equal(back, plain, tolerance = 1e-12)
  swapped <- at$new
  swapped[, 1:30] <- 2 - swapped[, 1:30]
  swapped <- with_alleles(swapped, rep(c("G", "A"), c(30, 60)), rep(c("A", "G"), c(30, 60)))
  expect_message(again <- predict(effects, swapped), "with swapped alleles are recoded")
  expect_equal(again, plain, tolerance = 1e-12)
  expect_equal(suppressMessages(predict(effects, swapped, fit, at$old)$pev),
               predict(effects, at$new, fit, at$old)$pev, tolerance = 1e-10)
  # an allele that no sample has is "0"
  zero <- at$new
  zero[, 1] <- 0
  expect_silent(predict(effects, with_alleles(zero, c("0", rep("A", 89)))))
  without <- function(rows) {
    part <- effects[-rows, ]
    predict(part, at$new)
  }
  some <- match(effects$snp[1:3], colnames(at$new))
  expect_message(other <- predict(effects, with_alleles(at$new, replace(rep("A", 90), some,
                                                                        "T"))),
                 "3 SNPs with other alleles there are left out")
  expect_equal(other, without(1:3), tolerance = 1e-12)
  expect_message(fewer <- predict(effects, at$new[, -some]), "3 SNPs are not in")
  expect_equal(fewer, without(1:3), tolerance = 1e-12)
  missing <- at$new
  missing[, some] <- NA
  expect_equal(predict(effects, missing), without(1:3), tolerance = 1e-12)
  expect_kinlmm_error(predict(effects, with_alleles(at$new, "T", "C")), "marker_none",
                      "all with other alleles")
  colnames(missing) <- paste0("other", 1:90)
  expect_kinlmm_error(predict(effects, missing), "marker_none", "None of 84 is there")
  colnames(missing)[1:2] <- effects$snp[[1]]
  expect_kinlmm_error(predict(effects, missing), "marker_ids", "more than once")
  expect_kinlmm_error(predict(effects, at$new, fit), "argument", "together with `fit`")
  expect_kinlmm_error(predict(effects[-1, ], at$new, fit, at$old),
                      "argument", "or a part")
})

test_that("a variance of zero has effects of zero, and h2 of one has finite ones", {
  at <- marker_example(2L)
  K <- quiet_grm(at$old)
  at$d$y <- withr::with_seed(2, stats::rnorm(70))
  at$d$y <- at$d$y - stats::ave(at$d$y, at$d$id)
  fit <- suppressMessages(lmmfit(y ~ 1 + (1 | id), at$d, kinship = list(id = K)))
  expect_message(effects <- marker_effects(fit, at$old), class = "kinlmm_message_marker_zero")
  expect_true(all(effects$effect == 0))
  expect_output(print(effects), "all effects are zero")
  expect_true(all(is.na(predict(effects, at$new, fit, at$old)$reliability)))
  one <- marker_example()
  u <- scaled_genotypes(one$old, "centered") %*% withr::with_seed(1, stats::rnorm(90))
  one$d$y <- drop(u[one$d$id, ])
  fit <- suppressWarnings(suppressMessages(
    lmmfit(y ~ 1 + (1 | id), one$d, kinship = list(id = K))
  ))
  effects <- marker_effects(fit, one$old)
  expect_lt(max(abs(predict(effects, one$old)[blup(fit)$id] - blup(fit)$value)), 1e-8)
})

test_that("effects are printed, plotted and subset", {
  geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
  pheno <- utils::read.csv(system.file("extdata", "mouse_pheno.csv", package = "kinlmm"))
  old <- geno[1:120, ]
  fit <- lmmfit(cd8 ~ 1 + (1 | id), pheno[pheno$id %in% rownames(old), ],
                kinship = list(id = quiet_grm(old)))
  effects <- marker_effects(fit, old)
  expect_output(print(effects, n = 3), "SNPs in 120 individuals, 11[0-9] records.*alleles")
  expect_output(print(effects[effects$chr == "1", ]), "of 1,1")
  expect_identical(class(effects$effect), "numeric")
  expect_false(inherits(effects[, c("snp", "effect")], "marker_effects"))
  expect_identical(class(as.data.frame(effects)), "data.frame")
  parts <- lapply(unique(effects$chr), function(chr) {
    predict(effects[effects$chr == chr, ], geno)
  })
  expect_equal(Reduce(`+`, parts), predict(effects, geno), tolerance = 1e-10)
  withr::local_pdf(NULL)
  expect_identical(plot(effects), effects)
  expect_no_error(plot(effects[effects$chr == "3", ]))
  effects$chr <- NA_character_
  expect_no_error(plot(effects))
})

test_that("GEMMA's matrix is as good", {
  skip_if_no_program("gemma")
  prefix <- some_mice(600)
  args <- c("-bfile", prefix, "-gk", 1, "-outdir", dirname(prefix), "-o", "peer")
  expect_identical(system2("gemma", args, stdout = FALSE, stderr = FALSE), 0L)
  K <- as.matrix(data.table::fread(file.path(dirname(prefix), "peer.cXX.txt")))
  geno <- read_bed(prefix)
  dimnames(K) <- rep(list(rownames(geno)), 2)
  d <- data.frame(id = rownames(geno)[1:300], y = withr::with_seed(1, stats::rnorm(300)))
  d$y <- d$y + as.matrix(geno[1:300, 1:20]) %*% rep(0.3, 20)
  fit <- suppressMessages(lmmfit(y ~ 1 + (1 | id), d, kinship = list(id = K)))
  effects <- marker_effects(fit, geno)
  expect_equal(nrow(effects), 10859)
  expect_lt(max(abs(predict(effects, geno)[blup(fit)$id] - blup(fit)$value)), 1e-6)
})

tiny_markers <- function() {
  withr::with_seed(4, {
    X <- matrix(stats::rbinom(60 * 30, 2, 0.4), 60,
                dimnames = list(paste0("i", 1:60), paste0("s", 1:30)))
    list(X = X, data = data.frame(id = rownames(X), y = X[, 1] + stats::rnorm(60)))
  })
}

test_that("effects are drawn where there are any, and arguments are checked", {
  geno <- tiny_markers()
  fit <- suppressMessages(lmmfit(y ~ 1 + (1 | id), geno$data,
                                 kinship = list(id = grm(geno$X, maf = 0))))
  effects <- marker_effects(fit, geno$X)
  withr::local_pdf(NULL)
  expect_kinlmm_error(plot(effects[0, ]), "argument", "one SNP or more")
  zero <- effects
  zero$effect <- 0 * zero$effect
  expect_silent(plot(zero))
  zero$effect[1] <- NA
  expect_silent(plot(zero))
  expect_kinlmm_error(print(effects, n = "a"), "argument", "`n`")
  expect_output(print(effects[0, ]), "0 of ")
  expect_kinlmm_error(marker_effects(fit), "argument", "`geno` must be given")
  expect_kinlmm_error(marker_effects(), "argument", "`fit` must be given")
  expect_kinlmm_error(marker_effects(fit, geno$X, method = "other"), "argument", "`method`")
  expect_kinlmm_error(marker_effects(fit, geno$X, maf = 2), "argument", "`maf`")
})
