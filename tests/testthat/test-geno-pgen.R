skip_if_no_pgen <- function() {
  skip_if_not_installed("pgenlibr")
}

# Writes counts of ALT as a .pgen, with its tables.
write_pgen <- function(G, prefix = tempfile("geno"), pvar = NULL, psam = NULL, chr = 1) {
  n <- nrow(G)
  m <- ncol(G)
  dosage <- any(G != round(G), na.rm = TRUE)
  out <- pgenlibr::NewPgenWriter(paste0(prefix, ".pgen"), n, m, dosage_present = dosage)
  append <- if (dosage) pgenlibr::AppendDosages else pgenlibr::AppendBiallelic
  for (j in seq_len(m)) append(out, unname(G[, j]))
  pgenlibr::ClosePgenWriter(out)
  if (is.null(pvar)) {
    pvar <- c("##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT",
              paste(chr, seq_len(m), colnames(G), "G", "A", sep = "\t"))
  }
  if (is.null(psam)) psam <- c("#IID\tSEX", paste(rownames(G), 1, sep = "\t"))
  write_lines(prefix, ".pvar", pvar)
  write_lines(prefix, ".psam", psam)
  prefix
}

test_that("read_pgen() reads what was written", {
  skip_if_no_pgen()
  G <- random_genotypes(11, 20, missing = 0.2)
  geno <- read_pgen(write_pgen(G))
  expect_s3_class(geno, c("pgen", "genotypes"), exact = TRUE)
  expect_identical(as.matrix(geno), G)
  expect_identical(as.matrix(read_pgen(geno$path, dosages = FALSE)), G)
  expect_identical(geno$map$a1, rep("A", 20))
  expect_identical(geno$map$a2, rep("G", 20))
  expect_identical(geno$map$pos, 1:20)
  expect_identical(geno$samples$sex, rep(1L, 11))
  expect_identical(as.matrix(unserialize(serialize(geno, NULL))), G)
})

test_that("random subsets agree with those of the matrix", {
  skip_if_no_pgen()
  G <- random_genotypes(13, 40)
  geno <- read_pgen(write_pgen(G))
  withr::local_seed(2)
  for (k in 1:10) {
    i <- sample(13, sample(13, 1))
    j <- sample(40, sample(60, 1), replace = TRUE)
    expect_identical(as.matrix(geno[i, j]), G[i, j, drop = FALSE])
    expect_equal(as.data.frame(snp_stats(geno[i, j]))[-(1:5)],
                 as.data.frame(snp_stats(G[i, j, drop = FALSE]))[-(1:5)])
  }
  expect_identical(dim(as.matrix(geno[integer(), ])), c(0L, 40L))
  expect_identical(dim(as.matrix(geno[, integer()])), c(13L, 0L))
})

test_that("dosages are read, or the hard calls", {
  skip_if_no_pgen()
  G <- random_genotypes(30, 8, missing = 0.1)
  G[2, 3] <- 0.125
  G[3, 3] <- 1.75
  prefix <- write_pgen(G)
  expect_equal(as.matrix(read_pgen(prefix)), G, tolerance = 1e-4)
  hard <- as.matrix(read_pgen(prefix, dosages = FALSE))
  expect_true(all(hard %in% c(0, 1, 2, NA)))
  s <- snp_stats(read_pgen(prefix))
  expect_identical(is.na(s$hwe), seq_len(8) == 3)
})

