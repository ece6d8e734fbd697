#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the trained models on photos: builds one program, makes pictures of every task. Needs no Python.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/demo.sh [--no-install] [PHOTO...]

Runs every model of examples/models on the photos (JPEG or PNG; default: those of examples/photos) and writes a picture
and a raw map per task, and one panel of all, to build/demo. Works on Debian 12 and 13; --no-install calls
no apt. BIMTDP_ISA=baseline|sse42|avx2|avx512 forces an instruction tier, CXX chooses the compiler.
TEXT
}

install=1
photos=()
for argument in "$@"; do
  case "$argument" in
    --no-install) install=0 ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *)
      [[ -r $argument ]] || { echo "demo.sh: $argument: no such photo" >&2; exit 1; }
      photos+=("$(realpath "$argument")")
      ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/packages.sh
if ((${#photos[@]} == 0)); then photos=(examples/photos/*.jpg); fi
shopt -s nullglob
models=(examples/models/*.safetensors)
((${#models[@]} > 0)) || { echo "demo.sh: no models in examples/models" >&2; exit 1; }

started=$SECONDS
if ((install)); then install_packages "${build_packages[@]}"; fi
step "Building"
cmake -S . -B build/demo -G Ninja -DCMAKE_BUILD_TYPE=Release -DBIMTDP_TESTS=OFF
cmake --build build/demo --target dense_prediction
for model in "${models[@]}"; do
  step "$model"
  build/demo/examples/dense_prediction --model "$model" --output build/demo/pictures --verify "${photos[@]}"
done
step "Done in $((SECONDS - started)) s. Look at:"
find "$PWD/build/demo/pictures" -name panel.jpg | sort
