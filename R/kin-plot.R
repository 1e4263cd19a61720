#' Plots of a relationship matrix
#'
#' @param x A relationship matrix, see [as_kinship()].
#' @param type A string: `"heatmap"` (default), all pairs by colour; `"spectrum"`, the
#'   eigenvalues and the cumulative share of their sum, computed in time proportional to
#'   n^3 (`plot(kin_eigen(K))` has them at hand); `"pairs"`, histograms of the diagonal and
#'   of the elements off the diagonal, with square roots of counts so that few relatives
#'   can be seen beside many strangers.
#' @param order A string: ids in the order of `"relatedness"` (default), that of average
#'   linkage clustering by 1 - K_ij / sqrt(K_ii K_jj), or as `"given"`.
#' @param cells A whole number: the heat map has at most so many cells a side, means of the
#'   pairs of neighbours; 500 by default. The diagonal is not part of means.
#' @param limits Two numbers: the values of the last colours. By default those that 0.2% of the
#'   cells off the diagonal lie beyond on each side, so that the diagonal does not set the
#'   scale if it is far away; 0 is white.
#' @param ... Passed on to [graphics::plot.default()], for example `main`.
#' @details The heat map of 5,000 ids takes a few seconds, most of it the clustering, and 8 n^2
#'   bytes of memory.
#' @return `x`, invisibly.
#' @seealso [as_kinship()], [kin_eigen()].
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' K <- grm(geno)
#' plot(K)
#' plot(K, "pairs")
#' @export
plot.kinship <- function(x, type = c("heatmap", "spectrum", "pairs"),
                         order = c("relatedness", "given"), cells = 500L, limits = NULL,
                         ...) {
  call <- rlang::current_env()
  type <- check_choice(type, c("heatmap", "spectrum", "pairs"))
  order <- check_choice(order, c("relatedness", "given"))
  cells <- check_count(cells, 1)
  if (!is.null(limits) && !(is.numeric(limits) && length(limits) == 2L &&
                              all(is.finite(limits)) && limits[[1L]] < limits[[2L]])) {
    abort_argument("limits", "two increasing numbers", describe(limits), call)
  }
  if (nrow(x) == 0L) abort_argument("x", "a matrix of at least one id", describe(x), call)
  title <- kinship_title(nrow(x), attr(x, "grm"))
  switch(type,
    heatmap = plot_heatmap(x, order, cells, limits, title, ...),
    spectrum = plot_spectrum(kernel_values(x), title, ...),
    pairs = plot_kinship_pairs(x, title, ...)
  )
  invisible(x)
}

kinship_title <- function(n, note) {
  made <- if (!is.null(note$method)) paste0(" (", note$method, ")")
  paste0("Relationship matrix of ", n_of(n, "id"), made)
}

# Heat map ----

plot_heatmap <- function(x, order, cells, limits, title, ...) {
  at <- if (order == "given") seq_len(nrow(x)) else relatedness_order(x)
  means <- cpp_cell_means(x, at, min(cells, nrow(x)))
  size <- nrow(means)
  if (is.null(limits)) limits <- colour_limits(means)
  colours <- kinship_colours(limits)
  place <- round(1 + (length(colours) - 1) * (means - limits[[1L]]) / diff(limits))
  place[] <- pmin(pmax(place, 1), length(colours))
  labels <- if (size <= 30L && size == nrow(x)) short_ids(rownames(x)[at])
  left <- max(1.5, min(9, 1 + 0.45 * max(nchar(labels), 0)))
  old <- graphics::par(mar = c(3.2, left, 3, 6.2), mgp = c(1.4, 0.4, 0), las = 1)
  on.exit(graphics::par(old))
  xlab <- if (order == "given") "ids in their order" else "ids ordered by relatedness"
  frame <- list(x = NA, xlim = c(0, 1), ylim = c(0, 1), xaxs = "i", yaxs = "i", asp = 1,
                axes = FALSE, xlab = xlab, ylab = "", main = title, cex.main = 1,
                font.main = 1)
  do.call(graphics::plot.default, utils::modifyList(frame, list(...)))
  graphics::rasterImage(matrix(colours[place], size), 0, 0, 1, 1, interpolate = FALSE)
  graphics::rect(0, 0, 1, 1, border = plot_colours$line, xpd = NA)
  if (!is.null(labels)) {
    graphics::text(-0.02, 1 - (seq_len(size) - 0.5) / size, labels, adj = 1,
                   cex = min(0.8, 16 / size), xpd = NA)
  }
  colour_bar(colours, limits, range(means))
}