test_that("tables may have all columns that PLINK writes, or be a .bim and a .fam", {
  skip_if_no_pgen()
  G <- random_genotypes(3, 2, missing = 0)
  pvar <- c("##contig=<ID=X>", "#CHROM POS ID REF ALT QUAL FILTER INFO CM",
            "X 0 rs1 G A . PASS A=1;B=2 0.5", "2\t7\trs2\tT\t.\t10\tPASS\t.\t1e-3")
  psam <- c("#FID IID SID PAT MAT SEX PHENO1 age", "f 1 s 0 0 2 NA 30", "f 2 s 1 0 M 1.5 31",
            "g 3 s 0 0 NA -9 32")
  geno <- read_pgen(write_pgen(G, pvar = pvar, psam = psam))
  expect_identical(geno$map, data.frame(
    chr = c("X", "2"), snp = c("rs1", "rs2"), cm = c(0.5, 0.001), pos = c(NA, 7L),
    a1 = c("A", "0"), a2 = c("G", "T")
  ))
  expect_identical(geno$samples, data.frame(
    id = c("1", "2", "3"), fid = c("f", "f", "g"), iid = c("1", "2", "3"),
    father = c("0", "1", "0"), mother = "0", sex = c(2L, 1L, 0L), pheno = c(NA, 1.5, NA)
  ))
  prefix <- write_pgen(G)
  unlink(paste0(prefix, c(".pvar", ".psam")))
  write_lines(prefix, ".bim", c("1 rs1 0 5 A G", "1 rs2 0 6 C T"))
  write_lines(prefix, ".fam", paste("f", 1:3, 0, 0, 1, -9))
  geno <- read_pgen(prefix)
  expect_identical(geno$map$a1, c("A", "C"))
  expect_identical(unname(as.matrix(geno)), unname(G))
  # without a line of names
  plain <- write_pgen(G, pvar = c("1 rs1 0 5 A G", "1 rs2 0 6 C T"),
                      psam = paste("f", 1:3, 0, 0, 1, -9))
  expect_identical(read_pgen(plain)$map, geno$map)
  expect_identical(read_pgen(plain)$samples, geno$samples)
})

test_that("what is wrong with the files is said", {
  skip_if_no_pgen()
  G <- random_genotypes(3, 2, missing = 0)
  header <- "#CHROM POS ID REF ALT"
  try_pvar <- function(...) {
    tryCatch(read_pgen(write_pgen(G, pvar = c(...))), kinlmm_error = identity)
  }
  error <- try_pvar(header, "1 1 rs1 A C,G", "1 2 rs2 A C")
  expect_s3_class(error, "kinlmm_error_pvar")
  expect_identical(error$snps, "rs1")
  error <- try_pvar(header, "1 1 rs1 A C", "1 2 rs2 A")
  expect_s3_class(error, "kinlmm_error_pvar")
  expect_identical(error$lines, 3L)
  expect_s3_class(try_pvar(header, "1 x rs1 A C", "1 2 rs2 A C"), "kinlmm_error_pvar")
  expect_s3_class(try_pvar("#CHROM POS ID", "1 1 rs1"), "kinlmm_error_pvar")
  cm <- paste(header, "CM")
  expect_match(conditionMessage(try_pvar(cm, "1 1 rs1 A C 0", "1 2 rs2 A C x")),
               "genetic position.*\"x\" of \"rs2\"")
  expect_identical(try_pvar(cm, "1 1 rs1 A C .", "1 2 rs2 A C 0.5")$map$cm, c(NA, 0.5))
  expect_s3_class(try_pvar(header), "kinlmm_error_pvar")
  error <- try_pvar(header, "1 1 rs1 A C")
  expect_s3_class(error, "kinlmm_error_pgen_size")
  expect_equal(unname(error$found), c(3, 2))
  no_ids <- write_pgen(G, psam = c("#FID SEX", "1 1", "2 1", "3 1"))
  expect_error(read_pgen(no_ids), class = "kinlmm_error_psam")
  no_ids <- write_pgen(G, psam = c("#FID IIDS", "1 1", "2 1", "3 1"))
  expect_error(read_pgen(no_ids), class = "kinlmm_error_psam")
  same <- write_pgen(G, psam = c("#IID", "1", "2", "1"))
  expect_error(read_pgen(same), class = "kinlmm_error_fam")

  prefix <- write_pgen(G)
  geno <- read_pgen(prefix)
  writeBin(raw(10), paste0(prefix, ".pgen"))
  expect_error(read_pgen(prefix), class = "kinlmm_error_pgen_read")
  for (verb in list(as.matrix, snp_stats, sample_stats, grm)) {
    expect_error(suppressMessages(verb(geno)), class = "kinlmm_error_pgen_read")
  }
  unlink(paste0(prefix, ".psam"))
  file.create(paste0(prefix, ".psam.zst"))
  expect_error(read_pgen(prefix), "zst-decompress", class = "kinlmm_error_pgen_missing")
  expect_error(read_pgen("nothing"), class = "kinlmm_error_pgen_missing")
  expect_error(read_pgen(prefix, dosages = NA), class = "kinlmm_error_argument")
})

