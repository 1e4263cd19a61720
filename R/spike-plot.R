#' Plots of a spike-and-slab fit
#'
#' @param x a result of [spike_slab()].
#' @param type `"pip"`: posterior inclusion probabilities along the genome (or by the order of
#'   the SNPs, where they have no chromosome); `"effect"`: posterior mean effects, per unit of
#'   the standardised genotype; `"trace"`: pi and h2 by iteration, for MCEM with the part of
#'   the path that the estimate is the mean of, for Bayes in all chains.
#' @param ... passed on to [graphics::plot.default()], for example `main` or `ylim`.
#' @return `x`, invisibly.
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' pheno <- read.csv(system.file("extdata", "mouse_pheno.csv", package = "kinlmm"))
#' set.seed(1)
#' few <- geno[, geno$map$chr %in% c("1", "17")]
#' fit <- spike_slab(cd8 ~ 1, pheno, few, "Bayes", id = "id", draws = 100)
#' plot(fit)
#' plot(fit, "trace")
#' @export
plot.spike_slab <- function(x, type = c("pip", "effect", "trace"), ...) {
  type <- check_choice(type, c("pip", "effect", "trace"))
  if (type == "trace") plot_spike_trace(x, ...) else plot_spike_genome(x, type, ...)
  invisible(x)
}

plot_spike_genome <- function(x, type, ...) {
  markers <- x$markers
  placed <- !markers$chr %in% c(NA, "0")
  genome <- any(placed)
  if (genome) markers <- markers[placed, ]
  layout <- if (genome) genome_layout(markers$chr, markers$pos) else
    list(at = seq_len(nrow(markers)), index = rep(1L, nrow(markers)), label = "",
         start = 1, end = nrow(markers))
  y <- markers[[type]]
  single <- length(layout$label) == 1L
  limits <- if (type == "pip") c(0, 1.02) else 1.05 * c(-1, 1) * max(abs(y), 1e-12)
  xlab <- if (!genome) "SNP" else if (single) {
    paste("Position on chromosome", layout$label, "(Mb)")
  } else "Chromosome"
  plot_frame(list(
    xlim = range(layout$at) + c(-1, 1) * 0.01 * max(layout$end), ylim = limits, xlab = xlab,
    ylab = if (type == "pip") "Posterior inclusion probability" else "Posterior mean effect"
  ), ...)
  colour <- c(plot_colours$even, plot_colours$odd)[layout$index %% 2L + 1L]
  colour[markers$pip > 0.5] <- plot_colours$hit
  graphics::segments(layout$at, 0, layout$at, y, col = colour)
  graphics::points(layout$at, y, pch = 19, cex = 0.45, col = colour)
  if (!single) return(chromosome_axis(layout))
  ticks <- pretty(range(layout$at))
  graphics::axis(1, ticks, format(ticks / if (genome) 1e6 else 1, trim = TRUE), lwd = 0,
                 lwd.ticks = 1, col.ticks = plot_colours$line)
}

plot_spike_trace <- function(x, ...) {
  old <- graphics::par(mfrow = c(2L, 1L), mar = c(3.4, 4.6, 0.8, 0.8))
  on.exit(graphics::par(old))
  bayes <- x$settings$method == "Bayes"
  for (name in c("pi", "h2")) {
    if (bayes) {
      y <- matrix(x$draws[[name]], ncol = x$settings$chains)
    } else {
      y <- matrix(x$path[[name]])
    }
    plot_frame(list(xlim = c(1, nrow(y)), ylim = range(y), ylab = "",
                    xlab = if (bayes) "Draw" else "Iteration"), ...)
    graphics::title(ylab = name, line = 3.4)
    if (!bayes) {
      corner <- graphics::par("usr")
      graphics::rect(x$settled + 0.5, corner[[3L]], corner[[2L]], corner[[4L]],
                     col = plot_colours$band, border = NA)
    }
    colours <- rep(unlist(plot_colours[c("odd", "hit", "even", "line")]),
                   length.out = ncol(y))
    for (chain in seq_len(ncol(y))) graphics::lines(y[, chain], col = colours[[chain]])
    graphics::abline(h = x$parameters[name, "estimate"], lty = 2)
    graphics::axis(1, lwd = 0, lwd.ticks = 1, col.ticks = plot_colours$line)
  }
}
