// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Every layer as a function to be tested: a case registers its layer with a rig; `step` runs one microbatch
// forward and backward and records the output y, and the gradient d<input> of the scalar sum(cotangent * y).
// What a caller of the layer adds in a model, biases and dropouts of branches, is part of the function.
#pragma once

#include "layers/rig.hpp"
#include "tessera/kernels/bias.hpp"
#include "tessera/kernels/tree.hpp"
#include "tessera/layers/attention.hpp"
#include "tessera/layers/mlp.hpp"
#include "tessera/layers/norm.hpp"
#include "tessera/layers/vocab_embedding.hpp"
#include "tessera/layers/vocab_head.hpp"

namespace tessera::layers::test {

/// The gradient of y that steps start from, unless a case says otherwise.
struct RandomCotangent {
  static double cotangent(std::int64_t index) { return number("dy", index); }
};

/// y = x W^T + b with W (3, H, D/H, D), as q, k and v have it.
template <class T>
struct ColumnLinearCase : RandomCotangent {
  static constexpr char const* name = "ColumnLinear";
  static constexpr std::int64_t parts = 3;
  ColumnLinear<T> layer;

  explicit ColumnLinearCase(Rig<T>& rig) : layer(make(rig)) { rig.allocate(); }
  static ColumnLinear<T> make(Rig<T>& rig) {
    auto const& [problem, tiles] = std::tie(rig.problem, rig.block.head_tiles);
    ColumnLinear<T>::describe(rig.specs, "column", {parts}, problem.heads, {problem.hidden / problem.heads},
                              problem.hidden, tiles.total, 0.02);
    return ColumnLinear<T>(rig.store, rig.specs, 0, tiles);
  }

  void step(Rig<T>& rig) {
    auto const& context = rig.context;
    auto const tiles = rig.block.head_tiles;
    auto const x = gather(context, rig.residual("x"), rig.scratch.whole).wait(context);
    auto const y = rig.features("y", tiles, parts, parts * rig.problem.hidden);
    layer.forward(context, x, y);
    for (int i = 0; i < tiles.count; ++i) {
      kernels::add_bias<T>(context.exec, slice(y.value, static_cast<std::size_t>(i)), layer.bias(i));
    }
    rig.record("y", y, tiles, parts);
    auto const dy = rig.features("dy", tiles, parts, parts * rig.problem.hidden);
    auto const dx = layer.backward_input(context, dy, rig.scratch.levels);
    layer.backward_parameters(context, dy, x);
    rig.record("dx", reduce(context, dx, rig.scratch.branch).wait(context));
  }
};

/// y = residual + dropout(x W^T + b) with W (D, F).
template <class T>
struct RowLinearCase : RandomCotangent {
  static constexpr char const* name = "RowLinear";
  RowLinear<T> layer;

  explicit RowLinearCase(Rig<T>& rig) : layer(make(rig)) { rig.allocate(); }
  static RowLinear<T> make(Rig<T>& rig) {
    RowLinear<T>::describe(rig.specs, "row", rig.problem.hidden, rig.problem.ffn, rig.block.ffn_tiles.total,
                           0.02);
    return RowLinear<T>(rig.store, rig.specs, 0, rig.block.ffn_tiles);
  }

  void step(Rig<T>& rig) {
    auto const& context = rig.context;
    auto const tiles = rig.block.ffn_tiles;
    auto const x = rig.features("x", tiles, 1, rig.problem.ffn);
    auto const sum =
        reduce(context, layer.forward(context, x, rig.scratch.levels), rig.scratch.branch).wait(context);
    rig.record("y", rig.finish_branch(sum, layer.bias()));
    auto const dy = rig.branch_gradient(rig.residual("dy"));
    layer.backward_bias(context, dy);
    auto const whole_dy = gather(context, dy, rig.scratch.whole).wait(context);
    ShardedFeatures<T> const dx{rig.scratch.dffn};
    layer.backward_input(context, whole_dy, dx);
    layer.backward_weight(context, whole_dy, x);
    rig.record("dx", dx, tiles, 1);
  }
};

/// y = norm(x), or x + norm(x), where backward adds to the gradient there is.
template <class T, bool with_skip>
struct NormCaseOf : RandomCotangent {
  static constexpr char const* name = with_skip ? "Norm with skip connection" : "Norm";
  Norm<T> layer;

  explicit NormCaseOf(Rig<T>& rig) : layer(make(rig)) { rig.allocate(); }
  static Norm<T> make(Rig<T>& rig) {
    Norm<T>::describe(rig.specs, "norm", rig.problem.hidden);
    return Norm<T>(rig.store, rig.specs, 0, 1e-5);
  }

