// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/staging.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "checkpoint/pack.hpp"
#include "checkpoint/sources.hpp"
#include "tessera/checkpoint/fault_point.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::checkpoint {

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t line = 64;                               // copies begin on cache lines
constexpr std::size_t message_bytes = handing_over_bytes / 2;  // one is made while the other is on its way

std::size_t rounded_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

std::size_t bytes_of(Box const& box, DType dtype) {
  return static_cast<std::size_t>(element_count(box)) * size_bytes(dtype);
}

std::size_t room_of(Part const& part, Snapshot const& snapshot) {
  return rounded_up(bytes_of(part.box, snapshot.tensors.at(part.tensor).dtype), line);
}

void gather(Part const& part, std::size_t element_bytes, BoxMemory const& to, Caches caches) {
  for (auto const& source : part.sources) {
    if (auto const what = intersection(source.box, to.box))
      copy_box(to, source, *what, element_bytes, caches);
  }
}

std::span<std::uint8_t> as_message(std::byte* bytes, std::size_t count) {
  return {reinterpret_cast<std::uint8_t*>(bytes), count};
}

/// The pieces of a box that make a message each: dense, one after the other.
void for_each_message(Box const& box, std::size_t element_bytes,
                      std::function<void(Piece const&, std::size_t bytes)> const& visit) {
  auto const room = static_cast<std::int64_t>(message_bytes / element_bytes);
  for_each_piece(box, box, room, 0, [&](Piece const& piece) {
    visit(piece, static_cast<std::size_t>(piece.span) * element_bytes);
  });
}

std::vector<std::uint8_t> pack_parts(std::span<Part const> parts) {
  Packer packer;
  for (auto const& part : parts) {
    packer.number(static_cast<std::int64_t>(part.tensor));
    packer.box(part.box);
    packer.tiles(part.tiles);
  }
  return packer.take();
}

std::vector<Part> unpack_parts(std::span<std::uint8_t const> bytes) {
  std::vector<Part> parts;
  for (Unpacker unpacker(bytes); !unpacker.empty();) {
    auto& part = parts.emplace_back();
    part.tensor = static_cast<std::size_t>(unpacker.number());
    part.box = unpacker.box();
    part.tiles = unpacker.tiles();
  }
  return parts;
}

}  // namespace

std::int64_t bytes_of_parts(Snapshot const& snapshot) {
  std::size_t bytes = 0;
  for (auto const& part : snapshot.parts) bytes += room_of(part, snapshot);
  return static_cast<std::int64_t>(bytes);
}

void TouchedMemory::Free::operator()(std::byte* memory) const noexcept {
  ::operator delete(memory, std::align_val_t(huge_page));
}

void TouchedMemory::reserve(std::size_t bytes) {
  if (bytes <= bytes_) return;
  data_.reset();
  bytes_ = 0;
  auto* const memory =
      static_cast<std::byte*>(::operator new(bytes, std::align_val_t(huge_page), std::nothrow));
  if (memory == nullptr) {
    throw MemoryError(fmt::format("no memory for the copy of what is saved: {} bytes needed", bytes));
  }
  data_.reset(memory);
  // Advice only: without huge pages the copy is a little slower. What is left of the last one stays small
  // pages.
  ::madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);
  std::memset(memory, 0, bytes);
  bytes_ = bytes;
}

/// What this rank is to hold: its own parts first, then those of each other rank of the group.
struct Staging::Plan {
  std::vector<Part> parts;          // without sources
  std::vector<std::size_t> ends;    // of each rank's, in `parts`
  std::vector<std::size_t> places;  // in the memory
  std::size_t bytes = 0;
};

Staging::Staging(comm::Communicator& world, int ranks_per_file, std::vector<int> const& nodes)
    : rank_(world.rank()) {
  if (ranks_per_file == 1) return;
  auto const own = static_cast<std::size_t>(world.rank());
  auto const node = nodes.empty() ? world.split_by_node() : world.split(nodes.at(own), world.rank());
  group_ = node->split(node->rank() / ranks_per_file, node->rank());
}

