// SPDX-License-Identifier: Apache-2.0
// A strict walk over a JPEG file: every segment and every code of its image data, to the end marker.
//
// It leaves the same picture with plain headers, so that a decoder has nothing to refuse, to guess or to fill in, and all
// decoders agree. Accepted as libjpeg does: fill bytes, bytes and restart markers between the last block of a scan and the next
// marker (drones, some cameras), anything behind the end marker (pictures for preview), missing Huffman tables (Motion JPEG).
#pragma once

#include "exif.hpp"
#include "jpeg_scan.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace example::photo {

class JpegWalk {
 public:
  JpegWalk(std::string_view where, Bytes file) : file_(where, "JPEG", file) {}

  /// Throws Error for files that are cut off, damaged, too large or of a kind that is not read.
  [[nodiscard]] WalkedPhoto walk() {
    file_.expect(next_marker(file_) == SOI, "it does not begin with a start marker");
    for (std::size_t marker = next_marker(file_); marker != EOI; marker = next_marker(file_)) read_marker(marker);
    file_.expect(!frame_.components.empty(), "there is no frame header");
    for (const Component& component : frame_.components)
      for (const int low : component.low_bit)
        bimtdp::demand(low == 0, file_.where(), "the JPEG file is cut off: scans of its image data are missing");
    writer_.mark(EOI);
    return {writer_.take(), frame_.width, frame_.height, frame_.components.size(), exif_orientation(exif_)};
  }

 private:
  static constexpr std::size_t max_scans = 100;  ///< encoders write about ten
  /// Of all scans, for a scan of a few bytes can cost a decoder a pass over the picture: of the largest one, ten scans of a colour
  /// photo have 12 million.
  static constexpr std::size_t max_blocks = std::size_t{1} << 24;

  void read_marker(std::size_t marker) {
    if (marker == SOS) return read_scan(next_segment(file_, "scan header"));
    if (marker == DHT) return read_huffman(next_segment(file_, "Huffman table"), tables_);
    if (marker == DQT) return read_quantisers(next_segment(file_, "quantisation table"), tables_);
    if (marker == DRI) return read_restart_interval(next_segment(file_, "restart interval"), tables_);
    if (marker == DNL) return check_lines(next_segment(file_, "number of lines"));
    if (marker >= SOF0 && marker <= SOF15 && marker != DAC) {
      file_.expect(frame_.components.empty(), "there is a second frame header");
      frame_ = read_frame(next_segment(file_, "frame header"), marker);
      return;
    }
    file_.expect((marker >= APP0 && marker <= APP15) || marker == COM, "marker ", marker, " is unknown or out of place");
    read_application(next_segment(file_, "application segment"), marker);
  }

  void read_application(ByteReader segment, std::size_t marker) {
    using namespace std::string_view_literals;
    const Bytes data = segment.rest();
    const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
    if (marker == APP0 && data.size() >= 14 && text.starts_with("JFIF\0"sv)) jfif_ = true;
    if (marker == APP1 && text.starts_with("Exif\0\0"sv)) append(exif_, data.subspan(6));  // long ones go on in the next segment
    if (marker == APP14 && data.size() >= 12 && text.starts_with("Adobe"sv)) adobe_ = data[11];
  }

  void check_lines(ByteReader segment) const {
    const std::size_t lines = segment.u16("number of lines");
    segment.expect(segment.left() == 0 && lines == frame_.height, "the number of lines is ", lines, ", the frame header says ",
                   frame_.height);
  }

  void read_scan(ByteReader segment) {
    file_.expect(!frame_.components.empty(), "image data stand before the frame header");
    file_.expect(++scans_ <= max_scans, "there are more than ", max_scans, " scans");
    std::vector<Named> names = read_names(segment);
    const ScanKind kind = read_kind(segment, names.size());
    std::vector<ScanPart> parts;
    for (const Named& name : names) {
      begin(frame_.components[name.component], kind);
      blocks_ += frame_.components[name.component].blocks_wide * frame_.components[name.component].blocks_high;
      const bool first_dc = kind.first == 0 && !kind.refinement;
      parts.push_back(
          {name.component, first_dc ? huffman(false, name.dc) : nullptr, kind.last > 0 ? huffman(true, name.ac) : nullptr});
    }
    file_.expect(blocks_ <= max_blocks, "its scans have more than ", max_blocks, " blocks in all");
    if (scans_ == 1) begin_file();
    writer_.begin_scan(frame_, parts, kind, tables_.restart_interval);
    ScanReader(file_, writer_, frame_, parts, kind).read(tables_.restart_interval);
  }

