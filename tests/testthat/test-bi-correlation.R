test_that("intervals end where the criterion reaches the quantile", {
  sibs <- two_traits(60, G = matrix(c(3, 1, 1, 3), 2), R = diag(0.3, 2), seed = 2)
  for (d in list(sibs$data, without_traits(sibs$data, 1:9, 50:55))) {
    fit <- bivariate(cbind(a, b) ~ x + (1 | id), d, list(id = sibs$K))
    g <- genetic_correlation(fit, level = 0.9)
    # the criterion at a correlation: the optimum is dense's, and nothing near is lower
    least <- function(r) {
      M <- diag(6)
      M[1:3, 2] <- c(0, r, sqrt(1 - r^2))
      opt <- bivariate_optimise(fit$engine, TRUE, lmm_control(), M[, -3],
                                positive = 1:2)
      V <- lapply(split_packed(opt$psi * fit$engine$units, c(2L, 2L)), unpack_lower, TRUE)
      names(V) <- names(fit$covariances)
      expect_equal(stats::cov2cor(V$id)[2, 1], r, tolerance = 1e-8)
      at <- function(par) {
        sd <- exp(par[1:2])
        R <- tcrossprod(unpack_lower(par[3:5]))
        V <- list(id = matrix(c(1, r, r, 1), 2) * tcrossprod(sd), Residual = R)
        tryCatch(dense_pair_criterion(fit, V), error = function(e) 1e6)
      }
      L <- sqrt(fit$engine$units[c(4, 6)]) * unpack_lower(opt$theta[4:6])
      par <- c(log(sqrt(diag(V$id))), pack_lower(L))
      value <- at(par)
      near <- vapply(1:5, function(i) {
        h <- 1e-3 * (1:5 == i)
        min(at(par + h), at(par - h))
      }, 0)
      expect_gt(min(near), value - 1e-9)
      value
    }
    limits <- setdiff(c(g$lower, g$upper), c(-1, 1))
    expect_gt(length(limits), 0)
    for (r in limits) {
      expect_equal(least(r) - deviance(fit), stats::qchisq(0.9, 1), tolerance = 1e-4)
    }
    expect_equal(least(0) - deviance(fit), g$lrt_zero, tolerance = 1e-4)
    expect_equal(g$p_zero, stats::pchisq(g$lrt_zero, 1, lower.tail = FALSE))
    expect_equal(g$p_one, stats::pchisq(g$lrt_one, 1, lower.tail = FALSE) / 2)
    expect_equal(confint(fit, "cor:id", 0.9)[1, ], c(g$lower, g$upper), ignore_attr = TRUE)
  }
})

test_that("shares have the interval that the criterion gives, for either trait", {
  sibs <- two_traits(seed = 2)
  for (d in list(sibs$data, without_traits(sibs$data, 1:9, 70:75))) {
    fit <- bivariate(cbind(a, b) ~ x + (1 | id), d, list(id = sibs$K))
    swapped <- bivariate(cbind(b, a) ~ x + (1 | id), d, list(id = sibs$K))
    h <- heritability(fit)
    expect_equal(h$estimate[[1]], fit$k[[1]] * fit$psi[[1]] /
                   (fit$k[[1]] * fit$psi[[1]] + fit$psi[[4]]))
    expect_equal(h[2:1, 3:6], heritability(swapped)[, 3:6], tolerance = 1e-4,
                 ignore_attr = TRUE)
    expect_true(all(h$lower < h$estimate & h$estimate < h$upper))
    expect_equal(share_excess(fit, 2L)(h$lower[[2]]), stats::qchisq(0.95, 1),
                 tolerance = 1e-4)
  }
})

test_that("standard errors are those of the delta method", {
  sibs <- two_traits(seed = 2)
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), sibs$data, list(id = sibs$K))
  k <- mean(diag(sibs$K)) - mean(sibs$K)
  value <- function(psi) {
    P <- k * psi[1:3] + psi[4:6]
    c(k * psi[[1]] / P[[1]], k * psi[[3]] / P[[3]], psi[[2]] / sqrt(psi[[1]] * psi[[3]]),
      psi[[5]] / sqrt(psi[[4]] * psi[[6]]), P[[2]] / sqrt(P[[1]] * P[[3]]))
  }
  J <- vapply(1:6, function(c) {
    h <- 1e-5 * (seq_len(6) == c)
    (value(fit$psi + h) - value(fit$psi - h)) / 2e-5
  }, numeric(5))
  table <- trait_parameters(fit)
  expect_identical(table$parameter,
                   c("h2:a", "h2:b", "cor:id", "cor:Residual", "cor:phenotypic"))
  expect_equal(table$estimate, value(fit$psi), ignore_attr = TRUE)
  expect_equal(table$se, sqrt(diag(J %*% fit$psi_vcov %*% t(J))), tolerance = 1e-6)
})

