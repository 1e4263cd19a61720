# Side by side with GEMMA's exact scan (gemma -lmm 4) on its own example data. GEMMA
# stops its search for lambda at a relative change of 1e-5 and prints seven digits, and
# bounds lambda to [1e-5, 1e5]; ours may be 0.

example_file <- function(name) {
  path <- file.path("/usr/share/doc/gemma/example", name)
  skip_if_not(file.exists(path), "GEMMA's example data")
  path
}

# gemma with these arguments in `folder`; its table `<out>.<suffix>.txt`.
run_gemma <- function(folder, args, out, suffix) {
  withr::local_dir(folder)
  withr::local_envvar(OPENBLAS_NUM_THREADS = "2")
  status <- system2("gemma", c(args, "-o", out), stdout = FALSE, stderr = FALSE)
  expect_identical(status, 0L)
  file.path(folder, "output", paste0(out, ".", suffix, ".txt"))
}

write_columns <- function(folder, name, x) {
  path <- file.path(folder, name)
  data.table::fwrite(as.data.frame(x), path, sep = "\t", col.names = FALSE, na = "NA")
  path
}

# Scans of the .bed under `prefix` by both; X holds covariates or is NULL.
scan_with_both <- function(folder, prefix, y, X = NULL) {
  pheno <- write_columns(folder, "pheno.txt", y)
  bed <- c("-bfile", prefix, "-p", pheno)
  kinship <- run_gemma(folder, c(bed, "-gk", "1"), "k", "cXX")
  extra <- if (!is.null(X)) c("-c", write_columns(folder, "cov.txt", cbind(1, X)))
  theirs <- run_gemma(folder, c(bed, "-k", kinship, "-lmm", "4", extra), "scan", "assoc")
  theirs <- data.table::fread(theirs, data.table = FALSE)

  geno <- read_bed(prefix)
  K <- as.matrix(data.table::fread(kinship, header = FALSE))
  dimnames(K) <- list(rownames(geno), rownames(geno))
  fit <- scan_fit(y, K, X)
  hits <- gwas(fit, geno)
  ours <- as.data.frame(hits)[is.na(hits$reason), ]
  expect_identical(ours$snp, theirs$rs)
  list(ours = ours, theirs = theirs, fit = fit, K = K)
}

expect_agreement <- function(scan) {
  ours <- scan$ours
  theirs <- scan$theirs
  worst <- function(difference, bound, which = TRUE) {
    expect_lt(max(difference[which]), bound)
  }
  relative <- function(x, y) abs(x - y) / abs(y)
  inside <- function(lambda) lambda > 1.001e-5 & lambda < 0.999e5
  expect_identical(ours$effect_allele, theirs$allele1)
  worst(abs(ours$beta - theirs$beta) / theirs$se, 1e-4)
  worst(relative(ours$se, theirs$se), 1e-4)
  worst(relative(ours$lambda, theirs$l_remle), 1e-4, inside(theirs$l_remle))
  worst(relative(ours$lambda_ml, theirs$l_mle), 1e-4, inside(theirs$l_mle))
  for (p in c("wald", "lrt", "score")) {
    value <- -log10(theirs[[paste0("p_", p)]])
    worst(abs(ours[[paste0("neg_log10_p_", p)]] - value), 1e-4)
  }
}

# GEMMA's log of the null model: its REML log-likelihood has log|X'X| / 2 = log(n) / 2 more,
# and its ML is that of the kinship centred on the analysed individuals.
expect_null_agreement <- function(scan, folder) {
  log <- readLines(file.path(folder, "output", "scan.log.txt"))
  printed <- function(what) {
    line <- grep(what, log, value = TRUE, fixed = TRUE)[[1L]]
    as.numeric(sub(".*= *", "", line))
  }
  h <- heritability(scan$fit)
  expect_equal(h$estimate, printed("## pve estimate"), tolerance = 2e-6)
  expect_equal(h$se, printed("## se(pve)"), tolerance = 1e-5)
  expect_equal(h$genetic, printed("## vg estimate"), tolerance = 1e-5)
  expect_equal(h$residual, printed("## ve estimate"), tolerance = 1e-5)
  n <- nobs(scan$fit)
  expect_equal(as.numeric(logLik(scan$fit)) + log(n) / 2, printed("## REMLE log-likelihood"),
               tolerance = 1e-5)
  ids <- levels(scan$fit$random$id$factor)
  K <- scan$K[ids, ids]
  centred <- K - rowMeans(K)[row(K)] - colMeans(K)[col(K)] + mean(K)
  frame <- scan$fit$frame
  ml <- lmmfit(y ~ 1 + (1 | id), frame, kinship = list(id = centred), REML = FALSE)
  expect_equal(as.numeric(logLik(ml)), printed("## MLE log-likelihood"), tolerance = 1e-5)
}

test_that("mouse CD8 agrees, without and with covariates", {
  skip_if_no_program("gemma")
  prefix <- mouse_hs1940()
  pheno <- utils::read.table(example_file("mouse_hs1940.pheno.txt.gz"))
  folder <- withr::local_tempdir()
  plain <- scan_with_both(folder, prefix, pheno$V1)
  expect_identical(nrow(plain$ours), 10768L)
  expect_agreement(plain)
  expect_null_agreement(plain, folder)
  expect_equal(heritability(plain$fit)$estimate, 0.609672, tolerance = 1e-6)
  expect_equal(unname(plain$fit$theta)^2, 4.343367, tolerance = 1e-6)

  X <- cbind(mch = pheno$V6, noise = withr::with_seed(1, stats::rnorm(nrow(pheno))))
  adjusted <- scan_with_both(folder, prefix, pheno$V1, X)
  expect_identical(nrow(adjusted$ours), 10758L)
  expect_agreement(adjusted)
})

test_that("HLC agrees, at the lower bound of lambda too", {
  skip_if_no_program("gemma")
  folder <- withr::local_tempdir()
  full <- file.path(folder, "full")
  for (suffix in c(".bed", ".bim", ".fam")) {
    packed <- gzfile(example_file(paste0("HLC", suffix, ".gz")), "rb")
    data <- readBin(packed, "raw", 1e8)
    close(packed)
    writeBin(data, paste0(full, suffix))
  }
  # the first markers of the .bed are the first bytes of the file
  m <- 10000
  prefix <- file.path(folder, "few")
  stride <- ceiling(427 / 4)
  writeBin(readBin(paste0(full, ".bed"), "raw", 3 + m * stride), paste0(prefix, ".bed"))
  writeLines(readLines(paste0(full, ".bim"), m), paste0(prefix, ".bim"))
  file.copy(paste0(full, ".fam"), paste0(prefix, ".fam"))

  pheno <- utils::read.delim(example_file("HLC.simu.pheno.txt.gz"), header = FALSE)
  for (trait in c(1, 6)) {
    y <- as.numeric(pheno[[trait]])
    expect_agreement(scan_with_both(folder, prefix, y))
  }
})
