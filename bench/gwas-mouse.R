# Null model and exact scan of mouse CD8 (1410 mice, 10,768 SNPs; Wald, LRT and score)
# beside `gemma -lmm 4`, whole processes alternating in one run.
#
#   Rscript bench/gwas-mouse.R [runs]     writes bench/results/gwas-mouse.md
#
# Needs gemma and its example data (Debian: gemma, gemma-doc) and kinlmm installed.

runs <- as.integer(c(commandArgs(TRUE), 3)[[1]])
example <- "/usr/share/doc/gemma/example"
folder <- tempfile("bench-")
dir.create(folder)

unpack <- function(name, to) {
  con <- gzfile(file.path(example, paste0(name, ".gz")), "rb")
  on.exit(close(con))
  writeBin(readBin(con, "raw", 1e8), file.path(folder, to))
}
for (suffix in c(".bed", ".bim", ".fam")) {
  unpack(paste0("mouse_hs1940", suffix), paste0("mouse", suffix))
}
unpack("mouse_hs1940.pheno.txt", "pheno.txt")
bed <- c("-bfile", file.path(folder, "mouse"), "-p", file.path(folder, "pheno.txt"))

gemma <- function(...) {
  old <- setwd(folder)
  on.exit(setwd(old))
  seconds <- system.time(
    status <- system2("gemma", c(bed, ...), stdout = FALSE, stderr = FALSE)
  )[["elapsed"]]
  stopifnot(status == 0)
  seconds
}

gemma_clock <- function() {
  log <- readLines(file.path(folder, "output", "scan.log.txt"))
  minutes <- function(what) {
    as.numeric(sub(".*= *([0-9.e-]+) min.*", "\\1", grep(what, log, value = TRUE)))
  }
  60 * c(total = minutes("total computation"), eigen = minutes("eigen-decomposition"),
         rotation = minutes("UtX"), optima = minutes("on optimization"))
}

# The whole of our side, in a process of its own: kinship read from R's own format, as
# gemma reads it from its own.
ours <- file.path(folder, "ours.R")
writeLines(c(
  "start <- proc.time()[['elapsed']]",
  "args <- commandArgs(TRUE)",
  ".libPaths(strsplit(args[[2]], ':')[[1]])",
  "library(kinlmm)",
  "clock <- function() proc.time()[['elapsed']] - start",
  "geno <- read_bed(file.path(args[[1]], 'mouse'))",
  "K <- readRDS(file.path(args[[1]], 'K.rds'))",
  "cd8 <- utils::read.table(file.path(args[[1]], 'pheno.txt'))[[1]]",
  "pheno <- data.frame(id = rownames(geno), cd8 = cd8)",
  "read <- clock()",
  "fit <- lmmfit(cd8 ~ 1 + (1 | id), pheno, kinship = list(id = K))",
  "fitted <- clock()",
  "hits <- gwas(fit, geno)",
  "scanned <- clock()",
  "write_gwas(hits, file.path(args[[1]], 'hits.tsv'))",
  "saveRDS(list(seconds = c(read = read, fit = fitted - read, scan = scanned - fitted,",
  "                         write = clock() - scanned),",
  "             stages = attr(hits, 'scan')$seconds), file.path(args[[1]], 'clock.rds'))"
), ours)

kinlmm <- function() {
  seconds <- system.time(
    status <- system2("Rscript", c(ours, folder, paste(.libPaths(), collapse = ":")))
  )[["elapsed"]]
  stopifnot(status == 0)
  seconds
}

invisible(gemma("-gk", "1", "-o", "k"))
K <- as.matrix(data.table::fread(file.path(folder, "output", "k.cXX.txt")))
ids <- read.table(file.path(folder, "mouse.fam"), colClasses = "character")[[2]]
dimnames(K) <- list(ids, ids)
saveRDS(K, file.path(folder, "K.rds"), compress = FALSE)

load_average <- function() {
  if (file.exists("/proc/loadavg")) scan("/proc/loadavg", 0, 1, quiet = TRUE) else NA
}
load <- load_average()
results <- lapply(seq_len(runs), function(i) {
  kinship <- file.path(folder, "output", "k.cXX.txt")
  theirs <- gemma("-k", kinship, "-lmm", "4", "-o", "scan")
  mine <- kinlmm()
  clock <- readRDS(file.path(folder, "clock.rds"))
  list(process = c(gemma = theirs, kinlmm = mine), gemma = gemma_clock(),
       seconds = clock$seconds, stages = clock$stages)
})

# Agreement, so that the times are those of the same work.
theirs <- data.table::fread(file.path(folder, "output", "scan.assoc.txt"))
mine <- data.table::fread(file.path(folder, "hits.tsv"))
mine <- mine[is.na(mine$reason) | mine$reason == "", ]
stopifnot(identical(mine$snp, theirs$rs))
load <- c(load, load_average())
worst <- c(
  beta = max(abs(mine$beta - theirs$beta) / theirs$se),
  lambda = max(abs(mine$lambda / theirs$l_remle - 1)),
  wald = max(abs(mine$neg_log10_p_wald + log10(theirs$p_wald))),
  lrt = max(abs(mine$neg_log10_p_lrt + log10(theirs$p_lrt))),
  score = max(abs(mine$neg_log10_p_score + log10(theirs$p_score)))
)

middle <- function(what) {
  apply(do.call(rbind, lapply(results, `[[`, what)), 2, stats::median)
}
process <- middle("process")
number <- function(x) formatC(x, 2, format = "f")
rows <- function(x) paste0("| ", names(x), " | ", number(x), " |")
report <- c(
  "# Exact scan of mouse CD8, beside GEMMA", "",
  paste0("1,410 mice, ", format(nrow(mine), big.mark = ","), " SNPs; Wald, LRT, score; ",
         "medians of ", runs, " alternating runs, seconds."),
  paste0(R.version.string, ", kinlmm ", utils::packageVersion("kinlmm"), ", ",
         parallel::detectCores(), " cores, ", format(Sys.Date()), "."),
  paste0("Load average before and after: ", paste(load, collapse = ", "),
         " (the runs alone make about 1)."), "",
  "| whole process | seconds |", "|---|--:|",
  rows(c("`gemma -lmm 4`" = process[["gemma"]], kinlmm = process[["kinlmm"]])),
  paste0("| **ratio** | **", number(process[["gemma"]] / process[["kinlmm"]]), "** |"),
  "",
  "| GEMMA's own clock (processor time) | seconds |", "|---|--:|", rows(middle("gemma")),
  "",
  "| kinlmm | seconds |", "|---|--:|", rows(middle("seconds")),
  rows(stats::setNames(middle("stages"), paste("of the scan:", names(middle("stages"))))),
  "",
  paste0("Largest differences: ", paste(names(worst), signif(worst, 2), collapse = ", "),
         " (beta in standard errors, lambda relative, tests in -log10 p).")
)
script <- sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))
path <- file.path(dirname(script), "results", "gwas-mouse.md")
dir.create(dirname(path), showWarnings = FALSE)
writeLines(report, path)
writeLines(report)
unlink(folder, recursive = TRUE)
