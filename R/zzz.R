.onLoad <- function(libname, pkgname) {
  share_generics(topenv())
  register_emmeans()
}
