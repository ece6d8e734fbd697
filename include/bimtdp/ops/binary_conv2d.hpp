// SPDX-License-Identifier: Apache-2.0
// Binary convolution. dot = Kv - 2*popcount(activation xor weight); Kv counts the channel pairs of the taps inside the image,
// so zero padding is exact: taps outside contribute nothing.
#pragma once

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/ops/epilogue.hpp>
#include <bimtdp/ops/execution.hpp>
#include <bimtdp/ops/thresholds.hpp>
#include <bimtdp/ops/window_sums.hpp>

namespace bimtdp::ops {

struct BinaryConv2dParameters {
  Window window{};
  std::size_t groups = 1;
  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  std::span<const std::uint64_t> weights{};  ///< [out][kh][kw][ceil(in/groups/64)], bit i of word w = channel 64w+i, tail bits 0
  EpilogueParameters epilogue{};             ///< integer output: empty; bit output: no activation
};

/// integer: the dot products. floats: the epilogue of them. bits: the sign of the epilogue, bit = (y >= 0).
enum class BinaryOutput : std::uint8_t { integer, floats, bits };

class BinaryConv2d {
 public:
  using Input = BitView<const std::uint32_t>;
  using Sums = WindowSums<BitSums>;

  /// Throws Error for parameters that do not fit together, more than 2^24 pairs a dot product, or non-finite values.
  BinaryConv2d(const kernels::KernelTable& kernels, const BinaryConv2dParameters& p, BinaryOutput output)
      : output_(output),
        sums_(kernels, p.window, p.groups, p.in_channels, p.out_channels, where),
        epilogue_(p.epilogue, p.out_channels, where) {
    const std::uint64_t pairs = (Checked(sums_.group_channels()) * p.window.taps()).value();
    check(pairs <= (std::uint64_t{1} << 24), where, "pairs of a dot product (got ", pairs, ", expected at most 2^24)");
    pack(p);
    if (output == BinaryOutput::bits)
      thresholds_ = find_thresholds(kernels, epilogue_, p.out_channels, static_cast<std::int32_t>(pairs), where);
    if (output == BinaryOutput::integer) {
      const EpilogueParameters& e = p.epilogue;
      check(e.alpha.empty() && e.scale.empty() && e.bias.empty() && !epilogue_.has_activation(), where,
            "integer output with an epilogue");
    }
  }

  [[nodiscard]] Shape output_shape(const Shape& input) const { return sums_.runs(input).output(sums_.out_channels()); }
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t threads) const {
    return sums_.scratch(sums_.runs(input)).total(threads);
  }

