// SPDX-License-Identifier: Apache-2.0
// What a model says of itself besides its graph.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <string>

namespace bimtdp {

/// How photos become inputs: RGB, (value/255 - mean) / std; height and width are the preferred size.
struct Preprocessing {
  std::array<double, 3> mean{0.485, 0.456, 0.406};
  std::array<double, 3> deviation{0.229, 0.224, 0.225};
  std::size_t height = 0, width = 0;  ///< 0: no preference
};

struct ModelInfo {
  std::string name = "unnamed";
  std::string producer{}, licence{};
  std::map<std::string, std::string> provenance{};
  Preprocessing preprocessing{};
};

}  // namespace bimtdp
