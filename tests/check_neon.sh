#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_neon.sh COMPILER QEMU DIRECTORY: the tests of the kernels and of binary convolutions, cross-compiled for 64-bit Arm and run
# under qemu on both tiers.
set -euo pipefail
compiler=$1 qemu=$2 directory=$3
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# xsimd's headers stand among those of this machine, which the cross-compiler must not see.
mkdir -p "$directory/include"
ln -sfn /usr/include/xsimd "$directory/include/xsimd"
options=(-std=c++20 -O2 -Wall -Wextra -Wconversion -Werror -DBIMTDP_COMPILED -DBIMTDP_PLAIN_TESTS
  -I include -isystem "$directory/include")

echo '#include <bimtdp/kernels/tiers.hpp>' | "$compiler" "${options[@]}" -c -x c++ - -o "$directory/kernels.o"
for test in tier target reference kernels_bits kernels_floats binary_conv2d; do
  "$compiler" "${options[@]}" -static "tests/test_$test.cpp" "$directory/kernels.o" -o "$directory/test_$test"
  echo "test_$test"
  "$qemu" "$directory/test_$test"
done
