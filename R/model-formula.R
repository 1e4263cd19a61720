# What was asked: the formula split into its fixed part and its random terms.
# The only file that knows the package reformulas.

# Returns list(formula, fixed, bars, all): `formula` with any dot expanded (see
# expand_dot()), `fixed` a formula without bars, `bars` a list of list(lhs, group,
# correlated, kernel), and `all` a formula with every variable. `kernel` is NULL or the
# expression that stands for K in kin(1 | id, K).
model_formula <- function(formula, data = NULL, call = rlang::caller_env()) {
  if (!inherits(formula, "formula") || length(formula) != 3L) {
    abort_argument("formula", "a two-sided formula such as y ~ x + (1 | group)",
                   describe_formula(formula), call)
  }
  bars <- random_bars(formula, call)
  if (length(bars) == 0L) abort_no_random(formula, call)
  if ("." %in% all.vars(formula[[3L]]) && is.list(data)) {
    formula <- expand_dot(formula, bars, names(data))
    bars <- random_bars(formula, call)
  }
  fixed <- formula
  fixed[[3L]] <- without_bars(formula[-2L])
  all <- fixed
  all[[3L]] <- with_bars(fixed[[3L]], bars)
  list(formula = formula, fixed = fixed, bars = bars, all = all)
}

# The right-hand side without random terms, of a formula without a left-hand side:
# splitForm() takes a call there for a term.
without_bars <- function(formula) {
  rest <- reformulas::splitForm(formula, specials = "kin")$fixedFormula
  if (inherits(rest, "formula")) rest[[length(rest)]] else 1
}

# The expression that adds the variables of random terms to those of `fixed`.
with_bars <- function(fixed, bars) {
  Reduce(function(left, bar) {
    call("+", call("+", left, call("(", bar$lhs)), call("(", bar$group))
  }, bars, fixed)
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

# The random terms of a formula, see model_formula().
random_bars <- function(formula, call) {
  if (length(formula) == 3L) formula <- formula[-2L]
  check_bars(formula[[2L]], call)
  split <- tryCatch(reformulas::splitForm(formula, specials = "kin"),
                    error = function(e) abort_frame(e, call))
  unname(Map(function(bar, extra, class) {
    list(lhs = bar[[2L]], group = bar[[3L]], correlated = class != "diag",
         kernel = if (class == "kin") extra[[2L]])
  }, split$reTrmFormulas, split$reTrmAddArgs, split$reTrmClasses))
}

# reformulas drops what stands round a bar without a word; here it is an error.
check_bars <- function(expr, call) {
  if (!is.call(expr)) return(invisible())
  name <- deparse1(expr[[1L]])
  inside <- as.list(expr)[-1L]
  if (name %in% c("+", "(")) {
    for (part in inside) check_bars(part, call)
  } else if (name == "kin") {
    if (!is_kin_term(inside)) abort_kin_term(expr, call)
  } else if (any(vapply(inside, has_bar, logical(1)))) {
    abort_structure(expr, call)
  }
}

is_kin_term <- function(inside) {
  length(inside) == 2L && is.call(inside[[1L]]) &&
    identical(inside[[1L]][[1L]], quote(`|`)) && !has_bar(inside[[1L]][[2L]]) &&
    !has_bar(inside[[1L]][[3L]]) && !has_bar(inside[[2L]])
}

has_bar <- function(expr) any(c("|", "||") %in% all.names(expr))

describe_formula <- function(x) {
  if (!inherits(x, "formula")) return(describe(x))
  paste0("`", deparse1(x), "`, without a response")
}
