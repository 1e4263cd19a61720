# The fit object: an S3 list, see the value of lmmfit().

# model: see read_model().
new_lmmfit <- function(call, model, REML, engine, opt, control) {
  frame <- model$frame
  out <- list(
    call = call, formula = model$formula, REML = REML, frame = frame$frame, y = frame$y,
    weights = frame$weights, offset = frame$offset, variables = frame$variables,
    fixed = model$fixed, random = label_terms(without_spectra(model$random)),
    engine = engine,
    control = control, dropped = model$fixed$dropped
  )
  at_optimum(structure(out, class = "lmmfit"), opt, REML)
}

# The engine has what it needs of a given spectrum, and a fit is saved often.
without_spectra <- function(random) {
  lapply(random, function(term) {
    if (!is.null(attr(term$kernel, "spectrum"))) attr(term$kernel, "spectrum") <- NULL
    term
  })
}

# The parts of a fit that depend on the criterion, at its optimum.
at_optimum <- function(fit, opt, REML) {
  engine <- fit$engine
  known <- opt$known
  opt$known <- NULL
  at <- engine_fixed(engine, opt$theta, known$moments)
  dof <- engine$work$n - if (REML) engine$work$p else 0
  fit$REML <- REML
  fit$theta <- stats::setNames(opt$theta, theta_names(fit$random))
  fit$sigma <- sqrt(at$s / dof)
  fit$coefficients <- at$beta
  fit$vcov <- fit$sigma^2 * at$unscaled
  opt$criterion <- engine_criterion(engine, opt$theta, REML, at)
  fit$opt <- opt
  fit$modes <- engine_modes(engine, opt$theta, fit$random, known$effects)
  fit
}

# The same model by maximum likelihood, from what the fit holds; with a kernel and an
# intercept by that of without_intercept().
refit_ml <- function(fit) {
  kernel <- fit$engine$name == "rotated" ||
    (fit$engine$name == "sparse" && length(fit$random) == 1L)
  if (kernel) fit$engine <- without_intercept(fit$engine)
  if (!fit$REML && !kernel) return(fit)
  at_optimum(fit, engine_optimise(fit$engine, FALSE, fit$control, fit$theta), FALSE)
}

# Several terms on one factor are told apart as lme4 does: Subject, Subject.1, ... A factor
# called Residual is not to be taken for the residuals.
label_terms <- function(random) {
  groups <- term_groups(random)
  names(random) <- make.unique(c("Residual", groups))[-1L]
  random
}

# group.column, and group.column2.column1 for what is below the diagonal.
theta_names <- function(random) {
  unlist(lapply(names(random), function(label) {
    at <- lower_pairs(length(random[[label]]$columns))
    columns <- random[[label]]$columns
    names_of <- paste0(columns[at$row], ".", columns[at$col])
    names_of[at$row == at$col] <- columns[at$row[at$row == at$col]]
    paste0(label, ".", names_of)
  }))
}

# Which elements of theta are on the diagonal of their factor.
theta_diagonal <- function(random) {
  pack_identities(term_widths(random)) == 1
}

# The factor T of each term, relative to sigma.
term_factors <- function(random, theta) {
  Map(function(term, mine) {
    size <- length(term$columns)
    factor <- matrix(0, size, size, dimnames = list(term$columns, term$columns))
    factor[lower.tri(factor, diag = TRUE)] <- mine
    factor
  }, random, split_theta(random, theta))
}

# Of each random term: the name of its grouping factor, and its number of columns.
term_groups <- function(random) vapply(random, `[[`, character(1), "group")
term_widths <- function(random) lengths(lapply(random, `[[`, "columns"))

# What belongs to each term of a vector in the order of theta.
split_theta <- function(random, theta) {
  split_packed(theta, term_widths(random))
}

# The blocks: labels of the terms whose effects belong together, all i.i.d. terms of a
# grouping factor, or one term with a kernel. Named by the first of them.
random_blocks <- function(random) {
  key <- vapply(names(random), function(label) {
    if (is.null(random[[label]]$kernel)) paste("group", random[[label]]$group) else
      paste("kernel", label)
  }, character(1))
  blocks <- unname(split(names(random), factor(key, unique(key))))
  stats::setNames(blocks, vapply(blocks, `[[`, character(1), 1L))
}

fit_blocks <- function(fit) random_blocks(fit$random)

# Predicted effects of one term: levels (with a kernel, all ids) x k.
term_modes <- function(fit, label) fit$modes[[label]]

# Those of the levels in the data, in their order. By place: an empty name finds nothing.
level_modes <- function(fit, label) {
  modes <- term_modes(fit, label)
  modes[match(levels(fit$random[[label]]$factor), rownames(modes)), , drop = FALSE]
}

# Variances of the effects by block, see engine_variances().
fit_variances <- function(fit) {
  engine_variances(fit$engine, unname(fit$theta), fit$sigma, fit$random)
}

# The data of a fit in the form of model_frame().
fit_frame <- function(fit) fit[c("frame", "y", "weights", "offset")]

# A view of the convergence record: nothing is said when all is well.
report_convergence <- function(fit) {
  if (!fit$opt$converged) {
    warn_convergence(max(abs(fit$opt$gradient)), fit$opt$iterations)
  }
  if (fit$opt$singular) inform_boundary(fit)
  if (identical(fit$opt$bound, "upper")) inform_upper(fit)
}

check_fit <- function(fit, arg = rlang::caller_arg(fit), call = rlang::caller_env()) {
  if (missing(fit)) abort_argument(arg, "given", "missing", call)
  if (!inherits(fit, "lmmfit")) {
    abort_argument(arg, "a model fitted by lmmfit()", describe(fit), call)
  }
  fit
}
