# What was asked: the formula split into its fixed part and its random terms. The package
# reformulas does this too, but drops unknown calls round a bar without a word, and brings
# Matrix, whose loading takes longer than most fits.

# Returns list(formula, fixed, bars, all): `formula` with any dot expanded (see
# expand_dot()), `fixed` a formula without bars, `bars` a list of list(lhs, group,
# correlated, kernel), and `all` a formula with every variable. `kernel` is NULL or the
# expression that stands for K in kin(1 | id, K). needed: whether there must be bars.
model_formula <- function(formula, data = NULL, call = rlang::caller_env(), needed = TRUE) {
  if (!inherits(formula, "formula") || length(formula) != 3L) {
    abort_argument("formula", "a two-sided formula such as y ~ x + (1 | group)",
                   describe_formula(formula), call)
  }
  bars <- split_terms(formula[[3L]], call)$bars
  if (needed && length(bars) == 0L) abort_no_random(formula, call)
  if ("." %in% all.vars(formula[[3L]]) && is.list(data)) {
    formula <- expand_dot(formula, bars, names(data))
  }
  parts <- split_terms(formula[[3L]], call)
  fixed <- formula
  fixed[[3L]] <- if (is.null(parts$fixed)) 1 else parts$fixed
  all <- fixed
  all[[3L]] <- with_bars(fixed[[3L]], parts$bars)
  list(formula = formula, fixed = fixed, bars = parts$bars, all = all)
}

# The expression that adds the variables of random terms to those of `fixed`.
with_bars <- function(fixed, bars) {
  for (bar in bars) {
    fixed <- call("+", call("+", fixed, call("(", bar$lhs)), call("(", bar$group))
  }
  fixed
}

# The dot as the sum of the columns that are not in the response, a grouping factor or a
# kernel: a factor is not identified as fixed and random at once.
expand_dot <- function(formula, bars, columns) {
  taken <- c(all.vars(formula[[2L]]), unlist(lapply(bars, function(bar) {
    c(all.vars(bar$group), all.vars(bar$kernel))
  })))
  terms <- lapply(setdiff(columns, taken), as.name)
  dot <- if (length(terms) == 0L) 1 else
    call("(", Reduce(function(left, right) call("+", left, right), terms))
  formula[[3L]] <- eval(call("substitute", formula[[3L]], list(. = dot)))
  formula
}

# A right-hand side as list(fixed, bars): what is left of it without random terms, NULL if
# nothing is, and the terms in their order, see model_formula(). A bar anywhere but in a sum
# of terms is an error.
split_terms <- function(expr, call) {
  if (!has_bar(expr)) {
    if ("kin" %in% all.names(expr) && !"kin" %in% all.vars(expr)) abort_kin_term(expr, call)
    return(list(fixed = expr, bars = list()))
  }
  name <- as_text(expr[[1L]])
  inside <- as.list(expr)[-1L]
  if (name == "kin" && is_kin_term(inside)) {
    bar <- inside[[1L]]
    correlated <- identical(bar[[1L]], quote(`|`))
    return(list(bars = list(list(lhs = bar[[2L]], group = bar[[3L]],
                                 correlated = correlated, kernel = inside[[2L]]))))
  }
  if (name == "kin") abort_kin_term(expr, call)
  if (name == "(" && is_bar(inside[[1L]])) return(list(bars = bar_terms(inside[[1L]], call)))
  sum_of_terms <- name %in% c("+", "(") || name == "-" && !has_bar(inside[[length(inside)]])
  if (!sum_of_terms) abort_structure(expr, call)
  parts <- lapply(inside, split_terms, call = call)
  fixed <- lapply(parts, `[[`, "fixed")
  bars <- do.call(c, lapply(parts, `[[`, "bars"))
  left <- vapply(fixed, is.null, logical(1))
  # y ~ (1 | g) - 1 leaves - 1
  fixed <- if (all(left)) NULL else if (name == "-" || !any(left)) {
    as.call(c(list(expr[[1L]]), fixed[!left]))
  } else {
    fixed[!left][[1L]]
  }
  list(fixed = fixed, bars = bars)
}

is_bar <- function(expr) is.call(expr) && as_text(expr[[1L]]) %in% c("|", "||")

# As written; deparse() is slow for what is a mere name.
as_text <- function(expr) if (is.symbol(expr)) as.character(expr) else deparse1(expr)

# One term, or, for (x | a / b), one for every grouping factor, the finest first.
bar_terms <- function(bar, call) {
  if (has_bar(bar[[2L]]) || has_bar(bar[[3L]])) abort_structure(bar, call)
  groups <- nested_groups(bar[[3L]])
  for (group in groups) {
    if (is.call(group) && as_text(group[[1L]]) %in% c("+", "-", "*", "^")) {
      abort_group_expression(group, call)
    }
  }
  lapply(groups, function(group) {
    list(lhs = bar[[2L]], group = group, correlated = identical(bar[[1L]], quote(`|`)),
         kernel = NULL)
  })
}

nested_groups <- function(expr) {
  if (!is.call(expr)) return(list(expr))
  if (identical(expr[[1L]], quote(`(`))) return(nested_groups(expr[[2L]]))
  if (!identical(expr[[1L]], quote(`/`))) return(list(expr))
  outer <- nested_groups(expr[[2L]])
  c(list(call(":", expr[[3L]], outer[[1L]])), outer)
}

is_kin_term <- function(inside) {
  length(inside) == 2L && is_bar(inside[[1L]]) && !has_bar(inside[[1L]][[2L]]) &&
    !has_bar(inside[[1L]][[3L]]) && !has_bar(inside[[2L]])
}

has_bar <- function(expr) any(c("|", "||") %in% all.names(expr))

describe_formula <- function(x) {
  if (!inherits(x, "formula")) return(describe(x))
  paste0("`", deparse1(x), "`, without a response")
}