  struct Named {  ///< a component in a scan header and the numbers of its tables
    std::size_t component = 0, dc = 0, ac = 0;
  };

  [[nodiscard]] std::vector<Named> read_names(ByteReader& segment) const {
    std::vector<Named> names(segment.u8("scan header"));
    segment.expect(!names.empty() && names.size() <= frame_.components.size(), "a scan has ", names.size(), " components");
    std::size_t next = 0, blocks = 0;  // components stand in the frame's order
    for (Named& name : names) {
      const std::size_t id = segment.u8("scan header"), number = segment.u8("scan header");
      while (next < frame_.components.size() && frame_.components[next].id != id) ++next;
      segment.expect(next < frame_.components.size(), "a scan names component ", id, ", which is not there or out of order");
      name = {next++, number >> 4, number & 15};
      segment.expect(name.dc < 4 && name.ac < 4, "a scan wants Huffman tables ", name.dc, " and ", name.ac, ", expected 0 to 3");
      blocks += frame_.components[name.component].horizontal * frame_.components[name.component].vertical;
    }
    segment.expect(names.size() == 1 || blocks <= 10, "a scan interleaves ", blocks, " blocks, expected at most 10");
    return names;
  }

  [[nodiscard]] ScanKind read_kind(ByteReader& segment, std::size_t components) const {
    const std::size_t first = segment.u8("scan header"), last = segment.u8("scan header"), bits = segment.u8("scan header");
    const std::size_t high = bits >> 4, low = bits & 15;
    segment.expect(segment.left() == 0, "a scan header is too long");
    if (!frame_.progressive) {
      segment.expect(first == 0 && bits == 0, "a scan of a sequential picture holds a part of the coefficients");
      return {};  // some cameras write another last coefficient than 63
    }
    const bool band = first == 0 ? last == 0 : components == 1 && first <= last && last <= 63;
    segment.expect(band && low <= 13 && (high == 0 || high == low + 1), "a scan holds coefficients ", first, " to ", last,
                   ", bits ", high, " to ", low);
    return {true, high != 0, first, last, low};
  }

  /// Notes what the scan brings: every bit of every coefficient comes once and in order, with one quantisation table.
  void begin(Component& component, const ScanKind& kind) const {
    const std::optional<QuantiserTable>& table = tables_.quantisers[component.quantiser];
    file_.expect(table.has_value(), "quantisation table ", component.quantiser, " is missing");
    file_.expect(!component.begun || component.steps == *table, "a quantisation table changes between scans");
    component.steps = *table;
    component.begun = true;
    const int expected = kind.refinement ? static_cast<int>(kind.low) + 1 : Component::unread;
    file_.expect(kind.first == 0 || component.low_bit[0] != Component::unread, "scans of its image data are out of order");
    for (std::size_t k = kind.first; k <= kind.last; ++k) {
      file_.expect(component.low_bit[k] == expected, "scans of its image data come twice or out of order");
      component.low_bit[k] = static_cast<int>(kind.low);
    }
  }

  /// A table of a scan; the standard one where a sequential picture has none.
  [[nodiscard]] const HuffmanTable* huffman(bool ac, std::size_t number) {
    std::optional<HuffmanTable>& table = tables_.huffman[ac ? 1 : 0][number];
    if (!table && !frame_.progressive && number < 2) table = standard_table(ac, number == 1);
    file_.expect(table.has_value(), ac ? "AC" : "DC", " Huffman table ", number, " is missing");
    return &*table;
  }

  /// The headers, with the colours that libjpeg sees.
  void begin_file() {
    const std::vector<Component>& c = frame_.components;
    std::size_t transform = 0;
    if (c.size() == 3) {
      const bool rgb = adobe_ ? *adobe_ == 0 : c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B';
      transform = jfif_ || !rgb ? 1 : 0;
    } else if (c.size() == 4) {
      transform = adobe_.value_or(0) == 0 ? 0 : 2;
    }
    writer_.begin(frame_, transform);
  }

  ByteReader file_;
  JpegWriter writer_;
  Frame frame_;
  Tables tables_;
  ByteList exif_;
  bool jfif_ = false;
  std::optional<std::size_t> adobe_;  ///< transform of Adobe's marker
  std::size_t scans_ = 0, blocks_ = 0;
};

}  // namespace example::photo
