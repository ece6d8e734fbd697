#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests everything: style, C++ in Release on every tier of this CPU, all of it under sanitizers, then the Python side.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/test.sh [--full] [--no-install] [--no-style] [--no-sanitizers] [--no-benchmarks] [--no-python]

Builds and tests this checkout on Debian 12 or 13; everything goes to build/ inside it.

  --full           then also what takes hours: 2,000 random networks against PyTorch, each fuzzer for 20 minutes, coverage,
                   every check of the library changed in turn, every compiler and machine in reach
  --no-install     use the packages that are there, call no apt
  --no-style       do not look at the formatting, and run no clang-tidy
  --no-sanitizers  skip AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer
  --no-benchmarks  do not build the benchmarks and run each for a moment (what they measure is not looked at)
  --no-python      skip the tests of scripts/

CXX chooses the compiler of the Release build; the sanitized build has the other one of g++ and clang++, so that both compile
everything. An installed torch (2.1 or newer) is used; else scripts/requirements.txt is installed into build/venv. PIP_*
variables reach pip: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu gets the small CPU build. An installed ccache is used.
TEXT
}

full=0 install=1 style=1 sanitizers=1 benchmarks=1 python=1
for argument in "$@"; do
  case "$argument" in
    --full) full=1 ;;
    --no-install) install=0 ;;
    --no-style) style=0 ;;
    --no-sanitizers) sanitizers=0 ;;
    --no-benchmarks) benchmarks=0 ;;
    --no-python) python=0 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/packages.sh
export CMAKE_GENERATOR=Ninja
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi

# The compiler that the Release build does not have, or else the same.
other_compiler() {
  local other=clang++
  if [[ $("${CXX:-c++}" --version) == *clang* ]]; then other=g++; fi
  command -v "$other" || { echo "$other is not installed: ${CXX:-c++} builds everything" >&2; command -v "${CXX:-c++}"; }
}

pip_install() {  # VENV ARGUMENT...
  "$1/bin/python" -m pip install --disable-pip-version-check -q "${@:2}"
}

test_style() {
  step "Style: clang-format and ruff, versions of scripts/requirements-style.txt"
  if [[ ! -x build/style/bin/python ]]; then python3 -m venv build/style; fi
  pip_install build/style -r scripts/requirements-style.txt
  find include tests examples benchmarks scripts -name '*.[hc]pp' -o -name '*.inl' | xargs build/style/bin/clang-format --dry-run -Werror
  build/style/bin/ruff format --check scripts tests/python
  build/style/bin/ruff check scripts tests/python
}

# All of the library but the kernels' bodies, whose macros and intrinsics are not to its taste.
test_tidy() {
  command -v "$tidy" >/dev/null || { echo "$tidy is not installed: left out" >&2; return; }
  step "$tidy"
  echo '#include <bimtdp/definitions.hpp>' > build/tidy.cpp
  "$tidy" --quiet --warnings-as-errors='*' build/tidy.cpp -- -std=c++20 -Iinclude -DBIMTDP_COMPILED
}

test_release() {
  step "Building in build/release (Release, warnings are errors)"
  cmake --preset release -DBIMTDP_WERROR=ON -DBIMTDP_BENCHMARKS=$( ((benchmarks)) && echo ON || echo OFF)
  cmake --build --preset release -j "$jobs"
  step "C++ tests, every tier of this CPU"
  ctest --preset release -j "$jobs" --no-tests=error
}

test_sanitizers() {
  local compiler
  compiler=$(other_compiler)
  step "Building in build/asan with $compiler"
  cmake --preset asan -DBIMTDP_WERROR=ON -DCMAKE_CXX_COMPILER="$compiler"
  cmake --build --preset asan -j "$jobs"
  step "C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer"
  ctest --preset asan -j "$jobs" --no-tests=error
}

test_threads() {
  local fixed=()  # older ThreadSanitizers stop where a newer kernel spreads addresses widely
  if setarch -R true 2>/dev/null; then fixed=(setarch -R); fi
  step "Building in build/tsan"
  cmake --preset tsan -DBIMTDP_WERROR=ON
  cmake --build --preset tsan -j "$jobs"
  step "C++ tests of what has threads, under ThreadSanitizer"
  "${fixed[@]}" ctest --preset tsan -j "$jobs" --no-tests=error
}

test_benchmarks() {
  BIMTDP_BUILD_DIR="$PWD/build/release" scripts/benchmark.sh --smoke --no-install
}

torch_is_new_enough() {
  "$1" - <<'PYTHON' 2>/dev/null
import sys, torch
sys.exit(tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2]) < (2, 1))
PYTHON
}

test_python() {
  local venv=build/venv options=()
  if torch_is_new_enough python3; then options=(--system-site-packages); fi
  step "Python environment in $venv"
  if [[ ! -x $venv/bin/python ]]; then python3 -m venv "${options[@]}" "$venv"; fi
  if torch_is_new_enough "$venv/bin/python"; then
    grep -v '^torch==' scripts/requirements.txt > build/requirements-without-torch.txt
    pip_install "$venv" -r build/requirements-without-torch.txt
  else
    pip_install "$venv" -r scripts/requirements.txt
  fi
  step "Python tests"
  OMP_NUM_THREADS=1 BIMTDP_BUILD_DIR="$PWD/build/release" "$venv/bin/python" -m pytest -n "$jobs" tests/python
}

# Each part can be run by itself; where one fails the others still run.
test_full() {
  local failed=() part
  export BIMTDP_BUILD_DIR="$PWD/build/release"
  for part in "build/venv/bin/python tests/python/differential.py --count 2000" "scripts/fuzz.sh --no-install --seconds 1200" \
    tests/coverage.py "build/venv/bin/python tests/mutate_validators.py" tests/machines/machines.py; do
    step "$part"
    local began=$SECONDS
    $part || failed+=("$part")
    step "$part: $(((SECONDS - began) / 60)) min"
  done
  if ((${#failed[@]})); then printf 'test.sh: failed: %s\n' "${failed[@]}" >&2; exit 1; fi
}

started=$SECONDS
packages=("${build_packages[@]}" "${test_packages[@]}")
if ((style)); then packages+=("$tidy"); fi
if ((sanitizers)); then packages+=("${clang_packages[@]}"); fi
if ((benchmarks)); then packages+=(libbenchmark-dev); fi
if ((full)); then packages+=(llvm python3 zlib1g-dev); fi
if ((install)); then
  install_packages "${packages[@]}"
  if ((full)); then install_what_there_is $(tests/machines/machines.py --packages); fi
fi
if ((style)); then test_style; test_tidy; fi
test_release
if ((sanitizers)); then test_sanitizers; test_threads; fi
if ((benchmarks)); then test_benchmarks; fi
if ((python)); then test_python; fi
if ((full)); then test_full; fi
step "All tests passed in $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
