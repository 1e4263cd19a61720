# A^-1 of a pedigree, by Henderson's rules: parents (rows of numbers, NA unknown) come before
# their children, none is inbred.
pedigree_inverse <- function(sire, dam) {
  n <- length(sire)
  Q <- matrix(0, n, n)
  for (i in seq_len(n)) {
    parents <- stats::na.omit(c(sire[i], dam[i]))
    at <- c(i, parents)
    half <- c(1, rep(-0.5, length(parents)))
    Q[at, at] <- Q[at, at] + half %*% t(half) / (1 - length(parents) / 4)
  }
  dimnames(Q) <- rep(list(paste0("p", seq_len(n))), 2)
  Q
}

# Founders 1 to 6, then children of two of them, and one without a known mother.
small_pedigree <- function() {
  pedigree_inverse(c(rep(NA, 6), 1, 1, 2, 2, 3, 3), c(rep(NA, 6), 4, 4, 5, 5, 6, NA))
}

# One of 50 designs: its call, and G, Z, R, X written out.
random_design <- function(seed) {
  withr::local_seed(seed)
  n <- sample(25:60, 1)
  Q <- small_pedigree()
  K <- toy_kinship(10, 40) + diag(0.05, 10)
  d <- data.frame(g = factor(sample(letters[1:6], n, TRUE)),
                  h = factor(sample(LETTERS[1:4], n, TRUE)),
                  p = sample(rownames(Q)[-2], n, TRUE), i = sample(rownames(K), n, TRUE),
                  x = rnorm(n), f = factor(sample(c("u", "v", "w"), n, TRUE)),
                  w = if (seed %% 2) runif(n, 0.3, 3) else rep(1, n))
  d$y <- rnorm(n, 2) + d$x
  psi <- function(k) crossprod(matrix(rnorm(k * (k + 2)), ncol = k)) / k
  all <- list(
    g = list(text = "(1 + x | g)", Psi = psi(2), columns = cbind(1, d$x), f = d$g, K = NULL),
    h = list(text = "(1 | h)", Psi = psi(1), columns = cbind(rep(1, n)), f = d$h, K = NULL),
    p = list(text = "(1 | p)", Psi = psi(1), columns = cbind(rep(1, n)), f = factor(d$p),
             K = solve(Q)),
    i = list(text = "kin(1 + x | i, K)", Psi = psi(2), columns = cbind(1, d$x),
             f = factor(d$i), K = K)
  )
  terms <- all[sort(sample(4, sample(3, 1)))]
  fixed <- c("y ~ 1", "y ~ x + f", "y ~ x * f", "y ~ 0 + f + x")[[1 + seed %% 4]]
  formula <- stats::as.formula(paste(c(fixed, vapply(terms, `[[`, "", "text")),
                                     collapse = " + "))
  list(formula = formula, data = d, terms = terms, K = K, Q = Q, residual = rexp(1) + 0.2,
       X = stats::model.matrix(stats::as.formula(fixed), d))
}

# beta, u, PEV and Var(beta) by V, dense.
by_v <- function(design) {
  blocks <- lapply(design$terms, function(term) {
    ids <- if (is.null(term$K)) levels(term$f) else rownames(term$K)
    unit <- 1 * outer(as.character(term$f), ids, "==")
    K <- if (is.null(term$K)) diag(length(ids)) else term$K
    k <- ncol(term$columns)
    Z <- do.call(cbind, lapply(seq_along(ids), function(j) unit[, j] * term$columns))
    list(Z = Z, G = kronecker(unname(K), term$Psi))
  })
  Z <- do.call(cbind, lapply(blocks, `[[`, "Z"))
  G <- matrix(0, ncol(Z), ncol(Z))
  end <- cumsum(vapply(blocks, function(b) ncol(b$Z), 1))
  for (b in seq_along(blocks)) {
    at <- seq(end[b] - ncol(blocks[[b]]$Z) + 1, end[b])
    G[at, at] <- blocks[[b]]$G
  }
  X <- design$X
  y <- design$data$y
  V <- Z %*% G %*% t(Z) + diag(design$residual / design$data$w)
  Vi <- solve(V)
  var_b <- solve(t(X) %*% Vi %*% X)
  b <- var_b %*% t(X) %*% Vi %*% y
  P <- Vi - Vi %*% X %*% var_b %*% t(X) %*% Vi
  list(beta = drop(b), vcov = var_b, u = drop(G %*% t(Z) %*% P %*% y),
       pev = diag(G - G %*% t(Z) %*% P %*% Z %*% G), Z = Z, G = G)
}

in_order <- function(parts) unlist(lapply(parts, function(u) t(u)), use.names = FALSE)