std::vector<Part> Staging::all_parts(Snapshot const& snapshot, std::vector<std::size_t>& ends) const {
  std::vector<Part> parts;
  if (writes()) {
    for (auto const& part : snapshot.parts) parts.push_back({part.tensor, part.box, {}, part.tiles});
    ends.push_back(parts.size());
  }
  if (!group_) return parts;
  auto packed = pack_parts(snapshot.parts);
  auto const sizes = comm::all_gather_values(*group_, static_cast<std::uint64_t>(packed.size()));
  if (!writes()) {
    comm::send(*group_, packed, 0).wait_host();
    return parts;
  }
  for (int peer = 1; peer < group_->size(); ++peer) {
    packed.resize(sizes[static_cast<std::size_t>(peer)]);
    comm::receive(*group_, packed, peer).wait_host();
    std::ranges::move(unpack_parts(packed), std::back_inserter(parts));
    ends.push_back(parts.size());
  }
  return parts;
}

Staging::Plan Staging::prepare(Snapshot const& snapshot) {
  Plan plan;
  plan.parts = all_parts(snapshot, plan.ends);
  for (auto const& part : plan.parts) {
    plan.places.push_back(plan.bytes);
    plan.bytes += room_of(part, snapshot);
  }
  auto failure = failure_of([&] {
    fault_point("ckpt.begin");
    for (auto const& part : snapshot.parts) {
      auto const problem = problem_of_sources(part.box, part.sources);
      require(!problem, "sources cover a box exactly once: " + problem.value_or(""));
    }
    memory_.reserve(writes() ? plan.bytes : 2 * message_bytes);
  });
  if (failure && group_)
    *failure = {failure->code, fmt::format("rank {}: {}", rank_, failure->message), true};
  if (group_) failure = agree(*group_, failure);
  if (failure) throw_failure<IoError>(*failure);
  return plan;
}

void Staging::reserve(Snapshot const& snapshot) { prepare(snapshot); }

std::vector<Part> Staging::copy(Snapshot const& snapshot) {
  Plan plan = prepare(snapshot);
  if (!writes()) {
    send_parts(snapshot);
    return {};
  }
  for (std::size_t k = 0; k < snapshot.parts.size(); ++k) {
    auto const element_bytes = size_bytes(snapshot.tensors[plan.parts[k].tensor].dtype);
    BoxMemory const to = row_major(memory_.data() + plan.places[k], plan.parts[k].box);
    gather(snapshot.parts[k], element_bytes, to, Caches::pass_by);
  }
  for (std::size_t peer = 1; peer < plan.ends.size(); ++peer) {
    receive_parts(plan, snapshot, peer);
  }
  for (std::size_t k = 0; k < plan.parts.size(); ++k) {
    std::byte const* const place = memory_.data() + plan.places[k];
    plan.parts[k].sources.push_back(row_major(place, plan.parts[k].box));
  }
  return std::move(plan.parts);
}

void Staging::send_parts(Snapshot const& snapshot) {
  std::array<comm::Request, 2> under_way;
  std::size_t turn = 0;
  for (auto const& part : snapshot.parts) {
    auto const element_bytes = size_bytes(snapshot.tensors[part.tensor].dtype);
    for_each_message(part.box, element_bytes, [&](Piece const& piece, std::size_t bytes) {
      auto& request = under_way[turn];
      std::byte* const buffer = memory_.data() + turn * message_bytes;
      request.wait_host();
      gather(part, element_bytes, row_major(buffer, piece.box), Caches::keep);
      request = comm::send(*group_, as_message(buffer, bytes), 0);
      turn = 1 - turn;
    });
  }
  for (auto& request : under_way) request.wait_host();
}

void Staging::receive_parts(Plan const& plan, Snapshot const& snapshot, std::size_t peer) {
  for (std::size_t k = plan.ends[peer - 1]; k < plan.ends[peer]; ++k) {
    auto const& part = plan.parts[k];
    auto const element_bytes = size_bytes(snapshot.tensors[part.tensor].dtype);
    for_each_message(part.box, element_bytes, [&](Piece const& piece, std::size_t bytes) {
      auto const place = plan.places[k] + static_cast<std::size_t>(piece.position) * element_bytes;
      comm::receive(*group_, as_message(memory_.data() + place, bytes), static_cast<int>(peer)).wait_host();
    });
  }
}

}  // namespace tessera::checkpoint
