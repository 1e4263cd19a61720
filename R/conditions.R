# Every sentence that a user reads when something is wrong. One constructor per
# situation; classes are kinlmm_error_<what> below kinlmm_error_input, _file or
# _numeric, then kinlmm_error. Fields that a caller may want are kept on the
# condition. No other file calls stop(), warning() or cli_abort().

# Throws `message` (a cli bullet vector) as kinlmm_error_<what>.
abort_kinlmm <- function(message, what, family = c("input", "file", "numeric"),
                         ..., call, .envir = parent.frame()) {
  family <- match.arg(family)
  class <- paste0("kinlmm_error_", c(what, family))
  cli::cli_abort(message, class = c(class, "kinlmm_error"), ..., call = call,
                 .envir = .envir)
}

warn_kinlmm <- function(message, what, ..., .envir = parent.frame()) {
  cli::cli_warn(message, class = c(paste0("kinlmm_warning_", what), "kinlmm_warning"),
                ..., .envir = .envir)
}

inform_kinlmm <- function(message, what, ..., .envir = parent.frame()) {
  cli::cli_inform(message, class = c(paste0("kinlmm_message_", what), "kinlmm_message"),
                  ..., .envir = .envir)
}

# "a", "b", "c", ... and 4 more: at most five, quoted unless `quote = FALSE`.
some_of <- function(x, max = 5L, quote = TRUE) {
  x <- as.character(x)
  shown <- utils::head(x, max)
  if (quote) shown <- paste0('"', shown, '"')
  # braces in ids must not reach cli's interpolation
  text <- paste(shown, collapse = ", ")
  if (length(x) > max) {
    text <- paste0(text, ", \u2026 and ", count(length(x) - max), " more")
  }
  text
}

# 1204 as "1,204".
count <- function(x) format(x, big.mark = ",", scientific = FALSE, trim = TRUE)

# "1 id", "1,204 ids".
n_of <- function(n, what) paste0(count(n), " ", what, if (n != 1) "s")

# "1 id is", "1,204 ids are".
n_are <- function(n, what) paste0(count(n), " ", what, if (n == 1) " is" else "s are")

# What glue returns instead of a result when the core threw. `handlers` is a named
# list of function(data, subject) that throw; anything else is a bug of ours.
check_core <- function(result, handlers = list(), call = rlang::caller_env()) {
  if (!inherits(result, "kinlmm_core_error")) return(result)
  handler <- handlers[[result$kind]]
  if (!is.null(handler)) handler(result$data, result$subject)
  abort_kinlmm(c(
    "An internal check failed: {result$kind}.",
    "i" = "This is a bug in kinlmm; please report it with the call that led to it."
  ), "internal", "numeric", data = result$data, call = call)
}

# Arguments ----

abort_argument <- function(arg, must, found, call) {
  abort_kinlmm(c("{.arg {arg}} must be {must}.", "x" = "It is {found}."), "argument",
               arg = arg, call = call)
}

# Genotypes ----

# found: the files that share the prefix.
abort_bed_missing <- function(path, found, call) {
  packed <- found[found %in% paste0(path, c(".gz", ".zst"))]
  abort_kinlmm(c(
    "Can't find {.file {path}}.",
    "x" = if (length(found) > 0L) {
      "Files with this prefix are {some_of(basename(found))}."
    } else {
      "There is no file with this prefix."
    },
    "i" = if (length(packed) > 0L) {
      "Did you mean to decompress {.file {packed[[1L]]}} first?"
    }
  ), "bed_missing", "file", path = path, found = found, call = call)
}

# bytes: the first three of the file.
abort_bed_magic <- function(path, bytes, call) {
  hint <- if (identical(bytes[1:2], c(0x1f, 0x8b))) {
    "These are gzip bytes. Did you mean to decompress it first?"
  } else if (identical(bytes, c(0x28, 0xb5, 0x2f))) {
    "These are zstd bytes. Did you mean to decompress it first?"
  } else if (all(bytes %in% c(9, 10, 13, 32:126))) {
    "These bytes are text. Is this a .ped file, for {.code plink --make-bed} to convert?"
  }
  abort_kinlmm(c(
    "{.file {path}} must start with the PLINK 1 magic bytes 6c 1b 01.",
    "x" = "It starts with {hex(bytes)}.",
    "i" = hint
  ), "bed_magic", "file", path = path, bytes = bytes, call = call)
}

abort_bed_mode <- function(path, mode, call) {
  hint <- if (mode == 0x00) {
    "This is the sample-major order. {.code plink --make-bed} turns it round."
  } else if (mode %in% c(0x02, 0x03, 0x04, 0x10, 0x11, 0x20, 0x21)) {
    "This is a PLINK 2 .pgen file. {.code plink2 --make-bed} converts it."
  }
  abort_kinlmm(c(
    "{.file {path}} must be in variant-major order: its third byte must be 01.",
    "x" = "Its third byte is {hex(mode)}.",
    "i" = hint
  ), "bed_mode", "file", path = path, mode = mode, call = call)
}

# n, m: the lines of the .fam and the .bim; expected, got: bytes.
abort_bed_size <- function(path, expected, got, n, m, call) {
  stride <- ceiling(n / 4)
  stem <- sub("\\.bed$", "", basename(path))
  cut <- min(m, max(0, got - 3) %/% stride + 1)
  cut <- paste0("variant", if (cut < m) paste0("s ", count(cut), " to"), " ", count(m))
  found <- if (got < expected) {
    "It holds {count(got)}: the last {count(expected - got)} ({cut}) are missing."
  } else {
    "It holds {count(got)}: {count(got - expected)} bytes too many."
  }
  abort_kinlmm(c(
    "{.file {path}} must hold 3 + {count(m)} x {count(stride)} = {count(expected)}
     bytes.",
    "x" = found,
    "i" = "Sizes come from {count(m)} lines in {.file {stem}.bim} and {count(n)} lines in
           {.file {stem}.fam}.",
    "i" = bed_size_hint(got - 3, stride, m)
  ), "bed_size", "file", path = path, expected = expected, got = got, n_samples = n,
  n_snps = m, call = call)
}

# What `bytes` of genotypes would fit, if that is something else than was expected.
bed_size_hint <- function(bytes, stride, m) {
  if (bytes <= 0) return("Was the copy interrupted?")
  if (bytes %% stride == 0) {
    return(paste0("That is the size of ", count(bytes / stride), " variants of as many ",
                  "samples. Do the three files belong together?"))
  }
  if (bytes %% m == 0) {
    most <- 4 * bytes / m
    return(paste0("That is the size of as many variants of ", count(most - 3), " to ",
                  count(most), " samples. Do the three files belong together?"))
  }
  "Was the copy interrupted, or do the three files belong together?"
}

# marker: the first, in the file, of those that could not be read.
abort_bed_read <- function(path, marker, call) {
  abort_kinlmm(c(
    "Can't read {.file {path}} any more.",
    "x" = "Reading failed at variant {count(marker)}.",
    "i" = "Did the file change while it was in use?"
  ), "bed_read", "file", path = path, marker = marker, call = call)
}

# kind: "bim" or "fam"; lines: all lines at fault; found: their numbers of columns.
abort_plink_columns <- function(path, kind, lines, found, expected, call) {
  others <- length(lines) - 1L
  abort_kinlmm(c(
    "{.file {path}} must have {expected} columns in every line.",
    "x" = "Line {count(lines[[1L]])} has {found[[1L]]}.",
    "x" = if (others > 0L) {
      "{n_are(others, 'other line')} at fault too: {some_of(lines[-1L], quote = FALSE)}."
    }
  ), kind, "file", path = path, lines = lines, found = found, expected = expected,
  call = call)
}

abort_plink_empty <- function(path, kind, call) {
  what <- if (kind == "bim") "variant" else "sample"
  abort_kinlmm("{.file {path}} must hold at least one {what}, but it is empty.",
               kind, "file", path = path, call = call)
}

# column: "position" or "genetic position"; must: what its values are.
abort_bim_number <- function(path, column, must, lines, values, call) {
  others <- length(lines) - 1L
  abort_kinlmm(c(
    "The {column} of every variant in {.file {path}} must be {must}.",
    "x" = "Line {count(lines[[1L]])} has {some_of(values[[1L]])}.",
    "x" = if (others > 0L) {
      "{n_are(others, 'other line')} at fault too: {some_of(lines[-1L], quote = FALSE)}."
    }
  ), "bim", "file", path = path, lines = lines, values = values, call = call)
}

abort_fam_ids <- function(path, ids, call) {
  abort_kinlmm(c(
    "Every sample in {.file {path}} must have an id of its own.",
    "x" = "{n_are(length(ids), 'id')} there more than once: {some_of(ids)}."
  ), "fam", "file", path = path, ids = ids, call = call)
}

abort_genotypes_names <- function(arg, side, call) {
  what <- if (side == "row") "sample ids" else "SNP ids"
  abort_kinlmm(c(
    "Genotypes in a matrix must have {what} as {side} names.",
    "x" = "{.arg {arg}} has none, or empty ones.",
    "i" = "kinlmm matches by id, never by position."
  ), "genotypes_names", arg = arg, call = call)
}

abort_genotypes_duplicated <- function(arg, ids, call) {
  abort_kinlmm(c(
    "The row names of {.arg {arg}} must be unique: they are sample ids.",
    "x" = "{n_are(length(ids), 'id')} there more than once: {some_of(ids)}."
  ), "genotypes_names", arg = arg, ids = ids, call = call)
}

# sample, snp, value: of the first genotype that is out of range.
abort_genotypes_range <- function(arg, sample, snp, value, n, call) {
  abort_kinlmm(c(
    "Genotypes must be copies of an allele, from 0 to 2, or NA.",
    "x" = "{n_are(n, 'value')} not, in {.arg {arg}}: {value} of sample
           {some_of(sample)} at SNP {some_of(snp)}{if (n > 1) ' is the first' else ''}."
  ), "genotypes_range", arg = arg, sample = sample, snp = snp, value = value, n = n,
  call = call)
}

# what: "sample" or "SNP", here and below.
abort_genotype_ids <- function(what, ids, example, call) {
  abort_kinlmm(c(
    "Genotypes can only be taken of {what}s that are there.",
    "x" = "{n_are(length(ids), paste(what, 'id'))} not: {some_of(ids)}.",
    "i" = "Ids look like {some_of(example)}."
  ), "genotype_index", ids = ids, call = call)
}

abort_genotype_ambiguous <- function(what, ids, call) {
  abort_kinlmm(c(
    "Genotypes can only be taken by ids that belong to one {what}.",
    "x" = "{n_are(length(ids), paste(what, 'id'))} there more than once:
           {some_of(ids)}.",
    "i" = "Take {what}s by number instead."
  ), "genotype_index", ids = ids, call = call)
}

abort_genotype_repeated <- function(ids, call) {
  abort_kinlmm(c(
    "A sample can only be taken once: everything is matched by its id.",
    "x" = "{n_are(length(ids), 'sample')} taken more than once: {some_of(ids)}."
  ), "genotype_index", ids = ids, call = call)
}

abort_genotype_index <- function(what, must, found, call) {
  abort_kinlmm(c("The index of {what}s must be {must}.", "x" = "It is {found}."),
               "genotype_index", call = call)
}

abort_genotype_one_index <- function(call) {
  abort_kinlmm(c(
    "Genotypes must be subset by samples and SNPs.",
    "i" = "Did you mean {.code geno[i, ]} or {.code geno[, j]}?"
  ), "genotype_index", call = call)
}

# 0x1f, 0x8b as "1f 8b".
hex <- function(bytes) paste(sprintf("%02x", as.integer(bytes)), collapse = " ")

abort_genotypes_operation <- function(what, call) {
  abort_kinlmm(c("Genotypes can't be {what}.",
                 "i" = "{.code as.matrix()} makes a matrix of them."),
               "genotypes_operation", call = call)
}

# Genotypes: filters ----

# left_out: numbers by the names of reasons, see fate_reasons().
inform_filter <- function(kept, m, left_out, reasons) {
  left_out <- left_out[left_out > 0L]
  text <- paste(count(as.vector(left_out)), reasons[names(left_out)])
  inform_kinlmm(c(
    "Kept {count(kept)} of {n_of(m, 'SNP')}.",
    "i" = if (length(left_out) > 0L) "Left out: {some_of(text, Inf, quote = FALSE)}."
  ), "filter", kept = kept, left_out = left_out)
}

# names: chromosomes that are asked for; have: those of the map.
abort_chromosomes <- function(names, have, call) {
  have <- chromosome_ranges(have)
  abort_kinlmm(c(
    "{.arg chr} must name chromosomes of the map.",
    "x" = "It has no SNP on {some_of(names)}.",
    "i" = if (nzchar(have)) "It has SNPs on {have}." else
      "It does not know the chromosome of any SNP."
  ), "chromosomes", chr = names, call = call)
}

