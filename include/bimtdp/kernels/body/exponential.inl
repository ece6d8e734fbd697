// SPDX-License-Identifier: Apache-2.0
// exp in lanes: the operations of exponential.hpp, one by one.

inline Floats power_of_two(Ints n) noexcept { return as_floats(shift_left<23>(n + Ints::set(127))); }

inline Floats exponential(Floats x) noexcept {
  using C = ExponentialConstants;
  const Floats lowest = Floats::set(C::lowest), highest = Floats::set(C::highest), magic = Floats::set(C::round_magic);
  x = select(greater(lowest, x), lowest, x);
  x = select(greater(x, highest), highest, x);
  const Floats rounded = fma(x, Floats::set(C::inverse_ln2), magic);
  const Floats steps = rounded - magic;
  const Floats r = fma(steps, Floats::set(-C::ln2_low), fma(steps, Floats::set(-C::ln2_high), x));
  Floats q = fma(r, Floats::set(C::q4), Floats::set(C::q3));
  q = fma(r, q, Floats::set(C::q2));
  q = fma(r, q, Floats::set(C::q1));
  q = fma(r, q, Floats::set(C::q0));
  const Floats power = fma(r * r, q, r) + Floats::set(1.0f);
  const Ints n = as_ints(rounded) - Ints::set(C::round_bits);
  const Ints half = shift_right<1>(n);
  return power * power_of_two(half) * power_of_two(n - half);
}
