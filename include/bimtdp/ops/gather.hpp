// SPDX-License-Identifier: Apache-2.0
// Chosen channels or chosen pixels of a bit map, in any order and as often as wanted, without unpacking.
#pragma once

#include <bimtdp/core/bit_tensor.hpp>

#include <span>

namespace bimtdp::ops {

/// Output channel c is input channel channels[c]. Throws Error for a channel that is not there.
template <class Word>
[[nodiscard]] BitTensor<Word> gather_channels(const BitTensor<Word>& in, std::span<const std::size_t> channels) {
  for (const std::size_t c : channels)
    check(c < in.shape().channels, "gather_channels", "channel (got ", c, ", expected below ", in.shape().channels, ")");
  BitTensor<Word> out({in.shape().height, in.shape().width, channels.size()});
  for (std::size_t y = 0; y < in.shape().height; ++y)
    for (std::size_t x = 0; x < in.shape().width; ++x)
      for (std::size_t c = 0; c < channels.size(); ++c) copy_bits(in.view().pixel(y, x), channels[c], 1, out.view().pixel(y, x), c);
  return out;
}

/// Output pixel i (row-major in height x width) is input pixel pixels[i]. Throws Error for a pixel that is not there.
template <class Word>
[[nodiscard]] BitTensor<Word> gather_pixels(const BitTensor<Word>& in, std::span<const std::size_t> pixels, std::size_t height,
                                            std::size_t width) {
  check_equal(pixels.size(), height * width, "gather_pixels", "pixels");
  for (const std::size_t p : pixels)
    check(p < in.shape().pixels(), "gather_pixels", "pixel (got ", p, ", expected below ", in.shape().pixels(), ")");
  BitTensor<Word> out({height, width, in.shape().channels});
  const std::size_t words = in.view().words();
  for (std::size_t i = 0; i < pixels.size(); ++i) std::copy_n(in.data() + pixels[i] * words, words, out.data() + i * words);
  return out;
}

}  // namespace bimtdp::ops
