test_that("containment is by variables, further factors and the same numeric ones", {
  frame <- data.frame(a = factor(1:2), b = factor(1:2), x = 1:2)
  of <- function(formula) {
    terms <- attr(stats::model.frame(formula, frame), "terms")
    labels <- attr(terms, "term.labels")
    stats::setNames(lapply(containing_terms(terms), function(at) labels[at]), labels)
  }
  expect_equal(of(~ a * b), list(a = "a:b", b = "a:b", "a:b" = character()))
  expect_equal(of(~ a * x), list(a = character(), x = "a:x", "a:x" = character()))
  expect_equal(of(~ a / b), list(a = "a:b", "a:b" = character()))
  expect_equal(of(~ poly(x, 1) * a)[["a"]], character())
})

test_that("sequential hypotheses are the rows of the factor of X'X", {
  X <- withr::with_seed(1, cbind(1, matrix(stats::rnorm(30), 10)))
  L <- sequential_rows(X)
  U <- chol(crossprod(X))
  expect_equal(unname(L), U / diag(U))
})

test_that("type III does not depend on the contrasts", {
  d <- mixed_example()[-(1:17), ]
  d$h <- factor(d$h)
  tables <- lapply(c("contr.treatment", "contr.sum", "contr.helmert", "contr.SAS"),
                   function(coding) {
                     anova(lmmfit(y ~ f * h + x + (1 | g), d,
                                  contrasts = list(f = coding, h = "contr.sum")))
                   })
  for (table in tables[-1]) {
    expect_equal(table, tables[[1]], tolerance = 1e-6, ignore_attr = TRUE)
  }
})

test_that("nested factors have the main effect of the crossed ones", {
  d <- mixed_example()[-(1:17), ]
  nested <- anova(lmmfit(y ~ f / h + (1 | g), d))
  crossed <- anova(lmmfit(y ~ f * h + (1 | g), d))
  expect_equal(nested["f", ], crossed["f", ], tolerance = 1e-6, ignore_attr = TRUE)
})

test_that("a type III hypothesis compares unweighted means of cells", {
  d <- mixed_example()[-(1:17), ]
  d$h <- factor(d$h)
  fit <- lmmfit(y ~ f * h + (1 | g), d)
  L <- term_hypotheses(fit, "III")$h
  cells <- stats::model.matrix(~ f * h, expand.grid(f = levels(d$f), h = levels(d$h)))
  difference <- colMeans(cells[4:6, ]) - colMeans(cells[1:3, ])
  expect_equal(drop(L), difference, ignore_attr = TRUE)
})

test_that("hypotheses do not depend on the units of a covariate", {
  d <- mixed_example()
  for (unit in c(1e-7, 1, 1e7)) {
    d$u <- d$z * unit
    table <- anova(lmmfit(y ~ f * u + (1 | g), d))
    if (unit == 1e-7) first <- table
    expect_equal(table, first, tolerance = 1e-6, ignore_attr = TRUE)
  }
})
