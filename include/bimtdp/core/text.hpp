// SPDX-License-Identifier: Apache-2.0
// Text from files: which names and sentences a model may have, and how any bytes are shown on a terminal.
// Invariant: a file name is one component of a path on every system; printable text moves no cursor and turns no direction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace bimtdp {

/// True for the names that nodes and weights may have: [A-Za-z0-9_.]{1,128}.
[[nodiscard]] inline bool is_valid_name(std::string_view name) {
  if (name.empty() || name.size() > 128) return false;
  for (const char c : name) {
    const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '.') return false;
  }
  return true;
}

/// The name with A-Z as a-z: two files whose names differ in case alone are one on some systems.
[[nodiscard]] inline std::string lower_case(std::string_view name) {
  std::string text(name);
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

/// True for names that Windows gives to a device, whatever stands behind a dot: con, prn, aux, nul, com1, lpt1 and so on.
[[nodiscard]] inline bool is_device_name(std::string_view name) {
  std::string stem = lower_case(name.substr(0, name.find('.')));
  if (stem.size() == 4 && stem[3] >= '0' && stem[3] <= '9') stem[3] = '#';
  return stem == "con" || stem == "prn" || stem == "aux" || stem == "nul" || stem == "com#" || stem == "lpt#";
}

/// True for the names that tasks may have, which become names of files: valid names that neither begin nor end with a dot and
/// are no device's.
[[nodiscard]] inline bool is_task_name(std::string_view name) {
  return is_valid_name(name) && name.front() != '.' && name.back() != '.' && !is_device_name(name);
}

/// True for the names that models may have, which become names of folders: those of tasks, with '-' in the middle.
[[nodiscard]] inline bool is_model_name(std::string_view name) {
  std::string plain(name);
  for (std::size_t i = 1; i + 1 < plain.size(); ++i)
    if (plain[i] == '-') plain[i] = '_';
  return is_task_name(plain);
}

namespace detail {

/// The first code point of `text`, which is not empty, and its bytes; 0 bytes where it does not begin with valid UTF-8.
[[nodiscard]] inline std::pair<std::uint32_t, std::size_t> first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {lead, 0};
  std::uint32_t value = lead & (0x7Fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0u) != 0x80) return {lead, 0};
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  const std::uint32_t least = bytes == 4 ? 0x10000 : bytes == 3 ? 0x800 : 0x80;
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  return {value, value >= least && value <= 0x10FFFF && !surrogate ? bytes : 0};
}

/// False for what a terminal obeys instead of showing it: controls, separators of lines, marks that turn the direction of text.
[[nodiscard]] inline bool is_visible(std::uint32_t c) {
  const bool control = c < 0x20 || (c >= 0x7F && c <= 0x9F);
  const bool direction = c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
  return !control && !direction && c != 0x2028 && c != 0x2029;
}

}  // namespace detail

/// `text` with the bytes of everything but printable UTF-8 as \xNN. Text that came out of it stays as it is.
[[nodiscard]] inline std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const auto [value, bytes] = detail::first_code_point(text);
    const std::string_view part = text.substr(0, bytes == 0 ? 1 : bytes);
    if (bytes != 0 && detail::is_visible(value)) {
      result += part;
    } else {
      for (const char c : part) {
        const auto byte = static_cast<unsigned char>(c);
        result += {'\\', 'x', "0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
      }
    }
    text.remove_prefix(part.size());
  }
  return result;
}

/// True for printable UTF-8.
[[nodiscard]] inline bool is_printable(std::string_view text) { return printable(text).size() == text.size(); }

/// The beginning of a text of unknown length, in quotes, for a message.
[[nodiscard]] inline std::string in_quotes(std::string_view text, std::size_t most = 64) {
  return '\'' + std::string(text.substr(0, most)) + (text.size() > most ? "...'" : "'");
}

}  // namespace bimtdp
