// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/layers/specs.hpp"

#include <functional>
#include <numeric>
#include <utility>

namespace tessera::layers {

namespace {

std::int64_t product(std::vector<std::int64_t> const& dims) {
  return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace

params::TensorSpec cut_tensor(std::string name, std::vector<std::int64_t> const& before, std::int64_t n,
                              std::vector<std::int64_t> const& after, int tiles, double stddev) {
  params::TensorSpec spec;
  spec.name = std::move(name);
  spec.shape = before;
  spec.shape.push_back(n);
  spec.shape.insert(spec.shape.end(), after.begin(), after.end());
  spec.outer = product(before);
  spec.cut = n;
  spec.padded_cut = (n + tiles - 1) / tiles * tiles;
  spec.inner = product(after);
  spec.tiles = tiles;
  spec.initialisation = {0.0, stddev};
  return spec;
}

params::TensorSpec replicated_tensor(std::string name, std::vector<std::int64_t> shape,
                                     params::Completion completion, params::Initialisation initialisation,
                                     bool weight_decay) {
  auto spec = cut_tensor(std::move(name), {}, product(shape), {}, 1, initialisation.stddev);
  spec.shape = std::move(shape);
  spec.completion = completion;
  spec.initialisation = initialisation;
  spec.weight_decay = weight_decay;
  return spec;
}

}  // namespace tessera::layers
