// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/data/token_source.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "data_files.hpp"

namespace tessera::data::test {
namespace {

TEST(TokenSource, ReadsTheBytesOfAnyFile) {
  TemporaryFolder const folder;
  std::string const content("text\0\xFF\n", 7);
  auto const source = open_tokens(folder.write("text.txt", content));
  EXPECT_EQ(all_tokens(*source), bytes(content));
  EXPECT_EQ(source->vocab_bound(), 256);
  EXPECT_NE(source->description().find("text.txt' of bytes, 7 tokens"), std::string::npos)
      << source->description();
}

TEST(TokenSource, ReadsAnyRunOfAnyWidth) {
  TemporaryFolder const folder;
  std::vector<std::string> const paths = {folder.write("bytes", raw(counting<std::uint8_t>(50))),
                                          folder.write("u16.bin", raw(counting<std::uint16_t>(50))),
                                          folder.write("l16.bin", llmc(counting<std::uint16_t>(50))),
                                          folder.write("l32.bin", llmc(counting<std::uint32_t>(50)))};
  for (auto const& path : paths) {
    auto const source = open_tokens(path);
    ASSERT_EQ(source->size(), 50) << path;
    for (std::int64_t first = 0; first <= 50; ++first) {
      for (std::int64_t count = 0; count <= 50 - first; ++count) {
        std::vector<std::int32_t> tokens(static_cast<std::size_t>(count), -1);
        source->read(first, tokens);
        EXPECT_EQ(tokens, counting(tokens.size(), static_cast<std::int32_t>(first))) << path;
      }
    }
  }
}

TEST(TokenSource, ReadsTheWholeRangeOfEachWidth) {
  TemporaryFolder const folder;
  auto const u16 = open_tokens(folder.write("a.bin", llmc(std::vector<std::uint16_t>{0, 256, 50256, 65535})));
  EXPECT_EQ(all_tokens(*u16), (std::vector<std::int32_t>{0, 256, 50256, 65535}));
  EXPECT_EQ(u16->vocab_bound(), 65536);
  auto const u32 =
      open_tokens(folder.write("b.bin", llmc(std::vector<std::uint32_t>{128255, 0x7FFFFFFF, 0xFFFFFFFF})));
  EXPECT_EQ(all_tokens(*u32), (std::vector<std::int32_t>{128255, 0x7FFFFFFF, -1}));
  EXPECT_EQ(u32->vocab_bound(), std::int64_t{1} << 32);
}

TEST(TokenSource, TheFormatAutoGoesByMagicThenByName) {
  TemporaryFolder const folder;
  std::string const shard = llmc(counting<std::uint16_t>(3));
  EXPECT_EQ(open_tokens(folder.write("shard", shard))->size(), 3) << "magic, whatever the name";
  EXPECT_EQ(open_tokens(folder.write("shard", shard), "bytes")->size(), 1024 + 6) << "as told";
  EXPECT_EQ(open_tokens(folder.write("train.bin", "abcd"))->size(), 2) << "u16 by its name";
  EXPECT_EQ(open_tokens(folder.write("train.dat", "abcd"))->size(), 4) << "bytes";
  EXPECT_EQ(open_tokens(folder.write("train.dat", "abcd"), "u16")->size(), 2) << "as told";
  EXPECT_EQ(open_tokens(folder.write("short.txt", "ab"))->size(), 2) << "too short for a magic number";
}

TEST(TokenSource, ADirectoryIsItsFilesOneAfterAnotherInTheOrderOfBytes) {
  TemporaryFolder const folder;
  folder.write("b.txt", "2");
  folder.write("a/z.txt", "1\n");
  folder.write("a.txt", "0");
  folder.write("B.txt", "first ");
  folder.write("a/empty", "");
  folder.write("\xC3\xA9.txt", "3");
  folder.write(".hidden", "no");
  folder.write(".git/config", "no");
  auto const source = open_tokens(folder.path());
  EXPECT_EQ(all_tokens(*source), bytes("first 01\n23"));
  EXPECT_EQ(source->description(), "5 files of bytes, 11 tokens");
  EXPECT_NE(source->locate(7).find("token 0 of '" + folder.path("a/z.txt")), std::string::npos);
  EXPECT_NE(source->locate(8).find("token 1 of '" + folder.path("a/z.txt")), std::string::npos);
}

TEST(TokenSource, RunsCrossTheBordersOfFiles) {
  TemporaryFolder const folder;
  std::uint16_t next = 0;
  for (std::size_t const count : {1, 7, 2, 30, 1}) {
    folder.write("shard_" + std::to_string(100 + next) + ".bin", llmc(counting<std::uint16_t>(count, next)));
    next = static_cast<std::uint16_t>(next + count);
  }
  auto const source = open_tokens(folder.path());
  ASSERT_EQ(source->size(), 41);
  for (std::int64_t first = 0; first < 41; ++first) {
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(41 - first));
    source->read(first, tokens);
    EXPECT_EQ(tokens, counting(tokens.size(), static_cast<std::int32_t>(first)));
  }
}

TEST(TokenSource, MoreFilesThanAreKeptOpenReadAlike) {
  TemporaryFolder const folder;
  std::string expected;
  for (int number = 1000; number < 1300; ++number) {
    std::string const name = std::to_string(number);
    folder.write(name, name);
    expected += name;
  }
  auto const source = open_tokens(folder.path());
  EXPECT_EQ(all_tokens(*source), bytes(expected));
  EXPECT_EQ(all_tokens(*source), bytes(expected)) << "again, with other files open";
}

TEST(TokenSource, AFileWithSeveralNamesCountsOnceAndLinkedDirectoriesAreNotFollowed) {
  TemporaryFolder const folder;
  folder.write("data/GPL-3", "text");
  std::filesystem::create_symlink("GPL-3", folder.path("data/GPL"));
  std::filesystem::create_hard_link(folder.path("data/GPL-3"), folder.path("data/copying"));
  std::filesystem::create_directory_symlink(".", folder.path("data/loop"));
  std::filesystem::create_symlink(folder.write("elsewhere", "more"), folder.path("data/linked"));
  EXPECT_EQ(all_tokens(*open_tokens(folder.path("data"))), bytes("textmore"));
}

TEST(TokenSource, APatternStandsForItsMatchesInOrder) {
  TemporaryFolder const folder;
  folder.write("web_val_0.bin", llmc(counting<std::uint16_t>(5, 900)));
  folder.write("web_train_2.bin", llmc(counting<std::uint16_t>(2, 3)));
  folder.write("web_train_1.bin", llmc(counting<std::uint16_t>(3, 0)));
  EXPECT_EQ(all_tokens(*open_tokens(folder.path("web_train_*.bin"))), counting<std::int32_t>(5));
  std::string const odd = folder.write("odd[1].txt", "itself");
  EXPECT_EQ(all_tokens(*open_tokens(odd)), bytes("itself")) << "a file of that very name comes first";
}

TEST(TokenSource, FormatsOfShardsTakeOnlyTheBinFilesOfADirectory) {
  TemporaryFolder const folder;
  folder.write("readme.md", "how it was made");
  folder.write("train.bin", raw(counting<std::uint16_t>(9)));
  EXPECT_EQ(all_tokens(*open_tokens(folder.path(), "u16")), counting<std::int32_t>(9));
}

TEST(TokenSource, OffsetsBeyondFourGigabytesAreReached) {
  TemporaryFolder const folder;
  std::string const path = folder.write("sparse.txt", "");
  std::int64_t const place = (std::int64_t{5} << 30) + 3;
  int const file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::pwrite(file, "end", 3, place), 3);
  ::close(file);
  auto const source = open_tokens(path);
  ASSERT_EQ(source->size(), place + 3);
  std::vector<std::int32_t> tokens(4);
  source->read(place - 1, tokens);
  EXPECT_EQ(tokens, bytes(std::string_view("\0end", 4)));
}

}  // namespace
}  // namespace tessera::data::test
