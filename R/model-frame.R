# The data of one model: rows, response, weights and offset, checked once.

# Evaluates the variables of `parts` (see model_formula()). `mf_call` is the matched
# call of lmmfit(), `env` where it was called. Returns list(frame, y, weights, offset,
# n_rows): `frame` the model frame after na.action, `n_rows` the rows before it.
model_frame <- function(parts, mf_call, data, env, call = rlang::caller_env()) {
  check_data(data, call)
  check_variables(parts$all, data, call)
  frame_call <- list(quote(stats::model.frame), formula = parts$all, data = data,
                     drop.unused.levels = TRUE)
  for (name in intersect(c("subset", "weights", "offset"), names(mf_call))) {
    frame_call[[name]] <- eval_in_data(mf_call[[name]], data, parts$all, env, call)
  }
  if ("na.action" %in% names(mf_call)) {
    frame_call$na.action <- eval(mf_call$na.action, env)
  }
  make <- function(arguments) {
    tryCatch(eval(as.call(arguments), env), error = function(e) abort_frame(e, call))
  }
  all_rows <- make(utils::modifyList(frame_call, list(na.action = stats::na.pass)))
  y <- stats::model.response(all_rows)
  check_response(y, deparse1(parts$fixed[[2L]]), call)
  frame <- make(frame_call)
  y <- stats::model.response(frame)
  if (length(y) == 0L) abort_no_rows(nrow(all_rows), call)
  check_spread(y, deparse1(parts$fixed[[2L]]), call)
  list(frame = frame, y = stats::setNames(as.double(y), rownames(frame)),
       weights = frame_weights(frame, call), offset = frame_offset(frame, call),
       n_rows = nrow(all_rows))
}

# An argument such as weights: first among the data, then where the formula was made, then
# where lmmfit() was called (which alone knows what `...` of the caller holds).
eval_in_data <- function(expr, data, formula, env, call) {
  tryCatch(
    eval(expr, data, environment(formula)),
    error = function(e) tryCatch(eval(expr, data, env),
                                 error = function(e) abort_frame(e, call))
  )
}

check_data <- function(data, call) {
  if (!is.null(data) && !is.list(data) && !is.environment(data)) {
    abort_argument("data", "a data frame, a list or an environment", describe(data), call)
  }
}

check_variables <- function(formula, data, call) {
  found <- function(name) {
    name == "." || (!is.null(data) && name %in% names(data)) ||
      exists(name, envir = environment(formula), inherits = TRUE)
  }
  wanted <- all.vars(formula)
  missing <- wanted[!vapply(wanted, found, logical(1))]
  if (length(missing) > 0L) abort_variable(missing, names(data), call)
}

check_response <- function(y, name, call) {
  if (is.null(y) || !is.null(dim(y)) && ncol(y) > 1L || !(is.numeric(y) || is.logical(y))) {
    abort_response(name, "a numeric vector", describe(y), call)
  }
  if (all(is.na(y))) abort_response(name, "observed somewhere", "missing in every row", call)
  bad <- which(is.infinite(y))
  if (length(bad) > 0L) {
    abort_response(name, "finite", paste0("infinite in row ", some_of(bad, quote = FALSE)),
                   call)
  }
}

check_spread <- function(y, name, call) {
  if (length(y) > 1L && max(y) - min(y) <= 1e-14 * max(abs(y))) {
    abort_response(name, "variable", paste0("constant: every value is ", format(y[[1L]])),
                   call)
  }
}

# Prior weights, 1 where none were given; all positive and finite.
frame_weights <- function(frame, call) {
  weights <- stats::model.weights(frame)
  if (is.null(weights)) return(rep(1, nrow(frame)))
  bad <- which(!is.finite(weights) | weights <= 0)
  if (length(bad) > 0L) abort_weights(bad, weights[bad], call)
  as.double(weights)
}

frame_offset <- function(frame, call) {
  offset <- tryCatch(stats::model.offset(frame), error = function(e) NaN)
  if (is.null(offset)) return(rep(0, nrow(frame)))
  if (any(!is.finite(offset))) {
    abort_argument("offset", "numeric and finite", "not numeric, or infinite", call)
  }
  as.double(offset)
}
