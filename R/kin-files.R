#' Read a relationship matrix from a file
#'
#' Reads what GCTA, GEMMA, PLINK 1.9 and PLINK 2 write, straight into the result: beside
#' it, little memory is needed.
#'
#' * `"gcta"`: `.grm.bin` (32-bit numbers, so about seven digits; little-endian on every
#'   machine) with the ids in `.grm.id` and, if it is there, the numbers of SNPs in
#'   `.grm.N.bin`. Of GCTA and of `plink --make-grm-bin`.
#' * `"gcta-gz"`: `.grm.gz`, lines of two sample numbers, a number of SNPs and the value,
#'   with `.grm.id`. Of GCTA and of `plink --make-grm-gz`.
#' * `"gemma"`: `.cXX.txt` and `.sXX.txt`, text without ids, which `ids` must give. GEMMA
#'   writes one row for every line of the `.fam`, in its order.
#' * `"plink2"`: `.rel`, text, with `.rel.id`. Of `--make-rel`, whole, lower triangle, or
#'   with zeros above the diagonal.
#' * `"plink2-bin"`: `.rel.bin` of 64-bit or 32-bit numbers with `.rel.id`. Of
#'   `--make-rel bin` and `bin4`; the size of the file shows the shape.
#'
#' Text may be compressed by gzip under any of these names. PLINK 2's `zs` (zstd) is not
#' read. Samples are known by their individual id, or by `FID:IID` where families share
#' individual ids, as in [read_bed()].
#'
#' The size of a binary file, and the numbers of lines and fields of text, must be exactly
#' those of the samples. The last line of text must end with a line break, since nothing
#' else shows that its last number is whole.
#'
#' @param path A string: the path of the matrix, or the prefix that its files have in
#'   common.
#' @param format A string: one of those above. The default, `"auto"`, goes by the end of
#'   the name, or by which files are there.
#' @param ids Ids of the samples in the order of the file: a vector, genotypes from
#'   [read_bed()] (not subset), or the path of a `.fam`. Needed for `"gemma"`; otherwise
#'   it replaces the file of ids.
#'
#' @return A relationship matrix as of [grm()]: numeric, symmetric, samples x samples with
#'   their ids as dimnames. Attribute `grm` is a list of `file`, the name of the file. If
#'   numbers of SNPs are in it, attribute `observed` is the matrix of them, or, if all
#'   pairs share one, `m` in `grm` that number.
#'
#' @section Errors:
#' `kinlmm_error_kinship_missing` (no such file), `_kinship_format` (not to be told,
#' ambiguous, or zstd), `_kinship_size` (a binary file of other samples, or truncated) and
#' `_kinship_file` (anything wrong inside: numbers that are none or not finite, lines or
#' fields missing or too many, not symmetric), all below `kinlmm_error_file`;
#' `kinlmm_error_fam` for a malformed file of ids; `kinlmm_error_argument`, which is an
#' `_input`, for unsuitable arguments.
#'
#' @references
#' Yang J, Lee SH, Goddard ME, Visscher PM (2011). GCTA: a tool for genome-wide complex
#' trait analysis. *American Journal of Human Genetics* 88, 76-82.
#' \doi{10.1016/j.ajhg.2010.11.011}
#'
#' @seealso [write_kinship()], [read_eigen()].
#' @examples
#' K <- matrix(c(1, 0.5, 0.5, 1), 2, dimnames = list(c("a", "b"), c("a", "b")))
#' prefix <- tempfile("example")
#' write_kinship(K, prefix, "gcta")
#' read_kinship(prefix)
#' write_kinship(K, prefix, "gemma")
#' read_kinship(paste0(prefix, ".cXX.txt"), ids = c("a", "b"))
#' @export
read_kinship <- function(path, format = c("auto", "gcta", "gcta-gz", "gemma", "plink2",
                                          "plink2-bin"), ids = NULL) {
  call <- rlang::current_env()
  check_string(path)
  format <- check_choice(format, c("auto", names(kinship_endings)))
  at <- locate_kinship(path.expand(path), format, call)
  at$ids <- kinship_file_ids(at, ids, call)
  found <- switch(at$format,
    gcta = read_kinship_gcta(at, call),
    `gcta-gz` = read_kinship_pairs(at, call),
    `plink2-bin` = read_kinship_binary(at, call),
    read_kinship_text(at, call)
  )
  K <- found$K
  # else the attributes would be those of a copy
  found$K <- NULL
  worst <- check_core(cpp_check_symmetry(K), call = call)
  if (worst$difference > 1e-8 * worst$largest) {
    pair <- c(worst$row, worst$column)
    abort_kin_asymmetric(at$path, at$ids[pair], K[rbind(pair, rev(pair))], call)
  }
  if (worst$difference > 0) K <- (K + t(K)) / 2
  observed <- found$observed
  dimnames(K) <- list(at$ids, at$ids)
  note <- list(file = basename(at$path))
  if (length(observed) == 1L && observed > 0) note$m <- observed
  K <- new_kinship(K, note)
  if (is.matrix(observed)) attr(K, "observed") <- structure(observed, dimnames = dimnames(K))
  K
}

