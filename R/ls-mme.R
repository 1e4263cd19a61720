#' Henderson's mixed-model equations
#'
#' Builds and solves the equations whose solution is at once the best linear unbiased
#' estimate (BLUE) of the fixed effects and the best linear unbiased prediction (BLUP) of the
#' random ones, at variances that are given or those of a fit.
#'
#' @details
#' For y = X b + Z u + e with Var(u) = G and Var(e) = R = sigma2 W^-1 they are
#' \preformatted{
#' [ X'R^-1 X   X'R^-1 Z         ] [ b ]   [ X'R^-1 y ]
#' [ Z'R^-1 X   Z'R^-1 Z + G^-1  ] [ u ] = [ Z'R^-1 y ]}
#' G has a block for each term: the identity or the relationship matrix K of all ids, times
#' the covariance (k x k) of the effects of a level, level by level. The inverse of the
#' coefficient matrix holds Var(b_hat) and the prediction error covariance Var(u_hat - u).
#'
#' K is inverted by Cholesky; the inverse that [precision()] marks is used as it is, and
#' stays sparse with `sparse = TRUE`. A term whose G has no inverse (a singular K, a variance
#' of zero, a correlation of one) stands in the form of Harville: with u = G a and S = G in
#' its columns,
#' \preformatted{
#' [ X'R^-1 X   X'R^-1 Z S       ] [ b ]   [ X'R^-1 y ]
#' [ Z'R^-1 X   Z'R^-1 Z S + I   ] [ a ] = [ Z'R^-1 y ]}
#' which is not symmetric, but needs no inverse. All columns of X are kept by the formula
#' method; those that depend on others are zero in the solution and in the inverse, which is
#' then a generalised (reflexive) one: see [estimable()].
#'
#' A dense system of order m takes 8 m^2 bytes a matrix and m^3 operations; a sparse one is
#' factored with its order chosen to stay sparse, and never made dense. Prediction error
#' variances take a solution with each column of the identity, a few hundred at a time:
#' `pev = FALSE` leaves them out.
#'
#' @param object (`formula`) as for [lmmfit()]; or a model fitted by [lmmfit()].
#' @param data,kinship,weights,offset,subset,na.action,contrasts as for [lmmfit()].
#' @param variances the variance of the effects of each term: a named `numeric`, or a named
#'   `list` with covariance matrices (k x k) for terms with k > 1 columns. Names are those of
#'   the grouping factors; several terms of one are `g`, `g.1`, ... in the order of the
#'   formula. With one term the name may be missing. An element `Residual` is taken for
#'   `residual`.
#' @param residual (`numeric(1)`) sigma2, the residual variance of a record of weight 1.
#' @param full (`logical(1)`) a column for every level of every factor of the fixed part, see
#'   [blue()].
#' @param sparse (`logical(1)`) sparse matrices, by the package 'Matrix'.
#' @param pev (`logical(1)`) prediction error variances and the covariance of the estimates.
#' @param ... in the method for formulas not used; anything here is an error.
#' @return An object of class `mme`, a list with
#'   \item{C, rhs}{the equations: coefficient matrix (m x m) and right-hand side; m = p +
#'     effects}
#'   \item{solution}{their solution; in the form of Harville it holds a}
#'   \item{beta}{p estimates, and `vcov`, p x p}
#'   \item{u}{predictions, by term: levels (all ids of K) x k}
#'   \item{pev}{the variances Var(u_hat - u), of the shape of `u`; `reliability`, 1 - PEV /
#'     Var(u), NA where Var(u) is zero}
#'   \item{inverse}{generalised inverse of the coefficient matrix in b and u, m x m; `NULL`
#'     where the system is sparse}
#'   \item{form}{`"henderson"`, or `"harville"` if any term is in that form: `harville` names
#'     them}
#'   and the parts they are made of (`X`, `Z`, `y`, `weights`, `variances`, `residual`).
#'   [blup()] gives predictions as a table, [estimable()] tests combinations of fixed effects,
#'   [v_forms()] computes the same by V, and `as.matrix()` returns `[C | rhs]`.
#'
#'   Unknown or missing names of variances, covariances that are not positive semi-definite,
#'   and residual variances that are not positive are errors that name the term.
#' @references
#' Henderson CR (1975). Best linear unbiased estimation and prediction under a selection
#' model. Biometrics 31, 423-447. \doi{10.2307/2529430}
#'
#' Harville DA (1976). Extension of the Gauss-Markov theorem to include the estimation of
#' random effects. The Annals of Statistics 4, 384-395. \doi{10.1214/aos/1176343414}
#' @examples
#' # two unrelated parents, a and b, and their children c and d; b has no record
#' Ainv <- rbind(a = c(2, 1, -1, -1), b = c(1, 2, -1, -1),
#'               c = c(-1, -1, 2, 0), d = c(-1, -1, 0, 2))
#' colnames(Ainv) <- rownames(Ainv)
#' data <- data.frame(id = c("a", "c", "c", "d"), sex = c("m", "m", "m", "f"),
#'                    y = c(4.5, 2.9, 3.9, 3.5))
#' equations <- mme(y ~ 0 + sex + (1 | id), data, kinship = list(id = precision(Ainv)),
#'                  variances = c(id = 1), residual = 2)
#' equations
#' blup(equations)
#' v_forms(equations)
#'
#' # at the estimates of a fit
#' mme(lmmfit(distance ~ age + (age | Subject), nlme::Orthodont))
#' @export
mme <- function(object, ...) {
  if (missing(object)) abort_argument("object", "given", "missing", rlang::current_env())
  UseMethod("mme")
}

