#' Open BIMBAM mean genotypes
#'
#' Opens a file of GEMMA's `-g`: a line per SNP with its id, two alleles and a dosage for
#' every sample, separated by commas or blanks. Dosages are the expected copies of the first
#' of the two alleles, from 0 to 2; `NA` is missing. There is no header.
#'
#' The file is read once, to find its lines; these are parsed when they are asked for, so
#' that it may be larger than memory. A file that is packed by gzip is unpacked, once a
#' session, to a temporary file, which takes its room on the disk.
#'
#' The file has no ids of samples: without `ids` they are `"1"`, `"2"`, ... in the order
#' of the columns, and everything else must call the samples by these.
#'
#' @param path A string: the path of the file.
#' @param annotation A string: the path of a file with a line per SNP of id, position, and
#'   chromosome (GEMMA's `-a`), or `NULL` (default). Further columns are not read, and SNPs
#'   without a line have no place in the map; lines of other SNPs are ignored.
#' @param ids Ids of the samples in the order of the columns, or `NULL` (default).
#'
#' @return An object of class `c("bimbam", "genotypes")`, see [genotypes] for what can be
#'   done with it, and [read_bed()] for its components. `map$a1` is the first of the two
#'   alleles, whose copies are counted. `offsets` are the places in the file where lines
#'   start.
#'
#' @section Errors:
#' Of class `kinlmm_error_file`: `kinlmm_error_bimbam_missing` (no such file),
#' `kinlmm_error_bimbam_empty`, `kinlmm_error_bimbam_columns` (a line has more or fewer
#' than the first; both have `line`), `kinlmm_error_bimbam_changed` (since it was opened),
#' `kinlmm_error_bimbam_annotation`. When genotypes are read,
#' `kinlmm_error_bimbam_value`: something that is neither a number from 0 to 2 nor `NA`,
#' with its `line` and `column`. `kinlmm_error_argument` and `kinlmm_error_genotypes_names`
#' for `ids` of another length, or repeated.
#'
#' @references
#' Guan Y, Stephens M (2008). Practical issues in imputation-based association mapping.
#' *PLoS Genetics* 4, e1000279. \doi{10.1371/journal.pgen.1000279}
#'
#' Zhou X, Stephens M (2012). Genome-wide efficient mixed-model analysis for association
#' studies. *Nature Genetics* 44, 821-824. \doi{10.1038/ng.2310}
#' @seealso [read_bed()], [read_pgen()].
#' @examples
#' path <- tempfile(fileext = ".txt")
#' writeLines(c("rs1, A, G, 0, 1, 1.5", "rs2, T, C, 2, NA, 0.25"), path)
#' geno <- read_bimbam(path, ids = c("a", "b", "c"))
#' geno
#' as.matrix(geno)
#' @export
read_bimbam <- function(path, annotation = NULL, ids = NULL) {
  call <- rlang::current_env()
  path <- path.expand(check_string(path))
  if (!is.null(annotation)) annotation <- path.expand(check_string(annotation))
  for (one in c(path, annotation)) {
    if (!file.exists(one) || dir.exists(one)) abort_bimbam_missing(one, call)
  }
  path <- normalizePath(path, winslash = "/")
  plain <- unpacked_file(path, call)
  index <- with_progress("Opening genotypes", file.size(plain), function(tick) {
    cpp_bimbam_index(enc2native(plain), tick)
  })
  index <- check_core(index, bimbam_errors(call), call)
  samples <- bimbam_samples(ids, index$samples, call)
  m <- length(index$id)
  text <- lapply(index[c("id", "a1", "a2")], bimbam_text, path, call)
  map <- data.frame(chr = rep(NA_character_, m), snp = text$id, cm = NA_real_,
                    pos = NA_integer_, a1 = text$a1, a2 = text$a2)
  if (!is.null(annotation)) map <- add_annotation(map, annotation, call)
  geno <- new_genotypes("bimbam", samples, map, path = path)
  geno$offsets <- index$offsets
  geno
}

# What the core may say about a BIMBAM file.
bimbam_errors <- function(call) {
  list(
    bimbam_missing = function(data, subject) abort_bimbam_missing(packed_file(subject), call),
    bimbam_empty = function(data, subject) abort_bimbam_empty(packed_file(subject), call),
    bimbam_nul = function(data, subject) {
      abort_text_bytes(packed_file(subject), "bimbam_text", "a NUL byte", data$line, call)
    },
    bimbam_changed = function(data, subject) abort_bimbam_changed(packed_file(subject), call),
    bimbam_columns = function(data, subject) {
      abort_bimbam_columns(packed_file(subject), data$line, data$got, data$expected, call)
    },
    bimbam_value = function(data, subject) {
      line <- bimbam_line(subject, data$start, data$end)
      abort_bimbam_value(packed_file(subject), data$line, data$column,
                         line[[data$column]], line[[1L]], call)
    }
  )
}

# The columns of the line in these bytes of a file.
bimbam_line <- function(path, start, end) {
  con <- file(path, "rb")
  on.exit(close(con))
  seek(con, start)
  bytes <- readBin(con, "raw", end - start)
  line <- bytes[cumsum(bytes == 0x0a) == 0L & bytes != 0L]
  bimbam_columns(trimws(valid_text(rawToChar(line))))[[1L]]
}

