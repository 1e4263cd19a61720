#' Plots of a fit
#'
#' @param x a model fitted by [lmmfit()].
#' @param which (`character(1)`) `"fitted"`: scaled residuals against fitted values, with a
#'   smooth line; `"qq"`: their normal quantile plot; `"ranef"`: the random effects of the
#'   first term in increasing order with 95% prediction intervals.
#' @param ... passed to [graphics::plot()].
#' @return `x`, invisibly. Called for the plot.
#' @examples
#' fit <- lmmfit(distance ~ age + (1 | Subject), data = nlme::Orthodont)
#' plot(fit)
#' plot(fit, "ranef")
#' @export
plot.lmmfit <- function(x, which = c("fitted", "qq", "ranef"), ...) {
  which <- check_choice(which, c("fitted", "qq", "ranef"))
  switch(which, fitted = plot_fitted(x, ...), qq = plot_quantiles(x, ...),
         ranef = plot_effects(x, ...))
  invisible(x)
}

plot_ink <- function() {
  list(point = grDevices::adjustcolor("#1b4f72", 0.55), line = "#c0392b", rule = "grey70")
}

plot_fitted <- function(x, xlab = "Fitted values", ylab = "Scaled residuals",
                        kind = "pearson", ...) {
  ink <- plot_ink()
  fitted <- stats::na.omit(fitted(x))
  residuals <- stats::na.omit(residuals(x, kind, scaled = TRUE))
  graphics::plot(fitted, residuals, xlab = xlab, ylab = ylab, pch = 16, col = ink$point,
                 las = 1, bty = "l", ...)
  graphics::abline(h = 0, col = ink$rule)
  if (length(unique(fitted)) > 5L) {
    graphics::lines(stats::lowess(fitted, residuals), col = ink$line, lwd = 2)
  }
}

plot_quantiles <- function(x, xlab = "Normal quantiles", ylab = "Scaled residuals",
                           kind = "pearson", ...) {
  ink <- plot_ink()
  residuals <- stats::na.omit(residuals(x, kind, scaled = TRUE))
  stats::qqnorm(residuals, main = "", xlab = xlab, ylab = ylab, pch = 16, col = ink$point,
                las = 1, bty = "l", ...)
  stats::qqline(residuals, col = ink$line, lwd = 2)
}

plot_effects <- function(x, ylab = "", ...) {
  effects <- blup(x)
  effects <- effects[effects$term == effects$term[[1L]] & effects$group ==
                       effects$group[[1L]] & effects$records > 0L, ]
  half <- stats::qnorm(0.975) * sqrt(pmax(effects$pev, 0))
  draw_caterpillar(effects$value, half, effects$id,
                   paste0(effects$term[[1L]], " of ", effects$group[[1L]]), ylab = ylab, ...)
}

# Values in increasing order, one below the other, with their intervals.
draw_caterpillar <- function(value, half, labels, title, xlab = title, ylab = "", ...) {
  ink <- plot_ink()
  sorted <- order(value)
  value <- value[sorted]
  half <- half[sorted]
  at <- seq_along(value)
  graphics::plot(value, at, xlim = range(value - half, value + half), xlab = xlab,
                 ylab = ylab, yaxt = "n", type = "n", bty = "l", ...)
  graphics::abline(v = 0, col = ink$rule)
  graphics::segments(value - half, at, value + half, at, col = ink$point)
  graphics::points(value, at, pch = 16, cex = if (length(at) > 60L) 0.5 else 0.9,
                   col = ink$line)
  if (length(at) <= 60L) {
    room <- graphics::par("pin")[[2L]] / graphics::par("csi") / length(at)
    graphics::axis(2, at, labels[sorted], las = 1, cex.axis = min(0.8, max(1.2 * room, 0.4)),
                   tick = FALSE, line = -0.6)
  }
}

