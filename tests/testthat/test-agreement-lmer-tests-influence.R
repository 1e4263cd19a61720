# What lme4's own tests assert of leverages, influence and getME(), in our words:
# tests/hatvalues.R, getME.R, tests/testthat/test-methods.R, test-isSingular.R; sums of
# MixedModels.jl's tests.

test_that("leverages by their definition (hatvalues.R)", {
  skip_if_not_installed("lme4")
  skip_if_not_installed("Matrix")
  brute_force <- function(fit) {
    part <- lapply(getME(fit, c("X", "Z", "Lambda")), as.matrix)
    V <- cbind(part$Z %*% part$Lambda, part$X)
    ridge <- diag(rep(1:0, c(ncol(part$Z), ncol(part$X))))
    diag(V %*% solve(crossprod(V) + ridge, t(V)))
  }
  sleep <- lme4::sleepstudy
  fit <- lmmfit(Reaction ~ Days + (Days | Subject), sleep)
  expect_equal(unname(hatvalues(fit)), unname(brute_force(fit)), tolerance = 1e-12)
  rows <- withr::with_seed(7, sample(nrow(sleep), 500, TRUE))
  drawn <- lmmfit(Reaction ~ Days + (Days | Subject), sleep[rows, ])
  expect_equal(unname(hatvalues(drawn)), unname(brute_force(drawn)), tolerance = 1e-12)
  ml <- update(fit, REML = FALSE)
  expect_equal(sum(hatvalues(ml)), 28.611653305, tolerance = 1e-5)
  dye <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, REML = FALSE)
  expect_equal(unname(hatvalues(dye)[1]), 0.15650534, tolerance = 1e-5)
  expect_equal(sum(hatvalues(dye)), 4.69516026, tolerance = 1e-5)
  crossed <- lmmfit(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin)
  expect_equal(unname(hatvalues(crossed)), unname(brute_force(crossed)), tolerance = 1e-10)
})

test_that("influence of records and of a group (test-methods.R)", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  expect_equal(unname(head(influence(fit, do.coef = FALSE)$hat)),
               c(0.107483311, 0.102096106, 0.098055702, 0.095362099, 0.094015298,
                 0.094015298), tolerance = 1e-5)
  expect_equal(unname(head(rstudent(fit))),
               c(-1.45598270922, -1.49664543508, -2.11747425025, -0.07296900669,
                 0.77271639714, 2.37859408861), tolerance = 1e-5)
  expect_equal(unname(head(cooks.distance(fit))),
               c(0.127645977, 0.127346548, 0.243724627, 0.000280638917, 0.0309804643,
                 0.293554225), tolerance = 1e-4)
  ml <- update(fit, REML = FALSE)
  expect_equal(unname(cooks.distance(ml)[c(1:6, 57, 180)]),
               c(0.1270714, 0.1267805, 0.243096, 0.0002437091, 0.03145029, 0.2954052,
                 1.055383, 1.510735e-05), tolerance = 1e-4)
  small <- lmmfit(Reaction ~ 1 + (1 | Subject), lme4::sleepstudy[1:60, ])
  expect_equal(unname(influence(small)[["fixed.effects[-case]"]][1:3, 1]),
               c(286.350445, 286.179896, 286.327301), tolerance = 1e-5)
  missing <- as.data.frame(ChickWeight)
  missing$weight[c(1, 3, 5)] <- NA
  kept <- lmmfit(weight ~ Diet * Time + (Time | Chick), missing, na.action = na.exclude)
  for (f in list(hatvalues, rstudent, cooks.distance)) {
    expect_length(f(kept), nrow(missing))
  }
})

test_that("every part has a name, and none is empty (getME.R)", {
  skip_if_not_installed("lme4")
  skip_if_not_installed("Matrix")
  formulas <- list(
    list(diameter ~ (1 | plate) + (1 | sample), lme4::Penicillin, 2L, 2L),
    list(angle ~ recipe * temperature + (1 | recipe:replicate), lme4::cake, 1L, 1L),
    list(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, 1L, 1L),
    list(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), lme4::sleepstudy, 2L, 1L)
  )
  for (case in formulas) {
    fit <- lmmfit(case[[1]], case[[2]])
    expect_identical(unname(getME(fit, "beta")), unname(fixef(fit)))
    expect_identical(getME(fit, "sigma"), sigma(fit))
    expect_identical(getME(fit, "n_rtrms"), case[[3]])
    expect_identical(getME(fit, "n_rfacs"), case[[4]])
    expect_true(all(!vapply(getME(fit, "ALL"), is.null, NA)))
    expect_match(names(getME(fit, "theta")), paste0("^(", paste(names(ngrps(fit)),
                                                            collapse = "|"), ")"))
  }
  fit <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff)
  Zt <- getME(fit, "Zt")
  expect_identical(dim(Zt), c(6L, 30L))
  expect_identical(Zt@x, rep(1, 30))
  expect_equal(as.matrix(getME(fit, "Lambdat")), diag(unname(getME(fit, "theta")), 6),
               ignore_attr = TRUE)
  expect_equal(unname(getME(lmmfit(Reaction ~ Days + (Days | Subject), lme4::sleepstudy),
                            "lower")), c(0, -Inf, 0))
})

test_that("isSingular() and kinds of fits (test-isSingular.R, test-lmer.R)", {
  skip_if_not_installed("lme4")
  fit <- lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff)
  expect_false(isSingular(fit))
  expect_true(isREML(fit))
  expect_false(isREML(refitML(fit)))
  expect_equal(deviance(refitML(fit)), 327.327059881135, tolerance = 1e-12)
  expect_true(isSingular(suppressMessages(lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2))))
})
