#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests everything: C++ in Release on every tier of this CPU, a part under sanitizers, then the Python side.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/test.sh [--no-install] [--no-sanitizers] [--no-benchmarks] [--no-python]

Builds and tests this checkout on Debian 12/13 or Ubuntu 24.04; everything goes to build/ inside it.

  --no-install     use the packages that are there, call no apt
  --no-sanitizers  skip the part under AddressSanitizer and UndefinedBehaviorSanitizer
  --no-benchmarks  do not build the benchmarks and run each for a moment (what they measure is not looked at)
  --no-python      skip the tests of scripts/

An installed torch (2.1 or newer) is used; else scripts/requirements.txt is installed into build/venv. PIP_* variables
reach pip: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu gets the small CPU build. CXX chooses the compiler.
TEXT
}

install=1 sanitizers=1 benchmarks=1 python=1
for argument in "$@"; do
  case "$argument" in
    --no-install) install=0 ;;
    --no-sanitizers) sanitizers=0 ;;
    --no-benchmarks) benchmarks=0 ;;
    --no-python) python=0 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/packages.sh
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"  # waiting threads sleep: other processes may need the cores

test_release() {
  step "Building in build/release (Release, warnings are errors)"
  cmake --preset release -G Ninja -DBIMTDP_WERROR=ON
  cmake --build --preset release -j "$jobs"
  step "C++ tests, every tier of this CPU"
  ctest --preset release -j "$jobs" --no-tests=error
}

test_sanitizers() {
  step "Building the sanitized part in build/asan"
  cmake --preset asan -G Ninja
  cmake --build --preset asan -j "$jobs" --target sanitized_tests
  step "C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer"
  ctest --preset asan -j "$jobs" -L sanitized --no-tests=error
}

test_benchmarks() {
  local options=(--smoke)
  if ((!install)); then options+=(--no-install); fi
  scripts/benchmark.sh "${options[@]}"
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
    "$venv/bin/python" -m pip install --disable-pip-version-check -r build/requirements-without-torch.txt
  else
    "$venv/bin/python" -m pip install --disable-pip-version-check -r scripts/requirements.txt
  fi
  step "Python lint and tests"
  "$venv/bin/python" -m ruff check scripts tests/python
  BIMTDP_BUILD_DIR="$PWD/build/release" "$venv/bin/python" -m pytest -v tests/python
}

started=$SECONDS
if ((install)); then install_packages "${build_packages[@]}" "${test_packages[@]}"; fi
test_release
if ((sanitizers)); then test_sanitizers; fi
if ((benchmarks)); then test_benchmarks; fi
if ((python)); then test_python; fi
step "All tests passed in $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
