#' Marker effects of a fit, and predictions from genotypes
#'
#' GBLUP and SNP-BLUP are one model. A fit whose relationship matrix is K = W W' / m of the
#' genotypes is one in which every SNP has a random effect of variance sigma2_g / m;
#' `marker_effects()` computes the predictions of these effects from the fit, and
#' `predict()` applies them to other genotypes.
#'
#' @section Method:
#' With V = Var(y), the predicted genetic values of a term are u_hat = K a, where
#' a = sigma2_g Z' V^-1 (y - X beta_hat) for the individuals with records and zero for
#' others. The effects of the columns of W are therefore W' a / m. K is not inverted, so that
#' it may be singular, as a centred one always is, and W is read by blocks of SNPs: n x m
#' numbers are never in memory.
#'
#' W is centred, for `"standardized"` and `"vanraden2"` also scaled, by means of the
#' individuals from which K was made, in the fit or not. Matrices of dominance, of weighted
#' SNPs and of pairwise complete genotypes are refused. These means are the origin of all
#' predictions:
#' `predict()` returns the sum over SNPs of (x - mean) times the effect of a copy, on the
#' scale and from the origin of [blup()]. For individuals of K it is the value that `blup()`
#' has; for others, the value that they would have had as individuals without records in a
#' larger K *that is centred and scaled by the same means*. A larger centred K of the same
#' SNPs with means of its own gives values that differ by a constant if the model has an
#' intercept; a standardised one, other values.
#'
#' `grm()` notes in the matrix how it was made, a note that survives [saveRDS()] and
#' multiplication by a number, but not taking a part of the matrix. Without it, `method`,
#' `maf` and `missing` say how it was made, from all samples in `geno`. For the matrix of a
#' group of SNPs (`by` of `grm()`), `geno` must be subset to that group. Either way it is
#' checked that K and `geno` belong together: both are multiplied with a vector and must
#' agree, up to a factor, to a millionth of its length.
#'
#' @param fit a model fitted by [lmmfit()] with a relationship matrix from [grm()], or from
#'   another program if it has the same SNPs, centres and weights (GEMMA's do).
#' @param geno the genotypes from which it was made: from [read_bed()], or a numeric matrix
#'   of samples x SNPs. They may hold more samples if the matrix comes straight from `grm()`.
#' @param term (`character(1)`) which term, if several have a relationship matrix: its name
#'   in `ranef(fit)`, or the K of `kin(1 | id, K)`.
#' @param column (`character(1)`) which random effect of the term, if it has several
#'   (`"(Intercept)"`, or the name of a slope).
#' @param pev (`logical(1)`) also the prediction error variances of the effects; that takes
#'   about as long as a relationship matrix.
#' @param method,maf,missing,hwe as for [grm()]; used only where the matrix does not say how
#'   it was made. By default those of `grm()`.
#' @param object,x what `marker_effects()` returned. Rows may be left out, as in
#'   `effects[effects$chr == "5", ]`: predictions then are the part of these SNPs.
#' @param newgeno genotypes to predict from. SNPs are matched by id, and their alleles
#'   compared where both sides have them: swapped ones are recoded; others that differ
#'   (another strand, for example, which is never guessed) are left out with a message. SNPs
#'   that are not there, and missing genotypes, count as the mean of the individuals of K. A
#'   matrix has no alleles: it must count the same ones.
#' @param i,j,drop,... as for a data frame; in `print()` and `predict()` not used, in `plot()`
#'   passed to [graphics::plot.default()].
#' @param ylab title of the vertical axis, drawn above it.
#' @param n (`integer(1)`) how many effects to print, the largest ones.
#' @param row.names,optional not used.
#'
#' @return `marker_effects()`: a data frame of class `marker_effects` with a row for each SNP
#'   used, in the order of `geno`: `chr`, `snp`, `pos`, `effect_allele` (the one counted),
#'   `other_allele`, `eaf` (its frequency, half of the mean) and `effect`, in units of the
#'   response for one copy; with `pev` also `pev` and `reliability`, as in [blup()]:
#'   effect^2 / (prior variance - pev) is the score statistic of a SNP as a fixed effect, at
#'   the variances of the fit. The attribute `model` is a list of `term`, `column`, `method`,
#'   `variance` (sigma2_g), `m`, `n` (individuals of K) and `records`.
#'
#'   `predict()`: named numeric, a genetic value for each sample of `newgeno`; with `fit` and
#'   `geno` a data frame of `id`, `value`, `pev` (the variance of the prediction error, the
#'   estimation of the fixed effects allowed for, the variances taken as known) and
#'   `reliability`, 1 - pev / prior variance, as in [blup()]. This needs the relationships
#'   of the new samples with those of the fit, for which both genotypes are read again.
#'
#' @section Errors:
#' `kinlmm_error_marker_kernel` if K is not that of `geno`, or is one of dominance, of
#' weighted SNPs or of pairwise complete genotypes, `kinlmm_error_marker_term` if the
#' term or its effect is not clear, `kinlmm_error_marker_ids` if individuals of K have no
#' genotypes or ids of SNPs are repeated, `kinlmm_error_marker_none` if no SNP of `newgeno`
#' can be used; all below `kinlmm_error_input`.
#' @references
#' Stranden I, Garrick DJ (2009). Derivation of equivalent computing algorithms for genomic
#' predictions and reliabilities of animal merit. Journal of Dairy Science 92, 2971-2975.
#' \doi{10.3168/jds.2008-1929}
#'
#' VanRaden PM (2008). Efficient methods to compute genomic predictions. Journal of Dairy
#' Science 91, 4414-4423. \doi{10.3168/jds.2007-0980}
#' @seealso [blup()], [leave_one_out()], [cross_validate()].
#' @examples
#' geno <- read_bed(file.path(system.file("extdata", package = "kinlmm"), "mouse"))
#' pheno <- read.csv(system.file("extdata", "mouse_pheno.csv", package = "kinlmm"))
#' old <- geno[1:150, ]
#' fit <- lmmfit(cd8 ~ 1 + (1 | id), pheno[pheno$id %in% rownames(old), ],
#'               kinship = list(id = grm(old)))
#' effects <- marker_effects(fit, old)
#' effects
#' head(predict(effects, geno[-(1:150), ]))
#' @export
marker_effects <- function(fit, geno, term = NULL, column = NULL, pev = FALSE,
                           method = NULL, maf = NULL, missing = NULL, hwe = NULL) {
  call <- rlang::current_env()
  check_fit(fit)
  check_flag(pev)
  at <- kernel_place(fit, term, column, call)
  settings <- list(method = method, maf = maf, missing = missing, hwe = hwe)
  # in a matrix that says how it was made they are not looked at again
  kernel_settings(NULL, settings, call)
  found <- kernel_markers(fit, at, as_genotypes(geno), settings, call)
  map <- found$geno$map[found$used, ]
  out <- data.frame(map[c("chr", "snp", "pos")], effect_allele = map$a1,
                    other_allele = map$a2, eaf = found$mean / 2,
                    effect = found$factor * found$scale * found$effects[, 1L],
                    row.names = NULL)
  if (pev) out <- data.frame(out, marker_pev(fit, at, found, call))
  variance <- kernel_variance(fit, at)
  if (variance == 0) inform_marker_zero(at$label)
  model <- list(term = at$label, column = at$column, method = found$method,
                variance = variance, m = nrow(out), n = nrow(found$geno),
                records = length(fit$y), settings = settings)
  new_marker_effects(out, model)
}

