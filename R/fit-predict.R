#' Predict
#'
#' @param object a model fitted by [lmmfit()].
#' @param newdata (`data.frame`) new records; by default those of the fit. It needs the
#'   variables of the fixed effects, of an offset, and of the random effects that
#'   `re.form` adds.
#' @param re.form which random effects to add: `NULL` all, `NA` or `~0` none (the
#'   population mean), or a formula of some of them, such as `~ (1 | Subject)`; what the
#'   fit does not have is an error. A term written with `kin()` is named with it,
#'   `~ kin(1 | id, K)`; without it `~ (1 | id)` means the other terms of `id`.
#' @param random.only (`logical(1)`) leave out the fixed effects and the offset, whose
#'   variables `newdata` then does not need.
#' @param allow.new.levels (`logical(1)`) predict levels that the fit does not know with
#'   effects of zero; otherwise they are an error. With a kernel every id of the
#'   relationship matrix is known, with or without records, also to i.i.d. terms of the
#'   same grouping factor: their effects for an id without records are zero.
#' @param na.action what to do with rows of `newdata` that have missing values: by default
#'   they give `NA`; [stats::na.omit()] leaves them out.
#' @param se.fit (`logical(1)`) standard errors, too.
#' @param ... not used; anything here is an error.
#' @return Named numeric, one value per record; with `se.fit` a list of two such vectors,
#'   `fit` and `se.fit`.
#'
#' @details
#' The standard error is that of the mean x'b + z'u of a record, not of a new response: the
#' square root of the variance of the prediction error, x'b_hat + z'u_hat - x'b - z'u. It
#' has the uncertainty of the fixed effects and of the random effects that `re.form` names,
#' whose errors depend on each other; the others contribute nothing. Variance parameters
#' are taken as known, as their estimates are.
#'
#' An effect that the data tell nothing about, that of a new level or of an id without
#' records in an i.i.d. term, contributes its variance in the population. For an id that
#' is not in a relationship matrix this is that of an average id of the matrix, related to
#' none of them.
#' @references Henderson CR (1975). Best linear unbiased estimation and prediction under a
#' selection model. Biometrics 31, 423-447. \doi{10.2307/2529430}
#' @examples
#' fit <- lmmfit(distance ~ age + (age | Subject), data = nlme::Orthodont)
#' new <- data.frame(age = c(8, 16), Subject = c("M01", "nobody"))
#' predict(fit, new, allow.new.levels = TRUE, se.fit = TRUE)
#' predict(fit, new, re.form = NA)
#' @export
predict.lmmfit <- function(object, newdata = NULL, re.form = NULL, random.only = FALSE,
                           allow.new.levels = FALSE, na.action = stats::na.pass,
                           se.fit = FALSE, ...) {
  rlang::check_dots_empty()
  call <- rlang::current_env()
  wanted <- wanted_columns(object, re.form, call)
  wanted <- wanted[lengths(wanted) > 0L]
  fixed <- !check_flag(random.only)
  check_flag(allow.new.levels)
  check_flag(se.fit)
  records <- if (is.null(newdata)) frame_records(object, wanted) else
    new_records(object, wanted, newdata, fixed, allow.new.levels, na.action, call)
  if (!fixed) {
    records$X <- matrix(0, length(records$names), length(object$coefficients))
    records$offset <- 0
  }
  out <- list(fit = predict_mean(object, records))
  if (se.fit) out$se.fit <- predict_error(object, records)
  out <- lapply(out, function(value) {
    stats::napredict(records$na.action, stats::setNames(value, records$names))
  })
  if (se.fit) out else out$fit
}

# What a prediction is made of: X in the order of the coefficients, offset, rows (see
# engine_row_variances() in engine.R), names and na.action. Here for the fit's own records.
frame_records <- function(object, wanted) {
  list(X = object$fixed$X, offset = object$offset, rows = frame_rows(object, wanted),
       names = rownames(object$frame), na.action = attr(object$frame, "na.action"))
}

# Columns of Z other than `wanted` are zero.
frame_rows <- function(object, wanted, root = 1) {
  rows <- lapply(names(wanted), function(label) {
    term <- object$random[[label]]
    level <- as.integer(term$factor)
    if (!is.null(term$kernel)) {
      level <- match(levels(term$factor), rownames(term$kernel))[level]
    }
    Z <- term_design(term) * root
    Z[, -wanted[[label]]] <- 0
    list(level = level, Z = Z)
  })
  stats::setNames(rows, names(wanted))
}

