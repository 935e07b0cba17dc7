// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/manifest.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "sample.hpp"

namespace tessera::checkpoint {

namespace {

using test::expect_failure;

Manifest small_manifest() {
  Manifest manifest;
  manifest.created_by = "tessera 0.1.0";
  manifest.step = 100;
  manifest.layout = {8, 2, 2, 2, 8};
  manifest.config = {{"model.layers", "2"}, {"text", "quotes \" and \\ and \xc3\xa9 and \n"}};
  manifest.state = {{"data.position", "9223372036854775807"}, {"seed", "18446744073709551615"}};
  manifest.files = {{"rank_00000.h5", 4096, hash_of("0"), "rank 0 on n1"},
                    {"rank_00001.h5", 4096, hash_of("1"), "rank 1 on n1"}};
  manifest.tensors = {
      {{"w/embedding", DType::f32, {4, 6}},
       {{{{0, 0}, {4, 2}}, 0, "w/embedding", 64, hash_of("2")},
        {{{0, 2}, {4, 4}}, 1, "w/embedding", 64, hash_of("3")}}},
      {{"counts", DType::i64, {3}},
       {{{{0}, {1}}, 0, "counts", 512, hash_of("4")}, {{{1}, {2}}, 0, "counts#1", 1024, hash_of("5")}}}};
  return manifest;
}

/// The manifest's text with one thing replaced, sealed again: what a mistaken or ill-meaning writer makes.
std::string changed(std::string const& from, std::string const& to) {
  std::string text = to_text(small_manifest());
  auto const place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  text.replace(place, from.size(), to);
  return seal(text.substr(0, text.rfind(" \"xxh3_128\"")));
}

void expect_refused(std::string const& from, std::string const& to, std::vector<std::string> words) {
  words.emplace_back("'m.json'");
  expect_failure(ExitCode::data, words,
                 [&] { static_cast<void>(parse_manifest(changed(from, to), "m.json")); });
}

/// "0,0,0": `count` of them, or of something else.
std::string numbers(int count, std::string const& what = "0") {
  std::string text = what;
  for (int k = 1; k < count; ++k) text += ',' + what;
  return text;
}

std::string keys(int count) {
  std::string text = "\"0\":\"\"";
  for (int k = 1; k < count; ++k) text += fmt::format(",\"{}\":\"\"", k);
  return text;
}

}  // namespace

TEST(Manifest, TheLeastThatAManifestHoldsIsRead) {
  Manifest manifest = small_manifest();
  manifest.tensors.clear();
  manifest.files[0].bytes = std::int64_t{1} << 30;
  for (int k = 0; k < 1000; ++k) {
    auto const name = fmt::format("{}", k);
    auto const ndim = static_cast<std::size_t>(1 + k % max_ndim);
    Box const box{std::vector<std::int64_t>(ndim, 0), std::vector<std::int64_t>(ndim, 1)};
    manifest.tensors.push_back({{name, DType::u8, box.extent}, {{box, 0, name, k, Hash128{}}}});
  }
  EXPECT_EQ(parse_manifest(to_text(manifest), "m.json"), manifest);
  std::string dense = to_text(manifest);
  dense.resize(dense.rfind(" \"xxh3_128\": \""));
  std::erase(dense, ' ');
  std::erase(dense, '\n');
  auto const format = dense.find("tesseracheckpoint");
  dense.replace(format, 17, "tessera checkpoint");
  auto const read = parse_manifest(seal(dense + "\n"), "m.json");
  EXPECT_EQ(read.tensors, manifest.tensors);
}

TEST(Manifest, TextIsReadBackAsItWas) {
  auto const manifest = small_manifest();
  auto const text = to_text(manifest);
  EXPECT_EQ(parse_manifest(text, "m.json"), manifest);
  EXPECT_EQ(to_text(parse_manifest(text, "m.json")), text);
  EXPECT_EQ(parse_manifest(changed("100", "101"), "m.json").step, 101);
}

TEST(Manifest, EveryFlippedBitAndEveryCutIsNoticed) {
  auto const text = to_text(small_manifest());
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    auto damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(seal_is_whole(damaged)) << bit;
  }
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(seal_is_whole(std::string_view(text).substr(0, length))) << length;
  }
  EXPECT_FALSE(seal_is_whole(text + " "));
  expect_failure(ExitCode::data, {"'m.json'", "damaged"},
                 [&] { static_cast<void>(parse_manifest("{}", "m.json")); });
}

