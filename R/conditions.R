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

# Kinship ----

# Model ----

# Fit ----

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
  hint <- if (length(missing) == n) {
    "{.arg geno} holds {count(length(have))} individuals, such as {some_of(have, 1L)}."
  } else {
    "To test the others, fit the model without these: see {.arg subset} of {.fn lmmfit}."
  }
  abort_kinlmm(c(
    "Every individual of {.arg fit} must have genotypes in {.arg geno}.",
    "x" = "{count(length(missing))} of {count(n)} have none: {some_of(missing)}.",
    "i" = hint
  ), "scan_ids", missing = missing, call = call)
}

abort_scan_empty <- function(call) {
  abort_kinlmm("{.arg x} must hold at least one marker that was tested.", "scan_empty",
               call = call)
}

# why: a sentence.
abort_scan_write <- function(path, why, call = rlang::caller_env(),
                             .envir = parent.frame()) {
  abort_kinlmm(c("Can't write {.file {path}}.", "x" = why), "scan_write", "file",
               path = path, call = call, .envir = .envir)
}
