# Relationship matrices beside plink2 and GEMMA: 5,000 samples x 100,000 SNPs with 1% of the
# genotypes missing, and mouse (1,940 x 12,226). Every run is a process of its own, on two
# threads.
#
#   Rscript bench/grm.R [runs]     writes bench/results/grm.md
#
# Needs plink2, gemma and its example data (Debian: plink2, gemma, gemma-doc), a compiler and
# kinlmm installed.

runs <- as.integer(c(commandArgs(TRUE), 3)[[1]])
n <- 5000L
m <- 100000L
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
folder <- tempfile("bench-")
dir.create(folder)
at <- function(...) file.path(folder, ...)

run <- function(command, args) {
  seconds <- system.time(
    status <- system2(command, args, stdout = FALSE, stderr = FALSE)
  )[["elapsed"]]
  stopifnot(status == 0)
  seconds
}

# Data ----

run("plink2", c("--dummy", n, m, "0.01", "acgt", "--seed", "1", "--make-bed", "--out",
                at("large")))
bim <- data.table::fread(at("large.bim"), colClasses = "character")
bim[[1]] <- rep(1:20, each = m / 20)
data.table::fwrite(bim, at("large.bim"), sep = "\t", col.names = FALSE)
for (suffix in c(".bed", ".bim", ".fam")) {
  con <- gzfile(file.path("/usr/share/doc/gemma/example",
                          paste0("mouse_hs1940", suffix, ".gz")), "rb")
  writeBin(readBin(con, "raw", 1e8), at(paste0("mouse", suffix)))
  close(con)
}

# Runs ----

# One of ours in a fresh process: seconds of grm() alone, and the peak of the memory of the
# whole process beyond that of the loaded package.
ours <- at("ours.R")
writeLines(c(
  "args <- commandArgs(TRUE)",
  ".libPaths(strsplit(args[[1]], ':')[[1]])",
  "suppressMessages(library(kinlmm))",
  "options(kinlmm.instructions = args[[2]])",
  "status <- function(field) {",
  "  line <- grep(field, readLines('/proc/self/status'), value = TRUE)",
  "  as.numeric(gsub('[^0-9]', '', line)) / 1024",
  "}",
  "start <- proc.time()[['elapsed']]",
  "geno <- read_bed(args[[3]])",
  "read <- proc.time()[['elapsed']]",
  "before <- status('VmRSS')",
  "K <- suppressMessages(eval(parse(text = args[[4]])))",
  "done <- proc.time()[['elapsed']]",
  "result <- as.numeric(utils::object.size(K))",
  "saveRDS(c(read = read - start, grm = done - read, before = before,",
  "          peak = status('VmHWM'), result = result / 2^20), args[[5]])"
), ours)

kinlmm <- function(call, data = "large", instructions = "automatic") {
  out <- at("clock.rds")
  process <- run("Rscript", c(ours, paste(.libPaths(), collapse = ":"), instructions,
                              at(data), shQuote(call), out))
  c(readRDS(out), process = process)
}

# Leaving chromosomes out, beside one matrix: 4 GB of results. On virtual machines memory
# that the host has to find first costs more than the sums, so that both are measured on
# memory that the process has had before and does not give back.
warm <- at("warm.R")
writeLines(c(
  "args <- commandArgs(TRUE)",
  ".libPaths(strsplit(args[[1]], ':')[[1]])",
  "suppressMessages(library(kinlmm))",
  "geno <- read_bed(args[[2]])",
  "run <- function(loco) {",
  "  gc(FALSE)",
  "  system.time(suppressMessages(eval(parse(text = args[[3 + loco]]))))[['elapsed']]",
  "}",
  "first <- run(TRUE)",
  "saveRDS(c(first = first, loco = run(TRUE), one = run(FALSE)), args[[5]])"
), warm)

kinlmm_loco <- function(one, loco) {
  out <- at("clock.rds")
  kept <- c("MALLOC_MMAP_MAX_=0", "MALLOC_TRIM_THRESHOLD_=-1", "MALLOC_TOP_PAD_=100000000")
  status <- system2("Rscript", c(warm, paste(.libPaths(), collapse = ":"), at("large"),
                                 shQuote(one), shQuote(loco), out), env = kept)
  stopifnot(status == 0)
  readRDS(out)
}

plink2 <- function(data = "large") {
  run("plink2", c("--bfile", at(data), "--threads", 2, "--make-grm-bin", "--out", at("k")))
}

gemma <- function() {
  old <- setwd(folder)
  on.exit(setwd(old))
  writeLines(rep("1", 1940), "pheno.txt")
  run("gemma", c("-bfile", "mouse", "-p", "pheno.txt", "-gk", "1", "-o", "k"))
}

all_snps <- ", maf = 0, missing = 1, chr = 'all')"
centred <- paste0("grm(geno, 'centered'", all_snps)
standardised <- paste0("grm(geno, 'vanraden2'", all_snps)
loco <- sub(")$", ", loco = TRUE)", c(centred, standardised))
instructions <- utils::getFromNamespace("cpp_cpu_instructions", "kinlmm")()

