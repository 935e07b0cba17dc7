// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Attention in the types and head sizes that GPUs have tile kernels for, through the public functions, on
// whatever the build runs on.
#include "attention_case.hpp"

namespace tessera::kernels::test {

namespace {

template <class T>
void run(AttentionCase<T>& c) {
  auto const qkv = mat(c.qkv, 3 * c.width);
  auto const out = mat(c.out, c.width);
  attention_forward<T>(exec(), c.shape(), qkv, c.dropout, out, vec(c.log_sum_exp));
  attention_backward<T>(exec(), c.shape(), qkv, out, vec(c.log_sum_exp), mat(c.dout, c.width), c.dropout,
                        mat(c.dqkv, 3 * c.width));
}

template <class T>
void expect_reference(reference::AttentionSizes const& sizes, float probability) {
  SCOPED_TRACE(testing::Message() << "positions " << sizes.positions << ", head size " << sizes.head_size
                                  << ", dropout " << probability);
  AttentionCase<T> c(sizes, probability);
  run(c);
  c.expect_truth();
}

template <class T>
class AttentionByTilesTest : public ::testing::Test {};
using TileTypes = ::testing::Types<bf16, f16, float>;
TYPED_TEST_SUITE(AttentionByTilesTest, TileTypes);

TYPED_TEST(AttentionByTilesTest, EqualsReference) {
  for (std::size_t const head_size : {64, 80, 96, 128}) {
    expect_reference<TypeParam>({1, 1, 1, head_size}, 0);
    expect_reference<TypeParam>({2, 200, 2, head_size}, 0);
    expect_reference<TypeParam>({1, 259, 3, head_size}, 0);
  }
}

TYPED_TEST(AttentionByTilesTest, EqualsReferenceWithDropout) {
  for (std::size_t const head_size : {64, 80, 96, 128}) {
    expect_reference<TypeParam>({2, 132, 1, head_size}, 0.3F);
    expect_reference<TypeParam>({1, 67, 2, head_size}, 0.1F);
  }
}

TYPED_TEST(AttentionByTilesTest, CallsRepeatTheirBits) {
  AttentionCase<TypeParam> c({2, 300, 2, 64}, 0.1F);
  run(c);
  auto const out = c.out;
  auto const dqkv = c.dqkv;
  for (int call = 0; call < 3; ++call) {
    run(c);
    EXPECT_TRUE(same_bits(c.out, out));
    EXPECT_TRUE(same_bits(c.dqkv, dqkv));
  }
}

}  // namespace

}  // namespace tessera::kernels::test
