# Mixed models beside lme4: the fit by REML with standard errors, many responses, degrees
# of freedom, peak memory, one kernel; alternating in one run.
#
#   Rscript bench/lmm.R [runs] [case ...]          writes bench/results/lmm.md
#
# Cases are the names below, all without any. Needs kinlmm, lme4 and mlmRev; lmerTest for
# the case `satterthwaite` (minutes); for `kernel` the example data of gemma (Debian:
# gemma-doc) and what is there of gaston, sommer and rrBLUP. Run it from the root of the
# sources, without OPENBLAS_CORETYPE, so that BLAS uses the processor's own kernels.

suppressMessages(library(kinlmm))
arguments <- commandArgs(TRUE)
runs <- suppressWarnings(as.integer(c(arguments, 3)[[1]]))
folder <- file.path(tempdir(), "bench-lmm")
dir.create(folder, showWarnings = FALSE)

random_rows <- function(n, ...) {
  set.seed(1)
  data <- data.frame(..., x = rnorm(n))
  data$y <- data$x + rnorm(n)
  for (name in grep("^[a-z]$", setdiff(names(data), c("x", "y")), value = TRUE)) {
    code <- data[[name]]
    data$y <- data$y + rnorm(max(code))[code]
    data[[name]] <- factor(code)
  }
  data
}

# Data, formula, and how many fits one measurement repeats.
cases <- list(
  sleepstudy = list(Reaction ~ Days + (Days | Subject), function() lme4::sleepstudy, 100L),
  intercepts = list(y ~ x + (1 | g), function() {
    random_rows(1e6, g = sample(50000L, 1e6, TRUE))
  }, 1L),
  slopes = list(y ~ x + (x | g), function() {
    data <- random_rows(1e5, g = sample(5000L, 1e5, TRUE))
    data$y <- data$y + rnorm(5000, sd = 0.5)[data$g] * data$x
    data
  }, 1L),
  InstEval = list(y ~ service + (1 | s) + (1 | d) + (1 | dept), function() lme4::InstEval,
                  1L),
  star = list(math ~ gr + sx * eth + cltype + (yrs | id) + (1 | tch) + (yrs | sch),
              function() mlmRev::star, 1L),
  Chem97 = list(score ~ gcsecnt + (1 | school) + (1 | lea), function() mlmRev::Chem97, 1L),
  nested = list(y ~ x + (1 | a / b), function() {
    code <- sample(5000L, 1e5, TRUE)
    random_rows(1e5, a = (code - 1L) %/% 25L + 1L, b = code)
  }, 1L)
)

fitters <- list(
  kinlmm = function(formula, data) lmmfit(formula, data),
  lme4 = function(formula, data) lme4::lmer(formula, data),
  `lme4, no derivatives` = function(formula, data) {
    lme4::lmer(formula, data, control = lme4::lmerControl(calc.derivs = FALSE))
  }
)

quiet <- function(expr) suppressMessages(suppressWarnings(expr))
criterion <- function(fit) {
  if (inherits(fit, "lmmfit")) deviance(fit) else lme4::REMLcrit(fit)
}

# The peak of a process of its own that reads the data and fits; the peak of reading is
# forgotten where Linux lets us.
if (identical(arguments[1], "--memory")) {
  case <- readRDS(arguments[[3]])
  try(writeLines("5", "/proc/self/clear_refs"), silent = TRUE)
  fit <- quiet(fitters[[arguments[[2]]]](case[[1]], case[[2]]))
  invisible(vcov(fit))
  status <- readLines("/proc/self/status")
  cat(sub("[^0-9]*([0-9]+).*", "\\1", grep("^VmHWM", status, value = TRUE)))
  quit()
}

script <- sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))
peak <- function(fitter, file) {
  if (!file.exists("/proc/self/status")) return(NA_real_)
  out <- system2("Rscript", c(script, "--memory", fitter, file), stdout = TRUE,
                 env = paste0("R_LIBS=", paste(.libPaths(), collapse = ":")))
  as.numeric(out[[length(out)]]) / 1024
}

seconds <- function(expr) {
  invisible(gc())
  unname(system.time(expr)[["elapsed"]])
}

number <- function(x, digits = 3) {
  vapply(x, function(v) if (is.na(v)) "" else format(signif(v, digits), scientific = FALSE,
                                                     drop0trailing = TRUE), "")
}
table_of <- function(header, rows) {
  line <- function(cells) paste0("| ", paste(cells, collapse = " | "), " |")
  c(line(header), paste0("|---", strrep("|--:", length(header) - 1L), "|"),
    vapply(rows, line, ""), "")
}

