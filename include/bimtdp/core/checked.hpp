// SPDX-License-Identifier: Apache-2.0
// Checked: a 64-bit size whose arithmetic throws Error instead of wrapping.
// Every size that is derived from a file or from a user's shape goes through it.
#pragma once

#include <bimtdp/core/error.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace bimtdp {

class Checked {
 public:
  constexpr Checked(std::uint64_t value) : value_(value) {}

  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }

  /// The value as a std::size_t; throws Error where that type is narrower (32-bit builds).
  [[nodiscard]] std::size_t size() const {
    demand(value_ <= (std::numeric_limits<std::size_t>::max)(), "size", value_, " does not fit into this machine's memory");
    return static_cast<std::size_t>(value_);
  }

  /// The smallest multiple of `step` (above 0) that is not below the value.
  [[nodiscard]] Checked align_up(std::uint64_t step) const {
    demand(step > 0, "size", "alignment 0");
    const std::uint64_t rest = value_ % step;
    return rest == 0 ? *this : *this + Checked(step - rest);
  }

  friend Checked operator+(Checked a, Checked b) {
    demand(a.value_ <= largest - b.value_, "size", a.value_, " + ", b.value_, " does not fit into 64 bits");
    return a.value_ + b.value_;
  }
  friend Checked operator-(Checked a, Checked b) {
    demand(a.value_ >= b.value_, "size", a.value_, " - ", b.value_, " is negative");
    return a.value_ - b.value_;
  }
  friend Checked operator*(Checked a, Checked b) {
    demand(b.value_ == 0 || a.value_ <= largest / b.value_, "size", a.value_, " * ", b.value_, " does not fit into 64 bits");
    return a.value_ * b.value_;
  }
  friend constexpr auto operator<=>(const Checked&, const Checked&) = default;

 private:
  static constexpr std::uint64_t largest = (std::numeric_limits<std::uint64_t>::max)();
  std::uint64_t value_;
};

}  // namespace bimtdp
