// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/shard_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <numeric>
#include <random>
#include <thread>

#include "fuzz/seed.hpp"
#include "sample.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/verify.hpp"

namespace tessera::checkpoint {

namespace {

using test::elements_of;
using test::expect_failure;
using test::FullTensor;
using test::random_cut;
using test::sample_tensors;
using test::TemporaryFolder;
using test::write_sample;

/// Reads `box` of a tensor from wherever its parts are.
std::vector<std::byte> gather(std::vector<ShardFileReader>& readers, ShardedTensor const& sharded,
                              Box const& box) {
  auto const bytes = size_bytes(sharded.tensor.dtype);
  std::vector<std::byte> elements(static_cast<std::size_t>(element_count(box)) * bytes, std::byte{0xee});
  for (auto const& shard : sharded.shards) {
    if (auto const part = intersection(shard.box, box)) {
      readers[static_cast<std::size_t>(shard.file)].read(sharded.tensor, shard, *part,
                                                         row_major(elements.data(), box));
    }
  }
  return elements;
}

std::vector<ShardFileReader> open_all(std::string const& directory, Manifest const& manifest) {
  std::vector<ShardFileReader> readers;
  for (auto const& content : contents_of(manifest)) readers.emplace_back(directory, content);
  return readers;
}

}  // namespace

TEST(ShardFile, WhatOneCutWroteAnyOtherCutReads) {
  TemporaryFolder const folder;
  auto const tensors = sample_tensors();
  std::mt19937_64 random(5);
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    auto const directory = folder.path("step_00000" + std::to_string(100 + seed));
    auto const written = write_sample(directory, tensors, 1 + static_cast<int>(seed), 1 + 3 * seed, seed,
                                      100 + static_cast<std::int64_t>(seed));
    auto const manifest = read_manifest(directory);
    EXPECT_EQ(manifest, written);
    EXPECT_TRUE(verify_checkpoint(directory).empty());
    auto readers = open_all(directory, manifest);
    for (std::size_t k = 0; k < tensors.size(); ++k) {
      for (auto const& box : random_cut(tensors[k].entry.shape, 5, random)) {
        EXPECT_EQ(gather(readers, manifest.tensors[k], box), elements_of(tensors[k], box))
            << tensors[k].entry.name;
      }
    }
  }
}

TEST(ShardFile, TilesAreGatheredIntoOneRowMajorDataset) {
  TemporaryFolder const folder;
  // (N, K) stored tile-major along K: 4 tiles of (N, K/4), larger than the buffer.
  std::int64_t const n = 1500;
  std::int64_t const k = 2048;
  TensorEntry const entry{"mlp.down", DType::f32, {n, k}};
  std::vector<float> tiled(static_cast<std::size_t>(n * k));
  std::vector<float> plain(tiled.size());
  std::vector<ConstBoxMemory> tiles;
  for (std::int64_t tile = 0; tile < 4; ++tile) {
    Box const box{{0, tile * k / 4}, {n, k / 4}};
    tiles.push_back(row_major(reinterpret_cast<std::byte const*>(tiled.data() + tile * n * k / 4), box));
    for (std::int64_t row = 0; row < n; ++row) {
      for (std::int64_t column = 0; column < k / 4; ++column) {
        auto const value = static_cast<float>(row * k + tile * k / 4 + column);
        tiled[static_cast<std::size_t>(tile * n * k / 4 + row * k / 4 + column)] = value;
        plain[static_cast<std::size_t>(row * k + tile * k / 4 + column)] = value;
      }
    }
  }
  Box const part{{0, 0}, {n, k / 2}};
  Box const all = whole(entry.shape);
  ShardFileWriter writer(folder.path("a.h5"), 1, "test");
  Shard const gathered = writer.write(entry, all, tiles);
  Shard const half = writer.write(entry, part, tiles);
  Shard const straight = writer.write(entry, all, std::as_bytes(std::span(plain)));
  EXPECT_EQ(gathered.dataset, "mlp.down");
  EXPECT_EQ(half.dataset, "mlp.down#1");
  EXPECT_EQ(gathered.hash, straight.hash);
  EXPECT_EQ(gathered.hash, hash_of(std::as_bytes(std::span(plain))));
  Manifest manifest;
  manifest.files = {writer.finish()};
  manifest.tensors = {{entry, {gathered, half, straight}}};
  ShardFileReader reader(folder.path(), contents_of(manifest)[0]);
  reader.verify_elements(entry, half);
  std::vector<float> column(static_cast<std::size_t>(n));
  Box const one{{0, 1023}, {n, 1}};
  reader.read(entry, half, one, row_major(reinterpret_cast<std::byte*>(column.data()), one));
  for (std::int64_t row = 0; row < n; ++row) EXPECT_EQ(column[static_cast<std::size_t>(row)], row * k + 1023);
}

