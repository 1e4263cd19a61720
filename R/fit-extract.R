#' @importFrom nlme fixef
#' @export
nlme::fixef

#' @importFrom nlme ranef
#' @export
nlme::ranef

#' @importFrom nlme VarCorr
#' @export
nlme::VarCorr

#' Read a fitted model
#'
#' What the usual functions say of a model fitted by [lmmfit()].
#'
#' @param object,x,formula a model fitted by [lmmfit()] (`model.matrix()`,
#'   `model.frame()`), or what one of these functions returned (`as.data.frame()`,
#'   `print()`).
#' @param sigma not used.
#' @param condVar (`logical(1)`) add the conditional variances, given the data and the
#'   estimated parameters, as the attribute `postVar` of each data frame: an array of
#'   k x k x levels.
#' @param REML (`logical(1)`) REML criterion or likelihood; by default that of the fit.
#'   The likelihood of a REML fit is evaluated at its variance ratio.
#' @param type for `residuals()`: `"response"` (y - fitted) or `"pearson"` (times the
#'   square root of the weights); for `model.matrix()`: `"fixed"` or `"random"`.
#' @param scaled (`logical(1)`) divide the residuals by sigma.
#' @param fixed.only (`logical(1)`) leave the random terms out.
#' @param correlation (`logical(1)`) add the correlation matrix as an attribute.
#' @param digits significant digits.
#' @param comp which of `"Std.Dev."` and `"Variance"` to print.
#' @param row.names,optional as for [as.data.frame()].
#' @param ... further arguments of the generic, not used.
#'
#' @return
#' `fixef()`: named numeric, length p. `ranef()`: a list with one data frame per grouping
#' factor, levels x k, on the scale of the response (for a kernel: of the individuals with
#' records; [blup()] has all). `coef()`: the same shape, fixed plus random effects.
#' `VarCorr()`: a list of covariance matrices (k x k) with attributes `stddev` and
#' `correlation`, and `sc`, the residual standard deviation; as a data frame it has the
#' columns `grp`, `var1`, `var2`, `vcov`, `sdcor`. `vcov()`: p x p. `sigma()`,
#' `deviance()`, `nobs()`, `df.residual()`: one number. `ngrps()`: levels per grouping
#' factor. `logLik()`: the full log-likelihood with `df` and `nobs`. `fitted()`,
#' `residuals()`, `weights()`: numeric, length n. `model.matrix()`: n x p, or n x k q for
#' the random effects. `formula()`, `terms()`, `model.frame()`: as for [stats::lm()].
#' @examples
#' fit <- lmmfit(distance ~ age + (age | Subject), data = nlme::Orthodont)
#' fixef(fit)
#' VarCorr(fit)
#' as.data.frame(VarCorr(fit))
#' head(ranef(fit)$Subject)
#' @name lmmfit-methods
NULL

#' @rdname lmmfit-methods
#' @export
fixef.lmmfit <- function(object, ...) object$coefficients

#' @rdname lmmfit-methods
#' @export
ranef.lmmfit <- function(object, condVar = TRUE, ...) {
  group <- object$random[[1L]]$group
  levels <- levels(object$random[[1L]]$factor)
  modes <- lapply(names(object$random), function(label) {
    term_modes(object, label)[levels, , drop = FALSE]
  })
  out <- as.data.frame(do.call(cbind, modes), check.names = FALSE)
  if (check_flag(condVar)) attr(out, "postVar") <- group_variance(object, levels)
  structure(stats::setNames(list(out), group), class = "ranef.lmmfit")
}

# Conditional covariances of all effects of a level: k x k x levels.
group_variance <- function(object, levels) {
  variance <- fit_variances(object)$conditional
  if (is.null(names(variance))) return(variance)
  array(variance[levels], c(1L, 1L, length(levels)))
}

#' @rdname lmmfit-methods
#' @export
as.data.frame.ranef.lmmfit <- function(x, row.names = NULL, optional = FALSE, ...) {
  rows <- lapply(names(x), function(group) {
    modes <- x[[group]]
    variance <- attr(modes, "postVar")
    sd <- if (!is.null(variance)) {
      unlist(lapply(seq_along(modes), function(i) sqrt(variance[i, i, ])))
    }
    out <- data.frame(
      grpvar = group, term = factor(rep(names(modes), each = nrow(modes)), names(modes)),
      grp = factor(rep(rownames(modes), length(modes)), rownames(modes)),
      condval = unlist(modes, use.names = FALSE)
    )
    if (!is.null(sd)) out$condsd <- sd
    out
  })
  do.call(rbind, rows)
}

