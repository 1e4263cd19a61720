#' Open PLINK 1 genotypes
#'
#' Opens a `.bed` file with its `.bim` and `.fam`. The two tables are read, the `.bed` is
#' checked (magic bytes, order, exact size) and left where it is: [grm()], [gwas()] and
#' `as.matrix()` read it by blocks of SNPs, so that it may be larger than memory.
#'
#' Columns may be separated by tabs, spaces or both; empty lines and Windows line ends do
#' no harm. Every line must have six columns; a `.fam` may have further phenotypes, which
#' are not read. SNP ids may be repeated, although SNPs that share an id cannot be taken
#' by it; sample ids may not.
#'
#' Samples are known by their individual id. Where families share individual ids, all
#' samples are known by `FID:IID` instead, and a message says so.
#'
#' @param prefix A string: the path that the three files have in common, or that of one of
#'   them.
#'
#' @return An object of class `c("bed", "genotypes")`, see [genotypes] for what can be
#'   done with it. A list with
#'   * `path`: the absolute path of the `.bed`,
#'   * `samples`: a data frame with a row per sample and columns `id`, `fid`, `iid`,
#'     `father`, `mother`, `sex` (1 male, 2 female, 0 unknown) and `pheno` (numbers, with
#'     `NA` for -9 and NA; text if any value is no number),
#'   * `map`: a data frame with a row per SNP and columns `chr`, `snp`, `cm`, `pos` (base
#'     pairs; `NA` where the file has zero or less, which means unknown), `a1` and `a2`;
#'     genotypes count copies of `a1`,
#'   * `sample_index`, `marker_index`: their places in the file,
#'   * `n_file`, `m_file`: the numbers of samples and SNPs in the file.
#'
#' @section Errors:
#' All are of class `kinlmm_error_file`: `kinlmm_error_bed_missing` (one of the three
#' files), `_bed_magic` (not a `.bed`), `_bed_mode` (sample-major, or PLINK 2),
#' `_bed_size` (truncated, or of other samples or SNPs), `_bed_read`, `_bim` and `_fam`
#' (a malformed line or value, with its number).
#'
#' @references
#' Purcell S, Neale B, Todd-Brown K, et al. (2007). PLINK: a tool set for whole-genome
#' association and population-based linkage analyses. *American Journal of Human Genetics*
#' 81, 559-575. \doi{10.1086/519795}
#'
#' @examples
#' prefix <- sub("\\.bed$", "", system.file("extdata", "mouse.bed", package = "kinlmm"))
#' geno <- read_bed(prefix)
#' geno
#' head(geno$map)
#' @export
read_bed <- function(prefix) {
  call <- rlang::current_env()
  stem <- sub("\\.(bed|bim|fam)$", "", path.expand(check_string(prefix)))
  paths <- paste0(stem, c(".bed", ".bim", ".fam"))
  for (path in paths) {
    if (!file.exists(path) || dir.exists(path)) {
      abort_bed_missing(path, files_with_prefix(stem), call)
    }
  }
  map <- read_bim(paths[[2L]], call)
  samples <- read_fam(paths[[3L]], call)
  path <- normalizePath(paths[[1L]], winslash = "/")
  geno <- new_genotypes("bed", samples, map, path = path)
  found <- cpp_bed_check(enc2native(paths[[1L]]), geno$n_file, geno$m_file)
  check_core(found, source_errors(geno, call), call)
  geno
}

# What the core may say about the file of `geno`.
source_errors <- function(geno, call) {
  c(bimbam_errors(call), list(
    bed_missing = function(data, subject) {
      abort_bed_missing(subject, files_with_prefix(sub("\\.bed$", "", subject)), call)
    },
    bed_magic = function(data, subject) {
      abort_bed_magic(subject, c(data$b0, data$b1, data$b2), call)
    },
    bed_mode = function(data, subject) abort_bed_mode(subject, data$mode, call),
    bed_size = function(data, subject) {
      abort_bed_size(subject, data$expected, data$got, geno$n_file, geno$m_file,
                     call)
    },
    bed_read = function(data, subject) abort_bed_read(subject, data$marker + 1, call)
  ))
}

files_with_prefix <- function(stem) {
  names <- list.files(dirname(stem))
  file.path(dirname(stem), names[startsWith(names, paste0(basename(stem), "."))])
}

# .bim and .fam ----

