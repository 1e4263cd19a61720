# Variance components by any method, in one form: a list of class "variance_components",
#   method       its name, as the user asks for it
#   components   data frame: `component` (the label of the term, with its columns where
#                there are slopes; "Residual" comes last), `variance` (of covariances, the
#                covariance), `se` (NA where the method gives none or the estimate is on a
#                boundary), `bound` (whether it is held at zero)
#   vcov         covariance matrix of the estimates, or NULL
#   beta         estimates of the fixed effects, and beta_vcov, their covariance matrix
#   n            records used
#   assumptions  what the method takes for granted: sentences
#   notes        what the user must know of this result: sentences
#   seconds      elapsed time of the method itself
#   iterates     data frame, a row per iteration, for methods that show them
#   draws        data frame of a sampler's draws: `chain`, `iteration`, then parameters
#   formula, call
new_components <- function(method, component, variance, se = NA_real_, bound = FALSE,
                           vcov = NULL, beta, beta_vcov, n, assumptions,
                           notes = character(), iterates = NULL, draws = NULL) {
  components <- data.frame(component = component, variance = unname(variance),
                           se = unname(se), bound = bound)
  structure(list(method = method, components = components, vcov = vcov, beta = beta,
                 beta_vcov = beta_vcov, n = n, assumptions = assumptions, notes = notes,
                 iterates = iterates, draws = draws), class = "variance_components")
}