  void step(Rig<T>& rig) {
    NormSaved<T> const saved(rig.arena, rig.context.tokens);
    auto const x = rig.residual("x"), y = rig.residual("y"), dy = rig.residual("dy"), dx = rig.residual("dy");
    layer.forward(rig.context, x, y, saved);
    if (with_skip) kernels::add_to<T>(rig.context.exec, flat(y.value), flat(x.value));
    rig.record("y", y);
    layer.backward(rig.context, dy, x, saved, dx, with_skip);
    rig.record("dx", dx);
  }
};

template <class T>
using NormCase = NormCaseOf<T, false>;
template <class T>
using NormWithSkipCase = NormCaseOf<T, true>;

/// A residual branch: y = residual + dropout(layer(x) + bias).
template <class T, class Layer, class Saved>
void branch_step(Rig<T>& rig, Layer const& layer) {
  auto const& context = rig.context;
  Saved const saved(rig.arena, context.tokens, rig.block);
  auto const x = rig.residual("x");
  rig.record("y", rig.finish_branch(layer.forward(context, x, saved, rig.scratch).wait(context),
                                    layer.output_bias()));
  auto const dy = rig.branch_gradient(rig.residual("dy"));
  rig.record("dx", layer.backward(context, dy, x, saved, rig.scratch).wait(context));
}

template <class T>
struct AttentionCase : RandomCotangent {
  static constexpr char const* name = "Attention";
  Attention<T> layer;

  explicit AttentionCase(Rig<T>& rig) : layer(make(rig)) { rig.allocate(); }
  static Attention<T> make(Rig<T>& rig) {
    Attention<T>::describe(rig.specs, "attention", rig.problem.hidden, rig.problem.heads,
                           rig.block.head_tiles.total, 0.02, 0.02);
    return Attention<T>(rig.store, rig.specs, 0, rig.block, 2, rig.problem.dropout);
  }
  void step(Rig<T>& rig) { branch_step<T, Attention<T>, AttentionSaved<T>>(rig, layer); }
};

template <class T>
struct MlpCase : RandomCotangent {
  static constexpr char const* name = "Mlp";
  Mlp<T> layer;

  explicit MlpCase(Rig<T>& rig) : layer(make(rig)) { rig.allocate(); }
  static Mlp<T> make(Rig<T>& rig) {
    Mlp<T>::describe(rig.specs, "mlp", rig.problem.hidden, rig.problem.ffn, rig.block.ffn_tiles.total, 0.02,
                     0.02);
    return Mlp<T>(rig.store, rig.specs, 0, rig.block);
  }
  void step(Rig<T>& rig) { branch_step<T, Mlp<T>, MlpSaved<T>>(rig, layer); }
};

/// y = dropout(token embedding + position embedding); more positions in the table than in a sequence.
template <class T>
struct VocabEmbeddingCase : RandomCotangent {
  static constexpr char const* name = "VocabEmbedding";
  VocabEmbedding<T> layer;

  explicit VocabEmbeddingCase(Rig<T>& rig) : layer(make(rig)) { rig.allocate(); }
  static VocabEmbedding<T> make(Rig<T>& rig) {
    VocabEmbedding<T>::describe(rig.specs, rig.problem.vocabulary, rig.problem.positions + 5,
                                rig.problem.hidden, rig.vocabulary_tiles.total, 0.02);
    return VocabEmbedding<T>(rig.store, rig.specs, 0, rig.vocabulary_tiles, rig.problem.dropout);
  }

  void step(Rig<T>& rig) {
    auto const tokens = rig.tokens("tokens");
    auto const y = rig.residual("y");
    layer.forward(rig.context, tokens, y, rig.scratch);
    rig.record("y", y);
    layer.backward(rig.context, tokens, rig.residual("dy"), rig.scratch);
  }
};

/// y = the cross entropy of each token, of which the sum is scaled.
template <class T>
struct VocabHeadCase {
  static constexpr char const* name = "VocabHead";
  static constexpr double scale = 0.125;
  static double cotangent(std::int64_t) { return scale; }
  VocabHead<T> layer;

  explicit VocabHeadCase(Rig<T>& rig) : layer(make(rig)) { rig.allocate(); }
  static VocabHead<T> make(Rig<T>& rig) {
    VocabEmbedding<T>::describe(rig.specs, rig.problem.vocabulary, 1, rig.problem.hidden,
                                rig.vocabulary_tiles.total, 0.02);
    auto const table = rig.store.add(rig.specs[0], rig.vocabulary_tiles, params::Role::tied_copy);
    return VocabHead<T>(rig.store, table, table);
  }

  void step(Rig<T>& rig) {
    auto const& context = rig.context;
    HeadScratch<T> const scratch(rig.arena, context.tokens, rig.problem.hidden, layer.tiles(),
                                 layer.tile_rows());
    auto const targets = rig.tokens("targets");
    auto const x = rig.residual("x");
    auto const loss = rig.arena.template vector<T>(targets.extent(0));
    layer.loss(context, x, targets, loss, rig.scratch, scratch);
    rig.record_tokens("y without gradient", loss);
    rig.record(
        "dx",
        layer.loss_and_gradient(context, x, targets, T(scale), loss, rig.scratch, scratch).wait(context));
    rig.record_tokens("y", loss);
    record_logits(rig, gather(context, x, rig.scratch.whole).wait(context));
  }

  void record_logits(Rig<T>& rig, Replicated<T> x) {
    auto const logits = rig.arena.template matrix<T>(static_cast<std::size_t>(layer.tiles().count),
                                                     static_cast<std::size_t>(layer.tile_rows()));
    auto const row = slice(x.value, x.value.extent(0) - 1);
    layer.logits_of_row(rig.context, Matrix<T>(row.data(), 1, row.extent(0)), logits);
    rig.record_logits("logits", logits, layer.tiles());
  }
};

}  // namespace tessera::layers::test