new_marker_effects <- function(x, model) {
  structure(x, model = model, class = c("marker_effects", "data.frame"))
}

marker_columns <- c("chr", "snp", "pos", "effect_allele", "other_allele", "eaf", "effect")

# The term and the column that are meant: list(label, column, index).
kernel_place <- function(fit, term, column, call) {
  kernels <- Filter(function(one) !is.null(one$kernel), fit$random)
  if (length(kernels) == 0L) abort_marker_term(NULL, NULL, call)
  label <- names(kernels)
  if (!is.null(term)) {
    check_string(term, call = call)
    texts <- vapply(kernels, function(one) c(one$kernel_text, "")[[1L]], character(1))
    label <- union(intersect(term, label), label[texts == term])
  }
  if (length(label) != 1L) abort_marker_term(names(kernels), term, call)
  columns <- fit$random[[label]]$columns
  if (is.null(column) && length(columns) == 1L) column <- columns
  if (is.null(column) || !column %in% columns) {
    abort_argument("column", paste0("one of ", some_of(columns)), describe(column), call)
  }
  list(label = label, column = column, index = match(column, columns))
}

# sigma2_g of the effect.
kernel_variance <- function(fit, at) {
  factor <- term_factors(fit$random, fit$theta * fit$sigma)[[at$label]]
  sum(factor[at$index, ]^2)
}

