# I.i.d. effects, any number of terms and grouping factors: C++ on cross-products.

# Grouping factors are eliminated in the order of `factors`. engine$data is what the C++ of
# core/blocked.h takes; `levels` the same without equal levels merged, for the effects.
# The C++ has the columns of each term in units of their own, see engine-units.R.
engine_blocked <- function(work, random, call) {
  check_columns(random, call)
  groups <- term_groups(random)
  units <- lapply(random, term_units, root = work$root)
  factors <- blocked_factors(random, groups, units, work$root)
  sizes <- term_widths(random)
  terms <- lapply(factors, `[[`, "terms")
  data <- check_core(cpp_blocked_data(factors, cbind(work$Q, work$r), sizes, terms))
  engine <- new_engine("blocked", blocked_reason(factors, sizes), data$data, work,
                       levels = data$levels, units = units, sizes = sizes,
                       order = vapply(factors, `[[`, character(1), "group"))
  if (data$doubtful) engine$apart <- check_components(engine, random, call)
  engine
}

# For each grouping factor its levels (0-based), their number, and the columns of all its
# terms; the one with the most effects is eliminated first.
blocked_factors <- function(random, groups, units, root) {
  out <- lapply(unique(groups), function(group) {
    terms <- which(groups == group)
    Z <- lapply(terms, function(t) unit_design(random[[t]], root, units[[t]]))
    factor <- random[[terms[[1L]]]]$factor
    list(group = group, level = as.integer(factor) - 1L, q = nlevels(factor),
         Z = do.call(cbind, Z), terms = terms - 1L)
  })
  effects <- vapply(out, function(factor) factor$q * ncol(factor$Z), numeric(1))
  out[order(-effects)]
}

blocked_reason <- function(factors, sizes) {
  k <- sum(sizes)
  if (length(factors) == 1L) {
    return(sprintf("one grouping factor, %d i.i.d. random effects per level", k))
  }
  sprintf("%d grouping factors, i.i.d. effects; %s is eliminated first", length(factors),
          factors[[1L]]$group)
}

# Columns of one term must be independent, and stand in one term of a grouping factor only.
check_columns <- function(random, call) {
  groups <- term_groups(random)
  for (group in unique(groups)) {
    columns <- unlist(lapply(random[groups == group], `[[`, "columns"))
    if (anyDuplicated(columns)) {
      abort_random_columns(group, unique(columns[duplicated(columns)]),
                           "stands in more than one term", call)
    }
  }
  for (term in random) {
    if (length(term$columns) == 1L) next
    kept <- independent_columns(term_design(term), 1e-9)
    if (length(kept) < length(term$columns)) {
      abort_random_columns(term$group, term$columns[-kept],
                           "is a combination of the others", call)
    }
  }
}

#' @exportS3Method
n_theta.engine_blocked <- function(engine) {
  as.integer(sum(engine$sizes * (engine$sizes + 1L) / 2L))
}

#' @exportS3Method
engine_moments.engine_blocked <- function(engine, theta, order = 0L) {
  at <- check_core(cpp_blocked_moments(engine$data, unit_theta(engine, theta), order))
  if (order == 0L) at else change_moments(at, unit_components(engine))
}

#' @exportS3Method
engine_optimise.engine_blocked <- function(engine, REML, control, start = NULL) {
  own <- if (is.null(start)) numeric() else unit_theta(engine, start)
  fit <- check_core(cpp_blocked_optimise(engine$data, REML, control$tolerance,
                                         control$max_iterations, own,
                                         n_threads()))
  opt <- unit_record(engine, fit)
  if (any(engine$apart)) {
    opt$theta <- without_apart(opt$theta, engine$apart, engine$sizes)
    return(opt)
  }
  opt$known <- list(moments = fit$moments[c("logdet", "S")], effects = fit$effects)
  opt
}

# Roughly the arithmetic of one evaluation.
blocked_cost <- function(engine) {
  r <- nrow(engine$data$rest_Xy)
  length(engine$data$A) * 10 + length(engine$data$B) * 10 + r^3
}

