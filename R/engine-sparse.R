# Random intercepts of which those with a kernel have a sparse precision matrix: C++ on the
# sparse mixed-model equations (core/sparse_mme.h), so that no kernel is ever formed. The
# effects are those of all ids of a kernel, with and without records.
#
# The effects of each term have a unit (see engine-units.R) in which a variance of 1 is like
# that of the residuals. engine$levels holds the names of the effects, term by term. The
# cross-products of engine$data have the intercept of without_intercept() as a last column.

engine_sparse <- function(work, terms, call) {
  check_independent(terms, call)
  levels <- lapply(terms, function(term) {
    if (is.null(term$kernel)) levels(term$factor) else rownames(term$kernel)
  })
  effect <- Map(function(term, levels) match(levels(term$factor), levels)[term$factor],
                terms, levels)
  units <- Map(function(term, at, q) {
    matrix(sqrt(mean(work$root^2 * kernel_diagonal(term$kernel, q)[at])))
  }, terms, effect, lengths(levels))
  first <- cumsum(c(0L, lengths(levels)))
  data <- list(n = work$n, first = as.integer(first),
               Q = stack_precisions(lapply(terms, `[[`, "kernel"), first),
               logdet = sum(vapply(terms, kernel_logdet, 0)), position = integer(),
               intercept = work$intercept, contrasts = FALSE)
  # what heritability() of one ratio asks for
  if (length(terms) == 1L) data <- c(data, unit = units[[1L]][[1L]]^2, upper = 1e5)
  engine <- new_engine("sparse", sparse_reason(terms, first[[length(first)]]), data, work,
                       units = unname(units), levels = unname(levels),
                       effect = unname(effect))
  engine <- respond_sparse(engine, work)
  engine$data$position <- check_core(cpp_sparse_position(engine$data))[[1L]]
  check_sparse_components(engine, work, terms, call)
  engine$effect <- NULL
  engine
}

sparse_reason <- function(terms, q) {
  kernels <- sum(!vapply(terms, function(term) is.null(term$kernel), logical(1)))
  others <- length(terms) - kernels
  paste0(n_of(kernels, "term"), " with a sparse precision matrix",
         if (others > 0L) paste0(" beside ", n_of(others, "i.i.d. term")),
         ": sparse mixed-model equations of order ", count(q))
}

# The same engine for another response.
respond_sparse <- function(engine, work, Xy = cbind(work$Q, work$r)) {
  Xy <- cbind(Xy, work$root / sqrt(sum(work$root^2)))
  Z <- vapply(engine$units, function(A) work$root / A[[1L]], numeric(nrow(Xy)))
  effect <- Map(function(at, before) at - 1L + before, engine$effect,
                engine$data$first[seq_along(engine$effect)])
  records <- check_core(cpp_sparse_records(engine$data$first, effect,
                                           matrix(Z, nrow(Xy)), Xy))
  engine$data$N <- records$N
  engine$data$B <- records$B
  engine$data$S <- crossprod(Xy)
  engine
}

# Places of the records among the effects of each term.
sparse_effects <- function(engine, random) {
  unname(Map(function(term, levels) match(levels(term$factor), levels)[term$factor],
             random, engine$levels))
}

# Lower triangle of the precisions of all effects, the identity for i.i.d. ones.
stack_precisions <- function(kernels, first) {
  parts <- Map(function(kernel, before, q) {
    if (is.null(kernel)) return(list(count = rep(1L, q), i = before + seq_len(q) - 1L,
                                     x = rep(1, q)))
    list(count = diff(kernel$Q@p), i = before + kernel$Q@i, x = kernel$Q@x)
  }, kernels, first[-length(first)], diff(first))
  part <- function(name) unlist(lapply(parts, `[[`, name), use.names = FALSE)
  list(p = as.integer(cumsum(c(0, part("count")))), i = as.integer(part("i")),
       x = as.double(part("x")))
}

kernel_logdet <- function(term) if (is.null(term$kernel)) 0 else term$kernel$logdet

# Whether the data tell the variances apart, see engine-identify.R: matrices are dependent
# where what they make of any one vector is, in place of the residuals here.
check_sparse_components <- function(engine, work, terms, call) {
  probe <- sin(seq_len(work$n) * sqrt(2) + seq_len(work$n)^2 * 0.618)
  probe <- probe - drop(work$Q %*% crossprod(work$Q, probe))
  probed <- respond_sparse(engine, work, cbind(work$Q, probe))
  count <- length(terms)
  at <- check_core(cpp_sparse_moments(probed$data, rep(1, count), -1L))
  beta <- basis_unscaled(at$S) %*% at$S[seq_len(work$p), work$p + 1L]
  a <- c(-beta, 1)
  first <- apply(at$W, 3L, function(W) sum(a * (W %*% a)))
  M <- rbind(cbind(at$average, first), c(first, sum(a * (at$S %*% a))))
  refuse_dependent(unname(M), diag(sum(probe^2), count), rep(1, count), terms,
                   seq_len(count), call)
}

