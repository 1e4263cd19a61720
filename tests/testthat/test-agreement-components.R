# Variance components against GEMMA, gaston's vignette, SAS and lme4.

# The kernels of the halves of GEMMA's mouse markers, and CD8 with a covariate.
mouse_halves <- function(env = parent.frame()) {
  path <- "/usr/share/doc/gemma/example/mouse_hs1940.pheno.txt.gz"
  skip_if_not(file.exists(path), "GEMMA's example data")
  geno <- read_bed(mouse_hs1940(env))
  half <- ncol(geno) %/% 2
  pheno <- utils::read.table(path)
  data <- data.frame(id = rownames(geno), y = pheno$V1,
                     x = withr::with_seed(1, stats::rnorm(nrow(pheno))))
  list(data = data, K1 = grm(geno[, seq_len(half)]), K2 = grm(geno[, -seq_len(half)]))
}

# `gemma -vc` in `folder`: its estimates and standard errors.
gemma_components <- function(folder, mode, kinship, extra = character()) {
  withr::local_dir(folder)
  withr::local_envvar(OPENBLAS_NUM_THREADS = "2")
  args <- c("-p", "pheno.txt", kinship, "-vc", mode, extra, "-o", "vc")
  expect_identical(system2("gemma", args, stdout = FALSE, stderr = FALSE), 0L)
  log <- readLines(file.path("output", "vc.log.txt"))
  printed <- function(what) {
    line <- grep(what, log, value = TRUE, fixed = TRUE)
    as.numeric(strsplit(trimws(sub(".*=", "", line)), " +")[[1]])
  }
  list(variance = printed("## sigma2 estimates"), se = printed("## se(sigma2)"),
       pve = printed("## pve estimates"), pve_se = printed("## se(pve)"))
}

write_gemma <- function(folder, at) {
  write <- function(x, name) {
    data.table::fwrite(as.data.frame(x), file.path(folder, name), sep = "\t",
                       col.names = FALSE, na = "NA")
  }
  write(at$data$y, "pheno.txt")
  write(cbind(1, at$data$x), "covariates.txt")
  write(unname(unclass(at$K1)), "k1.txt")
  write(unname(unclass(at$K2)), "k2.txt")
  writeLines(c("k1.txt", "k2.txt"), file.path(folder, "both.txt"))
}

test_that("HE is gemma -vc 1 and REML gemma -vc 2 on mouse, one kernel and two", {
  skip_if_no_program("gemma")
  at <- mouse_halves()
  folder <- withr::local_tempdir()
  write_gemma(folder, at)
  K1 <- at$K1
  K2 <- at$K2
  one <- y ~ x + kin(1 | id, K1)
  two <- y ~ 1 + kin(1 | id, K1) + kin(1 | id, K2)
  models <- list(list(formula = one, kinship = c("-k", "k1.txt", "-c", "covariates.txt")),
                 list(formula = two, kinship = c("-mk", "both.txt")))
  for (model in models) {
    fit <- lmmfit(model$formula, at$data)
    # six digits are printed; its standard errors take s for s n / (n - p), and
    # that of the residual variance is another one
    theirs <- gemma_components(folder, "1", model$kinship)
    he <- variance_components(fit, method = "HE", se = "empirical")$components
    kernels <- seq_len(nrow(he) - 1L)
    expect_equal(he$variance, theirs$variance, tolerance = 1e-5)
    expect_equal(he$se[kernels], theirs$se[kernels], tolerance = 2e-3)
    # its search ends at a gradient of 1e-3
    theirs <- gemma_components(folder, "2", model$kinship)
    reml <- variance_components(fit, information = "average")$components
    expect_equal(reml$variance, theirs$variance, tolerance = 1e-4)
    expect_equal(reml$se, theirs$se, tolerance = 1e-4)
    expect_equal(reml$share[kernels], theirs$pve, tolerance = 1e-4)
    expect_equal(reml$share_se[kernels], theirs$pve_se, tolerance = 1e-3)
  }
})

