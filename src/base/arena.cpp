// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/arena.hpp"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "tessera/base/error.hpp"

namespace tessera {

namespace {
/// One cache line, and enough for the widest vector load. Starts do not decide bits, only speed.
constexpr std::size_t alignment_bytes = 64;

bool shared_with_host = false;
}  // namespace

Arena::Arena(std::string label, Mode mode) : label_(std::move(label)), mode_(mode) {}

void Arena::share_with_host_for_tests() { shared_with_host = true; }

void* Arena::take_bytes(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  std::size_t const padded = (bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
  used_bytes_ += padded;
  if (counting()) return nullptr;
  std::size_t const words = padded / sizeof(std::uint64_t);
  try {
    if (shared_with_host) return shared_blocks_.emplace_back(label_, words).data();
    blocks_.emplace_back(label_, words);
  } catch (std::exception const&) {  // Kokkos throws other types in other versions, with a page of text
    throw MemoryError(fmt::format("not enough memory: {} bytes for {} could not be had after {} bytes",
                                  padded, label_, used_bytes_ - padded));
  }
  return blocks_.back().data();
}

}  // namespace tessera
