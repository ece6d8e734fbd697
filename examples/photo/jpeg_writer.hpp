// SPDX-License-Identifier: Apache-2.0
// JpegWriter: what a walk has read, as a JPEG file of plain headers.
#pragma once

#include "jpeg_frame.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace example::photo {

/// A component in a scan and its tables; none where the scan does not need it.
struct ScanPart {
  std::size_t component = 0;
  const HuffmanTable *dc = nullptr, *ac = nullptr;
};

class JpegWriter {
 public:
  void mark(std::size_t marker) { append(file_, std::array{std::uint8_t{0xFF}, static_cast<std::uint8_t>(marker)}); }

  /// Start, colours and frame. Every decoder knows Adobe's mark: 0 as stored, 1 YCbCr, 2 YCCK.
  void begin(const Frame& frame, std::size_t transform) {
    mark(SOI);
    segment(APP14, {'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, static_cast<std::uint8_t>(transform)});
    ByteList header{8};
    append_u16(header, frame.height);
    append_u16(header, frame.width);
    header.push_back(static_cast<std::uint8_t>(frame.components.size()));
    for (std::size_t i = 0; i < frame.components.size(); ++i) {
      const Component& c = frame.components[i];
      const auto sampling = static_cast<std::uint8_t>(c.horizontal << 4 | c.vertical), number = static_cast<std::uint8_t>(i);
      append(header, std::array{static_cast<std::uint8_t>(number + 1), sampling, number});
    }
    segment(frame.progressive ? SOF2 : SOF1, header);
  }

  /// Tables and header of a scan, in front of its image data.
  void begin_scan(const Frame& frame, const std::vector<ScanPart>& parts, const ScanKind& kind, std::size_t restart_interval) {
    ByteList interval, header{static_cast<std::uint8_t>(parts.size())};
    append_u16(interval, restart_interval);
    segment(DRI, interval);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      quantiser(frame.components[parts[i].component].steps, parts[i].component);
      huffman(parts[i].dc, i);
      huffman(parts[i].ac, 0x10 | i);
      append(header, std::array{static_cast<std::uint8_t>(parts[i].component + 1), static_cast<std::uint8_t>(0x11 * i)});
    }
    const std::size_t high = kind.refinement ? kind.low + 1 : 0;
    for (const std::size_t number : {kind.first, kind.last, high << 4 | kind.low})
      header.push_back(static_cast<std::uint8_t>(number));
    segment(SOS, header);
  }

  /// Image data with a zero stuffed behind every 255.
  void image_data(Bytes data) {
    while (!data.empty()) {
      const auto end = std::find(data.begin(), data.end(), 0xFF);
      const bool found = end != data.end();
      const auto length = static_cast<std::size_t>(end - data.begin()) + (found ? 1 : 0);
      append(file_, data.first(length));
      if (found) file_.push_back(0);
      data = data.subspan(length);
    }
  }

  [[nodiscard]] ByteList take() { return std::move(file_); }

 private:
  static void append_u16(ByteList& to, std::size_t value) {
    append(to, std::array{static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value & 255)});
  }

  void segment(std::size_t marker, const ByteList& data) {
    mark(marker);
    append_u16(file_, data.size() + 2);
    append(file_, data);
  }

  void quantiser(const QuantiserTable& steps, std::size_t number) {
    ByteList data{static_cast<std::uint8_t>(0x10 | number)};
    for (const std::uint16_t step : steps) append_u16(data, step);
    segment(DQT, data);
  }

  void huffman(const HuffmanTable* table, std::size_t name) {
    if (table == nullptr) return;
    ByteList data{static_cast<std::uint8_t>(name)};
    table->append_to(data);
    segment(DHT, data);
  }

  ByteList file_;
};

}  // namespace example::photo
