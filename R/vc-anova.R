# ANOVA: Henderson's methods I and III, sums of squares equated to what they expect. In the
# coordinates of reduced_model() each is y'A y + weight rest.

vc_anova <- function(model, order = NULL, call) {
  random <- model$random
  check_single_columns(random, "ANOVA-III", call)
  order <- check_order(order, random, call)
  reduced <- reduced_model(model, order, call)
  if (is.null(reduced)) abort_method_size("ANOVA-III", random, reduced_limit, call)
  rank <- table(factor(reduced$block, order))
  if (any(rank == 0L)) abort_confounded(random[order[rank == 0L]], order, call)
  A <- lapply(order, function(label) diag(as.numeric(reduced$block == label),
                                          length(reduced$y)))
  rows <- vapply(seq_along(order), function(i) {
    paste(c(describe_term(random[[order[[i]]]]), if (i > 1L) "after the above"),
          collapse = ", ")
  }, "")
  sums <- list(A = c(A, list(0 * A[[1L]])), weight = c(numeric(length(A)), 1),
               rows = c(rows, "Residual"))
  anova_result(model, "ANOVA-III", reduced, sums, call)
}

# Unadjusted sums of squares between the levels of each factor, less those of the factors
# that it is nested in.
vc_anova1 <- function(model, call) {
  random <- model$random
  check_plain_intercepts(random, "ANOVA-I", call)
  if (model$engine$work$p > 1L || model$engine$work$p == 1L &&
        is.null(model$engine$work$intercept)) {
    abort_henderson(model$fixed, call)
  }
  order <- nesting_order(random)
  reduced <- reduced_model(model, order, call)
  if (is.null(reduced)) abort_method_size("ANOVA-I", random, reduced_limit, call)
  A <- list()
  for (label in order) {
    A[[label]] <- projection(reduced$span[[label]])
    for (outer in setdiff(names(A), label)) {
      if (nested_in(random[[label]]$factor, random[[outer]]$factor)) {
        A[[label]] <- A[[label]] - A[[outer]]
      }
    }
  }
  residual <- diag(length(reduced$y)) - Reduce(`+`, A)
  sums <- list(A = c(unname(A), list(residual)), weight = c(numeric(length(A)), 1),
               rows = c(vapply(random[order], describe_term, ""), "Residual"))
  anova_result(model, "ANOVA-I", reduced, sums, call)
}

# On the span of the columns of x.
projection <- function(x) {
  R <- suppressWarnings(chol(crossprod(x), pivot = TRUE, tol = 1e-10 * max(colSums(x^2))))
  at <- seq_len(attr(R, "rank"))
  half <- backsolve(R[at, at, drop = FALSE],
                    t(x[, attr(R, "pivot")[at], drop = FALSE]), transpose = TRUE)
  crossprod(half)
}

anova_result <- function(model, method, reduced, sums, call) {
  traces <- vapply(sums$A, function(A) sum(diag(A)), 0)
  df <- traces + sums$weight * reduced$rest_df
  if (df[[length(df)]] < 0.5) abort_residual_df(model$random, call)
  SS <- vapply(sums$A, function(A) sum(reduced$y * (A %*% reduced$y)), 0) +
    sums$weight * reduced$rest
  expected <- quadratic_expectations(reduced, sums$A, sums$weight)
  unit <- apply(abs(expected), 2L, max)
  back <- tryCatch(solve(expected / outer(df, unit)) / unit, error = function(e) NULL)
  if (is.null(back)) abort_confounded(model$random, names(model$random), call)
  phi <- drop(back %*% (SS / df))
  covariance <- quadratic_covariance(reduced, sums$A, sums$weight, phi) / tcrossprod(df)
  out <- moments_result(model, method, phi, back %*% tcrossprod(covariance, back),
                        c("Unbiased whether the data are normal or not.",
                          if (length(model$random) > 1L && method == "ANOVA-III") {
                            "Sums of squares are in the order of the table; others differ."
                          },
                          if (method == "ANOVA-I") {
                            "Sums of squares are not adjusted for other factors."
                          },
                          "Standard errors are those of normal data at the estimates."))
  colnames(expected) <- component_names(model$random)
  out$table <- data.frame(row.names = sums$rows, Df = round(df, 8), `Sum Sq` = SS,
                          `Mean Sq` = SS / df, check.names = FALSE)
  out$expected <- structure(expected / df, dimnames = list(sums$rows, colnames(expected)))
  out
}

# Whether every level of `inner` is within one of `outer`.
nested_in <- function(inner, outer) {
  pairs <- unique(data.frame(as.integer(inner), as.integer(outer)))
  nrow(pairs) == nlevels(inner)
}

# Labels in the order of the formula, but a factor before those nested in it.
nesting_order <- function(random) {
  left <- names(random)
  order <- character()
  while (length(left) > 0L) {
    free <- vapply(left, function(label) {
      !any(vapply(setdiff(left, label), function(other) {
        inner <- random[[label]]$factor
        outer <- random[[other]]$factor
        nlevels(outer) < nlevels(inner) && nested_in(inner, outer)
      }, NA))
    }, NA)
    order <- c(order, left[free][[1L]])
    left <- setdiff(left, order)
  }
  order
}

check_order <- function(order, random, call) {
  if (is.null(order)) return(nesting_order(random))
  if (!is.character(order) || !setequal(order, names(random)) || anyDuplicated(order)) {
    abort_argument("order", paste0("the names of all random terms (",
                                   toString(names(random)), ")"), describe(order), call)
  }
  order
}

check_single_columns <- function(random, method, call) {
  several <- vapply(random, function(term) length(term$columns) > 1L, NA)
  if (any(several)) {
    abort_method_terms(method, random[several],
                       "A sum of squares for a term can't tell its variances from its
                        covariances. Uncorrelated effects, (x || g), it can estimate.", call)
  }
}

check_plain_intercepts <- function(random, method, call) {
  others <- vapply(random, function(term) {
    !identical(term$columns, "(Intercept)") || !is.null(term$kernel)
  }, NA)
  if (any(others)) {
    abort_method_terms(method, random[others],
                       "Its sums of squares are those between levels: for i.i.d. intercepts,
                        (1 | g), alone.", call)
  }
}
