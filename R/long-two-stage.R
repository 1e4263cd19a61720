#' Two-stage analysis of longitudinal data
#'
#' A regression for each subject, then a regression of the subjects' coefficients on what
#' is known of the subjects; beside it the mixed model that does both at once.
#'
#' @details
#' First stage: y_i = Z_i b_i + e_i for each subject by least squares, with a residual
#' variance sigma2 that is pooled over subjects: the covariance of the estimate given the
#' subject is C_i = sigma2 (Z_i'Z_i)^-1. Second stage: b_i = W_i beta + u_i with
#' Var(u_i) = D, W_i made of the covariates of `second`.
#'
#' The unweighted second stage is the multivariate regression of the estimates, each subject
#' counting the same; with S their residual covariance, D by the method of moments is
#' S minus the mean of the C_i (weighted by the residual share of each subject, which makes
#' it unbiased; equal weights in balanced data). It may be indefinite, which is said. The
#' weighted one is generalised least squares with V_i = D + C_i, D by REML or ML of the
#' estimates b_i, or by moments.
#'
#' The single stage is `lmmfit()` of y_i = Z_i W_i beta + Z_i u_i + e_i. In balanced data
#' the fixed effects are the same by all three; elsewhere the two stages lose something:
#' subjects with too few records for a regression of their own, which the mixed model uses,
#' and the precision of sigma2, taken as known in the second stage.
#'
#' @param formula (`formula`) response ~ regression within a subject | subject, such as
#'   `y ~ time + I(time^2) | id`.
#' @param data (`data.frame`, `list` or `environment`) where the variables are; by default
#'   where the formula was made.
#' @param second (`formula`) one-sided: covariates that are constant within subjects. By
#'   default only means.
#' @param weighted (`logical(1)`) whether `coef()`, `vcov()` and `summary()` are those of
#'   the weighted second stage (the default, as subjects differ in what they tell) or of the
#'   unweighted one. Both are in the comparison.
#' @param method how to estimate D for the weighted one: `"REML"`, `"ML"` or `"moments"`,
#'   the part of it that is positive semi-definite.
#' @param single (`logical(1)`) fit the single stage, too: by REML, or by ML if that is the
#'   `method`.
#' @param subset,na.action as for [lmmfit()].
#' @param ... not used; anything here is an error.
#' @return An object of class `two_stage`: a list with
#'   \item{subjects}{data frame: `subject`, `records`, `used`, and the k coefficients of the
#'     first stage, NA for subjects left out}
#'   \item{sigma2, df}{pooled residual variance of the first stage and its degrees of freedom}
#'   \item{unweighted, weighted}{the second stages: lists with `coefficients` (k c), `vcov`,
#'     `D` (k x k) and `effects`, predicted coefficients of the subjects}
#'   \item{single}{the fit of [lmmfit()]; `NULL` if it failed, `failure` says why}
#'   \item{comparison}{data frame: a row for each coefficient; `unweighted`, `weighted`,
#'     `single` and their standard errors, `se_...`. Where R codes the factors of the single
#'     stage by other columns, `single` has its estimates of these. `as.data.frame()` returns
#'     it}
#'   \item{components}{the same of sigma2 and the elements of D}
#'
#'   Subjects with fewer records than coefficients, or with dependent columns, are left out
#'   of the two stages with a message that names them. Covariates of the second stage that
#'   vary within a subject, no subject with records to spare, and fewer subjects than
#'   covariates are errors.
#' @references
#' Laird NM, Ware JH (1982). Random-effects models for longitudinal data. Biometrics 38,
#' 963-974. \doi{10.2307/2529876}
#'
#' Swamy PAVB (1970). Efficient inference in a random coefficient regression model.
#' Econometrica 38, 311-323. \doi{10.2307/1913012}
#' @examples
#' growth <- two_stage(distance ~ age | Subject, nlme::Orthodont, second = ~ Sex)
#' growth
#' summary(growth)
#' plot(growth)
#' plot(growth, "coefficients")
#' @export
two_stage <- function(formula, data = NULL, second = ~ 1, weighted = TRUE,
                      method = c("REML", "ML", "moments"), single = TRUE, subset, na.action,
                      ...) {
  if (...length() > 0L) rlang::check_dots_empty()
  call <- match.call()
  here <- rlang::current_env()
  if (missing(formula)) abort_argument("formula", "given", "missing", here)
  check_flag(weighted)
  method <- check_choice(method, c("REML", "ML", "moments"))
  check_flag(single)
  model <- two_stage_model(formula, second, data, call, parent.frame(), here)
  first <- first_stage(model, here)
  stages <- second_stage(model, first, method)
  out <- c(list(call = call, formula = formula, second = second, choice = weighted,
                method = method), first[c("subjects", "sigma2", "df")], stages,
           list(names = model$names, frame = model$frame$frame, y = model$y, Z = model$Z,
                W = model$W, factor = model$factor, terms = model$first_terms,
                na.action = attr(model$frame$frame, "na.action")))
  if (single) out <- c(out, single_stage(model, call, data, method != "ML", parent.frame()))
  out$comparison <- compare_stages(out)
  out$components <- stage_components(out)
  structure(out, class = "two_stage")
}

