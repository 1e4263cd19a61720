#' A fit as tidy tables
#'
#' For `tidy()`, `glance()` and `augment()` of the packages 'generics', 'broom' and
#' 'broom.mixed', with the columns that 'broom.mixed' gives fits of 'lme4'.
#'
#' @param x a model fitted by [lmmfit()].
#' @param effects (`character`) which rows: `"fixed"` effects, `"ran_pars"` (standard
#'   deviations and correlations), `"ran_vals"` (predicted random effects), `"ran_coefs"`
#'   (fixed plus random effects per level).
#' @param scales (`character(1)`) `"sdcor"` (standard deviations and correlations) or
#'   `"vcov"` (variances and covariances).
#' @param conf.int (`logical(1)`) add the columns `conf.low` and `conf.high`.
#' @param conf.level (`numeric(1)`) level of these intervals.
#' @param conf.method `"Wald"` (with the quantiles of t where there are degrees of
#'   freedom; none for `"ran_pars"`) or `"profile"`, see [confint()][confint.lmmfit].
#' @param ddf degrees of freedom of the fixed effects, as in [summary()][summary.lmmfit]:
#'   `"Satterthwaite"`, `"Kenward-Roger"` or `"none"`.
#' @param data (`data.frame`) records to add the columns to: the rows of the fit, by
#'   default its model frame, or more, matched by row name.
#' @param newdata (`data.frame`) new records to predict, for levels without effects too.
#' @param ... not used; anything here is an error.
#' @return Data frames, tibbles where the package 'tibble' is there.
#'
#'   `tidy()`: `effect`, `group`, `level`, `term`, `estimate`, `std.error`, `statistic`,
#'   `df`, `p.value`, `conf.low`, `conf.high`, as far as they are wanted. `glance()`: one row
#'   of `nobs`, `sigma`, `logLik`, `AIC`, `BIC`, `REMLcrit` (or `deviance`),
#'   `df.residual`. `augment()`: the data with `.fitted`, `.resid`, `.hat`, `.cooksd`,
#'   `.fixed` (fitted values without random effects), `.offset` and `.weights`. Of new data
#'   `.fitted` and `.fixed`.
#' @examples
#' fit <- lmmfit(distance ~ age + (age | Subject), data = nlme::Orthodont)
#' if (requireNamespace("generics", quietly = TRUE)) {
#'   generics::tidy(fit, conf.int = TRUE)
#'   generics::glance(fit)
#'   head(generics::augment(fit))
#' }
#' @name lmmfit-tidy
NULL

#' @rawNamespace
#' S3method(generics::tidy, lmmfit)
#' S3method(generics::glance, lmmfit)
#' S3method(generics::augment, lmmfit)
NULL

#' @rdname lmmfit-tidy
#' @method tidy lmmfit
tidy.lmmfit <- function(x, effects = c("ran_pars", "fixed"), scales = c("sdcor", "vcov"),
                        conf.int = FALSE, conf.level = 0.95,
                        conf.method = c("Wald", "profile"),
                        ddf = c("Satterthwaite", "Kenward-Roger", "none"), ...) {
  rlang::check_dots_empty()
  call <- rlang::current_env()
  scales <- check_choice(scales, c("sdcor", "vcov"))
  ddf <- check_ddf(ddf, call)
  conf <- if (check_flag(conf.int)) {
    list(level = check_number(conf.level, 0.001, 0.9999),
         method = check_choice(conf.method, c("Wald", "profile")))
  }
  make <- list(fixed = function() tidy_fixed(x, conf, ddf, call),
               ran_pars = function() tidy_parameters(x, scales, conf),
               ran_vals = function() tidy_values(x, conf),
               ran_coefs = function() tidy_coefficients(x))
  if (!is.character(effects) || !all(effects %in% names(make))) {
    abort_argument("effects", paste("some of", some_of(names(make))), describe(effects),
                   call)
  }
  wanted <- intersect(names(make), effects)
  tables <- lapply(wanted, function(effect) {
    table <- make[[effect]]()
    data.frame(effect = rep(effect, nrow(table)), table)
  })
  as_table(bind_tables(tables))
}

tidy_fixed <- function(x, conf, ddf, call) {
  table <- coefficient_tests(x, ddf, call)
  out <- data.frame(term = rownames(table), estimate = table[, "Estimate"],
                    std.error = table[, "Std. Error"], statistic = table[, "t value"])
  if ("df" %in% colnames(table)) {
    out$df <- table[, "df"]
    out$p.value <- table[, "Pr(>|t|)"]
  }
  if (is.null(conf)) return(out)
  bounds <- if (conf$method == "profile") {
    confint(x, "beta_", level = conf$level, method = "profile")
  } else {
    wald_limits(table, conf$level)
  }
  data.frame(out, conf.low = bounds[, 1L], conf.high = bounds[, 2L])
}

