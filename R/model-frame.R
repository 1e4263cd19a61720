# The data of one model: rows, response, weights and offset, checked once.

# Evaluates the variables of `parts` (see model_formula()). `mf_call` is the matched
# call of lmmfit(), `env` where it was called. Returns list(frame, y, weights, offset,
# variables): `frame` the model frame after na.action, `variables` the names of what has a
# value for each row.
model_frame <- function(parts, mf_call, data, env, call = rlang::caller_env()) {
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
  if (nrow(all_rows) == 0L) {
    abort_no_rows(0L, if ("subset" %in% names(mf_call)) "`subset`" else "`data`", call)
  }
  name <- deparse1(parts$fixed[[2L]])
  check_response(stats::model.response(all_rows), name, call)
  frame <- make(frame_call)
  if (nrow(frame) == 0L) abort_no_rows(nrow(all_rows), NULL, call)
  y <- stats::model.response(frame)
  check_spread(y, name, call)
  list(frame = frame, y = stats::setNames(as.double(y), rownames(frame)),
       weights = frame_weights(frame, call), offset = frame_offset(frame, call),
       variables = row_variables(parts$all, data))
}

# An argument such as weights: first among the data, then where the formula was made, then
# where lmmfit() was called (which alone knows what `...` of the caller holds).
eval_in_data <- function(expr, data, formula, env, call) {
  found <- eval_first(expr, data, list(environment(formula), env),
                      function(value) !is.function(value))
  if (is.null(found$error)) return(found$value)
  abort_frame(found$error, call)
}

# The value of `expr` in the first of `envs`, each behind `data`, where there is one that
# is `wanted`: a function that happens to have the name of a variable is not.
# Returns list(value), or list(error).
eval_first <- function(expr, data, envs, wanted) {
  for (env in envs) {
    value <- tryCatch(list(value = eval(expr, data, env)),
                      error = function(e) list(error = e))
    if (is.null(value$error) && wanted(value$value)) return(value)
  }
  if (!is.null(value$error)) return(value)
  list(error = simpleError(paste0("object '", deparse1(expr), "' is ",
                                  describe(value$value))))
}

# Variables of `formula` with as many values as the response: not the constants.
row_variables <- function(formula, data) {
  value <- function(expr) tryCatch(eval(expr, data, environment(formula)),
                                   error = function(e) NULL)
  n <- NROW(value(formula[[2L]]))
  Filter(function(name) NROW(value(as.name(name))) == n, all.vars(formula))
}

check_data <- function(data, call) {
  if (!is.null(data) && !is.list(data) && !is.environment(data)) {
    abort_argument("data", "a data frame, a list or an environment", describe(data), call)
  }
}

check_variables <- function(formula, data, call) {
  found <- function(name) {
    (!is.null(data) && name %in% names(data)) ||
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
    rows <- some_of(bad, quote = FALSE)
    abort_response(name, "finite", paste("infinite in row", rows), call)
  }
}

check_spread <- function(y, name, call) {
  # na.pass lets them through
  bad <- which(is.na(y))
  if (length(bad) > 0L) {
    rows <- some_of(bad, quote = FALSE)
    abort_response(name, "observed", paste("missing in row", rows), call)
  }
  if (length(y) > 1L && max(y) - min(y) <= 1e-14 * max(abs(y))) {
    abort_response(name, "variable", paste0("constant: every value is ", format(y[[1L]])),
                   call)
  }
}

# Prior weights, 1 where none were given; all positive and finite.
frame_weights <- function(frame, call) {
  weights <- stats::model.weights(frame)
  if (is.null(weights)) return(rep(1, nrow(frame)))
  if (!is.numeric(weights) || !is.null(dim(weights))) {
    abort_argument("weights", "a numeric vector", describe(weights), call)
  }
  bad <- which(!is.finite(weights) | weights <= 0)
  if (length(bad) > 0L) abort_weights(bad, weights[bad], call)
  as.double(weights)
}

frame_offset <- function(frame, call) {
  offset <- tryCatch(stats::model.offset(frame), error = function(e) NaN)
  if (is.null(offset)) return(rep(0, nrow(frame)))
  if (any(!is.finite(offset))) {
    abort_argument("offset", "numeric and finite", "not numeric, missing or infinite",
                   call)
  }
  as.double(offset)
}