TEST(Manifest, OtherVersionsAreNamed) {
  expect_refused("\"version\": 1", "\"version\": 7", {"format version 7 is newer than 1"});
  expect_refused("\"version\": 1", "\"version\": 0", {"'version'"});
  expect_refused("\"version\": 1", "\"version\": \"1\"", {"'version'", "whole number"});
  expect_refused("\"tessera checkpoint\"", "\"other\"", {"not a Tessera checkpoint"});
  // A newer version may have keys of which this one knows nothing.
  expect_refused("\"version\": 1,", "\"version\": 2, \"new\": [[1]],", {"format version 2 is newer"});
}

TEST(Manifest, KeysAreKnownPresentAndSingle) {
  expect_refused("\"step\": 100", "\"step\": 100, \"step\": 100", {"'step' stands twice"});
  expect_refused("\"seed\":", "\"data.position\": \"0\", \"seed\":", {"'data.position' stands twice"});
  expect_refused("\"tp\": 2", "\"tp\": 2, \"tq\": 2", {"'layout'", "unknown key 'tq'"});
  expect_refused("\"tp\": 2, ", "", {"'layout'", "'tp' is missing"});
  expect_refused(" \"step\": 100,\n", "", {"'step' is missing"});
  expect_refused("\"config\": {", "\"config\": {\"a\": 1,", {"'config' 'a'", "expected a text"});
}

TEST(Manifest, NumbersAreWholeAndInRange) {
  for (std::string const number : {"-1", "1.0", "1e2", "9223372036854775808", "18446744073709551616", "null",
                                   "\"1\"", "[1]", "true", "99999999999999999999999999"}) {
    expect_refused("\"step\": 100", "\"step\": " + number, {"'step'"});
    expect_refused("\"shape\": [4, 6]", "\"shape\": [4, " + number + "]", {"'tensors'[0]"});
    expect_refused("\"bytes\": 4096", "\"bytes\": " + number, {"m.json"});
    expect_refused("\"offset\": [0, 2]", "\"offset\": [0, " + number + "]", {"'tensors'[0] 'shards'[1]"});
    expect_refused("\"position\": 64", "\"position\": " + number, {"m.json"});
    expect_refused("\"file\": 0", "\"file\": " + number, {"'tensors'[0] 'shards'[0]"});
  }
  expect_refused("\"step\": 100", "\"step\": NaN", {"not JSON"});
  expect_refused("\"step\": 100", "\"step\": 0100", {"not JSON"});
}

TEST(Manifest, ShapesThatOverflowAllocateNothing) {
  std::string const big = "9223372036854775807";
  expect_refused("\"shape\": [4, 6]", "\"shape\": [" + big + ", 2]", {"2^63 elements"});
  expect_refused("\"shape\": [4, 6]", "\"shape\": [4294967296, 4294967296]", {"2^63 elements"});
  expect_refused("\"shape\": [4, 6]", "\"shape\": [" + big + "]", {"2^60 elements"});
  expect_refused("\"shape\": [4, 6]", "\"shape\": [1,1,1,1,1,1,1,1,1]", {"9 entries, at most 8"});
  expect_refused("\"shape\": [4, 6]", "\"shape\": []", {"0 dims"});
  expect_refused("\"extent\": [4, 2]", "\"extent\": [4, " + big + "]", {"'tensors'[0] 'shards'[0]"});
  expect_refused("\"position\": 64", "\"position\": " + big,
                 {"do not fit into 'rank_00000.h5' of 4096 bytes"});
  expect_refused("\"bytes\": 4096", "\"bytes\": 90", {"do not fit into 'rank_00000.h5' of 90 bytes"});
}

TEST(Manifest, NamesLeadNowhere) {
  for (std::string const name : {"../rank_00000.h5", "/etc/passwd", "a/b.h5", "..", ".", "", ".hidden",
                                 "a..b", "rank 0.h5", "a\\\\b", "a\\u0000b", "manifest.json"}) {
    expect_refused("\"rank_00000.h5\"", "\"" + name + "\"", {"'files'[0]"});
  }
  expect_refused("rank_00001.h5", "rank_00000.h5", {"'files'[1]", "a second time"});
  for (std::string const name :
       {"../w", "/w", "w/", "w//x", "w/./x", "", "w#1", "w x", "w\\u001b[2J", "w%b"}) {
    expect_refused("\"name\": \"w/embedding\"", "\"name\": \"" + name + "\"", {"'tensors'[0]"});
  }
  expect_refused("\"name\": \"counts\"", "\"name\": \"" + std::string(1025, 'a') + "\"", {"at most 1024"});
  for (std::string const name : {"counts", "/w/embedding", "w/embedding#0", "w/embedding#", "w/embedding#01",
                                 "w/embedding/x", "../w/embedding", "w/embedding#18446744073709551616"}) {
    expect_refused("\"dataset\": \"w/embedding\"", "\"dataset\": \"" + name + "\"",
                   {"'tensors'[0] 'shards'[0]"});
  }
}

