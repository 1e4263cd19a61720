# The result of spike_slab(), see there; `state` is what more() goes on from.

new_spike_slab <- function(fit, result) {
  bayes <- fit$settings$method == "Bayes"
  map <- fit$geno$map[result$used + 1L, , drop = FALSE]
  fit$markers <- data.frame(
    map[c("chr", "snp", "pos", "a1", "a2")], p = result$mean / 2, scale = result$scale,
    pip = result$pip, effect = result$effect,
    sd = sqrt(pmax(result$square - result$effect^2, 0)),
    beta = result$effect / result$scale, row.names = NULL
  )
  fit$m <- nrow(fit$markers)
  fit$dropped <- ncol(fit$geno) - fit$m
  fit$n <- length(fit$spec$y)
  fit$state_used <- result$used
  fit$state <- result[setdiff(names(result), c("used", "mean", "scale"))]
  draws <- (if (bayes) spike_bayes_draws else spike_em_draws)(result$draws, fit)
  fit$draws <- draws$table
  estimates <- if (bayes) spike_bayes_estimates(fit, draws) else
    spike_em_estimates(fit, result, draws)
  fit[names(estimates)] <- estimates
  fixed <- drop(fit$model$fixed$X %*% fit$coefficients)
  fit$genetic <- stats::setNames(result$genetic, sample_ids(fit$geno))
  fit$fitted <- stats::setNames(fixed + result$genetic + fit$model$frame$offset,
                                names(fit$model$frame$y))
  fit$notes <- spike_notes(fit)
  structure(fit, class = "spike_slab")
}

spike_share <- function(pi, sigma_g2, sigma_e2) sigma_g2 / (sigma_g2 + sigma_e2)

# Coefficients of X from those of its basis Q: rows of G are draws.
spike_coefficients <- function(fit, G) {
  R <- fit$spec$R
  if (ncol(R) == 0L) return(matrix(0, nrow(G), 0L))
  out <- t(backsolve(R, t(G)))
  colnames(out) <- fit$spec$names
  out
}

# MCEM ----

spike_em_draws <- function(raw, fit) {
  p <- ncol(fit$spec$Q)
  Qr <- raw[, 8L + seq_len(p), drop = FALSE]
  list(
    table = data.frame(chain = raw[, 1L], active = raw[, 2L],
                       genetic = spike_genetic_variance(raw[, 5L], fit)),
    active = raw[, 2L], squares = raw[, 3L], gy = raw[, 4L], gg = raw[, 5L],
    yy = raw[[1L, 8L]], Qr = Qr, chain = raw[, 1L]
  )
}

spike_genetic_variance <- function(gg, fit) {
  gg / (fit$n - if (fit$spec$restricted) ncol(fit$spec$Q) else 0)
}

spike_em_estimates <- function(fit, result, draws) {
  at <- result$estimate
  h2 <- spike_share(at$pi, at$sigma_g2, at$sigma_e2)
  error <- replace(result$error, result$error < 0, NA)
  # away from the maximum the formula has no meaning
  se <- if (anyNA(error)) NA_real_ else spike_louis(fit, at, draws)
  parameters <- data.frame(
    estimate = c(at$pi, h2, at$sigma_g2, at$sigma_e2), se = se,
    mc_error = c(error[[2L]] * at$pi, error[[1L]], NA, NA),
    row.names = c("pi", "h2", "sigma_g2", "sigma_e2")
  )
  path <- data.frame(iteration = seq_len(nrow(result$path)), result$path)
  names(path)[-1L] <- c("pi", "sigma_g2", "sigma_e2", "sweeps", "between_chains")
  path$h2 <- spike_share(path$pi, path$sigma_g2, path$sigma_e2)
  c(list(parameters = parameters, path = path, converged = result$converged,
         trend = result$trend, settled = result$settled),
    spike_em_fixed(fit, at, draws))
}

