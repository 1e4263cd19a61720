fit <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)

# The lines of a new R session that runs `code`, messages included.
in_new_session <- function(code) {
  file <- withr::local_tempfile(lines = code, fileext = ".R")
  paths <- withr::local_envvar(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep))
  system2(file.path(R.home("bin"), "Rscript"), c("--no-save", shQuote(file)),
          stdout = TRUE, stderr = TRUE)
}

test_that("kind, refits by ML and data of a fit", {
  expect_true(isREML(fit))
  expect_true(isLMM(fit))
  expect_false(isGLMM(fit))
  expect_false(isNLMM(fit))
  ml <- refitML(fit)
  expect_false(isREML(ml))
  direct <- lmmfit(distance ~ age + (age | Subject), nlme::Orthodont, REML = FALSE)
  expect_equal(logLik(ml), logLik(direct), tolerance = 1e-10)
  expect_equal(fixef(ml), fixef(direct), tolerance = 1e-7)
  expect_identical(refitML(ml), ml)
  expect_false(isREML(update(ml, . ~ .)))
  expect_identical(getData(fit), nlme::Orthodont)
  distance <- nlme::Orthodont$distance
  Subject <- nlme::Orthodont$Subject
  without <- lmmfit(distance ~ 1 + (1 | Subject))
  expect_identical(getData(without), without$frame)
  for (f in list(isREML, refitML, rePCA, isSingular, isLMM, isGLMM, isNLMM)) {
    expect_error(f("a"))
  }
})

test_that("singular fits are known by a zero on the diagonal of theta", {
  expect_false(isSingular(fit))
  expect_true(isSingular(fit, tol = 10))
  d <- mixed_example()
  d$y <- d$x + rep(c(-1, 1), each = 60)
  expect_true(isSingular(suppressMessages(lmmfit(y ~ x + (1 | g), d))))
})

test_that("principal components of the random effects are lme4's", {
  skip_if_not_installed("lme4")
  data <- as.data.frame(nlme::Orthodont)
  split <- lmmfit(distance ~ age + (1 | Subject) + (0 + age | Subject), data)
  for (own in list(fit, split)) {
    theirs <- lme4::rePCA(lme4::lmer(formula(own), data))
    expect_s3_class(rePCA(own), "prcomplist")
    expect_equal(rePCA(own)$Subject$sdev, theirs$Subject$sdev, tolerance = 1e-3)
    expect_equal(abs(unname(rePCA(own)$Subject$rotation)),
                 abs(unname(as.matrix(theirs$Subject$rotation))), tolerance = 1e-2)
  }
})

test_that("each name is the same function in both packages", {
  skip_if_not_installed("lme4")
  loadNamespace("lme4")
  shared <- intersect(getNamespaceExports("lme4"), getNamespaceExports("kinlmm"))
  expect_true(all(c("fixef", "ranef", "VarCorr", "getData", "getME", "ngrps") %in% shared))
  for (name in shared) {
    expect_identical(getExportedValue("kinlmm", name), getExportedValue("lme4", name))
  }
})

test_that("attached together, in either order, neither masks the other", {
  skip_if_not_installed("lme4")
  skip_on_cran()
  use <- c(
    "d <- as.data.frame(nlme::Orthodont)",
    "ours <- lmmfit(distance ~ age + (age | Subject), d)",
    "theirs <- lmer(distance ~ age + (age | Subject), d)",
    "for (f in list(isREML, isLMM, isGLMM, isNLMM, isSingular, ngrps, fixef, VarCorr, ranef,",
    "               rePCA, refitML, getData, function(x) getME(x, 'Z'))) {",
    "  stopifnot(!is.null(f(ours)), !is.null(f(theirs)))",
    "}",
    "cat('done')"
  )
  both <- c("library(kinlmm)", "library(lme4)")
  for (first in list(both, rev(both))) {
    said <- in_new_session(c(first, use))
    expect_equal(utils::tail(said, 1L), "done")
    expect_false(any(grepl("mask", said)))
  }
})

test_that("fits of lme4 are known without it, and ours before and after it is loaded", {
  skip_if_not_installed("lme4")
  skip_on_cran()
  saved <- withr::local_tempfile(fileext = ".rds")
  saveRDS(lme4::lmer(distance ~ age + (age | Subject), nlme::Orthodont), saved)
  said <- in_new_session(c(
    "library(kinlmm)",
    "fit <- lmmfit(distance ~ age + (1 | Subject), nlme::Orthodont)",
    "own <- getME(fit, 'theta')",
    "stopifnot(!isNamespaceLoaded('lme4'), isREML(fit))",
    sprintf("theirs <- readRDS('%s')", saved),
    "stopifnot(isREML(theirs), length(getME(theirs, 'theta')) == 3L)",
    "stopifnot(isNamespaceLoaded('lme4'), identical(getME(fit, 'theta'), own))",
    "unloadNamespace('lme4')",
    "stopifnot(identical(getME(fit, 'theta'), own))",
    "cat('done')"
  ))
  expect_equal(utils::tail(said, 1L), "done")
})

test_that("contest() is lmerTest's where that is loaded", {
  skip_if_not_installed("lmerTest")
  loadNamespace("lmerTest")
  expect_identical(getExportedValue("kinlmm", "contest"),
                   getExportedValue("lmerTest", "contest"))
  expect_s3_class(contest(fit, c(0, 1)), "data.frame")
})
