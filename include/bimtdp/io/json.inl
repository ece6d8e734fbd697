// SPDX-License-Identifier: Apache-2.0
// JSON texts, parsed.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/core/text.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bimtdp {

namespace detail {

/// Builds a value from parse events; every complaint is an Error that names `where`.
class StrictJsonBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  StrictJsonBuilder(std::string_view where, const JsonLimits& limits) : where_(where), limits_(limits) {}

  [[nodiscard]] JsonValue take() { return std::move(root_); }

  bool null() override { return put({}) != nullptr; }
  bool boolean(bool value) override { return put(value) != nullptr; }
  bool number_integer(number_integer_t value) override { return put(JsonValue::negative(value)) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return put(value) != nullptr; }
  bool number_float(number_float_t value, const string_t&) override { return put(value) != nullptr; }
  bool string(string_t& value) override { return put(std::move(value)) != nullptr; }
  bool binary(binary_t&) override { fail(where_, "binary values are no JSON"); }
  bool start_object(std::size_t) override { return open(JsonValue::Object()); }
  bool start_array(std::size_t) override { return open(JsonValue::Array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    demand(!open_.back()->object().contains(name), where_, "duplicate key ", in_quotes(name), " (got it twice, expected it once)");
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string& token, const nlohmann::detail::exception&) override {
    fail(where_, "malformed JSON at byte ", position, " (got ", in_quotes(token, 40), ", expected one JSON value)");
  }

 private:
  JsonValue* put(JsonValue value) {
    ++count_;
    demand(count_ <= limits_.values, where_, "too many JSON values (got ", count_, " or more, expected at most ", limits_.values,
           ")");
    if (open_.empty()) return &(root_ = std::move(value));
    JsonValue& parent = *open_.back();
    if (parent.is_object()) return &(parent.object()[key_] = std::move(value));
    return &parent.array().emplace_back(std::move(value));
  }
  bool open(JsonValue container) {
    demand(open_.size() < limits_.depth, where_, "JSON nested too deep (got ", open_.size() + 1,
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
  JsonValue root_;
  std::vector<JsonValue*> open_;  // containers being filled; only the innermost one grows, so the pointers stay valid
  std::string key_;
  std::size_t count_ = 0;
};

}  // namespace detail

JsonValue parse_json(std::string_view text, std::string_view where, const JsonLimits& limits) {
  // nlohmann/json takes a NUL for the end of the text and skips a byte order mark.
  demand(text.find('\0') == std::string_view::npos, where, "NUL byte in the JSON text (got byte 0, expected printable text)");
  demand(text.substr(0, 3) != "\xEF\xBB\xBF", where,
         "byte order mark before the JSON text (got bytes 239, 187, 191, expected '{')");
  detail::StrictJsonBuilder builder(where, limits);
  const bool complete = nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  demand(complete, where, "malformed JSON (expected one JSON value)");
  return builder.take();
}

}  // namespace bimtdp
