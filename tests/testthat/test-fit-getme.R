fit <- lmmfit(distance ~ age * Sex + (age | Subject), nlme::Orthodont)

skip_if_not_installed("Matrix")
dense <- function(x) unname(as.matrix(x))

test_that("the parts satisfy the equations that define them", {
  d <- mixed_example()
  models <- list(lmmfit(y ~ x + (z | g), d, weights = w, offset = o),
                 lmmfit(y ~ x + (z || g), d, weights = w, REML = FALSE))
  for (fit in models) {
    part <- getME(fit, c("X", "Z", "Lambda", "Lambdat", "Zt", "u", "b", "y", "mu", "RX", "A",
                         "RZX", "L", "beta", "offset", "theta", "Lind", "devcomp"))
    W <- diag(d$w)
    Lambda <- as.matrix(part$Lambda)
    Z <- as.matrix(part$Z)
    M <- t(Lambda) %*% t(Z) %*% W %*% Z %*% Lambda + diag(ncol(Z))
    expect_equal(dense(Matrix::t(part$Lambdat)), unname(Lambda))
    expect_equal(part$Lambdat@x, unname(part$theta)[part$Lind])
    expect_equal(dense(part$Zt), unname(t(Z)))
    expect_equal(drop(part$b), drop(Lambda %*% part$u), tolerance = 1e-9)
    mu <- part$offset + part$X %*% part$beta + Z %*% part$b
    expect_equal(part$mu, as.vector(mu), tolerance = 1e-9)
    expect_equal(dense(part$A), unname(t(Lambda) %*% t(Z)))
    H <- solve(W) + Z %*% Lambda %*% t(Lambda) %*% t(Z)
    expect_equal(unname(crossprod(part$RX)), unname(t(part$X) %*% solve(H, part$X)))
    expect_equal(crossprod(part$RX), crossprod(part$X, W %*% part$X) - crossprod(part$RZX))
    cmp <- part$devcomp$cmp
    expect_equal(cmp[["ldL2"]], as.numeric(determinant(M)$modulus))
    expect_equal(cmp[["ldRX2"]], as.numeric(determinant(crossprod(part$RX))$modulus))
    expect_equal(cmp[["ussq"]], sum(part$u^2), tolerance = 1e-8)
    expect_equal(cmp[["wrss"]], sum(d$w * (part$y - part$mu)^2))
    expect_equal(cmp[[if (isREML(fit)) "sigmaREML" else "sigmaML"]], sigma(fit))
    expect_equal(getME(fit, "devfun")(part$theta), deviance(fit), tolerance = 1e-12)
  }
})

test_that("u of a singular fit is finite and b is Lambda u", {
  d <- mixed_example()
  d$y <- d$x + rep(c(-1, 1), each = 60)
  flat <- suppressMessages(lmmfit(y ~ x + (z | g), d))
  expect_true(isSingular(flat))
  expect_equal(drop(getME(flat, "b")),
               as.vector(getME(flat, "Lambda") %*% getME(flat, "u")), tolerance = 1e-8)
})

test_that("names, shapes and values are lme4's", {
  skip_if_not_installed("lme4")
  data <- as.data.frame(nlme::Orthodont)
  exact <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9),
                             calc.derivs = FALSE)
  for (formula in list(distance ~ age * Sex + (age | Subject),
                       distance ~ age + (age || Subject))) {
    ours <- lmmfit(formula, data)
    theirs <- lme4::lmer(formula, data, control = exact)
    parts <- setdiff(names(getME(ours, "ALL")), c("devfun", "L", "A", "RZX", "Ztlist"))
    for (part in parts) {
      a <- getME(ours, part)
      b <- lme4::getME(theirs, part)
      if (methods::is(b, "Matrix")) {
        expect_equal(dense(a), dense(b), tolerance = 1e-4, info = part)
        if (part %in% c("Z", "Zt")) expect_equal(dimnames(a), dimnames(b))
      } else if (is.list(b)) {
        expect_equal(names(a), names(b), info = part)
        expect_equal(unname(lapply(a, c)), unname(lapply(b, c)), tolerance = 1e-4,
                     info = part, ignore_attr = TRUE)
      } else {
        expect_equal(a, b, tolerance = 1e-4, info = part, ignore_attr = part == "X")
      }
    }
    rows <- getME(ours, "Ztlist")
    expect_named(rows, names(getME(theirs, "Ztlist")))
    expect_equal(lapply(rows, dense), lapply(getME(theirs, "Ztlist"), dense))
  }
})

