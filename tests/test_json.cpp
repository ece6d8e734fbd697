// SPDX-License-Identifier: Apache-2.0
// JSON values and texts, held against nlohmann/json; what the strict parser refuses.
#include <bimtdp/io/json.hpp>
#include <bimtdp/io/json_fields.hpp>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "errors.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <variant>
#include <vector>

using namespace bimtdp;
using test::error_of;
using test::holds;

namespace {

std::string parse(const std::string& text) { return parse_json(text, "here").to_text(); }

/// A random value of at most `depth` levels.
nlohmann::json random_value(std::mt19937& random, int depth) {
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random()) % limit; };
  switch (below(depth > 0 ? 8 : 6)) {
    case 0:
      return nullptr;
    case 1:
      return below(2) == 0;
    case 2:
      return std::uint64_t{random()} << below(33);
    case 3:
      return -static_cast<std::int64_t>(std::uint64_t{random()} << below(31)) - 1;
    case 4:
      return std::ldexp(static_cast<double>(random()), static_cast<int>(below(30)) - 40);
    case 5: {
      static const std::vector<std::string> parts{"a", "\"", "\\", "\n", "\x1f", "\x7f", "/", "\u00e9", "\u20ac", "\U0001f600"};
      std::string text;
      for (std::size_t i = below(6); i > 0; --i) text += parts[below(parts.size())];
      return text;
    }
    case 6: {
      nlohmann::json array = nlohmann::json::array();
      for (std::size_t i = below(5); i > 0; --i) array.push_back(random_value(random, depth - 1));
      return array;
    }
    default: {
      nlohmann::json object = nlohmann::json::object();
      for (std::size_t i = below(5); i > 0; --i) object["k" + std::to_string(below(100))] = random_value(random, depth - 1);
      return object;
    }
  }
}

}  // namespace

TEST_CASE("texts come back as they were and mean the same to others") {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    const nlohmann::json value = random_value(random, 4);
    const std::string text = parse(value.dump());
    INFO(value.dump());
    CHECK(nlohmann::json::parse(text) == value);
    CHECK(parse(text) == text);
    CHECK(std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; }));
  }
}

TEST_CASE("numbers keep their kind") {
  CHECK(parse("[1, -1, 1.0, 1e3, 18446744073709551615, -9223372036854775808, 0.1, 1e-07]") ==
        "[1,-1,1.0,1000.0,18446744073709551615,-9223372036854775808,0.1,1e-07]");
  CHECK(parse_json("1", "").is_unsigned());
  CHECK_FALSE(parse_json("1.0", "").is_unsigned());
  CHECK_FALSE(parse_json("-1", "").is_unsigned());
  CHECK_FALSE(parse_json("-0", "").is_unsigned());
  CHECK(parse_json("-1", "").number() == -1.0);
  CHECK(JsonValue(std::numeric_limits<double>::infinity()).to_text() == "null");
  CHECK(JsonValue(true).to_text() == "true");
  CHECK(JsonValue(false).to_text() == "false");
  CHECK(JsonValue(-7).to_text() == "-7");
  CHECK(JsonValue(7).is_unsigned());
  CHECK(JsonValue("true").to_text() == "\"true\"");
  CHECK_THROWS_AS((void)JsonValue(1.0).integer(), std::bad_variant_access);
}

TEST_CASE("keys are sorted, text is ASCII") {
  CHECK(parse("{\"b\": \"\u00e9\", \"a\": {}}") == R"({"a":{},"b":"\u00e9"})");
  CHECK(parse("\"\U0001f600\"") == R"("\ud83d\ude00")");
  CHECK(holds(error_of([] { (void)JsonValue("\xff").to_text(); }), {"expected UTF-8", "\\xff"}));
}

TEST_CASE("what is no single JSON value within the limits is refused") {
  CHECK(holds(error_of([] { (void)parse(R"({"a": 1, "a": 2})"); }), {"here", "duplicate key 'a'"}));
  CHECK(holds(error_of([] { (void)parse("[[[[[[[[[]]]]]]]]]"); }), {"here", "nested too deep", "at most 8"}));
  CHECK(parse("[[[[[[[[]]]]]]]]") == "[[[[[[[[]]]]]]]]");
  CHECK(holds(error_of([] { (void)parse_json("[1,2,3]", "here", {.values = 3}); }), {"too many JSON values"}));
  CHECK(parse_json("[1,2]", "here", {.values = 3}).to_text() == "[1,2]");
  for (const char* text :
       {"", " ", "{", "[1,]", "[1] 2", "{\"a\"}", "nul", "01", "+1", "\"\n\"", "\"\\x\"", "\"\xff\"", "NaN", "'a'"}) {
    INFO(text);
    CHECK(holds(error_of([&] { (void)parse(text); }), {"here", "malformed JSON"}));
  }
  CHECK(holds(error_of([] { (void)parse(std::string("1\0", 2)); }), {"NUL byte"}));
  CHECK(holds(error_of([] { (void)parse("\xEF\xBB\xBF{}"); }), {"byte order mark"}));
}

TEST_CASE("fields have their types") {
  const JsonValue value(JsonValue::Object{{"infinite", std::numeric_limits<double>::infinity()}, {"one", 1u}});
  JsonObject object(value, "here");
  CHECK(object.to_number(object.at("one"), "one") == 1.0);
  CHECK(holds(error_of([&] { (void)object.to_number(object.at("infinite"), "infinite"); }), {"here: infinite is not finite"}));
  CHECK(holds(error_of([&] { (void)object.boolean("one"); }), {"here: one (got 1, expected true or false)"}));
}
