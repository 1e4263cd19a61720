# The design: X of full rank, and one object per random term.

# Fixed effects: list(X, terms, xlevels, contrasts, assign, dropped); X keeps the first
# of linearly dependent columns, `dropped` names the others.
model_fixed <- function(parts, frame, contrasts, call = rlang::caller_env()) {
  terms <- frame_terms(parts$fixed, frame)
  X <- stats::model.matrix(terms, frame, contrasts.arg = contrasts)
  bad <- which(!is.finite(X), arr.ind = TRUE)
  if (nrow(bad) > 0L) abort_covariate(colnames(X)[unique(bad[, 2L])], call)
  if (ncol(X) >= nrow(X)) abort_too_many_fixed(ncol(X), nrow(X), call)
  decomposition <- qr(X, tol = 1e-7)
  kept <- sort(decomposition$pivot[seq_len(decomposition$rank)])
  dropped <- colnames(X)[-kept]
  if (decomposition$rank == ncol(X)) dropped <- character()
  if (length(dropped) > 0L) inform_rank(dropped)
  list(X = X[, kept, drop = FALSE], terms = terms,
       xlevels = stats::.getXlevels(terms, frame), contrasts = attr(X, "contrasts"),
       assign = attr(X, "assign")[kept], dropped = dropped)
}

# terms() of one part of the model, with the stored bases (poly(), ns(), scale()) of the
# frame that all parts share.
frame_terms <- function(formula, frame) {
  terms <- stats::terms(formula, data = frame)
  from <- attr(frame, "terms")
  known <- vapply(as.list(attr(from, "variables"))[-1L], deparse1, character(1))
  mine <- vapply(as.list(attr(terms, "variables"))[-1L], deparse1, character(1))
  at <- match(mine, known)
  attr(terms, "predvars") <- attr(from, "predvars")[c(1L, at + 1L)]
  attr(terms, "dataClasses") <- attr(from, "dataClasses")[mine]
  terms
}

# Random terms: a list of objects of class "random_term", each with
#   group       name of the grouping factor, as written
#   factor      it, over the rows (levels in use only)
#   columns     names of the k columns of Z within a level
#   Z           n x k
#   assign      which term of the left-hand side each column belongs to, 0 the intercept
#   terms       terms of the left-hand side, for new data
#   kernel      NULL, or the relationship matrix (all its ids)
# A decorrelated term (`||`) becomes one term per column.
model_random <- function(parts, frame, kinship, contrasts, env,
                         call = rlang::caller_env()) {
  groups <- vapply(parts$bars, function(bar) deparse1(bar$group), character(1))
  kinship <- check_kinship_list(kinship, unique(groups), call)
  kernels <- list()
  terms <- list()
  for (i in seq_along(parts$bars)) {
    bar <- parts$bars[[i]]
    term <- random_term(bar, groups[[i]], frame, contrasts, call)
    K <- kinship[[groups[[i]]]]
    if (!is.null(bar$kernel)) K <- eval_kernel(bar$kernel, env, call)
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

random_term <- function(bar, group, frame, contrasts, call) {
  factor <- factor(eval_group(bar$group, frame, call))
  if (anyNA(factor)) abort_group_missing(group, sum(is.na(factor)), call)
  side <- eval(call("~", bar$lhs))
  environment(side) <- environment(attr(frame, "terms"))
  terms <- frame_terms(side, frame)
  used <- contrasts[intersect(names(contrasts), all.vars(side))]
  Z <- stats::model.matrix(terms, frame, contrasts.arg = if (length(used)) used)
  list(group = group, group_expr = bar$group, factor = factor, columns = colnames(Z),
       assign = attr(Z, "assign"), Z = matrix(Z, nrow(Z)), terms = terms, xlevels = stats::.getXlevels(terms, frame),
       contrasts = attr(Z, "contrasts"), kernel = NULL)
}

# The grouping factor; a:b is the interaction of its variables as factors.
eval_group <- function(expr, frame, call) {
  if (is.call(expr) && identical(expr[[1L]], quote(`:`))) {
    sides <- lapply(as.list(expr)[-1L], function(side) factor(eval_group(side, frame, call)))
    return(interaction(sides[[1L]], sides[[2L]], sep = ":", drop = TRUE,
                       lex.order = TRUE))
  }
  eval(expr, frame, environment(attr(frame, "terms")))
}

eval_kernel <- function(expr, env, call) {
  tryCatch(eval(expr, env), error = function(e) abort_variable(deparse1(expr), NULL, call))
}

check_kinship_list <- function(kinship, groups, call) {
  if (is.null(kinship)) return(list())
  if (!is.list(kinship) || is.data.frame(kinship) || is.null(names(kinship))) {
    abort_kinship_list(kinship, groups, call)
  }
  unknown <- setdiff(names(kinship), groups)
  if (length(unknown) > 0L) abort_kinship_group(unknown, groups, call)
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
