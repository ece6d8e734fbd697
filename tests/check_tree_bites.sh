#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_tree.sh says nothing of a small tree that keeps its rules, and names each rule that is broken there.
set -euo pipefail
check=$(realpath "$(dirname "${BASH_SOURCE[0]}")/check_tree.sh")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

# header FILE [INCLUDED FILE...]
header() {
  local file=$tree/include/bimtdp/$1 included
  mkdir -p "$(dirname "$file")"
  printf '// SPDX-License-Identifier: Apache-2.0\n#pragma once\n' > "$file"
  for included in "${@:2}"; do echo "#include <bimtdp/$included>" >> "$file"; done
}

fresh() {
  rm -rf "${tree:?}"/*
  local room
  for room in core simd kernels ops image graph plan run io; do header "$room/a.hpp"; done
  header core/b.hpp core/a.hpp
  header kernels/body/a.inl
  header version.hpp
  echo 'inline constexpr char version = "1.2.3";' >> "$tree/include/bimtdp/version.hpp"
  echo '## [1.2.3]' > "$tree/CHANGELOG.md"
  printf '# Name\nSee [the rules](#name) and [what is new](CHANGELOG.md#123).\n```cpp\n[](int)\n```\n' > "$tree/README.md"
  git -C "$tree" init -q && git -C "$tree" add -A
}

# bites MESSAGE: the tree as it is now is refused with this message (a pattern).
bites() {
  local said
  git -C "$tree" add -A
  if said=$("$check" 1.2.3 "$tree" 2>&1); then echo "not seen: $1" >&2; exit 1; fi
  grep -qE "$1" <<< "$said" || { printf 'expected: %s\n%s\n' "$1" "$said" >&2; exit 1; }
  fresh
}

fresh
"$check" 1.2.3 "$tree"
header core/c.hpp simd/a.hpp && bites 'core includes simd: .*core/c.hpp'
header core/a.hpp core/b.hpp && bites 'include circle: bimtdp/core/[ab].hpp'
header io/a.hpp io/b.hpp && header io/b.hpp io/c.hpp && header io/c.hpp io/a.hpp && bites 'include circle: bimtdp/io/c.hpp'
header core/c.hpp bimtdp.hpp && bites 'includes the umbrella'
touch "$tree/include/bimtdp/core/c.hpp" && bites 'core/c.hpp: first line is not the SPDX line'
touch "$tree/notes.txt" && bites 'top level: notes.txt'
mkdir "$tree/scripts" && echo '[a](CHANGELOG.md)' > "$tree/scripts/README.md" && bites 'scripts/README.md: CHANGELOG.md is missing'
echo '[a](#none)' >> "$tree/README.md" && bites 'README.md: #none: no such heading'
echo '## [1.2.2]' > "$tree/CHANGELOG.md" && bites 'CHANGELOG.md: no section for 1.2.3'
echo "cd /wor""k/x" >> "$tree/README.md" && bites 'path of a single machine: README.md'
echo "The rules of the tree bite."
