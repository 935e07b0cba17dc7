// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/attention.hpp"

#include "kernels/attention_device.hpp"
#include "tensors.hpp"

namespace tessera::kernels::test {

namespace {

/// Forward and backward of one shape, with dropout as of a tile that begins at some head and sequence.
template <class T>
struct AttentionCall {
  AttentionCall(std::size_t batch, std::size_t positions, std::size_t heads, std::size_t head_size,
                float probability)
      : sizes{batch, positions, heads, head_size},
        shape{static_cast<std::ptrdiff_t>(batch), static_cast<std::ptrdiff_t>(positions),
              static_cast<std::ptrdiff_t>(heads), static_cast<std::ptrdiff_t>(head_size)},
        width(heads * head_size),
        qkv(as<T>(random_tensor(positions * batch * 3 * width, 1, 2))),
        dout(as<T>(random_tensor(positions * batch * width, 2))),
        out(dout.size()),
        log_sum_exp(heads * batch * positions),
        dqkv(qkv.size()) {
    dropout.probability = probability;
    dropout.site = RandomSite(11, 12, 13);
    dropout.first_sequence = 2;
    dropout.first_head = 1;
    dropout.total_heads = static_cast<std::int64_t>(heads) + 2;
  }

  void forward() {
    attention_forward<T>(exec(), shape, mat(qkv, 3 * width), dropout, mat(out, width), vec(log_sum_exp));
  }
  void backward() {
    attention_backward<T>(exec(), shape, mat(qkv, 3 * width), mat(out, width), vec(log_sum_exp),
                          mat(dout, width), dropout, mat(dqkv, 3 * width));
  }
  /// The factors of all probabilities, by the formula of kernels/dropout.hpp.
  [[nodiscard]] Tensor factors() const {
    Tensor result;
    std::size_t const square = sizes.positions * sizes.positions;
    for (std::size_t b = 0; b < sizes.batch; ++b) {
      for (std::size_t h = 0; h < sizes.heads; ++h) {
        std::uint64_t const first = ((2 + b) * (sizes.heads + 2) + 1 + h) * square;
        Tensor const part = factors_of(dropout.probability, dropout.site, first, square);
        result.insert(result.end(), part.begin(), part.end());
      }
    }
    return result;
  }