# What the names of files end with.
kinship_endings <- list(
  gcta = ".grm.bin", `gcta-gz` = ".grm.gz",
  gemma = c(".cXX.txt", ".sXX.txt", ".cXX.txt.gz", ".sXX.txt.gz"),
  plink2 = c(".rel", ".rel.gz"), `plink2-bin` = ".rel.bin"
)

# The matrix at `path`, a file or a prefix: list of path, format, and the file of ids that
# belongs to it, if there should be one.
locate_kinship <- function(path, format, call) {
  endings <- if (format == "auto") unlist(kinship_endings) else kinship_endings[[format]]
  path <- sub("[.]grm[.](id|N[.]bin)$|[.]rel[.]id$", "", path)
  if (!file.exists(path) || dir.exists(path)) {
    there <- paste0(path, endings)
    there <- there[file.exists(there) & !dir.exists(there)]
    if (length(there) == 0L) abort_kin_missing(path, files_with_prefix(path), call)
    if (length(there) > 1L) abort_kin_ambiguous(path, basename(there), call)
    path <- there
  }
  ending <- endings[endsWith(path, endings)]
  if (length(ending) == 0L && format == "auto") {
    check_not_zstd(path, call)
    abort_kin_format(path, call)
  }
  if (format == "auto") format <- kinship_format(ending)
  list(path = path, format = format, id_path = kinship_id_path(path, ending))
}

kinship_format <- function(ending) {
  names(kinship_endings)[vapply(kinship_endings, function(own) ending %in% own, NA)]
}

# NULL if the file is not named as usual.
kinship_id_path <- function(path, ending) {
  if (length(ending) == 0L) return(NULL)
  stem <- substr(path, 1L, nchar(path) - nchar(ending))
  if (startsWith(ending, ".grm")) return(paste0(stem, ".grm.id"))
  if (startsWith(ending, ".rel")) paste0(stem, ".rel.id")
}

# Ids ----

kinship_file_ids <- function(at, ids, call) {
  if (!is.null(ids)) return(given_ids(ids, call))
  if (is.null(at$id_path)) abort_kin_ids(at$path, at$format, call)
  if (!file.exists(at$id_path) || dir.exists(at$id_path)) {
    abort_kin_id_file(at$path, at$id_path, call)
  }
  read_id_file(at$id_path, call)
}

# Ids as users give them: a vector, genotypes or a .fam.
given_ids <- function(ids, call) {
  if (inherits(ids, "genotypes")) return(sample_ids(ids))
  if (is.character(ids) && length(ids) == 1L && grepl("[.]fam$", ids)) {
    if (!file.exists(ids)) abort_kin_missing(ids, character(), call)
    return(read_fam(path.expand(ids), call)$id)
  }
  whole <- is.numeric(ids) && all(is.finite(ids)) && all(ids == round(ids))
  if (is.factor(ids) || whole) ids <- id_text(ids)
  good <- is.character(ids) && length(ids) > 0L && !anyNA(ids) && all(nzchar(ids)) &&
    all(validUTF8(ids)) && !anyDuplicated(ids)
  if (!good) {
    abort_argument("ids", "unique ids in a vector, genotypes, or the path of a .fam",
                   describe_ids(ids), call)
  }
  ids
}

describe_ids <- function(ids) {
  twice <- if (is.character(ids)) unique(ids[duplicated(ids)])
  if (length(twice) == 0L) return(describe(ids))
  paste0(describe(ids), " with ", some_of(twice), " more than once")
}

