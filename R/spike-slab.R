#' Spike and slab: a share of the SNPs has an effect
#'
#' Fits y = X b + sum_j z_j b_j + e, where SNP j has an effect with probability pi,
#' b_j = s_j u_j, s_j ~ Bernoulli(pi), u_j ~ N(0, sigma2_g / (m pi)), e ~ N(0, sigma2_e I).
#' The share pi and the variances are estimated by maximum likelihood, with a Monte-Carlo
#' E-step, or by their posterior distribution under priors.
#'
#' @section Model:
#' The m SNPs are standardised: z = (x - 2p) / sqrt(2p(1 - p)) with the frequency p of the
#' analysed samples, so that sigma2_g is the variance of sum_j z_j b_j whatever pi is, and
#' h2 = sigma2_g / (sigma2_g + sigma2_e). With pi = 1 this is the model of [lmmfit()] with
#' the kernel Z Z' / m. The slab has the variance sigma2_g / (m pi), with the *expected*
#' number of effects m pi. A course may divide by the number |I| that a configuration I
#' has, so that Var(y | I) = sigma2_g Z_I Z_I' / |I| + sigma2_e I: there the effects depend on
#' each other through |I|, a configuration without effects has no variance, and no marker
#' can be updated by itself. The two differ by the relative spread of |I| about m pi, of
#' order 1 / sqrt(m pi).
#'
#' @section MCEM:
#' The missing data are the indicators s and the effects u. In the E-step a sweep visits
#' every SNP and draws s_j with u_j integrated out, then u_j; active SNPs also exchange
#' places with neighbours, which linkage disequilibrium needs. Sums over SNPs are those of
#' conditional expectations (Rao-Blackwell). With `REML = TRUE` the fixed effects are
#' integrated out of everything. All chains share the parameters.
#'
#' An M-step would go about a hundredth of the way where SNPs are many and effects small.
#' Its place is taken by a Newton step with the score of the observed data, the mean of the
#' score given s and u (Fisher's identity), whose noise is reduced by regression on what is
#' known to have the mean zero. The information on h2 is that of the model in which every SNP
#' has an effect, from the spectrum of Z Z' / m, but not more than m pi known effects would
#' give; h2 starts at the REML estimate of that model (above 5,000 samples: spectrum and
#' start are by moments). Steps of logit pi are lengthened as long as scores keep their sign,
#' and shortened when they alternate. Gains fall with the number t of iterations as t^-0.65, so
#' that chance is averaged out (Robbins and Monro), and the estimate is the mean of the later
#' part of the path (Polyak and Juditsky 1992): the last two thirds, or half, or third, the
#' longest without a trend.
#'
#' It has converged when that part, of 200 sweeps at least, has no trend and the Monte-Carlo
#' error of h2 is at most `tolerance`: the larger of those by the means of eight batches of
#' the path, and of the scores over the information. Else there is a warning, and [more()]
#' goes on. What the chains have not come to yet no such error can show: where SNPs are many
#' or in strong linkage disequilibrium, run it again with another seed. Then `draws` sweeps
#' per chain at the estimate give inclusion probabilities, effects, and the information matrix
#' by Louis' formula; standard errors are `NA` where these sweeps are too few for it, on a
#' boundary, and where the path had not settled: the [bootstrap][bootstrap.spike_slab] has
#' them too.
#'
#' Far more SNPs than samples, and many small effects, leave pi all but unidentified: its
#' likelihood is flat, and the iterations may stop anywhere between the start and the
#' maximum, which the printed result says and a second `start` shows; h2 then is little
#' different from that of pi = 1. pi = 1 is come to only in the limit. h2 is 0.0001 at least,
#' which stands for 0.
#'
#' @section Bayes:
#' pi ~ Beta(a, b); sigma2_g and sigma2_e are df scale / chi2(df), independent a priori;
#' the fixed effects have a flat prior. `prior` is a list of any of `pi = c(a, b)`, by default
#' `c(1, 1)`, and `sigma_g2` and `sigma_e2 = c(df, scale)`, by default 4 and half the residual
#' variance of y on X each: weak, and proper, as the posterior else need not exist. Chains
#' start at different pi.
#'
#' @section Memory and time:
#' 4 n m bytes for the genotypes in single precision, and 8 n^2 at the start
#' of MCEM up to 5,000 samples. A sweep takes about
#' as long as it takes to read them once (10,000 SNPs of 1,410 mice: 56 MB, some 10
#' milliseconds); chains run on as many threads as `options(kinlmm.threads = )`, by
#' default 2, and do not depend on how many there are.
#'
#' @param formula (`formula`) response ~ fixed effects; no random terms.
#' @param data (`data.frame`) where the variables are.
#' @param geno genotypes of [read_bed()] or a numeric matrix (samples x SNPs) of allele
#'   counts with dimnames. Missing ones are replaced by the mean of the SNP; SNPs without
#'   variation in the analysed samples are left out, which is said.
#' @param method `"MCEM"` or `"Bayes"`.
#' @param id (`character(1)`) the column of `data` with the ids of the samples; by default
#'   the row names of `data`. One record per id.
#' @param REML (`logical(1)`) for MCEM: maximise the likelihood of the data free of the fixed
#'   effects, the default, or that of all data.
#' @param scale `"expected"`: divide a SNP by sqrt(2p(1 - p)), as GREML does; `"sample"`: by
#'   its standard deviation.
#' @param chains (`integer(1)`) Markov chains: 2 for MCEM, 4 for Bayes. Several show whether
#'   the posterior has several modes.
#' @param sweeps (`integer(1)`) MCEM: at most so many sweeps of each chain, in
#'   rounds of ten iterations; by default 6e9 / (n m), but 600 to 10,000, which is some
#'   seconds' worth.
#' @param draws (`integer(1)`) sweeps per chain that the result is made of: at the estimate
#'   (MCEM, default 200), or after the warm-up (Bayes, default 1000).
#' @param warmup (`integer(1)`) Bayes: sweeps before that, by default half as many.
#' @param thin (`integer(1)`) Bayes: of the `draws` every `thin`-th is kept.
#' @param tolerance (`numeric(1)`) MCEM: the Monte-Carlo error of h2 to stop at.
#' @param prior (`list`) Bayes, see there.
#' @param start (`numeric`) where MCEM starts, `c(pi = , h2 = )`; by default 0.1 and the
#'   REML estimate at pi = 1. Another start shows other maxima.
#' @param subset,na.action,contrasts as for [lmmfit()].
#' @param ... not used; anything here is an error.
#'
#' @return An object of class `spike_slab`, for which there are `print()`, `summary()`,
#'   `coef()`, `vcov()`, `fitted()`, `predict()`, `as.data.frame()` (a row per SNP),
#'   [heritability()], `plot()` and [more()]: a list with
#'   \item{parameters}{data frame of `pi`, `h2`, `sigma_g2`, `sigma_e2`: `estimate` (Bayes: the
#'     posterior mean), `se` (posterior standard deviation), and for MCEM `mc_error`; for Bayes
#'     `lower` and `upper` (95% interval), `rhat` and `ess`}
#'   \item{markers}{data frame of the SNPs used: map, frequency `p` of A1, `scale`,
#'     `pip` (posterior inclusion probability), `effect` and `sd` (posterior mean and standard
#'     deviation of b_j, per unit of z), `beta` (per copy of A1)}
#'   \item{coefficients, vcov}{fixed effects and their covariance matrix}
#'   \item{path}{MCEM: parameters and sweeps of each iteration}
#'   \item{draws}{one row for each sweep kept: `chain`, parameters (Bayes), `active`, the
#'     number of effects, and `genetic`, the variance of the genetic values in the sample}
#'   \item{converged, notes}{whether, and what else the user must know}
#'
#' @section Errors: below `kinlmm_error_input`: `kinlmm_error_spike_ids` for records without
#'   genotypes, `kinlmm_error_spike_repeated` for several records of an id,
#'   `kinlmm_error_spike_random` for random terms, `kinlmm_error_spike_markers` if no SNP
#'   varies. Warning: `kinlmm_warning_spike_convergence`.
#'
#' @references
#' Golan D, Rosset S (2011). Accurate estimation of heritability in genome wide studies
#' using random effects models. Bioinformatics 27, i317-i323.
#' \doi{10.1093/bioinformatics/btr219}
#'
#' Louis TA (1982). Finding the observed information matrix when using the EM algorithm.
#' Journal of the Royal Statistical Society B 44, 226-233.
#' \doi{10.1111/j.2517-6161.1982.tb01203.x}
#'
#' Polyak BT, Juditsky AB (1992). Acceleration of stochastic approximation by averaging. SIAM
#' Journal on Control and Optimization 30, 838-855. \doi{10.1137/0330046}
#'
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' few <- geno[, seq(1, ncol(geno), by = 8)]
#' # a trait with three SNPs of effect
#' set.seed(1)
#' G <- as.matrix(few)[, c(20, 70, 120)]
#' G[is.na(G)] <- 1
#' pheno <- data.frame(y = drop(G %*% c(0.6, -0.8, 0.7)) + rnorm(nrow(few)),
#'                     row.names = rownames(few))
#' fit <- spike_slab(y ~ 1, pheno, few)
#' fit
#' plot(fit)
#' @export
spike_slab <- function(formula, data, geno, method = c("MCEM", "Bayes"), id = NULL,
                       REML = TRUE, scale = c("expected", "sample"), chains = NULL,
                       sweeps = NULL, draws = NULL, warmup = NULL, thin = 1,
                       tolerance = 0.01, prior = list(), start = NULL, subset, na.action,
                       contrasts = NULL, ...) {
  if (...length() > 0L) rlang::check_dots_empty()
  call <- match.call()
  here <- rlang::current_env()
  method <- check_choice(method, c("MCEM", "Bayes"))
  bayes <- method == "Bayes"
  if (missing(formula)) abort_argument("formula", "given", "missing", here)
  formula <- as_formula(formula, here)
  if (missing(data) || !is.data.frame(data)) {
    abort_argument("data", "a data frame", if (missing(data)) "missing" else
      describe(data), here)
  }
  if (missing(geno)) abort_argument("geno", "given", "missing", here)
  geno <- as_genotypes(geno)
  settings <- list(
    method = method, REML = check_flag(REML) || bayes,
    scale = check_choice(scale, c("expected", "sample")),
    chains = check_count(if (is.null(chains)) c(2, 4)[[1L + bayes]] else chains, 1L, 100L,
                         "chains"),
    sweeps = if (!is.null(sweeps)) check_count(sweeps, 10L),
    tolerance = check_number(tolerance, 1e-6, 1),
    draws = check_count(if (is.null(draws)) c(200, 1000)[[1L + bayes]] else draws, 20L,
                        arg = "draws"),
    thin = check_count(thin, 1L, 1000L)
  )
  settings$warmup <- if (is.null(warmup)) settings$draws %/% 2L else check_count(warmup, 0L)
  start <- check_spike_start(start, here)
  model <- read_model(formula, call, data, NULL, contrasts, parent.frame(), here,
                      bars = FALSE)
  if (length(model$random) > 0L) abort_spike_random(here)
  geno <- spike_samples(model, data, id, geno, here)
  if (is.null(settings$sweeps)) settings$sweeps <- default_spike_sweeps(geno)
  spec <- spike_model(model, settings)
  spec$prior <- spike_prior(prior, spec$total, here)
  fit <- list(call = call, formula = model$formula, settings = settings, model = model,
              geno = geno, spec = spec)
  result <- if (bayes) run_spike_gibbs(fit, NULL, here) else
    run_spike_em(fit, start, here)
  fit <- new_spike_slab(fit, result)
  report_spike(fit)
  fit
}

