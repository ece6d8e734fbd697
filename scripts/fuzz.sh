#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes the library: tests/fuzz/*.cpp under AddressSanitizer and UndefinedBehaviorSanitizer, every program for some seconds.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/fuzz.sh [--no-install] [--seconds N] [NAME...]

Builds build/fuzz with clang++ and runs the named fuzzers (all: images, model, networks, photo) for N seconds each (60), on all
processors. They begin with tests/fuzz/corpus/NAME, add what they find to build/fuzz/corpus/NAME and put inputs that fail into
build/fuzz/findings. Exit status 1 where one fails.
TEXT
}

install=1 seconds=60 names=()
while (($#)); do
  case "$1" in
    --no-install) install=0 ;;
    --seconds) seconds=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) names+=("$1") ;;
  esac
  shift
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/packages.sh
if ((install)); then install_packages "${build_packages[@]}" "${clang_packages[@]}" libjpeg-dev libpng-dev zlib1g-dev; fi
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
if ((${#names[@]} == 0)); then
  names=(images model networks photo)
fi

step "Building the fuzzers in build/fuzz"
cmake -S . -B build/fuzz -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER=clang++ -DBIMTDP_FUZZERS=ON -DBIMTDP_TESTS=OFF \
  -DBIMTDP_EXAMPLES=OFF
cmake --build build/fuzz -j "$jobs" --target "${names[@]/#/fuzz_}"

# The tests' cases, where a Python with Pillow is at hand.
make_photos() {
  local python=python3
  if [[ -x build/venv/bin/python ]]; then python=build/venv/bin/python; fi
  "$python" tests/python/photo_cases.py "$1" 2>/dev/null || echo "no Pillow: photos are found from nothing" >&2
}

# Quarantines and stacks of allocations as small as will do, and no weighing of features, which alone takes most of the time.
export ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=8:malloc_context_size=1}
options=(-max_total_time="$seconds" -fork="$jobs" -entropic=0 -timeout=10 -rss_limit_mb=4096 -malloc_limit_mb=512)
declare -A longest=([images]=64 [model]=65536 [networks]=256 [photo]=16384)  # bytes of an input

failed=()
for name in "${names[@]}"; do
  corpus=build/fuzz/corpus/$name
  mkdir -p "$corpus" build/fuzz/findings
  if [[ $name == photo ]]; then make_photos "$corpus"; fi
  step "fuzz_$name for $seconds s"
  log=build/fuzz/$name.log
  if build/fuzz/tests/fuzz/fuzz_"$name" "${options[@]}" -max_len="${longest[$name]}" \
    -artifact_prefix="build/fuzz/findings/$name-" "$corpus" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
    sed -n '/^#[0-9]*: cov/p' "$log" | tail -n 1
  else
    tail -n 60 "$log"
    failed+=("$name")
  fi
done
if ((${#failed[@]})); then echo "fuzz.sh: failed: ${failed[*]}: see build/fuzz/findings" >&2; exit 1; fi
step "Nothing found"
