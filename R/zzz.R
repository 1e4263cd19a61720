.onLoad <- function(libname, pkgname) {
  share_generics(topenv())
  # what package Matrix does with matrices it does with these too
  methods::setOldClass(c("kinship", "matrix", "array"), where = topenv())
}
