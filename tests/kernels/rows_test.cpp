// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tensors.hpp"
#include "tessera/kernels/bias.hpp"
#include "tessera/kernels/gelu.hpp"
#include "tessera/kernels/layer_norm.hpp"
#include "tessera/kernels/residual.hpp"

namespace tessera::kernels::test {

namespace {

constexpr double epsilon = 1e-5;
template <class T>
class RowKernelTest : public ::testing::Test {};
TYPED_TEST_SUITE(RowKernelTest, ComputeTypes);

/// Layer norm forward and both backwards by the kernels.
template <class T>
struct NormCall {
  NormCall(std::size_t n, std::size_t d, std::size_t tiles)
      : columns(d),
        x(as<T>(random_tensor(n * d, 1, 3))),
        gamma(as<T>(random_tensor(d, 2))),
        beta(as<T>(random_tensor(d, 3))),
        dy(as<T>(random_tensor(n * d, 4))),
        y(n * d),
        mean(n),
        rstd(n),
        dx(n * d),
        dgamma(tiles * d),
        dbeta(tiles * d) {}

  void forward() {
    layer_norm_forward<T>(exec(), mat(x, columns), vec(gamma), vec(beta), T(epsilon), mat(y, columns),
                          vec(mean), vec(rstd));
  }
  void backward(bool accumulate) {
    layer_norm_backward<T>(exec(), mat(dy, columns), mat(x, columns), vec(gamma), vec(mean), vec(rstd),
                           mat(dx, columns), accumulate);
    layer_norm_backward_parameters<T>(exec(), mat(dy, columns), mat(x, columns), vec(mean), vec(rstd),
                                      mat(dgamma, columns), mat(dbeta, columns), accumulate);
  }

