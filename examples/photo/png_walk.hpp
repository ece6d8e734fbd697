// SPDX-License-Identifier: Apache-2.0
// A strict walk over a PNG file (W3C PNG, third edition): every chunk, its checksum, and the image data inflated once, to the end.
//
// It leaves the same picture with a header, a palette and its image data alone. Transparency, gamma and profiles are left out:
// colours are as stored, those of transparent pixels too.
#pragma once

#include "exif.hpp"
#include "inflate.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace example::photo {

/// CRC-32 of a chunk's name and data.
[[nodiscard]] inline std::uint32_t chunk_checksum(Bytes bytes) {
  static const std::array<std::uint32_t, 256> table = [] {
    std::array<std::uint32_t, 256> made{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      made[i] = i;
      for (int bit = 0; bit < 8; ++bit) made[i] = made[i] >> 1 ^ ((made[i] & 1) != 0 ? 0xEDB88320U : 0U);
    }
    return made;
  }();
  std::uint32_t sum = 0xFFFFFFFFU;
  for (const std::uint8_t byte : bytes) sum = table[(sum ^ byte) & 255] ^ sum >> 8;
  return ~sum;
}

inline constexpr std::array<std::uint8_t, 8> png_signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

class PngWalk {
 public:
  PngWalk(std::string_view where, Bytes file) : file_(where, "PNG", file) {}

  /// Throws Error for files that are cut off, damaged, too large or of a kind that is not read.
  [[nodiscard]] WalkedPhoto walk() {
    const Bytes start = file_.take(png_signature.size(), "signature");
    file_.expect(std::ranges::equal(start, png_signature), "its signature is wrong");
    append(clean_, start);
    while (!ended_) read_chunk();
    check_image_data();
    write_rest();
    return {std::move(clean_), width_, height_, channels(), exif_orientation(exif_)};
  }

 private:
  void read_chunk() {
    const std::size_t length = file_.u32("chunks");
    file_.expect(length < std::size_t{1} << 31, "a chunk of ", length, " bytes");
    ByteReader ahead = file_;
    const Bytes name_bytes = ahead.take(4, "chunks");
    const std::string name(name_bytes.begin(), name_bytes.end());
    const auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
    file_.expect(std::all_of(name.begin(), name.end(), letter), "a chunk whose name is not of letters");
    if (name == "CgBI") file_.unsupported("is a PNG of the kind that Xcode packs for iPhones (CgBI), which no PNG reader reads");
    ByteReader chunk = file_.part(4 + length, name + " chunk");
    const Bytes whole = chunk.rest();
    file_.expect(file_.u32(name + " chunk") == chunk_checksum(whole), "a wrong checksum of its ", name, " chunk");
    file_.expect((name == "IHDR") == (width_ == 0), "its ", name, " chunk is out of place");
    static_cast<void>(chunk.u32("chunks"));
    use_chunk(name, chunk);
    previous_ = name;
  }

  void use_chunk(const std::string& name, ByteReader chunk) {
    const Bytes data = chunk.rest();
    const bool critical = name[0] >= 'A' && name[0] <= 'Z';
    if (name == "IHDR") return read_header(chunk);
    if (name == "PLTE") return read_palette(data);
    if (name == "IDAT") {
      file_.expect(packed_.empty() || previous_ == "IDAT", "its IDAT chunks are not together");
      file_.expect(colour_ != palette || !palette_.empty(), "its palette is missing");
      return append(packed_, data);
    }
    if (name == "IEND") {
      file_.expect(data.empty(), "its IEND chunk holds ", data.size(), " bytes");
      ended_ = true;
    } else if (name == "eXIf") {
      if (exif_.empty()) append(exif_, data);
    } else {
      file_.expect(!critical, "its chunk ", name, " is unknown, and the picture needs it");
    }
  }

  void read_header(ByteReader header) {
    file_.expect(header.left() == 13, "its header has ", header.left(), " bytes, expected 13");
    const Bytes data = header.rest();
    const std::size_t width = header.u32("header"), height = header.u32("header");
    depth_ = header.u8("header");
    colour_ = header.u8("header");
    const std::size_t compression = header.u8("header"), filter = header.u8("header"), interlace = header.u8("header");
    check_photo_size(file_.where(), width, height);
    const bool deep = depth_ == 8 || depth_ == 16, shallow = depth_ == 1 || depth_ == 2 || depth_ == 4;
    const bool known = (colour_ == grey && (deep || shallow)) || (colour_ == palette && (shallow || depth_ == 8)) ||
                       ((colour_ == rgb || colour_ == grey_alpha || colour_ == rgb_alpha) && deep);
    file_.expect(known, "its colours are of kind ", colour_, " with ", depth_, " bits");
    file_.expect(compression == 0 && filter == 0 && interlace <= 1, "compression ", compression, ", filter ", filter,
                 ", interlace ", interlace);
    width_ = width;
    height_ = height;
    interlaced_ = interlace == 1;
    write_chunk("IHDR", data);
  }

