# One i.i.d. random effect per level: the levels are an eigenbasis already, so that the
# C++ of the rotated engine serves (core/rotated.h), without a decomposition.

engine_scalar <- function(work, term) {
  z <- drop(term_design(term)) * work$root
  level <- as.integer(term$factor)
  d <- as.vector(rowsum(z^2, level))
  Xy <- cbind(work$Q, work$r)
  # a level whose z is zero throughout has no part in the basis
  root <- sqrt(d)
  basis <- z / replace(root, root == 0, 1)[level]
  sums <- rowsum(Xy * basis, level)
  data <- list(d = d, Xy = unname(sums), within = crossprod(Xy - basis * sums[level, ]),
               n = work$n, intercept = NULL, unit = mean(d), upper = 1e12)
  new_engine("scalar", "one grouping factor, one i.i.d. random effect per level", data,
             work, "ratio", levels = levels(term$factor))
}

#' @exportS3Method
engine_modes.engine_scalar <- function(engine, theta, random) {
  at <- ratio_at(engine, theta)
  mode <- matrix(theta^2 * sqrt(engine$data$d) * at$w * at$residual,
                 dimnames = list(engine$levels, random[[1L]]$columns))
  stats::setNames(list(mode), names(random))
}

#' @exportS3Method
engine_variances.engine_scalar <- function(engine, theta, sigma, random) {
  at <- ratio_at(engine, theta)
  conditional <- theta^2 * at$w
  through <- theta^2 * sqrt(engine$data$d) * at$w * at$X
  prediction <- conditional + rowSums((through %*% at$Q) * through)
  variances <- lapply(list(conditional = conditional, prediction = prediction),
                      function(variance) array(sigma^2 * variance, c(1L, 1L, length(variance))))
  stats::setNames(list(variances), names(random))
}
