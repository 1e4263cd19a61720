# Ten principal components of 5,000 samples x 100,000 SNPs, 11 populations, 1% missing:
# pca() beside `plink2 --pca` (exact and approx), and beside forming and decomposing the
# relationship matrix. Whole steps alternate in one run, two threads.
#
#   OPENBLAS_NUM_THREADS=2 Rscript bench/pca.R [runs] [output]
#
# Writes bench/results/pca.md. Needs plink2 and kinlmm installed.

library(kinlmm)
arguments <- commandArgs(TRUE)
runs <- as.integer(c(arguments, 3)[[1]])
out <- if (length(arguments) > 1) arguments[[2]] else file.path("bench", "results", "pca.md")
folder <- tempfile("bench-")
dir.create(folder)
prefix <- file.path(folder, "geno")
load_average <- function() sub(" .*", "", readLines("/proc/loadavg"))
at_start <- load_average()

set.seed(1)
sizes <- stats::setNames(seq(300, 610, length.out = 11), letters[1:11])
sizes <- round(sizes * 5000 / sum(sizes))
sizes[[11]] <- 5000 - sum(sizes[-11])
geno <- simulate_genotypes(m = 100000, populations = sizes,
                           fst = seq(0.01, 0.11, length.out = 11), block = 10, rho = 0.7,
                           missing = 0.01, chromosomes = 20, file = prefix)

# elapsed and processor time (of two threads, where other work slows the clock)
timed <- function(expr) {
  t <- system.time(expr)
  c(seconds = t[["elapsed"]], cpu = sum(t[-3], na.rm = TRUE))
}
plink <- function(...) {
  timed(status <- system2("plink2", c("--bfile", prefix, "--threads", "2", "--out",
                                      prefix, "--pca", "10", ...), stdout = FALSE))
}
plink_scores <- function() {
  table <- data.table::fread(paste0(prefix, ".eigenvec"), data.table = FALSE)
  as.matrix(table[match(rownames(geno), table$IID), grep("^PC", names(table))])
}
likeness <- function(a, b) min(abs(diag(stats::cor(a, b))))

times <- list()
keep <- function(name, time) times[[name]] <<- rbind(times[[name]], time)
for (run in seq_len(runs)) {
  keep("pca()", timed(ours <- suppressMessages(pca(geno))))
  keep("plink2 --pca approx", plink("approx"))
  approx <- plink_scores()
}
# once: minutes
keep("grm()", timed(K <- suppressMessages(grm(geno, "standardized"))))
keep("pca(K)", timed(exact <- pca(K)))
keep("plink2 --pca meanimpute", plink("meanimpute"))
plink_exact <- plink_scores()
other <- suppressMessages(pca(geno, method = "vanraden2"))

median_of <- function(name) apply(times[[name]], 2, stats::median)
formed <- median_of("grm()") + median_of("pca(K)")
row <- function(name, time, agreement) {
  sprintf("| %s | %.2f | %.2f | %s |", name, time[["seconds"]], time[["cpu"]], agreement)
}
figure <- function(x) paste("1 -", format(1 - x, digits = 2))
lines <- c(
  "# Ten principal components of 5,000 samples x 100,000 SNPs", "",
  paste0(R.version.string, ", kinlmm ", utils::packageVersion("kinlmm"), ", ",
         parallel::detectCores(), " cores, ", Sys.Date(), "; load average ", at_start,
         " at the start, ", load_average(), " at the end. ", runs, " runs, medians; what",
         " takes minutes once."), "",
  "| | seconds | CPU seconds | smallest correlation of scores |", "|---|--:|--:|---|",
  row("`pca(geno)`", median_of("pca()"),
      paste(figure(likeness(ours$scores, exact$scores)), "with `pca(K)`")),
  row("`grm(geno, \"standardized\")`", median_of("grm()"), ""),
  row("`pca(K)`: all eigenvalues", median_of("pca(K)"), ""),
  row("both", formed, ""),
  row("`plink2 --pca approx`", median_of("plink2 --pca approx"),
      paste(figure(likeness(approx, plink_exact)), "with exact plink2")),
  row("`plink2 --pca meanimpute`", median_of("plink2 --pca meanimpute"),
      paste(figure(likeness(other$scores, plink_exact)),
            "with `pca(geno, method = \"vanraden2\")`")), "",
  sprintf("`pca(geno)` took %d passes and is %.1f times faster than forming and decomposing
K, %.1f times than `plink2 --pca approx` and %.1f times than `plink2 --pca meanimpute`.
Eigenvalues differ from those of K by at most %.1e relative.", as.integer(ours$passes),
          (formed / median_of("pca()"))[["seconds"]],
          (median_of("plink2 --pca approx") / median_of("pca()"))[["seconds"]],
          (median_of("plink2 --pca meanimpute") / median_of("pca()"))[["seconds"]],
          max(abs(ours$values / exact$values - 1))), "")
writeLines(lines, out)
cat(lines, sep = "\n")
