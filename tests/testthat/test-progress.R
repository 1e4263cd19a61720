test_that("with_progress() returns the result of the work and is silent by default", {
  # longer than the two seconds after which cli would show a bar
  expect_silent(out <- with_progress("Work", 3, function(tick) {
    for (i in 1:3) {
      tick(i, 3)
      Sys.sleep(0.8)
    }
    "done"
  }))
  expect_identical(out, "done")
})

test_that("with_progress() shows a bar if asked to", {
  withr::local_options(cli.progress_show_after = 0, cli.progress_clear = FALSE,
                       cli.dynamic = FALSE, cli.progress_handlers_only = "cli")
  work <- function(tick) for (i in 1:3) tick(i, 3)
  shown <- utils::capture.output(with_progress("Work", 3, work), type = "message")
  expect_match(paste(shown, collapse = "\n"), "Work")
})

test_that("with_progress() passes errors on", {
  expect_error(with_progress("Work", 3, function(tick) stop("halt")), "halt")
})

test_that("long work calls back between blocks", {
  G <- random_genotypes(6, 30, missing = 0)
  seen <- NULL
  tick <- function(done, total) seen <<- rbind(seen, c(done, total))
  settings <- list(method = "centered", filter = marker_filter(0, 1), weights = NULL,
                   sizes = 30L, leave_out = FALSE, pairwise = FALSE, block = 12L,
                   instructions = "automatic")
  cpp_grm(core_source(as_genotypes(G)), settings, 1L, tick)
  expect_identical(seen, cbind(c(12, 24, 30), 30))
  fail <- function(done, total) stop("enough")
  expect_error(
    cpp_grm(core_source(as_genotypes(G)), settings, 1L, fail),
    "enough"
  )
})
