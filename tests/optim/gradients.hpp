// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A small model of one rank with given gradients, as an optimiser meets it.
#pragma once

#include <string>
#include <vector>

#include "tessera/comm/session.hpp"
#include "tessera/data_parallel/gradient_reducer.hpp"

namespace tessera::optim::test {

inline comm::Communicator& alone() {
  static int argc = 0;
  static char** argv = nullptr;
  static auto const session = comm::open_session("loopback", argc, argv);
  static auto const world = session->world();
  return *world;
}

/// A tensor (n, inner), cut along n into `tiles`, padded to a multiple of them.
inline params::TensorSpec cut_tensor(std::string const& name, std::int64_t n, std::int64_t inner, int tiles) {
  params::TensorSpec spec;
  spec.name = name;
  spec.shape = {n, inner};
  spec.cut = n;
  spec.padded_cut = (n + tiles - 1) / tiles * tiles;
  spec.inner = inner;
  spec.tiles = tiles;
  return spec;
}

inline params::TensorSpec replicated_tensor(std::string const& name, std::int64_t n) {
  auto spec = cut_tensor(name, n, 1, 1);
  spec.completion = params::Completion::token_tiles;
  spec.weight_decay = false;
  return spec;
}

/// The gradients in buffer 0 of `store`, through a reduction over one replica, which leaves them as they are.
template <class T>
params::ReducedGradients<T> reduced(params::ParameterStore<T>& store) {
  data_parallel::GradientReducer<T> reducer(store, ExecutionSpace(), alone(), {}, {});
  reducer.gradients_ready(store.gradient_range(), {});
  return reducer.finish(params::LocalGradients<T>(store));
}

/// Calls f(element of the tile, global index) for every element of the tiles of `id` that is not padding, in
/// order.
template <class T, class F>
void for_each_element(params::ParameterStore<T> const& store, params::ParameterId id, F const& f) {
  auto const& parameter = store[id];
  for (int tile = 0; tile < parameter.tiles.count; ++tile) {
    auto const elements = params::elements_of_tile(parameter.spec, parameter.tiles.first + tile);
    for (std::int64_t o = 0; o < elements.outer; ++o) {
      for (std::int64_t r = 0; r < elements.valid_run; ++r) {
        f(tile, static_cast<std::size_t>(o * elements.run + r), elements.first + o * elements.stride + r);
      }
    }
  }
}

}  // namespace tessera::optim::test