# list(y, Z, W (a row for each subject), factor, names (k x c), ...).
two_stage_model <- function(formula, second, data, mf_call, env, call) {
  if (!inherits(formula, "formula") || length(formula) != 3L ||
        !is.call(formula[[3L]]) || !identical(formula[[3L]][[1L]], quote(`|`))) {
    found <- if (inherits(formula, "formula")) deparse1(formula) else describe(formula)
    abort_argument("formula", "a formula such as y ~ time | subject", found, call)
  }
  if (!inherits(second, "formula") || length(second) != 2L) {
    found <- if (inherits(second, "formula")) deparse1(second) else describe(second)
    abort_argument("second", "a one-sided formula such as ~ group", found, call)
  }
  check_data(data, call)
  group <- formula[[3L]][[3L]]
  fixed <- formula
  fixed[[3L]] <- formula[[3L]][[2L]]
  all <- fixed
  all[[3L]] <- call("+", call("+", call("(", fixed[[3L]]), call("(", second[[2L]])),
                    call("(", group))
  frame <- one_response(model_frame(list(all = all, fixed = fixed), mf_call, data, env, call),
                        call)
  first_terms <- frame_terms(fixed, frame$frame)
  side <- second
  environment(side) <- environment(fixed)
  second_terms <- frame_terms(side, frame$frame)
  Z <- design_matrix(first_terms, frame$frame, NULL, "regressions of the subjects", call)$X
  factor <- eval_group(group, frame$frame, call)
  if (anyNA(factor)) abort_group_missing(as_text(group), sum(is.na(factor)), call)
  # made of all rows, so that what varies within a subject is seen
  W <- design_matrix(second_terms, frame$frame, NULL, "second stage", call)$X
  W <- one_row_each(W, factor, as_text(group), call)
  if (ncol(Z) == 0L || ncol(W) == 0L) {
    abort_stage_columns(if (ncol(Z) == 0L) "formula" else "second", call)
  }
  list(y = frame$y - frame$offset, Z = Z, W = W, factor = factor, frame = frame,
       fixed = fixed, group = group, first_terms = first_terms, second_terms = second_terms,
       names = outer(colnames(Z), colnames(W), Vectorize(product_name)))
}

# The name of the product of two columns of a design.
product_name <- function(a, b) {
  if (a == "(Intercept)") return(b)
  if (b == "(Intercept)") a else paste(a, b, sep = ":")
}

one_row_each <- function(W, factor, group, call) {
  first <- match(levels(factor), as.character(factor))
  rows <- W[first, , drop = FALSE]
  rownames(rows) <- levels(factor)
  differs <- abs(W - rows[as.integer(factor), , drop = FALSE])
  bad <- rowSums(differs > 1e-10 * rep(apply(abs(W), 2L, max), each = nrow(W))) > 0
  if (any(bad)) {
    columns <- colnames(W)[colSums(differs[bad, , drop = FALSE]) > 0]
    abort_varying_covariate(columns, unique(as.character(factor[bad])), group, call)
  }
  rows
}

