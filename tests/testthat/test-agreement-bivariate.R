# GEMMA's multivariate model of CD8 and MCH on its mouse data, its null model alone: the
# association file holds a few markers. GEMMA prints six digits, and its REML log-likelihood
# has log|X'X| / 2 for each trait more.

# Numbers after a line of GEMMA's log.
after <- function(log, what, lines) {
  at <- which(startsWith(log, what))[[1L]]
  as.numeric(unlist(strsplit(trimws(log[at + seq_len(lines)]), "[ \t]+")))
}

test_that("mouse CD8 and MCH agree with GEMMA", {
  skip_if_no_program("gemma")
  prefix <- mouse_hs1940()
  folder <- withr::local_tempdir()
  withr::local_dir(folder)
  withr::local_envvar(OPENBLAS_NUM_THREADS = "2")
  pheno <- "/usr/share/doc/gemma/example/mouse_hs1940.pheno.txt.gz"
  traits <- utils::read.table(pheno)
  utils::write.table(traits, "pheno.txt", row.names = FALSE, col.names = FALSE)
  m <- 20
  few <- file.path(folder, "few")
  writeBin(readBin(paste0(prefix, ".bed"), "raw", 3 + m * 485), paste0(few, ".bed"))
  writeLines(readLines(paste0(prefix, ".bim"), m), paste0(few, ".bim"))
  file.copy(paste0(prefix, ".fam"), paste0(few, ".fam"))
  run <- function(...) {
    expect_identical(system2("gemma", c(...), stdout = FALSE, stderr = FALSE), 0L)
  }
  run("-bfile", prefix, "-p pheno.txt -gk 1 -o k")
  run("-bfile few -p pheno.txt -k output/k.cXX.txt -n 1 6 -lmm 1 -o two")
  log <- sub("^## ", "", readLines("output/two.log.txt"))

  K <- as.matrix(data.table::fread("output/k.cXX.txt", header = FALSE))
  ids <- rownames(read_bed(prefix))
  dimnames(K) <- list(ids, ids)
  data <- data.frame(id = ids, cd8 = traits$V1, mch = traits$V6)
  both <- data[stats::complete.cases(data), ]
  expect_identical(nrow(both), 1197L)
  # as GEMMA does, which changes the intercepts alone
  K <- K[both$id, both$id]
  K <- K - rowMeans(K)[row(K)] - colMeans(K)[col(K)] + mean(K)
  fit <- bivariate(cbind(cd8, mch) ~ 1 + (1 | id), both, list(id = K))
  expect_equal(unname(fit$psi[1:3]), after(log, "REMLE estimate for Vg", 2),
               tolerance = 1e-5)
  expect_equal(unname(fit$psi[4:6]), after(log, "REMLE estimate for Ve", 2),
               tolerance = 1e-5)
  expect_equal(unname(psi_se(fit)[1:3]), after(log, "se(Vg)", 2), tolerance = 1e-5)
  expect_equal(unname(psi_se(fit)[4:6]), after(log, "se(Ve)", 2), tolerance = 1e-5)
  printed <- as.numeric(sub(".*= ", "", grep("^REMLE log-lik", log, value = TRUE)))
  expect_equal(as.numeric(logLik(fit)) + log(1197), printed, tolerance = 3e-6)
  expect_equal(as.vector(fixef(fit)), colMeans(both[2:3]), ignore_attr = TRUE)

  # the manual's, with a kinship of the markers that pass its filters among 1,410 mice
  manual <- c(1.39398, -0.226714, 2.08168, 0.348882, 0.0490525, 0.414433)
  errors <- c(0.156661, 0.136319, 0.235858, 0.0206226, 0.0166233, 0.0266869)
  utils::write.table(data$cd8, "cd8.txt", row.names = FALSE, col.names = FALSE)
  geno <- "/usr/share/doc/gemma/example/mouse_hs1940.geno.txt.gz"
  run("-g", geno, "-p cd8.txt -gk 1 -o manual")
  K <- as.matrix(data.table::fread("output/manual.cXX.txt", header = FALSE))
  dimnames(K) <- list(ids, ids)
  fit <- bivariate(cbind(cd8, mch) ~ 1 + (1 | id), both, list(id = K))
  expect_equal(unname(fit$psi), manual, tolerance = 1e-3)
  expect_equal(unname(psi_se(fit)), errors, tolerance = 1e-3)
  expect_lt(max(abs(fit$psi / manual - 1)), 5e-3)
})
