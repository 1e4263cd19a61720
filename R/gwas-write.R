#' Write a scan to a file
#'
#' Writes a table with a header line, every SNP a row, missing values as `NA`; separated by
#' tabs, or by commas if `path` ends in `.csv` or `.csv.gz`. The table is written to a
#' temporary file in the same folder that is renamed when it is complete, so that nothing
#' half-written is ever found under `path`; a file that is there already is replaced.
#'
#' @param x A `"gwas"` from [gwas()].
#' @param path A string: the file. Compressed by gzip if it ends in `.gz`.
#' @return `path`, invisibly.
#' @section Errors: `kinlmm_error_scan_write` (a `kinlmm_error_file`) if the folder does
#'   not exist or the file cannot be written; `kinlmm_error_argument`.
#' @seealso [gwas()].
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' pheno <- read.csv(system.file("extdata", "mouse_pheno.csv", package = "kinlmm"))
#' fit <- lmmfit(cd8 ~ 1 + (1 | id), pheno, kinship = list(id = grm(geno)))
#' path <- write_gwas(gwas(fit, geno), tempfile(fileext = ".tsv.gz"))
#' @export
write_gwas <- function(x, path) {
  check_gwas(x)
  check_string(path)
  if (dir.exists(path)) abort_scan_write(path, "It is a folder.")
  folder <- dirname(path)
  if (!dir.exists(folder)) {
    abort_scan_write(path, "Folder {.file {folder}} does not exist.")
  }
  ends <- function(with) grepl(with, path, ignore.case = TRUE)
  part <- tempfile("gwas-", folder)
  on.exit(unlink(part))
  written <- tryCatch({
    data.table::fwrite(as.data.frame(x), part, sep = if (ends("[.]csv([.]gz)?$")) "," else "\t",
                       na = "NA", quote = FALSE, showProgress = FALSE,
                       compress = if (ends("[.]gz$")) "gzip" else "none")
    file.rename(part, path)
  }, error = conditionMessage, warning = conditionMessage)
  if (!isTRUE(written)) abort_scan_write(path, "{written}")
  invisible(path)
}
