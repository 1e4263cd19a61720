#' Write a relationship matrix to files
#'
#' Writes the formats of [read_kinship()], from which the same matrix comes back: exactly
#' where numbers are text or of 64 bits, and rounded to 32 bits (about seven digits) in
#' `"gcta"`.
#'
#' * `"gcta"`: `.grm.bin`, `.grm.id` and, if the numbers of SNPs are known, `.grm.N.bin`.
#' * `"gcta-gz"`: `.grm.gz` and `.grm.id`; the number of SNPs is 0 if it is not known.
#' * `"gemma"`: `.cXX.txt`, or `.sXX.txt` of a standardized matrix of [grm()]. It holds no
#'   ids: GEMMA takes row i for line i of the `.fam`, so that `K` should be in that order.
#' * `"plink2"`: `.rel`, the lower triangle as text, and `.rel.id`.
#' * `"plink2-bin"`: `.rel.bin`, all of it in 64-bit numbers, and `.rel.id`.
#'
#' Files get their names once they are complete, and replace what was there. A
#' `.grm.N.bin` of another matrix does not stay behind.
#'
#' @param K A relationship matrix, of [grm()] or any symmetric numeric matrix with the ids
#'   as row and column names.
#' @param prefix A string: the path that the files have in common.
#' @param format A string: one of those above.
#' @param samples Where the family and individual ids of the files come from: genotypes
#'   from [read_bed()], or the path of a `.fam`. If left out, both are the id. GCTA and
#'   PLINK match by both.
#'
#' @return `prefix`, invisibly.
#'
#' @section Errors:
#' `kinlmm_error_kinship_write` (a `kinlmm_error_file`) if the files cannot be written, or
#' ids are empty or have white space; those of a matrix that is not symmetric, finite or
#' named, as in [lmmfit()].
#' @inherit read_kinship references
#' @seealso [read_kinship()], [write_eigen()].
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' K <- grm(geno)
#' prefix <- write_kinship(K, tempfile("mouse"), samples = geno)
#' all.equal(read_kinship(prefix), K, tolerance = 1e-6, check.attributes = FALSE)
#' @export
write_kinship <- function(K, prefix, format = c("gcta", "gcta-gz", "gemma", "plink2",
                                                "plink2-bin"), samples = NULL) {
  call <- rlang::current_env()
  format <- check_choice(format, names(kinship_endings))
  prefix <- path.expand(check_string(prefix))
  note <- attr(K, "grm")
  observed <- pair_counts(K)
  K <- check_kinship_written(K, call)
  ids <- id_columns(rownames(K), samples, call)
  write <- switch(format,
    gcta = gcta_files(K, observed),
    `gcta-gz` = list(.grm.gz = function(push, tick) {
      cpp_pairs_write(K, as.matrix(if (is.null(observed)) 0 else observed), push, tick)
    }),
    gemma = list(function(push, tick) cpp_text_matrix_write(K, FALSE, push, tick)),
    plink2 = list(.rel = function(push, tick) cpp_text_matrix_write(K, TRUE, push, tick)),
    list(.rel.bin = function(push, tick) cpp_kinship_write(K, FALSE, 8L, push, tick))
  )
  if (format == "gemma") {
    names(write) <- if (identical(note$method, "standardized")) ".sXX.txt" else ".cXX.txt"
  } else {
    header <- if (startsWith(format, "plink2")) "#FID\tIID"
    suffix <- if (startsWith(format, "gcta")) ".grm.id" else ".rel.id"
    write[[suffix]] <- function(push, tick) {
      push(text_bytes(c(header, paste(ids$fid, ids$iid, sep = "\t"))))
    }
  }
  write_parts(prefix, write, nrow(K), call)
  if (format == "gcta" && is.null(observed)) unlink(paste0(prefix, ".grm.N.bin"))
  invisible(prefix)
}

# Numbers of SNPs per pair: a matrix, a number, or NULL if they are not known.
pair_counts <- function(K) {
  observed <- attr(K, "observed")
  if (is.matrix(observed) && identical(dim(observed), dim(K))) {
    storage.mode(observed) <- "double"
    return(observed)
  }
  m <- attr(K, "grm")[["m"]]
  if (is.numeric(m) && length(m) == 1L && is.finite(m)) as.double(m)
}