test_that("50 random designs: the equations give what V gives, dense and sparse", {
  skip_if_not_installed("Matrix")
  worst <- vapply(1:50, function(seed) {
    design <- random_design(seed)
    want <- by_v(design)
    K <- design$K
    d <- design$data
    one <- function(sparse) {
      Q <- if (sparse) Matrix::Matrix(design$Q, sparse = TRUE) else design$Q
      kinship <- if ("p" %in% names(design$terms)) list(p = precision(Q))
      mme(design$formula, d, kinship = kinship, weights = w,
          variances = lapply(design$terms, `[[`, "Psi"), residual = design$residual,
          sparse = sparse)
    }
    environment(design$formula) <- environment()
    vapply(c(FALSE, TRUE), function(sparse) {
      got <- one(sparse)
      forms <- v_forms(got)
      max(abs(got$beta - want$beta), abs(got$vcov - want$vcov),
          abs(in_order(got$u) - want$u), abs(in_order(got$pev) - want$pev),
          abs(in_order(forms$u) - want$u), abs(in_order(forms$pev) - want$pev),
          forms$differences$difference)
    }, 1)
  }, numeric(2))
  expect_identical(dim(worst), c(2L, 50L))
  expect_lt(max(worst), 1e-8)
})

test_that("coefficient matrix, right-hand side and inverse are what they are called", {
  for (seed in c(3, 4, 8)) {
    design <- random_design(seed)
    K <- design$K
    environment(design$formula) <- environment()
    kinship <- if ("p" %in% names(design$terms)) list(p = solve(design$Q))
    got <- mme(design$formula, design$data, kinship = kinship, weights = w,
               variances = lapply(design$terms, `[[`, "Psi"), residual = design$residual)
    at <- by_v(design)
    W <- cbind(design$X, at$Z)
    R <- design$data$w / design$residual
    C <- t(W) %*% (W * R)
    effects <- -seq_len(ncol(design$X))
    C[effects, effects] <- C[effects, effects] + solve(at$G)
    expect_equal(unname(got$C), unname(C), tolerance = 1e-9)
    expect_equal(unname(got$rhs), drop(t(W) %*% (design$data$y * R)), ignore_attr = TRUE,
                 tolerance = 1e-12)
    expect_equal(unname(got$inverse), unname(solve(C)), tolerance = 1e-7)
    expect_equal(unname(as.matrix(got)), unname(cbind(C, got$rhs)), tolerance = 1e-9)
    expect_equal(unname(got$solution), solve(C, got$rhs), tolerance = 1e-7,
                 ignore_attr = TRUE)
  }
})

test_that("at the estimates of a fit the equations give its effects", {
  skip_if_not_installed("Matrix")
  d <- mixed_example()
  K <- withr::with_seed(6, toy_kinship(12)) + diag(0.1, 12)
  dimnames(K) <- rep(list(1:12), 2)
  fits <- list(
    lmmfit(y ~ x + f + offset(o) + (z | g), d, weights = w),
    suppressMessages(lmmfit(y ~ x + (1 | g) + (0 + z | g) + (1 | f), d)),
    lmmfit(y ~ x + (1 | g), d, kinship = list(g = K)),
    suppressMessages(lmmfit(y ~ x + (1 | h) + kin(1 + z | g, K), d))
  )
  for (fit in fits) for (sparse in c(FALSE, TRUE)) {
    got <- mme(fit, sparse = sparse)
    expect_equal(coef(got), fixef(fit), tolerance = 1e-8)
    expect_equal(vcov(got), vcov(fit), tolerance = 1e-7, ignore_attr = TRUE)
    mine <- as.data.frame(blup(got))
    theirs <- as.data.frame(blup(fit))
    expect_identical(mine[c("group", "id", "term", "records")],
                     theirs[c("group", "id", "term", "records")])
    expect_equal(mine$value, theirs$value, tolerance = 1e-7)
    expect_equal(mine$pev, theirs$pev, tolerance = 1e-7)
    expect_equal(mine$reliability, theirs$reliability, tolerance = 1e-6)
  }
})