# The contract ----

#' @exportS3Method
n_theta.engine_sparse <- function(engine) length(engine$units)

#' @exportS3Method
engine_moments.engine_sparse <- function(engine, theta, order = 0L) {
  at <- check_core(cpp_sparse_moments(engine$data, unit_theta(engine, theta), order))
  change_moments(at, unit_components(engine))
}

# Other starts where they cost little.
#' @exportS3Method
engine_optimise.engine_sparse <- function(engine, REML, control, start = NULL) {
  count <- n_theta(engine)
  small <- engine$data$first[[count + 1L]] <= 2000L
  starts <- matrix(0.7, count, 1L)
  if (small) starts <- cbind(starts, outer(rep(1, count), c(0.1, 5)))
  if (!is.null(start)) starts <- cbind(unit_theta(engine, start), starts)
  fit <- check_core(cpp_sparse_optimise(engine$data, REML, control$tolerance,
                                        control$max_iterations, starts))
  opt <- unit_record(engine, fit)
  opt$known <- list(moments = fit$moments[c("logdet", "S")], effects = fit$effects)
  opt
}

#' @exportS3Method
engine_recombine.engine_sparse <- function(engine, M) {
  M <- block_diagonal(list(M, 1))
  engine$data$B <- engine$data$B %*% M
  engine$data$S <- crossprod(M, engine$data$S %*% M)
  engine
}

# A vector over all effects, in the units of the user, term by term.
effects_by_term <- function(engine, x, power) {
  first <- engine$data$first
  Map(function(before, q, A) x[before + seq_len(q)] / A[[1L]]^power,
      first[-length(first)], diff(first), engine$units)
}

#' @exportS3Method
engine_modes.engine_sparse <- function(engine, theta, random, known = NULL) {
  mode <- if (is.null(known)) sparse_solution(engine, theta, FALSE)$mode else known
  modes <- Map(function(values, levels) matrix(values, dimnames = list(levels, "(Intercept)")),
               effects_by_term(engine, mode, 1), engine$levels)
  stats::setNames(modes, names(random))
}

sparse_solution <- function(engine, theta, variances) {
  check_core(cpp_sparse_effects(engine$data, unit_theta(engine, theta), variances))
}

#' @exportS3Method
engine_variances.engine_sparse <- function(engine, theta, sigma, random) {
  at <- sparse_solution(engine, theta, TRUE)
  variances <- lapply(at[c("conditional", "prediction")], function(all) {
    Map(function(values, levels) {
      array(sigma^2 * values, c(1L, 1L, length(values)), list(NULL, NULL, levels))
    }, effects_by_term(engine, all, 2), engine$levels)
  })
  out <- Map(function(conditional, prediction) {
    list(conditional = conditional, prediction = prediction)
  }, variances$conditional, variances$prediction)
  stats::setNames(out, names(random))[names(random_blocks(random))]
}

#' @exportS3Method
engine_row_variances.engine_sparse <- function(engine, theta, random, X, rows) {
  at <- match(names(rows), names(random))
  own <- unit_theta(engine, theta)
  effect <- matrix(-1L, nrow(X), length(at))
  Z <- matrix(0, nrow(X), length(at))
  unknown <- numeric(nrow(X))
  for (k in seq_along(at)) {
    t <- at[[k]]
    level <- rows[[k]]$level
    Z[, k] <- rows[[k]]$Z[, 1L] / engine$units[[t]][[1L]]
    known <- !is.na(level)
    effect[known, k] <- engine$data$first[[t]] + level[known] - 1L
    scale <- mean(kernel_diagonal(random[[t]]$kernel, length(engine$levels[[t]])))
    unknown[!known] <- unknown[!known] + Z[!known, k]^2 * own[[t]]^2 * scale
  }
  out <- cpp_sparse_row_variances(engine$data, own, basis_rows(engine, X), effect, Z)
  check_core(out)[[1L]] + unknown
}

# See fit-loo.R.
#' @exportS3Method
engine_products.engine_sparse <- function(engine, theta, random, root, B) {
  engine$effect <- sparse_effects(engine, random)
  engine <- respond_sparse(engine, list(root = root), B)
  engine_moments(engine, theta)$S
}
