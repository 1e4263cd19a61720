#' Relationship matrices
#'
#' `as_kinship()` makes a relationship matrix of class `"kinship"` of a matrix, after checks.
#' [grm()] and other functions of the package return such matrices. A `"kinship"` is a base
#' matrix, and can be used as one, with ids that are the same on both sides and with short
#' printed output.
#'
#' Checked are numbers, shape, ids (given, not empty, each once, the same on both sides, in
#' the same order), finite values, and symmetry: differences up to 1e-8 of the largest
#' value are averaged. Whether it is positive semi-definite is checked where the
#' spectrum is computed, by [lmmfit()] and [kin_eigen()]; [kin_repair()] mends it.
#' [lmmfit()] takes plain matrices too and makes the same checks.
#'
#' Everything is matched by id: a model takes the rows that it needs, in whatever order, and
#' `K + L` of two relationship matrices is in the order of the first. With a plain matrix
#' that has row and column names, on either side, it is in the order of the relationship
#' matrix. Matrices of different ids are an error.
#'
#' What stays a relationship matrix: `K[ids, ids]` with the same ids on both sides, each once;
#' `K` by `+`, `-`, `*`, `/` or `^` with a number, a relationship matrix, or a symmetric
#' matrix; `diag(K) <- value`; and `dimnames(K) <- list(ids, ids)`, `rownames(K) <- ids`,
#' which rename both sides. All else (`K[rows, columns]`, `round(K)`, `K > 0.1`,
#' `K[1, 2] <- 0`, `solve(K)`) gives what a plain matrix gives. Attribute `grm`, how [grm()]
#' made it, goes along with `K[ids, ids]` and with multiples of K, and is dropped by other
#' arithmetic.
#'
#' @param K A matrix, a matrix of package 'Matrix', a data frame of n numeric columns (ids
#'   as row names), or a result of [kin_eigen()]. n x n, symmetric.
#' @param ids A vector of the n ids, for a matrix without names: `NULL` (default) takes the
#'   row and column names.
#' @param x,object A relationship matrix.
#' @param n A whole number: how many rows and columns are printed, at most.
#' @param ... Not used.
#'
#' @return `as_kinship()`: a numeric matrix of class `"kinship"`, n x n.
#'
#'   `summary()`: a list of class `"summary.kinship"` of `n`, `note` (attribute `grm`),
#'   `diagonal` (quantiles), `pairs` (smallest, mean and largest element off the diagonal),
#'   `reaching` (numbers of pairs whose relationship is at least 0.05, 0.177, 0.354 and
#'   0.707 of the mean diagonal: the last three are the usual lower limits of second degree
#'   relatives, first degree relatives, and duplicates, see Manichaikul et al.) and
#'   `values` (eigenvalues, or `NULL`).
#'
#'   `as.data.frame()`: one row for each pair, `id1`, `id2` and `value`, by the lower triangle
#'   row by row (the order of GCTA's files), with `snps` where the number of SNPs by pair is
#'   known.
#'
#' @section Errors:
#' `kinlmm_error_argument` for what is no square numeric matrix, `kinlmm_error_kinship_noids`,
#' `_kinship_duplicated`, `_kinship_na` and `_kinship_asymmetric` for what the checks above
#' find, `_kinship_named` if `ids` do not fit, `_kinship_index` for subsets by unknown ids,
#' and `_kinship_sets` for arithmetic of matrices of different ids. They are all
#' `kinlmm_error_input`s.
#' @references Manichaikul A et al. (2010). Robust relationship inference in genome-wide
#'   association studies. *Bioinformatics* 26, 2867-2873. \doi{10.1093/bioinformatics/btq559}
#' @seealso [grm()], [pedigree_kinship()]; [kin_eigen()], [kin_repair()],
#'   [sparse_kinship()]; [plot.kinship()].
#' @examples
#' K <- as_kinship(rbind(c(1, 0.5, 0), c(0.5, 1, 0), c(0, 0, 1)), ids = c("a", "b", "c"))
#' K
#' K[c("c", "a"), c("c", "a")]
#' summary(K)
#' as.data.frame(0.9 * K + 0.1 * diag(3), diagonal = FALSE)
#' @export
as_kinship <- function(K, ids = NULL) {
  call <- rlang::current_env()
  if (inherits(K, "kin_eigen")) K <- eigen_kernel(K)
  if (inherits(K, "kinship") && is.null(ids)) return(K)
  note <- attr(K, "grm")
  if (is.data.frame(K)) K <- data_frame_matrix(K, call)
  if (!is.null(ids)) K <- name_kinship(K, ids, call)
  new_kinship(plain_matrix(valid_kernel(K, NULL, "K", call)), note)
}

