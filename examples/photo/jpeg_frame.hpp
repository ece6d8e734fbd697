// SPDX-License-Identifier: Apache-2.0
// JPEG headers (ITU-T T.81, annex B): markers, tables and frame, each checked as it is read.
#pragma once

#include "jpeg_blocks.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace example::photo {

enum Marker : std::size_t {
  SOF0 = 0xC0,
  SOF1 = 0xC1,
  SOF2 = 0xC2,
  DHT = 0xC4,
  SOF15 = 0xCF,
  DAC = 0xCC,
  RST0 = 0xD0,
  SOI = 0xD8,
  EOI = 0xD9,
  SOS = 0xDA,
  DQT = 0xDB,
  DNL = 0xDC,
  DRI = 0xDD,
  APP0 = 0xE0,
  APP1 = 0xE1,
  APP14 = 0xEE,
  APP15 = 0xEF,
  COM = 0xFE
};

[[nodiscard]] constexpr bool is_restart(std::size_t marker) { return marker >= RST0 && marker < RST0 + 8; }

/// Size and components of a picture.
struct Frame {
  bool progressive = false;
  std::size_t width = 0, height = 0, units_wide = 0, units_high = 0;
  std::vector<Component> components;
};

using QuantiserTable = std::array<std::uint16_t, 64>;

/// Tables in force; redefined ones replace older ones.
struct Tables {
  std::array<std::optional<QuantiserTable>, 4> quantisers;
  std::array<std::array<std::optional<HuffmanTable>, 4>, 2> huffman;  ///< [DC, AC][number]
  std::size_t restart_interval = 0;
};

/// The marker that comes next, after any number of fill bytes.
[[nodiscard]] inline std::size_t next_marker(ByteReader& file) {
  const std::size_t first = file.u8("markers");
  file.expect(first == 0xFF, "no marker (got byte ", first, ", expected 255)");
  std::size_t marker = 0xFF;
  while (marker == 0xFF) marker = file.u8("markers");
  return marker;
}

/// The segment that comes next as a reader of its own.
[[nodiscard]] inline ByteReader next_segment(ByteReader& file, std::string_view name) {
  const std::size_t length = file.u16(name);
  file.expect(length >= 2, "the length of its ", name, " is ", length, ", expected at least 2");
  return file.part(length - 2, name);
}

inline void read_quantisers(ByteReader segment, Tables& tables) {
  while (segment.left() > 0) {
    const std::size_t head = segment.u8("quantisation table"), number = head & 15;
    segment.expect(head < 0x20 && number < 4, "a quantisation table is number ", number, " of kind ", head >> 4);
    QuantiserTable& table = tables.quantisers[number].emplace();
    for (std::uint16_t& step : table) {
      step = static_cast<std::uint16_t>(head < 0x10 ? segment.u8("quantisation table") : segment.u16("quantisation table"));
      segment.expect(step > 0, "a quantisation table holds 0");
    }
  }
}

inline void read_huffman(ByteReader segment, Tables& tables) {
  while (segment.left() > 0) {
    const std::size_t head = segment.u8("Huffman table"), number = head & 15;
    segment.expect(head < 0x20 && number < 4, "a Huffman table is number ", number, " of kind ", head >> 4);
    const Bytes counts = segment.take(16, "Huffman table");
    std::size_t symbols = 0;
    for (const std::uint8_t count : counts) symbols += count;
    segment.expect(symbols <= 256, "a Huffman table has ", symbols, " symbols, expected at most 256");
    const Bytes values = segment.take(symbols, "Huffman table");
    const auto fits = [](std::uint8_t size) { return size <= 15; };
    segment.expect(head >= 0x10 || std::ranges::all_of(values, fits), "a Huffman table of DC sizes holds one above 15");
    std::optional<HuffmanTable> table = HuffmanTable::make(counts, values);
    segment.expect(table.has_value(), "a Huffman table has more codes than its lengths allow");
    tables.huffman[head >> 4][number] = std::move(table);
  }
}

inline void read_restart_interval(ByteReader segment, Tables& tables) {
  tables.restart_interval = segment.u16("restart interval");
  segment.expect(segment.left() == 0, "the restart interval's segment is too long");
}

[[nodiscard]] inline Component read_component(ByteReader& segment) {
  Component component;
  component.id = segment.u8("frame header");
  const std::size_t sampling = segment.u8("frame header");
  component.horizontal = sampling >> 4;
  component.vertical = sampling & 15;
  component.quantiser = segment.u8("frame header");
  const auto fits = [](std::size_t factor) { return factor >= 1 && factor <= 4; };
  segment.expect(fits(component.horizontal) && fits(component.vertical), "a component is sampled ", component.horizontal, "x",
                 component.vertical, ", expected 1 to 4");
  segment.expect(component.quantiser < 4, "a component wants quantisation table ", component.quantiser, ", expected 0 to 3");
  return component;
}

/// Blocks of every component of a frame; sampling factors that divide each other alone have one meaning to all decoders.
inline void lay_out(const ByteReader& segment, Frame& frame) {
  std::size_t across = 1, down = 1;
  for (const Component& c : frame.components) {
    across = std::max(across, c.horizontal);
    down = std::max(down, c.vertical);
  }
  const auto parts = [](std::size_t whole, std::size_t part) { return (whole + part - 1) / part; };
  frame.units_wide = parts(frame.width, 8 * across);
  frame.units_high = parts(frame.height, 8 * down);
  for (Component& c : frame.components) {
    if (across % c.horizontal != 0 || down % c.vertical != 0)
      segment.unsupported("has a component sampled ", c.horizontal, "x", c.vertical, " beside ", across, "x", down);
    c.blocks_wide = parts(parts(frame.width * c.horizontal, across), 8);
    c.blocks_high = parts(parts(frame.height * c.vertical, down), 8);
    c.padded_wide = frame.units_wide * c.horizontal;
    c.padded_high = frame.units_high * c.vertical;
    if (!frame.progressive) continue;
    c.nonzero.assign(c.padded_wide * c.padded_high, 0);
    c.sums.assign(c.padded_wide * c.padded_high, 0);
  }
}

/// The frame header of a baseline, extended or progressive picture with Huffman codes and 8 bits.
[[nodiscard]] inline Frame read_frame(ByteReader segment, std::size_t marker) {
  if (marker > SOF2)
    segment.unsupported("is a JPEG of a kind that is not read: SOF", marker - SOF0,
                        " (lossless, hierarchical or with arithmetic codes)");
  Frame frame;
  frame.progressive = marker == SOF2;
  if (const std::size_t bits = segment.u8("frame header"); bits != 8)
    segment.unsupported("is a JPEG of ", bits, " bits a value, expected 8");
  frame.height = segment.u16("frame header");
  frame.width = segment.u16("frame header");
  check_photo_size(segment.where(), frame.width, frame.height);
  const std::size_t count = segment.u8("frame header");
  if (count != 1 && count != 3 && count != 4)
    segment.unsupported("is a JPEG of ", count, " components, expected 1 (grey), 3 (colour) or 4 (CMYK)");
  for (std::size_t i = 0; i < count; ++i) {
    frame.components.push_back(read_component(segment));
    for (std::size_t k = 0; k < i; ++k)
      segment.expect(frame.components[k].id != frame.components[i].id, "two components have one name, ", frame.components[i].id);
  }
  segment.expect(segment.left() == 0, "the frame header is too long");
  lay_out(segment, frame);
  return frame;
}

}  // namespace example::photo