# "sd__age", "cor__(Intercept).age", "sd__Observation".
tidy_parameters <- function(x, scales, conf) {
  table <- as.data.frame(VarCorr(x), order = "lower.tri")
  own <- is.na(table$var2)
  prefix <- list(sdcor = c("sd", "cor"), vcov = c("var", "cov"))[[scales]]
  columns <- table$var1
  columns[!own] <- paste0(table$var1[!own], ".", table$var2[!own])
  columns[is.na(table$var1)] <- "Observation"
  out <- data.frame(group = table$grp, term = paste0(prefix[2L - own], "__", columns),
                    estimate = table[[scales]])
  if (is.null(conf)) return(out)
  bounds <- matrix(NA_real_, nrow(out), 2L)
  if (conf$method == "profile") {
    bounds <- confint(x, "theta_", level = conf$level, method = "profile")
    if (scales == "vcov") bounds <- replace(bounds^2, !own, NA)
  }
  data.frame(out, conf.low = bounds[, 1L], conf.high = bounds[, 2L])
}

tidy_values <- function(x, conf) {
  table <- as.data.frame(ranef(x, condVar = TRUE))
  out <- data.frame(group = table$grpvar, level = as.character(table$grp),
                    term = as.character(table$term), estimate = table$condval,
                    std.error = table$condsd)
  if (is.null(conf)) return(out)
  half <- stats::qnorm((1 + conf$level) / 2) * out$std.error
  data.frame(out, conf.low = out$estimate - half, conf.high = out$estimate + half)
}

tidy_coefficients <- function(x) {
  tables <- coef(x)
  do.call(rbind, lapply(names(tables), function(group) {
    table <- tables[[group]]
    data.frame(group = group, level = rep(rownames(table), ncol(table)),
               term = rep(names(table), each = nrow(table)),
               estimate = unlist(table, use.names = FALSE))
  }))
}

# One below the other, with NA where a table lacks a column.
bind_tables <- function(tables) {
  order <- c("effect", "group", "level", "term", "estimate", "std.error", "statistic", "df",
             "p.value", "conf.low", "conf.high")
  columns <- intersect(order, unlist(lapply(tables, names)))
  filled <- lapply(tables, function(table) {
    for (name in setdiff(columns, names(table))) table[[name]] <- rep(NA, nrow(table))
    table[columns]
  })
  out <- do.call(rbind, filled)
  rownames(out) <- NULL
  out
}

as_table <- function(x) if (rlang::is_installed("tibble")) tibble::as_tibble(x) else x

#' @rdname lmmfit-tidy
#' @method glance lmmfit
glance.lmmfit <- function(x, ...) {
  rlang::check_dots_empty()
  out <- data.frame(nobs = nobs(x), sigma = sigma(x), logLik = as.numeric(logLik(x)),
                    AIC = stats::AIC(x), BIC = stats::BIC(x), deviance = deviance(x),
                    df.residual = df.residual(x))
  if (x$REML) names(out)[names(out) == "deviance"] <- "REMLcrit"
  as_table(out)
}

#' @rdname lmmfit-tidy
#' @method augment lmmfit
augment.lmmfit <- function(x, data = NULL, newdata = NULL, ...) {
  rlang::check_dots_empty()
  if (!is.null(newdata)) {
    effects <- predict(x, newdata, allow.new.levels = TRUE)
    out <- data.frame(newdata, .fitted = unname(effects), check.names = FALSE)
    out$.fixed <- unname(predict(x, newdata, re.form = NA))
    return(as_table(out))
  }
  rows <- rownames(x$frame)
  if (is.null(data)) data <- x$frame
  lost <- setdiff(rows, rownames(data))
  if (length(lost) > 0L) abort_augment(lost, rlang::current_env())
  added <- data.frame(.fitted = fitted(x)[rows], .resid = residuals(x)[rows])
  hat <- hatvalues(x)
  added$.hat <- hat[rows]
  added$.cooksd <- cooks_at(x, hat)[rows]
  added$.fixed <- predict(x, re.form = NA)[rows]
  added$.offset <- x$offset
  added$.weights <- x$weights
  at <- match(rownames(data), rows)
  out <- data.frame(data, added[at, , drop = FALSE], check.names = FALSE)
  rownames(out) <- NULL
  as_table(out)
}