# FID and IID, or IID alone, below PLINK 2's header or without one; a third column, of
# PLINK 2's SID, is not used.
read_id_file <- function(path, call) {
  columns <- read_text_columns(path, "fam", c(1L, 3L), call)
  header <- vapply(columns, function(column) column[[1L]], "")
  headed <- header[[1L]] %in% c("#FID", "#IID")
  if (headed) columns <- lapply(columns, function(column) column[-1L])
  if (length(columns[[1L]]) == 0L) abort_plink_empty(path, "fam", call)
  single <- length(columns) == 1L || identical(header[[1L]], "#IID")
  if (!single) return(fam_ids(path, columns[[1L]], columns[[2L]], call))
  iid <- columns[[1L]]
  if (anyDuplicated(iid)) abort_fam_ids(path, unique(iid[duplicated(iid)]), call)
  iid
}

# Formats ----

read_kinship_gcta <- function(at, call) {
  found <- read_kinship_binary(at, call)
  path <- sub("[.]bin$", ".N.bin", at$path)
  if (!grepl("[.]bin$", at$path) || !file.exists(path)) return(found)
  n <- length(at$ids)
  check_kinship_size(path, n, c(triangle4 = 4 * n * (n + 1) / 2), call)
  observed <- read_through(path, n, TRUE, function(pull, tick) {
    cpp_counts_read(pull, n, tick)
  }, at$ids, call)
  c(found, observed)
}

# Which layout it is, and of how many bytes a number, shows in the size of the file.
read_kinship_binary <- function(at, call) {
  n <- length(at$ids)
  sizes <- c(triangle8 = 8 * n * (n + 1) / 2, triangle4 = 4 * n * (n + 1) / 2,
             square8 = 8 * n^2, square4 = 4 * n^2)
  sizes <- if (at$format == "gcta") sizes["triangle4"] else sizes
  layout <- check_kinship_size(at$path, n, sizes, call)
  read_through(at$path, n, TRUE, function(pull, tick) {
    width <- if (endsWith(layout, "8")) 8L else 4L
    cpp_kinship_read(pull, n, startsWith(layout, "triangle"), width, tick)
  }, at$ids, call)
}

read_kinship_text <- function(at, call) {
  n <- length(at$ids)
  read_through(at$path, n, FALSE, function(pull, tick) {
    cpp_text_matrix_read(pull, n, n, TRUE, tick)
  }, at$ids, call)
}

read_kinship_pairs <- function(at, call) {
  n <- length(at$ids)
  read_through(at$path, n, FALSE, function(pull, tick) {
    cpp_pairs_read(pull, n, tick)
  }, at$ids, call)
}

# The name of the size, of those that a file of n samples may have, that this one has.
check_kinship_size <- function(path, n, sizes, call) {
  got <- file.size(path)
  if (!got %in% sizes) abort_kin_size(path, got, n, sizes, call)
  names(sizes)[match(got, sizes)]
}

# read(pull, tick), where pull(count) gives the next bytes of a file, decompressed unless
# it is binary. What R has to say of a broken file is an error of ours.
read_through <- function(path, n, binary, read, ids, call) {
  if (!binary) check_not_zstd(path, call)
  con <- NULL
  on.exit(if (!is.null(con)) close(con))
  failed <- function(e) abort_kin_read(path, conditionMessage(e), call)
  result <- tryCatch({
    con <- if (binary) file(path, "rb") else gzfile(path, "rb")
    with_progress("Reading relationships", n, function(tick) {
      read(function(count) readBin(con, "raw", count), tick)
    })
  }, error = failed, warning = failed)
  check_core(result, kinship_file_errors(path, ids, call), call)
}

check_not_zstd <- function(path, call) {
  if (identical(readBin(path, "raw", 4L), as.raw(c(0x28, 0xb5, 0x2f, 0xfd)))) {
    abort_kin_zstd(path, call)
  }
}

# What the core may say about a file of a relationship matrix.
kinship_file_errors <- function(path, ids, call) {
  list(
    kin_short = function(data, subject) abort_kin_read(path, "It ends too early.", call),
    kin_value = function(data, subject) abort_kin_value(path, ids, data, call),
    kin_count = function(data, subject) abort_kin_count(path, ids, data, call),
    kin_fields = function(data, subject) abort_kin_fields(path, data, length(ids), call),
    kin_rows = function(data, subject) abort_kin_rows(path, data, length(ids), call),
    kin_pair = function(data, subject) abort_kin_pair(path, data, length(ids), call),
    text_number = function(data, subject) abort_kin_number(path, data, subject, call),
    text_end = function(data, subject) abort_kin_end(path, data$line, call)
  )
}
