#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_neon.sh COMPILER QEMU DIRECTORY: the NEON kernels, cross-compiled and run under qemu, agree with the reference.
set -euo pipefail
compiler=$1 qemu=$2 directory=$3
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# xsimd's headers stand among those of this machine, which the cross-compiler must not see.
mkdir -p "$directory/include"
ln -sfn /usr/include/xsimd "$directory/include/xsimd"
"$compiler" -std=c++20 -O2 -Wall -Wextra -Wconversion -Werror -static -I include -isystem "$directory/include" tests/arm/neon.cpp \
  -o "$directory/neon"
"$qemu" "$directory/neon" | tee "$directory/neon.txt"
grep -q '^neon compared' "$directory/neon.txt"
