// SPDX-License-Identifier: Apache-2.0
// What follows a sum: scale, bias, residual, activation, in one pass.

/// A per-channel parameter, or a constant where the epilogue has none: the index is masked to 0 then.
struct Parameter {
  const float* data;
  std::size_t index_mask;
  Parameter(const float* values, const float* constant) noexcept
      : data(values ? values : constant), index_mask(values ? ~std::size_t{0} : 0) {}
  template <class P>
  [[nodiscard]] Floats at(std::size_t i, P part) const noexcept {
    return Floats::load(data + (i & index_mask), part);
  }
};

template <ActivationKind kind, class P>
inline Floats activate(Floats y, std::size_t c, P part, const Epilogue& e) noexcept {
  const Floats zero = Floats::set(0.0f), one = Floats::set(1.0f);
  if constexpr (kind == ActivationKind::relu) return select(greater(y, zero), y, zero);
  if constexpr (kind == ActivationKind::relu6) {
    const Floats positive = select(greater(y, zero), y, zero), six = Floats::set(6.0f);
    return select(greater(positive, six), six, positive);
  }
  if constexpr (kind == ActivationKind::hardtanh) {
    const Floats minus = Floats::set(-1.0f);
    return select(greater(minus, y), minus, select(greater(y, one), one, y));
  }
  if constexpr (kind == ActivationKind::sigmoid) return one / (one + exponential(zero - y));
  if constexpr (kind == ActivationKind::prelu) return select(at_least(y, zero), y, Floats::load(e.slope + c, part) * y);
  if constexpr (kind == ActivationKind::rprelu) {
    const Floats t = y + Floats::load(e.shift_in + c, part);
    return select(at_least(t, zero), t, Floats::load(e.slope + c, part) * t) + Floats::load(e.shift_out + c, part);
  }
  return y;
}

/// The epilogue of `source(pixel, channel, part)`. Missing steps use their neutral element: y*1 and y + -0 are y, bit for bit.
template <ActivationKind kind, class Source>
inline void finish_rows(Source source, std::size_t pixels, std::size_t channels, const Epilogue& e, float* out) noexcept {
  alignas(64) float ones[Floats::width], zeros[Floats::width];
  Floats::set(1.0f).store(ones);
  Floats::set(-0.0f).store(zeros);
  const Parameter alpha(e.alpha, ones), bias(e.bias, zeros), residual(e.residual, zeros);
  for (std::size_t p = 0; p < pixels; ++p)
    for_lanes(channels, [&](std::size_t c, auto part) {
      Floats y = source(p, c, part) * alpha.at(c, part);
      y = e.scale ? fma(y, Floats::load(e.scale + c, part), bias.at(c, part)) : y + bias.at(c, part);
      y = y + residual.at(p * channels + c, part);
      activate<kind>(y, c, part, e).store(out + p * channels + c, part);
    });
}

template <class Source>
inline void finish(Source source, std::size_t pixels, std::size_t channels, const Epilogue& e, float* out) noexcept {
  using Kind = ActivationKind;
  switch (e.activation) {
    case Kind::none:
      return finish_rows<Kind::none>(source, pixels, channels, e, out);
    case Kind::relu:
      return finish_rows<Kind::relu>(source, pixels, channels, e, out);
    case Kind::relu6:
      return finish_rows<Kind::relu6>(source, pixels, channels, e, out);
    case Kind::hardtanh:
      return finish_rows<Kind::hardtanh>(source, pixels, channels, e, out);
    case Kind::sigmoid:
      return finish_rows<Kind::sigmoid>(source, pixels, channels, e, out);
    case Kind::prelu:
      return finish_rows<Kind::prelu>(source, pixels, channels, e, out);
    case Kind::rprelu:
      return finish_rows<Kind::rprelu>(source, pixels, channels, e, out);
  }
}

inline void epilogue(const float* x, std::size_t stride, std::size_t pixels, std::size_t channels, const Epilogue& e,
                     float* out) noexcept {
  finish([=](std::size_t p, std::size_t c, auto part) { return Floats::load(x + p * stride + c, part); }, pixels, channels, e, out);
}

inline void dot_float(const std::int32_t* counts, std::size_t stride, std::int32_t valid, std::size_t pixels, std::size_t channels,
                      const Epilogue& e, float* out) noexcept {
  const Ints all = Ints::set(valid);
  const auto dot = [=](std::size_t p, std::size_t c, auto part) {
    return to_float(all - shift_left<1>(Ints::load(counts + p * stride + c, part)));
  };
  finish(dot, pixels, channels, e, out);
}