  reference::AttentionSizes sizes;
  AttentionShape shape;
  std::size_t width;
  DropoutHeads dropout;
  Buffer<T> qkv, dout, out, log_sum_exp, dqkv;
};

template <class T>
class AttentionTest : public ::testing::Test {};
TYPED_TEST_SUITE(AttentionTest, ComputeTypes);

/// What a call has given, against the reference.
template <class T>
void expect_truth(AttentionCall<T> const& call) {
  Tensor const factors = call.factors();
  auto const truth = reference::attention(call.sizes, widened(call.qkv), factors);
  expect_near(call.out, truth.out, tolerance<T>(32));
  expect_near(call.log_sum_exp, truth.log_sum_exp, tolerance<T>(8));
  expect_near(call.dqkv,
              reference::attention_gradient(call.sizes, widened(call.qkv), widened(call.dout), factors),
              tolerance<T>(64));
}

template <class T>
void expect_reference(AttentionCall<T> call) {
  call.forward();
  call.backward();
  expect_truth(call);
}

TYPED_TEST(AttentionTest, EqualsReference) {
  expect_reference(AttentionCall<TypeParam>(1, 1, 1, 1, 0));
  expect_reference(AttentionCall<TypeParam>(2, 64, 2, 64, 0));
  expect_reference(AttentionCall<TypeParam>(2, 67, 3, 5, 0));
  expect_reference(AttentionCall<TypeParam>(1, 200, 2, 33, 0));
  expect_reference(AttentionCall<TypeParam>(3, 130, 1, 80, 0));
}

TYPED_TEST(AttentionTest, EqualsReferenceWithDropout) {
  expect_reference(AttentionCall<TypeParam>(2, 67, 3, 16, 0.2F));
  expect_reference(AttentionCall<TypeParam>(1, 192, 2, 64, 0.5F));
}

TYPED_TEST(AttentionTest, FormForDevicesEqualsReference) {
  using T = TypeParam;
  AttentionCall<T> call(2, 37, 3, 5, 0.2F);
  DropoutFactors const drawn(call.dropout.probability, call.dropout.site);
  attention::forward_on_device<T>(
      exec(), "tessera::kernels::test",
      {call.shape, call.qkv.data(), call.out.data(), call.log_sum_exp.data(), call.dropout, drawn});
  attention::backward_on_device<T>(exec(), "tessera::kernels::test",
                                   {call.shape, call.qkv.data(), call.out.data(), call.log_sum_exp.data(),
                                    call.dout.data(), call.dropout, drawn, call.dqkv.data()});
  expect_truth(call);
}

TEST(AttentionGradientTest, BackwardIsTheGradientOfForward) {
  AttentionCall<double> call(2, 70, 2, 7, 0.1F);
  call.forward();
  call.backward();
  expect_gradient(call.qkv, call.dqkv, [&](Tensor const& moved) {
    AttentionCall<double> other = call;
    other.qkv = moved;
    other.forward();
    return dot(other.out, call.dout);
  });
}

TYPED_TEST(AttentionTest, LaterTokensChangeNothingBefore) {
  using T = TypeParam;
  AttentionCall<T> call(1, 150, 1, 16, 0);
  call.forward();
  auto const before = call.out;
  for (std::size_t i = 100 * 48; i < call.qkv.size(); ++i) call.qkv[i] += T(1);
  call.forward();
  auto const prefix = [](Buffer<T> const& v) { return Buffer<T>(v.begin(), v.begin() + 100 * 16); };
  EXPECT_TRUE(same_bits(prefix(call.out), prefix(before)));
  EXPECT_FALSE(same_bits(call.out, before));
}

/// The columns of heads [first, first + count) of every group of `heads` heads in a tensor.
template <class T>
Buffer<T> heads_of(Buffer<T> const& tensor, std::size_t heads, std::size_t head_size, std::size_t first,
                   std::size_t count) {
  Buffer<T> result;
  for (std::size_t begin = 0; begin < tensor.size(); begin += heads * head_size) {
    auto const from = tensor.begin() + static_cast<std::ptrdiff_t>(begin + first * head_size);
    result.insert(result.end(), from, from + static_cast<std::ptrdiff_t>(count * head_size));
  }
  return result;
}

TYPED_TEST(AttentionTest, BitsOfAHeadDoNotDependOnTheTileItIsIn) {
  using T = TypeParam;
  AttentionCall<T> all(2, 100, 4, 24, 0.1F);
  all.forward();
  all.backward();
  for (std::size_t const count : {1, 2}) {
    for (std::size_t first = 0; first < 4; first += count) {
      AttentionCall<T> part(2, 100, count, 24, 0.1F);
      part.dropout.total_heads = all.dropout.total_heads;
      part.dropout.first_head = all.dropout.first_head + static_cast<std::int64_t>(first);
      part.qkv = heads_of(all.qkv, 4, 24, first, count);
      part.dout = heads_of(all.dout, 4, 24, first, count);
      part.forward();
      part.backward();
      EXPECT_TRUE(same_bits(part.out, heads_of(all.out, 4, 24, first, count)));
      EXPECT_TRUE(same_bits(part.dqkv, heads_of(all.dqkv, 4, 24, first, count)));
    }
  }
}

TYPED_TEST(AttentionTest, CallsRepeatTheirBits) {
  AttentionCall<TypeParam> call(2, 130, 2, 40, 0.1F);
  call.forward();
  call.backward();
  auto const out = call.out;
  auto const dqkv = call.dqkv;
  AttentionCall<TypeParam> disturbing(1, 60, 1, 8, 0);
  disturbing.forward();
  disturbing.backward();
  call.forward();
  call.backward();
  EXPECT_TRUE(same_bits(call.out, out));
  EXPECT_TRUE(same_bits(call.dqkv, dqkv));
}

TEST(AttentionScratchTest, GrowsWithTheSequenceAndNotWithItsSquare) {
  auto const bytes = [](std::ptrdiff_t positions) {
    return attention_scratch_bytes<float>({1, positions, 12, 64});
  };
  EXPECT_LE(bytes(2048), 2 * bytes(1024));
  EXPECT_LT(bytes(1024), 1024 * 1024);
}

}  // namespace

}  // namespace tessera::kernels::test
