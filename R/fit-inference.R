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

#' Confidence intervals
#'
#' `"profile"`: the values that a likelihood-ratio test does not reject. Each parameter is
#' fixed in turn and the likelihood (ML, also for a REML fit, as in lme4) maximised over
#' the others. With a relationship matrix and an intercept it is the likelihood of the data
#' free of the intercept: that of all data depends on the origin of the matrix. The
#' intercept itself then has its Wald interval. An interval reaches its bound (0 for a
#' standard deviation, -1 and 1 for a correlation) where the test never rejects. `"Wald"`: estimate plus and minus a normal
#' quantile times the standard error, for fixed effects only.
#'
#' @param object a model fitted by [lmmfit()].
#' @param parm (`character` or `integer`) which parameters; `"beta_"` the fixed effects,
#'   `"theta_"` the variance parameters. All by default.
#' @param level (`numeric(1)`) confidence level.
#' @param method `"profile"` or `"Wald"`.
#' @param signames (`logical(1)`) lme4's short names `.sig01`, ..., `.sigma`, or speaking
#'   ones such as `sd_(Intercept)|Subject`.
#' @param ... not used.
#' @return A matrix with a row for each parameter (standard deviations and correlations of
#'   the random effects, sigma, fixed effects) and two columns; `NA` where a method gives no
#'   interval.
#' @references Bates D, Maechler M, Bolker B, Walker S (2015). Fitting linear mixed-effects
#' models using lme4. Journal of Statistical Software 67(1). \doi{10.18637/jss.v067.i01}
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' confint(fit)
#' confint(fit, method = "Wald")
#' @export
confint.lmmfit <- function(object, parm, level = 0.95, method = c("profile", "Wald"),
                           signames = TRUE, ...) {
  rlang::check_dots_empty()
  method <- check_choice(method, c("profile", "Wald"))
  level <- check_number(level, 0.001, 0.9999)
  labels <- parameter_names(object, check_flag(signames))
  all <- c(labels$variance, labels$fixed)
  wanted <- if (missing(parm)) all else match_parameters(parm, labels,
                                                         rlang::current_env())
  tail <- (1 - level) / 2
  columns <- paste(format(100 * c(tail, 1 - tail), trim = TRUE, digits = 3,
                          scientific = FALSE), "%")
  out <- matrix(NA_real_, length(all), 2L, dimnames = list(all, columns))
  if (method == "Wald") {
    se <- sqrt(diag(object$vcov))
    fixed <- object$coefficients + outer(se, stats::qnorm(c(tail, 1 - tail)))
    out[labels$fixed, ] <- fixed
  } else {
    fit <- refit_ml(object)
    fit$vcov <- object$vcov
    for (name in wanted) {
      out[name, ] <- if (name %in% labels$variance) {
        profile_variance(fit, match(name, labels$variance), level)
      } else {
        profile_fixed(fit, match(name, labels$fixed), level)
      }
    }
  }
  out[wanted, , drop = FALSE]
}

parameter_names <- function(object, signames) {
  varcor <- lapply(names(object$random), function(label) {
    columns <- object$random[[label]]$columns
    at <- lower_pairs(length(columns))
    names <- paste0("cor_", columns[at$row], ".", columns[at$col], "|", label)
    sd <- at$row == at$col
    replace(names, sd, paste0("sd_", columns[at$row[sd]], "|", label))
  })
  speaking <- unlist(varcor)
  short <- sprintf(".sig%02d", seq_along(speaking))
  list(variance = if (signames) c(short, ".sigma") else c(speaking, "sigma"),
       fixed = names(object$coefficients))
}

match_parameters <- function(parm, labels, call) {
  all <- unlist(labels, use.names = FALSE)
  if (is.numeric(parm)) parm <- all[parm]
  if (identical(parm, "beta_")) return(labels$fixed)
  if (identical(parm, "theta_")) return(labels$variance)
  unknown <- parm[is.na(parm) | !parm %in% all]
  if (length(unknown) > 0L) abort_parameter(unknown, all, call)
  parm
}
