// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/part_writer.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "checkpoint/pack.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/fault_point.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/shard_file.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::checkpoint {

namespace {

/// Whichever rank comes first makes it, without a word to the others.
void ensure_directory(std::string const& path) {
  fault_point("ckpt.create_directory");
  if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) throw_io_error("create directory", path, errno);
}

std::vector<std::uint8_t> pack(Written const& written) {
  Packer packer;
  if (!written.file) return packer.take();
  auto const& file = *written.file;
  packer.text(file.name);
  packer.number(file.bytes);
  packer.hash(file.hash);
  packer.text(file.writer);
  for (auto const& [tensor, shard] : written.places) {
    packer.number(static_cast<std::int64_t>(tensor));
    packer.box(shard.box);
    packer.text(shard.dataset);
    packer.number(shard.position);
    packer.hash(shard.hash);
  }
  return packer.take();
}

void add(std::span<std::uint8_t const> packed, Manifest& manifest) {
  Unpacker unpacker(packed);
  if (unpacker.empty()) return;
  auto const number = std::ssize(manifest.files);
  auto& file = manifest.files.emplace_back();
  file.name = unpacker.text();
  file.bytes = unpacker.number();
  file.hash = unpacker.hash();
  file.writer = unpacker.text();
  while (!unpacker.empty()) {
    auto& tensor = manifest.tensors.at(static_cast<std::size_t>(unpacker.number()));
    Shard shard{unpacker.box(), number, {}, 0, {}};
    shard.dataset = unpacker.text();
    shard.position = unpacker.number();
    shard.hash = unpacker.hash();
    tensor.shards.push_back(std::move(shard));
  }
}

}  // namespace

Written write_parts(WriteJob const& job, std::span<TensorEntry const> tensors, std::span<Part const> parts,
                    std::atomic<bool> const& cancelled) {
  Written written;
  if (parts.empty()) return written;
  ensure_directory(job.directory);
  ShardFileWriter writer(path_in(job.directory, job.file), job.step, job.writer);
  for (auto const& part : parts) {
    if (cancelled) return {};
    auto shard = writer.write(tensors[part.tensor], part.box, part.sources, part.tiles);
    written.places.push_back({part.tensor, std::move(shard)});
  }
  written.file = writer.finish();
  fault_point("ckpt.written");
  return written;
}

void gather_written(comm::Communicator& world, Written const& own, std::span<TensorEntry const> tensors,
                    Manifest& manifest) {
  auto packed = pack(own);
  auto const sizes = comm::all_gather_values(world, static_cast<std::uint64_t>(packed.size()));
  if (world.rank() != 0) {
    if (!packed.empty()) comm::send(world, packed, 0).wait_host();
    return;
  }
  for (auto const& tensor : tensors) manifest.tensors.push_back({tensor, {}});
  add(packed, manifest);
  for (int peer = 1; peer < world.size(); ++peer) {
    packed.resize(sizes[static_cast<std::size_t>(peer)]);
    if (!packed.empty()) comm::receive(world, packed, peer).wait_host();
    add(packed, manifest);
  }
}

}  // namespace tessera::checkpoint
