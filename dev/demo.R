# The main job on real data: `make demo`. Figures on the terminal, pictures in demo-output/.

suppressPackageStartupMessages(library(kinlmm))
options(cli.progress_show_after = 0, width = 90)

step <- local({
  number <- 0
  function(title, code) {
    number <<- number + 1
    cat("\n", number, ". ", title, "\n", strrep("-", nchar(title) + 3), "\n", sep = "")
    seconds <- system.time(value <- code)[["elapsed"]]
    cat(sprintf("   [%.2f s]\n", seconds))
    invisible(value)
  }
})

# GEMMA's example data where Debian's gemma-doc is installed, else the subset of kinlmm.
mouse_data <- function() {
  shipped <- system.file("extdata", package = "kinlmm")
  full <- "/usr/share/doc/gemma/example"
  packed <- file.path(full, paste0("mouse_hs1940.", c("bed", "bim", "fam", "pheno.txt"), ".gz"))
  if (!all(file.exists(packed))) {
    cat("   gemma-doc is not installed: the subset of 610 mice that kinlmm ships\n")
    pheno <- utils::read.csv(file.path(shipped, "mouse_pheno.csv"))
    return(list(prefix = file.path(shipped, "mouse"), pheno = pheno))
  }
  folder <- tempfile("mouse")
  dir.create(folder)
  for (path in packed) {
    to <- file.path(folder, sub("\\.gz$", "", basename(path)))
    input <- gzfile(path, "rb")
    writeBin(readBin(input, "raw", 1e8), to)
    close(input)
  }
  prefix <- file.path(folder, "mouse_hs1940")
  traits <- utils::read.table(paste0(prefix, ".pheno.txt"))
  ids <- utils::read.table(paste0(prefix, ".fam"))$V2
  list(prefix = prefix, pheno = data.frame(id = ids, cd8 = traits[[1L]], mch = traits[[6L]]))
}

picture <- function(path, code, width = 1600, height = 800) {
  grDevices::png(path, width, height, res = 150)
  on.exit(grDevices::dev.off())
  graphics::par(mar = c(4.2, 4.2, 2, 1))
  force(code)
  cat("   picture:", path, "\n")
}

begun <- proc.time()[["elapsed"]]
dir.create("demo-output", showWarnings = FALSE)

step("Five individuals, five measurements each: a random intercept", {
  set.seed(42)
  X <- scale(matrix(sample(0:2, 15, replace = TRUE), 5, 3), scale = TRUE)
  intercept <- rnorm(5, mean = 0, sd = 1)
  data <- data.frame(individual = factor(rep(1:5, each = 5)), X)
  data$height <- unlist(lapply(intercept, function(b) b + rnorm(5, mean = 0, sd = 1)))
  print(summary(lmmfit(height ~ X1 + X2 + X3 + (1 | individual), data)))
})

mice <- step("Heterogeneous stock mice: genotypes and phenotypes", {
  mice <- mouse_data()
  mice$geno <- read_bed(mice$prefix)
  print(mice$geno)
  mice
})

K <- step("Relationship matrix", grm(mice$geno))

fit <- step("Null model of CD8: lmmfit(cd8 ~ 1 + (1 | id), kinship = list(id = K))", {
  fit <- lmmfit(cd8 ~ 1 + (1 | id), mice$pheno, kinship = list(id = K))
  print(summary(fit))
  fit
})

step("Heritability", print(heritability(fit)))

step("The same variances by other methods", {
  print(compare_components(fit, methods = c("REML", "EM-REML", "MINQUE1", "HE", "Bayes")))
})

step("Prediction: effects of the markers, every mouse by the others", {
  print(marker_effects(fit, mice$geno))
  print(leave_one_out(fit))
})

step("Two traits: CD8 and MCH", {
  both <- mice$pheno[stats::complete.cases(mice$pheno[c("cd8", "mch")]), ]
  pair <- bivariate(cbind(cd8, mch) ~ 1 + (1 | id), both, kinship = list(id = K))
  print(pair)
  print(genetic_correlation(pair))
})

hits <- step("Exact scan: one REML per marker, Wald, likelihood ratio and score", {
  gwas(fit, mice$geno)
})

step("Top hits", print(hits))

step("Pictures", {
  picture("demo-output/manhattan.png", plot(hits))
  picture("demo-output/qq.png", plot(hits, "qq"), width = 900, height = 900)
  write_gwas(hits, "demo-output/cd8.tsv.gz")
  cat("   table:   demo-output/cd8.tsv.gz\n")
})

cat(sprintf("\nAll of it in %.1f s.\n", proc.time()[["elapsed"]] - begun))
