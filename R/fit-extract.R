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
#' @param fit a model fitted by [lmmfit()].
#' @param scale not used.
#' @param k (`numeric(1)`) penalty per parameter.
#' @param sigma (`numeric(1)`) residual standard deviation to multiply the relative
#'   covariances with; by default that of the fit.
#' @param condVar (`logical(1)`) add the conditional variances, given the data and the
#'   estimated parameters, as the attribute `postVar` of each data frame: an array of
#'   k x k x levels.
#' @param drop (`logical(1)`) vectors instead of data frames of one column.
#' @param whichel (`character`) names of the elements of `ranef()` to return; all by
#'   default.
#' @param REML (`logical(1)`) REML criterion or likelihood; by default that of the fit.
#'   The likelihood of a REML fit is evaluated at its variance ratio.
#' @param type for `residuals()`: `"response"` (y - fitted; `"working"` is the same) or
#'   `"pearson"` (times the square root of the weights; `"deviance"` is the same); for
#'   `model.matrix()`: `"fixed"` or `"random"`.
#' @param scaled (`logical(1)`) divide the residuals by sigma.
#' @param fixed.only (`logical(1)`) leave the random terms out.
#' @param correlation (`logical(1)`) add the correlation matrix as an attribute.
#' @param digits significant digits.
#' @param comp which of `"Std.Dev."` and `"Variance"` to print.
#' @param row.names,optional as for [as.data.frame()].
#' @param order of the rows of a term: `"cov.last"`, or `"lower.tri"`, column by column.
#' @param ... further arguments of the generic, not used: mostly an error.
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
#' `residuals()`, `weights()`: numeric, length n, or with [stats::na.exclude()] that of the
#' data. `extractAIC()`: degrees of freedom and AIC of the fit by ML. `model.matrix()`:
#' n x p, or n x k q for the random effects (an error above 1e8 elements). `formula()`,
#' `terms()`, `model.frame()`: as for [stats::lm()].
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
fixef.lmmfit <- function(object, ...) {
  rlang::check_dots_empty()
  object$coefficients
}

#' @rdname lmmfit-methods
#' @export
ranef.lmmfit <- function(object, condVar = TRUE, drop = FALSE, whichel = NULL, ...) {
  rlang::check_dots_empty()
  check_flag(condVar)
  check_flag(drop)
  blocks <- fit_blocks(object)
  wanted <- wanted_blocks(whichel, names(blocks), rlang::current_env())
  variances <- if (condVar) fit_variances(object)
  out <- lapply(stats::setNames(nm = wanted), function(block) {
    levels <- levels(object$random[[block]]$factor)
    modes <- lapply(blocks[[block]], function(label) level_modes(object, label))
    modes <- as.data.frame(do.call(cbind, modes), check.names = FALSE)
    at <- match(levels, rownames(term_modes(object, block)))
    variance <- variances[[block]]$conditional[, , at, drop = FALSE]
    if (drop && ncol(modes) == 1L) {
      modes <- stats::setNames(modes[[1L]], rownames(modes))
      variance <- as.vector(variance)
    }
    if (condVar) attr(modes, "postVar") <- variance
    modes
  })
  structure(out, class = "ranef.lmmfit")
}

wanted_blocks <- function(whichel, blocks, call) {
  if (is.null(whichel)) return(blocks)
  unknown <- setdiff(whichel, blocks)
  if (!is.character(whichel) || length(unknown) > 0L) {
    abort_argument("whichel", paste0("some of ", some_of(blocks)), describe(whichel), call)
  }
  blocks[blocks %in% whichel]
}

