#' Compare models, or test the terms of one
#'
#' With one model: F tests of the terms of its fixed effects, as 'lmerTest' gives them. With
#' several: likelihood-ratio tests, after fitting those that were fitted by REML again by ML
#' (without evaluating their calls).
#'
#' @section Types of tests of one model:
#' `"I"`: each term beside the ones before it. `"II"`: each term beside all that do not
#' contain it. `"III"`: each term beside all others, where what it means does not depend on
#' how many records there are of each combination of factors: the estimable functions that
#' involve no other term but those that contain it, and that are orthogonal to the ones of
#' these. A term contains another when it has all its variables, further factors and
#' the same numeric variables. Types differ only where a design is unbalanced. Contrasts of
#' the factors do not matter. In a design with missing cells type III depends on which
#' columns were dropped.
#'
#' @section P-values of variances:
#' Where a model has one variance more than the one before it, and nothing else, it is
#' tested on the boundary of what it can be: the likelihood ratio is an equal mixture of 0
#' and chi-square on one degree of freedom, and the p-value half the usual one. A slope
#' added to a term with k - 1 effects comes with k - 1 covariances; the mixture is then of
#' chi-square on k - 1 and on k degrees of freedom. This is used where the terms themselves
#' say that one model is nested in the other in that way; for everything else, several
#' variances among it, the p-value is the usual one, which is too large where variances are
#' tested. The heading says which. The mixture supposes that the other variances are not
#' zero themselves.
#'
#' @param object a model fitted by [lmmfit()].
#' @param ... other such models, or fits of [stats::lm()], on the same data.
#' @param type of the tests of one model: `"III"`, `"II"` or `"I"` (or 3, 2, 1).
#' @param ddf how to find denominator degrees of freedom: `"Satterthwaite"`,
#'   `"Kenward-Roger"` (REML only; it also corrects the covariance of the estimates, which
#'   matters in small samples), or `"none"`, the sequential table of 'lme4' without p-values.
#' @param refit (`logical(1)`) fit again by ML what was fitted by REML. REML criteria
#'   compare only models with the same fixed effects. Where a random intercept with a
#'   relationship matrix is the only random term, beside a fixed intercept, ML is that of the
#'   data free of the intercept (n - 1 contrasts), because ordinary ML depends on the origin
#'   of the matrix, and has no maximum for a centred one of full rank.
#' @param mixture (`logical(1)`) take the boundary into account, see below; `FALSE` gives
#'   the p-values of 'lme4'.
#' @param model.names (`character`) names for the rows.
#' @return A data frame of class `anova`. For one model a row for each term and the columns
#'   `Sum Sq`, `Mean Sq` (F sigma2), `NumDF`, `DenDF`, `F value`, `Pr(>F)`; a term whose
#'   columns were all dropped has `NA`. The attribute `hypotheses` holds the contrasts (rows)
#'   of each term. With `ddf = "none"` the columns are `npar`, `Sum Sq`, `Mean Sq`,
#'   `F value`. For several models `npar`, `AIC`, `BIC`, `logLik`, `deviance`, `Chisq`, `Df`,
#'   `Pr(>Chisq)`, by increasing number of parameters.
#' @references
#' Satterthwaite FE (1946). An approximate distribution of estimates of variance components.
#' Biometrics Bulletin 2, 110-114. \doi{10.2307/3002019}
#'
#' Kenward MG, Roger JH (1997). Small sample inference for fixed effects from restricted
#' maximum likelihood. Biometrics 53, 983-997. \doi{10.2307/2533558}
#'
#' Kuznetsova A, Brockhoff PB, Christensen RHB (2017). lmerTest package: tests in linear
#' mixed effects models. Journal of Statistical Software 82(13). \doi{10.18637/jss.v082.i13}
#'
#' Stram DO, Lee JW (1994). Variance components testing in the longitudinal mixed effects
#' model. Biometrics 50, 1171-1177. \doi{10.2307/2533455}
#' @examples
#' small <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' large <- lmmfit(distance ~ age * Sex + (1 | Subject), data = nlme::Orthodont)
#' anova(large)
#' anova(large, type = "I", ddf = "Kenward-Roger")
#' anova(small, large)
#' slopes <- lmmfit(distance ~ age * Sex + (age | Subject), data = nlme::Orthodont)
#' anova(large, slopes, refit = FALSE)
#' @export
anova.lmmfit <- function(object, ..., type = c("III", "II", "I"),
                         ddf = c("Satterthwaite", "Kenward-Roger", "none"), refit = TRUE,
                         mixture = TRUE, model.names = NULL) {
  others <- list(...)
  here <- rlang::current_env()
  if (length(others) == 0L) return(anova_one(object, type, ddf, here))
  models <- c(list(object), others)
  for (model in models) if (!inherits(model, "lm")) check_fit(model, "...")
  if (is.null(model.names)) {
    model.names <- vapply(as.list(substitute(list(object, ...)))[-1L], deparse1, "")
    # from do.call() they are the models themselves
    if (any(nchar(model.names) > 200L)) model.names <- paste0("MODEL", seq_along(models))
  } else if (length(model.names) != length(models) || anyNA(model.names)) {
    abort_argument("model.names", paste(length(models), "names, one for each model"),
                   describe(model.names), here)
  }
  check_comparable(models, here)
  reml <- vapply(models, function(model) isTRUE(model$REML), NA)
  if (check_flag(refit)) {
    if (any(reml)) inform_refit(sum(reml))
    models <- lapply(models, function(model) {
      if (inherits(model, "lm")) model else refit_ml(model)
    })
  }
  check_same_records(models, here)
  likelihoods <- lapply(models, function(model) {
    if (inherits(model, "lm")) logLik(model, REML = !refit && any(reml)) else logLik(model)
  })
  order <- order(vapply(likelihoods, attr, 0, "df"))
  compare_models(models[order], likelihoods[order], model.names[order],
                 check_flag(mixture), describe_code(object$call$data))
}