#' @rdname mme
#' @export
mme.formula <- function(object, data = NULL, kinship = NULL, variances, residual, weights,
                        offset, subset, na.action, contrasts = NULL, full = FALSE,
                        sparse = FALSE, pev = TRUE, ...) {
  if (...length() > 0L) rlang::check_dots_empty()
  call <- match.call()
  here <- rlang::current_env()
  check_flag(full)
  check_sparse(sparse, here)
  check_flag(pev)
  if (missing(variances)) abort_argument("variances", "given", "missing", here)
  if (missing(residual)) residual <- NULL
  check_data(data, here)
  parts <- model_formula(object, data, here)
  frame <- one_response(model_frame(parts, call, data, parent.frame(), here), here)
  env <- parent.frame()
  kernel <- function(expr) eval_kernel(expr, data, object, env, here)
  random <- label_terms(model_random(parts, frame$frame, kinship, kernel, here, TRUE))
  terms <- frame_terms(parts$fixed, frame$frame)
  contrasts <- chosen_contrasts(contrasts, full, terms, frame$frame, here)
  X <- design_matrix(terms, frame$frame, contrasts, "fixed effects", here)$X
  if (is.null(residual)) residual <- residual_of(variances, here)
  residual <- check_positive(residual)
  variances <- check_variances(variances, random, here)
  new_mme(X, frame, random, variances, residual, sparse, pev, parts$formula, call)
}

#' @rdname mme
#' @export
mme.lmmfit <- function(object, sparse = FALSE, pev = TRUE, ...) {
  rlang::check_dots_empty()
  check_sparse(sparse, rlang::current_env())
  check_flag(pev)
  variances <- lapply(term_factors(object$random, object$theta * object$sigma), tcrossprod)
  new_mme(object$fixed$X, object, object$random, variances, object$sigma^2, sparse, pev,
          object$formula, object$call)
}

#' @export
mme.default <- function(object, ...) {
  abort_argument("object", "a formula or a model fitted by lmmfit()", describe(object),
                 rlang::current_env())
}

check_sparse <- function(sparse, call) {
  check_flag(sparse, "sparse", call)
  if (sparse && !requireNamespace("Matrix", quietly = TRUE)) {
    abort_package("Matrix", "mme(sparse = TRUE)", call)
  }
}

