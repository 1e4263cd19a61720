#' Simulate a trait
#'
#' Phenotypes of a known heritability on genotypes, a relationship matrix or a pedigree:
#' polygenic or sparse effects, groups of SNPs, covariates, repeated records, several
#' traits, and cases and controls by liability.
#'
#' @section The model:
#' y = X beta + g + c + e with variances h2 (g, genetic), `permanent` (c, the same in all
#' records of a sample) and 1 - h2 - `permanent` (e); covariates come on top.
#'
#' * *Genotypes*: g = Z b over the SNPs that vary, missing genotypes at the mean. With
#'   `method = "standardized"` the columns of Z have mean 0 and variance 1 in the sample
#'   and b_j ~ (1 - pi) 0 + pi N(0, h2 / (m pi)) (spike and slab; polygenic if pi is 1), so
#'   that g given Z has the covariance h2 K, K = [grm()] of the same method without
#'   filters. With `"centered"` columns are only centred and effects are alike per copy of
#'   the allele. `causal` fixes the number of SNPs with an effect, or the SNPs.
#'   With `groups`, each group has its own share of h2.
#' * *Relationship matrix*: g ~ N(0, h2 K), K as it is given: h2 is the heritability if the
#'   diagonal of K is one on average.
#' * *Pedigree*: g ~ N(0, h2 A), by dropping values through the pedigree: the mean of the
#'   parents plus a Mendelian sampling. Founders have variance h2.
#'
#' *Several traits*, one for each element of `h2`, with the same causal SNPs: `rg` is the
#' correlation of their effects, `re` that of permanent environments and residuals.
#'
#' *Cases and controls*: y is 1 if the liability (the trait above, of one record) exceeds
#' the threshold that a share `prevalence` of the population is expected to exceed, else 0.
#' `cases` and `controls` are then taken from them at random; the genetic variance among
#' those taken is not h2 any more.
#'
#' *Scale*: on `"population"` scale the variances are those of the distributions that g, c
#' and e are drawn from, and those in the sample differ by chance. On `"sample"` scale the
#' variances of g and c among samples, and that of e among records, are exactly as asked
#' (divisor one less than their number), and these parts are uncorrelated within a trait;
#' effects are multiplied accordingly.
#'
#' Random numbers are those of R: see [set.seed()]. Genotypes are read by blocks of SNPs,
#' twice, the second time the causal ones only.
#'
#' @param x Genotypes (see [genotypes]; a matrix of samples x SNPs counts as such), a
#'   relationship matrix (with the same ids as row and column names, or a [precision()]), or
#'   a pedigree (a data frame, see [pedigree_kinship()]).
#' @param h2 A number from 0 to 1, or one for each trait.
#' @param pi A number above 0, at most 1: the causal fraction of SNPs; or one for each
#'   group, by name. For genotypes, as all arguments up to `method`.
#' @param causal `NULL` (the default: every SNP is causal with probability `pi`), or a whole
#'   number of causal SNPs (with `groups` one for each, by name), or ids of SNPs.
#' @param groups `NULL`, or a factor (or anything [factor()] takes) with the group of every
#'   SNP; those with `NA` have no effect.
#' @param shares `NULL` (the default: in proportion to the SNPs of the groups, none for groups
#'   that `causal` leaves without), or shares of h2 by group, named, that add up to 1.
#' @param method A string: see the model. The default, `"standardized"`, is that of Yang et
#'   al. (2010).
#' @param rg,re A number from -1 to 1, or a correlation matrix of traits.
#' @param covariates `NULL`, or a data frame with a column `id`, or a matrix with ids as row
#'   names: numbers, with a row for every sample.
#' @param beta Effects, named by covariate. If `covariates` is left out, they are drawn:
#'   independent standard normal variables of these names.
#' @param records A whole number, or one for each sample: records per sample.
#' @param permanent A number from 0 to 1 - h2: variance of permanent environments.
#' @param prevalence `NULL`, or a number between 0 and 1: y is binary.
#' @param cases,controls `NULL` for all, or whole numbers. With `prevalence` only.
#' @param scale A string: `"population"` (the default) or `"sample"`.
#'
#' @return A data frame of class `"simulated_trait"`, a row per record, with columns `id`,
#'   `record` (with several), `y` (`y1`, `y2`, ... for several traits), `liability` (with
#'   `prevalence`) and the covariates. Its attribute `truth` is a list of
#'   * `values`: a matrix of samples x traits, the genetic values g; `permanent`: likewise,
#'   * `effects`: for genotypes, a data frame of the causal SNPs: `snp`, `a1`, `frequency`
#'     (of A1 in the sample), `group`, and `effect` (`effect1`, ...) of a copy of A1,
#'   * `h2`, `permanent_share`, `rg`, `beta`, `prevalence`, `threshold`, `scale`: the
#'     parameters.
#'
#'   Taking rows or columns drops the attribute.
#'
#' @section Errors:
#' All below `kinlmm_error_input`: `kinlmm_error_argument`; `kinlmm_error_simulate_causal`
#' (too few SNPs that vary, or unknown ids); `kinlmm_error_simulate_groups` (groups without
#' SNPs, shares that do not fit); `kinlmm_error_simulate_covariates` (samples without
#' covariates); `kinlmm_error_simulate_cases` (too few of them; says how many there are);
#' `kinlmm_error_simulate_few` (too few samples for given variances on `"sample"` scale);
#' those of the relationship matrix or pedigree.
#'
#' @references
#' Yang J, Benyamin B, McEvoy BP, et al. (2010). Common SNPs explain a large proportion of
#' the heritability for human height. *Nature Genetics* 42, 565-569. \doi{10.1038/ng.608}
#'
#' Lee SH, Wray NR, Goddard ME, Visscher PM (2011). Estimating missing heritability for
#' disease from genome-wide association studies. *American Journal of Human Genetics* 88,
#' 294-305. \doi{10.1016/j.ajhg.2011.02.002}
#'
#' @seealso [simulate_genotypes()], [simulate_pedigree()].
#' @examples
#' set.seed(1)
#' geno <- simulate_genotypes(300, 400)
#' trait <- simulate_trait(geno, h2 = 0.6, pi = 0.05, beta = c(age = 0.3))
#' trait
#' head(attr(trait, "truth")$effects)
#' fit <- lmmfit(y ~ age + (1 | id), trait,
#'               kinship = list(id = grm(geno, "standardized", maf = 0)))
#' heritability(fit)
#'
#' # cases and controls: 50 of each, from a disease that 20% of the population have
#' disease <- simulate_trait(geno, h2 = 0.5, prevalence = 0.2, cases = 50, controls = 50)
#' table(disease$y)
#'
#' # repeated records in a pedigree
#' pedigree <- simulate_pedigree(20, children = 3)
#' simulate_trait(pedigree, h2 = 0.3, records = 2, permanent = 0.2)
#' @export
simulate_trait <- function(x, h2 = 0.5, pi = 1, causal = NULL, groups = NULL, shares = NULL,
                           method = c("standardized", "centered"), rg = 0, re = 0,
                           covariates = NULL, beta = NULL, records = 1, permanent = 0,
                           prevalence = NULL, cases = NULL, controls = NULL,
                           scale = c("population", "sample")) {
  call <- rlang::current_env()
  h2 <- check_heritabilities(h2, call)
  t <- length(h2)
  permanent <- check_permanent(permanent, h2, call)
  rg <- check_trait_correlation(rg, t, call)
  re <- check_trait_correlation(re, t, call)
  scale <- check_choice(scale, c("population", "sample"))
  if (missing(x)) abort_argument("x", "given", "missing", call)
  source <- trait_source(x, call)
  snps <- list(pi = pi, causal = causal, groups = groups, shares = shares,
               method = check_choice(method, c("standardized", "centered")))
  check_snp_arguments(source, snps, call)
  n <- length(source$id)
  records <- check_records(records, n, call)
  X <- trait_covariates(covariates, beta, source$id, call)
  check_cases(prevalence, cases, controls, t, records, call)
  g <- draw_genetic(source, h2, rg, snps, scale == "sample", call)
  parts <- draw_environment(g$values, h2, permanent, re, records, scale == "sample", call)
  who <- rep(seq_len(n), records)
  fixed <- if (is.null(X)) 0 else drop(X[who, , drop = FALSE] %*% beta)
  y <- fixed + g$values[who, , drop = FALSE] + parts$c[who, , drop = FALSE] + parts$e
  truth <- list(values = g$values, permanent = parts$c, effects = g$effects, h2 = h2,
                permanent_share = permanent, rg = rg, beta = beta, prevalence = prevalence,
                threshold = NULL, scale = scale)
  table <- trait_table(source$id, records, y, X)
  if (!is.null(prevalence)) {
    truth$threshold <- liability_threshold(prevalence, fixed)
    table <- ascertain(table, truth$threshold, cases, controls, call)
  }
  structure(table, truth = truth, class = c("simulated_trait", "data.frame"))
}