#' @rdname lmmfit-methods
#' @export
as.data.frame.ranef.lmmfit <- function(x, row.names = NULL, optional = FALSE, ...) {
  rows <- lapply(names(x), function(group) {
    modes <- x[[group]]
    variance <- attr(modes, "postVar")
    if (!is.data.frame(modes)) {
      variance <- array(variance, c(1L, 1L, length(modes)))
      modes <- data.frame(`(Intercept)` = c(modes), row.names = names(modes),
                          check.names = FALSE)
    }
    sd <- if (length(variance) > 0L) {
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
VarCorr.lmmfit <- function(x, sigma = x$sigma, ...) {
  rlang::check_dots_empty()
  sigma <- check_number(sigma, 0)
  out <- lapply(term_factors(x$random, x$theta), function(factor) {
    covariance <- sigma^2 * tcrossprod(factor)
    stddev <- sqrt(diag(covariance))
    names(stddev) <- rownames(covariance)
    correlation <- covariance / tcrossprod(stddev)
    diag(correlation) <- 1
    structure(covariance, stddev = stddev, correlation = correlation)
  })
  structure(out, sc = sigma, useSc = TRUE, class = "VarCorr.lmmfit")
}

#' @rdname lmmfit-methods
#' @export
as.data.frame.VarCorr.lmmfit <- function(x, row.names = NULL, optional = FALSE,
                                         order = c("cov.last", "lower.tri"), ...) {
  rlang::check_dots_empty()
  order <- check_choice(order, c("cov.last", "lower.tri"))
  rows <- lapply(names(x), function(group) {
    names <- rownames(x[[group]])
    at <- lower_pairs(length(names))
    own <- at$row == at$col
    sdcor <- attr(x[[group]], "correlation")[cbind(at$row, at$col)]
    sdcor[own] <- attr(x[[group]], "stddev")
    out <- data.frame(
      grp = group, var1 = names[at$col], var2 = replace(names[at$row], own, NA),
      vcov = x[[group]][cbind(at$row, at$col)], sdcor = sdcor
    )
    if (order == "cov.last") out[order(!own), ] else out
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
  rlang::check_dots_empty()
  value <- -deviance(object, REML = REML) / 2
  structure(value, nobs = nobs(object), nall = nobs(object), df = count_parameters(object),
            class = "logLik")
}

count_parameters <- function(object) length(object$coefficients) + length(object$theta) + 1L

#' @rdname lmmfit-methods
#' @export
deviance.lmmfit <- function(object, REML = object$REML, ...) {
  rlang::check_dots_empty()
  if (identical(check_flag(REML), object$REML)) return(object$opt$criterion)
  engine_criterion(object$engine, object$theta, REML)
}

# of the likelihood that anova() compares, as for lme4's fits
#' @rdname lmmfit-methods
#' @export
extractAIC.lmmfit <- function(fit, scale = 0, k = 2, ...) {
  fit <- refit_ml(fit)
  df <- count_parameters(fit)
  c(df, deviance(fit) + k * df)
}

#' @rdname lmmfit-methods
#' @export
nobs.lmmfit <- function(object, ...) nrow(object$frame)

#' @rdname lmmfit-methods
#' @export
df.residual.lmmfit <- function(object, ...) nobs(object) - count_parameters(object)

#' @rdname lmmfit-methods
#' @export
ngrps <- function(object, ...) UseMethod("ngrps")

#' @rdname lmmfit-methods
#' @export
ngrps.lmmfit <- function(object, ...) {
  rlang::check_dots_empty()
  groups <- object$random[!duplicated(term_groups(object$random))]
  vapply(groups, function(term) nlevels(term$factor), integer(1))
}

#' @export
ngrps.default <- function(object, ...) hand_over("ngrps", object, ...)

#' @rdname lmmfit-methods
#' @export
fitted.lmmfit <- function(object, ...) {
  rlang::check_dots_empty()
  out <- linear_predictor(object, all_columns(object))
  stats::napredict(attr(object$frame, "na.action"), out)
}

# X b + offset + Z u over the rows of the frame, with the columns of each term's Z that
# `columns` names.
linear_predictor <- function(object, columns) {
  parts <- lapply(names(columns), function(label) {
    term <- object$random[[label]]
    modes <- level_modes(object, label)
    effects <- term_design(term) * modes[as.integer(term$factor), , drop = FALSE]
    rowSums(effects[, columns[[label]], drop = FALSE])
  })
  out <- drop(object$fixed$X %*% object$coefficients) + object$offset + Reduce(`+`, parts)
  stats::setNames(out, rownames(object$frame))
}

# Places of all columns of Z, term by term.
all_columns <- function(object) {
  lapply(object$random, function(term) seq_along(term$columns))
}

#' @rdname lmmfit-methods
#' @export
residuals.lmmfit <- function(object,
                             type = c("response", "pearson", "working", "deviance"),
                             scaled = FALSE, ...) {
  rlang::check_dots_empty()
  type <- check_choice(type, c("response", "pearson", "working", "deviance"))
  out <- object$y - linear_predictor(object, all_columns(object))
  if (type %in% c("pearson", "deviance")) out <- out * sqrt(object$weights)
  if (check_flag(scaled)) out <- out / object$sigma
  stats::naresid(attr(object$frame, "na.action"), out)
}

#' @rdname lmmfit-methods
#' @export
weights.lmmfit <- function(object, ...) {
  stats::naresid(attr(object$frame, "na.action"), object$weights)
}

#' @rdname lmmfit-methods
#' @export
model.matrix.lmmfit <- function(object, type = c("fixed", "random"), ...) {
  type <- check_choice(type, c("fixed", "random"))
  if (type == "fixed") {
    return(structure(object$fixed$X, assign = object$fixed$assign,
                     contrasts = object$fixed$contrasts))
  }
  widths <- vapply(object$random, function(term) {
    as.numeric(nlevels(term$factor)) * length(term$columns)
  }, numeric(1))
  if (nobs(object) * sum(widths) > 1e8) {
    abort_dense(nobs(object), sum(widths), rlang::current_env())
  }
  blocks <- lapply(object$random, function(term) {
    design <- term_design(term)
    k <- ncol(design)
    Z <- matrix(0, nrow(design), nlevels(term$factor) * k)
    for (a in seq_len(k)) {
      Z[cbind(seq_len(nrow(Z)), (as.integer(term$factor) - 1L) * k + a)] <- design[, a]
    }
    colnames(Z) <- rep(levels(term$factor), each = k)
    Z
  })
  do.call(cbind, unname(blocks))
}

#' @rdname lmmfit-methods
#' @export
model.frame.lmmfit <- function(formula, fixed.only = FALSE, ...) {
  if (!check_flag(fixed.only)) return(formula$frame)
  formula$frame[intersect(variable_names(formula$fixed$terms), names(formula$frame))]
}

#' @rdname lmmfit-methods
#' @export
formula.lmmfit <- function(x, fixed.only = FALSE, ...) {
  if (check_flag(fixed.only)) stats::formula(x$fixed$terms) else mixed_formula(x)
}

#' @rdname lmmfit-methods
#' @export
terms.lmmfit <- function(x, fixed.only = TRUE, ...) {
  if (!check_flag(fixed.only)) return(attr(x$frame, "terms"))
  structure(x$fixed$terms, mixed = x$formula)
}

# stats::step() puts terms(object) in the place of the formula.
mixed_formula <- function(x) {
  mixed <- attr(x$formula, "mixed")
  if (is.null(mixed)) x$formula else mixed
}

#' @rdname lmmfit-methods
#' @export
family.lmmfit <- function(object, ...) stats::gaussian()

#' Update and fit again
#'
#' @param object a model fitted by [lmmfit()].
#' @param formula. changes to the formula, as for [stats::update.formula()].
#' @param ... arguments of [lmmfit()] to change or to add; `NULL` removes one. They are
#'   evaluated where `update()` is called, the other arguments where the formula of the
#'   fit was made.
#' @param evaluate (`logical(1)`) fit, or return the call.
#' @return The new fit, or its call.
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' update(fit, . ~ . + Sex, REML = FALSE)
#' @export
update.lmmfit <- function(object, formula., ..., evaluate = TRUE) {
  call <- object$call
  formula <- mixed_formula(object)
  call$formula <- if (missing(formula.)) formula else
    stats::update.formula(formula, formula.)
  extras <- match.call(expand.dots = FALSE)$...
  for (name in names(extras)) call[[name]] <- extras[[name]]
  if (!check_flag(evaluate)) return(call)
  fit <- eval(updated_call(call, names(extras), environment(formula),
                           parent.frame(), rlang::current_env()),
              list(lmmfit = lmmfit), parent.frame())
  fit$call <- call
  fit
}

# The call with values for its arguments: of the fit's own arguments where the formula was
# made, of `new` ones where update() was called. lmmfit() finds the fit's own weights,
# offset and subset itself, as it did before.
updated_call <- function(call, new, made, caller, here) {
  value <- function(name, data) {
    envs <- if (name %in% new) list(caller, made) else list(made, caller)
    wanted <- function(value) !is.function(value) || name == "na.action"
    found <- eval_first(call[[name]], data, envs, wanted)
    if (is.null(found$error)) return(found$value)
    abort_update(name, conditionMessage(found$error), here)
  }
  out <- call
  out[[1L]] <- quote(lmmfit)
  in_data <- c("weights", "offset", "subset")
  for (name in setdiff(names(call)[-1L], c("formula", in_data))) {
    out[name] <- list(value(name, NULL))
  }
  for (name in intersect(in_data, new)) out[name] <- list(value(name, out$data))
  out
}
