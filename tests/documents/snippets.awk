# SPDX-License-Identifier: Apache-2.0
# awk -v to=PREFIX -f snippets.awk DOCUMENT: writes the blocks of C++ and CMake to PREFIX_1.cpp, PREFIX_2.cmake and so on. A
# block of C++ without main() becomes the body of one.
/^```(cpp|cmake)$/ {
  ++count
  kind = substr($0, 4)
  text = ""
  inside = 1
  next
}
inside && /^```$/ {
  if (kind == "cpp" && text !~ /int main\(/)
    text = "#include <bimtdp/bimtdp.hpp>\n#include <vector>\n\nint main() {\n" text "}\n"
  file = to "_" count "." kind
  printf "%s", text > file
  close(file)
  inside = 0
}
inside { text = text $0 "\n" }
