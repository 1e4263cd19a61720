# What lme4's own tests assert of formulas, ranks and factors, in our words:
# tests/testthat/test-rank.R, test-formulaEval.R, test-factors.R,
# test-doubleVertNotation.R, test-isSingular.R.

test_that("columns of X that others explain are dropped, and said (test-rank.R)", {
  withr::local_seed(101)
  d <- data.frame(x = stats::rnorm(20), z = stats::rnorm(20), r = sample(1:5, 20, TRUE))
  d$y <- d$x
  d$y2 <- d$x + c(0.001, rep(0, 19))
  expect_message(fit <- lmmfit(z ~ x + y + (1 | r), d), "y")
  expect_identical(fit$dropped, "y")
  expect_identical(names(fixef(fit)), c("(Intercept)", "x"))
  expect_identical(nrow(anova(fit, ddf = "none")), 1L)
  kept <- suppressMessages(lmmfit(z ~ x + y2 + (1 | r), d))
  expect_length(fixef(kept), 3L)

  cells <- expand.grid(a = gl(4, 1), b = gl(4, 1), rep = 1:10)
  cells$r <- sample(1:5, nrow(cells), TRUE)
  cells$z <- stats::rnorm(nrow(cells))
  cells <- subset(cells, !(a == "4" & b == "4"))
  cells$ab <- droplevels(interaction(cells$a, cells$b))
  crossed <- suppressMessages(lmmfit(z ~ a * b + (1 | r), cells))
  merged <- suppressMessages(lmmfit(z ~ ab + (1 | r), cells))
  # the REML criterion knows the contrasts, the likelihood does not
  expect_equal(deviance(update(crossed, REML = FALSE)), deviance(update(merged, REML = FALSE)),
               tolerance = 1e-10)
  tables <- lapply(list(crossed, merged), anova, ddf = "none")
  expect_equal(sum(tables[[1]]$npar), sum(tables[[2]]$npar))
  expect_equal(sum(tables[[1]][["Sum Sq"]]), sum(tables[[2]][["Sum Sq"]]), tolerance = 1e-8)
})

test_that("predictions after a column was dropped (test-rank.R, test-predict.R)", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  withr::local_seed(1)
  sleep$age <- factor(rep(sample(1:3, 18, TRUE), each = 10))
  fit <- suppressMessages(lmmfit(Reaction ~ Days + splines::ns(Days, df = 4) + age +
                                   Days:age + (Days | Subject), sleep))
  expect_length(fit$dropped, 1L)
  expect_equal(predict(fit, sleep[5:9, ]), fitted(fit)[5:9])
  theirs <- lme4_objective(formula(fit), sleep, TRUE)
  expect_lte(deviance(fit), suppressMessages(lme4_optimum(theirs))$criterion + 1e-6)
})

test_that("formulas as text, as objects, without data, in functions (test-formulaEval.R)", {
  skip_if_not_installed("lme4")
  withr::local_seed(101)
  d <- data.frame(x = stats::rnorm(50), y = stats::rnorm(50), z = stats::rnorm(50),
                  r = sample(1:5, 50, TRUE))
  text <- paste("x ~ y +", "z + (1|r)")
  inside <- function() {
    d2 <- d
    lmmfit(x ~ y + z + (1 | r), data = d2)
  }
  without <- function() {
    x <- d$x
    y <- d$y
    z <- d$z
    r <- d$r
    lmmfit(x ~ y + z + (1 | r))
  }
  form <- stats::as.formula(text)
  fits <- suppressMessages(list(
    lmmfit(x ~ y + z + (1 | r), d), lmmfit(text, d), lmmfit(form, d),
    lmmfit(stats::as.formula(text), d), inside(), without(),
    do.call(lmmfit, list(form, d)), lapply(list(form), lmmfit, data = d)[[1]],
    Map(function(f) lmmfit(f, d), list(form))[[1]]
  ))
  for (fit in fits[-1]) {
    expect_equal(fixef(fit), fixef(fits[[1]]))
    expect_equal(deviance(fit), deviance(fits[[1]]))
    expect_equal(as.matrix(anova(fit)), as.matrix(anova(fits[[1]])), tolerance = 1e-6)
  }
  smaller <- suppressMessages(lapply(fits[1:6], update, . ~ . - z))
  for (fit in smaller[-1]) expect_equal(fixef(fit), fixef(smaller[[1]]))
})