test_that("a covariance without an inverse takes the form of Harville", {
  skip_if_not_installed("Matrix")
  # centred: of rank 14
  K <- withr::with_seed(7, toy_kinship(15))
  d <- withr::with_seed(8, toy_pheno(K, rep(0:2, 5)))
  d$g <- factor(rep(1:5, 3))
  corr <- tcrossprod(c(1, -0.5))
  cases <- list(list(id = 0.7, g = 0.4), list(id = 0.7, g = 0), list(id = 0, g = 0.4))
  for (psi in cases) for (sparse in c(FALSE, TRUE)) {
    got <- mme(y ~ x + (1 | id) + (1 | g), d, kinship = list(id = K), variances = psi,
               residual = 0.5, sparse = sparse)
    expect_identical(got$form, "harville")
    expect_identical(got$harville, c("id", if (psi$g == 0) "g"))
    expect_lt(max(v_forms(got)$differences$difference), 1e-10)
    expect_equal(as.vector(as.matrix(got$C %*% got$solution)), unname(got$rhs),
                 tolerance = 1e-10)
    # K plus next to nothing has an inverse
    near <- mme(y ~ x + (1 | id) + (1 | g), d, kinship = list(id = K + diag(1e-6, 15)),
                variances = lapply(psi, function(v) v + 1e-7), residual = 0.5)
    expect_identical(near$form, "henderson")
    expect_equal(got$beta, near$beta, tolerance = 1e-4)
    expect_equal(got$pev, near$pev, tolerance = 1e-4)
  }
  expect_true(all(got$u$id == 0) && all(is.na(got$reliability$id)))
  slopes <- mme(y ~ x + (x | g), d, variances = list(g = corr), residual = 0.5)
  expect_identical(slopes$harville, "g")
  expect_equal(slopes$u$g[, 2], -0.5 * slopes$u$g[, 1], tolerance = 1e-12)
  expect_lt(max(v_forms(slopes)$differences$difference), 1e-12)
  expect_output(print(got), "Form of Harville for \"id\"", fixed = TRUE)
})

test_that("dependent columns of X are set to zero, estimable functions are not touched", {
  skip_if_not_installed("Matrix")
  d <- mixed_example()
  plain <- mme(y ~ x + f + (1 | g), d, variances = c(g = 0.5), residual = 1.2)
  for (sparse in c(FALSE, TRUE)) {
    full <- mme(y ~ x + f + (1 | g), d, variances = c(g = 0.5), residual = 1.2, full = TRUE,
                sparse = sparse)
    expect_identical(unname(full$beta[5]), 0)
    expect_equal(full$u, plain$u, tolerance = 1e-10)
    expect_equal(full$pev, plain$pev, tolerance = 1e-10)
    one <- estimable(full, c("fb - fa", "x", "`(Intercept)` + fc"))
    two <- estimable(plain, c("fb", "x", "`(Intercept)` + fc"))
    expect_equal(as.data.frame(one), as.data.frame(two), tolerance = 1e-9,
                 ignore_attr = TRUE)
    expect_message(estimable(full, "fb"), class = "kinlmm_message_not_estimable")
    # C G C = C
    expect_output(print(full), 'Rank of X 4 of 5; set to zero: "fc"')
    expect_output(print(summary(full)), "fc (not estimable)", fixed = TRUE)
  }
  C <- mme(y ~ x + f + (1 | g), d, variances = c(g = 0.5), residual = 1.2, full = TRUE)
  expect_equal(C$C %*% C$inverse %*% C$C, C$C, tolerance = 1e-10)
})

test_that("a model without fixed effects, with one group, or one record a level is solved", {
  skip_if_not_installed("Matrix")
  d <- mixed_example()
  for (sparse in c(FALSE, TRUE)) {
    none <- mme(y ~ 0 + (1 | g), d, variances = c(g = 0.5), residual = 1.2, sparse = sparse)
    expect_lt(max(v_forms(none)$differences$difference), 1e-12)
    one <- mme(y ~ x + (1 | g), d, subset = g == "3", variances = c(g = 0.5),
               residual = 1.2, sparse = sparse)
    expect_identical(nrow(one$u$g), 1L)
    expect_lt(max(v_forms(one)$differences$difference), 1e-12)
    d$row <- seq_len(120)
    each <- mme(y ~ x + (1 | row), d, variances = c(row = 0.5), residual = 1.2,
                sparse = sparse)
    expect_lt(max(v_forms(each)$differences$difference), 1e-12)
  }
})

test_that("a large sparse system stays sparse", {
  skip_if_not_installed("Matrix")
  n <- 3000
  withr::local_seed(9)
  parents <- vapply(seq_len(n), function(i) {
    if (i <= 500) c(0L, 0L) else sample(max(1L, i - 800L):(i - 1L), 2)
  }, integer(2))
  child <- which(parents[1, ] > 0)
  # (I - half)' D^-1 (I - half), D as if no parent were inbred
  half <- Matrix::sparseMatrix(c(seq_len(n), child, child), c(seq_len(n), parents[1, child],
                                                             parents[2, child]),
                               x = c(rep(1, n), rep(-0.5, 2 * length(child))))
  scale <- Matrix::Diagonal(x = 1 + (parents[1, ] > 0))
  Q <- Matrix::crossprod(half, scale %*% half)
  dimnames(Q) <- rep(list(as.character(seq_len(n))), 2)
  d <- data.frame(id = sample(n, 4000, TRUE), x = rnorm(4000), y = rnorm(4000))
  got <- mme(y ~ x + (1 | id), d, kinship = list(id = precision(Q)), variances = c(id = 0.4),
             residual = 0.6, sparse = TRUE, pev = FALSE)
  expect_s4_class(got$C, "sparseMatrix")
  expect_lt(length(got$C@x), 10 * n)
  residual <- as.matrix(got$C %*% got$solution) - got$rhs
  expect_lt(max(abs(residual)), 1e-9)
  expect_null(got$pev)
  expect_true(all(is.na(blup(got)$pev)))
  expect_output(print(summary(got)), "Sparse")
})