predict_mean <- function(object, records) {
  out <- drop(records$X %*% object$coefficients) + records$offset
  for (label in names(records$rows)) {
    row <- records$rows[[label]]
    modes <- term_modes(object, label)[row$level, , drop = FALSE]
    modes[is.na(row$level), ] <- 0
    out <- out + rowSums(row$Z * modes)
  }
  out
}

# NA where something is missing.
predict_error <- function(object, records) {
  rows <- records$rows
  known <- !is.na(rowSums(records$X))
  for (row in rows) known <- known & !is.na(rowSums(row$Z))
  out <- rep(NA_real_, length(known))
  if (!any(known)) return(out)
  X <- records$X[known, , drop = FALSE]
  variance <- if (length(rows) == 0L) rowSums((X %*% object$vcov) * X) else {
    rows <- lapply(rows, function(row) {
      list(level = row$level[known], Z = row$Z[known, , drop = FALSE])
    })
    object$sigma^2 *
      engine_row_variances(object$engine, unname(object$theta), object$random, X, rows)
  }
  # rounding may take it below zero where nothing is uncertain
  replace(out, known, sqrt(pmax(variance, 0)))
}

# For each term the columns that `re.form` asks for.
wanted_columns <- function(object, re.form, call) {
  none <- lapply(object$random, function(term) integer())
  if (is.null(re.form)) return(all_columns(object))
  if (is.atomic(re.form) && length(re.form) == 1L && is.na(re.form)) return(none)
  if (!inherits(re.form, "formula")) abort_re_form(describe(re.form), call)
  if (identical(re.form[[length(re.form)]], 0)) return(none)
  if (length(re.form) != 2L) abort_re_form(deparse1(re.form), call)
  parts <- split_terms(re.form[[2L]], call)
  if (length(parts$bars) == 0L || length(all.vars(parts$fixed)) > 0L) {
    abort_re_form(deparse1(re.form), call)
  }
  for (bar in parts$bars) {
    known <- bar_terms_of(bar, object)
    columns <- bar_columns(bar, known, object, call)
    for (label in names(known)) {
      none[[label]] <- union(none[[label]], which(known[[label]]$columns %in% columns))
    }
  }
  none
}

# The terms of the fit that a bar means: those of its grouping factor with the same kin(),
# or without any.
bar_terms_of <- function(bar, object) {
  text <- if (!is.null(bar$kernel)) deparse1(bar$kernel)
  Filter(function(term) {
    term$group == deparse1(bar$group) && identical(term$kernel_text, text)
  }, object$random)
}

# Names of the columns of a term in `re.form`, all of which the fit must have.
bar_columns <- function(bar, known, object, call) {
  unknown <- function() abort_re_form(describe_bar(bar), call)
  if (length(known) == 0L) unknown()
  side <- eval(call("~", bar$lhs))
  environment(side) <- environment(object$formula)
  labels <- lapply(known, function(term) attr(term$terms, "term.labels"))
  if (!all(attr(stats::terms(side), "term.labels") %in% unlist(labels))) unknown()
  design <- stats::model.matrix(frame_terms(side, object$frame), object$frame)
  has <- lapply(known, `[[`, "columns")
  if (!all(colnames(design) %in% unlist(has))) unknown()
  colnames(design)
}

# The same of newdata; without the fixed effects it need not have their variables.
new_records <- function(object, wanted, newdata, fixed, allow, na.action, call) {
  frame <- predict_frame(object, object$random[names(wanted)], newdata, fixed, na.action,
                         call)
  rows <- lapply(names(wanted), function(label) {
    new_rows(object, label, wanted[[label]], frame, allow, call)
  })
  out <- list(offset = 0, rows = stats::setNames(rows, names(wanted)),
              names = rownames(frame), na.action = attr(frame, "na.action"))
  if (!fixed) return(out)
  X <- stats::model.matrix(stats::delete.response(object$fixed$terms), frame,
                           contrasts.arg = object$fixed$contrasts)
  out$X <- X[, names(object$coefficients), drop = FALSE]
  offset <- stats::model.offset(frame)
  if (!is.null(offset)) out$offset <- offset
  out
}