read_bim <- function(path, call) {
  columns <- read_plink_table(path, "bim", call)
  pos <- suppressWarnings(as.numeric(columns[[4L]]))
  whole <- is_position(pos)
  cm <- suppressWarnings(as.numeric(columns[[3L]]))
  complain <- function(bad, k, column, must) {
    lines <- plink_lines(path)[bad]
    abort_bim_number(path, column, must, lines, columns[[k]][bad], call)
  }
  if (!all(whole)) complain(!whole, 4L, "position (column 4)", "a whole number")
  if (!all(is.finite(cm))) {
    complain(!is.finite(cm), 3L, "genetic position (column 3)", "a number")
  }
  pos[pos <= 0] <- NA
  data.frame(chr = columns[[1L]], snp = columns[[2L]], cm = cm, pos = as.integer(pos),
             a1 = columns[[5L]], a2 = columns[[6L]])
}

is_position <- function(x) is.finite(x) & x == round(x) & abs(x) <= .Machine$integer.max

read_fam <- function(path, call) {
  columns <- read_plink_table(path, "fam", call)
  sex <- match(columns[[5L]], c("1", "2"), nomatch = 0L)
  data.frame(id = fam_ids(path, columns[[1L]], columns[[2L]], call),
             fid = columns[[1L]], iid = columns[[2L]], father = columns[[3L]],
             mother = columns[[4L]], sex = sex, pheno = fam_phenotype(columns[[6L]]))
}

fam_ids <- function(path, fid, iid, call) {
  if (!anyDuplicated(iid)) return(iid)
  ids <- paste(fid, iid, sep = ":")
  if (anyDuplicated(ids)) abort_fam_ids(path, unique(ids[duplicated(ids)]), call)
  inform_kinlmm(c(
    "Samples are known as FID:IID, such as {some_of(ids[[1L]])}.",
    "i" = "Families in {.file {path}} share individual ids."
  ), "ids")
  ids
}

fam_phenotype <- function(x) {
  x[x %in% c("-9", "NA", "nan", "NaN")] <- NA
  pheno <- suppressWarnings(as.numeric(x))
  if (any(is.na(pheno) & !is.na(x))) x else pheno
}

# The six columns of a .bim or .fam as text; a .fam may have further phenotypes, which
# are skipped.
read_plink_table <- function(path, kind, call) {
  most <- if (kind == "fam") Inf else 6L
  read_text_columns(path, kind, c(6L, most), call)
}

# Columns of text between blanks, of which `widths` says how many there may be, at most
# six of which are read. fread() drops malformed lines without a word, and takes one
# separator only; scan() after a count of fields is exact, and as fast.
read_text_columns <- function(path, kind, widths, call) {
  check_no_nul(path, kind, call)
  fields <- count_fields(path)
  if (!any(fields > 0L)) abort_plink_empty(path, kind, call)
  usual <- most_frequent(fields[fields > 0L])
  expected <- as.integer(min(max(usual, min(widths)), max(widths)))
  bad <- which(fields != expected & fields > 0L)
  if (length(bad) > 0L) {
    abort_plink_columns(path, kind, bad, fields[bad], expected, call)
  }
  shown <- min(expected, 6L)
  what <- c(rep(list(""), shown), rep(list(NULL), expected - shown))
  scan_text(path, what, kind, call)[seq_len(shown)]
}

# Columns by scan(), marked as UTF-8, below `skip` lines.
scan_text <- function(path, what, kind, call, skip = 0L) {
  columns <- scan(path, what = what, skip = skip, quote = "", comment.char = "",
                  na.strings = character(), multi.line = FALSE, quiet = TRUE)
  read <- lengths(what) > 0L
  for (column in columns[read]) {
    bad <- which(!validUTF8(column))
    if (length(bad) > 0L) {
      lines <- plink_lines(path)
      line <- lines[lines > skip][[bad[[1L]]]]
      abort_text_bytes(path, kind, "bytes that are not UTF-8", line, call)
    }
  }
  columns[read] <- lapply(columns[read], `Encoding<-`, "UTF-8")
  columns
}

# scan() would cut a line at a NUL byte, with a warning.
check_no_nul <- function(path, kind, call) {
  con <- gzfile(path, "rb")
  on.exit(close(con))
  line <- 1
  repeat {
    bytes <- readBin(con, "raw", 1e6)
    if (length(bytes) == 0L) return(invisible())
    at <- which(bytes == 0L)
    if (length(at) > 0L) {
      line <- line + sum(bytes[seq_len(at[[1L]])] == 10L)
      abort_text_bytes(path, kind, "a NUL byte", line, call)
    }
    line <- line + sum(bytes == 10L)
  }
}

most_frequent <- function(x) {
  values <- unique(x)
  values[[which.max(tabulate(match(x, values)))]]
}

# Fields in every line, 0 where it is empty.
count_fields <- function(path) {
  utils::count.fields(path, quote = "", comment.char = "", blank.lines.skip = FALSE)
}

# The numbers of the lines that are not empty.
plink_lines <- function(path) which(count_fields(path) > 0L)
