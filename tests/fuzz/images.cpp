// SPDX-License-Identifier: Apache-2.0
// Fuzzes what happens to pixels before and after a network: any size, photo and map give a result of the right size or an Error,
// and the results keep what they promise (labels are classes, normals are unit vectors, probabilities lie in 0 to 1).
#include <bimtdp/bimtdp.hpp>

#include "../random_network.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace {

using namespace bimtdp;

void demand(bool condition) {
  if (!condition) std::abort();
}

void resize(test::Choices& c) {
  Image photo({c.between(0, 40), c.between(0, 40), c.between(0, 4)});
  for (std::uint8_t& value : photo.span()) value = c.byte();
  const std::size_t height = c.below(90), width = c.below(90);
  const Image out = resize_photo(photo, height, width);
  demand(out.shape() == Shape{height, width, photo.shape().channels});
  const auto [least, most] = std::minmax_element(photo.span().begin(), photo.span().end());
  for (const std::uint8_t value : out.span()) demand(value >= *least && value <= *most);
  (void)crop(photo, c.below(50), c.below(50), c.below(50), c.below(50));
}

void sizes(test::Choices& c) {
  const Size photo{c.below(1 << 16), c.below(1 << 16)}, preferred{c.below(4000), c.below(4000)};
  const std::size_t stride = c.below(70);
  const Size size = network_size(photo, preferred, stride);
  demand(size.height > 0 && size.width > 0 && size.height % stride == 0 && size.width % stride == 0);
  const std::size_t longest = c.below(1 << 16);
  const Size within = size_within(photo, longest);
  demand(within.height >= 1 && within.width >= 1 && std::max(within.height, within.width) <= longest);
}

void maps(test::Choices& c) {
  constexpr std::array kinds{OutputKind::classes, OutputKind::depth, OutputKind::normals, OutputKind::edges, OutputKind::raw};
  const OutputKind kind = kinds[c.below(kinds.size())];
  const std::size_t channels = kind == OutputKind::normals                              ? 3
                               : kind == OutputKind::classes || kind == OutputKind::raw ? c.between(1, 12)
                                                                                        : 1;
  Tensor<float> scores({c.between(1, 12), c.between(1, 12), channels});
  for (float& value : scores.span()) value = c.number(true);
  const Size size{c.between(1, 50), c.between(1, 50)};
  PhotoMap map{.task = "task", .kind = kind, .class_names = {}, .values = read_map(kind, scores, size)};
  if (kind == OutputKind::classes) {
    for (std::size_t i = 0; i < channels; ++i) map.class_names.push_back("class " + std::to_string(i));
    for (const std::int32_t label : map.labels().span()) demand(label >= 0 && static_cast<std::size_t>(label) < channels);
  }
  if (kind == OutputKind::edges)
    for (const float p : map.floats().span()) demand(std::isnan(p) || (p >= 0.0f && p <= 1.0f));
  Image photo({size.height, size.width, 3});
  for (std::uint8_t& value : photo.span()) value = c.byte();
  const auto drawn = picture(map, photo);
  demand(drawn.has_value() == (kind != OutputKind::raw));
  if (drawn) demand(drawn->image.shape() == photo.shape());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::Choices choices(std::span(data, size));
  try {
    switch (choices.below(4)) {
      case 0:
        resize(choices);
        break;
      case 1:
        sizes(choices);
        break;
      default:
        maps(choices);
    }
  } catch (const Error&) {
  }
  return 0;
}
