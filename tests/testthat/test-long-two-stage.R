sleep <- function() {
  skip_if_not_installed("lme4")
  lme4::sleepstudy
}

# Of different numbers of records: 1, 2, 5 to 10; with a covariate of the subjects.
uneven_sleep <- function() {
  d <- sleep()[-c(2:10, 13:20, 22:26, 31), ]
  d$group <- factor(c("a", "b", "c")[1 + as.integer(d$Subject) %% 3])
  d
}

quietly <- function(...) suppressMessages(two_stage(...))

test_that("in balanced data two stages are one", {
  cases <- list(
    two_stage(distance ~ age | Subject, nlme::Orthodont, second = ~ Sex),
    two_stage(Reaction ~ Days | Subject, sleep()),
    two_stage(Reaction ~ Days + I(Days^2) | Subject, sleep()),
    two_stage(Reaction ~ 1 | Subject, sleep()),
    two_stage(distance ~ age | Subject, nlme::Orthodont, second = ~ 0 + Sex)
  )
  for (got in cases) {
    fit <- got$single
    expect_s3_class(fit, "lmmfit")
    one <- stage_estimates(got, "single")
    expect_setequal(signif(one$coefficients, 8), signif(unname(fixef(fit)), 8))
    for (stage in list(got$unweighted, got$weighted)) {
      expect_equal(unname(stage$coefficients), unname(one$coefficients), tolerance = 1e-8)
      expect_equal(unname(stage$vcov), unname(one$vcov), tolerance = 1e-7)
      expect_equal(unname(stage$D), unname(matrix(VarCorr(fit)[[1]], nrow(stage$D))),
                   tolerance = 1e-6)
    }
    expect_equal(sqrt(got$sigma2), sigma(fit), tolerance = 1e-7)
    modes <- as.matrix(ranef(fit)[[1]])
    means <- got$W %*% matrix(coef(got), ncol(got$W))
    expect_equal(unname(got$weighted$effects - means), unname(modes), tolerance = 1e-6)
  }
})

test_that("lme4 gives the same single stage", {
  got <- two_stage(Reaction ~ Days | Subject, sleep())
  want <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleep())
  expect_equal(coef(got), lme4::fixef(want), tolerance = 1e-8)
  expect_equal(unname(sqrt(diag(vcov(got)))), unname(sqrt(diag(as.matrix(vcov(want))))),
               tolerance = 1e-4)
})

# Both stages once more: nlme's separate regressions, then dense matrices.
dense_stages <- function(d, D) {
  lists <- nlme::lmList(Reaction ~ Days | Subject, d[!d$Subject %in% c("308", "309"), ])
  B <- as.matrix(coef(lists))
  s2 <- summary(lists)$RSE^2
  rows <- split(d, factor(d$Subject, rownames(B)))
  C <- lapply(rows, function(r) s2 * solve(crossprod(cbind(1, r$Days))))
  W <- stats::model.matrix(~ group, do.call(rbind, lapply(rows, function(r) r[1, ])))
  big <- kronecker(diag(2), W)
  V <- matrix(0, length(B), length(B))
  m <- nrow(B)
  for (i in seq_len(m)) V[c(i, m + i), c(i, m + i)] <- D + C[[i]]
  Vi <- solve(V)
  Q <- solve(t(big) %*% Vi %*% big)
  beta <- Q %*% t(big) %*% Vi %*% c(B)
  r <- c(B) - big %*% beta
  logdet <- function(A) as.numeric(determinant(A)$modulus)
  list(B = B, s2 = s2, C = C, W = W, beta = drop(beta), Q = Q,
       ML = logdet(V) + sum(r * (Vi %*% r)),
       REML = logdet(V) + sum(r * (Vi %*% r)) - logdet(Q))
}

