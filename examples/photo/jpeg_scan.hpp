// SPDX-License-Identifier: Apache-2.0
// The image data of a JPEG scan: every code is read, and what belongs to the picture is written again.
#pragma once

#include "jpeg_writer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace example::photo {

/// Image data up to the next marker, which is not taken, without stuffed bytes.
[[nodiscard]] inline ByteList read_interval(ByteReader& file) {
  ByteList data;
  while (true) {
    const Bytes rest = file.rest();
    const auto end = std::find(rest.begin(), rest.end(), 0xFF);
    append(data, file.take(static_cast<std::size_t>(end - rest.begin()), "image data"));
    ByteReader ahead = file;
    if (next_marker(ahead) != 0) return data;
    file = ahead;
    data.push_back(0xFF);
  }
}

/// Over what lies between the last block of a scan and the next marker that is no restart.
inline void skip_to_marker(ByteReader& file) {
  ByteReader ahead = file;
  do {
    file = ahead;
    static_cast<void>(read_interval(file));
    ahead = file;
  } while (is_restart(next_marker(ahead)));
}

class ScanReader {
 public:
  ScanReader(ByteReader& file, JpegWriter& writer, Frame& frame, const std::vector<ScanPart>& parts, const ScanKind& kind)
      : file_(file), writer_(writer), frame_(frame), parts_(parts), kind_(kind) {}

  /// Throws Error where a code is wrong, or a block or restart marker missing. `restart_interval` 0: there are no restarts.
  void read(std::size_t restart_interval) {
    const Component& alone = frame_.components[parts_[0].component];
    wide_ = interleaved() ? frame_.units_wide : alone.blocks_wide;
    const std::size_t units = wide_ * (interleaved() ? frame_.units_high : alone.blocks_high);
    const std::size_t interval = restart_interval > 0 ? restart_interval : units;
    for (std::size_t begin = 0, restart = 0; begin < units; begin += interval, ++restart) {
      if (restart > 0) {
        const std::size_t marker = next_marker(file_);
        file_.expect(marker == RST0 + (restart - 1) % 8, "a restart marker of its image data is missing or out of order");
        writer_.mark(marker);
      }
      read_units(begin, std::min(units, begin + interval), units);
    }
    skip_to_marker(file_);
  }

 private:
  [[nodiscard]] bool interleaved() const { return parts_.size() > 1; }

  void read_units(std::size_t begin, std::size_t end, std::size_t units) {
    const ByteList data = read_interval(file_);
    BlockReader reader(data, kind_);
    for (const ScanPart& part : parts_) frame_.components[part.component].predicted = 0;
    for (std::size_t unit = begin; unit < end; ++unit)
      for (const ScanPart& part : parts_)
        if (!read_unit(reader, part, unit)) {
          if (reader.bits().exhausted())
            bimtdp::fail(file_.where(), "the JPEG file is cut off in its image data (got ", unit, " units, expected ", units, ")");
          file_.damaged("its image data are no sound codes");
        }
    file_.expect(reader.empty_blocks() == 0, "its image data hold more blocks than the picture");
    const std::size_t used = reader.bits().bytes();
    file_.expect(end == units || used == data.size(), "its image data go on where a restart is due");
    writer_.image_data(Bytes(data).first(used));
  }

  /// The blocks of a component in one unit of the scan.
  [[nodiscard]] bool read_unit(BlockReader& reader, const ScanPart& part, std::size_t unit) {
    Component& c = frame_.components[part.component];
    const std::size_t row = unit / wide_, column = unit % wide_;
    if (!interleaved()) return reader.read(c, row * c.padded_wide + column, part.dc, part.ac);
    for (std::size_t y = row * c.vertical; y < (row + 1) * c.vertical; ++y)
      for (std::size_t x = column * c.horizontal; x < (column + 1) * c.horizontal; ++x)
        if (!reader.read(c, y * c.padded_wide + x, part.dc, part.ac)) return false;
    return true;
  }

  ByteReader& file_;
  JpegWriter& writer_;
  Frame& frame_;
  const std::vector<ScanPart>& parts_;
  const ScanKind& kind_;
  std::size_t wide_ = 0;  ///< units in a row
};

}  // namespace example::photo
