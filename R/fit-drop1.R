#' Leave out terms of the fixed effects
#'
#' For each term that no other contains: the model without it. [stats::step()] uses this to
#' select fixed effects by AIC.
#'
#' @param object a model fitted by [lmmfit()].
#' @param scope (`character` or one-sided `formula`) which terms; by default all that can be
#'   left out.
#' @param scale,trace not used; here because [stats::step()] gives them.
#' @param test `"none"`: degrees of freedom and AIC; `"Chisq"`: likelihood-ratio tests as
#'   well; `"F"`: F tests in the model itself, as 'lmerTest' does, without fitting again.
#' @param k (`numeric(1)`) penalty per parameter of AIC.
#' @param ddf for F tests: `"Satterthwaite"` or `"Kenward-Roger"`.
#' @param ... not used; anything here is an error.
#' @return A data frame of class `anova` with a row for each term: `Df`, `AIC`, `LRT` and
#'   `Pr(Chi)`, after a row for the model itself; or `Sum Sq`, `Mean Sq`, `NumDF`, `DenDF`,
#'   `F value`, `Pr(>F)`. AIC and ratios are of fits by ML, as in
#'   [anova()][anova.lmmfit], which take the place of REML ones; calls are not evaluated.
#' @examples
#' fit <- lmmfit(distance ~ age * Sex + (1 | Subject), data = nlme::Orthodont)
#' drop1(fit, test = "Chisq")
#' drop1(fit, test = "F")
#' @importFrom stats drop1
#' @export
drop1.lmmfit <- function(object, scope, scale = 0, test = c("none", "Chisq", "F"), k = 2,
                         ddf = c("Satterthwaite", "Kenward-Roger"), trace = FALSE, ...) {
  rlang::check_dots_empty()
  here <- rlang::current_env()
  test <- check_choice(test, c("none", "Chisq", "F"))
  ddf <- check_ddf(ddf, here, c("Satterthwaite", "Kenward-Roger"))
  k <- check_number(k, 0)
  scope <- drop_scope(object, if (!missing(scope)) scope, here)
  spans <- lapply(stats::setNames(scope, scope), span_without, object)
  formula <- paste0("\nModel:\n", deparse1(formula(object)))
  if (test == "F") {
    tests <- if (length(scope) > 0L) fit_ddf(object, ddf, here)
    hypotheses <- Map(drop_hypothesis, scope, spans, list(object))
    rows <- lapply(hypotheses, function(L) f_test(object, tests, L, call = here))
    return(structure(f_table(rows), hypotheses = hypotheses, class = c("anova", "data.frame"),
                     heading = c(paste0("Single term deletions using ", ddf, "'s method:"),
                                 formula)))
  }
  structure(drop_table(object, spans, k, test), class = c("anova", "data.frame"),
            heading = c("Single term deletions", formula))
}

drop_scope <- function(object, scope, call) {
  droppable <- stats::drop.scope(object$fixed$terms)
  if (is.null(scope)) return(droppable)
  if (inherits(scope, "formula")) {
    wanted <- stats::update.formula(stats::formula(object$fixed$terms), scope)
    scope <- attr(stats::terms(wanted), "term.labels")
  }
  unknown <- setdiff(scope, droppable)
  if (!is.character(scope) || length(unknown) > 0L) {
    abort_drop_scope(unknown, droppable, call)
  }
  scope
}

without_term <- function(terms, term) {
  stats::update.formula(stats::formula(terms), stats::as.formula(paste("~ . -", term)))
}

# The columns of X without a term, as combinations of those with it: p x p0.
span_without <- function(term, object) {
  terms <- frame_terms(without_term(object$fixed$terms, term), object$frame)
  known <- intersect(names(object$fixed$contrasts), variable_names(terms))
  X <- stats::model.matrix(terms, object$frame,
                           contrasts.arg = object$fixed$contrasts[known])
  B <- qr.coef(qr(object$fixed$X), X)
  decomposition <- qr(B, tol = 1e-7)
  B[, decomposition$pivot[seq_len(decomposition$rank)], drop = FALSE]
}

# L beta = 0 where X beta is in the span without the term: its coefficients, or, where the
# coding of other terms depends on it, what is orthogonal to that span.
drop_hypothesis <- function(term, B, object) {
  p <- nrow(B)
  mine <- object$fixed$assign == match(term, attr(object$fixed$terms, "term.labels"))
  L <- diag(p)[mine, , drop = FALSE]
  if (nrow(L) != p - ncol(B) || any(abs(L %*% B) > 1e-10)) {
    L <- t(qr.Q(qr(B), complete = TRUE)[, -seq_len(ncol(B)), drop = FALSE])
  }
  colnames(L) <- names(object$coefficients)
  L
}

drop_table <- function(object, spans, k, test) {
  fit <- refit_ml(object)
  npar <- count_parameters(fit)
  criterion <- c(deviance(fit), vapply(spans, criterion_within, 0, fit))
  df <- c(NA, length(fit$coefficients) - vapply(spans, ncol, 1L))
  used <- npar - c(0, df[-1L])
  table <- data.frame(Df = df, AIC = criterion + k * used,
                      row.names = c("<none>", names(spans)))
  if (test == "Chisq") {
    ratio <- c(NA, pmax(0, criterion[-1L] - criterion[[1L]]))
    table$LRT <- ratio
    table$`Pr(Chi)` <- ratio_p_value(ratio, df, FALSE)
  }
  table
}

# -2 log-likelihood with X B for X: that of a recombination of what the engine holds.
criterion_within <- function(B, fit) {
  work <- fit$engine$work
  R <- work$R[, order(work$pivot), drop = FALSE]
  basis <- qr.Q(qr(R %*% B))
  fitted <- drop(R %*% work$beta)
  left <- fitted - drop(basis %*% crossprod(basis, fitted))
  engine <- engine_recombine(fit$engine, rbind(cbind(basis, left),
                                               c(numeric(ncol(basis)), 1)))
  opt <- engine_optimise(engine, FALSE, fit$control, unname(fit$theta))
  at <- engine_moments(engine, opt$theta)
  s <- free_effects(at$S, diag(ncol(at$S)))$s
  at$logdet - work$logweights + work$n * (1 + log(2 * pi * s / work$n))
}
