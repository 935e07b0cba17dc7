// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tessera::params {

/// The tiles of a cut dim that a rank owns: `count` consecutive ones of `total`, the first being `first`.
/// Every sharded thing, weights and activations alike, is cut by one of these.
struct TileRange {
  int total = 1;
  int first = 0;
  int count = 1;

  /// The share of rank `rank` of `ranks`. Throws ConfigError unless `ranks` divides `total`.
  static TileRange of_rank(int total, int rank, int ranks);
  static TileRange all(int total) { return {total, 0, total}; }

  friend bool operator==(TileRange const&, TileRange const&) = default;
};

/// How a tensor starts: normal with this mean and standard deviation (0: constant), from Philox numbers of
/// the global element, so that no layout changes a weight.
struct Initialisation {
  double mean = 0;
  double stddev = 0;
};

/// Where a gradient becomes complete within a stage.
enum class Completion {
  local,        ///< computed whole by the rank that owns the tile
  token_tiles,  ///< replicated over tp; summed from partial gradients by token tile (norms, biases of row
                ///< linears)
  token_rows    ///< replicated over tp; each row is touched by one token position only (position embedding)
};

/// A parameter of the model as every rank sees it: a tensor of a global shape, one of whose dims may be cut
/// into tiles. In memory a tile is `(outer, cut / tiles, inner)`, contiguous; so the leading dims of a fused
/// weight (q, k, v) are never cut and a product over a tile does not know how many tiles its rank owns.
struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;  ///< true global shape, without padding
  std::int64_t outer = 1;           ///< product of the dims before the cut one
  std::int64_t cut = 1;             ///< the cut dim, true size
  std::int64_t padded_cut = 1;      ///< the cut dim in memory, a multiple of `tiles`
  std::int64_t inner = 1;           ///< product of the dims after it
  int tiles = 1;                    ///< 1: not cut, the tensor is replicated over tp
  Completion completion = Completion::local;
  bool weight_decay = true;
  Initialisation initialisation;
  int index = 0;       ///< place in the canonical order of the whole model
  int first_slot = 0;  ///< sum of `tiles` over the tensors before it: its place among all (tensor, tile)

  /// True when every tp rank holds the whole tensor and its gradient is a sum over token positions.
  [[nodiscard]] bool replicated() const { return completion != Completion::local; }
  /// True number of elements, padding excluded.
  [[nodiscard]] std::int64_t size() const { return outer * cut * inner; }
  /// Elements of one tile in memory, padding included.
  [[nodiscard]] std::int64_t tile_size() const { return outer * (padded_cut / tiles) * inner; }
};

/// Where the elements of one tile lie in the tensor: `outer` runs of `run` consecutive elements, the o-th of
/// which starts at global index `first + o * stride`; elements of a run from `valid_run` on are padding.
struct TileElements {
  std::int64_t first = 0;
  std::int64_t outer = 0;
  std::int64_t stride = 0;
  std::int64_t run = 0;
  std::int64_t valid_run = 0;
};

/// The elements of tile `tile` (a global tile index) of `spec`.
[[nodiscard]] TileElements elements_of_tile(TensorSpec const& spec, int tile);

/// Appends `spec` to a canonical list of tensors and sets its index and first slot.
void append(std::vector<TensorSpec>& specs, TensorSpec spec);

/// Number of (tensor, tile) pairs of a canonical list.
[[nodiscard]] int slot_count(std::vector<TensorSpec> const& specs);

/// A 64-bit hash of a tensor's name (XXH3), the same on every machine.
[[nodiscard]] std::uint64_t name_hash(std::string const& name);

}  // namespace tessera::params