trait_table <- function(id, records, y, X) {
  who <- rep(seq_along(id), records)
  out <- data.frame(id = id[who])
  if (any(records != 1L)) out$record <- sequence(records)
  names <- if (ncol(y) == 1L) "y" else paste0("y", seq_len(ncol(y)))
  for (k in seq_along(names)) out[[names[[k]]]] <- y[, k]
  for (name in colnames(X)) out[[name]] <- X[who, name]
  out
}

# What x is: type, ids, and `data`: genotypes, a checked kernel, or a read pedigree.
trait_source <- function(x, call) {
  if (is.data.frame(x)) {
    ped <- read_pedigree(x, "x", call)
    pedigree_inbreeding(ped, call)
    return(list(type = "pedigree", id = ped$id, data = ped))
  }
  ids <- dimnames(if (inherits(x, "kinlmm_precision")) x$Q else x)
  square <- length(ids) == 2L && !is.null(ids[[1L]]) && identical(ids[[1L]], ids[[2L]])
  if (square && !inherits(x, "genotypes")) {
    K <- check_kinship(x, ids[[1L]], "id", "x", call)
    return(list(type = "kernel", id = rownames(K), data = K))
  }
  if (!inherits(x, "genotypes") && !(is.matrix(x) && is.numeric(x))) {
    must <- paste("genotypes, a relationship matrix with ids as row and column names, or",
                  "a pedigree")
    abort_argument("x", must, describe(x), call)
  }
  geno <- as_genotypes(x, "x", call)
  list(type = "genotypes", id = sample_ids(geno), data = geno)
}

