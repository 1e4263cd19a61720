#' Leave-one-out predictions in closed form
#'
#' Predicts every record, or group of records, from all others, without fitting again: the
#' variances are those of the fit, the fixed and random effects those that the other records
#' alone give.
#'
#' With V = Var(y) and P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1, the records I differ from what
#' the others predict for them by P_II^-1 (P y)_I, with the variance P_II^-1; for one record
#' this is its residual divided by one less its [leverage][hatvalues.lmmfit]. These are the
#' numbers of fitting again with the same variance ratios, the fixed effects estimated anew.
#' The identity with the fixed effects taken from all records, (H y)_i less h_i y_i over
#' 1 - h_i with H of the random effects only, which is what GCTA's cvBLUP starts from, is
#' exact only where there are none.
#'
#' The variances were estimated from all records, those to be predicted included;
#' [cross_validate()] estimates them anew. Predictions of single records know the other
#' records of the same individual: `by` leaves out all of them together.
#'
#' A record that is left out pulls the mean of the others the other way: with little but a
#' mean to predict from, the correlation of observed and predicted values is negative (-1
#' with an intercept alone). Leaving out groups does the same, to a lesser degree.
#'
#' @param fit a model fitted by [lmmfit()].
#' @param by what to leave out together: `NULL`, single records; names (`character`) of
#'   grouping factors or variables of the model frame, whose combinations are left out one
#'   by one; or a vector with a value for each record.
#' @param x,object what `leave_one_out()` returned.
#' @param row.names,optional not used.
#' @param ... for `plot()` passed to [graphics::plot.default()]; else not used.
#' @return A data frame of class `leave_one_out` with a row for each record: `group` (with
#'   `by`), `observed`, `predicted` (fixed effects, random effects and offset), `residual`
#'   (their difference) and `pev`, the variance of this difference: of the record itself, of
#'   its effects and of their estimation. `predicted` is `NA` where the fixed effects of a
#'   record can't be estimated without it, which a message counts.
#'
#'   `summary()`: a data frame with one row: `n` (records predicted), `correlation`,
#'   `intercept` and `slope` of the regression of observed on predicted values (0 and 1
#'   without bias), `mse` (mean squared difference) and `ratio`, the mean of residual^2 / pev,
#'   1 where the model is right.
#' @section Errors:
#' `kinlmm_error_argument` if `by` is neither of these; `kinlmm_error_no_residual` (below
#' `kinlmm_error_numeric`) if the fit has several variance parameters and a residual variance
#' of zero, beside which P has no correct digits.
#' @references
#' Gianola D, Schon CC (2016). Cross-validation without doing cross-validation in
#' genome-enabled prediction. G3 6, 3107-3128. \doi{10.1534/g3.116.033381}
#'
#' Cook RD, Weisberg S (1982). Residuals and influence in regression. Chapman and Hall.
#' @seealso [cross_validate()], [hatvalues.lmmfit()].
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' leave_one_out(fit)
#' leave_one_out(fit, by = "Subject")
#' @export
leave_one_out <- function(fit, by = NULL) {
  call <- rlang::current_env()
  check_fit(fit)
  check_residual(fit, call)
  groups <- if (!is.null(by)) left_out_groups(fit, by, "by", call)
  at <- if (is.null(groups)) left_out_records(fit) else left_out_blocks(fit, groups)
  if (anyNA(at$residual)) inform_not_predictable(sum(is.na(at$residual)))
  out <- data.frame(observed = unname(fit$y), predicted = unname(fit$y) - at$residual,
                    residual = at$residual, pev = at$pev, row.names = rownames(fit$frame))
  if (!is.null(groups)) out <- cbind(group = as.character(groups), out)
  structure(out, class = c("leave_one_out", "data.frame"),
            loo = list(formula = fit$formula, groups = nlevels(groups),
                       by = if (is.character(by) && length(by) < length(fit$y)) by))
}

# With one variance ratio its upper bound leaves digits enough, with several none.
check_residual <- function(fit, call) {
  if (identical(fit$opt$bound, "upper") && length(fit$theta) > 1L) {
    abort_no_residual(call)
  }
}

