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

abort_no_random <- function(formula, call) {
  abort_kinlmm(c(
    "{.arg formula} must have a random term.",
    "x" = "{.code {deparse1(formula)}} has none.",
    "i" = "Write one as {.code (1 | group)}; a model without is fitted by {.fun stats::lm}."
  ), "formula", call = call)
}

abort_structure <- function(class, call) {
  abort_kinlmm(c(
    "Random terms must be written with `|`, `||` or {.code kin()}.",
    "x" = "{.code {class}()} is not known."
  ), "formula", call = call)
}

abort_kin_term <- function(bar, call) {
  abort_kinlmm(c(
    "{.code kin()} must have a bar term and a relationship matrix, as {.code kin(1 | id, K)}.",
    "x" = "The term on {.code {deparse1(bar)}} has no matrix, or more than one."
  ), "formula", call = call)
}

abort_variable <- function(missing, known, call) {
  hint <- if (length(known) > 0L) c("i" = "{.arg data} has {some_of(known)}.")
  abort_kinlmm(c(
    "Every variable of {.arg formula} must be in {.arg data} or where the formula was made.",
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

abort_no_rows <- function(n, call) {
  abort_kinlmm(c(
    "Some rows must be complete.",
    "x" = "Each of the {count(n)} rows has a missing value in a variable of the model."
  ), "missing", n = n, call = call)
}

abort_weights <- function(rows, values, call) {
  abort_kinlmm(c(
    "{.arg weights} must be positive and finite.",
    "x" = "{count(length(rows))} {cli::qty(length(rows))}{?is/are} not: {some_of(values, quote = FALSE)} in row{cli::qty(length(rows))}{?s} {some_of(rows, quote = FALSE)}.",
    "i" = "Leave rows out with {.arg subset}."
  ), "weights", rows = rows, values = values, call = call)
}

abort_covariate <- function(columns, call) {
  abort_kinlmm(c(
    "The fixed effects must be finite.",
    "x" = "Infinite values in {some_of(columns)}."
  ), "covariate", columns = columns, call = call)
}

abort_too_many_fixed <- function(p, n, call) {
  abort_kinlmm(c(
    "There must be more records than fixed effects.",
    "x" = "There are {count(p)} columns for {count(n)} records."
  ), "rank", p = p, n = n, call = call)
}

inform_rank <- function(dropped) {
  inform_kinlmm(c(
    "The fixed effects are rank deficient, so {length(dropped)} column{?s} {?is/are} dropped: {some_of(dropped)}."
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
    "x" = "It is missing in {count(n)} row{?s}."
  ), "group", group = group, call = call)
}

abort_one_level <- function(group, level, call) {
  abort_kinlmm(c(
    "The grouping factor {.code {group}} must have at least two levels.",
    "x" = "It has one in the rows used: {some_of(level)}."
  ), "group", group = group, levels = 1L, call = call)
}

abort_too_many_levels <- function(group, q, k, n, call) {
  what <- if (k == 1L) "levels" else "random effects"
  abort_kinlmm(c(
    "The grouping factor {.code {group}} must have fewer {what} than there are records.",
    "x" = "It has {count(q * k)} {what} for {count(n)} records: its variance can't be told from the residual variance.",
    "i" = "With one record per level a relationship matrix makes the difference: {.code kinship = list({group} = K)}."
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

abort_kinship_identity <- function(group, call) {
  abort_kinlmm(c(
    "The relationship matrix of {.code {group}} must not be a multiple of the identity.",
    "x" = "With one record per individual its effects can't be told from the residuals."
  ), "kinship_identity", group = group, call = call)
}

abort_unsupported <- function(what, groups, call) {
  abort_kinlmm(c(
    "This version of kinlmm does not fit {what}.",
    "x" = "The random terms are on {some_of(groups)}.",
    "i" = "It fits one grouping factor with i.i.d. effects, or one {.code kin(1 | id, K)}."
  ), "unsupported", groups = groups, call = call)
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
    "The variance of {some_of(zero, quote = FALSE)} is estimated as zero: the criterion is lowest on this boundary."
  } else {
    "The covariance of the random effects is estimated as singular (a correlation of -1 or 1, or a linear dependence)."
  }
  inform_kinlmm(c("i" = text), "boundary", components = zero)
}

inform_upper <- function(fit) {
  inform_kinlmm(c("i" = "The residual variance is estimated as zero (up to 1e-5 of the whole): the criterion is lowest on this boundary."),
                "boundary")
}

abort_new_levels <- function(group, unknown, call) {
  abort_kinlmm(c(
    "Every level of {.code {group}} in {.arg newdata} must be known to the fit.",
    "x" = "{count(length(unknown))} {cli::qty(length(unknown))}{?is/are} not: {some_of(unknown)}.",
    "i" = "{.code allow.new.levels = TRUE} predicts them at the population mean."
  ), "new_levels", group = group, unknown = unknown, call = call)
}

abort_re_form <- function(found, call) {
  abort_kinlmm(c(
    "{.arg re.form} must be NULL, NA, {.code ~0}, or a formula of random terms of the fit.",
    "x" = "It has {found}."
  ), "argument", arg = "re.form", call = call)
}

abort_parameter <- function(parm, known, call) {
  abort_kinlmm(c(
    "{.arg parm} must name parameters of the model.",
    "x" = "Not found: {some_of(parm)}.", "i" = "There are {some_of(known, 12L)}."
  ), "argument", arg = "parm", call = call)
}

abort_comparison <- function(what, call) {
  abort_kinlmm(c("Models can be compared only on the same data.", "x" = "{what}"),
               "comparison", call = call)
}

inform_refit <- function(n) {
  inform_kinlmm("Fitting {n} model{?s} again by ML instead of REML.", "refit", n = n)
}

abort_no_heritability <- function(terms, call) {
  abort_kinlmm(c(
    "Heritability needs a model with one random intercept.",
    "x" = "This one has {some_of(terms)}."
  ), "heritability", terms = terms, call = call)
}

# Scan ----
