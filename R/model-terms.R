# The design: X of full rank, and one object per random term.

# Fixed effects: list(X, terms, xlevels, contrasts, assign, dropped); X keeps the first
# of linearly dependent columns, `dropped` names the others.
model_fixed <- function(parts, frame, contrasts, call = rlang::caller_env()) {
  terms <- frame_terms(parts$fixed, frame)
  contrasts <- known_contrasts(contrasts, terms, call)
  X <- design_matrix(terms, frame, contrasts, "fixed effects", call)
  decomposition <- qr(X, tol = 1e-7)
  if (decomposition$rank >= nrow(X)) {
    abort_too_many_fixed(decomposition$rank, nrow(X), call)
  }
  kept <- sort(decomposition$pivot[seq_len(decomposition$rank)])
  dropped <- colnames(X)[-kept]
  if (decomposition$rank == ncol(X)) dropped <- character()
  if (length(dropped) > 0L) inform_rank(dropped)
  list(X = X[, kept, drop = FALSE], terms = terms,
       xlevels = stats::.getXlevels(terms, frame), contrasts = attr(X, "contrasts"),
       assign = attr(X, "assign")[kept], dropped = dropped)
}

# Those of `contrasts` that are for variables of `terms`.
known_contrasts <- function(contrasts, terms, call) {
  if (is.null(contrasts)) return(NULL)
  if (!is.list(contrasts) || is.null(names(contrasts))) {
    abort_argument("contrasts", "a list named by factors", describe(contrasts), call)
  }
  variables <- rownames(attr(terms, "factors"))
  unused <- setdiff(names(contrasts), variables)
  if (length(unused) > 0L) warn_contrasts(unused)
  contrasts[setdiff(names(contrasts), unused)]
}

# model.matrix() with every value finite; `what` these columns are.
design_matrix <- function(terms, frame, contrasts, what, call) {
  levels <- stats::.getXlevels(terms, frame)
  for (name in names(levels)) {
    if (length(levels[[name]]) < 2L) abort_factor(name, levels[[name]], call)
  }
  X <- tryCatch(stats::model.matrix(terms, frame, contrasts.arg = contrasts),
                error = function(e) abort_frame(e, call))
  bad <- which(!is.finite(X), arr.ind = TRUE)
  if (nrow(bad) > 0L) {
    missing <- is.na(X[bad[1L, , drop = FALSE]])
    abort_covariate(what, colnames(X)[unique(bad[, 2L])], missing, call)
  }
  X
}

# terms() of one part of the model, with the stored bases (poly(), ns(), scale()) of the
# frame that all parts share.
frame_terms <- function(formula, frame) {
  terms <- stats::terms(formula, data = frame)
  from <- attr(frame, "terms")
  mine <- variable_names(terms)
  at <- match(mine, variable_names(from))
  attr(terms, "predvars") <- attr(from, "predvars")[c(1L, at + 1L)]
  attr(terms, "dataClasses") <- attr(from, "dataClasses")[mine]
  terms
}

# The variables of terms(), as written.
variable_names <- function(terms) {
  vapply(as.list(attr(terms, "variables"))[-1L], deparse1, character(1))
}

# Random terms: a list of objects of class "random_term", each with
#   group       name of the grouping factor, as written
#   factor      it, over the rows (levels in use only)
#   columns     names of the k columns of Z within a level
#   Z           n x k
#   assign      which term of the left-hand side each column belongs to, 0 the intercept
#   terms       terms of the left-hand side, for new data
#   kernel      NULL, or the relationship matrix (all its ids)
# A decorrelated term (`||`) becomes one term per column. `kernel` evaluates K of kin().
model_random <- function(parts, frame, kinship, kernel, call = rlang::caller_env()) {
  groups <- vapply(parts$bars, function(bar) deparse1(bar$group), character(1))
  own <- !vapply(parts$bars, function(bar) is.null(bar$kernel), logical(1))
  kinship <- check_kinship_list(kinship, unique(groups), groups[own], call)
  terms <- list()
  for (i in seq_along(parts$bars)) {
    bar <- parts$bars[[i]]
    term <- random_term(bar, groups[[i]], frame, call)
    K <- if (own[[i]]) kernel(bar$kernel) else kinship[[groups[[i]]]]
    if (!is.null(K)) {
      term$kernel <- check_kinship(K, levels(term$factor), groups[[i]], "kinship", call)
    }
    columns <- if (bar$correlated) list(seq_along(term$columns)) else
      as.list(seq_along(term$columns))
    terms <- c(terms, lapply(columns, function(at) {
      term$Z <- term$Z[, at, drop = FALSE]
      term$columns <- term$columns[at]
      term$assign <- term$assign[at]
      structure(term, class = "random_term")
    }))
  }
  check_random(terms, nrow(frame), call)
  terms
}