#' @rdname lmmfit-methods
#' @export
print.ranef.lmmfit <- function(x, ...) {
  for (group in names(x)) {
    cat("$", group, "\n", sep = "")
    print(data.frame(x[[group]], check.names = FALSE), ...)
    cat("\n")
  }
  if (!is.null(attr(x[[1L]], "postVar"))) {
    cat("with conditional variances in attribute \"postVar\"\n")
  }
  invisible(x)
}

#' @rdname lmmfit-methods
#' @export
coef.lmmfit <- function(object, ...) {
  effects <- ranef(object, condVar = FALSE)
  fixed <- fixef(object)
  out <- lapply(effects, function(modes) {
    all <- union(names(fixed), names(modes))
    table <- matrix(rep(fixed[all], each = nrow(modes)), nrow(modes),
                    dimnames = list(rownames(modes), all))
    table[is.na(table)] <- 0
    table[, names(modes)] <- table[, names(modes)] + as.matrix(modes)
    as.data.frame(table, check.names = FALSE)
  })
  structure(unclass(out), class = "coef.lmmfit")
}

#' @rdname lmmfit-methods
#' @export
print.coef.lmmfit <- function(x, ...) {
  print(unclass(x), ...)
  invisible(x)
}

#' @rdname lmmfit-methods
#' @export
VarCorr.lmmfit <- function(x, sigma = 1, ...) {
  out <- lapply(term_factors(x$random, x$theta), function(factor) {
    covariance <- x$sigma^2 * tcrossprod(factor)
    stddev <- sqrt(diag(covariance))
    names(stddev) <- rownames(covariance)
    correlation <- covariance / tcrossprod(stddev)
    diag(correlation) <- 1
    structure(covariance, stddev = stddev, correlation = correlation)
  })
  structure(out, sc = x$sigma, useSc = TRUE, class = "VarCorr.lmmfit")
}

#' @rdname lmmfit-methods
#' @export
as.data.frame.VarCorr.lmmfit <- function(x, row.names = NULL, optional = FALSE, ...) {
  rows <- lapply(names(x), function(group) {
    k <- nrow(x[[group]])
    names <- rownames(x[[group]])
    pairs <- which(lower.tri(diag(k)), arr.ind = TRUE)
    covariance <- x[[group]][pairs]
    data.frame(
      grp = group, var1 = c(names, names[pairs[, 2L]]),
      var2 = c(rep(NA_character_, k), names[pairs[, 1L]]),
      vcov = c(diag(x[[group]]), covariance),
      sdcor = c(attr(x[[group]], "stddev"), attr(x[[group]], "correlation")[pairs])
    )
  })
  sc <- attr(x, "sc")
  residual <- data.frame(grp = "Residual", var1 = NA_character_, var2 = NA_character_,
                         vcov = sc^2, sdcor = sc)
  out <- do.call(rbind, c(rows, list(residual)))
  rownames(out) <- row.names
  out
}

#' @rdname lmmfit-methods
#' @export
vcov.lmmfit <- function(object, correlation = FALSE, ...) {
  out <- object$vcov
  if (correlation) attr(out, "correlation") <- stats::cov2cor(out)
  out
}

#' @rdname lmmfit-methods
#' @export
sigma.lmmfit <- function(object, ...) object$sigma

#' @rdname lmmfit-methods
#' @export
logLik.lmmfit <- function(object, REML = object$REML, ...) {
  value <- -deviance(object, REML = REML) / 2
  structure(value, nobs = nobs(object), nall = nobs(object), df = n_parameters(object),
            class = "logLik")
}

n_parameters <- function(object) length(object$coefficients) + length(object$theta) + 1L

#' @rdname lmmfit-methods
#' @export
deviance.lmmfit <- function(object, REML = object$REML, ...) {
  if (identical(check_flag(REML), object$REML)) return(object$opt$criterion)
  engine_criterion(object$engine, object$theta, REML)
}

#' @rdname lmmfit-methods
#' @export
nobs.lmmfit <- function(object, ...) nrow(object$frame)

#' @rdname lmmfit-methods
#' @export
df.residual.lmmfit <- function(object, ...) nobs(object) - n_parameters(object)

#' @rdname lmmfit-methods
#' @export
ngrps <- function(object, ...) UseMethod("ngrps")

#' @rdname lmmfit-methods
#' @export
ngrps.lmmfit <- function(object, ...) {
  groups <- object$random[!duplicated(vapply(object$random, `[[`, "", "group"))]
  vapply(groups, function(term) nlevels(term$factor), integer(1))
}

