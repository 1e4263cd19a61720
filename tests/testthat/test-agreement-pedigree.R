# lme4 with breeding values of covariance A: where A = R'R, Z R' and independent effects
# are Z and effects of covariance A. lme4's model at given relative standard deviations,
# named by group, and its criterion.
lme4_pedigree <- function(formula, data, A, theta) {
  control <- lme4::lmerControl(check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore")
  parsed <- lme4::lFormula(formula, data, control = control)
  terms <- parsed$reTrms
  levels <- levels(terms$flist$id)
  first <- terms$Gp[[match("id", names(terms$cnms))]]
  rows <- first + seq_along(levels)
  R <- chol(A[levels, levels])
  terms$Zt[rows, ] <- Matrix::Matrix(R, sparse = TRUE) %*% terms$Zt[rows, ]
  parsed$reTrms <- terms
  devfun <- do.call(lme4::mkLmerDevfun, c(parsed, list(control = control)))
  theta <- unname(theta[names(terms$cnms)])
  criterion <- devfun(theta)
  opt <- list(par = theta, fval = criterion, conv = 0, message = "")
  model <- lme4::mkMerMod(environment(devfun), opt, terms, fr = parsed$fr)
  # of b, the effects of unit variance
  u <- crossprod(R, lme4::getME(model, "b")[rows])
  list(criterion = criterion, model = model, blup = stats::setNames(as.vector(u), levels))
}

expect_lme4_pedigree <- function(fit, formula, data, A) {
  sd <- vapply(VarCorr(fit), attr, 0, "stddev")
  theirs <- lme4_pedigree(formula, data, A, sd / sigma(fit))
  expect_equal(deviance(fit), theirs$criterion, tolerance = 1e-9)
  expect_equal(fixef(fit), lme4::fixef(theirs$model), tolerance = 1e-6)
  expect_equal(vcov(fit), as.matrix(vcov(theirs$model)), tolerance = 1e-6,
               ignore_attr = TRUE)
  expect_equal(sigma(fit), sigma(theirs$model), tolerance = 1e-6)
  u <- ranef(fit)$id
  expect_equal(stats::setNames(u[[1]], rownames(u))[names(theirs$blup)], theirs$blup,
               tolerance = 1e-6)
}

# Two fits of one model, by A and by its inverse.
expect_same_fit <- function(one, other) {
  expect_equal(deviance(one), deviance(other), tolerance = 1e-9)
  sd <- function(fit) vapply(VarCorr(fit), attr, 0, "stddev")
  expect_equal(sd(one), sd(other), tolerance = 1e-6)
  expect_equal(sigma(one), sigma(other), tolerance = 1e-6)
  expect_equal(fixef(one), fixef(other), tolerance = 1e-6)
  expect_equal(vcov(one), vcov(other), tolerance = 1e-6)
  for (group in names(ranef(one))) {
    a <- ranef(one)[[group]]
    b <- ranef(other)[[group]]
    expect_setequal(rownames(a), rownames(b))
    expect_equal(a[[1]], b[rownames(a), 1], tolerance = 1e-6)
  }
  b <- blup(other)
  a <- blup(one)
  b <- b[match(paste(a$group, a$id), paste(b$group, b$id)), ]
  expect_equal(a, b, tolerance = 1e-6, ignore_attr = TRUE)
}

# 1,386 animals of four generations, 3,000 records in 40 herds, permanent environments.
simulated_herd <- function(seed) {
  withr::with_seed(seed, {
    ped <- simulate_pedigree(42, children = 5, dams = 2, generations = 3)
    ped <- ped[sample(nrow(ped)), ]
    data <- simulate_trait(ped, h2 = 0.3, records = 3, permanent = 0.2)
    data <- as.data.frame(data)[sort(sample(nrow(data), 3000)), ]
    data$herd <- factor(sample(40, 3000, replace = TRUE))
    data$age <- stats::runif(3000, 2, 8)
    data$y <- data$y + 0.1 * data$age + stats::rnorm(40, sd = 0.6)[data$herd]
    data$cow <- data$id
  })
  list(ped = ped, data = data)
}

test_that("a herd fits by A^-1 as by A, and as in lme4", {
  skip_on_cran()
  skip_if_not_installed("Matrix")
  herd <- simulated_herd(11)
  expect_identical(nrow(herd$ped), 1386L)
  A <- pedigree_kinship(herd$ped)
  Q <- precision(pedigree_kinship(herd$ped, inverse = TRUE))
  formula <- y ~ age + (1 | id) + (1 | cow) + (1 | herd)
  by_A <- lmmfit(formula, herd$data, kinship = list(id = A))
  by_inverse <- lmmfit(formula, herd$data, kinship = list(id = Q))
  expect_true(by_A$opt$converged && by_inverse$opt$converged)
  expect_identical(by_inverse$engine$name, "sparse")
  expect_same_fit(by_A, by_inverse)
  skip_if_not_installed("lme4")
  expect_lme4_pedigree(by_inverse, formula, herd$data, A)
})

test_that("a term of its own for A and the animals themselves is the same model", {
  skip_on_cran()
  skip_if_not_installed("Matrix")
  herd <- simulated_herd(12)
  keep <- herd$data$id %in% tail(sort(herd$ped$id), 400)
  data <- herd$data[keep, ]
  Q <- precision(pedigree_kinship(herd$ped, inverse = TRUE))
  A <- pedigree_kinship(herd$ped)
  # most animals have no records
  by_inverse <- lmmfit(y ~ age + kin(1 | id, Q) + (1 | id), data)
  by_A <- lmmfit(y ~ age + kin(1 | id, A) + (1 | id), data)
  expect_equal(deviance(by_inverse), deviance(by_A), tolerance = 1e-9)
  expect_equal(fixef(by_inverse), fixef(by_A), tolerance = 1e-6)
  expect_equal(as.data.frame(VarCorr(by_inverse)), as.data.frame(VarCorr(by_A)),
               tolerance = 1e-6)
})

# The milk records of Vazquez et al. (2010), which pedigreemm has.
test_that("the milk records of pedigreemm fit as in lme4", {
  skip_on_cran()
  skip_if_not_installed("Matrix")
  skip_if_not_installed("lme4")
  # R CMD check takes a name of a package in data() for one that must be declared
  package <- "pedigreemm"
  skip_if_not_installed(package)
  there <- new.env()
  utils::data("milk", "pedCowsR", package = package, envir = there)
  ped <- there$pedCowsR
  label <- attr(ped, "label")
  ped <- data.frame(id = label, sire = label[attr(ped, "sire")], dam = label[attr(ped, "dam")])
  milk <- there$milk
  milk$id <- as.character(milk$id)
  milk$sdMilk <- milk$milk / stats::sd(milk$milk)
  A <- pedigree_kinship(ped)
  formula <- sdMilk ~ lact + log(dim) + (1 | id) + (1 | herd)
  cows <- unique(milk$id)
  fit <- lmmfit(formula, milk, kinship = list(id = A[cows, cows]))
  # by pedigreemm 0.3-5 with lme4 1.1-31
  expect_equal(deviance(fit), 8384.7941759, tolerance = 1e-9)
  expect_equal(unname(fixef(fit)), c(1.7037071820, -0.1077896431, 0.7359448212),
               tolerance = 1e-5)
  sd <- c(vapply(VarCorr(fit), attr, 0, "stddev"), sigma(fit))
  expect_equal(unname(sd), c(0.52728978, 0.45590029, 0.69516272), tolerance = 1e-5)
  expect_lme4_pedigree(fit, formula, milk, A)
  by_inverse <- lmmfit(formula, milk,
                       kinship = list(id = precision(pedigree_kinship(ped, inverse = TRUE))))
  expect_identical(by_inverse$engine$name, "sparse")
  expect_equal(deviance(by_inverse), deviance(fit), tolerance = 1e-9)
  expect_equal(fixef(by_inverse), fixef(fit), tolerance = 1e-6)
  expect_equal(ranef(by_inverse)$id[cows, 1], ranef(fit)$id[cows, 1], tolerance = 1e-6)
})
