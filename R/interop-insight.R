#' What the packages 'insight' and 'performance' read in a fit
#'
#' Methods for the generics of 'insight', on which 'performance', 'parameters' and others
#' build. Most of its functions follow from `find_formula()`; these are the others that its
#' defaults can't answer for a mixed model.
#'
#' @param x,model a model fitted by [lmmfit()].
#' @param effects `"all"`, `"fixed"` or `"random"`.
#' @param flatten (`logical(1)`) a vector instead of a list.
#' @param component (`character(1)`) of `get_variance()`: one of the components below
#'   without its `var.`, or `"all"`.
#' @param type `"residual"` (n less the number of parameters) or `"normal"`; other types are
#'   an error.
#' @param tolerance (`numeric(1)`) the largest absolute gradient of a converged fit.
#' @param verbose not used.
#' @param ... passed on by 'insight'.
#' @return What the generics of 'insight' return for fits of 'lme4'. `get_variance()`: a list
#'   of `var.fixed` (of the fitted values without random effects), `var.random` (the mean
#'   over the records of z' Psi z, times K_ii with a relationship matrix), `var.residual`
#'   and `var.distribution` (both sigma^2), `var.dispersion` (0), `var.intercept` and
#'   `var.slope` (by term), and `cor.slope_intercept`. `r2()` is [performance::r2_nakagawa()];
#'   `is_converged()` whether the fit converged, with the attribute `gradient`.
#' @references Nakagawa S, Johnson PCD, Schielzeth H (2017). The coefficient of determination
#' R2 and intra-class correlation coefficient from generalized linear mixed-effects models
#' revisited and expanded. J. R. Soc. Interface 14, 20170213. \doi{10.1098/rsif.2017.0213}
#' @examples
#' if (requireNamespace("insight", quietly = TRUE)) {
#'   fit <- lmmfit(distance ~ age + (age | Subject), data = nlme::Orthodont)
#'   insight::find_formula(fit)
#'   insight::get_variance(fit)$var.random
#' }
#' @name lmmfit-insight
NULL

#' @rawNamespace
#' S3method(insight::find_formula, lmmfit)
#' S3method(insight::find_parameters, lmmfit)
#' S3method(insight::get_parameters, lmmfit)
#' S3method(insight::find_statistic, lmmfit)
#' S3method(insight::get_statistic, lmmfit)
#' S3method(insight::get_df, lmmfit)
#' S3method(insight::get_loglikelihood, lmmfit)
#' S3method(insight::get_variance, lmmfit)
#' S3method(insight::find_algorithm, lmmfit)
#' S3method(insight::n_parameters, lmmfit)
#' S3method(insight::is_converged, lmmfit)
#' S3method(performance::r2, lmmfit)
NULL

#' @rdname lmmfit-insight
#' @method find_formula lmmfit
find_formula.lmmfit <- function(x, verbose = TRUE, ...) {
  bars <- unique(paste("~", term_expressions(x)))
  random <- lapply(bars, stats::as.formula, env = environment(x$formula))
  if (length(random) == 1L) random <- random[[1L]]
  fixed <- stats::formula(x$fixed$terms)
  structure(list(conditional = fixed, random = random),
            class = c("insight_formula", "list"))
}

#' @rdname lmmfit-insight
#' @method find_parameters lmmfit
find_parameters.lmmfit <- function(x, effects = c("all", "fixed", "random"),
                                   flatten = FALSE, ...) {
  effects <- check_choice(effects, c("all", "fixed", "random"))
  out <- list(conditional = names(x$coefficients),
              random = lapply(ranef(x, condVar = FALSE), names))
  if (effects != "all") {
    out <- out[if (effects == "fixed") "conditional" else "random"]
  }
  if (check_flag(flatten)) unique(unlist(out, use.names = FALSE)) else out
}

#' @rdname lmmfit-insight
#' @method get_parameters lmmfit
get_parameters.lmmfit <- function(x, effects = c("fixed", "random"), ...) {
  if (check_choice(effects, c("fixed", "random")) == "random") {
    return(lapply(ranef(x, condVar = FALSE), identity))
  }
  data.frame(Parameter = names(x$coefficients), Estimate = unname(x$coefficients))
}

