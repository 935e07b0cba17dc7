// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A whole training run in a test: everything a Trainer stands on, and tensors compared by their global index.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/data_files.hpp"
#include "tessera/train/trainer.hpp"

namespace tessera::train::test {

/// A file of token ids below `vocabulary`, the same on every rank that writes one: text-like, so that a model
/// learns from it.
class TokenFile {
 public:
  TokenFile(std::int64_t vocabulary, std::int64_t tokens);
  [[nodiscard]] std::string const& path() const { return path_; }

 private:
  data::test::TemporaryFolder folder_;
  std::string path_;
};

/// All elements of all tensors of a model one after another, in canonical order and without padding.
template <class T>
using Image = std::vector<Wide<T>>;

/// Which numbers of a ParameterStore are meant.
enum class Kind { value, gradient, first_moment, second_moment };

/// The numbers of one owned tile of a store.
template <class T>
Vector<Wide<T>> numbers_of_tile(params::ParameterStore<T> const& store, Kind kind, params::ParameterId id,
                                int tile);

/// One training run on the ranks of a communicator.
template <class T>
class TrainingRun {
 public:
  /// Collective over `world`.
  TrainingRun(std::unique_ptr<comm::Communicator> world, RunConfig const& config,
              std::function<std::unique_ptr<StreamGraph>()> const& graph = {},
              comm::DeviceWatchers const& devices = {});

  [[nodiscard]] Trainer<T>& trainer() { return *trainer_; }
  [[nodiscard]] mesh::Mesh& mesh() { return *mesh_; }
  [[nodiscard]] comm::Ledger const& ledger() const { return ledger_; }
  [[nodiscard]] RunConfig const& config() const { return config_; }

  /// Not collective: the image of a run of one rank.
  [[nodiscard]] Image<T> image(Kind kind);
  /// Not collective. Says where this rank's tensors, its copies of replicated and tied ones included, first
  /// differ from `image` by a bit: tensor, tile, element and rank. Empty when they do not.
  [[nodiscard]] std::string difference(Kind kind, Image<T> const& image);

 private:
  RunConfig config_;
  comm::Ledger ledger_;
  std::unique_ptr<comm::Communicator> telemetry_;
  std::optional<mesh::Mesh> mesh_;
  std::unique_ptr<kernels::MatmulProvider> matmul_;
  std::optional<data::Dataset> dataset_;
  std::optional<Trainer<T>> trainer_;
};

/// Calls `visit(parameter, tile, values, position)` for each owned tile whose numbers of `kind` a store
/// holds; `position(i)` is the global index of the tile's element i, or nothing where the element is padding.
template <class T, class Visit>
void for_each_tile(params::ParameterStore<T> const& store, Kind kind, Visit const& visit) {
  for (params::ParameterId id = 0; id < static_cast<params::ParameterId>(store.parameters().size()); ++id) {
    auto const& parameter = store[id];
    if (parameter.role == params::Role::tied_gradient) continue;
    for (int tile = 0; tile < parameter.tiles.count; ++tile) {
      auto const elements = params::elements_of_tile(parameter.spec, parameter.tiles.first + tile);
      auto const values = numbers_of_tile(store, kind, id, tile);
      visit(parameter, parameter.tiles.first + tile, values, [elements](std::int64_t i) {
        std::int64_t const in_run = i % elements.run;
        bool const valid = in_run < elements.valid_run;
        return valid ? std::optional(elements.first + i / elements.run * elements.stride + in_run)
                     : std::nullopt;
      });
    }
  }
}

TESSERA_COMPUTE_TYPES(extern template class, TrainingRun)

}  // namespace tessera::train::test