# lme4 has a generic of the same name, whichever package was attached last
#' @rawNamespace S3method(lme4::ngrps, lmmfit)
NULL

#' @rdname lmmfit-methods
#' @export
fitted.lmmfit <- function(object, ...) {
  out <- drop(object$fixed$X %*% object$coefficients) + object$offset +
    random_part(object)
  stats::napredict(attr(object$frame, "na.action"),
                   stats::setNames(out, rownames(object$frame)))
}

# Z u over the rows of the frame.
random_part <- function(object) {
  parts <- lapply(names(object$random), function(label) {
    term <- object$random[[label]]
    modes <- term_modes(object, label)[levels(term$factor), , drop = FALSE]
    rowSums(term$Z * modes[as.integer(term$factor), , drop = FALSE])
  })
  Reduce(`+`, parts)
}

#' @rdname lmmfit-methods
#' @export
residuals.lmmfit <- function(object, type = c("response", "pearson"), scaled = FALSE, ...) {
  type <- check_choice(type, c("response", "pearson"))
  out <- object$y - drop(object$fixed$X %*% object$coefficients) - object$offset -
    random_part(object)
  if (type == "pearson") out <- out * sqrt(object$weights)
  if (check_flag(scaled)) out <- out / object$sigma
  stats::naresid(attr(object$frame, "na.action"),
                 stats::setNames(out, rownames(object$frame)))
}

#' @rdname lmmfit-methods
#' @export
weights.lmmfit <- function(object, ...) object$weights

#' @rdname lmmfit-methods
#' @export
model.matrix.lmmfit <- function(object, type = c("fixed", "random"), ...) {
  type <- check_choice(type, c("fixed", "random"))
  if (type == "fixed") return(object$fixed$X)
  blocks <- lapply(object$random, function(term) {
    q <- nlevels(term$factor)
    Z <- matrix(0, nrow(term$Z), q * ncol(term$Z))
    for (a in seq_len(ncol(term$Z))) {
      at <- (as.integer(term$factor) - 1L) * ncol(term$Z) + a
      Z[cbind(seq_len(nrow(Z)), at)] <- term$Z[, a]
    }
    colnames(Z) <- rep(levels(term$factor), each = ncol(term$Z))
    Z
  })
  do.call(cbind, unname(blocks))
}

#' @rdname lmmfit-methods
#' @export
model.frame.lmmfit <- function(formula, fixed.only = FALSE, ...) {
  if (!check_flag(fixed.only)) return(formula$frame)
  formula$frame[frame_columns(formula$fixed$terms, formula$frame)]
}

# Columns of the frame that are variables of `terms`.
frame_columns <- function(terms, frame) {
  wanted <- vapply(as.list(attr(terms, "variables"))[-1L], deparse1, character(1))
  intersect(wanted, names(frame))
}

#' @rdname lmmfit-methods
#' @export
formula.lmmfit <- function(x, fixed.only = FALSE, ...) {
  if (check_flag(fixed.only)) stats::formula(x$fixed$terms) else x$formula
}

#' @rdname lmmfit-methods
#' @export
terms.lmmfit <- function(x, fixed.only = TRUE, ...) {
  if (check_flag(fixed.only)) x$fixed$terms else attr(x$frame, "terms")
}

#' @rdname lmmfit-methods
#' @export
family.lmmfit <- function(object, ...) stats::gaussian()

#' Update and fit again
#'
#' @param object a model fitted by [lmmfit()].
#' @param formula. changes to the formula, as for [stats::update.formula()].
#' @param ... arguments of [lmmfit()] to change or to add; `NULL` removes one.
#' @param evaluate (`logical(1)`) fit, or return the call.
#' @return The new fit, or its call.
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' update(fit, . ~ . + Sex, REML = FALSE)
#' @export
update.lmmfit <- function(object, formula., ..., evaluate = TRUE) {
  call <- object$call
  call$formula <- object$formula
  if (!missing(formula.)) call$formula <- stats::update.formula(object$formula, formula.)
  extras <- match.call(expand.dots = FALSE)$...
  for (name in names(extras)) call[[name]] <- extras[[name]]
  if (!check_flag(evaluate)) return(call)
  # where the call is made, and what it does not have where the formula was made
  env <- parent.frame()
  known <- vapply(all.vars(call), exists, logical(1), envir = env)
  eval(call, if (all(known[setdiff(names(known), all.vars(call$formula))])) env else
    environment(object$formula))
}
