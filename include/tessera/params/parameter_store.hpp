// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/base/arena.hpp"
#include "tessera/base/compute_types.hpp"
#include "tessera/base/views.hpp"
#include "tessera/params/tensor_spec.hpp"

namespace tessera::params {

/// Elements [begin, end) of a flat store.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  [[nodiscard]] std::int64_t size() const { return end - begin; }
  friend bool operator==(Range const&, Range const&) = default;
};

/// The smallest range holding both.
[[nodiscard]] Range hull(Range a, Range b);

/// What this rank holds of a tensor.
enum class Role {
  owner,         ///< value, gradient and moments; counted in norms, hashes and parameter counts
  tied_copy,     ///< value, gradient and moments of a tensor another stage owns (head of a tied embedding)
  tied_gradient  ///< only the gradient of a tied tensor's second role; value and moments are the owner's
};

/// Every tile of this store starts on a multiple of this many elements, as the chunks of the gradient norm
/// and the borders of sharded optimiser states require (docs/numerics.md, rule 9).
inline constexpr std::int64_t tile_alignment = 4096;

using ParameterId = int;

struct Parameter {
  TensorSpec spec;
  TileRange tiles;
  Role role = Role::owner;
  Range range;                   ///< its elements in the flat store, alignment included
  std::int64_t tile_stride = 0;  ///< elements from one tile to the next
  std::int64_t partials = 0;     ///< replicated ones: first element in the store of partial gradients
};

/// The parameters of one pipeline stage on one rank, flat and contiguous: values, gradients, two moments, all
/// of Wide<T>. Where the compute type T is bf16 or f16 these values are the masters, and `weight` is what
/// they round to: a second store that products and lookups read, made anew whenever the values have changed
/// (kernels::round of values() into weights()).
///
/// Order in the store: replicated tensors first (their gradients are completed by one packed sum over tp),
/// then cut ones in the order of the forward pass, so that the backward pass completes the store from its end
/// to its beginning, then gradients of tied roles.
///
/// Gradients have `levels` buffers, the stack of the balanced sum over batch tiles (see
/// batch_tiles.hpp); the finished gradient is in buffer 0. Tensors completed by
/// token tiles accumulate theirs in `partial_gradient` first.
template <class T>
class ParameterStore {
 public:
  /// Adds a tensor; all adds come before `allocate`. Tensors are added in forward order.
  ParameterId add(TensorSpec const& spec, TileRange tiles, Role role = Role::owner);

  /// Takes the memory: values, weights where they are another store, `levels` gradient buffers, moments,
  /// partial gradients over `token_tiles` tiles. Over a counting arena nothing is allocated.
  void allocate(Arena& arena, int levels, int token_tiles);
  /// Instead of `allocate`: reads the values of `other`, to which the same tensors were added and which must
  /// outlive this store. There are no gradients and no moments.
  void borrow_values(ParameterStore const& other);

  [[nodiscard]] std::vector<Parameter> const& parameters() const noexcept { return parameters_; }
  [[nodiscard]] Parameter const& operator[](ParameterId id) const {
    return parameters_[static_cast<std::size_t>(id)];
  }

  /// The i-th owned tile of a tensor, padding of the tile included, alignment not: (tile_size).
  [[nodiscard]] Vector<Wide<T>> value(ParameterId id, int i = 0) const { return tile(values_, id, i); }
  /// The same in the compute type.
  [[nodiscard]] Vector<T> weight(ParameterId id, int i = 0) const { return tile(weights_, id, i); }
  /// Its gradient in buffer `level`.
  [[nodiscard]] Vector<Wide<T>> gradient(ParameterId id, int i, int level) const {
    return tile(slice(gradients_, static_cast<std::size_t>(level)), id, i);
  }
  /// The gradient of a tensor completed by token tiles: (token tiles of this rank, size).
  [[nodiscard]] Matrix<Wide<T>> partial_gradient(ParameterId id) const;

  [[nodiscard]] Vector<Wide<T>> values() const { return values_; }
  /// The same elements in the compute type: values() itself, or a store of its own where T is bf16 or f16.
  [[nodiscard]] Vector<T> weights() const { return weights_; }
  [[nodiscard]] Vector<Wide<T>> gradients(int level) const {
    return slice(gradients_, static_cast<std::size_t>(level));
  }
  [[nodiscard]] Vector<Wide<T>> first_moments() const { return first_moments_; }
  [[nodiscard]] Vector<Wide<T>> second_moments() const { return second_moments_; }

  /// All replicated tensors: [0, end).
  [[nodiscard]] Range replicated_range() const { return {0, replicated_end_}; }
  /// All gradients, those of tied roles included.
  [[nodiscard]] Range gradient_range() const { return {0, gradient_end_}; }
  [[nodiscard]] int levels() const { return static_cast<int>(gradients_.extent(0)); }

 private:
  template <class V>
  Vector<V> tile(Vector<V> const& flat, ParameterId id, int i) const {
    auto const& parameter = (*this)[id];
    return Vector<V>(flat.data() + parameter.range.begin + i * parameter.tile_stride,
                     static_cast<std::size_t>(parameter.spec.tile_size()));
  }
  void place();

  std::vector<Parameter> parameters_;
  std::int64_t replicated_end_ = 0;
  std::int64_t value_end_ = 0;
  std::int64_t gradient_end_ = 0;
  std::int64_t partials_end_ = 0;
  int token_tiles_ = 1;
  Vector<Wide<T>> values_, first_moments_, second_moments_;
  Vector<T> weights_;
  Matrix<Wide<T>> gradients_;
  Vector<Wide<T>> partials_;
};

TESSERA_COMPUTE_TYPES(extern template class, ParameterStore)

}  // namespace tessera::params
