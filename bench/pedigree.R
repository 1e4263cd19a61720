# Pedigrees: the inverse of A of a million animals, inbreeding, A of 5,000, the inverse of
# H; A beside nadiv, whose makeAinv() had not ended after 150 s with a million animals. Every
# measurement in a process of its own.
#
#   Rscript bench/pedigree.R [runs]                writes bench/results/pedigree.md
#
# Needs kinlmm and Matrix; nadiv is taken where it is installed. Run it from the root of the
# sources.

suppressMessages(library(kinlmm))
arguments <- commandArgs(TRUE)

ways <- list(
  "A^-1" = function(ped) pedigree_kinship(ped, inverse = TRUE),
  "inbreeding" = function(ped) inbreeding(ped),
  "A" = function(ped) pedigree_kinship(ped),
  "dominance" = function(ped) pedigree_kinship(ped, type = "dominance"),
  "H^-1" = function(ped) single_step(ped[c("id", "sire", "dam")], attr(ped, "G"),
                                     inverse = TRUE),
  "nadiv::makeA" = function(ped) nadiv::makeA(ped[c("id", "dam", "sire")])
)

megabytes <- function(what) {
  line <- grep(what, readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}

# One measurement: seconds and those of all processors, the peak of the process from here
# on, and what it held before.
if (identical(arguments[1], "--run")) {
  ped <- readRDS(arguments[[3]])
  package <- sub("::.*", "", arguments[[2]])
  loadNamespace(if (grepl("::", arguments[[2]])) package else "Matrix")
  invisible(gc())
  before <- megabytes("^VmRSS")
  try(writeLines("5", "/proc/self/clear_refs"), silent = TRUE)
  time <- system.time(out <- suppressMessages(ways[[arguments[[2]]]](ped)))
  peak <- megabytes("^VmHWM")
  size <- if (isS4(out)) length(out@x) else length(unlist(out))
  cat("measured", time[["elapsed"]], sum(time[1:2]), peak, before, size, "\n")
  quit()
}

runs <- suppressWarnings(as.integer(c(arguments, 3)[[1]]))
script <- sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))
folder <- file.path(tempdir(), "bench-pedigree")
dir.create(folder, showWarnings = FALSE)

measure <- function(way, file, times = runs, seconds = 600) {
  out <- vapply(seq_len(times), function(run) {
    text <- suppressWarnings(system2(
      "Rscript", c(script, "--run", shQuote(way), file), stdout = TRUE, stderr = FALSE,
      timeout = seconds, env = paste0("R_LIBS=", paste(.libPaths(), collapse = ":"))))
    line <- grep("^measured", text, value = TRUE)
    if (length(line) == 0L) return(rep(NA_real_, 5))
    as.numeric(strsplit(line, " ")[[1]][2:6])
  }, numeric(5))
  out <- apply(out, 1, stats::median)
  message(way, ", ", basename(file), ": ", paste(signif(out, 4), collapse = " "))
  stats::setNames(out, c("seconds", "cpu", "peak", "before", "elements"))
}

save_pedigree <- function(ped, name) {
  file <- file.path(folder, paste0(name, ".rds"))
  saveRDS(ped, file, compress = FALSE)
  file
}

# 100 sires and 20,000 dams a generation, 25 generations of 40,000, random mating.
set.seed(1)
closed <- simulate_pedigree(100, children = 2, dams = 200, generations = 25)[1:3]
closed_F <- inbreeding(closed)
mixed <- closed[sample(nrow(closed)), ]

# Generations that overlap: parents among the 60,000 animals before, 2% of them unknown; one
# animal in 100 is a sire, one in 2 may be a dam.
set.seed(2)
n <- 1000000L
i <- seq_len(n)
earlier <- function(every, odd) {
  parent <- every * floor((i - 1 - stats::runif(n) * 60000) / every) - odd
  parent[parent < 1 | stats::runif(n) < 0.02] <- NA
  as.character(as.integer(parent))
}
overlapping <- data.frame(id = as.character(i), sire = earlier(100, 1), dam = earlier(2, 0))

# Nearly every animal is a parent of two: the bad case, of many parents on both sides, each
# with most animals before among its ancestors.
crowded <- local({
  n <- 100000L
  i <- seq_len(n)
  earlier <- function(odd) {
    parent <- 2 * floor((i - 1 - stats::runif(n) * 6000) / 2) - odd
    parent[parent < 1 | stats::runif(n) < 0.02] <- NA
    as.character(as.integer(parent))
  }
  data.frame(id = as.character(i), sire = earlier(1), dam = earlier(0))
})