#' @exportS3Method
engine_recombine.engine_blocked <- function(engine, M) {
  engine$data <- recombine_blocked(engine$data, M)
  if (!is.null(engine$levels)) engine$levels <- recombine_blocked(engine$levels, M)
  engine
}

recombine_blocked <- function(data, M) {
  k <- nrow(data$B)
  slices <- array(data$B, c(k, nrow(M), ncol(data$B) / nrow(M)))
  data$B <- matrix(apply(slices, 3L, function(slice) matrix(slice, k) %*% M), k)
  data$rest_Xy <- data$rest_Xy %*% M
  data$C <- crossprod(M, data$C %*% M)
  data
}

#' @exportS3Method
engine_modes.engine_blocked <- function(engine, theta, random, known = NULL) {
  effects <- if (is.null(known)) blocked_effects(engine, theta, FALSE) else known
  out <- random
  for (block in blocked_blocks(engine, random)) {
    mode <- effects[[block$at]]$mode
    for (label in block$labels) {
      term <- random[[label]]
      A <- engine$units[[match(label, names(random))]]
      values <- t(forwardsolve(A, mode[block$rows[[label]], , drop = FALSE]))
      dimnames(values) <- list(levels(term$factor), term$columns)
      out[[label]] <- values
    }
  }
  out
}

#' @exportS3Method
engine_variances.engine_blocked <- function(engine, theta, sigma, random) {
  effects <- blocked_effects(engine, theta, TRUE)
  blocks <- blocked_blocks(engine, random)
  lapply(blocks, function(block) {
    back <- solve(block_diagonal(engine$units[match(block$labels, names(random))]))
    lapply(effects[[block$at]][c("conditional", "prediction")], function(variance) {
      k <- nrow(back)
      # back V back', level by level
      half <- array(back %*% variance, c(k, k, ncol(variance) / k))
      whole <- back %*% matrix(aperm(half, c(2L, 1L, 3L)), k)
      array(whole, dim(half)) * sigma^2
    })
  })
}

blocked_effects <- function(engine, theta, variances) {
  check_core(cpp_blocked_effects(level_data(engine), unit_theta(engine, theta), variances))
}

# With no levels merged.
level_data <- function(engine) {
  if (is.null(engine$levels)) engine$data else engine$levels
}

#' @exportS3Method
engine_row_variances.engine_blocked <- function(engine, theta, random, X, rows) {
  groups <- term_groups(random)
  factors <- lapply(engine$order, function(group) {
    blocked_rows(engine, random, which(groups == group), rows, nrow(X))
  })
  out <- cpp_blocked_row_variances(level_data(engine), unit_theta(engine, theta), factors,
                                   basis_rows(engine, X))
  check_core(out)[[1L]]
}

# Those of one factor, `at` its terms, as cpp_blocked_data() has them; terms that have no
# part in them are columns of zeros.
blocked_rows <- function(engine, random, at, rows, n) {
  own <- rows[names(random)[at]]
  Z <- Map(function(row, A) {
    if (is.null(row)) matrix(0, n, ncol(A)) else unit_columns(row$Z, A)
  }, unname(own), engine$units[at])
  present <- Filter(Negate(is.null), own)
  level <- if (length(present) == 0L) rep(NA, n) else present[[1L]]$level
  list(level = replace(level, is.na(level), 0L) - 1L,
       q = nlevels(random[[at[[1L]]]]$factor), Z = do.call(cbind, Z))
}

# The blocks of the fit with their labels, the place of their factor among the engine's,
# and which rows of its effects belong to each term.
blocked_blocks <- function(engine, random) {
  lapply(random_blocks(random), function(labels) {
    sizes <- term_widths(random[labels])
    list(labels = labels, at = match(random[[labels[[1L]]]]$group, engine$order),
         rows = Map(function(last, size) seq(last - size + 1L, last), cumsum(sizes), sizes))
  })
}
