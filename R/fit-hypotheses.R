# The hypotheses of analysis of variance: for each term of the fixed effects a matrix L, and
# L beta = 0 is tested. Rows are what 'lmerTest' uses, as degrees of freedom depend on them.

term_hypotheses <- function(fit, type) {
  labels <- attr(fit$fixed$terms, "term.labels")
  X <- fit$fixed$X
  columns <- lapply(stats::setNames(seq_along(labels), labels), function(term) {
    which(fit$fixed$assign == term)
  })
  if (type == "I" || ncol(X) == 1L || length(labels) == 1L) {
    L <- sequential_rows(X)
    out <- lapply(columns, function(at) L[at, , drop = FALSE])
  } else {
    containing <- containing_terms(fit$fixed$terms)
    make <- if (type == "II") type_two else type_three
    out <- make(fit, columns, containing)
  }
  lapply(out, function(L) {
    dimnames(L) <- list(rownames(L), colnames(X))
    L
  })
}

# Row j: what the sequential sum of squares of column j tests, the j-th row of the unit
# upper-triangular factor of X'X.
sequential_rows <- function(X) {
  decomposition <- qr(X, tol = 0)
  R <- qr.R(decomposition)[, order(decomposition$pivot), drop = FALSE]
  L <- R / diag(R)
  dimnames(L) <- list(colnames(X), colnames(X))
  L
}

# For each term the others that contain it: they have all its variables, at least a further
# one, and no further numeric one.
containing_terms <- function(terms) {
  factors <- attr(terms, "factors") > 0
  numeric <- attr(terms, "dataClasses")[rownames(factors)]
  numeric <- grepl("^(numeric|nmatrix)", numeric)
  lapply(seq_len(ncol(factors)), function(term) {
    mine <- factors[, term]
    which(apply(factors, 2L, function(other) {
      all(other[mine]) && any(other & !mine) && !any(other & !mine & numeric)
    }))
  })
}

# A term that no other contains: its coefficients. Otherwise what it explains beside all
# terms that do not contain it.
type_two <- function(fit, columns, containing) {
  X <- fit$fixed$X
  identity <- diag(ncol(X))
  rownames(identity) <- colnames(X)
  Map(function(mine, containing) {
    if (length(containing) == 0L) return(identity[mine, , drop = FALSE])
    last <- c(mine, unlist(columns[containing]))
    order <- c(setdiff(seq_len(ncol(X)), last), last)
    L <- sequential_rows(X[, order, drop = FALSE])[, colnames(X), drop = FALSE]
    L[colnames(X)[mine], , drop = FALSE]
  }, columns, containing)
}

# Every coefficient, with treatment contrasts, is an estimable function of the parameters
# that all cells would have. The functions of a term are freed of those of the terms that
# contain it; a function is one of the coefficients again where the other parameters are 0.
type_three <- function(fit, columns, containing) {
  treatment <- treatment_design(fit)
  cells <- cell_design(fit)
  functions <- coefficients_of(treatment$X, cells$X)
  mine <- lapply(seq_along(columns), function(term) which(treatment$assign == term))
  depth <- attr(fit$fixed$terms, "order")
  for (term in order(depth, decreasing = TRUE)) {
    above <- unlist(mine[containing[[term]]])
    if (length(above) == 0L || length(mine[[term]]) == 0L) next
    functions[mine[[term]], ] <- t(qr.resid(qr(t(functions[above, , drop = FALSE])),
                                            t(functions[mine[[term]], , drop = FALSE])))
  }
  of_coefficients <- functions[, match(treatment$key, cells$key), drop = FALSE]
  map <- coefficients_of(treatment$X, fit$fixed$X)
  lapply(stats::setNames(mine, names(columns)), function(rows) {
    L <- of_coefficients[rows, , drop = FALSE]
    L <- L[rowSums(abs(L)) > 1e-8, , drop = FALSE]
    L %*% map
  })
}

# B of Y = X B; what is rounding on the scale of X is zero.
coefficients_of <- function(X, Y) {
  B <- qr.coef(qr(X), Y)
  noise <- abs(B) * sqrt(colSums(X^2)) < 1e-10 * rep(sqrt(colSums(Y^2)), each = ncol(X))
  B[noise] <- 0
  B
}

# X of full rank with treatment contrasts; `key` tells columns of different terms apart.
treatment_design <- function(fit) {
  codings <- fit$fixed$contrasts
  treatment <- vapply(codings, identical, NA, "contr.treatment")
  if (all(treatment) && length(codings) > 0L) {
    X <- fit$fixed$X
    assign <- fit$fixed$assign
  } else {
    codings[] <- rep(list("contr.treatment"), length(codings))
    X <- stats::model.matrix(fit$fixed$terms, fit$frame, contrasts.arg = codings)
    decomposition <- qr(X, tol = 1e-7)
    kept <- sort(decomposition$pivot[seq_len(decomposition$rank)])
    assign <- attr(X, "assign")[kept]
    X <- X[, kept, drop = FALSE]
  }
  list(X = X, assign = assign, key = paste(assign, colnames(X)))
}

# A column for every cell of every term, the intercept first.
cell_design <- function(fit) {
  terms <- fit$fixed$terms
  parts <- lapply(attr(terms, "term.labels"), function(label) {
    one <- stats::reformulate(label, intercept = FALSE, env = environment(terms))
    stats::model.matrix(frame_terms(one, fit$frame), fit$frame)
  })
  if (attr(terms, "intercept") == 1L) {
    parts <- c(list(matrix(1, nrow(fit$frame), 1L, dimnames = list(NULL, "(Intercept)"))),
               parts)
  }
  X <- do.call(cbind, parts)
  first <- attr(terms, "intercept") == 1L
  assign <- rep(seq_along(parts) - first, vapply(parts, ncol, 1L))
  list(X = X, key = paste(assign, colnames(X)))
}