# A relationship matrix with ids as dimnames. note: how it was made; of grm(), a list of
# method, maf, missing, m and dropped.
new_kinship <- function(K, note = NULL) {
  attr(K, "grm") <- note
  class(K) <- c("kinship", "matrix", "array")
  K
}

# Numbers and names alone; the numbers are not copied.
plain_matrix <- function(K) {
  attributes(K) <- attributes(K)[c("dim", "dimnames")]
  K
}

data_frame_matrix <- function(K, call) {
  good <- vapply(K, is.numeric, NA)
  if (!all(good)) {
    found <- paste0("a data frame whose column ", some_of(names(K)[!good][1L]),
                    " is not numeric")
    abort_argument("K", "a numeric matrix, or a data frame of numeric columns", found, call)
  }
  names <- if (.row_names_info(K) > 0L) row.names(K)
  columns <- names(K)
  K <- unname(as.matrix(K))
  # read.csv() makes "X1" of "1"
  made <- !is.null(names) && identical(columns, make.names(names))
  if (!is.null(names)) dimnames(K) <- list(names, if (made) names else columns)
  K
}

# Names for a matrix that has none, on one side at least.
name_kinship <- function(K, ids, call) {
  if (length(dim(K)) != 2L) abort_argument("K", "a matrix", describe(K), call)
  if (!is.atomic(ids) || length(ids) != nrow(K)) {
    abort_kinship_named("K", nrow(K), describe(ids), NULL, call)
  }
  ids <- id_text(ids)
  own <- dimnames(K)
  named <- !is.null(own[[1L]]) && identical(own[[1L]], own[[2L]])
  if (named && !identical(own[[1L]], ids)) {
    at <- which(own[[1L]] != ids)[1L]
    abort_kinship_named("K", nrow(K), ids[at], own[[1L]][at], call)
  }
  dimnames(K) <- rep(list(ids), length(dim(K)))
  K
}

# Subsets and names ----

#' @export
`[.kinship` <- function(x, i, j, ..., drop = TRUE) {
  call <- rlang::current_env()
  if (nargs() - (if (missing(drop)) 0L else 1L) < 3L) {
    x <- plain_matrix(x)
    return(if (missing(i)) x else x[i])
  }
  if (...length() > 0L) return(plain_matrix(x)[i, j, ..., drop = drop])
  n <- nrow(x)
  rows <- if (missing(i)) seq_len(n) else id_places(i, x, call)
  columns <- if (missing(j)) seq_len(n) else id_places(j, x, call)
  whole <- identical(rows, columns) && !anyDuplicated(rows) &&
    (length(rows) != 1L || !drop)
  values <- plain_matrix(x)[rows, columns, drop = drop]
  if (!whole) return(values)
  if (!is.null(attr(x, "observed"))) {
    attr(values, "observed") <- attr(x, "observed")[rows, rows, drop = FALSE]
  }
  note <- attr(x, "grm")
  if (!is.null(note) && length(rows) < n && is.null(note$part_of)) note$part_of <- n
  new_kinship(values, note)
}

# What an index means, as places.
id_places <- function(i, x, call) {
  known <- rownames(x)
  if (is.factor(i)) i <- as.character(i)
  if (is.character(i)) {
    at <- match(i, known)
  } else {
    at <- seq_len(nrow(x))[i]
    if (is.logical(i) && length(i) > nrow(x)) at <- NA
  }
  if (anyNA(at)) {
    unknown <- if (length(at) == length(i)) i[is.na(at)] else i
    abort_kinship_index(unique(unknown), nrow(x), utils::head(known, 1L), call)
  }
  at
}

