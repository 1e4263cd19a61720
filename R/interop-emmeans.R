register_emmeans <- function() NULL