test_that("data named like a function, or in a list (test-formulaEval.R)", {
  skip_if_not_installed("lme4")
  fit_of <- function(data) lmmfit(Reaction ~ Days + (1 | Subject), data)
  by_name <- fit_of(lme4::sleepstudy)
  c <- lme4::sleepstudy
  expect_equal(fixef(lmmfit(Reaction ~ Days + (1 | Subject), c)), fixef(by_name))
  expect_equal(fixef(lmmfit(Reaction ~ Days + (1 | Subject), as.list(c))), fixef(by_name))
  halves <- split(c, c$Days > 4)
  each <- lapply(halves, function(d) lmmfit(Reaction ~ Days + (1 | Subject), d))
  expect_equal(nobs(each[[1]]), 90L)
  expect_equal(fixef(update(each[[1]], data = c)), fixef(by_name))
})

test_that("codes and factors nest alike, and unused levels do not count (test-factors.R)", {
  withr::local_seed(101)
  d <- data.frame(x = stats::runif(1000), f1 = rep(1:10, each = 100), f2 = rep(1:10, 100))
  d$y <- stats::runif(1000) + stats::rnorm(10, sd = 0.1)[d$f1]
  as_factors <- transform(d, f1 = factor(f1), f2 = factor(f2, levels = c(10:1, 11:20)))
  fits <- lapply(list(d, as_factors), function(data) {
    suppressMessages(lmmfit(y ~ x + (1 | f1 / f2), data))
  })
  expect_equal(deviance(fits[[1]]), deviance(fits[[2]]), tolerance = 1e-12)
  expect_equal(fixef(fits[[1]]), fixef(fits[[2]]), tolerance = 1e-10)
  expect_equal(unname(ngrps(fits[[2]])), unname(ngrps(fits[[1]])))
})

test_that("a million pairs of levels, few of them present (test-factors.R)", {
  withr::local_seed(3)
  d <- data.frame(f1 = factor(1:5000), f2 = factor(sample(5000)))
  d <- rbind(d, d, d)
  d$y <- stats::rnorm(nrow(d)) + stats::rnorm(5000)[as.integer(d$f1)]
  seconds <- system.time(fit <- suppressMessages(lmmfit(y ~ 1 + (1 | f1:f2), d)))
  expect_identical(unname(ngrps(fit)), 5000L)
  expect_lt(seconds[["elapsed"]], 20)
})

test_that("two bars are terms apart (test-doubleVertNotation.R)", {
  skip_if_not_installed("lme4")
  two <- lmmfit(Reaction ~ Days + (Days || Subject), lme4::sleepstudy)
  apart <- lmmfit(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), lme4::sleepstudy)
  expect_equal(fitted(two), fitted(apart))
  expect_equal(unname(head(fitted(two), 4)),
               c(252.917801, 272.708577, 292.499352, 312.290127), tolerance = 5e-5)
  expect_identical(names(VarCorr(two)), c("Subject", "Subject.1"))
  one <- lmmfit(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  expect_equal(fitted(update(apart, . ~ . - (0 + Days | Subject))), fitted(one))
})

test_that("two bars decorrelate factors too, which lme4 1.1 does not", {
  skip_if_not_installed("nlme")
  machines <- as.data.frame(nlme::Machines)
  machines$Machine <- factor(machines$Machine, ordered = FALSE)
  machines$Worker <- factor(machines$Worker, ordered = FALSE)
  fit <- suppressMessages(lmmfit(score ~ Machine + (0 + Machine || Worker), machines))
  expect_length(fit$theta, 3L)
  dummies <- cbind(machines, stats::model.matrix(~ 0 + Machine, machines))
  by_hand <- suppressMessages(lmmfit(
    score ~ Machine + (0 + MachineA | Worker) + (0 + MachineB | Worker) +
      (0 + MachineC | Worker), dummies))
  expect_equal(unname(fit$theta), unname(by_hand$theta), tolerance = 1e-7)
})

test_that("a fit says whether it is singular (test-isSingular.R)", {
  withr::local_seed(101)
  d <- data.frame(g1 = gl(20, 20), g2 = gl(20, 1, 400), x1 = stats::rnorm(400),
                  x2 = stats::rnorm(400))
  effects <- function(g, x, T) rowSums((matrix(stats::rnorm(40), 20) %*% t(T))[g, ] *
                                         cbind(1, x))
  full <- matrix(c(2, 3, 0, 4), 2)
  d$y <- -2 + effects(d$g1, d$x1, full) + effects(d$g2, d$x2, full) + stats::rnorm(400, 0, 2)
  formula <- y ~ 1 + (1 + x1 | g1) + (1 + x2 | g2)
  fit <- lmmfit(formula, d)
  expect_false(fit$opt$singular)
  d$y <- -2 + effects(d$g2, d$x2, full) + stats::rnorm(400, 0, 2)
  none <- suppressMessages(lmmfit(formula, d))
  skip_if_not_installed("lme4")
  best <- lme4_optimum(lme4_objective(formula, d, TRUE))
  expect_lte(deviance(none), best$criterion + 1e-6)
  expect_equal(none$opt$singular, min(abs(best$theta[c(1, 3)])) < 1e-4)
})
