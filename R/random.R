# Random numbers of the compiled code: set.seed() decides them, as it does R's.

# What seed_of() of src/glue.h makes a seed of: 64 bits from R's generator.
random_seed <- function() floor(stats::runif(2L) * 2^32)
