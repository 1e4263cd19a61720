#' Manhattan and quantile-quantile plots of a scan
#'
#' @param x A `"gwas"` from [gwas()].
#' @param type A string: `"manhattan"` (default) shows `-log10 p` along the genome, with
#'   the genome-wide threshold 5e-8 (solid) and the Bonferroni threshold 0.05 over the
#'   number of SNPs tested in the scan (dashed); `"qq"` shows it against its expectation, with a
#'   pointwise 95% band for independent SNPs and the inflation factor lambda_GC.
#' @param p A string: of which test, `"wald"` (default), `"lrt"` or `"score"`.
#' @param ... Passed on to [graphics::plot.default()], for example `main`, `xlim` or
#'   `ylab`.
#' @details Chromosomes are in the order of their numbers, then X, Y, XY and MT, then
#'   others by name. SNPs without a chromosome (`NA` or `"0"`) are not in the Manhattan
#'   plot; those without a position (`NA` or not positive) are drawn between their
#'   neighbours. Of points that would be drawn over each other only one is. The inflation
#'   factor is the median of the chi squared statistics over its expectation, 0.455.
#' @return `x`, invisibly.
#' @section Errors: `kinlmm_error_scan_empty` if no SNP was tested,
#'   `kinlmm_error_scan_unplaced` if none has a chromosome, `kinlmm_error_argument`. They
#'   are all `kinlmm_error_input`s.
#' @references Devlin B, Roeder K (1999). Genomic control for association studies.
#'   *Biometrics* 55, 997-1004. \doi{10.1111/j.0006-341X.1999.00997.x}
#' @seealso [gwas()].
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' pheno <- read.csv(system.file("extdata", "mouse_pheno.csv", package = "kinlmm"))
#' fit <- lmmfit(cd8 ~ 1 + (1 | id), pheno, kinship = list(id = grm(geno)))
#' hits <- gwas(fit, geno)
#' plot(hits)
#' plot(hits, "qq")
#' @export
plot.gwas <- function(x, type = c("manhattan", "qq"), p = c("wald", "lrt", "score"),
                      ...) {
  check_gwas(x)
  type <- check_choice(type, c("manhattan", "qq"))
  p <- check_choice(p, gwas_tests)
  y <- gwas_neg_log10(x, p)
  if (all(is.na(y))) abort_scan_empty(rlang::current_env())
  draw <- if (type == "manhattan") plot_manhattan else plot_qq
  draw(x, y, p, ...)
  invisible(x)
}

plot_colours <- list(
  odd = "#2b4a6f", even = "#7fa3c7", hit = "#c8553d", band = "#d9e2ec", line = "#8c8c8c"
)

# Manhattan ----

plot_manhattan <- function(x, y, p, ...) {
  tested <- attr(x, "scan")$tested
  bonferroni <- -log10(0.05 / if (is.null(tested)) sum(!is.na(y)) else tested)
  on_map <- !is.na(y) & !x$chr %in% c(NA, "0")
  if (!any(on_map)) abort_scan_unplaced(rlang::caller_env())
  layout <- genome_layout(x$chr[on_map], x$pos[on_map])
  at <- layout$at
  y <- y[on_map]
  seen <- not_hidden(at, y, max(layout$end), max(y, 8))
  single <- length(layout$label) == 1L

  plot_frame(list(
    xlim = range(at) + c(-1, 1) * 0.01 * max(layout$end),
    ylim = c(0, 1.06 * max(y, -log10(5e-8), bonferroni)),
    xlab = if (single) paste("Position on chromosome", layout$label, "(Mb)")
           else "Chromosome",
    ylab = p_label(p)
  ), ...)
  thresholds(bonferroni)
  colour <- c(plot_colours$even, plot_colours$odd)[layout$index %% 2L + 1L]
  colour[y > min(-log10(5e-8), bonferroni)] <- plot_colours$hit
  graphics::points(at[seen], y[seen], pch = 19, cex = 0.45, col = colour[seen])
  if (single) {
    megabase_axis(at)
  } else {
    chromosome_axis(layout)
  }
}

megabase_axis <- function(at) {
  ticks <- pretty(range(at))
  graphics::axis(1, ticks, format(ticks / 1e6, trim = TRUE), lwd = 0, lwd.ticks = 1,
                 col.ticks = plot_colours$line)
}

# Places on one axis: chromosomes in order with gaps of 1% between them.
genome_layout <- function(chr, pos) {
  label <- chromosome_order(unique(chr))
  index <- match(chr, label)
  span <- split(as.numeric(pos), factor(index, seq_along(label)))
  span <- lapply(span, spread_positions)
  single <- length(label) == 1L
  width <- vapply(unname(span), function(s) if (single) max(s) else diff(range(s)), 0)
  gap <- 0.01 * sum(width) + (sum(width) == 0)
  start <- c(0, cumsum(width + gap))[seq_along(label)]
  origin <- if (single) 0 else vapply(span, min, 0)
  list(at = unsplit(Map(function(s, to, from) s - from + to, span, start, origin), index),
       index = index, label = label, start = start, end = start + width)
}

