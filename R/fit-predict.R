#' Predict
#'
#' @param object a model fitted by [lmmfit()].
#' @param newdata (`data.frame`) new records; by default those of the fit. It needs the
#'   variables of the fixed effects, of an offset, and of the random effects that
#'   `re.form` adds.
#' @param re.form which random effects to add: `NULL` all, `NA` or `~0` none (the
#'   population mean), or a formula of some of them, such as `~ (1 | Subject)`; what the
#'   fit does not have is an error.
#' @param allow.new.levels (`logical(1)`) predict levels that the fit does not know with
#'   effects of zero; otherwise they are an error. With a kernel every id of the
#'   relationship matrix is known, with or without records, also to i.i.d. effects of the
#'   same grouping factor: for ids without records they are zero.
#' @param na.action what to do with rows of `newdata` that have missing values: by default
#'   they give `NA`; [stats::na.omit()] leaves them out.
#' @param ... not used; anything here is an error.
#' @return Named numeric, one value per record.
#' @examples
#' fit <- lmmfit(distance ~ age + (age | Subject), data = nlme::Orthodont)
#' new <- data.frame(age = c(8, 16), Subject = c("M01", "nobody"))
#' predict(fit, new, allow.new.levels = TRUE)
#' predict(fit, new, re.form = NA)
#' @export
predict.lmmfit <- function(object, newdata = NULL, re.form = NULL, allow.new.levels = FALSE,
                           na.action = stats::na.pass, ...) {
  rlang::check_dots_empty()
  wanted <- wanted_columns(object, re.form, rlang::current_env())
  check_flag(allow.new.levels)
  if (is.null(newdata)) {
    return(stats::napredict(attr(object$frame, "na.action"),
                            linear_predictor(object, wanted)))
  }
  predict_new(object, wanted, newdata, allow.new.levels, na.action, rlang::current_env())
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

predict_new <- function(object, wanted, newdata, allow, na.action, call) {
  wanted <- wanted[lengths(wanted) > 0L]
  frame <- predict_frame(object, object$random[names(wanted)], newdata, na.action, call)
  X <- stats::model.matrix(stats::delete.response(object$fixed$terms), frame,
                           contrasts.arg = object$fixed$contrasts)
  out <- drop(X[, names(object$coefficients), drop = FALSE] %*% object$coefficients)
  offset <- stats::model.offset(frame)
  if (!is.null(offset)) out <- out + offset
  for (label in names(wanted)) {
    out <- out + predict_term(object, label, wanted[[label]], frame, allow, call)
  }
  stats::napredict(attr(frame, "na.action"), stats::setNames(out, rownames(frame)))
}

# One model frame of newdata for the fixed effects, the offset and `random`, so that
# na.action sees every variable and all have the same rows.
predict_frame <- function(object, random, newdata, na.action, call) {
  if (!is.list(newdata)) {
    abort_argument("newdata", "a data frame", describe(newdata), call)
  }
  newdata <- as.data.frame(newdata)
  # those of the fit are used; model.frame() would warn
  newdata[] <- lapply(newdata, `attr<-`, "contrasts", NULL)
  fixed <- stats::formula(stats::delete.response(object$fixed$terms))
  bars <- lapply(unname(random), function(term) {
    list(lhs = stats::formula(term$terms)[[2L]], group = term$group_expr)
  })
  fixed[[2L]] <- with_bars(fixed[[2L]], bars)
  terms <- frame_terms(fixed, object$frame)
  missing <- setdiff(intersect(all.vars(fixed), object$variables), names(newdata))
  if (length(missing) > 0L) abort_newdata(missing, names(newdata), call)
  parts <- c(list(object$fixed), unname(random))
  levels <- do.call(c, lapply(parts, `[[`, "xlevels"))
  classes <- unlist(lapply(parts, function(part) attr(part$terms, "dataClasses")))
  numeric <- names(classes)[classes == "numeric"]
  newdata <- type_missing(newdata, numeric, names(levels))
  make <- function(...) {
    tryCatch(stats::model.frame(terms, newdata, ...),
             error = function(e) abort_frame(e, call))
  }
  check_new_types(make(na.action = stats::na.pass), levels, numeric, call)
  offset <- new_offset(object, newdata, call)
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

predict_term <- function(object, label, columns, frame, allow, call) {
  term <- object$random[[label]]
  modes <- term_modes(object, label)
  level <- as.character(eval_group(term$group_expr, frame, call))
  unknown <- unique(level[!is.na(level) & !level %in% rownames(modes)])
  if (!allow) {
    new <- setdiff(unknown, kernel_ids(object, term$group))
    if (length(new) > 0L) abort_new_levels(term$group, new, call)
  }
  Z <- stats::model.matrix(term$terms, frame, contrasts.arg = term$contrasts)
  Z <- Z[, term$columns, drop = FALSE]
  values <- modes[match(level, rownames(modes)), , drop = FALSE]
  values[level %in% unknown | (is.na(level) & allow), ] <- 0
  rowSums((Z * values)[, columns, drop = FALSE])
}

# Ids that a relationship matrix of the group knows, beside i.i.d. effects of its levels,
# which are zero for those without records.
kernel_ids <- function(object, group) {
  unlist(lapply(object$random, function(term) {
    if (term$group == group) rownames(term$kernel)
  }))
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
  on.exit(assign(".Random.seed", before, envir = globalenv()))
  set.seed(seed)
  list(value = code, seed = structure(seed, kind = as.list(RNGkind())))
}

# n x nsim responses. All normal deviates of one stand together, so that it does not
# matter how many are drawn at once.
simulate_matrix <- function(object, nsim, kept) {
  counts <- vapply(object$random, function(term) {
    length(term$columns) * nlevels(term$factor)
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
  u <- array(factor %*% matrix(z, k), c(k, nlevels(term$factor), ncol(z)))
  ids <- levels(term$factor)
  root <- if (!is.null(term$kernel)) kernel_root(term$kernel[ids, ids])
  parts <- lapply(new, function(a) {
    values <- matrix(u[a, , ], ncol = ncol(z))
    if (!is.null(root)) values <- crossprod(root, values)
    Z[, a] * values[as.integer(term$factor), , drop = FALSE]
  })
  Reduce(`+`, parts)
}
