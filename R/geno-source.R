#' Genotypes
#'
#' What [read_bed()], [read_pgen()] and [read_bimbam()] return, and what [grm()] and
#' [gwas()] take: a table of samples, a map of SNPs, and the place of the genotypes. It is
#' subset like a matrix, which reads nothing; `as.matrix()` reads. A numeric matrix with sample ids as row names and SNP ids
#' as column names is taken wherever such an object is.
#'
#' @param x An object of class `genotypes`.
#' @param i,j Samples and SNPs to keep: ids, numbers (negative ones leave out), or logical
#'   values. Any order; all if left out. A sample can be taken only once, since everything
#'   is matched by its id.
#' @param drop Ignored: the result is always of class `genotypes`.
#' @param ... Ignored.
#'
#' @return
#' `x[i, j]`: an object of the class of `x`.
#'
#' `as.matrix(x)`: a numeric matrix of samples x SNPs with their ids as dimnames: copies
#' of allele A1 (0, 1 or 2, or dosages between), `NA` where missing. It takes 8 bytes a
#' genotype.
#'
#' `dim(x)` and `dimnames(x)`: those of that matrix. `print(x)`: `x`, invisibly.
#'
#' @section Errors:
#' `kinlmm_error_genotype_index` (below `kinlmm_error_input`) for ids that are unknown or
#' belong to several SNPs, numbers out of range and repeated samples; it holds `ids`.
#'
#' @examples
#' prefix <- sub("\\.bed$", "", system.file("extdata", "mouse.bed", package = "kinlmm"))
#' geno <- read_bed(prefix)
#' dim(geno)
#' few <- geno[1:5, geno$map$chr == "1"]
#' few
#' as.matrix(few[, 1:4])
#' @name genotypes
NULL

# The contract: a list of class c(type, "genotypes"). What is stored (`path` of a "bed",
# "pgen" or "bimbam", `data` of a "genotype_matrix") holds n_file samples and m_file
# markers; of these, sample_index and marker_index (1-based) are selected, in this order, and `samples` and
# `map` describe exactly them. samples$id is unique.
new_genotypes <- function(type, samples, map, path = NULL, data = NULL) {
  n <- nrow(samples)
  m <- nrow(map)
  structure(
    list(path = path, data = data, samples = samples, map = map,
         sample_index = seq_len(n), marker_index = seq_len(m), n_file = n, m_file = m),
    class = c(type, "genotypes")
  )
}

# What open_source() of src/geno_source.h needs.
core_source <- function(geno) {
  of <- switch(class(geno)[[1L]],
    genotype_matrix = list(type = "matrix", data = geno$data),
    pgen = list(type = "function", read = pgen_reader(geno)),
    bimbam = list(type = "bimbam", offsets = geno$offsets,
                  path = enc2native(unpacked_file(geno$path))),
    list(type = "bed", path = enc2native(geno$path))
  )
  c(of, list(n_file = geno$n_file, m_file = geno$m_file,
             sample_index0 = geno$sample_index - 1L,
             marker_index0 = geno$marker_index - 1L))
}

sample_ids <- function(geno) geno$samples$id

snp_ids <- function(geno) geno$map$snp

# Genotypes of all samples at `markers` (numbers): n x length(markers), with dimnames.
geno_block <- function(geno, markers, call = rlang::caller_env()) {
  source <- core_source(geno)
  source$marker_index0 <- source$marker_index0[markers]
  result <- cpp_geno_read(source, n_threads(call))
  block <- check_core(result, source_errors(geno, call), call)$genotypes
  dimnames(block) <- list(sample_ids(geno), snp_ids(geno)[markers])
  block
}

# Genotypes from whatever a user may pass for them.
as_genotypes <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (missing(x)) abort_argument(arg, "given", "missing", call)
  if (inherits(x, "genotypes")) return(x)
  if (is.matrix(x) && is.numeric(x)) return(genotype_matrix(x, arg, call))
  abort_argument(arg, "genotypes, as from read_bed(), or a numeric matrix of samples x SNPs",
                 describe(x), call)
}

# Methods ----