# a of u_hat = K a, by level. The engine has K already; what it predicts for individuals
# that are related to themselves alone is a.
kernel_loadings <- function(fit, at) {
  ids <- levels(fit$random[[at$label]]$factor)
  random <- fit$random
  random[[at$label]]$kernel <- diag(length(ids))
  dimnames(random[[at$label]]$kernel) <- list(ids, ids)
  modes <- engine_modes(fit$engine, unname(fit$theta), random)[[at$label]]
  modes[ids, at$index]
}

# The SNPs of the kernel: `geno`, the samples that it was made of; `used`, places of the
# SNPs; their `mean`, `scale` and `effects`, W'a; `factor`, K = factor W W'; and `method`.
kernel_markers <- function(fit, at, geno, settings, call) {
  kernel <- fit$random[[at$label]]$kernel
  if (inherits(kernel, "sparse_kernel")) {
    abort_marker_method(at$label, "is given by its inverse", call)
  }
  note <- attr(kernel, "grm")
  # made of something else than SNPs
  if (is.null(note[["m"]])) note <- NULL
  check_marker_note(note, at$label, call)
  settings <- kernel_settings(note, settings, call)
  geno <- geno[, kernel_snps(geno$map, note, call)]
  ids <- rownames(kernel)
  rows <- match(ids, plain_numbers(sample_ids(geno), ids))
  if (anyNA(rows)) abort_marker_samples(ids[is.na(rows)], length(ids), call)
  # of a part of a matrix the frequencies are those of all samples
  if (!is.null(note) && is.null(note$part_of)) {
    geno <- geno[rows, ]
    rows <- seq_along(ids)
  }
  A <- matrix(0, nrow(geno), 2L)
  loadings <- kernel_loadings(fit, at)
  A[rows[match(names(loadings), ids)], 1L] <- loadings
  # any vector that no kernel is likely to have in its null space
  probe <- cos(seq_along(ids)^2)
  A[rows, 2L] <- probe
  found <- with_progress("Marker effects", ncol(geno), function(tick) {
    cpp_marker_products(core_source(geno), settings$method,
                        marker_filter(settings$maf, settings$missing, settings$hwe), A,
                        n_threads(call), tick)
  })
  found <- check_core(found, source_errors(geno, call), call)
  used <- length(found$used)
  if (!is.null(note) && !identical(as.numeric(note$m), as.numeric(used))) {
    abort_marker_kernel(at$label, c(note$m, used), NULL, call,
                        group = if (identical(note$by, "group")) note$part)
  }
  expected <- drop(kernel %*% probe)
  factor <- kernel_factor(expected, found$values[rows, 2L], at$label, call)
  c(found[c("used", "mean", "scale", "effects")],
    list(geno = geno, factor = factor, method = settings$method))
}

