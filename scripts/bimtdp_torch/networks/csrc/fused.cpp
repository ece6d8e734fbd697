// SPDX-License-Identifier: Apache-2.0
// Fused element-wise kernels for training binary networks on a CPU: one pass where PyTorch makes three to seven.
//
// Tensors are channels-last: rows (pixels) of C channels. Parameters per channel are tiled over kRows rows, so that
// the inner loops run over C * kRows contiguous elements and vectorise for any C. Sums over pixels are made in a
// fixed number of pieces and added in order, so results do not depend on the thread count.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <vector>

namespace {

constexpr int64_t kRows = 16;
constexpr int64_t kPieces = 32;

inline float load(const float* p, int64_t i) { return p[i]; }
inline void store(float* p, int64_t i, float v) { p[i] = v; }

inline float load(const uint16_t* p, int64_t i) {  // bf16: the upper half of a float
  const uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
  float v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

inline void store(uint16_t* p, int64_t i, float v) {  // round to nearest even; NaN does not occur in a sound run
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  p[i] = static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline void store_sign(float* p, int64_t i, bool positive) { p[i] = positive ? 1.0f : -1.0f; }
inline void store_sign(uint16_t* p, int64_t i, bool positive) {
  p[i] = static_cast<uint16_t>(positive ? 0x3f80u : 0xbf80u);  // +-1 in bf16
}

struct Rows {
  int64_t count, channels;
  explicit Rows(const at::Tensor& x) : count(x.numel() / std::max<int64_t>(1, x.size(1))), channels(x.size(1)) {}
};

std::vector<float> tiled(const at::Tensor& parameter, int64_t channels) {
  const at::Tensor p = parameter.detach().to(at::kFloat).contiguous();
  TORCH_CHECK(p.numel() == channels, "expected one parameter per channel");
  std::vector<float> tile(static_cast<size_t>(channels * kRows));
  for (int64_t r = 0; r < kRows; ++r) std::copy_n(p.data_ptr<float>(), channels, tile.begin() + r * channels);
  return tile;
}

at::Tensor channels_last(const at::Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

// Calls body(offset, length) for stretches of at most kRows rows of rows [begin, end).
template <typename Body>
void for_stretches(int64_t begin, int64_t end, int64_t channels, Body&& body) {
  for (int64_t row = begin; row < end; row += kRows) body(row * channels, std::min(kRows, end - row) * channels);
}

template <typename Body>
void parallel_rows(const Rows& rows, Body&& body) {
  at::parallel_for(0, rows.count, std::max<int64_t>(kRows, 65536 / std::max<int64_t>(1, rows.channels)),
                   [&](int64_t begin, int64_t end) { for_stretches(begin, end, rows.channels, body); });
}

// As parallel_rows, with body(offset, length, sums) adding into sums[0 .. length); returns sums per channel.
template <typename Body>
at::Tensor parallel_rows_sum(const Rows& rows, const at::Tensor& like, Body&& body) {
  const int64_t per_piece = ((rows.count + kPieces - 1) / kPieces + kRows - 1) / kRows * kRows;
  at::Tensor pieces = at::zeros({kPieces, kRows, rows.channels}, at::TensorOptions().dtype(at::kFloat));
  float* sums = pieces.data_ptr<float>();
  at::parallel_for(0, kPieces, rows.count * rows.channels < 65536 ? kPieces : 1, [&](int64_t first, int64_t last) {
    for (int64_t piece = first; piece < last; ++piece) {
      const int64_t begin = piece * per_piece, end = std::min(rows.count, begin + per_piece);
      float* own = sums + piece * kRows * rows.channels;
      for_stretches(begin, end, rows.channels, [&](int64_t offset, int64_t length) { body(offset, length, own); });
    }
  });
  return pieces.sum(at::IntArrayRef({0, 1})).to(like.scalar_type());
}

template <typename T>
void rsign_forward_rows(const Rows& rows, const T* x, const float* bias, T* y) {
  parallel_rows(rows, [=](int64_t offset, int64_t length) {
    for (int64_t i = 0; i < length; ++i) store_sign(y, offset + i, load(x, offset + i) + bias[i] >= 0.0f);
  });
}

template <typename T>
at::Tensor rsign_backward_rows(const Rows& rows, const at::Tensor& like, const T* grad, const T* x, const float* bias, T* gx) {
  return parallel_rows_sum(rows, like, [=](int64_t offset, int64_t length, float* sums) {
    for (int64_t i = 0; i < length; ++i) {
      const float z = std::abs(load(x, offset + i) + bias[i]);
      const float g = load(grad, offset + i) * std::max(0.0f, 2.0f - 2.0f * z);
      store(gx, offset + i, g);
      sums[i] += g;
    }
  });
}

template <typename T>
void prelu_forward_rows(const Rows& rows, const T* x, const float* slope, T* y) {
  parallel_rows(rows, [=](int64_t offset, int64_t length) {
    for (int64_t i = 0; i < length; ++i) {
      const float v = load(x, offset + i);
      store(y, offset + i, v > 0.0f ? v : v * slope[i]);
    }
  });
}

template <typename T>
at::Tensor prelu_backward_rows(const Rows& rows, const at::Tensor& like, const T* grad, const T* x, const float* slope, T* gx) {
  return parallel_rows_sum(rows, like, [=](int64_t offset, int64_t length, float* sums) {
    for (int64_t i = 0; i < length; ++i) {
      const float v = load(x, offset + i), g = load(grad, offset + i);
      store(gx, offset + i, v > 0.0f ? g : g * slope[i]);
      sums[i] += v > 0.0f ? 0.0f : g * v;
    }
  });
}

// Calls call(T*) style code for float32 and bfloat16.
#define BIMTDP_DISPATCH(tensor, ...)                                                      \
  if ((tensor).scalar_type() == at::kFloat) {                                             \
    using T = float;                                                                      \
    __VA_ARGS__;                                                                          \
  } else {                                                                                \
    TORCH_CHECK((tensor).scalar_type() == at::kBFloat16, "expected float32 or bfloat16"); \
    using T = uint16_t;                                                                   \
    __VA_ARGS__;                                                                          \
  }

template <typename T>
T* pointer(const at::Tensor& x) {
  return static_cast<T*>(x.data_ptr());
}

at::Tensor rsign_forward(const at::Tensor& x_, const at::Tensor& bias) {
  const at::Tensor x = channels_last(x_);
  at::Tensor y = at::empty_like(x);
  const Rows rows(x);
  const auto tile = tiled(bias, rows.channels);
  BIMTDP_DISPATCH(x, rsign_forward_rows<T>(rows, pointer<T>(x), tile.data(), pointer<T>(y)))
  return y;
}

std::tuple<at::Tensor, at::Tensor> rsign_backward(const at::Tensor& grad_, const at::Tensor& x_, const at::Tensor& bias) {
  const at::Tensor x = channels_last(x_), grad = channels_last(grad_.to(x_.scalar_type()));
  at::Tensor gx = at::empty_like(x), gbias;
  const Rows rows(x);
  const auto tile = tiled(bias, rows.channels);
  BIMTDP_DISPATCH(x, gbias = rsign_backward_rows<T>(rows, bias, pointer<T>(grad), pointer<T>(x), tile.data(), pointer<T>(gx)))
  return {gx, gbias};
}

at::Tensor prelu_forward(const at::Tensor& x_, const at::Tensor& slope) {
  const at::Tensor x = channels_last(x_);
  at::Tensor y = at::empty_like(x);
  const Rows rows(x);
  const auto tile = tiled(slope, rows.channels);
  BIMTDP_DISPATCH(x, prelu_forward_rows<T>(rows, pointer<T>(x), tile.data(), pointer<T>(y)))
  return y;
}

std::tuple<at::Tensor, at::Tensor> prelu_backward(const at::Tensor& grad_, const at::Tensor& x_, const at::Tensor& slope) {
  const at::Tensor x = channels_last(x_), grad = channels_last(grad_.to(x_.scalar_type()));
  at::Tensor gx = at::empty_like(x), gslope;
  const Rows rows(x);
  const auto tile = tiled(slope, rows.channels);
  BIMTDP_DISPATCH(x, gslope = prelu_backward_rows<T>(rows, slope, pointer<T>(grad), pointer<T>(x), tile.data(), pointer<T>(gx)))
  return {gx, gslope};
}

// Signs of float32 latent weights, directly in the type of the convolution.
at::Tensor weight_sign_forward(const at::Tensor& weight, bool bf16) {
  const at::Tensor w = weight.is_contiguous(at::MemoryFormat::ChannelsLast) ? weight : weight.contiguous();
  at::Tensor y = at::empty_like(w, w.options().dtype(bf16 ? at::kBFloat16 : at::kFloat));
  const float* in = w.data_ptr<float>();
  BIMTDP_DISPATCH(y, T* out = pointer<T>(y); at::parallel_for(0, w.numel(), 65536, [=](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; ++i) store_sign(out, i, in[i] >= 0.0f);
                  }))
  return y;
}

// For each output position of a bilinear resize (align_corners=False): the first source position and the second's weight.
struct Taps {
  std::vector<int64_t> first, second;
  std::vector<float> weight;
  Taps(int64_t in, int64_t out) : first(out), second(out), weight(out) {
    const float scale = static_cast<float>(in) / static_cast<float>(out);
    for (int64_t i = 0; i < out; ++i) {
      const float source = std::max((static_cast<float>(i) + 0.5f) * scale - 0.5f, 0.0f);
      first[i] = std::min<int64_t>(static_cast<int64_t>(source), in - 1);
      second[i] = std::min<int64_t>(first[i] + 1, in - 1);
      weight[i] = source - static_cast<float>(first[i]);
    }
  }
};

template <typename T>
void resize_backward_image(const T* grad, T* gx, const Taps& ys, const Taps& xs, int64_t height, int64_t width, int64_t channels) {
  const int64_t row = width * channels;
  std::vector<float> sums(static_cast<size_t>(height * row), 0.0f), line(static_cast<size_t>(row));
  for (size_t y = 0; y < ys.first.size(); ++y) {
    std::fill(line.begin(), line.end(), 0.0f);
    for (size_t x = 0; x < xs.first.size(); ++x, grad += channels) {
      float* a = line.data() + xs.first[x] * channels;
      float* b = line.data() + xs.second[x] * channels;
      const float wb = xs.weight[x], wa = 1.0f - wb;
      for (int64_t c = 0; c < channels; ++c) a[c] += wa * load(grad, c);
      for (int64_t c = 0; c < channels; ++c) b[c] += wb * load(grad, c);
    }
    float* a = sums.data() + ys.first[y] * row;
    float* b = sums.data() + ys.second[y] * row;
    const float wb = ys.weight[y], wa = 1.0f - wb;
    for (int64_t i = 0; i < row; ++i) a[i] += wa * line[i];
    for (int64_t i = 0; i < row; ++i) b[i] += wb * line[i];
  }
  for (size_t i = 0; i < sums.size(); ++i) store(gx, static_cast<int64_t>(i), sums[i]);
}

at::Tensor resize_backward(const at::Tensor& grad_, int64_t height, int64_t width) {
  const at::Tensor grad = channels_last(grad_);
  const int64_t channels = grad.size(1), out_rows = grad.size(2), out_columns = grad.size(3);
  at::Tensor gx = at::empty({grad.size(0), channels, height, width}, grad.options().memory_format(at::MemoryFormat::ChannelsLast));
  const Taps ys(height, out_rows), xs(width, out_columns);
  at::parallel_for(0, grad.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      BIMTDP_DISPATCH(grad,
                      resize_backward_image<T>(pointer<T>(grad) + n * out_rows * out_columns * channels,
                                               pointer<T>(gx) + n * height * width * channels, ys, xs, height, width, channels))
    }
  });
  return gx;
}

}  // namespace

TORCH_LIBRARY(bimtdp_fused, m) {
  m.def("rsign_forward(Tensor x, Tensor bias) -> Tensor", &rsign_forward);
  m.def("rsign_backward(Tensor grad, Tensor x, Tensor bias) -> (Tensor, Tensor)", &rsign_backward);
  m.def("prelu_forward(Tensor x, Tensor slope) -> Tensor", &prelu_forward);
  m.def("prelu_backward(Tensor grad, Tensor x, Tensor slope) -> (Tensor, Tensor)", &prelu_backward);
  m.def("weight_sign_forward(Tensor weight, bool bf16) -> Tensor", &weight_sign_forward);
  m.def("resize_backward(Tensor grad, int height, int width) -> Tensor", &resize_backward);
}
