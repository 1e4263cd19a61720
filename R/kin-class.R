# A relationship matrix with ids as dimnames. note: how it was made; of grm(), a list of
# method, maf, missing, m and dropped.
new_kinship <- function(K, note = NULL) {
  attr(K, "grm") <- note
  class(K) <- c("kinship", "matrix", "array")
  K
}