# Simulated as in the vignette of gaston; the values are those of the optimum.
test_that("one and two kernels of gaston's vignette", {
  simulated <- withr::with_seed(1, {
    n <- 100
    Z1 <- matrix(stats::rnorm(n * 20), n)
    x <- 5 * stats::runif(n)
    u1 <- stats::rnorm(20, sd = sqrt(2))
    y1 <- 1 + 2 * x + Z1 %*% u1 + stats::rnorm(n, sd = sqrt(3))
    Z2 <- matrix(stats::rnorm(n * 10), n)
    u2 <- stats::rnorm(10)
    y2 <- 1 + 2 * x + Z1 %*% u1 + Z2 %*% u2 + stats::rnorm(n, sd = sqrt(3))
    ids <- paste0("i", seq_len(n))
    rownames(Z1) <- rownames(Z2) <- ids
    list(data = data.frame(id = ids, x, y1, y2), K1 = tcrossprod(Z1), K2 = tcrossprod(Z2))
  })
  K1 <- simulated$K1
  K2 <- simulated$K2
  data <- simulated$data
  # their log-likelihood leaves out 2 pi
  constant <- 98 / 2 * log(2 * pi)
  one <- variance_components(y1 ~ x + kin(1 | id, K1), data)
  expect_equal(unname(coef(one)), c(1.6501129, 3.2285275), tolerance = 5e-7)
  expect_equal(unname(fixef(one)), c(1.4046820, 1.7913601), tolerance = 1e-7)
  expect_equal(vcov(one, "fixed")[c(1, 2, 4)], c(0.1340352, -0.0386755, 0.0160028),
               tolerance = 1e-5)
  expect_equal(-one$criterion / 2 + constant, -150.3684666, tolerance = 1e-9)
  two <- variance_components(y2 ~ x + kin(1 | id, K1) + kin(1 | id, K2), data)
  # at these values the gradient is 3e-6, at ours 2e-9
  expect_equal(unname(coef(two)), c(1.80967872, 0.82125279, 3.03715936), tolerance = 5e-7)
  expect_equal(-two$criterion / 2 + constant, -164.3252848, tolerance = 1e-9)
})

# Example 1 of SAS's PROC VARCOMP (data of Hemmerle and Hartley 1973): a fixed, b and a:b
# random; its method TYPE1.
test_that("SAS's unbalanced example, sums of squares and their expectations", {
  data <- data.frame(
    a = factor(rep(1:3, c(5, 6, 5))),
    b = factor(rep(c(1, 2, 1, 2, 1, 2), c(3, 2, 3, 3, 2, 3))),
    y = c(237, 254, 246, 178, 179, 208, 178, 187, 146, 145, 141, 186, 183, 142, 125, 136)
  )
  out <- variance_components(y ~ a + (1 | b) + (1 | a:b), data, method = "ANOVA")
  expect_equal(signif(unname(coef(out)), c(5, 7, 7)), c(1448.4, 27.42659, 78.63333))
  expect_equal(round(out$table$`Sum Sq`[2:3], 6), c(299.041026, 786.333333))
  expect_equal(round(unname(out$expected), 4),
               rbind(c(7.8, 2.6308, 1), c(0, 2.5846, 1), c(0, 0, 1)))
  expect_equal(out$table$Df, c(1, 2, 10))
})

test_that("Dyestuff, Pastes and Penicillin by all methods", {
  skip_if_not_installed("lme4")
  cases <- list(
    list(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, c(1764.05, 2451.25)),
    list(strength ~ 1 + (1 | batch / cask), lme4::Pastes, c(8.43367, 1.65730, 0.678)),
    list(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin,
         c(0.716907, 3.730919, 0.302416))
  )
  for (case in cases) {
    both <- compare_components(case[[1]], case[[2]])
    expect_true(all(both$methods$applies))
    for (method in setdiff(names(both$results), "ML")) {
      expect_equal(unname(coef(both$results[[method]])), case[[3]], tolerance = 2e-6)
    }
    theirs <- suppressMessages(lme4::lmer(case[[1]], case[[2]], REML = FALSE))
    expect_equal(unname(coef(both$results$ML)),
                 as.data.frame(lme4::VarCorr(theirs))$vcov, tolerance = 1e-4)
  }
})
