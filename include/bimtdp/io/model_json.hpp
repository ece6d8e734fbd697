// SPDX-License-Identifier: Apache-2.0
// The model's JSON text (key "bimtdp" of a file's __metadata__) from and to C++ objects. Its XXH3-128 stands beside it under
// "bimtdp_hash", that of all tensors in its field tensors_hash.
#pragma once

#include <bimtdp/core/inline.hpp>
#include <bimtdp/graph/graph.hpp>
#include <bimtdp/io/digest.hpp>
#include <bimtdp/io/json_fields.hpp>
#include <bimtdp/io/model_info.hpp>
#include <bimtdp/io/node_json.hpp>
#include <bimtdp/io/self_test.hpp>

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bimtdp {

/// The format that this version reads and writes.
inline constexpr std::uint64_t format_version = 1;

/// Everything that the JSON text says; tensors are still names.
struct ModelText {
  ModelInfo info{};
  std::size_t stride = 1;
  std::vector<Node> nodes{};
  std::vector<Output> outputs{};
  std::string tensors_hash{};
  std::optional<SelfTest> self_test{};  ///< none: the file is marked unchecked
};

namespace detail {

inline constexpr Names<OutputKind, 5> output_kind_names{{{"classes", OutputKind::classes},
                                                         {"depth", OutputKind::depth},
                                                         {"normals", OutputKind::normals},
                                                         {"edges", OutputKind::edges},
                                                         {"raw", OutputKind::raw}}};

}  // namespace detail

/// Reads the JSON text. Throws Error that names file, field, got and expected.
[[nodiscard]] BIMTDP_INLINE ModelText model_from_json(std::string_view text, const std::string& file);

/// The canonical JSON text: sorted keys, no spaces, ASCII. Throws Error where a text is not UTF-8.
[[nodiscard]] BIMTDP_INLINE std::string to_json(const ModelText& model);

}  // namespace bimtdp

#if !defined(BIMTDP_COMPILED)
#include <bimtdp/io/model_json.inl>
#endif
