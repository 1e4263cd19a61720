#' Predict
#'
#' @param object a model fitted by [lmmfit()].
#' @param newdata (`data.frame`) new records; by default those of the fit.
#' @param re.form which random effects to add: `NULL` all, `NA` or `~0` none (the
#'   population mean), or a formula of some of them, such as `~ (1 | Subject)`.
#' @param allow.new.levels (`logical(1)`) predict levels that the fit does not know with
#'   effects of zero; otherwise they are an error. With a kernel every id of the
#'   relationship matrix is known, with or without records.
#' @param na.action what to do with missing values in `newdata`: by default they give `NA`.
#' @param ... not used.
#' @return Named numeric, one value per record.
#' @examples
#' fit <- lmmfit(distance ~ age + (age | Subject), data = nlme::Orthodont)
#' new <- data.frame(age = c(8, 16), Subject = c("M01", "nobody"))
#' predict(fit, new, allow.new.levels = TRUE)
#' predict(fit, new, re.form = NA)
#' @export
predict.lmmfit <- function(object, newdata = NULL, re.form = NULL, allow.new.levels = FALSE,
                           na.action = stats::na.pass, ...) {
  wanted <- wanted_columns(object, re.form, rlang::current_env())
  check_flag(allow.new.levels)
  if (is.null(newdata)) {
    out <- drop(object$fixed$X %*% object$coefficients) + object$offset +
      Reduce(`+`, Map(function(label, columns) {
        term <- object$random[[label]]
        modes <- term_modes(object, label)[levels(term$factor), , drop = FALSE]
        rowSums((term$Z * modes[as.integer(term$factor), , drop = FALSE])[
          , columns, drop = FALSE])
      }, names(wanted), wanted), 0)
    return(stats::napredict(attr(object$frame, "na.action"),
                            stats::setNames(out, rownames(object$frame))))
  }
  newdata <- as.data.frame(newdata)
  out <- predict_fixed(object, newdata, na.action)
  for (label in names(wanted)) {
    if (length(wanted[[label]]) == 0L) next
    out <- out + predict_term(object, label, wanted[[label]], newdata, allow.new.levels,
                              na.action, rlang::current_env())
  }
  out
}

# For each term the columns that `re.form` asks for.
wanted_columns <- function(object, re.form, call) {
  none <- lapply(object$random, function(term) integer())
  if (is.null(re.form)) {
    return(lapply(object$random, function(term) seq_along(term$columns)))
  }
  if (is.atomic(re.form) && length(re.form) == 1L && is.na(re.form)) return(none)
  if (!inherits(re.form, "formula")) abort_re_form(describe(re.form), call)
  if (identical(re.form[[length(re.form)]], 0)) return(none)
  bars <- random_bars(re.form, call)
  known <- vapply(object$random, `[[`, character(1), "group")
  for (bar in bars) {
    group <- deparse1(bar$group)
    if (!group %in% known) abort_re_form(paste0("a term on ", group), call)
    side <- stats::terms(eval(call("~", bar$lhs)))
    labels <- c(if (attr(side, "intercept") == 1L) "(Intercept)", attr(side, "term.labels"))
    for (label in names(object$random)[known == group]) {
      term <- object$random[[label]]
      variables <- c("(Intercept)", attr(term$terms, "term.labels"))
      of_column <- variables[term$assign + 1L]
      none[[label]] <- union(none[[label]], which(of_column %in% labels))
    }
  }
  none
}

predict_fixed <- function(object, newdata, na.action) {
  terms <- stats::delete.response(object$fixed$terms)
  frame <- stats::model.frame(terms, newdata, na.action = na.action,
                              xlev = object$fixed$xlevels)
  X <- stats::model.matrix(terms, frame, contrasts.arg = object$fixed$contrasts)
  out <- drop(X[, names(object$coefficients), drop = FALSE] %*% object$coefficients)
  offset <- stats::model.offset(frame)
  if (!is.null(offset)) out <- out + offset
  if (!is.null(object$call$offset)) {
    out <- out + eval(object$call$offset, newdata, environment(object$formula))
  }
  stats::setNames(out, rownames(frame))
}

predict_term <- function(object, label, columns, newdata, allow, na.action, call) {
  term <- object$random[[label]]
  modes <- term_modes(object, label)
  attr(newdata, "terms") <- attr(object$frame, "terms")
  level <- as.character(eval_group(term$group_expr, newdata, call))
  unknown <- unique(level[!is.na(level) & !level %in% rownames(modes)])
  if (length(unknown) > 0L && !allow) abort_new_levels(term$group, unknown, call)
  frame <- stats::model.frame(term$terms, newdata, na.action = na.action,
                              xlev = term$xlevels)
  Z <- stats::model.matrix(term$terms, frame, contrasts.arg = term$contrasts)
  Z <- Z[, term$columns, drop = FALSE]
  values <- modes[match(level, rownames(modes)), , drop = FALSE]
  values[level %in% unknown | (is.na(level) & allow), ] <- 0
  rowSums((Z * values)[, columns, drop = FALSE])
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
#' @param ... not used.
#' @return A data frame of n rows and `nsim` columns `sim_1`, ..., with the attribute `seed`.
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' head(simulate(fit, 2, seed = 1))
#' @export
simulate.lmmfit <- function(object, nsim = 1, seed = NULL, use.u = FALSE,
                            re.form = if (use.u) NULL else NA, ...) {
  nsim <- check_count(nsim)
  kept <- wanted_columns(object, re.form, rlang::current_env())
  if (!exists(".Random.seed", envir = globalenv(), inherits = FALSE)) stats::runif(1)
  before <- get(".Random.seed", envir = globalenv())
  if (!is.null(seed)) {
    previous <- before
    set.seed(seed)
    before <- structure(seed, kind = as.list(RNGkind()))
    on.exit(assign(".Random.seed", previous, envir = globalenv()))
  }
  mean <- predict(object, re.form = re.form)
  mean <- mean[rownames(object$frame)]
  draw <- function(i) {
    mean + draw_random(object, kept) +
      stats::rnorm(length(mean), sd = object$sigma / sqrt(object$weights))
  }
  out <- as.data.frame(lapply(stats::setNames(seq_len(nsim), paste0("sim_", seq_len(nsim))),
                              draw), row.names = rownames(object$frame))
  structure(out, seed = before)
}

# Z u with new u for the columns that are not kept.
draw_random <- function(object, kept) {
  factors <- term_factors(object$random, object$theta * object$sigma)
  Reduce(`+`, lapply(names(object$random), function(label) {
    term <- object$random[[label]]
    k <- length(term$columns)
    draws <- matrix(stats::rnorm(k * nlevels(term$factor)), k)
    if (!is.null(term$kernel)) draws[] <- draw_kernel(object$engine, draws)
    u <- t(factors[[label]] %*% draws)
    u[, kept[[label]]] <- 0
    rowSums(term$Z * u[as.integer(term$factor), , drop = FALSE])
  }))
}

# Effects with covariance K among the individuals with records, from its spectrum.
draw_kernel <- function(engine, z) {
  drop(engine$U %*% (sqrt(engine$data$d) * as.vector(z))) / engine$scale
}
