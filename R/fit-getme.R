#' Parts of a fit by name
#'
#' The names, shapes and orders of 'lme4', so that code written for its fits finds what it
#' looks for.
#'
#' Random effects are ordered by term, level and column; the elements of `b`, `u`, the
#' columns of `Z` and the rows of `Lambda` belong together. Terms stand in the order of the
#' formula, where 'lme4' puts those with more levels first: `theta`, `cnms` and what else
#' goes by term then differ in order from its own, not in content.
#'
#' With y, X and Z as given, W the weights and b = `Lambda` u, the decomposition is
#' `L L' = P (Lambda' Z' W Z Lambda + I) P'`, `RZX = L^-1 P Lambda' Z' W X` and
#' `RX' RX = X' W X - RZX' RZX`.
#'
#' @param object a model fitted by [lmmfit()].
#' @param name (`character`) one name, several, or `"ALL"`:
#'   \itemize{
#'   \item the data: `y` (n), `X` (n x p), `Z` (n x q) and `Zt`, its transpose (sparse),
#'     `Ztlist` (by term and column), `mmList` (per term the n x k columns of Z within a
#'     level), `offset`;
#'   \item estimates: `beta` and `fixef` (p, without and with names), `theta`, `sigma`, `b`
#'     (q x 1), `u` (q, spherical: independent, with variance sigma^2), `mu` (n);
#'   \item covariance: `Lambda` and `Lambdat` (q x q, sparse), `Lind` (which theta each
#'     non-zero of `Lambdat` is), `Tlist` (its k x k blocks), `ST` (the same: scales on the
#'     diagonal, unit lower triangle below it), `lower` (bounds of theta);
#'   \item decomposition: `L` (a factor of 'Matrix', with its permutation P), `RZX`
#'     (q x p), `RX` (p x p), `A` (`Lambdat Zt`), `devcomp` (components of the criterion),
#'     `devfun` (the criterion as a function of theta);
#'   \item structure: `flist` (grouping factors), `cnms` (columns by term), `Gp` (where
#'     the terms start in `b`), `Tp` (where they start in `theta`), `n`, `N`, `p`, `q`, `k`
#'     and `n_rtrms` (number of terms), `n_rfacs` (of factors), `m` (length of `theta`),
#'     and by term `p_i` (columns), `l_i` (levels, by factor), `q_i`, `m_i` (elements of
#'     theta), `is_REML`, `REML`.
#'   }
#' @param ... not used; anything here is an error.
#' @return The part; for several names a named list of them. Sparse matrices need the
#'   package 'Matrix'. With a relationship matrix `Z` and `b` have the levels with records,
#'   and what needs its factor (`Lambda`, `Lambdat`, `Lind`, `u`, `L`, `RZX`, `A`) is an
#'   error, left out of `"ALL"`: it is not formed.
#' @references Bates D, Maechler M, Bolker B, Walker S (2015). Fitting linear mixed-effects
#' models using lme4. Journal of Statistical Software 67(1). \doi{10.18637/jss.v067.i01}
#' @examples
#' fit <- lmmfit(distance ~ age + (age | Subject), data = nlme::Orthodont)
#' getME(fit, "theta")
#' str(getME(fit, c("beta", "Gp", "cnms")))
#' @export
getME <- function(object, name, ...) UseMethod("getME")

#' @rdname getME
#' @export
getME.lmmfit <- function(object, name, ...) {
  rlang::check_dots_empty()
  call <- rlang::current_env()
  parts <- getme_parts()
  if (missing(name)) abort_argument("name", "given", "missing", call)
  unknown <- setdiff(name, c(names(parts), "ALL"))
  if (!is.character(name) || length(unknown) > 0L) {
    abort_getme(unknown, names(parts), call)
  }
  kernels <- kernel_groups(object)
  if (identical(name, "ALL")) {
    name <- names(parts)
    if (length(kernels) > 0L) name <- setdiff(name, getme_factors)
  }
  refused <- intersect(name, getme_factors)
  if (length(refused) > 0L && length(kernels) > 0L) {
    abort_getme_kernel(refused, kernels, call)
  }
  sparse <- intersect(name, getme_sparse)
  if (length(sparse) > 0L && !rlang::is_installed("Matrix")) {
    abort_package("Matrix", paste0("getME(fit, \"", sparse[[1L]], "\")"), call)
  }
  out <- lapply(stats::setNames(name, name), function(part) parts[[part]](object))
  if (length(name) == 1L) out[[1L]] else out
}