# Least squares for each subject: B (subjects x k), the inverses of Z'Z, the pooled variance.
first_stage <- function(model, call) {
  k <- ncol(model$Z)
  rows <- split(seq_along(model$y), model$factor)
  fits <- lapply(rows, function(at) {
    if (length(at) < k) return(NULL)
    Z <- model$Z[at, , drop = FALSE]
    decomposition <- qr(Z, tol = 1e-9)
    if (decomposition$rank < k) return(NULL)
    b <- qr.coef(decomposition, model$y[at])
    inner <- order(decomposition$pivot)
    list(b = b, inverse = chol2inv(qr.R(decomposition))[inner, inner, drop = FALSE],
         rss = sum((model$y[at] - Z %*% b)^2), df = length(at) - k)
  })
  used <- !vapply(fits, is.null, NA)
  if (!all(used)) inform_short_subjects(names(rows)[!used], k, length(rows))
  if (sum(used) < ncol(model$W) + 1L) {
    abort_few_subjects(sum(used), ncol(model$W), call)
  }
  df <- sum(vapply(fits[used], `[[`, 0L, "df"))
  if (df == 0L) abort_no_spare_records(k, call)
  sigma2 <- sum(vapply(fits[used], `[[`, 0, "rss")) / df
  B <- do.call(rbind, lapply(fits[used], `[[`, "b"))
  colnames(B) <- colnames(model$Z)
  table <- matrix(NA_real_, length(rows), k, dimnames = list(NULL, colnames(B)))
  table[used, ] <- B
  list(subjects = data.frame(subject = names(rows), records = lengths(rows, FALSE),
                             used = unname(used), table, check.names = FALSE),
       used = used, sigma2 = sigma2, df = df, B = B,
       C = lapply(fits[used], function(fit) sigma2 * fit$inverse))
}

# Both regressions of the coefficients.
second_stage <- function(model, first, method) {
  W <- model$W[first$used, , drop = FALSE]
  kept <- independent_columns(W, 1e-7)
  if (length(kept) < ncol(W)) abort_second_rank(colnames(W)[-kept], rlang::caller_env())
  names <- as.vector(t(model$names))
  labels <- colnames(first$B)
  residual_df <- nrow(W) - ncol(W)
  fit <- qr(W)
  S <- crossprod(qr.resid(fit, first$B)) / residual_df
  share <- 1 - rowSums(qr.Q(fit)^2)
  moments <- S - Reduce(`+`, Map(`*`, first$C, share)) / residual_df
  gamma <- matrix(qr.coef(fit, first$B), ncol(W))
  plain <- list(coefficients = stats::setNames(as.vector(gamma), names),
                vcov = kronecker(S, chol2inv(qr.R(fit))), D = moments,
                indefinite = !is_semidefinite(moments))
  D <- nearest_semidefinite(moments)
  if (method != "moments") D <- estimate_between(first$B, first$C, W, D, method == "REML")
  at <- between_gls(first$B, first$C, W, D)
  weighted <- list(coefficients = stats::setNames(at$beta, names), vcov = at$Q, D = D)
  finish <- function(stage) {
    dimnames(stage$vcov) <- list(names, names)
    dimnames(stage$D) <- list(labels, labels)
    stage$effects <- shrink_coefficients(first$B, first$C, W, stage)
    stage
  }
  list(unweighted = finish(plain), weighted = finish(weighted), second_df = residual_df)
}

is_semidefinite <- function(A) {
  values <- eigen(A, symmetric = TRUE, only.values = TRUE)$values
  min(values) >= -1e-10 * max(abs(values))
}

# In the metric of the diagonal, so that units do not matter.
nearest_semidefinite <- function(A) {
  scale <- sqrt(pmax(abs(diag(A)), .Machine$double.xmin))
  e <- eigen(A / tcrossprod(scale), symmetric = TRUE)
  e$vectors %*% (pmax(e$values, 0) * t(e$vectors)) * tcrossprod(scale)
}