#' Variance components by any method
#'
#' Estimates the variances of random effects and residuals by the method asked for, from
#' the formula and data that [lmmfit()] takes, and returns them in the same form whatever
#' the method. [compare_components()] sets several methods side by side.
#'
#' @section Methods:
#' The model is y = X b + sum_c Z_c u_c + e with Var(y) = V = sum_c phi_c G_c +
#' phi_e W^-1, where G_c = Z_c K_c Z_c' (K_c = I without a relationship matrix), and for a
#' covariance of slopes the sum of both halves. With P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1:
#' \describe{
#'   \item{`"REML"`, `"ML"`}{by the engines of [lmmfit()]: any random terms. Standard errors
#'     from the `information`: `"observed"` (the curvature at the optimum), `"expected"` or
#'     `"average"`, the mean of the two, which GEMMA and GCTA use. On a boundary there are
#'     none for what is zero. Arguments `information`, `control` (see [lmm_control()]).}
#'   \item{`"EM-REML"`}{the same optimum by EM, iteration by iteration, for teaching: every
#'     step raises the likelihood, and the last ones ever more slowly. Any random terms.
#'     Arguments `max_iterations` (2000), `tolerance` (1e-8: what is left of the way,
#'     as the ratio of the last two steps predicts it, relative to the sum of the
#'     variances), `start` (variances in the order of the result; equal shares by default),
#'     `information`.}
#'   \item{`"ANOVA-III"`, or `"ANOVA"`}{Henderson's method III: reductions in sums of squares
#'     by one term after the other, beside the fixed effects, equated to their expectations.
#'     Any design, balanced or not, any fixed effects; terms of one column each, with or
#'     without relationship matrix. Argument `order`: names of the terms, by default as in
#'     the formula but for factors, which come before those nested in them.}
#'   \item{`"ANOVA-I"`}{Henderson's method I: sums of squares between the levels of each
#'     factor, unadjusted. I.i.d. intercepts, and no fixed effect but the mean, with which it
#'     would be biased. The same as III in balanced designs.}
#'   \item{`"MINQUE0"`, `"MINQUE1"`, `"MINQUE"`}{quadratic forms y'P G_c P y equated to their
#'     expectations, P at variances chosen before: none but the residual one, all equal, or
#'     those of the argument `prior` (0, 1 or components in the order of the result, on any
#'     scale). `iterations` of more than one take the estimates for the next prior; the limit
#'     is REML where that is inside. Any random terms, their covariances too.}
#'   \item{`"HE"`, `"HE-pairs"`, `"HE-SD"`}{Haseman-Elston regression of the products of
#'     least-squares residuals on what they expect. Covariates are projected from the
#'     relationship matrices too, so that estimates are unbiased. `"HE"` takes all products
#'     and the squares (it is MINQUE0, and `gemma -vc 1`), `"HE-pairs"` those of different
#'     records (GCTA's HE-CP, which centres the response but not the matrix), `"HE-SD"`
#'     squared differences (the original regression, of any pairs). Argument `se`:
#'     `"normal"`, 2 tr(Q V Q V) at the estimates; `"empirical"`, GEMMA's, with one V
#'     replaced by what was observed; `"jackknife"`, which leaves out one individual (level
#'     of the outermost grouping factor) at a time, as GCTA does, and takes them as
#'     independent: among close relatives it is far too small. So is what a program for
#'     regression prints, which takes pairs as independent. Matrices of the order of the
#'     records are formed, of at most 6,000; `"HE"` with normal standard errors does without.}
#'   \item{`"Bayes"`}{means of draws from the posterior, standard errors their standard
#'     deviations. Any random terms. Argument `control`: priors and chains, see
#'     [bayes_control()]; more can be done with the result, see [bayes_components].}
#' }
#' With weights all is computed from rows multiplied by their roots.
#'
#' All but (EM-)REML, ML and Bayes are unbiased without normality (MINQUE of one iteration) and
#' may be negative, which is reported as it is. Their fixed effects are those of generalised
#' least squares at the estimates, or at the nearest variances that may be.
#'
#' GEMMA's `-vc 1` estimates are those of `"HE"`. Its standard errors differ from
#' `se = "empirical"` in the order of p/n, as it takes the residual variance without degrees
#' of freedom there; that of the residual variance ignores that the
#' variance of the response is estimated too; and its `pve` divides by the variance of the
#' response, not by the sum of the estimates.
#'
#' @param formula (`formula`) as for [lmmfit()]; or a model fitted by it, which stands for
#'   formula and data.
#' @param data,kinship,weights,offset,subset,na.action,contrasts as for [lmmfit()].
#' @param method (`character(1)`) see the section on methods. The default is that of
#'   [lmmfit()].
#' @param ... arguments of the method, see there; any other is an error.
#' @return An object of class `variance_components`, a list with
#'   \item{method, formula, call}{what was asked}
#'   \item{components}{data frame: `component`, `variance` (or covariance), `se` (`NA` where
#'     there is none), `bound` (held at zero), `share` of the whole variance and its `share_se`
#'     (`NA` for slopes). With a relationship matrix the share is on the scale of the sample,
#'     see [heritability()].}
#'   \item{vcov}{covariance matrix of the estimates, or `NULL`}
#'   \item{beta, beta_vcov}{fixed effects}
#'   \item{n}{records used}
#'   \item{assumptions, notes}{sentences that `print()` shows}
#'   \item{seconds}{elapsed time of the method}
#'   \item{iterates}{data frame of EM-REML: `iteration`, `criterion` (-2 REML
#'     log-likelihood), components}
#'   \item{table, expected}{of ANOVA: sums of squares, and the coefficients of the components
#'     in the expected mean squares}
#'   `coef()` gives the components, `fixef()` the fixed effects, `vcov()` the covariance
#'   matrix of the components (`which = "fixed"`: of the fixed effects), `plot()` the iterates
#'   where there are any and else the estimates.
#'
#' Terms that a method can't estimate, as all those that no method can tell apart (two equal
#' relationship matrices), are errors that name them.
#'
#' @references
#' Henderson CR (1953). Estimation of variance and covariance components. Biometrics 9,
#' 226-252. \doi{10.2307/3001853}
#'
#' Searle SR, Casella G, McCulloch CE (1992). Variance Components. Wiley.
#' \doi{10.1002/9780470316856}
#'
#' Rao CR (1971). Estimation of variance and covariance components: MINQUE theory. Journal of
#' Multivariate Analysis 1, 257-275. \doi{10.1016/0047-259X(71)90001-7}
#'
#' Haseman JK, Elston RC (1972). The investigation of linkage between a quantitative trait
#' and a marker locus. Behavior Genetics 2, 3-19. \doi{10.1007/BF01066731}
#'
#' Zhou X (2017). A unified framework for variance component estimation with summary
#' statistics in genome-wide association studies. Annals of Applied Statistics 11,
#' 2027-2051. \doi{10.1214/17-AOAS1052}
#' @examples
#' # an unbalanced one-way classification
#' data <- subset(nlme::Rail, !(Rail == "2" & duplicated(Rail)))
#' variance_components(travel ~ 1 + (1 | Rail), data)
#' summary(variance_components(travel ~ 1 + (1 | Rail), data, method = "ANOVA"))
#' em <- variance_components(travel ~ 1 + (1 | Rail), data, method = "EM-REML")
#' plot(em)
#' @export
variance_components <- function(formula, data = NULL, method = "REML", kinship = NULL,
                                weights, offset, subset, na.action, contrasts = NULL, ...) {
  call <- match.call()
  here <- rlang::current_env()
  method <- check_method(method, here)
  settings <- list(...)
  check_settings(settings, method, here)
  if (missing(formula)) abort_argument("formula", "given", "missing", here)
  model <- components_model(formula, call, data, kinship, contrasts, parent.frame(), here)
  out <- run_method(model, method, settings, here)
  out$call <- call
  out
}

