// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What a layer needs around it to run alone: context, parameters, inputs and memory for one layout. All
// numbers are functions of a tensor's name and an element's global index, so every layout sees the same
// problem.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "layers/recording.hpp"
#include "tessera/layers/placement.hpp"
#include "tessera/layers/scratch.hpp"
#include "tessera/params/parameter_store.hpp"

namespace tessera::layers::test {

/// One microbatch: sequences [number * B, (number + 1) * B) of the global batch.
struct Microbatch {
  int number = 0;
  bool accumulate = false;  ///< add to the gradients there are
};

struct Problem {
  std::int64_t batch = 2, positions = 24, hidden = 48, heads = 24, ffn = 96, vocabulary = 41;
  double dropout = 0;
  std::vector<Microbatch> microbatches{{0, false}};
  std::string shifted;  ///< every element of this tensor is moved by `shift` along a fixed random direction
  double shift = 0;
};

struct Layout {
  int tiles = 1;  ///< T, of which every rank of tp owns as many
  bool sequence_parallel = false;
};

/// Element `index` of the fixed random tensor `name`, in (-0.5, 0.5).
[[nodiscard]] double number(std::string const& name, std::int64_t index);
/// The direction in which `Problem::shift` moves tensor `name`.
[[nodiscard]] double direction(std::string const& name, std::int64_t index);

template <class T>
class Rig {
 public:
  /// Borrows `tp`. Collective.
  Rig(Problem const& problem, Layout const& layout, comm::Communicator& tp);

  /// After the layer has registered its parameters: takes their memory and sets them.
  void allocate();
  /// Everything from here to the next `begin` belongs to this microbatch.
  void begin(Microbatch microbatch);

  /// Inputs of the microbatch in hand. Residual (S*B, D), under SP the rank's rows; features (tiles, S*B,
  /// W/T), where the columns are (parts, width / parts) and the second of the two is cut.
  Residual<T> residual(std::string const& name);
  ShardedFeatures<T> features(std::string const& name, TileRange tiles, std::int64_t parts,
                              std::int64_t width);
  /// Token ids (S*B).
  Vector<std::int32_t> tokens(std::string const& name);

  void record(std::string const& name, Residual<T> value);
  void record(std::string const& name, ShardedFeatures<T> value, TileRange tiles, std::int64_t parts);
  /// One number a token, the same on every rank: (S*B).
  void record_tokens(std::string const& name, Vector<T> value);
  /// The logits of one token: (tiles, V/T).
  void record_logits(std::string const& name, Matrix<T> value, TileRange tiles);
  /// Completes the replicated gradients as a stage does and records all as d<tensor>; padding must be +0.
  void record_gradients();

  /// A residual branch's end, as in a block: out = input "residual" + dropout(branch + bias).
  Residual<T> finish_branch(Residual<T> branch, Vector<T> bias);
  /// The gradient of the branch from that of `out`.
  Residual<T> branch_gradient(Residual<T> dout);

  Problem problem;
  Arena arena;
  std::vector<params::TensorSpec> specs;
  params::ParameterStore<T> store;
  Context context;
  BlockShape block;
  TileRange vocabulary_tiles;
  Scratch<T> scratch;
  Recording<T> recording;

 private:
  void complete_replicated_gradients();
  void record_gradient(params::ParameterId id, int tile);
  [[nodiscard]] double shifted_number(std::string const& name, std::int64_t index) const;
  /// Index of (row, column 0) in a tensor with `width` columns, row being a row of the whole microbatch.
  [[nodiscard]] std::int64_t row_index(std::int64_t row, std::int64_t width) const;
  [[nodiscard]] std::int64_t first_row() const { return context.tokens.first_position() * problem.batch; }

  std::unique_ptr<kernels::MatmulProvider> matmul_;
  comm::Communicator* background_[1];
};

/// Runs a layer, made by `Case<T>`, on one layout, and gives what this rank holds of everything it computed.
/// Collective over `tp`.
template <template <class> class Case, class T>
Recording<T> run(Problem const& problem, Layout const& layout, comm::Communicator& tp) {
  Rig<T> rig(problem, layout, tp);
  Case<T> layer(rig);
  for (auto const& microbatch : problem.microbatches) {
    rig.begin(microbatch);
    layer.step(rig);
  }
  rig.record_gradients();
  return std::move(rig.recording);
}

extern template class Rig<float>;
extern template class Rig<double>;

}  // namespace tessera::layers::test