# Generalised least squares of the rows of B with V_i = D + C_i; `deviance` is -2 log of the
# (restricted) likelihood, `slope` its derivative in D.
between_gls <- function(B, C, W, D, REML = TRUE, slope = FALSE) {
  k <- ncol(B)
  c <- ncol(W)
  A <- matrix(0, k * c, k * c)
  rhs <- numeric(k * c)
  inverses <- vector("list", nrow(B))
  logdet <- 0
  for (i in seq_len(nrow(B))) {
    root <- chol(D + C[[i]])
    inverses[[i]] <- chol2inv(root)
    logdet <- logdet + 2 * sum(log(diag(root)))
    A <- A + kronecker(inverses[[i]], tcrossprod(W[i, ]))
    rhs <- rhs + kronecker(drop(inverses[[i]] %*% B[i, ]), W[i, ])
  }
  root <- chol(A)
  Q <- chol2inv(root)
  beta <- drop(Q %*% rhs)
  R <- B - W %*% matrix(beta, c)
  if (REML) logdet <- logdet + 2 * sum(log(diag(root)))
  weighted <- t(vapply(seq_len(nrow(B)), function(i) drop(inverses[[i]] %*% R[i, ]),
                       numeric(k)))
  if (k == 1L) weighted <- t(weighted)
  out <- list(beta = beta, Q = Q, deviance = logdet + sum(weighted * R))
  if (slope) {
    M <- -crossprod(weighted)
    for (i in seq_len(nrow(B))) {
      inverse <- inverses[[i]]
      M <- M + inverse
      if (REML) {
        half <- kronecker(diag(k), W[i, ])
        M <- M - inverse %*% crossprod(half, Q %*% half) %*% inverse
      }
    }
    out$slope <- M
  }
  out
}

# D by ML or REML of the rows of B, as T T', T lower triangular, on the scale of their
# standard deviations.
estimate_between <- function(B, C, W, start, REML) {
  scale <- pmax(apply(B, 2L, stats::sd), sqrt(.Machine$double.xmin))
  B <- B / rep(scale, each = nrow(B))
  C <- lapply(C, function(x) x / tcrossprod(scale))
  k <- ncol(B)
  # inside, where every direction has a slope
  start <- start / tcrossprod(scale) + diag(1e-3, k)
  lower <- lower.tri(start, diag = TRUE)
  factor_of <- function(theta) replace(matrix(0, k, k), lower, theta)
  value <- function(theta) {
    between_gls(B, C, W, tcrossprod(factor_of(theta)), REML)$deviance
  }
  gradient <- function(theta) {
    root <- factor_of(theta)
    (2 * between_gls(B, C, W, tcrossprod(root), REML, TRUE)$slope %*% root)[lower]
  }
  # without it the search ends where the deviance is flat to rounding
  hessian <- function(theta) {
    at <- gradient(theta)
    H <- vapply(seq_along(theta), function(j) {
      h <- 1e-5 * max(abs(theta[[j]]), 0.01)
      (gradient(replace(theta, j, theta[[j]] + h)) - at) / h
    }, at)
    (H + t(H)) / 2
  }
  best <- stats::nlminb(t(chol(start))[lower], value, gradient, hessian,
                        control = list(rel.tol = 1e-14, x.tol = 1e-10, iter.max = 200L))
  D <- tcrossprod(factor_of(best$par))
  D[abs(D) < 1e-12] <- 0
  D * tcrossprod(scale)
}

# Predicted coefficients of each subject: between its own and those of its like.
shrink_coefficients <- function(B, C, W, stage) {
  D <- nearest_semidefinite(stage$D)
  means <- W %*% matrix(stage$coefficients, ncol(W))
  out <- B
  for (i in seq_len(nrow(B))) {
    out[i, ] <- means[i, ] + D %*% solve(D + C[[i]], B[i, ] - means[i, ], tol = 0)
  }
  out
}