# left_out: the chromosomes of the SNPs that are left out; used: the number that is left.
inform_chromosomes <- function(left_out, used, chr) {
  where <- chromosome_ranges(left_out)
  inform_kinlmm(c(
    "Left out {n_of(length(left_out), 'SNP')}{if (nzchar(where)) paste(' on', where)};
     {n_are(used, 'SNP')} left.",
    "i" = if (identical(chr, "autosomes")) "{.code chr = \"all\"} takes all."
  ), "chromosomes", left_out = table(left_out))
}

# Genotypes: PLINK 2 ----

# paths: the files of which one is needed; found: those that share their prefix.
abort_pgen_missing <- function(paths, found, call) {
  packed <- intersect(found, paste0(paths, ".zst"))
  abort_kinlmm(c(
    "Can't find {.file {paths[[1L]]}}{if (length(paths) > 1L) {
     paste0(', or a ', sub('.*[.]', '.', paths[[2L]]))}}.",
    "x" = if (length(found) > 0L) {
      "Files with this prefix are {some_of(basename(found))}."
    } else {
      "There is no file with this prefix."
    },
    "i" = if (length(packed) > 0L) {
      "{.code plink2 --zst-decompress} unpacks {.file {packed[[1L]]}}."
    }
  ), "pgen_missing", "file", path = paths[[1L]], found = found, call = call)
}

# text: what pgenlibr says.
abort_pgen_read <- function(path, text, call) {
  text <- sub("[.[:space:]]+$", "", text)
  abort_kinlmm(c("Can't read {.file {path}}.", "x" = "pgenlibr says: {text}."),
               "pgen_read", "file", path = path, call = call)
}

# found, expected: numbers of samples and of variants.
abort_pgen_size <- function(path, found, expected, call) {
  text <- function(x) paste(n_of(x[[1L]], "sample"), "and", n_of(x[[2L]], "variant"))
  abort_kinlmm(c(
    "{.file {path}} must hold the genotypes of {text(expected)}.",
    "x" = "It holds those of {text(found)}.",
    "i" = "Do the three files belong together?"
  ), "pgen_size", "file", path = path, found = found, expected = expected, call = call)
}

# kind: "pvar" or "psam"; names: the columns found; needed: those that must be there.
abort_pfile_header <- function(path, kind, names, needed, call) {
  abort_kinlmm(c(
    "{.file {path}} must have the columns {some_of(needed)}.",
    "x" = "Its header has {some_of(names, 10L)}."
  ), kind, "file", path = path, names = names, call = call)
}

abort_pvar_alleles <- function(path, snps, alleles, call) {
  abort_kinlmm(c(
    "Every variant in {.file {path}} must have one alternative allele.",
    "x" = "{n_of(length(snps), 'variant')} {if (length(snps) == 1L) 'has' else 'have'}
           more: {some_of(paste0(snps, ' (', alleles, ')'), quote = FALSE)}.",
    "i" = "{.code plink2 --max-alleles 2 --make-pgen} leaves them out."
  ), "pvar", "file", path = path, snps = snps, call = call)
}

# column: "position" or "genetic position"; must: what its values are.
abort_pvar_number <- function(path, column, must, snps, values, call) {
  abort_kinlmm(c(
    "The {column} of every variant in {.file {path}} must be {must}.",
    "x" = "{n_are(length(snps), column)} not: {some_of(values[[1L]])} of
           {some_of(snps[[1L]])}{if (length(snps) > 1L) ' is the first'}."
  ), "pvar", "file", path = path, snps = snps, call = call)
}

# Genotypes: BIMBAM ----

abort_bimbam_missing <- function(path, call) {
  abort_kinlmm("Can't find {.file {path}}.", "bimbam_missing", "file", path = path,
               call = call)
}

abort_bimbam_empty <- function(path, call) {
  abort_kinlmm("{.file {path}} must hold at least one SNP, but it is empty.",
               "bimbam_empty", "file", path = path, call = call)
}

abort_bimbam_changed <- function(path, call) {
  abort_kinlmm(c(
    "Can't read {.file {path}} any more.",
    "x" = "Its lines are not where they were when it was opened.",
    "i" = "Open it again, with {.code read_bimbam()}."
  ), "bimbam_changed", "file", path = path, call = call)
}

# expected: -1 if it is the first line, which tells the number of samples.
abort_bimbam_columns <- function(path, line, got, expected, call) {
  abort_kinlmm(c(
    "{.file {path}} must have an id, two alleles and a dosage for every sample in every
     line.",
    "x" = "Line {count(line)} has {n_of(got, 'column')}{
           if (expected > 0) paste0(', the first ', count(expected))}."
  ), "bimbam_columns", "file", path = path, line = line, got = got, expected = expected,
  call = call)
}

abort_bimbam_value <- function(path, line, column, value, snp, call) {
  abort_kinlmm(c(
    "Dosages in {.file {path}} must be numbers from 0 to 2, or NA.",
    "x" = "Line {count(line)}, of {some_of(snp)}, has {some_of(value)} in column
           {count(column)}, of sample {count(column - 3)}."
  ), "bimbam_value", "file", path = path, line = line, column = column, value = value,
  call = call)
}

abort_bimbam_ids <- function(ids, call) {
  abort_kinlmm(c(
    "{.arg ids} must be unique: they are sample ids.",
    "x" = "{n_are(length(ids), 'id')} there more than once: {some_of(ids)}."
  ), "genotypes_names", arg = "ids", ids = ids, call = call)
}

abort_bimbam_text <- function(path, values, call) {
  abort_kinlmm(c(
    "{.file {path}} must be text in UTF-8.",
    "x" = "{n_are(length(values), 'name')} not: {some_of(valid_text(values))}."
  ), "bimbam_text", "file", path = path, values = values, call = call)
}

# lines: all at fault; must, found: what the first of them lacks and has.
abort_annotation <- function(path, lines, must, found, call) {
  others <- length(lines) - 1L
  abort_kinlmm(c(
    "Every line of {.file {path}} must have {must}: id, position, chromosome.",
    "x" = "Line {count(lines[[1L]])} has {found}.",
    "x" = if (others > 0L) {
      "{n_are(others, 'other line')} at fault too: {some_of(lines[-1L], quote = FALSE)}."
    }
  ), "bimbam_annotation", "file", path = path, lines = lines, call = call)
}

abort_bimbam_unpack <- function(path, text, call) {
  abort_kinlmm(c("Can't unpack {.file {path}}.", "x" = "{text}"), "bimbam_unpack",
               "file", path = path, call = call)
}

# Kinship ----

# dropped: SNPs left out by reason, named chr, weight, group, missing, monomorphic, maf and
# hwe, here and below; limits: maf, missing, hwe, and the `other` chromosomes.
abort_grm_empty <- function(dropped, limits, call) {
  abort_kinlmm(c(
    "A relationship matrix needs at least one SNP.",
    "x" = if (sum(dropped) == 0) {
      "{.arg geno} holds none."
    } else {
      "None of {count(sum(dropped))} is left: {dropped_snps(dropped, limits)}."
    }
  ), "grm_empty", dropped = dropped, call = call)
}

# groups: those without a SNP; of chromosomes left out, those whose others have none.
abort_grm_group <- function(groups, by, limits, call) {
  abort_kinlmm(c(
    "Every relationship matrix needs at least one SNP.",
    "x" = if (by == "loco") {
      "Without {some_of(groups)} none is left."
    } else {
      "None is left in {n_of(length(groups), 'group')}: {some_of(groups)}."
    },
    "i" = "SNPs are left out by {.code maf = {limits$maf}}, {.code missing = {limits$missing}}
           and {.code hwe = {limits$hwe}}, and without variation."
  ), "grm_empty", groups = groups, call = call)
}

# unknown: SNPs without a chromosome; only: the single chromosome, or none.
abort_grm_chromosomes <- function(unknown, only, call) {
  abort_kinlmm(c(
    if (unknown > 0) {
      "To be grouped by chromosome, SNPs must have one."
    } else {
      "To leave one chromosome out, there must be two or more."
    },
    "x" = if (unknown > 0) {
      "{n_are(unknown, 'SNP')} without: {.val 0} or {.val {NA}} in the map."
    } else if (length(only) == 1L) {
      "All SNPs are on {some_of(only)}."
    } else {
      "There is no SNP."
    }
  ), "grm_chromosomes", unknown = unknown, call = call)
}

# ids: SNPs without a weight, or with several.
abort_grm_weights <- function(ids, call) {
  abort_kinlmm(c(
    "Named {.arg weights} must have one for each SNP of {.arg geno}.",
    "x" = "{n_of(length(ids), 'SNP')} {cli::qty(length(ids))}{?has/have} none or several:
           {some_of(ids)}."
  ), "grm_weights", ids = ids, call = call)
}

# pair: ids; n: pairs, a sample with itself included.
abort_grm_pairs <- function(pair, n, call) {
  abort_kinlmm(c(
    "With {.code pairwise = TRUE} any two samples must have a SNP in common.",
    "x" = "{n_of(n, 'pair')} {cli::qty(n)}{?has/have} none{if (n > 1) ', the first'}:
           {some_of(pair)}."
  ), "grm_pairs", pair = pair, n = n, call = call)
}

# plan: that of grm_plan().
inform_grm <- function(used, dropped, limits, plan) {
  groups <- count(length(plan$sizes))
  inform_kinlmm(c(
    "Used {count(used)} of {count(used + sum(dropped))} SNPs{switch(
       c(plan$by, '')[[1L]], loco = paste(', without one of', groups, 'chromosomes each'),
       chr = paste(', on', groups, 'chromosomes'), group = paste(', in', groups, 'groups'))}.",
    "i" = if (sum(dropped) > 0) "Left out: {dropped_snps(dropped, limits)}."
  ), "grm")
}

dropped_snps <- function(dropped, limits) {
  reasons <- fate_reasons(limits)
  reasons[["chr"]] <- paste0("on other chromosomes (", limits$other, ")")
  reasons[c("weight", "group")] <- c("of weight 0", "in no group")
  dropped <- dropped[dropped > 0]
  paste(paste(count(dropped), reasons[names(dropped)]), collapse = ", ")
}

# "The relationship matrix of `id`", where it is that of a grouping factor.
kernel_name <- function(group) {
  if (is.null(group)) return("A relationship matrix")
  paste0("The relationship matrix of `", group, "`")
}

# side: "row" or "column", or "same" if both are there but differ, or "order" if only their
# order does, or "empty".
abort_kinship_noids <- function(group, arg, side, call) {
  abort_kinlmm(c(
    "{kernel_name(group)} must have ids as row and column names, the same on both sides.",
    "x" = switch(side,
      same = "The row and the column names of {.arg {arg}} are not the same.",
      order = "The row and the column names of {.arg {arg}} are not the same: they are in
               another order.",
      empty = "Some of the names of {.arg {arg}} are empty or missing.",
      "{.arg {arg}} has no {side} names."
    ),
    "i" = "kinlmm matches by id, never by position.",
    "i" = if (side %in% c("row", "column")) {
      "{.code as_kinship(K, ids)} names a matrix whose order is known."
    }
  ), "kinship_noids", group = group, call = call)
}

abort_kinship_duplicated <- function(group, arg, ids, call) {
  abort_kinlmm(c(
    "{kernel_name(group)} must hold every id once.",
    "x" = "{n_are(length(ids), 'id')} more than once in {.arg {arg}}:
           {some_of(ids)}."
  ), "kinship_duplicated", group = group, ids = ids, call = call)
}

# n: values that are not finite; ids: those whose rows hold them.
abort_kinship_na <- function(group, arg, n, ids, call) {
  abort_kinlmm(c(
    "{kernel_name(group)} must be finite.",
    "x" = "{n_are(n, 'value')} missing or infinite in {.arg {arg}},
           in the row of {some_of(ids)}."
  ), "kinship_na", group = group, n = n, ids = ids, call = call)
}

# pair: the two ids that differ most; values: K[pair[1], pair[2]] and its mirror image.
abort_kinship_asymmetric <- function(group, arg, pair, values, call) {
  difference <- abs(values[[1L]] - values[[2L]])
  abort_kinlmm(c(
    "{kernel_name(group)} must be symmetric.",
    "x" = "{.arg {arg}} has {format(values[[1L]])} for {some_of(pair)} and
           {format(values[[2L]])} for {some_of(rev(pair))}: they differ by
           {format(difference, digits = 3)}."
  ), "kinship_asymmetric", group = group, pair = pair, difference = difference,
  call = call)
}

# missing, ids: levels of `group` without a row, and all of them; have: the ids of K.
abort_kinship_ids <- function(group, arg, missing, ids, have, call) {
  verb <- if (length(missing) == 1L) "has" else "have"
  abort_kinlmm(c(
    "Every level of `{group}` must have a row in {.arg {arg}}.",
    "x" = "{count(length(missing))} of {count(length(ids))} levels {verb} none:
           {some_of(missing)}.",
    "i" = "{.arg {arg}} holds {count(length(have))} ids, such as
           {some_of(utils::head(have, 1L))}.",
    "i" = kinship_ids_hint(group, arg, missing, have)
  ), "kinship_ids", group = group, missing = missing, have = have, call = call)
}

