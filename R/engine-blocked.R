# One grouping factor with several i.i.d. random effects per level: C++ on cross-products
# per level.

# The columns of Z are scaled to a root mean square of one, which `scale` remembers.
engine_blocked <- function(work, terms, call) {
  check_columns(terms, call)
  Z <- do.call(cbind, lapply(terms, term_design)) * work$root
  scale <- sqrt(colMeans(Z^2))
  scale[scale == 0] <- 1
  pattern <- factor_pattern(lengths(lapply(terms, `[[`, "columns")))
  levels <- levels(terms[[1L]]$factor)
  data <- check_core(cpp_blocked_crossproducts(
    sweep(Z, 2L, scale, "/"), cbind(work$Q, work$r),
    as.integer(terms[[1L]]$factor) - 1L, length(levels), pattern$row, pattern$col
  ))
  reason <- sprintf("one grouping factor, %d i.i.d. random effects per level", ncol(Z))
  new_engine("blocked", reason, data, work, scale = scale, levels = levels,
             sizes = pattern$sizes)
}

# Columns of one term must be independent, and stand in one term only.
check_columns <- function(terms, call) {
  columns <- unlist(lapply(terms, `[[`, "columns"))
  if (anyDuplicated(columns)) {
    abort_random_columns(terms[[1L]]$group, unique(columns[duplicated(columns)]),
                         "stands in more than one term", call)
  }
  for (term in terms) {
    kept <- independent_columns(term_design(term), 1e-9)
    if (length(kept) < length(term$columns)) {
      abort_random_columns(term$group, term$columns[-kept],
                           "is a combination of the others", call)
    }
  }
}

# Which elements of the lower-triangular factor are free: 0-based row and column of each
# element of theta, in lme4's order (term by term, column by column).
factor_pattern <- function(sizes) {
  first <- cumsum(c(0L, sizes))[seq_along(sizes)]
  at <- Map(function(from, size) {
    lower <- which(lower.tri(diag(size), diag = TRUE), arr.ind = TRUE)
    lower + from - 1L
  }, first, sizes)
  at <- do.call(rbind, at)
  list(row = as.integer(at[, 1L]), col = as.integer(at[, 2L]), sizes = as.integer(sizes))
}

scale_theta <- function(engine) engine$scale[engine$data$row + 1L]

#' @exportS3Method
engine_moments.engine_blocked <- function(engine, theta) {
  check_core(cpp_blocked_moments(engine$data, theta * scale_theta(engine)))
}

#' @exportS3Method
engine_optimise.engine_blocked <- function(engine, REML, control, start = NULL) {
  diagonal <- engine$data$row == engine$data$col
  starts <- outer(as.double(diagonal), c(1, 0.1, 10))
  if (!is.null(start)) starts <- cbind(start * scale_theta(engine), starts)
  fit <- check_core(cpp_blocked_optimise(engine$data, REML, control$tolerance,
                                     control$max_iterations, starts))
  # the sign of a column of the factor is free: a positive diagonal is the convention
  sign <- sign(fit$theta[diagonal])[match(engine$data$col, engine$data$col[diagonal])]
  sign[sign == 0] <- 1
  unit <- sign * scale_theta(engine)
  list(theta = fit$theta / unit, converged = fit$converged, singular = fit$singular,
       gradient = fit$at$gradient * unit, hessian = fit$at$hessian * tcrossprod(unit),
       iterations = fit$iterations, evaluations = fit$evaluations, starts = fit$starts,
       bound = if (fit$singular) "zero" else "none")
}

#' @exportS3Method
engine_recombine.engine_blocked <- function(engine, M) {
  width <- nrow(M)
  k <- length(engine$scale)
  B <- array(engine$data$B, c(k, width, length(engine$levels)))
  recombined <- apply(B, 3L, function(slice) matrix(slice, k) %*% M)
  engine$data$B <- matrix(recombined, k)
  engine$data$C <- crossprod(M, engine$data$C %*% M)
  engine
}

#' @exportS3Method
engine_modes.engine_blocked <- function(engine, theta, kernel) {
  check_core(cpp_blocked_ranef(engine$data, theta * scale_theta(engine)))$mode / engine$scale
}

#' @exportS3Method
engine_variances.engine_blocked <- function(engine, theta, sigma, kernel) {
  effects <- check_core(cpp_blocked_ranef(engine$data, theta * scale_theta(engine)))
  k <- length(engine$scale)
  unit <- as.vector(sigma^2 * tcrossprod(1 / engine$scale))
  lapply(effects[c("conditional", "prediction")], function(variance) {
    array(variance, c(k, k, length(engine$levels))) * unit
  })
}
