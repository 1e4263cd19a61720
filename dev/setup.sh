#!/usr/bin/env bash
# Installs what is missing and says what it does: dev/setup.sh demo|test
#   demo  what `make demo` needs: R, a compiler, OpenBLAS, the packages of Imports
#   test  everything: Suggests, the peers that tests compare with, the tools of R CMD check
# Needs root or sudo only where a Debian package is missing. R packages that Debian does
# not have go to .local/R.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-demo}

required=(ca-certificates g++ make libopenblas0-pthread libopenblas-dev r-base-core r-base-dev
          r-cran-rdpack)
optional=(gemma-doc)
r_packages=()
case $mode in
  demo) ;;
  test)
    required+=(pandoc qpdf r-cran-codetools)
    optional+=(gemma plink1.9 plink2 clang libclang-rt-14-dev libomp-14-dev clang-format tidy
               hunspell-en-gb)
    r_packages+=(roxygen2) ;;
  *) echo "usage: dev/setup.sh demo|test" >&2; exit 2 ;;
esac

example=/usr/share/doc/gemma/example/mouse_hs1940.bed.gz
log=.local/setup.log
mkdir -p .local/R
export R_LIBS="$PWD/.local/R" DEBIAN_FRONTEND=noninteractive

say() { echo "setup: $*"; }
stop() { say "$*" >&2; exit 1; }

# Prints the R packages that are missing or older than DESCRIPTION asks for: those of
# its fields $1 (separated by commas), and $2...
missing_r() {
  Rscript --vanilla - "$@" <<'R'
args <- commandArgs(TRUE)
fields <- strsplit(args[[1L]], ",")[[1L]]
needs <- trimws(unlist(strsplit(read.dcf("DESCRIPTION", fields), ",")))
needs <- c(needs[!is.na(needs)], args[-1L])
name <- sub("[[:space:](].*", "", needs)
least <- rep("0.0", length(needs))
versioned <- grepl(">=", needs)
least[versioned] <- trimws(gsub(".*>=|[)].*", "", needs[versioned]))
found <- vapply(name, function(package) {
  path <- system.file("DESCRIPTION", package = package)
  if (nzchar(path)) read.dcf(path, "Version")[[1L]] else "0.0"
}, "")
cat(unique(name[found == "0.0" | package_version(found) < package_version(least)]))
R
}

have_apt() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

can_install() { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -E "$@"; fi; }

# Those of the given Debian packages that are not installed.
missing_debs() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
  for deb in "$@"; do
    grep -qxF "installed $deb" <<<"$installed" || echo "$deb"
  done
}

# Those of the given Debian packages that apt can install.
known_debs() {
  [ $# = 0 ] || apt-cache show "$@" 2>/dev/null | sed -n 's/^Package: //p' | sort -u
}

updated=no
apt_update() {
  [ $updated = no ] || return 0
  updated=yes
  say "apt-get update"
  as_root apt-get -q update >>$log 2>&1 || say "apt-get update failed (see $log); going on"
}

# Container images often leave out /usr/share/doc, where the example data are.
apt_install() {
  say "apt-get install $*"
  as_root apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 \
    -o Dpkg::Options::="--path-include=/usr/share/doc/gemma/*" install "$@" >>$log 2>&1 </dev/null
}

: >$log

# Another R than Debian's does not see Debian's R packages: take them from CRAN.
debian_r=yes
if command -v Rscript >/dev/null &&
   { ! have_apt || ! dpkg-query -S "$(readlink -f "$(command -v Rscript)")" >/dev/null 2>&1; }; then
  debian_r=no
  for i in "${!required[@]}"; do
    case ${required[$i]} in r-*) unset "required[$i]" ;; esac
  done
fi

if have_apt; then
  mapfile -t needed < <(missing_debs "${required[@]}")
  if [ ${#needed[@]} -gt 0 ]; then
    can_install || stop "this needs root or sudo: apt-get install ${needed[*]}"
    apt_update
    apt_install "${needed[@]}" || { tail -n 20 $log >&2; stop "apt-get failed, see $log"; }
  fi
  # Asking again at every run would be slow; once a day will do.
  find .local -maxdepth 1 -name not-available -mtime +0 -delete
  touch .local/not-available
  mapfile -t wanted < <(missing_debs "${optional[@]}" | grep -vxFf .local/not-available)
  if [ ${#wanted[@]} -gt 0 ]; then
    if can_install; then
      apt_update
      mapfile -t known < <(known_debs "${wanted[@]}")
      [ ${#known[@]} = 0 ] || apt_install "${known[@]}" ||
        say "apt-get failed for optional packages, see $log; going on"
      missing_debs "${wanted[@]}" >>.local/not-available
    fi
    for deb in $(missing_debs "${wanted[@]}"); do
      say "not installed: $deb (optional; what needs it is skipped)"
    done
  fi
else
  say "no apt here; needed are R >= 4.1, g++ (C++17), gfortran, make, BLAS and LAPACK"
  for tool in Rscript g++ make; do
    command -v $tool >/dev/null || stop "$tool is missing; please install it"
  done
fi

Rscript --vanilla -e 'quit(status = getRversion() < "4.1")' ||
  stop "R is older than 4.1: $(Rscript --version 2>&1)"

fields=Imports,LinkingTo
[ "$mode" = demo ] || fields+=,Suggests
read -r -a lacking <<<"$(missing_r $fields "${r_packages[@]}")"
if [ ${#lacking[@]} -gt 0 ] && have_apt && can_install && [ $debian_r = yes ]; then
  mapfile -t debs < <(missing_debs $(printf 'r-cran-%s\n' "${lacking[@],,}"))
  [ ${#debs[@]} = 0 ] || apt_update
  mapfile -t debs < <(known_debs "${debs[@]}")
  if [ ${#debs[@]} -gt 0 ]; then
    apt_install "${debs[@]}" || { tail -n 20 $log >&2; stop "apt-get failed, see $log"; }
    read -r -a lacking <<<"$(missing_r $fields "${r_packages[@]}")"
  fi
fi
if [ ${#lacking[@]} -gt 0 ]; then
  say "install.packages into .local/R: ${lacking[*]}"
  Rscript -e 'args <- commandArgs(TRUE)
    if (getOption("repos")[["CRAN"]] == "@CRAN@") options(repos = "https://cloud.r-project.org")
    install.packages(args, lib = Sys.getenv("R_LIBS"), Ncpus = 2L)' \
    "${lacking[@]}" >>$log 2>&1 || true
  read -r -a lacking <<<"$(missing_r $fields "${r_packages[@]}")"
  [ ${#lacking[@]} = 0 ] || say "not installed, see $log: ${lacking[*]}"
  read -r -a lacking <<<"$(missing_r Imports,LinkingTo)"
  [ ${#lacking[@]} = 0 ] || { tail -n 20 $log >&2; stop "R packages are missing: ${lacking[*]}"; }
fi

if [ ! -e $example ] && have_apt && can_install && [ -z "$(missing_debs gemma-doc)" ]; then
  apt_install --reinstall gemma-doc || true
fi
[ -e $example ] || say "the mouse data of gemma-doc are not there; their tests are skipped"

# Debian's alternatives prefer OpenBLAS by themselves, unless someone chose otherwise.
for library in $(Rscript --vanilla -e 'cat(extSoftVersion()[["BLAS"]], La_library())'); do
  case $(readlink -f "$library") in
    *openblas*) ;;
    *) say "R uses $library, not OpenBLAS: everything works, but slowly" \
         "(see update-alternatives --get-selections)" ;;
  esac
done
