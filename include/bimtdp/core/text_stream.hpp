// SPDX-License-Identifier: Apache-2.0
// TextStream: texts from values, whole or an exception.
#pragma once

#include <ios>
#include <sstream>
#include <string>

namespace bimtdp {

/// A string stream that throws std::bad_alloc where the standard's cuts its text short and says nothing.
class TextStream : public std::ostringstream {
 public:
  TextStream() { exceptions(std::ios::badbit | std::ios::failbit); }
};

/// The parts one after another, as a stream shows them.
template <class... Parts>
[[nodiscard]] std::string text_of(const Parts&... parts) {
  TextStream stream;
  (stream << ... << parts);
  return stream.str();
}

}  // namespace bimtdp