test_that("one trait's interval is that of its own fit where the traits are apart", {
  # independent traits and records: what one tells of the other is little
  sibs <- two_traits(200, G = diag(2), R = diag(2), seed = 10)
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), sibs$data, list(id = sibs$K))
  one <- heritability(lmmfit(a ~ x + (1 | id), sibs$data, list(id = sibs$K)))
  expect_equal(heritability(fit)[1, "estimate"], one$estimate, tolerance = 0.05)
  expect_equal(heritability(fit)[1, "lower"], one$lower, tolerance = 0.1)
})

test_that("correlations that are not there, and wrong arguments, are refused", {
  sibs <- two_traits(40)
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), sibs$data, list(id = sibs$K))
  expect_error(genetic_correlation(fit, "cage"), class = "kinlmm_error_argument")
  expect_error(genetic_correlation(1), class = "kinlmm_error_argument")
  expect_error(confint(fit, "cor:cage"), class = "kinlmm_error_argument")
  quick <- genetic_correlation(fit, interval = FALSE)
  expect_true(is.na(quick$lower))
  expect_output(print(quick), "standard error")
  full <- utils::capture.output(print(genetic_correlation(fit)))
  expect_match(full, "profile interval", all = FALSE)
  expect_match(full, "\\|r\\| = 1  likelihood ratio", all = FALSE)
})

test_that("heritabilities print, plot and hold with several terms", {
  d <- two_traits(80)
  d$data$cage <- rep(1:16, 5)
  fit <- bivariate(cbind(a, b) ~ x + (1 | id) + (1 | cage), d$data, list(id = d$K))
  h <- heritability(fit, 0.9)
  expect_named(h, c("term", "trait", "estimate", "se", "lower", "upper", "raw", "genetic",
                    "residual", "k", "group"))
  V <- VarCorr(fit)
  G <- c(diag(V$id), diag(V$cage))
  e <- rep(diag(V$Residual), 2)
  expect_equal(h$genetic, unname(G))
  expect_equal(h$raw, unname(G / (diag(V$id) + diag(V$cage) + e)))
  whole <- h$k * h$genetic
  expect_equal(h$estimate, unname(whole / (rep(whole[1:2] + whole[3:4], 2) + e)))
  inside <- !is.na(h$se)
  expect_equal(h$upper[inside], pmin(1, h$estimate + qnorm(0.95) * h$se)[inside])
  expect_output(print(h), "90% Wald")
  expect_output(print(h), "cage, b")
  one <- heritability(bivariate(cbind(a, b) ~ x + (1 | id), d$data, list(id = d$K)))
  expect_output(print(one), "Heritability of id, by trait \\(REML, 80 records\\)")
  withr::local_pdf(withr::local_tempfile(fileext = ".pdf"))
  expect_invisible(plot(one))
  expect_s3_class(as.data.frame(one), "data.frame", exact = TRUE)
})

test_that("parts of a result, and several together, are tables", {
  d <- two_traits(40)
  fit <- bivariate(cbind(a, b) ~ x + (1 | id), d$data, list(id = d$K))
  r <- genetic_correlation(fit, interval = FALSE)
  expect_s3_class(r["estimate"], "data.frame", exact = TRUE)
  both <- rbind(r, genetic_correlation(fit, "Residual", interval = FALSE))
  expect_s3_class(both, "data.frame", exact = TRUE)
  expect_identical(both$term, c("id", "Residual"))
  h <- heritability(lmmfit(a ~ x + (1 | id), d$data, list(id = d$K)))
  expect_output(print(rbind(h, h)), "group +estimate")
  l <- rbind(liability(0.2, 0.1), liability(0.2, 0.01))
  expect_s3_class(l, "data.frame", exact = TRUE)
  expect_identical(nrow(l), 2L)
})
