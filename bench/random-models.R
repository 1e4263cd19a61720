# Random models (tests/testthat/helper-random-models.R): our optimum beside the lowest of
# three lme4 optimisers, the gradient there, and both objectives at fixed theta.
#
#   Rscript bench/random-models.R [count] [seed] [cores]     models seed, seed + 1, ...
#
# Needs lme4 and kinlmm installed; run it from the root of the sources. What lme4 finds is
# kept beside R's temporary folder, so that only kinlmm runs the next time. Prints the
# offenders with their seeds; random_model(seed) makes such a model again.

arguments <- as.integer(commandArgs(TRUE))
count <- c(arguments[1], 1000L)[[1L + is.na(arguments[1])]]
first <- c(arguments[2], 1L)[[1L + is.na(arguments[2])]]
cores <- c(arguments[3], 1L)[[1L + is.na(arguments[3])]]
ours <- requireNamespace("kinlmm", quietly = TRUE)
source(file.path("tests", "testthat", "helper-random-models.R"))
source(file.path("tests", "testthat", "helper-lme4.R"))
if (ours) {
  split_theta <- getFromNamespace("split_theta", "kinlmm")
  engine_criterion <- getFromNamespace("engine_criterion", "kinlmm")
}
kept <- file.path(dirname(tempdir()), "kinlmm-random-models")
dir.create(kept, showWarnings = FALSE)

# lme4's side: the optimum, and the objective at three other points.
theirs <- function(seed, model) {
  file <- file.path(kept, paste0(seed, ".rds"))
  key <- list(deparse1(model$formula), model$REML, sum(model$data$y), sum(model$data$w))
  if (file.exists(file)) {
    record <- readRDS(file)
    if (identical(record$key, key)) return(record)
  }
  seconds <- system.time({
    objective <- with(model, lme4_objective(formula, data, REML, data$w))
    best <- lme4_optimum(objective)
  })[["elapsed"]]
  points <- withr::with_seed(seed, lapply(c(0, 0.3, 3), function(spread) {
    objective$start + spread * stats::rnorm(length(objective$start))
  }))
  record <- c(best, list(key = key, columns = objective$columns, points = points,
                         seconds = seconds,
                         at = vapply(points, objective$devfun, numeric(1))))
  saveRDS(record, file)
  record
}

compare <- function(seed) {
  model <- random_model(seed)
  lme4 <- theirs(seed, model)
  out <- data.frame(seed = seed, n = nrow(model$data), theta = length(lme4$theta),
                    model = deparse1(model$formula), gap = NA, gradient = NA,
                    singular = NA, objective = NA, seconds = NA, trouble = "")
  if (!ours) return(out)
  warned <- character()
  out$seconds <- system.time(fit <- tryCatch(
    withCallingHandlers(
      suppressMessages(with(model, kinlmm::lmmfit(formula, data, REML = REML, weights = w))),
      warning = function(w) warned <<- c(warned, class(w)[[1L]])
    ), error = identity))[["elapsed"]]
  if (inherits(fit, "error")) {
    out$trouble <- class(fit)[[1L]]
    return(out)
  }
  out$gap <- deviance(fit) - lme4$criterion
  out$singular <- fit$opt$singular
  out$gradient <- max(abs(fit$opt$gradient))
  same <- mapply(function(theta, value) {
    mine <- engine_criterion(fit$engine, our_theta(fit, theta, lme4$columns), model$REML)
    abs(mine - value) / max(1, abs(value))
  }, lme4$points, lme4$at)
  out$objective <- max(same)
  out$trouble <- paste(c(warned, if (!fit$opt$converged) "not converged"), collapse = ", ")
  out
}

results <- do.call(rbind, parallel::mclapply(seq(first, length.out = count), compare,
                                             mc.cores = cores))
lowest <- do.call(rbind, lapply(results$seed, function(seed) {
  values <- readRDS(file.path(kept, paste0(seed, ".rds")))$values
  values - min(values)
}))

offends <- with(results, nzchar(trouble) | is.na(gap) | gap > 1e-6 |
                  !singular & gradient > 1e-6 | objective > 1e-9)
cat(sprintf("%d models, seeds %d to %d: n %d to %d, %d to %d variance parameters\n", count,
            first, first + count - 1L, min(results$n), max(results$n), min(results$theta),
            max(results$theta)))
cat("lme4's optimisers above the lowest of the three by more than 1e-6 and 0.01:",
    paste(sprintf("%s %d, %d", colnames(lowest), colSums(lowest > 1e-6),
                  colSums(lowest > 0.01)), collapse = "; "), "\n")
if (ours) {
  fine <- !is.na(results$gap)
  free <- fine & !results$singular
  cat(sprintf("kinlmm: %d fitted, %d of them on the boundary, %.1f s (slowest %.2f)\n",
              sum(fine), sum(fine & results$singular), sum(results$seconds),
              max(results$seconds)))
  cat(sprintf("criterion minus lme4's lowest: %.2g to %.2g; lower by more than 1e-6: %d\n",
              min(results$gap[fine]), max(results$gap[fine]),
              sum(results$gap[fine] < -1e-6)))
  cat(sprintf("largest gradient off the boundary: %.2g\n", max(results$gradient[free])))
  cat(sprintf("objective at fixed theta, largest relative difference: %.2g\n",
              max(results$objective[fine])))
  cat(sprintf("offenders: %d\n", sum(offends)))
  if (any(offends)) print(results[offends, ], digits = 3, row.names = FALSE)
}