kernel_settings <- function(note, asked, call) {
  if (!is.null(note$maf)) return(c(note, if (is.null(note$hwe)) list(hwe = 0)))
  pick <- function(name, default) if (is.null(asked[[name]])) default else asked[[name]]
  # a kinship that was read from a file knows its number of SNPs at most
  method <- if (is.null(note$method)) pick("method", "centered") else note$method
  additive <- c("centered", "standardized", "vanraden1", "vanraden2")
  list(method = check_choice(method, additive, "method", call),
       maf = check_number(pick("maf", 0.01), 0, 0.5, "maf", call),
       missing = check_number(pick("missing", 0.05), 0, 1, "missing", call),
       hwe = check_number(pick("hwe", 0), 0, 1, "hwe", call))
}

# Matrices that no variance per SNP gives, or one that the note does not hold.
check_marker_note <- function(note, label, call) {
  why <- if (c(note$method, "")[[1L]] %in% c("dominance", "vitezica")) {
    "is one of dominance"
  } else if (isTRUE(note$weighted)) {
    "has weights for its SNPs"
  } else if (isTRUE(note$pairwise)) {
    "leaves missing genotypes out pair by pair"
  }
  if (!is.null(why)) abort_marker_method(label, why, call)
}

# Places in the map of the SNPs on the chromosomes that the note says.
kernel_snps <- function(map, note, call) {
  if (is.null(note$chr)) return(seq_len(nrow(map)))
  here <- seq_len(nrow(map)) %in% on_chromosomes(map, note$chr, call)
  if (identical(note$by, "chr")) here <- here & map$chr %in% note$part
  if (identical(note$by, "loco")) here <- here & !map$chr %in% note$part
  which(here)
}

# K v = factor W W'v
kernel_factor <- function(expected, found, label, call) {
  size <- sum(found^2)
  factor <- if (size > 0) sum(expected * found) / size else 0
  away <- sqrt(sum((expected - factor * found)^2) / sum(expected^2))
  if (!isTRUE(away <= 1e-6)) abort_marker_kernel(label, NULL, away, call)
  factor
}

# A SNP's effect is that of one more individual whose only relatives are those that carry
# the SNP: pev and reliability of all, a block at a time.
marker_pev <- function(fit, at, found, call) {
  ids <- levels(fit$random[[at$label]]$factor)
  geno <- found$geno[match(ids, plain_numbers(sample_ids(found$geno), ids)), ]
  m <- length(found$used)
  parts <- split(seq_len(m), (seq_len(m) - 1L) %/% 500L)
  out <- with_progress("Error variances", m, function(tick) {
    lapply(parts, function(some) {
      x <- t(geno_block(geno, found$used[some], call)) - found$mean[some]
      x[is.na(x)] <- 0
      weight <- found$factor * found$scale[some]^2
      tick(max(some), m)
      own_errors(fit, at, unname(x) * weight, weight, ids)
    })
  })
  do.call(rbind, unname(out))
}

# Methods ----

#' @rdname marker_effects
#' @export
predict.marker_effects <- function(object, newgeno, fit = NULL, geno = NULL, ...) {
  rlang::check_dots_empty()
  call <- rlang::current_env()
  if (is.null(attr(object, "model"))) {
    abort_argument("object", "a result of marker_effects()", describe(object), call)
  }
  newgeno <- as_genotypes(newgeno)
  if (is.null(fit) != is.null(geno)) {
    abort_argument("geno", "given together with `fit`", describe(geno), call)
  }
  matched <- match_markers(object, newgeno$map, call)
  found <- with_progress("Predicting", length(matched$to), function(tick) {
    cpp_score_markers(core_source(newgeno[, matched$to]),
                      recoded_mean(2 * object$eaf[matched$from], matched$sign),
                      object$effect[matched$from] * matched$sign, n_threads(call), tick)
  })
  found <- check_core(found, source_errors(newgeno, call), call)
  values <- stats::setNames(found$values, sample_ids(newgeno))
  if (is.null(fit)) return(values)
  error <- marker_errors(object, newgeno, matched, fit, as_genotypes(geno), call)
  data.frame(id = names(values), value = unname(values), error)
}

# For a SNP whose other allele is counted the mean is 2 less that.
recoded_mean <- function(mean, sign) mean + (sign < 0) * (2 - 2 * mean)