# A factor over the records: of variables by name, or of a vector.
left_out_groups <- function(fit, by, arg, call) {
  n <- length(fit$y)
  if (is.character(by) && length(by) > 0L && length(by) != n) {
    known <- union(vapply(fit$random, `[[`, character(1), "group"), names(fit$frame))
    unknown <- setdiff(by, known)
    if (length(unknown) == 0L) return(deletion_groups(fit, by, NULL, call))
    abort_left_out(arg, paste("names of", some_of(known), "or a value for each record"),
                   paste("The fit has no", some_of(unknown)), call)
  }
  if (!is.atomic(by) || length(by) != n) {
    abort_left_out(arg, paste("names of variables, or a vector with a value for each of the",
                              n_of(n, "record")), paste("It is", describe(by)), call)
  }
  if (anyNA(by)) {
    abort_left_out(arg, "known for every record", paste(sum(is.na(by)), "are missing"), call)
  }
  factor(as.character(by), unique(as.character(by)))
}

# Residuals without each record and their variances, NA where X is short of a rank then.
left_out_records <- function(fit) {
  # beside a vanishing residual variance one less the leverage is rounding
  if (identical(fit$opt$bound, "upper")) {
    return(left_out_blocks(fit, factor(seq_along(fit$y))))
  }
  left <- 1 - fit_leverage(fit)
  left[rowSums(design_basis(fit)^2) > 1 - 1e-10] <- NA
  residual <- fit$y - predict_mean(fit, frame_records(fit, all_columns(fit)))
  list(residual = unname(residual) / left, pev = fit$sigma^2 / (fit$weights * left))
}

# An orthonormal basis of sqrt(W) X.
design_basis <- function(fit) {
  if (ncol(fit$fixed$X) == 0L) return(matrix(0, length(fit$y), 0L))
  qr.Q(qr(fit$fixed$X * sqrt(fit$weights), tol = 0))
}

# The same without each group.
left_out_blocks <- function(fit, groups) {
  rows <- unname(split(seq_along(groups), groups))
  root <- sqrt(fit$weights)
  basis <- design_basis(fit)
  residual <- fit$y - predict_mean(fit, frame_records(fit, all_columns(fit)))
  Py <- unname(residual) * root
  out <- list(residual = numeric(length(Py)), pev = numeric(length(Py)))
  blocks <- projection_blocks(fit, rows)
  for (g in seq_along(rows)) {
    own <- rows[[g]]
    lost <- lost_directions(basis[own, , drop = FALSE])
    inverse <- block_inverse(blocks[[g]], ncol(lost))
    if (is.null(inverse)) {
      at <- left_out_directly(fit, own)
      out$residual[own] <- at$residual
      out$pev[own] <- at$pev
      next
    }
    known <- rowSums(abs(basis[own, , drop = FALSE] %*% lost)) < 1e-7
    out$residual[own] <- drop(inverse %*% Py[own]) / root[own]
    out$pev[own] <- fit$sigma^2 * diag(inverse) / fit$weights[own]
    out$residual[own[!known]] <- out$pev[own[!known]] <- NA
  }
  out
}

# By the fit to the other records at the same variances, where P is too close to singular.
left_out_directly <- function(fit, own) {
  fold <- fold_fit(fit, -own, unname(fit$theta))
  fold$sigma <- fit$sigma
  records <- fold_records(fit, fold, own)
  predicted <- predict_mean(fold, records)
  predicted[!records$known] <- NA
  list(residual = unname(fit$y[own]) - predicted,
       pev = predict_error(fold, records)^2 + fit$sigma^2 / fit$weights[own])
}

# Groups, some records at a time.
row_chunks <- function(rows, most) {
  unname(split(rows, floor(cumsum(lengths(rows)) / most)))
}

# What X loses without these rows of an orthonormal basis of it, p x any.
lost_directions <- function(Q) {
  if (ncol(Q) == 0L) return(matrix(0, 0L, 0L))
  left <- eigen(diag(ncol(Q)) - crossprod(Q), symmetric = TRUE)
  left$vectors[, left$values < 1e-10, drop = FALSE]
}

# The inverse of a block of P, or one in a generalised sense where `lost` of its eigenvalues
# are zero: what can be predicted does not depend on which. NULL where rounding would.
block_inverse <- function(P, lost) {
  if (lost == 0L) {
    root <- tryCatch(chol(P), error = function(e) NULL)
    # a pivot has an error of about 1e-15
    if (is.null(root) || min(diag(root))^2 < 1e-6) return(NULL)
    return(chol2inv(root))
  }
  spectrum <- eigen(P, symmetric = TRUE)
  kept <- seq_len(nrow(P) - lost)
  if (length(kept) > 0L && min(spectrum$values[kept]) < 1e-6) return(NULL)
  U <- spectrum$vectors[, kept, drop = FALSE]
  U %*% (t(U) / spectrum$values[kept])
}

