#' Write PLINK 1 genotypes
#'
#' Writes genotypes as `.bed`, `.bim` and `.fam`, by blocks of SNPs, so that they may be
#' larger than memory. [read_bed()] reads back the same genotypes, ids and map.
#'
#' The files are written under temporary names in the same folder and renamed when all three
#' are complete: what is found under `prefix` is never half-written. Files that are there
#' already are replaced.
#'
#' What a matrix cannot say is written so that PLINK 1.9 and 2 read it: chromosome and
#' positions 0 (unknown), alleles 1 and 2 (a1, of which copies are counted, is 1), family
#' ids equal to the sample ids, parents and sex 0, phenotype -9.
#'
#' @param geno Genotypes from [read_bed()] or [simulate_genotypes()], or a matrix of
#'   samples x SNPs (see [genotypes]). All must be 0, 1, 2 or `NA`: a `.bed` holds no
#'   other dosages.
#' @param prefix A string: the path that the three files will have in common, with or
#'   without `.bed`.
#' @return `prefix` (without `.bed`), invisibly.
#'
#' @section Errors:
#' `kinlmm_error_bed_dosage` (a genotype is no whole number; names the sample and the SNP),
#' `kinlmm_error_bed_ids` (ids, chromosomes or alleles that are empty or hold white space),
#' both below `kinlmm_error_input`; `kinlmm_error_bed_write` (a `kinlmm_error_file`) if the
#' folder does not exist or a file cannot be written; those of [genotypes] and
#' [read_bed()].
#'
#' @references
#' Purcell S, Neale B, Todd-Brown K, et al. (2007). PLINK: a tool set for whole-genome
#' association and population-based linkage analyses. *American Journal of Human Genetics*
#' 81, 559-575. \doi{10.1086/519795}
#'
#' @examples
#' dosage <- matrix(c(0, 1, 2, NA, 2, 2, 1, 0), nrow = 4,
#'                  dimnames = list(paste0("id", 1:4), c("rs1", "rs2")))
#' prefix <- write_bed(dosage, tempfile("example"))
#' read_bed(prefix)
#' as.matrix(read_bed(prefix))
#' @export
write_bed <- function(geno, prefix) {
  call <- rlang::current_env()
  geno <- as_genotypes(geno)
  if (missing(prefix)) abort_argument("prefix", "given", "missing", call)
  if (any(dim(geno) == 0L)) {
    found <- paste("of", n_of(nrow(geno), "sample"), "and", n_of(ncol(geno), "SNP"))
    abort_argument("geno", "genotypes of a sample and a SNP or more", found, call)
  }
  threads <- n_threads(call)
  write_plink(prefix, geno$samples, geno$map, function(path) {
    result <- with_progress("Writing genotypes", ncol(geno), function(tick) {
      cpp_bed_write(core_source(geno), path, 256L, threads, tick)
    })
    handlers <- source_errors(geno, call)
    handlers$bed_dosage <- function(data, subject) {
      abort_bed_dosage(sample_ids(geno)[[data$sample + 1]],
                       snp_ids(geno)[[data$marker + 1]], data$value, call)
    }
    check_core(result, c(handlers, bed_write_errors(prefix, call)), call)
  }, call)
}

bed_write_errors <- function(prefix, call) {
  list(bed_write = function(data, subject) {
    abort_bed_write(prefix, "Is the disk full?", call)
  })
}

# Writes the three files, the .bed by `write(path)`, and renames them when complete.
write_plink <- function(prefix, samples, map, write, call) {
  stem <- plink_stem(prefix, call)
  tables <- list(bim = bim_table(map, call), fam = fam_table(samples, call))
  # fwrite() writes the bytes that it finds
  tables <- lapply(tables, lapply, function(x) if (is.character(x)) as_utf8(x) else x)
  parts <- paste0(tempfile("geno-", dirname(stem)), c(".bim", ".fam", ".bed"))
  on.exit(unlink(parts))
  written <- tryCatch({
    data.table::fwrite(tables$bim, parts[[1L]], sep = "\t", col.names = FALSE,
                       quote = FALSE, eol = "\n", showProgress = FALSE)
    data.table::fwrite(tables$fam, parts[[2L]], sep = " ", col.names = FALSE,
                       quote = FALSE, eol = "\n", showProgress = FALSE)
    TRUE
  }, error = conditionMessage, warning = conditionMessage)
  if (!isTRUE(written)) abort_bed_write(stem, written, call)
  write(enc2native(parts[[3L]]))
  renamed <- tryCatch(all(file.rename(parts, paste0(stem, c(".bim", ".fam", ".bed")))),
                      warning = conditionMessage)
  if (!isTRUE(renamed)) abort_bed_write(stem, as.character(renamed), call)
  invisible(stem)
}

plink_stem <- function(prefix, call) {
  stem <- sub("\\.(bed|bim|fam)$", "", path.expand(check_string(prefix, call = call)))
  if (!dir.exists(dirname(stem))) {
    abort_bed_write(stem, paste("There is no folder", dirname(stem)), call)
  }
  stem
}

bim_table <- function(map, call) {
  known <- function(x, otherwise) replace(x, is.na(x), otherwise)
  table <- list(chr = known(map$chr, "0"), snp = map$snp, cm = known(map$cm, 0),
                pos = known(map$pos, 0L), a1 = known(map$a1, "1"), a2 = known(map$a2, "2"))
  for (column in c("chr", "snp", "a1", "a2")) check_plink_words(table, column, "SNP", call)
  table
}

fam_table <- function(samples, call) {
  known <- function(x, otherwise) {
    gone <- is.na(x)
    replace(x, gone, rep_len(otherwise, length(x))[gone])
  }
  iid <- samples$iid
  table <- list(fid = known(samples$fid, iid), iid = iid, father = known(samples$father, "0"),
                mother = known(samples$mother, "0"), sex = known(samples$sex, 0L),
                pheno = known(samples$pheno, -9))
  for (column in c("fid", "iid", "father", "mother", "pheno")) {
    check_plink_words(table, column, "sample", call)
  }
  table
}

# Columns are separated by white space, so that no value may hold any or be empty.
check_plink_words <- function(table, column, what, call) {
  bad <- unfit_words(table[[column]])
  if (!any(bad)) return(invisible())
  names <- if (what == "SNP") table$snp else table$iid
  abort_bed_ids(column, what, valid_text(table[[column]][bad]), valid_text(names[bad]), call)
}

# Values that can't stand between blanks in a text file in UTF-8.
unfit_words <- function(x) {
  x <- as_utf8(x)
  bad <- !validUTF8(x) | !nzchar(x)
  bad[!bad] <- grepl("[[:space:]]", x[!bad])
  bad
}

# Text for a message: bytes that are not UTF-8 as "<e9>".
valid_text <- function(x) iconv(as_utf8(x), "UTF-8", "UTF-8", sub = "byte")

# Latin-1, marked or native, as UTF-8. In the C locale other bytes have no meaning, and
# enc2utf8() would write them out as "<e9>".
as_utf8 <- function(x) {
  x <- as.character(x)
  latin <- Encoding(x) == "latin1" | l10n_info()[["Latin-1"]]
  x[latin] <- enc2utf8(x[latin])
  x
}
