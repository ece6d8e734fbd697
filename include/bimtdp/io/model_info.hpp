// SPDX-License-Identifier: Apache-2.0
// What a model says of itself besides its graph.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/core/text.hpp>

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace bimtdp {

/// How photos become inputs: RGB, (value/255 - mean) / std; height and width are the preferred size.
struct Preprocessing {
  std::array<double, 3> mean{0.485, 0.456, 0.406};
  std::array<double, 3> deviation{0.229, 0.224, 0.225};
  std::size_t height = 0, width = 0;  ///< 0: no preference
};

struct ModelInfo {
  std::string name = "unnamed";                     ///< as is_model_name says: programs call folders by it
  std::string producer{}, licence{};                ///< printable, at most 256 and 4096 bytes
  std::map<std::string, std::string> provenance{};  ///< printable, at most 128 and 65536 bytes
  Preprocessing preprocessing{};
};

namespace detail {

inline void check_text(std::string_view field, std::string_view text, std::size_t most) {
  demand(text.size() <= most, "model", field, " (got ", text.size(), " bytes, expected at most ", most, ")");
  demand(is_printable(text), "model", field, " (got ", in_quotes(printable(text)), ", expected printable UTF-8 on one line)");
}

}  // namespace detail

/// Throws Error for a name that cannot be a folder's, and for text that is not printable.
inline void check_info(const ModelInfo& info) {
  demand(is_model_name(info.name), "model", "name (got ", in_quotes(info.name),
         ", expected 1 to 128 of A-Z a-z 0-9 _ . -, with none of . - at the ends, and no device of Windows)");
  detail::check_text("producer", info.producer, 256);
  detail::check_text("licence", info.licence, 4096);
  for (const auto& [key, text] : info.provenance) {
    detail::check_text("provenance: key", key, 128);
    detail::check_text("provenance: " + key, text, 65536);
  }
}

}  // namespace bimtdp