  std::size_t columns;
  Buffer<T> x, gamma, beta, dy, y, mean, rstd, dx, dgamma, dbeta;
};

TYPED_TEST(RowKernelTest, LayerNormEqualsReference) {
  using T = TypeParam;
  for (auto const& [n, d, tiles] :
       {std::array<std::size_t, 3>{6, 1, 2}, {70, 67, 1}, {8, 768, 4}, {3, 5000, 3}}) {
    NormCall<T> call(n, d, tiles);
    call.forward();
    call.backward(false);
    auto const truth =
        reference::layer_norm(widened(call.x), widened(call.gamma), widened(call.beta), epsilon);
    auto const gradients = reference::layer_norm_gradients(widened(call.dy), widened(call.x),
                                                           widened(call.gamma), epsilon, tiles);
    double const near = d == 1 ? 1e3 * tolerance<T>() : tolerance<T>(32);
    expect_near(call.y, truth.y, near);
    expect_near(call.mean, truth.mean, near);
    expect_near(call.rstd, truth.rstd, near);
    expect_near(call.dx, gradients.dx, near);
    expect_near(call.dgamma, gradients.dgamma, tolerance<T>(64));
    expect_near(call.dbeta, gradients.dbeta, tolerance<T>(64));
  }
}

TYPED_TEST(RowKernelTest, LayerNormGradientsAccumulate) {
  using T = TypeParam;
  NormCall<T> call(70, 67, 2);
  call.forward();
  call.backward(false);
  auto const dx = call.dx;
  auto const dgamma = call.dgamma;
  auto const dbeta = call.dbeta;
  call.backward(true);
  for (std::size_t i = 0; i < dx.size(); ++i) EXPECT_EQ(call.dx[i], dx[i] + dx[i]);
  for (std::size_t i = 0; i < dgamma.size(); ++i)
    EXPECT_NEAR(call.dgamma[i], 2 * dgamma[i], tolerance<T>(64));
  for (std::size_t i = 0; i < dbeta.size(); ++i) EXPECT_NEAR(call.dbeta[i], 2 * dbeta[i], tolerance<T>(64));
}

TEST(LayerNormTest, BackwardIsTheGradientOfForward) {
  NormCall<double> call(5, 37, 1);
  call.forward();
  call.backward(false);
  auto const value = [&](NormCall<double>& moved) {
    moved.forward();
    return dot(moved.y, call.dy);
  };
  auto const along = [&](Buffer<double> NormCall<double>::*member) {
    return [&, member](Tensor const& x) {
      NormCall<double> moved = call;
      moved.*member = x;
      return value(moved);
    };
  };
  expect_gradient(call.x, call.dx, along(&NormCall<double>::x));
  expect_gradient(call.gamma, call.dgamma, along(&NormCall<double>::gamma));
  expect_gradient(call.beta, call.dbeta, along(&NormCall<double>::beta));
}

TYPED_TEST(RowKernelTest, GeluEqualsReference) {
  using T = TypeParam;
  std::size_t const n = 13;
  std::size_t const width = 107;
  auto pre = as<T>(random_tensor(n * width, 11, 6));
  auto bias = as<T>(random_tensor(width, 12));
  auto dout = as<T>(random_tensor(n * width, 13));
  auto out = zeros<T>(n * width);
  auto dpre = zeros<T>(n * width);
  auto const product = pre;
  bias_gelu_forward<T>(exec(), mat(pre, width), vec(bias), mat(out, width));
  gelu_backward<T>(exec(), mat(dout, width), mat(pre, width), mat(dpre, width));
  Tensor expected(n * width);
  Tensor slopes(n * width);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(pre[i], product[i] + bias[i % width]);
    expected[i] = reference::gelu(pre[i]);
    slopes[i] = dout[i] * reference::gelu_slope(pre[i]);
  }
  expect_near(out, expected, tolerance<T>(8));
  expect_near(dpre, slopes, tolerance<T>(16));
  gelu_backward<T>(exec(), mat(dout, width), mat(pre, width), mat(dout, width));
  EXPECT_TRUE(same_bits(dout, dpre)) << "in place";
}

TEST(GeluTest, BackwardIsTheGradientOfForward) {
  Tensor x = random_tensor(200, 14, 4);
  Tensor weights = random_tensor(200, 15);
  Tensor none = zeros<double>(200);
  Tensor dx(200);
  gelu_backward<double>(exec(), mat(weights, 200), mat(x, 200), mat(dx, 200));
  expect_gradient(x, dx, [&](Tensor moved) {
    Tensor out(200);
    bias_gelu_forward<double>(exec(), mat(moved, 200), vec(none), mat(out, 200));
    return dot(out, weights);
  });
}

TEST(GeluTest, FarValuesStayFinite) {
  Buffer<float> x{-1e4F, -100.0F, -20.0F, 20.0F, 100.0F, 1e4F};
  Buffer<float> none(6, 0.0F);
  Buffer<float> ones(6, 1.0F);
  Buffer<float> out(6);
  Buffer<float> slope(6);
  bias_gelu_forward<float>(exec(), mat(x, 6), vec(none), mat(out, 6));
  gelu_backward<float>(exec(), mat(ones, 6), mat(x, 6), mat(slope, 6));
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(out[i], x[i] > 0 ? x[i] : 0.0F);
    EXPECT_EQ(slope[i], x[i] > 0 ? 1.0F : 0.0F);
  }
}

TYPED_TEST(RowKernelTest, ColumnSumsEqualReference) {
  using T = TypeParam;
  for (auto const& [n, width, tiles] : {std::array<std::size_t, 3>{1, 1, 1}, {96, 67, 2}, {200, 2500, 4}}) {
    auto x = as<T>(random_tensor(n * width, 21));
    auto sums = zeros<T>(tiles * width);
    column_sums_by_tile<T>(exec(), mat(x, width), mat(sums, width), false);
    expect_near(sums, reference::column_sums(widened(x), width, tiles), tolerance<T>(64));
    auto total = as<T>(random_tensor(width, 22));
    auto expected = reference::column_sums(widened(x), width, 1);
    for (std::size_t c = 0; c < width; ++c) expected[c] += total[c];
    column_sums<T>(exec(), mat(x, width), vec(total), true);
    expect_near(total, expected, tolerance<T>(128));
  }
}

