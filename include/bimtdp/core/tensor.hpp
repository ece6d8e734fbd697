// SPDX-License-Identifier: Apache-2.0
// Tensor<T>: an owning height x width x channels map, and views over such maps.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/checked.hpp>
#include <bimtdp/core/shape.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

namespace bimtdp {

/// A map somebody else owns: dense HWC, element (y, x, c) at data[(y*width + x)*channels + c].
template <class T>
struct TensorView {
  T* data = nullptr;
  Shape shape{};

  [[nodiscard]] T* pixel(std::size_t y, std::size_t x) const { return data + (y * shape.width + x) * shape.channels; }
  [[nodiscard]] T& operator()(std::size_t y, std::size_t x, std::size_t c) const { return pixel(y, x)[c]; }
  [[nodiscard]] std::span<T> span() const { return {data, shape.elements()}; }
  /// `count` rows from row `first` on.
  [[nodiscard]] TensorView rows(std::size_t first, std::size_t count) const {
    return {pixel(first, 0), {count, shape.width, shape.channels}};
  }
  operator TensorView<const T>() const requires(!std::is_const_v<T>) { return {data, shape}; }
};

/// A map whose pixels lie apart: part of another map's channels, say. Pixel (y, x) begins at data[(y*width + x)*stride].
template <class T>
struct StridedView {
  T* data = nullptr;
  Shape shape{};
  std::size_t stride = 0;  ///< elements from pixel to pixel, at least the channels

  StridedView(T* first, const Shape& s, std::size_t elements) : data(first), shape(s), stride(elements) {}
  StridedView(const TensorView<T>& whole) : StridedView(whole.data, whole.shape, whole.shape.channels) {}

  [[nodiscard]] bool dense() const { return stride == shape.channels; }
  [[nodiscard]] T* pixel(std::size_t y, std::size_t x) const { return data + (y * shape.width + x) * stride; }
};

/// `each` elements for every pixel of `shape`. Throws Error where no array of T can have so many.
template <class T>
[[nodiscard]] std::size_t checked_elements(const Shape& shape, std::size_t each) {
  const Checked elements = Checked(shape.height) * shape.width * each;
  demand(elements <= Checked((std::numeric_limits<std::size_t>::max)() / 2 / sizeof(T)), "tensor", "too large (got ", shape, ")");
  return elements.size();
}

/// An owning map; new elements are zero. Throws Error for a shape that no memory can hold.
template <class T>
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(const Shape& shape) : shape_(shape), values_(checked_elements<T>(shape, shape.channels)) {}

  /// Gives the map another shape, in the same memory where it suffices; the elements' values mean nothing afterwards.
  void reshape(const Shape& shape) {
    values_.resize(checked_elements<T>(shape, shape.channels));
    shape_ = shape;
  }

  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] T* data() { return values_.data(); }
  [[nodiscard]] const T* data() const { return values_.data(); }
  [[nodiscard]] std::span<T> span() & { return values_; }
  [[nodiscard]] std::span<const T> span() const& { return values_; }
  void span() const&& = delete;  // `for (float v : model.run(photo)["depth"].span())` would read memory that is gone
  [[nodiscard]] T& operator()(std::size_t y, std::size_t x, std::size_t c) { return view()(y, x, c); }
  [[nodiscard]] const T& operator()(std::size_t y, std::size_t x, std::size_t c) const { return view()(y, x, c); }
  [[nodiscard]] TensorView<T> view() { return {values_.data(), shape_}; }
  [[nodiscard]] TensorView<const T> view() const { return {values_.data(), shape_}; }
  operator TensorView<T>() { return view(); }
  operator TensorView<const T>() const { return view(); }

 private:
  Shape shape_{};
  AlignedVector<T> values_;
};

}  // namespace bimtdp