# By average linkage of what pairs do not share.
relatedness_order <- function(x) {
  n <- nrow(x)
  if (n < 3L) return(seq_len(n))
  distance <- structure(cpp_pair_distances(x), Size = n, Diag = FALSE, Upper = FALSE,
                        class = "dist")
  stats::hclust(distance, "average")$order
}

colour_limits <- function(means) {
  off <- means[row(means) != col(means)]
  if (length(off) == 0L) off <- means
  limits <- unname(stats::quantile(off, c(0.002, 0.998)))
  # as in pedigrees, where the diagonal is not far away
  if (2 * limits[[2L]] >= max(diag(means))) limits[[2L]] <- max(means)
  if (limits[[1L]] == limits[[2L]]) limits <- range(means)
  if (limits[[1L]] == limits[[2L]]) limits <- limits + c(-0.5, 0.5)
  # from zero where nothing is far below
  if (limits[[1L]] > 0 || limits[[1L]] > -0.02 * limits[[2L]]) limits[[1L]] <- 0
  if (limits[[2L]] <= limits[[1L]]) limits[[2L]] <- limits[[1L]] + 1
  limits
}

# 256 colours with white for zero: blue below, red above.
kinship_colours <- function(limits) {
  value <- seq(limits[[1L]], limits[[2L]], length.out = 256L)
  widest <- max(abs(limits))
  below <- grDevices::colorRampPalette(c("white", "#8fb4d9", "#2b6cb0", "#14315c"))(128L)
  above <- grDevices::colorRampPalette(c("white", "#f6c08f", "#d9532c", "#6e1212"))(128L)
  step <- pmin(128L, 1L + as.integer(127 * abs(value) / widest))
  replace(above[step], value < 0, below[step[value < 0]])
}

# Right of the map, with what lies beyond the last colours named.
colour_bar <- function(colours, limits, range) {
  left <- 1.04
  right <- 1.08
  graphics::rasterImage(matrix(rev(colours)), left, 0, right, 1, interpolate = FALSE,
                        xpd = NA)
  graphics::rect(left, 0, right, 1, border = plot_colours$line, xpd = NA)
  ticks <- pretty(limits, 5L)
  ticks <- ticks[ticks >= limits[[1L]] & ticks <= limits[[2L]]]
  at <- (ticks - limits[[1L]]) / diff(limits)
  graphics::segments(right, at, right + 0.012, at, col = plot_colours$line, xpd = NA)
  graphics::text(right + 0.02, at, format(ticks), adj = 0, cex = 0.75, xpd = NA)
  beyond <- function(value) format(signif(value, 3))
  if (range[[2L]] > limits[[2L]]) {
    graphics::text(left, 1.03, paste("to", beyond(range[[2L]])), adj = c(0, 0.5),
                   cex = 0.75, xpd = NA)
  }
  if (range[[1L]] < limits[[1L]]) {
    graphics::text(left, -0.03, paste("to", beyond(range[[1L]])), adj = c(0, 0.5),
                   cex = 0.75, xpd = NA)
  }
}

# Spectrum ----

