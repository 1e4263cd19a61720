# Predictions of mouse CD8 and MCH (GEMMA's example data, all SNPs and mice): GBLUP and
# SNP-BLUP, leave-one-out, and 10-fold cross-validation, at random and by groups of relatives.
#
#   Rscript bench/prediction.R [repeats]     writes bench/results/prediction.md
#
# Needs gemma's example data (Debian: gemma-doc) and kinlmm installed.

library(kinlmm)
repeats <- as.integer(c(commandArgs(TRUE), 5)[[1]])
example <- "/usr/share/doc/gemma/example"
folder <- tempfile("bench-")
dir.create(folder)
for (suffix in c(".bed", ".bim", ".fam", ".pheno.txt")) {
  con <- gzfile(file.path(example, paste0("mouse_hs1940", suffix, ".gz")), "rb")
  writeBin(readBin(con, "raw", 1e8), file.path(folder, paste0("mouse", suffix)))
  close(con)
}
geno <- read_bed(file.path(folder, "mouse"))
values <- utils::read.table(file.path(folder, "mouse.pheno.txt"))
pheno <- data.frame(id = rownames(geno), cd8 = values[[1]], mch = values[[6]])
seconds <- function(expr) system.time(expr)[["elapsed"]]

K <- suppressMessages(grm(geno))
# the data have no pedigree: groups of mice with correlations of genotypes above 0.2 within
# (complete linkage), which hold most close relatives
S <- suppressMessages(grm(geno, "standardized"))
tree <- stats::hclust(stats::as.dist(1 - stats::cov2cor(S)), "complete")
pheno$family <- stats::cutree(tree, h = 0.8)

lines <- c("# Predictions of mouse CD8 and MCH", "",
           paste0("1,940 mice, 12,226 SNPs, centred matrix, `y ~ 1 + (1 | id)` by REML; ",
                  repeats, " repeats of 10 folds, `set.seed(1)`."),
           paste0(R.version.string, ", kinlmm ", utils::packageVersion("kinlmm"), ", ",
                  parallel::detectCores(), " cores, ", Sys.Date(), "; load average ",
                  sub(" .*", "", readLines("/proc/loadavg")), " at the start."), "")
row <- function(...) lines <<- c(lines, paste0("| ", paste(..., sep = " | "), " |"))
show <- function(x, digits = 3L) formatC(x, digits, format = "f")

for (trait in c("cd8", "mch")) {
  data <- pheno[!is.na(pheno[[trait]]), ]
  formula <- stats::as.formula(paste(trait, "~ 1 + (1 | id)"))
  fit_time <- seconds(fit <- lmmfit(formula, data, kinship = list(id = K)))
  h2 <- heritability(fit)$estimate
  effect_time <- seconds(effects <- marker_effects(fit, geno))
  score_time <- seconds(scores <- predict(effects, geno))
  own <- blup(fit)
  away <- max(abs(scores[own$id] - own$value))
  pev_time <- seconds(marker_effects(fit, geno, pev = TRUE))
  error_time <- seconds(errors <- predict(effects, geno, fit, geno))
  pev_away <- max(abs(errors$pev[match(own$id, errors$id)] - own$pev))
  loo_time <- seconds(loo <- leave_one_out(fit))
  family_time <- seconds(by_family <- leave_one_out(fit, data$family))
  set.seed(1)
  cv_time <- seconds(cv <- cross_validate(fit, repeats = repeats, h2 = h2))
  set.seed(1)
  kept_time <- seconds(kept <- cross_validate(fit, repeats = repeats, refit = FALSE,
                                              h2 = h2))
  set.seed(1)
  grouped_time <- seconds(grouped <- cross_validate(fit, groups = data$family,
                                                    repeats = repeats, h2 = h2))
  lines <- c(lines, paste0("## ", toupper(trait)), "",
             paste0(nrow(data), " mice with records in ", length(unique(data$family)),
                    " groups of relatives (largest: ", max(table(data$family)), "); h2 ",
                    show(h2, 4), "."), "",
             "| predictions | correlation | / sqrt(h2) | slope | mse | seconds |",
             "|---|--:|--:|--:|--:|--:|")
  alone <- function(label, x, time) {
    at <- summary(x)
    row(label, show(at$correlation), show(at$correlation / sqrt(h2)), show(at$slope),
        show(at$mse), show(time, 2))
  }
  folds <- function(label, x, time) {
    at <- summary(x)$pooled
    names(at) <- rownames(summary(x))
    row(label, show(at[["correlation"]]), show(at[["accuracy"]]), show(at[["slope"]]),
        show(at[["mse"]]), show(time, 2))
  }
  alone("leave-one-out, closed form", loo, loo_time)
  alone("leave-one-group-out, closed form", by_family, family_time)
  folds("10 folds, variances estimated in each", cv, cv_time)
  folds("10 folds, variances of the fit, closed form", kept, kept_time)
  folds("10 folds that keep groups together, estimated", grouped, grouped_time)
  sd <- stats::sd(cv$by_repeat$correlation)
  lines <- c(lines, "", paste0(
    "Standard deviation of the pooled correlation over repeats: ", show(sd, 4), ". ",
    "GBLUP and SNP-BLUP of the 1,940 mice differ by at most ", signif(away, 2),
    " (PEV ", signif(pev_away, 2),
    "). Seconds: fit ", show(fit_time, 2), ", marker effects ", show(effect_time, 2),
    " (with their PEV ", show(pev_time, 2), "), prediction of 1,940 genotypes ", show(score_time, 2), ", their PEV ",
    show(error_time, 2), "."), "")
}
out <- file.path("bench", "results", "prediction.md")
writeLines(lines, out)
cat(lines, sep = "\n")
