#' Genetic correlation of two traits
#'
#' The correlation of a random term of a [bivariate()] model, with its standard error, a
#' profile-likelihood interval, and likelihood-ratio tests of no and of perfect correlation.
#'
#' The standard error is by the delta method from the covariance of the variance estimates.
#' The interval holds every value that a likelihood-ratio test with the chi-square
#' distribution on one degree of freedom does not reject, all other parameters estimated
#' again; it ends at -1 or 1 where these are not rejected, and is to be preferred to the
#' standard error.
#'
#' The statistic of the test of |r| = 1 is zero with probability 1/2 where that is true, as
#' the estimate then lies on the boundary, and else chi-square on one degree of freedom: its
#' p-value is half of that distribution's. The test of r = 0 is on one degree of freedom.
#' Both take the variances of the term to be positive.
#'
#' Each value of the interval is a fit: together some 25, milliseconds where every record has
#' both traits, but minutes for thousands of records that have not.
#'
#' @param object a model fitted by [bivariate()].
#' @param term (`character(1)`) the random term, by its grouping factor as in
#'   `names(VarCorr(object))`, or `"Residual"`. By default the first with a relationship
#'   matrix, or the first.
#' @param level (`numeric(1)`) confidence level of the interval.
#' @param interval (`logical(1)`) whether to compute the interval; the tests come with it.
#' @param x what `genetic_correlation()` returned.
#' @param digits digits after the decimal point.
#' @param ... not used; anything here is an error.
#' @return An object of class `genetic_correlation`: a data frame with one row and the columns
#'   `term`, `estimate`, `se` (`NA` on a boundary), `lower`, `upper`, and the statistics
#'   and p-values of the two tests, `lrt_zero`, `p_zero`, `lrt_one`, `p_one`, `NA` without
#'   `interval`.
#' @references Self SG, Liang KY (1987). Asymptotic properties of maximum likelihood
#' estimators and likelihood ratio tests under nonstandard conditions. Journal of the
#' American Statistical Association 82, 605-610. \doi{10.1080/01621459.1987.10478472}
#' @examples
#' path <- system.file("extdata", package = "kinlmm")
#' mice <- read.csv(file.path(path, "mouse_pheno.csv"))
#' K <- grm(read_bed(file.path(path, "mouse")))
#' mice <- mice[complete.cases(mice), ]
#' fit <- bivariate(cbind(cd8, mch) ~ 1 + (1 | id), mice[1:300, ], list(id = K))
#' genetic_correlation(fit)
#' @export
genetic_correlation <- function(object, term = NULL, level = 0.95, interval = TRUE, ...) {
  rlang::check_dots_empty()
  here <- rlang::current_env()
  check_bivariate(object, here)
  level <- check_number(level, 0.001, 0.9999)
  check_flag(interval)
  label <- if (is.null(term)) genetic_term(object) else
    check_choice(term, names(object$covariances))
  check_correlation(object, label, here)
  own <- trait_parameters(object)
  own <- own[own$parameter == paste0("cor:", label), ]
  out <- data.frame(term = label, estimate = own$estimate, se = own$se, lower = NA_real_,
                    upper = NA_real_, lrt_zero = NA_real_, p_zero = NA_real_,
                    lrt_one = NA_real_, p_one = NA_real_)
  if (interval) {
    excess <- correlation_excess(object, label)
    ends <- c(excess(-1), excess(1))
    out[c("lower", "upper")] <- profile_limits(excess, own$estimate, ends, c(-1, 1), level)
    out$lrt_zero <- max(0, excess(0))
    out$p_zero <- stats::pchisq(out$lrt_zero, 1, lower.tail = FALSE)
    out$lrt_one <- max(0, min(ends))
    perfect <- out$lrt_one < 1e-8
    out$p_one <- if (perfect) 1 else stats::pchisq(out$lrt_one, 1, lower.tail = FALSE) / 2
  }
  structure(out, level = level, traits = object$traits, interval = interval,
            class = c("genetic_correlation", "data.frame"))
}