test_that("unbalanced: both stages are those of nlme and dense matrices", {
  d <- uneven_sleep()
  for (method in c("REML", "ML", "moments")) {
    got <- quietly(Reaction ~ Days | Subject, d, second = ~ group, method = method)
    expect_identical(got$subjects$subject[!got$subjects$used], c("308"))
  }
  d <- d[d$Subject != "309", ]
  got <- quietly(Reaction ~ Days | Subject, d, second = ~ group)
  want <- dense_stages(d, got$weighted$D)
  used <- got$subjects$used
  expect_equal(as.matrix(got$subjects[used, 4:5]), want$B, ignore_attr = TRUE,
               tolerance = 1e-10)
  expect_equal(got$sigma2, want$s2, tolerance = 1e-10)
  expect_equal(unname(coef(got)), want$beta, tolerance = 1e-9)
  expect_equal(unname(vcov(got)), want$Q, tolerance = 1e-9)
  second <- stats::lm(want$B ~ 0 + want$W)
  expect_equal(unname(got$unweighted$coefficients), c(unname(coef(second))),
               tolerance = 1e-10)
  expect_equal(unname(got$unweighted$vcov), unname(vcov(second)), tolerance = 1e-9)
  # by moments: E of the residual products is (m - c) D + sum of shares C_i
  M <- diag(nrow(want$W)) - want$W %*% solve(crossprod(want$W), t(want$W))
  E <- t(want$B) %*% M %*% want$B
  for (i in seq_along(want$C)) E <- E - M[i, i] * want$C[[i]]
  expect_equal(unname(got$unweighted$D), unname(E / (nrow(M) - 3)), tolerance = 1e-9)
})

test_that("the second stage's REML and ML are at the maximum", {
  d <- uneven_sleep()
  d <- d[d$Subject != "309", ]
  for (method in c("REML", "ML")) {
    got <- quietly(Reaction ~ Days | Subject, d, second = ~ group, method = method,
                   single = FALSE)
    D <- unname(got$weighted$D)
    value <- function(x) dense_stages(d, D + cbind(x[1:2], x[2:3]))[[method]]
    step <- c(1, 0.1, 0.1)
    slope <- vapply(1:3, function(j) {
      h <- step * (1:3 == j)
      (value(h) - value(-h)) / (2 * step[j])
    }, 1)
    expect_lt(max(abs(slope * sqrt(diag(D)[c(1, 1, 2)] * diag(D)[c(1, 2, 2)]))), 1e-2)
    at <- value(numeric(3))
    for (j in 1:3) for (sign in c(-30, 30)) {
      expect_gt(value(sign * step * (1:3 == j)), at)
    }
  }
})

test_that("subjects with too few records are named and counted in the single stage", {
  d <- uneven_sleep()
  expect_message(got <- two_stage(Reaction ~ Days | Subject, d), '"308"',
                 class = "kinlmm_message_short_subjects")
  expect_identical(nobs(got$single), nrow(d))
  expect_output(print(got), 'in the single stage only: "308"')
  expect_true(all(is.na(got$subjects[1, 4:5])))
  # records at one time only are no regression either
  d$Days[d$Subject == "310"] <- 3
  expect_message(two_stage(Reaction ~ Days | Subject, d, single = FALSE), '"308", "310"')
})

test_that("D by moments may be indefinite, which is said", {
  withr::local_seed(3)
  d <- data.frame(s = rep(1:8, each = 5), t = rep(0:4, 8), y = rnorm(40))
  got <- suppressMessages(two_stage(y ~ t | s, d))
  expect_true(got$unweighted$indefinite)
  expect_lt(min(eigen(got$unweighted$D)$values), 0)
  expect_gte(min(eigen(got$weighted$D)$values), -1e-12)
  expect_output(print(got), "D by moments is not positive semi-definite")
  moments <- suppressMessages(two_stage(y ~ t | s, d, method = "moments"))
  expect_gte(min(eigen(moments$weighted$D)$values), -1e-12)
  expect_equal(coef(moments), got$unweighted$coefficients, tolerance = 1e-8)
})

test_that("a single stage that can't be fitted is said, the others stay", {
  d <- data.frame(s = rep(1:6, each = 2), t = rep(1:2, 6), y = sin(1:12)^2)
  d <- rbind(d, data.frame(s = 6:9, t = 3, y = 2))
  got <- suppressMessages(two_stage(y ~ t | s, d))
  expect_null(got$single)
  expect_output(print(got), "The single stage could not be fitted")
  expect_identical(names(got$comparison)[-1],
                   c("unweighted", "se_unweighted", "weighted", "se_weighted"))
})

