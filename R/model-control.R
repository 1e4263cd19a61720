#' Settings of the optimiser
#'
#' @param tolerance (`numeric(1)`) largest absolute element of the gradient of the
#'   criterion, on the scale of -2 log-likelihood, that counts as zero. The default is
#'   a thousand times what double precision usually reaches.
#' @param max_iterations (`integer(1)`) Newton steps from one start before the fit is
#'   reported as not converged.
#' @return A list of class `lmm_control` with the checked settings.
#' @examples
#' lmm_control(max_iterations = 50)
#' @export
lmm_control <- function(tolerance = 1e-8, max_iterations = 200L) {
  structure(
    list(tolerance = check_number(tolerance, min = 1e-14, max = 1),
         max_iterations = check_count(max_iterations)),
    class = "lmm_control"
  )
}