#' @rdname genetic_correlation
#' @export
print.genetic_correlation <- function(x, digits = 4L, ...) {
  show <- function(value) format(round(value, digits), nsmall = digits, trim = TRUE)
  what <- if (x$term == "Residual") "Residual correlation" else
    paste0("Correlation of the effects of ", x$term)
  cat(what, ": ", paste(attr(x, "traits"), collapse = ", "), "\n", sep = "")
  cat("  estimate ", show(x$estimate), ", ", if (is.na(x$se)) {
    "standard error not defined on the boundary"
  } else {
    paste0("standard error ", show(x$se))
  }, "\n", sep = "")
  if (!attr(x, "interval")) return(invisible(x))
  cat("  ", format(100 * attr(x, "level")), "% profile interval ", show(x$lower), " to ",
      show(x$upper), "\n", sep = "")
  test <- function(what, statistic, p, null) {
    cat("  ", what, "  likelihood ratio ", format(round(statistic, 2), nsmall = 2),
        ", p ", sub("^([^<])", "= \\1", format.pval(p, digits = 3)), " (", null, ")\n",
        sep = "")
  }
  test("r = 0  ", x$lrt_zero, x$p_zero, "chi-square, 1 df")
  test("|r| = 1", x$lrt_one, x$p_one, "1/2 zero, 1/2 chi-square, 1 df")
  invisible(x)
}

# Part of it is a table.
#' @export
`[.genetic_correlation` <- function(x, ...) plain_frame(x)[...]

#' @export
rbind.genetic_correlation <- function(..., deparse.level = 1) rbind_plain(...)

check_bivariate <- function(object, call) {
  if (!inherits(object, "bivariate")) {
    abort_argument("object", "a model fitted by bivariate()", describe(object), call)
  }
}

# The first term with a kernel, or the first.
genetic_term <- function(object) {
  kernels <- !vapply(object$random, function(term) is.null(term$kernel), NA)
  names(object$random)[[if (any(kernels)) which(kernels)[[1L]] else 1L]]
}

check_correlation <- function(object, label, call) {
  state <- object$boundary[[label]]
  if (grepl("zero", state)) abort_no_correlation(label, paste("the", state), call)
  if (grepl("not estimable", state)) {
    why <- if (label == "Residual") "no record has both traits" else
      "no two records with different traits share it"
    abort_no_correlation(label, why, call)
  }
}

# The criterion above its minimum, where the correlation of a term is r.
correlation_excess <- function(object, label) {
  t <- match(label, names(object$covariances))
  at <- 3L * t - 2:0
  seen <- profile_memory(trait_parameters(object), paste0("cor:", label))
  function(r) {
    M <- diag(length(object$opt$theta))
    M[at, at[[2L]]] <- c(0, r, sqrt(1 - r^2))
    profile_value(object$engine, object, M[, -at[[3L]], drop = FALSE], r, seen, at[1:2])
  }
}

# The same where trait a has the share h of its variance due to the only term.
share_excess <- function(object, a) {
  engine <- if (a == 1L) object$engine else swap_traits(object$engine)
  k <- object$k[[1L]] / engine$unit
  seen <- profile_memory(trait_parameters(object), paste0("h2:", object$traits[[a]]))
  function(h) {
    M <- diag(6L)
    M[, 1L] <- c(sqrt(h / k), 0, 0, sqrt(1 - h), 0, 0)
    profile_value(engine, object, M[, -4L], h, seen)
  }
}

# Where a profile was computed, and theta there: where each value is dear the next starts
# from the nearest.
profile_memory <- function(table, name) {
  seen <- new.env(parent = emptyenv())
  seen$x <- table$estimate[table$parameter == name]
  seen$theta <- list(NULL)
  seen
}

# The minimum over theta = M phi, above that of the fit; x: the value that M fixes;
# positive: see bivariate_optimise().
profile_value <- function(engine, object, M, x, seen, positive = integer()) {
  near <- seen$theta[[which.min(abs(seen$x - x))]]
  if (is.null(near)) near <- near_theta(object, engine)
  starts <- if (engine$name == "joint") matrix(near) else cbind(near, engine$starts)
  opt <- bivariate_optimise(engine, object$REML, object$control, M, unname(starts),
                            positive)
  if (opt$converged) {
    seen$x <- c(seen$x, x)
    seen$theta <- c(seen$theta, list(opt$theta))
  }
  opt$value + engine$constant[[1L]] + (if (object$REML) engine$constant[[2L]] else 0) -
    object$opt$criterion
}

# theta of the fit, or of its engine with the traits swapped, off any boundary.
near_theta <- function(object, engine) {
  V <- split_packed(object$psi / object$engine$units,
                    rep(2L, length(object$covariances)))
  order <- if (isTRUE(engine$swapped)) 2:1 else 1:2
  unlist(lapply(V, function(packed) {
    V <- unpack_lower(packed, TRUE)[order, order]
    pack_lower(t(chol(V + diag(0.001, 2L))))
  }), use.names = FALSE)
}