run_case <- function(name) {
  case <- cases[[name]]
  formula <- case[[1]]
  data <- case[[2]]()
  times <- case[[3]]
  fits <- list()
  measured <- vapply(seq_len(runs), function(run) {
    vapply(names(fitters), function(fitter) {
      seconds(for (i in seq_len(times)) {
        fits[[fitter]] <<- quiet(fitters[[fitter]](formula, data))
        vcov(fits[[fitter]])
      }) / times
    }, 0)
  }, numeric(length(fitters)))
  middle <- apply(measured, 1, median)
  values <- vapply(fits, criterion, 0)
  file <- file.path(folder, paste0(name, ".rds"))
  saveRDS(list(formula, data), file, compress = FALSE)
  memory <- vapply(c("kinlmm", "lme4"), peak, 0, file = file)
  message(name, ": ", paste(names(middle), number(middle), collapse = ", "))
  list(name = name, seconds = middle, memory = memory,
       difference = values[["kinlmm"]] - min(values[-1]))
}

# Many responses on one design; lme4 is measured on a few of them.
run_refits <- function(count = 10000L, few = 200L) {
  if (!"refit" %in% getNamespaceExports("kinlmm")) return(NULL)
  refit <- getExportedValue("kinlmm", "refit")
  formula <- Reaction ~ Days + (Days | Subject)
  mine <- lmmfit(formula, lme4::sleepstudy)
  theirs <- lme4::lmer(formula, lme4::sleepstudy)
  responses <- as.matrix(simulate(mine, count, seed = 1))
  measured <- vapply(seq_len(runs), function(run) {
    c(kinlmm = seconds(quiet(refit(mine, responses))) / count,
      lme4 = seconds(for (i in seq_len(few)) quiet(lme4::refit(theirs, responses[, i]))) / few)
  }, numeric(2))
  apply(measured, 1, median)
}

run_satterthwaite <- function() {
  formula <- y ~ service + (1 | s) + (1 | d) + (1 | dept)
  fit_seconds <- seconds(fit <- lmmfit(formula, lme4::InstEval))
  summary_seconds <- seconds(mine <- coef(summary(fit)))
  theirs <- NULL
  lmer_seconds <- seconds(lme4::lmer(formula, lme4::InstEval))
  lmertest_seconds <- seconds(
    theirs <- coef(summary(lmerTest::lmer(formula, lme4::InstEval))))
  list(kinlmm = c(fit_seconds, summary_seconds), lmerTest = c(lmer_seconds, lmertest_seconds),
       df = rbind(kinlmm = if ("df" %in% colnames(mine)) mine[, "df"] else NA,
                  lmerTest = theirs[, "df"]))
}

# Mouse CD8 (1,410 mice): one kernel, the kernel given.
run_kernel <- function() {
  example <- "/usr/share/doc/gemma/example"
  for (name in c("mouse_hs1940.bed", "mouse_hs1940.bim", "mouse_hs1940.fam",
                 "mouse_hs1940.pheno.txt")) {
    con <- gzfile(file.path(example, paste0(name, ".gz")), "rb")
    writeBin(readBin(con, "raw", 1e8), file.path(folder, name))
    close(con)
  }
  K <- grm(read_bed(file.path(folder, "mouse_hs1940")), method = "centered")
  pheno <- data.frame(id = rownames(K),
                      y = utils::read.table(file.path(folder, "mouse_hs1940.pheno.txt"))[[1]])
  pheno <- pheno[!is.na(pheno$y), ]
  K <- structure(unclass(K)[pheno$id, pheno$id], class = NULL)
  attributes(K) <- attributes(K)[c("dim", "dimnames")]
  one <- matrix(1, nrow(pheno))
  ways <- list(
    kinlmm = function() sqrt(VarCorr(lmmfit(y ~ 1 + (1 | id), pheno, list(id = K)))$id[1]),
    `gaston::lmm.aireml` = function() {
      sqrt(gaston::lmm.aireml(pheno$y, one, K, verbose = FALSE)$tau)
    },
    `gaston::lmm.diago, with eigen()` = function() {
      sqrt(gaston::lmm.diago(pheno$y, one, eigen(K, symmetric = TRUE), verbose = FALSE)$tau)
    },
    `sommer::mmer` = function() {
      # it looks the kernel up where it was called from
      random <- stats::as.formula("~ sommer::vsr(id, Gu = K)", environment())
      sqrt(sommer::mmer(y ~ 1, random = random, data = pheno, verbose = FALSE,
                        date.warning = FALSE)$sigma[[1]][1])
    },
    `rrBLUP::mixed.solve` = function() sqrt(rrBLUP::mixed.solve(pheno$y, K = K, X = one)$Vu)
  )
  package <- sub("::.*", "", names(ways))
  ways <- ways[vapply(package, requireNamespace, NA, quietly = TRUE)]
  sd <- list()
  measured <- vapply(seq_len(runs), function(run) {
    vapply(names(ways), function(way) {
      seconds(utils::capture.output(
        sd[[way]] <<- tryCatch(as.numeric(ways[[way]]()), error = function(e) {
          message(way, ": ", conditionMessage(e))
          NA_real_
        })))
    }, 0)
  }, numeric(length(ways)))
  list(seconds = apply(measured, 1, median), sd = unlist(sd), n = nrow(pheno))
}

