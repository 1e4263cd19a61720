# Threads of our own loops: two unless the user says otherwise, never more than
# OMP_THREAD_LIMIT allows. BLAS has its own setting (OPENBLAS_NUM_THREADS).
n_threads <- function(call = rlang::caller_env()) {
  asked <- getOption("kinlmm.threads", 2L)
  asked <- check_count(asked, arg = "kinlmm.threads", call = call)
  limit <- suppressWarnings(as.integer(Sys.getenv("OMP_THREAD_LIMIT")))
  if (is.na(limit) || limit < 1L) limit <- asked
  min(asked, limit)
}

# Instructions for products of whole numbers: the best of this processor, unless the user
# names others, which gives the same results.
cpu_instructions <- function(call = rlang::caller_env()) {
  asked <- getOption("kinlmm.instructions", "automatic")
  have <- c("automatic", cpp_cpu_instructions())
  if (!is.character(asked) || length(asked) != 1L || !asked %in% have) {
    abort_argument("kinlmm.instructions", paste("one of", some_of(have)), describe(asked),
                   call)
  }
  asked
}
