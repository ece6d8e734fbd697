// SPDX-License-Identifier: Apache-2.0
// ByteReader: a place in a photo file. It never reads outside the file, and speaks of everything wrong in one form.
#pragma once

#include <bimtdp/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace example::photo {

using Bytes = std::span<const std::uint8_t>;
using ByteList = std::vector<std::uint8_t>;

inline void append(ByteList& to, Bytes bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

/// Reads big-endian numbers and blocks one after another; throws Error where the file ends too early.
class ByteReader {
 public:
  /// `format` ("JPEG") and `where` (the file's path) stand in the messages; both must outlive the reader.
  ByteReader(std::string_view where, std::string_view format, Bytes file) : where_(where), format_(format), file_(file) {}

  [[nodiscard]] std::size_t left() const { return file_.size() - at_; }
  [[nodiscard]] Bytes rest() const { return file_.subspan(at_); }
  [[nodiscard]] std::string_view where() const { return where_; }

  /// The next `count` bytes, which are part of `what`.
  Bytes take(std::size_t count, std::string_view what) {
    if (count > left()) cut_off(what, at_ + count);
    at_ += count;
    return file_.subspan(at_ - count, count);
  }

  /// The next `count` bytes as a reader of their own, which is at the same place of the file.
  ByteReader part(std::size_t count, std::string_view what) {
    ByteReader part = *this;
    take(count, what);
    part.file_ = file_.first(at_);
    part.is_part_ = true;
    return part;
  }

  std::size_t u8(std::string_view what) { return take(1, what)[0]; }

  std::size_t u16(std::string_view what) {
    const Bytes two = take(2, what);
    return static_cast<std::size_t>(two[0] << 8 | two[1]);
  }

  std::size_t u32(std::string_view what) {
    const std::size_t high = u16(what);
    return high << 16 | u16(what);
  }

  /// The file, or the part, ends inside `what`.
  [[noreturn]] void cut_off(std::string_view what, std::size_t expected) const {
    if (is_part_) damaged("its ", what, " is too short");
    bimtdp::fail(where_, "the ", format_, " file is cut off in its ", what, " (got ", file_.size(), " bytes, expected at least ",
                 expected, ")");
  }

  template <class... Parts>
  [[noreturn]] void damaged(const Parts&... parts) const {
    bimtdp::fail(where_, "the ", format_, " file is damaged before byte ", at_, ": ", parts...);
  }

  template <class... Parts>
  [[noreturn]] void unsupported(const Parts&... parts) const {
    bimtdp::fail(where_, parts..., "; convert the photo to a baseline JPEG or a usual PNG");
  }

  template <class... Parts>
  void expect(bool right, const Parts&... parts) const {
    if (!right) [[unlikely]]
      damaged(parts...);
  }

 private:
  std::string_view where_, format_;
  Bytes file_;
  std::size_t at_ = 0;
  bool is_part_ = false;
};

/// The largest photo that is decoded, in pixels.
inline constexpr std::size_t max_photo_pixels = std::size_t{64} << 20;

/// Refuses sizes before anything is allocated for them.
inline void check_photo_size(std::string_view where, std::size_t width, std::size_t height) {
  bimtdp::demand(width > 0 && height > 0, where, "has no pixels (got ", width, "x", height, ")");
  bimtdp::demand(width <= max_photo_pixels / height, where, "is too large (got ", width, "x", height, ", expected at most ",
                 max_photo_pixels, " pixels); make the photo smaller");
}

/// What a walk over a file found: everything is there, and every decoder reads `clean` alike.
struct WalkedPhoto {
  ByteList clean;  ///< the same picture in a file of the same format, without metadata and with nothing left to a decoder's choice
  std::size_t width = 0, height = 0;
  std::size_t channels = 3;  ///< stored: 4 of a JPEG are CMYK
  int orientation = 1;       ///< EXIF, 1 to 8
};

}  // namespace example::photo