test_that("tables that are no text are an error", {
  path <- withr::local_tempfile()
  put <- function(text, bytes) {
    parts <- strsplit(text, "@", fixed = TRUE)[[1]]
    writeBin(c(charToRaw(parts[[1]]), as.raw(bytes), charToRaw(parts[[2]])), path)
  }
  for (bytes in c(0, 0xe9)) {
    put("#IID SEX\na 1\nb@ 2\n", bytes)
    error <- expect_error(read_psam(path, NULL), "Line 3 has", class = "kinlmm_error_psam")
    put("#IID S@EX\na 1\n", bytes)
    expect_error(read_psam(path, NULL), "Line 1 has", class = "kinlmm_error_psam")
    put("##x\n#CHROM POS ID REF ALT\n1 1 rs1 @A C\n", bytes)
    expect_error(read_pvar(path, NULL), "Line 3 has", class = "kinlmm_error_pvar")
  }
  put("#IID SEX\na 1\nb@ 2", c(0xc3, 0xa9))
  expect_identical(read_psam(path, NULL)$id, c("a", "b\u00e9"))
})

test_that("the messages read well", {
  skip_if_no_pgen()
  withr::local_dir(withr::local_tempdir())
  G <- random_genotypes(3, 2, missing = 0)
  header <- "#CHROM POS ID REF ALT"
  write_pgen(G, "a", pvar = c(header, "1 1 rs1 A C,G", "1 2 rs2 A C"))
  write_pgen(G, "b", pvar = c(header, "1 1 rs1 A C"))
  write_pgen(G, "c", pvar = c("#CHROM POS ID", "1 1 rs1"))
  expect_snapshot(error = TRUE, {
    read_pgen("a")
    read_pgen("b")
    read_pgen("c")
    read_pgen("d")
  })
})

test_that("without the package there is an error that names it", {
  expect_error(need_package("no.such.package", "read_pgen()", NULL), "no.such.package",
               class = "kinlmm_error_package")
})

test_that("the mouse as plink2 writes it is that of its .bed", {
  skip_if_no_program("plink2")
  skip_if_no_pgen()
  prefix <- mouse_for_plink()
  run_program("plink2", c("--bfile", prefix, "--make-pgen", "--out", prefix))
  bed <- read_bed(prefix)
  pgen <- read_pgen(prefix)
  expect_identical(pgen$map[c("chr", "snp", "pos", "a1", "a2")],
                   bed$map[c("chr", "snp", "pos", "a1", "a2")])
  expect_identical(as.data.frame(snp_stats(pgen)), as.data.frame(snp_stats(bed)))
  some <- c(1:300, 12226:12000)
  expect_identical(as.matrix(pgen[1940:1000, some]), as.matrix(bed[1940:1000, some]))
  expect_identical(sample_stats(pgen), sample_stats(bed))
})

test_that("kinships and scans do not depend on the kind of file", {
  skip_if_no_pgen()
  data <- simulate_scan(q = 60, m = 40, missing = 0.03)
  sources <- list(matrix = data$G, bed = read_bed(write_test_bed(data$G)),
                  pgen = read_pgen(write_pgen(data$G)),
                  bimbam = read_bimbam(write_bimbam(data$G), ids = rownames(data$G)))
  K <- lapply(sources, function(geno) suppressMessages(grm(geno)))
  fit <- suppressMessages(scan_fit(data$y, data$K))
  columns <- c("snp", "n", "eaf", "beta", "se", "lambda", "p_wald", "p_lrt", "p_score",
               "reason")
  hits <- lapply(sources, function(geno) as.data.frame(gwas(fit, geno))[columns])
  rotated <- as_genotypes(sources$pgen)[60:1, ]
  for (one in names(sources)[-1]) {
    expect_equal(K[[one]], K$matrix, tolerance = 1e-14)
    expect_equal(hits[[one]], hits$matrix, tolerance = 1e-12)
    folder <- withr::local_tempdir()
    copy <- read_bed(write_bed(sources[[one]], file.path(folder, "copy")))
    expect_identical(as.matrix(copy), data$G)
  }
  expect_equal(as.data.frame(gwas(fit, rotated))[columns], hits$matrix, tolerance = 1e-12)
})
