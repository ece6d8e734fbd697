// SPDX-License-Identifier: Apache-2.0
// A bounds-checked reader of safetensors files: 8 bytes header length (little-endian), a JSON header, the tensors' bytes.
// Invariant: an object of this class was checked completely; its tensors tile the data section without hole or overlap.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/checked.hpp>
#include <bimtdp/core/error.hpp>
#include <bimtdp/io/dtype.hpp>
#include <bimtdp/io/json.hpp>
#include <bimtdp/io/read_file.hpp>
#include <bimtdp/io/sniff.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bimtdp {

static_assert(std::endian::native == std::endian::little, "bimtdp copies little-endian files into memory as they are");

/// What the reader accepts at most; a header's numbers never make it allocate more than the file is long.
struct SafeTensorsLimits {
  std::uint64_t header_bytes = 100'000'000;
  std::size_t rank = 8;
  std::uint64_t dimension = std::uint64_t{1} << 24;
  std::uint64_t elements = std::uint64_t{1} << 31;
  JsonLimits json{};
};

/// One tensor of a file. `bytes` may be unaligned.
struct StoredTensor {
  std::string name;
  Dtype dtype{};
  std::vector<std::size_t> shape;
  std::size_t elements = 0;
  std::span<const std::byte> bytes;
};

class SafeTensors {
 public:
  SafeTensors(SafeTensors&&) = default;  // the buffer's bytes stay where they are, so the spans stay valid; copies would not
  SafeTensors& operator=(SafeTensors&&) = default;

  /// Reads and checks the file `path`. Throws Error; every message names the file, and the field where there is one.
  [[nodiscard]] static SafeTensors read(const std::filesystem::path& path, const SafeTensorsLimits& limits = {}) {
    return SafeTensors(read_file(path), path.string(), limits);
  }
  /// Checks a copy of `bytes`; `name` stands for the file name in messages.
  [[nodiscard]] static SafeTensors parse(std::span<const std::byte> bytes, std::string name = "memory",
                                         const SafeTensorsLimits& limits = {}) {
    return SafeTensors(AlignedVector<std::byte>(bytes.begin(), bytes.end()), std::move(name), limits);
  }

  [[nodiscard]] const std::string& file() const { return file_; }
  /// The tensors in the order of their bytes.
  [[nodiscard]] const std::vector<StoredTensor>& tensors() const { return tensors_; }
  /// The key-value pairs of `__metadata__`.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// All bytes after the header.
  [[nodiscard]] std::span<const std::byte> data() const { return data_; }

  /// The tensor called `name`, or null.
  [[nodiscard]] const StoredTensor* find(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
  }
  /// The tensor called `name`; throws Error when there is none.
  [[nodiscard]] const StoredTensor& at(std::string_view name) const {
    const StoredTensor* tensor = find(name);
    check(tensor != nullptr, file_, "no tensor '", name, "'");
    return *tensor;
  }

 private:
  SafeTensors(AlignedVector<std::byte> bytes, std::string file, const SafeTensorsLimits& limits)
      : file_(std::move(file)), buffer_(std::move(bytes)) {
    const std::span<const std::byte> all(buffer_);
    const std::uint64_t header = check_safetensors_start(all, file_, limits.header_bytes);
    data_ = all.subspan(static_cast<std::size_t>(8 + header));
    const std::string_view text(reinterpret_cast<const char*>(buffer_.data()) + 8, static_cast<std::size_t>(header));
    const Json json = parse_json(text, file_ + ": header", limits.json);
    for (const auto& [name, value] : json.items()) {
      if (name == "__metadata__") {
        read_metadata(value);
      } else {
        read_tensor(name, value, limits);
      }
    }
    tile();
  }

  void read_metadata(const Json& value) {
    check(value.is_object(), file_, "__metadata__ (got ", value.type_name(), ", expected an object of strings)");
    for (const auto& [key, text] : value.items()) {
      check(text.is_string(), file_, "__metadata__ key '", key, "' (got ", text.type_name(), ", expected a string)");
      metadata_.emplace(key, text.get<std::string>());
    }
  }

  void read_tensor(const std::string& name, const Json& value, const SafeTensorsLimits& limits) {
    const std::string where = file_ + ": tensor '" + name + "'";
    check(value.is_object(), where, "description (got ", value.type_name(), ", expected an object)");
    for (const auto& [key, unused] : value.items())
      check(key == "dtype" || key == "shape" || key == "data_offsets", where, "unknown key '", key, "'");
    for (const char* key : {"dtype", "shape", "data_offsets"}) check(value.contains(key), where, "missing key '", key, "'");

    StoredTensor tensor;
    tensor.name = name;
    const Json& dtype = value["dtype"];
    check(dtype.is_string(), where, "dtype (got ", dtype.type_name(), ", expected a string)");
    const Dtype* known = find_dtype(dtype.get_ref<const std::string&>());
    check(known != nullptr, where, "unknown dtype '", dtype.get_ref<const std::string&>(), "'");
    tensor.dtype = *known;
    tensor.elements = read_shape(value["shape"], where, limits, tensor.shape);

    const auto [begin, end] = read_offsets(value["data_offsets"], where);
    const Checked bits = Checked(tensor.elements) * tensor.dtype.bits;
    check(bits.value() % 8 == 0, where, "size is no whole number of bytes (got ", bits.value(), " bits)");
    check_equal(end - begin, bits.value() / 8, where, "data_offsets and shape disagree: bytes");
    check(end <= data_.size(), where, "truncated file: data_offsets end beyond the data (got ", data_.size(),
          " bytes of data, expected at least ", end, ")");
    tensor.bytes = data_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    tensors_.push_back(std::move(tensor));
  }

