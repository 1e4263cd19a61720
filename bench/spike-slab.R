# Bias and spread of the h2 and pi of spike_slab() beside GREML (lmmfit() with the GRM).
#
#   Rscript bench/spike-slab.R run [seeds] [csv]   adds what the csv lacks; seeds as 1001:1050
#   Rscript bench/spike-slab.R table [csv ...]     bench/results/spike-slab.md from them
#   Rscript bench/spike-slab.R mouse                    CD8 of GEMMA's mice, beside its BSLMM
#
# Needs kinlmm installed; run it from the root of the sources. 1,000 samples, unlinked SNPs
# with frequencies from U(0.05, 0.5), normal effects, scaled so that the genetic values have
# the variance h2 in the sample, and normal residuals of variance 1 - h2. Defaults of
# spike_slab() but for few draws at the estimate, which change no estimate.

library(kinlmm)
arguments <- commandArgs(TRUE)
what <- c(arguments, "run")[[1L]]
kept <- file.path(dirname(tempdir()), "kinlmm-spike-slab.csv")
cells <- expand.grid(share = c(0.01, 0.1, 1), h2 = c(0.25, 0.5), m = c(1000, 10000))
n <- 1000
effort <- list(draws = 20)

simulate_cell <- function(cell, seed) {
  set.seed(seed)
  p <- runif(cell$m, 0.05, 0.5)
  G <- matrix(as.double(rbinom(n * cell$m, 2, rep(p, each = n))), n)
  dimnames(G) <- list(paste0("i", seq_len(n)), paste0("s", seq_len(cell$m)))
  causal <- sample(cell$m, cell$share * cell$m)
  g <- drop(scale(G[, causal]) %*% rnorm(length(causal)))
  y <- sqrt(cell$h2 / var(g)) * g + rnorm(n, sd = sqrt(1 - cell$h2))
  list(G = G, data = data.frame(y = y, id = rownames(G), row.names = rownames(G)))
}

replicate_cell <- function(cell, seed) {
  d <- simulate_cell(cell, seed)
  seconds <- system.time({
    K <- suppressMessages(grm(d$G, "standardized", maf = 0, missing = 1))
    greml <- suppressWarnings(lmmfit(y ~ 1 + (1 | id), d$data, kinship = list(id = K)))
    greml <- heritability(greml)
  })[["elapsed"]]
  mcem_seconds <- system.time({
    fit <- suppressWarnings(do.call(spike_slab, c(list(y ~ 1, d$data, d$G), effort)))
  })[["elapsed"]]
  at <- fit$parameters
  data.frame(cell, seed = seed, greml = greml$estimate, mcem = at["h2", "estimate"],
             pi = at["pi", "estimate"], se = at["h2", "se"], error = at["h2", "mc_error"],
             converged = fit$converged, iterations = nrow(fit$path),
             greml_seconds = seconds, mcem_seconds = mcem_seconds)
}

run <- function(seeds, csv) {
  done <- if (file.exists(csv)) read.csv(csv) else NULL
  key <- function(x) paste(x$m, x$h2, x$share, x$seed)
  # a replicate of every cell before the next
  for (seed in seeds) for (i in seq_len(nrow(cells))) {
    row <- cbind(cells[i, ], seed = seed)
    if (key(row) %in% key(done)) next
    row <- replicate_cell(cells[i, ], seed)
    write.table(row, csv, append = file.exists(csv), sep = ",", row.names = FALSE,
                col.names = !file.exists(csv))
  }
}

