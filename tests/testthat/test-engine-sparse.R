skip_if_not_installed("Matrix")

# Animals of three generations, 45 of them with 1 to 3 records
pedigree <- withr::with_seed(11, simulate_pedigree(3, children = 3, dams = 2, generations = 3))
A <- pedigree_kinship(pedigree)
Q <- pedigree_kinship(pedigree, inverse = TRUE)
A2 <- withr::with_seed(12, {
  sires <- sample(6, nrow(pedigree), TRUE)
  K <- 0.4 * outer(sires, sires, `==`) + diag(0.6, nrow(pedigree))
  structure(K, dimnames = dimnames(A))
})
Q2 <- Matrix::drop0(Matrix::Matrix(solve(A2), sparse = TRUE), 1e-12)

example <- withr::with_seed(13, {
  id <- rep(sample(pedigree$id, 45), sample(3, 45, TRUE))
  u <- stats::setNames(drop(t(chol(A)) %*% stats::rnorm(nrow(A))), rownames(A))
  data <- data.frame(id, x = stats::rnorm(length(id)), w = stats::runif(length(id), 0.5, 2),
                     h = factor(sample(6, length(id), TRUE)))
  data$far <- 1e6 + data$x
  data$y <- 2 + data$x + 1.2 * u[id] + stats::rnorm(6)[data$h] + stats::rnorm(length(id))
  data
})

formulas <- list(
  y ~ x + kin(1 | id, K),
  y ~ far + kin(1 | id, K) + (1 | id),
  y ~ x + (1 | h) + kin(1 | id, K),
  y ~ 1 + kin(1 | id, K) + kin(1 | id, K2) + (1 | h),
  y ~ 0 + kin(1 | id, K) + (1 | h)
)

# The same fit by the sparse equations and by dense matrices.
fit_both <- function(formula, ..., data = example) {
  fit <- function(K, K2) {
    environment(formula) <- environment()
    rlang::inject(lmmfit(formula, data, ...))
  }
  list(sparse = fit(precision(Q), precision(Q2)), dense = fit(A, A2))
}

each_pair <- function(code) {
  for (formula in formulas) {
    code(fit_both(formula))
    code(fit_both(formula, weights = rlang::expr(w), REML = FALSE))
  }
}

test_that("the criterion and its derivatives are those of dense matrices", {
  each_pair(function(fits) {
    sparse <- fits$sparse$engine
    expect_equal(sparse$name, "sparse")
    expect_match(sparse$reason, "sparse mixed-model equations")
    count <- n_theta(sparse)
    for (theta in list(seq(0.3, 1.2, length.out = count), numeric(count),
                       c(5, rep(0, count - 1L)), c(rep(1e-4, count - 1L), 2))) {
      expect_equal(engine_criterion(sparse, theta, TRUE),
                   engine_criterion(fits$dense$engine, theta, TRUE), tolerance = 1e-12)
      by_hand <- length(fits$dense$coefficients) > 0L
      expected <- if (by_hand) dense_moments(fits$dense, theta) else
        engine_moments(fits$dense$engine, theta, 2L)
      expect_equal(engine_moments(sparse, theta, 2L)[names(expected)], expected,
                   tolerance = 1e-9)
    }
  })
})

test_that("the slopes are those of the criterion", {
  fits <- fit_both(formulas[[4L]])
  theta <- c(0.8, 0.5, 1.3)
  at <- engine_moments(fits$sparse$engine, theta, 1L)
  logdet <- function(theta) engine_moments(fits$sparse$engine, theta)$logdet
  expect_equal(2 * theta * at$trace, numeric_gradient(logdet, theta), tolerance = 1e-8)
  opt <- fits$sparse$opt
  criterion <- function(theta) engine_criterion(fits$sparse$engine, theta, TRUE)
  expect_equal(numeric_gradient(criterion, opt$theta), numeric(3), tolerance = 1e-5)
})

test_that("fits, effects and their variances are those of dense matrices", {
  each_pair(function(fits) {
    expect_true(fits$sparse$opt$converged)
    expect_equal(deviance(fits$sparse), deviance(fits$dense), tolerance = 1e-10)
    expect_equal(fits$sparse$theta, fits$dense$theta, tolerance = 1e-6)
    expect_equal(fits$sparse$coefficients, fits$dense$coefficients, tolerance = 1e-6)
    expect_equal(vcov(fits$sparse), vcov(fits$dense), tolerance = 1e-6)
    expect_equal(blup(fits$sparse), blup(fits$dense), tolerance = 1e-6)
    expect_setequal(blup(fits$sparse)$id[blup(fits$sparse)$group == "id"], rownames(A))
    expect_equal(as.data.frame(ranef(fits$sparse)), as.data.frame(ranef(fits$dense)),
                 tolerance = 1e-6)
  })
})