# Fixed effects and their covariance, of the law of total variance (REML) or by Louis'
# formula (ML).
spike_em_fixed <- function(fit, at, draws) {
  spec <- fit$spec
  p <- ncol(spec$Q)
  spread <- if (p > 0L) stats::var(draws$Qr) else matrix(0, 0L, 0L)
  if (spec$restricted) {
    gamma <- colMeans(draws$Qr)
    covariance <- at$sigma_e2 * diag(p) + spread
  } else {
    gamma <- at$gamma
    information <- (diag(p) - spread / at$sigma_e2) / at$sigma_e2
    covariance <- tryCatch(chol2inv(chol(information)),
                           error = function(e) matrix(NA_real_, p, p))
  }
  inverse <- if (p > 0L) backsolve(spec$R, diag(p)) else matrix(0, 0L, 0L)
  names <- spec$names
  list(coefficients = stats::setNames(drop(spike_coefficients(fit, matrix(gamma, 1L))), names),
       vcov = structure(inverse %*% covariance %*% t(inverse), dimnames = list(names, names)))
}

# Standard errors by Louis' formula: the expected information of the complete data less the
# variance of its score, in (logit pi, log of the slab's standard deviation, log sigma_e2),
# where the complete data are s and u of unit variance. NA where the draws do not tell.
spike_louis <- function(fit, at, draws) {
  # the variance of scores of fewer is too small more often than not
  if (length(draws$chain) < 100L) return(rep(NA_real_, 4L))
  terms <- spike_louis_terms(fit, at, draws)
  batch <- interaction(draws$chain, ceiling(5 * seq_along(draws$chain) /
                                              length(draws$chain)), drop = TRUE)
  all <- spike_louis_errors(fit, at, terms, rep(TRUE, nrow(terms$score)))
  # without a batch at a time
  without <- vapply(levels(batch), function(one) {
    spike_louis_errors(fit, at, terms, batch != one)
  }, numeric(4))
  count <- nlevels(batch)
  spread <- sqrt((count - 1)^2 / count * apply(without, 1L, stats::var))
  unsure <- is.na(spread) | spread > 0.5 * all
  replace(all, unsure, NA_real_)
}

spike_louis_terms <- function(fit, at, draws) {
  spec <- fit$spec
  rr <- draws$yy - 2 * draws$gy + draws$gg
  gr <- draws$gy - draws$gg
  df <- fit$n - ncol(spec$Q)
  if (!spec$restricted) {
    Qy <- drop(crossprod(spec$Q, spec$y))
    taken <- drop((rep(Qy, each = nrow(draws$Qr)) - draws$Qr) %*% at$gamma)
    rr <- rr - 2 * sum(at$gamma * Qy) + sum(at$gamma^2) + 2 * taken
    gr <- gr - taken
    df <- fit$n
  }
  score <- cbind(draws$active - fit$m * at$pi, gr / at$sigma_e2,
                 (rr / at$sigma_e2 - df) / 2)
  list(score = score, curvature = (draws$gg - gr) / at$sigma_e2, mixed = gr / at$sigma_e2,
       residual = rr / at$sigma_e2 / 2)
}

spike_louis_errors <- function(fit, at, terms, rows) {
  mixed <- mean(terms$mixed[rows])
  information <- diag(c(fit$m * at$pi * (1 - at$pi), mean(terms$curvature[rows]),
                        mean(terms$residual[rows])))
  information[2L, 3L] <- information[3L, 2L] <- mixed
  information <- information - stats::var(terms$score[rows, , drop = FALSE])
  # at pi = 1 it is known
  free <- if (spike_near_one(at$pi)) 2:3 else 1:3
  covariance <- matrix(0, 3L, 3L)
  inverse <- tryCatch(chol2inv(chol(information[free, free])), error = function(e) NULL)
  if (is.null(inverse)) return(rep(NA_real_, 4L))
  covariance[free, free] <- inverse
  h2 <- spike_share(at$pi, at$sigma_g2, at$sigma_e2)
  slopes <- rbind(at$pi * (1 - at$pi) * c(1, 0, 0),
                  h2 * (1 - h2) * c(1 - at$pi, 2, -1),
                  at$sigma_g2 * c(1 - at$pi, 2, 0), at$sigma_e2 * c(0, 0, 1))
  out <- sqrt(rowSums((slopes %*% covariance) * slopes))
  if (spike_near_one(at$pi)) out[[1L]] <- NA
  out
}

spike_near_one <- function(pi) pi > 1 - 1e-3