# The mixed model of all records: list(single), or list(failure).
single_stage <- function(model, call, data, REML, env) {
  a <- attributes(model$first_terms)
  b <- attributes(model$second_terms)
  products <- as.vector(outer(a$term.labels, b$term.labels, paste, sep = ":"))
  terms <- c(if (a$intercept && b$intercept) "1" else "0",
             if (b$intercept) a$term.labels, if (a$intercept) b$term.labels,
             if (length(a$term.labels) > 0L && length(b$term.labels) > 0L) products,
             vapply(as.list(a$variables)[-1L][a$offset], as_text, ""))
  formula <- model$fixed
  fixed <- str2lang(paste(terms, collapse = " + "))
  slopes <- paste(c(if (a$intercept) "1" else "0", a$term.labels), collapse = " + ")
  random <- call("(", call("|", str2lang(slopes), model$group))
  formula[[3L]] <- call("+", fixed, random)
  wanted <- as.list(call)[intersect(c("subset", "na.action"), names(call))]
  fit <- tryCatch(
    eval(as.call(c(list(lmmfit, formula, data = data, REML = REML), wanted)), env),
    kinlmm_error = function(e) e
  )
  if (inherits(fit, "condition")) {
    return(list(failure = cli::ansi_strip(conditionMessage(fit))))
  }
  fit$call <- as.call(c(list(quote(lmmfit), formula = formula, data = call$data), wanted,
                        if (!REML) list(REML = FALSE)))
  list(single = fit)
}

stage_methods <- function(x) {
  c("unweighted", "weighted", if (!is.null(x$single)) "single")
}

# Coefficients by one of the methods, of the products of columns of Z and W, and their
# covariance. In the single stage R may code the same products by other columns.
stage_estimates <- function(x, stage) {
  if (stage != "single") return(x[[stage]][c("coefficients", "vcov")])
  W <- x$W[as.integer(x$factor), , drop = FALSE]
  products <- do.call(cbind, lapply(seq_len(ncol(x$Z)), function(j) x$Z[, j] * W))
  map <- qr.coef(qr(products, tol = 1e-9), x$single$fixed$X)
  list(coefficients = drop(map %*% x$single$coefficients),
       vcov = map %*% tcrossprod(x$single$vcov, map))
}

compare_stages <- function(x) {
  out <- data.frame(coefficient = names(x$weighted$coefficients))
  for (stage in stage_methods(x)) {
    at <- stage_estimates(x, stage)
    out[[stage]] <- unname(at$coefficients)
    out[[paste0("se_", stage)]] <- unname(sqrt(pmax(diag(at$vcov), 0)))
  }
  out
}

# sigma2 and the lower triangle of D by each method.
stage_components <- function(x) {
  k <- ncol(x$Z)
  pairs <- lower_pairs(k)
  labels <- colnames(x$Z)
  names <- paste0(labels[pairs$row], ":", labels[pairs$col])
  names[pairs$row == pairs$col] <- labels[pairs$row[pairs$row == pairs$col]]
  out <- data.frame(component = c(paste0("D ", names), "sigma2"))
  for (stage in stage_methods(x)) {
    single <- stage == "single"
    D <- if (single) tcrossprod(term_factors(x$single$random, x$single$theta)[[1L]]) *
        x$single$sigma^2 else x[[stage]]$D
    out[[stage]] <- c(pack_lower(D), if (single) x$single$sigma^2 else x$sigma2)
  }
  out
}

chosen_stage <- function(x) if (x$choice) x$weighted else x$unweighted

#' @rdname two_stage
#' @param object,x what `two_stage()` returned.
#' @export
coef.two_stage <- function(object, ...) chosen_stage(object)$coefficients

#' @rdname two_stage
#' @export
vcov.two_stage <- function(object, ...) chosen_stage(object)$vcov

#' @rdname two_stage
#' @param row.names,optional not used.
#' @export
as.data.frame.two_stage <- function(x, row.names = NULL, optional = FALSE, ...) {
  x$comparison
}

