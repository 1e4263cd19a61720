# Three variances and a residual, kernels and none, and the criterion in phi.
three <- withr::with_seed(14, {
  A <- toy_kinship(40, 30)
  B <- toy_kinship(40, 30)
  data <- data.frame(id = rep(rownames(A), each = 3), x = stats::rnorm(120))
  u <- 4 * drop(crossprod(kernel_root(A), stats::rnorm(40)) +
                  crossprod(kernel_root(B), stats::rnorm(40))) + stats::rnorm(40)
  data$y <- data$x + rep(u, each = 3) + stats::rnorm(120)
  list(data = data, A = A, B = B)
})

fit_three <- function(REML) {
  A <- three$A
  B <- three$B
  lmmfit(y ~ x + kin(1 | id, A) + kin(1 | id, B) + (1 | id), three$data, REML = REML)
}

# -2 log-likelihood by its definition.
dense_natural <- function(fit) {
  Z <- stats::model.matrix(~ 0 + factor(id, rownames(three$A)), three$data)
  G <- list(Z %*% three$A %*% t(Z), Z %*% three$B %*% t(Z), Z %*% t(Z), diag(nrow(Z)))
  X <- fit$fixed$X
  function(phi) {
    V <- Reduce(`+`, Map(`*`, phi, G))
    Vi <- solve(V)
    A <- t(X) %*% Vi %*% X
    r <- fit$y - X %*% solve(A, t(X) %*% Vi %*% fit$y)
    logdet <- function(M) as.numeric(determinant(M)$modulus)
    dof <- length(r) - if (fit$REML) ncol(X) else 0
    logdet(V) + (if (fit$REML) logdet(A) else 0) + dof * log(2 * pi) +
      drop(t(r) %*% Vi %*% r)
  }
}

numeric_gradient <- function(f, x, step = 1e-5) {
  vapply(seq_along(x), function(i) {
    at <- function(h) f(replace(x, i, x[[i]] + h))
    (at(step) - at(-step)) / (2 * step)
  }, numeric(1))
}

test_that("criterion, gradient and Hessian in the variances are right anywhere", {
  for (REML in c(TRUE, FALSE)) {
    fit <- fit_three(REML)
    f <- dense_natural(fit)
    phi <- c(0.5, 1.5, 0.3, 1.2)
    at <- natural_criterion(fit, phi, TRUE)
    expect_equal(at$value, f(phi), tolerance = 1e-10)
    expect_equal(at$gradient, numeric_gradient(f, phi), tolerance = 1e-6)
    gradient <- function(phi) natural_criterion(fit, phi, FALSE)$gradient
    expect_equal(gradient(phi), at$gradient, tolerance = 1e-10)
    hessian <- vapply(1:4, function(i) {
      (gradient(replace(phi, i, phi[[i]] + 1e-5)) -
         gradient(replace(phi, i, phi[[i]] - 1e-5))) / 2e-5
    }, numeric(4))
    expect_equal(at$hessian, hessian, tolerance = 1e-6)
  }
})

test_that("the delta method is that of dense numeric derivatives", {
  fit <- fit_three(TRUE)
  f <- dense_natural(fit)
  shares <- variance_shares(fit, NULL, NULL)
  phi <- shares$phi
  hessian <- vapply(1:4, function(i) {
    h <- 1e-3 * max(phi[[i]], 0.1)
    (numeric_gradient(f, replace(phi, i, phi[[i]] + h), 1e-4) -
       numeric_gradient(f, replace(phi, i, phi[[i]] - h), 1e-4)) / (2 * h)
  }, numeric(4))
  expect_true(all(phi > 0))
  covariance <- 2 * solve((hessian + t(hessian)) / 2)
  h <- heritability(fit, method = "wald")
  for (row in 1:4) {
    share <- function(phi) component_shares(shares, phi)[[row]]
    slope <- numeric_gradient(share, phi)
    expect_equal(h$se[[row]], sqrt(sum(slope * (covariance %*% slope))), tolerance = 1e-3)
  }
})

# The profile by brute force: over a grid in two free ratios, refined by Nelder-Mead.
brute_profile <- function(f, k, part, x) {
  size <- function(z) {
    inner <- exp(z[[1L]]) / (1 + exp(z[[1L]]))
    outer <- exp(z[[2L]]) / (1 + exp(z[[2L]]))
    share <- numeric(4)
    if (length(part) == 2L) {
      share[part] <- x * c(inner, 1 - inner)
      share[-part] <- (1 - x) * c(outer, 1 - outer)
    } else {
      share[part] <- x
      share[-part] <- (1 - x) * c(inner, (1 - inner) * c(outer, 1 - outer))
    }
    exp(z[[3L]]) * share / k
  }
  starts <- expand.grid(c(-1, 1), c(-1, 1))
  best <- apply(starts, 1L, function(start) {
    stats::optim(c(start, 1), function(z) f(size(pmax(pmin(z, 30), -30))),
                 control = list(reltol = 1e-12, maxit = 3000))$value
  })
  min(best)
}

test_that("profile intervals end where the criterion has risen as it should", {
  skip_on_cran()
  fit <- fit_three(TRUE)
  f <- dense_natural(fit)
  shares <- variance_shares(fit, NULL, NULL)
  k <- unname(c(shares$k, 1))
  h <- heritability(fit)
  check <- function(part, x) {
    rise <- brute_profile(f, k, part, x) - deviance(fit)
    expect_equal(rise, stats::qchisq(0.95, 1), tolerance = 1e-4)
  }
  for (row in 1:3) for (x in c(h$lower[[row]], h$upper[[row]])) {
    if (x > 0 && x < 1) check(row, x)
  }
  check(1:2, h$lower[[4]])
  check(1:2, h$upper[[4]])
})

test_that("gradients alone lead to the same intervals", {
  fit <- fit_three(TRUE)
  shares <- variance_shares(fit, NULL, NULL)
  shares$observed <- fit_information(fit)$observed
  for (part in list(1L, 1:2)) {
    pin <- share_pin(fit, shares, part, 1:4)
    exact <- profile_share(pin, 0.1, 0.9)
    pin$exact <- FALSE
    expect_equal(profile_share(pin, 0.1, 0.9), exact, tolerance = 1e-4)
  }
})

test_that("a share may be all: then the interval ends at one", {
  all <- withr::with_seed(3, {
    A <- toy_kinship(30, 60)
    B <- toy_kinship(30, 60)
    u <- drop(crossprod(kernel_root(A), stats::rnorm(30)) +
                crossprod(kernel_root(B), stats::rnorm(30)))
    data <- data.frame(id = rownames(A), y = u)
    suppressMessages(lmmfit(y ~ 1 + kin(1 | id, A) + kin(1 | id, B), data))
  })
  h <- suppressMessages(heritability(all))
  expect_identical(h$upper[[3]], 1)
  expect_gt(h$lower[[3]], 0)
})