# As check_kinship(), but an inverse stays one, and sparse if it is.
check_relationship <- function(K, ids, group, arg, call) {
  if (!inherits(K, "kinlmm_precision")) return(check_kinship(K, ids, group, arg, call))
  Q <- K$Q
  if (!inherits(Q, "sparseMatrix")) {
    check_kinship_names(Q, group, arg, call)
    if (nrow(Q) != ncol(Q)) abort_argument(arg, "a square matrix", describe(Q), call)
    return(precision(symmetric_precision(as.matrix(Q), ids, group, arg, call)))
  }
  Q <- symmetric_sparse(Q, ids, group, arg, call)
  failed <- function(condition) abort_precision(group, arg, call)
  tryCatch(Matrix::Cholesky(Q, LDL = FALSE), error = failed, warning = failed)
  precision(Q)
}

# A dense inverse, checked as a relationship matrix is.
symmetric_precision <- function(Q, ids, group, arg, call) {
  Q <- check_kinship(Q, ids, group, arg, call)
  invert_precision(Q, group, arg, call)
  Q
}

residual_of <- function(variances, call) {
  value <- if ("Residual" %in% names(variances)) variances[["Residual"]]
  if (is.null(value)) abort_argument("residual", "given", "missing", call)
  value
}

# Covariances (k x k) by the labels of the terms.
check_variances <- function(variances, random, call) {
  variances <- as.list(variances)
  variances <- variances[setdiff(seq_along(variances),
                                 which(names(variances) == "Residual"))]
  labels <- names(random)
  if (is.null(names(variances)) && length(variances) == 1L && length(labels) == 1L) {
    names(variances) <- labels
  }
  given <- names(variances)
  if (is.null(given) || !setequal(given, labels) || anyDuplicated(given) > 0L) {
    abort_variance_names(given, labels, call)
  }
  out <- lapply(labels, function(label) {
    k <- length(random[[label]]$columns)
    value <- variances[[label]]
    if (!is.numeric(value) || length(value) != k^2 || any(!is.finite(value))) {
      abort_variance_term(label, k, describe(value), call)
    }
    value <- matrix(as.double(value), k, k)
    scale <- max(abs(value))
    if (max(abs(value - t(value))) > 1e-10 * scale) {
      abort_variance_term(label, k, "not symmetric", call)
    }
    low <- min(eigen(value, symmetric = TRUE, only.values = TRUE)$values)
    if (low < -1e-10 * scale) {
      abort_variance_term(label, k, if (k == 1L) format(value[1L]) else
        paste("a matrix with an eigenvalue of", signif(low, 3)), call)
    }
    dimnames(value) <- rep(list(random[[label]]$columns), 2L)
    value
  })
  stats::setNames(out, labels)
}

# frame: anything with y, weights and offset.
new_mme <- function(X, frame, random, variances, residual, sparse, pev, formula, call) {
  blocks <- Map(function(term, Psi) mme_block(term, Psi, sparse, pev), random, variances)
  harville <- vapply(blocks, `[[`, NA, "harville")
  out <- list(
    call = call, formula = formula, form = c("henderson", "harville")[1L + any(harville)],
    harville = names(random)[harville], sparse = sparse, X = X,
    kept = independent_columns(X * sqrt(frame$weights), 1e-7), y = frame$y - frame$offset,
    weights = frame$weights, variances = variances, residual = residual, random = random,
    blocks = blocks, Z = do.call(cbind, unname(lapply(blocks, `[[`, "Z")))
  )
  out <- mme_equations(out)
  # what is in the equations now is not kept twice
  out$blocks <- lapply(blocks, `[`, c("ids", "size", "prior"))
  solver <- mme_solver(out)
  out$solution <- stats::setNames(drop(solver(matrix(out$rhs))), names(out$rhs))
  p <- seq_len(ncol(X))
  out$beta <- out$solution[p]
  effects <- matrix(out$solution[setdiff(seq_along(out$rhs), p)])
  out$u <- split_effects(as.vector(times_s(out$S, effects)), random, out$blocks)
  structure(if (pev) mme_variances(out, solver) else out, class = "mme")
}

