#' Test the random effects
#'
#' Likelihood-ratio tests of each random term, by leaving it out, or one of its columns, and
#' fitting again: by REML where the fit is by REML, as the fixed effects stay the same. The
#' call is not evaluated again.
#'
#' @section What is left out:
#' A term with one effect per level is removed. From `(x | g)`, `(x + z | g)`, and so on each
#' variable that is in no interaction is left out in turn, with its covariances: `(x | g)` is
#' compared with `(1 | g)`. From `(0 + f | g)` with a factor f the same gives `(1 | g)`;
#' with a numeric x the term `(0 + x | g)` is removed, as `(1 | g)` is not a part of it
#' ('lmerTest' compares these two). A term `(x || g)` is one term for each column.
#'
#' @param model a model fitted by [lmmfit()]. A fit of 'lme4' or 'lmerTest' is passed on to
#'   'lmerTest', which has a function of the same name; as that one knows no other fits, write
#'   `kinlmm::ranova()` where 'lmerTest' was attached last.
#' @param reduce.terms (`logical(1)`) leave out one variable of a term at a time, as above,
#'   or whole terms.
#' @param mixture (`logical(1)`) p-values that know that a variance can't be negative: half
#'   those of a chi-square on Df, plus half those on Df - 1 degrees of freedom, where one
#'   variance is left out (Stram and Lee 1994; see [anova.lmmfit()]). `FALSE` gives those of
#'   'lmerTest', which are too large: twice as large where a term has one effect.
#' @param ... not used; anything here is an error.
#' @return A data frame of class `anova` with a row for the model itself and for each
#'   reduced one: `npar`, `logLik`, `AIC`, `LRT`, `Df`, `Pr(>Chisq)`.
#' @references Stram DO, Lee JW (1994). Variance components testing in the longitudinal mixed
#' effects model. Biometrics 50, 1171-1177. \doi{10.2307/2533455}
#' @examples
#' fit <- lmmfit(distance ~ age * Sex + (age | Subject), data = nlme::Orthodont)
#' ranova(fit)
#' ranova(fit, reduce.terms = FALSE)
#' @export
ranova <- function(model, ...) UseMethod("ranova")

#' @rdname ranova
#' @export
ranova.lmmfit <- function(model, reduce.terms = TRUE, mixture = TRUE, ...) {
  rlang::check_dots_empty()
  here <- rlang::current_env()
  check_flag(reduce.terms)
  check_flag(mixture)
  reduced <- reduced_terms(model, reduce.terms, here)
  fits <- lapply(reduced, function(random) fit_terms(model, random, here))
  npar <- c(count_parameters(model), vapply(fits, `[[`, 0, "npar"))
  criterion <- c(model$opt$criterion, vapply(fits, `[[`, 0, "criterion"))
  ratio <- c(NA, criterion[-1L] - criterion[[1L]])
  df <- c(NA, npar[[1L]] - npar[-1L])
  boundary <- mixture & c(FALSE, vapply(reduced, function(random) {
    adds_one_variance(list(fixed = model$fixed, random = random), model)
  }, NA))
  table <- data.frame(
    npar = npar, logLik = -criterion / 2, AIC = criterion + 2 * npar, LRT = ratio, Df = df,
    `Pr(>Chisq)` = ratio_p_value(pmax(ratio, 0), df, boundary),
    row.names = make.unique(c("<none>", names(reduced))), check.names = FALSE
  )
  structure(table, class = c("anova", "data.frame"), heading = c(
    "ANOVA-like table for random-effects: Single term deletions",
    paste0("\nModel:\n", deparse1(formula(model))),
    mixture_note(rownames(table)[boundary], df[boundary])
  ))
}

#' @export
ranova.default <- function(model, ...) {
  if (inherits(model, "merMod")) {
    rlang::check_installed("lmerTest", "for tests of fits of lme4.")
    # it evaluates the call of the model where it was called
    return(eval(as.call(list(quote(lmerTest::ranova), model, ...)), parent.frame()))
  }
  abort_argument("model", "a model fitted by lmmfit()", describe(model),
                 rlang::current_env())
}

# Lists of random terms, each with one thing less than the model's.
reduced_terms <- function(model, reduce, call) {
  out <- list()
  for (label in names(model$random)) {
    smaller <- if (reduce) smaller_terms(model$random[[label]], model$frame, call)
    others <- model$random[names(model$random) != label]
    out <- c(out, if (length(smaller) == 0L) {
      stats::setNames(list(others), describe_term(model$random[[label]]))
    } else {
      lapply(smaller, function(term) replace(model$random, label, list(term)))
    })
  }
  out
}

# A term without each of the variables that can be left out of it, by name; none where it
# has one effect, or where what would be left is not a part of it.
smaller_terms <- function(term, frame, call) {
  scope <- stats::drop.scope(term$terms)
  if (length(term$columns) == 1L) scope <- character()
  out <- lapply(scope, function(variable) {
    side <- without_term(term$terms, variable)
    lhs <- side[[length(side)]]
    if (length(attr(stats::terms(side), "term.labels")) == 0L) lhs <- 1
    bar <- list(lhs = lhs, group = term$group_expr, correlated = TRUE, kernel = NULL)
    smaller <- random_term(bar, term$group, frame, call)
    smaller$kernel <- term$kernel
    structure(smaller, class = "random_term")
  })
  names(out) <- paste(scope, "in", describe_term(term), recycle0 = TRUE)
  Filter(function(smaller) in_columns(term_design(smaller), term_design(term)), out)
}

# As it would be written, but for the name of a kernel: one column of (x || g) as
# (0 + x | g).
describe_term <- function(term) {
  lhs <- if (length(term$columns) > 1L) deparse1(stats::formula(term$terms)[[2L]]) else
    if (term$columns == "(Intercept)") "1" else paste("0 +", term$columns)
  paste0(if (!is.null(term$kernel)) "kin", "(", lhs, " | ", term$group, ")")
}

# The criterion of the model with other random terms; of least squares without any.
fit_terms <- function(model, random, call) {
  p <- length(model$coefficients)
  if (length(random) == 0L) {
    theta <- numeric(length(model$theta))
    return(list(npar = p + 1, criterion = engine_criterion(model$engine, theta, model$REML)))
  }
  at <- terms_optimum(model, random, call)
  list(npar = p + length(at$opt$theta) + 1,
       criterion = engine_criterion(at$engine, at$opt$theta, model$REML))
}

terms_optimum <- function(model, random, call) {
  frame <- fit_frame(model)
  engine <- choose_engine(frame, model$fixed, random, call)
  list(engine = engine, opt = engine_optimise(engine, model$REML, model$control))
}