# Arguments ----

check_heritabilities <- function(h2, call) {
  if (!is.numeric(h2) || length(h2) == 0L || !all(is.finite(h2)) || any(h2 < 0 | h2 > 1)) {
    abort_argument("h2", "a number from 0 to 1, or one for each trait", describe(h2), call)
  }
  as.double(h2)
}

check_permanent <- function(permanent, h2, call) {
  permanent <- check_number(permanent, 0, 1, call = call)
  if (permanent > 1 - max(h2) + 1e-12) {
    abort_argument("permanent", "at most 1 - h2", format(permanent), call)
  }
  permanent
}

# A correlation matrix of t traits from a number or a matrix.
check_trait_correlation <- function(x, t, call, arg = rlang::caller_arg(x)) {
  force(arg)
  if (!is.matrix(x)) {
    x <- check_number(x, -1, 1, arg, call)
    x <- matrix(x, t, t)
    diag(x) <- 1
  }
  good <- is.numeric(x) && identical(dim(x), c(t, t)) && all(is.finite(x)) &&
    isSymmetric(unname(x)) && all(diag(x) == 1) &&
    min(eigen(x, TRUE, only.values = TRUE)$values) > -1e-8
  if (!good) {
    must <- paste("a number, or a correlation matrix of", n_of(t, "trait"))
    found <- if (identical(dim(x), c(t, t))) {
      "not symmetric, without ones on the diagonal, or with a negative eigenvalue"
    } else {
      describe(x)
    }
    abort_argument(arg, must, found, call)
  }
  unname(x)
}

