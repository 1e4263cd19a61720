test_that("the height example prints lme4's figures", {
  data <- height_example()
  fit <- lmmfit(height ~ X1 + X2 + X3 + (1 | individual), data)
  printed <- capture.output(print(summary(fit, ddf = "none")))
  expected <- c(
    "REML criterion at convergence: 86.3",
    "-1.51387 -0.77446  0.08211  0.62760  1.46843",
    " individual (Intercept) 2.679    1.637",
    " Residual               1.282    1.132",
    "Number of obs: 25, groups:  individual, 5",
    "(Intercept)  0.004311   0.766254   0.006",
    "X1           0.617622   0.320298   1.928",
    "X2           0.051748   0.299611   0.173",
    "X3          -0.242696   0.277386  -0.875",
    "X1  0.000", "X2  0.000 -0.500", "X3  0.000 -0.354  0.000"
  )
  for (line in expected) expect_true(any(trimws(printed, "right") == line), label = line)
})

test_that("the layout is that of lme4's summary", {
  skip_if_not_installed("lme4")
  figures <- function(fit) {
    lines <- trimws(capture.output(print(fit)), "right")
    lines[!grepl("Linear mixed model|Data:|optimizer|^$", lines)]
  }
  for (REML in c(TRUE, FALSE)) {
    ours <- lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, REML = REML)
    theirs <- lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, REML = REML)
    a <- figures(summary(ours, ddf = "none"))
    b <- figures(summary(theirs))
    # the last printed digit may differ where lme4 stops short of the optimum
    expect_equal(gsub("[0-9.]+", "#", a), gsub("[0-9.]+", "#", b))
  }
})

test_that("print() is short and complete", {
  fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont, weights = rep(2, 108))
  expect_output(print(fit), "REML criterion at convergence")
  expect_output(print(fit), "Number of obs: 108, groups:  Subject, 27")
  expect_output(print(summary(fit)), "Weights: rep\\(2, 108\\)")
  expect_output(print(summary(fit), correlation = TRUE), "Correlation of Fixed Effects")
  ml <- update(fit, REML = FALSE)
  expect_output(print(ml), "AIC")
})

test_that("a kernel's summary says how many ids it has", {
  K <- withr::with_seed(1, toy_kinship(20))
  data <- withr::with_seed(2, toy_pheno(K, rep(c(1L, 0L), 10)))
  fit <- suppressMessages(lmmfit(y ~ (1 | id), data, kinship = list(id = K)))
  expect_output(print(summary(fit)), "20 ids, 10 with records")
})

test_that("what a call holds is printed in a line", {
  d <- mixed_example()
  fit <- do.call(lmmfit, list(y ~ x + (1 | g), d, weights = d$w))
  expect_output(print(fit), "   Data: a data frame of 120 x 9\nWeights: a numeric vector")
  fit <- lmmfit(y ~ x + (1 | g), d, subset = x > -1 & x < 1 & z > -1 & z < 1 & w > -1 &
                  o > -100 & o < 100)
  expect_output(print(fit), " Subset: x > -1 & .*[.]{3}\n")
  expect_equal(nchar(describe_code(fit$call$subset)), 60L)
})

test_that("print() has the kernel and what the convergence record says", {
  d <- mixed_example()
  d$flat <- stats::residuals(stats::lm(y ~ g, d))
  d$twice <- 2 * d$x
  fit <- suppressMessages(lmmfit(flat ~ x + twice + (1 | g), d))
  expect_output(print(fit), "Dropped, as combinations of other columns: twice")
  expect_output(print(fit), "Zero is the best estimate of the variance of g")
  fit$opt$converged <- FALSE
  expect_output(print(fit), "Not converged")
  K <- withr::with_seed(1, toy_kinship(12, prefix = ""))
  expect_output(print(lmmfit(y ~ x + (1 | g), d, kinship = list(g = K))),
                "Relationship matrix of g: 12 ids, 12 with records")
})

test_that("summary() can leave the correlation out", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  expect_output(print(summary(fit)), "Correlation of Fixed Effects")
  expect_no_match(capture.output(print(summary(fit, correlation = FALSE))), "Correlation")
  expect_kinlmm_error(summary(fit, correlation = "no"), "argument", "`correlation` must")
})

test_that("tests of coefficients are printed as lmerTest does", {
  skip_if_not_installed("lmerTest")
  fit <- lmmfit(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  theirs <- lmerTest::lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  table <- function(x, ...) {
    lines <- capture.output(print(x, ...))
    lines[grepl("t value|^\\(Intercept\\)|^Days|^Signif", lines)]
  }
  for (stars in c(TRUE, FALSE)) {
    expect_equal(table(summary(fit), signif.stars = stars),
                 table(summary(theirs), signif.stars = stars))
  }
  expect_output(print(summary(fit)), "REML. t-tests use Satterthwaite's method")
  expect_output(print(summary(fit, ddf = "Kenward-Roger")), "use Kenward-Roger's method")
  expect_no_match(capture.output(print(summary(fit, ddf = "lme4"))), "t-tests")
  expect_kinlmm_error(summary(fit, ddf = "KR"), "argument", "`ddf` must be one of")
})

test_that("what step() could not improve prints its whole formula", {
  kept <- stats::step(lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont), trace = 0)
  for (x in list(kept, summary(kept))) {
    expect_output(print(x), "Formula: distance ~ age + (1 | Subject)", fixed = TRUE)
  }
})
