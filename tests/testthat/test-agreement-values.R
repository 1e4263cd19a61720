# Published values, to the digits in which they were printed: lme4's reference pages and
# tests, MixedModels.jl's tests, Pinheiro & Bates (2000) by nlme's scripts, the MLwiN
# tutorial (Exam).

# Within half a unit of the last digit, or, where more digits are printed than an optimiser
# is good for, within `relative` of the value: 1e-9 for a criterion, 1e-4 for estimates.
expect_printed <- function(value, printed, relative = 1e-9) {
  digits <- nchar(sub("^[^.]*\\.?", "", printed))
  target <- as.numeric(printed)
  allowed <- pmax(0.50001 * 10^-digits, relative * abs(target))
  shown <- paste(format(value, digits = 10), collapse = ", ")
  expect_lte(max(abs(unname(value) - target) / allowed), 1,
             label = paste0("Distance of ", shown, " from ",
                            paste(printed, collapse = ", "), ", as a share of what is"))
}

expect_estimates <- function(value, printed) expect_printed(value, printed, 1e-4)

# A fit whose criterion is the printed one, and lme4's lowest.
expect_value <- function(formula, data, REML, printed, optimizers = "bobyqa") {
  fit <- suppressMessages(lmmfit(formula, data, REML = REML))
  expect_printed(deviance(fit), printed)
  expect_true(fit$opt$converged)
  if (length(optimizers) > 0L && requireNamespace("lme4", quietly = TRUE)) {
    best <- lme4_optimum(lme4_objective(formula, data, REML), optimizers)$criterion
    expect_lte(deviance(fit), best + 1e-6)
    expect_equal(deviance(fit), best, tolerance = 1e-6)
  }
  fit
}

se <- function(fit) sqrt(diag(vcov(fit)))
# Standard deviations of the random effects and sigma, term by term.
sds <- function(fit) c(unlist(lapply(VarCorr(fit), attr, "stddev")), sigma(fit))
# Grouped data of nlme as plain data frames, with factors that are not ordered.
plain <- function(data) {
  data <- as.data.frame(data)
  for (name in names(data)) {
    if (is.ordered(data[[name]])) data[[name]] <- factor(data[[name]], ordered = FALSE)
  }
  data
}

test_that("Dyestuff and Dyestuff2", {
  skip_if_not_installed("lme4")
  one <- Yield ~ 1 + (1 | Batch)
  fit <- expect_value(one, lme4::Dyestuff, TRUE, "319.654276842342")
  expect_estimates(sds(fit), c("42.00", "49.5101"))
  fit <- expect_value(one, lme4::Dyestuff, FALSE, "327.327059881135")
  expect_estimates(fit$theta, "0.752581")
  expect_estimates(sds(fit), c("37.2603", "49.5101"))
  expect_printed(c(fixef(fit), se(fit)), c("1527.5", "17.69455"))
  expect_printed(engine_criterion(fit$engine, 0.713, FALSE), "327.34216280955366")
  fit <- expect_value(one, lme4::Dyestuff2, TRUE, "161.8283")
  expect_identical(unname(fit$theta), 0)
  expect_estimates(sigma(fit), "3.716")
  expect_printed(c(fixef(fit), se(fit)), c("5.6656", "0.67838803150"))
  fit <- expect_value(one, lme4::Dyestuff2, FALSE, "162.87303665")
  expect_identical(unname(fit$theta), 0)
  expect_estimates(c(sigma(fit), se(fit)), c("3.653231351374652", "0.6669857396443261"))
})

test_that("sleepstudy", {
  skip_if_not_installed("lme4")
  sleep <- lme4::sleepstudy
  fit <- expect_value(Reaction ~ Days + (Days | Subject), sleep, TRUE, "1743.6282722424")
  expect_estimates(sds(fit), c("24.741", "5.922", "25.592"))
  expect_printed(fixef(fit), c("251.405104848485", "10.467285959595"))
  fit <- expect_value(Reaction ~ Days + (Days | Subject), sleep, FALSE, "1751.93934446")
  expect_estimates(fit$theta, c("0.92923", "0.0182", "0.22265"))
  expect_estimates(se(fit), c("6.632295", "1.502239"))
  apart <- Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)
  fit <- expect_value(apart, sleep, TRUE, "1743.669")
  expect_estimates(sds(fit)[c(1, 3)]^2, c("627.56905", "653.58350"))
  fit <- expect_value(apart, sleep, FALSE, "1752.00325514")
  expect_estimates(fit$theta, c("0.94581", "0.22693"))
  expect_estimates(sds(fit), c("24.17127", "5.799399", "25.55614"))
  expect_estimates(se(fit), c("6.707647", "1.519311"))
  fit <- expect_value(Reaction ~ Days + (Days || Subject), sleep, FALSE, "1752.00325514")
  expect_value(Reaction ~ Days + (1 | Subject), sleep, FALSE, "1794.0786")
  fit <- expect_value(Reaction ~ Days + (0 + Days | Subject), sleep, FALSE,
                      "1774.08031528")
  expect_estimates(fit$theta, "0.24353986")
})

