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
  JsonObject(const Json& value, std::string where) : value_(value), where_(std::move(where)) {
    check(value.is_object(), where_, "is no object (got ", value.type_name(), ", expected an object)");
  }

  [[nodiscard]] const std::string& where() const { return where_; }

  /// The field, or null when it is missing.
  [[nodiscard]] const Json* find(std::string_view key) {
    const auto found = value_.find(std::string(key));
    if (found == value_.end()) return nullptr;
    taken_.emplace(key);
    return &*found;
  }
  [[nodiscard]] const Json& at(std::string_view key) {
    const Json* field = find(key);
    check(field != nullptr, where_, "missing field '", key, "' (got none, expected one)");
    return *field;
  }

  [[nodiscard]] std::uint64_t integer(std::string_view key, std::uint64_t most) { return to_integer(at(key), key, most); }
  [[nodiscard]] bool boolean(std::string_view key) {
    const Json& field = at(key);
    check(field.is_boolean(), where_, key, " (got ", shown(field), ", expected true or false)");
    return field.get<bool>();
  }
  [[nodiscard]] std::string text(std::string_view key, std::size_t most) { return to_text(at(key), key, most); }
  [[nodiscard]] const Json& array(std::string_view key, std::size_t least, std::size_t most) {
    const Json& field = at(key);
    check(field.is_array(), where_, key, " (got ", shown(field), ", expected an array)");
    check(field.size() >= least && field.size() <= most, where_, key, " (got ", field.size(), " items, expected ", least,
          least == most ? std::string() : " to " + std::to_string(most), ")");
    return field;
  }

  [[nodiscard]] std::uint64_t to_integer(const Json& field, std::string_view key, std::uint64_t most) const {
    check(field.is_number_unsigned(), where_, key, " (got ", shown(field), ", expected an integer >= 0)");
    const auto value = field.get<std::uint64_t>();
    check(value <= most, where_, key, " (got ", value, ", expected at most ", most, ")");
    return value;
  }
  [[nodiscard]] double to_number(const Json& field, std::string_view key) const {
    check(field.is_number(), where_, key, " (got ", shown(field), ", expected a number)");
    const double value = field.get<double>();
    check(std::isfinite(value), where_, key, " is not finite (got ", shown(field), ", expected a finite number)");
    return value;
  }
  [[nodiscard]] std::string to_text(const Json& field, std::string_view key, std::size_t most) const {
    check(field.is_string(), where_, key, " (got ", shown(field), ", expected a string)");
    const auto& value = field.get_ref<const std::string&>();
    check(value.size() <= most, where_, key, " (got ", value.size(), " bytes, expected at most ", most, ")");
    check(is_printable(value), where_, key, " (got ", in_quotes(printable(value)), ", expected printable text)");
    return value;
  }

  /// Throws Error when the object has a field that was not read.
  void finish() const {
    for (const auto& [key, unused] : value_.items())
      check(taken_.contains(key), where_, "unknown field ", in_quotes(key), " (got a value, expected no such field)");
  }

 private:
  const Json& value_;
  std::string where_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace bimtdp