  void read_palette(Bytes data) {
    file_.expect(palette_.empty() && packed_.empty() && colour_ != grey && colour_ != grey_alpha, "its palette is out of place");
    const std::size_t most = colour_ == palette ? std::size_t{1} << depth_ : 256;
    file_.expect(!data.empty() && data.size() % 3 == 0 && data.size() <= 3 * most, "its palette has ", data.size(),
                 " bytes, expected 3 for each of at most ", most, " colours");
    append(palette_, data);
    palette_.resize(3 * most);  // colours that the file forgot are black
  }

  [[nodiscard]] std::size_t channels() const { return std::array<std::size_t, 7>{1, 0, 3, 1, 2, 0, 4}[colour_]; }

  /// Bytes of a row of pixels with its filter in front.
  [[nodiscard]] std::size_t row_bytes(std::size_t width) const { return 1 + (width * channels() * depth_ + 7) / 8; }

  struct Pass {
    std::size_t rows, bytes;  ///< of a row
  };

  /// The picture, or the seven small ones of Adam7.
  [[nodiscard]] std::vector<Pass> passes() const {
    if (!interlaced_) return {{height_, row_bytes(width_)}};
    struct Grid {
      std::size_t x, y, across, down;
    };
    constexpr std::array<Grid, 7> grids{
        {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}};
    std::vector<Pass> all;
    for (const Grid& g : grids) {
      const std::size_t columns = (width_ + g.across - 1 - g.x) / g.across, rows = (height_ + g.down - 1 - g.y) / g.down;
      if (columns > 0 && rows > 0) all.push_back({rows, row_bytes(columns)});
    }
    return all;
  }

  /// The image data hold the picture's bytes and no more; every row has a known filter.
  void check_image_data() const {
    file_.expect(!packed_.empty(), "it has no image data");
    const std::vector<Pass> all = passes();
    std::size_t expected = 0, pass = 0, row = 0, column = 0;
    for (const Pass& p : all) expected += p.rows * p.bytes;
    bool filters_known = true;
    auto sink = [&](Bytes piece) {
      for (std::size_t at = 0; at < piece.size();) {
        if (column == 0) filters_known = filters_known && piece[at] <= 4;
        const std::size_t step = std::min(piece.size() - at, all[pass].bytes - column);
        at += step;
        column = (column + step) % all[pass].bytes;
        if (column == 0 && ++row == all[pass].rows) row = 0, ++pass;
      }
    };
    const std::string wrong = Inflater(packed_, expected, sink).run();
    file_.expect(wrong.empty(), "its image data have ", wrong);
    file_.expect(filters_known, "a row of its image data has an unknown filter");
  }

  void write_rest() {
    if (colour_ == palette) write_chunk("PLTE", palette_);
    packed_[0] = 0x78;  // a window of 32 KiB: some encoders promise less than they use
    packed_[1] = 0x01;
    write_chunk("IDAT", packed_);
    write_chunk("IEND", {});
  }

  void write_chunk(std::string_view name, Bytes data) {
    const auto u32 = [&](std::size_t value) {
      for (int shift = 24; shift >= 0; shift -= 8) clean_.push_back(static_cast<std::uint8_t>(value >> shift));
    };
    u32(data.size());
    const std::size_t begin = clean_.size();
    clean_.insert(clean_.end(), name.begin(), name.end());
    append(clean_, data);
    u32(chunk_checksum(Bytes(clean_).subspan(begin)));
  }

  enum Colour : std::size_t { grey = 0, rgb = 2, palette = 3, grey_alpha = 4, rgb_alpha = 6 };

  ByteReader file_;
  ByteList clean_, palette_, packed_, exif_;
  std::size_t width_ = 0, height_ = 0, depth_ = 0, colour_ = 0;
  bool interlaced_ = false, ended_ = false;
  std::string previous_;
};

}  // namespace example::photo