test_that("Penicillin and Pastes", {
  skip_if_not_installed("lme4")
  crossed <- diameter ~ 1 + (1 | plate) + (1 | sample)
  fit <- expect_value(crossed, lme4::Penicillin, TRUE, "330.8606")
  expect_estimates(sds(fit), c("0.8467", "1.9316", "0.5499"))
  fit <- expect_value(crossed, lme4::Penicillin, FALSE, "332.18834867")
  expect_estimates(fit$theta, c("1.53759", "3.21975"))
  expect_estimates(se(fit), "0.744604")

  nested <- strength ~ 1 + (1 | batch / cask)
  fit <- expect_value(nested, lme4::Pastes, TRUE, "246.9907")
  fit <- expect_value(nested, lme4::Pastes, FALSE, "247.99446586")
  expect_estimates(fit$theta, c("3.52690", "1.32991"))
  expect_estimates(se(fit), "0.642136")
  expect_value(strength ~ 1 + (1 | batch) + (1 | cask), lme4::Pastes, TRUE, "301.4709")
  without <- lmmfit(strength ~ 1 + (1 | batch:cask), lme4::Pastes, REML = FALSE)
  expect_estimates(anova(without, fit, mixture = FALSE)[["Pr(>Chisq)"]][[2L]], "0.5233768")
})

test_that("cake", {
  skip_if_not_installed("lme4")
  cake <- lme4::cake
  full <- angle ~ recipe * temperature + (1 | recipe:replicate)
  fit <- expect_value(full, cake, FALSE, "1679.0519")
  expect_estimates(sds(fit), c("6.249", "4.371"))
  expect_value(angle ~ recipe + temperature + (1 | recipe:replicate), cake, FALSE,
               "1689.5822")
  expect_value(angle ~ recipe + temp + (1 | recipe:replicate), cake, FALSE, "1696.1578")
})

test_that("InstEval: the criterion", {
  skip_if_not_installed("lme4")
  skip_on_cran()
  expect_value(y ~ service + (1 | s) + (1 | d) + (1 | dept), lme4::InstEval, TRUE,
               "237733.834128", optimizers = NULL)
  expect_value(y ~ service + (1 | s) + (1 | d) + (1 | dept), lme4::InstEval, FALSE,
               "237721.768774", optimizers = NULL)
  expect_value(y ~ service * dept + (1 | s) + (1 | d), lme4::InstEval, FALSE,
               "237585.553415", optimizers = NULL)
})

# Each department's effect of service, apart from its mean, and in full: two spellings.
# lme4 stops at a false zero when the mean stands beside both.
test_that("InstEval: slopes", {
  skip_if_not_installed("lme4")
  skip_on_cran()
  expect_value(y ~ service + (1 | s) + (1 | d) + (1 | dept) +
                 (0 + as.numeric(service == "1") | dept), lme4::InstEval, FALSE,
               "237648.6016", optimizers = NULL)
  expect_value(y ~ service + (1 | s) + (1 | d) + (0 + service | dept), lme4::InstEval,
               FALSE, "237647.0584", optimizers = NULL)
  expect_value(y ~ service + (1 | s) + (1 | d) + (1 + service | dept), lme4::InstEval,
               FALSE, "237647.0584", optimizers = NULL)
  expect_value(y ~ service + (1 | s) + (1 | d) + (1 + service | dept), lme4::InstEval,
               TRUE, "237657.0945", optimizers = NULL)
})

test_that("Orthodont, terms on one factor that vanish", {
  data <- plain(nlme::Orthodont)
  data$nsex <- as.numeric(data$Sex == "Male")
  data$nsexage <- data$nsex * data$age
  fit <- expect_value(distance ~ age + (age | Subject) + (0 + nsex | Subject) +
                        (0 + nsexage | Subject), data, TRUE, "442.6367")
  expect_identical(unname(fit$theta[4:5]), c(0, 0))
})

# The book's contrasts of Machines are Helmert's, on which its REML criterion depends.
test_that("Machines", {
  machines <- plain(nlme::Machines)
  loglik <- function(formula, data, contrasts, printed) {
    fit <- suppressMessages(lmmfit(formula, data, contrasts = list(Machine = contrasts)))
    expect_printed(as.numeric(logLik(fit)), printed)
    fit
  }
  one <- score ~ Machine + (1 | Worker)
  two <- score ~ Machine + (1 | Worker / Machine)
  fit <- loglik(one, machines, "contr.treatment", "-143.44")
  expect_estimates(sds(fit), c("5.1466", "3.1616"))
  expect_printed(fixef(fit), c("52.3556", "7.9667", "13.9167"))
  loglik(one, machines, "contr.helmert", "-145.23")
  loglik(two, machines, "contr.treatment", "-107.84")
  loglik(two, machines, "contr.helmert", "-109.64")
  loglik(score ~ Machine + (Machine - 1 | Worker), machines, "contr.treatment", "-104.16")
  unbalanced <- machines[-c(2, 3, 6, 8, 9, 12, 19, 20, 27, 33), ]
  loglik(two, unbalanced, "contr.treatment", "-90.936")
  expect_value(two, unbalanced, TRUE, "181.8715")
  expect_value(two, unbalanced, FALSE, "191.5060")
})

