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

# Kinship ----

# dropped: SNPs left out by reason, named missing, monomorphic and maf, here and below;
# maf, missing: the limits.
abort_grm_empty <- function(dropped, maf, missing, call) {
  abort_kinlmm(c(
    "A relationship matrix needs at least one SNP.",
    "x" = if (sum(dropped) == 0) {
      "{.arg geno} holds none."
    } else {
      "None of {count(sum(dropped))} is left: {dropped_snps(dropped, maf, missing)}."
    }
  ), "grm_empty", dropped = dropped, call = call)
}

inform_grm <- function(used, dropped, maf, missing) {
  inform_kinlmm(c(
    "Used {count(used)} of {count(used + sum(dropped))} SNPs.",
    "i" = if (sum(dropped) > 0) "Left out: {dropped_snps(dropped, maf, missing)}."
  ), "grm")
}

dropped_snps <- function(dropped, maf, missing) {
  reasons <- c(paste0("with more than ", 100 * missing, "% missing"), "monomorphic",
               paste("with a minor allele frequency below", maf))
  some_of(paste(count(dropped), reasons)[dropped > 0], quote = FALSE)
}

# side: "row" or "column", or "same" if both are there but differ, or "empty".
abort_kinship_noids <- function(group, arg, side, call) {
  abort_kinlmm(c(
    "The relationship matrix of `{group}` must have ids as row and column names, the same
     on both sides.",
    "x" = switch(side,
      same = "The row and the column names of {.arg {arg}} are not the same.",
      empty = "Some of the names of {.arg {arg}} are empty or missing.",
      "{.arg {arg}} has no {side} names."
    ),
    "i" = "kinlmm matches by id, never by position."
  ), "kinship_noids", group = group, call = call)
}

abort_kinship_duplicated <- function(group, arg, ids, call) {
  abort_kinlmm(c(
    "The relationship matrix of `{group}` must hold every id once.",
    "x" = "{n_are(length(ids), 'id')} more than once in {.arg {arg}}:
           {some_of(ids)}."
  ), "kinship_duplicated", group = group, ids = ids, call = call)
}

# n: values that are not finite; ids: those whose rows hold them.
abort_kinship_na <- function(group, arg, n, ids, call) {
  abort_kinlmm(c(
    "The relationship matrix of `{group}` must be finite.",
    "x" = "{n_are(n, 'value')} missing or infinite in {.arg {arg}},
           in the row of {some_of(ids)}."
  ), "kinship_na", group = group, n = n, ids = ids, call = call)
}

# pair: the two ids that differ most; values: K[pair[1], pair[2]] and its mirror image.
abort_kinship_asymmetric <- function(group, arg, pair, values, call) {
  difference <- abs(values[[1L]] - values[[2L]])
  abort_kinlmm(c(
    "The relationship matrix of `{group}` must be symmetric.",
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
}

# values: what K has on the diagonal for `ids`.
abort_kinship_diagonal <- function(ids, values, group, arg, call) {
  abort_kinlmm(c(
    "The relationship matrix of `{group}` must be positive semi-definite.",
    "x" = "{n_are(length(ids), 'diagonal element')} negative in {.arg {arg}}:
           {format(values[[1L]], digits = 3)} for {some_of(ids[1L])}{
           if (length(ids) > 1L) ' is the first'}."
  ), "kinship_psd", ids = ids, group = group, call = call)
}

# pair: two ids; value: K between them; bound: the square root of the product of their
# diagonal elements.
abort_kinship_pair <- function(pair, value, bound, group, arg, call) {
  abort_kinlmm(c(
    "The relationship matrix of `{group}` must be positive semi-definite.",
    "x" = "{.arg {arg}} has {format(value, digits = 4)} for {some_of(pair)}; their
           diagonal allows {format(bound, digits = 4)}."
  ), "kinship_psd", ids = pair, group = group, call = call)
}

# min, max: the extreme eigenvalues; n_negative: how many are below the tolerance.
abort_kinship_psd <- function(min, max, n_negative, group, call) {
  abort_kinlmm(c(
    "The relationship matrix of `{group}` must be positive semi-definite.",
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
    }
  ), "kinship_psd", min = min, max = max, n_negative = n_negative, group = group,
  call = call)
}

abort_precision <- function(group, arg, call) {
  abort_kinlmm(c(
    "The precision matrix of `{group}` must be positive definite.",
    "x" = "That in {.arg {arg}} is singular or has a negative eigenvalue.",
    "i" = "Is it the relationship matrix itself? Then give it without {.fun precision}."
  ), "precision", "numeric", group = group, call = call)
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
  group <- unique(vapply(terms, `[[`, character(1), "group"))
  names <- some_of(vapply(terms, describe_term, character(1)), quote = FALSE)
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
      "Grouping factors with the same levels do this, or a column that does not vary."
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

abort_parameter <- function(parm, known, call) {
  abort_kinlmm(c(
    "{.arg parm} must name parameters of the model.",
    "x" = "Not found: {some_of(parm)}.", "i" = "There are {some_of(known, 12L)}."
  ), "argument", arg = "parm", call = call)
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

# terms: as they would be written.
abort_no_heritability <- function(terms, call) {
  abort_kinlmm(c(
    "{.fn heritability} is for models with one random term, an intercept:
     {.code (1 | id)} or {.code kin(1 | id, K)}.",
    "x" = "This one has {some_of(terms, quote = FALSE)}.",
    "i" = "{.fn VarCorr} has the variances, of which any share can be computed."
  ), "heritability", terms = terms, call = call)
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

# Mixed-model equations ----

# Variance components ----

# Sampling ----

# Heritability ----

# Two traits ----

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

# what: of the object; needed: what has it.
abort_spike_absent <- function(what, needed, call) {
  abort_kinlmm(c("{.arg x} has no {what}.", "i" = "It is there for {needed}."),
               "spike_absent", call = call)
}

abort_spike_snps <- function(missing, m, call) {
  abort_kinlmm(c(
    "{.arg newdata} must hold every SNP of the fit.",
    "x" = "{n_are(length(missing), 'SNP')} missing: {some_of(missing)}."
  ), "spike_snps", missing = missing, call = call)
}

# Prediction ----

# Longitudinal ----

# Simulation ----
