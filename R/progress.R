# Long work is shown by a cli progress bar, under cli's own options: silent unless
# the session is interactive or `options(cli.progress_show_after = 0)` asks for it.
# cli alone would also print bars into the logs of scripts.

# Runs `work(tick)`, where tick(done, total) moves the bar.
with_progress <- function(name, total, work) {
  asked <- !is.null(getOption("cli.progress_show_after"))
  if (!rlang::is_interactive() && !asked) return(work(function(done, total) NULL))
  bar <- cli::cli_progress_bar(name, total = total, .auto_close = FALSE)
  on.exit(cli::cli_progress_done(bar))
  work(function(done, total) cli::cli_progress_update(set = done, id = bar))
}
