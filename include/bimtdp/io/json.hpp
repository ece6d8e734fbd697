// SPDX-License-Identifier: Apache-2.0
// A strict JSON parser on nlohmann/json's event interface: no duplicate keys, bounded depth and number of values,
// no NUL, nothing after the end. Numbers keep their kind, so that 1.0, -1 and 1e3 never pass for the integer 1.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/core/text.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bimtdp {

using Json = nlohmann::json;

struct JsonLimits {
  std::size_t depth = 8;                      ///< nested objects and arrays
  std::size_t values = std::size_t{1} << 20;  ///< objects, arrays, strings, numbers, ... in all
};

/// A value as it stands in the file, shortened, for a message; of an object or array what it is.
[[nodiscard]] inline std::string shown(const Json& value) {
  if (value.is_structured()) return "an " + std::string(value.type_name()) + " of " + std::to_string(value.size());
  return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60);
}

namespace detail {

/// Builds a Json value from parse events; every complaint is an Error that names `where`.
class StrictJsonBuilder final : public nlohmann::json_sax<Json> {
 public:
  StrictJsonBuilder(std::string_view where, const JsonLimits& limits) : where_(where), limits_(limits) {}

  [[nodiscard]] Json take() { return std::move(root_); }

  bool null() override { return put(nullptr) != nullptr; }
  bool boolean(bool value) override { return put(value) != nullptr; }
  bool number_integer(number_integer_t value) override { return put(value) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return put(value) != nullptr; }
  bool number_float(number_float_t value, const string_t&) override { return put(value) != nullptr; }
  bool string(string_t& value) override { return put(std::move(value)) != nullptr; }
  bool binary(binary_t&) override { fail(where_, "binary values are no JSON"); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    check(!open_.back()->contains(name), where_, "duplicate key ", in_quotes(name), " (got it twice, expected it once)");
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string& token, const nlohmann::detail::exception&) override {
    fail(where_, "malformed JSON at byte ", position, " (got ", in_quotes(token, 40), ", expected one JSON value)");
  }

 private:
  Json* put(Json value) {
    ++count_;
    check(count_ <= limits_.values, where_, "too many JSON values (got ", count_, " or more, expected at most ", limits_.values,
          ")");
    if (open_.empty()) return &(root_ = std::move(value));
    Json& parent = *open_.back();
    if (parent.is_object()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }
  bool open(Json container) {
    check(open_.size() < limits_.depth, where_, "JSON nested too deep (got ", open_.size() + 1,
          " or more levels, expected at most ", limits_.depth, ")");
    open_.push_back(put(std::move(container)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string where_;
  JsonLimits limits_;
  Json root_;
  std::vector<Json*> open_;  // containers being filled; only the innermost one grows, so the pointers stay valid
  std::string key_;
  std::size_t count_ = 0;
};

}  // namespace detail

/// Parses `text`. Throws Error, which begins with `where`, on anything but one complete JSON value within the limits.
[[nodiscard]] inline Json parse_json(std::string_view text, std::string_view where, const JsonLimits& limits = {}) {
  // nlohmann/json takes a NUL for the end of the text and skips a byte order mark.
  check(text.find('\0') == std::string_view::npos, where, "NUL byte in the JSON text (got byte 0, expected printable text)");
  check(text.substr(0, 3) != "\xEF\xBB\xBF", where, "byte order mark before the JSON text (got bytes 239, 187, 191, expected '{')");
  detail::StrictJsonBuilder builder(where, limits);
  const bool complete = Json::sax_parse(text.begin(), text.end(), &builder);
  check(complete, where, "malformed JSON (expected one JSON value)");
  return builder.take();
}

}  // namespace bimtdp
