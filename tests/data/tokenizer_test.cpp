// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/data/tokenizer.hpp"

#include <gtest/gtest.h>

#include "data_files.hpp"

namespace tessera::data::test {
namespace {

std::string all_bytes() {
  std::string text;
  for (int byte = 0; byte < 256; ++byte) text += static_cast<char>(byte);
  return text;
}

TEST(ByteTokenizer, AnyBytesSurviveEncodingAndDecoding) {
  ByteTokenizer const tokenizer;
  auto const ids = tokenizer.encode(all_bytes());
  EXPECT_EQ(ids, counting<std::int32_t>(256));
  EXPECT_EQ(tokenizer.decode(ids), all_bytes());
  EXPECT_TRUE(tokenizer.encode("").empty());
}

TEST(ByteTokenizer, AnIdThatIsNoByteIsNamed) {
  for (std::int32_t const id : {256, -1}) {
    std::vector<std::int32_t> const ids = {65, id};
    expect_failure(ExitCode::data, {"token 1", std::to_string(id)},
                   [&] { (void)ByteTokenizer().decode(ids); });
  }
}

TEST(Printable, TextAndUtf8StayAsTheyAre) {
  std::string const text =
      "Plain text,\twith a tab\nand \\ \xC3\xA9 \xE2\x82\xAC \xED\x9F\xBF \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF";
  EXPECT_EQ(printable(text), text);
}

TEST(Printable, ControlCharactersAreEscaped) {
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\x1B[31m\r\x7F"), "\\x1B[31m\\x0D\\x7F");
  EXPECT_EQ(printable("\xC2\x9B"), "\\xC2\\x9B") << "a terminal takes U+009B for the start of a command";
}

TEST(Printable, BytesThatAreNotUtf8AreEscaped) {
  EXPECT_EQ(printable("\x80"), "\\x80") << "continuation without a start";
  EXPECT_EQ(printable("\xE2\x82"), "\\xE2\\x82") << "cut short";
  EXPECT_EQ(printable("\xE2\x82z"), "\\xE2\\x82z");
  EXPECT_EQ(printable("\xC0\xAF"), "\\xC0\\xAF") << "overlong";
  EXPECT_EQ(printable("\xE0\x80\xAF"), "\\xE0\\x80\\xAF") << "overlong";
  EXPECT_EQ(printable("\xED\xA0\x80"), "\\xED\\xA0\\x80") << "surrogate";
  EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\\xF4\\x90\\x80\\x80") << "beyond U+10FFFF";
}

}  // namespace
}  // namespace tessera::data::test
