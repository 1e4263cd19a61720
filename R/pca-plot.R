#' Plots of principal components
#'
#' @param x A result of [pca()].
#' @param type A string: `"scores"` (default), one component against another, or all pairs
#'   of several; `"scree"`, eigenvalues as shares of the variance.
#' @param components Whole numbers: the components to draw, at least two. Default the first
#'   two.
#' @param groups `NULL`, or a factor or vector of groups, drawn in colours of their own: in
#'   the order of the samples, or named by their ids.
#' @param new `NULL`, or the scores of other samples, from `predict()`: drawn as crosses. They
#'   are shrunk towards zero.
#' @param ... Passed on to [graphics::plot.default()], for example `main` or `xlim` (not for
#'   several pairs).
#' @return `x`, invisibly.
#' @section Errors: `kinlmm_error_argument`.
#' @seealso [pca()].
#' @examples
#' set.seed(1)
#' geno <- simulate_genotypes(m = 2000, populations = c(a = 40, b = 40, c = 40, d = 40))
#' pc <- pca(geno, k = 6)
#' plot(pc, groups = geno$samples$fid)
#' plot(pc, components = 1:3, groups = geno$samples$fid)
#' plot(pc, "scree")
#' @export
plot.pca <- function(x, type = c("scores", "scree"), components = 1:2, groups = NULL,
                     new = NULL, ...) {
  call <- rlang::current_env()
  type <- check_choice(type, c("scores", "scree"))
  if (type == "scree") {
    plot_scree(x, ...)
    return(invisible(x))
  }
  components <- pca_components(components, x, call)
  groups <- pca_groups(groups, x, call)
  if (!is.null(new)) {
    if (!is.matrix(new) || !is.numeric(new) || ncol(new) != length(x$values)) {
      abort_argument("new", paste("a matrix of", length(x$values), "columns of predict()"),
                     describe(new), call)
    }
  }
  points <- pca_points(x, groups, new)
  if (length(components) == 2L) {
    plot_score_pair(x, points, components, ...)
  } else {
    plot_score_pairs(x, points, components)
  }
  invisible(x)
}

pca_components <- function(components, x, call) {
  k <- length(x$values)
  if (k < 2L) abort_argument("x", "a result of pca() with at least two components", "of one",
                             call)
  good <- is.numeric(components) && length(components) >= 2L && !anyNA(components) &&
    all(components %in% seq_len(k)) && !anyDuplicated(components)
  if (!good) {
    abort_argument("components", paste("two or more different numbers from 1 to", k),
                   describe(components), call)
  }
  as.integer(components)
}

# `groups` as a factor in the order of the samples, or NULL.
pca_groups <- function(groups, x, call) {
  if (is.null(groups)) return(NULL)
  ids <- rownames(x$scores)
  if (!is.null(names(groups)) && all(ids %in% names(groups))) groups <- groups[ids]
  if (!is.atomic(groups) || length(groups) != x$n) {
    must <- paste("as long as there are samples,", count(x$n), "or named by their ids")
    abort_argument("groups", must, describe(groups), call)
  }
  factor(groups)
}

# Scores of all points with their colours and symbols, and the legend.
pca_points <- function(x, groups, new) {
  levels <- levels(groups)
  colours <- if (is.null(groups)) plot_colours$odd else {
    grDevices::hcl.colors(length(levels), "Dark 3")
  }
  own <- if (is.null(groups)) rep(colours, x$n) else colours[as.integer(groups)]
  own[is.na(own)] <- plot_colours$line
  others <- if (is.null(new)) 0L else nrow(new)
  list(scores = rbind(x$scores, new), colour = c(own, rep("black", others)),
       symbol = rep(c(19L, 4L), c(x$n, others)),
       label = c(levels, if (others > 0L) "projected"),
       key_colour = c(if (!is.null(groups)) colours, if (others > 0L) "black"),
       key_symbol = rep(c(19L, 4L), c(length(levels), 1L * (others > 0L))))
}

component_label <- function(x, j) {
  sprintf("%s (%s%% of variance)", names(x$values)[[j]], percent_of(x$share[[j]]))
}

# The key stands in the margin, where no points are.
plot_score_pair <- function(x, points, components, ...) {
  key <- length(points$label) > 0L
  mar <- graphics::par("mar")
  if (key) {
    wide <- max(graphics::strwidth(points$label, "inches", cex = 0.8))
    mar[[4L]] <- wide / graphics::par("csi") + 2
  }
  old <- graphics::par(mar = mar)
  on.exit(graphics::par(old))
  at <- points$scores[, components, drop = FALSE]
  plot_frame(list(xlim = wider(range(at[, 1L])), ylim = wider(range(at[, 2L])),
                  xlab = component_label(x, components[[1L]]),
                  ylab = component_label(x, components[[2L]])), ...)
  graphics::axis(1, lwd = 0, lwd.ticks = 1, col.ticks = plot_colours$line)
  graphics::points(at, pch = points$symbol, cex = 0.6, col = points$colour)
  if (!key) return(invisible())
  corner <- graphics::par("usr")[c(2L, 4L)]
  graphics::legend(corner[[1L]], corner[[2L]], points$label, pch = points$key_symbol,
                   col = points$key_colour, cex = 0.8, bty = "n", xpd = NA)
}

wider <- function(range) range + c(-0.04, 0.04) * diff(range)

plot_score_pairs <- function(x, points, components) {
  labels <- sprintf("%s\n%s%%", names(x$values)[components],
                    percent_of(x$share[components]))
  graphics::pairs(points$scores[, components], labels, pch = points$symbol, cex = 0.5,
                  col = points$colour, gap = 0.4, las = 1, oma = c(3, 3, 4, 3))
  if (length(points$label) == 0L) return(invisible())
  graphics::legend("top", points$label, pch = points$key_symbol, col = points$key_colour,
                   cex = 0.8, bty = "n", horiz = TRUE, inset = -0.02, xpd = NA)
}

plot_scree <- function(x, ...) {
  percent <- 100 * x$share
  plot_frame(list(xlim = c(0.5, length(percent) + 0.5), ylim = c(0, 1.06 * max(percent)),
                  xlab = "Component", ylab = "Variance (%)"), ...)
  graphics::lines(seq_along(percent), percent, col = plot_colours$even)
  colour <- rep(plot_colours$odd, length(percent))
  colour[!x$converged] <- plot_colours$line
  graphics::points(seq_along(percent), percent, pch = 19, col = colour)
  graphics::axis(1, pretty(c(1, length(percent))), lwd = 0, lwd.ticks = 1,
                 col.ticks = plot_colours$line)
}

percent_of <- function(share) formatC(100 * share, digits = 2L, format = "fg")