test_that("missing values, subsets and offsets are as in lmmfit()", {
  d <- sleep()
  d$Reaction[3] <- NA
  d$o <- d$Days / 2
  got <- two_stage(Reaction ~ Days + offset(o) | Subject, d, subset = Subject != "372")
  plain <- two_stage(Reaction - o ~ Days | Subject, d[d$Subject != "372", ])
  expect_equal(coef(got), coef(plain), tolerance = 1e-7)
  expect_equal(fixef(got$single), fixef(plain$single), tolerance = 1e-7)
  expect_output(print(got), "1 observation deleted")
  expect_identical(nobs(got$single), 169L)
})

test_that("summary and data frame show the analysis", {
  got <- quietly(Reaction ~ Days | Subject, uneven_sleep(), second = ~ group,
                 weighted = FALSE)
  expect_identical(as.data.frame(got), got$comparison)
  expect_equal(coef(summary(got))[, 1], got$unweighted$coefficients)
  expect_output(print(summary(got)), "Second stage, not weighted")
  expect_output(print(got), "two-stage, weighted")
})

test_that("coefficients are compared where R codes those of the single stage otherwise", {
  d <- nlme::Orthodont
  got <- suppressMessages(two_stage(distance ~ 0 + age | Subject, d, second = ~ Sex))
  female <- d$age * (d$Sex == "Female")
  fit <- suppressMessages(lmmfit(distance ~ 0 + age + female + (0 + age | Subject), d))
  expect_equal(got$comparison$single, unname(fixef(fit)), tolerance = 1e-6)
  expect_equal(got$comparison$se_single, unname(sqrt(diag(vcov(fit)))), tolerance = 1e-5)
  swapped <- two_stage(distance ~ age | Subject, d, second = ~ Sex, subset = age > 0)
  fit <- lmmfit(distance ~ Sex * age + (age | Subject), d)
  expect_equal(swapped$comparison$single, unname(fixef(fit)[c(1, 2, 3, 4)]),
               tolerance = 1e-6)
})

test_that("what is printed is no wider than the console", {
  withr::local_options(width = 80, cli.width = 80)
  d <- nlme::Orthodont[-(1:12 * 8), ]
  d <- d[!(d$Subject %in% sprintf("F%02d", 1:9) & d$age > 8), ]
  expect_message(got <- two_stage(distance ~ age | Subject, d, second = ~ Sex),
                 "and are left out", class = "kinlmm_message_short_subjects")
  lines <- cli::ansi_strip(utils::capture.output(print(got), print(summary(got))))
  expect_lte(max(nchar(lines)), 80)
})

test_that("what is no two-stage model is an error", {
  d <- sleep()
  expect_kinlmm_error(two_stage(), "argument", "`formula` must be given")
  expect_kinlmm_error(two_stage(Reaction ~ Days, d), "argument", "y ~ time | subject")
  expect_kinlmm_error(two_stage(Reaction ~ Days | Subject, d, second = y ~ x), "argument",
                      "one-sided")
  expect_kinlmm_error(two_stage(Reaction ~ Days | Subject, d, second = ~ Days),
                      "varying_covariate", c('"Days"', '"308"'))
  expect_kinlmm_error(two_stage(Reaction ~ 0 | Subject, d), "argument", "intercept")
  expect_kinlmm_error(two_stage(Reaction ~ Days | Subject, d, subset = Days < 2),
                      "no_spare_records", "more records than the 2 coefficients")
  few <- d[d$Subject %in% c("308", "309"), ]
  few$g <- few$Subject
  expect_kinlmm_error(two_stage(Reaction ~ Days | Subject, few, second = ~ g),
                      "few_subjects", "2 subjects have")
  d$g <- as.integer(d$Subject)
  d$h <- 2 * d$g
  expect_kinlmm_error(two_stage(Reaction ~ Days | Subject, d, second = ~ g + h),
                      "second_rank", '"h"')
  one <- d[d$Subject == "308", ]
  expect_kinlmm_error(two_stage(Reaction ~ Days | Subject, one), "few_subjects",
                      "1 subject has")
})