# One model frame of newdata for the fixed effects, the offset and `random`, so that
# na.action sees every variable and all have the same rows; for `random` alone where
# `fixed` is FALSE.
predict_frame <- function(object, random, newdata, fixed, na.action, call) {
  if (!is.list(newdata)) {
    abort_argument("newdata", "a data frame", describe(newdata), call)
  }
  newdata <- as.data.frame(newdata)
  # those of the fit are used; model.frame() would warn
  newdata[] <- lapply(newdata, `attr<-`, "contrasts", NULL)
  formula <- stats::formula(stats::delete.response(object$fixed$terms))
  if (!fixed) formula[[2L]] <- 1
  bars <- lapply(unname(random), function(term) {
    list(lhs = stats::formula(term$terms)[[2L]], group = term$group_expr)
  })
  formula[[2L]] <- with_bars(formula[[2L]], bars)
  terms <- frame_terms(formula, object$frame)
  missing <- setdiff(intersect(all.vars(formula), object$variables), names(newdata))
  if (length(missing) > 0L) abort_newdata(missing, names(newdata), call)
  parts <- c(if (fixed) list(object$fixed), unname(random))
  levels <- do.call(c, lapply(parts, `[[`, "xlevels"))
  classes <- unlist(lapply(parts, function(part) attr(part$terms, "dataClasses")))
  numeric <- names(classes)[classes == "numeric"]
  newdata <- type_missing(newdata, numeric, names(levels))
  make <- function(...) {
    tryCatch(stats::model.frame(terms, newdata, ...),
             error = function(e) abort_frame(e, call))
  }
  check_new_types(make(na.action = stats::na.pass), levels, numeric, call)
  offset <- if (fixed) new_offset(object, newdata, call)
  frame_call <- list(na.action = na.action, xlev = levels)
  if (!is.null(offset)) frame_call$offset <- offset
  do.call(make, frame_call)
}

# NA alone is logical, whatever it stands for.
type_missing <- function(newdata, numeric, factors) {
  empty <- names(newdata)[vapply(newdata, function(x) is.logical(x) && all(is.na(x)), NA)]
  for (name in intersect(empty, numeric)) newdata[[name]] <- NA_real_
  for (name in intersect(empty, factors)) newdata[[name]] <- NA_character_
  newdata
}

# Variables other than grouping factors have the types and the levels of the fit.
check_new_types <- function(frame, levels, numeric, call) {
  for (name in intersect(names(frame), numeric)) {
    value <- frame[[name]]
    if (!is.numeric(value)) abort_newdata_type(name, "numeric", describe(value), call)
  }
  for (name in names(levels)) {
    value <- frame[[name]]
    if (!is.factor(value) && !is.character(value)) {
      abort_newdata_type(name, "a factor", describe(value), call)
    }
    unknown <- setdiff(as.character(value), c(levels[[name]], NA))
    if (length(unknown) > 0L) abort_newdata_level(name, unknown, levels[[name]], call)
  }
}

# The value of the argument `offset` of the fit in newdata. Only there: a vector of the
# fit's own rows would be recycled.
new_offset <- function(object, newdata, call) {
  expr <- object$call$offset
  if (is.null(expr)) return(NULL)
  refuse <- function(missing, found) abort_newdata_offset(expr, missing, found, call)
  if (!is.language(expr)) refuse(NULL, "a vector for the records of the fit")
  missing <- setdiff(all.vars(expr), names(newdata))
  if (length(missing) > 0L) refuse(missing, NULL)
  offset <- tryCatch(eval(expr, newdata, environment(object$formula)),
                     error = function(e) abort_frame(e, call))
  n <- nrow(newdata)
  if (!is.numeric(offset) || length(offset) != n) {
    refuse(NULL, paste0(describe(offset), ", for ", n_of(n, "row")))
  }
  if (any(is.infinite(offset))) refuse(NULL, "infinite in some rows")
  offset
}

# Levels and Z of one term, Z missing where the level is and may not be new.
new_rows <- function(object, label, columns, frame, allow, call) {
  term <- object$random[[label]]
  names <- rownames(term_modes(object, label))
  level <- as.character(eval_group(term$group_expr, frame, call))
  unknown <- setdiff(level, c(names, kernel_ids(object, term), NA))
  if (length(unknown) > 0L && !allow) abort_new_levels(term$group, unknown, call)
  Z <- stats::model.matrix(term$terms, frame, contrasts.arg = term$contrasts)
  Z <- unname(Z[, term$columns, drop = FALSE])
  Z[, -columns] <- 0
  if (!allow) Z[is.na(level), ] <- NA
  list(level = match(level, names), Z = Z)
}

