# lme4's optimisers stop within about 1e-5 of its optimum, and sometimes far from it. So lme4
# is asked for everything at our optimum, where it must agree to rounding; and the lowest
# value that any of its optimisers finds must not be below ours.

# lme4's objective, a function of theta in its own order of terms, and that order.
lme4_objective <- function(formula, data, REML, weights = NULL) {
  control <- lme4::lmerControl(check.scaleX = "ignore", check.rankX = "silent.drop.cols",
                               check.nobs.vs.nRE = "ignore")
  parsed <- do.call(lme4::lFormula, list(formula, data, REML = REML, weights = weights,
                                         control = control))
  devfun <- do.call(lme4::mkLmerDevfun, c(parsed, list(control = control)))
  # a copy: lme4 writes into its vectors in place
  list(devfun = devfun, columns = parsed$reTrms$cnms, start = parsed$reTrms$theta + 0,
       parsed = parsed)
}

# lme4's fit at a theta in its own order.
lme4_at <- function(objective, theta) {
  criterion <- objective$devfun(theta)
  opt <- list(par = theta, fval = criterion, conv = 0, message = "")
  list(criterion = criterion,
       model = lme4::mkMerMod(environment(objective$devfun), opt, objective$parsed$reTrms,
                              fr = objective$parsed$fr))
}

# Which of our terms each of lme4's is, which has them by their numbers of levels; `columns`
# are those of lme4's terms, by their groups.
match_terms <- function(fit, columns) {
  name <- function(group, columns) paste(group, paste(columns, collapse = ","), sep = "|")
  mine <- vapply(fit$random, function(term) name(term$group, term$columns), "")
  match(unlist(Map(name, names(columns), columns)), mine)
}

# Our theta in lme4's order of terms, and lme4's in ours.
lme4_theta <- function(fit, columns) {
  parts <- split_theta(fit$random, unname(fit$theta))
  unlist(parts[match_terms(fit, columns)], use.names = FALSE)
}

our_theta <- function(fit, theta, columns) {
  at <- match_terms(fit, columns)
  unlist(split_theta(fit$random[at], theta)[order(at)], use.names = FALSE)
}

# The lowest value that lme4's optimisers find, with tolerances tighter than its own.
lme4_optimum <- function(objective, optimizers = c("bobyqa", "Nelder_Mead", "nloptwrap")) {
  settings <- list(
    bobyqa = list(rhoend = 1e-9, maxfun = 20000),
    Nelder_Mead = list(FtolAbs = 1e-10, FtolRel = 1e-15, XtolRel = 1e-10, maxfun = 10000),
    nloptwrap = list(xtol_abs = 1e-10, ftol_abs = 1e-10, maxeval = 10000)
  )
  runs <- lapply(optimizers, function(optimizer) {
    opt <- suppressMessages(suppressWarnings(try(lme4::optimizeLmer(
      objective$devfun, optimizer = optimizer, restart_edge = TRUE,
      control = settings[[optimizer]], start = objective$start + 0
    ), silent = TRUE)))
    if (inherits(opt, "try-error")) return(list(par = objective$start, fval = Inf))
    list(par = opt$par + 0, fval = opt$fval)
  })
  values <- vapply(runs, `[[`, numeric(1), "fval")
  list(criterion = min(values), theta = runs[[which.min(values)]]$par + 0,
       values = stats::setNames(values, optimizers))
}

# A fit with the weights of a variable that no formula's environment can shadow.
fit_weighted <- function(formula, data, REML = TRUE, weights = NULL) {
  suppressMessages(eval(bquote(lmmfit(formula, data, REML = REML, weights = .(weights)))))
}

# Everything about a fit equals lme4's at the same theta; returns ours.
expect_lme4 <- function(formula, data, REML = TRUE, weights = NULL,
                        optimizers = c("bobyqa", "nloptwrap")) {
  ours <- fit_weighted(formula, data, REML, weights)
  objective <- lme4_objective(formula, data, REML, weights)
  best <- lme4_optimum(objective, optimizers)
  at <- lme4_at(objective, lme4_theta(ours, objective$columns))
  expect_equal(deviance(ours), at$criterion, tolerance = 1e-10)
  expect_lte(deviance(ours), best$criterion + 1e-6)
  model <- at$model
  expect_equal(fixef(ours), lme4::fixef(model), tolerance = 1e-6)
  expect_equal(vcov(ours), as.matrix(vcov(model)), tolerance = 1e-6, ignore_attr = TRUE)
  expect_equal(sigma(ours), sigma(model), tolerance = 1e-6)
  expect_same_varcorr(VarCorr(ours), lme4::VarCorr(model))
  expect_same_ranef(ranef(ours), lme4::ranef(model, condVar = TRUE))
  expect_equal(fitted(ours), fitted(model), tolerance = 1e-6)
  expect_equal(residuals(ours, "pearson", scaled = TRUE),
               residuals(model, "pearson", scaled = TRUE), tolerance = 1e-6,
               ignore_attr = TRUE)
  expect_true(ours$opt$converged)
  if (!ours$opt$singular) expect_lt(max(abs(ours$opt$gradient)), 1e-6)
  invisible(ours)
}

# The rows of ours in the order of lme4's: Subject and Subject.1 may have changed places.
# Where there are such, lme4 makes b.a of b:a.
expect_same_varcorr <- function(ours, theirs) {
  frames <- lapply(list(ours, theirs), function(x) {
    frame <- as.data.frame(x)
    frame$grp <- make.names(sub("\\.[0-9]+$", "", frame$grp))
    frame[do.call(order, lapply(frame[1:3], function(x) replace(x, is.na(x), ""))), ]
  })
  expect_equal(frames[[1]][1:3], frames[[2]][1:3], ignore_attr = TRUE)
  expect_equal(frames[[1]]$vcov, frames[[2]]$vcov, tolerance = 1e-6)
}

# Modes and their conditional variances; of several terms on one factor lme4 gives a list
# of the variances within each.
expect_same_ranef <- function(ours, theirs) {
  expect_setequal(names(ours), names(theirs))
  for (group in names(theirs)) {
    modes <- as.matrix(theirs[[group]])
    mine <- as.matrix(ours[[group]])[rownames(modes), colnames(modes), drop = FALSE]
    expect_equal(mine, modes, tolerance = 1e-6)
    rows <- match(rownames(modes), rownames(ours[[group]]))
    variance <- attr(theirs[[group]], "postVar")
    if (!is.list(variance)) variance <- list(variance)
    at <- 0L
    for (block in variance) {
      columns <- match(colnames(modes)[at + seq_len(dim(block)[[1]])], names(ours[[group]]))
      at <- at + length(columns)
      expect_equal(attr(ours[[group]], "postVar")[columns, columns, rows, drop = FALSE],
                   block, tolerance = 1e-6, ignore_attr = TRUE)
    }
  }
}