# values: decreasing.
plot_spectrum <- function(values, title, ...) {
  n <- length(values)
  top <- max(values, 0)
  old <- graphics::par(mar = c(3.4, 4, 3, 4.8))
  on.exit(graphics::par(old))
  plot_frame(list(
    xlim = c(0.93, max(n, 2) * 1.03), ylim = c(min(values, 0), 1.04 * max(top, 1e-300)),
    xlab = "Eigenvalue", ylab = "Size", log = "x", main = title, cex.main = 1,
    font.main = 1
  ), ...)
  graphics::axis(1, lwd = 0, lwd.ticks = 1, col.ticks = plot_colours$line)
  graphics::abline(h = 0, col = plot_colours$band)
  # with negative ones the share of all would go beyond 1
  share <- cumsum(pmax(values, 0)) / max(sum(pmax(values, 0)), 1e-300)
  at <- unique(round(exp(seq(0, log(n), length.out = 400L))))
  graphics::lines(at, top * share[at], col = plot_colours$even, lwd = 2)
  graphics::points(at, values[at], pch = 19, cex = 0.5, col = plot_colours$odd)
  negative <- at[values[at] < -1e-8 * top]
  graphics::points(negative, values[negative], pch = 19, cex = 0.6, col = plot_colours$hit)
  graphics::axis(4, top * seq(0, 1, 0.25), paste0(seq(0, 100, 25), "%"), lwd = 0,
                 lwd.ticks = 1, col.ticks = plot_colours$line, las = 1,
                 mgp = c(2.2, 0.6, 0), tcl = -0.25)
  drawn <- c(TRUE, TRUE, length(negative) > 0L)
  graphics::mtext(paste0("Cumulative share of the sum", if (drawn[[3L]]) " above 0"), 4, 3.3,
                  las = 0)
  graphics::legend("right", c("eigenvalue", "cumulative share", "negative")[drawn],
                   pch = c(19, NA, 19)[drawn], lty = c(NA, 1, NA)[drawn],
                   lwd = c(NA, 2, NA)[drawn], bty = "n", cex = 0.8,
                   col = unlist(plot_colours[c("odd", "even", "hit")])[drawn])
}

# Histograms ----

plot_kinship_pairs <- function(x, title, ...) {
  old <- graphics::par(mfrow = c(1L, 2L), mar = c(3.2, 5, 1, 0.8),
                       oma = c(0, 0, 1.8, 0))
  on.exit(graphics::par(old))
  values <- plain_matrix(x)
  plot_histogram(diag(values), "Diagonal", "Ids", ...)
  if (nrow(x) > 1L) {
    plot_histogram(cpp_find_relatives(values, -Inf)$value, "Off the diagonal", "Pairs", ...)
  }
  graphics::mtext(title, 3, 0.3, outer = TRUE)
}

# For values that are all the same, a narrow bar in the middle.
histogram_breaks <- function(values) {
  size <- max(abs(values))
  if (diff(range(values)) > 1e-10 * size) return(60L)
  mean(values) + seq(-0.5, 0.5, length.out = 62L) * if (size > 0) size else 1
}

# Heights are square roots of counts.
plot_histogram <- function(values, xlab, ylab, ...) {
  bars <- graphics::hist(values, histogram_breaks(values), plot = FALSE)
  height <- sqrt(bars$counts)
  frame <- list(x = NA, type = "n", xaxs = "i", yaxs = "i", axes = FALSE, xlab = xlab,
                ylab = "", xlim = range(bars$breaks), ylim = c(0, 1.04 * max(height)),
                mgp = c(1.8, 0.5, 0))
  do.call(graphics::plot.default, utils::modifyList(frame, list(...)))
  graphics::title(ylab = ylab, line = 3.6)
  ticks <- unique(round(pretty(c(0, max(height)), 5L)^2))
  ticks <- ticks[sqrt(ticks) <= 1.04 * max(height)]
  graphics::axis(2, sqrt(ticks), count(ticks), lwd = 0, lwd.ticks = 1, las = 1, tcl = -0.25,
                 mgp = c(1.8, 0.5, 0), cex.axis = 0.8, col.ticks = plot_colours$line)
  graphics::box(bty = "l", col = plot_colours$line)
  last <- length(bars$breaks)
  graphics::rect(bars$breaks[-last], 0, bars$breaks[-1L], height,
                 col = plot_colours$even, border = plot_colours$even, lwd = 0.3)
  graphics::axis(1, lwd = 0, lwd.ticks = 1, tcl = -0.25, mgp = c(1.8, 0.4, 0),
                 cex.axis = 0.8, col.ticks = plot_colours$line)
}