summarise <- function(csv) {
  all <- do.call(rbind, lapply(csv, read.csv))
  parts <- split(all, list(all$share, all$h2, all$m), drop = TRUE)
  show <- function(x, digits = 3) formatC(x, digits = digits, format = "f")
  lines <- vapply(parts, function(x) {
    bias <- function(estimate) paste(show(mean(estimate) - x$h2[[1L]]),
                                     show(sd(estimate)), sep = " | ")
    paste("|", paste(c(
      format(x$m[[1L]], big.mark = ","), x$h2[[1L]], paste0(100 * x$share[[1L]], "%"),
      nrow(x), bias(x$greml), bias(x$mcem), show(sd(x$mcem) / sd(x$greml), 2),
      show(mean(x$pi), 4), show(median(x$pi), 4), show(sd(x$pi), 4),
      paste0(round(100 * mean(x$converged)), "%"), show(median(x$greml_seconds), 1),
      show(median(x$mcem_seconds), 1)), collapse = " | "), "|")
  }, character(1))
  order <- order(vapply(parts, function(x) x$m[[1L]] * 100 + x$h2[[1L]] * 10 +
                          x$share[[1L]], 0))
  c("# Spike and slab beside GREML", "",
    paste0("1,000 samples, made by `bench/spike-slab.R`, which says how; times on a machine",
           " that did other work too."), "",
    paste("| SNPs | h2 | with an effect | replicates | GREML bias | SD | MCEM bias | SD |",
          "SD ratio | mean pi | median pi | SD of pi | converged | GREML s | MCEM s |"),
    paste0("|", strrep("--:|", 15)), unname(lines[order]), "",
    "With 10,000 SNPs and many effects the likelihood of pi is nearly flat, and pi stays near",
    "its start, 0.1. Where 10% is the truth, that flatters; where all SNPs have an effect, h2",
    "is not that of the joint maximum but shrunken a little: an SD below GREML's is no gain",
    "there.")
}

# Monte-Carlo EM, Gibbs sampling, and GEMMA's BSLMM on CD8.
mouse <- function() {
  source <- "/usr/share/doc/gemma/example/mouse_hs1940"
  folder <- tempfile("mouse")
  dir.create(folder)
  prefix <- file.path(folder, "mouse")
  for (suffix in c(".bed", ".bim", ".fam")) {
    con <- gzfile(paste0(source, suffix, ".gz"), "rb")
    writeBin(readBin(con, "raw", 1e8), paste0(prefix, suffix))
    close(con)
  }
  cd8 <- as.numeric(read.table(gzfile(paste0(source, ".pheno.txt.gz")))[[1L]])
  geno <- read_bed(prefix)
  data <- data.frame(y = cd8, row.names = rownames(geno))
  set.seed(1)
  print(system.time(fit <- spike_slab(y ~ 1, data, geno)))
  print(summary(fit, 10))
  print(system.time(bayes <- spike_slab(y ~ 1, data, geno, "Bayes", draws = 1000)))
  print(summary(bayes, 10))
  if (!nzchar(Sys.which("gemma"))) return(invisible())
  setwd(folder)
  writeLines(format(cd8, digits = 15), "pheno.txt")
  print(system.time(system2("gemma", c(
    "-bfile", prefix, "-p", "pheno.txt", "-bslmm", "1", "-w", "10000", "-s", "50000",
    "-rpace", "10", "-seed", "1", "-o", "b"), stdout = FALSE, stderr = FALSE)))
  # a tab at the end of every row but that of the names
  hyper <- read.table("output/b.hyp.txt", skip = 1)[1:6]
  names(hyper) <- c("h", "pve", "rho", "pge", "pi", "n_gamma")
  print(rbind(mean = colMeans(hyper), sd = vapply(hyper, sd, 0)))
  param <- data.table::fread("output/b.param.txt")
  print(utils::head(param[order(-param$gamma), ], 10))
}

if (what == "run") {
  seeds <- eval(parse(text = c(arguments[-1L], "1001:1050")[[1L]]))
  run(seeds, c(arguments[-(1:2)], kept)[[1L]])
} else if (what == "table") {
  csv <- if (length(arguments) > 1L) arguments[-1L] else kept
  writeLines(summarise(csv), "bench/results/spike-slab.md")
} else {
  mouse()
}
