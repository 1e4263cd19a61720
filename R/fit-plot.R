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

plot_fitted <- function(x, xlab = "Fitted values", ylab = "Scaled residuals", ...) {
  ink <- plot_ink()
  fitted <- stats::na.omit(fitted(x))
  residuals <- stats::na.omit(residuals(x, "pearson", scaled = TRUE))
  graphics::plot(fitted, residuals, xlab = xlab, ylab = ylab, pch = 16, col = ink$point,
                 las = 1, bty = "l", ...)
  graphics::abline(h = 0, col = ink$rule)
  if (length(unique(fitted)) > 5L) {
    graphics::lines(stats::lowess(fitted, residuals), col = ink$line, lwd = 2)
  }
}

plot_quantiles <- function(x, xlab = "Normal quantiles", ylab = "Scaled residuals", ...) {
  ink <- plot_ink()
  residuals <- stats::na.omit(residuals(x, "pearson", scaled = TRUE))
  stats::qqnorm(residuals, main = "", xlab = xlab, ylab = ylab, pch = 16, col = ink$point,
                las = 1, bty = "l", ...)
  stats::qqline(residuals, col = ink$line, lwd = 2)
}

plot_effects <- function(x, xlab = NULL, ylab = "", ...) {
  ink <- plot_ink()
  effects <- blup(x)
  effects <- effects[effects$term == effects$term[[1L]] & effects$group ==
                       effects$group[[1L]] & effects$records > 0L, ]
  effects <- effects[order(effects$value), ]
  half <- stats::qnorm(0.975) * sqrt(pmax(effects$pev, 0))
  at <- seq_len(nrow(effects))
  if (is.null(xlab)) xlab <- paste0(effects$term[[1L]], " of ", effects$group[[1L]])
  graphics::plot(effects$value, at, xlim = range(effects$value - half, effects$value + half),
                 xlab = xlab, ylab = ylab, yaxt = "n", pch = 16, col = ink$line, bty = "l",
                 ...)
  graphics::abline(v = 0, col = ink$rule)
  graphics::segments(effects$value - half, at, effects$value + half, at, col = ink$point)
  graphics::points(effects$value, at, pch = 16, cex = 0.7, col = ink$line)
  if (nrow(effects) <= 60L) {
    graphics::axis(2, at, effects$id, las = 1, cex.axis = 0.7, tick = FALSE)
  }
}
