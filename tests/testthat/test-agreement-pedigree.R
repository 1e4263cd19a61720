# Breeding values of covariance s2 A in lme4: Z goes as Z R', A = R'R (lower triangles of A
# are Cholesky factors, no function of ours). Returns lme4's criterion as a function of
# relative standard deviations, by group.
lme4_pedigree <- function(formula, data, group, A, REML = TRUE) {
  control <- lme4::lmerControl(check.nobs.vs.nlev = "ignore",
                               check.nobs.vs.nRE = "ignore")
  parsed <- lme4::lFormula(formula, data, REML = REML, control = control)
  terms <- parsed$reTrms
  factor <- match(group, names(terms$cnms))
  levels <- levels(terms$flist[[group]])
  rows <- terms$Gp[[factor]] + seq_along(levels)
  R <- chol(A[levels, levels])
  terms$Zt[rows, ] <- Matrix::Matrix(R, sparse = TRUE) %*% terms$Zt[rows, ]
  parsed$reTrms <- terms
  devfun <- do.call(lme4::mkLmerDevfun, c(parsed, list(control = control)))
  list(devfun = devfun, order = names(terms$cnms),
       fit = function(theta) {
         opt <- list(par = theta, fval = devfun(theta), conv = 0, message = "")
         lme4::mkMerMod(environment(devfun), opt, terms, fr = parsed$fr)
       })
}

# Our fit against lme4's at our optimum, and lme4's criterion around it.
expect_lme4_pedigree <- function(fit, formula, group, A) {
  theirs <- lme4_pedigree(formula, fit$data, group, A)
  own <- vapply(fit$components, sqrt, 0) / fit$sigma
  theta <- unname(own[theirs$order])
  at <- theirs$fit(theta)
  expect_equal(theirs$devfun(theta), fit$criterion, tolerance = 1e-9)
  expect_equal(unname(lme4::fixef(at)), unname(fit$fixed), tolerance = 1e-6)
  expect_equal(stats::sigma(at), fit$sigma, tolerance = 1e-6)
  for (k in seq_along(theta)) {
    for (step in c(-1, 1) * 1e-3) {
      moved <- replace(theta, k, theta[[k]] + step)
      expect_gte(theirs$devfun(moved), fit$criterion - 1e-7)
    }
  }
}
