#' Cross-validation
#'
#' Predicts the records of each of several folds from a fit to all others.
#'
#' Everything is that of the fit: formula, design (bases such as `poly()` included),
#' relationship matrices, weights, offsets and method. In each fold the fixed effects are
#' estimated and the random effects predicted from the records of the other folds, and with
#' `refit = TRUE` the variances too. The prediction of a record is the sum of its fixed
#' effects, its offset and the random effects of its levels; with a relationship matrix
#' individuals without records are predicted from relatives, and a level of an i.i.d. term
#' that no other fold has counts as zero. With `refit = FALSE` the predictions are those of
#' [leave_one_out()] with folds for groups: exact for given variances, and much faster.
#'
#' Accuracy is the correlation of observed and predicted values, also called predictive
#' ability; divided by the root of h2 it estimates that with the genetic values, if nothing
#' else predicts. A slope below one says that predictions spread too much. Accuracy depends
#' on how near the other records are: leave out together (`groups`) what is not known in the
#' application, such as all records of an individual, a family or a population.
#'
#' @param fit a model fitted by [lmmfit()].
#' @param folds (`integer(1)`) how many folds; or a vector with the fold of each record. Ten
#'   are the default, as usual: nearly all records predict, at ten fits.
#' @param groups what to keep together in a fold: as `by` of [leave_one_out()].
#' @param repeats (`integer(1)`) how often folds are drawn anew, at random; `set.seed()` makes
#'   them the same again. Folds hold the same numbers of records, or of groups, up to one.
#' @param refit (`logical(1)`) estimate the variances in each fold, the default, as only then
#'   do the records of a fold have no part in their prediction; or keep those of the fit.
#' @param h2 (`numeric(1)`) the heritability to divide accuracy by the root of, if any, such as
#'   `heritability(fit)$estimate`.
#' @param x,object what `cross_validate()` returned.
#' @param digits significant digits.
#' @param row.names,optional not used.
#' @param ... for `plot()` passed to [graphics::plot.default()]; else not used.
#' @return A list of class `cross_validation`:
#'   \item{predictions}{data frame with a row for each record and repeat: `rep`, `fold`,
#'     `record` (its name), `observed`, `predicted`; `NA` where a fold could not be fitted or
#'     its fixed effects not be estimated}
#'   \item{by_fold}{data frame: `rep`, `fold`, `n` (records predicted), `correlation`,
#'     `intercept` and `slope` of observed on predicted values, `mse`}
#'   \item{by_repeat}{the same over all folds of a repeat}
#'   \item{variances}{matrix with a row for each row of `by_fold`, as in [influence()][influence.lmmfit]:
#'     the variances with which it was predicted}
#'   \item{settings}{`folds`, `groups`, `repeats`, `refit`, `h2`, `formula`, and the numbers of
#'     folds `failed` and `not_converged`}
#'   `summary()`: a data frame with rows `correlation`, `accuracy` (with `h2`), `intercept`,
#'   `slope` and `mse`, columns `mean` and `sd` over all folds, and `pooled`, over all records
#'   of a repeat, on average. `as.data.frame()`: `predictions`.
#' @section Errors:
#' `kinlmm_error_argument` for unsuitable folds, groups or numbers;
#' `kinlmm_error_no_residual` as for [leave_one_out()]. Folds that can't be fitted are a
#' warning of class `kinlmm_warning_folds`.
#' @references
#' Legarra A, Robert-Granie C, Manfredi E, Elsen JM (2008). Performance of genomic selection
#' in mice. Genetics 180, 611-618. \doi{10.1534/genetics.108.088575}
#'
#' Hastie T, Tibshirani R, Friedman J (2009). The elements of statistical learning. Springer.
#' \doi{10.1007/978-0-387-84858-7}
#' @seealso [leave_one_out()], [marker_effects()].
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' set.seed(1)
#' cross_validate(fit, folds = 5)
#' cross_validate(fit, folds = 5, groups = "Subject", refit = FALSE)
#' @export
cross_validate <- function(fit, folds = 10, groups = NULL, repeats = 1, refit = TRUE,
                           h2 = NULL) {
  call <- rlang::current_env()
  check_fit(fit)
  repeats <- check_count(repeats)
  if (!check_flag(refit)) check_residual(fit, call)
  if (!is.null(h2)) h2 <- check_number(h2, 1e-6, 1)
  drawn <- draw_folds(fit, folds, groups, repeats, call)
  predicted <- if (refit) refit_folds(fit, drawn) else known_folds(fit, drawn)
  n <- length(fit$y)
  count <- length(drawn)
  predictions <- data.frame(
    rep = rep(seq_len(count), each = n), fold = unlist(lapply(drawn, as.character)),
    record = rep(rownames(fit$frame), count), observed = rep(unname(fit$y), count),
    predicted = unlist(predicted$values)
  )
  settings <- list(folds = nlevels(drawn[[1L]]), groups = if (is.character(groups)) groups,
                   grouped = !is.null(groups), repeats = count, refit = refit, h2 = h2,
                   formula = fit$formula, failed = length(predicted$failures),
                   not_converged = predicted$not_converged)
  report_folds(predictions, predicted$failures)
  structure(list(predictions = predictions,
                 by_fold = accuracy_by(predictions, drawn),
                 by_repeat = accuracy_by(predictions, NULL),
                 variances = predicted$variances, settings = settings),
            class = "cross_validation")
}