load <- function() as.numeric(strsplit(readLines("/proc/loadavg"), " ")[[1]][[1]])
before <- load()
times <- list()
note <- function(name, value) times[[name]] <<- rbind(times[[name]], value)
for (i in seq_len(runs)) {
  note("plink2", c(grm = plink2()))
  for (one in instructions) {
    note(paste("centered", one), kinlmm(centred, instructions = one))
    note(paste("vanraden2", one), kinlmm(standardised, instructions = one))
  }
  note("standardized", kinlmm(sub("vanraden2", "standardized", standardised)))
  note("pairwise", kinlmm(sub(")$", ", pairwise = TRUE)", standardised)))
  note("loco memory", kinlmm(loco[[1]]))
  note("loco centered", kinlmm_loco(centred, loco[[1]]))
  note("loco vanraden2", kinlmm_loco(standardised, loco[[2]]))
  note("gemma", c(grm = gemma()))
  note("mouse", kinlmm(centred, "mouse"))
}
after <- load()

# The processor ----

peak <- at("peak")
run("g++", c("-O2", file.path(here, "peak.cpp"), "-o", peak))
peaks <- utils::read.table(text = system2(peak, stdout = TRUE))
macs <- n * (n + 1) / 2 * m

# Report ----

middle <- function(name, field = "grm") stats::median(times[[name]][, field])
row <- function(what, name, peer, products = NA, instructions = NA) {
  share <- macs * products / (2 * peaks[match(instructions, peaks[[1]]), 2]) / middle(name)
  sprintf("| %s | %.2f | %.1f | %s |", what, middle(name), middle(peer) / middle(name),
          if (is.na(share)) "" else sprintf("%.0f%%", 100 * share))
}
best <- instructions[[length(instructions)]]
memory <- function(name) {
  sprintf("| %s | %.0f | %.0f | %.0f | %.0f |", name, middle(name, "result"),
          middle(name, "before"), middle(name, "peak"),
          1.3 * middle(name, "result") + 200)
}
report <- c(
  "# Relationship matrices, beside plink2 and GEMMA",
  "",
  sprintf("%s samples x %s SNPs, 1%% missing (`plink2 --dummy`); medians of %d runs.",
          format(n, big.mark = ","), format(m, big.mark = ",", scientific = FALSE), runs),
  sprintf("%s, kinlmm %s, 2 threads, %s. Load average before and after: %.2f, %.2f.",
          R.version.string, utils::packageVersion("kinlmm"), Sys.Date(), before, after),
  "",
  "`peak`: share of the multiplications of bytes that the processor could do, by",
  "`bench/peak.cpp`. Standardised matrices need two products of bytes per genotype.",
  "",
  "| 5,000 x 100,000 | seconds | plink2 is slower by | peak |",
  "|---|--:|--:|--:|",
  sprintf("| `plink2 --make-grm-bin`, process | %.2f | 1 | |", middle("plink2")),
  unlist(lapply(rev(instructions), function(one) c(
    row(paste0("centered, ", one), paste("centered", one), "plink2", 1, one),
    row(paste0("vanraden2 (that of plink2), ", one), paste("vanraden2", one), "plink2", 2,
        one)
  ))),
  row("standardized", "standardized", "plink2"),
  row("vanraden2, pairwise-complete", "pairwise", "plink2"),
  sprintf("| whole process of centered, %s (R, read_bed(), grm()) | %.2f | %.1f | |", best,
          middle(paste("centered", best), "process"),
          middle("plink2") / middle(paste("centered", best), "process")),
  "",
  "| leaving out each of 20 chromosomes | seconds | one matrix | ratio | on fresh memory |",
  "|---|--:|--:|--:|--:|",
  vapply(c("centered", "vanraden2"), function(method) {
    at <- function(field) middle(paste("loco", method), field)
    sprintf("| %s | %.2f | %.2f | %.2f | %.2f |", method, at("loco"), at("one"),
            stats::median(times[[paste("loco", method)]][, "loco"] /
                            times[[paste("loco", method)]][, "one"]), at("first"))
  }, ""),
  "",
  "| mouse, centered | seconds | GEMMA is slower by |",
  "|---|--:|--:|",
  sprintf("| `gemma -gk 1`, process | %.2f | 1 |", middle("gemma")),
  sprintf("| grm() | %.3f | %.1f |", middle("mouse"), middle("gemma") / middle("mouse")),
  sprintf("| read_bed() and grm() | %.3f | %.1f |",
          middle("mouse") + middle("mouse", "read"),
          middle("gemma") / (middle("mouse") + middle("mouse", "read"))),
  sprintf("| process (R, the package, read_bed(), grm()) | %.2f | %.1f |",
          middle("mouse", "process"), middle("gemma") / middle("mouse", "process")),
  "",
  "| memory, MB | result | before | peak | 1.3 result + 200 |",
  "|---|--:|--:|--:|--:|",
  memory(paste("centered", best)), memory(paste("vanraden2", best)), memory("pairwise"),
  memory("loco memory"),
  "",
  sprintf("Byte multiplications a second, one core: %s.",
          paste(sprintf("%s %.3g", peaks[[1]], peaks[[2]]), collapse = ", "))
)
writeLines(report, file.path(here, "results", "grm.md"))
writeLines(report)