# Ids that an i.i.d. term knows from the kernels of its grouping factor.
kernel_ids <- function(object, term) {
  if (!is.null(term$kernel)) return(NULL)
  same <- Filter(function(other) other$group == term$group, object$random)
  unlist(lapply(same, function(other) rownames(other$kernel)), use.names = FALSE)
}

#' Simulate responses
#'
#' @param object a model fitted by [lmmfit()].
#' @param nsim (`integer(1)`) how many responses.
#' @param seed (`integer(1)`) seed of the random number generator, as for
#'   [stats::simulate()].
#' @param use.u (`logical(1)`) keep the random effects at their predictions instead of
#'   drawing new ones.
#' @param re.form the same, as in [predict.lmmfit()]: `NA` draws all random effects, `NULL`
#'   keeps them.
#' @param ... not used; anything here is an error.
#' @return A data frame of n rows and `nsim` columns `sim_1`, ..., with the attribute `seed`.
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' head(simulate(fit, 2, seed = 1))
#' @export
simulate.lmmfit <- function(object, nsim = 1, seed = NULL, use.u = FALSE,
                            re.form = if (use.u) NULL else NA, ...) {
  rlang::check_dots_empty()
  nsim <- check_count(nsim)
  kept <- wanted_columns(object, re.form, rlang::current_env())
  draws <- with_seed(seed, simulate_matrix(object, nsim, kept))
  out <- as.data.frame(draws$value, row.names = rownames(object$frame))
  structure(stats::setNames(out, paste0("sim_", seq_len(nsim))), seed = draws$seed)
}

# The value of `code` from a seed, after which the generator is where it was; and what
# started it.
with_seed <- function(seed, code) {
  if (!exists(".Random.seed", envir = globalenv(), inherits = FALSE)) stats::runif(1)
  before <- get(".Random.seed", envir = globalenv())
  if (is.null(seed)) return(list(value = code, seed = before))
  most <- .Machine$integer.max
  check_number(seed, -most, most, "seed", rlang::caller_env())
  on.exit(assign(".Random.seed", before, envir = globalenv()))
  set.seed(seed)
  list(value = code, seed = structure(seed, kind = as.list(RNGkind())))
}

# n x nsim responses. All normal deviates of one stand together, so that it does not
# matter how many are drawn at once.
simulate_matrix <- function(object, nsim, kept) {
  counts <- vapply(object$random, function(term) {
    length(term$columns) * drawn_levels(term)
  }, numeric(1))
  n <- length(object$y)
  z <- matrix(stats::rnorm((sum(counts) + n) * nsim), ncol = nsim)
  last <- cumsum(counts)
  out <- z[sum(counts) + seq_len(n), , drop = FALSE] * (object$sigma / sqrt(object$weights))
  factors <- term_factors(object$random, object$theta * object$sigma)
  for (label in names(object$random)) {
    rows <- seq(to = last[[label]], length.out = counts[[label]])
    new <- setdiff(seq_along(object$random[[label]]$columns), kept[[label]])
    if (length(new) == 0L) next
    out <- out + draw_term(object, label, factors[[label]], new, z[rows, , drop = FALSE])
  }
  out + linear_predictor(object, kept)
}

# Z u (n x nsim) of the columns `new` of one term, from standard normal z.
draw_term <- function(object, label, factor, new, z) {
  term <- object$random[[label]]
  k <- length(term$columns)
  Z <- term_design(term)
  u <- array(factor %*% matrix(z, k), c(k, drawn_levels(term), ncol(z)))
  ids <- levels(term$factor)
  sparse <- inherits(term$kernel, "sparse_kernel")
  root <- if (!is.null(term$kernel) && !sparse) kernel_root(term$kernel[ids, ids])
  parts <- lapply(new, function(a) {
    values <- matrix(u[a, , ], ncol = ncol(z))
    if (!is.null(root)) values <- crossprod(root, values)
    if (sparse) values <- draw_sparse(term$kernel, values, ids)
    Z[, a] * values[as.integer(term$factor), , drop = FALSE]
  })
  Reduce(`+`, parts)
}

# Of a sparse precision matrix the effects of all ids are drawn.
drawn_levels <- function(term) {
  if (inherits(term$kernel, "sparse_kernel")) nrow(term$kernel) else nlevels(term$factor)
}

draw_sparse <- function(kernel, z, ids) {
  drawn <- check_core(cpp_precision_solve(sparse_slots(kernel$Q), z, TRUE))[[1L]]
  drawn[match(ids, rownames(kernel)), , drop = FALSE]
}
