#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_tree.sh [VERSION [TREE]]: rules of the source tree that no compiler checks. Prints every violation; exit status 1 where
# there is one. VERSION is what CMake takes for the version; TREE is another tree than the one of this script.
set -uo pipefail
export LC_ALL=C
cd "${2:-$(dirname "${BASH_SOURCE[0]}")/..}" || exit 2

failures=0
report() {
  echo "$*" >&2
  failures=$((failures + 1))
}

# Reports every line of standard input under one heading.
report_lines() {
  local line
  while IFS= read -r line; do report "$1: $line"; done
}

check_top_level() {
  local allowed=' CMakeLists.txt include benchmarks tests examples scripts LICENSE README.md CHANGELOG.md CONTRIBUTING.md CMakePresets.json '
  local name
  while IFS= read -r name; do
    [[ $name == .* || $allowed == *" $name "* ]] || report "top level: $name does not belong there"
  done < <(git ls-files 2>/dev/null | cut -d/ -f1 | sort -u)
}

# A file includes files of its own room and of rooms before it.
check_include_direction() {
  local rooms=(core simd kernels ops image graph plan run io) room later
  for ((i = 0; i < ${#rooms[@]}; i++)); do
    room=${rooms[i]}
    [[ -d include/bimtdp/$room ]] || report "rooms: include/bimtdp/$room is missing"
    for later in "${rooms[@]:i+1}"; do
      report_lines "$room includes $later" < <(grep -rnE "#include [<\"]bimtdp/$later/" "include/bimtdp/$room")
    done
  done
  report_lines "a header includes the umbrella" < <(grep -rnE '^ *#include <bimtdp/bimtdp.hpp>' include/bimtdp)
  report_lines "only io reads JSON" < <(grep -rln 'nlohmann' include/bimtdp | grep -v '^include/bimtdp/io/')
}

# No file includes itself through others. tsort names the files of every circle.
check_include_cycles() {
  report_lines "include circle" < <(cd include && grep -roE '^ *# *include [<"]bimtdp/[^">]+' bimtdp | sed -E 's/:.*[<"]/ /' |
    tsort 2>&1 >/dev/null | sed -n 's/^tsort: bimtdp/bimtdp/p')
}

check_headers() {
  local file
  while IFS= read -r file; do
    head -1 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || report "$file: first line is not the SPDX line"
    [[ $file == *.inl ]] || grep -q '^#pragma once' "$file" || report "$file: no #pragma once"
  done < <(find include -name '*.hpp' -o -name '*.inl')
  report_lines "the library neither prints nor aborts" \
    < <(grep -rnE 'std::(cout|cerr|clog|abort|exit|terminate)\b|\bprintf\(' include)
  report_lines "the library reads BIMTDP_ISA alone" < <(grep -rn '\bgetenv' include | grep -v 'BIMTDP_ISA')
}

# What GCC 12 and clang 14 compile wrongly, or for the wrong CPU, between BIMTDP_TARGET_BEGIN and _END.
check_regions() {
  local script='
    FNR == 1 { inside = 0 }
    /^BIMTDP_TARGET_BEGIN/ { inside = 1; next }
    /^BIMTDP_TARGET_END/ { inside = 0 }
    !inside || /^ *\/\// { next }
    /(^|[^a-z_])friend[^a-z_]/ { print FILENAME ":" FNR ": friend" }
    /#include/ && !/body\/[a-z_]+\.inl>|BIMTDP_TIER_BODY$/ { print FILENAME ":" FNR ": #include of more than a body" }
    /#if.*__(SSE|AVX|FMA|BMI|POPCNT|ARM)/ { print FILENAME ":" FNR ": feature macro" }
    /^(inline |static |const |constexpr )*(__m[0-9]|Words|Floats)[a-z0-9]* [a-z_]+ *[={]/ { print FILENAME ":" FNR ": vector constant" }'
  report_lines "region" < <(grep -rlZ 'BIMTDP_TARGET_BEGIN' include | xargs -0 awk "$script")
  report_lines "bodies" < <(grep -nE '\bfriend\b|#if.*__(SSE|AVX|FMA|BMI|POPCNT)' include/bimtdp/kernels/body/*.inl)
  report_lines "bodies include bodies alone" < <(grep -n '#include' include/bimtdp/kernels/body/*.inl | grep -v 'body/[a-z_]*\.inl>')
  report_lines "target by arch" < <(grep -rnE '"[^"]*arch=' include | grep -v '^[^:]*:[0-9]*: *//')
  report_lines "compiler pragmas outside target.hpp" \
    < <(grep -rnE '#pragma (GCC|clang)' include | grep -v 'simd/target.hpp')
}

check_version() {
  local version
  version=$(sed -n 's/.*version = "\(.*\)".*/\1/p' include/bimtdp/version.hpp)
  [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || report "version.hpp: version not found"
  grep -qF "## [$version]" CHANGELOG.md || report "CHANGELOG.md: no section for $version"
  if [[ ${1:-} ]]; then [[ $1 == "$version" ]] || report "CMake says version $1, the header $version"; fi
}

# The text of a document without its blocks of code.
prose() { awk '/^ *```/ { code = !code; next } !code' "$1"; }

# The names by which a document's headings are linked to.
anchors() { prose "$1" | sed -nE 's/^#+ +//p' | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9_\n-'; }

# Files and headings that the documents link to or show, as seen from the document's folder.
check_links() {
  local document target file
  while IFS= read -r document; do
    while IFS= read -r target; do
      file=$document
      if [[ ${target%%#*} ]]; then file=$(dirname "$document")/${target%%#*}; fi
      if [[ ! -e $file ]]; then
        report "$document: $target is missing"
      elif [[ $target == *#* ]] && ! anchors "$file" | grep -qxF -e "${target#*#}"; then
        report "$document: $target: no such heading"
      fi
    done < <(prose "$document" | grep -oE '\]\([^)]+\)' | sed 's/^](//; s/)$//' | grep -v '^https\?:')
  done < <(git ls-files '*.md' 2>/dev/null)
}

check_text() {
  report_lines "path of a single machine" < <(git grep -nE '/(work|home|root)/|\.\./shared' -- . ':!tests/check_tree*.sh' 2>/dev/null)
}

check_top_level
check_include_direction
check_include_cycles
check_headers
check_regions
check_version "${1:-}"
check_links
check_text
((failures == 0)) && echo "The tree keeps its rules."
exit $((failures > 0))
