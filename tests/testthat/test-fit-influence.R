# The diagonal of I - P by its definition, on the scale of the weights.
dense_leverage <- function(X, Z, D, w) {
  X <- X * sqrt(w)
  Z <- Z * sqrt(w)
  Hi <- solve(diag(nrow(X)) + Z %*% D %*% t(Z))
  P <- Hi - Hi %*% X %*% solve(t(X) %*% Hi %*% X) %*% t(X) %*% Hi
  unname(1 - diag(P))
}

test_that("leverages are those of the dense formula", {
  d <- mixed_example()
  for (formula in list(y ~ x + (1 | g), y ~ x + (z | g), y ~ x + f + (z || g))) {
    fit <- lmmfit(formula, d, weights = w, offset = o)
    Lambda <- as.matrix(getME(fit, "Lambda"))
    expected <- dense_leverage(model.matrix(fit), as.matrix(getME(fit, "Z")),
                               tcrossprod(Lambda), d$w)
    expect_equal(unname(hatvalues(fit)), expected, tolerance = 1e-10)
  }
})

test_that("leverages with a kernel", {
  withr::local_seed(5)
  K <- toy_kinship(30, m = 12)
  data <- toy_pheno(K, records = rep(c(0L, 1L, 2L), 10))
  fit <- lmmfit(y ~ x + (1 | id), data, weights = w, kinship = list(id = K))
  Z <- as.matrix(getME(fit, "Z"))
  ids <- colnames(Z)
  expected <- dense_leverage(model.matrix(fit), Z, fit$theta^2 * K[ids, ids], data$w)
  expect_equal(unname(hatvalues(fit)), expected, tolerance = 1e-9)
})

test_that("leverages and Cook's distances of records are lme4's", {
  skip_if_not_installed("lme4")
  d <- mixed_example()
  d$x[7] <- NA
  fit <- lmmfit(y ~ x + (z | g), d, weights = w, na.action = na.exclude)
  theirs <- lme4::lmer(y ~ x + (z | g), d, weights = w, na.action = na.exclude,
                       start = unname(getME(fit, "theta")),
                       control = lme4::lmerControl(optimizer = NULL, calc.derivs = FALSE))
  # without an optimiser theta stays at its start
  expect_equal(lme4::getME(theirs, "theta"), getME(fit, "theta"), tolerance = 1e-12)
  expect_equal(hatvalues(fit), hatvalues(theirs), tolerance = 1e-8)
  expect_equal(cooks.distance(fit), cooks.distance(theirs), tolerance = 1e-8)
  expect_equal(rstudent(fit), rstudent(theirs), tolerance = 1e-8)
  expect_true(is.na(hatvalues(fit)[[7]]))
})

test_that("leverages of crossed and nested factors are lme4's", {
  skip_if_not_installed("lme4")
  d <- mixed_example()
  d$h <- factor(rep(1:8, length.out = 120)[c(120:1)])
  for (formula in list(y ~ x + (z | g) + (1 | h), y ~ x + (1 | h / f), y ~ x + (1 | g:h))) {
    fit <- suppressMessages(lmmfit(formula, d, weights = w))
    theta <- getME(fit, "theta")
    make <- function(...) {
      control <- lme4::lmerControl(optimizer = NULL, calc.derivs = FALSE,
                                   check.conv.singular = "ignore")
      lme4::lmer(formula, d, weights = w, control = control, ...)
    }
    theirs <- make(start = unname(theta[names(getME(make(), "theta"))]))
    expect_equal(hatvalues(fit), hatvalues(theirs), tolerance = 1e-8)
    expect_equal(cooks.distance(fit), cooks.distance(theirs), tolerance = 1e-8)
  }
})

test_that("groups of crossed factors can be deleted", {
  d <- mixed_example()
  d$h <- factor(rep(1:8, length.out = 120)[c(120:1)])
  fit <- suppressMessages(lmmfit(y ~ x + (z | g) + (1 | h), d))
  without <- influence(fit, "h")
  expect_equal(without$`fixed.effects[-h]`["3", ],
               fixef(suppressMessages(update(fit, data = d[d$h != "3", ]))),
               tolerance = 1e-6)
  expect_equal(names(without$var.cov.comps),
               c("sigma^2", "g:v[(Intercept)]", "g:C[z,(Intercept)]", "g:v[z]",
                 "h:v[(Intercept)]"))
})

