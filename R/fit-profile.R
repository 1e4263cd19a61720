#' Likelihood profiles
#'
#' Each parameter is fixed at a series of values, and the likelihood (ML, also for a REML
#' fit) maximised over all others. zeta is the signed square root of twice the loss of
#' log-likelihood: a straight line where the likelihood is quadratic, standard normal as
#' far as the theory of large samples goes.
#'
#' The optimum over the other parameters is found by Newton's method on exact derivatives,
#' in which the fixed effects are profiled analytically; no evaluation depends on the number
#' of records. Singular covariance matrices are reached exactly. With a relationship matrix
#' on the only random intercept, and a fixed one, the likelihood is that of the data free of
#' the intercept (n - 1 contrasts), as that of all data depends on the origin of the matrix;
#' the intercept itself then has the straight line of its Wald interval.
#'
#' @param fitted a model fitted by [lmmfit()].
#' @param which (`character` or `integer`) parameters to profile, as `parm` of
#'   [confint.lmmfit()]; all by default.
#' @param alphamax (`numeric(1)`) the profiles go as far as a joint confidence region of
#'   all parameters at level 1 - `alphamax`, or to the bound of the parameter.
#' @param prof.scale `"sdcor"`: standard deviations and correlations; `"varcov"`: variances
#'   and covariances.
#' @param delta (`numeric(1)`) distance of the points in zeta, about.
#' @param signames (`logical(1)`) lme4's short names `.sig01`, ..., `.sigma`, or speaking
#'   ones. The order is that of the terms in the formula; lme4 sorts them by the number of
#'   levels.
#' @param object,x a profile.
#' @param parm,level as for [confint.lmmfit()].
#' @param row.names,optional not used.
#' @param digits significant digits.
#' @param ... not used; anything here is an error.
#' @return `profile()`: a data frame of class `profile.lmmfit` with the columns `.zeta`, one
#'   for each parameter, and `.par`, which of them was fixed; with the attributes
#'   `estimates` and `bounds` (the values that each parameter may have, 2 x parameters).
#'   `as.data.frame()` adds `.focal`, the value of the fixed parameter. `confint()`: as for a
#'   fit, from cubics between the points with their exact slopes (that of the fit itself
#'   takes no interpolation); `NA` where the profile does not reach far enough.
#'   `summary()`: a data frame of estimates and 95% intervals. For `plot()` see
#'   [plot.profile.lmmfit()].
#' @references Bates D, Maechler M, Bolker B, Walker S (2015). Fitting linear mixed-effects
#' models using lme4. Journal of Statistical Software 67(1). \doi{10.18637/jss.v067.i01}
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' profile <- profile(fit)
#' profile
#' plot(profile)
#' confint(profile, level = 0.99)
#' @importFrom stats profile
#' @export
profile.lmmfit <- function(fitted, which = NULL, alphamax = 0.01,
                           prof.scale = c("sdcor", "varcov"), delta = cutoff / 8,
                           signames = TRUE, ...) {
  rlang::check_dots_empty()
  alphamax <- check_number(alphamax, 1e-12, 0.999)
  prof.scale <- check_choice(prof.scale, c("sdcor", "varcov"))
  labels <- parameter_names(fitted, check_flag(signames), prof.scale)
  all <- unlist(labels, use.names = FALSE)
  wanted <- if (is.null(which)) all else match_parameters(which, labels,
                                                          rlang::current_env())
  cutoff <- sqrt(stats::qchisq(1 - alphamax, length(all)))
  delta <- check_number(delta, 1e-3, cutoff)
  base <- profile_base(ml_fit(fitted))
  parts <- lapply(stats::setNames(nm = wanted), function(name) {
    profile_parameter(base, match(name, all), prof.scale, cutoff, delta)
  })
  new_profile(base$fit, parts, all, prof.scale)
}

# The fit by ML; covariances of the fixed effects as they were asked for.
ml_fit <- function(fit) {
  out <- refit_ml(fit)
  out$asked <- fit$vcov
  out
}

profile_parameter <- function(base, index, prof.scale, cutoff, delta) {
  scale <- if (index <= length(base$fit$theta)) prof.scale else "sdcor"
  pin <- parameter_pin(base, index, scale)
  centre <- pin_centre(pin)
  points <- if (isTRUE(pin$silent)) silent_points(pin, centre, cutoff, delta) else
    c(rev(walk(pin, centre, -1, cutoff, delta)), list(centre),
      walk(pin, centre, 1, cutoff, delta))
  values <- vapply(points, function(point) point_values(pin, point, prof.scale),
                   numeric(length(base$fit$theta) + 1L + base$fit$engine$work$p))
  squared <- prof.scale == "varcov" && pin$kind %in% c("sd", "sigma")
  of <- function(name) vapply(points, `[[`, numeric(1), name)
  x <- of("x")
  values <- t(matrix(values, ncol = length(points)))
  # a correlation with what has no variance is what it was fixed at
  values[, index] <- if (squared) x^2 else x
  list(zeta = of("zeta"), values = values,
       slope = if (squared) of("slope") / (2 * x) else of("slope"),
       bounds = point_bounds(pin, squared))
}

