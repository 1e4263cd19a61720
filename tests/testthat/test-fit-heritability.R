K <- withr::with_seed(21, toy_kinship(80, 160))
data <- withr::with_seed(22, toy_pheno(K, rep(c(1L, 2L), 40), h2 = 0.6))
fit <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K))

test_that("the share is on the scale of the sample, the raw one beside it", {
  h <- heritability(fit)
  k <- mean(diag(K)) - mean(K)
  tau <- unname(fit$theta)^2
  expect_equal(h$estimate, tau * k / (tau * k + 1), tolerance = 1e-10)
  expect_equal(h$raw, tau / (tau + 1), tolerance = 1e-10)
  expect_equal(h$genetic, tau * sigma(fit)^2)
  expect_equal(h$k, k)
  expect_output(print(h), "Heritability of id")
  expect_output(print(h), "raw")
})

test_that("standard error and interval come from the profiled criterion", {
  h <- heritability(fit)
  k <- h$k
  criterion <- function(share) {
    engine_criterion(fit$engine, sqrt(share / ((1 - share) * k)), TRUE)
  }
  step <- 1e-4
  second <- (criterion(h$estimate + step) - 2 * criterion(h$estimate) +
               criterion(h$estimate - step)) / step^2
  expect_equal(h$se, sqrt(2 / second), tolerance = 1e-4)
  for (end in c(h$lower, h$upper)) {
    expect_equal(criterion(end) - deviance(fit), stats::qchisq(0.95, 1), tolerance = 1e-6)
  }
  narrower <- heritability(fit, level = 0.5)
  expect_gt(narrower$lower, h$lower)
})

test_that("on the boundary the error is not defined, the interval is", {
  skip_if_not_installed("lme4")
  zero <- suppressMessages(lmmfit(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2))
  h <- heritability(zero)
  expect_identical(h$estimate, 0)
  expect_true(is.na(h$se))
  expect_identical(h$lower, 0)
  expect_gt(h$upper, 0.1)
  expect_output(print(h), "not defined on the boundary")
})

two <- withr::with_seed(5, {
  A <- toy_kinship(60, 90)
  B <- toy_kinship(60, 90)
  data <- data.frame(id = rep(rownames(A), each = 2), x = stats::rnorm(120))
  u <- 2 * drop(crossprod(kernel_root(A), stats::rnorm(60)) +
                  crossprod(kernel_root(B), stats::rnorm(60))) + stats::rnorm(60)
  data$y <- data$x + rep(u, each = 2) + stats::rnorm(120)
  suppressMessages(lmmfit(y ~ x + kin(1 | id, A) + kin(1 | id, B) + (1 | id), data))
})

test_that("several terms have a row each, and kernels a total", {
  h <- heritability(two, method = "wald")
  expect_identical(h$group, c("id", "id.1", "id.2", "total"))
  expect_identical(h$term[1:2], c("kin(1 | id, A)", "kin(1 | id, B)"))
  k <- c(vapply(two$random[1:2], mean_diagonal, 0), 1)
  size <- unname(k * two$theta^2)
  expect_equal(h$estimate, c(size, sum(size[1:2])) / (sum(size) + 1))
  raw <- unname(two$theta^2)
  expect_equal(h$raw, c(raw, sum(raw[1:2])) / (sum(raw) + 1))
  expect_equal(h$genetic[[4]], sum(h$genetic[1:2]))
  expect_output(print(h), "heritability \\(total\\)")
  expect_output(print(h), "raw: matrices as given")
  expect_s3_class(as.data.frame(h), "data.frame", exact = TRUE)
  expect_null(attr(h[1, ], "level"))
})

test_that("one row of shares of the data frame is that of a model with one term", {
  for (REML in c(TRUE, FALSE)) {
    one <- lmmfit(y ~ x + (1 | id), data, kinship = list(id = K), REML = REML)
    shares <- variance_shares(one, NULL, NULL)
    shares$observed <- fit_information(one)$observed
    h <- heritability(one)
    covariance <- information_covariance(one, "observed")
    se <- share_error(shares$weights[1, ], share_whole(shares), shares$phi, covariance)
    expect_equal(h$se, se, tolerance = 1e-5)
    ends <- profile_share(share_pin(one, shares, 1L, 1:2), h$se, 0.95)
    expect_equal(c(h$lower, h$upper), ends, tolerance = 1e-6)
  }
})

test_that("standard errors are those of GEMMA's and GCTA's average information", {
  skip_if_no_program("gemma")
  skip_on_cran()
  geno <- read_bed(mouse_hs1940())
  folder <- withr::local_tempdir()
  pheno <- utils::read.table("/usr/share/doc/gemma/example/mouse_hs1940.pheno.txt.gz")$V1
  first <- geno[, seq(1, 4000, 4)]
  other <- geno[, seq(4001, 12226, 4)]
  KA <- suppressMessages(grm(first))
  KB <- suppressMessages(grm(other))
  write <- function(name, x) {
    data.table::fwrite(data.table::as.data.table(x), file.path(folder, name), sep = "\t",
                       col.names = FALSE, na = "NA")
  }
  write("a", KA)
  write("b", KB)
  write("y", data.frame(pheno))
  writeLines(c("a", "b"), file.path(folder, "list"))
  withr::with_dir(folder, system2("gemma", c("-p", "y", "-mk", "list", "-vc", "2", "-n", "1",
                                             "-o", "vc"), stdout = FALSE, stderr = FALSE))
  log <- readLines(file.path(folder, "output", "vc.log.txt"))
  printed <- function(what) {
    line <- sub(".*= *", "", grep(what, log, value = TRUE, fixed = TRUE)[[1L]])
    as.numeric(strsplit(trimws(line), " +")[[1L]])
  }
  data <- data.frame(id = rownames(KA), y = pheno)
  fit <- lmmfit(y ~ 1 + kin(1 | id, KA) + kin(1 | id, KB), data)
  h <- heritability(fit, method = "wald", information = "average")
  expect_equal(h$estimate, c(printed("## pve estimates"), printed("## total pve")),
               tolerance = 1e-5)
  expect_equal(h$se, c(printed("## se(pve)"), printed("## se(total pve)")), tolerance = 1e-4)
  expect_equal(c(h$genetic[1:2], h$residual[[1]]), printed("## sigma2 estimates"),
               tolerance = 1e-5)
})

