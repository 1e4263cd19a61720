#!/usr/bin/env bash
# dev/fuzz.R under address and undefined-behaviour sanitizers:
#   dev/fuzz.sh [files] [seed] [folder], see there.
# Builds the package with them into $FUZZ_LIB (.local/fuzz), unless it is there already:
# `FUZZ_REBUILD=1` builds it again. The core alone, which is much faster:
#   KINLMM_FUZZ=100000 make -C tests/cpp sanitize FILTER=fuzz
set -euo pipefail
cd "$(dirname "$0")/.."
lib=${FUZZ_LIB:-$PWD/.local/fuzz}

if [ ! -d "$lib/kinlmm" ] || [ -n "${FUZZ_REBUILD:-}" ]; then
  mkdir -p "$lib"
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  tar --exclude=.git --exclude=.local --exclude='*.o' --exclude='*.so' -cf - . | tar -xf - -C "$copy"
  flags="-O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined"
  printf 'CXX17 = g++\nCXX17FLAGS = %s\nLDFLAGS = -fsanitize=address,undefined\n' "$flags" >"$copy/Makevars"
  R_MAKEVARS_USER="$copy/Makevars" MAKEFLAGS=${MAKEFLAGS:--j2} R CMD INSTALL --no-docs --no-test-load \
    --library="$lib" "$copy"
fi

# R itself knows no sanitizer: it has to be there before R is. libstdc++ too, or ASan finds
# no __cxa_throw. R keeps what it allocates, which is no leak.
export LD_PRELOAD="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libstdc++.so)"
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
export R_LIBS="$lib${R_LIBS:+:$R_LIBS}"
exec Rscript dev/fuzz.R "$@"