# A hint only where it explains every missing id.
kinship_ids_hint <- function(group, arg, missing, have) {
  for (separator in c(":", "_")) {
    prefix <- paste0("^[^", separator, "]*", separator)
    doubled <- paste0(missing, separator, missing)
    if (all(missing %in% sub(prefix, "", have)) || all(doubled %in% have)) {
      return(paste0("Do the ids in {.arg {arg}} carry a family prefix?"))
    }
    if (all(sub(prefix, "", missing) %in% have)) {
      return("Do the levels of `{group}` carry a family prefix?")
    }
  }
  if (all(make.names(missing) %in% have)) {
    return("Were the ids in {.arg {arg}} changed by {.code data.frame(check.names = TRUE)}?")
  }
  if (all(trimws(missing) %in% trimws(have))) return("Ids differ by blanks at their ends.")
  bare <- function(ids) sub("^0+(?=[0-9])", "", ids, perl = TRUE)
  if (all(bare(missing) %in% bare(have))) return("Ids differ by zeros in front of numbers.")
  if (all(tolower(missing) %in% tolower(have))) return("Ids differ by upper and lower case.")
}

# values: what K has on the diagonal for `ids`.
abort_kinship_diagonal <- function(ids, values, group, arg, call) {
  abort_kinlmm(c(
    "{kernel_name(group)} must be positive semi-definite.",
    "x" = "{n_are(length(ids), 'diagonal element')} negative in {.arg {arg}}:
           {format(values[[1L]], digits = 3)} for {some_of(ids[1L])}{
           if (length(ids) > 1L) ' is the first'}."
  ), "kinship_psd", ids = ids, group = group, call = call)
}

# pair: two ids; value: K between them; bound: the square root of the product of their
# diagonal elements.
abort_kinship_pair <- function(pair, value, bound, group, arg, call) {
  abort_kinlmm(c(
    "{kernel_name(group)} must be positive semi-definite.",
    "x" = "{.arg {arg}} has {format(value, digits = 4)} for {some_of(pair)}; their
           diagonal allows {format(bound, digits = 4)}."
  ), "kinship_psd", ids = pair, group = group, call = call)
}

# min, max: the extreme eigenvalues; n_negative: how many are below the tolerance.
abort_kinship_psd <- function(min, max, n_negative, group, call) {
  abort_kinlmm(c(
    "{kernel_name(group)} must be positive semi-definite.",
    "x" = if (max > 0) {
      "Its smallest eigenvalue is {format(min, digits = 3)}, which is
       {format(100 * min / max, digits = 2)}% of the largest, {format(max, digits = 3)}."
    } else {
      "None of its eigenvalues is positive."
    },
    "x" = if (max > 0) {
      "{n_are(n_negative, 'eigenvalue')} below the tolerance of -1e-8 of the largest."
    },
    "i" = if (max > 0) {
      "Matrices from pairwise-complete genotypes often are not; those of {.fun grm} are."
    },
    "i" = if (max > 0) "{.fun kin_repair} gives the nearest one that is."
  ), "kinship_psd", min = min, max = max, n_negative = n_negative, group = group,
  call = call)
}

# n: ids of K; names: its own names, if it has any.
abort_kinship_named <- function(arg, n, found, names, call) {
  abort_kinlmm(if (is.null(names)) c(
    "{.arg ids} must be {n_of(n, 'id')}, one for each row of {.arg {arg}}.",
    "x" = "It is {found}."
  ) else c(
    "{.arg ids} must be the names of {.arg {arg}}, where it has names.",
    "x" = "The first that differs is {some_of(found)}; in {.arg {arg}} it is
           {some_of(names)}.",
    "i" = "{.code dimnames(K) <- list(ids, ids)} gives other names."
  ), "kinship_named", call = call)
}

# unknown: ids, or places, that K, of n ids, has not.
abort_kinship_index <- function(unknown, n, known, call) {
  abort_kinlmm(c(
    "Ids must be those of the relationship matrix.",
    "x" = "{n_are(length(unknown), 'id')} not in it: {some_of(unknown)}.",
    "i" = "It holds {n_of(n, 'id')}{if (n > 0) paste0(', such as ', some_of(known))}."
  ), "kinship_index", unknown = unknown, call = call)
}

# lost, extra: ids that only the first, or only the second, has.
abort_kinship_sets <- function(operation, lost, extra, call) {
  abort_kinlmm(c(
    "Both matrices of {.code {operation}} must have the same ids.",
    "x" = if (length(lost) > 0L) {
      "{n_are(length(lost), 'id')} only in the first: {some_of(lost)}."
    },
    "x" = if (length(extra) > 0L) {
      "{n_are(length(extra), 'id')} only in the second: {some_of(extra)}."
    },
    "i" = "Subset first: {.code K[ids, ids]}."
  ), "kinship_sets", lost = lost, extra = extra, call = call)
}

# found, size: dimensions.
abort_kinship_size <- function(operation, found, size, call) {
  abort_kinlmm(c(
    "{.code {operation}} needs matrices of one size.",
    "x" = "They are {paste(found, collapse = ' x ')} and {paste(size, collapse = ' x ')}."
  ), "kinship_size", call = call)
}

# away: the largest change of an element, between the ids `pair`.
inform_kin_repair <- function(negative, how, away, pair, diagonal) {
  below <- if (negative$n == 0L) {
    "No eigenvalue was below {format(negative$limit, digits = 3)}: {how}."
  } else {
    "{n_of(negative$n, 'eigenvalue')} below {format(negative$limit, digits = 3)}, down to
     {format(negative$min, digits = 3)} ({format(100 * negative$min / negative$max,
     digits = 2)}% of the largest): {how}."
  }
  inform_kinlmm(c(
    below,
    "i" = "The largest change of an element is {format(away, digits = 3)}, for
           {some_of(pair)}; the mean diagonal was {format(diagonal[[1L]], digits = 4)} and
           is {format(diagonal[[2L]], digits = 4)}."
  ), "kin_repair", changed = away)
}

inform_kin_good <- function(smallest, largest) {
  inform_kinlmm(
    "Nothing to repair: the smallest eigenvalue is {format(smallest, digits = 3)}, the
     largest {format(largest, digits = 3)}.", "kin_repair", changed = 0
  )
}

# smallest: eigenvalue that blending left.
abort_kin_repair <- function(weight, smallest, needed, call) {
  abort_kinlmm(c(
    "{.arg weight} must be large enough to make {.arg K} positive semi-definite.",
    "x" = "With {format(weight)} its smallest eigenvalue is {format(smallest, digits = 3)}.",
    "i" = "{format(needed, digits = 3)} is the smallest that is."
  ), "kin_repair", needed = needed, call = call)
}

# "1 family", "15 families".
n_families <- function(n) if (n == 1) "1 family" else paste(count(n), "families")

# kept, pairs: above the threshold, and all; families: sizes, of those with relatives.
inform_sparse_kinship <- function(kept, pairs, families, n, threshold, weights) {
  single <- n - sum(families)
  inform_kinlmm(c(
    "Kept {count(kept)} of {count(pairs)} pairs
     ({format(100 * kept / max(pairs, 1), digits = 2)}%), those of {threshold} and more.",
    "i" = if (length(families) > 0L) {
      "{n_families(length(families))} of up to {count(max(families))} ids, and
       {n_of(single, 'id')} without relatives."
    } else {
      "No id has relatives."
    },
    "i" = if (length(weights) > 0L) {
      "The covariances within {n_families(length(weights))} were lowered, by
       {format(100 * max(weights), digits = 2)}% at most."
    }
  ), "sparse_kinship", kept = kept, families = length(families))
}

# sizes, smallest: of the families that are not, size and smallest eigenvalue.
abort_sparse_kinship <- function(threshold, sizes, smallest, call) {
  abort_kinlmm(c(
    "The sparse relationship matrix must be positive semi-definite.",
    "x" = "With pairs below {threshold} set to zero {n_families(length(sizes))}
           {if (length(sizes) == 1L) 'is' else 'are'} not: the largest has
           {count(max(sizes))} ids, the smallest eigenvalue is
           {format(min(smallest), digits = 3)}.",
    "i" = "{.code repair = TRUE} lowers the covariances within such families by what is
           needed."
  ), "kinship_psd", sizes = sizes, min = min(smallest), call = call)
}

abort_precision <- function(group, arg, call) {
  abort_kinlmm(c(
    "The precision matrix of `{group}` must be positive definite.",
    "x" = "That in {.arg {arg}} is singular or has a negative eigenvalue.",
    "i" = "Is it the relationship matrix itself? Then give it without {.fun precision}."
  ), "precision", "numeric", group = group, call = call)
}

# unknown, known: names.
abort_kinships_names <- function(unknown, known, call) {
  abort_kinlmm(c(
    "Relationship matrices can only be taken by the names that are there.",
    "x" = "{n_are(length(unknown), 'name')} not: {some_of(unknown)}.",
    "i" = "Names are {some_of(known)}."
  ), "kinships_names", unknown = unknown, call = call)
}

# missing: ids of K that L lacks, of n.
abort_epistatic_ids <- function(missing, n, call) {
  abort_kinlmm(c(
    "{.arg L} must hold every id of {.arg K}.",
    "x" = "{count(length(missing))} of {count(n)} are not there: {some_of(missing)}."
  ), "kinship_ids", missing = missing, call = call)
}

# group: NULL where it is not known; most: how many ids may be asked for.
abort_sparse_kernel <- function(group, q, most, what, call) {
  abort_kinlmm(c(
    "A sparse precision matrix of this size has no relationship matrix to be used.",
    "x" = if (is.null(group)) "{what} needs that of {count(q)} ids.",
    "x" = if (!is.null(group)) "`{group}` has {count(q)} ids, and {what} needs it.",
    "i" = "It is formed for up to {count(most)} ids."
  ), "sparse_kernel", group = group, q = q, call = call)
}

# Model ----

abort_no_random <- function(formula, call) {
  abort_kinlmm(c(
    "{.arg formula} must have a random term.",
    "x" = "{.code {deparse1(formula)}} has none.",
    "i" = "Write one as {.code (1 | group)}; a model without is fitted by {.fun stats::lm}."
  ), "formula", call = call)
}

# term: the call with a bar somewhere inside.
abort_structure <- function(term, call) {
  abort_kinlmm(c(
    "Random terms must be sums of {.code (x | g)}, {.code (x || g)} and
     {.code kin(1 | id, K)}.",
    "x" = if (is_bar(term)) {
      "{.code {deparse1(term)}} is not a bar term in parentheses of its own."
    } else {
      "{.code {deparse1(term)}} has a bar inside {.code {deparse1(term[[1L]])}}."
    }
  ), "formula", call = call)
}

abort_group_expression <- function(group, call) {
  abort_kinlmm(c(
    "A grouping factor must be a variable, {.code a:b}, {.code a/b}, or a function of
     variables such as {.code factor(a)}.",
    "x" = "It is {.code {deparse1(group)}}."
  ), "formula", call = call)
}

abort_kin_term <- function(term, call) {
  abort_kinlmm(c(
    "{.code kin()} must have a bar term and a relationship matrix, as
     {.code kin(1 | id, K)}.",
    "x" = "{.code {deparse1(term)}} has something else."
  ), "formula", call = call)
}

# term: as it is written, here and below.
abort_no_columns <- function(term, call) {
  abort_kinlmm(c(
    "A random term must have an intercept or a slope.",
    "x" = "{.code {term}} has neither."
  ), "formula", call = call)
}

abort_random_offset <- function(term, call) {
  abort_kinlmm(c(
    "An offset must stand outside the random terms.",
    "x" = "{.code {term}} has one."
  ), "formula", call = call)
}

abort_variable <- function(missing, known, call) {
  hint <- if (length(known) > 0L) c("i" = "{.arg data} has {some_of(known)}.")
  abort_kinlmm(c(
    "Every variable of {.arg formula} must be in {.arg data} or where the formula was
     made.",
    "x" = "Not found: {some_of(missing)}.", hint
  ), "variable", missing = missing, call = call)
}

abort_frame <- function(error, call) {
  text <- conditionMessage(error)
  abort_kinlmm(c("The model frame can't be made.", "x" = "{text}"), "frame", call = call)
}

abort_response <- function(name, must, found, call) {
  abort_kinlmm(c(
    "The response {.code {name}} must be {must}.", "x" = "It is {found}."
  ), "response", response = name, call = call)
}

# n: rows before missing values; from: what there was to choose from, if n is 0.
abort_no_rows <- function(n, from, call) {
  abort_kinlmm(c(
    "Some rows must be complete.",
    "x" = if (n == 0L) {
      "There are no rows left: {from} has none."
    } else {
      "Each of the {count(n)} rows has a missing value in a variable of the model."
    }
  ), "missing", n = n, call = call)
}

abort_weights <- function(rows, values, call) {
  values <- vapply(values, format, character(1), digits = 4L)
  abort_kinlmm(c(
    "{.arg weights} must be positive and finite.",
    "x" = "{count(length(rows))} {cli::qty(length(rows))}{?is/are} not:
           {some_of(values, quote = FALSE)} in row{cli::qty(length(rows))}{?s}
           {some_of(rows, quote = FALSE)}.",
    "i" = "Leave rows out with {.arg subset}."
  ), "weights", rows = rows, values = values, call = call)
}

