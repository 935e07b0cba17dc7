// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Kernels of bf16 and f16 compute in float32 and round once, where they write: each gives, bit for bit, what
// the float kernel gives for the same numbers, rounded. The float kernels are compared with the truth
// elsewhere. On a device a pack of them has more numbers than one of float, so that sums along rows are added
// in another order: these and what follows from them may differ there as float32 rounds.
#include "tensors.hpp"
#include "tessera/kernels/attention.hpp"
#include "tessera/kernels/bias.hpp"
#include "tessera/kernels/cross_entropy.hpp"
#include "tessera/kernels/embedding.hpp"
#include "tessera/kernels/gelu.hpp"
#include "tessera/kernels/layer_norm.hpp"
#include "tessera/kernels/residual.hpp"
#include "tessera/kernels/tree.hpp"

namespace tessera::kernels::test {

namespace {

/// A tensor in T and in float: the same numbers.
template <class T>
struct Pair {
  Pair(std::size_t count, unsigned seed, double scale = 1) {
    for (double const x : random_tensor(count, seed, scale)) half.emplace_back(static_cast<float>(x));
    single.assign(half.begin(), half.end());
  }
  /// What a kernel writes.
  explicit Pair(std::size_t count) : half(count, T(0.0F)), single(count, 0.0F) {}

  /// Makes the float numbers what is written in T.
  void round() {
    for (float& x : single) x = T(x);
  }
  [[nodiscard]] ::testing::AssertionResult agrees() const {
    for (std::size_t i = 0; i < half.size(); ++i) {
      if (half[i].bits != T(single[i]).bits) {
        return ::testing::AssertionFailure() << "element " << i << " of " << half.size() << ": "
                                             << static_cast<float>(half[i]) << " and " << single[i];
      }
    }
    return ::testing::AssertionSuccess();
  }
  /// The same of numbers that were made from sums along rows.
  [[nodiscard]] ::testing::AssertionResult agrees_after_sums() const {
    if (tensors_on_host) return agrees();
    double const rounding = std::is_same_v<T, bf16> ? 0x1p-8 : 0x1p-11;
    for (std::size_t i = 0; i < half.size(); ++i) {
      double const size = std::abs(single[i]), error = std::abs(static_cast<float>(half[i]) - single[i]);
      if (!(error <= rounding * size + tolerance<float>() * std::max(1.0, size))) {
        return ::testing::AssertionFailure() << "element " << i << " of " << half.size() << ": "
                                             << static_cast<float>(half[i]) << " and " << single[i];
      }
    }
    return ::testing::AssertionSuccess();
  }

