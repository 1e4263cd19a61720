test_that("every plot draws, with chromosomes and without", {
  withr::local_pdf(withr::local_tempfile(fileext = ".pdf"))
  G <- random_genotypes(80, 30, seed = 2)
  data <- data.frame(y = seq_len(80) %% 7 + rep(0:1, 40), row.names = rownames(G))
  withr::local_seed(1)
  fits <- suppressWarnings(list(
    spike_slab(y ~ 1, data, G, sweeps = 50),
    spike_slab(y ~ 1, data, read_bed(write_test_bed(G, chr = rep(1:2, 15))), sweeps = 50),
    spike_slab(y ~ 1, data, read_bed(write_test_bed(G)), "Bayes", draws = 50)
  ))
  for (fit in fits) for (type in c("pip", "effect", "trace")) {
    before <- graphics::par("mfrow")
    expect_identical(plot(fit, type), fit)
    expect_identical(graphics::par("mfrow"), before)
  }
  expect_error(plot(fits[[1]], "density"), class = "kinlmm_error_argument")
})