#' @export
`[<-.kinship` <- function(x, i, j, ..., value) {
  diagonal <- missing(j) && !missing(i) && is.matrix(i) && is.numeric(i) &&
    ncol(i) == 2L && all(i[, 1L] == i[, 2L])
  x <- plain_matrix(x)
  if (diagonal) {
    x[i] <- value
    return(if (is.numeric(x)) new_kinship(x) else x)
  }
  NextMethod(object = x)
}

#' @export
`dimnames<-.kinship` <- function(x, value) {
  old <- rownames(x)
  if (is.null(value) || is.null(value[[1L]]) || is.null(value[[2L]])) {
    x <- plain_matrix(x)
    dimnames(x) <- NULL
    return(x)
  }
  value <- lapply(value, as.character)
  changed <- !vapply(value, identical, NA, old)
  new <- value[[if (changed[[1L]]) 1L else 2L]]
  note <- attr(x, "grm")
  observed <- attr(x, "observed")
  x <- plain_matrix(x)
  dimnames(x) <- if (all(changed)) unname(value) else list(new, new)
  check_kinship_names(x, NULL, "K", rlang::current_env())
  if (!is.null(observed)) {
    if (!is.null(dimnames(observed))) dimnames(observed) <- dimnames(x)
    attr(x, "observed") <- observed
  }
  new_kinship(x, note)
}

#' @export
t.kinship <- function(x) x

#' @export
as.matrix.kinship <- function(x, ...) plain_matrix(x)

# chol() and qr() of base R would keep the class
#' @export
chol.kinship <- function(x, ...) chol(plain_matrix(x), ...)

#' @exportS3Method
qr.kinship <- function(x, ...) qr(plain_matrix(x), ...)

#' @export
unique.kinship <- function(x, ...) unique(plain_matrix(x), ...)

# Arithmetic ----

#' @export
Math.kinship <- function(x, ...) {
  x <- plain_matrix(x)
  get(.Generic, mode = "function")(x, ...)
}

#' @export
Ops.kinship <- function(e1, e2) {
  f <- get(.Generic, mode = "function")
  if (missing(e2)) return(f(plain_matrix(e1)))
  first <- inherits(e1, "kinship")
  call <- rlang::current_env()
  if (first) e2 <- aligned_with(e1, e2, .Generic, call) else
    e1 <- aligned_with(e2, e1, .Generic, call)
  own <- if (first) e1 else e2
  other <- if (first) e2 else e1
  plain <- function(e) if (inherits(e, "kinship")) plain_matrix(e) else e
  value <- f(plain(e1), plain(e2))
  number <- is.numeric(other) && length(other) == 1L
  if (!is.numeric(value) || !.Generic %in% c("+", "-", "*", "/", "^") ||
        !(number || stays_symmetric(other)) || !is.finite(sum(value))) return(value)
  dimnames(value) <- dimnames(own)
  multiple <- number && (.Generic == "*" || .Generic == "/" && first) && other > 0
  if (!multiple) return(new_kinship(value))
  note <- attr(own, "grm")
  attr(value, "observed") <- attr(own, "observed")
  times <- if (.Generic == "*") other else 1 / other
  if (!is.null(note)) note$times <- times * if (is.null(note$times)) 1 else note$times
  new_kinship(value, note)
}

stays_symmetric <- function(x) {
  if (inherits(x, "kinship")) return(TRUE)
  if (!is.matrix(x) || !is.numeric(x)) return(FALSE)
  cpp_check_symmetry(x + 0)$difference == 0
}

# `other`, in the order of the relationship matrix K where it has ids.
aligned_with <- function(K, other, operation, call) {
  if (!is.matrix(other)) return(other)
  if (!identical(dim(other), dim(K)) && !inherits(other, "kinship")) {
    abort_kinship_size(operation, dim(K), dim(other), call)
  }
  ids <- rownames(K)
  names <- dimnames(other)
  given <- !is.null(names[[1L]]) && !is.null(names[[2L]])
  if (!given || identical(unname(names), list(ids, ids))) return(other)
  lost <- setdiff(ids, intersect(names[[1L]], names[[2L]]))
  extra <- setdiff(union(names[[1L]], names[[2L]]), ids)
  if (length(lost) > 0L || length(extra) > 0L) {
    abort_kinship_sets(paste("K", operation, "L"), lost, extra, call)
  }
  other[ids, ids]
}

# Output ----

