// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The world outside: HDF5's own tools and Python read what we write, and what others wrote is refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>

#include "sample.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/shard_file.hpp"
#include "tessera/checkpoint/verify.hpp"

namespace tessera::checkpoint {

namespace {

using test::expect_failure;
using test::read_bytes;
using test::sample_tensors;
using test::TemporaryFolder;
using test::write_sample;

constexpr char const* python = TESSERA_PYTHON_WITH_H5PY;
constexpr char const* scripts = TESSERA_TEST_SCRIPTS;

/// Runs a command of the shell, which must succeed, and returns what it prints.
std::string output_of(std::string const& command, TemporaryFolder const& folder) {
  auto const file = folder.path("output");
  int const status = std::system((command + " > " + file + " 2>&1").c_str());
  EXPECT_EQ(status, 0) << command << "\n" << read_bytes(file);
  return read_bytes(file);
}

}  // namespace

TEST(Outside, PythonReadsEveryElementOfEveryTensor) {
  TemporaryFolder const folder;
  auto const tensors = sample_tensors();
  auto const directory = folder.path("c");
  write_sample(directory, tensors, 3, 5, 1);
  std::filesystem::create_directory(directory + ".elements");
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    auto const* const bytes = reinterpret_cast<char const*>(tensors[k].elements.data());
    test::write_bytes(fmt::format("{}.elements/{}", directory, k), {bytes, tensors[k].elements.size()});
  }
  auto const text = output_of(fmt::format("{} {}/readable.py {}", python, scripts, directory), folder);
  EXPECT_NE(text.find("10 tensors are as they should be"), std::string::npos) << text;
}

TEST(Outside, ToolsOfHdf5ShowTheTensors) {
  TemporaryFolder const folder;
  auto const tensors = sample_tensors();
  write_sample(folder.path("c"), tensors, 3, 5, 1);
  auto const list = output_of("h5ls -r " + folder.path("c/model.h5"), folder);
  for (auto const& tensor : tensors) EXPECT_NE(list.find("/" + tensor.entry.name), std::string::npos) << list;
  EXPECT_NE(list.find("Dataset {37, 24}"), std::string::npos) << list;
  // h5dump writes the elements as they lie in the file; the output must be the tensor, bit for bit.
  for (auto const& tensor : tensors) {
    auto const raw = folder.path("raw");
    output_of(
        fmt::format("h5dump -d /{} -b FILE -o {} {}", tensor.entry.name, raw, folder.path("c/model.h5")),
        folder);
    auto const* const bytes = reinterpret_cast<char const*>(tensor.elements.data());
    EXPECT_TRUE(read_bytes(raw) == std::string(bytes, tensor.elements.size())) << tensor.entry.name;
  }
}

TEST(Outside, AMissingSourceReadsAsNotANumber) {
  TemporaryFolder const folder;
  write_sample(folder.path("c"), {sample_tensors()[0]}, 1, 1, 1);
  std::filesystem::remove(folder.path("c/rank_00000.h5"));
  auto const text = output_of("h5dump -d /embedding.weight " + folder.path("c/model.h5"), folder);
  EXPECT_NE(text.find("nan, nan"), std::string::npos) << text;
  EXPECT_EQ(text.find("(0,0): 0"), std::string::npos) << text;
  ASSERT_EQ(verify_checkpoint(folder.path("c")).size(), 1U);
}

TEST(Outside, FilesFromStrangersAreRefused) {
  TemporaryFolder const folder;
  std::istringstream kinds(
      output_of(fmt::format("{} {}/strangers.py {}", python, scripts, folder.path()), folder));
  std::map<std::string, std::string> const words{{"soft_link", "link to elsewhere"},
                                                 {"external_link", "link to elsewhere"},
                                                 {"external_storage", "stored in another file"},
                                                 {"virtual", "not stored contiguously"},
                                                 {"filtered", "not stored contiguously"},
                                                 {"unknown_filter", "not stored contiguously"},
                                                 {"compact", "not stored contiguously"},
                                                 {"variable_length", "not f32"},
                                                 {"references", "not f32"},
                                                 {"big_endian", "not f32"},
                                                 {"compound", "not f32"},
                                                 {"other_shape", "shape"},
                                                 {"group", "open dataset 'w'"},
                                                 {"no_elements", "do not lie where"},
                                                 {"no_attributes", "attribute 'tensor'"},
                                                 {"variable_attribute", "attribute 'tensor'"},
                                                 {"more_links", "'more' is a link to elsewhere"},
                                                 {"more_in_a_group", "says nothing of 'more'"},
                                                 {"more_in_the_root", "attribute 'more'"},
                                                 {"more_attributes", "attribute 'more'"}};
  std::size_t refused = 0;
  std::string kind;
  for (Shard shard{{{0, 0}, {4, 4}}, 0, "w", 0, {}}; kinds >> kind >> shard.position;) {
    TensorEntry const tensor{"w", DType::f32, {4, 4}};
    FileEntry entry{kind + ".h5", 0, {}, "a stranger"};
    auto const bytes = read_bytes(folder.path(entry.name));
    entry.bytes = std::ssize(bytes);
    // The stranger gives us a manifest with the hash of the file.
    entry.hash = hash_of(bytes);
    ShardFileReader reader(folder.path(), FileContent{&entry, {}});
    auto const check = [&] {
      reader.check(tensor, shard);
      reader.expect_only({&entry, {{&tensor, &shard}}});
    };
    if (kind == "plain") {
      check();
    } else {
      ++refused;
      expect_failure(ExitCode::data, {kind + ".h5", words.at(kind)}, check);
    }
  }
  EXPECT_EQ(refused, words.size());
}

TEST(Outside, AnUnclosedFileIsRefused) {
  TemporaryFolder const folder;
  output_of(fmt::format("{} -c 'import h5py, os; f = h5py.File(\"{}\", \"w\", libver=(\"v110\", \"v110\")); "
                        "f[\"w\"] = 1.0; f.flush(); os._exit(0)'",
                        python, folder.path("open.h5")),
            folder);
  FileEntry entry{"open.h5", 0, {}, "a stranger"};
  auto const bytes = read_bytes(folder.path(entry.name));
  entry.bytes = std::ssize(bytes);
  entry.hash = hash_of(bytes);
  expect_failure(ExitCode::data, {"open.h5': it was never closed", "take an earlier step"}, [&] {
    ShardFileReader(folder.path(), FileContent{&entry, {}});
  });
}

}  // namespace tessera::checkpoint