check_snp_arguments <- function(source, snps, call) {
  if (source$type == "genotypes") return(invisible())
  given <- c(pi = !identical(snps$pi, 1), causal = !is.null(snps$causal),
             groups = !is.null(snps$groups), shares = !is.null(snps$shares))
  if (any(given)) {
    abort_argument(names(given)[given][[1L]], "left out unless `x` is genotypes", "given",
                   call)
  }
}

check_records <- function(records, n, call) {
  good <- is.numeric(records) && length(records) %in% c(1L, n) &&
    all(is.finite(records)) && all(records >= 0 & records == round(records)) &&
    sum(records) > 0
  if (!good) {
    must <- paste("a whole number, or one for each of", n_of(n, "sample"))
    abort_argument("records", must, describe(records), call)
  }
  rep_len(as.integer(records), n)
}

check_cases <- function(prevalence, cases, controls, t, records, call) {
  if (is.null(prevalence)) {
    given <- c("cases", "controls")[c(!is.null(cases), !is.null(controls))]
    if (length(given) == 0L) return(invisible())
    abort_argument(given[[1L]], "left out without `prevalence`", "given", call)
  }
  prevalence <- check_number(prevalence, 0, 1, call = call)
  if (prevalence %in% c(0, 1)) {
    abort_argument("prevalence", "above 0 and below 1", format(prevalence), call)
  }
  if (!is.null(cases)) check_count(cases, 0L, call = call)
  if (!is.null(controls)) check_count(controls, 0L, call = call)
  if (t > 1L) abort_argument("prevalence", "left out with several traits", "given", call)
  if (any(records != 1L)) {
    abort_argument("prevalence", "left out with repeated records", "given", call)
  }
}

# Covariates of the samples (n x p) in the order of `beta`, or NULL.
trait_covariates <- function(covariates, beta, ids, call) {
  if (is.null(beta) && is.null(covariates)) return(NULL)
  if (!is.numeric(beta) || length(beta) == 0L || !all(is.finite(beta)) ||
        is.null(names(beta)) || !all(nzchar(names(beta))) || anyDuplicated(names(beta))) {
    abort_argument("beta", "numbers named by covariate", describe(beta), call)
  }
  reserved <- grep("^(id|record|liability|y[0-9]*)$", names(beta), value = TRUE)
  if (length(reserved) > 0L) {
    abort_argument("beta", "named otherwise than columns of the result", some_of(reserved),
                   call)
  }
  if (is.null(covariates)) {
    return(matrix(stats::rnorm(length(ids) * length(beta)), length(ids),
                  dimnames = list(NULL, names(beta))))
  }
  given_covariates(covariates, names(beta), ids, call)
}

given_covariates <- function(covariates, names, ids, call) {
  frame <- is.data.frame(covariates)
  have <- if (frame) as.character(covariates$id) else rownames(covariates)
  if (length(dim(covariates)) != 2L || length(have) == 0L || anyDuplicated(have)) {
    must <- "a data frame with a column id, or a matrix with ids as row names, all different"
    abort_argument("covariates", must, describe(covariates), call)
  }
  missing <- setdiff(names, colnames(covariates))
  if (length(missing) > 0L) abort_simulate_covariates(missing, "column", call)
  lost <- setdiff(ids, have)
  if (length(lost) > 0L) abort_simulate_covariates(lost, "row", call)
  X <- covariates[match(ids, have), names, drop = FALSE]
  numeric <- if (frame) all(vapply(X, is.numeric, NA)) else is.numeric(X)
  X <- as.matrix(X)
  if (!numeric || !all(is.finite(X))) {
    abort_argument("covariates", "numeric and finite", describe(covariates), call)
  }
  matrix(X, nrow(X), dimnames = list(NULL, names))
}

# Genetic values ----

# list(values, effects): n x t values of variances h2 and correlations rg.
draw_genetic <- function(source, h2, rg, snps, exact, call) {
  n <- length(source$id)
  t <- length(h2)
  out <- if (source$type == "genotypes") {
    draw_effects(source$data, h2, rg, snps, call)
  } else {
    z <- matrix(stats::rnorm(n * t), n) %*% kernel_root(rg)
    u <- if (source$type == "pedigree") {
      ped <- source$data
      check_core(cpp_ped_drop(ped$sire, ped$dam, z, n_threads(call)))$u
    } else {
      crossprod(exact_root(source$data, call), z)
    }
    list(values = u * rep(sqrt(h2), each = n))
  }
  if (exact) out <- exact_genetic(out, h2, call)
  dimnames(out$values) <- list(source$id, NULL)
  out
}