test_that("slopes have a share at a value of the covariate", {
  slopes <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  h <- heritability(slopes, at = list(age = 9))
  Psi <- unclass(VarCorr(slopes))$Subject
  between <- sum(c(1, 9) * (Psi %*% c(1, 9)))
  expect_equal(h$genetic, between)
  expect_equal(h$estimate, between / (between + sigma(slopes)^2))
  expect_identical(attr(h, "method"), "wald")
  expect_output(print(h), "at age = 9")
  # an origin at 9 has this as its intercept
  moved <- lmmfit(distance ~ age + (I(age - 9) | Subject), nlme::Orthodont)
  there <- heritability(moved, at = list(age = 9))
  expect_equal(there$se, h$se, tolerance = 1e-4)
  expect_kinlmm_error(heritability(slopes), "heritability",
                      c("must give", "(age | Subject) needs \"age\""))
  expect_kinlmm_error(heritability(slopes, at = list(age = 9), method = "profile"),
                      "heritability", "Profile intervals are for models")
  expect_kinlmm_error(heritability(slopes, at = 9), "argument", "named list")
})

test_that("the bootstrap gives quantiles of refitted shares", {
  h <- heritability(two, method = "bootstrap", nsim = 20, seed = 3)
  Y <- simulate(two, 20, seed = 3)
  each <- t(vapply(Y, function(y) {
    heritability(refit(two, y), method = "wald")$estimate
  }, numeric(4)))
  expect_equal(attr(h, "draws"), unname(each), tolerance = 1e-5)
  expect_equal(h$se, unname(apply(each, 2, stats::sd)), tolerance = 1e-4)
  expect_true(all(h$lower <= h$upper))
  expect_output(print(h), "standard deviations of the draws")
})

test_that("a component on the boundary has an interval from zero and no error", {
  zero <- withr::with_seed(8, {
    data <- data.frame(a = gl(8, 12), b = gl(12, 1, 96))
    data$y <- stats::rnorm(12)[data$b] + stats::rnorm(96)
    data$y <- data$y - stats::ave(data$y, data$a)
    suppressMessages(lmmfit(y ~ 1 + (1 | a) + (1 | b), data))
  })
  h <- heritability(zero)
  expect_identical(h$estimate[[1]], 0)
  expect_true(is.na(h$se[[1]]))
  expect_gt(h$se[[2]], 0)
  expect_identical(h$lower[[1]], 0)
  expect_gt(h$upper[[1]], 0)
  expect_output(print(h), "on the boundary: \\(1 \\| a\\)")
  expect_true(is.na(heritability(zero, method = "wald")$lower[[1]]))
})

test_that("zeros and ones are said to be on the observed scale", {
  binary <- data
  binary$y <- as.numeric(data$y > stats::median(data$y))
  h <- heritability(lmmfit(y ~ x + (1 | id), binary, kinship = list(id = K)))
  expect_output(print(h), "50% ones")
  expect_equal(liability(h, prevalence = 0.1)$estimate,
               h$estimate * liability_factor(0.1, 0.5))
})

test_that("the plot shows every interval", {
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  h <- heritability(two, method = "wald")
  expect_identical(plot(h), h)
})

test_that("information matrices differ as they should", {
  errors <- vapply(c("observed", "average", "expected"), function(which) {
    heritability(fit, method = "wald", information = which)$se
  }, 0)
  information <- fit_information(fit)
  average <- information$observed + information$expected
  shares <- variance_shares(fit, NULL, NULL)
  # half the sum is the Hessian, twice its inverse the covariance
  by_hand <- share_error(shares$weights[1, ], share_whole(shares), shares$phi,
                         4 * solve(average))
  expect_equal(errors[["average"]], by_hand)
  expect_equal(errors[["observed"]], heritability(fit)$se)
  expect_gt(abs(errors[["observed"]] / errors[["expected"]] - 1), 1e-4)
})

test_that("arguments without a meaning are refused by name", {
  fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)
  slopes <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)
  expect_kinlmm_error(heritability(fit, at = list(age = 8)), "heritability", "no random slopes")
  expect_kinlmm_error(heritability(slopes, at = list(age = 8, Sex = "Male")), "heritability",
                      "\"Sex\" is none")
  expect_kinlmm_error(heritability(slopes, at = list(age = NA)), "argument", "NA in part")
  expect_kinlmm_error(heritability(lm(distance ~ age, nlme::Orthodont)), "argument",
                      "`object` must be")
  boot <- function(...) heritability(fit, method = "bootstrap", ...)
  expect_kinlmm_error(boot(nsim = 1), "argument", "`nsim` must be")
  expect_kinlmm_error(boot(seed = "a"), "argument", "`seed` must be")
})