  static std::size_t read_shape(const Json& value, const std::string& where, const SafeTensorsLimits& limits,
                                std::vector<std::size_t>& shape) {
    check(value.is_array(), where, "shape (got ", value.type_name(), ", expected an array)");
    check(value.size() <= limits.rank, where, "shape has too many dimensions (got ", value.size(), ", expected at most ",
          limits.rank, ")");
    std::uint64_t elements = 1;  // below 2^31 * 2^24 at any time; a zero does not end the checks
    for (const Json& dimension : value) {
      check(dimension.is_number_unsigned(), where, "bad shape: dimension (got ", dimension.dump(), ", expected an integer >= 0)");
      const auto extent = dimension.get<std::uint64_t>();
      check(extent <= limits.dimension, where, "bad shape: dimension too large (got ", extent, ", expected at most ",
            limits.dimension, ")");
      elements *= extent;
      check(elements <= limits.elements, where, "bad shape: too many elements (got ", elements, " or more, expected at most ",
            limits.elements, ")");
      shape.push_back(static_cast<std::size_t>(extent));
    }
    return static_cast<std::size_t>(elements);
  }

  static std::pair<std::uint64_t, std::uint64_t> read_offsets(const Json& value, const std::string& where) {
    check(value.is_array() && value.size() == 2, where, "data_offsets (got ", value.dump().substr(0, 60),
          ", expected [begin, end])");
    for (const Json& offset : value)
      check(offset.is_number_unsigned(), where, "data_offsets (got ", offset.dump(), ", expected an integer >= 0)");
    const auto begin = value[0].get<std::uint64_t>();
    const auto end = value[1].get<std::uint64_t>();
    check(begin <= end, where, "data_offsets reversed (got begin ", begin, ", end ", end, ")");
    return {begin, end};
  }

  /// Orders the tensors by their bytes and checks that they follow each other exactly, from the first byte to the last.
  void tile() {
    const std::byte* start = data_.data();
    const auto begin_of = [start](const StoredTensor& t) { return static_cast<std::size_t>(t.bytes.data() - start); };
    std::sort(tensors_.begin(), tensors_.end(), [&](const StoredTensor& a, const StoredTensor& b) {
      return std::pair(begin_of(a), a.bytes.size()) < std::pair(begin_of(b), b.bytes.size());
    });
    std::size_t position = 0;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const std::string where = file_ + ": tensor '" + tensors_[i].name + "'";
      const std::size_t begin = begin_of(tensors_[i]);
      check(begin >= position, where, "overlaps the tensor before it (got begin ", begin, ", expected ", position, ")");
      check(begin <= position, where, "hole before it (got begin ", begin, ", expected ", position, ")");
      position += tensors_[i].bytes.size();
      index_.emplace(tensors_[i].name, i);
    }
    check(position == data_.size(), file_, "trailing bytes after the last tensor (got ", data_.size(), " bytes of data, expected ",
          position, ")");
  }

  std::string file_;
  AlignedVector<std::byte> buffer_;
  std::span<const std::byte> data_;
  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
};

/// The values of an F32 or F16 tensor as float32 (exact). Throws Error for another dtype.
[[nodiscard]] inline AlignedVector<float> to_floats(const StoredTensor& tensor, std::string_view where) {
  AlignedVector<float> values(tensor.elements);
  if (tensor.dtype.name == "F32") {
    if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    return values;
  }
  check(tensor.dtype.name == "F16", where, "dtype of tensor '", tensor.name, "' (got ", tensor.dtype.name,
        ", expected F32 or F16)");
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, tensor.bytes.data() + 2 * i, 2);
    values[i] = widen_half(half);
  }
  return values;
}

/// Whether the tensor holds packed signs: U64 words, or U8 rows that save the bytes which would be padding.
[[nodiscard]] inline bool holds_signs(const StoredTensor& tensor) {
  return tensor.dtype.name == "U64" || tensor.dtype.name == "U8";
}

/// The words of packed signs, bit i of word w = channel 64w+i. Rows (the last extent) of a U8 tensor are filled up with zero
/// bytes to whole words. Throws Error for another dtype.
[[nodiscard]] inline AlignedVector<std::uint64_t> to_words(const StoredTensor& tensor, std::string_view where) {
  check(holds_signs(tensor), where, "dtype of tensor '", tensor.name, "' (got ", tensor.dtype.name, ", expected U64 or U8)");
  const std::size_t row = tensor.shape.empty() ? tensor.bytes.size() : tensor.shape.back() * (tensor.dtype.bits / 8);
  const std::size_t rows = row == 0 ? 0 : tensor.bytes.size() / row, words = (row + 7) / 8;
  AlignedVector<std::uint64_t> result(rows * words);
  for (std::size_t i = 0; i < rows; ++i) std::memcpy(result.data() + i * words, tensor.bytes.data() + i * row, row);
  return result;
}

/// The shape of to_words' result.
[[nodiscard]] inline std::vector<std::size_t> shape_in_words(const StoredTensor& tensor) {
  std::vector<std::size_t> shape = tensor.shape;
  if (tensor.dtype.name == "U8" && !shape.empty()) shape.back() = (shape.back() + 7) / 8;
  return shape;
}

}  // namespace bimtdp
