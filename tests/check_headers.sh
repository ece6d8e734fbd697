#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_headers.sh COMPILER: every header compiles alone, as the first and only one, without warnings. The kernels in one of
# them alone (kernels/tiers.hpp).
set -euo pipefail
compiler=$1
cd "$(dirname "${BASH_SOURCE[0]}")/.."

compile() {
  echo "#include <$2>" | "$1" -std=c++20 -DBIMTDP_COMPILED -fsyntax-only -Wall -Wextra -Wconversion -Werror -I include -x c++ - ||
    { echo "$2 does not stand alone" >&2; return 1; }
}
export -f compile

(cd include && find bimtdp -name '*.hpp' | sort) | xargs -P "$(nproc)" -I{} bash -c 'compile "$0" "$1"' "$compiler" {}
echo "Every header stands alone."