#' @rdname as_kinship
#' @export
print.kinship <- function(x, n = 5L, ...) {
  n <- check_count(n, 0)
  ids <- rownames(x)
  cat("Relationship matrix of ", n_of(nrow(x), "id"), "\n", sep = "")
  cat_field("made by", describe_note(attr(x, "grm")))
  print_pairs(diag(x), cpp_summarise_pairs(x, numeric()), nrow(x))
  at <- seq_len(min(n, nrow(x)))
  if (length(at) > 0L) {
    cat("\n")
    print(kinship_corner(x, at), quote = FALSE, right = TRUE)
    if (length(at) < nrow(x)) {
      cat("# the first ", length(at), " of ", count(nrow(x)), "; as.matrix() has all\n",
          sep = "")
    }
  }
  invisible(x)
}

cat_field <- function(name, text) {
  if (length(text) == 0L) return(invisible())
  width <- 0.9 * getOption("width") - 12L
  lines <- if (length(text) == 1L) strwrap(text, width) else wrap_parts(text, width)
  cat(paste0(c(formatC(name, width = -12L), rep(strrep(" ", 12L), length(lines) - 1L)),
             lines, "\n"), sep = "")
}

# Lines of parts between commas, broken nowhere else.
wrap_parts <- function(parts, width) {
  lines <- parts[[1L]]
  for (part in parts[-1L]) {
    last <- length(lines)
    longer <- paste(lines[[last]], part, sep = ", ")
    lines <- if (nchar(longer) < width) c(lines[-last], longer) else
      c(lines[-last], paste0(lines[[last]], ","), part)
  }
  lines
}

print_pairs <- function(diagonal, pairs, n) {
  if (n == 0L) return(invisible())
  show <- function(mean, from, to) {
    paste0(short(mean), ", from ", short(from), " to ", short(to))
  }
  cat_field("diagonal", paste("mean", show(mean(diagonal), min(diagonal), max(diagonal))))
  if (n == 1L) return(invisible())
  cat_field("pairs", paste("mean", show(pairs$mean, pairs$smallest, pairs$largest)))
}

# Numbers to four digits, each for itself.
short <- function(x) vapply(x, function(one) format(signif(one, 4L)), "")

kinship_corner <- function(x, at) {
  corner <- plain_matrix(x)[at, at, drop = FALSE]
  ids <- short_ids(rownames(corner))
  matrix(format(round(corner, 4L), trim = TRUE), length(at), dimnames = list(ids, ids))
}

# Of long ids the end, which mostly tells them apart.
short_ids <- function(ids) {
  size <- nchar(ids)
  ids[size > 12L] <- paste0("..", substring(ids, size - 9L)[size > 12L])
  ids
}

# How K was made, in words: NULL if that is not known.
describe_note <- function(note) {
  if (is.null(note)) return(NULL)
  if (identical(note$method, "single-step")) return(describe_single_step(note))
  limit <- function(name, sign, none) {
    value <- note[[name]]
    if (is.numeric(value) && length(value) == 1L && value != none) {
      paste(name, sign, format(value))
    }
  }
  number <- function(value) is.numeric(value) && length(value) == 1L
  c(note$method, if (is.character(note$file)) paste("read from", note$file),
    if (number(note[["m"]])) n_of(note[["m"]], "SNP"), describe_group(note),
    if (isTRUE(note$weighted)) "SNPs weighted",
    if (isTRUE(note$pairwise)) "missing genotypes left out by pair",
    limit("maf", ">=", 0), limit("missing", "<=", 1), limit("hwe", ">=", 0),
    describe_changes(note))
}

describe_group <- function(note) {
  part <- note[["part"]]  # `$` would find part_of
  if (length(part) != 1L) return(NULL)
  switch(note$by, chr = paste("chromosome", part), group = paste("group", part),
         loco = paste("without chromosome", part))
}

describe_single_step <- function(note) {
  factor <- function(name) {
    if (!identical(note[[name]], 1)) paste(name, format(signif(note[[name]], 4)))
  }
  tuned <- !identical(unname(note$tune), c(0, 1))
  c("single-step", paste(count(note$genotyped), "ids genotyped"),
    if (tuned) "tuned to the pedigree",
    if (note$blend > 0) paste0("blended with ", format(100 * note$blend), "% of it"),
    factor("tau"), factor("omega"), describe_changes(note))
}