print_two_stage_head <- function(x) {
  cat("Two-stage analysis ['two_stage']\n")
  cat("First stage:  ", deparse1(x$formula), "\n", sep = "")
  cat("Second stage: coefficients ", deparse1(x$second), "\n", sep = "")
  sizes <- range(x$subjects$records)
  cat(n_of(nrow(x$subjects), "subject"), ", ", n_of(length(x$y), "record"), ", ",
      if (diff(sizes) > 0L) paste(sizes[[1L]], "to "), sizes[[2L]], " each\n", sep = "")
  if (length(x$na.action) > 0L) cat("(", stats::naprint(x$na.action), ")\n", sep = "")
  lost <- x$subjects$subject[!x$subjects$used]
  if (length(lost) > 0L) {
    text <- paste("Too few records for a regression, in the single stage only:", some_of(lost))
    cat_wrapped(text, exdent = 2L)
  }
  cat("First stage: sigma2 = ", format(x$sigma2, digits = 5), ", pooled, ",
      n_of(x$df, "degree"), " of freedom\n", sep = "")
}

#' @rdname two_stage
#' @param digits significant digits.
#' @export
print.two_stage <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  print_two_stage_head(x)
  cat("\nFixed effects (standard errors):\n")
  stages <- stage_methods(x)
  cells <- lapply(stages, function(stage) {
    paste0(format(x$comparison[[stage]], digits = digits), " (",
           format(x$comparison[[paste0("se_", stage)]], digits = max(2L, digits - 1L)), ")")
  })
  print_stage_table(cells, x$comparison$coefficient, stages)
  cat("\nVariances between subjects (D) and within:\n")
  cells <- lapply(stages, function(stage) {
    vapply(x$components[[stage]], format, "", digits = digits)
  })
  print_stage_table(cells, x$components$component, stages)
  print_two_stage_notes(x)
  invisible(x)
}

print_stage_table <- function(cells, rows, stages) {
  titles <- c(unweighted = "two-stage", weighted = "two-stage, weighted",
              single = "single stage")
  table <- do.call(cbind, cells)
  dimnames(table) <- list(rows, titles[stages])
  print(noquote(table), right = TRUE)
}

print_two_stage_notes <- function(x) {
  how <- c(REML = "by REML of the first stage's coefficients",
           ML = "by ML of the first stage's coefficients", moments = "by moments")
  notes <- c(
    paste0("D: two-stage by moments; weighted ", how[[x$method]], if (!is.null(x$single)) {
      paste0("; single stage by ", if (x$single$REML) "REML" else "ML")
    }, "."),
    paste("Standard errors take variances as known; in the two stages sigma2 is that of the",
          "first stage."),
    if (x$unweighted$indefinite) {
      paste("D by moments is not positive semi-definite: less varies between subjects than",
            "their own errors explain.")
    }
  )
  cat("\n")
  cat_wrapped(notes, exdent = 2L)
  if (!is.null(x$failure)) {
    cat("The single stage could not be fitted:\n", x$failure, "\n", sep = "")
  }
}

#' @rdname two_stage
#' @export
summary.two_stage <- function(object, ...) {
  rlang::check_dots_empty()
  stage <- chosen_stage(object)
  se <- sqrt(diag(stage$vcov))
  t <- stage$coefficients / se
  table <- cbind(Estimate = stage$coefficients, `Std. Error` = se, `t value` = t,
                 `Pr(>|t|)` = 2 * stats::pt(-abs(t), object$second_df))
  structure(list(analysis = object, coefficients = table, df = object$second_df),
            class = "summary.two_stage")
}

#' @rdname two_stage
#' @export
print.summary.two_stage <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  print_two_stage_head(x$analysis)
  cat("\nSecond stage, ", if (!x$analysis$choice) "not ", "weighted:\n", sep = "")
  stats::printCoefmat(x$coefficients, digits = digits, signif.stars = FALSE)
  cat_wrapped(paste0("t tests on ", n_of(x$df, "degree"), " of freedom: subjects less",
                     " covariates", if (x$analysis$choice) "; approximate, D taken as known"))
  invisible(x)
}