# A factor of folds over the records for each repeat.
draw_folds <- function(fit, folds, groups, repeats, call) {
  n <- length(fit$y)
  if (length(folds) != 1L) {
    if (!is.null(groups) || repeats > 1L) {
      abort_left_out("folds", "a number where `groups` or `repeats` are given",
                     paste("It is", describe(folds)), call)
    }
    folds <- left_out_groups(fit, folds, "folds", call)
    if (nlevels(folds) < 2L) abort_left_out("folds", "two or more", "There is one", call)
    return(list(folds))
  }
  unit <- if (is.null(groups)) seq_len(n) else
    as.integer(left_out_groups(fit, groups, "groups", call))
  most <- max(unit)
  if (most < 2L) abort_left_out("groups", "two or more", "There is one", call)
  folds <- check_count(folds, 2L, most, "folds", call)
  lapply(seq_len(repeats), function(r) {
    factor(sample(rep_len(seq_len(folds), most))[unit], seq_len(folds))
  })
}

# list(values: a vector of predictions for each repeat; variances: a row for each fold;
# failures: what went wrong; not_converged: how many folds).
refit_folds <- function(fit, drawn) {
  total <- sum(vapply(drawn, nlevels, 0L))
  failures <- character()
  not_converged <- 0L
  variances <- NULL
  values <- with_progress("Cross-validation", total, function(tick) {
    lapply(drawn, function(fold) {
      out <- rep(NA_real_, length(fold))
      for (level in levels(fold)) {
        own <- which(fold == level)
        at <- predict_fold(fit, own)
        out[own] <- at$predicted
        variances <<- rbind(variances, at$variances)
        failures <<- c(failures, at$failure)
        not_converged <<- not_converged + isFALSE(at$converged)
        tick(nrow(variances), total)
      }
      out
    })
  })
  list(values = values, variances = unname_rows(variances), failures = failures,
       not_converged = not_converged)
}

unname_rows <- function(x) {
  rownames(x) <- NULL
  x
}

known_folds <- function(fit, drawn) {
  values <- lapply(drawn, function(fold) {
    unname(fit$y) - left_out_blocks(fit, fold)$residual
  })
  variances <- lmer_components(fit)
  count <- sum(vapply(drawn, nlevels, 0L))
  list(values = values, failures = character(), not_converged = 0L,
       variances = matrix(variances, count, length(variances), byrow = TRUE,
                          dimnames = list(NULL, names(variances))))
}

# The records `out` from a fit to all others: list(predicted, variances, failure).
predict_fold <- function(fit, out) {
  fold <- tryCatch(fold_fit(fit, -out), kinlmm_error = identity)
  if (inherits(fold, "kinlmm_error")) {
    return(list(predicted = NA_real_, variances = lmer_components(fit) * NA,
                failure = cli::ansi_strip(conditionMessage(fold))))
  }
  records <- fold_records(fit, fold, out)
  predicted <- predict_mean(fold, records)
  predicted[!records$known] <- NA
  list(predicted = predicted, variances = lmer_components(fold),
       converged = fold$opt$converged)
}

# Some records of a fit for predict_mean() of another that lacks them; `known`, whether
# its fixed effects are enough.
fold_records <- function(fit, fold, out) {
  X <- fit$fixed$X[out, , drop = FALSE]
  kept <- names(fold$coefficients)
  rows <- lapply(stats::setNames(nm = names(fit$random)), function(label) {
    term <- fit$random[[label]]
    level <- levels(term$factor)[term$factor[out]]
    list(level = match(level, rownames(term_modes(fold, label))),
         Z = term_design(term)[out, , drop = FALSE])
  })
  list(X = X[, kept, drop = FALSE], offset = fit$offset[out], rows = rows,
       known = in_row_space(X, fit$fixed$X[-out, , drop = FALSE], kept))
}