# models: by increasing number of parameters.
compare_models <- function(models, likelihoods, labels, mixture, data) {
  npar <- vapply(likelihoods, attr, 0, "df")
  value <- vapply(likelihoods, as.numeric, numeric(1))
  df <- c(NA, diff(npar))
  chisq <- c(NA, 2 * pmax(0, diff(value)))
  boundary <- c(FALSE, mixture & mapply(adds_one_variance, models[-length(models)],
                                        models[-1L]))
  table <- data.frame(
    npar = npar, AIC = vapply(likelihoods, stats::AIC, 0),
    BIC = vapply(likelihoods, stats::BIC, 0), logLik = value, deviance = -2 * value,
    Chisq = chisq, Df = df, `Pr(>Chisq)` = ratio_p_value(chisq, df, boundary),
    row.names = make.unique(labels), check.names = FALSE
  )
  formulas <- vapply(models, function(model) deparse1(formula(model)), "")
  structure(table, class = c("anova", "data.frame"),
            heading = c(paste0("Data: ", data), "Models:",
                        paste0(labels, ": ", formulas),
                        mixture_note(rownames(table)[boundary], df[boundary])))
}

# Of a likelihood ratio; on the boundary half of it belongs to one degree of freedom less.
ratio_p_value <- function(chisq, df, boundary) {
  p <- stats::pchisq(chisq, df, lower.tail = FALSE)
  p[df <= 0] <- NA
  half <- which(boundary)
  below <- stats::pchisq(chisq[half], df[half] - 1, lower.tail = FALSE)
  # zero itself, up to rounding, is as likely as not
  below[df[half] == 1 & chisq[half] < 1e-7] <- 1
  p[half] <- (p[half] + below) / 2
  p
}

mixture_note <- function(labels, df) {
  if (length(labels) == 0L) return("P-values: chi-square on Df")
  labels <- vapply(split(labels, df), paste, "", collapse = ", ")
  df <- sort(unique(df))
  paste0("P-value of ", labels, ": half chi-square on ", df - 1, " df, half on ", df,
         " (one variance, on its boundary)")
}

