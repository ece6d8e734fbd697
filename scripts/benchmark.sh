#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures this library and its peers in one run and writes the figures of README.md and benchmarks/README.md.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/benchmark.sh [--quick | --check | --against BUILD | --smoke | --tables] [--no-install]

Installs the peers (oneDNN from the distribution; onnxruntime, OpenVINO and ncnn from PyPI into build/benchmark/venv), builds
the benchmarks, and runs all of them turn by turn, in about 15 minutes. Writes benchmarks/results/CPU.json, plots beside it,
and the tables between the markers of README.md and benchmarks/README.md. A peer that cannot be installed is left out.

  --quick       about 4 minutes, one network; writes to build/benchmark alone
  --check       compares our own programs with the stored run of this CPU; exit status 1 and a list where something is slower
  --against BUILD  compares our own programs with those of another build folder (of the commit before, say), turn by turn
  --smoke       runs all of our own programs for a moment, compares nothing; needs no Python packages
  --tables      measures nothing: tables and plots of the stored run
  --no-install  use the packages that are there, call neither apt nor pip

CXX chooses the compiler. PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu gets the small CPU build of torch.
BIMTDP_BUILD_DIR names a build that has the benchmarks already.
TEXT
}

install=1 mode=()
while (($#)); do
  argument=$1
  shift
  case "$argument" in
    --quick | --check | --smoke | --tables) mode+=("$argument") ;;
    --against) mode+=(--against="$(realpath "${1:?--against needs a build folder}")") && shift ;;
    --no-install) install=0 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
if ((${#mode[@]} > 1)); then usage >&2; exit 2; fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/packages.sh
cache=build/benchmark
python=python3

# Installs what can be installed: one peer that is not to be had does not stop the others.
make_environment() {
  step "Python environment in $cache/venv"
  if [[ ! -x $cache/venv/bin/python ]]; then python3 -m venv "$cache/venv"; fi
  local pip=("$cache/venv/bin/python" -m pip install --disable-pip-version-check -q) requirement
  if "${pip[@]}" -r benchmarks/peers/requirements.txt; then return; fi
  while IFS= read -r requirement; do
    "${pip[@]}" "$requirement" || echo "$requirement cannot be installed: left out" >&2
  done < <(grep -v '^#' benchmarks/peers/requirements.txt)
}

if [[ ${mode[*]:-} != --smoke && ${mode[*]:-} != --against=* ]]; then
  if ((install)); then
    install_packages "${build_packages[@]}" libbenchmark-dev python3-venv
    installed libdnnl-dev || install_packages libdnnl-dev || echo "libdnnl-dev cannot be installed: oneDNN is left out" >&2
    make_environment
  fi
  python=$cache/venv/bin/python
else
  if ((install)); then install_packages "${build_packages[@]}" libbenchmark-dev python3; fi
fi

build=${BIMTDP_BUILD_DIR:-$cache/release}
if [[ ! ${BIMTDP_BUILD_DIR:-} ]]; then
  step "Building the benchmarks in $build"
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBIMTDP_BENCHMARKS=ON -DBIMTDP_TESTS=OFF -DBIMTDP_EXAMPLES=OFF
  cmake --build "$build" -j "$jobs"
fi

step "Measuring"
started=$SECONDS
PYTHONPATH=scripts "$python" -m bimtdp_bench --build "$build" --cache "$cache" "${mode[@]}"
step "Measured in $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
