#' @rdname two_stage
#' @param which `"subjects"`: records of some subjects with their own regressions (dashed),
#'   the predictions of the single stage, or of the weighted second stage where that is not
#'   there (solid), and the mean of their like (grey); `"coefficients"`: estimates by all
#'   methods with two standard errors on each side.
#' @param subjects which to show; by default the first `max`, 12, in the order of the levels.
#' @param max (`integer(1)`) how many.
#' @export
plot.two_stage <- function(x, which = c("subjects", "coefficients"), subjects = NULL,
                           max = 12L, ...) {
  which <- check_choice(which, c("subjects", "coefficients"))
  if (which == "coefficients") {
    plot_stage_estimates(x)
    return(invisible(x))
  }
  known <- x$subjects$subject
  if (is.null(subjects)) subjects <- utils::head(known, check_count(max))
  unknown <- setdiff(subjects, known)
  if (length(unknown) > 0L || length(subjects) == 0L) {
    found <- if (length(unknown) > 0L) some_of(unknown) else "empty"
    abort_argument("subjects", "names of subjects", found, rlang::current_env())
  }
  plot_subjects(x, as.character(subjects))
  invisible(x)
}

# Coefficients of all subjects by the single stage, or by the weighted second.
subject_lines <- function(x) {
  if (is.null(x$single)) {
    out <- mean_lines(x, "weighted")
    out[rownames(x$weighted$effects), ] <- x$weighted$effects
    return(out)
  }
  mean_lines(x, "single") + level_modes(x$single, names(x$single$random))
}

# Coefficients of each subject that its covariates explain, by one of the methods.
mean_lines <- function(x, stage) {
  gamma <- matrix(x$comparison[[stage]], ncol(x$W), dimnames = list(NULL, colnames(x$Z)))
  x$W %*% gamma
}

# What the records are drawn against, and the design of a line along it: the variable of
# the first stage, if it is one, or its first column.
subject_axis <- function(x) {
  terms <- stats::delete.response(x$terms)
  labels <- attr(terms, "term.labels")
  variable <- all.vars(str2lang(paste(c("1", labels), collapse = " + ")))
  if (length(variable) == 1L && is.numeric(x$frame[[variable]]) &&
        is.null(dim(x$frame[[variable]]))) {
    values <- x$frame[[variable]]
    line <- function(rows) {
      grid <- seq(min(values), max(values), length.out = 50L)
      frame <- stats::setNames(data.frame(grid), variable)
      # of offsets, which are no part of the design
      frame[setdiff(all.vars(terms), variable)] <- 1
      list(at = grid, Z = stats::model.matrix(terms, frame))
    }
    return(list(name = variable, values = values, line = line))
  }
  column <- setdiff(colnames(x$Z), "(Intercept)")
  values <- if (length(column) > 0L) unname(x$Z[, column[[1L]]]) else
    stats::ave(seq_along(x$y), x$factor, FUN = seq_along)
  line <- function(rows) {
    rows <- rows[order(values[rows])]
    list(at = values[rows], Z = x$Z[rows, , drop = FALSE])
  }
  list(name = c(column, "record")[[1L]], values = values, line = line)
}

plot_subjects <- function(x, subjects) {
  axis <- subject_axis(x)
  own <- as.matrix(x$subjects[, colnames(x$Z), drop = FALSE])
  rownames(own) <- x$subjects$subject
  stage <- if (is.null(x$single)) "weighted" else "single"
  lines <- list(mean = mean_lines(x, stage), own = own, both = subject_lines(x))
  cells <- rev(grDevices::n2mfrow(length(subjects)))
  before <- graphics::par(mfrow = cells, mar = c(0.5, 0.5, 1.6, 0.3),
                          oma = c(4, 4, 2.2, 0.5), mgp = c(2, 0.6, 0))
  on.exit(graphics::par(before))
  shown <- x$factor %in% subjects
  limits <- list(x = range(axis$values[shown]), y = range(x$y[shown]))
  for (i in seq_along(subjects)) {
    draw_subject(x, subjects[[i]], axis, lines, limits)
    if (i > length(subjects) - cells[[2L]]) graphics::axis(1, cex.axis = 0.9)
    if (i %% cells[[2L]] == 1L || cells[[2L]] == 1L) graphics::axis(2, las = 1)
  }
  graphics::mtext(axis$name, 1L, 2.4, outer = TRUE, cex = 0.9, las = 0)
  response <- as_text(x$formula[[2L]])
  if (!is.null(stats::model.offset(x$frame))) response <- paste(response, "less offset")
  graphics::mtext(response, 2L, 2.6, outer = TRUE, cex = 0.9, las = 0)
  legend_above(c("own regression", if (is.null(x$single)) "two-stage prediction" else
    "mixed model", "mean of its like"))
}

draw_subject <- function(x, subject, axis, lines, limits) {
  ink <- plot_ink()
  rows <- which(x$factor == subject)
  graphics::plot(limits$x, limits$y, type = "n", axes = FALSE, xlab = "", ylab = "")
  graphics::box(col = ink$rule)
  graphics::mtext(subject, 3L, 0.2, cex = 0.75, las = 0)
  line <- axis$line(rows)
  draw <- function(coefficients, ...) {
    graphics::lines(line$at, drop(line$Z %*% coefficients[subject, ]), ...)
  }
  draw(lines$mean, col = ink$rule, lwd = 2)
  if (!anyNA(lines$own[subject, ])) draw(lines$own, col = "#1b4f72", lty = 2, lwd = 1.4)
  draw(lines$both, col = ink$line, lwd = 1.8)
  graphics::points(axis$values[rows], x$y[rows], pch = 16, col = ink$point)
}

# One line over all panels.
legend_above <- function(labels) {
  before <- graphics::par(fig = c(0, 1, 0, 1), oma = rep(0, 4), mar = rep(0, 4), new = TRUE)
  on.exit(graphics::par(before))
  graphics::plot(0, 0, type = "n", axes = FALSE, xlab = "", ylab = "")
  graphics::legend("top", labels, horiz = TRUE, bty = "n", lwd = c(1.4, 1.8, 2),
                   lty = c(2, 1, 1), col = c("#1b4f72", plot_ink()$line, plot_ink()$rule),
                   cex = 0.9)
}

# A panel for each coefficient, methods one below the other.
plot_stage_estimates <- function(x) {
  stages <- stage_methods(x)
  titles <- c(unweighted = "two-stage", weighted = "weighted", single = "single stage")
  ink <- plot_ink()
  names <- x$comparison$coefficient
  before <- graphics::par(mfrow = rev(grDevices::n2mfrow(length(names))),
                          mar = c(3, 6.5, 2, 1), mgp = c(2, 0.6, 0))
  on.exit(graphics::par(before))
  at <- rev(seq_along(stages))
  for (i in seq_along(names)) {
    value <- vapply(stages, function(stage) x$comparison[[stage]][[i]], 0)
    half <- 2 * vapply(stages, function(stage) x$comparison[[paste0("se_", stage)]][[i]], 0)
    graphics::plot(value, at, xlim = range(value - half, value + half, na.rm = TRUE),
                   ylim = c(0.5, length(stages) + 0.5), type = "n", yaxt = "n", bty = "l",
                   xlab = "", ylab = "", main = names[[i]], font.main = 1, cex.main = 1)
    graphics::abline(v = 0, col = ink$rule)
    graphics::segments(value - half, at, value + half, at, col = ink$point, lwd = 2)
    graphics::points(value, at, pch = 16, col = ink$line, cex = 1.3)
    graphics::axis(2, at, titles[stages], las = 1, tick = FALSE, line = -0.6)
  }
}