# Blocks of P ----

# P, on the scale of the weights and of H, among each of some lists of records.
projection_blocks <- function(fit, rows) {
  engine <- fit$engine
  theta <- unname(fit$theta)
  if (engine$name == "dense") return(dense_projection(engine, theta, fit, rows))
  if (!engine$name %in% c("rotated", "sparse")) {
    effects <- effects_inverse(fit)
    if (!is.null(effects)) return(effects_projection(fit, effects, rows))
  }
  # the cost is that of all records times those of a chunk
  chunks <- row_chunks(rows, if (engine$name == "rotated") 256 else 64)
  with_progress("Leaving out", length(chunks), function(tick) {
    do.call(c, lapply(seq_along(chunks), function(at) {
      out <- products_projection(engine, theta, fit, chunks[[at]])
      tick(at, length(chunks))
      out
    }))
  })
}

# From B'H^-1 B for the columns B of the basis of X and of the records.
products_projection <- function(engine, theta, fit, rows) {
  root <- sqrt(fit$weights)
  all <- unlist(rows)
  Q <- design_basis(fit)
  records <- matrix(0, length(root), length(all))
  records[cbind(all, seq_along(all))] <- 1
  S <- engine_products(engine, theta, fit$random, root, cbind(Q, records))
  inner <- seq_len(ncol(Q))
  P <- S
  if (length(inner) > 0L) {
    half <- backsolve(chol(S[inner, inner]), S[inner, -inner, drop = FALSE],
                      transpose = TRUE)
    P <- S[-inner, -inner, drop = FALSE] - crossprod(half)
  }
  Map(function(last, size) {
    own <- seq(to = last, length.out = size)
    P[own, own, drop = FALSE]
  }, cumsum(lengths(rows)), lengths(rows))
}

# B'H^-1 B for any B (n x any) on the scale of the weights, whose roots are `root`.
engine_products <- function(engine, theta, random, root, B) UseMethod("engine_products")

#' @exportS3Method
engine_products.engine_rotated <- function(engine, theta, random, root, B) {
  sums <- rowsum(B * root, as.integer(random[[1L]]$factor)) / engine$scale
  engine$data$Xy <- to_basis(engine$basis, sums)
  engine$data$within <- crossprod(B) - crossprod(sums)
  engine_moments(engine, theta)$S
}

#' @exportS3Method
engine_products.engine_blocked <- function(engine, theta, random, root, B) {
  groups <- vapply(random, `[[`, character(1), "group")
  factors <- blocked_factors(random, groups, engine$units, root)
  terms <- lapply(factors, `[[`, "terms")
  engine$data <- check_core(cpp_blocked_data(factors, B, engine$sizes, terms))$data
  engine_moments(engine, theta)$S
}

# I.i.d. effects: H^-1 = I - Z M Z', M = T (T'Z'Z T + I)^-1 T'. Z as the columns `z` (n x k)
# that a record has, and the `level` (n x k) that each belongs to; M of one factor as k x k x
# levels, of several as a matrix with the levels of a column together. NULL where that
# would be too large.
effects_inverse <- function(fit, most = 4000) {
  root <- sqrt(fit$weights)
  groups <- vapply(fit$random, `[[`, character(1), "group")
  z <- do.call(cbind, unname(lapply(fit$random, function(term) term_design(term) * root)))
  sizes <- term_widths(fit$random)
  level <- do.call(cbind, unname(rep(lapply(fit$random, function(term) {
    as.integer(term$factor)
  }), sizes)))
  factor <- block_diagonal(unname(term_factors(fit$random, unname(fit$theta))))
  if (length(unique(groups)) == 1L) {
    return(list(z = z, level = level, M = level_inverses(z, level[, 1L], factor)))
  }
  widths <- rep(vapply(fit$random, function(term) nlevels(term$factor), 0L), sizes)
  if (sum(widths) > most) return(NULL)
  first <- cumsum(c(0L, widths))[seq_along(widths)]
  level <- level + rep(first, each = nrow(level))
  list(z = z, level = level, M = joint_inverse(z, level, sum(widths), first, factor))
}