bimbam_columns <- function(lines) strsplit(lines, "[ \t\r]*[, \t\r][ \t\r]*")

# Text of BIMBAM, marked as UTF-8.
bimbam_text <- function(x, path, call) {
  bad <- which(!validUTF8(x))
  if (length(bad) > 0L) abort_bimbam_text(path, x[bad], call)
  `Encoding<-`(x, "UTF-8")
}

bimbam_samples <- function(ids, n, call) {
  if (is.null(ids)) ids <- seq_len(n)
  if (!is.atomic(ids) || length(ids) != n || anyNA(ids) || !all(nzchar(ids))) {
    found <- if (!is.atomic(ids) || length(ids) != n) describe(ids) else
      paste(describe(ids), "with missing or empty ones")
    abort_argument("ids", paste0("an id for each of ", n_of(n, "sample"), " in the file"),
                   found, call)
  }
  ids <- id_text(ids)
  if (anyDuplicated(ids)) abort_bimbam_ids(unique(ids[duplicated(ids)]), call)
  none <- rep(NA_character_, n)
  data.frame(id = ids, fid = none, iid = ids, father = none, mother = none,
             sex = rep(0L, n), pheno = rep(NA_real_, n))
}

# Ids, positions and chromosomes, separated by commas or blanks.
add_annotation <- function(map, path, call) {
  check_no_nul(path, "bimbam_annotation", call)
  lines <- readLines(path, warn = FALSE, encoding = "UTF-8")
  bad <- which(!validUTF8(lines))
  if (length(bad) > 0L) {
    abort_text_bytes(path, "bimbam_annotation", "bytes that are not UTF-8", bad[[1L]], call)
  }
  lines <- trimws(lines)
  number <- which(nzchar(lines))
  parts <- bimbam_columns(lines[number])
  bad <- lengths(parts) < 3L
  if (any(bad)) {
    found <- lengths(parts)[bad][[1L]]
    abort_annotation(path, number[bad], "three columns or more", found, call)
  }
  column <- function(k) vapply(parts, `[[`, "", k)
  at <- match(map$snp, column(1L))
  text <- column(2L)
  pos <- suppressWarnings(as.numeric(replace(text, text == "NA", NA)))
  bad <- text != "NA" & !is_position(pos)
  if (any(bad)) {
    abort_annotation(path, number[bad], "a position in column 2",
                     some_of(text[bad][[1L]]), call)
  }
  pos[pos <= 0] <- NA
  map$chr <- replace(column(3L), column(3L) == "NA", NA)[at]
  map$pos <- as.integer(pos)[at]
  map
}

# The path of a file that is not packed: its own, or that of a copy of this session.
unpacked_file <- function(path, call = NULL) {
  if (!file.exists(path)) abort_bimbam_missing(path, call)
  start <- readBin(path, "raw", 2L)
  if (!identical(start, as.raw(c(0x1f, 0x8b)))) return(path)
  info <- file.info(path)
  key <- rlang::hash(list(path, info$size, as.numeric(info$mtime)))
  plain <- file.path(tempdir(), paste0("kinlmm-", key, ".txt"))
  if (!file.exists(plain)) unpack_file(path, plain, call)
  unpacked[[plain]] <- path
  plain
}

# The files that copies of this session were made of, by their paths.
unpacked <- new.env(parent = emptyenv())

# The file that the user knows.
packed_file <- function(path) {
  from <- unpacked[[path]]
  if (is.null(from)) path else from
}

unpack_file <- function(from, to, call) {
  part <- tempfile("unpack-")
  on.exit(unlink(part))
  failed <- tryCatch(unpack_bytes(from, part), error = conditionMessage,
                     warning = conditionMessage)
  if (is.null(failed) && is_cut_off(from, file.size(part))) failed <- "It is cut off."
  if (!is.null(failed)) abort_bimbam_unpack(from, failed, call)
  file.rename(part, to)
}

# Returns NULL, as a loop does.
unpack_bytes <- function(from, to) {
  input <- gzfile(from, "rb")
  on.exit(close(input))
  output <- file(to, "wb")
  on.exit(close(output), add = TRUE)
  while (length(bytes <- readBin(input, "raw", 2^22)) > 0L) writeBin(bytes, output)
}

# Whether a gzip file does not end as it should: its last four bytes are the size of what is
# packed, here `size`, unless it is several such files in a row. R does not say.
is_cut_off <- function(path, size) {
  con <- file(path, "rb")
  on.exit(close(con))
  packed <- file.size(path)
  seek(con, max(0, packed - 4))
  last <- sum(as.numeric(readBin(con, "raw", 4L)) * 256^(0:3))
  if (packed >= 18 && last == size %% 2^32) return(FALSE)
  seek(con, 1)
  before <- raw()
  while (length(bytes <- readBin(con, "raw", 2^22)) > 0L) {
    bytes <- c(before, bytes)
    at <- grepRaw(as.raw(c(0x1f, 0x8b, 0x08)), bytes, all = TRUE, fixed = TRUE)
    flags <- bytes[at[at + 3L <= length(bytes)] + 3L]
    if (any(flags < as.raw(0x20))) return(FALSE)
    before <- utils::tail(bytes, 3L)
  }
  TRUE
}
