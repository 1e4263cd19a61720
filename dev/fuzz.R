# Damaged files for every reader of the package, and what comes of them:
#   Rscript dev/fuzz.R [files] [seed] [folder for the files that are handled badly]
# The readers, and the damage, are those of tests/testthat/helper-fuzz.R. With seeds that
# differ by the number of files or more, runs do not repeat each other. dev/fuzz.sh
# runs this under sanitizers.

args <- commandArgs(trailingOnly = TRUE)
files <- if (length(args) > 0) as.integer(args[[1]]) else 1000L
seed <- if (length(args) > 1) as.integer(args[[2]]) else 1L
keep <- if (length(args) > 2) args[[3]]
if (!is.null(keep)) dir.create(keep, showWarnings = FALSE)

library(kinlmm)
tests <- new.env(parent = asNamespace("kinlmm"))
here <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
for (helper in c("helper-bed.R", "helper-fuzz.R")) {
  sys.source(file.path(dirname(here), "..", "tests", "testthat", helper), tests)
}
# rlang's backtraces would take most of the time
options(rlang_backtrace_on_error = "none")
readers <- tests$fuzz_readers()
each <- ceiling(files / length(readers))
seconds <- system.time(counts <- tests$fuzz(readers, each, seed, keep))[["elapsed"]]
print(rbind(counts, all = colSums(counts)))
cat(sum(counts), "files in", round(seconds), "seconds\n")
bad <- sum(counts[, c("wrong", "raw error", "warning")])
quit(status = if (bad > 0) 1 else 0)
