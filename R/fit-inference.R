#' Compare models, or test the terms of one
#'
#' With several models: likelihood-ratio tests, after fitting those that were fitted by
#' REML again by ML (without evaluating their calls). With one: the sequential sums of
#' squares of its terms, as lme4 gives them.
#'
#' @param object a model fitted by [lmmfit()].
#' @param ... other such models, on the same data.
#' @param refit (`logical(1)`) fit again by ML what was fitted by REML. REML criteria
#'   compare only models with the same fixed effects. With a relationship matrix and an
#'   intercept ML is that of the data free of the intercept (n - 1 contrasts), because
#'   ordinary ML depends on the origin of the matrix, and has no maximum for a centred one of
#'   full rank.
#' @param model.names (`character`) names for the rows.
#' @return A data frame of class `anova`: for several models `npar`, `AIC`, `BIC`,
#'   `logLik`, `deviance`, `Chisq`, `Df`, `Pr(>Chisq)`, by increasing number of
#'   parameters. The p-value takes Chisq as chi-square on `Df` degrees of freedom, which is
#'   conservative when a variance is tested against zero. For one model `npar`, `Sum Sq`,
#'   `Mean Sq`, `F value`.
#' @examples
#' small <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' large <- lmmfit(distance ~ age * Sex + (1 | Subject), data = nlme::Orthodont)
#' anova(small, large)
#' anova(large)
#' @export
anova.lmmfit <- function(object, ..., refit = TRUE, model.names = NULL) {
  others <- list(...)
  if (length(others) == 0L) return(anova_terms(object))
  models <- c(list(object), others)
  for (model in models) check_fit(model, "...")
  if (is.null(model.names)) {
    model.names <- vapply(as.list(substitute(list(object, ...)))[-1L], deparse1, "")
    # from do.call() they are the models themselves
    if (any(nchar(model.names) > 200L)) model.names <- paste0("MODEL", seq_along(models))
  } else if (length(model.names) != length(models) || anyNA(model.names)) {
    abort_argument("model.names", paste(length(models), "names, one for each model"),
                   describe(model.names), rlang::current_env())
  }
  check_comparable(models, rlang::current_env())
  reml <- vapply(models, `[[`, logical(1), "REML")
  if (check_flag(refit)) {
    if (any(reml)) inform_refit(sum(reml))
    models <- lapply(models, refit_ml)
  }
  npar <- vapply(models, n_parameters, numeric(1))
  models <- models[order(npar)]
  labels <- model.names[order(npar)]
  likelihoods <- lapply(models, logLik)
  value <- vapply(likelihoods, as.numeric, numeric(1))
  df <- c(NA, diff(sort(npar)))
  chisq <- c(NA, 2 * pmax(0, diff(value)))
  p <- stats::pchisq(chisq, df, lower.tail = FALSE)
  p[df == 0] <- NA
  table <- data.frame(
    npar = sort(npar), AIC = vapply(likelihoods, stats::AIC, 0),
    BIC = vapply(likelihoods, stats::BIC, 0), logLik = value, deviance = -2 * value,
    Chisq = chisq, Df = df, `Pr(>Chisq)` = p, row.names = make.unique(labels),
    check.names = FALSE
  )
  formulas <- vapply(models, function(model) deparse1(model$formula), "")
  structure(table, class = c("anova", "data.frame"),
            heading = c(paste0("Data: ", describe_code(object$call$data)), "Models:",
                        paste0(labels, ": ", formulas)))
}

check_comparable <- function(models, call) {
  y <- models[[1L]]$y
  for (model in models[-1L]) {
    if (length(model$y) != length(y)) {
      abort_comparison(paste0("One has ", count(length(y)), " records, another ",
                              count(length(model$y)), "."), call)
    }
    if (!isTRUE(all.equal(unname(model$y), unname(y)))) {
      abort_comparison("Their responses differ.", call)
    }
  }
}

anova_terms <- function(object) {
  if (length(object$coefficients) == 0L) {
    none <- data.frame(npar = integer(), `Sum Sq` = numeric(), `Mean Sq` = numeric(),
                       `F value` = numeric(), check.names = FALSE)
    return(structure(none, heading = "Analysis of Variance Table",
                     class = c("anova", "data.frame")))
  }
  work <- engine_fixed(object$engine, object$theta)
  root <- chol(chol2inv(chol(work$unscaled)))
  effects <- drop(root %*% object$coefficients)
  assign <- object$fixed$assign
  keep <- assign > 0
  labels <- attr(object$fixed$terms, "term.labels")
  df <- tapply(assign[keep], assign[keep], length)
  ss <- tapply(effects[keep]^2, assign[keep], sum)
  ms <- ss / df
  table <- data.frame(npar = as.integer(df), `Sum Sq` = as.vector(ss),
                      `Mean Sq` = as.vector(ms), `F value` = as.vector(ms) / object$sigma^2,
                      row.names = labels[as.integer(names(df))], check.names = FALSE)
  structure(table, heading = "Analysis of Variance Table",
            class = c("anova", "data.frame"))
}
