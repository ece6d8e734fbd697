// SPDX-License-Identifier: Apache-2.0
// A bounds-checked reader of safetensors files: 8 bytes header length (little-endian), a JSON header, the tensors' bytes.
// Invariant: an object of this class was checked completely; its tensors tile the data section without hole or overlap.
// Nothing is read or allocated that what was read before refuses: beginning, then header, then data.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/checked.hpp>
#include <bimtdp/core/error.hpp>
#include <bimtdp/core/text.hpp>
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
  std::uint64_t begin = 0, end = 0;  ///< of its bytes in the data section
  std::span<const std::byte> bytes;
};

/// Bytes in memory that are read as FileReader reads a file.
class MemoryReader {
 public:
  MemoryReader(std::span<const std::byte> bytes, std::string name) : data_(bytes), name_(std::move(name)) {}
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t bytes() const { return data_.size(); }
  /// `offset` and the size of `out` lie inside.
  void read(std::uint64_t offset, std::span<std::byte> out) const {
    const auto from = data_.subspan(static_cast<std::size_t>(offset), out.size());
    std::copy(from.begin(), from.end(), out.begin());
  }
  void finish() const {}

 private:
  std::span<const std::byte> data_;
  std::string name_;
};

/// The key-value pairs of a file's `__metadata__`.
using Metadata = std::map<std::string, std::string>;

class SafeTensors {
 public:
  SafeTensors(SafeTensors&&) = default;  // the buffer's bytes stay where they are, so the spans stay valid; copies would not
  SafeTensors& operator=(SafeTensors&&) = default;

  /// Reads and checks the file `path`. Throws Error; every message names the file, and the field where there is one.
  [[nodiscard]] static SafeTensors read(const std::filesystem::path& path, const SafeTensorsLimits& limits = {}) {
    FileReader file(path);
    return read_from(
        file, [](const Metadata&) {}, limits);
  }
  /// Checks a copy of `bytes`; `name` stands for the file name in messages.
  [[nodiscard]] static SafeTensors parse(std::span<const std::byte> bytes, std::string name = "memory",
                                         const SafeTensorsLimits& limits = {}) {
    MemoryReader memory(bytes, std::move(name));
    return read_from(
        memory, [](const Metadata&) {}, limits);
  }
  /// The same from a FileReader or MemoryReader. accept(metadata) is called when the header was checked and before the data is
  /// read; it throws where the file is not wanted.
  template <class Reader, class Accept>
  [[nodiscard]] static SafeTensors read_from(Reader& reader, Accept&& accept, const SafeTensorsLimits& limits = {}) {
    SafeTensors file(reader, limits);
    accept(file.metadata());
    file.read_data(reader);
    return file;
  }

