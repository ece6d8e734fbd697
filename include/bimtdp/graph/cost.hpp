// SPDX-License-Identifier: Apache-2.0
// What a node costs: words of xor + popcount, multiply-adds of floats, bytes read and written.
#pragma once

namespace bimtdp {

/// How fast one thread of a machine could go: what turns work into time. The defaults are the order of magnitude of a current
/// core and only balance threads; measure_rates() (run/rates.hpp) asks the machine.
struct Rates {
  double words = 3e10;    ///< xor + popcount of 32 bits, a second
  double macs = 5e10;     ///< float multiply-adds a second
  double bytes = 1.5e10;  ///< bytes read or written a second
};

/// Useful work: no padding of channels to words or lanes, taps outside the image counted as inside.
struct Cost {
  double words = 0.0;  ///< of 32 bits
  double macs = 0.0;
  double bytes = 0.0;  ///< every input and the output once

  Cost& operator+=(const Cost& other) {
    words += other.words, macs += other.macs, bytes += other.bytes;
    return *this;
  }
  /// Seconds at the arithmetic peak where there is arithmetic, at the speed of memory elsewhere.
  [[nodiscard]] double bound(const Rates& rates) const {
    const double arithmetic = words / rates.words + macs / rates.macs;
    return arithmetic > 0.0 ? arithmetic : bytes / rates.bytes;
  }
  /// Seconds when arithmetic and memory do not overlap.
  [[nodiscard]] double estimate(const Rates& rates) const { return words / rates.words + macs / rates.macs + bytes / rates.bytes; }
};

}  // namespace bimtdp
