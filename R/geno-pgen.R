#' Open PLINK 2 genotypes
#'
#' Opens a `.pgen` with its `.pvar` and `.psam`, or with a `.bim` and `.fam`. The two tables
#' are read; genotypes stay in the file and are read by blocks of SNPs, through the package
#' pgenlibr, which must be installed.
#'
#' @section VCF and BGEN:
#' Are converted by plink2, which keeps their dosages:
#' ```
#' plink2 --vcf cohort.vcf.gz dosage=DS --max-alleles 2 --make-pgen --out cohort
#' plink2 --bgen cohort.bgen ref-first --sample cohort.sample --make-pgen --out cohort
#' plink2 --zst-decompress cohort.pvar.zst cohort.pvar
#' ```
#' The last line is for tables that are packed; `--make-pgen vzs` alone makes these.
#'
#' @section Alleles:
#' Genotypes count copies of the alternative allele: `a1` is ALT and `a2` is REF, the other
#' way round than in most `.bed` files that plink1.9 made, whose A1 is the rarer allele; a
#' `.bed` that plink2 made of the same data has ALT as A1. Variants with more than one
#' alternative allele are an error: `plink2 --max-alleles 2 --make-pgen` leaves them out.
#' All genotypes are read as diploid: a haploid one counts 0 or 2.
#'
#' @param prefix A string: the path that the three files have in common, or that of one of
#'   them.
#' @param dosages `TRUE` (default) or `FALSE`: read dosages, where the file has them? If
#'   not, the hard calls, 0, 1, 2 or missing.
#'
#' @return An object of class `c("pgen", "genotypes")`, see [genotypes] for what can be done
#'   with it, and [read_bed()] for its components. `samples$pheno` is the first phenotype of
#'   the `.psam`. Sample ids are made as by [read_bed()].
#'
#' @section Errors:
#' `kinlmm_error_package` without pgenlibr. Of class `kinlmm_error_file`:
#' `kinlmm_error_pgen_missing` (a file), `kinlmm_error_pgen_size` (the `.pgen` is of other
#' samples or variants than the tables), `kinlmm_error_pgen_read` (what pgenlibr says about
#' a file that it can't read), `kinlmm_error_pvar` and `kinlmm_error_psam` (malformed
#' lines, columns that are needed, variants with several alternative alleles).
#'
#' @references
#' Chang CC, Chow CC, Tellier LC, et al. (2015). Second-generation PLINK: rising to the
#' challenge of larger and richer datasets. *GigaScience* 4, 7.
#' \doi{10.1186/s13742-015-0047-8}
#' @seealso [read_bed()], [read_bimbam()].
#' @examples
#' if (requireNamespace("pgenlibr", quietly = TRUE)) {
#'   prefix <- tempfile("example")
#'   out <- pgenlibr::NewPgenWriter(paste0(prefix, ".pgen"), 3, 2)
#'   pgenlibr::AppendBiallelic(out, c(0L, 1L, 2L))
#'   pgenlibr::AppendBiallelic(out, c(1L, NA, 0L))
#'   pgenlibr::ClosePgenWriter(out)
#'   writeLines(c("#CHROM POS ID REF ALT", "1 100 rs1 A G", "1 200 rs2 C T"),
#'              paste0(prefix, ".pvar"))
#'   writeLines(c("#IID", "a", "b", "c"), paste0(prefix, ".psam"))
#'   as.matrix(read_pgen(prefix))
#' }
#' @export
read_pgen <- function(prefix, dosages = TRUE) {
  call <- rlang::current_env()
  stem <- sub("\\.(pgen|pvar|psam)$", "", path.expand(check_string(prefix)))
  check_flag(dosages)
  need_package("pgenlibr", "read_pgen()", call)
  path <- pgen_file(stem, ".pgen", call)
  variants <- pgen_file(stem, c(".pvar", ".bim"), call)
  people <- pgen_file(stem, c(".psam", ".fam"), call)
  map <- if (endsWith(variants, ".bim")) read_bim(variants, call) else
    read_pvar(variants, call)
  samples <- if (endsWith(people, ".fam")) read_fam(people, call) else
    read_psam(people, call)
  check_pgen_size(path, nrow(samples), nrow(map), call)
  path <- normalizePath(path, winslash = "/")
  geno <- new_genotypes("pgen", samples, map, path = path)
  geno$dosages <- dosages
  geno
}

need_package <- function(name, what, call) {
  if (!requireNamespace(name, quietly = TRUE)) abort_package(name, what, call)
}

# The first of these files that is there.
pgen_file <- function(stem, suffixes, call) {
  paths <- paste0(stem, suffixes)
  there <- file.exists(paths) & !dir.exists(paths)
  if (!any(there)) abort_pgen_missing(paths, files_with_prefix(stem), call)
  paths[[which(there)[[1L]]]]
}

# pgenlibr reads a .bed too, if it is told the number of samples.
check_pgen_size <- function(path, n, m, call) {
  pgen <- try_pgen(path, pgenlibr::NewPgen(path), call)
  on.exit(pgenlibr::ClosePgen(pgen))
  found <- c(samples = pgenlibr::GetRawSampleCt(pgen),
             variants = pgenlibr::GetVariantCt(pgen))
  if (!all(found == c(n, m))) abort_pgen_size(path, found, c(n, m), call)
}

# What pgenlibr complains of.
try_pgen <- function(path, work, call) {
  tryCatch(work, error = function(e) abort_pgen_read(path, conditionMessage(e), call))
}

