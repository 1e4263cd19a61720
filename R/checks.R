# Checks of single arguments. Each returns the argument in the type the caller
# needs, or throws kinlmm_error_argument naming it.

check_flag <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (!is.logical(x) || length(x) != 1L || is.na(x)) {
    abort_argument(arg, "TRUE or FALSE", describe(x), call)
  }
  x
}

check_string <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (!is.character(x) || length(x) != 1L || is.na(x) || !nzchar(x)) {
    abort_argument(arg, "a single non-empty string", describe(x), call)
  }
  x
}

# A single finite number in [min, max].
check_number <- function(x, min = -Inf, max = Inf, arg = rlang::caller_arg(x),
                         call = rlang::caller_env()) {
  if (!is.numeric(x) || length(x) != 1L || !is.finite(x) || x < min || x > max) {
    abort_argument(arg, paste0("a single number between ", min, " and ", max),
                   describe(x), call)
  }
  as.double(x)
}

check_positive <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (!is.numeric(x) || length(x) != 1L || !is.finite(x) || x <= 0) {
    abort_argument(arg, "a single number above 0", describe(x), call)
  }
  as.double(x)
}

# A single whole number in [min, max], returned as integer.
check_count <- function(x, min = 1L, max = .Machine$integer.max,
                        arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (!is.numeric(x) || length(x) != 1L || !is.finite(x) || x != round(x) ||
        x < min || x > max) {
    abort_argument(arg, paste0("a whole number between ", min, " and ", count(max)),
                   describe(x), call)
  }
  as.integer(x)
}

check_choice <- function(x, choices, arg = rlang::caller_arg(x),
                         call = rlang::caller_env()) {
  if (identical(x, choices)) return(choices[[1L]])
  if (!is.character(x) || length(x) != 1L || !x %in% choices) {
    abort_argument(arg, paste0("one of ", some_of(choices, length(choices))), describe(x), call)
  }
  x
}

# An object for an error message: "NULL", "\"abc\"", "a numeric vector of length 3".
describe <- function(x) {
  if (is.null(x)) return("NULL")
  if (is.atomic(x) && length(x) == 1L && is.null(dim(x))) {
    return(if (is.character(x)) paste0('"', x, '"') else format(x))
  }
  if (is.data.frame(x)) return(paste0("a data frame of ", nrow(x), " x ", ncol(x)))
  if (is.matrix(x) && is.atomic(x)) {
    return(paste0(with_article(typeof(x)), " matrix of ", nrow(x), " x ", ncol(x)))
  }
  if (is.atomic(x)) {
    return(paste0(with_article(class(x)[[1L]]), " vector of length ", length(x)))
  }
  paste0("an object of class ", class(x)[[1L]])
}

with_article <- function(x) paste(if (grepl("^[aeiou]", x)) "an" else "a", x)