# what: "fixed effects" or "random slopes"; found: "Missing", "Infinite" or "Too large".
abort_covariate <- function(what, columns, found, call) {
  abort_kinlmm(c(
    "The {what} must be finite, and at most 1e100.",
    "x" = "{found} values in {some_of(columns)}."
  ), "covariate", columns = columns, call = call)
}

abort_factor <- function(name, level, call) {
  abort_kinlmm(c(
    "The factor {.code {name}} must have at least two levels to have an effect.",
    "x" = "It has {length(level)} in the rows used: {some_of(level)}."
  ), "factor", factor = name, call = call)
}

warn_contrasts <- function(unused) {
  warn_kinlmm(c(
    "{.arg contrasts} are for factors of the fixed effects.",
    "x" = "Not used: {some_of(unused)}."
  ), "contrasts", unused = unused)
}

# p: the rank.
abort_too_many_fixed <- function(p, n, call) {
  abort_kinlmm(c(
    "There must be more records than fixed effects.",
    "x" = "There are {count(p)} linearly independent columns for {count(n)} records."
  ), "rank", p = p, n = n, call = call)
}

inform_rank <- function(dropped) {
  inform_kinlmm(c(
    "The fixed effects are rank deficient, so {length(dropped)} column{?s} {?is/are}
     dropped: {some_of(dropped)}."
  ), "dropped", dropped = dropped)
}

abort_perfect_fit <- function(call) {
  abort_kinlmm(c(
    "The fixed effects must leave some variation.",
    "x" = "They fit the response exactly."
  ), "response", call = call)
}

abort_group_missing <- function(group, n, call) {
  abort_kinlmm(c(
    "The grouping factor {.code {group}} must not be missing.",
    "x" = "It is missing in {n_of(n, 'row')}."
  ), "group", group = group, call = call)
}

abort_group_type <- function(group, found, call) {
  abort_kinlmm(c(
    "The grouping factor {.code {group}} must be a vector or a factor.",
    "x" = "It is {found}."
  ), "group", group = group, call = call)
}

abort_group_form <- function(group, call) {
  abort_kinlmm(c(
    "A grouping factor must be a variable, a function of some, or an interaction such as
     {.code a:b}.",
    "x" = "It is {.code {group}}."
  ), "group", group = group, call = call)
}

abort_one_level <- function(group, level, call) {
  abort_kinlmm(c(
    "The grouping factor {.code {group}} must have at least two levels.",
    "x" = "It has one in the rows used: {some_of(level)}."
  ), "group", group = group, levels = 1L, call = call)
}

# kernel: whether another term of the group has a relationship matrix.
abort_too_many_levels <- function(group, q, k, n, kernel, call) {
  what <- if (k == 1L) "levels" else "random effects"
  name <- deparse1(as.name(group), backtick = TRUE)
  abort_kinlmm(c(
    "The grouping factor {.code {group}} must have fewer {what} than there are records.",
    "x" = "It has {count(q * k)} {what} for {count(n)} records: its variance can't be
           told from the residual variance.",
    "i" = if (kernel) {
      "Beside a relationship matrix {.code (1 | {group})} needs levels with several
       records."
    } else if (k == 1L) {
      "With one record per level a relationship matrix makes the difference:
       {.code kinship = list({name} = K)}."
    }
  ), "group", group = group, levels = q, n = n, call = call)
}

abort_kinship_list <- function(kinship, groups, call) {
  hint <- if (is.matrix(kinship) && length(groups) == 1L) {
    c("i" = "Did you mean {.code kinship = list({groups} = K)}?")
  }
  abort_kinlmm(c(
    "{.arg kinship} must be a list of matrices named by grouping factor.",
    "x" = "It is {describe(kinship)}.", hint
  ), "argument", arg = "kinship", call = call)
}

abort_kinship_group <- function(unknown, groups, call) {
  abort_kinlmm(c(
    "Every name of {.arg kinship} must be a grouping factor of {.arg formula}.",
    "x" = "Not a grouping factor: {some_of(unknown)}.",
    "i" = "The formula groups by {some_of(groups)}."
  ), "kinship_group", unknown = unknown, call = call)
}

abort_kinship_twice <- function(groups, call) {
  abort_kinlmm(c(
    "Every term must have one relationship matrix at most.",
    "x" = "More than one is given for {some_of(groups)}, in {.arg kinship} or
           {.code kin()}."
  ), "kinship_group", groups = groups, call = call)
}

# why: what its evaluation ended with.
abort_kernel <- function(kernel, why, call) {
  abort_kinlmm(c(
    "The relationship matrix {.code {kernel}} of {.code kin()} must be in {.arg data} or
     where the formula was made.",
    "x" = "{why}."
  ), "variable", missing = kernel, call = call)
}

# terms: those of `random` whose components are linearly dependent.
abort_unidentified <- function(terms, call) {
  group <- unique(term_groups(terms))
  names <- some_of(vapply(terms, term_text, character(1)), quote = FALSE)
  one <- length(terms) == 1L
  abort_kinlmm(c(
    "The variance{if (!one) 's'} of {names} can't be estimated.",
    "x" = if (one) {
      "Beside the fixed effects its random effects can't be told from the residuals, or
       from one another: the REML criterion is the same for many values."
    } else {
      "Beside the fixed effects their random effects can't be told from one another, or
       from the residuals: the REML criterion is the same for many values."
    },
    "i" = if (one) {
      "A fixed effect for every level does this, slopes that do not vary within levels, or
       a relationship matrix that is a multiple of the identity with one record per id."
    } else {
      "Grouping factors with the same levels do this, equal relationship matrices (or one
       that is a sum of others), or a column that does not vary."
    }
  ), "unidentified", group = group, call = call)
}

inform_apart <- function(terms) {
  names <- some_of(vapply(terms, describe_term, character(1)), quote = FALSE)
  inform_kinlmm(c(
    "Some covariances of {names} can't be estimated, and are zero: no level has both
     effects."
  ), "apart")
}

abort_random_columns <- function(group, columns, what, call) {
  abort_kinlmm(c(
    "The random effects of {.code {group}} must be linearly independent.",
    "x" = "{some_of(columns)} {what}."
  ), "random_columns", group = group, columns = columns, call = call)
}

# Fit ----

warn_convergence <- function(gradient, iterations) {
  warn_kinlmm(c(
    "The optimum was not reached.",
    "x" = "The largest gradient is {signif(gradient, 3)} after {iterations} iterations.",
    "i" = "See the element {.code opt} of the fit, and {.fun lmm_control}."
  ), "convergence", gradient = gradient)
}

inform_boundary <- function(fit) {
  zero <- zero_components(fit)
  text <- if (length(zero) > 0L) {
    "The variance of {some_of(zero, quote = FALSE)} is estimated as zero: the criterion
     is lowest on this boundary."
  } else {
    "The covariance of the random effects is estimated as singular (a correlation of -1
     or 1, or a linear dependence)."
  }
  inform_kinlmm(c("i" = text), "boundary", components = zero)
}

inform_upper <- function(fit) {
  inform_kinlmm(c(
    "i" = "The residual variance is estimated as zero, as far as the search goes: the
           criterion is lowest on this boundary."
  ), "boundary")
}

abort_new_levels <- function(group, unknown, call) {
  abort_kinlmm(c(
    "Every level of {.code {group}} in {.arg newdata} must be known to the fit.",
    "x" = "{count(length(unknown))} {cli::qty(length(unknown))}{?is/are} not:
           {some_of(unknown)}.",
    "i" = "{.code allow.new.levels = TRUE} predicts them at the population mean."
  ), "new_levels", group = group, unknown = unknown, call = call)
}

# missing: variables; columns: what there is.
abort_newdata <- function(missing, columns, call) {
  abort_kinlmm(c(
    "{.arg newdata} must have the variables of the model.",
    "x" = "Not found: {some_of(missing)}.",
    "i" = if (length(columns) > 0L) "It has {some_of(columns)}."
  ), "newdata", missing = missing, call = call)
}

abort_newdata_type <- function(name, must, found, call) {
  abort_kinlmm(c(
    "{.code {name}} in {.arg newdata} must be {must}, as it was in the fit.",
    "x" = "It is {found}."
  ), "newdata", variable = name, call = call)
}

abort_newdata_level <- function(factor, unknown, known, call) {
  abort_kinlmm(c(
    "Every level of the factor {.code {factor}} in {.arg newdata} must be known to the
     fit.",
    "x" = "{n_are(length(unknown), 'level')} not: {some_of(unknown)}.",
    "i" = "The fit has {some_of(known)}."
  ), "newdata_level", factor = factor, unknown = unknown, call = call)
}

# missing: what is no column of newdata, if anything; found: its value, for n rows.
abort_newdata_offset <- function(offset, missing, found, n, call) {
  abort_kinlmm(c(
    "The offset of the fit, {.code {describe_code(offset)}}, must be made of columns of
     {.arg newdata}.",
    "x" = if (length(missing) > 0L) {
      "Not found there: {some_of(missing)}."
    } else {
      "It is {found} for {count(n)} {cli::qty(n)}row{?s}."
    }
  ), "newdata", missing = missing, call = call)
}

abort_re_form <- function(found, call) {
  abort_kinlmm(c(
    "{.arg re.form} must be NULL, NA, {.code ~0}, or a formula of random terms of the
     fit.",
    "x" = "It has {found}."
  ), "argument", arg = "re.form", call = call)
}

abort_update <- function(arg, why, call) {
  abort_kinlmm(c(
    "The argument {.arg {arg}} must be known to fit again.", "x" = "{why}.",
    "i" = "It was looked for where the formula was made and where {.fun update} was
           called."
  ), "update", arg = arg, call = call)
}

abort_dense <- function(n, q, call) {
  abort_kinlmm(c(
    "The design of the random effects must have at most 1e8 elements to be written out.",
    "x" = "It would have {count(n)} rows and {count(q)} columns."
  ), "dense", n = n, q = q, call = call)
}

abort_getme <- function(unknown, known, call) {
  abort_kinlmm(c(
    "{.arg name} must be names of parts that {.fn getME} knows, or {.val ALL}.",
    "x" = if (length(unknown) > 0L) "It does not know {some_of(unknown)}.",
    "i" = "It knows {some_of(known, 100L, quote = FALSE)}."
  ), "getme", unknown = unknown, call = call)
}

abort_getme_kernel <- function(name, groups, call) {
  abort_kinlmm(c(
    "{.code getME()} has no {some_of(name)} for a model with a relationship matrix.",
    "x" = paste("That of {some_of(groups)} is used as it is; its Cholesky factor, which",
                "{.code Lambda} would hold, is not formed."),
    "i" = "{.fn VarCorr} and {.fn blup} have the variances and the effects."
  ), "getme_kernel", name = name, groups = groups, call = call)
}

abort_package <- function(package, what, call) {
  abort_kinlmm(c("{.code {what}} needs the package {.pkg {package}}.",
                 "i" = "Install it with {.code install.packages(\"{package}\")}."),
               "package", package = package, call = call)
}

abort_augment <- function(lost, call) {
  abort_kinlmm(c(
    "{.arg data} must have the rows of the fit, by row name.",
    "x" = "It lacks {n_of(length(lost), 'row')}: {some_of(lost)}."
  ), "augment", rows = lost, call = call)
}

abort_influence_group <- function(group, known, call) {
  abort_kinlmm(c(
    "Can't find the variable {.code {group}} to delete groups by.",
    "i" = "The model frame has {some_of(known)}; others must be in {.arg data}."
  ), "influence_group", group = group, call = call)
}

abort_parameter <- function(parm, known, call, arg = "parm") {
  abort_kinlmm(c(
    "{.arg {arg}} must name parameters of the model.",
    "x" = if (length(parm) > 0L) "Not found: {some_of(parm)}." else "It names none.",
    "i" = "There are {some_of(known, 12L)}."
  ), "argument", arg = arg, call = call)
}

# size: of the statistic of the fit itself.
abort_statistic <- function(size, found, call = rlang::caller_env()) {
  abort_kinlmm(c(
    "{.arg FUN} must return as many numbers for every fit.",
    "x" = "It returned {size} for the fit itself, and for another {found}."
  ), "argument", arg = "FUN", call = call)
}

abort_comparison <- function(what, call) {
  abort_kinlmm(c("Models can be compared only on the same data.", "x" = "{what}"),
               "comparison", call = call)
}

abort_comparison_kernel <- function(call) {
  abort_kinlmm(c(
    "ML fits with a relationship matrix can't be compared with ones without.",
    "x" = "Theirs is the likelihood of the data free of the intercept.",
    "i" = "{.code refit = FALSE} compares REML fits, if the fixed effects are the same; so
           does {.fun ranova}."
  ), "comparison", call = call)
}

abort_kenward_roger <- function(call) {
  abort_kinlmm(c(
    "{.code ddf = \"Kenward-Roger\"} needs a model fitted by REML.",
    "x" = "This one is fitted by ML.", "i" = "{.code update(fit, REML = TRUE)} fits it again."
  ), "kenward_roger", call = call)
}