# Bounds that the search keeps away from are those of the parameter.
point_bounds <- function(pin, squared) {
  bounds <- if (pin$kind == "sigma") c(0, Inf) else pin$bounds
  if (squared) bounds^2 else bounds
}

# Points of the profile from the estimate to a bound or to `cutoff`, `delta` apart in zeta.
walk <- function(pin, centre, direction, cutoff, delta) {
  bound <- pin$bounds[[if (direction < 0) 1L else 2L]]
  points <- list(centre)
  if (centre$x == bound) return(list())
  # correlations may come to a level stretch
  longest <- if (pin$kind == "cor") 0.1 else Inf
  step <- min(delta / centre$slope, longest)
  while (length(points) < 100L) {
    near <- points[[length(points)]]
    x <- near$x + direction * step
    # no sliver before the bound
    if ((bound - x) * direction < 0.2 * step) x <- bound
    before <- if (length(points) > 1L) points[[length(points) - 1L]]
    point <- solve_pinned(pin, x, centre, near, before)
    far <- abs(point$zeta - near$zeta) > 2.5 * delta
    if (far && step * near$slope > 1e-3 * delta) {
      step <- step / 3
      next
    }
    if (abs(point$zeta) < abs(near$zeta) - 1e-6) points <- resolve(pin, points, point, centre)
    points <- c(points, list(point))
    if (abs(point$zeta) >= cutoff || x == bound) break
    reach <- if (isTRUE(point$slope > 0)) delta / point$slope else Inf
    step <- min(reach, 2 * step, longest)
  }
  points[-1L]
}

# Further out the likelihood can't be higher: where it is, the points before were at another
# optimum. They are solved again from the better one.
resolve <- function(pin, points, better, centre) {
  for (i in rev(seq_along(points)[-1L])) {
    again <- solve_pinned(pin, points[[i]]$x, centre, better, NULL)
    if (abs(again$zeta) >= abs(points[[i]]$zeta) - 1e-6) break
    points[[i]] <- better <- again
  }
  points
}

# Data free of the intercept say nothing about it.
silent_points <- function(pin, centre, cutoff, delta) {
  se <- sqrt(pin$fit$asked[pin$at, pin$at])
  zeta <- seq(-1, 1, length.out = 2 * ceiling(cutoff / delta) + 1) * cutoff
  lapply(zeta, function(zeta) {
    x <- centre$x + zeta * se
    point <- utils::modifyList(centre, list(x = x, zeta = zeta, slope = 1 / se))
    point$beta[[pin$at]] <- x
    point
  })
}

# All parameters at a point, in the order of confint().
point_values <- function(pin, point, prof.scale) {
  factors <- coordinate_factors(pin$problem, point$u)
  variance <- unlist(Map(function(L, order) {
    L <- L[order(order), , drop = FALSE]
    covariance <- tcrossprod(L)
    if (prof.scale == "varcov") pack_lower(covariance) else packed_sdcor(covariance)
  }, factors, pin$problem$orders), use.names = FALSE)
  sigma <- exp(point$u[[length(point$u)]])
  c(variance, if (prof.scale == "varcov") sigma^2 else sigma, unname(point$beta))
}

# Standard deviations and correlations; what zero has none of is zero.
packed_sdcor <- function(covariance) {
  sd <- sqrt(diag(covariance))
  out <- covariance / outer(sd, sd)
  out[!is.finite(out)] <- 0
  diag(out) <- sd
  pack_lower(out)
}

new_profile <- function(fit, parts, all, prof.scale) {
  rows <- lapply(names(parts), function(name) {
    part <- parts[[name]]
    values <- as.data.frame(part$values)
    names(values) <- all
    data.frame(.zeta = part$zeta, values, .par = rep(name, length(part$zeta)),
               check.names = FALSE)
  })
  out <- do.call(rbind, rows)
  out$.par <- factor(out$.par, names(parts))
  pin <- list(problem = coordinate_problem(fit))
  point <- list(u = pin$problem$u, beta = fit$coefficients)
  structure(out, estimates = stats::setNames(point_values(pin, point, prof.scale), all),
            slopes = unlist(lapply(parts, `[[`, "slope"), use.names = FALSE),
            bounds = vapply(parts, `[[`, numeric(2), "bounds"),
            class = c("profile.lmmfit", "data.frame"))
}

#' @rdname profile.lmmfit
#' @export
as.data.frame.profile.lmmfit <- function(x, row.names = NULL, optional = FALSE, ...) {
  out <- x[]
  out$.focal <- focal_values(x)
  out
}

# Part of a profile is a table.
#' @export
`[.profile.lmmfit` <- function(x, ...) {
  plain <- structure(x, class = "data.frame", estimates = NULL, slopes = NULL, bounds = NULL)
  plain[...]
}

