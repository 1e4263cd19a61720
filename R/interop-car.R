#' Tests by the packages 'car' and 'multcomp'
#'
#' [car::Anova()], [car::linearHypothesis()], [car::deltaMethod()], [car::vif()] and
#' [multcomp::glht()] understand fits of [lmmfit()], as they do those of 'lme4'.
#'
#' A term of type II is tested beside all terms that do not contain it: its coefficients
#' less what they share with those of the terms that do. Type III tests its coefficients as
#' they are, which depends on the contrasts (with `contr.sum` they are the usual type III
#' tests; [anova()][anova.lmmfit] does not depend on the contrasts).
#'
#' @param mod,model,object a model fitted by [lmmfit()].
#' @param type `"II"` or `"III"`, also as numbers.
#' @param test.statistic,test `"Chisq"` for Wald tests; `"F"`, in `Anova()`, for F tests with
#'   the degrees of freedom that `ddf` names.
#' @param ddf `"Kenward-Roger"`, which 'car' uses for fits of 'lme4', or `"Satterthwaite"`.
#' @param vcov. (`matrix` or `function`) covariance of the fixed effects, by default that of
#'   the fit.
#' @param hypothesis.matrix,rhs,g. as for [car::linearHypothesis()] and
#'   [car::deltaMethod()].
#' @param coef.,df as for [multcomp::modelparm()]: how to read the coefficients, and degrees
#'   of freedom for all tests (normal quantiles by default).
#' @param ... passed on to the default methods.
#' @return What the generics return: `Anova()` a data frame of class `anova` with a row for
#'   each term.
#' @examples
#' if (requireNamespace("car", quietly = TRUE)) {
#'   fit <- lmmfit(distance ~ age * Sex + (1 | Subject), data = nlme::Orthodont)
#'   car::Anova(fit)
#' }
#' @name lmmfit-car
NULL

#' @rawNamespace
#' S3method(car::Anova, lmmfit)
#' S3method(car::linearHypothesis, lmmfit)
#' S3method(car::deltaMethod, lmmfit)
#' S3method(car::vif, lmmfit)
NULL

#' @rdname lmmfit-car
#' @method Anova lmmfit
Anova.lmmfit <- function(mod, type = c("II", "III", 2, 3), test.statistic = c("Chisq", "F"),
                         vcov. = vcov(mod), ddf = c("Kenward-Roger", "Satterthwaite"), ...) {
  type <- check_choice(as.character(type), c("II", "III", "2", "3"))
  type <- c(II = "II", III = "III", `2` = "II", `3` = "III")[[type]]
  statistic <- check_choice(test.statistic, c("Chisq", "F"))
  ddf <- check_choice(ddf, c("Kenward-Roger", "Satterthwaite"))
  if (statistic == "Chisq") {
    V <- as.matrix(if (is.function(vcov.)) vcov.(mod) else vcov.)
    table <- wald_table(wald_hypotheses(mod, type, V), mod$coefficients, V)
    title <- "Wald chisquare tests"
  } else {
    tests <- if (length(mod$coefficients) > 0L) fit_ddf(mod, ddf, rlang::current_env())
    hypotheses <- wald_hypotheses(mod, type, tests$vcov)
    rows <- lapply(hypotheses, function(L) f_test(mod, tests, L))
    table <- f_table(rows)[c(5L, 3L, 4L, 6L)]
    names(table)[1:3] <- c("F", "Df", "Df.res")
    title <- sprintf("Wald %s tests with %s df", statistic, ddf)
  }
  response <- deparse1(stats::formula(mod$fixed$terms)[[2L]])
  structure(table, class = c("anova", "data.frame"),
            heading = c(paste0("Analysis of Deviance Table (Type ", type, " ", title, ")\n"),
                        paste0("Response: ", response)))
}

# For each term the matrix L of which L beta = 0 is tested.
wald_hypotheses <- function(fit, type, V) {
  labels <- attr(fit$fixed$terms, "term.labels")
  assign <- fit$fixed$assign
  identity <- diag(length(assign))
  dimnames(identity) <- rep(list(names(fit$coefficients)), 2L)
  terms <- intersect(c(if (type == "III") 0L, seq_along(labels)), assign)
  out <- lapply(terms, function(term) {
    L <- identity[assign == term, , drop = FALSE]
    if (type == "III") return(L)
    above <- identity[assign %in% relatives_of(fit$fixed$terms, term), , drop = FALSE]
    if (nrow(above) == 0L) return(L)
    L - L %*% V %*% t(above) %*% solve(above %*% V %*% t(above), above)
  })
  stats::setNames(out, c("(Intercept)", labels)[terms + 1L])
}

# The terms that have all variables of one, and more.
relatives_of <- function(terms, term) {
  factors <- attr(terms, "factors") > 0
  mine <- factors[, term]
  contains <- apply(factors, 2L, function(other) all(other[mine]) && any(other & !mine))
  which(contains)
}

wald_table <- function(hypotheses, beta, V) {
  chisq <- vapply(hypotheses, function(L) {
    value <- drop(L %*% beta)
    sum(value * solve(L %*% V %*% t(L), value))
  }, numeric(1))
  df <- vapply(hypotheses, nrow, integer(1))
  data.frame(Chisq = chisq, Df = df,
             `Pr(>Chisq)` = stats::pchisq(chisq, df, lower.tail = FALSE),
             row.names = names(hypotheses), check.names = FALSE)
}

# The default would take coef(), which has a row for each level, and a residual number of
# degrees of freedom.
#' @rdname lmmfit-car
#' @method linearHypothesis lmmfit
linearHypothesis.lmmfit <- function(model, hypothesis.matrix, rhs = NULL, test = "Chisq",
                                    ...) {
  check_choice(test, "Chisq")
  NextMethod(coef. = model$coefficients, error.df = Inf)
}

#' @rdname lmmfit-car
#' @method deltaMethod lmmfit
deltaMethod.lmmfit <- function(object, g., vcov. = vcov(object), ...) {
  if (is.function(vcov.)) vcov. <- vcov.(object)
  car::deltaMethod(object$coefficients, g., vcov. = vcov., ...)
}

#' @rdname lmmfit-car
#' @method vif lmmfit
vif.lmmfit <- function(mod, ...) {
  rlang::check_dots_empty()
  assign <- mod$fixed$assign
  kept <- assign > 0L
  labels <- attr(mod$fixed$terms, "term.labels")
  terms <- unique(assign[kept])
  if (length(terms) < 2L) {
    abort_argument("mod", "a model of two or more terms", n_of(length(terms), "term"),
                   rlang::current_env())
  }
  R <- stats::cov2cor(mod$vcov[kept, kept, drop = FALSE])
  inflation <- vapply(terms, function(term) {
    mine <- assign[kept] == term
    det(R[mine, mine, drop = FALSE]) * det(R[!mine, !mine, drop = FALSE]) / det(R)
  }, numeric(1))
  df <- vapply(terms, function(term) sum(assign == term), integer(1))
  if (all(df == 1L)) return(stats::setNames(inflation, labels[terms]))
  matrix(c(inflation, df, inflation^(1 / (2 * df))), ncol = 3L,
         dimnames = list(labels[terms], c("GVIF", "Df", "GVIF^(1/(2*Df))")))
}