random_term <- function(bar, group, frame, call) {
  factor <- eval_group(bar$group, frame, call)
  if (anyNA(factor)) abort_group_missing(group, sum(is.na(factor)), call)
  side <- eval(call("~", bar$lhs))
  environment(side) <- environment(attr(frame, "terms"))
  terms <- frame_terms(side, frame)
  Z <- design_matrix(terms, frame, NULL, "random slopes", call)
  if (ncol(Z) == 0L) abort_no_columns(describe_bar(bar), call)
  list(group = group, group_expr = bar$group, factor = factor, columns = colnames(Z),
       assign = attr(Z, "assign"), Z = matrix(Z, nrow(Z)), terms = terms,
       xlevels = stats::.getXlevels(terms, frame), contrasts = attr(Z, "contrasts"),
       kernel = NULL)
}

describe_bar <- function(bar) {
  paste0("(", deparse1(bar$lhs), if (bar$correlated) " | " else " || ",
         deparse1(bar$group), ")")
}

# The grouping factor, with the levels in use: a variable of the frame, which may be a
# call, or the interaction a:b of such.
eval_group <- function(expr, frame, call) {
  name <- deparse1(expr)
  if (name %in% names(frame)) {
    value <- frame[[name]]
    if (!is.null(dim(value))) abort_group_type(name, describe(value), call)
    return(group_factor(value))
  }
  if (is.call(expr) && identical(expr[[1L]], quote(`(`))) {
    return(eval_group(expr[[2L]], frame, call))
  }
  if (!is.call(expr) || !identical(expr[[1L]], quote(`:`))) abort_group_form(name, call)
  interaction(eval_group(expr[[2L]], frame, call), eval_group(expr[[3L]], frame, call),
              sep = ":", drop = TRUE, lex.order = TRUE)
}

# factor() would make "1e+05" of the id 100000.
group_factor <- function(x) {
  if (!is.numeric(x) || is.object(x)) return(factor(x))
  values <- sort(unique(x))
  labels <- as.character(values)
  whole <- values == round(values) & abs(values) < 2^53
  labels[whole] <- sprintf("%.0f", values[whole])
  factor(x, values, labels)
}

# K in kin(1 | id, K): a matrix among the data, where the formula was made, or where
# lmmfit() was called.
eval_kernel <- function(expr, data, formula, env, call) {
  is_matrix <- function(value) length(dim(value)) == 2L
  envs <- list(environment(formula), env)
  found <- eval_first(expr, data, envs, is_matrix)
  # behind a column of the same name
  if (!is.null(found$error)) found <- eval_first(expr, NULL, envs, is_matrix)
  if (is.null(found$error)) return(found$value)
  abort_kernel(deparse1(expr), conditionMessage(found$error), call)
}

# groups: the grouping factors; own: those of terms with a kernel of their own.
check_kinship_list <- function(kinship, groups, own, call) {
  if (is.null(kinship)) return(list())
  if (!is.list(kinship) || is.data.frame(kinship) || is.null(names(kinship))) {
    abort_kinship_list(kinship, groups, call)
  }
  unknown <- setdiff(names(kinship), groups)
  if (length(unknown) > 0L) abort_kinship_group(unknown, groups, call)
  twice <- c(names(kinship)[duplicated(names(kinship))], intersect(names(kinship), own))
  if (length(twice) > 0L) abort_kinship_twice(unique(twice), call)
  kinship
}

check_random <- function(terms, n, call) {
  for (term in terms) {
    q <- nlevels(term$factor)
    if (q < 2L) abort_one_level(term$group, levels(term$factor), call)
    if (is.null(term$kernel) && q * ncol(term$Z) >= n) {
      abort_too_many_levels(term$group, q, ncol(term$Z), n, call)
    }
  }
}
