// SPDX-License-Identifier: Apache-2.0
// What flows between nodes: float maps, bit maps and integer maps, as views (ValueRef) and as owners (Value).
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/core/checked.hpp>
#include <bimtdp/core/tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace bimtdp {

enum class ValueType { floats, bits, integers };

[[nodiscard]] constexpr std::string_view to_string(ValueType type) {
  return type == ValueType::floats ? "float" : type == ValueType::bits ? "bits" : "integer";
}

/// What is known of a node's value before the input size is.
struct ValueInfo {
  ValueType type = ValueType::floats;
  std::size_t channels = 0;
};

/// Bytes of a value: 4 an element, or 4 a word of 32 bits.
[[nodiscard]] inline std::size_t value_bytes(ValueType type, const Shape& shape) {
  const std::size_t units = type == ValueType::bits ? words_for<std::uint32_t>(shape.channels) : shape.channels;
  return (Checked(shape.height) * shape.width * units * 4).size();
}

/// A value somebody else owns, its pixels side by side; the `data` of a whole value is 64-byte aligned.
struct ValueRef {
  ValueType type = ValueType::floats;
  Shape shape{};
  std::byte* data = nullptr;

  [[nodiscard]] TensorView<float> floats() const { return {reinterpret_cast<float*>(need(ValueType::floats)), shape}; }
  [[nodiscard]] BitView<std::uint32_t> bits() const { return {reinterpret_cast<std::uint32_t*>(need(ValueType::bits)), shape}; }
  [[nodiscard]] TensorView<std::int32_t> integers() const {
    return {reinterpret_cast<std::int32_t*>(need(ValueType::integers)), shape};
  }
  /// The bytes as they are digested: dense, little-endian.
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data, value_bytes(type, shape)}; }

  /// Copies the value into floats of the same shape; bits become +1 and -1.
  void copy_to(const TensorView<float>& out) const {
    check_equal(out.shape, shape, "value", "shape");
    if (type == ValueType::floats) std::copy_n(floats().data, shape.elements(), out.data);
    if (type == ValueType::integers)
      std::transform(integers().data, integers().data + shape.elements(), out.data,
                     [](std::int32_t v) { return static_cast<float>(v); });
    if (type == ValueType::bits) unpack(bits(), out);
  }
  [[nodiscard]] Tensor<float> to_tensor() const {
    Tensor<float> result(shape);
    copy_to(result);
    return result;
  }

 private:
  [[nodiscard]] std::byte* need(ValueType wanted) const {
    demand(type == wanted, "value", "type (got ", to_string(type), ", expected ", to_string(wanted), ")");
    return data;
  }
};

/// An owning value.
class Value {
 public:
  Value() = default;
  Value(ValueType type, const Shape& shape) : type_(type), shape_(shape), bytes_(value_bytes(type, shape)) {}
  Value(const TensorView<const float>& x) : Value(ValueType::floats, x.shape) { fill(x.data); }
  Value(const Tensor<float>& x) : Value(x.view()) {}
  Value(const BitView<const std::uint32_t>& x) : Value(ValueType::bits, x.shape) { fill(x.data); }
  Value(const BitTensor<std::uint32_t>& x) : Value(x.view()) {}

  /// Signs of a float map (x >= 0) as a bit value.
  [[nodiscard]] static Value signs(const TensorView<const float>& x) { return Value(pack<std::uint32_t>(x)); }

  [[nodiscard]] ValueType type() const { return type_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  /// A view; values that nodes read are not changed through it.
  [[nodiscard]] ValueRef ref() const { return {type_, shape_, const_cast<std::byte*>(bytes_.data())}; }

 private:
  void fill(const void* source) {
    if (!bytes_.empty()) std::memcpy(bytes_.data(), source, bytes_.size());
  }

  ValueType type_ = ValueType::floats;
  Shape shape_{};
  AlignedVector<std::byte> bytes_;
};

}  // namespace bimtdp
