#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the newcomer's two commands in a bare system of another release. Needs root, debootstrap, git and the network.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/try_on.sh bookworm|trixie|sid|noble [demo|test|all] [OPTION OF test.sh...]

Makes a bare Debian (or, with debootstrap's keys for it, Ubuntu 24.04) of that release, copies the last commit of this checkout
into it and runs scripts/demo.sh, scripts/test.sh or (by default) both there. Exit status 1 and the command's name where one fails.
Systems and downloaded packages stay in build/systems; the copy in which a trial ran is build/systems/RELEASE.trial.

These variables matter, all optional:
  BIMTDP_SYSTEMS    the folder for systems, in place of build/systems
  BIMTDP_MIRROR     the package archive, in place of the distribution's
  BIMTDP_SHARE      files and folders of this machine that the system sees at the same place, for instance pip's settings
  BIMTDP_PACKAGES   packages to install beforehand: with python3-torch, for instance, pip need not fetch a torch for CUDA
  BIMTDP_JOBS       how many processors the system sees
Proxy variables (http_proxy, https_proxy, no_proxy), PIP_*, CXX and this machine's own certificates
(/usr/local/share/ca-certificates) are passed on.
TEXT
}

release=${1:-} what=${2:-all}
case "$release" in
  -h | --help) usage; exit 0 ;;
  bookworm | trixie | sid) mirror=${BIMTDP_MIRROR:-http://deb.debian.org/debian} components=main template=() ;;
  noble) mirror=${BIMTDP_MIRROR:-http://archive.ubuntu.com/ubuntu} components=main,universe template=(gutsy) ;;
  *) usage >&2; exit 2 ;;
esac
case "$what" in
  demo | test) commands=("$what") ;;
  all) commands=(demo test) ;;
  *) usage >&2; exit 2 ;;
esac
options=("${@:3}")
if ((EUID != 0)); then echo "try_on.sh: only root can make a system: run it with sudo" >&2; exit 1; fi
for program in debootstrap git unshare; do
  command -v "$program" >/dev/null || { echo "try_on.sh: $program is not installed" >&2; exit 1; }
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/packages.sh
systems=$(realpath -m "${BIMTDP_SYSTEMS:-build/systems}")
bare=$systems/$release trial=$systems/$release.trial

# The system as debootstrap makes it, never run in: each trial has a copy.
make_bare() {
  if [[ -d $bare ]]; then return; fi
  step "Making a bare $release in $bare"
  mkdir -p "$systems/packages"
  rm -rf --one-file-system "$bare.part"
  debootstrap --variant=minbase --components="$components" --cache-dir="$systems/packages" "$release" "$bare.part" "$mirror" \
    "${template[@]}"
  mv "$bare.part" "$bare"
}

make_trial() {
  step "A copy of it with the last commit in $trial"
  rm -rf --one-file-system "$trial"
  cp -a "$bare" "$trial"
  git clone -q --no-hardlinks . "$trial/srv/bimtdp"
  mkdir -p "$systems/packages/$release" "$trial/usr/local/share/ca-certificates"
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$trial/usr/local/share/ca-certificates" \; 2>/dev/null || true
  cp -L /etc/resolv.conf /etc/hosts "$trial/etc"
  echo 'Acquire::Check-Valid-Until "false";' > "$trial/etc/apt/apt.conf.d/99trial"  # the mirror may be a snapshot
}

# Variables that reach the commands.
settings() {
  printf '%s\n' HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  env | grep -E '^(https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|PIP_[A-Z_]*|CXX)=' || true
}

# Runs a command inside. All mounts are made in a mount namespace of their own and end with it, whatever happens.
inside() {
  local variables
  mapfile -t variables < <(settings)
  TRIAL=$trial PACKAGES=$systems/packages/$release SHARE=${BIMTDP_SHARE:-} CPUS=$((${BIMTDP_JOBS:-$(nproc)} - 1)) \
    unshare --mount --propagation private --pid --fork --kill-child bash -euc '
      share() {  # FROM TO [OPTION]
        if [[ -d $1 ]]; then mkdir -p "$TRIAL$2"; else mkdir -p "$TRIAL${2%/*}"; touch "$TRIAL$2"; fi
        mount --bind "$1" "$TRIAL$2"
        if [[ ${3:-} ]]; then mount -o "remount,bind,$3" "$TRIAL$2"; fi
      }
      mount --rbind /dev "$TRIAL/dev"
      share "$PACKAGES" /var/cache/apt/archives
      for path in $SHARE; do share "$path" "$path" ro; done
      mount -t proc proc "$TRIAL/proc"
      mount -t sysfs -o ro sysfs "$TRIAL/sys"
      exec taskset -c "0-$CPUS" chroot "$TRIAL" /usr/bin/env -i "$@"' inside "${variables[@]}" bash -c "$1"
}

make_bare
make_trial
if [[ ${BIMTDP_PACKAGES:-} ]]; then
  inside "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $BIMTDP_PACKAGES"
fi
failed=()
for command in "${commands[@]}"; do
  arguments=()
  if [[ $command == test ]]; then arguments=("${options[@]}"); fi
  step "scripts/$command.sh ${arguments[*]} on $release"
  started=$SECONDS
  inside "cd /srv/bimtdp && scripts/$command.sh ${arguments[*]}" || failed+=("scripts/$command.sh")
  step "scripts/$command.sh on $release: $((SECONDS - started)) s"
done
if ((${#failed[@]} > 0)); then echo "try_on.sh: $release: failed: ${failed[*]}" >&2; exit 1; fi
step "$release: ${commands[*]} passed"