# Bayes ----

spike_bayes_draws <- function(raw, fit) {
  p <- ncol(fit$spec$Q)
  table <- data.frame(
    chain = raw[, 1L], pi = raw[, 2L], h2 = spike_share(raw[, 2L], raw[, 3L], raw[, 4L]),
    sigma_g2 = raw[, 3L], sigma_e2 = raw[, 4L], active = raw[, 5L],
    genetic = spike_genetic_variance(raw[, 6L], fit)
  )
  list(table = table, beta = spike_coefficients(fit, raw[, 6L + seq_len(p), drop = FALSE]))
}

spike_bayes_estimates <- function(fit, draws) {
  table <- draws$table
  of <- function(name) {
    x <- table[[name]]
    chains <- matrix(x, ncol = fit$settings$chains)
    interval <- stats::quantile(x, c(0.025, 0.975), names = FALSE)
    quality <- chain_diagnostics(chains)
    data.frame(estimate = mean(x), se = stats::sd(x), lower = interval[[1L]],
               upper = interval[[2L]], rhat = quality$rhat, ess = quality$ess_bulk,
               row.names = name)
  }
  parameters <- do.call(rbind, lapply(c("pi", "h2", "sigma_g2", "sigma_e2"), of))
  converged <- all(parameters$rhat < 1.05 & parameters$ess > 100)
  list(parameters = parameters, converged = isTRUE(converged),
       coefficients = colMeans(draws$beta),
       vcov = if (ncol(draws$beta) > 0L) stats::var(draws$beta) else matrix(0, 0L, 0L))
}

# Notes ----

spike_notes <- function(fit) {
  at <- fit$parameters$estimate
  c(if (!fit$converged) spike_unconverged(fit),
    if (at[[1L]] > 0.9) {
      "pi is close to its bound 1, at which every SNP has an effect, as in GREML."
    },
    if (at[[2L]] < 0.01) {
      "h2 is close to its bound 0: pi, the share of the effects, then says nothing."
    },
    if (fit$settings$method == "MCEM" && is.na(fit$parameters$se[[2L]])) {
      if (anyNA(fit$parameters$mc_error[1:2])) {
        "Standard errors need iterations that have settled."
      } else {
        paste("The draws are too few for standard errors by Louis' formula, or it has none",
              "here: bootstrap() has.")
      }
    },
    spike_little_of_pi(fit), spike_modes(fit))
}

# A flat likelihood of pi: a large standard error, or iterations that wander.
spike_little_of_pi <- function(fit) {
  at <- fit$parameters["pi", ]
  if (fit$settings$method == "Bayes" || at$estimate > 0.9) return(NULL)
  path <- fit$path$pi[seq_len(nrow(fit$path)) > fit$settled]
  wide <- at$se > at$estimate * (1 - at$estimate)
  if (!isTRUE(wide) && diff(range(stats::qlogis(path))) < 1) return(NULL)
  "The data say little of pi: its likelihood is flat, and h2 is that of any such pi."
}

spike_unconverged <- function(fit) {
  if (fit$settings$method == "Bayes") {
    return("The chains do not agree yet (R-hat above 1.05, or under 100 effective draws).")
  }
  error <- fit$parameters$mc_error[1:2]
  if (fit$trend || anyNA(error)) return("The iterations had not settled when they ended.")
  if (error[[2L]] <= fit$settings$tolerance) return("The iterations were too few.")
  sprintf("The Monte-Carlo error of h2, %.2g, is above the one asked for.", error[[2L]])
}

# Chains at the same parameters that differ in what they hold.
spike_modes <- function(fit) {
  if (fit$settings$method == "Bayes" || fit$settings$chains == 1L) return(NULL)
  active <- matrix(fit$draws$genetic, ncol = fit$settings$chains)
  if (!isTRUE(chain_diagnostics(active)$rhat > 1.2)) return(NULL)
  "The chains differ in the genetic variance: several modes, or too few draws."
}

report_spike <- function(fit) {
  if (fit$dropped > 0L) inform_spike_dropped(fit$dropped, fit$m)
  if (!fit$converged) warn_spike_convergence(spike_unconverged(fit))
}
