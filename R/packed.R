# Lower triangles packed by columns, as theta and its components are.

# Rows and columns of the lower triangle of a k x k matrix, by columns.
lower_pairs <- function(k) {
  list(row = sequence(k:1, seq_len(k)), col = rep(seq_len(k), k:1))
}

pack_lower <- function(x) x[lower.tri(x, diag = TRUE)]

# k of a k x k matrix whose lower triangle has `count` elements.
packed_size <- function(count) 0.5 * (sqrt(8 * count + 1) - 1)

# Of the products L L' of several factors, one after the other.
pack_products <- function(factors) {
  unlist(lapply(factors, function(L) pack_lower(tcrossprod(L))), use.names = FALSE)
}

# Identity matrices of these sizes: which elements are on a diagonal.
pack_identities <- function(sizes) {
  unlist(lapply(sizes, function(k) pack_lower(diag(k))), use.names = FALSE)
}

# A square matrix from its lower triangle.
unpack_lower <- function(x, symmetric = FALSE) {
  k <- packed_size(length(x))
  out <- matrix(0, k, k)
  out[lower.tri(out, diag = TRUE)] <- x
  if (symmetric) out[upper.tri(out)] <- t(out)[upper.tri(out)]
  out
}

# What of `packed` belongs to each of several matrices of these sizes.
split_packed <- function(packed, sizes) {
  counts <- sizes * (sizes + 1L) / 2L
  Map(function(end, count) packed[seq(end - count + 1L, end)], cumsum(counts), counts)
}

block_diagonal <- function(blocks) {
  rows <- vapply(blocks, NROW, integer(1))
  cols <- vapply(blocks, NCOL, integer(1))
  out <- matrix(0, sum(rows), sum(cols))
  for (b in seq_along(blocks)) {
    before <- seq_len(b - 1L)
    out[sum(rows[before]) + seq_len(rows[[b]]),
        sum(cols[before]) + seq_len(cols[[b]])] <- blocks[[b]]
  }
  out
}
