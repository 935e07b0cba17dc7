// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "training.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "tessera/train/room_options.hpp"

namespace tessera::train::test {

namespace {

constexpr std::array kind_names{"value", "gradient", "first moment", "second moment"};

/// Tokens that follow each other by a rule most of the time.
std::vector<std::uint16_t> make_tokens(std::int64_t vocabulary, std::int64_t count) {
  std::vector<std::uint16_t> tokens;
  std::uint64_t state = 1, token = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    bool const by_rule = (state >> 33) % 8 != 0;
    token = (by_rule ? token * 5 + 3 : state >> 40) % static_cast<std::uint64_t>(vocabulary);
    tokens.push_back(static_cast<std::uint16_t>(token));
  }
  return tokens;
}

/// First element of each tensor in an image, by TensorSpec::index, and the size of the image.
std::vector<std::int64_t> offsets(std::vector<params::TensorSpec> const& specs) {
  std::vector<std::int64_t> first{0};
  for (auto const& spec : specs) first.push_back(first.back() + spec.size());
  return first;
}

template <class T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

}  // namespace

TokenFile::TokenFile(std::int64_t vocabulary, std::int64_t tokens)
    : path_(folder_.write("tokens.bin", data::test::raw(make_tokens(vocabulary, tokens)))) {}

template <class T>
Vector<Wide<T>> numbers_of_tile(params::ParameterStore<T> const& store, Kind kind, params::ParameterId id,
                                int tile) {
  if (kind == Kind::gradient) return store.gradient(id, tile, 0);
  auto const value = store.value(id, tile);
  if (kind == Kind::value) return value;
  auto const moments = kind == Kind::first_moment ? store.first_moments() : store.second_moments();
  return Vector<Wide<T>>(moments.data() + (value.data() - store.values().data()), value.extent(0));
}

template <class T>
TrainingRun<T>::TrainingRun(std::unique_ptr<comm::Communicator> world, RunConfig const& config,
                            std::function<std::unique_ptr<StreamGraph>()> const& graph,
                            comm::DeviceWatchers const& devices)
    : config_(config), telemetry_(world->duplicate()) {
  auto const layout = resolve(config, world->size());
  mesh_.emplace(std::move(world), mesh::MeshShape{layout.tp, layout.pp, layout.dp}, mesh_options(config),
                ledger_);
  matmul_ = kernels::make_matmul_provider(config.parallel.matmul, dtype_of<T>);
  dataset_.emplace(dataset_options(config));
  auto const& place = mesh_->coordinates();
  trainer_.emplace(
      config, make_plan(config, layout, {place.tp, place.pp, place.dp}),
      Surroundings{&*mesh_, &ledger_, telemetry_.get(), matmul_.get(), &*dataset_, {}, graph, devices});
}

template <class T>
Image<T> TrainingRun<T>::image(Kind kind) {
  auto const first = offsets(trainer_->plan().specs);
  Image<T> image(static_cast<std::size_t>(first.back()));
  for_each_tile<T>(
      trainer_->stage().store(), kind,
      [&](params::Parameter const& parameter, int, Vector<Wide<T>> values, auto const& position) {
        auto const start = first[static_cast<std::size_t>(parameter.spec.index)];
        for (std::size_t i = 0; i < values.extent(0); ++i) {
          auto const global = position(static_cast<std::int64_t>(i));
          if (global) image[static_cast<std::size_t>(start + *global)] = values(i);
        }
      });
  return image;
}

template <class T>
std::string TrainingRun<T>::difference(Kind kind, Image<T> const& image) {
  auto const first = offsets(trainer_->plan().specs);
  auto const& place = mesh_->coordinates();
  int first_tensor = static_cast<int>(first.size());
  std::string text;
  for_each_tile<T>(
      trainer_->stage().store(), kind,
      [&](params::Parameter const& parameter, int tile, Vector<Wide<T>> values, auto const& position) {
        if (parameter.spec.index >= first_tensor) return;
        for (std::size_t i = 0; i < values.extent(0); ++i) {
          auto const global = position(static_cast<std::int64_t>(i));
          auto const at = first[static_cast<std::size_t>(parameter.spec.index)] + global.value_or(0);
          Wide<T> const expected = global ? image[static_cast<std::size_t>(at)] : Wide<T>(0);
          if (same_bits(values(i), expected)) continue;
          first_tensor = parameter.spec.index;
          text = fmt::format(
              "{} of {}{}, tile {} of {}, element {}{}: {:.9g} on rank {} (tp {}, pp {}, dp {}), {:.9g} on "
              "one rank",
              kind_names[static_cast<std::size_t>(kind)], parameter.spec.name,
              parameter.role == params::Role::tied_copy ? " (tied copy)" : "", tile, parameter.tiles.total, i,
              global ? "" : " (padding)", values(i), mesh_->rank(), place.tp, place.pp, place.dp, expected);
          return;
        }
      });
  return text;
}

TESSERA_COMPUTE_TYPES(template class, TrainingRun)

}  // namespace tessera::train::test
