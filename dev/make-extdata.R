# Makes inst/extdata from the heterogeneous stock mice of GEMMA's example data (Debian
# package gemma-doc). Nothing is random: the same input gives the same files.
#
#   Rscript dev/make-extdata.R [directory of mouse_hs1940.*.gz]

source_dir <- c(commandArgs(TRUE), "/usr/share/doc/gemma/example")[[1L]]
target <- file.path("inst", "extdata")
n_phenotyped <- 500L   # with both traits, at least: sibships are kept whole
n_unphenotyped <- 50L  # sibs of theirs without CD8: something to predict
n_markers <- 1200L
peak <- list(chr = "17", from = 30e6, to = 42e6)  # around the MHC, where CD8 maps

# .bed: two bits a genotype, four to a byte from the low end; 00 two copies of A1,
# 10 one, 11 none, 01 missing.
read_genotypes <- function(path, n) {
  bytes <- readBin(path, "raw", file.size(path))
  stopifnot(identical(bytes[1:3], as.raw(c(0x6c, 0x1b, 0x01))))
  bytes <- matrix(as.integer(bytes[-(1:3)]), nrow = ceiling(n / 4))
  copies <- c(2L, NA, 1L, 0L)
  out <- matrix(0L, 4L * nrow(bytes), ncol(bytes))
  for (k in 0:3) {
    rows <- seq(k + 1L, nrow(out), by = 4L)
    out[rows, ] <- copies[bitwAnd(bitwShiftR(bytes, 2L * k), 3L) + 1L]
  }
  out[seq_len(n), , drop = FALSE]
}

write_genotypes <- function(G, path) {
  code <- matrix(0L, 4L * ceiling(nrow(G) / 4), ncol(G))
  code[seq_len(nrow(G)), ] <- c(3L, 2L, 0L)[G + 1L]
  code[seq_len(nrow(G)), ][is.na(G)] <- 1L
  place <- rep_len(c(1L, 4L, 16L, 64L), nrow(code))
  bytes <- colSums(array(code * place, c(4L, nrow(code) / 4L, ncol(code))))
  writeBin(c(as.raw(c(0x6c, 0x1b, 0x01)), as.raw(bytes)), path)
}

# -log10 p of every marker in the mixed model with K = ZZ'/m, tau from the null (P3D).
scan <- function(y, G) {
  Z <- scale(G, scale = FALSE)
  e <- eigen(tcrossprod(Z) / ncol(Z), symmetric = TRUE)
  n <- length(y)
  one <- crossprod(e$vectors, rep(1, n))
  y <- crossprod(e$vectors, y)
  X <- crossprod(e$vectors, Z)
  reml <- function(log_tau) {
    v <- exp(log_tau) * e$values + 1
    xx <- sum(one^2 / v)
    rss <- sum(y^2 / v) - sum(one * y / v)^2 / xx
    (n - 1) * log(rss) + sum(log(v)) + log(xx)
  }
  w <- 1 / sqrt(exp(optimize(reml, c(-8, 8))$minimum) * e$values + 1)
  residual <- function(A) A * w - (one * w) %*% crossprod(one * w, A * w) / sum((one * w)^2)
  y <- residual(y)
  X <- residual(X)
  b <- crossprod(X, y)^2 / colSums(X^2)
  t2 <- drop(b / ((sum(y^2) - b) / (n - 2)))
  -pt(-sqrt(t2), n - 2, log.p = TRUE) / log(10) - log10(2)
}

unzipped <- function(extension) {
  path <- file.path(source_dir, paste0("mouse_hs1940.", extension, ".gz"))
  out <- tempfile()
  writeBin(memDecompress(readBin(path, "raw", file.size(path)), "gzip"), out)
  out
}

fam <- read.table(unzipped("fam"), colClasses = "character", comment.char = "")[1:5]
names(fam) <- c("family", "id", "father", "mother", "sex")
bim <- read.table(unzipped("bim"), colClasses = "character")
names(bim) <- c("chr", "snp", "cm", "bp", "a1", "a2")
bim$bp <- as.integer(bim$bp)
pheno <- read.table(unzipped("pheno.txt"))[c(1L, 6L)]
names(pheno) <- c("cd8", "mch")
G <- read_genotypes(unzipped("bed"), nrow(fam))
stopifnot(ncol(G) == nrow(bim), nrow(pheno) == nrow(fam))

# Mice ----

sibship <- paste(fam$father, fam$mother)
both <- !is.na(pheno$cd8) & !is.na(pheno$mch)
candidates <- unique(sibship[both])
spread <- function(x, size) x[unique(round(seq(1, length(x), length.out = size)))]
for (size in seq_along(candidates)) {
  chosen <- both & sibship %in% spread(candidates, size)
  if (sum(chosen) >= n_phenotyped) break
}
sibs <- which(is.na(pheno$cd8) & !is.na(pheno$mch) & sibship %in% sibship[chosen])
mice <- sort(c(which(chosen), spread(sibs, n_unphenotyped)))

# Markers ----

# Where the position is unknown the .bim has -9; a Manhattan plot has no place for those.
frequency <- colMeans(G[mice, ], na.rm = TRUE) / 2
usable <- which(bim$bp > 0L & pmin(frequency, 1 - frequency) >= 0.05)
in_peak <- usable[bim$chr[usable] == peak$chr & bim$bp[usable] >= peak$from &
                    bim$bp[usable] <= peak$to]

# The usable marker nearest to every multiple of `step` on each chromosome.
evenly <- function(step) {
  by_chr <- split(usable, bim$chr[usable])
  unlist(lapply(by_chr, function(j) {
    grid <- seq(min(bim$bp[j]), max(bim$bp[j]), by = step)
    unique(j[vapply(grid, function(at) which.min(abs(bim$bp[j] - at)), 1L)])
  }))
}
step <- uniroot(function(s) length(union(evenly(s), in_peak)) - n_markers,
                c(5e5, 1e7), tol = 1e3)$root
markers <- sort(union(evenly(step), in_peak))

# Files ----

path <- function(name) file.path(target, name)
tab <- function(x, file) {
  write.table(x, path(file), sep = "\t", quote = FALSE, row.names = FALSE, col.names = FALSE)
}
dir.create(target, recursive = TRUE, showWarnings = FALSE)
write_genotypes(G[mice, markers], path("mouse.bed"))
tab(bim[markers, ], "mouse.bim")
tab(cbind(fam[mice, ], -9), "mouse.fam")
write.csv(data.frame(id = fam$id, signif(pheno, 6))[mice, ], path("mouse_pheno.csv"),
          quote = FALSE, row.names = FALSE)

# Check ----

G <- read_genotypes(path("mouse.bed"), length(mice))
pheno <- read.csv(path("mouse_pheno.csv"))
map <- bim[markers, ]
cat(length(mice), "mice in", length(unique(sibship[mice])), "sibships,",
    length(markers), "markers,", sum(is.na(G)), "genotypes missing\n")
for (trait in c("cd8", "mch")) {
  measured <- !is.na(pheno[[trait]])
  p <- scan(pheno[[trait]][measured], G[measured, ])
  top <- order(-p)[1:5]
  cat(trait, "of", sum(measured), "mice; best markers:\n")
  print(data.frame(map[top, c("chr", "snp", "bp")], log10p = round(p[top], 2)),
        row.names = FALSE)
}
size <- sum(file.size(list.files(target, full.names = TRUE)))
cat("extdata:", size, "bytes\n")
stopifnot(size <= 300 * 1024)
