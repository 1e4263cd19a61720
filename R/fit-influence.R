#' Leverage and influence
#'
#' `hatvalues()`, `cooks.distance()`, `rstandard()` and `rstudent()` of a fit take its
#' variance parameters as known. `influence()` deletes each group, or each record, in turn
#' and fits again, variances included.
#'
#' The leverage of a record is the derivative of its fitted value, random effects
#' included, in its response: the diagonal of I - P, P = H^-1 - H^-1 X (X' H^-1 X)^-1 X'
#' H^-1 on the scale of the weights. Leverages sum to the effective number of
#' parameters.
#'
#' Cook's distance of a record is r^2 h / ((1 - h)^2 sigma^2 p) with r the Pearson
#' residual and h the leverage, as in 'lme4'; that of a deleted group, by its definition,
#' d' V^-1 d / p with d the change of the fixed effects and V their covariance ('lme4'
#' multiplies it by 1 - p / number of groups).
#'
#' @param model a model fitted by [lmmfit()], or, for `cooks.distance()`, `dfbeta()`
#'   and `dfbetas()`, what `influence()` returned.
#' @param groups (`character`) variables of the model frame or of `data` whose
#'   combinations are deleted one by one; by default the records are.
#' @param data (`data.frame`) where `groups` are that are not in the model frame: a row for
#'   each row of the model frame, or with its row names.
#' @param do.coef (`logical(1)`) fit again; `FALSE` returns the leverages alone.
#' @param which `"fixed"`: changes of the fixed effects; `"var.cov"`: of the variances and
#'   covariances of the random effects and of sigma^2.
#' @param ... not used; anything here is an error.
#' @return `hatvalues()`, `cooks.distance()` of a fit, `rstandard()` (Pearson residuals over
#'   sigma sqrt(1 - h)) and `rstudent()` (as 'lme4' defines it: sigma is not estimated
#'   anew): numeric, one value per record, padded by [stats::na.exclude()].
#'
#'   `influence()`: a list of class `influence.lmmfit` with the elements of 'lme4':
#'   `fixed.effects` (p) and `fixed.effects[-<groups>]` (deletions x p), `var.cov.comps`
#'   and `var.cov.comps[-<groups>]`, `vcov` (p x p) and a list `vcov[-<groups>]`, `groups`,
#'   `deleted`, `converged`, `function.evals`. Where the model can't be fitted without a
#'   group its values are `NA` and `converged` is `FALSE`.
#'
#'   `dfbeta()`: deletions x p (or x variance components), the estimate without the group
#'   minus that with it; `dfbetas()`: the same over the standard errors without the
#'   group; `cooks.distance()` of it: one value per deletion.
#' @references Demidenko E, Stukel TA (2005). Influence analysis for linear mixed-effects
#' models. Statistics in Medicine 24, 893-909. \doi{10.1002/sim.1974}
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' sum(hatvalues(fit))
#' without <- influence(fit, groups = "Subject")
#' sort(cooks.distance(without), decreasing = TRUE)[1:3]
#' head(dfbetas(without))
#' @name lmmfit-influence
NULL

#' @rdname lmmfit-influence
#' @importFrom stats hatvalues
#' @export
hatvalues.lmmfit <- function(model, ...) {
  rlang::check_dots_empty()
  hat <- stats::setNames(fit_leverage(model), rownames(model$frame))
  stats::naresid(attr(model$frame, "na.action"), hat)
}

#' @rdname lmmfit-influence
#' @importFrom stats cooks.distance
#' @export
cooks.distance.lmmfit <- function(model, ...) {
  rlang::check_dots_empty()
  cooks_at(model, hatvalues(model))
}

cooks_at <- function(model, hat) {
  scaled <- residuals(model, "pearson", scaled = TRUE) / (1 - hat)
  not_finite(scaled^2 * hat / length(model$coefficients))
}

#' @rdname lmmfit-influence
#' @importFrom stats rstandard
#' @export
rstandard.lmmfit <- function(model, ...) {
  rlang::check_dots_empty()
  residuals(model, "pearson", scaled = TRUE) / sqrt(1 - hatvalues(model))
}

#' @rdname lmmfit-influence
#' @importFrom stats rstudent
#' @export
rstudent.lmmfit <- function(model, ...) {
  rlang::check_dots_empty()
  r <- residuals(model, "pearson", scaled = TRUE)
  hat <- hatvalues(model)
  not_finite(sign(r) * sqrt(r^2 + hat * r^2 / (1 - hat)))
}

# A leverage of one leaves nothing to judge the record by.
not_finite <- function(x) replace(x, is.infinite(x), NaN)

# Leverages over the rows of the frame.
fit_leverage <- function(fit) {
  root <- sqrt(fit$weights)
  engine_row_variances(fit$engine, unname(fit$theta), fit$random, fit$fixed$X * root,
                       frame_rows(fit, all_columns(fit), root))
}

#' @rdname lmmfit-influence
#' @importFrom stats influence
#' @export
influence.lmmfit <- function(model, groups = NULL, data = NULL, do.coef = TRUE, ...) {
  rlang::check_dots_empty()
  call <- rlang::current_env()
  if (!check_flag(do.coef)) {
    return(structure(list(hat = hatvalues(model)), class = influence_classes))
  }
  by <- deletion_groups(model, groups, data, call)
  rows <- split(seq_along(by), by)
  without <- lapply(rows, function(out) subset_estimates(model, out))
  name <- if (is.null(groups)) "case" else paste(groups, collapse = ".")
  sub <- function(what) sprintf("%s[-%s]", what, name)
  gather <- function(what) do.call(rbind, lapply(without, `[[`, what))
  pick <- function(what) vapply(without, `[[`, without[[1L]][[what]], what)
  out <- list(model$coefficients, gather("fixed"), lmer_components(model),
              gather("variance"), model$vcov, lapply(without, `[[`, "vcov"), name,
              names(rows), pick("converged"), pick("evaluations"))
  names(out) <- c("fixed.effects", sub("fixed.effects"), "var.cov.comps",
                  sub("var.cov.comps"), "vcov", sub("vcov"), "groups", "deleted",
                  "converged", "function.evals")
  structure(out, class = influence_classes)
}