# The engine with the second trait first.
swap_traits <- function(engine) {
  data <- engine$data
  last <- ncol(data$Xy)
  if (engine$name == "paired") {
    order <- c(seq_len(last - 2L), last, last - 1L)
    data$Xy <- data$Xy[, order, drop = FALSE]
    data$within <- data$within[order, order, drop = FALSE]
  } else {
    n <- lengths(data$rows)
    rows <- c(n[[1L]] + seq_len(n[[2L]]), seq_len(n[[1L]]))
    p <- sum(colSums(data$Xy[seq_len(n[[1L]]), -last, drop = FALSE]^2) > 0)
    columns <- c(p + seq_len(last - 1L - p), seq_len(p), last)
    data$Xy <- data$Xy[rows, columns, drop = FALSE]
    data$rows <- rev(data$rows)
  }
  engine$data <- data
  engine$starts <- apply(engine$starts, 2L, function(theta) {
    unlist(lapply(split_packed(theta, rep(2L, length(theta) / 3L)), function(packed) {
      pack_lower(t(chol(tcrossprod(unpack_lower(packed))[2:1, 2:1])))
    }))
  })
  engine$swapped <- TRUE
  engine
}

# Where `excess`, zero at `estimate`, reaches the chi-square quantile on either side; the
# bounds where it does not, `ends` being its values there.
profile_limits <- function(excess, estimate, ends, bounds, level) {
  most <- stats::qchisq(level, 1)
  vapply(1:2, function(side) {
    if (ends[[side]] <= most || abs(estimate - bounds[[side]]) < 1e-9) return(bounds[[side]])
    # excess at the estimate is zero up to rounding
    f <- function(x) if (x == estimate) -most else excess(x) - most
    stats::uniroot(f, sort(c(estimate, bounds[[side]])), tol = 1e-6)$root
  }, numeric(1))
}

# Shares of the variance by term and trait, correlations by term, of the residuals and of
# the phenotypes, with standard errors by the delta method: parameter, estimate, se. The
# phenotypic variance counts a kernel by its mean diagonal, see heritability().
trait_parameters <- function(fit) {
  labels <- names(fit$covariances)
  psi <- unname(fit$psi)
  k <- c(fit$k, 1)
  total <- t(kronecker(k, diag(3L)))
  own <- lapply(seq_along(labels), function(t) {
    diag(length(psi))[3L * t - 2:0, , drop = FALSE]
  })
  rows <- list()
  for (t in seq_along(fit$random)) for (a in 1:2) {
    name <- paste0("h2:", if (length(fit$random) > 1L) paste0(labels[[t]], ":"),
                   fit$traits[[a]])
    e <- 2L * a - 1L
    rows[[name]] <- delta_share(k[[t]] * own[[t]][e, ], total[e, ], psi)
  }
  for (t in seq_along(labels)) {
    rows[[paste0("cor:", labels[[t]])]] <- delta_correlation(own[[t]], psi)
  }
  rows[["cor:phenotypic"]] <- delta_correlation(total, psi)
  se <- vapply(rows, function(row) {
    variance <- sum(row$gradient * (fit$psi_vcov %*% row$gradient))
    known <- is.finite(variance) && is.finite(row$value)
    if (known && variance > 1e-14 * row$value^2) sqrt(variance) else NA_real_
  }, numeric(1))
  held <- paste0("cor:", labels[fit$boundary == "covariance not estimable"])
  value <- vapply(rows, `[[`, numeric(1), "value")
  value[names(rows) %in% held] <- NA
  se[grepl("^cor:", names(rows)) & (is.na(value) | abs(value) > 1 - 1e-9)] <- NA
  # the sum holds what is not estimable too
  if (length(held) > 0L && any(held != "cor:")) value[["cor:phenotypic"]] <- NA
  se[is.na(value)] <- NA
  data.frame(parameter = names(rows), estimate = unname(value), se = unname(se))
}

# part'psi / whole'psi.
delta_share <- function(part, whole, psi) {
  sum <- sum(whole * psi)
  value <- sum(part * psi) / sum
  list(value = value, gradient = (part - value * whole) / sum)
}

# Of the covariance matrix with the elements 11, 21, 22 of L psi.
delta_correlation <- function(L, psi) {
  v <- drop(L %*% psi)
  if (v[[1L]] <= 0 || v[[3L]] <= 0) return(list(value = NA_real_, gradient = 0 * psi))
  root <- sqrt(v[[1L]] * v[[3L]])
  value <- v[[2L]] / root
  slope <- c(-value / (2 * v[[1L]]), 1 / root, -value / (2 * v[[3L]]))
  list(value = value, gradient = drop(crossprod(L, slope)))
}