# A negative eigenvalue leaves some of the diagonal.
exact_root <- function(K, call) {
  R <- kernel_root(K)
  if (any(abs(colSums(R^2) - diag(K)) > 1e-6 * max(diag(K)))) abort_simulate_kernel(call)
  R
}

exact_genetic <- function(g, h2, call) {
  n <- nrow(g$values)
  centred <- g$values - rep(colMeans(g$values), each = n)
  sd <- sqrt(colSums(centred^2) / (n - 1))
  if (any(sd == 0 & h2 > 0)) abort_simulate_no_variance(call)
  factor <- sqrt(h2) / replace(sd, sd == 0, 1)
  g$values <- centred * rep(factor, each = n)
  for (k in seq_along(h2)) {
    at <- effect_columns(length(h2))[[k]]
    if (!is.null(g$effects)) g$effects[[at]] <- g$effects[[at]] * factor[[k]]
  }
  g
}

effect_columns <- function(t) if (t == 1L) "effect" else paste0("effect", seq_len(t))

draw_effects <- function(geno, h2, rg, snps, call) {
  threads <- n_threads(call)
  errors <- source_errors(geno, call)
  moments <- with_progress("Frequencies", ncol(geno), function(tick) {
    cpp_sim_moments(core_source(geno), 256L, threads, tick)
  })
  moments <- check_core(moments, errors, call)
  prior <- effect_prior(snp_ids(geno), moments$variance, snps, call)
  at <- prior$at
  if (length(at) == 0L && !is.null(snps$causal) && any(h2 > 0)) {
    abort_argument("causal", "one SNP or more, as `h2` is above 0", "none", call)
  }
  z <- matrix(stats::rnorm(length(at) * length(h2)), length(at), length(h2))
  z <- z %*% kernel_root(rg)
  B <- z * sqrt(prior$variance) * rep(sqrt(h2), each = length(at))
  few <- geno[, at]
  values <- if (length(at) == 0L) list(values = matrix(0, nrow(geno), length(h2))) else {
    with_progress("Genetic values", length(at), function(tick) {
      cpp_sim_values(core_source(few), B, 256L, threads, tick)
    })
  }
  effects <- data.frame(snp = few$map$snp, a1 = few$map$a1,
                        frequency = moments$mean[at] / 2)
  if (!is.null(snps$groups)) effects$group <- prior$group
  effects[effect_columns(length(h2))] <- as.data.frame(B)
  list(values = check_core(values, errors, call)$values, effects = effects)
}

# Where effects are, and their variances per copy of A1 for h2 = 1: those of group k add
# up to its share, on average over the SNPs that are drawn.
effect_prior <- function(ids, variance, snps, call) {
  m <- length(ids)
  group <- check_groups(snps$groups, m, call)
  usable <- variance > 0 & !is.na(group)
  if (!any(usable)) abort_simulate_causal(NULL, 1, 0, call)
  weight <- if (snps$method == "standardized") as.double(usable) else variance * usable
  total <- tapply(weight, group, sum)
  total[is.na(total)] <- 0
  share <- check_group_shares(snps$shares, total, call)
  drawn <- draw_causal(ids, usable, group, snps, call)
  mass <- total * drawn$pi
  if (!is.null(snps$causal)) {
    mass <- tapply(weight * drawn$causal, group, sum)
    share <- causal_shares(share, mass, !is.null(snps$shares), call)
  }
  at <- which(drawn$causal)
  k <- as.character(group[at])
  scale <- if (snps$method == "standardized") variance[at] else 1
  list(at = at, group = k, variance = as.vector(share[k] / mass[k]) / scale)
}