# Whether rows of X are combinations of those of `others`, of whose columns `kept` are a
# basis.
in_row_space <- function(X, others, kept) {
  lost <- setdiff(colnames(X), kept)
  if (length(lost) == 0L) return(rep(TRUE, nrow(X)))
  of_kept <- qr.coef(qr(others[, kept, drop = FALSE]), others[, lost, drop = FALSE])
  away <- abs(X[, lost, drop = FALSE] - X[, kept, drop = FALSE] %*% of_kept)
  size <- pmax(apply(abs(rbind(X, others)[, lost, drop = FALSE]), 2L, max), 1e-300)
  rowSums(away > 1e-7 * rep(size, each = nrow(X))) == 0
}

# The fit to some of the rows, as far as predictions need it; with `theta` at these variance
# ratios.
fold_fit <- function(fit, rows, theta = NULL) {
  model <- subset_model(fit, rows)
  fit$engine <- choose_engine(model$frame, model$fixed, model$random)
  fit$random <- model$random
  opt <- if (is.null(theta)) {
    engine_optimise(fit$engine, fit$REML, fit$control, unname(fit$theta))
  } else {
    list(theta = theta)
  }
  at_optimum(fit, opt, fit$REML)
}

report_folds <- function(predictions, failures) {
  if (length(failures) > 0L) return(warn_folds(length(failures), failures[[1L]]))
  lost <- sum(is.na(predictions$predicted))
  if (lost > 0L) inform_not_predictable(lost)
}

# Accuracy by fold and repeat, or by repeat where there are no `drawn` folds.
accuracy_by <- function(predictions, drawn) {
  folds <- if (is.null(drawn)) NULL else levels(drawn[[1L]])
  parts <- lapply(unique(predictions$rep), function(r) {
    mine <- predictions[predictions$rep == r, ]
    if (is.null(folds)) {
      return(data.frame(rep = r, prediction_accuracy(mine$observed, mine$predicted)))
    }
    do.call(rbind, lapply(folds, function(fold) {
      own <- mine[mine$fold == fold, ]
      data.frame(rep = r, fold = fold, prediction_accuracy(own$observed, own$predicted))
    }))
  })
  do.call(rbind, parts)
}

# Methods ----

#' @rdname cross_validate
#' @export
summary.cross_validation <- function(object, ...) {
  rlang::check_dots_empty()
  h2 <- object$settings$h2
  add <- function(table) {
    if (!is.null(h2)) table$accuracy <- table$correlation / sqrt(h2)
    table
  }
  by_fold <- add(object$by_fold)
  pooled <- add(object$by_repeat)
  what <- c("correlation", if (!is.null(h2)) "accuracy", "intercept", "slope", "mse")
  over <- function(table, f) {
    vapply(table[what], f, numeric(1))
  }
  spread <- function(x) stats::sd(x, na.rm = TRUE)
  data.frame(mean = over(by_fold, mean_or_na), sd = over(by_fold, spread),
             pooled = over(pooled, mean_or_na), row.names = what)
}

#' @rdname cross_validate
#' @export
as.data.frame.cross_validation <- function(x, row.names = NULL, optional = FALSE, ...) {
  x$predictions
}

#' @rdname cross_validate
#' @export
print.cross_validation <- function(x, digits = 4L, ...) {
  at <- x$settings
  kept <- if (at$grouped) paste0(" that keep ", if (is.null(at$groups)) "groups" else
    paste(at$groups, collapse = ", "), " together")
  cat("Cross-validation of ", n_of(nrow(x$predictions) / at$repeats, "record"), ": ",
      n_of(at$folds, "fold"), kept, if (at$repeats > 1L) paste0(", ", at$repeats, " repeats"),
      "\nFormula:   ", deparse1(at$formula),
      "\nVariances: ", if (at$refit) "estimated anew in each fold" else
        "those of the fit to all records", "\n", sep = "")
  lost <- sum(is.na(x$predictions$predicted))
  if (lost > 0L) {
    cat("Not predicted: ", n_of(lost, "record"), if (at$failed > 0L) {
      paste0(" (", n_of(at$failed, "fold"), " not fitted)")
    }, "\n", sep = "")
  }
  if (at$not_converged > 0L) {
    cat("Not converged: ", n_of(at$not_converged, "fold"), "\n", sep = "")
  }
  cat("\nObserved and predicted values, within folds and pooled over the folds:\n")
  table <- summary(x)
  labels <- c(correlation = "correlation",
              accuracy = paste0("correlation / sqrt(h2 = ", format(at$h2, digits = 3L), ")"),
              intercept = "intercept", slope = "slope", mse = "mean squared difference")
  rownames(table) <- labels[rownames(table)]
  cells <- vapply(table, format, character(nrow(table)), digits = digits)
  cells[is.na(table)] <- "-"
  dimnames(cells) <- dimnames(table)
  print(noquote(cells), right = TRUE)
  invisible(x)
}

#' @rdname cross_validate
#' @export
plot.cross_validation <- function(x, ...) {
  draw_predictions(x$predictions$observed, x$predictions$predicted, ...)
  invisible(x)
}
