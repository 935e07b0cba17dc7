// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <filesystem>

#include "commands.hpp"
#include "opened.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/steps.hpp"
#include "tessera/checkpoint/verify.hpp"

namespace gpt_ckpt {

namespace {

using checkpoint::in_quotes;
using checkpoint::Manifest;

std::string layout_text(checkpoint::Layout const& layout) {
  return fmt::format("{} rank{}: tp {}, pp {}, dp {}, tiles {}", layout.ranks, layout.ranks == 1 ? "" : "s",
                     layout.tp, layout.pp, layout.dp,
                     layout.tiles == 0 ? "auto" : fmt::format("{}", layout.tiles));
}

/// The first file that has not its size, or "all files".
std::string look_at_sizes(std::string const& directory, Manifest const& manifest) {
  for (auto const& file : manifest.files) {
    auto const path = checkpoint::path_in(directory, file.name);
    auto const found = checkpoint::file_size(checkpoint::open_to_read(path), path);
    if (found != file.bytes) {
      return fmt::format("DAMAGED: {} has {} bytes instead of {}", file.name, found, file.bytes);
    }
  }
  return "complete";
}

void list_one(std::string const& directory, std::string const& name) {
  try {
    auto const manifest = checkpoint::read_manifest(directory);
    fmt::print("{}  {:>10}  {:>5} files  {}  {}\n", name, human(bytes_of_checkpoint(directory, manifest)),
               manifest.files.size(), layout_text(manifest.layout), look_at_sizes(directory, manifest));
  } catch (tessera::Error const& error) {
    bool const unreadable = checkpoint::is_unreadable(error.code());
    fmt::print("{}  {}: {}\n", name, unreadable ? "CANNOT BE READ" : "DAMAGED", error.what());
  }
}

void show_values(char const* title, checkpoint::Values const& values) {
  fmt::print("\n{}\n", title);
  for (auto const& [name, value] : values) fmt::print("  {} = {}\n", in_quotes(name), in_quotes(value));
}

}  // namespace

int list(std::string const& path) {
  for (auto const& one : checkpoint::candidates(path)) {
    list_one(one, std::filesystem::path(one).filename().string());
  }
  return 0;
}

int verify(std::string const& path) {
  auto const reader = open(path);
  auto const& manifest = reader.manifest();
  fmt::print("{}: all {} files are what was written, {}\n", reader.directory(), manifest.files.size(),
             human(bytes_of_checkpoint(reader.directory(), manifest)));
  return 0;
}

int show(std::string const& path) {
  auto const directory = resolve(path);
  auto const manifest = checkpoint::read_manifest(directory);
  fmt::print("{}\n  step {}, {}, written by {}, format {}\n  saved by {}\n", directory, manifest.step,
             human(bytes_of_checkpoint(directory, manifest)), in_quotes(manifest.created_by),
             manifest.version, layout_text(manifest.layout));
  show_values("config", manifest.config);
  show_values("state", manifest.state);
  fmt::print("\nfiles\n");
  for (auto const& file : manifest.files) {
    fmt::print("  {}  {:>10}  {}  {}\n", file.name, human(file.bytes), to_hex(file.hash),
               in_quotes(file.writer));
  }
  fmt::print("\ntensors\n");
  std::int64_t elements = 0;
  for (auto const& [tensor, shards] : manifest.tensors) {
    elements += element_count(checkpoint::whole(tensor.shape));
    fmt::print("  {}  {} {}  {}  {} {}\n", tensor.name, to_string(tensor.dtype), shape_text(tensor.shape),
               human(bytes_of(tensor)), shards.size(), shards.size() == 1 ? "box" : "boxes");
  }
  fmt::print("  {} tensors, {} elements\n", manifest.tensors.size(), elements);
  return 0;
}

}  // namespace gpt_ckpt
