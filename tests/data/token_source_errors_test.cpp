// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What bad data gets: one message with the file and the numbers, and the right exit code.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "data_files.hpp"

namespace tessera::data::test {
namespace {

constexpr auto data = ExitCode::data;

void expect_open_failure(ExitCode code, std::vector<std::string> const& words, std::string const& path,
                         std::string_view format = "auto") {
  expect_failure(code, words, [&] { (void)open_tokens(path, format); });
}

/// A program of root reads every file; this makes it an ordinary user for a while.
class OrdinaryUser {
 public:
  OrdinaryUser() : user_(::geteuid()) {
    if (user_ == 0) {
      EXPECT_EQ(::seteuid(65534), 0);
    }
  }
  OrdinaryUser(OrdinaryUser const&) = delete;
  OrdinaryUser& operator=(OrdinaryUser const&) = delete;
  ~OrdinaryUser() { EXPECT_EQ(::seteuid(user_), 0); }

 private:
  uid_t user_;
};

TEST(TokenSourceErrors, AMissingPathIsMissingInput) {
  TemporaryFolder const folder;
  expect_open_failure(ExitCode::no_input, {"nowhere.txt", "No such file"}, folder.path("nowhere.txt"));
  expect_open_failure(ExitCode::no_input, {"nowhere_*.bin"}, folder.path("nowhere_*.bin"));
  expect_open_failure(ExitCode::no_input, {"file/below"}, folder.write("file", "x") + "/below");
  std::filesystem::create_directory(folder.path("links"));
  std::filesystem::create_symlink("gone", folder.path("links/dangling"));
  expect_open_failure(ExitCode::no_input, {"links/dangling"}, folder.path("links"));
}

TEST(TokenSourceErrors, AnUnreadableFileOrDirectoryIsAPermission) {
  TemporaryFolder const folder;
  std::string const secret = folder.write("secret.txt", "text");
  std::string const below = folder.write("closed/below/text.txt", "text");
  ::chmod(folder.path().c_str(), 0755);
  ::chmod(secret.c_str(), 0);
  ::chmod(folder.path("closed").c_str(), 0);
  {
    OrdinaryUser const user;
    expect_open_failure(ExitCode::permission, {"secret.txt", "Permission denied"}, secret);
    expect_open_failure(ExitCode::permission, {"closed", "Permission denied"}, folder.path("closed"));
    expect_open_failure(ExitCode::permission, {"text.txt", "Permission denied"}, below);
  }
  ::chmod(folder.path("closed").c_str(), 0755);
}

/// Raw ids and shards look alike: what begins like a shard gone wrong is not taken for ids unasked.
TEST(TokenSourceErrors, AHeaderThatIsNearlyRightIsNotReadAsIds) {
  TemporaryFolder const folder;
  auto const begins_with = [&](std::string const& first) {
    return first + std::string(4096 - first.size(), 0);
  };
  for (std::string const& first :
       {std::string("\x01\x34\xd8\x88"), std::string("\x49\xd8\x34\x01"), std::string()}) {
    auto const path = folder.write("shard.bin", begins_with(first));
    expect_open_failure(data, {"shard.bin", "damaged header", "u16 (data.format)"}, path);
    EXPECT_EQ(open_tokens(path, "u16")->size(), 2048);
  }
}

TEST(TokenSourceErrors, NothingToReadIsBadData) {
  TemporaryFolder const folder;
  expect_open_failure(data, {"empty.txt", "is empty"}, folder.write("empty.txt", ""));
  expect_open_failure(data, {"empty.bin", "0 bytes"}, folder.write("empty.bin", ""));
  expect_open_failure(data, {"empty.bin", "0 bytes"}, folder.path("empty.bin"), "llmc");
  std::filesystem::create_directory(folder.path("bare"));
  expect_open_failure(data, {"bare", "no files"}, folder.path("bare"));
  folder.write("texts/a.txt", "text");
  expect_open_failure(data, {"texts", "no files whose names end in .bin"}, folder.path("texts"), "u16");
}

TEST(TokenSourceErrors, APipeIsRefusedWithoutWaitingForAWriter) {
  TemporaryFolder const folder;
  std::string const pipe = folder.path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  expect_open_failure(data, {"pipe", "not a regular file"}, pipe);
  expect_open_failure(data, {"/dev/zero", "not a regular file"}, "/dev/zero");
}

TEST(TokenSourceErrors, AnUnknownFormatIsAConfigurationError) {
  expect_open_failure(ExitCode::config, {"data.format = 'bites'", "auto, bytes, llmc or u16"}, "any",
                      "bites");
}

TEST(TokenSourceErrors, ABadLlmcHeaderIsNamedWithItsNumbers) {
  TemporaryFolder const folder;
  std::string const body = raw(counting<std::uint16_t>(10));
  auto const expect_bad = [&](std::vector<std::string> words, std::string_view content) {
    words.push_back("shard.bin");
    expect_open_failure(data, words, folder.write("shard.bin", content), "llmc");
  };
  expect_bad({"20240326", "20240520", "20240801"}, llmc(20240326, 3, 10, body));
  expect_bad({"version 2", "only version 1"}, llmc(20240520, 2, 10, body));
  expect_bad({"version 1", "only version 7"}, llmc(20240801, 1, 10, body));
  expect_bad({"0 tokens"}, llmc(20240520, 1, 0, ""));
  expect_bad({"-5 tokens"}, llmc(20240520, 1, -5, body));
  expect_bad({"11 tokens", "1046 bytes", "1044"}, llmc(20240520, 1, 11, body));
  expect_bad({"9 tokens", "1042 bytes", "1044"}, llmc(20240520, 1, 9, body));
  expect_bad({"2147483647 tokens", "8589935612 bytes"}, llmc(20240801, 7, 2147483647, body));
  std::string const whole = llmc(20240520, 1, 10, body);
  for (std::size_t const length : {1, 11, 12, 1023, 1024, 1043}) {
    expect_bad({std::to_string(length)}, whole.substr(0, length));
  }
  std::string swapped = whole;
  std::reverse(swapped.begin(), swapped.begin() + 4);
  expect_bad({"magic number"}, swapped);
}

TEST(TokenSourceErrors, U16NeedsAnEvenNumberOfBytes) {
  TemporaryFolder const folder;
  expect_open_failure(data, {"odd.bin", "3 bytes", "bytes if it is not token ids"},
                      folder.write("odd.bin", "abc"));
}

TEST(TokenSourceErrors, FilesThatAreNotAlikeAreNamed) {
  TemporaryFolder const folder;
  folder.write("widths/a.bin", llmc(counting<std::uint16_t>(4)));
  folder.write("widths/b.bin", llmc(counting<std::uint32_t>(4)));
  expect_open_failure(data, {"a.bin' holds u16", "b.bin' holds u32"}, folder.path("widths"));
  expect_open_failure(data, {"a.bin' holds u16", "b.bin' holds u32"}, folder.path("widths"), "llmc");
  folder.write("kinds/readme.md", "text");
  folder.write("kinds/train.bin", raw(counting<std::uint16_t>(4)));
  expect_open_failure(data, {"readme.md' holds bytes", "train.bin' holds u16"}, folder.path("kinds"));
}

TEST(TokenSourceErrors, AllFilesThatAreDamagedAreNamed) {
  TemporaryFolder const folder;
  auto const whole = llmc(counting<std::uint16_t>(4));
  for (auto const* const name : {"damaged/a.bin", "damaged/c.bin"})
    folder.write(name, whole.substr(0, whole.size() - 2));
  folder.write("damaged/b.bin", whole);
  expect_open_failure(data, {"2 problems", "a.bin'", "c.bin'"}, folder.path("damaged"), "llmc");
}

TEST(TokenSourceErrors, AFileThatShrinksWhileItIsUsedIsBadData) {
  TemporaryFolder const folder;
  std::string const path = folder.write("text.txt", std::string(100000, 'a'));
  auto const source = open_tokens(path);
  std::vector<std::int32_t> tokens(10);
  source->read(99990, tokens);
  std::filesystem::resize_file(path, 99995);
  source->read(99985, tokens);
  expect_failure(data, {"text.txt", "99995", "100000"}, [&] { source->read(99990, tokens); });
  expect_failure(data, {"text.txt"}, [&] { source->read(99996, std::span(tokens).first(2)); });
}

TEST(TokenSourceErrors, AFileThatIsReplacedBeforeItIsReadIsBadData) {
  TemporaryFolder const folder;
  std::string const path = folder.write("text.txt", "0123456789");
  std::vector<std::int32_t> tokens(10);
  auto const source = open_tokens(path);
  folder.write("text.txt", "0123456789ab");
  expect_failure(data, {"text.txt", "12 bytes now", "10"}, [&] { source->read(0, tokens); });
  std::filesystem::remove(path);
  expect_failure(ExitCode::no_input, {"text.txt"}, [&] { source->read(0, tokens); });
  folder.write("text.txt", "0123456789");
  source->read(0, tokens);
  EXPECT_EQ(tokens, bytes("0123456789")) << "a failure leaves nothing behind";
}

TEST(TokenSourceErrors, ControlCharactersOfNamesDoNotReachTheTerminal) {
  expect_open_failure(ExitCode::no_input, {"no\\x1B[2J\\x0Asuch"}, "no\x1B[2J\nsuch");
}

TEST(TokenSourceErrors, ReadingOutsideTheSourceIsABrokenInvariant) {
  TemporaryFolder const folder;
  auto const source = open_tokens(folder.write("text.txt", "0123456789"));
  std::vector<std::int32_t> tokens(3);
  EXPECT_THROW(source->read(-1, tokens), InternalError);
  EXPECT_THROW(source->read(8, tokens), InternalError);
}

}  // namespace
}  // namespace tessera::data::test