# The value of the parameter that each row fixes.
focal_values <- function(x) {
  columns <- match(as.character(x$.par), names(x))
  as.matrix(x[names(x) != ".par"])[cbind(seq_len(nrow(x)), columns)]
}

#' @rdname profile.lmmfit
#' @export
confint.profile.lmmfit <- function(object, parm, level = 0.95, ...) {
  rlang::check_dots_empty()
  level <- check_number(level, 0.001, 0.9999)
  known <- levels(object$.par)
  if (missing(parm)) parm <- known
  if (is.numeric(parm)) parm <- known[parm]
  unknown <- setdiff(parm, known)
  if (length(unknown) > 0L) abort_parameter(unknown, known, rlang::current_env())
  zeta <- c(-1, 1) * sqrt(stats::qchisq(level, 1))
  ends <- vapply(parm, function(name) profile_at(object, name, zeta), numeric(2))
  structure(t(ends), dimnames = list(parm, interval_names(level)))
}

#' @rdname profile.lmmfit
#' @export
summary.profile.lmmfit <- function(object, ...) {
  rlang::check_dots_empty()
  limits <- confint(object)
  data.frame(estimate = attr(object, "estimates")[rownames(limits)], limits,
             check.names = FALSE)
}

#' @rdname profile.lmmfit
#' @export
print.profile.lmmfit <- function(x, digits = 5L, ...) {
  reach <- vapply(split(x$.zeta, x$.par), range, numeric(2))
  cat("Likelihood profiles at ", n_of(nrow(x), "point"), ", zeta from ",
      format(min(reach), digits = 3L), " to ", format(max(reach), digits = 3L), "\n\n",
      sep = "")
  print(summary(x), digits = digits)
  invisible(x)
}

# Values of a parameter at zeta, by cubics with the exact slopes.
profile_at <- function(x, name, zeta) {
  rows <- which(x$.par == name)
  bounds <- attr(x, "bounds")[, name]
  ends <- range(x[[name]][rows])
  reached <- abs(ends - bounds) <= 1e-6 * pmax(1e-300, abs(attr(x, "estimates")[[name]]))
  bounds[!reached] <- NA
  rows <- rows[rising(x$.zeta[rows])]
  if (length(rows) < 2L) return(bounds)
  at <- x$.zeta[rows]
  value <- x[[name]][rows]
  slope <- 1 / attr(x, "slopes")[rows]
  secant <- diff(value) / diff(at)
  steepest <- 3 * pmin(c(Inf, secant), c(secant, Inf))
  # so that the cubics do not turn round
  slope <- pmin(pmax(replace(slope, is.nan(slope), 0), 0), steepest)
  out <- stats::splinefunH(at, value, slope)(zeta)
  outside <- zeta < min(at) | zeta > max(at)
  replace(out, outside, bounds[outside])
}

# Which points are further from zero than those before, seen from there: where a profile is
# level, because what the parameter belongs to has vanished, rounding decides.
rising <- function(zeta) {
  beyond <- function(z) c(TRUE, diff(cummax(z)) > 1e-6)
  up <- zeta >= 0
  out <- logical(length(zeta))
  if (any(up)) out[up] <- beyond(zeta[up])
  if (any(!up)) out[!up] <- rev(beyond(rev(-zeta[!up])))
  out
}

# Where the profile reaches zeta on one side, or the bound. Newton's method on zeta, which
# is nearly a straight line, within what is known to be inside and outside.
profile_end <- function(pin, centre, direction, zeta) {
  bound <- pin$bounds[[if (direction < 0) 1L else 2L]]
  if (centre$x == bound) return(bound)
  inside <- near <- centre
  outside <- before <- NULL
  x <- centre$x + direction * zeta / centre$slope
  for (i in 1:100) {
    if ((x - bound) * direction > 0) x <- bound
    point <- solve_pinned(pin, x, centre, near, before)
    excess <- abs(point$zeta) - zeta
    if (abs(excess) < 1e-8) return(x)
    if (excess < 0 && x == bound) return(open_bound(pin, bound))
    if (excess < 0) inside <- point else outside <- point
    before <- near
    near <- point
    step <- -direction * excess / point$slope
    x <- next_end(x, centre$x, inside, outside, step, direction)
    if (abs(x - point$x) <= 1e-10 * max(abs(x), zeta / centre$slope)) return(x)
  }
  NA_real_
}

# The next value to try; as long as nothing is outside, at most twice as far.
next_end <- function(x, from, inside, outside, step, direction) {
  to <- x + step
  if (is.null(outside)) {
    far <- x + (x - from)
    forward <- is.finite(to) && (to - x) * direction > 0 && (far - to) * direction > 0
    return(if (forward) to else far)
  }
  ends <- sort(c(inside$x, outside$x))
  if (is.finite(to) && to > ends[[1L]] && to < ends[[2L]]) to else mean(ends)
}

# Sigma is not searched below a distance from its bound.
open_bound <- function(pin, bound) if (pin$kind == "sigma") 0 else bound
