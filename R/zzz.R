.onLoad <- function(libname, pkgname) share_generics(topenv())