# SNPs of `object` in another map: their rows `from`, the places `to`, in increasing order,
# and `sign`, -1 where the alleles are swapped.
match_markers <- function(object, map, call) {
  twice <- unique(object$snp[duplicated(object$snp)])
  at <- match(object$snp, map$snp)
  there <- intersect(map$snp[duplicated(map$snp)], object$snp)
  if (length(c(twice, there)) > 0L) abort_marker_repeated(unique(c(twice, there)), call)
  from <- which(!is.na(at))
  sign <- allele_signs(object[from, ], map[at[from], ])
  differ <- which(sign == 0)
  if (length(differ) == length(from)) abort_marker_none(nrow(object), length(differ), call)
  inform_markers(nrow(object), object$snp[is.na(at)], object$snp[from[differ]],
                 sum(sign < 0))
  kept <- which(sign != 0)
  kept <- kept[order(at[from[kept]])]
  list(from = from[kept], to = at[from[kept]], sign = sign[kept])
}

# 1 the same, -1 swapped, 0 neither; "0" is what PLINK writes for an allele that no sample
# has, NA is unknown.
allele_signs <- function(ours, theirs) {
  fits <- function(a, b) is.na(a) | is.na(b) | a == b | a == "0" | b == "0"
  same <- fits(ours$effect_allele, theirs$a1) & fits(ours$other_allele, theirs$a2)
  swapped <- fits(ours$effect_allele, theirs$a2) & fits(ours$other_allele, theirs$a1)
  same <- same & !(swapped & theirs$a1 %in% "0" & theirs$a2 %in% "0")
  same - (swapped & !same)
}

# pev and reliability of new samples: see engine_variances(), for which the kernel holds
# their covariances with the levels of the fit, and their own on its diagonal.
marker_errors <- function(object, newgeno, matched, fit, geno, call) {
  check_fit(fit, call = call)
  model <- attr(object, "model")
  at <- kernel_place(fit, model$term, model$column, call)
  found <- kernel_markers(fit, at, geno, model$settings, call)
  if (!identical(snp_ids(found$geno)[found$used], object$snp)) {
    abort_argument("object", "all effects that `fit` and `geno` give",
                   "those of other SNPs, or a part", call)
  }
  ids <- levels(fit$random[[at$label]]$factor)
  old <- found$geno[match(ids, plain_numbers(sample_ids(found$geno), ids)),
                    found$used[matched$from]]
  scale <- list(mean = found$mean[matched$from], scale = found$scale[matched$from])
  recoded <- list(mean = recoded_mean(scale$mean, matched$sign),
                  scale = scale$scale * matched$sign)
  new <- newgeno[, matched$to]
  parts <- split(seq_len(nrow(new)), (seq_len(nrow(new)) - 1L) %/% 500L)
  out <- lapply(parts, function(some) {
    cross <- with_progress("Relationships", ncol(new), function(tick) {
      cpp_cross_kernel(core_source(new[some, ]), recoded, core_source(old), scale,
                       n_threads(call), tick)
    })
    cross <- check_core(cross, source_errors(new, call), call)
    own_errors(fit, at, found$factor * cross$K, found$factor * cross$diagonal, ids)
  })
  do.call(rbind, unname(out))
}

# K: new x ids; own: the variances of the new ones.
own_errors <- function(fit, at, K, own, ids) {
  names <- paste("new", seq_along(own))
  random <- fit$random
  random[[at$label]]$kernel <- structure(cbind(diag(own, length(own)), K),
                                         dimnames = list(names, c(names, ids)))
  variances <- engine_variances(fit$engine, unname(fit$theta), fit$sigma, random)
  pev <- unname(variances[[at$label]]$prediction[at$index, at$index, ])
  data.frame(pev = pev, reliability = ratio_or_na(pev, kernel_variance(fit, at) * own))
}

#' @rdname marker_effects
#' @export
`[.marker_effects` <- function(x, i, j, ..., drop = TRUE) {
  out <- NextMethod()
  if (!is.data.frame(out)) return(out)
  if (!all(marker_columns %in% names(out))) return(as.data.frame.marker_effects(out))
  new_marker_effects(out, attr(x, "model"))
}