test_that("Oxboys, Rail, ergoStool, Oats, Pixel", {
  fit <- expect_value(height ~ age + (age | Subject), plain(nlme::Oxboys), TRUE, "724.0910")
  expect_printed(fixef(fit), c("149.371753", "6.52546866"))
  expect_estimates(sds(fit), c("8.081077", "1.680717", "0.659889"))
  fit <- expect_value(travel ~ 1 + (1 | Rail), plain(nlme::Rail), TRUE, "122.1770")
  expect_estimates(sds(fit), c("24.80547", "4.020779"))
  fit <- expect_value(travel ~ 1 + (1 | Rail), plain(nlme::Rail), FALSE, "128.5600")
  expect_estimates(sds(fit)[[1L]], "22.62435")
  fit <- expect_value(effort ~ Type + (1 | Subject), plain(nlme::ergoStool), TRUE,
                      "121.1308")
  expect_estimates(sds(fit), c("1.332465", "1.100295"))
  fit <- expect_value(yield ~ nitro + (1 | Block / Variety), plain(nlme::Oats), TRUE,
                      "593.0418")
  expect_estimates(sds(fit), c("11.00", "14.51", "12.87"))
  fit <- expect_value(pixel ~ day + I(day^2) + (day | Dog) + (1 | Side:Dog),
                      plain(nlme::Pixel), TRUE, "825.2102")
  expect_estimates(sds(fit), c("28.3699", "1.84375", "16.8243", "8.98961"))
})

test_that("Exam and egsingle", {
  skip_if_not_installed("mlmRev")
  exam <- mlmRev::Exam
  expect_value(normexam ~ standLRT + (1 | school), exam, FALSE, "9357.24")
  expect_value(normexam ~ standLRT + (standLRT | school), exam, FALSE, "9316.87")
  scottish <- attain ~ sex + verbal + (1 | primary) + (1 | second)
  expect_value(scottish, mlmRev::ScotsSec, TRUE, "14859.9470")
  expect_value(scottish, mlmRev::ScotsSec, FALSE, "14842.9640")
  skip_on_cran()
  growth <- math ~ year * size + female + (year | childid) + (year | schoolid)
  expect_value(growth, mlmRev::egsingle, TRUE, "16370.79354", optimizers = NULL)
  expect_value(growth, mlmRev::egsingle, FALSE, "16322.19145", optimizers = NULL)
})

# MASS prints no criterion for these.
test_that("data of MASS give lme4's figures", {
  skip_if_not_installed("lme4")
  skip_if_not_installed("MASS")
  coop <- MASS::coop
  for (REML in c(TRUE, FALSE)) {
    expect_lme4(Conc ~ 1 + (1 | Lab / Bat), coop[coop$Spc == "S1", ], REML)
    expect_lme4(Conc ~ 1 + (1 | Lab) + (1 | Spc) + (1 | Lab:Spc), coop, REML)
    expect_lme4(Y ~ SG + VP + V10 + EP + (EP | No), MASS::petrol, REML)
    expect_lme4(lang ~ IQ * COMB + SES + (IQ | class), MASS::nlschools, REML)
  }
})

test_that("a small weighted sample", {
  data <- data.frame(
    a = c(1.55945122, 0.004391538, 0.005554163, -0.173029772, 4.586284429,
          0.259493671, -0.091735715, 5.546487603, 0.457734831, -0.030169602),
    b = c(0.24520519, 0.080624178, 0.228083467, 0.2471453, 0.398994279, 0.037213859,
          0.102144973, 0.241380251, 0.206570975, 0.15980803),
    c = factor(c("H", "F", "K", "P", "P", "P", "D", "M", "I", "D")),
    w1 = c(20, 40, 35, 12, 29, 25, 65, 105, 30, 75)
  )
  fit <- lmmfit(a ~ b + (1 | c), data, REML = FALSE, weights = w1)
  expect_equal(unname(fit$theta), 0.2951818091809752, tolerance = 1e-6)
  expect_equal(unname(se(fit)), c(0.964016663994572, 3.6309691484830533), tolerance = 1e-6)
  expect_equal(vcov(fit)[[1, 2]], -2.5575260810649962, tolerance = 1e-6)
  unweighted <- suppressMessages(lmmfit(a ~ b + (1 | c), data, REML = FALSE))
  expect_identical(unname(unweighted$theta), 0)
  expect_equal(unname(se(unweighted)), c(1.084912299335946, 4.966336338239706),
               tolerance = 1e-9)
})