# Whether `large` is `small` and one random effect more, as the terms say: either a term of
# its own, or one more column in a term, with its covariances.
adds_one_variance <- function(small, large) {
  if (inherits(large, "lm") || !same_span(fixed_columns(small), fixed_columns(large))) {
    return(FALSE)
  }
  added <- unname(large$random)
  removed <- list()
  for (term in small$random) {
    here <- which(vapply(added, same_term, NA, term))
    if (length(here) > 0L) added <- added[-here[[1L]]] else removed <- c(removed, list(term))
  }
  if (length(added) != 1L || length(removed) > 1L) return(FALSE)
  more <- length(added[[1L]]$columns)
  if (length(removed) == 0L) return(more == 1L)
  same_effects(removed[[1L]], added[[1L]]) &&
    more == length(removed[[1L]]$columns) + 1L &&
    in_columns(term_design(removed[[1L]]), term_design(added[[1L]]))
}

fixed_columns <- function(model) {
  if (inherits(model, "lm")) stats::model.matrix(model) else model$fixed$X
}

same_term <- function(one, other) {
  same_effects(one, other) && same_span(term_design(one), term_design(other))
}

# The same groups and the same kernel.
same_effects <- function(one, other) {
  identical(as.integer(one$factor), as.integer(other$factor)) &&
    identical(one$kernel, other$kernel)
}

same_span <- function(A, B) ncol(A) == ncol(B) && in_columns(A, B)

# Whether the columns of A are combinations of those of B.
in_columns <- function(A, B) {
  if (ncol(A) == 0L) return(TRUE)
  if (ncol(B) == 0L) return(FALSE)
  scale <- colSums(A^2)
  all(colSums(qr.resid(qr(B), A)^2) <= 1e-14 * scale)
}

check_comparable <- function(models, call) {
  y <- models[[1L]]$y
  for (model in models[-1L]) {
    other <- if (inherits(model, "lm")) stats::model.response(model.frame(model)) else model$y
    if (length(other) != length(y)) {
      abort_comparison(paste0("One has ", count(length(y)), " records, another ",
                              count(length(other)), "."), call)
    }
    if (!isTRUE(all.equal(unname(other), unname(y)))) {
      abort_comparison("Their responses differ.", call)
    }
  }
}

# ML with a kernel is that of n - 1 contrasts: no likelihood of n records compares with it.
check_same_records <- function(models, call) {
  contrasts <- vapply(models, function(model) isTRUE(model$engine$contrasts), NA)
  if (length(unique(contrasts)) > 1L) abort_comparison_kernel(call)
}

# F tests of the terms of one model.
anova_one <- function(object, type, ddf, call) {
  type <- check_type(type, call)
  ddf <- check_ddf(ddf, call)
  if (ddf == "none") return(anova_sequential(object))
  p <- length(object$coefficients)
  hypotheses <- if (p > 0L) term_hypotheses(object, type) else list()
  tests <- if (length(hypotheses) > 0L) fit_ddf(object, ddf, call)
  rows <- lapply(hypotheses, function(L) f_test(object, tests, L, call = call))
  structure(f_table(rows), hypotheses = hypotheses, class = c("anova", "data.frame"),
            heading = paste0("Type ", type, " Analysis of Variance Table with ", ddf,
                             "'s method"))
}

# Rows of f_test() as one table.
f_table <- function(rows) {
  if (length(rows) > 0L) return(do.call(rbind, rows))
  data.frame(`Sum Sq` = numeric(), `Mean Sq` = numeric(), NumDF = integer(),
             DenDF = numeric(), `F value` = numeric(), `Pr(>F)` = numeric(),
             check.names = FALSE)
}

check_type <- function(type, call) {
  if (length(type) == 1L && type %in% 1:3) return(c("I", "II", "III")[[as.integer(type)]])
  check_choice(type, c("III", "II", "I"), call = call)
}

# `lme4` is what lmerTest calls "none".
check_ddf <- function(ddf, call, choices = c("Satterthwaite", "Kenward-Roger", "none")) {
  if (identical(ddf, "lme4") && "none" %in% choices) return("none")
  check_choice(ddf, choices, call = call)
}

anova_sequential <- function(object) {
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
