#!/bin/sh
# Puts Suricata of a Debian release into a root folder of its own, for `make bench` to measure beside us.
#
#   sh benches/suricata.sh SUITE...    trixie has version 7, forky version 8
#
# The folder is target/bench/SUITE, some 400 MiB. Needs root and debootstrap; where they are missing, or the archive
# cannot be reached, the comparison says "not run".
set -eu
cd "$(dirname "$0")/.."

# Where this machine has its own packages from.
archive=${DEBIAN_ARCHIVE:-$(apt-get indextargets --format '$(REPO_URI)' | head -n 1)}
# The script of the newest release serves for those that debootstrap does not know yet.
script=/usr/share/debootstrap/scripts/sid

say() { printf 'suricata: %s\n' "$*"; }

for suite in "$@"; do
    root=target/bench/$suite
    [ ! -x "$root/usr/bin/suricata" ] || continue
    [ "$(id -u)" -eq 0 ] || { say "not run: $suite needs root"; continue; }
    command -v debootstrap >/dev/null || { say "not run: $suite needs debootstrap"; continue; }
    say "installing Debian $suite with Suricata into $root (some minutes)"
    mkdir -p "$root"
    log=target/bench/$suite.log
    if debootstrap --variant=minbase "$suite" "$root" "$archive" "$script" >"$log" 2>&1 &&
        chroot "$root" env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq -y install --no-install-recommends suricata >>"$log" 2>&1; then
        chroot "$root" suricata -V
    else
        say "not run: $suite could not be installed, see $log"
        rm -rf "$root"
    fi
done