# found, wanted: numbers of columns.
abort_contrast <- function(must, found, call) {
  abort_kinlmm(c("{.arg L} must {must}.", "x" = "{found}."), "argument", arg = "L",
               call = call)
}

abort_contrast_rhs <- function(rhs, call) {
  abort_kinlmm(c(
    "{.arg rhs} must be a value that {.code L beta} can have.",
    "x" = "Rows of {.arg L} are combinations of others, and those of {.arg rhs}
           ({some_of(signif(rhs, 4), quote = FALSE)}) are not."
  ), "argument", arg = "rhs", call = call)
}

# terms: what can't be left out; droppable: what can.
abort_drop_scope <- function(terms, droppable, call) {
  abort_kinlmm(c(
    "{.arg scope} must name terms that no other term contains.",
    "x" = "{some_of(terms)} can't be left out.",
    "i" = "There are {some_of(droppable, 12L)}."
  ), "argument", arg = "scope", call = call)
}

inform_refit <- function(n) {
  inform_kinlmm("Fitting {n} model{?s} again by ML instead of REML.", "refit", n = n)
}

# Scan ----

# found: what the fit is.
abort_scan_model <- function(found, call) {
  abort_kinlmm(c(
    "{.arg fit} must be a model from {.fn lmmfit} with one kinship term and no other
     random term.",
    "x" = "It is {found}."
  ), "scan_model", call = call)
}

# missing: ids of the fit, of which there are n, that `have` lacks.
abort_scan_ids <- function(missing, n, have, call) {
  prefixed <- any(sub("^[^_:]*[_:]", "", have) %in% missing)
  hint <- if (length(missing) == n) {
    "{.arg geno} holds {count(length(have))} samples, such as {some_of(have[1L])}."
  } else {
    "To test the others, fit the model without these: see {.arg subset} of {.fn lmmfit}."
  }
  abort_kinlmm(c(
    "Every individual of {.arg fit} must have genotypes in {.arg geno}.",
    "x" = "{count(length(missing))} of {count(n)} have none: {some_of(missing)}.",
    "i" = hint,
    "i" = if (prefixed) "Do the ids in {.arg geno} carry a family prefix?"
  ), "scan_ids", missing = missing, call = call)
}

inform_scan_bound <- function(lambda) {
  inform_kinlmm(c(
    "i" = "The null model's likelihood (ML) is highest at the upper bound of the variance
           ratio, {signif(lambda, 3)}: rely on the Wald test, which is that of REML.
           See {.code ?gwas}."
  ), "scan_bound", lambda = lambda)
}

abort_scan_empty <- function(call) {
  abort_kinlmm("{.arg x} must hold at least one SNP that was tested.", "scan_empty",
               call = call)
}

abort_scan_unplaced <- function(call) {
  abort_kinlmm(c(
    "A Manhattan plot needs the chromosomes of the SNPs.",
    "x" = "{.arg x} has none: {.code chr} is NA or 0 for every SNP that was tested."
  ), "scan_unplaced", call = call)
}

# why: a sentence.
abort_scan_write <- function(path, why, call = rlang::caller_env(),
                             .envir = parent.frame()) {
  abort_kinlmm(c("Can't write {.file {path}}.", "x" = why), "scan_write", "file",
               path = path, call = call, .envir = .envir)
}

# Least squares ----

# terms: as they would be written.
abort_fixed_only <- function(terms, call) {
  abort_kinlmm(c(
    "{.arg formula} must have fixed effects only.",
    "x" = "It has {some_of(terms, quote = FALSE)}.",
    "i" = "{.fn lmmfit} fits random terms; {.fn mme} takes their variances as given."
  ), "fixed_only", terms = terms, call = call)
}

abort_no_fixed <- function(call) {
  abort_kinlmm("{.arg formula} must have at least one fixed effect.", "no_fixed",
               call = call)
}

# has, lacks: arguments that belong together.
abort_share_alone <- function(has, lacks, call) {
  abort_kinlmm(c("{.arg {has}} must come with {.arg {lacks}}.",
                 "x" = "{.arg {lacks}} is not given.",
                 "i" = if (lacks == "h2") "{.fn lmmfit} estimates variances."),
               "argument", arg = lacks, call = call)
}

abort_covariance_twice <- function(other, call) {
  abort_kinlmm(c("{.arg covariance} must stand alone: it is the whole of V.",
                 "x" = "{.arg {other}} is given too."),
               "argument", arg = other, call = call)
}

abort_covariance_names <- function(call) {
  abort_kinlmm("{.arg covariance} must have the same row and column names.",
               "covariance_rows", call = call)
}

# lost: row names of the data that it lacks; twice: those that it has more than once.
abort_covariance_rows <- function(lost, twice, have, call) {
  abort_kinlmm(c(
    "{.arg covariance} must have one row for every row of the data, by row name.",
    "x" = if (length(lost) > 0L) "It lacks {n_of(length(lost), 'row')}: {some_of(lost)}.",
    "x" = if (length(twice) > 0L) "Some are there more than once: {some_of(twice)}.",
    "i" = "Its rows are {some_of(have, 3L)}. Without names it is matched by position."
  ), "covariance_rows", lost = lost, duplicated = twice, call = call)
}

abort_covariance_size <- function(size, n, call) {
  abort_kinlmm(c(
    "{.arg covariance} must have a row and a column for each of the {n_of(n, 'record')}.",
    "x" = "It is {count(size)} x {count(size)}, without row names to match."
  ), "covariance_size", size = size, n = n, call = call)
}

abort_covariance_value <- function(n, call) {
  abort_kinlmm(c("{.arg covariance} must be finite.",
                 "x" = "{n_of(n, 'value')} of the rows used {?is/are} missing or infinite."),
               "covariance_value", call = call, n = n)
}

abort_covariance_asymmetric <- function(worst, call) {
  abort_kinlmm(c("{.arg covariance} must be symmetric.",
                 "x" = "Values differ by up to {signif(worst, 3)} from their mirror image."),
               "covariance_asymmetric", call = call)
}

abort_covariance_singular <- function(n, call) {
  abort_kinlmm(c(
    "The covariance V of the records must be positive definite.",
    "x" = "That of these {n_of(n, 'record')} is not: some combination of them would have
           no variance, or less than none."
  ), "covariance_singular", "numeric", call = call)
}

# error: the largest element of A G A - A, relative to the diagonal of A.
abort_ginverse <- function(error, call) {
  abort_kinlmm(c("{.arg G} must be a generalised inverse of X'V^-1 X.",
                 "x" = "A G A differs from A by up to {signif(error, 3)} of its diagonal."),
               "ginverse", call = call)
}

# lost: names of rows of L.
abort_not_estimable <- function(lost, n, call) {
  abort_kinlmm(c(
    "Every row of {.arg L} must be estimable.",
    "x" = "{count(length(lost))} of {count(n)} {?is/are} not: {some_of(lost)}."
  ), "not_estimable", functions = lost, n = n, call = call)
}

# what: "function" or "record".
inform_not_estimable <- function(lost, what) {
  inform_kinlmm(c(
    "i" = "{n_are(length(lost), what)} not estimable, as {some_of(lost)}: the result is NA.
           Solutions of the normal equations disagree on it."
  ), "not_estimable", functions = lost)
}

# unknown: names; known: those of the coefficients.
abort_coefficients <- function(unknown, known, call) {
  abort_kinlmm(c("{.arg L} must be made of coefficients of the model.",
                 "x" = "Not found: {some_of(unknown)}.",
                 "i" = "There are {some_of(known, 12L)}."),
               "argument", arg = "L", unknown = unknown, call = call)
}

abort_function <- function(text, call) {
  abort_kinlmm(c(
    "{.arg L} must be sums, differences and multiples of coefficients.",
    "x" = "It has {.val {text}}.",
    "i" = "Names such as `(Intercept)` stand in backticks."
  ), "argument", arg = "L", call = call)
}

# Mixed-model equations ----

# given, labels: names of variances and of the terms.
abort_variance_names <- function(given, labels, call) {
  lost <- setdiff(labels, given)
  unknown <- setdiff(given, labels)
  abort_kinlmm(c(
    "{.arg variances} must have one element for each random term, by name.",
    "x" = if (length(lost) > 0L) "It lacks {some_of(lost)}.",
    "x" = if (length(unknown) > 0L) "There is no term {some_of(unknown)}.",
    "x" = if (anyDuplicated(given) > 0L) {
      "{some_of(unique(given[duplicated(given)]))} is there more than once."
    }
  ), "variance_names", lost = lost, unknown = unknown, call = call)
}

# k: columns of the term.
abort_variance_term <- function(label, k, found, call) {
  must <- if (k == 1L) "a number not below zero" else
    paste0("a positive semi-definite matrix of ", k, " x ", k)
  abort_kinlmm(c("The variance of {.val {label}} in {.arg variances} must be {must}.",
                 "x" = "It is {found}."),
               "variance_term", label = label, call = call)
}

# Variance components ----

abort_method <- function(method, known, arg, call) {
  abort_kinlmm(c(
    "{.arg {arg}} must be {if (arg == 'method') 'the name of a method' else 'names of methods'}.",
    "x" = if (arg == "method") "It is {describe(method)}." else "{describe(method)} is none.",
    "i" = "Methods are {some_of(known, length(known))}."
  ), "argument", arg = arg, call = call)
}

# unknown, known: names of arguments; unknown may be empty for those without a name.
abort_settings <- function(unknown, known, method, call) {
  shown <- replace(unknown, unknown == "", "(without a name)")
  abort_kinlmm(c(
    "Method {.val {method}} must be given only arguments that it has.",
    "x" = "{some_of(shown)} {if (length(unknown) == 1L) 'is' else 'are'} not among them.",
    "i" = if (length(known) > 0L) "It has {some_of(known)}." else "It has none."
  ), "argument", arg = unknown, call = call)
}

# given: arguments beside a fit.
abort_fit_arguments <- function(given, call) {
  abort_kinlmm(c(
    "A fitted model has its data already: {.arg formula} alone must be given.",
    "x" = "{some_of(given)} {if (length(given) == 1L) 'is' else 'are'} given too."
  ), "argument", arg = given, call = call)
}

abort_one_response <- function(call) {
  abort_kinlmm(c(
    "The model must have one response.",
    "x" = "{.code cbind()} gives several."
  ), "response", call = call)
}

# terms: those of the model that the method can't do; why: a sentence.
abort_method_terms <- function(method, terms, why, call) {
  names <- some_of(vapply(terms, describe_term, character(1)), quote = FALSE)
  abort_kinlmm(c("{method} is not for models with {names}.", "x" = why),
               "method_terms", terms = unname(names), call = call)
}

# terms: NULL where the records are too many.
abort_method_size <- function(method, terms, limit, call) {
  abort_kinlmm(c(
    "{method} needs matrices of at most {count(limit)} x {count(limit)}.",
    "x" = if (is.null(terms)) "There are more records." else "There are more random effects.",
    "i" = "REML, ML, EM-REML and MINQUE have no such limit."
  ), "method_size", limit = limit, call = call)
}

# terms: those whose sums of squares have no degrees of freedom, in the order of all.
abort_confounded <- function(terms, order, call) {
  names <- some_of(vapply(terms, describe_term, character(1)), quote = FALSE)
  abort_kinlmm(c(
    "The sum of squares of {names} must have degrees of freedom.",
    "x" = "Beside the fixed effects and the terms before it there are none left.",
    "i" = if (length(order) > 1L) "The order of the terms is {some_of(order)}."
  ), "confounded", order = order, call = call)
}

abort_residual_df <- function(terms, call) {
  names <- some_of(vapply(terms, describe_term, character(1)), quote = FALSE)
  abort_kinlmm(c(
    "The residual sum of squares must have degrees of freedom.",
    "x" = "The effects of {names} fit every record, with any response.",
    "i" = "Repeated records leave some; REML, MINQUE and HE do without."
  ), "residual_df", call = call)
}

abort_henderson <- function(fixed, call) {
  columns <- setdiff(colnames(fixed$X), "(Intercept)")
  abort_kinlmm(c(
    "Henderson's method I must have no fixed effect but the mean.",
    "x" = "There are {some_of(columns)}: beside them its estimates would be biased.",
    "i" = "Method {.val ANOVA-III} adjusts for fixed effects."
  ), "henderson", columns = columns, call = call)
}

# Sampling ----

# unknown: names of `prior`; labels: those there are.
abort_prior_label <- function(unknown, labels, call) {
  abort_kinlmm(c(
    "{.arg prior} must be named by terms of the model.",
    "x" = "There is no {some_of(unknown)}.",
    "i" = "There are {some_of(labels, 12L)}."
  ), "argument", arg = "prior", call = call)
}

# k: columns of the term.
abort_prior_kind <- function(label, k, call) {
  abort_kinlmm(c(
    "The prior of {.val {label}} must be one of a covariance matrix.",
    "x" = "The term has {k} columns, and the prior is that of one variance.",
    "i" = "{.fn prior_half_t} and {.fn prior_inverse_wishart} are for several columns."
  ), "argument", arg = "prior", call = call)
}