TEST(ShardFile, OfASliceLittleMoreThanItsOwnBytesAreRead) {
  TemporaryFolder const folder;
  TensorEntry const entry{"mlp.down", DType::f32, {500, 4096}};
  std::vector<float> values(500 * 4096);
  std::iota(values.begin(), values.end(), 0.0F);
  ShardFileWriter writer(folder.path("a.h5"), 1, "test");
  Shard const shard = writer.write(entry, whole(entry.shape), std::as_bytes(std::span(values)));
  Manifest manifest;
  manifest.files = {writer.finish()};
  manifest.tensors = {{entry, {shard}}};
  ShardFileReader reader(folder.path(), contents_of(manifest)[0]);
  reader.check(entry, shard);
  for (std::int64_t const columns : {4096, 3840, 1024, 64}) {
    Box const slice{{0, 128}, {500, std::min<std::int64_t>(columns, 4096 - 128)}};
    std::vector<std::byte> memory(static_cast<std::size_t>(element_count(slice)) * 4);
    auto const before = test::bytes_read_by_this_process();
    reader.read(entry, shard, slice, row_major(memory.data(), slice));
    auto const read = test::bytes_read_by_this_process() - before;
    EXPECT_LE(static_cast<double>(read), 1.25 * static_cast<double>(memory.size()) + 4096) << columns;
    float last = 0;
    std::memcpy(&last, &memory[memory.size() - 4], 4);
    EXPECT_EQ(last, values[static_cast<std::size_t>(499 * 4096 + 128 + slice.extent[1] - 1)]);
  }
}

TEST(ShardFile, SourcesMustCoverTheirBox) {
  TemporaryFolder const folder;
  TensorEntry const entry{"a", DType::f32, {4, 4}};
  std::vector<std::byte> const memory(64);
  std::array const half{row_major(memory.data(), Box{{0, 0}, {2, 4}})};
  ShardFileWriter writer(folder.path("a.h5"), 1, "test");
  EXPECT_THROW(writer.write(entry, whole(entry.shape), half), InternalError);
}

TEST(ShardFile, TheSameStateGivesTheSameBytes) {
  TemporaryFolder const folder;
  auto const tensors = sample_tensors();
  write_sample(folder.path("a"), tensors, 2, 4, 9);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5's times count seconds
  write_sample(folder.path("b"), tensors, 2, 4, 9);
  for (auto const& name : list_directory(folder.path("a"))) {
    EXPECT_TRUE(test::read_bytes(folder.path("a/" + name)) == test::read_bytes(folder.path("b/" + name)))
        << name;
  }
}

TEST(ShardFile, FilesOfVersionOneAreRead) {
  // A file of the first release, whatever this one would write: 4,096 bytes of HDF5, a hole, elements from
  // 65,536 on.
  TemporaryFolder const folder;
  auto bytes = test::read_bytes(std::string(TESSERA_FUZZ_CORPUS) + "/reader/seed");
  ASSERT_EQ(bytes.size(), test::seed_head_bytes);
  bytes.resize(65536, '\0');
  bytes += std::string(96 + 40 + 3, '\1');
  test::write_bytes(folder.path("seed.h5"), bytes);
  Manifest manifest;
  manifest.files = {{"seed.h5", 65675, *parse_hash("23c5d112c21ea160867e2cd17b783f60"), "seed"}};
  std::int64_t position = 65536;
  for (auto const& tensor : test::seed_tensors()) {
    auto const ones = test::ones(tensor);
    manifest.tensors.push_back({tensor, {{whole(tensor.shape), 0, tensor.name, position, hash_of(ones)}}});
    position += std::ssize(ones);
  }
  ShardFileReader reader(folder.path(), contents_of(manifest)[0]);
  for (auto const& [tensor, shards] : manifest.tensors) {
    reader.verify_elements(tensor, shards[0]);
    std::vector<std::byte> memory(test::ones(tensor).size());
    reader.read(tensor, shards[0], shards[0].box, row_major(memory.data(), shards[0].box));
    EXPECT_EQ(memory, test::ones(tensor));
  }
}