# One group, where there are none.
check_groups <- function(groups, m, call) {
  if (is.null(groups)) return(factor(rep("all", m)))
  if (!is.atomic(groups) || length(groups) != m) {
    abort_argument("groups", paste("as long as there are SNPs,", count(m)), describe(groups),
                   call)
  }
  factor(groups)
}

# total: weights of the SNPs that vary, by group.
check_group_shares <- function(shares, total, call) {
  if (is.null(shares)) return(total / sum(total))
  good <- is.numeric(shares) && all(is.finite(shares)) && all(shares >= 0) &&
    abs(sum(shares) - 1) < 1e-8 && setequal(names(shares), names(total)) &&
    !anyDuplicated(names(shares))
  if (!good) abort_simulate_shares(shares, names(total), call)
  empty <- names(total)[total == 0 & shares[names(total)] > 0]
  if (length(empty) > 0L) abort_simulate_group_empty(empty, call)
  shares[names(total)]
}

# Groups without causal SNPs have no part in the heritability.
causal_shares <- function(share, mass, given, call) {
  empty <- names(share)[share > 0 & !(names(share) %in% names(mass)[which(mass > 0)])]
  if (length(empty) == 0L) return(share)
  if (given) abort_simulate_group_causal(empty, call)
  share[empty] <- 0
  if (any(share > 0)) share / sum(share) else share
}

# Which SNPs have an effect, and pi by group.
draw_causal <- function(ids, usable, group, snps, call) {
  if (is.null(snps$causal)) {
    pi <- check_pi(snps$pi, levels(group), call)
    u <- stats::runif(length(ids))
    return(list(causal = usable & u < pi[as.character(group)], pi = pi))
  }
  if (is.character(snps$causal)) {
    unknown <- setdiff(snps$causal, ids[usable])
    if (length(unknown) > 0L) abort_simulate_causal_ids(unknown, unknown %in% ids, call)
    return(list(causal = usable & ids %in% snps$causal))
  }
  list(causal = draw_counts(snps$causal, usable, group, call))
}

draw_counts <- function(counts, usable, group, call) {
  one <- nlevels(group) == 1L && length(counts) == 1L
  good <- is.numeric(counts) && all(is.finite(counts)) && all(counts >= 0) &&
    all(counts == round(counts)) && (one || setequal(names(counts), levels(group)))
  if (!good) {
    must <- if (nlevels(group) == 1L) "a whole number, or ids of SNPs" else {
      paste("whole numbers named by group,", some_of(levels(group)))
    }
    abort_argument("causal", must, describe(counts), call)
  }
  if (one) names(counts) <- levels(group)
  causal <- logical(length(group))
  for (k in names(counts)) {
    among <- which(usable & group == k)
    if (length(among) < counts[[k]]) {
      abort_simulate_causal(if (!one) k, counts[[k]], length(among), call)
    }
    causal[among[sample.int(length(among), counts[[k]])]] <- TRUE
  }
  causal
}

check_pi <- function(pi, groups, call) {
  good <- is.numeric(pi) && all(is.finite(pi)) && all(pi > 0 & pi <= 1) &&
    (length(pi) == 1L || setequal(names(pi), groups))
  if (!good) {
    abort_argument("pi", "a number above 0 and at most 1, or one for each group, by name",
                   describe(pi), call)
  }
  if (length(pi) == 1L) stats::setNames(rep(pi, length(groups)), groups) else pi[groups]
}

# Environment ----

# list(c, e): permanent environments (n x t) and residuals (records x t).
draw_environment <- function(g, h2, permanent, re, records, exact, call) {
  t <- length(h2)
  root <- kernel_root(re)
  draw <- function(n) matrix(stats::rnorm(n * t), n) %*% root
  c <- if (permanent > 0) draw(nrow(g)) else 0 * g
  e <- draw(sum(records))
  residual <- pmax(0, 1 - h2 - permanent)
  who <- rep(seq_len(nrow(g)), records)
  for (k in seq_len(t)) {
    if (exact && permanent > 0) {
      c[, k] <- exact_part(c[, k], g[, k], permanent, call)
    } else {
      c[, k] <- c[, k] * sqrt(permanent)
    }
    e[, k] <- if (exact) {
      exact_part(e[, k], cbind(g[who, k], c[who, k]), residual[[k]], call)
    } else {
      e[, k] * sqrt(residual[[k]])
    }
  }
  dimnames(c) <- dimnames(g)
  list(c = c, e = e)
}

