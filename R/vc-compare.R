#' Methods for variance components side by side
#'
#' Estimates the variance components of one model by several methods of
#' [variance_components()], with standard errors, shares, times and what each takes for
#' granted. A method that does not apply to the model is listed with the reason.
#'
#' @inheritParams variance_components
#' @param methods (`character`) methods of [variance_components()], in the order of the
#'   table. The default is all of them but `"MINQUE"`, whose prior is to be chosen, and
#'   `"Bayes"`, which takes longer.
#' @param settings (`list` of lists, named by methods) arguments of methods, such as
#'   `list(HE = list(se = "jackknife"))`.
#' @param ... not used; anything here is an error.
#' @return An object of class `component_comparison`, a list with
#'   \item{table}{data frame, a row per method and component: `method`, `component`,
#'     `variance`, `se`, `bound`, `share`, `share_se`}
#'   \item{methods}{data frame, a row per method: `method`, `seconds` (those of what the
#'     method needs), `applies`, `reason` (why not)}
#'   \item{results}{the `variance_components` of each that applies}
#'   \item{formula, call}{what was asked}
#'   `print()` and `plot()` show it, `as.data.frame()` gives the table.
#' @references
#' Searle SR, Casella G, McCulloch CE (1992). Variance Components. Wiley.
#' \doi{10.1002/9780470316856}
#' @examples
#' both <- compare_components(travel ~ 1 + (1 | Rail), nlme::Rail)
#' both
#' plot(both)
#' @export
compare_components <- function(formula, data = NULL, methods = NULL, kinship = NULL, weights,
                               offset, subset, na.action, contrasts = NULL,
                               settings = list(), ...) {
  if (...length() > 0L) rlang::check_dots_empty()
  call <- match.call()
  here <- rlang::current_env()
  methods <- check_methods(methods, here)
  settings <- check_method_settings(settings, methods, here)
  if (missing(formula)) abort_argument("formula", "given", "missing", here)
  model <- components_model(formula, call, data, kinship, contrasts, parent.frame(), here)
  results <- lapply(stats::setNames(nm = methods), function(method) {
    tryCatch(run_method(model, method, settings[[method]], here), kinlmm_error = function(e) {
      # what the user gave is wrong, not what the model is
      if (inherits(e, "kinlmm_error_argument")) rlang::cnd_signal(e)
      e
    })
  })
  new_comparison(results, model, call)
}

check_methods <- function(methods, call) {
  known <- names(component_methods())
  if (is.null(methods)) return(setdiff(known, c("MINQUE", "Bayes")))
  if (!is.character(methods) || length(methods) == 0L) {
    abort_argument("methods", "names of methods", describe(methods), call)
  }
  unique(vapply(methods, check_method, "", call = call, arg = "methods", USE.NAMES = FALSE))
}

check_method_settings <- function(settings, methods, call) {
  if (!is.list(settings) || !all(vapply(settings, is.list, NA))) {
    abort_argument("settings", "a list of lists that are named by methods",
                   describe(settings), call)
  }
  of <- rlang::names2(settings)
  of[of == "ANOVA"] <- "ANOVA-III"
  if (!all(of %in% methods) || anyDuplicated(of)) {
    abort_argument("settings", paste0("named by methods that are asked for (",
                                      some_of(methods, length(methods)), "), each once"),
                   paste("named", some_of(of)), call)
  }
  names(settings) <- of
  for (method in names(settings)) check_settings(settings[[method]], method, call)
  settings
}

new_comparison <- function(results, model, call) {
  failed <- vapply(results, inherits, NA, "error")
  reasons <- vapply(results, function(x) {
    if (!inherits(x, "error")) return("")
    gsub("\\s+", " ", cli::ansi_strip(paste(c(x$message, x$body[names(x$body) == "x"]),
                                           collapse = " ")))
  }, "")
  seconds <- vapply(results, function(x) {
    if (inherits(x, "error")) NA_real_ else x$seconds
  }, 0)
  table <- do.call(rbind, c(list(empty_table()), lapply(unname(results[!failed]),
                                                        as.data.frame)))
  structure(list(
    table = table, results = results[!failed],
    methods = data.frame(method = names(results), seconds = seconds, applies = !failed,
                         reason = reasons, row.names = NULL),
    formula = model$formula, kernels = kernel_texts(model$random),
    n = length(model$frame$y), call = call,
    components = component_names(model$random)
  ), class = "component_comparison")
}