TEST(ShardFile, UnfinishedFilesAreRemovedAndExistingOnesKept) {
  TemporaryFolder const folder;
  auto const path = folder.path("a.h5");
  { ShardFileWriter const writer(path, 1, "test"); }
  EXPECT_TRUE(list_directory(folder.path()).empty());
  test::write_bytes(path, "mine");
  expect_failure(ExitCode::cannot_create, {path, "File exists"}, [&] { ShardFileWriter(path, 1, "test"); });
  EXPECT_EQ(test::read_bytes(path), "mine");
  expect_failure(ExitCode::cannot_create, {"No such file or directory"},
                 [&] { ShardFileWriter(folder.path("no/a.h5"), 1, "test"); });
}

TEST(ShardFile, WhatTheManifestSaysIsCompared) {
  TemporaryFolder const folder;
  auto const manifest = write_sample(folder.path("c"), sample_tensors(), 1, 1, 1);
  auto const [tensor, shards] = manifest.tensors[0];
  auto const expect = [&](std::vector<std::string> const& words, auto const& change) {
    TensorEntry other = tensor;
    Shard shard = shards[0];
    change(other, shard);
    ShardFileReader reader(folder.path("c"), contents_of(manifest)[0]);
    expect_failure(ExitCode::data, words, [&] { reader.check(other, shard); });
  };
  expect({"embedding.weight", "not f64"}, [](auto& entry, auto&) { entry.dtype = DType::f64; });
  expect({"shape", "[0:36, 0:24]"}, [](auto&, auto& shard) { shard.box.extent[0] = 36; });
  expect({"attribute 'offset'"}, [](auto&, auto& shard) { shard.box.offset[0] = 1; });
  expect({"attribute 'global_shape'"}, [](auto& entry, auto&) { entry.shape[0] = 38; });
  expect({"attribute 'tensor'"}, [](auto& entry, auto&) { entry.name = "other"; });
  expect({"attribute 'xxh3_128'"}, [](auto&, auto& shard) { ++shard.hash.low; });
  expect({"no.such"}, [](auto&, auto& shard) { shard.dataset = "no.such"; });
  expect({"optimizer"}, [](auto&, auto& shard) { shard.dataset = "optimizer"; });
}

TEST(ShardFile, FilesThatShrinkAreErrorsNotSignals) {
  TemporaryFolder const folder;
  auto const manifest = write_sample(folder.path("c"), sample_tensors(), 1, 1, 1);
  auto const& [tensor, shards] = manifest.tensors[0];
  ShardFileReader reader(folder.path("c"), contents_of(manifest)[0]);
  reader.check(tensor, shards[0]);
  std::filesystem::resize_file(folder.path("c/rank_00000.h5"), 1000);
  std::vector<std::byte> memory(static_cast<std::size_t>(element_count(shards[0].box)) * 4);
  expect_failure(ExitCode::data, {"rank_00000.h5", "too early"}, [&] {
    reader.read(tensor, shards[0], shards[0].box, row_major(memory.data(), shards[0].box));
  });
}

TEST(ShardFile, OnlyRegularFilesAreOpenedAndNoLinkIsFollowed) {
  TemporaryFolder const folder;
  auto const manifest = write_sample(folder.path("c"), sample_tensors(), 1, 1, 1);
  auto const path = folder.path("c/rank_00000.h5");
  std::filesystem::rename(path, folder.path("elsewhere.h5"));
  auto const expect = [&](ExitCode code, std::string const& word) {
    expect_failure(code, {"rank_00000.h5", word},
                   [&] { ShardFileReader(folder.path("c"), contents_of(manifest)[0]); });
  };
  expect(ExitCode::no_input, "No such file");
  std::filesystem::create_symlink(folder.path("elsewhere.h5"), path);
  expect(ExitCode::data, "symbolic link");
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  expect(ExitCode::data, "not a regular file");
}

}  // namespace tessera::checkpoint