#' @rdname genotypes
#' @export
`[.genotypes` <- function(x, i, j, drop = FALSE) {
  call <- rlang::current_env()
  if (nargs() != 4L - missing(drop)) abort_genotype_one_index(call)
  if (!missing(i)) {
    rows <- resolve_index(i, sample_ids(x), "sample", call)
    if (anyDuplicated(rows)) {
      abort_genotype_repeated(sample_ids(x)[unique(rows[duplicated(rows)])], call)
    }
    x$samples <- take_rows(x$samples, rows)
    x$sample_index <- x$sample_index[rows]
  }
  if (!missing(j)) {
    columns <- resolve_index(j, snp_ids(x), "SNP", call)
    x$map <- take_rows(x$map, columns)
    x$marker_index <- x$marker_index[columns]
    # of simulate_genotypes()
    frequency <- attr(x, "frequency")
    if (!is.null(frequency)) attr(x, "frequency") <- frequency[, columns, drop = FALSE]
  }
  x
}

#' @rdname genotypes
#' @export
as.matrix.genotypes <- function(x, ...) {
  geno_block(x, seq_len(ncol(x)), rlang::current_env())
}

#' @rdname genotypes
#' @export
dim.genotypes <- function(x) c(nrow(x$samples), nrow(x$map))

#' @rdname genotypes
#' @export
dimnames.genotypes <- function(x) list(sample_ids(x), snp_ids(x))

#' @rdname genotypes
#' @export
print.genotypes <- function(x, ...) {
  n <- nrow(x)
  m <- ncol(x)
  of <- function(k, file, what) {
    paste0(if (k < file) paste(count(k), "of "), n_of(file, what))
  }
  size <- format(structure(8 * n * m, class = "object_size"), units = "auto",
                 standard = "SI")
  chromosomes <- chromosome_ranges(x$map$chr)
  cat("Genotypes: ", of(n, x$n_file, "sample"), " x ", of(m, x$m_file, "SNP"), "\n", sep = "")
  cat("  from:        ", if (is.null(x$path)) "a matrix" else x$path, "\n", sep = "")
  if (nzchar(chromosomes)) cat("  chromosomes: ", chromosomes, "\n", sep = "")
  cat("  as a matrix: ", size, "\n", sep = "")
  invisible(x)
}

# Indices ----

# `index` (ids, numbers, logical) into `ids` as positive whole numbers.
resolve_index <- function(index, ids, what, call) {
  if (is.factor(index)) index <- as.character(index)
  if (is.character(index)) return(resolve_ids(index, ids, what, call))
  if (is.logical(index)) {
    if (length(index) != length(ids) || anyNA(index)) {
      must <- paste0("as long as there are ", what, "s, ", count(length(ids)),
                     ", if logical, and not missing")
      abort_genotype_index(what, must, describe_index(index), call)
    }
    return(which(index))
  }
  if (!is.numeric(index)) {
    abort_genotype_index(what, "ids, numbers or logical", describe(index), call)
  }
  good <- is.finite(index) & index == round(index) & abs(index) >= 1 &
    abs(index) <= length(ids)
  if (!all(good)) {
    must <- paste("whole numbers from 1 to", count(length(ids)))
    abort_genotype_index(what, must, some_of(index[!good], quote = FALSE), call)
  }
  if (any(index < 0) && any(index > 0)) {
    abort_genotype_index(what, "all positive or all negative", "a mixture of both", call)
  }
  seq_along(ids)[index]
}

resolve_ids <- function(index, ids, what, call) {
  place <- match(index, ids)
  if (anyNA(place)) {
    unknown <- unique(index[is.na(place)])
    abort_genotype_ids(what, unknown, utils::head(ids, 2L), call)
  }
  ambiguous <- unique(index[index %in% ids[duplicated(ids)]])
  if (length(ambiguous) > 0L) abort_genotype_ambiguous(what, ambiguous, call)
  place
}

describe_index <- function(index) {
  paste0(describe(index), if (anyNA(index)) paste0(" with ", sum(is.na(index)), " NA"))
}

take_rows <- function(table, rows) {
  table <- table[rows, , drop = FALSE]
  rownames(table) <- NULL
  table
}

# c("1", "2", "3", "X") as "1-3, X".
chromosome_ranges <- function(chr) {
  chr <- unique(chr[!is.na(chr)])
  number <- suppressWarnings(as.integer(chr))
  whole <- sort(number[!is.na(number)])
  runs <- split(whole, cumsum(c(0L, diff(whole) != 1L))[seq_along(whole)])
  runs <- vapply(runs, function(run) paste(unique(range(run)), collapse = "-"), "")
  paste(c(runs, sort(chr[is.na(number)])), collapse = ", ")
}

#' @export
t.genotypes <- function(x) abort_genotypes_operation("transposed", rlang::current_env())

#' @export
`[<-.genotypes` <- function(x, i, j, value) {
  abort_genotypes_operation("changed", rlang::current_env())
}