# Var(b_hat), PEV and reliabilities; the whole inverse where all is dense.
mme_variances <- function(x, solver) {
  p <- ncol(x$X)
  m <- length(x$rhs)
  inverse_columns <- function(at) {
    columns <- solver(diag(1, m)[, at, drop = FALSE])
    effects <- setdiff(seq_len(m), seq_len(p))
    columns[effects, ] <- times_s(x$S, columns[effects, , drop = FALSE])
    columns
  }
  if (!x$sparse) {
    x$inverse <- inverse_columns(seq_len(m))
    dimnames(x$inverse) <- dimnames(x$C)
    x$vcov <- x$inverse[seq_len(p), seq_len(p), drop = FALSE]
    pev <- diag(x$inverse)[setdiff(seq_len(m), seq_len(p))]
  } else {
    pev <- inverse_diagonal(solver, m, setdiff(seq_len(m), seq_len(p)), p, x$S)
    x$vcov <- structure(solver(diag(1, m, p))[seq_len(p), , drop = FALSE],
                        dimnames = rep(list(colnames(x$X)), 2L))
  }
  x$pev <- split_effects(pev, x$random, x$blocks)
  prior <- unlist(lapply(x$blocks, `[[`, "prior"))
  x$reliability <- split_effects(ratio_or_na(pev, prior), x$random, x$blocks)
  x
}

# Elements `at` of the diagonal of the inverse, that of S M^-1 in the form of Harville: the
# columns of the identity are solved for a few hundred at a time.
inverse_diagonal <- function(solver, m, at, p = 0L, S = NULL) {
  out <- numeric(length(at))
  for (start in seq(1L, length(at), by = 256L)) {
    now <- seq(start, min(start + 255L, length(at)))
    unit <- matrix(0, m, length(now))
    unit[cbind(at[now], seq_along(now))] <- 1
    columns <- solver(unit)
    out[now] <- if (is.null(S)) columns[cbind(at[now], seq_along(now))] else {
      rows <- as.matrix(S[at[now] - p, , drop = FALSE])
      rowSums(rows * t(columns[p + seq_len(m - p), , drop = FALSE]))
    }
  }
  out
}

# A function that solves the equations for the columns of a matrix; what belongs to
# dependent columns of X is zero.
mme_solver <- function(x) {
  m <- length(x$rhs)
  active <- setdiff(seq_len(m), setdiff(seq_len(ncol(x$X)), x$kept))
  C <- x$C[active, active, drop = FALSE]
  symmetric <- x$form == "henderson"
  inner <- if (x$sparse) sparse_solver(C, symmetric) else dense_solver(C, symmetric)
  function(b) {
    out <- matrix(0, m, ncol(b))
    out[active, ] <- inner(b[active, , drop = FALSE])
    out
  }
}

dense_solver <- function(C, symmetric) {
  C <- unname(C)
  if (!symmetric) return(function(b) solve(C, b, tol = 0))
  root <- chol(C)
  function(b) backsolve(root, backsolve(root, b, transpose = TRUE))
}

sparse_solver <- function(C, symmetric = TRUE) {
  if (symmetric) {
    factor <- Matrix::Cholesky(Matrix::forceSymmetric(C), LDL = FALSE)
    return(function(b) as.matrix(Matrix::solve(factor, b)))
  }
  # C[p, q] = L U
  factor <- Matrix::lu(C)
  function(b) {
    half <- Matrix::solve(factor@L, b[factor@p + 1L, , drop = FALSE])
    b[factor@q + 1L, ] <- as.matrix(Matrix::solve(factor@U, half))
    b
  }
}

# S is NULL where it is the identity.
times_s <- function(S, x) if (is.null(S)) x else as.matrix(S %*% x)

