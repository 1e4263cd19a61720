# Genotypes that are a numeric matrix of samples x SNPs: copies of an allele, or dosages,
# from 0 to 2, with NA where missing.
genotype_matrix <- function(x, arg, call) {
  check_genotype_names(x, arg, call)
  if (length(x) > 0L) check_genotype_range(x, arg, call)
  storage.mode(x) <- "double"
  ids <- as.character(rownames(x))
  none <- rep(NA_character_, nrow(x))
  samples <- data.frame(id = ids, fid = none, iid = ids, father = none, mother = none,
                        sex = rep(0L, nrow(x)), pheno = rep(NA_real_, nrow(x)))
  none <- rep(NA_character_, ncol(x))
  map <- data.frame(chr = none, snp = as.character(colnames(x)), cm = as.numeric(none),
                    pos = as.integer(none), a1 = none, a2 = none)
  new_genotypes("genotype_matrix", samples, map, data = x)
}

check_genotype_names <- function(x, arg, call) {
  # R drops the names of a side without extent
  absent <- function(names, n) {
    n > 0L && (is.null(names) || anyNA(names) || !all(nzchar(names)))
  }
  if (absent(rownames(x), nrow(x))) abort_genotypes_names(arg, "row", call)
  if (absent(colnames(x), ncol(x))) abort_genotypes_names(arg, "column", call)
  if (anyDuplicated(rownames(x))) {
    ids <- unique(rownames(x)[duplicated(rownames(x))])
    abort_genotypes_duplicated(arg, ids, call)
  }
}

check_genotype_range <- function(x, arg, call) {
  range <- suppressWarnings(range(x, na.rm = TRUE))
  if (range[[1L]] >= 0 && range[[2L]] <= 2) return(invisible())
  bad <- which(!is.na(x) & (x < 0 | x > 2), arr.ind = TRUE)
  if (nrow(bad) == 0L) return(invisible())
  first <- bad[1L, ]
  abort_genotypes_range(arg, rownames(x)[[first[[1L]]]], colnames(x)[[first[[2L]]]],
                        x[[first[[1L]], first[[2L]]]], nrow(bad), call)
}
