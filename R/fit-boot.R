#' Parametric bootstrap
#'
#' Simulates responses from a fit, fits the same model to each, and collects a statistic.
#' Formula, model frame and design are set up once.
#'
#' @param object a model fitted by [lmmfit()] (`confint()`, `summary()`, `print()`: what
#'   `bootstrap()` returned).
#' @param FUN a function of a fit that returns a numeric vector. By default the parameters of
#'   [confint.lmmfit()]: standard deviations and correlations of the random effects, sigma,
#'   fixed effects.
#' @param nsim (`integer(1)`) how many responses.
#' @param seed,use.u,re.form as for [simulate()][simulate.lmmfit].
#' @param signames (`logical(1)`) names of the default parameters, as for
#'   [confint.lmmfit()].
#' @param parm (`character` or `integer`) which elements of the statistic; all by default.
#'   With the default `FUN` also `"theta_"` and `"beta_"`.
#' @param level (`numeric(1)`) confidence level.
#' @param type `"perc"`, `"basic"` or `"norm"`, see `boot.type` of [confint.lmmfit()].
#' @param x what `bootstrap()` returned.
#' @param digits significant digits.
#' @param ... not used; anything here is an error.
#' @return `bootstrap()`: an object of classes `bootstrap.lmmfit` and `boot`, as of
#'   'boot', whose `boot.ci()` takes it: a list with `t0`, the statistic of the fit; `t`
#'   (a row for each draw), `NA` where `FUN` failed; `R`, `data`, `seed`, `statistic`, `sim`,
#'   `call`, `mle` (theta, sigma, beta); and `problems`: how many fits were singular
#'   (which is not an error) or did not converge, and how often each message, warning or
#'   error came. `confint()`: a matrix as for a fit. `summary()`: a data frame of the
#'   estimate, its bootstrap bias, standard error and median, and the number of draws that
#'   gave a value.
#' @references Davison AC, Hinkley DV (1997). Bootstrap Methods and their Application.
#' Cambridge University Press, chapter 5.
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' draws <- bootstrap(fit, nsim = 50, seed = 1)
#' draws
#' confint(draws, "age")
#' @export
bootstrap <- function(object, ...) UseMethod("bootstrap")

#' @rdname bootstrap
#' @export
bootstrap.lmmfit <- function(object, FUN = NULL, nsim = 500, seed = NULL, use.u = FALSE,
                             re.form = if (use.u) NULL else NA, signames = TRUE, ...) {
  rlang::check_dots_empty()
  check_flag(use.u)
  nsim <- check_count(nsim)
  kept <- wanted_columns(object, re.form, rlang::current_env())
  if (!is.null(FUN)) check_function(FUN)
  statistic <- if (is.null(FUN)) default_statistic(object, check_flag(signames)) else FUN
  t0 <- unlist(statistic(object))
  if (!is.numeric(t0) || length(t0) == 0L) {
    abort_argument("FUN", "a function that returns numbers", paste(
      "one that returns", describe(t0)), rlang::current_env())
  }
  refit <- if (is.null(FUN)) default_refits else custom_refits
  draws <- with_seed(seed, bootstrap_draws(object, nsim, kept, function(Y) {
    refit(object, Y, statistic, length(t0))
  }))
  t <- draws$value$t
  dimnames(t) <- list(NULL, names(t0))
  parameters <- list(theta = object$theta, sigma = object$sigma,
                     beta = object$coefficients)
  structure(list(t0 = t0, t = t, R = nsim, data = object$frame, seed = draws$seed,
                 statistic = statistic, sim = "parametric", call = match.call(),
                 ran.gen = "simulate.lmmfit", mle = parameters,
                 problems = draws$value$problems,
                 labels = if (is.null(FUN)) parameter_names(object, signames)),
            class = c("bootstrap.lmmfit", "boot"))
}

check_function <- function(x, arg = rlang::caller_arg(x), call = rlang::caller_env()) {
  if (!is.function(x)) abort_argument(arg, "a function", describe(x), call)
  x
}

# Statistics of all draws, and their problems; responses by blocks that fit into memory.
bootstrap_draws <- function(object, nsim, kept, refit) {
  width <- max(1L, min(nsim, as.integer(2e7 / length(object$y))))
  starts <- seq(1L, nsim, by = width)
  parts <- with_progress("Bootstrap", nsim, function(tick) {
    lapply(starts, function(start) {
      count <- min(width, nsim - start + 1L)
      out <- refit(simulate_matrix(object, count, kept))
      tick(start + count - 1L, nsim)
      out
    })
  })
  said <- unlist(lapply(parts, `[[`, "said"))
  list(t = do.call(rbind, lapply(parts, `[[`, "t")),
       problems = list(singular = sum(unlist(lapply(parts, `[[`, "singular"))),
                       not_converged = sum(!unlist(lapply(parts, `[[`, "converged"))),
                       conditions = sort(table(said), decreasing = TRUE)))
}

default_statistic <- function(object, signames) {
  names <- unlist(parameter_names(object, signames), use.names = FALSE)
  random <- object$random
  function(fit) {
    stats::setNames(sdcor_values(random, unname(fit$theta), fit$sigma, fit$coefficients),
                    names)
  }
}

# The parameters of confint() from theta, sigma and the fixed effects.
sdcor_values <- function(random, theta, sigma, beta) {
  variance <- lapply(term_factors(random, theta * sigma), function(factor) {
    if (length(factor) == 1L) abs(factor[[1L]]) else packed_sdcor(tcrossprod(factor))
  })
  c(unlist(variance, use.names = FALSE), sigma, unname(beta))
}