  /// Each overload belongs to one BinaryOutput. execution.kernels must be the table of the constructor.
  void run(const Input& in, const TensorView<std::int32_t>& out, const Execution& execution) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    run_part(in, 0, out, execution);
  }
  /// `residual` is added before the activation; it has the shape of `out` and may be `out`; null data where there is none.
  void run(const Input& in, const TensorView<float>& out, const Execution& execution,
           const TensorView<const float>& residual = {}) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    run_part(in, 0, out, execution, residual);
  }
  void run(const Input& in, const BitView<std::uint32_t>& out, const Execution& execution) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    run_part(in, 0, out, execution);
  }

  /// Output rows first_row, first_row + 1, ... out.shape.height of them: `out` and `residual` hold these rows alone, `in` is the
  /// whole map.
  void run_rows(const Input& in, std::size_t first_row, const TensorView<std::int32_t>& out, const Execution& execution) const {
    check_rows(out.shape, first_row, output_shape(in.shape), where);
    run_part(in, first_row, out, execution);
  }
  void run_rows(const Input& in, std::size_t first_row, const TensorView<float>& out, const Execution& execution,
                const TensorView<const float>& residual = {}) const {
    check_rows(out.shape, first_row, output_shape(in.shape), where);
    run_part(in, first_row, out, execution, residual);
  }
  void run_rows(const Input& in, std::size_t first_row, const BitView<std::uint32_t>& out, const Execution& execution) const {
    check_rows(out.shape, first_row, output_shape(in.shape), where);
    run_part(in, first_row, out, execution);
  }

  // -- rows, for ops that are made of several convolutions ----------------------------------------------------------------

  [[nodiscard]] const Sums& sums() const noexcept { return sums_; }
  /// Output row y as floats; `residual` is the row's first pixel or null.
  void float_row(const Sums::Source& source, const WindowRuns& runs, std::size_t y, const Scratch& scratch, const float* residual,
                 float* out) const noexcept {
    const std::size_t channels = sums_.out_channels();
    sums_.row(source, runs, y, scratch,
              [&](std::size_t x, std::size_t pixels, std::size_t taps, const std::int32_t* counts, std::size_t stride) {
                const kernels::Epilogue epilogue = epilogue_.at(residual ? residual + x * channels : nullptr);
                sums_.table().dot_float(counts, stride, valid(taps), pixels, channels, epilogue, out + x * channels);
              });
  }
  /// Output row y as bits.
  void bit_row(const Sums::Source& source, const WindowRuns& runs, std::size_t y, const Scratch& scratch,
               std::uint32_t* out) const noexcept {
    const std::size_t channels = sums_.out_channels(), words = words_for<std::uint32_t>(channels);
    sums_.row(source, runs, y, scratch,
              [&](std::size_t x, std::size_t pixels, std::size_t taps, const std::int32_t* counts, std::size_t stride) {
                sums_.table().dot_bits(counts, stride, valid(taps), pixels, channels, thresholds_.at(), out + x * words);
              });
  }

 private:
  static constexpr std::string_view where = "binary_conv2d";

  [[nodiscard]] std::int32_t valid(std::size_t taps) const noexcept {
    return static_cast<std::int32_t>(taps * sums_.group_channels());
  }

  /// Splits the 64-bit words of the parameters into the 32-bit words of the kernels.
  void pack(const BinaryConv2dParameters& p) {
    const std::size_t taps = p.window.taps(), words = words_for<std::uint64_t>(sums_.group_channels());
    check_equal(p.weights.size(), (Checked(p.out_channels) * taps * words).size(), where, "weight words");
    const std::size_t used = sums_.group_channels() % 64;
    for (std::size_t last = words - 1; used != 0 && last < p.weights.size(); last += words)
      check((p.weights[last] & ~low_bits<std::uint64_t>(used)) == 0, where, "tail bits of weight word ", last, " are not 0");
    const auto word = [&](std::size_t o, std::size_t tap, std::size_t k) {
      return static_cast<std::uint32_t>(p.weights[(o * taps + tap) * words + k / 2] >> (k % 2 * 32));
    };
    sums_.pack(word, [&](std::size_t tap, std::size_t k) {
      std::uint32_t bits = 0;
      for (std::size_t c = k * 32; c < std::min(p.out_channels, k * 32 + 32); ++c) bits |= (word(c, tap, 0) & 1U) << (c % 32);
      return bits;
    });
  }

  void run_part(const Input& in, std::size_t first_row, const TensorView<std::int32_t>& out, const Execution& execution) const {
    for_rows(BinaryOutput::integer, in, out.shape.height, execution,
             [&](const Sums::Source& source, const WindowRuns& runs, std::size_t y, const Scratch& scratch) {
               sums_.row(source, runs, first_row + y, scratch,
                         [&](std::size_t x, std::size_t pixels, std::size_t taps, const std::int32_t* counts, std::size_t stride) {
                           sums_.table().dot_integer(counts, stride, valid(taps), pixels, sums_.out_channels(), out.pixel(y, x));
                         });
             });
  }
  void run_part(const Input& in, std::size_t first_row, const TensorView<float>& out, const Execution& execution,
                const TensorView<const float>& residual) const {
    if (residual.data) check_equal(residual.shape, out.shape, where, "residual shape");
    for_rows(BinaryOutput::floats, in, out.shape.height, execution,
             [&](const Sums::Source& source, const WindowRuns& runs, std::size_t y, const Scratch& scratch) {
               float_row(source, runs, first_row + y, scratch, residual.data ? residual.pixel(y, 0) : nullptr, out.pixel(y, 0));
             });
  }
  void run_part(const Input& in, std::size_t first_row, const BitView<std::uint32_t>& out, const Execution& execution) const {
    for_rows(BinaryOutput::bits, in, out.shape.height, execution,
             [&](const Sums::Source& source, const WindowRuns& runs, std::size_t y, const Scratch& scratch) {
               bit_row(source, runs, first_row + y, scratch, out.pixel(y, 0));
             });
  }

  template <class Row>
  void for_rows(BinaryOutput output, const Input& in, std::size_t rows, const Execution& execution, Row&& row) const {
    check(output == output_, where, "output type is not that of the constructor");
    const WindowRuns runs = sums_.runs(in.shape);
    const ScratchNeed need = sums_.scratch(runs);
    check_execution(execution, need, where);
    check(execution.kernels == &sums_.table(), where, "weights were packed for other kernels");
    debug_check_tail(in, where);
    const Sums::Source source = sums_.source(in.data, runs, execution);
    for_each_row(execution, rows, need, [&](std::size_t y, const Scratch& scratch) { row(source, runs, y, scratch); });
  }

  BinaryOutput output_;
  Sums sums_;
  PreparedEpilogue epilogue_;
  ThresholdTable thresholds_;
};

namespace detail {

template <class Out>
[[nodiscard]] Out run_binary_conv2d(const BitView<const std::uint32_t>& in, const BinaryConv2dParameters& parameters,
                                    BinaryOutput output, const kernels::KernelTable& kernels, std::size_t threads) {
  const BinaryConv2d conv(kernels, parameters, output);
  Out out(conv.output_shape(in.shape));
  conv.run(in, out.view(), OwnExecution(kernels, conv.scratch_bytes(in.shape, threads), threads));
  return out;
}

}  // namespace detail

/// One call each: prepares the weights, allocates and runs.
[[nodiscard]] inline Tensor<std::int32_t> binary_conv2d_integer(const BitView<const std::uint32_t>& in,
                                                                const BinaryConv2dParameters& parameters,
                                                                const kernels::KernelTable& kernels = kernels::active(),
                                                                std::size_t threads = 1) {
  return detail::run_binary_conv2d<Tensor<std::int32_t>>(in, parameters, BinaryOutput::integer, kernels, threads);
}
[[nodiscard]] inline Tensor<float> binary_conv2d(const BitView<const std::uint32_t>& in, const BinaryConv2dParameters& parameters,
                                                 const kernels::KernelTable& kernels = kernels::active(), std::size_t threads = 1) {
  return detail::run_binary_conv2d<Tensor<float>>(in, parameters, BinaryOutput::floats, kernels, threads);
}
[[nodiscard]] inline BitTensor<std::uint32_t> binary_conv2d_bits(const BitView<const std::uint32_t>& in,
                                                                 const BinaryConv2dParameters& parameters,
                                                                 const kernels::KernelTable& kernels = kernels::active(),
                                                                 std::size_t threads = 1) {
  return detail::run_binary_conv2d<BitTensor<std::uint32_t>>(in, parameters, BinaryOutput::bits, kernels, threads);
}

}  // namespace bimtdp::ops
