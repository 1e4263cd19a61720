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
#' @param ... not used; anything here is an error.
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
  rlang::check_dots_empty()
  factors <- term_factors(object$random, object$theta * object$sigma)
  variances <- fit_variances(object)
  blocks <- fit_blocks(object)
  rows <- lapply(names(object$random), function(label) {
    block <- Find(function(block) label %in% blocks[[block]], names(blocks))
    before <- blocks[[block]][seq_len(match(label, blocks[[block]]) - 1L)]
    first <- sum(term_widths(object$random[before]))
    blup_term(object, label, variances[[block]]$prediction, first,
              diag(tcrossprod(factors[[label]])))
  })
  structure(do.call(rbind, rows), class = c("blup", "data.frame"))
}

# Rows of one term; its columns come after the first `first` of pev, k x k x levels.
blup_term <- function(object, label, pev, first, prior) {
  term <- object$random[[label]]
  modes <- term_modes(object, label)
  ids <- rownames(modes)
  scale <- kernel_diagonal(term$kernel, length(ids))
  counts <- tabulate(term$factor, nlevels(term$factor))
  records <- counts[match(ids, levels(term$factor))]
  records[is.na(records)] <- 0L
  do.call(rbind, lapply(seq_along(term$columns), function(a) {
    variance <- pev[first + a, first + a, ]
    data.frame(group = term$group, id = ids, term = term$columns[[a]],
               value = unname(modes[, a]), pev = unname(variance),
               reliability = ratio_or_na(variance, prior[[a]] * scale),
               records = records)
  }))
}

ratio_or_na <- function(pev, variance) {
  out <- 1 - unname(pev) / unname(variance)
  out[variance <= 0] <- NA
  # rounding must not make a certain prediction more than certain
  pmin(pmax(out, 0), 1)
}