#' @export
getME.default <- function(object, name, ...) hand_over("getME", object, name, ...)

# Names that need the factor of a relationship matrix, or sparse matrices.
getme_factors <- c("Lambda", "Lambdat", "Lind", "u", "L", "RZX", "A")
getme_sparse <- c("Z", "Zt", "Ztlist", "Lambda", "Lambdat", "L", "RZX", "A")

getme_parts <- function() {
  c(getme_data(), getme_estimates(), getme_covariance(), getme_decomposition(),
    getme_structure())
}

getme_data <- function() {
  list(
    X = stats::model.matrix, Z = sparse_design,
    Zt = function(fit) Matrix::t(sparse_design(fit)), Ztlist = random_rows,
    mmList = random_columns, y = function(fit) unname(fit$y),
    offset = function(fit) unname(fit$offset)
  )
}

getme_estimates <- function() {
  list(
    mu = function(fit) unname(frame_fitted(fit)),
    beta = function(fit) unname(fit$coefficients),
    fixef = function(fit) fit$coefficients,
    theta = function(fit) stats::setNames(fit$theta, group_theta_names(fit)),
    sigma = function(fit) fit$sigma, u = spherical_effects,
    b = function(fit) matrix(stacked_effects(fit))
  )
}

getme_covariance <- function() {
  list(
    Lambda = function(fit) Matrix::t(relative_factor(fit)), Lambdat = relative_factor,
    Lind = function(fit) relative_pattern(fit)$which,
    Tlist = function(fit) by_group(fit, lapply(term_factors(fit$random, fit$theta), unname)),
    ST = function(fit) by_group(fit, lapply(term_factors(fit$random, fit$theta), unit_lower)),
    lower = function(fit) {
      lower <- replace(rep(-Inf, length(fit$theta)), theta_diagonal(fit$random), 0)
      stats::setNames(lower, group_theta_names(fit))
    }
  )
}

getme_decomposition <- function() {
  list(
    A = function(fit) relative_factor(fit) %*% Matrix::t(sparse_design(fit)),
    L = penalised_factor, RZX = penalised_cross,
    RX = function(fit) {
      if (length(fit$coefficients) == 0L) return(fit$vcov)
      root <- chol(chol2inv(chol(fit$vcov / fit$sigma^2)))
      structure(root, dimnames = dimnames(fit$vcov))
    },
    devcomp = deviance_components,
    devfun = function(fit) {
      engine <- fit$engine
      REML <- fit$REML
      function(theta) engine_criterion(engine, theta, REML)
    }
  )
}

getme_structure <- function() {
  list(
    flist = grouping_factors,
    cnms = function(fit) by_group(fit, lapply(fit$random, `[[`, "columns")),
    Gp = function(fit) c(0L, cumsum(unname(n_effects(fit)))),
    Tp = function(fit) c(beg__ = 0, cumsum(by_group(fit, choose(term_widths(fit$random) + 1, 2)))),
    n = nobs, N = nobs, p = function(fit) length(fit$coefficients),
    q = function(fit) sum(n_effects(fit)), k = function(fit) length(fit$random),
    n_rtrms = function(fit) length(fit$random),
    n_rfacs = function(fit) length(grouping_factors(fit)),
    m = function(fit) length(fit$theta),
    p_i = function(fit) by_term(fit, term_widths(fit$random)),
    l_i = function(fit) vapply(grouping_factors(fit), nlevels, integer(1)),
    q_i = function(fit) by_term(fit, n_effects(fit)),
    m_i = function(fit) by_term(fit, choose(term_widths(fit$random) + 1, 2)),
    is_REML = function(fit) fit$REML,
    REML = function(fit) if (fit$REML) length(fit$coefficients) else 0L
  )
}