gcta_files <- function(K, observed) {
  n <- nrow(K)
  count <- if (is.matrix(observed)) {
    function(push, tick) cpp_kinship_write(observed, TRUE, 4L, push, tick)
  } else if (!is.null(observed)) {
    function(push, tick) cpp_counts_write(n, observed, push, tick)
  }
  files <- list(.grm.bin = function(push, tick) cpp_kinship_write(K, TRUE, 4L, push, tick),
                .grm.N.bin = count)
  files[lengths(files) > 0L]
}

# K as a plain matrix of doubles, finite, symmetric and with ids that files can hold.
check_kinship_written <- function(K, call) {
  if (inherits(K, "Matrix")) K <- as.matrix(K)
  if (!is.matrix(K) || !is.numeric(K) || nrow(K) != ncol(K) || nrow(K) == 0L) {
    abort_argument("K", "a square numeric matrix of at least one id", describe(K), call)
  }
  names <- dimnames(K)
  K <- matrix(as.double(K), nrow(K), dimnames = names)
  check_kinship_names(K, "K", "K", call)
  symmetry <- check_core(cpp_check_symmetry(K), call = call)
  if (symmetry$not_finite > 0) {
    bad <- !is.finite(K)
    abort_kinship_na("K", "K", sum(bad), rownames(K)[rowSums(bad) > 0], call)
  }
  symmetrise(K, symmetry, "K", "K", call)
}

# Family and individual ids of `ids`, from `samples` where that knows them.
id_columns <- function(ids, samples, call) {
  out <- list(fid = ids, iid = ids)
  if (!is.null(samples)) {
    table <- sample_table(samples, call)
    at <- match(ids, table$id)
    if (anyNA(at)) {
      abort_argument("samples", "of all the ids in K",
                     paste("without", some_of(ids[is.na(at)])), call)
    }
    out <- list(fid = known_fid(table, at), iid = as.character(table$iid[at]))
  }
  bad <- unfit_words(out$fid) | unfit_words(out$iid)
  if (any(bad)) abort_kin_id_words(valid_text(ids[bad]), call)
  out
}

known_fid <- function(table, at) {
  fid <- as.character(table$fid[at])
  if (length(fid) == 0L) fid <- rep(NA_character_, length(at))
  replace(fid, is.na(fid), as.character(table$iid[at])[is.na(fid)])
}

sample_table <- function(samples, call) {
  if (inherits(samples, "genotypes")) return(samples$samples)
  check_string(samples, call = call)
  if (!file.exists(samples)) abort_kin_missing(samples, character(), call)
  read_fam(path.expand(samples), call)
}

text_bytes <- function(lines) {
  charToRaw(paste0(paste(as_utf8(lines), collapse = "\n"), "\n"))
}

# Writes files by write[[suffix]](push, tick) under temporary names, and renames them when
# all are complete.
write_parts <- function(prefix, write, n, call) {
  folder <- dirname(prefix)
  if (!dir.exists(folder)) abort_kin_write(prefix, paste("There is no folder", folder), call)
  parts <- paste0(tempfile("kin-", folder), names(write))
  on.exit(unlink(parts))
  for (k in seq_along(write)) write_part(parts[[k]], write[[k]], prefix, n, call)
  renamed <- tryCatch(all(file.rename(parts, paste0(prefix, names(write)))),
                      warning = conditionMessage)
  if (!isTRUE(renamed)) abort_kin_write(prefix, as.character(renamed), call)
}

write_part <- function(part, write, prefix, n, call) {
  failed <- function(e) abort_kin_write(prefix, conditionMessage(e), call)
  packed <- endsWith(part, ".gz")
  bytes <- 0
  con <- NULL
  on.exit(if (!is.null(con)) close(con))
  result <- tryCatch({
    con <- if (packed) gzfile(part, "wb") else file(part, "wb")
    push <- function(chunk) {
      writeBin(chunk, con)
      bytes <<- bytes + length(chunk)
    }
    with_progress("Writing relationships", n, function(tick) write(push, tick))
  }, error = failed, warning = failed)
  check_core(result, list(kin_value = function(data, subject) {
    abort_kin_write(prefix, paste(format(data$value), "is too large for 32 bits."), call)
  }), call)
  closed <- tryCatch(close(con), warning = failed)
  con <- NULL
  # a full disk shows here at the latest
  if (!packed && file.size(part) != bytes) abort_kin_write(prefix, "Is the disk full?", call)
}
