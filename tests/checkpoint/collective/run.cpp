// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/steps.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::checkpoint::test {

std::vector<FullTensor> tensors_at(std::int64_t step) {
  auto tensors = sample_tensors();
  for (auto& tensor : tensors) {
    for (std::size_t k = 0; k < tensor.elements.size(); k += size_bytes(tensor.entry.dtype)) {
      tensor.elements[k] ^= static_cast<std::byte>(step * 37 + static_cast<std::int64_t>(k));
    }
  }
  return tensors;
}

Cut::Cut(std::vector<FullTensor> const& tensors, int rank, int ranks, std::uint64_t seed) {
  std::mt19937_64 random(seed);  // draws the same on all ranks
  std::mt19937_64 own(seed + 1);
  snapshot_.layout = {ranks, ranks, 1, 1, 8};
  snapshot_.config = {{"layers", "1"}};
  for (auto const& tensor : tensors) {
    auto const index = snapshot_.tensors.size();
    snapshot_.tensors.push_back(tensor.entry);
    auto const everything = row_major(tensor.elements.data(), whole(tensor.entry.shape));
    for (auto const& box : random_cut(tensor.entry.shape, static_cast<std::size_t>(2 * ranks), random)) {
      auto const kind = random() % 3;
      if (random() % static_cast<std::uint64_t>(ranks) != static_cast<std::uint64_t>(rank)) continue;
      auto& part = snapshot_.parts.emplace_back(Part{index, box, {everything}, TileRange{1, 2}});
      if (kind == 0) continue;
      part.sources.clear();
      auto pieces = kind == 1 ? std::vector{box} : random_cut(box.extent, 2, own);
      for (auto& piece : pieces) {
        for (std::size_t dim = 0; kind == 2 && dim < box.offset.size(); ++dim)
          piece.offset[dim] += box.offset[dim];
        memories_.push_back(elements_of(tensor, piece));
        std::byte const* const memory = memories_.back().data();
        part.sources.push_back(row_major(memory, piece));
      }
    }
  }
}

Snapshot const& Cut::at(std::int64_t step) {
  snapshot_.step = step;
  snapshot_.state = {{"position", fmt::format("{}", 100 * step)}};
  return snapshot_;
}

SaveResult save(Saver& saver, comm::Communicator& world, std::int64_t step, std::uint64_t seed) {
  auto const tensors = tensors_at(step);
  saver.begin(Cut(tensors, world.rank(), world.size(), seed).at(step));
  auto const result = saver.finish();
  EXPECT_TRUE(result);
  return result.value_or(SaveResult{});
}

Loader load_and_compare(comm::Communicator& world, std::string const& path, std::uint64_t seed) {
  Loader loader = Loader::open(world, path);
  std::int64_t const step = loader.manifest().step;
  EXPECT_EQ(loader.manifest().state.at("position"), fmt::format("{}", 100 * step));
  auto const tensors = tensors_at(step);
  Cut cut(tensors, world.rank(), world.size(), seed);
  auto const& snapshot = cut.at(step);
  EXPECT_TRUE(loader.differences(snapshot.tensors).empty());
  std::vector<std::vector<std::byte>> memories;
  std::vector<Slice> slices;
  for (auto const& part : snapshot.parts) {
    auto const& [name, dtype, shape] = snapshot.tensors[part.tensor];
    auto& memory =
        memories.emplace_back(static_cast<std::size_t>(element_count(part.box)) * size_bytes(dtype));
    slices.push_back({name, dtype, shape, row_major(memory.data(), part.box)});
  }
  loader.read(slices);
  for (std::size_t k = 0; k < slices.size(); ++k) {
    auto const& part = snapshot.parts[k];
    EXPECT_TRUE(memories[k] == elements_of(tensors[part.tensor], part.box))
        << slices[k].tensor << " " << to_string(part.box) << " of step " << step;
  }
  return loader;
}

SharedFolder::SharedFolder(comm::Communicator& world) : world_(world) {
  if (world.rank() == 0) {
    folder_ = std::make_unique<TemporaryFolder>();
    path_ = folder_->path();
  }
  path_.resize(comm::broadcast_value(world, static_cast<std::uint64_t>(path_.size()), 0));
  std::span const bytes(reinterpret_cast<std::uint8_t*>(path_.data()), path_.size());
  comm::broadcast(world, bytes, 0).wait_host();
}

SharedFolder::~SharedFolder() { comm::barrier(world_); }

std::string SharedFolder::path(std::string const& name) const {
  return name.empty() ? path_ : path_in(path_, name);
}

std::vector<std::string> names_in(comm::Communicator& world, std::string const& directory) {
  comm::barrier(world);
  auto names = list_directory(directory);
  std::erase(names, lock_name);
  comm::barrier(world);
  return names;
}

void on_rank_0(comm::Communicator& world, std::function<void()> const& action) {
  comm::barrier(world);
  if (world.rank() == 0) action();
  comm::barrier(world);
}

void flip_bit(std::string const& path) {
  auto bytes = read_bytes(path);
  bytes[bytes.size() / 2] ^= 4;
  write_bytes(path, bytes);
}

}  // namespace tessera::checkpoint::test