  [[nodiscard]] const std::string& file() const { return file_; }
  /// The tensors in the order of their bytes.
  [[nodiscard]] const std::vector<StoredTensor>& tensors() const { return tensors_; }
  /// The key-value pairs of `__metadata__`.
  [[nodiscard]] const Metadata& metadata() const { return metadata_; }
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
    demand(tensor != nullptr, file_, "no tensor ", in_quotes(name));
    return *tensor;
  }

 private:
  /// Reads and checks everything before the data.
  template <class Reader>
  SafeTensors(Reader& reader, const SafeTensorsLimits& limits) : file_(reader.name()) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(std::min<std::uint64_t>(reader.bytes(), sniffed_bytes)));
    reader.read(0, bytes);
    const std::uint64_t header = check_safetensors_start(bytes, reader.bytes(), file_, limits.header_bytes);
    data_begin_ = 8 + header;
    data_bytes_ = reader.bytes() - data_begin_;
    bytes.resize(static_cast<std::size_t>(header));
    reader.read(8, bytes);
    read_header({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, limits);
    tile();
  }

  template <class Reader>
  void read_data(Reader& reader) {
    data_.resize(static_cast<std::size_t>(data_bytes_));
    reader.read(data_begin_, data_);
    reader.finish();
    for (StoredTensor& tensor : tensors_)
      tensor.bytes = std::span<const std::byte>(data_).subspan(static_cast<std::size_t>(tensor.begin),
                                                               static_cast<std::size_t>(tensor.end - tensor.begin));
  }

  void read_header(std::string_view text, const SafeTensorsLimits& limits) {
    const JsonValue json = parse_json(text, file_ + ": header", limits.json);
    for (const auto& [name, value] : json.object()) {
      if (name == "__metadata__") {
        read_metadata(value);
      } else {
        read_tensor(name, value, limits);
      }
    }
  }

  void read_metadata(const JsonValue& value) {
    demand(value.is_object(), file_, "__metadata__ (got ", value.type_name(), ", expected an object of strings)");
    for (const auto& [key, text] : value.object()) {
      demand(text.is_string(), file_, "__metadata__ key ", in_quotes(key), " (got ", text.type_name(), ", expected a string)");
      metadata_.emplace(key, text.text());
    }
  }

  void read_tensor(const std::string& name, const JsonValue& value, const SafeTensorsLimits& limits) {
    const std::string where = file_ + ": tensor " + in_quotes(name);
    demand(value.is_object(), where, "description (got ", value.type_name(), ", expected an object)");
    for (const auto& [key, unused] : value.object())
      demand(key == "dtype" || key == "shape" || key == "data_offsets", where, "unknown key ", in_quotes(key),
             " (got a value, expected dtype, shape and data_offsets alone)");
    for (const char* key : {"dtype", "shape", "data_offsets"})
      demand(value.object().contains(key), where, "missing key '", key, "' (got none, expected one)");

    StoredTensor tensor;
    tensor.name = name;
    const JsonValue& dtype = value.object().at("dtype");
    demand(dtype.is_string(), where, "dtype (got ", dtype.type_name(), ", expected a string)");
    const Dtype* known = find_dtype(dtype.text());
    demand(known != nullptr, where, "unknown dtype ", in_quotes(dtype.text()),
           " (got no name of the format, expected F32, F16, U64, U8 or another of its names)");
    tensor.dtype = *known;
    tensor.elements = read_shape(value.object().at("shape"), where, limits, tensor.shape);

    const auto [begin, end] = read_offsets(value.object().at("data_offsets"), where);
    const Checked bits = Checked(tensor.elements) * tensor.dtype.bits;
    demand(bits.value() % 8 == 0, where, "size is no whole number of bytes (got ", bits.value(),
           " bits, expected a multiple of 8)");
    check_equal(end - begin, bits.value() / 8, where, "data_offsets and shape disagree: bytes");
    demand(end <= data_bytes_, where, "truncated file: data_offsets end beyond the data (got ", data_bytes_,
           " bytes of data, expected at least ", end, ")");
    tensor.begin = begin, tensor.end = end;
    tensors_.push_back(std::move(tensor));
  }

  static std::size_t read_shape(const JsonValue& value, const std::string& where, const SafeTensorsLimits& limits,
                                std::vector<std::size_t>& shape) {
    demand(value.is_array(), where, "shape (got ", value.type_name(), ", expected an array)");
    demand(value.array().size() <= limits.rank, where, "shape has too many dimensions (got ", value.array().size(),
           ", expected at most ", limits.rank, ")");
    std::uint64_t elements = 1;  // below 2^31 * 2^24 at any time; a zero does not end the checks
    for (const JsonValue& dimension : value.array()) {
      demand(dimension.is_unsigned(), where, "bad shape: dimension (got ", shown(dimension), ", expected an integer >= 0)");
      const auto extent = dimension.integer();
      demand(extent <= limits.dimension, where, "bad shape: dimension too large (got ", extent, ", expected at most ",
             limits.dimension, ")");
      elements *= extent;
      demand(elements <= limits.elements, where, "bad shape: too many elements (got ", elements, " or more, expected at most ",
             limits.elements, ")");
      shape.push_back(static_cast<std::size_t>(extent));
    }
    return static_cast<std::size_t>(elements);
  }

  static std::pair<std::uint64_t, std::uint64_t> read_offsets(const JsonValue& value, const std::string& where) {
    demand(value.is_array() && value.array().size() == 2, where, "data_offsets (got ", shown(value), ", expected [begin, end])");
    for (const JsonValue& offset : value.array())
      demand(offset.is_unsigned(), where, "data_offsets (got ", shown(offset), ", expected an integer >= 0)");
    const auto begin = value.array()[0].integer();
    const auto end = value.array()[1].integer();
    demand(begin <= end, where, "data_offsets reversed (got begin ", begin, ", end ", end, ", expected begin <= end)");
    return {begin, end};
  }

  /// Orders the tensors by their bytes and checks that they follow each other exactly, from the first byte to the last.
  void tile() {
    std::sort(tensors_.begin(), tensors_.end(),
              [](const StoredTensor& a, const StoredTensor& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
    std::uint64_t position = 0;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const StoredTensor& tensor = tensors_[i];
      const std::string where = file_ + ": tensor " + in_quotes(tensor.name);
      demand(tensor.begin >= position, where, "overlaps the tensor before it (got begin ", tensor.begin, ", expected ", position,
             ")");
      demand(tensor.begin <= position, where, "hole before it (got begin ", tensor.begin, ", expected ", position, ")");
      position = tensor.end;
      index_.emplace(tensor.name, i);
    }
    demand(position == data_bytes_, file_, "trailing bytes after the last tensor (got ", data_bytes_, " bytes of data, expected ",
           position, ")");
  }

  std::string file_;
  std::uint64_t data_begin_ = 0, data_bytes_ = 0;  // of the file
  AlignedVector<std::byte> data_;
  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
  Metadata metadata_;
};

/// The values of an F32 or F16 tensor as float32 (exact). Throws Error for another dtype.
[[nodiscard]] inline AlignedVector<float> to_floats(const StoredTensor& tensor, std::string_view where) {
  AlignedVector<float> values(tensor.elements);
  if (tensor.dtype.name == "F32") {
    if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    return values;
  }
  demand(tensor.dtype.name == "F16", where, "dtype of tensor '", tensor.name, "' (got ", tensor.dtype.name,
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
  demand(holds_signs(tensor), where, "dtype of tensor '", tensor.name, "' (got ", tensor.dtype.name, ", expected U64 or U8)");
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
