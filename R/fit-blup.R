#' Best linear unbiased predictions
#'
#' The predicted random effects with their precision. With a relationship matrix every
#' individual in it is predicted, with and without records: those without are predicted
#' from their relatives.
#'
#' For the i-th individual with prior variance sigma2_u K_ii the prediction error variance
#' is PEV = Var(u_hat - u), the estimation of the fixed effects allowed for and the
#' variances taken as known; reliability is 1 - PEV / (sigma2_u K_ii), the squared
#' correlation of prediction and truth.
#'
#' @param object a model fitted by [lmmfit()].
#' @param ... not used.
#' @return A data frame of class `blup` with a row for each level and random effect:
#'   `group`, `id`, `term`, `value`, `pev`, `reliability`, and `records`, the number of
#'   records of the level in the fit. Reliability is `NA` where the prior variance is zero.
#' @references Henderson CR (1975). Best linear unbiased estimation and prediction under a
#' selection model. Biometrics 31, 423-447. \doi{10.2307/2529430}
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' head(blup(fit))
#' @export
blup <- function(object, ...) UseMethod("blup")

#' @rdname blup
#' @export
blup.lmmfit <- function(object, ...) {
  factors <- term_factors(object$random, object$theta * object$sigma)
  pev <- fit_variances(object)$prediction
  rows <- lapply(names(object$random), function(label) {
    term <- object$random[[label]]
    modes <- term_modes(object, label)
    prior <- diag(tcrossprod(factors[[label]]))
    ids <- rownames(modes)
    scale <- if (is.null(term$kernel)) rep(1, length(ids)) else diag(term$kernel)
    records <- table(term$factor)[ids]
    records[is.na(records)] <- 0L
    do.call(rbind, Map(function(a, row) {
      variance <- if (is.null(term$kernel)) pev[row, row, ] else pev
      data.frame(group = term$group, id = ids, term = term$columns[[a]],
                 value = unname(modes[, a]), pev = unname(variance),
                 reliability = ratio_or_na(variance, prior[[a]] * scale),
                 records = as.integer(records))
    }, seq_along(term$columns), term_rows(object, label)))
  })
  out <- do.call(rbind, rows)
  structure(out, class = c("blup", "data.frame"))
}

ratio_or_na <- function(pev, variance) {
  out <- 1 - unname(pev) / unname(variance)
  out[variance <= 0] <- NA
  # rounding must not make a certain prediction more than certain
  pmin(pmax(out, 0), 1)
}