TEST(Manifest, BoxesCoverEachTensorOnce) {
  expect_refused("\"offset\": [0, 2], \"extent\": [4, 4]", "\"offset\": [0, 3], \"extent\": [4, 3]",
                 {"'tensors'[0]", "element [0, 2] lies in no box"});
  expect_refused("\"extent\": [4, 2]", "\"extent\": [4, 3]", {"element [0, 2] lies in 2 boxes"});
  expect_refused("\"extent\": [4, 2]", "\"extent\": [5, 2]", {"'shards'[0]", "dim 0"});
  expect_refused("\"extent\": [4, 2]", "\"extent\": [8]", {"offset of 2 dims and extent of 1"});
  expect_refused("\"counts#1\"", "\"counts\"", {"the same dataset a second time"});
  expect_refused("\"position\": 512", "\"position\": 1017", {"share bytes of 'rank_00000.h5'"});
}

TEST(Manifest, TensorsMakeATree) {
  expect_refused("\"name\": \"counts\"", "\"name\": \"w/embedding\"", {"'tensors'[1]"});
  std::string text = to_text(small_manifest());
  auto manifest = small_manifest();
  manifest.tensors[1].tensor.name = "w";
  manifest.tensors[1].shards[0].dataset = "w";
  manifest.tensors[1].shards[1].dataset = "w#1";
  EXPECT_THROW(static_cast<void>(to_text(manifest)), InternalError);
  expect_refused("\"f32\"", "\"f80\"", {"'dtype'", "unknown element type"});
}

TEST(Manifest, DeepAndBrokenTextIsRefusedQuickly) {
  auto const refuse = [](std::string const& text, std::string const& word) {
    expect_failure(ExitCode::data, {"m.json", word},
                   [&] { static_cast<void>(parse_manifest(seal(text), "m.json")); });
  };
  refuse(std::string(1 << 20, '['), "nested deeper");
  std::string deep;
  for (int k = 0; k < 100'000; ++k) deep += "{\"a\":";
  refuse(deep, "nested deeper");
  refuse("{\"a\":[" + numbers(1 << 20) + "],\n", "more values than");
  refuse("{\"a\":[" + numbers(1 << 20, "{}") + "],\n", "more values than");
  refuse("{\"a\":[" + numbers(10, "[]") + "],\n", "more values than");
  refuse("{\"a\":{" + keys(200'000) + "},\n", "more values than");
  refuse("", "not JSON");
  refuse("[1,\n", "not JSON");
  refuse("{\"format\": \"\xff\xfe\",\n", "\\xFF");
  refuse("{\"format\": \"\xc2\x9b\xff\",\n", "\\xC2\\x9B\\xFF");
  refuse("{", "'format' is missing");
  expect_failure(ExitCode::data, {"at most 134217728"}, [] {
    static_cast<void>(parse_manifest(std::string(max_manifest_bytes + 1, ' '), "m.json"));
  });
}

TEST(Manifest, RandomChangesOfTheTextAreReadOrRefused) {
  auto const text = to_text(small_manifest());
  auto const sealed_part = text.substr(0, text.rfind(" \"xxh3_128\""));
  std::mt19937_64 random(4);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    auto damaged = sealed_part;
    for (std::size_t k = 0; k <= random() % 3; ++k) {
      auto const place = random() % damaged.size();
      switch (random() % 4) {
        case 0: damaged[place] = static_cast<char>(random()); break;
        case 1: damaged.erase(place, 1 + random() % 8); break;
        case 2: damaged.insert(place, damaged.substr(random() % damaged.size(), random() % 30)); break;
        default: damaged[place] = "0123456789-{}[],:\"/.#"[random() % 21]; break;
      }
    }
    try {
      auto const manifest = parse_manifest(seal(damaged), "m.json");
      EXPECT_EQ(parse_manifest(to_text(manifest), "m.json"), manifest);
    } catch (DataError const&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace tessera::checkpoint
