// SPDX-License-Identifier: Apache-2.0
// Names that may become files, and text that may reach a terminal.
#include <bimtdp/core/error.hpp>
#include <bimtdp/core/text.hpp>
#include <bimtdp/io/model_info.hpp>

#include "catch.hpp"
#include "errors.hpp"

#include <string>

using namespace bimtdp;

TEST_CASE("a model's and a task's name are one component of a path") {
  for (const char* good : {"depth", "a", "bi_mtdp_w18.v2", "0", "_", "console", "x.con", "com", "com12", "nul_"}) {
    CHECK(is_task_name(good));
    CHECK(is_model_name(good));
  }
  CHECK(is_model_name("my-model--v1"));
  CHECK_FALSE(is_task_name("my-model"));
  for (const std::string bad : {"",   ".",   "..",  ".x",       "x.", "a/b", "/a",  "a\\b",   "c:",   "-x",
                                "x-", "a b", "a\n", "\xC3\xA9", "~",  "con", "NUL", "aux.v2", "Com1", "lpt0.x.y"}) {
    INFO(bad);
    CHECK_FALSE(is_task_name(bad));
    CHECK_FALSE(is_model_name(bad));
  }
  CHECK(is_model_name(std::string(128, 'n')));
  CHECK_FALSE(is_model_name(std::string(129, 'n')));
  CHECK_FALSE(is_model_name(std::string_view("a\0b", 3)));
}

TEST_CASE("printable text is shown, all else escaped") {
  for (const char* good : {"", "wall", "\xC3\xA9t\xC3\xA9", "\xE6\x97\xA5\xE6\x9C\xAC", "\xF0\x9F\x98\x80", "a\\x1b"}) {
    CHECK(printable(good) == good);
    CHECK(is_printable(good));
  }
  CHECK(printable("\x1b[2J\n") == "\\x1b[2J\\x0a");
  CHECK(printable("\x7f") == "\\x7f");
  CHECK(printable("\xC2\x9B") == "\\xc2\\x9b");  // a control of Latin-1
  CHECK(printable("\xE2\x80\xAE"
                  "exe") ==
        "\\xe2\\x80\\xae"
        "exe");                                           // turns the direction
  CHECK(printable("\xE2\x80\xA8") == "\\xe2\\x80\\xa8");  // line separator
  for (const char* bad :
       {"\xff", "\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80", "\x80", "\xC3("}) {
    CHECK_FALSE(is_printable(bad));
    CHECK(printable(printable(bad)) == printable(bad));
  }
  CHECK(printable("\xC3(") == "\\xc3(");
  CHECK(in_quotes(std::string(70, 'x')) == "'" + std::string(64, 'x') + "...'");
}

TEST_CASE("an Error is printable whatever it quotes") {
  CHECK(std::string(Error("a\x1b]0;title\a").what()) == "a\\x1b]0;title\\x07");
  CHECK(test::error_of([] { fail("f\r.png", "got '\x9b'"); }) == "f\\x0d.png: got '\\x9b'");
}

TEST_CASE("what a model says of itself is checked, also when it was made by hand") {
  const auto error = [](const ModelInfo& info) { return test::error_of([&] { check_info(info); }); };
  CHECK(error({}).empty());
  CHECK(test::holds(error({.name = "../../x"}), {"name", "'../../x'", "expected 1 to 128"}));
  CHECK(test::holds(error({.producer = "\x1b"}), {"producer", "\\x1b"}));
  CHECK(test::holds(error({.licence = std::string(4097, 'x')}), {"licence", "4097"}));
  CHECK(test::holds(error({.provenance = {{"k", "\n"}}}), {"provenance: k", "printable"}));
  CHECK(test::holds(error({.provenance = {{"\n", "k"}}}), {"provenance: key"}));
}