level_inverses <- function(z, level, factor) {
  k <- ncol(z)
  pairs <- expand.grid(a = seq_len(k), b = seq_len(k))
  A <- rowsum(z[, pairs$a, drop = FALSE] * z[, pairs$b, drop = FALSE], level)
  if (k == 1L) return(array(factor[[1L]]^2 / (factor[[1L]]^2 * A + 1), c(1L, 1L, nrow(A))))
  one <- function(a) {
    inner <- crossprod(factor, matrix(a, k) %*% factor) + diag(k)
    factor %*% chol2inv(chol(inner)) %*% t(factor)
  }
  array(apply(A, 1L, one), c(k, k, nrow(A)))
}

joint_inverse <- function(z, level, size, first, factor) {
  gram <- matrix(0, size, size)
  for (a in seq_len(ncol(z))) {
    for (b in seq_len(ncol(z))) {
      cells <- rowsum(z[, a] * z[, b], level[, a] + size * (level[, b] - 1))
      gram[as.numeric(rownames(cells))] <- cells
    }
  }
  # the factor of each level of each term
  root <- matrix(0, size, size)
  for (at in which(factor != 0)) {
    row <- (at - 1L) %% nrow(factor) + 1L
    column <- (at - 1L) %/% nrow(factor) + 1L
    levels <- seq_len(c(first, size)[[row + 1L]] - first[[row]])
    root[cbind(first[[row]] + levels, first[[column]] + levels)] <- factor[[at]]
  }
  inner <- crossprod(root, gram %*% root)
  diag(inner) <- diag(inner) + 1
  crossprod(backsolve(chol(inner), t(root), transpose = TRUE))
}

effects_projection <- function(fit, effects, rows) {
  z <- effects$z
  level <- effects$level
  Q <- design_basis(fit)
  HQ <- Q - times_inverse(effects, Q)
  inverse <- if (ncol(Q) > 0L) chol2inv(chol(crossprod(Q, HQ))) else matrix(0, 0L, 0L)
  lapply(rows, function(own) {
    H <- diag(length(own))
    for (a in seq_len(ncol(z))) {
      for (b in seq_len(ncol(z))) {
        H <- H - tcrossprod(z[own, a], z[own, b]) *
          inverse_between(effects$M, level[own, a], level[own, b], a, b)
      }
    }
    mine <- HQ[own, , drop = FALSE]
    H - mine %*% inverse %*% t(mine)
  })
}

inverse_between <- function(M, from, to, a, b) {
  if (is.matrix(M)) return(M[from, to])
  outer(from, to, `==`) * M[a, b, from]
}

# Z M Z'B
times_inverse <- function(effects, B) {
  z <- effects$z
  level <- effects$level
  k <- ncol(z)
  M <- effects$M
  joint <- is.matrix(M)
  sums <- lapply(seq_len(k), function(a) rowsum(B * z[, a], level[, a]))
  if (joint) {
    ZB <- matrix(0, nrow(M), ncol(B))
    for (a in seq_len(k)) ZB[as.integer(rownames(sums[[a]])), ] <- sums[[a]]
    ZB <- M %*% ZB
  }
  out <- 0 * B
  for (a in seq_len(k)) {
    mine <- if (joint) ZB else Reduce(`+`, lapply(seq_len(k), function(b) {
      M[a, b, ] * sums[[b]]
    }))
    out <- out + z[, a] * mine[level[, a], , drop = FALSE]
  }
  out
}

# I less the covariances of the fitted values, as they are in engine_row_variances(), of
# which this has more than the diagonal.
dense_projection <- function(engine, theta, fit, rows) {
  at <- dense_at(engine, theta)
  factors <- unit_factors(engine, theta)
  root <- sqrt(fit$weights)
  X <- basis_rows(engine, fit$fixed$X * root)
  of_frame <- frame_rows(fit, all_columns(fit), root)
  lapply(rows, function(own) {
    half <- matrix(0, nrow(at$root), length(own))
    prior <- matrix(0, length(own), length(own))
    for (t in seq_along(fit$random)) {
      row <- lapply(of_frame[[t]], function(x) if (is.matrix(x)) x[own, , drop = FALSE] else
        x[own])
      part <- row_covariances(engine, at, t, fit$random[[t]], factors[[t]], row)
      half <- half + row_loadings(part, seq_along(own))
      kernel <- fit$random[[t]]$kernel
      between <- if (is.null(kernel)) outer(row$level, row$level, `==`) else
        kernel[row$level, row$level]
      psi <- level_covariances(engine, t, fit$random[[t]], factors[[t]], 1L)$psi
      prior <- prior + unname(between) * (row$Z %*% psi %*% t(row$Z))
    }
    through <- X[own, , drop = FALSE] - crossprod(half, at$half)
    diag(length(own)) - prior + crossprod(half) - through %*% at$Q %*% t(through)
  })
}

