local_png <- function(env = parent.frame()) {
  path <- withr::local_tempfile(fileext = ".png", .local_envir = env)
  grDevices::png(path)
  withr::defer(grDevices::dev.off(), env)
  path
}

# A scan of three chromosomes without a scan.
fake_gwas <- function(m = 600, chr = rep(c("2", "10", "X"), each = m / 3)) {
  withr::with_seed(1, y <- -log10(stats::runif(m)))
  y[5] <- 12
  x <- data.frame(chr = chr, snp = paste0("rs", seq_len(m)),
                  pos = rep(seq_len(m / 3) * 1000L, length.out = m))
  for (p in gwas_tests) {
    x[[paste0("p_", p)]] <- 10^-y
    x[[paste0("neg_log10_p_", p)]] <- y
  }
  x$reason <- NA_character_
  new_gwas(x, list())
}

test_that("both plots are drawn, and return the scan", {
  local_png()
  hits <- fake_gwas()
  expect_invisible(plot(hits))
  expect_identical(plot(hits, "qq"), hits)
  expect_identical(plot(hits, "manhattan", "lrt", main = "title", ylim = c(0, 20)), hits)
  one <- hits[hits$chr == "X", ]
  expect_identical(plot(one), one)
  expect_identical(plot(one[1, ]), one[1, ])
  expect_identical(plot(one[1, ], "qq"), one[1, ])
})

test_that("plots leave the graphics parameters alone", {
  local_png()
  before <- graphics::par(no.readonly = TRUE)[c("las", "mgp", "tcl", "xpd")]
  plot(fake_gwas())
  plot(fake_gwas(), "qq")
  expect_identical(graphics::par(no.readonly = TRUE)[c("las", "mgp", "tcl", "xpd")],
                   before)
})

test_that("chromosomes are in the order of their numbers", {
  expect_identical(chromosome_order(c("X", "10", "MT", "2", "Y", "1", "un")),
                   c("1", "2", "10", "X", "Y", "MT", "un"))
  expect_identical(chromosome_order(c("chrX", "chr10", "chr9")),
                   c("chr9", "chr10", "chrX"))
})

test_that("chromosomes do not overlap and have gaps", {
  layout <- genome_layout(rep(c("2", "1"), each = 3), c(1, 50, 101, 10, 20, 60))
  expect_identical(layout$label, c("1", "2"))
  expect_equal(layout$end - layout$start, c(50, 100))
  expect_equal(layout$start, c(0, 51.5))
  expect_equal(layout$at, c(51.5, 100.5, 151.5, 0, 10, 50))
})

test_that("missing positions come from the neighbours", {
  expect_identical(spread_positions(c(NA, NA, NA)), c(1, 2, 3))
  expect_equal(spread_positions(c(10, NA, 30, -9, 0)), c(10, 20, 30, 30, 30))
})

test_that("strong points are never thinned, and some of a crowd are kept", {
  at <- rep(1, 1000)
  y <- c(rep(0.5, 998), 7, 7)
  expect_identical(which(not_hidden(at, y, 10, 8)), c(1L, 999L, 1000L))
})

test_that("arguments are checked", {
  hits <- fake_gwas()
  expect_error(plot(hits, "volcano"), class = "kinlmm_error_argument")
  expect_error(plot(hits, p = "t"), class = "kinlmm_error_argument")
  none <- hits
  none[grep("neg_log10", names(none))] <- NA_real_
  expect_error(plot(none), class = "kinlmm_error_scan_empty")
  expect_snapshot(error = TRUE, plot(none))
  hits$chr <- "0"
  expect_error(plot(hits), class = "kinlmm_error_scan_unplaced")
  expect_snapshot(error = TRUE, plot(hits))
})

test_that("limits and labels may be given one by one", {
  grDevices::pdf(NULL)
  withr::defer(grDevices::dev.off())
  hits <- fake_gwas()
  for (type in c("manhattan", "qq")) {
    plot(hits, type, xlim = c(0, 2))
    expect_equal(graphics::par("usr")[1:2], c(0, 2))
    expect_gt(graphics::par("usr")[[4]], 0.5)
    expect_silent(plot(hits, type, xlab = "here", ylab = "there", main = "all"))
  }
})
