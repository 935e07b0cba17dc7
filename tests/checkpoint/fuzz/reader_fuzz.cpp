// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the head of a shard file whose hash its own manifest confirms, as a stranger's would: it is
// refused with an Error, or elements are read from inside it.
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "seed.hpp"
#include "tessera/base/error.hpp"

namespace {

using namespace tessera;
using namespace tessera::checkpoint;

/// A folder of this process with the seed's file, and what is known of it.
struct Stage {
  Stage() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    directory = name;
    path = directory + "/seed.h5";
    manifest = test::write_seed(path);
    std::ifstream file(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  Stage(Stage const&) = delete;
  Stage& operator=(Stage const&) = delete;
  ~Stage() { std::filesystem::remove_all(directory); }

  std::string directory;
  std::string path;
  std::string bytes;
  Manifest manifest;
};

}  // namespace

// The name that libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  static Stage const stage;
  std::string bytes = stage.bytes;
  std::copy_n(data, std::min(size, bytes.size()), bytes.begin());
  std::ofstream(stage.path, std::ios::binary | std::ios::trunc) << bytes;
  FileEntry const entry{"seed.h5", std::ssize(bytes), hash_of(bytes), "anyone"};
  try {
    ShardFileReader reader(stage.directory, FileContent{&entry, {}});
    try {
      reader.expect_only(contents_of(stage.manifest).front());
    } catch (DataError const&) {
    }
    for (auto const& [tensor, shards] : stage.manifest.tensors) {
      std::array<std::byte, 96> memory{};
      try {
        reader.read(tensor, shards[0], shards[0].box, row_major(memory.data(), shards[0].box));
      } catch (DataError const&) {
      }
    }
  } catch (Error const&) {
  }
  return 0;
}
