// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/params/tensor_spec.hpp"

#define XXH_INLINE_ALL
#define XXH_VECTOR XXH_SCALAR  // names are short, and GCC 12 warns of its own AVX-512 header
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "tessera/base/error.hpp"

namespace tessera::params {

TileRange TileRange::of_rank(int total, int rank, int ranks) {
  if (ranks < 1 || total % ranks != 0) {
    throw ConfigError({fmt::format(
        "{} tiles cannot be dealt out evenly to {} ranks: take as many ranks as divide them", total, ranks)});
  }
  return {total, rank * (total / ranks), total / ranks};
}

TileElements elements_of_tile(TensorSpec const& spec, int tile) {
  std::int64_t const width = spec.padded_cut / spec.tiles;
  std::int64_t const start = tile * width;
  std::int64_t const valid = std::clamp<std::int64_t>(spec.cut - start, 0, width);
  return {start * spec.inner, spec.outer, spec.cut * spec.inner, width * spec.inner, valid * spec.inner};
}

void append(std::vector<TensorSpec>& specs, TensorSpec spec) {
  spec.index = static_cast<int>(specs.size());
  spec.first_slot = slot_count(specs);
  specs.push_back(std::move(spec));
}

int slot_count(std::vector<TensorSpec> const& specs) {
  return specs.empty() ? 0 : specs.back().first_slot + specs.back().tiles;
}

std::uint64_t name_hash(std::string const& name) { return XXH3_64bits(name.data(), name.size()); }

}  // namespace tessera::params
