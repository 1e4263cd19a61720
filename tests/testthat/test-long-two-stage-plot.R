test_that("subjects and coefficients are drawn", {
  d <- nlme::Orthodont[-c(3, 7), ]
  got <- two_stage(distance ~ age | Subject, d, second = ~ Sex)
  file <- withr::local_tempfile(fileext = ".png")
  withr::with_png(file, {
    expect_invisible(plot(got))
    expect_invisible(plot(got, "coefficients"))
    expect_invisible(plot(got, subjects = c("M01", "F03")))
    plot(two_stage(distance ~ poly(age, 2) | Subject, d, single = FALSE), max = 4)
    plot(two_stage(distance ~ 1 | Subject, d, single = FALSE), max = 1)
  })
  expect_gt(file.size(file), 1000)
  expect_kinlmm_error(plot(got, subjects = "nobody"), "argument", '"nobody"')
  expect_kinlmm_error(plot(got, subjects = character()), "argument", "names of subjects")
  expect_kinlmm_error(plot(got, "lines"), "argument", "which")
})

test_that("the lines of a subject are those of the mixed model and of the mean", {
  d <- nlme::Orthodont[-c(3, 7), ]
  got <- two_stage(distance ~ age | Subject, d, second = ~ Sex)
  fit <- got$single
  both <- subject_lines(got)
  at <- d$Subject == "M01"
  expect_equal(unname(drop(cbind(1, d$age[at]) %*% both["M01", ])), unname(fitted(fit)[at]),
               tolerance = 1e-6)
  mean <- mean_lines(got, "single")
  expect_equal(unname(mean["M01", ]), unname(fixef(fit)[c("(Intercept)", "age")]),
               tolerance = 1e-6)
})

test_that("an offset is no part of the lines", {
  d <- nlme::Orthodont
  d$o <- 3
  got <- two_stage(distance ~ poly(age, 2) + offset(log(o)) | Subject, d, single = FALSE)
  expect_identical(subject_axis(got)$name, "poly(age, 2)1")
  got <- two_stage(distance ~ age + offset(log(o)) | Subject, d, single = FALSE)
  axis <- subject_axis(got)
  expect_identical(axis$name, "age")
  expect_equal(axis$line(1)$Z, cbind(1, axis$line(1)$at), ignore_attr = TRUE)
  withr::local_pdf(NULL)
  expect_invisible(plot(got))
})
