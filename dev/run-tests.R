# Runs tests/testthat on the installed package and ends with the counts of tests:
#   Rscript dev/run-tests.R [filter]
# A test is one test_that(); it passes when no expectation in it fails.

library(testthat)
library(kinlmm)

Sys.setenv(NOT_CRAN = "true")  # CRAN's shorter selection is what R CMD check runs
reporter <- ProgressReporter$new(show_praise = FALSE, update_interval = Inf)
filter <- c(commandArgs(TRUE), "")[[1L]]
results <- test_dir(
  file.path("tests", "testthat"), package = "kinlmm", load_package = "installed",
  filter = if (nzchar(filter)) filter, reporter = reporter,
  stop_on_failure = FALSE, stop_on_warning = FALSE
)

tests <- as.data.frame(results)
failed <- tests$failed > 0L | tests$error
skipped <- !failed & tests$skipped

slow <- tests[order(-tests$real), ][seq_len(min(5L, nrow(tests))), ]
cat("\nSlowest:\n")
cat(sprintf("  %5.1f s  %s: %s\n", slow$real, slow$file, slow$test), sep = "")

cat(sprintf("\n%d expectations in %.0f s\n", sum(tests$nb), sum(tests$real)))
cat(sprintf("%d passed, %d failed, %d skipped\n", sum(!failed & !skipped), sum(failed),
            sum(skipped)))
quit(status = any(failed) || nrow(tests) == 0L)
