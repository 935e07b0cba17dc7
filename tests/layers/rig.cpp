// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "layers/rig.hpp"

#include <bit>

#include "support/device.hpp"
#include "tessera/base/dtype.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/kernels/residual.hpp"
#include "tessera/kernels/tree.hpp"
#include "tessera/layers/dropout.hpp"

namespace tessera::layers::test {

namespace {

constexpr std::uint64_t seed = 7;
constexpr std::uint32_t step = 3;
constexpr std::int64_t layer_number = 5;

std::size_t extent(std::int64_t n) { return static_cast<std::size_t>(n); }

/// T_H: the tiles of the heads when `tiles` do not divide them.
int head_tiles(std::int64_t heads, int tiles) {
  if (heads % tiles == 0) return tiles;
  int result = static_cast<int>(std::bit_floor(static_cast<unsigned>(tiles)));
  while (heads % result != 0) result /= 2;
  return result;
}

/// Column of the whole tensor that column `c` of tile `tile` is, where columns are (parts, n) and n is cut.
std::int64_t global_column(std::int64_t c, std::int64_t tile, int tiles, std::int64_t parts,
                           std::int64_t width) {
  std::int64_t const n = width / parts, run = n / tiles;
  return c / run * n + tile * run + c % run;
}

}  // namespace

double number(std::string const& name, std::int64_t index) {
  RandomSite const site(params::name_hash(name), 0, 0);
  return unit_interval(site.bits(static_cast<std::uint64_t>(index))) - 0.5;
}

double direction(std::string const& name, std::int64_t index) {
  return number("direction of " + name, index);
}

template <class T>
Rig<T>::Rig(Problem const& given, Layout const& layout, comm::Communicator& tp)
    : problem(given),
      arena("rig"),
      matmul_(kernels::make_matmul_provider("auto", dtype_of<T>)),
      background_{&tp} {
  auto const own = [&](int tiles) { return TileRange::of_rank(tiles, tp.rank(), tp.size()); };
  context.matmul = matmul_.get();
  context.tp = &tp;
  context.background = background_;
  context.sequence_parallel = layout.sequence_parallel && tp.size() > 1;
  context.seed = seed;
  context.step = step;
  auto const token_tiles = context.sequence_parallel ? own(layout.tiles) : TileRange::all(layout.tiles);
  context.tokens = {problem.batch, problem.positions, token_tiles};
  block = {problem.hidden, problem.ffn, problem.heads, own(head_tiles(problem.heads, layout.tiles)),
           own(layout.tiles)};
  vocabulary_tiles = own(layout.tiles);
  scratch = Scratch<T>(arena, context.tokens, block, context.sequence_parallel, true);
}

template <class T>
void Rig<T>::allocate() {
  store.allocate(arena, 1, context.tokens.tiles.count);
  for (params::ParameterId id = 0; id < static_cast<params::ParameterId>(store.parameters().size()); ++id) {
    auto const& parameter = store[id];
    if (parameter.role == params::Role::tied_gradient) continue;
    for (int tile = 0; tile < parameter.tiles.count; ++tile) {
      auto const elements = params::elements_of_tile(parameter.spec, parameter.tiles.first + tile);
      auto const value = support::on_host<T>(store.value(id, tile));
      for (std::int64_t o = 0; o < elements.outer; ++o) {
        for (std::int64_t r = 0; r < elements.valid_run; ++r) {
          value(extent(o * elements.run + r)) =
              static_cast<T>(shifted_number(parameter.spec.name, elements.first + o * elements.stride + r));
        }
      }
    }
  }
  // What was here before must not matter: the first microbatch overwrites.
  auto const gradients = support::on_host<T>(store.gradients(0));
  for (std::size_t i = 0; i < gradients.extent(0); ++i) gradients(i) = T(0.25);
}

template <class T>
void Rig<T>::begin(Microbatch microbatch) {
  context.first_sequence = microbatch.number * problem.batch;
  context.target.accumulate = microbatch.accumulate;
}

template <class T>
double Rig<T>::shifted_number(std::string const& name, std::int64_t index) const {
  return number(name, index) + (name == problem.shifted ? problem.shift * direction(name, index) : 0.0);
}

template <class T>
std::int64_t Rig<T>::row_index(std::int64_t row, std::int64_t width) const {
  std::int64_t const sequence = context.first_sequence + row % problem.batch;
  return (sequence * problem.positions + row / problem.batch) * width;
}

template <class T>
Residual<T> Rig<T>::residual(std::string const& name) {
  auto const x = arena.matrix<T>(extent(context.tokens.local_rows()), extent(problem.hidden));
  auto const to = support::on_host<T>(x);
  for (std::size_t r = 0; r < x.extent(0); ++r) {
    auto const first = row_index(first_row() + static_cast<std::int64_t>(r), problem.hidden);
    for (std::size_t c = 0; c < x.extent(1); ++c) {
      to(r, c) = static_cast<T>(shifted_number(name, first + static_cast<std::int64_t>(c)));
    }
  }
  return {x};
}

template <class T>
ShardedFeatures<T> Rig<T>::features(std::string const& name, TileRange tiles, std::int64_t parts,
                                    std::int64_t width) {
  auto const x =
      arena.cube<T>(extent(tiles.count), extent(context.tokens.rows()), extent(width / tiles.total));
  auto const to = support::on_host<T>(x);
  for (std::size_t t = 0; t < x.extent(0); ++t) {
    for (std::size_t r = 0; r < x.extent(1); ++r) {
      for (std::size_t c = 0; c < x.extent(2); ++c) {
        auto const column =
            global_column(static_cast<std::int64_t>(c), tiles.first + static_cast<std::int64_t>(t),
                          tiles.total, parts, width);
        to(t, r, c) =
            static_cast<T>(shifted_number(name, row_index(static_cast<std::int64_t>(r), width) + column));
      }
    }
  }
  return {x};
}

template <class T>
Vector<std::int32_t> Rig<T>::tokens(std::string const& name) {
  auto const ids = arena.vector<std::int32_t>(extent(context.tokens.rows()));
  auto const to = support::on_host<std::int32_t>(ids);
  for (std::size_t r = 0; r < ids.extent(0); ++r) {
    double const place = number(name, row_index(static_cast<std::int64_t>(r), 1)) + 0.5;
    to(r) = static_cast<std::int32_t>(place * static_cast<double>(problem.vocabulary));
  }
  return ids;
}

template <class T>
void Rig<T>::record(std::string const& name, Residual<T> value) {
  auto const x = support::on_host<T>(value.value);
  auto& elements = recording[name];
  for (std::size_t r = 0; r < x.extent(0); ++r) {
    auto const first = row_index(first_row() + static_cast<std::int64_t>(r), problem.hidden);
    for (std::size_t c = 0; c < x.extent(1); ++c) elements.set(first + static_cast<std::int64_t>(c), x(r, c));
  }
}

template <class T>
void Rig<T>::record(std::string const& name, ShardedFeatures<T> value, TileRange tiles, std::int64_t parts) {
  auto const x = support::on_host<T>(value.value);
  auto& elements = recording[name];
  auto const width = static_cast<std::int64_t>(x.extent(2)) * tiles.total;
  for (std::size_t t = 0; t < x.extent(0); ++t) {
    for (std::size_t r = 0; r < x.extent(1); ++r) {
      for (std::size_t c = 0; c < x.extent(2); ++c) {
        auto const column =
            global_column(static_cast<std::int64_t>(c), tiles.first + static_cast<std::int64_t>(t),
                          tiles.total, parts, width);
        elements.set(row_index(static_cast<std::int64_t>(r), width) + column, x(t, r, c));
      }
    }
  }
}

template <class T>
void Rig<T>::record_tokens(std::string const& name, Vector<T> value) {
  auto& elements = recording[name];
  auto const from = support::on_host<T>(value);
  for (std::size_t r = 0; r < from.extent(0); ++r) {
    elements.set(row_index(static_cast<std::int64_t>(r), 1), from(r));
  }
}

template <class T>
void Rig<T>::record_logits(std::string const& name, Matrix<T> value, TileRange tiles) {
  auto& elements = recording[name];
  for (std::size_t i = 0; i < value.size(); ++i) {
    auto const column =
        static_cast<std::int64_t>(static_cast<std::size_t>(tiles.first) * value.extent(1) + i);
    if (column < problem.vocabulary) elements.set(column, value.data()[i]);
  }
}

template <class T>
void Rig<T>::complete_replicated_gradients() {
  for (params::ParameterId id = 0; id < static_cast<params::ParameterId>(store.parameters().size()); ++id) {
    auto const gradient = store.gradient(id, 0, 0);
    if (store[id].spec.completion == params::Completion::token_tiles) {
      kernels::tree_sum<T>(context.exec, store.partial_gradient(id), gradient);
    } else if (store[id].spec.completion == params::Completion::token_rows) {
      kernels::add_positive_zero<T>(context.exec, gradient);
    }
  }
  if (!context.sequence_parallel) return;
  Vector<T> const packed(store.gradients(0).data(), extent(store.replicated_range().size()));
  all_reduce_in_place(*context.tp, packed, comm::Op::sum, context.stream()).wait(context.stream());
}

template <class T>
void Rig<T>::record_gradient(params::ParameterId id, int tile) {
  auto const& parameter = store[id];
  auto const elements = params::elements_of_tile(parameter.spec, parameter.tiles.first + tile);
  auto const gradient = support::on_host<T>(store.gradient(id, tile, 0));
  auto& known = recording["d" + parameter.spec.name];
  for (std::int64_t i = 0; i < parameter.spec.tile_size(); ++i) {
    std::int64_t const o = i / elements.run, r = i % elements.run;
    T const value = gradient(extent(i));
    if (r < elements.valid_run) {
      known.set(elements.first + o * elements.stride + r, value);
    } else if (!SameBits()(value, T(0))) {
      ADD_FAILURE() << "padding of " << parameter.spec.name << " has gradient " << value;
      return;
    }
  }
}

template <class T>
void Rig<T>::record_gradients() {
  complete_replicated_gradients();
  for (params::ParameterId id = 0; id < static_cast<params::ParameterId>(store.parameters().size()); ++id) {
    for (int tile = 0; tile < store[id].tiles.count; ++tile) record_gradient(id, tile);
  }
}

template <class T>
Residual<T> Rig<T>::finish_branch(Residual<T> branch, Vector<T> bias) {
  auto const residual_stream = residual("residual");
  kernels::bias_dropout_add<T>(
      context.exec, branch.value, bias, residual_stream.value,
      dropout_of_rows(context, problem.dropout, RandomUse::mlp_output_dropout, layer_number),
      residual_stream.value);
  return residual_stream;
}

template <class T>
Residual<T> Rig<T>::branch_gradient(Residual<T> dout) {
  kernels::dropout_backward<T>(
      context.exec, dout.value,
      dropout_of_rows(context, problem.dropout, RandomUse::mlp_output_dropout, layer_number),
      scratch.dbranch);
  return {scratch.dbranch};
}

template class Rig<float>;
template class Rig<double>;

}  // namespace tessera::layers::test