# What the methods are called, and the functions that do them: of the model, their own
# arguments, and `call`.
component_methods <- function() {
  list(REML = vc_reml, ML = vc_ml, `EM-REML` = vc_em, `ANOVA-I` = vc_anova1,
       `ANOVA-III` = vc_anova, MINQUE0 = vc_minque0, MINQUE1 = vc_minque1,
       MINQUE = vc_minque, HE = vc_he, `HE-pairs` = vc_he_pairs, `HE-SD` = vc_he_sd,
       Bayes = vc_bayes)
}

check_method <- function(method, call, arg = "method") {
  if (identical(method, "ANOVA")) return("ANOVA-III")
  known <- names(component_methods())
  if (!is.character(method) || length(method) != 1L || !method %in% known) {
    abort_method(method, known, arg, call)
  }
  method
}

check_settings <- function(settings, method, call) {
  known <- setdiff(names(formals(component_methods()[[method]])), c("model", "call"))
  given <- rlang::names2(settings)
  unknown <- given[!given %in% known]
  if (length(unknown) > 0L) abort_settings(unknown, known, method, call)
  twice <- given[duplicated(given)]
  if (length(twice) > 0L) abort_argument(twice[[1L]], "given once", "given twice", call)
}

# The model of a formula or a fit, with its engine and the seconds that took.
components_model <- function(formula, mf_call, data, kinship, contrasts, env, call) {
  if (inherits(formula, "lmmfit")) {
    given <- intersect(names(mf_call), c("data", "kinship", "weights", "offset", "subset",
                                         "na.action", "contrasts"))
    if (length(given) > 0L) abort_fit_arguments(given, call)
    return(fit_model(formula))
  }
  model <- read_model(as_formula(formula, call), mf_call, data, kinship, contrasts, env, call)
  if (!is.null(model$frame$responses)) abort_one_response(call)
  model$random <- label_terms(model$random)
  started <- proc.time()[["elapsed"]]
  model$engine <- choose_engine(model$frame, model$fixed, model$random, call)
  model$engine_seconds <- proc.time()[["elapsed"]] - started
  model
}

# What read_model() gives, from a fit.
fit_model <- function(fit) {
  frame <- fit[c("frame", "y", "weights", "offset", "variables")]
  list(formula = fit$formula, frame = frame, fixed = fit$fixed, random = fit$random,
       engine = fit$engine, engine_seconds = 0, fit = fit)
}

run_method <- function(model, method, settings, call) {
  started <- proc.time()[["elapsed"]]
  out <- do.call(component_methods()[[method]], c(list(model), settings, list(call = call)))
  seconds <- proc.time()[["elapsed"]] - started
  uses_engine <- method %in% c("REML", "ML", "EM-REML", "MINQUE0", "MINQUE1", "MINQUE",
                              "Bayes")
  if (is.null(out$seconds)) out$seconds <- seconds + uses_engine * model$engine_seconds
  if (is.null(out$beta)) out <- with_fixed_effects(out, model)
  out$formula <- model$formula
  out$kernels <- kernel_texts(model$random)
  with_shares(out, model$random)
}

