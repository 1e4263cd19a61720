#' Estimable functions
#'
#' Which combinations L b of the coefficients are estimable, and their best linear unbiased
#' estimates (BLUE).
#'
#' A combination is estimable when it is one of the rows of X: then every solution of the
#' normal equations gives it the same value, and some combination of the records is unbiased
#' for it. All are, if the columns of X are independent. In a model with columns left out
#' by [lmmfit()], which its `dropped` names, L may have columns for these too.
#'
#' A row counts as estimable when its part outside the span of the rows of X, columns scaled
#' to equal length, is less than 1e-7 of it.
#'
#' @param object a fit by [blue()], [mme()] or [lmmfit()].
#' @param L the combinations: a matrix (rows x p) whose columns are in the order of the
#'   coefficients, or have their names, those not there being zero; a numeric vector, which
#'   is one row; or text such as `"groupB - groupA"` or `"(a + b) / 2"`, one or several,
#'   named if you like. Names of coefficients that R could not read alone stand in backticks:
#'   `` "`(Intercept)` + groupB" ``.
#' @param strict (`logical(1)`) an error if a row is not estimable; by default its estimate
#'   is NA, and a message names it.
#' @param ddf for a model of [lmmfit()]: how to find degrees of freedom, see [contest()].
#' @param ... not used; anything here is an error.
#' @return A data frame of class `estimable` with a row for each of `L`: `estimable`,
#'   `Estimate`, `Std. Error` (NA for equations made with `pev = FALSE`), `df` (Inf where
#'   sigma2 is known), `t value` and `Pr(>|t|)`;
#'   its attribute `L` is the matrix.
#' @references Searle SR (1971). Linear Models. Wiley, New York.
#' @examples
#' flowering <- data.frame(days = c(3.4, 3.7, 3.2, 2.9, 2.5, 3.1, 2.6),
#'                         genotype = rep(c("qq", "Qq", "QQ"), c(3, 2, 2)))
#' fit <- blue(days ~ genotype, flowering, full = TRUE)
#' estimable(fit, c(additive = "(genotypeQQ - genotypeqq) / 2",
#'                  dominance = "genotypeQq - (genotypeQQ + genotypeqq) / 2",
#'                  alone = "genotypeQQ"))
#' @export
estimable <- function(object, L, ...) {
  if (missing(object)) abort_argument("object", "given", "missing", rlang::current_env())
  if (missing(L)) abort_argument("L", "given", "missing", rlang::current_env())
  UseMethod("estimable")
}

#' @rdname estimable
#' @export
estimable.blue <- function(object, L, strict = FALSE, ...) {
  rlang::check_dots_empty()
  check_flag(strict)
  L <- check_functions(L, colnames(object$X), rlang::current_env())
  known <- known_functions(L, object$X, strict, rlang::current_env())
  df <- if (object$known) Inf else object$df
  estimable_table(L, known, object$coefficients, object$vcov, df)
}

#' @rdname estimable
#' @export
estimable.mme <- function(object, L, strict = FALSE, ...) {
  rlang::check_dots_empty()
  check_flag(strict)
  L <- check_functions(L, colnames(object$X), rlang::current_env())
  known <- known_functions(L, object$X, strict, rlang::current_env())
  estimable_table(L, known, object$beta, known_vcov(object), Inf)
}

#' @rdname estimable
#' @export
estimable.lmmfit <- function(object, L, strict = FALSE,
                             ddf = c("Satterthwaite", "Kenward-Roger"), ...) {
  rlang::check_dots_empty()
  here <- rlang::current_env()
  check_flag(strict)
  ddf <- check_ddf(ddf, here, c("Satterthwaite", "Kenward-Roger"))
  X <- all_columns_design(object, here)
  L <- check_functions(L, colnames(X), here)
  known <- known_functions(L, X, strict, here)
  out <- estimable_table(L, known, numeric(ncol(X)), matrix(0, ncol(X), ncol(X)), NA)
  out[known, "Estimate"] <- NA
  if (!any(known)) return(out)
  kept <- names(object$coefficients)
  tests <- contest(object, L[known, kept, drop = FALSE], joint = FALSE, confint = FALSE,
                   ddf = ddf)
  out[known, -1L] <- tests[names(out)[-1L]]
  out
}

#' @export
estimable.default <- function(object, L, ...) {
  abort_argument("object", "a fit by blue(), mme() or lmmfit()", describe(object),
                 rlang::current_env())
}

# X with the columns that model_fixed() left out.
all_columns_design <- function(object, call) {
  if (length(object$dropped) == 0L) return(object$fixed$X)
  design_matrix(object$fixed$terms, object$frame, object$fixed$contrasts, "fixed effects",
                call)$X
}

# An orthonormal basis of the rows of X, with its columns scaled to length one: list(basis,
# p x r, scale, p).
row_space <- function(X) {
  scale <- sqrt(colSums(X^2))
  scale[scale == 0] <- 1
  X <- X / rep(scale, each = nrow(X))
  decomposition <- qr(X, tol = 1e-7)
  R <- qr.R(decomposition)[seq_len(decomposition$rank), order(decomposition$pivot),
                           drop = FALSE]
  list(basis = qr.Q(qr(t(R), tol = 0)), scale = scale)
}

# Which rows of L are estimable.
estimable_rows <- function(L, space) {
  scaled <- L / rep(space$scale, each = nrow(L))
  outside <- scaled - tcrossprod(scaled %*% space$basis, space$basis)
  out <- rowSums(outside^2) <= 1e-14 * rowSums(scaled^2)
  out[is.na(out)] <- FALSE
  unname(out)
}