test_that("crossed and nested factors: the same parts by term, whatever their order", {
  skip_if_not_installed("lme4")
  d <- mixed_example()
  d$h <- factor(rep(1:16, length.out = 120)[c(120:1)])
  exact <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9),
                             calc.derivs = FALSE, check.conv.singular = "ignore")
  for (formula in list(y ~ x + (z | g) + (1 | h), y ~ x + (0 + z | g) + (1 | h / f))) {
    ours <- suppressMessages(lmmfit(formula, d))
    theirs <- lme4::lmer(formula, d, control = exact)
    for (part in c("theta", "lower", "l_i", "p_i", "q_i", "m_i", "cnms", "mmList", "flist",
                   "Ztlist", "Tlist")) {
      b <- getME(theirs, part)
      expect_equal(lapply(getME(ours, part)[names(b)], c), lapply(b, c), tolerance = 0.02,
                   info = part, ignore_attr = TRUE)
    }
    expect_equal(dense(getME(ours, "Z") %*% getME(ours, "b")),
                 dense(getME(theirs, "Z") %*% getME(theirs, "b")), tolerance = 0.01)
    expect_equal(getME(ours, "devcomp")$cmp[["REML"]],
                 getME(theirs, "devcomp")$cmp[["REML"]], tolerance = 1e-7)
    expect_equal(drop(getME(ours, "b")),
                 as.vector(getME(ours, "Lambda") %*% getME(ours, "u")), tolerance = 1e-7)
    expect_equal(crossprod(getME(ours, "RZX")) + crossprod(getME(ours, "RX")),
                 crossprod(getME(ours, "X")))
  }
})

test_that("several names give a list, unknown ones an error that has the known", {
  expect_named(getME(fit, c("X", "theta")), c("X", "theta"))
  expect_identical(getME(fit, "ALL")$beta, unname(fixef(fit)))
  expect_kinlmm_error(getME(fit, c("X", "Lamda")), "getme", c("\"Lamda\"", "Lambda"))
  expect_kinlmm_error(getME(fit, 3), "getme")
  expect_kinlmm_error(getME(fit), "argument")
  expect_error(getME(fit, "X", "Z"), class = "rlib_error_dots_nonempty")
  expect_kinlmm_error(getME(3, "X"), "argument", "a model fitted by lmmfit()")
})

test_that("a kernel has Z and b of the levels with records, and no Lambda", {
  withr::local_seed(3)
  K <- toy_kinship(30)
  data <- toy_pheno(K, records = rep(c(0L, 1L, 2L), 10))
  fit <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K))
  part <- getME(fit, c("Z", "b", "X", "beta", "mu"))
  expect_equal(dim(part$Z), c(30L, 20L))
  expect_equal(part$mu, as.vector(part$X %*% part$beta + part$Z %*% part$b))
  expect_kinlmm_error(getME(fit, "Lambda"), "getme_kernel", c("\"Lambda\"", "\"id\""))
  expect_false("Lambda" %in% names(getME(fit, "ALL")))
  expect_equal(sum(getME(fit, "devcomp")$cmp[c("wrss", "ussq")]),
               getME(fit, "devcomp")$cmp[["pwrss"]])
})

test_that("rows left out by na.exclude() are left out", {
  d <- mixed_example()
  d$x[3] <- NA
  fit <- lmmfit(y ~ x + (1 | g), d, na.action = na.exclude)
  expect_length(getME(fit, "mu"), 119L)
  expect_equal(nrow(getME(fit, "Z")), 119L)
})