  Buffer<T> half;
  Buffer<float> single;
};

Buffer<float> floats(std::size_t count, unsigned seed) { return as<float>(random_tensor(count, seed)); }

/// Sums along rows, or what was made from them: the same bits on a host.
void expect_same_sums(Buffer<float> const& of_half, Buffer<float> const& of_single) {
  if (tensors_on_host) {
    EXPECT_TRUE(same_bits(of_half, of_single));
  } else {
    expect_near(of_half, widened(of_single), tolerance<float>());
  }
}

/// Odd widths, so that every loop has a vector body and a scalar end, at every alignment of rows; and some
/// whose rows a device reads by 16 bytes and holds.
constexpr std::size_t n = 12;
constexpr std::size_t widths[] = {1, 7, 33, 67, 130, 768, 769, 1600};

template <class T>
class NarrowKernelTest : public ::testing::Test {};
using NarrowTypes = ::testing::Types<bf16, f16>;
TYPED_TEST_SUITE(NarrowKernelTest, NarrowTypes);

DropoutRows some_rows() {
  DropoutRows dropout;
  dropout.probability = 0.3F;
  dropout.site = RandomSite(42, 7, 3);
  dropout.batch = 3;
  dropout.total_positions = 20;
  return dropout;
}

TYPED_TEST(NarrowKernelTest, BiasAndColumnSums) {
  using T = TypeParam;
  for (std::size_t const d : widths) {
    SCOPED_TRACE(d);
    Pair<T> x(n * d, 1);
    auto bias = floats(d, 2);
    add_bias<T>(exec(), mat(x.half, d), vec(bias));
    add_bias<float>(exec(), mat(x.single, d), vec(bias));
    EXPECT_TRUE(x.agrees());
    x.round();
    auto of_half = floats(2 * d, 3);
    auto of_single = of_half;
    column_sums_by_tile<T>(exec(), mat(x.half, d), mat(of_half, d), true);
    column_sums_by_tile<float>(exec(), mat(x.single, d), mat(of_single, d), true);
    EXPECT_TRUE(same_bits(of_half, of_single));
  }
}

TYPED_TEST(NarrowKernelTest, Gelu) {
  using T = TypeParam;
  for (std::size_t const d : widths) {
    SCOPED_TRACE(d);
    Pair<T> pre(n * d, 1, 4), dout(n * d, 2), out(n * d), dpre(n * d);
    auto bias = floats(d, 3);
    bias_gelu_forward<T>(exec(), mat(pre.half, d), vec(bias), mat(out.half, d));
    add_bias<float>(exec(), mat(pre.single, d), vec(bias));
    EXPECT_TRUE(pre.agrees());
    pre.round();
    auto none = zeros<float>(d);
    bias_gelu_forward<float>(exec(), mat(pre.single, d), vec(none), mat(out.single, d));
    EXPECT_TRUE(out.agrees()) << "made from the rounded input";
    gelu_backward<T>(exec(), mat(dout.half, d), mat(pre.half, d), mat(dpre.half, d));
    gelu_backward<float>(exec(), mat(dout.single, d), mat(pre.single, d), mat(dpre.single, d));
    EXPECT_TRUE(dpre.agrees());
  }
}

TYPED_TEST(NarrowKernelTest, LayerNorm) {
  using T = TypeParam;
  for (std::size_t const d : widths) {
    SCOPED_TRACE(d);
    Pair<T> x(n * d, 1, 3), y(n * d), dx(n * d, 2);
    auto gamma = floats(d, 3), beta = floats(d, 4), dy = floats(n * d, 5);
    auto mean = zeros<float>(n), rstd = mean, mean_of_single = mean, rstd_of_single = mean;
    layer_norm_forward<T>(exec(), mat(x.half, d), vec(gamma), vec(beta), 1e-5F, mat(y.half, d), vec(mean),
                          vec(rstd));
    layer_norm_forward<float>(exec(), mat(x.single, d), vec(gamma), vec(beta), 1e-5F, mat(y.single, d),
                              vec(mean_of_single), vec(rstd_of_single));
    EXPECT_TRUE(y.agrees_after_sums());
    expect_same_sums(mean, mean_of_single);
    expect_same_sums(rstd, rstd_of_single);
    for (bool const accumulate : {true, false}) {
      layer_norm_backward<T>(exec(), mat(dy, d), mat(x.half, d), vec(gamma), vec(mean), vec(rstd),
                             mat(dx.half, d), accumulate);
      layer_norm_backward<float>(exec(), mat(dy, d), mat(x.single, d), vec(gamma), vec(mean), vec(rstd),
                                 mat(dx.single, d), accumulate);
      EXPECT_TRUE(dx.agrees_after_sums());
      dx.round();
    }
    auto dgamma = zeros<float>(2 * d), dbeta = dgamma, dgamma_of_single = dgamma, dbeta_of_single = dgamma;
    layer_norm_backward_parameters<T>(exec(), mat(dy, d), mat(x.half, d), vec(mean), vec(rstd),
                                      mat(dgamma, d), mat(dbeta, d), false);
    layer_norm_backward_parameters<float>(exec(), mat(dy, d), mat(x.single, d), vec(mean), vec(rstd),
                                          mat(dgamma_of_single, d), mat(dbeta_of_single, d), false);
    EXPECT_TRUE(same_bits(dgamma, dgamma_of_single));
    EXPECT_TRUE(same_bits(dbeta, dbeta_of_single));
  }
}

TYPED_TEST(NarrowKernelTest, ResidualAdditionNormAndDropout) {
  using T = TypeParam;
  for (std::size_t const d : widths) {
    SCOPED_TRACE(d);
    auto const dropout = some_rows();
    Pair<T> residual(n * d, 1), out(n * d), y(n * d), fused(n * d), dx(n * d);
    auto branch = floats(n * d, 2), bias = floats(d, 3), gamma = floats(d, 4), beta = floats(d, 5);
    auto mean = zeros<float>(n), rstd = mean;
    bias_dropout_add<T>(exec(), mat(branch, d), vec(bias), mat(residual.half, d), dropout, mat(out.half, d));
    bias_dropout_add<float>(exec(), mat(branch, d), vec(bias), mat(residual.single, d), dropout,
                            mat(out.single, d));
    EXPECT_TRUE(out.agrees());
    bias_dropout_add_layer_norm<T>(exec(), mat(branch, d), vec(bias), mat(residual.half, d), dropout,
                                   vec(gamma), vec(beta), 1e-5F, mat(fused.half, d), mat(y.half, d),
                                   vec(mean), vec(rstd));
    EXPECT_TRUE(same_bits(fused.half, out.half));
    out.round();
    layer_norm_forward<float>(exec(), mat(out.single, d), vec(gamma), vec(beta), 1e-5F, mat(y.single, d),
                              vec(mean), vec(rstd));
    EXPECT_TRUE(y.agrees_after_sums()) << "made from the rounded sum";
    dropout_backward<T>(exec(), mat(residual.half, d), dropout, mat(dx.half, d));
    dropout_backward<float>(exec(), mat(residual.single, d), dropout, mat(dx.single, d));
    EXPECT_TRUE(dx.agrees());
  }
}

TYPED_TEST(NarrowKernelTest, CrossEntropy) {
  using T = TypeParam;
  for (std::size_t const d : widths) {
    SCOPED_TRACE(d);
    auto const valid = static_cast<std::int64_t>(d - d / 4);
    Pair<T> logits(n * d, 1, 4);
    Buffer<std::int32_t> targets;
    for (std::size_t r = 0; r < n; ++r) targets.push_back(static_cast<std::int32_t>(r * 5 % (d + 1)));
    Vector<std::int32_t const> const wanted(targets.data(), n);
    std::array<Buffer<float>, 3> of_half{zeros<float>(n), zeros<float>(n), zeros<float>(n)};
    auto of_single = of_half;
    auto const run = [&]<class V>(Buffer<V>& values, std::array<Buffer<float>, 3>& sums) {
      cross_entropy_max<V>(exec(), mat(values, d), valid, vec(sums[0]), false);
      cross_entropy_sums<V>(exec(), mat(values, d), valid, vec(sums[0]), wanted, 0, vec(sums[1]),
                            vec(sums[2]));
      cross_entropy_backward<V>(exec(), mat(values, d), valid, vec(sums[0]), vec(sums[1]), wanted, 0, 0.25F);
    };
    run(logits.half, of_half);
    run(logits.single, of_single);
    for (std::size_t i = 0; i < 3; ++i) expect_same_sums(of_half[i], of_single[i]);
    EXPECT_TRUE(logits.agrees_after_sums());
  }
}

TYPED_TEST(NarrowKernelTest, Embeddings) {
  using T = TypeParam;
  for (std::size_t const d : widths) {
    SCOPED_TRACE(d);
    auto const dropout = some_rows();
    Pair<T> table(9 * d, 1), positions(4 * d, 2), x(n * d), dy(n * d, 3);
    Buffer<std::int32_t> tokens;
    for (std::size_t r = 0; r < n; ++r) tokens.push_back(static_cast<std::int32_t>(r * 7 % 13));
    Vector<std::int32_t const> const ids(tokens.data(), n);
    auto sum = zeros<float>(n * d), sum_of_single = sum;
    embedding_forward<T>(exec(), ids, mat(table.half, d), 2, mat(sum, d), false);
    embedding_forward<float>(exec(), ids, mat(table.single, d), 2, mat(sum_of_single, d), false);
    EXPECT_TRUE(same_bits(sum, sum_of_single));
    position_forward<T>(exec(), mat(sum, d), mat(positions.half, d), 0, 3, dropout, mat(x.half, d));
    position_forward<float>(exec(), mat(sum, d), mat(positions.single, d), 0, 3, dropout, mat(x.single, d));
    EXPECT_TRUE(x.agrees());
    auto dtable = floats(9 * d, 4), dpositions = floats(4 * d, 5);
    auto dtable_of_single = dtable, dpositions_of_single = dpositions;
    embedding_backward<T>(exec(), ids, mat(dy.half, d), 2, mat(dtable, d));
    embedding_backward<float>(exec(), ids, mat(dy.single, d), 2, mat(dtable_of_single, d));
    EXPECT_TRUE(same_bits(dtable, dtable_of_single));
    position_backward<T>(exec(), mat(dy.half, d), 0, 3, mat(dpositions, d));
    position_backward<float>(exec(), mat(dy.single, d), 0, 3, mat(dpositions_of_single, d));
    EXPECT_TRUE(same_bits(dpositions, dpositions_of_single));
  }
}

TYPED_TEST(NarrowKernelTest, RoundAndCopy) {
  using T = TypeParam;
  for (std::size_t const d : widths) {
    SCOPED_TRACE(d);
    auto from = floats(n * d, 1);
    Buffer<T> to(n * d), again(n * d);
    round<T>(exec(), vec(from), vec(to));
    copy<T>(exec(), vec(to), vec(again));
    for (std::size_t i = 0; i < to.size(); ++i) EXPECT_EQ(to[i].bits, T(from[i]).bits);
    EXPECT_TRUE(same_bits(again, to));
  }
}

TYPED_TEST(NarrowKernelTest, Attention) {
  using T = TypeParam;
  for (std::size_t const d : widths) {
    SCOPED_TRACE(d);
    if (!tensors_on_host)
      GTEST_SKIP()
          << "on a GPU tensor cores add in an order of their own: attention_flash_test compares them "
             "with the reference there";
    auto const heads = std::ptrdiff_t{2}, head_size = static_cast<std::ptrdiff_t>(d % 40 + 1);
    AttentionShape const shape{2, 70, heads, head_size};
    auto const width = static_cast<std::size_t>(heads * head_size), rows = std::size_t{140};
    DropoutHeads dropout;
    dropout.probability = 0.2F;
    dropout.site = RandomSite(3, 1, 2);
    dropout.total_heads = 2;
    Pair<T> qkv(rows * 3 * width, 1, 2), out(rows * width), dout(rows * width, 2), dqkv(rows * 3 * width);
    auto log_sum_exp = zeros<float>(2 * rows), log_sum_exp_of_single = log_sum_exp;
    attention_forward<T>(exec(), shape, mat(qkv.half, 3 * width), dropout, mat(out.half, width),
                         vec(log_sum_exp));
    attention_forward<float>(exec(), shape, mat(qkv.single, 3 * width), dropout, mat(out.single, width),
                             vec(log_sum_exp_of_single));
    EXPECT_TRUE(out.agrees());
    EXPECT_TRUE(same_bits(log_sum_exp, log_sum_exp_of_single));
    out.round();
    attention_backward<T>(exec(), shape, mat(qkv.half, 3 * width), mat(out.half, width), vec(log_sum_exp),
                          mat(dout.half, width), dropout, mat(dqkv.half, 3 * width));
    attention_backward<float>(exec(), shape, mat(qkv.single, 3 * width), mat(out.single, width),
                              vec(log_sum_exp), mat(dout.single, width), dropout,
                              mat(dqkv.single, 3 * width));
    EXPECT_TRUE(dqkv.agrees());
  }
}

}  // namespace

}  // namespace tessera::kernels::test