# One term: Z (n x q k, the effects of a level side by side), E, which is added to Z'R^-1 Z,
# S with u = S a (NULL: the identity), the prior variances, and the ids. Where Var(u) has no
# inverse E = I and S = Var(u).
mme_block <- function(term, Psi, sparse, pev) {
  kernel <- term$kernel
  ids <- if (is.null(kernel)) levels(term$factor) else
    if (inherits(kernel, "kinlmm_precision")) rownames(kernel$Q) else rownames(kernel)
  q <- length(ids)
  k <- nrow(Psi)
  inverse <- kernel_inverse(kernel, q, sparse)
  root <- definite_root(Psi)
  harville <- is.null(inverse) || is.null(root)
  # a variance of zero needs no K
  K <- if (harville) kernel_matrix(if (any(Psi != 0)) kernel, q, sparse)
  list(Z = effects_design(term, match(levels(term$factor), ids), q, sparse),
       E = if (harville) identity_matrix(q * k, sparse) else
         big_kronecker(inverse, chol2inv(root), sparse),
       S = if (harville) big_kronecker(K, unname(Psi), sparse), harville = harville,
       ids = ids, size = q * k,
       prior = if (pev) rep(kernel_diagonal(kernel, q), each = k) * rep(diag(Psi), q))
}

# The Cholesky factor, NULL where the matrix has none that could be relied on.
definite_root <- function(A) {
  root <- tryCatch(chol.default(unname(A)), error = function(e) NULL)
  if (is.null(root) || any(diag(root)^2 <= 1e-10 * diag(A))) NULL else root
}

kernel_inverse <- function(kernel, q, sparse) {
  if (is.null(kernel)) return(identity_matrix(q, sparse))
  if (inherits(kernel, "kinlmm_precision")) {
    return(if (sparse) kernel$Q else unname(as.matrix(kernel$Q)))
  }
  root <- definite_root(kernel)
  if (!is.null(root)) chol2inv(root)
}

kernel_matrix <- function(kernel, q, sparse) {
  if (is.null(kernel)) return(identity_matrix(q, sparse))
  if (!inherits(kernel, "kinlmm_precision")) return(unname(kernel))
  chol2inv(chol(unname(as.matrix(kernel$Q))))
}

kernel_diagonal <- function(kernel, q) {
  if (is.null(kernel)) return(rep(1, q))
  if (inherits(kernel, "sparse_kernel")) return(kernel$diagonal)
  if (!inherits(kernel, "kinlmm_precision")) return(unname(diag(kernel)))
  if (!inherits(kernel$Q, "sparseMatrix")) return(diag(kernel_matrix(kernel, q, FALSE)))
  inverse_diagonal(sparse_solver(kernel$Q), q, seq_len(q))
}

identity_matrix <- function(q, sparse) if (sparse) Matrix::Diagonal(q) else diag(q)

big_kronecker <- function(A, B, sparse) {
  if (!sparse) return(kronecker(as.matrix(A), B))
  A <- methods::as(A, "CsparseMatrix")
  if (nrow(B) == 1L) A * B[[1L]] else Matrix::kronecker(A, methods::as(B, "CsparseMatrix"))
}

# at: the place of each level among the q ids.
effects_design <- function(term, at, q, sparse) {
  values <- term_design(term)
  n <- nrow(values)
  k <- ncol(values)
  rows <- rep(seq_len(n), k)
  columns <- as.vector(outer((at[as.integer(term$factor)] - 1L) * k, seq_len(k), `+`))
  if (sparse) {
    return(Matrix::sparseMatrix(rows, columns, x = as.vector(values), dims = c(n, q * k)))
  }
  Z <- matrix(0, n, q * k)
  Z[cbind(rows, columns)] <- values
  Z
}