wanted <- arguments[-1]
if (length(wanted) == 0L) wanted <- c(names(cases), "refits", "satterthwaite", "kernel")
blas <- basename(dirname(normalizePath(extSoftVersion()[["BLAS"]])))
load_average <- function() {
  if (file.exists("/proc/loadavg")) scan("/proc/loadavg", 0, 1, quiet = TRUE) else NA
}
load <- load_average()
fits <- lapply(intersect(names(cases), wanted), run_case)
refits <- if ("refits" %in% wanted) run_refits()
satterthwaite <- if ("satterthwaite" %in% wanted) run_satterthwaite()
kernel <- if ("kernel" %in% wanted) run_kernel()
load <- c(load, load_average())

report <- c(
  "# Mixed models, beside lme4", "",
  paste0("Fit by REML and `vcov()`; medians of ", runs, " alternating runs, seconds."),
  paste0(R.version.string, ", kinlmm ", packageVersion("kinlmm"), ", lme4 ",
         packageVersion("lme4"), ", ", parallel::detectCores(), " cores, ", blas, ", ",
         format(Sys.Date()), "."),
  paste0("Load average before and after: ", paste(load, collapse = ", "), "."), "",
  if (length(fits) > 0L) table_of(
    c("model", "kinlmm", "lme4", "lme4, no derivatives", "**ratio**",
      "ratio, no derivatives", "criterion minus lme4's", "peak MB, kinlmm", "peak MB, lme4"),
    lapply(fits, function(fit) {
      s <- fit$seconds
      formula <- gsub("|", "\\|", deparse1(cases[[fit$name]][[1]]), fixed = TRUE)
      c(paste0(fit$name, ": `", formula, "`"), number(s),
        paste0("**", number(s[[2]] / s[[1]]), "**"), number(s[[3]] / s[[1]]),
        formatC(fit$difference, 1, format = "e"), number(fit$memory, 4))
    })
  ),
  if (!is.null(refits)) {
    c("10,000 responses on the design of sleepstudy, `refit()` (lme4: 200, scaled):", "",
      table_of(c("", "seconds"),
               list(c("kinlmm", number(1e4 * refits[["kinlmm"]])),
                    c("lme4", number(1e4 * refits[["lme4"]])),
                    c("**ratio**", number(refits[["lme4"]] / refits[["kinlmm"]])))))
  },
  if (!is.null(satterthwaite)) {
    c("Satterthwaite's degrees of freedom of InstEval (lmerTest prepares them in its fit):",
      "",
      table_of(c("", "fit", "fit and summary"),
               list(c("kinlmm", number(cumsum(satterthwaite$kinlmm))),
                    c("lmerTest", number(satterthwaite$lmerTest)))),
      paste0("Degrees of freedom: ", paste(apply(satterthwaite$df, 1, function(df) {
        paste(number(df, 7), collapse = ", ")
      }), rownames(satterthwaite$df), sep = " by ", collapse = "; "), "."), "")
  },
  if (!is.null(kernel)) {
    c(paste0("One kernel, mouse CD8, ", kernel$n, " mice, the kernel given:"), "",
      table_of(c("", "seconds", "ratio", "genetic sd"),
               lapply(names(kernel$seconds), function(way) {
                 c(way, number(kernel$seconds[[way]]),
                   number(kernel$seconds[[way]] / kernel$seconds[["kinlmm"]]),
                   number(kernel$sd[[way]], 6))
               })))
  }
)
path <- file.path(dirname(script), "results", "lmm.md")
if (length(arguments) < 2L) writeLines(report, path)
writeLines(report)
unlink(folder, recursive = TRUE)