kernel_groups <- function(fit) {
  has <- Filter(function(term) !is.null(term$kernel), fit$random)
  unique(term_groups(has))
}

n_effects <- function(fit) {
  term_widths(fit$random) * vapply(fit$random, function(term) nlevels(term$factor), integer(1))
}

by_group <- function(fit, x) {
  stats::setNames(x, term_groups(fit$random))
}

# By the name of the group also where it has several terms.
group_theta_names <- function(fit) {
  unlist(lapply(unname(fit$random), function(term) {
    theta_names(stats::setNames(list(term), term$group))
  }))
}

by_term <- function(fit, x) stats::setNames(x, term_expressions(fit))

# "age | Subject"; the columns of a decorrelated term one by one.
term_expressions <- function(fit) {
  same <- function(a, b) a$group == b$group && identical(a$terms, b$terms)
  vapply(fit$random, function(term) {
    split <- sum(vapply(fit$random, same, NA, b = term)) > 1L
    column <- term$columns[[1L]]
    lhs <- if (!split) deparse1(stats::formula(term$terms)[[2L]]) else
      if (column == "(Intercept)") "1" else paste0("0 + ", column)
    paste(lhs, "|", term$group)
  }, "", USE.NAMES = FALSE)
}

grouping_factors <- function(fit) {
  groups <- term_groups(fit$random)
  factors <- lapply(fit$random, `[[`, "factor")[!duplicated(groups)]
  names(factors) <- unique(groups)
  structure(factors, assign = match(groups, unique(groups)))
}

# Fitted values over the rows of the frame, which na.exclude() pads.
frame_fitted <- function(fit) fitted(fit)[rownames(fit$frame)]

random_columns <- function(fit) {
  by_term(fit, lapply(fit$random, function(term) {
    structure(term_design(term), assign = term$assign,
              dimnames = list(rownames(fit$frame), term$columns))
  }))
}

# Z (n x q): the columns of a level stand together.
sparse_design <- function(fit) {
  n <- nobs(fit)
  start <- cumsum(c(0L, n_effects(fit)))
  parts <- Map(function(term, from) {
    k <- length(term$columns)
    at <- from + (as.integer(term$factor) - 1L) * k
    list(i = rep(seq_len(n), k), j = rep(at, k) + rep(seq_len(k), each = n),
         x = as.vector(term_design(term)))
  }, fit$random, start[seq_along(fit$random)])
  gather <- function(what) unlist(lapply(unname(parts), `[[`, what))
  levels <- lapply(unname(fit$random), function(term) {
    rep(levels(term$factor), each = length(term$columns))
  })
  Matrix::sparseMatrix(gather("i"), gather("j"), x = gather("x"),
                       dims = c(n, sum(n_effects(fit))),
                       dimnames = list(rownames(fit$frame), unlist(levels)))
}

# Zt of each column of each term.
random_rows <- function(fit) {
  Zt <- Matrix::t(sparse_design(fit))
  start <- cumsum(c(0L, n_effects(fit)))
  rows <- lapply(seq_along(fit$random), function(i) {
    term <- fit$random[[i]]
    k <- length(term$columns)
    at <- lapply(seq_len(k), function(a) {
      Zt[start[[i]] + seq(a, by = k, length.out = nlevels(term$factor)), , drop = FALSE]
    })
    stats::setNames(at, paste0(term$group, ".", term$columns))
  })
  do.call(c, rows)
}

