# Variance components by any method, in one form: a list of class "variance_components",
#   method       its name, as the user asks for it
#   components   data frame: `component` (the label of the term, with its columns where
#                there are slopes; "Residual" comes last), `variance` (of covariances, the
#                covariance), `se` (NA where the method gives none or the estimate is on a
#                boundary), `bound` (whether it is held at zero)
#   vcov         covariance matrix of the estimates, or NULL
#   beta         estimates of the fixed effects, and beta_vcov, their covariance matrix
#   n            records used
#   assumptions  what the method takes for granted: sentences
#   notes        what the user must know of this result: sentences
#   seconds      elapsed time of the method itself
#   iterates     data frame, a row per iteration, for methods that show them
#   draws        data frame of a sampler's draws: `chain`, `iteration`, then parameters
#   formula, call
new_components <- function(method, component, variance, se = NA_real_, bound = FALSE,
                           vcov = NULL, beta, beta_vcov, n, assumptions,
                           notes = character(), iterates = NULL, draws = NULL) {
  components <- data.frame(component = component, variance = unname(variance),
                           se = unname(se), bound = bound)
  structure(list(method = method, components = components, vcov = vcov, beta = beta,
                 beta_vcov = beta_vcov, n = n, assumptions = assumptions, notes = notes,
                 iterates = iterates, draws = draws), class = "variance_components")
}