default_refits <- function(object, Y, statistic, size) {
  fits <- refit_responses(object, Y)
  t <- vapply(seq_len(ncol(Y)), function(b) {
    sdcor_values(object$random, fits$theta[b, ], fits$sigma[[b]], fits$coefficients[b, ])
  }, numeric(size))
  list(t = t(matrix(t, size)), singular = fits$singular, converged = fits$converged)
}

custom_refits <- function(object, Y, statistic, size) {
  said <- character()
  note <- function(condition, restart) {
    text <- cli::ansi_strip(conditionMessage(condition))
    said <<- c(said, sub("\n.*", "", text))
    if (!is.null(restart)) invokeRestart(restart)
  }
  fits <- lapply(seq_len(ncol(Y)), function(b) {
    failed <- list(t = rep(NA_real_, size), singular = NA, converged = NA)
    tryCatch(withCallingHandlers({
      fit <- refit_one(object, Y[, b])
      t <- unlist(statistic(fit))
      if (!is.numeric(t) || length(t) != size) abort_statistic(size, describe(t))
      list(t = t, singular = fit$opt$singular, converged = fit$opt$converged)
    }, message = function(m) note(m, "muffleMessage"),
    warning = function(w) note(w, "muffleWarning")), error = function(e) {
      note(e, NULL)
      failed
    })
  })
  list(t = do.call(rbind, lapply(fits, `[[`, "t")), said = said,
       singular = stats::na.omit(vapply(fits, `[[`, NA, "singular")),
       converged = stats::na.omit(vapply(fits, `[[`, NA, "converged")))
}

#' @rdname bootstrap
#' @export
confint.bootstrap.lmmfit <- function(object, parm, level = 0.95,
                                     type = c("perc", "basic", "norm"), ...) {
  rlang::check_dots_empty()
  type <- check_choice(type, c("perc", "basic", "norm"))
  level <- check_number(level, 0.001, 0.9999)
  wanted <- statistic_places(object, if (missing(parm)) NULL else parm,
                             rlang::current_env())
  ends <- vapply(wanted, function(i) {
    bootstrap_interval(object$t0[[i]], object$t[, i], (1 + c(-level, level)) / 2, type)
  }, numeric(2))
  names <- names(object$t0)[wanted]
  structure(t(matrix(ends, 2L)), dimnames = list(names, interval_names(level)))
}

statistic_places <- function(object, parm, call) {
  names <- names(object$t0)
  places <- seq_along(object$t0)
  if (is.null(parm)) return(places)
  if (!is.null(object$labels)) {
    return(match(match_parameters(parm, object$labels, call), names))
  }
  known <- if (is.numeric(parm)) parm %in% places else parm %in% names
  if (!all(known)) {
    abort_parameter(parm[!known], if (is.null(names)) places else names, call)
  }
  if (is.numeric(parm)) parm else match(parm, names)
}

bootstrap_interval <- function(t0, t, at, type) {
  t <- sort(t[is.finite(t)])
  if (length(t) < 2L) return(c(NA_real_, NA_real_))
  if (type == "norm") {
    return(2 * t0 - mean(t) + stats::qnorm(at) * stats::sd(t))
  }
  if (type == "perc") return(order_quantile(t, at))
  2 * t0 - order_quantile(t, rev(at))
}

# Quantiles of R sorted values, the r-th being that of r / (R + 1); between them
# interpolated on the scale of normal quantiles (Davison and Hinkley 1997, equation 5.8).
order_quantile <- function(t, at) {
  R <- length(t)
  vapply(at, function(alpha) {
    r <- floor((R + 1) * alpha + 1e-10)
    if (r < 1) return(t[[1L]])
    if (r >= R) return(t[[R]])
    between <- stats::qnorm(c(alpha, r / (R + 1), (r + 1) / (R + 1)))
    share <- (between[[1L]] - between[[2L]]) / (between[[3L]] - between[[2L]])
    t[[r]] + max(share, 0) * (t[[r + 1L]] - t[[r]])
  }, numeric(1))
}

#' @rdname bootstrap
#' @export
summary.bootstrap.lmmfit <- function(object, ...) {
  rlang::check_dots_empty()
  of <- function(f) apply(object$t, 2L, function(t) f(t[is.finite(t)]))
  names <- names(object$t0)
  data.frame(estimate = unname(object$t0), bias = of(mean) - unname(object$t0),
             se = of(stats::sd), median = of(stats::median),
             values = colSums(is.finite(object$t)),
             row.names = if (is.null(names)) paste0("t", seq_along(object$t0)) else names)
}

#' @rdname bootstrap
#' @export
print.bootstrap.lmmfit <- function(x, digits = 4L, ...) {
  cat("Parametric bootstrap, ", n_of(x$R, "draw"), "\n\n", sep = "")
  table <- summary(x)
  shown <- if (all(table$values == x$R)) table[1:4] else table
  print(format(shown, digits = digits))
  problems <- x$problems
  if (problems$singular > 0) cat("\n", n_of(problems$singular, "singular fit"), "\n", sep = "")
  if (problems$not_converged > 0) {
    cat("\n", n_of(problems$not_converged, "fit"), " did not converge\n", sep = "")
  }
  for (text in names(problems$conditions)) {
    cat("\n", count(problems$conditions[[text]]), " x ", text, "\n", sep = "")
  }
  invisible(x)
}

#' @rdname bootstrap
#' @param row.names,optional not used.
#' @export
as.data.frame.bootstrap.lmmfit <- function(x, row.names = NULL, optional = FALSE, ...) {
  as.data.frame(x$t)
}
