#!/usr/bin/env bash
# The rules of the house that grep can check. Prints what breaks them; fails if any does.
set -uo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C.UTF-8
broken=0

# rule <description> <findings>
rule() {
  [ -n "$2" ] || return 0
  broken=$((broken + 1))
  printf '%s\n%s\n\n' "$1:" "$2"
}

cpp=(--include=*.h --include=*.cpp --exclude=RcppExports.cpp)
r=(--include=*.R --exclude=RcppExports.R)
without_comments() { grep -vE '^[^:]+:[0-9]+:[[:space:]]*(#|//)'; }

rule "src/core must not know R" \
  "$(grep -rnE 'Rcpp|SEXP|Rinternals|<R\.h>' src/core --include=*.h --include=*.cpp)"
rule "compiled code must not print, stop the process or draw random numbers" \
  "$(grep -rnE "${cpp[@]}" '\b(cout|cerr)\b|printf\(|\bexit\(|\babort\(|\bassert\(|<random>|\brand\(' src)"
rule "OpenMP belongs into src/core/parallel.h" \
  "$(grep -rnE "${cpp[@]}" '\bomp_|\bomp\.h|#pragma omp|_OPENMP' src | grep -v '^src/core/parallel\.h:')"
rule "conditions are thrown in R/conditions.R only" \
  "$(grep -rnE "${r[@]}" '\b(stop|warning|cli_abort|cli_warn)\(' R | grep -v '^R/conditions\.R:' |
     without_comments)"
rule "no :::, no bare T or F, no ifelse()" \
  "$(grep -rnE "${r[@]}" ':::|(^|[^A-Za-z0-9_.$"`>])[TF]([^A-Za-z0-9_.("]|$)|\bifelse\(' R |
     without_comments)"
rule "sources are ASCII" "$(grep -rnIP '[^\x00-\x7F]' R src)"
rule "unfinished business" \
  "$(grep -rnIE '\b(TODO|FIXME|XXX)\b' R src tests dev bench inst vignettes Makefile \
       --exclude=lint.sh 2>/dev/null)"
rule "paths of one machine" \
  "$(grep -rnIE '(^|[^A-Za-z0-9_.])/(home|root|work|mnt|Users)/' . --exclude-dir=.git --exclude=.git \
       --exclude-dir=.local --exclude-dir=build --exclude-dir=*.Rcheck --exclude=lint.sh)"

rule "defined twice, so that the last file wins" \
  "$(grep -hoE '^[A-Za-z_.][A-Za-z0-9_.]* <- function' R/*.R | sort | uniq -d)"

rule "no test file for" "$(
  for file in R/*.R; do
    stem=$(basename "$file" .R)
    case $stem in RcppExports | zzz | data | kinlmm-package | conditions | utils) continue ;; esac
    [ -e "tests/testthat/test-$stem.R" ] || echo "$file"
  done)"
rule "src/Makevars and src/Makevars.win differ" "$(diff src/Makevars src/Makevars.win)"
rule "sources and OBJECTS of src/Makevars differ" "$(
  diff <(sed -nE 's/^(CORE|GLUE) = //p' src/Makevars | tr ' ' '\n' | grep . | sort) \
       <(cd src && find . -name '*.cpp' | sed 's,^\./,,; s,cpp$,o,' | sort) | grep '^[<>]')"
rule "names in src/Makevars are not portable" "$(grep -nE '\$\((wildcard|shell)|[+:?]=|ifeq' src/Makevars)"

if command -v clang-format >/dev/null; then
  rule "not formatted (make format)" \
    "$(for file in $(find src tests/cpp -name '*.h' -o -name '*.cpp' | grep -v -e RcppExports -e /build/); do
         clang-format "$file" | cmp -s - "$file" || echo "$file"
       done)"
fi

if [ $broken = 0 ]; then echo "lint: clean"; else echo "lint: $broken rules broken"; exit 1; fi
