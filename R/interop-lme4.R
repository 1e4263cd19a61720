#' @importFrom nlme getData
#' @export
nlme::getData

# Generics that kinlmm shares with lme4 and lmerTest. fixef(), ranef(), VarCorr() and
# getData() are nlme's in all; these have no common home. Where the other package is loaded
# each name is its generic, which knows the methods for "lmmfit" (delayed registration),
# and otherwise ours. Attached together, in either order, the packages then show the same
# object under each name, so that nothing is masked.
shared_names <- list(
  lme4 = c("getME", "isGLMM", "isLMM", "isNLMM", "isREML", "isSingular", "ngrps", "refit",
           "refitML", "rePCA"),
  lmerTest = "contest"
)

#' @rawNamespace
#' S3method(lme4::getME, lmmfit)
#' S3method(lme4::isGLMM, lmmfit)
#' S3method(lme4::isLMM, lmmfit)
#' S3method(lme4::isNLMM, lmmfit)
#' S3method(lme4::isREML, lmmfit)
#' S3method(lme4::isSingular, lmmfit)
#' S3method(lme4::ngrps, lmmfit)
#' S3method(lme4::refit, lmmfit)
#' S3method(lme4::refitML, lmmfit)
#' S3method(lme4::rePCA, lmmfit)
NULL

# Called while the namespace is loaded: a sealed one takes no active bindings, and a saved
# one keeps none.
share_generics <- function(namespace) {
  for (package in names(shared_names)) for (name in shared_names[[package]]) {
    own <- get0(name, namespace, inherits = FALSE)
    if (is.null(own)) next
    rm(list = name, envir = namespace)
    makeActiveBinding(name, shared_generic(name, package, own), namespace)
  }
}

shared_generic <- function(name, package, own) {
  force(name)
  force(package)
  force(own)
  function() {
    theirs <- if (isNamespaceLoaded(package)) {
      get0(name, asNamespace(package), mode = "function", inherits = FALSE)
    }
    if (is.null(theirs)) own else theirs
  }
}

# A fit of lme4 that was read from a file may come before lme4 itself.
hand_over <- function(name, object, ..., call = rlang::caller_env()) {
  if (inherits(object, "merMod") && requireNamespace("lme4", quietly = TRUE)) {
    return(getExportedValue("lme4", name)(object, ...))
  }
  abort_argument("object", "a model fitted by lmmfit()", describe(object), call)
}

#' What kind of model a fit is
#'
#' Under the names of 'lme4'. With 'lme4' loaded these functions are its own generics, which
#' have methods for both kinds of fits; attached together, in either order, the two packages
#' mask nothing of each other.
#'
#' @param x,object a model fitted by [lmmfit()].
#' @param tol (`numeric(1)`) a standard deviation, relative to sigma and to what the terms
#'   before it explain, below which it counts as zero; 1e-4 as in 'lme4'. Zeros of
#'   [lmmfit()] are exact.
#' @param ... not used; anything here is an error.
#' @return
#' `isREML()`: whether the criterion is REML. `isSingular()`: whether a variance is zero or
#' a covariance matrix of random effects singular (a correlation of 1 or -1, for example).
#' `isLMM()` is `TRUE`, `isGLMM()` and `isNLMM()` are `FALSE`. `refitML()`: the same model
#' fitted by maximum likelihood. `rePCA()`: for each grouping factor the principal
#' components of its random effects relative to sigma, objects as of [stats::prcomp()] in a
#' list of class `prcomplist`. `getData()`: the data the call names, or, where it
#' names none, the model frame.
#' @examples
#' fit <- lmmfit(distance ~ age + (age | Subject), data = nlme::Orthodont)
#' isREML(fit)
#' isREML(refitML(fit))
#' isSingular(fit)
#' rePCA(fit)
#' @name lmmfit-kind
NULL

#' @rdname lmmfit-kind
#' @export
isREML <- function(x, ...) UseMethod("isREML")

#' @rdname lmmfit-kind
#' @export
isREML.lmmfit <- function(x, ...) {
  rlang::check_dots_empty()
  x$REML
}

#' @export
isREML.default <- function(x, ...) hand_over("isREML", x, ...)

#' @rdname lmmfit-kind
#' @export
isLMM <- function(x, ...) UseMethod("isLMM")

#' @rdname lmmfit-kind
#' @export
isLMM.lmmfit <- function(x, ...) TRUE

#' @export
isLMM.default <- function(x, ...) hand_over("isLMM", x, ...)

#' @rdname lmmfit-kind
#' @export
isGLMM <- function(x, ...) UseMethod("isGLMM")

#' @rdname lmmfit-kind
#' @export
isGLMM.lmmfit <- function(x, ...) FALSE

#' @export
isGLMM.default <- function(x, ...) hand_over("isGLMM", x, ...)

#' @rdname lmmfit-kind
#' @export
isNLMM <- function(x, ...) UseMethod("isNLMM")

#' @rdname lmmfit-kind
#' @export
isNLMM.lmmfit <- function(x, ...) FALSE

#' @export
isNLMM.default <- function(x, ...) hand_over("isNLMM", x, ...)

#' @rdname lmmfit-kind
#' @export
isSingular <- function(x, tol = 1e-4, ...) UseMethod("isSingular")

#' @rdname lmmfit-kind
#' @export
isSingular.lmmfit <- function(x, tol = 1e-4, ...) {
  rlang::check_dots_empty()
  tol <- check_number(tol, 0)
  any(x$theta[theta_diagonal(x$random)] < tol)
}

#' @export
isSingular.default <- function(x, tol = 1e-4, ...) hand_over("isSingular", x, tol, ...)

#' @rdname lmmfit-kind
#' @export
refitML <- function(x, ...) UseMethod("refitML")

#' @rdname lmmfit-kind
#' @export
refitML.lmmfit <- function(x, ...) {
  rlang::check_dots_empty()
  if (!x$REML) return(x)
  x$call$REML <- FALSE
  opt <- engine_optimise(x$engine, FALSE, x$control, unname(x$theta))
  fit <- at_optimum(x, opt, FALSE)
  report_convergence(fit)
  fit
}

#' @export
refitML.default <- function(x, ...) hand_over("refitML", x, ...)

#' @rdname lmmfit-kind
#' @export
rePCA <- function(x) UseMethod("rePCA")

#' @rdname lmmfit-kind
#' @export
rePCA.lmmfit <- function(x) {
  factors <- term_factors(x$random, x$theta)
  groups <- term_groups(x$random)
  components <- lapply(split(unname(factors), factor(groups, unique(groups))), function(of) {
    parts <- lapply(of, svd, nv = 0L)
    sdev <- unlist(lapply(parts, `[[`, "d"))
    largest <- order(sdev, decreasing = TRUE)
    rotation <- block_diagonal(lapply(parts, `[[`, "u"))[, largest, drop = FALSE]
    columns <- unlist(lapply(of, rownames))
    dimnames(rotation) <- list(columns, paste0("PC", seq_along(columns)))
    structure(list(sdev = sdev[largest], rotation = rotation, center = FALSE,
                   scale = FALSE), class = "prcomp")
  })
  structure(components, class = "prcomplist")
}

#' @export
rePCA.default <- function(x) hand_over("rePCA", x)

#' @rdname lmmfit-kind
#' @export
getData.lmmfit <- function(object) {
  data <- if (!is.null(object$call$data)) {
    eval(object$call$data, environment(object$formula))
  }
  if (is.null(data)) object$frame else data
}
