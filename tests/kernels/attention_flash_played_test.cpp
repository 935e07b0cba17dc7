// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The tile kernels of attention for GPUs, played on the host, against the reference: the very bodies that are
// launched on a GPU.
#include "attention_case.hpp"
#include "kernels/flash/choices.hpp"
#include "played_block.hpp"

namespace tessera::kernels::test {

namespace {

template <class T, int D, bool drop>
AttentionCase<T> play_narrow(std::size_t batch, std::size_t positions, std::size_t heads) {
  AttentionCase<T> played({batch, positions, heads, D}, drop ? 0.3F : 0.0F);
  play(flash::ForwardChoice<T, D, drop>{played.forward()});
  play(flash::DeltasChoice<T, D>{played.backward(), played.deltas.data()});
  play(flash::QueriesChoice<T, D, drop>{played.backward(), played.deltas.data()});
  play(flash::KeysChoice<T, D, drop>{played.backward(), played.deltas.data()});
  return played;
}

TEST(PlayedAttentionTest, EqualsReferenceInBf16) {
  play_narrow<bf16, 64, false>(1, 1, 1).expect_truth();
  play_narrow<bf16, 64, false>(1, 130, 2).expect_truth();
  play_narrow<bf16, 80, false>(2, 67, 1).expect_truth();
  play_narrow<bf16, 96, false>(1, 97, 1).expect_truth();
  play_narrow<bf16, 128, false>(1, 129, 1).expect_truth();
}

TEST(PlayedAttentionTest, EqualsReferenceInBf16WithDropout) {
  play_narrow<bf16, 64, true>(2, 100, 1).expect_truth();
  play_narrow<bf16, 64, true>(1, 67, 2).expect_truth();
  play_narrow<bf16, 128, true>(1, 72, 1).expect_truth();
}

TEST(PlayedAttentionTest, EqualsReferenceInF16) {
  play_narrow<f16, 64, false>(1, 130, 2).expect_truth();
  play_narrow<f16, 128, true>(1, 72, 1).expect_truth();
}

template <int D>
AttentionCase<float> play_float(reference::AttentionSizes const& sizes, float probability) {
  AttentionCase<float> played(sizes, probability);
  play(flash::FloatForwardBody<D>{played.forward()});
  play(flash::FloatDeltasBody{played.backward(), played.deltas.data()});
  play(flash::FloatQueriesBody<D>{{played.backward(), played.deltas.data()}});
  play(flash::FloatKeysBody<D>{{played.backward(), played.deltas.data()}});
  return played;
}

TEST(PlayedAttentionTest, EqualsReferenceInFloat) {
  play_float<64>({1, 1, 1, 1}, 0).expect_truth();
  play_float<64>({2, 130, 1, 33}, 0).expect_truth();
  play_float<128>({1, 67, 2, 80}, 0.3F).expect_truth();
}

/// A head alone and the same one among others.
TEST(PlayedAttentionTest, BitsOfAHeadDoNotDependOnTheOthers) {
  auto const all = play_narrow<bf16, 64, false>(2, 70, 2);
  AttentionCase<bf16> alone({1, 70, 1, 64}, 0);
  auto const row = [](std::size_t s) { return s * 2 + 1; };
  for (std::size_t s = 0; s < 70; ++s) {
    for (std::size_t d = 0; d < 64; ++d) {
      for (std::size_t part = 0; part < 3; ++part)
        alone.qkv[(s * 3 + part) * 64 + d] = all.qkv[row(s) * 384 + (2 * part + 1) * 64 + d];
      alone.dout[s * 64 + d] = all.dout[row(s) * 128 + 64 + d];
    }
  }
  play(flash::ForwardChoice<bf16, 64, false>{alone.forward()});
  play(flash::DeltasChoice<bf16, 64>{alone.backward(), alone.deltas.data()});
  play(flash::QueriesChoice<bf16, 64, false>{alone.backward(), alone.deltas.data()});
  play(flash::KeysChoice<bf16, 64, false>{alone.backward(), alone.deltas.data()});
  Buffer<bf16> out, dqkv;
  for (std::size_t s = 0; s < 70; ++s) {
    for (std::size_t d = 0; d < 64; ++d) out.push_back(all.out[row(s) * 128 + 64 + d]);
    for (std::size_t part = 0; part < 3; ++part) {
      for (std::size_t d = 0; d < 64; ++d) dqkv.push_back(all.dqkv[row(s) * 384 + (2 * part + 1) * 64 + d]);
    }
  }
  EXPECT_TRUE(same_bits(alone.out, out));
  EXPECT_TRUE(same_bits(alone.dqkv, dqkv));
}

}  // namespace

}  // namespace tessera::kernels::test