empty_table <- function() {
  data.frame(method = character(), component = character(), variance = numeric(),
             se = numeric(), bound = logical(), share = numeric(), share_se = numeric())
}

#' @rdname compare_components
#' @param x the result of `compare_components()`.
#' @param digits significant digits.
#' @export
print.component_comparison <- function(x, digits = 4L, ...) {
  cat("Variance components by ", n_of(length(x$results), "method"), "\n", sep = "")
  cat("Formula: ", paste(deparse(x$formula), collapse = "\n"), "\n", sep = "")
  cat(n_of(x$n, "record"), "\n\n", sep = "")
  if (length(x$results) > 0L) {
    cat("Estimates (standard errors):\n")
    seconds <- format(signif(vapply(x$results, `[[`, 0, "seconds"), 2L))
    print_comparison(x, x$components, "variance", "se", function(x) aligned(x, digits),
                     list(Seconds = seconds))
    if (!all(is.na(x$table$share))) {
      cat("\nShares of the variance (standard errors):\n")
      print_comparison(x, setdiff(x$components, "Residual"), "share", "share_se",
                       function(x) decimals(x, 4L))
    }
    print_kernels(x$kernels, x$table$share)
    cat("\n")
    print_by_sentence("Assumptions", lapply(x$results, `[[`, "assumptions"))
    print_by_sentence("Notes", lapply(x$results, `[[`, "notes"))
  }
  left <- x$methods[!x$methods$applies, ]
  if (nrow(left) > 0L) {
    print_sentences("Not for this model", paste0(left$method, ": ", left$reason))
  }
  invisible(x)
}

# A row per method, a column per component, as many side by side as the width allows; `show`
# makes text of numbers.
print_comparison <- function(x, components, value, se, show, more = list()) {
  columns <- lapply(components, function(name) {
    rows <- x$table[x$table$component == name, ]
    error <- show(rows[[se]])
    error <- replace(paste0("(", error, ")"), error == "", "")
    c(name, paste(format(show(rows[[value]]), justify = "right"),
                  format(error, justify = "right")))
  })
  more <- Map(c, names(more), more)
  first <- format(c("", names(x$results)))
  columns <- lapply(c(columns, more), format, justify = "right")
  room <- getOption("width") - 1L - nchar(first[[1L]])
  widths <- vapply(columns, function(text) max(nchar(text)) + 2L, 1L)
  panel <- panels(widths, room)
  for (i in unique(panel)) {
    if (i > 1L) cat("\n")
    text <- do.call(paste, c(list(first), unname(columns[panel == i]), sep = "  "))
    cat(paste0(" ", trimws(text, "right")), sep = "\n")
  }
}

# Which panel each column goes to, one after the other, none wider than `room` where it has
# several.
panels <- function(widths, room) {
  out <- integer(length(widths))
  panel <- 1L
  used <- 0L
  for (j in seq_along(widths)) {
    if (used > 0L && used + widths[[j]] > room) {
      panel <- panel + 1L
      used <- 0L
    }
    used <- used + widths[[j]]
    out[[j]] <- panel
  }
  out
}

# Each sentence once, after the methods that it is said of.
print_by_sentence <- function(title, sentences) {
  all <- unique(unlist(sentences, use.names = FALSE))
  if (length(all) == 0L) return(invisible())
  said <- vapply(all, function(one) {
    toString(names(sentences)[vapply(sentences, function(of) one %in% of, NA)])
  }, "")
  print_sentences(title, paste0(said, ": ", all))
}

#' @rdname compare_components
#' @param row.names,optional not used.
#' @export
as.data.frame.component_comparison <- function(x, row.names = NULL, optional = FALSE, ...) {
  x$table
}

#' @rdname compare_components
#' @param level (`numeric(1)`) confidence of the intervals that the plot shows, from standard
#'   errors.
#' @export
plot.component_comparison <- function(x, level = 0.95, ...) {
  level <- check_number(level, 0.001, 0.9999)
  if (length(x$results) > 0L) plot_estimates(x$results, level, ...)
  invisible(x)
}
