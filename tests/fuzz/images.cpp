// SPDX-License-Identifier: Apache-2.0
// Fuzzes what happens to pixels before and after a network: any size, photo and map give a result of the right size or an Error,
// and the results keep what they promise (labels are classes, normals are unit vectors, probabilities lie in 0 to 1).
#include <bimtdp/image/picture.hpp>
#include <bimtdp/image/preprocess.hpp>
#include <bimtdp/image/resize.hpp>
#include <bimtdp/image/size.hpp>
#include <bimtdp/io/npy.hpp>

#include "../random_network.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

namespace {

using namespace bimtdp;

void demand(bool condition) {
  if (!condition) std::abort();
}

/// 0 to `most`; now and then an extent at the limits of what is allowed, or far beyond.
std::size_t extent(test::Choices& c, std::size_t most) {
  constexpr std::array rare{max_extent - 1,       max_extent,          max_extent + 1, std::size_t{1} << 31,
                            std::size_t{1} << 32, ~std::size_t{0} / 2, ~std::size_t{0}};
  return c.one_in(8) ? rare[c.below(rare.size())] : c.below(most + 1);
}

Image photo_of(test::Choices& c, const Shape& shape) {
  Image photo(shape);
  const std::uint8_t base = c.byte(), step = c.byte();
  for (std::size_t i = 0; i < photo.span().size(); ++i) photo.data()[i] = static_cast<std::uint8_t>(base + step * (i % 251));
  return photo;
}

void resize(test::Choices& c) {
  const Image photo = photo_of(c, {c.between(0, 20), c.between(0, 20), c.between(0, 4)});
  const std::size_t height = c.below(30), width = c.below(30);
  const Image out = resize_photo(photo, height, width);
  demand(out.shape() == Shape{height, width, photo.shape().channels});
  const auto [least, most] = std::minmax_element(photo.span().begin(), photo.span().end());
  for (const std::uint8_t value : out.span()) demand(value >= *least && value <= *most);
  const Tensor<std::uint8_t> nearest = resize_labels(photo.view(), height, width);
  for (const std::uint8_t value : nearest.span()) demand(value >= *least && value <= *most);
}

void cut(test::Choices& c) {
  const Image photo = photo_of(c, {c.between(0, 20), c.between(0, 20), c.between(0, 4)});
  const std::size_t top = extent(c, 25), left = extent(c, 25), height = extent(c, 25), width = extent(c, 25);
  const Image part = crop(photo, top, left, height, width);
  demand(part.shape() == Shape{height, width, photo.shape().channels});
  if (part.span().empty()) return;
  demand(part.span().front() == photo(top, left, 0));
  demand(part.span().back() == photo(top + height - 1, left + width - 1, photo.shape().channels - 1));
}

void normalise(test::Choices& c) {
  std::array<double, 3> mean{}, deviation{};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::vector<float> numbers = c.numbers(2, true);
    mean[i] = double{numbers[0]} * std::pow(10.0, static_cast<double>(c.below(80)) - 40);
    deviation[i] = double{numbers[1]} * std::pow(10.0, static_cast<double>(c.below(80)) - 40);
  }
  const Normalizer normalizer(mean, deviation);
  const Tensor<float> map = normalizer.run(photo_of(c, {c.between(0, 4), c.between(0, 8), c.between(2, 4)}));
  for (const float value : map.span()) demand(std::isfinite(value));
}

void sizes(test::Choices& c) {
  const Size photo{extent(c, (1 << 16) - 1), extent(c, (1 << 16) - 1)}, preferred{extent(c, 4000), extent(c, 4000)};
  const std::size_t stride = c.below(70), longest = extent(c, (1 << 16) - 1);
  const Size size = network_size(photo, preferred, stride);
  demand(size.height > 0 && size.width > 0 && size.height % stride == 0 && size.width % stride == 0);
  demand(size.height <= max_extent && size.width <= max_extent);
  const Size within = size_within(photo, longest);
  demand(within.height >= 1 && within.width >= 1 && std::max(within.height, within.width) <= longest);
}

void pictures(test::Choices& c, const PhotoMap& map, const Shape& shape) {
  const Image photo = photo_of(c, shape);
  const auto drawn = picture(map, photo);
  demand(drawn.has_value() == (map.kind != OutputKind::raw));
  if (!drawn) return;
  demand(drawn->image.shape() == photo.shape() && !drawn->caption.empty());
  for (const LegendEntry& entry : drawn->legend) demand(entry.percent <= 100);
  const std::vector<Image> both{photo, drawn->image};
  (void)panel(both, c.below(3), c.below(4));
}

void maps(test::Choices& c) {
  constexpr std::array kinds{OutputKind::classes, OutputKind::depth, OutputKind::normals, OutputKind::edges, OutputKind::raw};
  const OutputKind kind = kinds[c.below(kinds.size())];
  std::size_t channels = kind == OutputKind::normals                              ? 3
                         : kind == OutputKind::classes || kind == OutputKind::raw ? c.between(1, 9)
                                                                                  : 1;
  if (c.one_in(16)) channels = c.below(5);  // also what the kind does not take
  Tensor<float> scores({c.between(1, 6), c.between(1, 6), channels});
  std::ranges::copy(c.numbers(scores.span().size(), c.one_in(2)), scores.data());
  const Size size{c.below(14), c.below(14)};
  PhotoMap map{.task = "task", .kind = kind, .class_names = {}, .values = read_map(kind, scores, size)};
  const std::size_t names = c.one_in(4) ? c.below(8) : channels;
  if (kind == OutputKind::classes) {
    map.class_names.assign(names, "class");
    for (const std::int32_t label : map.labels().span()) demand(label >= 0 && static_cast<std::size_t>(label) < channels);
  }
  if (kind == OutputKind::edges)
    for (const float p : map.floats().span()) demand(std::isnan(p) || (p >= 0.0f && p <= 1.0f));
  if (kind == OutputKind::normals)
    for (const float p : map.floats().span()) demand(std::isnan(p) || std::abs(p) <= 1.0001f);
  std::ostringstream npy;
  std::visit([&](const auto& values) { write_npy(npy, values); }, map.values);
  demand(npy.str().size() >= 128);
  pictures(c, map, {size.height, size.width, 3});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::Choices choices(std::span(data, size));
  constexpr std::array<void (*)(test::Choices&), 8> parts{resize, cut, normalise, sizes, sizes, maps, maps, maps};
  try {
    parts[choices.below(parts.size())](choices);
  } catch (const Error&) {
  }
  return 0;
}
