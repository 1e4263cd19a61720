# Diagnostics of draws from several chains (Vehtari et al. 2021): those of the package
# 'posterior' where it is installed, and here the same by their definitions.

# For each column of `values` the summary of its draws; chain: of each row.
draw_summary <- function(values, chain) {
  out <- lapply(seq_len(ncol(values)), function(j) {
    x <- values[, j]
    by_chain <- matrix(x, ncol = length(unique(chain)))
    quantiles <- stats::quantile(x, c(0.5, 0.025, 0.975), names = FALSE)
    data.frame(mean = mean(x), median = quantiles[[1L]], sd = stats::sd(x),
               q2.5 = quantiles[[2L]], q97.5 = quantiles[[3L]], chain_diagnostics(by_chain))
  })
  out <- do.call(rbind, out)
  rownames(out) <- colnames(values)
  out
}

# x: draws x chains. mcse: Monte-Carlo standard error of the mean.
chain_diagnostics <- function(x, with = rlang::is_installed("posterior")) {
  if (with) {
    # it warns of draws that are better than independent ones
    return(suppressWarnings(data.frame(
      mcse = posterior::mcse_mean(x), rhat = posterior::rhat(x),
      ess_bulk = posterior::ess_bulk(x), ess_tail = posterior::ess_tail(x)
    )))
  }
  halves <- split_chains(x)
  data.frame(mcse = stats::sd(x) / sqrt(effective_size(halves)), rhat = split_rhat(halves),
             ess_bulk = effective_size(normal_ranks(halves)),
             ess_tail = tail_size(halves, stats::quantile(x, c(0.05, 0.95))))
}

# Each half of a chain as a chain.
split_chains <- function(x) {
  half <- nrow(x) %/% 2L
  cbind(x[seq_len(half), , drop = FALSE], x[nrow(x) - half + seq_len(half), , drop = FALSE])
}

# Normal quantiles of the ranks among all chains.
normal_ranks <- function(x) {
  x[] <- stats::qnorm((rank(x) - 0.375) / (length(x) + 0.25))
  x
}

# The larger of that for the centre and that for the spread.
split_rhat <- function(halves) {
  max(plain_rhat(normal_ranks(halves)),
      plain_rhat(normal_ranks(abs(halves - stats::median(halves)))))
}

plain_rhat <- function(x) {
  n <- nrow(x)
  within <- mean(apply(x, 2L, stats::var))
  between <- stats::var(colMeans(x))
  sqrt((between + within * (n - 1) / n) / within)
}

# Of the indicators of both tails, beyond these ends, the smaller.
tail_size <- function(halves, ends) {
  min(vapply(ends, function(end) effective_size(1 * (halves <= end)), numeric(1)))
}

# Number of independent draws that the mean of x (draws x chains) is worth: autocorrelations
# of all chains together, summed by pairs as far as these are positive and made decreasing
# (Geyer 1992).
effective_size <- function(x) {
  n <- nrow(x)
  if (n < 3L || !all(is.finite(x)) || diff(range(x)) == 0) return(NA_real_)
  covariance <- apply(x, 2L, autocovariance)
  within <- mean(covariance[1L, ]) * n / (n - 1)
  total <- within * (n - 1) / n
  if (ncol(x) > 1L) total <- total + stats::var(colMeans(x))
  rho <- 1 - (within - rowMeans(covariance)) / total
  rho[[1L]] <- 1
  # the last few lags hold nothing
  even <- seq(1L, max(n - 4L, 1L) + 1L, by = 2L)
  pairs <- rho[even] + rho[even + 1L]
  last <- match(TRUE, !(pairs > 0), length(pairs)) - 1L
  kept <- cummin(pairs[seq_len(max(last, 1L))])
  # of the next pair its even lag, once
  beyond <- max(rho[[even[[last + 1L]]]], 0)
  draws <- length(x)
  draws / max(2 * sum(kept) - 1 + beyond, 1 / log10(draws))
}

# Lags 0, ..., n - 1, each divided by n.
autocovariance <- function(x) {
  n <- length(x)
  size <- stats::nextn(2L * n)
  padded <- c(x - mean(x), numeric(size - n))
  spectrum <- Mod(stats::fft(padded))^2
  Re(stats::fft(spectrum, inverse = TRUE))[seq_len(n)] / size / n
}
