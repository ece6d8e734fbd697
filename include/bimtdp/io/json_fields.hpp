// SPDX-License-Identifier: Apache-2.0
// JsonObject: reads the fields of one JSON object by name and type, and refuses the ones that nobody asked for.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/core/text.hpp>
#include <bimtdp/io/json.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace bimtdp {

class JsonObject {
 public:
  /// `where` begins every message: file and path inside it. `value` must outlive the object.
  JsonObject(const JsonValue& value, std::string where) : value_(value), where_(std::move(where)) {
    demand(value.is_object(), where_, "is no object (got ", value.type_name(), ", expected an object)");
  }

  [[nodiscard]] const std::string& where() const { return where_; }

  /// The field, or null when it is missing.
  [[nodiscard]] const JsonValue* find(std::string_view key) {
    const auto found = value_.object().find(key);
    if (found == value_.object().end()) return nullptr;
    taken_.emplace(key);
    return &found->second;
  }
  [[nodiscard]] const JsonValue& at(std::string_view key) {
    const JsonValue* field = find(key);
    demand(field != nullptr, where_, "missing field '", key, "' (got none, expected one)");
    return *field;
  }

  [[nodiscard]] std::uint64_t integer(std::string_view key, std::uint64_t most) { return to_integer(at(key), key, most); }
  [[nodiscard]] bool boolean(std::string_view key) {
    const JsonValue& field = at(key);
    demand(field.is_boolean(), where_, key, " (got ", shown(field), ", expected true or false)");
    return field.boolean();
  }
  [[nodiscard]] std::string text(std::string_view key, std::size_t most) { return to_text(at(key), key, most); }
  [[nodiscard]] const JsonValue::Array& array(std::string_view key, std::size_t least, std::size_t most) {
    const JsonValue& field = at(key);
    demand(field.is_array(), where_, key, " (got ", shown(field), ", expected an array)");
    const std::size_t items = field.array().size();
    demand(items >= least && items <= most, where_, key, " (got ", items, " items, expected ", least,
           least == most ? std::string() : " to " + std::to_string(most), ")");
    return field.array();
  }

  [[nodiscard]] std::uint64_t to_integer(const JsonValue& field, std::string_view key, std::uint64_t most) const {
    demand(field.is_unsigned(), where_, key, " (got ", shown(field), ", expected an integer >= 0)");
    const auto value = field.integer();
    demand(value <= most, where_, key, " (got ", value, ", expected at most ", most, ")");
    return value;
  }
  [[nodiscard]] double to_number(const JsonValue& field, std::string_view key) const {
    demand(field.is_number(), where_, key, " (got ", shown(field), ", expected a number)");
    const double value = field.number();
    demand(std::isfinite(value), where_, key, " is not finite (got ", shown(field), ", expected a finite number)");
    return value;
  }
  [[nodiscard]] std::string to_text(const JsonValue& field, std::string_view key, std::size_t most) const {
    demand(field.is_string(), where_, key, " (got ", shown(field), ", expected a string)");
    const auto& value = field.text();
    demand(value.size() <= most, where_, key, " (got ", value.size(), " bytes, expected at most ", most, ")");
    demand(is_printable(value), where_, key, " (got ", in_quotes(printable(value)), ", expected printable text)");
    return value;
  }

  /// Throws Error when the object has a field that was not read.
  void finish() const {
    for (const auto& [key, unused] : value_.object())
      demand(taken_.contains(key), where_, "unknown field ", in_quotes(key), " (got a value, expected no such field)");
  }

 private:
  const JsonValue& value_;
  std::string where_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace bimtdp
