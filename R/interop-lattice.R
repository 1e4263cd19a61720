#' @rawNamespace S3method(lattice::dotplot, ranef.lmmfit)
NULL

#' @rdname lmmfit-plots
#' @method dotplot ranef.lmmfit
dotplot.ranef.lmmfit <- function(x, data, level = 0.95, ...) {
  ink <- plot_ink()
  effects <- effect_intervals(x, check_number(level, 0.001, 0.9999))
  lapply(split(effects, factor(effects$grpvar, names(x))), function(mine) {
    first <- mine[mine$term == mine$term[[1L]], ]
    mine$grp <- factor(mine$grp, first$grp[order(first$condval)])
    mine$term <- factor(mine$term, unique(mine$term))
    half <- mine$half
    lattice::dotplot(
      grp ~ condval | term, mine, xlab = NULL, scales = list(x = list(relation = "free")),
      xlim = lapply(split(mine, mine$term), function(panel) {
        grDevices::extendrange(c(panel$condval - panel$half, panel$condval + panel$half))
      }),
      panel = function(x, y, subscripts, ...) {
        lattice::panel.abline(v = 0, col = ink$rule)
        at <- as.numeric(y)
        lattice::panel.segments(x - half[subscripts], at, x + half[subscripts], at,
                                col = ink$point)
        lattice::panel.points(x, at, pch = 16, cex = 0.6, col = ink$line)
      }, ...
    )
  })
}