#' @rdname marker_effects
#' @export
as.data.frame.marker_effects <- function(x, row.names = NULL, optional = FALSE, ...) {
  attr(x, "model") <- NULL
  class(x) <- "data.frame"
  x
}

#' @rdname marker_effects
#' @export
print.marker_effects <- function(x, n = 10L, ...) {
  model <- attr(x, "model")
  n <- check_count(n, 0L)
  if (is.null(model)) {
    print(as.data.frame(x))
    return(invisible(x))
  }
  part <- if (nrow(x) < model$m) paste0(count(nrow(x)), " of ") else ""
  cat("Marker effects (SNP-BLUP): ", part, n_of(model$m, "SNP"), " in ", count(model$n),
      " individuals, ", n_of(model$records, "record"), "\n", sep = "")
  column <- if (model$column != "(Intercept)") paste0(" (", model$column, ")")
  cat("Term:    ", model$term, column, ", ", model$method, " genotypes, variance ",
      format(model$variance, digits = 4L), "\n", sep = "")
  cat("Origin:  the mean genotypes of these individuals\n")
  if (model$variance == 0) {
    cat("\nThe variance of the term is estimated as zero: all effects are zero.\n")
    return(invisible(x))
  }
  n <- min(n, nrow(x))
  if (n == 0L) return(invisible(x))
  cat("\nLargest effects of one copy, in size:\n")
  largest <- utils::head(order(-abs(x$effect)), n)
  print_markers(x[largest, ])
  invisible(x)
}

print_markers <- function(x) {
  table <- data.frame(chr = x$chr, snp = x$snp, pos = x$pos)
  table <- table[!vapply(table, function(column) all(is.na(column)), NA)]
  known <- !all(is.na(x$effect_allele))
  if (known) table$alleles <- paste(x$effect_allele, x$other_allele, sep = "/")
  table$eaf <- format(x$eaf, digits = 3L)
  table$effect <- format(x$effect, digits = 3L)
  print(table, row.names = FALSE, right = TRUE)
  if (known) cat("\nalleles: effect/other\n")
}

#' @rdname marker_effects
#' @export
plot.marker_effects <- function(x, ylab = "Effect of one copy", ...) {
  on_map <- !x$chr %in% c(NA, "0")
  if (!any(on_map)) on_map[] <- TRUE
  x <- x[on_map & is.finite(x$effect), ]
  if (nrow(x) == 0L) {
    abort_argument("x", "effects of one SNP or more", "empty", rlang::current_env())
  }
  layout <- genome_layout(replace(x$chr, is.na(x$chr), ""), x$pos)
  height <- max(abs(x$effect))
  if (height == 0) height <- 1
  single <- length(layout$label) == 1L
  seen <- not_hidden(layout$at, 2 * x$effect / height, max(layout$end), 4)
  plot_frame(list(
    xlim = range(layout$at) + c(-1, 1) * 0.01 * max(layout$end),
    ylim = c(-1, 1) * 1.05 * height, ylab = "",
    xlab = if (!single) "Chromosome" else if (layout$label == "") "SNP" else
      paste("Position on chromosome", layout$label, "(Mb)")
  ), ...)
  # beside the axis small effects, which have wide labels, would run into it
  graphics::mtext(ylab, 3, line = 0.3, adj = 0, cex = graphics::par("cex"))
  graphics::abline(h = 0, col = plot_colours$line)
  colour <- c(plot_colours$even, plot_colours$odd)[layout$index %% 2L + 1L]
  graphics::points(layout$at[seen], x$effect[seen], pch = 19, cex = 0.45,
                   col = colour[seen])
  if (!single) chromosome_axis(layout) else if (layout$label != "") {
    megabase_axis(layout$at)
  } else {
    graphics::axis(1, lwd = 0, lwd.ticks = 1, col.ticks = plot_colours$line)
  }
  invisible(x)
}
