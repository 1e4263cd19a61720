# Genotypes as they lie in a .bed: four a byte, the first sample in the lowest bits.
bed_bytes <- function(G) {
  code <- ifelse(is.na(G), 1L, c(3L, 2L, 0L)[G + 1L])
  dim(code) <- dim(G)
  code <- rbind(code, matrix(0L, (-nrow(G)) %% 4, ncol(G)))
  quads <- matrix(code, nrow = 4)
  as.raw(c(0x6c, 0x1b, 0x01, colSums(quads * c(1L, 4L, 16L, 64L))))
}

# Writes the three files of G (samples x SNPs, copies of A1) and returns their prefix.
write_test_bed <- function(G, prefix = tempfile("geno"), fid = ids, ids = rownames(G),
                      snps = colnames(G), chr = 1) {
  writeBin(bed_bytes(G), paste0(prefix, ".bed"))
  write_lines(prefix, ".fam", paste(fid, ids, 0, 0, 1, -9))
  write_lines(prefix, ".bim", paste(chr, snps, 0, seq_len(ncol(G)), "A", "G", sep = "\t"))
  prefix
}

write_lines <- function(prefix, suffix, lines, sep = "\n") {
  con <- file(paste0(prefix, suffix), "wb")
  on.exit(close(con))
  writeLines(lines, con, sep = sep)
}

# n x m counts with a share of them missing.
random_genotypes <- function(n, m, missing = 0.05, seed = 1) {
  withr::with_seed(seed, {
    G <- matrix(stats::rbinom(n * m, 2, rep(stats::runif(m, 0.1, 0.9), each = n)), n)
    G[stats::runif(n * m) < missing] <- NA
  })
  storage.mode(G) <- "double"
  dimnames(G) <- list(sprintf("id%03d", seq_len(n)), sprintf("rs%d", seq_len(m)))
  G
}

# The three files of GEMMA's mouse data, with a phenotype that nobody lacks.
mouse_hs1940 <- function(env = parent.frame()) {
  source <- "/usr/share/doc/gemma/example/mouse_hs1940"
  testthat::skip_if_not(file.exists(paste0(source, ".bed.gz")), "GEMMA's example data")
  prefix <- file.path(withr::local_tempdir(.local_envir = env), "mouse")
  for (suffix in c(".bed", ".bim", ".fam")) {
    con <- gzfile(paste0(source, suffix, ".gz"), "rb")
    writeBin(readBin(con, "raw", 1e8), paste0(prefix, suffix))
    close(con)
  }
  fam <- utils::read.table(paste0(prefix, ".fam"), colClasses = "character")
  fam[[6]] <- seq_len(nrow(fam)) / nrow(fam)
  utils::write.table(fam[1:6], paste0(prefix, ".fam"), quote = FALSE, row.names = FALSE,
                     col.names = FALSE)
  prefix
}

# The first n of them, which costs other programs less time.
some_mice <- function(n, env = parent.frame()) {
  prefix <- mouse_hs1940(env)
  suppressMessages(write_bed(read_bed(prefix)[seq_len(n), ], paste0(prefix, n)))
  paste0(prefix, n)
}

skip_if_no_program <- function(name) {
  testthat::skip_on_cran()
  testthat::skip_if(Sys.which(name) == "", paste(name, "is not installed"))
}