#' Plots of random effects and of profiles
#'
#' `plot()` draws with the base graphics, `ggplot2::autoplot()` returns a plot of 'ggplot2'
#' and `lattice::dotplot()` one of 'lattice'.
#'
#' @param x,object what [ranef()][ranef.lmmfit] or `profile()` of a model fitted by
#'   [lmmfit()] returned, or (`autoplot()`) the model.
#' @param level (`numeric(1)`) coverage of the intervals: for random effects plus and minus
#'   a normal quantile times the conditional standard deviation; for a profile where the
#'   curve crosses the quantile.
#' @param which as for [plot()][plot.lmmfit] of the model; `"ranef"` shows all random effects,
#'   as `autoplot()` of [ranef()][ranef.lmmfit] does.
#' @param data not used.
#' @param ... passed to [graphics::plot()], in `dotplot()` to [lattice::dotplot()].
#' @return `plot()`: `x`, invisibly. `autoplot()` and `dotplot()`: a plot to print.
#'
#'   Of random effects a panel for each group and column shows the levels in increasing
#'   order. Of a profile a panel for each parameter shows zeta, the signed root of the
#'   change of the deviance, against the parameter; a straight line means that Wald
#'   intervals serve.
#' @examples
#' fit <- lmmfit(distance ~ age + (age | Subject), data = nlme::Orthodont)
#' plot(ranef(fit))
#' @name lmmfit-plots
NULL

# A panel for each of `draw`, and the settings of the device as they were.
in_panels <- function(draw) {
  if (length(draw) > 1L) {
    before <- graphics::par(mfrow = rev(grDevices::n2mfrow(length(draw))),
                            mar = c(4, 4, 1, 1), mgp = c(2.4, 0.8, 0))
    on.exit(graphics::par(before))
  }
  for (panel in draw) panel()
}

#' @rdname lmmfit-plots
#' @export
plot.ranef.lmmfit <- function(x, level = 0.95, ...) {
  effects <- effect_intervals(x, check_number(level, 0.001, 0.9999))
  panels <- unique(effects[c("grpvar", "term")])
  in_panels(lapply(seq_len(nrow(panels)), function(i) {
    mine <- effects[effects$grpvar == panels$grpvar[[i]] & effects$term == panels$term[[i]], ]
    title <- paste0(panels$term[[i]], " of ", panels$grpvar[[i]])
    function() draw_caterpillar(mine$condval, mine$half, mine$grp, title, ...)
  }))
  invisible(x)
}

# as.data.frame() of random effects with the half width of their intervals.
effect_intervals <- function(x, level) {
  effects <- as.data.frame(x)
  sd <- if (is.null(effects$condsd)) 0 else effects$condsd
  effects$half <- stats::qnorm((1 + level) / 2) * sd
  effects[c("grpvar", "term", "grp")] <- lapply(effects[c("grpvar", "term", "grp")],
                                                as.character)
  effects
}

#' @rdname lmmfit-plots
#' @export
plot.profile.lmmfit <- function(x, level = 0.95, ...) {
  limit <- stats::qnorm((1 + check_number(level, 0.001, 0.9999)) / 2)
  curves <- profile_curves(x)
  in_panels(lapply(names(curves), function(name) {
    function() draw_profile(curves[[name]], name, limit, ...)
  }))
  invisible(x)
}

# By parameter its values and their zeta, in increasing order.
profile_curves <- function(x) {
  table <- as.data.frame(x)
  parameters <- unique(as.character(table$.par))
  lapply(stats::setNames(parameters, parameters), function(name) {
    mine <- table[table$.par == name, ]
    curve <- data.frame(value = mine[[name]], zeta = mine$.zeta)
    curve <- curve[stats::complete.cases(curve), ]
    curve[order(curve$value), ]
  })
}

draw_profile <- function(curve, name, limit, xlab = name, ylab = expression(zeta), ...) {
  ink <- plot_ink()
  graphics::plot(curve$value, curve$zeta, type = "n", xlab = xlab, ylab = ylab, las = 1,
                 bty = "l", ...)
  graphics::abline(h = 0, col = ink$rule)
  graphics::abline(h = c(-limit, limit), col = ink$rule, lty = 2)
  ends <- profile_crossings(curve, limit)
  graphics::segments(ends, graphics::par("usr")[[3L]], ends,
                     c(-limit, limit)[!is.na(ends)], col = ink$rule)
  smooth <- smooth_profile(curve)
  graphics::lines(smooth$value, smooth$zeta, col = ink$line, lwd = 2)
  graphics::points(curve$value, curve$zeta, pch = 16, col = ink$point)
}

smooth_profile <- function(curve) {
  if (nrow(curve) < 4L || anyDuplicated(curve$value)) return(curve)
  at <- seq(min(curve$value), max(curve$value), length.out = 201L)
  smooth <- stats::splinefun(curve$value, curve$zeta, method = "natural")(at)
  data.frame(value = at, zeta = smooth)
}

# Where the curve passes -limit and limit; NA where it does not.
profile_crossings <- function(curve, limit) {
  smooth <- smooth_profile(curve)
  stats::approx(smooth$zeta, smooth$value, c(-limit, limit), ties = mean)$y
}
