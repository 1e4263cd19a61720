#' @importFrom rlang .data
NULL

#' @rawNamespace
#' S3method(ggplot2::autoplot, lmmfit)
#' S3method(ggplot2::autoplot, ranef.lmmfit)
#' S3method(ggplot2::autoplot, profile.lmmfit)
NULL

#' @rdname lmmfit-plots
#' @method autoplot lmmfit
autoplot.lmmfit <- function(object, which = c("fitted", "qq", "ranef"), ...) {
  rlang::check_dots_empty()
  which <- check_choice(which, c("fitted", "qq", "ranef"))
  if (which == "ranef") return(ggplot2::autoplot(ranef(object)))
  ink <- plot_ink()
  data <- data.frame(
    fitted = as.vector(stats::na.omit(fitted(object))),
    residual = as.vector(stats::na.omit(residuals(object, "pearson", scaled = TRUE)))
  )
  point <- ggplot2::geom_point(colour = ink$point)
  if (which == "fitted") {
    ggplot2::ggplot(data, ggplot2::aes(.data$fitted, .data$residual)) +
      ggplot2::geom_hline(yintercept = 0, colour = ink$rule) + point +
      ggplot2::geom_line(data = lowess_line(data), colour = ink$line, linewidth = 0.8) +
      ggplot2::labs(x = "Fitted values", y = "Scaled residuals")
  } else {
    ggplot2::ggplot(data, ggplot2::aes(sample = .data$residual)) +
      ggplot2::geom_qq_line(colour = ink$line, linewidth = 0.8) +
      ggplot2::geom_qq(colour = ink$point) +
      ggplot2::labs(x = "Normal quantiles", y = "Scaled residuals")
  }
}

# None through very few different values.
lowess_line <- function(data) {
  if (length(unique(data$fitted)) <= 5L) return(data[0L, ])
  line <- stats::lowess(data$fitted, data$residual)
  data.frame(fitted = line$x, residual = line$y)
}

#' @rdname lmmfit-plots
#' @method autoplot ranef.lmmfit
autoplot.ranef.lmmfit <- function(object, level = 0.95, ...) {
  rlang::check_dots_empty()
  ink <- plot_ink()
  effects <- effect_intervals(object, check_number(level, 0.001, 0.9999))
  # the same level stands elsewhere in each panel
  key <- paste(effects$grpvar, effects$term, effects$grp, sep = "\r")
  effects$place <- factor(key, key[order(effects$condval)])
  effects$panel <- paste0(effects$term, " of ", effects$grpvar)
  effects$panel <- factor(effects$panel, unique(effects$panel))
  crowded <- max(table(effects$panel)) > 60L
  plot <- ggplot2::ggplot(effects, ggplot2::aes(.data$condval, .data$place)) +
    ggplot2::geom_vline(xintercept = 0, colour = ink$rule) +
    ggplot2::geom_linerange(ggplot2::aes(xmin = .data$condval - .data$half,
                                         xmax = .data$condval + .data$half),
                            colour = ink$point) +
    ggplot2::geom_point(colour = ink$line, size = if (crowded) 0.6 else 1.5) +
    ggplot2::facet_wrap(~panel, scales = "free") +
    ggplot2::scale_y_discrete(labels = function(key) sub(".*\r", "", key)) +
    ggplot2::labs(x = NULL, y = NULL)
  if (!crowded) return(plot)
  plot + ggplot2::theme(axis.text.y = ggplot2::element_blank(),
                        axis.ticks.y = ggplot2::element_blank(),
                        panel.grid.major.y = ggplot2::element_blank())
}

#' @rdname lmmfit-plots
#' @method autoplot profile.lmmfit
autoplot.profile.lmmfit <- function(object, level = 0.95, ...) {
  rlang::check_dots_empty()
  ink <- plot_ink()
  limit <- stats::qnorm((1 + check_number(level, 0.001, 0.9999)) / 2)
  curves <- profile_curves(object)
  together <- function(make) {
    tables <- Map(function(curve, name) {
      table <- make(curve)
      data.frame(parameter = rep(factor(name, names(curves)), nrow(table)), table)
    }, curves, names(curves))
    do.call(rbind, unname(tables))
  }
  ends <- together(function(curve) {
    at <- data.frame(value = profile_crossings(curve, limit), zeta = c(-limit, limit))
    at[!is.na(at$value), ]
  })
  ggplot2::ggplot(together(identity), ggplot2::aes(.data$value, .data$zeta)) +
    ggplot2::geom_hline(yintercept = 0, colour = ink$rule) +
    ggplot2::geom_hline(yintercept = c(-limit, limit), colour = ink$rule, linetype = 2) +
    ggplot2::geom_segment(ggplot2::aes(xend = .data$value, yend = -Inf), data = ends,
                          colour = ink$rule) +
    ggplot2::geom_line(data = together(smooth_profile), colour = ink$line,
                       linewidth = 0.8) +
    ggplot2::geom_point(colour = ink$point) +
    ggplot2::facet_wrap(~parameter, scales = "free_x") +
    ggplot2::labs(x = NULL, y = expression(zeta))
}