# Positions of one chromosome. Those that are unknown (NA, or not positive, as PLINK
# writes them) are put between their neighbours; all unknown, they are ranks.
spread_positions <- function(pos) {
  rank <- as.numeric(seq_along(pos))
  known <- !is.na(pos) & pos > 0
  if (!any(known)) return(rank)
  if (sum(known) == 1L) return(rep(pos[known], length(pos)))
  stats::approx(rank[known], pos[known], rank, rule = 2)$y
}

chromosome_order <- function(chr) {
  bare <- toupper(sub("^chr", "", chr, ignore.case = TRUE))
  number <- suppressWarnings(as.numeric(bare))
  letter <- match(bare, c("X", "Y", "XY", "M", "MT"))
  chr[order(is.na(number), number, letter, bare)]
}

# One of all points that fall on the same spot of a fine grid, strong ones always.
not_hidden <- function(at, y, width, height) {
  cell <- round(1500 * at / width) + 2000 * round(400 * y / height)
  !duplicated(cell) | y > 4
}

# Every label that has room.
chromosome_axis <- function(layout) {
  middle <- (layout$start + layout$end) / 2
  need <- graphics::strwidth(layout$label, cex = 0.8) + graphics::strwidth("0", cex = 0.6)
  free <- -Inf
  shown <- logical(length(middle))
  for (i in seq_along(middle)) {
    shown[[i]] <- middle[[i]] - need[[i]] / 2 >= free
    if (shown[[i]]) free <- middle[[i]] + need[[i]] / 2
  }
  # mtext(), because axis() drops labels by a rule of its own
  graphics::mtext(layout$label[shown], 1, line = 0.3, at = middle[shown], cex = 0.8)
}

# Lines, and their names above the right corner, where no points are.
thresholds <- function(bonferroni) {
  lines <- c(1, 2)
  graphics::abline(h = c(-log10(5e-8), bonferroni), col = plot_colours$line, lty = lines)
  corner <- graphics::par("usr")[c(2L, 4L)]
  graphics::legend(
    corner[[1L]], corner[[2L]], c("5e-8", paste("Bonferroni", format_p(bonferroni, 2L))),
    lty = lines, col = plot_colours$line, text.col = "#5c5c5c", cex = 0.75, bty = "n",
    horiz = TRUE, seg.len = 2.5, xjust = 1, yjust = 0.2, xpd = NA
  )
}

# Quantiles ----

plot_qq <- function(x, y, p, ...) {
  y <- sort(y[!is.na(y)], decreasing = TRUE)
  m <- length(y)
  expected <- -log10(stats::ppoints(m, a = 0.5))
  seen <- not_hidden(expected, y, max(expected), max(y))
  rank <- unique(round(10^seq(0, log10(m), length.out = 300)))

  plot_frame(list(
    xlim = c(-0.01, 1.01) * max(expected), ylim = c(0, 1.04 * max(y, expected)),
    xlab = expression(Expected ~ ~ -log[10] ~ italic(p)), ylab = p_label(p)
  ), ...)
  upper <- -log10(stats::qbeta(0.025, rank, m - rank + 1))
  lower <- -log10(stats::qbeta(0.975, rank, m - rank + 1))
  graphics::polygon(c(expected[rank], rev(expected[rank])), c(upper, rev(lower)),
                    col = plot_colours$band, border = NA)
  graphics::segments(0, 0, max(expected), max(expected), col = plot_colours$line)
  graphics::points(expected[seen], y[seen], pch = 19, cex = 0.5, col = plot_colours$odd)
  graphics::axis(1, lwd = 0, lwd.ticks = 1, col.ticks = plot_colours$line)
  inflation <- formatC(lambda_gc(y), 3, format = "f")
  graphics::legend("topleft", bty = "n", inset = 0.01, text.col = "#3c3c3c",
                   legend = as.expression(bquote(lambda[GC] == .(inflation))))
}

# Both ----

# An empty frame with the y axis; what the user gives in ... wins over `defaults`.
plot_frame <- function(defaults, ...) {
  fixed <- list(x = NA, type = "n", xaxs = "i", yaxs = "i", axes = FALSE)
  old <- graphics::par(las = 1, mgp = c(2.2, 0.6, 0), tcl = -0.25)
  on.exit(graphics::par(old))
  do.call(graphics::plot.default, utils::modifyList(c(fixed, defaults), list(...)))
  graphics::axis(2, lwd = 0, lwd.ticks = 1, col.ticks = plot_colours$line)
  graphics::box(bty = "l", col = plot_colours$line)
}

p_label <- function(p) {
  test <- c(wald = "Wald", lrt = "likelihood ratio", score = "score")[[p]]
  bquote(-log[10] ~ italic(p) ~ .(paste0("(", test, " test)")))
}