# Predicted effects of the levels with records, in the order of the columns of Z.
stacked_effects <- function(fit) {
  unlist(lapply(names(fit$random), function(label) t(level_modes(fit, label))))
}

# u = Lambda' Z' W (y - mu), which needs no inverse of Lambda.
spherical_effects <- function(fit) {
  weighted <- fit$weights * unname(fit$y - frame_fitted(fit))
  factors <- term_factors(fit$random, fit$theta)
  unlist(Map(function(term, factor) {
    sums <- rowsum(term_design(term) * weighted, as.integer(term$factor))
    as.vector(crossprod(factor, t(sums)))
  }, unname(fit$random), unname(factors)))
}

# Places of the non-zeros of Lambda', upper triangular, column by column, and the element
# of theta that each is.
relative_pattern <- function(fit) {
  start <- cumsum(c(0L, n_effects(fit)))
  first <- cumsum(c(0, choose(term_widths(fit$random) + 1, 2)))
  parts <- lapply(seq_along(fit$random), function(i) {
    at <- lower_pairs(length(fit$random[[i]]$columns))
    which <- order(at$row, at$col)
    q <- nlevels(fit$random[[i]]$factor)
    level <- rep((seq_len(q) - 1L) * length(fit$random[[i]]$columns) + start[[i]],
                 each = length(which))
    list(i = level + rep(at$col[which], q), j = level + rep(at$row[which], q),
         which = as.integer(first[[i]]) + rep(which, q))
  })
  gather <- function(what) unlist(lapply(parts, `[[`, what))
  list(i = gather("i"), j = gather("j"), which = gather("which"))
}

# Lambda' (q x q).
relative_factor <- function(fit) {
  at <- relative_pattern(fit)
  q <- sum(n_effects(fit))
  Matrix::sparseMatrix(at$i, at$j, x = unname(fit$theta)[at$which], dims = c(q, q))
}

# Unit lower triangle times diagonal: the diagonal in its place, zero where that is zero.
unit_lower <- function(factor) {
  scale <- diag(factor)
  out <- sweep(unname(factor), 2L, replace(scale, scale == 0, 1), "/")
  diag(out) <- scale
  out
}

# Lambda' Z' W^1/2 (q x n).
weighted_rows <- function(fit) {
  relative_factor(fit) %*% Matrix::t(sparse_design(fit) * sqrt(fit$weights))
}

penalised_factor <- function(fit) {
  Matrix::Cholesky(Matrix::tcrossprod(weighted_rows(fit)), LDL = FALSE, Imult = 1)
}

penalised_cross <- function(fit) {
  factor <- penalised_factor(fit)
  right <- as.matrix(weighted_rows(fit) %*% (fit$fixed$X * sqrt(fit$weights)))
  permuted <- Matrix::solve(factor, right, system = "P")
  matrix(as.vector(Matrix::solve(factor, permuted, system = "L")), nrow(right),
         dimnames = list(NULL, colnames(fit$fixed$X)))
}

deviance_components <- function(fit) {
  n <- nobs(fit)
  p <- length(fit$coefficients)
  at <- engine_fixed(fit$engine, unname(fit$theta))
  wrss <- sum(fit$weights * (fit$y - frame_fitted(fit))^2)
  criterion <- unname(fit$opt$criterion)
  list(
    cmp = c(ldL2 = at$logdet, ldRX2 = at$logdet_x, wrss = wrss, ussq = at$s - wrss,
            pwrss = at$s, drsum = NA, REML = if (fit$REML) criterion else NA,
            dev = if (fit$REML) NA else criterion, sigmaML = sqrt(at$s / n),
            sigmaREML = sqrt(at$s / (n - p))),
    dims = c(N = n, n = n, p = p, nmp = n - p, q = sum(n_effects(fit)),
             nth = length(fit$theta), useSc = 1L, reTrms = length(fit$random), spFe = 0L,
             REML = if (fit$REML) p else 0L, GLMM = 0L, NLMM = 0L)
  )
}
