test_that("n_threads() is two unless the user says otherwise", {
  withr::local_envvar(OMP_THREAD_LIMIT = NA)
  withr::local_options(kinlmm.threads = NULL)
  expect_identical(n_threads(), 2L)
  withr::local_options(kinlmm.threads = 5)
  expect_identical(n_threads(), 5L)
})

test_that("n_threads() obeys OMP_THREAD_LIMIT", {
  withr::local_options(kinlmm.threads = 5)
  withr::local_envvar(OMP_THREAD_LIMIT = "3")
  expect_identical(n_threads(), 3L)
  withr::local_envvar(OMP_THREAD_LIMIT = "8")
  expect_identical(n_threads(), 5L)
  withr::local_envvar(OMP_THREAD_LIMIT = "many")
  expect_identical(n_threads(), 5L)
})

test_that("n_threads() refuses what is no number of threads", {
  for (bad in list(0, -1, 1.5, "two", NA, 1:2)) {
    withr::local_options(kinlmm.threads = bad)
    expect_error(n_threads(), "kinlmm.threads", class = "kinlmm_error_argument")
  }
})

test_that("instructions are those of the processor, or the user's", {
  withr::with_options(list(kinlmm.instructions = NULL), {
    expect_identical(cpu_instructions(), "automatic")
  })
  for (one in cpp_cpu_instructions()) {
    withr::with_options(list(kinlmm.instructions = one), {
      expect_identical(cpu_instructions(), one)
    })
  }
  withr::with_options(list(kinlmm.instructions = "abacus"), {
    expect_error(cpu_instructions(), "portable", class = "kinlmm_error_argument")
  })
})