# C, rhs and S of all effects.
mme_equations <- function(x) {
  bind <- if (x$sparse) Matrix::bdiag else block_diagonal
  product <- if (x$sparse) Matrix::crossprod else crossprod
  if (x$form == "harville") {
    x$S <- bind(unname(lapply(x$blocks, function(block) {
      if (is.null(block$S)) identity_matrix(ncol(block$Z), x$sparse) else block$S
    })))
  }
  E <- bind(unname(lapply(x$blocks, `[[`, "E")))
  r <- x$weights / x$residual
  RZ <- if (x$sparse) Matrix::Diagonal(x = r) %*% x$Z else x$Z * r
  XRZ <- product(x$X, RZ)
  ZRX <- product(RZ, x$X)
  ZRZ <- product(x$Z, RZ)
  if (!is.null(x$S)) {
    XRZ <- XRZ %*% x$S
    ZRZ <- ZRZ %*% x$S
  }
  x$C <- rbind(cbind(crossprod(x$X, x$X * r), XRZ), cbind(ZRX, ZRZ + E))
  if (x$sparse) x$C <- methods::as(x$C, "CsparseMatrix")
  x$rhs <- c(crossprod(x$X, x$y * r), as.matrix(product(RZ, x$y)))
  names(x$rhs) <- c(colnames(x$X), effect_names(x$random, x$blocks))
  dimnames(x$C) <- rep(list(names(x$rhs)), 2L)
  x
}

effect_names <- function(random, blocks) {
  unlist(lapply(names(random), function(label) {
    ids <- blocks[[label]]$ids
    columns <- random[[label]]$columns
    plain <- identical(columns, "(Intercept)")
    paste0(label, ".", rep(ids, each = length(columns)),
           if (!plain) paste0(".", rep(columns, length(ids))))
  }))
}

# A vector of all effects as matrices, levels x k, by term.
split_effects <- function(values, random, blocks) {
  sizes <- vapply(blocks, `[[`, integer(1), "size")
  end <- cumsum(sizes)
  out <- lapply(seq_along(blocks), function(b) {
    columns <- random[[b]]$columns
    matrix(values[seq(end[[b]] - sizes[[b]] + 1L, length.out = sizes[[b]])],
           ncol = length(columns), byrow = TRUE,
           dimnames = list(blocks[[b]]$ids, columns))
  })
  stats::setNames(out, names(random))
}

#' @rdname mme
#' @param x what `mme()` returned.
#' @param digits significant digits.
#' @param order (`integer(1)`) equations of at most this order are printed whole.
#' @export
print.mme <- function(x, digits = max(3L, getOption("digits") - 3L), order = 12L, ...) {
  m <- length(x$rhs)
  p <- ncol(x$X)
  cat("Mixed-model equations ['mme'], order ", count(m), ": ", n_of(p, "fixed effect"), ", ",
      n_of(m - p, "random effect"), "\n", sep = "")
  cat("Formula: ", paste(deparse(x$formula), collapse = "\n"), "\n", sep = "")
  cat("Variances, taken as known:\n")
  for (label in names(x$variances)) print_variance(label, x$variances[[label]], digits)
  print_variance("Residual", matrix(x$residual), digits)
  print_mme_form(x)
  if (m <= order) {
    cat("\nCoefficient matrix, right-hand side and solution",
        if (x$form == "harville") " (random effects: a, with u = S a)", ":\n", sep = "")
    table <- cbind(as.matrix(x), solution = x$solution)
    print(noquote(apply(zapsmall(table, digits + 2L), 2L, format, digits = digits)),
          right = TRUE)
  } else {
    cat("\nEstimates (BLUE):\n")
    print(format(x$beta, digits = digits), quote = FALSE)
    cat("Predictions (BLUP), by term: `u`, or blup()\n")
  }
  invisible(x)
}

print_variance <- function(label, Psi, digits) {
  if (length(Psi) == 1L) {
    cat("  ", label, ": ", format(Psi[[1L]], digits = digits), "\n", sep = "")
  } else {
    cat("  ", label, ":\n", sep = "")
    lines <- utils::capture.output(print(Psi, digits = digits))
    cat(paste0("    ", lines, "\n"), sep = "")
  }
}

