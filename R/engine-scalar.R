# One i.i.d. random effect per level: the levels are an eigenbasis already, so that the
# C++ of the rotated engine serves (core/rotated.h), without a decomposition.

# Levels with equal z'z are one class, represented by a root of the cross-product of its
# sums: an evaluation depends on the number of classes only.
engine_scalar <- function(work, term) {
  z <- if (is.null(term$Z)) work$root else drop(term$Z) * work$root
  levels <- levels(term$factor)
  at <- check_core(cpp_level_sums(cbind(work$Q, work$r), z, term$factor, length(levels)))
  data <- list(d = at$d, Xy = at$sums, count = at$count, within = at$within, n = work$n,
               intercept = NULL, unit = mean(at$level_d), upper = 1e12)
  new_engine("scalar", "one grouping factor, one i.i.d. random effect per level", data,
             work, "ratio", levels = levels,
             by_level = list(d = at$level_d, Xy = at$level_sums, count = NULL))
}

# The same, a row per level.
level_engine <- function(engine) {
  engine$data <- utils::modifyList(engine$data, engine$by_level)
  engine
}

#' @exportS3Method
engine_recombine.engine_scalar <- function(engine, M) {
  engine$by_level$Xy <- engine$by_level$Xy %*% M
  NextMethod()
}

#' @exportS3Method
engine_modes.engine_scalar <- function(engine, theta, random, known = NULL) {
  engine <- level_engine(engine)
  at <- ratio_at(engine, theta)
  mode <- matrix(theta^2 * sqrt(engine$data$d) * at$w * at$residual,
                 dimnames = list(engine$levels, random[[1L]]$columns))
  stats::setNames(list(mode), names(random))
}

#' @exportS3Method
engine_variances.engine_scalar <- function(engine, theta, sigma, random) {
  own <- scalar_effects(engine, theta)
  prediction <- own$conditional + rowSums((own$through %*% own$Q) * own$through)
  variances <- lapply(list(conditional = own$conditional, prediction = prediction),
                      function(v) array(sigma^2 * v, c(1L, 1L, length(v))))
  stats::setNames(list(variances), names(random))
}

# By level the variance given beta, and the covariance with H^-1 X.
scalar_effects <- function(engine, theta) {
  engine <- level_engine(engine)
  at <- ratio_at(engine, theta)
  list(conditional = theta^2 * at$w, through = theta^2 * sqrt(engine$data$d) * at$w * at$X,
       Q = at$Q)
}

#' @exportS3Method
engine_row_variances.engine_scalar <- function(engine, theta, random, X, rows) {
  ratio_row_variances(scalar_effects(engine, theta), theta^2, rows[[1L]]$level,
                      rows[[1L]]$Z[, 1L], basis_rows(engine, X))
}
