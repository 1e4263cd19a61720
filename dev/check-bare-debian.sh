#!/usr/bin/env bash
# Proves that a Debian with nothing but make gets from a clone to `make demo` and
# `make test`:  dev/check-bare-debian.sh [suite]     (root; needs debootstrap and git)
# Mirror, proxy and certificates are those of the host. Tests the last commit.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${1:-bookworm}

root=$(mktemp -d)
chmod 755 "$root"
finish() {
  for mounted in proc dev; do
    mountpoint -q "$root/$mounted" && umount -l "$root/$mounted"
  done
  mountpoint -q "$root/proc" || mountpoint -q "$root/dev" || rm -rf "$root"
}
trap finish EXIT

mirror=$(sed -nE '/^ *#/d; s,.*(https?://[^ ]+/debian/?)( .*)?$,\1,p' \
  $(find /etc/apt -name '*.list' -o -name '*.sources') | head -n 1)
debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 ||
  { tail "$root.log" >&2; exit 1; }
rm "$root.log"

mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$root/etc/apt/apt.conf.d/90host" || true
mkdir -p "$root/usr/local/share/ca-certificates" "$root/srv/kinlmm"
cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
git archive HEAD | tar -x -C "$root/srv/kinlmm"

inside() {
  local start=$SECONDS
  echo "== $*"
  chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    sh -c "cd /srv/kinlmm && $*" </dev/null
  echo "== $* took $((SECONDS - start)) s"
}

inside "apt-get -q update >/dev/null && apt-get -q -y install make >/dev/null 2>&1"
inside make demo
inside make demo
inside make test