# By the labels of terms with a relationship matrix what it is called.
kernel_texts <- function(random) {
  has <- Filter(function(term) !is.null(term$kernel), random)
  vapply(has, function(term) {
    if (is.null(term$kernel_text)) "given by `kinship`" else term$kernel_text
  }, "")
}

# Fixed effects by generalised least squares.
with_fixed_effects <- function(out, model) {
  phi <- out$components$variance
  theta <- ratio_theta(model$random, feasible_ratios(model$random, phi))
  at <- engine_fixed(model$engine, theta)
  residual <- max(phi[[length(phi)]], 1e-6 * sum(abs(phi)))
  out$beta <- at$beta
  out$beta_vcov <- residual * at$unscaled
  out
}

# Of estimates that are moments: whatever their signs.
moments_result <- function(model, method, phi, vcov, assumptions) {
  names <- component_names(model$random)
  phi <- without_noise(phi, names(model$random), names)
  variances <- c(theta_diagonal(model$random), TRUE)
  negative <- names[variances & phi < 0]
  notes <- c(
    if (length(negative) > 0L) {
      paste0("Negative: ", toString(negative), ". Such an estimate is a variance that is",
             " small or zero, or a model that does not hold; fixed effects and their",
             " standard errors are those of the nearest variances that may be.")
    },
    if (is.null(vcov)) {
      paste0("No standard errors: their matrices would be larger than ",
             count(minque_limit), " x ", count(minque_limit), ".")
    }
  )
  se <- if (is.null(vcov)) NA_real_ else sqrt(pmax(diag(vcov), 0))
  if (!is.null(vcov)) dimnames(vcov) <- list(names, names)
  new_components(method, names, phi, se, vcov = vcov, beta = NULL, beta_vcov = NULL,
                 n = length(model$frame$y), assumptions = assumptions, notes = notes)
}

# Rounding error of what is zero is not to be called negative. Components of slopes are on
# scales of their own.
without_noise <- function(phi, labels, names) {
  alike <- names %in% c(labels, "Residual")
  replace(phi, alike & abs(phi) < 1e-13 * sum(abs(phi[alike])), 0)
}

# The label of each term, with its columns where it has slopes, and "Residual".
component_names <- function(random) {
  c(unlist(lapply(names(random), function(label) {
    if (identical(random[[label]]$columns, "(Intercept)")) return(label)
    theta_names(random[label])
  })), "Residual")
}

# The share of each component in the whole, on the scale of the sample, and its standard
# error by the delta method; NA for slopes, whose part depends on the covariate.
with_shares <- function(out, random) {
  table <- out$components
  table$share <- table$share_se <- NA_real_
  out$components <- table[c("component", "variance", "se", "bound", "share", "share_se")]
  plain <- vapply(random, function(term) identical(term$columns, "(Intercept)"), NA)
  if (!all(plain)) return(out)
  if (!is.null(out$draws)) {
    drawn <- as.matrix(out$draws[paste0("share.", names(random))])
    drawn <- cbind(drawn, 1 - rowSums(drawn))
    out$components$share <- unname(colMeans(drawn))
    out$components$share_se <- unname(apply(drawn, 2L, stats::sd))
    return(out)
  }
  k <- c(vapply(random, mean_diagonal, 0), 1)
  parts <- k * table$variance
  total <- sum(parts)
  out$components$share <- parts / total
  if (!is.null(out$vcov) && !any(is.na(out$vcov))) {
    slope <- (diag(k, length(k)) - outer(parts / total, k)) / total
    se <- sqrt(pmax(rowSums((slope %*% out$vcov) * slope), 0))
    # on a boundary it would be that of the others alone
    out$components$share_se <- if (any(table$bound)) NA_real_ else se
  }
  out
}
