# Mouse HS1940 as plink takes all of it: no parents, positive positions, and a share of
# genotypes missing, 1 of 40 on average.
mouse_for_plink <- function(env = parent.frame()) {
  prefix <- mouse_hs1940(env)
  fam <- utils::read.table(paste0(prefix, ".fam"), colClasses = "character")
  write_lines(prefix, ".fam", paste(fam[[1L]], fam[[2L]], 0, 0, fam[[5L]], -9))
  bim <- utils::read.table(paste0(prefix, ".bim"), colClasses = "character")
  bim[[4L]] <- seq_len(nrow(bim))
  write_lines(prefix, ".bim", do.call(paste, bim))
  path <- paste0(prefix, ".bed")
  bytes <- as.integer(readBin(path, "raw", 1e8))
  at <- withr::with_seed(1, 3L + sample(length(bytes) - 3L, length(bytes) %/% 10L))
  # the second sample of a byte
  bytes[at] <- bitwOr(bitwAnd(bytes[at], 0xf3L), 0x04L)
  writeBin(as.raw(bytes), path)
  prefix
}

run_program <- function(program, arguments) {
  status <- system2(program, arguments, stdout = FALSE, stderr = FALSE)
  testthat::expect_identical(status, 0L)
}

# A BIMBAM file of counts of the first allele; separators as GEMMA takes them.
write_bimbam <- function(G, path = tempfile(fileext = ".txt"), sep = ", ", a1 = "A",
                         a2 = "G") {
  text <- apply(G, 2L, function(x) paste(format(x, digits = 15, trim = TRUE), collapse = sep))
  writeLines(paste(colnames(G), a1, a2, text, sep = sep), path)
  path
}
