// SPDX-License-Identifier: Apache-2.0
// JsonValue: what a JSON text says. Values of our own, because destroying those of nlohmann/json allocates, which ends the program
// where memory is short.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/core/text.hpp>

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace bimtdp {

/// Null, a bool, an integer >= 0, one below 0, a double, a string, an array or an object, whose keys are sorted. Numbers keep their
/// kind: 1, -1 and 1.0 are three. The accessors of another kind than the value's throw std::bad_variant_access.
class JsonValue {
 public:
  using Array = std::vector<JsonValue>;
  using Object = std::map<std::string, JsonValue, std::less<>>;

  JsonValue() = default;
  JsonValue(Array values) : value_(std::move(values)) {}
  JsonValue(Object fields) : value_(std::move(fields)) {}
  JsonValue(std::string text) : value_(std::move(text)) {}
  JsonValue(std::string_view text) : value_(std::string(text)) {}
  JsonValue(const char* text) : value_(std::string(text)) {}
  template <class T>
  requires std::same_as<T, bool> || std::unsigned_integral<T> || std::signed_integral<T> || std::floating_point<T> JsonValue(
      T value) {
    if constexpr (std::same_as<T, bool>) {
      value_ = value;
    } else if constexpr (std::floating_point<T>) {
      value_ = static_cast<double>(value);
    } else if (std::unsigned_integral<T> || value >= 0) {
      value_ = static_cast<std::uint64_t>(value);
    } else {
      value_ = static_cast<std::int64_t>(value);
    }
  }
  /// Of a text with a minus sign: no unsigned number, even where it says -0.
  [[nodiscard]] static JsonValue negative(std::int64_t value) {
    JsonValue result;
    result.value_ = value;
    return result;
  }
  /// An array of what `values` holds.
  template <class Range>
  [[nodiscard]] static JsonValue array_of(const Range& values) {
    return Array(values.begin(), values.end());
  }

  [[nodiscard]] bool is_boolean() const { return std::holds_alternative<bool>(value_); }
  [[nodiscard]] bool is_unsigned() const { return std::holds_alternative<std::uint64_t>(value_); }
  [[nodiscard]] bool is_number() const { return value_.index() >= 2 && value_.index() <= 4; }
  [[nodiscard]] bool is_string() const { return std::holds_alternative<std::string>(value_); }
  [[nodiscard]] bool is_array() const { return std::holds_alternative<Array>(value_); }
  [[nodiscard]] bool is_object() const { return std::holds_alternative<Object>(value_); }
  /// "null", "boolean", "number", "string", "array" or "object".
  [[nodiscard]] std::string_view type_name() const {
    if (is_number()) return "number";
    if (is_boolean()) return "boolean";
    return is_string() ? "string" : is_array() ? "array" : is_object() ? "object" : "null";
  }

  [[nodiscard]] bool boolean() const { return std::get<bool>(value_); }
  [[nodiscard]] std::uint64_t integer() const { return std::get<std::uint64_t>(value_); }
  /// A number of any kind, rounded to the nearest double.
  [[nodiscard]] double number() const {
    if (const auto* integer = std::get_if<std::uint64_t>(&value_)) return static_cast<double>(*integer);
    if (const auto* negative = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*negative);
    return std::get<double>(value_);
  }
  [[nodiscard]] const std::string& text() const { return std::get<std::string>(value_); }
  [[nodiscard]] const Array& array() const { return std::get<Array>(value_); }
  [[nodiscard]] Array& array() { return std::get<Array>(value_); }
  [[nodiscard]] const Object& object() const { return std::get<Object>(value_); }
  [[nodiscard]] Object& object() { return std::get<Object>(value_); }

  /// The JSON text: sorted keys, no spaces, ASCII. Throws Error where a string is not UTF-8.
  [[nodiscard]] std::string to_text() const {
    std::string out;
    std::visit([&](const auto& value) { append(out, value); }, value_);
    return out;
  }

 private:
  static void append(std::string& out, std::monostate) { out += "null"; }
  static void append(std::string& out, bool value) { out += value ? "true" : "false"; }
  template <class Number>
  requires std::integral<Number> || std::floating_point<Number>
  static void append(std::string& out, Number value) {
    if constexpr (std::floating_point<Number>)
      if (!std::isfinite(value)) return append(out, std::monostate());  // JSON has no such number
    char digits[32];
    const std::string_view text(digits,
                                static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr - digits));
    out += text;
    if (std::floating_point<Number> && text.find_first_not_of("-0123456789") == text.npos) out += ".0";  // it keeps its kind
  }
  static void append(std::string& out, const std::string& text) {
    out += '"';
    for (std::size_t i = 0; i < text.size();) {
      const auto [code, bytes] = detail::first_code_point(std::string_view(text).substr(i));
      demand(bytes > 0, "JSON", "text (got ", in_quotes(text), ", expected UTF-8)");
      i += bytes;
      if (code == '"' || code == '\\') {
        out += {'\\', static_cast<char>(code)};
      } else if (code >= 0x20 && code < 0x7F) {
        out += static_cast<char>(code);
      } else if (code < 0x10000) {
        append_escaped(out, code);
      } else {
        append_escaped(out, 0xD800 + ((code - 0x10000) >> 10));
        append_escaped(out, 0xDC00 + ((code - 0x10000) & 0x3FF));
      }
    }
    out += '"';
  }
  static void append_escaped(std::string& out, std::uint32_t unit) {
    out += "\\u";
    for (const int shift : {12, 8, 4, 0}) out += "0123456789abcdef"[(unit >> shift) & 15];
  }
  static void append(std::string& out, const Array& values) {
    out += '[';
    for (const JsonValue& value : values) {
      if (&value != &values.front()) out += ',';
      out += value.to_text();
    }
    out += ']';
  }
  static void append(std::string& out, const Object& fields) {
    out += '{';
    for (const auto& [key, value] : fields) {
      if (out.back() != '{') out += ',';
      append(out, key);
      out += ':';
      out += value.to_text();
    }
    out += '}';
  }

  std::variant<std::monostate, bool, std::uint64_t, std::int64_t, double, std::string, Array, Object> value_{};
};

}  // namespace bimtdp