known_functions <- function(L, X, strict, call) {
  known <- estimable_rows(L, row_space(X))
  if (all(known)) return(known)
  lost <- rownames(L)[!known]
  if (strict) abort_not_estimable(lost, nrow(L), call)
  inform_not_estimable(lost, "function")
  known
}

estimable_table <- function(L, known, b, vcov, df) {
  value <- drop(L %*% b)
  se <- sqrt(pmax(rowSums((L %*% vcov) * L), 0))
  value[!known] <- se[!known] <- NA
  t <- value / se
  p <- 2 * if (isTRUE(df > 0)) stats::pt(-abs(t), df) else NA_real_ * t
  out <- data.frame(estimable = known, Estimate = value, `Std. Error` = se,
                    df = replace(rep(df, length(t)), !known, NA), `t value` = t,
                    `Pr(>|t|)` = p, check.names = FALSE)
  rownames(out) <- rownames(L)
  structure(out, L = L, class = c("estimable", "data.frame"))
}

#' @rdname estimable
#' @param x what `estimable()` returned.
#' @param digits significant digits.
#' @export
print.estimable <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  lost <- sum(!x$estimable)
  cat("Linear functions of the coefficients: ", count(nrow(x) - lost), " of ",
      count(nrow(x)), " estimable\n\n", sep = "")
  table <- as.matrix(as.data.frame(unclass(x)[-1L], check.names = FALSE))
  rownames(table) <- paste0(rownames(x), c("", " (not estimable)")[1L + !x$estimable])
  if (all(is.na(table))) {
    cat(rownames(table), sep = "\n")
  } else {
    stats::printCoefmat(table, digits = digits, na.print = "", signif.stars = FALSE,
                        cs.ind = 1:2, tst.ind = 4L, has.Pvalue = TRUE, P.values = TRUE)
  }
  invisible(x)
}

# L as a matrix with all columns, rows named.
check_functions <- function(L, names, call) {
  if (is.character(L) && length(L) > 0L) return(parse_functions(L, names, call))
  if (is.data.frame(L)) L <- as.matrix(L)
  if (!is.numeric(L) || length(dim(L)) > 2L) {
    abort_contrast("be numeric or text", paste("It is", describe(L)), call)
  }
  if (!is.matrix(L)) L <- matrix(L, 1L, dimnames = list(NULL, base::names(L)))
  if (any(!is.finite(L))) {
    abort_contrast("be finite", paste("It has", n_of(sum(!is.finite(L)), "other value")),
                   call)
  }
  if (is.null(colnames(L))) {
    if (ncol(L) != length(names)) {
      abort_contrast(paste0("have a column for each of the ",
                            n_of(length(names), "coefficient"), ", or names"),
                     paste("It has", count(ncol(L))), call)
    }
  } else {
    unknown <- setdiff(colnames(L), names)
    if (length(unknown) > 0L) abort_coefficients(unknown, names, call)
    twice <- unique(colnames(L)[duplicated(colnames(L))])
    if (length(twice) > 0L) {
      abort_contrast("have one column for a coefficient", paste("Repeated:", some_of(twice)),
                     call)
    }
    whole <- matrix(0, nrow(L), length(names))
    whole[, match(colnames(L), names)] <- L
    rownames(whole) <- rownames(L)
    L <- whole
  }
  colnames(L) <- names
  if (is.null(rownames(L))) rownames(L) <- function_labels(L)
  L
}

# "groupB - groupA" for rows without names.
function_labels <- function(L) {
  vapply(seq_len(nrow(L)), function(i) {
    at <- which(L[i, ] != 0)
    if (length(at) == 0L || length(at) > 6L) return(paste("row", i))
    value <- L[i, at]
    size <- format(signif(abs(value), 4), trim = TRUE, drop0trailing = TRUE)
    sign <- c("+ ", "- ")[1L + (value < 0)]
    text <- paste0(sign, vapply(seq_along(at), function(j) {
      if (abs(value[[j]]) == 1) "" else paste0(size[[j]], " ")
    }, character(1)), colnames(L)[at])
    sub("^- ", "-", sub("^\\+ ", "", paste(text, collapse = " ")))
  }, character(1))
}

# Sums, differences and multiples of coefficients: each stands for a unit vector.
parse_functions <- function(L, names, call) {
  units <- lapply(seq_along(names), function(i) as.double(seq_along(names) == i))
  units <- stats::setNames(units, names)
  rows <- lapply(L, function(text) parse_function(text, units, call))
  labels <- if (is.null(base::names(L))) L else base::names(L)
  labels[!nzchar(labels)] <- L[!nzchar(labels)]
  matrix(unlist(rows), length(L), byrow = TRUE, dimnames = list(labels, names))
}

parse_function <- function(text, units, call) {
  expr <- tryCatch(str2lang(text), error = function(e) abort_function(text, call))
  unknown <- setdiff(all.vars(expr), names(units))
  if (length(unknown) > 0L) abort_coefficients(unknown, names(units), call)
  width <- length(units[[1L]])
  linear <- function(e) {
    if (is.numeric(e)) return(list(constant = TRUE, value = e))
    if (is.symbol(e)) return(list(constant = FALSE, value = units[[as.character(e)]]))
    name <- as_text(e[[1L]])
    parts <- lapply(as.list(e)[-1L], linear)
    constant <- vapply(parts, `[[`, NA, "constant")
    two <- length(parts) == 2L
    good <- switch(name, `(` = !two, `+` = , `-` = all(constant) || !any(constant),
                   `*` = two && any(constant), `/` = two && constant[[2L]], FALSE)
    if (!good) abort_function(text, call)
    value <- do.call(name, lapply(parts, `[[`, "value"))
    list(constant = all(constant), value = value)
  }
  out <- linear(expr)
  if (out$constant || length(out$value) != width || any(!is.finite(out$value))) {
    abort_function(text, call)
  }
  out$value
}
