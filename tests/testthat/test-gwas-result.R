test_that("rows of a scan are a scan, some columns are not", {
  hits <- simulated_gwas()
  expect_s3_class(hits[2:3, ], "gwas")
  expect_identical(attr(hits[2:3, ], "scan"), attr(hits, "scan"))
  expect_identical(hits[2:3, ]$snp, hits$snp[2:3])
  expect_s3_class(hits[c("snp", "beta")], "data.frame", exact = TRUE)
  expect_null(attr(hits[c("snp", "beta")], "scan"))
  expect_type(hits[, "beta"], "double")
  expect_s3_class(hits[hits$p_wald < 2, ], "gwas")
})

test_that("as.data.frame() leaves nothing of the class", {
  plain <- as.data.frame(simulated_gwas())
  expect_setequal(names(attributes(plain)), c("names", "row.names", "class"))
  expect_identical(class(plain), "data.frame")
})

test_that("top_hits() are the strongest by the test asked for", {
  hits <- simulated_gwas()
  hits$reason[1] <- "monomorphic"
  hits$neg_log10_p_score[1] <- NA
  top <- top_hits(hits, 3, "score")
  expect_s3_class(top, "gwas")
  expect_identical(top$p_score, sort(hits$p_score[-1])[1:3])
  expect_identical(nrow(top_hits(hits, 1000, "score")), 11L)
  expect_equal(top_hits(as.data.frame(hits), 3)$snp, top_hits(hits, 3)$snp)
  expect_kinlmm_error(top_hits(as.data.frame(hits)["snp"]), "argument",
                      "a data frame without \"chr\"")
  expect_error(top_hits(hits, -1), class = "kinlmm_error_argument")
})

test_that("lambda_GC of uniform p-values is one", {
  expect_equal(lambda_gc(-log10(stats::ppoints(1001))), 1, tolerance = 1e-12)
  statistic <- 1.1 * stats::qchisq(stats::ppoints(1001), 1)
  log_p <- stats::pchisq(statistic, 1, lower.tail = FALSE, log.p = TRUE)
  expect_equal(lambda_gc(-log_p / log(10)), 1.1, tolerance = 1e-12)
})

test_that("p-values are shown in full, however small", {
  expect_identical(format_p(c(400.5, 8, 5 - log10(9.999), 0.30103, NA)),
                   c("3.16e-401", "1.00e-8", "1.00e-4", "0.500", NA))
})

test_that("print() summarises a scan", {
  hits <- simulated_gwas(simulate_scan(m = 30))
  hits$reason[4:5] <- "monomorphic"
  hits[4:5, grep("^p_|^neg", names(hits))] <- NA
  expect_snapshot(print(hits, n = 3))
  expect_snapshot(print(hits[4:5, ]))
})

test_that("a result whose columns were changed still prints", {
  hits <- simulated_gwas()
  hits$gene <- "none"
  expect_s3_class(hits, "gwas")
  names(hits)[1] <- "CHR"
  expect_output(print(hits), "CHR")
  expect_kinlmm_error(plot(hits), "argument", "without \"chr\"")
})