# found: what its scale is.
abort_prior_size <- function(label, k, found, call) {
  abort_kinlmm(c(
    "The scale of the prior of {.val {label}} must fit its {k} column{?s}.",
    "x" = "It is {found}."
  ), "argument", arg = "prior", call = call)
}

abort_prior_log <- function(labels, call) {
  abort_kinlmm(c(
    "The prior of a random term can't be flat on the logarithm of its variance.",
    "x" = "That of {some_of(labels)} is: the likelihood does not vanish at a variance of
           zero, so that the posterior would be improper."
  ), "improper", labels = labels, call = call)
}

# rank: of the columns of the terms beside the fixed effects.
abort_prior_flat <- function(labels, rank, call) {
  abort_kinlmm(c(
    "Flat priors need more levels than there are: the posterior would be improper.",
    "x" = "The rank of {some_of(labels)} beside the fixed effects is {rank}.",
    "i" = "{.fn prior_half_t} is proper."
  ), "improper", labels = labels, rank = rank, call = call)
}

abort_prior_residual <- function(call) {
  abort_kinlmm(c(
    "The prior of the residual variance can't be flat on its logarithm here.",
    "x" = "The fixed and random effects can explain every record, so that the likelihood
           does not vanish at a residual variance of zero: the posterior would be improper."
  ), "improper", labels = "Residual", call = call)
}

abort_bayes_responses <- function(call) {
  abort_kinlmm(c(
    "{.code method = \"Bayes\"} is for one response.",
    "x" = "The formula has several."
  ), "responses", call = call)
}

abort_exact_fit <- function(call) {
  abort_kinlmm(c(
    "The records must not be explained exactly: the posterior would be improper.",
    "x" = "Fixed and random effects, fewer than the records, leave no residuals, so that the
           likelihood has no bound as the residual variance goes to zero."
  ), "improper", labels = "Residual", call = call)
}

# rest: records less the rank of the fixed effects.
abort_prior_records <- function(labels, rest, call) {
  abort_kinlmm(c(
    "Flat priors need more records than there are: the posterior would be improper.",
    "x" = "Those of {some_of(labels)} are flat, and fixed effects leave {rest} degree{?s} of
           freedom.",
    "i" = "{.fn prior_half_t} is proper."
  ), "improper", labels = labels, call = call)
}

abort_sampler_start <- function(call) {
  abort_kinlmm(c(
    "No chain could start: the posterior density is zero wherever it was tried.",
    "i" = "Do the scales of the priors fit the data?"
  ), "sampler_start", "numeric", call = call)
}

# bad: parameters; rhat, ess: the worst of each.
warn_sampling <- function(bad, rhat, ess) {
  warn_kinlmm(c(
    "The chains have not converged, or are too short, for {some_of(bad)}.",
    "x" = "The largest R-hat is {sprintf('%.3f', rhat)} (at most 1.01 is wanted), the smallest
           effective sample size {count(round(ess))} (at least 400).",
    "i" = "Take more {.arg iterations}, and a longer {.arg warmup}: see {.fn bayes_control}."
  ), "sampling", bad = bad, rhat = rhat, ess = ess)
}

# Heritability ----

# term: as it is written; missing: variables.
abort_share_at <- function(term, missing, call) {
  abort_kinlmm(c(
    "The variance of a random slope depends on its covariate: {.arg at} must give a value.",
    "x" = "{term} needs {some_of(missing)}.",
    "i" = "For example {.code at = list({missing[[1L]]} = 0)}."
  ), "heritability", missing = missing, call = call)
}

abort_share_profile <- function(call) {
  abort_kinlmm(c(
    "Profile intervals are for models whose random terms are all intercepts.",
    "i" = "{.code method = \"wald\"} and {.code method = \"bootstrap\"} are for any."
  ), "heritability", call = call)
}

# known: covariates of random slopes.
abort_at_unknown <- function(names, known, call) {
  abort_kinlmm(c(
    "{.arg at} must name covariates of random slopes.",
    "x" = "{some_of(names)} {cli::qty(length(names))}{?is/are} none.",
    "i" = if (length(known) > 0L) "There {cli::qty(length(known))}{?is/are} {some_of(known)}."
          else "The model has no random slopes."
  ), "heritability", names = names, call = call)
}

# count: of the traits of zeros and ones.
abort_liability_shares <- function(arg, count, found, call) {
  abort_argument(arg, paste0("shares of cases, above 0 and below 1: one, or one for each of ",
                             "the ", count, " binary traits"), found, call)
}

abort_liability_response <- function(call) {
  abort_kinlmm(c(
    "{.arg h2} must come from a fit whose response is 0 (controls) or 1 (cases).",
    "i" = "For another, give the number: {.code liability(h2$estimate, ...)}."
  ), "liability", call = call)
}

# terms: as they are written.
abort_partition_terms <- function(terms, call) {
  abort_kinlmm(c(
    "{.arg fit} must have intercepts alone, at least two of them with a relationship matrix:
     {.code kin(1 | id, A) + kin(1 | id, B)}.",
    "x" = "It has {some_of(terms, quote = FALSE)}."
  ), "partition", terms = terms, call = call)
}

# groups: those whose number of SNPs is not known.
abort_partition_snps <- function(groups, call) {
  abort_kinlmm(c(
    "{.arg snps} must say of how many SNPs each relationship matrix was made.",
    "x" = "{some_of(groups)} {cli::qty(length(groups))}{?was/were} not made by {.fn grm},
           which notes it."
  ), "partition", groups = groups, call = call)
}

# unknown, known: names.
abort_partition_names <- function(unknown, known, call) {
  abort_kinlmm(c(
    "Names of {.arg snps} must be those of all matrices, or all of them new.",
    "x" = "{some_of(unknown)} {cli::qty(length(unknown))}{?is/are} not among them.",
    "i" = "They are {some_of(known)}."
  ), "partition", unknown = unknown, call = call)
}

abort_partition_zero <- function(call) {
  abort_kinlmm(c(
    "There is no genetic variance to be partitioned.",
    "x" = "The variance of every term with a relationship matrix is estimated as zero."
  ), "partition", call = call)
}

# unknown: those of `terms` that are no terms; known: what could be left out.
abort_test_terms <- function(unknown, terms, known, call) {
  found <- if (length(unknown) > 0L) unknown else terms
  abort_kinlmm(c(
    "{.arg terms} must name random terms, or one column of a term.",
    "x" = if (length(found) > 0L) "It has {some_of(found)}." else "It is empty.",
    "i" = "There are {some_of(known, 12L)}."
  ), "argument", arg = "terms", call = call)
}

# terms: as they are written, here and below.
abort_no_mixture <- function(terms, call) {
  abort_kinlmm(c(
    "The limiting distribution is known for single variances, for a slope beside other
     effects, and for one term of two effects.",
    "x" = "The test is of {some_of(terms, quote = FALSE)}.",
    "i" = "{.code method = \"bootstrap\"} is for any."
  ), "mixture", terms = terms, call = call)
}

abort_exact_terms <- function(terms, call) {
  abort_kinlmm(c(
    "The exact distribution is that of a model with one random term of one effect.",
    "x" = "This one has {some_of(terms, quote = FALSE)}.",
    "i" = "{.code method = \"bootstrap\"} is for any."
  ), "mixture", terms = terms, call = call)
}

abort_exact_levels <- function(group, levels, call) {
  abort_kinlmm(c(
    "The exact distribution needs the eigenvalues of a matrix as large as {.val {group}} has
     levels, at most 5,000.",
    "x" = "It has {count(levels)}.",
    "i" = "With so many the mixture is accurate unless groups are very unequal."
  ), "mixture", call = call)
}

# Two traits ----

abort_two_traits <- function(found, call) {
  abort_kinlmm(c(
    "The response must be two traits, as in {.code cbind(trait1, trait2) ~ ...}.",
    "x" = "It has {n_of(found, 'column')}.",
    "i" = if (found == 1L) "{.fn lmmfit} fits one trait."
  ), "two_traits", found = found, call = call)
}

# term: as it would be written.
abort_trait_slopes <- function(term, call) {
  abort_kinlmm(c(
    "Random terms of {.fn bivariate} must be intercepts, such as {.code (1 | id)}.",
    "x" = "{term} is not."
  ), "trait_slopes", term = term, call = call)
}

abort_trait_offset <- function(call) {
  abort_kinlmm(c(
    "{.fn bivariate} has no offset: one known part of the mean can't be that of two traits.",
    "i" = "Subtract it from the trait that it belongs to."
  ), "trait_offset", call = call)
}

abort_traits_identical <- function(traits, call) {
  abort_kinlmm(c(
    "The two traits must not be perfectly correlated.",
    "x" = "Beside the fixed effects {.code {traits[[2L]]}} is a multiple of
           {.code {traits[[1L]]}}: there is no likelihood."
  ), "traits_identical", traits = traits, call = call)
}

abort_traits_degenerate <- function(traits, call) {
  abort_kinlmm(c(
    "The records must leave residual variation in every combination of the traits.",
    "x" = "The likelihood of {.code {traits[[1L]]}} and {.code {traits[[2L]]}} has no
           maximum: it grows without end towards a covariance that is singular.",
    "i" = "Repeated records that do not differ do this."
  ), "traits_degenerate", traits = traits, call = call)
}

# why: a clause.
abort_no_correlation <- function(term, why, call) {
  abort_kinlmm(c(
    "The correlation of the effects of {.code {term}} must be defined.",
    "x" = "It is not: {why}."
  ), "no_correlation", term = term, call = call)
}

# Spike and slab ----

abort_spike_random <- function(call) {
  abort_kinlmm(c(
    "{.arg formula} must hold fixed effects only.",
    "x" = "It has random terms.",
    "i" = "The random effects of {.fn spike_slab} are those of the SNPs in {.arg geno}."
  ), "spike_random", call = call)
}