print_mme_form <- function(x) {
  if (x$form == "harville") {
    cat("Form of Harville for ", some_of(x$harville), ": Var(u) has no inverse\n", sep = "")
  }
  lost <- setdiff(seq_len(ncol(x$X)), x$kept)
  if (length(lost) > 0L) {
    cat("Rank of X ", length(x$kept), " of ", ncol(x$X), "; set to zero: ",
        some_of(colnames(x$X)[lost]), "\n", sep = "")
  }
  if (x$sparse) {
    filled <- length(x$C@x)
    cat("Sparse: ", count(filled), " elements of C are not zero (",
        format(100 * filled / length(x$rhs)^2, digits = 2), "%)\n", sep = "")
  }
}

# NA with `pev = FALSE`.
known_vcov <- function(x) {
  p <- length(x$beta)
  if (is.null(x$vcov)) matrix(NA_real_, p, p) else x$vcov
}

#' @rdname mme
#' @export
summary.mme <- function(object, ...) {
  rlang::check_dots_empty()
  se <- sqrt(pmax(diag(known_vcov(object)), 0))
  known <- estimable_rows(diag(length(object$beta)), row_space(object$X))
  se[!known] <- NA
  z <- object$beta / se
  table <- cbind(Estimate = object$beta, `Std. Error` = se, `z value` = z,
                 `Pr(>|z|)` = 2 * stats::pnorm(-abs(z)))
  effects <- if (!is.null(object$pev)) {
    do.call(rbind, lapply(names(object$u), function(label) {
      data.frame(term = label, effect = colnames(object$u[[label]]),
                 levels = nrow(object$u[[label]]),
                 sd = apply(object$u[[label]], 2L, stats::sd),
                 pev = colMeans(object$pev[[label]]),
                 reliability = apply(object$reliability[[label]], 2L, mean_or_na),
                 row.names = NULL)
    }))
  }
  structure(list(equations = object, coefficients = table, estimable = known,
                 effects = effects), class = "summary.mme")
}

#' @rdname mme
#' @export
print.summary.mme <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  object <- x$equations
  cat("Mixed-model equations ['mme'], order ", count(length(object$rhs)), ", ",
      n_of(length(object$y), "record"), "\n", sep = "")
  print_mme_form(object)
  cat("\nFixed effects (BLUE), the variances taken as known:\n")
  table <- x$coefficients
  rownames(table)[!x$estimable] <- paste(rownames(table)[!x$estimable], "(not estimable)")
  stats::printCoefmat(table, digits = digits, na.print = "", signif.stars = FALSE,
                      has.Pvalue = any(!is.na(table[, 4L])))
  if (is.null(x$effects)) {
    cat("\nNo standard errors and error variances: made with pev = FALSE\n")
  } else {
    cat("\nRandom effects (BLUP): standard deviation of the predictions, means of their\n",
        "prediction error variances (PEV) and reliabilities:\n", sep = "")
    print(x$effects, digits = digits, row.names = FALSE)
  }
  invisible(x)
}

#' @rdname mme
#' @export
as.matrix.mme <- function(x, ...) {
  out <- cbind(as.matrix(x$C), rhs = x$rhs)
  rownames(out) <- names(x$rhs)
  out
}

#' @rdname mme
#' @export
coef.mme <- function(object, ...) object$beta

#' @rdname mme
#' @export
fixef.mme <- function(object, ...) object$beta

#' @rdname mme
#' @export
vcov.mme <- function(object, ...) object$vcov

#' @rdname blup
#' @export
blup.mme <- function(object, ...) {
  rlang::check_dots_empty()
  rows <- lapply(names(object$u), function(label) {
    u <- object$u[[label]]
    term <- object$random[[label]]
    counts <- tabulate(term$factor, nlevels(term$factor))
    records <- counts[match(rownames(u), levels(term$factor))]
    records[is.na(records)] <- 0L
    or_na <- function(x) if (is.null(x)) NA_real_ else as.vector(x)
    data.frame(group = term$group, id = rep(rownames(u), ncol(u)),
               term = rep(colnames(u), each = nrow(u)), value = as.vector(u),
               pev = or_na(object$pev[[label]]),
               reliability = or_na(object$reliability[[label]]),
               records = rep(records, ncol(u)))
  })
  structure(do.call(rbind, rows), class = c("blup", "data.frame"))
}

