// SPDX-License-Identifier: Apache-2.0
// What follows a sum: scale, bias, residual, activation, in one pass.

/// The parameters of a vector of channels. Missing steps use their neutral element: y*1 and y + -0 are y, bit for bit.
struct ChannelParameters {
  Floats alpha, scale, bias, slope, shift_in, shift_out;

  template <class P>
  ChannelParameters(const Epilogue& e, std::size_t c, P part) noexcept
      : alpha(at(e.alpha, c, part, 1.0f)),
        scale(at(e.scale, c, part, 1.0f)),
        bias(at(e.bias, c, part, -0.0f)),
        slope(at(e.slope, c, part, 1.0f)),
        shift_in(at(e.shift_in, c, part, -0.0f)),
        shift_out(at(e.shift_out, c, part, -0.0f)) {}

 private:
  template <class P>
  [[nodiscard]] static Floats at(const float* values, std::size_t c, P part, float neutral) noexcept {
    return values ? Floats::load(values + c, part) : Floats::set(neutral);
  }
};

template <ActivationKind kind>
inline Floats activate(Floats y, const ChannelParameters& channel) noexcept {
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
  if constexpr (kind == ActivationKind::prelu) return select(at_least(y, zero), y, channel.slope * y);
  if constexpr (kind == ActivationKind::rprelu) {
    const Floats t = y + channel.shift_in;
    return select(at_least(t, zero), t, channel.slope * t) + channel.shift_out;
  }
  return y;
}

/// The epilogue of `source(pixel, channel, part)`, one vector of channels after the other: its parameters stay in registers.
template <ActivationKind kind, bool has_residual, class Source>
inline void finish_piece(Source source, std::size_t begin, std::size_t end, std::size_t channels, const Epilogue& e,
                         float* out) noexcept {
  for_lanes(channels, [&](std::size_t c, auto part) {
    const ChannelParameters channel(e, c, part);
    const bool scales = e.scale != nullptr;
    for (std::size_t p = begin, i = begin * channels + c; p < end; ++p, i += channels) {
      Floats y = source(p, c, part) * channel.alpha;
      y = scales ? fma(y, channel.scale, channel.bias) : y + channel.bias;
      if constexpr (has_residual) y = y + Floats::load(e.residual + i, part);
      activate<kind>(y, channel).store(out + i, part);
    }
  });
}
template <ActivationKind kind, class Source>
inline void finish_rows(Source source, std::size_t pixels, std::size_t channels, const Epilogue& e, float* out) noexcept {
  const std::size_t piece = std::max<std::size_t>(1, 4096 / std::max<std::size_t>(1, channels));  // stays in the L1 cache
  for (std::size_t p = 0; p < pixels; p += piece) {
    const std::size_t end = (std::min)(pixels, p + piece);
    if (e.residual)
      finish_piece<kind, true>(source, p, end, channels, e, out);
    else
      finish_piece<kind, false>(source, p, end, channels, e, out);
  }
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
