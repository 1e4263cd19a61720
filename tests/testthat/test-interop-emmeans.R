skip_if_not_installed("emmeans")
skip_if_not_installed("lme4")
exact <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9),
                           calc.derivs = FALSE)
table_of <- function(x) as.data.frame(summary(x))

test_that("marginal means, contrasts and trends are those of lme4's fit", {
  d <- mixed_example()
  formula <- y ~ f * x + h + stats::poly(z, 2) + (1 | g)
  ours <- lmmfit(formula, d, weights = w)
  theirs <- lme4::lmer(formula, d, weights = w, control = exact)
  grid <- list(
    function(fit) emmeans::emmeans(fit, "f", mode = "asymptotic", at = list(x = 1)),
    function(fit) emmeans::emmeans(fit, "h", mode = "asymptotic"),
    function(fit) graphics::pairs(emmeans::emmeans(fit, "f", mode = "asymptotic")),
    function(fit) emmeans::emtrends(fit, "f", var = "x", mode = "asymptotic"),
    function(fit) emmeans::emmeans(fit, "z", mode = "asymptotic", at = list(z = c(-1, 1)))
  )
  for (f in grid) {
    a <- suppressMessages(table_of(f(ours)))
    b <- suppressMessages(table_of(f(theirs)))
    expect_equal(a, b, tolerance = 1e-5, ignore_attr = TRUE)
  }
})

test_that("what is not estimable is not estimated", {
  d <- mixed_example()
  d <- d[!(d$f == "a" & d$h == "v"), ]
  ours <- suppressMessages(lmmfit(y ~ f * h + (1 | g), d))
  theirs <- suppressMessages(lme4::lmer(y ~ f * h + (1 | g), d, control = exact))
  a <- table_of(emmeans::emmeans(ours, c("f", "h"), mode = "asymptotic"))
  b <- table_of(emmeans::emmeans(theirs, c("f", "h"), mode = "asymptotic"))
  expect_equal(a, b, tolerance = 1e-5, ignore_attr = TRUE)
  expect_equal(sum(is.na(a$emmean)), 1L)
})

test_that("another covariance is used when given, and data need not be found again", {
  make <- function() {
    inside <- mixed_example()
    lmmfit(y ~ f + (1 | g), inside)
  }
  fit <- make()
  means <- table_of(emmeans::emmeans(fit, "f", mode = "asymptotic"))
  double <- table_of(emmeans::emmeans(fit, "f", mode = "asymptotic", vcov. = 4 * vcov(fit)))
  expect_equal(double$SE, 2 * means$SE)
  also <- table_of(emmeans::emmeans(fit, "f", mode = "asymptotic",
                                    vcov. = function(x, ...) 4 * vcov(x)))
  expect_equal(also$SE, double$SE)
  expect_error(emmeans::emmeans(fit, "f", mode = "nonsense"))
})

test_that("degrees of freedom are those of Satterthwaite, and of Kenward and Roger", {
  skip_if_not_installed("lmerTest")
  skip_if_not_installed("pbkrtest")
  d <- mixed_example()
  ours <- lmmfit(y ~ f * x + (1 | g), d)
  theirs <- lmerTest::lmer(y ~ f * x + (1 | g), d, control = exact)
  for (mode in c("satterthwaite", "kenward-roger")) {
    a <- table_of(emmeans::emmeans(ours, "f", mode = mode, at = list(x = 1)))
    b <- table_of(emmeans::emmeans(theirs, "f", mode = mode, at = list(x = 1)))
    expect_equal(a, b, tolerance = 1e-3, ignore_attr = TRUE)
    expect_true(all(is.finite(a$df)))
  }
  expect_equal(table_of(emmeans::emmeans(ours, "f", at = list(x = 1)))$df,
               table_of(emmeans::emmeans(ours, "f", mode = "satterthwaite",
                                         at = list(x = 1)))$df)
})