#' @rdname bivariate-methods
#' @export
heritability.bivariate <- function(object, level = 0.95, ...) {
  rlang::check_dots_empty()
  level <- check_number(level, 0.001, 0.9999)
  all <- trait_parameters(object)
  all <- all[startsWith(all$parameter, "h2:"), ]
  terms <- length(object$random)
  out <- data.frame(term = rep(names(object$random), each = 2L),
                    trait = rep(object$traits, terms), estimate = all$estimate,
                    se = all$se)
  half <- stats::qnorm((1 + level) / 2) * out$se
  out$lower <- pmax(out$estimate - half, 0)
  out$upper <- pmin(out$estimate + half, 1)
  variances <- matrix(object$psi, 3L)[c(1L, 3L), ]
  residual <- variances[, terms + 1L]
  genetic <- variances[, seq_len(terms), drop = FALSE]
  out$raw <- as.vector(genetic / (rowSums(genetic) + residual))
  out$genetic <- as.vector(genetic)
  out$residual <- rep(residual, terms)
  out$k <- rep(unname(object$k), each = 2L)
  out$group <- rep(vapply(object$random, `[[`, "", "group"), each = 2L)
  # with several terms a share is no line through the factors
  if (terms == 1L) for (a in 1:2) {
    excess <- share_excess(object, a)
    top <- 1 - 1e-6
    ends <- c(excess(0), excess(top))
    at <- min(max(out$estimate[[a]], 0), top)
    limits <- profile_limits(excess, at, ends, c(0, top), level)
    out[a, c("lower", "upper")] <- replace(limits, limits == top, 1)
  }
  kernel <- !vapply(object$random, function(term) is.null(term$kernel), NA)
  structure(out, level = level, kernel = any(kernel),
            method = if (terms == 1L) "profile" else "wald",
            kernels = rep(unname(kernel), each = 2L), n = nobs(object), REML = object$REML,
            cases = trait_cases(object), class = c("heritability", "data.frame"))
}

# The shares of ones of the traits of zeros and ones, by name, else NULL.
trait_cases <- function(object) {
  unlist(lapply(stats::setNames(1:2, object$traits), function(a) {
    case_share(object$Y[object$observed[, a], a])
  }))
}

#' @rdname bivariate-methods
#' @export
confint.bivariate <- function(object, parm, level = 0.95, method = c("profile", "Wald"),
                              ...) {
  rlang::check_dots_empty()
  method <- check_choice(method, c("profile", "Wald"))
  level <- check_number(level, 0.001, 0.9999)
  table <- confint_table(object, method)
  wanted <- if (missing(parm)) table$parameter else {
    if (is.numeric(parm)) table$parameter[parm] else parm
  }
  unknown <- wanted[is.na(wanted) | !wanted %in% table$parameter]
  if (length(unknown) > 0L) abort_parameter(unknown, table$parameter, rlang::current_env())
  out <- matrix(NA_real_, length(wanted), 2L,
                dimnames = list(wanted, interval_names(level)))
  rows <- table[match(wanted, table$parameter), ]
  half <- stats::qnorm((1 + level) / 2) * rows$se
  out[] <- rows$estimate + cbind(-half, half)
  if (method == "Wald") return(out)
  for (name in wanted) out[name, ] <- profile_row(object, name, level)
  out
}

# What either method gives intervals of.
confint_table <- function(object, method) {
  derived <- trait_parameters(object)
  if (method == "profile") {
    known <- derived$parameter != "cor:phenotypic" & !is.na(derived$estimate) &
      (length(object$random) == 1L | !startsWith(derived$parameter, "h2:"))
    return(derived[known, ])
  }
  beta <- object$coefficients[!is.na(object$coefficients)]
  rbind(data.frame(parameter = rownames(object$vcov), estimate = unname(beta),
                   se = unname(sqrt(diag(object$vcov)))),
        data.frame(parameter = names(object$psi), estimate = unname(object$psi),
                   se = unname(psi_se(object))), derived)
}

profile_row <- function(object, name, level) {
  if (startsWith(name, "h2:")) {
    table <- heritability(object, level)
    return(unlist(table[match(name, paste0("h2:", object$traits)), c("lower", "upper")]))
  }
  label <- sub("^cor:", "", name)
  unlist(genetic_correlation(object, label, level)[c("lower", "upper")])
}

# Standard errors of psi, NA where a restriction fixes the element.
psi_se <- function(object) {
  variance <- diag(object$psi_vcov)
  replace(sqrt(pmax(variance, 0)), !is.na(variance) & variance <= 0, NA)
}