#' @rdname lmmfit-insight
#' @method find_statistic lmmfit
find_statistic.lmmfit <- function(x, ...) "t-statistic"

#' @rdname lmmfit-insight
#' @method get_statistic lmmfit
get_statistic.lmmfit <- function(x, ...) {
  t <- x$coefficients / sqrt(diag(x$vcov))
  structure(data.frame(Parameter = names(t), Statistic = unname(t)),
            statistic = "t-statistic")
}

#' @rdname lmmfit-insight
#' @method get_df lmmfit
get_df.lmmfit <- function(x, type = c("residual", "normal"), ...) {
  if (check_choice(type, c("residual", "normal")) == "normal") Inf else df.residual(x)
}

#' @rdname lmmfit-insight
#' @method get_loglikelihood lmmfit
get_loglikelihood.lmmfit <- function(x, ...) logLik(x)

#' @rdname lmmfit-insight
#' @method find_algorithm lmmfit
find_algorithm.lmmfit <- function(x, ...) {
  list(algorithm = if (x$REML) "REML" else "ML", optimizer = x$engine$name)
}

#' @rdname lmmfit-insight
#' @method n_parameters lmmfit
n_parameters.lmmfit <- function(x, ...) length(x$coefficients)

#' @rdname lmmfit-insight
#' @method get_variance lmmfit
get_variance.lmmfit <- function(x, component = "all", ...) {
  known <- c("fixed", "random", "residual", "distribution", "dispersion", "intercept",
             "slope", "rho01")
  component <- check_choice(component, c("all", known))
  covariances <- lapply(term_factors(x$random, x$theta * x$sigma), tcrossprod)
  own <- unlist(lapply(covariances, diag))
  names(own) <- paste0(rep(names(covariances), lengths(lapply(covariances, diag))), ".",
                       unlist(lapply(covariances, rownames)))
  intercept <- grepl("\\.\\(Intercept\\)$", names(own))
  bare <- stats::setNames(own, sub("\\.\\(Intercept\\)$", "", names(own)))
  out <- list(
    var.fixed = stats::var(drop(x$fixed$X %*% x$coefficients)),
    var.random = sum(unlist(Map(mean_variance, x$random, covariances))),
    var.residual = x$sigma^2, var.distribution = x$sigma^2, var.dispersion = 0,
    var.intercept = bare[intercept], var.slope = own[!intercept],
    cor.slope_intercept = unlist(lapply(covariances, slope_correlations))
  )
  if (component == "all") return(out[lengths(out) > 0L])
  out[[match(component, known)]]
}

# The default would correlate the response with the fitted values.
#' @rdname lmmfit-insight
#' @method r2 lmmfit
r2.lmmfit <- function(model, ...) performance::r2_nakagawa(model, ...)

#' @rdname lmmfit-insight
#' @method is_converged lmmfit
is_converged.lmmfit <- function(x, tolerance = 0.001, ...) {
  free <- if (x$opt$singular) x$theta > 0 | !theta_diagonal(x$random) else TRUE
  gradient <- max(0, abs(x$opt$gradient[free]))
  structure(x$opt$converged && gradient <= tolerance, gradient = gradient)
}

# Mean over the records of the variance that a term gives them.
mean_variance <- function(term, covariance) {
  Z <- term_design(term)
  variance <- rowSums((Z %*% covariance) * Z)
  if (!is.null(term$kernel)) {
    own <- stats::setNames(kernel_diagonal(term$kernel, nrow(term$kernel)),
                           rownames(term$kernel))
    variance <- variance * own[as.character(term$factor)]
  }
  mean(variance)
}

slope_correlations <- function(covariance) {
  if (nrow(covariance) < 2L || rownames(covariance)[[1L]] != "(Intercept)") return(NULL)
  unname(covariance[1L, -1L] / sqrt(covariance[1L, 1L] * diag(covariance)[-1L]))
}