# The last generation of 3,000 of `closed` has genotypes: relationships like those of A.
genotyped <- function(ped, m) {
  some <- sample(utils::tail(ped$id, 40000), m)
  Z <- matrix(stats::rnorm(m * 4000), m, dimnames = list(some, NULL))
  sire <- ped$sire[match(some, ped$id)]
  attr(ped, "G") <- 0.5 * tcrossprod(Z) / 4000 + 0.25 * outer(sire, sire, "==") + diag(0.25, m)
  ped
}
small <- simulate_pedigree(50, children = 5, dams = 4, generations = 5)[1:3]

files <- c(
  closed = save_pedigree(closed, "closed"), mixed = save_pedigree(mixed, "mixed"),
  overlapping = save_pedigree(overlapping, "overlapping"),
  crowded = save_pedigree(crowded, "crowded"),
  genotyped = save_pedigree(genotyped(closed, 3000), "genotyped"),
  small = save_pedigree(small, "small")
)
describe_pedigree <- c(
  closed = paste0(format(nrow(closed), big.mark = ","), " animals, 25 generations, sorted; ",
                  "mean F of the last ", format(mean(tail(closed_F, 40000)), digits = 2),
                  ", largest ", format(max(closed_F), digits = 2)),
  mixed = "the same in random order",
  overlapping = paste("1,000,000 animals, overlapping generations, 10,000 sires, 2% of",
                      "parents unknown"),
  crowded = "100,000 animals, overlapping generations, 50,000 possible sires and dams each",
  genotyped = "the first, 3,000 of the last generation genotyped",
  small = paste(format(nrow(small), big.mark = ","), "animals, 5 generations, dense result")
)
plan <- list(
  c("A^-1", "closed"), c("A^-1", "mixed"), c("A^-1", "overlapping"),
  c("A^-1", "crowded"),
  c("inbreeding", "closed"), c("H^-1", "genotyped"), c("A", "small"),
  c("nadiv::makeA", "small"), c("dominance", "small")
)
package <- vapply(plan, function(one) {
  if (grepl("::", one[[1]])) sub("::.*", "", one[[1]]) else "kinlmm"
}, "")
plan <- plan[vapply(package, requireNamespace, NA, quietly = TRUE)]

load_average <- function() {
  if (file.exists("/proc/loadavg")) scan("/proc/loadavg", 0, 1, quiet = TRUE) else NA
}
load <- load_average()
results <- lapply(plan, function(one) {
  measure(one[[1]], files[[one[[2]]]], if (grepl("::", one[[1]])) 1L else runs)
})
load <- c(load, load_average())

number <- function(x, digits = 3) {
  if (is.na(x)) "over 600 s" else format(signif(x, digits), scientific = FALSE,
                                         drop0trailing = TRUE, big.mark = ",")
}
row <- function(cells) paste0("| ", paste(cells, collapse = " | "), " |")
versions <- vapply(c("kinlmm", "Matrix", setdiff(package, "kinlmm")), function(p) {
  if (requireNamespace(p, quietly = TRUE)) paste(p, utils::packageVersion(p)) else ""
}, "")
report <- c(
  "# Pedigrees", "",
  paste0("Each measurement in a process of its own; kinlmm: medians of ", runs,
         " runs, others once. Peak: VmHWM of the process while it worked, with the ",
         "pedigree and R in it (\"before\")."),
  paste0(R.version.string, ", ", paste(unique(versions[nzchar(versions)]), collapse = ", "),
         ", ", parallel::detectCores(), " cores, 2 threads, ", format(Sys.Date()), "."),
  paste0("Load average before and after: ", paste(load, collapse = ", "), "."), "",
  row(c("pedigree", "what", "seconds", "CPU seconds", "peak MB", "before MB",
        "elements kept")),
  "|---|---|--:|--:|--:|--:|--:|",
  unlist(Map(function(one, result) {
    row(c(describe_pedigree[[one[[2]]]], paste0("`", one[[1]], "`"),
          number(result[["seconds"]]), number(result[["cpu"]]), number(result[["peak"]], 4),
          number(result[["before"]], 4), number(result[["elements"]], 8)))
  }, plan, results))
)
writeLines(report, file.path(dirname(script), "results", "pedigree.md"))
writeLines(report)
unlink(folder, recursive = TRUE)
