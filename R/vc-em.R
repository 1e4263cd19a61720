# EM-REML: effects and residuals are the missing data, fixed effects have a flat prior. With
# V = sigma2 H an iteration makes of the covariance matrix Psi of a term with q levels
#   Psi + Psi (y'P G_ij P y - tr(P G_ij)) Psi / q,   P that of V,
# and of sigma2 the same with G = I and q = n: the means of what is expected given y.

# start: components in the order of the result; by default equal shares of the variance.
vc_em <- function(model, max_iterations = 2000L, tolerance = 1e-8, start = NULL,
                  information = "observed", call) {
  max_iterations <- check_count(max_iterations, call = call)
  tolerance <- check_number(tolerance, 1e-14, 0.1, call = call)
  information <- check_choice(information, c("observed", "expected", "average"), call = call)
  phi <- if (is.null(start)) equal_shares(model) else check_em_start(start, model, call)
  names <- component_names(model$random)
  started <- proc.time()[["elapsed"]]
  path <- with_progress("EM-REML", max_iterations, function(tick) {
    em_path(model, phi, max_iterations, tolerance, tick)
  })
  phi <- path$phi
  fit <- list(random = model$random, engine = model$engine, REML = TRUE,
              theta = em_theta(model$random, phi), sigma = sqrt(phi[[length(phi)]]))
  vcov <- if (path$converged) components_covariance(fit, information)
  iterates <- data.frame(path$iterates, check.names = FALSE)
  names(iterates) <- c("iteration", "criterion", names)
  out <- new_components(
    "EM-REML", names, phi, boundary_se(vcov, FALSE), vcov = vcov,
    beta = NULL, beta_vcov = NULL, n = length(model$frame$y),
    assumptions = likelihood_assumptions(TRUE), notes = em_notes(path),
    iterates = iterates
  )
  out$criterion <- path$criterion
  out$converged <- path$converged
  out$seconds <- proc.time()[["elapsed"]] - started + model$engine_seconds
  out$notes <- c(out$notes, beside_newton(model, path))
  out
}

# What method REML reaches, of whose time the result's is free.
beside_newton <- function(model, path) {
  opt <- engine_optimise(model$engine, TRUE, lmm_control())
  lower <- path$criterion - engine_criterion(model$engine, opt$theta, TRUE)
  paste0("Newton's method (REML) takes ", n_of(opt$iterations, "iteration"), " to ",
         if (lower < 1e-8) "the same -2 log-likelihood." else
           paste0("a -2 log-likelihood that is ", format(lower, digits = 2), " lower."))
}

# Iterations until what remains is below the tolerance, relative to the sum of the
# variances: a step is a share `rate` of the last, so that rate / (1 - rate) of it is left.
em_path <- function(model, phi, max_iterations, tolerance, tick) {
  iterates <- matrix(0, max_iterations + 1L, length(phi) + 2L)
  change <- Inf
  done <- FALSE
  for (iteration in seq_len(max_iterations + 1L) - 1L) {
    step <- em_step(model, phi)
    iterates[iteration + 1L, ] <- c(iteration, step$criterion, phi)
    if (done || iteration == max_iterations) break
    tick(iteration, max_iterations)
    last <- change
    change <- max(abs(step$phi - phi))
    rate <- change / last
    left <- change * max(1, if (rate < 1) rate / (1 - rate) else Inf)
    done <- change == 0 || left <= tolerance * sum(abs(phi))
    phi <- step$phi
  }
  iterates <- iterates[seq_len(iteration + 1L), , drop = FALSE]
  list(phi = phi, converged = done, iterations = iteration, rate = rate,
       criterion = step$criterion, iterates = iterates)
}

# The criterion at phi, and the next phi.
em_step <- function(model, phi) {
  work <- model$engine$work
  random <- model$random
  last <- length(phi)
  s <- phi[[last]]
  theta <- em_theta(random, phi)
  at <- engine_moments(model$engine, theta, 1L)
  fixed <- engine_fixed(model$engine, theta, at)
  dof <- work$n - work$p
  criterion <- dof * log(2 * pi * s) + fixed$logdet + fixed$logdet_x - work$logweights +
    fixed$s / s
  score <- reml_score(at, work)
  slope <- score$quadratic / s^2 - score$trace / s
  # those of the residual's own I = H - sum psi_c G_c
  psi <- phi[-last] / s
  residual <- (fixed$s - sum(psi * score$quadratic)) / s^2 -
    (dof - sum(psi * score$trace)) / s
  terms <- Map(function(term, packed, slope) {
    Psi <- unpack_lower(packed, TRUE)
    D <- unpack_lower(slope, TRUE)
    # G of a covariance holds both of its halves
    D <- (D + diag(diag(D), nrow(D))) / 2
    pack_lower(Psi + Psi %*% D %*% Psi / nlevels(term$factor))
  }, random, split_theta(random, phi[-last]), split_theta(random, slope))
  list(criterion = criterion,
       phi = c(unlist(terms, use.names = FALSE), s + s^2 * residual / work$n))
}

# tr(P G_c) and y'P G_c P y, P that of H.
reml_score <- function(at, work) {
  x <- seq_len(work$p)
  Q <- basis_unscaled(at$S)
  d <- c(-Q %*% at$S[x, work$p + 1L], 1)
  list(trace = at$trace - apply(at$W, 3L, function(W) sum(Q * W[x, x])),
       quadratic = apply(at$W, 3L, function(W) sum(d * (W %*% d))))
}

em_theta <- function(random, phi) {
  last <- length(phi)
  ratio_theta(random, phi[-last] / phi[[last]])
}

# The residual variance of least squares in equal parts, by the mean diagonals of G.
equal_shares <- function(model) {
  engine <- model$engine
  diagonal <- theta_diagonal(model$random)
  at <- engine_moments(engine, 0 * diagonal, 1L)
  total <- at$S[engine$work$p + 1L, engine$work$p + 1L] / (engine$work$n - engine$work$p)
  part <- total / (sum(diagonal) + 1)
  c(replace(part * engine$work$n / at$trace, !diagonal, 0), part)
}

check_em_start <- function(start, model, call) {
  wanted <- component_names(model$random)
  if (!is.numeric(start) || length(start) != length(wanted) || !all(is.finite(start))) {
    abort_argument("start", paste0(length(wanted), " variances (", toString(wanted), ")"),
                   describe(start), call)
  }
  inside <- vapply(split_theta(model$random, start[-length(start)]), function(packed) {
    all(eigen(unpack_lower(packed, TRUE), TRUE, TRUE)$values > 0)
  }, NA)
  if (!all(inside) || start[[length(start)]] <= 0) {
    abort_argument("start", "variances above zero (EM never leaves zero)", describe(start),
                   call)
  }
  as.double(start)
}

em_notes <- function(path) {
  left <- max(0, 1 - path$rate)
  c(if (!path$converged) {
    paste0("Not converged after ", count(path$iterations), " iterations: these are not the",
           " REML estimates, and have no standard errors. A variance on its way to zero",
           " moves ever more slowly.")
  } else {
    paste0("Converged after ", n_of(path$iterations, "iteration"), ".")
  },
  paste0("The last iteration closed ", format(100 * left, digits = 2), "% of the distance",
         " that was left. That share is the information on the variances in the data over",
         " that in data with the effects observed: small where effects are poorly known."))
}