# What of x is orthogonal to the mean and to `others`, with this variance.
exact_part <- function(x, others, variance, call) {
  if (variance == 0) return(0 * x)
  fit <- stats::lm.fit(cbind(1, others), x)
  if (fit$df.residual == 0L) abort_simulate_few(length(x), call)
  fit$residuals * sqrt(variance / stats::var(fit$residuals))
}

# Liability ----

# Where the expected share of fixed + N(0, 1) above it is `prevalence`.
liability_threshold <- function(prevalence, fixed) {
  if (length(fixed) == 1L) return(fixed + stats::qnorm(prevalence, lower.tail = FALSE))
  above <- function(t) mean(stats::pnorm(t - fixed, lower.tail = FALSE)) - prevalence
  ends <- range(fixed) + stats::qnorm(prevalence, lower.tail = FALSE) + c(-1e-6, 1e-6)
  stats::uniroot(above, ends, tol = 1e-12)$root
}

ascertain <- function(table, threshold, cases, controls, call) {
  table <- data.frame(table["id"], y = as.integer(table$y > threshold),
                      liability = table$y, table[-(1:2)])
  have <- c(cases = sum(table$y == 1L), controls = sum(table$y == 0L))
  want <- c(cases = if (is.null(cases)) have[["cases"]] else cases,
            controls = if (is.null(controls)) have[["controls"]] else controls)
  if (any(want > have)) abort_simulate_cases(want, have, call)
  take <- function(y, count) {
    among <- which(table$y == y)
    among[sample.int(length(among), count)]
  }
  take_rows(table, sort(c(take(1L, want[["cases"]]), take(0L, want[["controls"]]))))
}

# Methods ----

#' @export
`[.simulated_trait` <- function(x, ...) {
  class(x) <- "data.frame"
  attr(x, "truth") <- NULL
  x[...]
}

#' @export
print.simulated_trait <- function(x, n = 6L, ...) {
  truth <- attr(x, "truth")
  traits <- length(truth$h2)
  line <- function(name, ...) {
    cat(formatC(paste0("  ", name, ":"), width = -16), ..., "\n", sep = "")
  }
  numbers <- function(x) paste(format(x, digits = 3, trim = TRUE), collapse = ", ")
  cat("Simulated trait", if (traits > 1L) "s", ": ", n_of(nrow(x), "record"), " of ",
      n_of(length(unique(x$id)), "sample"), "\n", sep = "")
  line("heritability", numbers(truth$h2), " (", truth$scale, " scale)")
  line("genetic", genetic_source(truth))
  if (traits > 1L) line("correlation", "genetic ", numbers(truth$rg[upper.tri(truth$rg)]))
  if (truth$permanent_share > 0) line("permanent", numbers(truth$permanent_share))
  if (!is.null(truth$beta)) {
    values <- vapply(truth$beta, format, "", digits = 4)
    line("covariates", paste(names(truth$beta), values, collapse = ", "))
  }
  if (!is.null(truth$prevalence)) {
    line("prevalence", numbers(truth$prevalence), ", liability above ",
         numbers(truth$threshold), "; ", n_of(sum(x$y), "case"), ", ",
         n_of(sum(1 - x$y), "control"))
  }
  cat("\n")
  shown <- utils::head(as.data.frame(x), n)
  class(shown) <- "data.frame"
  print(shown, digits = 4, row.names = FALSE)
  if (nrow(x) > n) cat("... and ", n_of(nrow(x) - n, "more record"), "\n", sep = "")
  invisible(x)
}

genetic_source <- function(truth) {
  effects <- truth$effects
  if (is.null(effects)) return("values drawn by relationship")
  text <- n_of(nrow(effects), "causal SNP")
  if (is.null(effects$group)) return(text)
  sizes <- table(effects$group)
  paste0(text, " (", paste(names(sizes), count(as.vector(sizes)), collapse = ", "), ")")
}
