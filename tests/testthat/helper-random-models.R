# Random models of every shape that the package fits, each from its seed alone.
# bench/random-models.R runs a thousand, the tests a few.

# Returns list(formula, data, REML): y, weights w (all 1 where the model has none),
# covariates x1 to x3, f, and the grouping factors.
random_model <- function(seed, most = 2000, max_theta = 12L) {
  withr::local_seed(seed)
  n <- round(exp(stats::runif(1, log(60), log(most))))
  data <- random_groups(n)
  data$x1 <- stats::rnorm(n, sample(c(0, 0, 5), 1), sample(c(0.1, 1, 1, 10), 1))
  data$x2 <- sample(0:9, n, replace = TRUE)
  data$x3 <- stats::runif(n, -1, 1)
  data$f <- factor(sample(c("u", "v", "w"), n, replace = TRUE))
  bars <- random_bars(attr(data, "bars"), data, max_theta)
  fixed <- sample(c("1", "x1", "x1 + x2", "x2 * f", "x1 + x2 + x3 + f"), 1)
  data$w <- if (stats::runif(1) < 0.3) stats::runif(n, 0.1, 5) else 1
  signal <- Reduce(`+`, lapply(bars, random_effects, data = data))
  y <- 3 * sample(0:1, 1) + 0.5 * data$x3 + signal + stats::rnorm(n) / sqrt(data$w)
  data$y <- y * 10^stats::runif(1, -4, 6)
  formula <- stats::as.formula(paste("y ~", fixed, "+",
                                     paste(lapply(bars, `[[`, "text"), collapse = " + ")))
  environment(formula) <- globalenv()
  list(formula = formula, data = data, REML = stats::runif(1) < 0.7)
}

# Grouping factors a, b, c: crossed, nested or both, balanced or not. The attribute
# `bars` is what may stand to the right of a bar.
random_groups <- function(n) {
  shape <- sample(c("one", "crossed", "nested", "three", "mixed", "deep"), 1,
                  prob = c(3, 3, 2, 1, 1, 1))
  balanced <- stats::runif(1) < 0.3
  draw <- function(q, each) {
    if (balanced) return(rep_len(rep(seq_len(q), each = each), n))
    sample(q, n, replace = TRUE, prob = stats::rexp(q) + 0.1)
  }
  some <- function(most) round(exp(stats::runif(1, log(4), log(max(5, most)))))
  q <- some(n / 8)
  few <- sample(2:4, 2, replace = TRUE)
  data <- data.frame(a = factor(draw(q, 1)))
  inner <- shape %in% c("nested", "deep", "mixed")
  data$b <- factor(if (inner) draw(few[[1]], q) else draw(some(n / 10), 2))
  data$c <- factor(if (shape == "deep") draw(few[[2]], q * few[[1]]) else
    draw(some(30), 3))
  attr(data, "bars") <- switch(shape, one = "a", crossed = c("a", "b"), nested = "a/b",
                               three = c("a", "b", "c"), mixed = c("a/b", "c"),
                               deep = "a/b/c")
  data
}

# For each right-hand side the text of its term and its groups and columns, as many
# slopes as the records and `max_theta` allow.
random_bars <- function(groups, data, max_theta) {
  left <- max_theta - lengths(strsplit(groups, "/"))
  bars <- list()
  for (i in seq_along(groups)) {
    names <- strsplit(groups[[i]], "/")[[1]]
    codes <- lapply(seq_along(names), function(k) {
      interaction(data[names[seq_len(k)]], drop = TRUE)
    })
    # hardly more records than levels leave nothing to estimate
    names <- names[vapply(codes, nlevels, 1L) <= 0.9 * nrow(data)]
    codes <- codes[seq_along(names)]
    slopes <- sample(0:3, 1, prob = c(4, 3, 2, 2))
    most <- 0.6 * nrow(data) / max(vapply(codes, nlevels, 1L)) - 1
    bar <- sample(c("|", "||"), 1, prob = c(2, 1))
    costs <- function(k) {
      length(names) * if (bar == "|") (k + 1) * (k + 2) / 2 else k + 1
    }
    while (slopes > 0 && (slopes > most || costs(slopes) > min(left))) slopes <- slopes - 1
    if (slopes == 0) bar <- "|"
    left <- left - costs(slopes)
    columns <- c("1", sample(paste0("x", 1:3), slopes))
    if (slopes > 0 && stats::runif(1) < 0.15) columns[[1]] <- "0"
    if (identical(columns, "0")) columns <- "1"
    lhs <- paste(columns, collapse = " + ")
    group <- paste(names, collapse = "/")
    bars[[i]] <- list(text = paste0("(", lhs, " ", bar, " ", group, ")"), codes = codes,
                      columns = setdiff(columns, "0"), independent = bar == "||")
  }
  bars
}

# Effects with standard deviations from exactly zero to three, and now and then a
# covariance of rank one.
random_effects <- function(bar, data) {
  Z <- vapply(bar$columns, function(column) {
    if (column == "1") rep(1, nrow(data)) else data[[column]] / stats::sd(data[[column]])
  }, numeric(nrow(data)))
  Reduce(`+`, lapply(bar$codes, function(code) {
    sd <- sample(c(0, 0.02, 0.3, 1, 3), ncol(Z), replace = TRUE, prob = c(2, 1, 3, 4, 1))
    u <- matrix(stats::rnorm(nlevels(code) * ncol(Z)), ncol = ncol(Z))
    if (!bar$independent && stats::runif(1) < 0.3) u[] <- u[, 1]
    rowSums(Z * sweep(u, 2L, sd, `*`)[as.integer(code), , drop = FALSE])
  }))
}