#' Mixed-model equations against V
#'
#' Computes estimates, predictions and their variances a second time, by the n x n covariance
#' V = Z G Z' + R of the records, and compares.
#'
#' With P = V^-1 - V^-1 X (X'V^-1 X)^- X'V^-1 these are b_hat = (X'V^-1 X)^- X'V^-1 y,
#' u_hat = G Z'V^-1 (y - X b_hat), and Var(u_hat - u) = G - G Z'P Z G. Everything is dense,
#' n^3 + m^3 operations, so it is for small data.
#'
#' @param object what [mme()] returned.
#' @return An object of class `v_forms`: a list with `beta`, `vcov`, `u` and `pev` as in
#'   [mme()], computed by V, and `differences`, a data frame of the largest absolute
#'   difference of each and the largest absolute value.
#' @references Henderson CR, Kempthorne O, Searle SR, von Krosigk CM (1959). The estimation
#' of environmental and genetic trends from records subject to culling. Biometrics 15,
#' 192-218. \doi{10.2307/2527669}
#' @examples
#' v_forms(mme(lmmfit(distance ~ age + (age | Subject), nlme::Orthodont)))
#' @export
v_forms <- function(object) {
  if (missing(object)) abort_argument("object", "given", "missing", rlang::current_env())
  if (!inherits(object, "mme")) {
    abort_argument("object", "made by mme()", describe(object), rlang::current_env())
  }
  G <- block_diagonal(unname(Map(function(term, Psi, block) {
    kronecker(as.matrix(kernel_matrix(term$kernel, length(block$ids), FALSE)), Psi)
  }, object$random, object$variances, object$blocks)))
  Z <- as.matrix(object$Z)
  ZG <- Z %*% G
  V <- tcrossprod(ZG, Z) + diag(object$residual / object$weights, length(object$y))
  fit <- least_squares_solution(object$X, object$y, matrix_metric(V, rlang::current_env()),
                                "reflexive", rlang::current_env())
  Vi <- chol2inv(chol(V))
  r <- object$y - object$X %*% fit$b
  through <- crossprod(object$X, Vi %*% ZG)
  u <- crossprod(ZG, Vi %*% r)
  pev <- diag(G) - colSums(ZG * (Vi %*% ZG)) + colSums(through * (fit$G %*% through))
  out <- list(beta = fit$b, vcov = fit$G, u = split_effects(u, object$random, object$blocks),
              pev = split_effects(pev, object$random, object$blocks))
  out$differences <- compare_forms(object, out)
  structure(out, class = "v_forms")
}

compare_forms <- function(mme, forms) {
  parts <- c(beta = "b_hat", vcov = "Var(b_hat)", u = "u_hat", pev = "Var(u_hat - u)")
  parts <- parts[names(parts) %in% names(mme)]
  largest <- function(x) max(0, abs(x))
  values <- lapply(names(parts), function(name) {
    mine <- unlist(mme[[name]], use.names = FALSE)
    other <- unlist(forms[[name]], use.names = FALSE)
    c(largest(as.vector(mine) - as.vector(other)), largest(as.vector(other)))
  })
  values <- do.call(rbind, values)
  data.frame(quantity = unname(parts), difference = values[, 1L], largest = values[, 2L])
}

#' @rdname v_forms
#' @param x what `v_forms()` returned.
#' @param ... not used.
#' @export
print.v_forms <- function(x, ...) {
  cat("Mixed-model equations and V-forms: largest absolute differences\n\n")
  table <- data.frame(x$differences$quantity,
                      format(x$differences$difference, digits = 2, scientific = TRUE),
                      format(x$differences$largest, digits = 4))
  names(table) <- c("", "difference", "largest value")
  print(table, row.names = FALSE)
  invisible(x)
}