# id: the column, or NULL for row names; n: rows without a value.
abort_spike_no_id <- function(id, n, call) {
  abort_kinlmm(c("Every record must have an id.",
                 "x" = "{n_of(n, 'record')} {if (n == 1) 'has' else 'have'} none
                        in {.field {id}}."),
               "spike_ids", call = call)
}

# missing: ids of the n records that `have` lacks; by_row: ids are row names.
abort_spike_ids <- function(missing, n, have, by_row, call) {
  abort_kinlmm(c(
    "Every record must have genotypes in {.arg geno}.",
    "x" = "{count(length(missing))} of {count(n)} have none: {some_of(missing)}.",
    "i" = if (by_row) {
      "Ids are the row names of {.arg data}: {.arg id} names a column of ids."
    },
    "i" = if (length(missing) == n) {
      "{.arg geno} holds {count(length(have))} samples, such as {some_of(have[1L])}."
    }
  ), "spike_ids", missing = missing, call = call)
}

abort_spike_repeated <- function(ids, call) {
  abort_kinlmm(c(
    "{.fn spike_slab} takes one record for each id.",
    "x" = "{n_of(length(ids), 'id')} {if (length(ids) == 1) 'has' else 'have'} several:
           {some_of(ids)}."
  ), "spike_repeated", ids = ids, call = call)
}

abort_spike_markers <- function(m, call) {
  abort_kinlmm(c(
    "{.arg geno} must hold SNPs that vary among the analysed samples.",
    "x" = "None of {count(m)} does."
  ), "spike_markers", call = call)
}

inform_spike_dropped <- function(dropped, m) {
  inform_kinlmm(c(
    "i" = "{count(m)} SNPs are used; {n_are(dropped, 'other')} without variation
           in the analysed samples."
  ), "spike_dropped")
}

# why: a sentence.
warn_spike_convergence <- function(why) {
  warn_kinlmm(c(
    "The sampler has not converged.",
    "x" = why,
    "i" = "{.fn more} goes on with it."
  ), "spike_convergence")
}

abort_spike_snps <- function(missing, m, call) {
  abort_kinlmm(c(
    "{.arg newdata} must hold every SNP of the fit.",
    "x" = "{n_are(length(missing), 'SNP')} missing: {some_of(missing)}."
  ), "spike_snps", missing = missing, call = call)
}

# Prediction ----

# terms: those that could be meant.
abort_marker_term <- function(terms, asked, call) {
  abort_kinlmm(c(
    "{.arg term} must say which relationship matrix the genotypes made.",
    "x" = if (!is.null(asked)) {
      "{.val {asked}} is none of {some_of(terms)}, or several."
    } else if (length(terms) > 1L) {
      "Terms of {.arg fit} with one are {some_of(terms)}."
    } else {
      "No term of {.arg fit} has one."
    }
  ), "marker_term", terms = terms, call = call)
}

# why: a clause.
abort_marker_method <- function(term, why, call) {
  abort_kinlmm(c(
    "Marker effects need a matrix of additive effects, all SNPs weighed alike and missing
     genotypes replaced by the mean.",
    "x" = "The matrix of {.val {term}} {why}."
  ), "marker_kernel", call = call)
}

# missing: ids of the kernel, of which there are n, that have no genotypes.
abort_marker_samples <- function(missing, n, call) {
  abort_kinlmm(c(
    "{.arg geno} must hold every individual of the relationship matrix.",
    "x" = "{count(length(missing))} of {count(n)} are not there: {some_of(missing)}."
  ), "marker_ids", missing = missing, call = call)
}

abort_marker_repeated <- function(ids, call) {
  abort_kinlmm(c(
    "SNPs are matched by id, which must be unique.",
    "x" = "{n_are(length(ids), 'id')} there more than once: {some_of(ids)}."
  ), "marker_ids", ids = ids, call = call)
}

# used: SNPs in the matrix and in geno by the same filters; away: relative difference.
# group: the name of that of the matrix's SNPs, if it is of one.
abort_marker_kernel <- function(term, used, away, call, group = NULL) {
  abort_kinlmm(c(
    "{.arg geno} must be the genotypes of which the relationship matrix of {.val {term}}
     was made.",
    "x" = if (!is.null(used)) {
      "The matrix is of {count(used[[1L]])} SNPs; by its filters {.arg geno} has
       {count(used[[2L]])}."
    } else {
      "The matrix is not a multiple of theirs: the relative difference is
       {signif(away, 2)}."
    },
    "i" = if (is.null(used)) {
      "Was it made of other samples or SNPs, by another {.arg method}, {.arg maf} or
       {.arg missing}, or changed?"
    },
    "i" = if (!is.null(group)) {
      "It is of the SNPs of group {.val {group}}: {.arg geno} must be subset to these."
    }
  ), "marker_kernel", used = used, difference = away, call = call)
}

# n: all SNPs; differ: those with other alleles.
abort_marker_none <- function(n, differ, call) {
  abort_kinlmm(c(
    "{.arg newgeno} must have SNPs of {.arg object}.",
    "x" = if (differ > 0L) {
      "Of {count(n)}, {count(differ)} are there, all with other alleles."
    } else {
      "None of {count(n)} is there."
    }
  ), "marker_none", call = call)
}

inform_marker_zero <- function(term) {
  inform_kinlmm(c(
    "i" = "The variance of {.val {term}} is estimated as zero: all effects are zero."
  ), "marker_zero", term = term)
}

# n: all SNPs; absent, differ: ids; swapped: how many.
inform_markers <- function(n, absent, differ, swapped) {
  if (length(absent) + length(differ) + swapped == 0L) return(invisible())
  inform_kinlmm(c(
    "Predicting from {count(n - length(absent) - length(differ))} of {count(n)} SNPs.",
    "i" = if (length(absent) > 0L) {
      "{n_are(length(absent), 'SNP')} not in {.arg newgeno}, and count as the mean:
       {some_of(absent)}."
    },
    "!" = if (length(differ) > 0L) {
      "{n_of(length(differ), 'SNP')} with other alleles there
       {cli::qty(length(differ))}{?is/are} left out: {some_of(differ)}."
    },
    "i" = if (swapped > 0L) {
      "{n_of(swapped, 'SNP')} with swapped alleles {cli::qty(swapped)}{?is/are} recoded."
    }
  ), "markers", absent = absent, differ = differ, swapped = swapped)
}

# n: records.
inform_not_predictable <- function(n) {
  inform_kinlmm(c(
    "i" = "{n_of(n, 'record')} can't be predicted: without {cli::qty(n)}{?it/them}, or the
           others left out with {cli::qty(n)}{?it/them}, the fixed effects can't be estimated."
  ), "not_predictable", n = n)
}

abort_left_out <- function(arg, must, found, call) {
  abort_kinlmm(c("{.arg {arg}} must be {must}.", "x" = "{found}."), "argument", arg = arg,
               call = call)
}

abort_no_residual <- function(call) {
  abort_kinlmm(c(
    "Records can't be left out of a fit whose residual variance is zero.",
    "x" = "Beside the other variances that of the residuals is too small for the digits of
           a double.",
    "i" = "{.code cross_validate(fit, refit = TRUE)} estimates the variances anew."
  ), "no_residual", "numeric", call = call)
}

# failed: folds; why: the first message.
warn_folds <- function(failed, why) {
  warn_kinlmm(c(
    "{n_of(failed, 'fold')} could not be fitted, and {cli::qty(failed)}{?its/their} records
     are not predicted.",
    "x" = "{why}"
  ), "folds", failed = failed)
}

# Longitudinal ----

# columns: of the second stage; subjects: those within which they vary.
abort_varying_covariate <- function(columns, subjects, group, call) {
  abort_kinlmm(c(
    "Covariates in {.arg second} must be constant within each level of {.code {group}}.",
    "x" = "{some_of(columns)} {cli::qty(length(columns))}{?varies/vary} within
           {some_of(subjects)}.",
    "i" = "What varies within subjects belongs into the first stage."
  ), "varying_covariate", columns = columns, subjects = subjects, call = call)
}

# arg: "formula" or "second".
abort_stage_columns <- function(arg, call) {
  abort_kinlmm("{.arg {arg}} must have an intercept or a covariate.", "argument", arg = arg,
               call = call)
}

# used: subjects with a regression of their own; covariates: columns of the second stage.
abort_few_subjects <- function(used, covariates, call) {
  abort_kinlmm(c(
    "The second stage must have more subjects than columns.",
    "x" = "{n_of(used, 'subject')} {cli::qty(used)}{?has/have} records enough for a
           regression, and it has {n_of(covariates, 'column')}."
  ), "few_subjects", used = used, call = call)
}

# k: coefficients of the first stage.
abort_no_spare_records <- function(k, call) {
  abort_kinlmm(c(
    "Some subject must have more records than the {n_of(k, 'coefficient')} of the first
     stage.",
    "x" = "None has, so that the residual variance can't be estimated."
  ), "no_spare_records", call = call)
}

# columns: combinations of others.
abort_second_rank <- function(columns, call) {
  abort_kinlmm(c(
    "Columns of the second stage must be linearly independent among the subjects used.",
    "x" = "Combinations of others: {some_of(columns)}."
  ), "second_rank", columns = columns, call = call)
}

# lost: subjects without a regression, of n.
inform_short_subjects <- function(lost, k, n) {
  inform_kinlmm(c(
    "i" = "{count(length(lost))} of {n_of(n, 'subject')} {cli::qty(length(lost))}{?has/have}
           too few different records for {n_of(k, 'coefficient')}, and
           {cli::qty(length(lost))}{?is/are} left out of the two stages: {some_of(lost)}."
  ), "short_subjects", subjects = lost)
}

# Simulation ----

abort_pedigree_columns <- function(arg, lacking, have, call) {
  abort_kinlmm(c(
    "{.arg {arg}} must have columns {.code id}, {.code sire} and {.code dam}.",
    "x" = "Not there: {some_of(lacking)}.",
    "i" = if (length(have) > 0L) "It has {some_of(have)}."
  ), "pedigree_columns", missing = lacking, call = call)
}

# rows: those without an id, or NULL; ids: those that are repeated.
abort_pedigree_ids <- function(arg, rows, ids, call) {
  abort_kinlmm(c(
    "Every animal of {.arg {arg}} must have an id of its own.",
    "x" = if (is.null(ids)) {
      "{n_of(length(rows), 'row')} without one: {some_of(rows, quote = FALSE)}. Ids may not
       be NA, empty or 0."
    } else {
      "{n_are(length(ids), 'id')} there more than once: {some_of(ids)}."
    }
  ), "pedigree_ids", rows = rows, ids = ids, call = call)
}

abort_pedigree_sexes <- function(arg, ids, call) {
  abort_kinlmm(c(
    "No animal of {.arg {arg}} can be both a sire and a dam.",
    "x" = "{n_are(length(ids), 'animal')} both: {some_of(ids)}.",
    "i" = "{.code hermaphrodites = TRUE} allows it in {.fun pedigree_kinship}."
  ), "pedigree_sexes", ids = ids, call = call)
}

# ids: each a parent of the one before, the last the first again.
abort_pedigree_loop <- function(ids, call) {
  shown <- if (length(ids) > 12L) c(ids[1:10], "...", ids[[length(ids)]]) else ids
  path <- gsub("}", "}}", gsub("{", "{{", paste(shown, collapse = " <- "), fixed = TRUE),
               fixed = TRUE)
  abort_kinlmm(c(
    "No animal can be its own ancestor.",
    "x" = if (length(ids) == 2L) {
      "{some_of(ids[1L])} is its own parent."
    } else {
      paste0(path, " (child <- parent).")
    }
  ), "pedigree_loop", ids = ids, call = call)
}

# have, need: sires and dams.
abort_pedigree_parents <- function(have, need, call) {
  abort_kinlmm(c(
    "Every generation must have children enough to be the parents of the next.",
    "x" = "{.arg children} makes {count(have[['sires']])} males and
           {count(have[['dams']])} females; {count(need[['sires']])} sires and
           {count(need[['dams']])} dams are needed."
  ), "pedigree_parents", have = have, need = need, call = call)
}

abort_bed_dosage <- function(sample, snp, value, call) {
  abort_kinlmm(c(
    "A {.file .bed} can only hold genotypes 0, 1, 2 and NA.",
    "x" = "{.arg geno} has {format(value)} for sample {some_of(sample)} at SNP
           {some_of(snp)}.",
    "i" = "{.fun round} would make calls of dosages."
  ), "bed_dosage", sample = sample, snp = snp, value = value, call = call)
}

# column: of the .bim or .fam; what: "sample" or "SNP".
abort_bed_ids <- function(column, what, values, names, call) {
  abort_kinlmm(c(
    "PLINK files can't hold values that are empty, have white space or are not UTF-8.",
    "x" = "{.code {column}} is such a value for {n_of(length(names), what)}:
           {some_of(values)}."
  ), "bed_ids", column = column, ids = names, call = call)
}

# why: a sentence or what R said.
abort_bed_write <- function(prefix, why, call) {
  abort_kinlmm(c("Can't write genotypes to {.file {prefix}}.", "x" = "{why}"), "bed_write",
               "file", path = prefix, call = call)
}

# n: what was given; arg: what implies another number.
abort_simulate_size <- function(n, implied, arg, call) {
  abort_kinlmm(c(
    if (arg == "founders") {
      "{.arg populations} must add up to the founders of {.arg pedigree}."
    } else {
      "{.arg n} must agree with {.arg {arg}}, or be left out."
    },
    "x" = if (arg == "founders") {
      "They add up to {count(n)}; {n_of(implied, 'animal')} have an unknown parent."
    } else {
      "It is {count(n)}; {.arg {arg}} has {n_of(implied, 'sample')}."
    }
  ), "simulate_size", n = n, implied = implied, call = call)
}

# group: NULL if there is only one.
abort_simulate_causal <- function(group, want, have, call) {
  abort_kinlmm(c(
    "There must be SNPs enough to be causal: only those that vary can be.",
    "x" = "{n_are(want, 'SNP')} wanted; {n_of(have, 'SNP')} of {.arg x} can
           be{if (is.null(group)) '' else paste(' in', some_of(group))}."
  ), "simulate_causal", want = want, have = have, call = call)
}

# known: which of them are SNPs, but without variation or group.
abort_simulate_causal_ids <- function(ids, known, call) {
  abort_kinlmm(c(
    "{.arg causal} must name SNPs of {.arg x} that vary and have a group.",
    "x" = if (!all(known)) "Not there: {some_of(ids[!known])}.",
    "x" = if (any(known)) "Without variation or group: {some_of(ids[known])}."
  ), "simulate_causal", ids = ids, call = call)
}

abort_simulate_shares <- function(shares, groups, call) {
  abort_kinlmm(c(
    "{.arg shares} must be shares of the heritability by group that add up to 1.",
    "x" = if (is.numeric(shares) && setequal(names(shares), groups)) {
      "They are {some_of(format(shares), quote = FALSE)}, and add up to
       {format(sum(shares))}."
    } else {
      "It is {describe(shares)}, named {some_of(names(shares))}."
    },
    "i" = "The groups are {some_of(groups)}."
  ), "simulate_groups", groups = groups, call = call)
}

abort_simulate_group_empty <- function(groups, call) {
  abort_kinlmm(c(
    "Every group with a share of the heritability must have SNPs that vary.",
    "x" = "None in {some_of(groups)}."
  ), "simulate_groups", groups = groups, call = call)
}

abort_simulate_group_causal <- function(groups, call) {
  abort_kinlmm(c(
    "Every group with a share of the heritability must have causal SNPs.",
    "x" = "{.arg causal} has none in {some_of(groups)}."
  ), "simulate_groups", groups = groups, call = call)
}

# n: samples or records.
abort_simulate_few <- function(n, call) {
  abort_kinlmm(c(
    "There must be more samples to have given variances in the sample.",
    "x" = "{n} values can't be uncorrelated with their mean and the other parts.",
    "i" = "{.code scale = \"population\"} allows it."
  ), "simulate_few", call = call)
}

# side: "row" for ids of samples, "column" for names of covariates.
abort_simulate_covariates <- function(missing, side, call) {
  abort_kinlmm(c(
    if (side == "row") {
      "Every sample must have covariates in {.arg covariates}."
    } else {
      "Every covariate of {.arg beta} must be a column of {.arg covariates}."
    },
    "x" = "{n_of(length(missing), if (side == 'row') 'sample' else 'covariate')}
           not there: {some_of(missing)}."
  ), "simulate_covariates", missing = missing, call = call)
}

# want, have: cases and controls.
abort_simulate_cases <- function(want, have, call) {
  short <- names(want)[want > have]
  abort_kinlmm(c(
    "{.arg cases} and {.arg controls} must not be more than the samples give.",
    stats::setNames(paste0("Wanted: ", count(want[short]), " ", short, ". There: ",
                           count(have[short]), "."), rep("x", length(short))),
    "i" = "More samples, or a higher prevalence for cases, would give more."
  ), "simulate_cases", want = want, have = have, call = call)
}

abort_simulate_kernel <- function(call) {
  abort_kinlmm(c(
    "The relationship matrix {.arg x} must be positive semi-definite.",
    "x" = "It has a negative eigenvalue."
  ), "kinship_psd", call = call)
}

abort_simulate_no_variance <- function(call) {
  abort_kinlmm(c(
    "Genetic values must vary to have a given variance in the sample.",
    "x" = "No SNP was drawn to be causal, or the relationship matrix is constant.",
    "i" = "{.code scale = \"population\"} allows it; {.arg causal} fixes the number of SNPs."
  ), "simulate_causal", call = call)
}

# Single step ----

# unknown: of the n genotyped animals; ids: those of the pedigree.
abort_single_step_ids <- function(unknown, n, ids, call) {
  abort_kinlmm(c(
    "Every animal of {.arg G} must be in {.arg pedigree}.",
    "x" = "{count(length(unknown))} of {count(n)} {if (length(unknown) == 1L) 'is' else 'are'}
           not there: {some_of(unknown)}.",
    "i" = if (length(ids) > 0L) {
      "{.arg pedigree} holds {n_of(length(ids), 'id')}, such as {some_of(ids[[1L]])}."
    }
  ), "single_step_ids", missing = unknown, call = call)
}

# means: of the diagonal and of the other elements.
abort_single_step_tune <- function(means, call) {
  abort_kinlmm(c(
    "{.arg G} must have larger elements on the diagonal than off it to be tuned.",
    "x" = "The mean of its diagonal is {format(means[[1L]], digits = 3)}, that of the other
           elements {format(means[[2L]], digits = 3)}."
  ), "single_step_tune", means = means, call = call)
}

# what: see check_definite().
abort_single_step_singular <- function(what, call) {
  abort_kinlmm(c(
    switch(what,
      G = "{.arg G}, tuned and blended, must be positive definite to be inverted.",
      A22 = "The relationships of the genotyped animals must be positive definite.",
      inner = "{.arg tau} and {.arg omega} must leave H positive definite."
    ),
    "x" = switch(what,
      inner = "tau G^-1 + (1 - omega) A22^-1 is not.",
      "It is singular or has a negative eigenvalue."
    ),
    "i" = switch(what,
      G = "A larger {.arg blend} makes it positive definite if {.arg G} is semi-definite.",
      inner = "With an {.arg omega} of at most 1 it always is."
    )
  ), "single_step_singular", "numeric", call = call)
}

# Files of relationship matrices ----

# found: the files that share the prefix.
abort_kin_missing <- function(path, found, call) {
  packed <- found[grepl("[.]zst$", found)]
  abort_kinlmm(c(
    "Can't find a relationship matrix at {.file {path}}.",
    "x" = if (length(found) > 0L) {
      "Files with this prefix are {some_of(basename(found))}."
    } else {
      "There is no such file, and none with this prefix."
    },
    "i" = if (length(packed) > 0L) {
      "Did you mean to decompress {.file {packed[[1L]]}} first?"
    }
  ), "kinship_missing", "file", path = path, found = found, call = call)
}

abort_kin_ambiguous <- function(path, found, call) {
  abort_kinlmm(c(
    "{.arg path} must belong to one relationship matrix.",
    "x" = "Files with this prefix are {some_of(found)}.",
    "i" = "Name one of them, or its {.arg format}."
  ), "kinship_format", "file", path = path, found = found, call = call)
}

abort_kin_format <- function(path, call) {
  endings <- unlist(kinship_endings)
  abort_kinlmm(c(
    "Can't tell the format of {.file {path}} by its name.",
    "x" = "It ends with none of {some_of(endings[!grepl('txt.gz', endings)], 10L)}.",
    "i" = "{.arg format} may say what it is."
  ), "kinship_format", "file", path = path, call = call)
}

abort_kin_zstd <- function(path, call) {
  abort_kinlmm(c(
    "{.file {path}} must be text, or compressed by gzip.",
    "x" = "It starts with the bytes of zstd: PLINK 2 was run with {.code zs}.",
    "i" = "{.code zstd -d} decompresses it."
  ), "kinship_format", "file", path = path, call = call)
}

abort_kin_ids <- function(path, format, call) {
  abort_kinlmm(c(
    "{.arg ids} must give the ids of the samples in {.file {path}}.",
    "x" = if (format == "gemma") {
      "GEMMA's files hold none: their rows are the lines of its {.file .fam}, in order."
    } else {
      "The file is not named in a way that leads to its ids."
    },
    "i" = "{.arg ids} may be a vector, genotypes from {.fn read_bed}, or the path of the
           {.file .fam}."
  ), "kinship_ids", "file", path = path, call = call)
}

abort_kin_id_file <- function(path, id_path, call) {
  abort_kinlmm(c(
    "Can't find {.file {id_path}}, the ids of {.file {path}}.",
    "i" = "Without that file, {.arg ids} must give them."
  ), "kinship_missing", "file", path = id_path, call = call)
}

# sizes: bytes, by what they would be the size of.
abort_kin_size <- function(path, got, n, sizes, call) {
  # n(n + 1)/2 pairs as a number of samples
  samples <- function(pairs) (sqrt(8 * pairs + 1) - 1) / 2
  other <- samples(got / 4)
  abort_kinlmm(c(
    "{.file {path}} must hold {paste(count(unique(sizes)), collapse = ' or ')} bytes for
     {n_of(n, 'sample')}.",
    "x" = "It holds {count(got)}.",
    "i" = if (got < min(sizes)) "Was the copy interrupted?",
    "i" = if (identical(names(sizes), "triangle4") && other == round(other) && got > 0) {
      "That is the size for {n_of(other, 'sample')}. Do the files belong together?"
    }
  ), "kinship_size", "file", path = path, expected = sizes, got = got, n = n, call = call)
}

# why: a sentence, or what R said.
abort_kin_read <- function(path, why, call) {
  abort_kinlmm(c("Can't read {.file {path}}.", "x" = "{why}"), "kinship_file", "file",
               path = path, call = call)
}

# data: what the core found, here and below.
abort_kin_value <- function(path, ids, data, call) {
  pair <- ids[c(data$row, data$column)]
  abort_kinlmm(c(
    "Relationships in {.file {path}} must be finite.",
    "x" = "That of {some_of(pair)} is {data$value}.",
    "i" = if (is.nan(data$value)) "PLINK and GCTA write NaN for pairs that share no SNP."
  ), "kinship_file", "file", path = path, ids = pair, call = call)
}

abort_kin_count <- function(path, ids, data, call) {
  pair <- ids[c(data$row, data$column)]
  abort_kinlmm(c(
    "Numbers of SNPs in {.file {path}} must be finite and not negative.",
    "x" = "That of {some_of(pair)} is {data$value}."
  ), "kinship_file", "file", path = path, ids = pair, call = call)
}

abort_kin_fields <- function(path, data, n, call) {
  abort_kinlmm(c(
    "Line {count(data$line)} of {.file {path}} must hold
     {n_of(data$expected, 'number')}.",
    "x" = "It holds {count(data$got)}.",
    "i" = if (data$line == 1 && data$expected == n) {
      "There are {n_of(n, 'id')}. Do they belong to this file?"
    }
  ), "kinship_file", "file", path = path, line = data$line, call = call)
}

abort_kin_rows <- function(path, data, n, call) {
  abort_kinlmm(c(
    "{.file {path}} must hold {n_of(data$expected, 'line')} for {n_of(n, 'sample')}.",
    "x" = if (data$got > data$expected) "It holds more." else "It holds {count(data$got)}."
  ), "kinship_file", "file", path = path, expected = data$expected, call = call)
}

abort_kin_pair <- function(path, data, n, call) {
  whole <- function(x) x == round(x) && x >= 1 && x <= n
  abort_kinlmm(c(
    "Every pair of the {count(n)} samples must be in {.file {path}} once.",
    "x" = if (whole(data$i) && whole(data$j)) {
      "Line {count(data$line)} repeats {data$i} and {data$j}."
    } else {
      "Line {count(data$line)} is of {data$i} and {data$j}."
    }
  ), "kinship_file", "file", path = path, line = data$line, call = call)
}

# token: what is there instead.
abort_kin_number <- function(path, data, token, call) {
  abort_kinlmm(c(
    "{.file {path}} must hold finite numbers.",
    "x" = "Line {count(data$line)} has {some_of(token)} as number {count(data$field)}."
  ), "kinship_file", "file", path = path, line = data$line, token = token, call = call)
}

abort_kin_end <- function(path, line, call) {
  abort_kinlmm(c(
    "The last line of {.file {path}} must end with a line break.",
    "x" = "Line {count(line)} does not: its last number may have been cut."
  ), "kinship_file", "file", path = path, line = line, call = call)
}

# values: of the pair of ids, both ways.
abort_kin_asymmetric <- function(path, pair, values, call) {
  abort_kinlmm(c(
    "The relationship matrix in {.file {path}} must be symmetric.",
    "x" = "It has {format(values[[1L]], digits = 10)} for {some_of(pair)} and
           {format(values[[2L]], digits = 10)} for {some_of(rev(pair))}."
  ), "kinship_file", "file", path = path, ids = pair, call = call)
}

abort_kin_write <- function(prefix, why, call) {
  abort_kinlmm(c("Can't write to {.file {prefix}}.", "x" = "{why}"), "kinship_write",
               "file", path = prefix, call = call)
}

abort_kin_id_words <- function(ids, call) {
  abort_kinlmm(c(
    "Files of relationship matrices can't hold ids that are empty, have white space or are
     not UTF-8.",
    "x" = "{n_of(length(ids), 'id')}: {some_of(ids)}."
  ), "kinship_write", "file", ids = ids, call = call)
}

# worst: what a column of eigenvectors, or a product with them, has instead of length one.
abort_eigen_vectors <- function(path, worst, call) {
  abort_kinlmm(c(
    "Eigenvectors in {.file {path}} must be orthogonal and of length one.",
    "x" = "A length is {format(worst, digits = 6)}.",
    "i" = "Do the rows of the file have the samples, and its columns the vectors?"
  ), "kinship_file", "file", path = path, call = call)
}

# Text of PLINK ----

abort_text_bytes <- function(path, kind, what, line, call) {
  abort_kinlmm(c(
    "{.file {path}} must be text in UTF-8.",
    "x" = "Line {count(line)} has {what}."
  ), kind, "file", path = path, lines = line, call = call)
}

# Principal components ----

abort_pca_samples <- function(n, call) {
  abort_kinlmm(c("Principal components need at least two samples.",
                 "x" = "{.arg geno} has {n_of(n, 'sample')}."), "argument", arg = "geno",
               call = call)
}

abort_pca_rank <- function(k, rank, call) {
  abort_kinlmm(c(
    "{.arg k} must not exceed the number of components that there are.",
    "x" = "It is {count(k)}, and {count(rank)} of the eigenvalues
           {cli::qty(rank)}{?is/are} positive."
  ), "pca_rank", rank = rank, call = call)
}

# dropped: SNPs left out by reason, by name.
abort_pca_empty <- function(dropped, filter, call) {
  abort_kinlmm(c(
    "Principal components need at least one SNP.",
    "x" = if (sum(dropped) == 0) {
      "{.arg geno} holds none on the chromosomes asked for."
    } else {
      "None of {count(sum(dropped))} is left: {dropped_snps(dropped, filter)}."
    }
  ), "pca_empty", dropped = dropped, call = call)
}

# x: what pca() returns.
inform_pca <- function(x) {
  left_out <- sum(x$dropped)
  slow <- names(x$values)[!x$converged]
  inform_kinlmm(c(
    "Used {count(x$m)} of {count(x$m + left_out)} SNPs.",
    "i" = if (left_out > 0) "Left out: {dropped_snps(x$dropped, x$filter)}.",
    "!" = if (length(slow) > 0L) {
      "{some_of(slow, quote = FALSE)} {cli::qty(length(slow))}{?is/are} not separated well
       enough from what follows: residuals of up to {format(max(x$residuals), digits = 1L)}
       after {x$passes} passes."
    },
    "i" = if (length(slow) > 0L) "{.code exact = TRUE} takes them from the whole spectrum."
  ), "pca", slow = slow)
}