test_that("predictions know relatives without records and unknown levels", {
  others <- setdiff(pedigree$id, example$id)[1:3]
  new <- data.frame(id = c(example$id[1:2], others, "new"), x = 1, far = 1e6,
                    h = factor(c(1:5, 9)))
  for (formula in formulas[2:4]) {
    fits <- fit_both(formula, weights = rlang::expr(w))
    predicted <- lapply(fits, function(fit) {
      list(predict(fit, se.fit = TRUE),
           predict(fit, new, se.fit = TRUE, allow.new.levels = TRUE), hatvalues(fit))
    })
    expect_equal(predicted$sparse, predicted$dense, tolerance = 1e-6)
  }
})

test_that("inference is that of dense matrices, of contrasts with one kernel", {
  skip_on_cran()
  for (formula in formulas[c(1L, 3L)]) {
    found <- lapply(fit_both(formula), function(fit) {
      smaller <- update(fit, . ~ . - x)
      table <- as.data.frame(heritability(fit))
      list(summary(fit)$coefficients, coef(summary(fit, ddf = "Kenward-Roger")),
           table[setdiff(names(table), "term")], confint(fit),
           data.frame(anova(fit, smaller))$Chisq, drop1(fit)$AIC,
           refit(fit, rev(fit$y))$theta, leave_one_out(fit)$fitted)
    })
    expect_equal(found$sparse, found$dense, tolerance = 1e-4)
  }
})

test_that("what needs the matrix forms it, or is refused", {
  G <- withr::with_seed(14, matrix(stats::rbinom(450, 2, 0.4), 45))
  dimnames(G) <- list(unique(example$id), paste0("s", 1:10))
  fits <- fit_both(formulas[[1L]])
  expect_equal(gwas(fits$sparse, G)$p_wald, gwas(fits$dense, G)$p_wald, tolerance = 1e-6)
  kernel <- fits$sparse$random[[1L]]$kernel
  ids <- rownames(A)[c(7, 3, 3)]
  expect_equal(kernel[ids, ids], A[ids, ids], tolerance = 1e-12)
  expect_equal(as.matrix(kernel), A, tolerance = 1e-12, ignore_attr = c("class", "grm"))
  expect_equal(kernel_mean(kernel, ids[1:2]), mean(A[ids[1:2], ids[1:2]]))
  expect_kinlmm_error(with_dense_kernels(fits$sparse$random, 20L, "a scan", NULL),
                      "sparse_kernel", paste(nrow(A), "ids"), list(group = "id"))
  # slopes take dense matrices
  slopes <- lmmfit(y ~ x + kin(x | id, precision(Q)), example)
  expect_equal(slopes$engine$name, "dense")
})

test_that("a large number of effects has second derivatives by differences", {
  skip_on_cran()
  large <- withr::with_seed(15, simulate_pedigree(40, children = 4, dams = 5,
                                                  generations = 2))
  expect_gt(nrow(large), 1500L)
  Q <- pedigree_kinship(large, inverse = TRUE)
  K <- pedigree_kinship(large)
  data <- withr::with_seed(16, {
    data <- data.frame(id = sample(large$id, 150))
    data$y <- stats::rnorm(150)
    data
  })
  sparse <- lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = precision(Q)))
  dense <- lmmfit(y ~ 1 + (1 | id), data, kinship = list(id = K))
  for (theta in c(0, 0.01, 0.8)) {
    expect_equal(engine_moments(sparse$engine, theta, 2L)$traces,
                 engine_moments(dense$engine, theta, 2L)$traces, tolerance = 1e-6)
  }
})

test_that("simulated responses have the covariance of the model", {
  fit <- fit_both(formulas[[1L]])$sparse
  fit$theta[] <- 2
  draws <- as.matrix(simulate(fit, 4000, seed = 1)) - drop(fit$fixed$X %*% fit$coefficients)
  expected <- fit$sigma^2 * (diag(nrow(example)) + 4 * A[example$id, example$id])
  ratio <- sum(tcrossprod(draws) / 4000 * expected) / sum(expected^2)
  expect_equal(ratio, 1, tolerance = 0.05)
})

test_that("variances that the data can't tell apart are refused", {
  none <- Matrix::Diagonal(nrow(A))
  none <- methods::as(methods::as(none, "generalMatrix"), "CsparseMatrix")
  dimnames(none) <- dimnames(A)
  expect_kinlmm_error(lmmfit(y ~ x + kin(1 | id, precision(none)) + (1 | id), example),
                      "unidentified")
  once <- example[!duplicated(example$id), ]
  expect_kinlmm_error(lmmfit(y ~ x + kin(1 | id, precision(none)), once), "unidentified")
})
