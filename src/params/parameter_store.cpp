// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/params/parameter_store.hpp"

#include <algorithm>
#include <type_traits>

#include "tessera/base/error.hpp"

namespace tessera::params {

namespace {

std::int64_t aligned(std::int64_t count) {
  return (count + tile_alignment - 1) / tile_alignment * tile_alignment;
}

}  // namespace

Range hull(Range a, Range b) { return {std::min(a.begin, b.begin), std::max(a.end, b.end)}; }

template <class T>
ParameterId ParameterStore<T>::add(TensorSpec const& spec, TileRange tiles, Role role) {
  require(values_.data() == nullptr, "tensors are added before the store is allocated");
  require(spec.tiles == tiles.total, "the tile range fits the tensor " + spec.name);
  Parameter parameter;
  parameter.spec = spec;
  parameter.tiles = tiles;
  parameter.role = role;
  parameter.tile_stride = aligned(spec.tile_size());
  parameters_.push_back(parameter);
  return static_cast<ParameterId>(parameters_.size()) - 1;
}

template <class T>
void ParameterStore<T>::place() {
  std::int64_t next = 0;
  auto const place_all = [&](auto const& belongs) {
    for (auto& parameter : parameters_) {
      if (!belongs(parameter)) continue;
      parameter.range = {next, next + parameter.tiles.count * parameter.tile_stride};
      next = parameter.range.end;
    }
    return next;
  };
  auto const gradient_only = [](Parameter const& p) { return p.role == Role::tied_gradient; };
  replicated_end_ = place_all([](Parameter const& p) { return p.spec.replicated(); });
  value_end_ = place_all([&](Parameter const& p) { return !p.spec.replicated() && !gradient_only(p); });
  gradient_end_ = place_all(gradient_only);
}

template <class T>
void ParameterStore<T>::allocate(Arena& arena, int levels, int token_tiles) {
  place();
  token_tiles_ = token_tiles;
  for (auto& parameter : parameters_) {
    if (parameter.spec.completion != Completion::token_tiles) continue;
    parameter.partials = partials_end_;
    partials_end_ += token_tiles * parameter.spec.tile_size();
  }
  using W = Wide<T>;
  values_ = arena.vector<W>(static_cast<std::size_t>(value_end_));
  if constexpr (std::is_same_v<T, W>) {
    weights_ = values_;
  } else {
    weights_ = arena.vector<T>(static_cast<std::size_t>(value_end_));
  }
  gradients_ = arena.matrix<W>(static_cast<std::size_t>(levels), static_cast<std::size_t>(gradient_end_));
  first_moments_ = arena.vector<W>(static_cast<std::size_t>(value_end_));
  second_moments_ = arena.vector<W>(static_cast<std::size_t>(value_end_));
  partials_ = arena.vector<W>(static_cast<std::size_t>(partials_end_));
}

template <class T>
void ParameterStore<T>::borrow_values(ParameterStore const& other) {
  place();
  require(value_end_ == other.value_end_, "stores that share values hold the same tensors");
  values_ = other.values_;
  weights_ = other.weights_;
}

template <class T>
Matrix<Wide<T>> ParameterStore<T>::partial_gradient(ParameterId id) const {
  auto const& parameter = (*this)[id];
  return Matrix<Wide<T>>(partials_.data() + parameter.partials, static_cast<std::size_t>(token_tiles_),
                         static_cast<std::size_t>(parameter.spec.tile_size()));
}

TESSERA_COMPUTE_TYPES(template class, ParameterStore)

}  // namespace tessera::params