test_that("what is wrong is named", {
  d <- mixed_example()
  make <- function(variances, ...) {
    mme(y ~ x + (z | g) + (1 | h), d, variances = variances, ...)
  }
  expect_kinlmm_error(make(list(g = diag(2))), "argument", "residual")
  expect_kinlmm_error(make(list(g = diag(2)), residual = 1), "variance_names",
                      'It lacks "h"')
  expect_kinlmm_error(make(list(g = diag(2), h = 1, k = 1), residual = 1), "variance_names",
                      'no term "k"')
  expect_kinlmm_error(make(list(1, 2), residual = 1), "variance_names", '"g", "h"')
  expect_kinlmm_error(make(list(g = diag(3), h = 1), residual = 1), "variance_term", "2 x 2")
  expect_kinlmm_error(make(list(g = diag(2), h = -1), residual = 1), "variance_term",
                      "not below zero", list(label = "h"))
  expect_kinlmm_error(make(list(g = cbind(1:2, 2:1), h = 1), residual = 1), "variance_term",
                      "eigenvalue of -1")
  expect_kinlmm_error(make(list(g = cbind(2:3, 1:2), h = 1), residual = 1), "variance_term",
                      "not symmetric")
  expect_kinlmm_error(make(list(g = diag(2), h = 1), residual = 0), "argument", "residual")
  expect_kinlmm_error(mme(y ~ x, d, variances = 1, residual = 1), "formula")
  expect_kinlmm_error(mme(1), "argument", "a formula or a model")
  expect_kinlmm_error(estimable(1, "x"), "argument", "blue(), mme() or lmmfit()")
  expect_kinlmm_error(v_forms(1), "argument", "made by mme()")
  fine <- make(list(g = diag(2), h = 1, Residual = 2))
  expect_identical(fine$residual, 2)
})

test_that("sparse inverses are checked like dense ones", {
  skip_if_not_installed("Matrix")
  Q <- small_pedigree()
  d <- data.frame(p = rep(rownames(Q), 2), y = cos(1:24))
  make <- function(Q) {
    mme(y ~ 1 + (1 | p), d, kinship = list(p = precision(Q)), variances = 1, residual = 1,
        sparse = TRUE)
  }
  S <- Matrix::Matrix(Q, sparse = TRUE)
  expect_identical(rownames(make(S)$u$p), rownames(Q))
  expect_kinlmm_error(make(S[-3, -3]), "kinship_ids", '"p3"')
  bad <- S
  bad[3, 3] <- -1
  expect_kinlmm_error(make(bad), "precision")
  bad <- methods::as(S, "generalMatrix")
  bad[1, 2] <- 3
  expect_kinlmm_error(make(bad), "kinship_asymmetric", '"p1"')
  bad <- S
  bad[3, 3] <- NA
  expect_kinlmm_error(make(bad), "kinship_na", '"p3"')
  dimnames(S) <- list(NULL, NULL)
  expect_kinlmm_error(make(S), "kinship_noids")
})

test_that("without prediction error variances nothing fails, and it is said", {
  equations <- mme(distance ~ age + (1 | Subject), nlme::Orthodont, variances = 2,
                   residual = 1, pev = FALSE)
  expect_output(print(summary(equations)), "made with pev = FALSE")
  table <- estimable(equations, "age")
  expect_equal(table$Estimate, equations$beta[["age"]])
  expect_true(is.na(table$`Std. Error`))
  expect_identical(v_forms(equations)$differences$quantity, c("b_hat", "u_hat"))
})

test_that("what is missing, and variances that are not positive, are named", {
  expect_kinlmm_error(mme(), "argument", "`object` must be given")
  expect_kinlmm_error(v_forms(), "argument", "`object` must be given")
  expect_kinlmm_error(mme(distance ~ age + (1 | Subject), nlme::Orthodont, variances = 2,
                          residual = 0), "argument", "`residual` must be a single number")
  expect_kinlmm_error(blue(distance ~ age, nlme::Orthodont, sigma2 = -1), "argument",
                      "`sigma2` must be a single number above 0")
})

test_that("a variance of zero has no reliability, and the summary fits the console", {
  equations <- mme(distance ~ age + (1 | Subject), nlme::Orthodont, variances = 0,
                   residual = 1)
  expect_identical(summary(equations)$effects$reliability, NA_real_)
  expect_lte(max(nchar(utils::capture.output(print(summary(equations))))), 80)
})
