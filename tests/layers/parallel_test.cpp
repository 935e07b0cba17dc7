// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Every layer on every tensor-parallel layout against the same layer on one rank: outputs and all gradients.
#include <gtest/gtest.h>

#include "layers/cases.hpp"
#include "support/parallel.hpp"
#include "tessera/comm/tree.hpp"

namespace tessera::layers::test {
namespace {

std::string layout_name(comm::Communicator const& tp, Layout const& layout) {
  return "tp " + std::to_string(tp.size()) + ", " + std::to_string(layout.tiles) + " tiles" +
         (layout.sequence_parallel ? ", sequence parallel" : "");
}

/// Compares `layout` over `tp` with `expected`, with and without sequence parallelism. Collective over tp.
template <template <class> class Case, class T, class Same>
void compare_layouts(Problem const& problem, int tiles, Recording<T> const& expected, comm::Communicator& tp,
                     Same const& same) {
  for (bool const sequence_parallel : {false, true}) {
    Layout const layout{tiles, sequence_parallel};
    SCOPED_TRACE(layout_name(tp, layout));
    expect_same(Case<T>::name, tp, run<Case, T>(problem, layout, tp), expected, same);
  }
}

/// What one rank alone computes.
template <template <class> class Case, class T>
Recording<T> serial(Problem const& problem, int tiles) {
  return run<Case, T>(problem, {tiles, false}, *support::group_of(1));
}

/// One tile a rank and the backend's own collectives, in double.
template <template <class> class Case>
void expect_equals_serial() {
  Problem problem;
  problem.dropout = 0.1;
  auto const expected = serial<Case, double>(problem, 1);
  support::for_each_group({1, 2, 3, 4, 8}, [&](comm::Communicator& group) {
    compare_layouts<Case>(problem, group.size(), expected, group, Near{1e-12});
  });
}

/// Eight tiles and tree communicators, in `T`; 12 heads are cut into four tiles only.
template <template <class> class Case, class T>
void expect_same_bits(std::int64_t heads, double dropout, std::initializer_list<int> ranks) {
  Problem problem;
  problem.hidden = 96;
  problem.heads = heads;
  problem.ffn = 256;
  problem.dropout = dropout;
  problem.microbatches = {{1, false}, {2, true}};
  SCOPED_TRACE(std::to_string(heads) + " heads, dropout " + std::to_string(dropout));
  auto const expected = serial<Case, T>(problem, 8);
  support::for_each_group(ranks, [&](comm::Communicator& group) {
    auto const tree = comm::make_tree(group.duplicate());
    compare_layouts<Case>(problem, 8, expected, *tree, SameBits());
  });
}

template <template <class> class Case>
void expect_same_bits_on_every_layout() {
  expect_same_bits<Case, float>(24, 0.0, {1, 2, 4, 8});
  expect_same_bits<Case, float>(24, 0.1, {1, 2, 4, 8});
  expect_same_bits<Case, float>(12, 0.1, {1, 2, 4});
  expect_same_bits<Case, double>(24, 0.1, {2, 8});
}

TEST(TensorParallel, ColumnLinearEqualsSerial) { expect_equals_serial<ColumnLinearCase>(); }
TEST(TensorParallel, RowLinearEqualsSerial) { expect_equals_serial<RowLinearCase>(); }
TEST(TensorParallel, NormEqualsSerial) { expect_equals_serial<NormCase>(); }
TEST(TensorParallel, NormWithSkipEqualsSerial) { expect_equals_serial<NormWithSkipCase>(); }
TEST(TensorParallel, AttentionEqualsSerial) { expect_equals_serial<AttentionCase>(); }
TEST(TensorParallel, MlpEqualsSerial) { expect_equals_serial<MlpCase>(); }
TEST(TensorParallel, VocabEmbeddingEqualsSerial) { expect_equals_serial<VocabEmbeddingCase>(); }
TEST(TensorParallel, VocabHeadEqualsSerial) { expect_equals_serial<VocabHeadCase>(); }

TEST(Tiles, ColumnLinearHasTheSameBitsOnEveryLayout) { expect_same_bits_on_every_layout<ColumnLinearCase>(); }
TEST(Tiles, RowLinearHasTheSameBitsOnEveryLayout) { expect_same_bits_on_every_layout<RowLinearCase>(); }
TEST(Tiles, NormHasTheSameBitsOnEveryLayout) { expect_same_bits_on_every_layout<NormCase>(); }
TEST(Tiles, NormWithSkipHasTheSameBitsOnEveryLayout) { expect_same_bits_on_every_layout<NormWithSkipCase>(); }
TEST(Tiles, AttentionHasTheSameBitsOnEveryLayout) { expect_same_bits_on_every_layout<AttentionCase>(); }
TEST(Tiles, MlpHasTheSameBitsOnEveryLayout) { expect_same_bits_on_every_layout<MlpCase>(); }
TEST(Tiles, VocabEmbeddingHasTheSameBitsOnEveryLayout) {
  expect_same_bits_on_every_layout<VocabEmbeddingCase>();
}
TEST(Tiles, VocabHeadHasTheSameBitsOnEveryLayout) { expect_same_bits_on_every_layout<VocabHeadCase>(); }

/// The tests above could not fail if tiles changed nothing: a sum over one tile is another sum.
TEST(Tiles, AnotherNumberOfTilesGivesOtherBits) {
  Problem problem;
  problem.microbatches = {{1, false}};
  auto const eight = serial<MlpCase, float>(problem, 8), one = serial<MlpCase, float>(problem, 1);
  auto const &a = eight.at("y"), &b = one.at("y");
  std::size_t different = 0;
  for (std::size_t i = 0; i < a.size(); ++i) different += a.knows(i) && !SameBits()(a[i], b[i]);
  EXPECT_GT(different, a.size() / 100);
}

}  // namespace
}  // namespace tessera::layers::test