# Accuracy ----

# How predicted values compare with observed ones.
prediction_accuracy <- function(observed, predicted) {
  known <- !is.na(predicted)
  y <- observed[known]
  x <- predicted[known]
  spread <- function(v) length(v) > 2L && diff(range(v)) > 1e-12 * max(abs(v))
  slope <- if (spread(x)) stats::cov(x, y) / stats::var(x) else NA_real_
  data.frame(n = length(y),
             correlation = if (spread(x) && spread(y)) stats::cor(x, y) else NA_real_,
             intercept = mean_or_na(y) - slope * mean_or_na(x), slope = slope,
             mse = mean_or_na((y - x)^2))
}

# Of known values.
mean_or_na <- function(x) if (all(is.na(x))) NA_real_ else mean(x, na.rm = TRUE)

#' @rdname leave_one_out
#' @export
summary.leave_one_out <- function(object, ...) {
  rlang::check_dots_empty()
  data.frame(prediction_accuracy(object$observed, object$predicted),
             ratio = mean_or_na(object$residual^2 / object$pev))
}

#' @rdname leave_one_out
#' @export
as.data.frame.leave_one_out <- function(x, row.names = NULL, optional = FALSE, ...) {
  attr(x, "loo") <- NULL
  class(x) <- "data.frame"
  x
}

#' @rdname leave_one_out
#' @export
print.leave_one_out <- function(x, ...) {
  about <- attr(x, "loo")
  if (is.null(about) || !all(c("observed", "predicted", "residual", "pev") %in% names(x))) {
    print(as.data.frame(x))
    return(invisible(x))
  }
  what <- if (about$groups == 0L) "single records" else {
    paste0(n_of(about$groups, "group"), if (!is.null(about$by)) " by ",
           paste(about$by, collapse = ", "))
  }
  cat("Leave-one-out predictions of ", n_of(nrow(x), "record"), ": ", what, " left out\n",
      "Formula:   ", deparse1(about$formula), "\n",
      "Variances: those of the fit to all records; fixed effects estimated anew\n\n",
      sep = "")
  at <- summary(x)
  if (at$n < nrow(x)) cat("Not predicted: ", n_of(nrow(x) - at$n, "record"), "\n", sep = "")
  if (at$n == 0L) return(invisible(x))
  print_accuracy(list(correlation = "correlation of observed and predicted",
                      slope = "slope of observed on predicted",
                      intercept = "intercept",
                      mse = "mean squared difference",
                      ratio = "mean of residual^2 / PEV"), at)
  invisible(x)
}

# Values of a row of `at` behind what they are.
print_accuracy <- function(labels, at) {
  values <- vapply(names(labels), function(name) format(at[[name]], digits = 4L), "")
  cat(paste0("  ", format(unlist(labels)), "  ", format(values, justify = "right"), "\n"),
      sep = "")
}

#' @rdname leave_one_out
#' @export
plot.leave_one_out <- function(x, ...) {
  draw_predictions(x$observed, x$predicted, ...)
  invisible(x)
}

# Observed against predicted values, with the line of equality (dashed) and the regression.
draw_predictions <- function(observed, predicted, xlab = "Predicted", ylab = "Observed",
                             pch = 16, cex = 0.6, ...) {
  ink <- plot_ink()
  if (all(is.na(predicted))) {
    abort_argument("x", "predictions of one record or more", "none", rlang::caller_env())
  }
  graphics::plot(predicted, observed, type = "n", xlab = xlab, ylab = ylab, las = 1,
                 bty = "l", ...)
  graphics::abline(0, 1, col = ink$rule, lty = 2)
  graphics::points(predicted, observed, pch = pch, cex = cex, col = ink$point)
  at <- prediction_accuracy(observed, predicted)
  if (!is.na(at$slope)) graphics::abline(at$intercept, at$slope, col = ink$line, lwd = 2)
}
