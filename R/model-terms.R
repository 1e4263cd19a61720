# The design: X of full rank, and one object per random term.

# Fixed effects: list(X, terms, xlevels, contrasts, assign, dropped); X keeps the first
# of linearly dependent columns, `dropped` names the others.
model_fixed <- function(parts, frame, contrasts, call = rlang::caller_env()) {
  terms <- frame_terms(parts$fixed, frame)
  contrasts <- known_contrasts(contrasts, terms, call)
  design <- design_matrix(terms, frame, contrasts, "fixed effects", call)
  X <- design$X
  kept <- independent_columns(X, 1e-7)
  if (length(kept) >= nrow(X)) abort_too_many_fixed(length(kept), nrow(X), call)
  dropped <- character()
  if (length(kept) < ncol(X)) {
    dropped <- colnames(X)[-kept]
    inform_rank(dropped)
    design$assign <- design$assign[kept]
    design$X <- X[, kept, drop = FALSE]
  }
  c(design, list(terms = terms, dropped = dropped))
}

# The first columns of X of which no other is a combination, as qr() finds them at `tol`.
# That of the cross-product tells the usual case, where all are, without a copy of X.
independent_columns <- function(X, tol) {
  gram <- crossprod(X)
  norms <- sqrt(diag(gram))
  root <- tryCatch(chol.default(gram / tcrossprod(norms)), error = function(e) NULL)
  # far from where rounding could matter
  if (!is.null(root) && isTRUE(all(diag(root) > 1e-4))) return(seq_len(ncol(X)))
  decomposition <- qr(X, tol = tol)
  sort(decomposition$pivot[seq_len(decomposition$rank)])
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

# model.matrix() with every value finite; `what` these columns are. Returns list(X,
# assign, xlevels, contrasts).
design_matrix <- function(terms, frame, contrasts, what, call) {
  design <- numeric_design(terms, frame)
  if (is.null(design) || length(contrasts) > 0L) {
    design <- factor_design(terms, frame, contrasts, call)
  }
  # squares of larger ones may be infinite
  if (length(design$X) > 0L && !isTRUE(all(abs(range(design$X)) <= 1e100))) {
    bad <- which(is.na(design$X) | abs(design$X) > 1e100, arr.ind = TRUE)
    first <- design$X[bad[1L, , drop = FALSE]]
    found <- if (is.na(first)) "Missing" else if (is.infinite(first)) "Infinite" else
      "Too large"
    abort_covariate(what, colnames(design$X)[unique(bad[, 2L])], found, call)
  }
  design
}

factor_design <- function(terms, frame, contrasts, call) {
  xlevels <- stats::.getXlevels(terms, frame)
  for (name in names(xlevels)) {
    if (length(xlevels[[name]]) < 2L) abort_factor(name, xlevels[[name]], call)
  }
  X <- tryCatch(stats::model.matrix(terms, frame, contrasts.arg = contrasts),
                error = function(e) abort_frame(e, call))
  assign <- attr(X, "assign")
  used <- attr(X, "contrasts")
  attr(X, "assign") <- NULL
  attr(X, "contrasts") <- NULL
  list(X = X, assign = assign, xlevels = xlevels, contrasts = used)
}

# The same of numeric vectors, in a fraction of the time for small data; NULL where there
# is anything else.
numeric_design <- function(terms, frame) {
  names <- attr(terms, "term.labels")
  values <- unclass(frame)[names]
  plain <- vapply(values, function(x) is.numeric(x) && is.null(attributes(x)), NA)
  if (length(names) == 0L || !all(plain)) return(NULL)
  intercept <- attr(terms, "intercept") == 1L
  X <- do.call(cbind, c(if (intercept) list("(Intercept)" = 1), values))
  storage.mode(X) <- "double"
  rownames(X) <- rownames(frame)
  list(X = X, assign = seq_len(ncol(X)) - intercept)
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
  vapply(as.list(attr(terms, "variables"))[-1L], as_text, character(1))
}

# Random terms: a list of objects of class "random_term", each with
#   group       name of the grouping factor, as written
#   factor      it, over the rows (levels in use only)
#   columns     names of the k columns of Z within a level
#   Z           n x k, NULL for an intercept alone: see term_design()
#   assign      which term of the left-hand side each column belongs to, 0 the intercept
#   terms       terms of the left-hand side, for new data
#   kernel      NULL, or the relationship matrix (all its ids)
#   kernel_text what kin() calls it
# A decorrelated term (`||`) becomes one term per column. `kernel` evaluates K of kin().
# given: whether the variances are, so that the data need not tell them, and an inverse of K
# may stay one. sparse: whether a sparse inverse may, see settle_kernels().
model_random <- function(parts, frame, kinship, kernel, call = rlang::caller_env(),
                         given = FALSE, sparse = FALSE) {
  groups <- vapply(parts$bars, function(bar) as_text(bar$group), character(1))
  own <- !vapply(parts$bars, function(bar) is.null(bar$kernel), logical(1))
  kinship <- check_kinship_list(kinship, unique(groups), groups[own], call)
  terms <- list()
  for (i in seq_along(parts$bars)) {
    bar <- parts$bars[[i]]
    term <- random_term(bar, groups[[i]], frame, call)
    K <- if (own[[i]]) kernel(bar$kernel) else kinship[[groups[[i]]]]
    if (!is.null(K)) {
      check <- if (given) check_relationship else if (sparse) check_sparse_kinship else
        check_kinship
      term$kernel <- check(K, levels(term$factor), groups[[i]], "kinship", call)
      term$kernel_text <- if (own[[i]]) deparse1(bar$kernel)
    }
    terms <- c(terms, if (bar$correlated) list(term) else split_columns(term))
  }
  if (!given) check_random(terms, nrow(frame), call)
  if (sparse) settle_kernels(terms, call) else terms
}

# A term for each column.
split_columns <- function(term) {
  lapply(seq_along(term$columns), function(at) {
    intercept <- identical(term$columns[[at]], "(Intercept)")
    Z <- if (!intercept) term$Z[, at, drop = FALSE]
    utils::modifyList(term, list(Z = Z, columns = term$columns[at], assign = term$assign[at]))
  })
}

random_term <- function(bar, group, frame, call) {
  factor <- eval_group(bar$group, frame, call)
  if (anyNA(factor)) abort_group_missing(group, sum(is.na(factor)), call)
  side <- eval(call("~", bar$lhs))
  environment(side) <- environment(attr(frame, "terms"))
  terms <- frame_terms(side, frame)
  if (!is.null(attr(terms, "offset"))) abort_random_offset(describe_bar(bar), call)
  intercept <- attr(terms, "intercept") == 1L
  design <- if (intercept && length(attr(terms, "term.labels")) == 0L) {
    list(columns = "(Intercept)", assign = 0L)
  } else {
    random_design(terms, frame, bar, call)
  }
  structure(c(list(group = group, group_expr = bar$group, factor = factor, terms = terms),
              design), class = "random_term")
}

random_design <- function(terms, frame, bar, call) {
  design <- design_matrix(terms, frame, NULL, "random slopes", call)
  columns <- colnames(design$X)
  if (length(columns) == 0L) abort_no_columns(describe_bar(bar), call)
  Z <- design$X
  dimnames(Z) <- NULL
  c(list(columns = columns, Z = Z), design[-1L])
}

# Z of a term, n x k.
term_design <- function(term) {
  if (is.null(term$Z)) matrix(1, length(term$factor), 1L) else term$Z
}

describe_bar <- function(bar) {
  text <- paste0(deparse1(bar$lhs), if (bar$correlated) " | " else " || ",
                 deparse1(bar$group))
  if (is.null(bar$kernel)) paste0("(", text, ")") else
    paste0("kin(", text, ", ", deparse1(bar$kernel), ")")
}

# The grouping factor, with the levels in use: a variable of the frame, which may be a
# call, or the interaction a:b of such.
eval_group <- function(expr, frame, call) {
  name <- as_text(expr)
  if (name %in% names(frame)) {
    value <- frame[[name]]
    if (!is.null(dim(value))) abort_group_type(name, describe(value), call)
    return(group_factor(value))
  }
  if (is.call(expr) && identical(expr[[1L]], quote(`(`))) {
    return(eval_group(expr[[2L]], frame, call))
  }
  if (!is.call(expr) || !identical(expr[[1L]], quote(`:`))) abort_group_form(name, call)
  cross_factors(eval_group(expr[[2L]], frame, call), eval_group(expr[[3L]], frame, call))
}

# interaction(a, b, sep = ":", drop = TRUE, lex.order = TRUE), which takes much longer.
cross_factors <- function(a, b) {
  inner <- nlevels(b)
  if (nlevels(a) * as.double(inner) < 2^31) {
    pair <- (as.integer(a) - 1L) * inner + as.integer(b)
  } else {
    pair <- (as.integer(a) - 1) * inner + as.integer(b)
  }
  pairs <- coded(pair)
  outer <- (pairs$values - 1) %/% inner
  labels <- paste(levels(a)[outer + 1], levels(b)[pairs$values - outer * inner], sep = ":")
  coded_factor(pairs$codes, labels)
}

# The grouping factor of any vector: only levels in use, and no attributes of its own.
group_factor <- function(x) {
  if (is.factor(x) && !anyNA(levels(x))) {
    x <- used_levels(x)
    class <- if (is.ordered(x)) c("ordered", "factor") else "factor"
    return(structure(as.integer(x), levels = levels(x), class = class))
  }
  if (!is.numeric(x) || is.object(x)) return(factor(x))
  found <- coded(as.vector(x))
  coded_factor(found$codes, id_text(found$values))
}

# The different values of x, sorted, and which of them each is; by counting, if they are
# whole numbers in a range that is not much wider than x is long.
coded <- function(x) {
  if (is_dense(x)) {
    low <- min(x)
    at <- as.integer(x - (low - 1))
    used <- tabulate(at) > 0L
    return(list(codes = cumsum(used)[at], values = which(used) + (low - 1)))
  }
  values <- sort(unique(x))
  list(codes = match(x, values), values = values)
}

is_dense <- function(x) {
  if (anyNA(x)) return(FALSE)
  range <- as.double(range(x))
  if (range[[2L]] - range[[1L]] > 4 * length(x) || max(abs(range)) >= 2^31) return(FALSE)
  is.integer(x) || all(x == as.integer(x))
}

# Ids as text; as.character() would make "1e+05" of the number 100000.
id_text <- function(ids) {
  text <- as.character(ids)
  # 64-bit integers are no doubles, and have as.character() of their own
  if (!is.numeric(ids) || inherits(ids, "integer64")) return(text)
  whole <- is.finite(ids) & ids == round(ids) & abs(ids) < 2^53
  text[whole] <- sprintf("%.0f", ids[whole])
  text
}

# Equal labels are one level.
coded_factor <- function(codes, labels) {
  if (anyDuplicated(labels) > 0L) {
    codes <- match(labels, labels)[codes]
    kept <- sort(unique(codes))
    return(coded_factor(match(codes, kept), labels[kept]))
  }
  structure(codes, levels = labels, class = "factor")
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
  single <- inherits(kinship, c("data.frame", "kin_eigen", "kinlmm_precision"))
  if (!is.list(kinship) || single || is.null(names(kinship))) {
    abort_kinship_list(kinship, groups, call)
  }
  nothing <- vapply(kinship, is.null, NA)
  if (any(nothing)) {
    abort_argument("kinship", "a list of relationship matrices",
                   paste("NULL for", some_of(names(kinship)[nothing])), call)
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
    k <- length(term$columns)
    if (is.null(term$kernel) && q * k >= n) {
      kernel <- any(vapply(terms, function(other) {
        !is.null(other$kernel) && other$group == term$group
      }, logical(1)))
      abort_too_many_levels(term$group, q, k, n, kernel, call)
    }
    # squares of smaller values may be zero too
    zero <- if (!is.null(term$Z)) colSums(abs(term$Z) > 1e-100) == 0
    if (any(zero)) {
      abort_random_columns(term$group, term$columns[zero], "is zero in every row", call)
    }
  }
}
