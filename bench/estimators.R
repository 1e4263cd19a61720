# Estimators beside REML of one term: variance components of two kernels, Haseman-Elston
# regression and two traits beside GEMMA, on its mice; the sampler of the spike and slab, and
# the inverse of a large pedigree's relationship matrix.
#
#   Rscript bench/estimators.R [repeats]     writes bench/results/estimators.md
#
# Needs gemma and its example data (Debian: gemma, gemma-doc) and kinlmm installed. GEMMA's
# times are those of whole processes, which read the kinship from text; ours begin with the
# matrices in memory. Beside stands the processor time that GEMMA's log prints.

library(kinlmm)
repeats <- as.integer(c(commandArgs(TRUE), 3)[[1]])
home <- getwd()
example <- "/usr/share/doc/gemma/example/mouse_hs1940"
folder <- tempfile("bench-")
dir.create(folder)
for (suffix in c(".bed", ".bim", ".fam")) {
  con <- gzfile(paste0(example, suffix, ".gz"), "rb")
  writeBin(readBin(con, "raw", 1e8), file.path(folder, paste0("mouse", suffix)))
  close(con)
}
traits <- utils::read.table(gzfile(paste0(example, ".pheno.txt.gz")))
setwd(folder)
geno <- read_bed("mouse")
pheno <- data.frame(id = rownames(geno), cd8 = traits[[1]], mch = traits[[6]])
half <- ncol(geno) %/% 2
quietly <- suppressMessages
K <- quietly(grm(geno))
K1 <- quietly(grm(geno[, seq_len(half)]))
K2 <- quietly(grm(geno[, -seq_len(half)]))
write <- function(x, name) {
  data.table::fwrite(as.data.frame(x), name, sep = "\t", col.names = FALSE, na = "NA")
}
write(traits[c(1, 6)], "pheno.txt")
for (name in c("K", "K1", "K2")) write(unname(unclass(get(name))), paste0(name, ".txt"))
writeLines(c("K1.txt", "K2.txt"), "both.txt")

seconds <- function(expr) {
  expr <- substitute(expr)
  env <- parent.frame()
  stats::median(replicate(repeats, system.time(eval(expr, env))[["elapsed"]]))
}
gemma <- function(...) {
  status <- system2("gemma", c("-p", "pheno.txt", ..., "-o", "out"), stdout = FALSE,
                    stderr = FALSE)
  stopifnot(status == 0)
}
# Minutes in the log, as seconds.
logged <- function(what) {
  line <- grep(what, readLines("output/out.log.txt"), value = TRUE, fixed = TRUE)
  60 * as.numeric(gsub(".*= *| *min.*", "", line[[1]]))
}
lines <- c("# Estimators", "",
           paste0(R.version.string, ", kinlmm ", utils::packageVersion("kinlmm"), ", ",
                  parallel::detectCores(), " cores, medians of ", repeats, ", ", Sys.Date(),
                  "; load average ", sub(" .*", "", readLines("/proc/loadavg")),
                  " at the start. Seconds; GEMMA's: whole process (processor time by its ",
                  "log)."), "",
           "| 1,410 mice, CD8 | kinlmm | GEMMA |", "|---|--:|--:|")
row <- function(what, ours, theirs = "", inner = NULL) {
  # GEMMA must have run before its log is read
  force(theirs)
  inner <- if (!is.null(inner)) sprintf(" (%.2f)", inner)
  theirs <- if (is.numeric(theirs)) sprintf("%.2f%s", theirs, c(inner, "")[[1]]) else theirs
  lines <<- c(lines, sprintf("| %s | %.3g | %s |", what, ours, theirs))
}

fit <- lmmfit(cd8 ~ 1 + (1 | id), pheno, kinship = list(id = K))
row("Haseman-Elston regression, one kernel, GEMMA's standard errors",
    seconds(variance_components(fit, method = "HE", se = "empirical")),
    seconds(gemma("-k", "K.txt", "-n", "1", "-vc", "1")), logged("total computation time"))
row("REML, two kernels, with standard errors",
    seconds(variance_components(cd8 ~ 1 + kin(1 | id, K1) + kin(1 | id, K2), pheno,
                                information = "average")),
    seconds(gemma("-mk", "both.txt", "-n", "1", "-vc", "2")), logged("total computation time"))
row("Bayes, one kernel, 4 x 1,000 draws",
    seconds(variance_components(fit, method = "Bayes")))
row("Profile intervals of heritability, one kernel", seconds(heritability(fit)))
row("Marker effects, 10,783 SNPs", seconds(quietly(marker_effects(fit, geno))))
row("Leave-one-out", seconds(leave_one_out(fit)))
both <- pheno[stats::complete.cases(pheno), ]
row("Two traits (CD8, MCH; 1,197 mice), REML",
    seconds(bivariate(cbind(cd8, mch) ~ 1 + (1 | id), both, kinship = list(id = K))))

cd8 <- data.frame(y = pheno$cd8, row.names = pheno$id)[!is.na(pheno$cd8), , drop = FALSE]
varies <- apply(as.matrix(geno[rownames(cd8), ]), 2L, stats::sd, na.rm = TRUE) > 0
snps <- geno[rownames(cd8), which(varies)[1:10000]]
chain <- quietly(spike_slab(y ~ 1, cd8, snps, "Bayes", chains = 1, draws = 20, warmup = 20))
few <- seconds(quietly(more(chain, draws = 100)))
many <- seconds(quietly(more(chain, draws = 600)))
row("A sweep of the spike and slab, 10,000 SNPs", (many - few) / 500)

set.seed(1)
pedigree <- simulate_pedigree(families = 2500, children = 20, generations = 20)
row(paste("Inverse of A,", format(nrow(pedigree), big.mark = ","), "animals"),
    seconds(pedigree_kinship(pedigree, inverse = TRUE)))

setwd(home)
writeLines(lines, "bench/results/estimators.md")
cat(lines, sep = "\n")