TYPED_TEST(RowKernelTest, ATilesColumnSumsAreThoseOfItsRowsAlone) {
  using T = TypeParam;
  std::size_t const width = 130;
  auto x = as<T>(random_tensor(160 * width, 23));
  auto all = zeros<T>(4 * width);
  column_sums_by_tile<T>(exec(), mat(x, width), mat(all, width), false);
  for (std::size_t tile = 0; tile < 4; ++tile) {
    auto one = zeros<T>(width);
    column_sums<T>(exec(), Matrix<T>(x.data() + tile * 40 * width, 40, width), vec(one), false);
    auto const begin = all.begin() + static_cast<std::ptrdiff_t>(tile * width);
    EXPECT_TRUE(same_bits(one, Buffer<T>(begin, begin + static_cast<std::ptrdiff_t>(width))));
  }
}

/// Token rows of 3 sequences, part of a longer sequence, whose rows do not begin on a multiple of 4 elements.
DropoutRows some_rows(float probability) {
  DropoutRows dropout;
  dropout.probability = probability;
  dropout.site = RandomSite(42, 7, 3);
  dropout.first_sequence = 5;
  dropout.first_position = 2;
  dropout.batch = 3;
  dropout.total_positions = 20;
  return dropout;
}

Tensor factors_of_rows(DropoutRows const& dropout, std::size_t n, std::size_t d) {
  Tensor result;
  for (std::size_t r = 0; r < n; ++r) {
    std::uint64_t const b = 5 + r % 3;
    std::uint64_t const s = 2 + r / 3;
    Tensor const row = factors_of(dropout.probability, dropout.site, (b * 20 + s) * d, d);
    result.insert(result.end(), row.begin(), row.end());
  }
  return result;
}

TYPED_TEST(RowKernelTest, ResidualAdditionAndItsGradientEqualReference) {
  using T = TypeParam;
  std::size_t const n = 18;
  for (std::size_t const d : {1, 67, 768}) {
    for (float const probability : {0.0F, 0.3F}) {
      auto const dropout = some_rows(probability);
      auto branch = as<T>(random_tensor(n * d, 31));
      auto bias = as<T>(random_tensor(d, 32));
      auto residual = as<T>(random_tensor(n * d, 33));
      auto out = zeros<T>(n * d);
      Tensor const factors = factors_of_rows(dropout, n, d);
      bias_dropout_add<T>(exec(), mat(branch, d), vec(bias), mat(residual, d), dropout, mat(out, d));
      expect_near(out,
                  reference::bias_dropout_add(widened(branch), widened(bias), widened(residual), factors),
                  tolerance<T>(4));
      auto dx = zeros<T>(n * d);
      dropout_backward<T>(exec(), mat(branch, d), dropout, mat(dx, d));
      for (std::size_t i = 0; i < dx.size(); ++i) EXPECT_EQ(dx[i], branch[i] * static_cast<T>(factors[i]));
    }
  }
}

TYPED_TEST(RowKernelTest, FusedResidualAndNormGiveTheBitsOfTheTwoCalls) {
  using T = TypeParam;
  std::size_t const n = 18;
  std::size_t const d = 101;
  auto const dropout = some_rows(0.3F);
  NormCall<T> call(n, d, 1);
  auto branch = as<T>(random_tensor(n * d, 31));
  auto bias = as<T>(random_tensor(d, 32));
  auto residual = as<T>(random_tensor(n * d, 33));
  bias_dropout_add<T>(exec(), mat(branch, d), vec(bias), mat(residual, d), dropout, mat(call.x, d));
  call.forward();
  auto out = zeros<T>(n * d);
  auto y = zeros<T>(n * d);
  auto mean = zeros<T>(n);
  auto rstd = zeros<T>(n);
  bias_dropout_add_layer_norm<T>(exec(), mat(branch, d), vec(bias), mat(residual, d), dropout,
                                 vec(call.gamma), vec(call.beta), T(epsilon), mat(out, d), mat(y, d),
                                 vec(mean), vec(rstd));
  EXPECT_TRUE(same_bits(out, call.x));
  EXPECT_TRUE(same_bits(y, call.y));
  EXPECT_TRUE(same_bits(mean, call.mean));
  EXPECT_TRUE(same_bits(rstd, call.rstd));
}

}  // namespace

}  // namespace tessera::kernels::test