# Reads genotypes of samples and markers, places in the file from 1. The file is opened when
# it is first asked; R's collector of garbage closes it.
pgen_reader <- function(geno, call = NULL) {
  state <- new.env(parent = emptyenv())
  path <- geno$path
  need_package("pgenlibr", "read_pgen()", call)
  function(samples, markers) {
    if (length(samples) == 0L) return(matrix(0, 0L, length(markers)))
    if (!identical(samples, state$samples)) {
      subset <- sort(unique(samples))
      state$pgen <- try_pgen(path, pgenlibr::NewPgen(path, sample_subset = subset), call)
      state$rows <- if (!identical(subset, samples)) match(samples, subset)
      state$samples <- samples
    }
    read <- if (geno$dosages) pgenlibr::ReadList else pgenlibr::ReadIntList
    G <- try_pgen(path, read(state$pgen, markers), call)
    if (is.null(state$rows)) G else G[state$rows, , drop = FALSE]
  }
}

# .pvar and .psam ----

read_pvar <- function(path, call) {
  bim <- c("#CHROM", "ID", "CM", "POS", "ALT", "REF")
  columns <- read_pfile_table(path, "pvar", "#CHROM", c("POS", "ID", "REF", "ALT"), "CM",
                              bim, call)
  bad <- grepl(",", columns$ALT, fixed = TRUE)
  if (any(bad)) abort_pvar_alleles(path, columns$ID[bad], columns$ALT[bad], call)
  pos <- suppressWarnings(as.numeric(columns$POS))
  bad <- !is_position(pos)
  if (any(bad)) {
    abort_pvar_number(path, "position", "a whole number", columns$ID[bad],
                      columns$POS[bad], call)
  }
  pos[pos <= 0] <- NA
  cm <- if (is.null(columns$CM)) rep(0, length(pos)) else
    suppressWarnings(as.numeric(columns$CM))
  bad <- !is.finite(cm) & !columns$CM %in% c(".", "NA")
  if (any(bad)) {
    abort_pvar_number(path, "genetic position", "a number", columns$ID[bad],
                      columns$CM[bad], call)
  }
  alleles <- lapply(columns[c("ALT", "REF")], function(x) replace(x, x == ".", "0"))
  data.frame(chr = columns[["#CHROM"]], snp = columns$ID, cm = cm, pos = as.integer(pos),
             a1 = alleles$ALT, a2 = alleles$REF)
}

read_psam <- function(path, call) {
  fam <- c("#FID", "IID", "PAT", "MAT", "SEX", "PHENO1")
  columns <- read_pfile_table(path, "psam", c("#FID", "#IID"), character(), NULL, fam, call)
  names(columns) <- sub("^#", "", names(columns))
  # `$` would take another column whose name starts so
  if (is.null(columns[["IID"]])) abort_pfile_header(path, "psam", names(columns), "IID", call)
  n <- length(columns[["IID"]])
  pick <- function(name, otherwise) {
    if (is.null(columns[[name]])) rep(otherwise, n) else columns[[name]]
  }
  fid <- pick("FID", "0")
  known <- setdiff(names(columns), c("FID", "IID", "SID", "PAT", "MAT", "SEX"))
  pheno <- rep(NA_real_, n)
  if (length(known) > 0L) pheno <- fam_phenotype(columns[[known[[1L]]]])
  sex <- match(pick("SEX", "0"), c("1", "2", "M", "F", "male", "female"), nomatch = 0L)
  data.frame(id = fam_ids(path, fid, columns$IID, call), fid = fid, iid = columns$IID,
             father = pick("PAT", "0"), mother = pick("MAT", "0"),
             sex = as.integer(replace(2 - sex %% 2, sex == 0L, 0)), pheno = pheno)
}

# Columns by name, as text: of a .pvar `first`, `needed` and `wanted`, of a .psam all. Lines
# that start with ## are comments; without a line of names that starts with `first`, the
# columns are those of `otherwise`, of a .bim or .fam.
read_pfile_table <- function(path, kind, first, needed, wanted, otherwise, call) {
  check_no_nul(path, kind, call)
  fields <- count_fields(path)
  header <- pfile_header(path, kind, call)
  skip <- header$lines
  names <- header$names
  lines <- which(fields > 0L & seq_along(fields) > skip)
  if (length(lines) == 0L) abort_plink_empty(path, kind, call)
  if (is.null(names)) {
    names <- otherwise
    # a .bim may lack its third column here, and a .fam its last
    if (fields[[lines[[1L]]]] == 5L) {
      names <- if (kind == "pvar") otherwise[-3L] else otherwise[-6L]
    }
  } else if (!names[[1L]] %in% first || !all(needed %in% names)) {
    abort_pfile_header(path, kind, names, c(first[[1L]], needed), call)
  }
  bad <- lines[fields[lines] != length(names)]
  if (length(bad) > 0L) {
    abort_plink_columns(path, kind, bad, fields[bad], length(names), call)
  }
  keep <- kind == "psam" | names %in% c(first, needed, wanted)
  what <- lapply(keep, function(one) if (one) "" else NULL)
  columns <- scan_text(path, what, kind, call, skip)
  stats::setNames(columns[keep], names[keep])
}

# The number of lines before the first of data, and the names in the last of them, if they
# are there.
pfile_header <- function(path, kind, call) {
  con <- file(path, "r")
  on.exit(close(con))
  lines <- 0L
  repeat {
    line <- readLines(con, 1L, warn = FALSE, encoding = "UTF-8")
    if (length(line) == 0L || !startsWith(line, "#")) return(list(lines = lines))
    lines <- lines + 1L
    if (!startsWith(line, "##")) {
      if (!validUTF8(line)) {
        abort_text_bytes(path, kind, "bytes that are not UTF-8", lines, call)
      }
      return(list(lines = lines, names = strsplit(trimws(line), "[ \t]+")[[1L]]))
    }
  }
}