# What was done to a matrix since it was made.
describe_changes <- function(note) {
  c(if (!is.null(note$times)) paste("times", format(signif(note$times, 4))),
    if (!is.null(note$part_of)) paste("a part of", count(note$part_of), "ids"))
}

#' @rdname as_kinship
#' @param spectrum `TRUE` or `FALSE` (default): whether the eigenvalues are computed, in
#'   time proportional to n^3.
#' @export
summary.kinship <- function(object, spectrum = FALSE, ...) {
  check_flag(spectrum)
  diagonal <- diag(object)
  limits <- c(0.05, 0.177, 0.354, 0.707)
  scale <- mean(diagonal)
  pairs <- cpp_summarise_pairs(object, limits * if (is.finite(scale)) scale else 1)
  structure(list(
    n = nrow(object), note = attr(object, "grm"),
    diagonal = stats::quantile(diagonal, names = TRUE),
    mean_diagonal = scale,
    pairs = unlist(pairs[c("smallest", "mean", "largest")]),
    reaching = stats::setNames(pairs$reaching, limits),
    values = if (spectrum) kernel_values(object)
  ), class = "summary.kinship")
}

# Eigenvalues alone, decreasing.
kernel_values <- function(K) {
  if (nrow(K) == 0L) return(numeric())
  eigen(unname(plain_matrix(K)), symmetric = TRUE, only.values = TRUE)$values
}

#' @export
print.summary.kinship <- function(x, ...) {
  cat("Relationship matrix of ", n_of(x$n, "id"), "\n", sep = "")
  cat_field("made by", describe_note(x$note))
  if (x$n == 0L) return(invisible(x))
  q <- short(x$diagonal)
  cat_field("diagonal", paste0("mean ", short(x$mean_diagonal), ", from ", q[[1L]], " to ",
                               q[[5L]], ", quartiles ", paste(q[2:4], collapse = " ")))
  if (x$n > 1L) {
    p <- short(x$pairs)
    cat_field("pairs", paste0("mean ", p[["mean"]], ", from ", p[["smallest"]], " to ",
                              p[["largest"]]))
  }
  if (!is.null(x$values)) print_spectrum(x$values)
  if (x$n > 1L) print_reaching(x$reaching, x$n)
  invisible(x)
}

print_reaching <- function(reaching, n) {
  cat("\nPairs of at least this share of the mean diagonal:\n")
  all <- n * (n - 1) / 2
  out <- data.frame(share = names(reaching), pairs = count(reaching),
                    percent = formatC(100 * reaching / all, digits = 3, format = "g"))
  print(out, row.names = FALSE, right = TRUE)
}

# values: decreasing.
print_spectrum <- function(values) {
  largest <- max(values[[1L]], 0)
  values[abs(values) <= 1e-10 * largest] <- 0
  show <- function(v) paste(short(v), collapse = ", ")
  cat_field("eigenvalues", paste0(show(utils::head(values, 5L)),
                                  if (length(values) > 5L) ", ..., ",
                                  if (length(values) > 5L) show(min(values))))
  cat_field("rank", paste0(count(sum(values > 1e-10 * largest)), " of ",
                           count(length(values))))
  negative <- sum(values < -1e-8 * largest)
  cat_field("definite", if (negative == 0L) "positive semi-definite" else
    paste0("NOT positive semi-definite: ", n_of(negative, "negative eigenvalue"),
           ", see kin_repair()"))
}

#' @rdname as_kinship
#' @param row.names,optional Not used.
#' @param diagonal `TRUE` (default) or `FALSE`: whether ids with themselves are pairs.
#' @export
as.data.frame.kinship <- function(x, row.names = NULL, optional = FALSE, ...,
                                  diagonal = TRUE) {
  check_flag(diagonal)
  n <- nrow(x)
  # the upper triangle by columns is the lower one by rows
  sizes <- seq_len(n) - !diagonal
  i <- rep(seq_len(n), sizes)
  j <- sequence(sizes)
  ids <- rownames(x)
  at <- cbind(i, j)
  out <- data.frame(id1 = ids[i], id2 = ids[j], value = plain_matrix(x)[at])
  if (!is.null(attr(x, "observed"))) out$snps <- attr(x, "observed")[at]
  out
}
