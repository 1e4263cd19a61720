# What was asked: the formula split into its fixed part and its random terms.
# The only file that knows the package reformulas.

# Returns list(fixed, bars, all): `fixed` a formula without bars, `bars` a list of
# list(lhs, group, correlated, kernel), and `all` a formula with every variable.
# `kernel` is NULL or the expression that stands for K in kin(1 | id, K).
model_formula <- function(formula, call = rlang::caller_env()) {
  if (!inherits(formula, "formula") || length(formula) != 3L) {
    abort_argument("formula", "a two-sided formula such as y ~ x + (1 | group)",
                   describe_formula(formula), call)
  }
  bars <- random_bars(formula, call)
  if (length(bars) == 0L) abort_no_random(formula, call)
  # the right-hand side alone: splitForm() takes a call on the left for one
  rest <- reformulas::splitForm(formula[-2L], specials = "kin")$fixedFormula
  fixed <- formula
  fixed[[3L]] <- if (inherits(rest, "formula")) rest[[length(rest)]] else 1
  everything <- Reduce(function(left, bar) {
    call("+", call("+", left, call("(", bar$lhs)), call("(", bar$group))
  }, bars, fixed[[3L]])
  all <- fixed
  all[[3L]] <- everything
  list(fixed = fixed, bars = bars, all = all)
}

# The random terms of a formula, see model_formula().
random_bars <- function(formula, call) {
  split <- reformulas::splitForm(formula, specials = "kin")
  unname(Map(model_bar, split$reTrmFormulas, split$reTrmAddArgs, split$reTrmClasses,
             MoreArgs = list(call = call)))
}

model_bar <- function(bar, extra, class, call) {
  if (!class %in% c("us", "diag", "kin")) abort_structure(class, call)
  kernel <- NULL
  if (class == "kin") {
    if (length(extra) != 2L) abort_kin_term(bar, call)
    kernel <- extra[[2L]]
  }
  list(lhs = bar[[2L]], group = bar[[3L]], correlated = class != "diag", kernel = kernel)
}

describe_formula <- function(x) {
  if (inherits(x, "formula")) paste0("`", deparse1(x), "`, without a response") else describe(x)
}
