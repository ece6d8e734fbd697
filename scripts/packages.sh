# SPDX-License-Identifier: Apache-2.0
# Sourced by demo.sh and test.sh: the Debian and Ubuntu packages they need, and how they are installed.

build_packages=(g++ cmake ninja-build libxsimd-dev nlohmann-json3-dev libxxhash-dev libstb-dev libcli11-dev)
test_packages=(catch2 git python3-venv qemu-user libjpeg-dev libpng-dev)  # photos are tested with and without their libraries
clang_packages=(clang libclang-rt-dev)
tidy=clang-tidy-19  # one version on every system, so that all say the same
if [[ $(uname -m) == x86_64 ]]; then test_packages+=(g++-aarch64-linux-gnu); fi

jobs=$(nproc)

step() { printf '\n== %s\n' "$*"; }

installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# Installs the packages that this release of the system has.
install_what_there_is() {
  local package
  for package in "$@"; do install_packages "$package" || echo "$package cannot be installed: left out" >&2; done
}

# Installs those of the named packages that are missing; needs root or sudo only when there is one.
install_packages() {
  local missing=() package
  if ! command -v dpkg-query >/dev/null; then
    echo "No dpkg here: install by hand what these Debian packages hold: $*" >&2
    return
  fi
  for package in "$@"; do
    installed "$package" || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then return; fi
  step "Installing ${missing[*]}"
  local root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || { echo "Neither root nor sudo: run apt-get install ${missing[*]} first" >&2; exit 1; }
    root=(sudo)
  fi
  "${root[@]}" apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}