check_spike_start <- function(start, call) {
  if (is.null(start)) return(c(pi = 0.1, h2 = NA))
  good <- is.numeric(start) && identical(sort(names(start)), c("h2", "pi")) &&
    all(is.finite(start))
  if (!good || start[["pi"]] <= 0 || start[["pi"]] > 1 || start[["h2"]] <= 0 ||
        start[["h2"]] >= 1) {
    abort_argument("start", "c(pi = , h2 = ), with pi above 0 and at most 1 and h2 between 0
                   and 1", describe(start), call)
  }
  start
}

# The genotypes of the records, in their order.
spike_samples <- function(model, data, id, geno, call) {
  rows <- match(rownames(model$frame$frame), rownames(data))
  ids <- if (is.null(id)) rownames(data)[rows] else {
    id <- check_string(id, call = call)
    if (!id %in% names(data)) abort_argument("id", "a column of `data`", describe(id), call)
    spike_id_text(data[[id]])[rows]
  }
  if (anyNA(ids)) abort_spike_no_id(id, sum(is.na(ids)), call)
  have <- sample_ids(geno)
  at <- match(ids, plain_numbers(have, ids))
  if (anyNA(at)) abort_spike_ids(ids[is.na(at)], length(ids), have, is.null(id), call)
  if (anyDuplicated(ids)) abort_spike_repeated(unique(ids[duplicated(ids)]), call)
  geno[at, ]
}

# Ids as text, whole numbers without an exponent.
spike_id_text <- function(x) {
  if (!is.numeric(x)) return(as.character(x))
  replace(format(x, scientific = FALSE, trim = TRUE, digits = 15), is.na(x), NA)
}

# What the core needs of the model, and the basis of the fixed effects, X = Q R.
spike_model <- function(model, settings) {
  X <- model$fixed$X
  y <- unname(model$frame$y - model$frame$offset)
  n <- length(y)
  Q <- matrix(0, n, 0L)
  R <- matrix(0, 0L, 0L)
  if (ncol(X) > 0L) {
    decomposition <- qr(X, LAPACK = FALSE, tol = 0)
    Q <- qr.Q(decomposition)
    R <- qr.R(decomposition)
  }
  left <- y - Q %*% crossprod(Q, y)
  list(y = y, Q = Q, R = R, restricted = settings$REML,
       expected = settings$scale == "expected", chains = settings$chains, states = NULL,
       total = sum(left^2) / (n - ncol(Q)), names = colnames(X))
}

spike_prior <- function(prior, total, call) {
  known <- list(pi = c(1, 1), sigma_g2 = c(4, total / 2), sigma_e2 = c(4, total / 2))
  good <- is.list(prior) && (length(prior) == 0L || !is.null(names(prior))) &&
    all(names(prior) %in% names(known)) &&
    all(vapply(prior, function(x) {
      is.numeric(x) && length(x) == 2L && all(is.finite(x)) && all(x > 0)
    }, NA))
  if (!good) {
    abort_argument("prior", "a list of pi = c(a, b), sigma_g2 = c(df, scale) and
                   sigma_e2 = c(df, scale), all positive, or of some of them",
                   describe(prior), call)
  }
  utils::modifyList(known, prior)
}

# Computation ----

spike_threads <- function(fit) min(fit$settings$chains, n_threads())

spike_errors <- function(fit, call) {
  c(source_errors(fit$geno, call),
    list(spike_no_markers = function(data, subject) abort_spike_markers(ncol(fit$geno),
                                                                        call)))
}

# At most some seconds' worth.
default_spike_sweeps <- function(geno) {
  as.integer(min(1e4, max(600, 6e9 / (as.numeric(nrow(geno)) * ncol(geno)))))
}

# Sweeps of an iteration: one where it is dear, and so few that there are 100 iterations.
spike_each_sweeps <- function(fit) {
  cells <- as.numeric(nrow(fit$geno)) * ncol(fit$geno)
  max(1, min(20, round(1e7 / cells), fit$settings$sweeps %/% 100))
}

# before: the result to go on from, or NULL.
run_spike_em <- function(fit, start, call, before = NULL) {
  spec <- fit$spec
  settings <- fit$settings
  path <- matrix(0, 0L, 5L)
  at <- list(pi = start[["pi"]], sigma_g2 = start[["h2"]] * spec$total,
             sigma_e2 = spec$total, gamma = numeric())
  if (!is.na(start[["h2"]])) at$sigma_e2 <- (1 - start[["h2"]]) * spec$total
  if (!spec$restricted) at$gamma <- drop(crossprod(spec$Q, spec$y))
  if (!is.null(before)) {
    spec$states <- before$states
    path <- before$path
    at <- before$estimate
  }
  seed <- random_seed()
  result <- with_progress("Spike and slab", settings$sweeps, function(tick) {
    cpp_spike_em(core_source(fit$geno), spec, at, path, settings$sweeps,
                 spike_each_sweeps(fit), settings$draws, settings$tolerance, seed,
                 spike_threads(fit), tick)
  })
  check_core(result, spike_errors(fit, call), call)
}

run_spike_gibbs <- function(fit, before, call) {
  spec <- fit$spec
  settings <- fit$settings
  starts <- lapply(seq_len(settings$chains), function(chain) {
    # pi spread over two orders of magnitude
    place <- (chain - 0.5) / settings$chains
    list(pi = 0.005^(1 - place), sigma_g2 = spec$total / 2, sigma_e2 = spec$total / 2,
         gamma = numeric())
  })
  warmup <- settings$warmup
  if (!is.null(before)) {
    spec$states <- before$states
    starts <- before$at
    warmup <- 0
  }
  kept <- max(1, settings$draws %/% settings$thin)
  seed <- random_seed()
  result <- with_progress("Spike and slab", warmup + settings$draws, function(tick) {
    cpp_spike_gibbs(core_source(fit$geno), spec, starts, unlist(spec$prior), warmup, kept,
                    settings$thin, seed, spike_threads(fit), tick)
  })
  check_core(result, spike_errors(fit, call), call)
}

#' Go on with a sampler
#'
#' Takes up the chains of a fit where they stopped: the same in distribution as if the
#' first call had been longer.
#'
#' @param object a result of [spike_slab()].
#' @param sweeps (`integer(1)`) MCEM: further sweeps of each chain in the iterations, at most.
#' @param draws (`integer(1)`) MCEM: sweeps at the new estimate, in place of the earlier ones;
#'   Bayes: further draws of each chain.
#' @param tolerance (`numeric(1)`) MCEM: the Monte-Carlo error of h2 to stop at.
#' @param ... not used; anything here is an error.
#' @return An object like `object`.
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' pheno <- read.csv(system.file("extdata", "mouse_pheno.csv", package = "kinlmm"))
#' set.seed(1)
#' few <- geno[, geno$map$chr == "17"]
#' fit <- spike_slab(cd8 ~ 1, pheno, few, "Bayes", id = "id", draws = 100)
#' more(fit, draws = 100)
#' @export
more <- function(object, ...) UseMethod("more")

#' @rdname more
#' @export
more.spike_slab <- function(object, sweeps = object$settings$sweeps,
                            draws = object$settings$draws,
                            tolerance = object$settings$tolerance, ...) {
  rlang::check_dots_empty()
  call <- rlang::current_env()
  object$settings$sweeps <- check_count(sweeps, 10L)
  object$settings$draws <- check_count(draws, 20L)
  object$settings$tolerance <- check_number(tolerance, 1e-6, 1)
  before <- object$state
  if (object$settings$method == "MCEM") {
    result <- run_spike_em(object, c(pi = 0.1, h2 = NA), call, before)
  } else {
    result <- join_spike_draws(before, run_spike_gibbs(object, before, call))
  }
  fit <- new_spike_slab(object, result)
  report_spike(fit)
  fit
}

# The draws of two runs as of one; means are weighted by their sweeps.
join_spike_draws <- function(before, after) {
  total <- before$sweeps + after$sweeps
  for (name in c("pip", "effect", "square", "genetic")) {
    after[[name]] <- (before[[name]] * before$sweeps + after[[name]] * after$sweeps) / total
  }
  after$sweeps <- total
  draws <- rbind(before$draws, after$draws)
  after$draws <- draws[order(draws[, 1L]), , drop = FALSE]
  after
}