test_that("a deleted group is the model fitted without it", {
  d <- mixed_example()
  fit <- lmmfit(y ~ x + (z | g), d, weights = w)
  by_group <- influence(fit, groups = "g")
  expect_s3_class(by_group, "influence.lmmfit")
  expect_equal(by_group$deleted, levels(d$g))
  expect_true(all(by_group$converged))
  without <- lmmfit(y ~ x + (z | g), d[d$g != "5", ], weights = w)
  expect_equal(by_group$`fixed.effects[-g]`["5", ], fixef(without), tolerance = 1e-6)
  expect_equal(by_group$`vcov[-g]`$`5`, vcov(without), tolerance = 1e-5)
  components <- as.data.frame(VarCorr(without))
  expect_equal(unname(by_group$`var.cov.comps[-g]`["5", ]),
               components$vcov[c(4, 1, 3, 2)], tolerance = 1e-5)
  expect_named(by_group$var.cov.comps,
               c("sigma^2", "v[(Intercept)]", "C[z,(Intercept)]", "v[z]"))
  change <- fixef(without) - fixef(fit)
  expect_equal(dfbeta(by_group)["5", ], change, tolerance = 1e-6)
  expect_equal(dfbetas(by_group)["5", ], change / sqrt(diag(vcov(without))),
               tolerance = 1e-5)
  expect_equal(cooks.distance(by_group)[["5"]],
               drop(change %*% solve(vcov(fit), change)) / 2, tolerance = 1e-5)
})

test_that("records, groups outside the frame, and their combinations can be deleted", {
  d <- mixed_example()[1:48, ]
  fit <- lmmfit(y ~ x + (1 | g), d)
  cases <- influence(fit)
  expect_equal(rownames(cases$`fixed.effects[-case]`), rownames(d))
  expect_equal(cases$`fixed.effects[-case]`["7", ],
               fixef(lmmfit(y ~ x + (1 | g), d[-7, ])), tolerance = 1e-7)
  expect_equal(influence(fit, "h", d)$deleted, c("u", "v"))
  pairs <- influence(fit, c("f", "h"), d)
  expect_equal(pairs$groups, "f.h")
  expect_setequal(pairs$deleted, unique(paste(d$f, d$h, sep = ".")))
  expect_equal(influence(fit, do.coef = FALSE)$hat, hatvalues(fit))
  expect_kinlmm_error(influence(fit, "nothing"), "influence_group", "nothing")
})

test_that("columns that only the deleted group identifies are NA without it", {
  d <- mixed_example()
  d$only <- as.numeric(d$f == "c")
  fit <- lmmfit(y ~ x + only + (1 | g), d)
  without <- influence(fit, "f", d)$`fixed.effects[-f]`
  expect_equal(is.na(without["c", ]), c(`(Intercept)` = FALSE, x = FALSE, only = TRUE))
})

test_that("fields are lme4's", {
  skip_if_not_installed("lme4")
  data <- as.data.frame(nlme::Orthodont)
  ours <- influence(lmmfit(distance ~ age + (age | Subject), data), "Subject")
  fit <- lme4::lmer(distance ~ age + (age | Subject), data)
  theirs <- suppressMessages(influence(fit, "Subject"))
  expect_named(ours, names(theirs))
  for (name in names(theirs)[1:6]) {
    expect_equal(ours[[name]], theirs[[name]], tolerance = 0.05, info = name,
                 ignore_attr = TRUE)
    expect_equal(dimnames(ours[[name]]), dimnames(theirs[[name]]))
  }
  expect_equal(unname(cooks.distance(ours)), unname(cooks.distance(theirs)) * 27 / 25,
               tolerance = 0.05)
  expect_equal(dfbetas(ours), dfbetas(theirs), tolerance = 0.05)
  expect_equal(dfbeta(ours, "var.cov"), dfbeta(theirs, "var.cov"), tolerance = 0.1)
})

test_that("leverages with a kernel beside another term, and with a slope", {
  withr::local_seed(6)
  K <- toy_kinship(20, m = 60)
  data <- toy_pheno(K, records = rep(c(1L, 4L), 10))
  data$y <- data$y + stats::rnorm(20)[match(data$id, rownames(K))] * (0.5 + data$x)
  fit <- suppressMessages(lmmfit(y ~ x + kin(1 + x | id, K) + (1 | id), data, weights = w))
  at <- dense_covariance(fit, fit$theta)
  Hi <- solve(at$H)
  X <- model.matrix(fit) * sqrt(data$w)
  P <- Hi - Hi %*% X %*% solve(t(X) %*% Hi %*% X, t(X) %*% Hi)
  expect_equal(unname(hatvalues(fit)), 1 - unname(diag(P)), tolerance = 1e-9)
})

test_that("leverages of crossed factors cost no more than a fit", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(y ~ service + (1 | s) + (1 | d), lme4::InstEval)
  seconds <- system.time(hat <- hatvalues(fit))[["elapsed"]]
  expect_lt(seconds, 20)
  # a leverage is the variance of a fitted value over sigma^2
  some <- c(1, 500, 70000)
  se <- predict(fit, lme4::InstEval[some, ], se.fit = TRUE)$se.fit
  expect_equal(hat[some], (se / sigma(fit))^2, tolerance = 1e-10)
})

test_that("Cook's distance is not a number without fixed effects", {
  none <- lmmfit(distance ~ 0 + (1 | Subject), nlme::Orthodont)
  expect_true(all(is.nan(cooks.distance(influence(none, "Subject")))))
  expect_true(all(is.nan(cooks.distance(none))))
})
