# The model of a fit on other responses.

# The same model for the response y, of as many records as the fit.
refit_one <- function(fit, y) {
  fit$y[] <- y
  fit$frame[[1L]] <- as.double(y)
  fit$engine <- choose_engine(fit[c("frame", "y", "weights", "offset")], fit$fixed,
                              fit$random)
  at_optimum(fit, engine_optimise(fit$engine, fit$REML, fit$control), fit$REML)
}

# Of each column of Y (n x B): theta (B x c), sigma, coefficients (B x p), criterion, and
# whether the fit is singular and converged.
refit_responses <- function(fit, Y) {
  fits <- lapply(seq_len(ncol(Y)), function(b) {
    refit_one(fit, Y[, b])[c("theta", "sigma", "coefficients", "opt")]
  })
  rows <- function(name) do.call(rbind, lapply(fits, `[[`, name))
  record <- function(name, type) vapply(fits, function(fit) fit$opt[[name]], type)
  list(theta = unname(rows("theta")), sigma = vapply(fits, `[[`, 0, "sigma"),
       coefficients = rows("coefficients"), criterion = record("criterion", 0),
       singular = record("singular", NA), converged = record("converged", NA))
}
