# The data of one model: rows, response, weights and offset, checked once.

# Evaluates the variables of `parts` (see model_formula()). `mf_call` is the matched
# call of lmmfit(), `env` where it was called. Returns list(frame, responses, y, weights,
# offset, variables): `frame` the model frame after na.action, `responses` a matrix where
# there are several, of which the frame then holds the first, `variables` the names of what
# has a value for each row.
model_frame <- function(parts, mf_call, data, env, call = rlang::caller_env()) {
  check_variables(parts$all, data, call)
  frame_call <- list(quote(stats::model.frame), formula = parts$all, data = data)
  for (name in intersect(c("subset", "weights", "offset"), names(mf_call))) {
    frame_call[[name]] <- eval_in_data(mf_call[[name]], data, parts$all, env, call)
  }
  make <- function(...) {
    tryCatch(eval(as.call(c(frame_call, ...)), env), error = function(e) abort_frame(e, call))
  }
  frame <- make(na.action = stats::na.pass)
  n <- nrow(frame)
  if (n == 0L) {
    abort_no_rows(0L, if ("subset" %in% names(mf_call)) "`subset`" else "`data`", call)
  }
  name <- as_text(parts$fixed[[2L]])
  check_response(frame[[1L]], name, call)
  action <- if ("na.action" %in% names(mf_call)) eval(mf_call$na.action, env)
  if (needs_action(action, data, frame)) frame <- make(na.action = action)
  if (nrow(frame) == 0L) abort_no_rows(n, NULL, call)
  frame <- drop_levels(frame)
  responses <- if (NCOL(frame[[1L]]) > 1L) several_responses(frame[[1L]], name, call)
  if (!is.null(responses)) frame[[1L]] <- responses[, 1L]
  y <- frame[[1L]]
  check_spread(y, name, call)
  list(frame = frame, responses = responses,
       y = stats::setNames(as.double(y), rownames(frame)), weights = frame_weights(frame, call), offset = frame_offset(frame, call),
       variables = row_variables(parts$all, data))
}

# Whether na.action may change the frame that na.pass made. The actions of stats do not
# where nothing is missing, but take their time to find out.
needs_action <- function(action, data, frame) {
  if (is.null(action)) action <- attr(data, "na.action")
  if (!is.function(action) && !is.character(action)) action <- getOption("na.action")
  if (is.character(action)) action <- get0(action, mode = "function")
  known <- list(stats::na.omit, stats::na.exclude, stats::na.fail, stats::na.pass)
  !any(vapply(known, identical, NA, action)) || any(vapply(frame, anyNA, NA))
}

# Without the levels that no row has, as model.frame() does it, which takes longer.
drop_levels <- function(frame) {
  columns <- unclass(frame)
  for (at in which(vapply(columns, is.factor, NA))) {
    used <- used_levels(columns[[at]])
    if (nlevels(used) < nlevels(columns[[at]])) frame[[at]] <- used
  }
  frame
}

used_levels <- function(factor) {
  used <- tabulate(factor, nlevels(factor)) > 0L
  if (all(used)) return(factor)
  codes <- cumsum(used)[as.integer(factor)]
  attributes(codes) <- attributes(factor)
  attr(codes, "levels") <- levels(factor)[used]
  codes
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
  size <- function(expr) {
    value <- tryCatch(eval(expr, data, environment(formula)), error = function(e) NULL)
    NROW(value)
  }
  names <- all.vars(formula)
  # the columns of a data frame need no look
  sizes <- rep(NROW(data), length(names))
  others <- !(is.data.frame(data) & names %in% names(data))
  sizes[others] <- vapply(lapply(names[others], as.name), size, integer(1))
  n <- if (is.symbol(formula[[2L]])) sizes[[1L]] else size(formula[[2L]])
  names[sizes == n]
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
  if (is.null(y) || length(dim(y)) > 2L || !(is.numeric(y) || is.logical(y))) {
    abort_response(name, "a numeric vector or matrix", describe(y), call)
  }
  if (all(is.finite(y))) return(invisible())
  if (all(is.na(y))) abort_response(name, "observed somewhere", "missing in every row", call)
  bad <- which(is.infinite(y))
  if (length(bad) > 0L) {
    rows <- some_of(bad, quote = FALSE)
    abort_response(name, "finite", paste("infinite in row", rows), call)
  }
}

# A response in each column, named.
several_responses <- function(Y, name, call) {
  Y <- unclass(Y)
  names <- colnames(Y)
  if (is.null(names)) names <- character(ncol(Y))
  blank <- which(!nzchar(names))
  names[blank] <- paste0("response", blank)
  colnames(Y) <- make.unique(names)
  for (column in colnames(Y)) {
    check_response(Y[, column], paste0(column, " of ", name), call)
    check_spread(Y[, column], paste0(column, " of ", name), call)
  }
  storage.mode(Y) <- "double"
  Y
}

check_spread <- function(y, name, call) {
  # na.pass lets them through
  if (anyNA(y)) {
    rows <- some_of(which(is.na(y)), quote = FALSE)
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
  if (length(offset) != nrow(frame)) {
    abort_argument("offset", "a numeric vector", describe(offset), call)
  }
  as.double(offset)
}