# The elements are those of lme4's class, for which others have methods.
influence_classes <- c("influence.lmmfit", "influence.merMod")

# A factor over the rows of the frame, its levels in the order of the data.
deletion_groups <- function(model, groups, data, call) {
  frame <- model$frame
  if (is.null(groups)) return(factor(rownames(frame), rownames(frame)))
  if (!is.null(data) && nrow(data) != nrow(frame)) data <- data[rownames(frame), ]
  values <- lapply(groups, function(name) {
    known <- Filter(function(term) term$group == name, model$random)
    if (length(known) > 0L) return(known[[1L]]$factor)
    value <- if (name %in% names(data)) data[[name]] else frame[[name]]
    if (is.null(value)) {
      abort_influence_group(name, names(frame), call)
    }
    value
  })
  by <- do.call(paste, c(lapply(values, as.character), sep = "."))
  factor(by, unique(by))
}

# Estimates without the rows `out`, from the fit's own data.
subset_estimates <- function(fit, out) {
  engine <- tryCatch(subset_engine(fit, -out), error = function(e) NULL)
  p <- length(fit$coefficients)
  variance <- lmer_components(fit)
  if (is.null(engine)) {
    return(list(fixed = fit$coefficients * NA, variance = variance * NA,
                vcov = fit$vcov * NA, converged = FALSE, evaluations = 0))
  }
  opt <- engine_optimise(engine, fit$REML, fit$control, unname(fit$theta))
  at <- engine_fixed(engine, opt$theta)
  sigma2 <- at$s / (engine$work$n - if (fit$REML) engine$work$p else 0)
  fit$theta <- stats::setNames(opt$theta, names(fit$theta))
  fit$sigma <- sqrt(sigma2)
  kept <- match(names(at$beta), names(fit$coefficients))
  vcov <- fit$vcov * NA
  vcov[kept, kept] <- sigma2 * at$unscaled
  list(fixed = replace(fit$coefficients * NA, kept, at$beta),
       variance = lmer_components(fit), vcov = vcov, converged = opt$converged,
       evaluations = opt$evaluations)
}

# The engine of some of the rows.
subset_engine <- function(fit, rows) {
  model <- subset_model(fit, rows)
  choose_engine(model$frame, model$fixed, model$random)
}

# The model of some of the rows; columns of X that become dependent are left out.
subset_model <- function(fit, rows) {
  X <- fit$fixed$X[rows, , drop = FALSE]
  decomposition <- qr(X, tol = 1e-7)
  kept <- sort(decomposition$pivot[seq_len(decomposition$rank)])
  fixed <- fit$fixed
  fixed$X <- X[, kept, drop = FALSE]
  frame <- list(frame = fit$frame[rows, , drop = FALSE], y = fit$y[rows],
                weights = fit$weights[rows], offset = fit$offset[rows])
  random <- lapply(fit$random, function(term) {
    term$factor <- droplevels(term$factor[rows])
    if (!is.null(term$Z)) term$Z <- term$Z[rows, , drop = FALSE]
    term
  })
  list(frame = frame, fixed = fixed, random = random)
}

# sigma^2, then by term the lower triangle of its covariance matrix, in lme4's names.
lmer_components <- function(fit) {
  factors <- term_factors(fit$random, fit$theta * fit$sigma)
  parts <- lapply(names(factors), function(label) {
    V <- tcrossprod(factors[[label]])
    at <- lower_pairs(nrow(V))
    columns <- rownames(V)
    names <- paste0("C[", columns[at$row], ",", columns[at$col], "]")
    own <- at$row == at$col
    names[own] <- paste0("v[", columns[at$row[own]], "]")
    if (length(factors) > 1L) names <- paste0(label, ":", names)
    stats::setNames(V[cbind(at$row, at$col)], names)
  })
  c(`sigma^2` = fit$sigma^2, unlist(parts))
}

#' @rdname lmmfit-influence
#' @importFrom stats dfbeta
#' @export
dfbeta.influence.lmmfit <- function(model, which = c("fixed", "var.cov"), ...) {
  rlang::check_dots_empty()
  which <- check_choice(which, c("fixed", "var.cov"))
  name <- if (which == "fixed") "fixed.effects" else "var.cov.comps"
  without <- model[[paste0(name, "[-", model$groups, "]")]]
  sweep(without, 2L, model[[name]])
}

#' @rdname lmmfit-influence
#' @importFrom stats dfbetas
#' @export
dfbetas.influence.lmmfit <- function(model, ...) {
  rlang::check_dots_empty()
  vcov <- model[[paste0("vcov[-", model$groups, "]")]]
  dfbeta(model) / do.call(rbind, lapply(vcov, function(V) sqrt(diag(V))))
}

#' @rdname lmmfit-influence
#' @export
cooks.distance.influence.lmmfit <- function(model, ...) {
  rlang::check_dots_empty()
  change <- dfbeta(model)
  if (ncol(change) == 0L) return(stats::setNames(rep(NaN, nrow(change)), rownames(change)))
  root <- chol(model$vcov)
  distance <- colSums(backsolve(root, t(change), transpose = TRUE)^2) / ncol(change)
  stats::setNames(distance, rownames(change))
}
