// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tensors.hpp"
#include "tessera/kernels/adamw.hpp"
#include "tessera/kernels/hash.hpp"
#include "tessera/kernels/initialise.hpp"
#include "tessera/kernels/norm.hpp"

namespace tessera::kernels::test {

namespace {

template <class T>
class WeightKernelTest : public ::testing::Test {};
TYPED_TEST_SUITE(WeightKernelTest, ComputeTypes);

TYPED_TEST(WeightKernelTest, AdamwEqualsReferenceOverTenSteps) {
  using T = TypeParam;
  std::size_t const n = 5003;
  Tensor const start = random_tensor(n, 1);
  auto parameters = as<T>(start);
  auto first = zeros<T>(n);
  auto second = zeros<T>(n);
  Buffer<reference::AdamwState> truth(n);
  for (std::size_t i = 0; i < n; ++i) truth[i] = {start[i], 0, 0};
  for (int step = 1; step <= 10; ++step) {
    auto gradients = as<T>(random_tensor(n, 100 + static_cast<unsigned>(step)));
    AdamwStep const s{1e-2, 0.9, 0.95, 1e-8, 0.1, 0.5, step};
    adamw<T>(exec(), vec(parameters), vec(gradients), vec(first), vec(second), s);
    for (std::size_t i = 0; i < n; ++i) {
      truth[i] = reference::adamw(truth[i], 0.5 * gradients[i], 1e-2, 0.9, 0.95, 1e-8, 0.1, step);
    }
  }
  Tensor expected(n);
  for (std::size_t i = 0; i < n; ++i) expected[i] = truth[i].parameter;
  expect_near(parameters, expected, tolerance<T>(32));
  for (std::size_t i = 0; i < n; ++i) expected[i] = truth[i].first;
  expect_near(first, expected, tolerance<T>(8));
  for (std::size_t i = 0; i < n; ++i) expected[i] = truth[i].second;
  expect_near(second, expected, tolerance<T>(8));
}

TYPED_TEST(WeightKernelTest, NormChunksEqualLongDoubleSums) {
  using T = TypeParam;
  for (std::size_t const n : {1, 4095, 4096, 4097, 20001}) {
    auto x = as<T>(random_tensor(n, 2));
    Buffer<double> chunks(static_cast<std::size_t>(norm_chunks(static_cast<std::ptrdiff_t>(n))));
    squared_norm_chunks<T>(exec(), vec(x), vec(chunks));
    for (std::size_t chunk = 0; chunk < chunks.size(); ++chunk) {
      long double sum = 0;
      for (std::size_t i = chunk * 4096; i < std::min(n, (chunk + 1) * 4096); ++i) {
        sum += static_cast<long double>(x[i]) * x[i];
      }
      EXPECT_NEAR(chunks[chunk], static_cast<double>(sum), 1e-13 * static_cast<double>(sum));
    }
  }
}

/// A whole tensor (4, 5, 7) hashed element by element from the definition.
template <class T>
std::uint64_t described_hash(Buffer<T> const& x, std::uint64_t name) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t> bits;
    std::memcpy(&bits, &x[i], sizeof(T));
    sum += mix64(mix64(name + i) ^ bits);
  }
  return sum;
}

TYPED_TEST(WeightKernelTest, HashOfTilesIsTheHashOfTheWhole) {
  using T = TypeParam;
  std::uint64_t const name = 0x9E3779B97F4A7C15u;
  // (3, 8, 700) cut along its middle dim into 4 tiles (3, 2, 700).
  auto whole = as<T>(random_tensor(3 * 8 * 700, 3));
  std::uint64_t const expected = described_hash(whole, name);
  EXPECT_EQ(weights_hash<T>(exec(), vec(whole), name, {0, 1, 0, 16800, 16800}), expected);
  std::uint64_t sum = 0;
  for (std::int64_t tile = 0; tile < 4; ++tile) {
    Buffer<T> part;
    for (std::int64_t outer = 0; outer < 3; ++outer) {
      auto const from = whole.begin() + outer * 5600 + tile * 1400;
      part.insert(part.end(), from, from + 1400);
    }
    sum += weights_hash<T>(exec(), vec(part), name, {tile * 1400, 3, 5600, 1400, 1400});
  }
  EXPECT_EQ(sum, expected);
}

TYPED_TEST(WeightKernelTest, HashLeavesPaddingOutAndSeesEveryBit) {
  using T = TypeParam;
  auto x = as<T>(random_tensor(100, 4));
  std::uint64_t const name = 0xD1B54A32D192ED03u;
  auto padded = x;
  padded.resize(130, T(9));
  std::uint64_t const hash = weights_hash<T>(exec(), vec(x), name, {50, 1, 0, 100, 100});
  EXPECT_EQ(weights_hash<T>(exec(), vec(padded), name, {50, 1, 0, 130, 100}), hash);
  EXPECT_EQ(weights_hash<T>(exec(), vec(padded), name, {50, 1, 0, 130, 0}), 0u);
  EXPECT_NE(weights_hash<T>(exec(), vec(x), name, {51, 1, 0, 100, 100}), hash);
  EXPECT_NE(weights_hash<T>(exec(), vec(x), 0xD1B54A32D192ED04u, {50, 1, 0, 100, 100}), hash);
  x[7] = std::nextafter(x[7], T(10));
  EXPECT_NE(weights_hash<T>(exec(), vec(x), name, {50, 1, 0, 100, 100}), hash);
}

TYPED_TEST(WeightKernelTest, InitialWeightsDoNotKnowTheirTile) {
  using T = TypeParam;
  RandomSite const site(5, 0, 17);
  auto whole = zeros<T>(3 * 8 * 701);
  initialise_normal<T>(exec(), vec(whole), {0, 1, 0, 16824, 16824}, site, 0.5, 0.02);
  for (std::int64_t tile = 0; tile < 4; ++tile) {
    auto part = zeros<T>(3 * 2 * 701);
    initialise_normal<T>(exec(), vec(part), {tile * 1402, 3, 5608, 1402, 1402}, site, 0.5, 0.02);
    for (std::size_t i = 0; i < part.size(); ++i) {
      EXPECT_EQ(part[i], whole[i / 1402 * 5608 + static_cast<std::size_t>(tile) * 1402 + i % 1402]);
    }
  }
}

TYPED_TEST(WeightKernelTest, InitialWeightsOfPaddingAreZero) {
  using T = TypeParam;
  Buffer<T> x(2 * 5000, T(1));
  initialise_normal<T>(exec(), vec(x), {0, 2, 4500, 5000, 4500}, RandomSite(5, 0, 17), 0, 1);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i] == T(0), i % 5000 >= 4500) << i;
}

TEST(InitialiseTest, NumbersAreNormal) {
  std::size_t const n = 1 << 20;
  Buffer<double> x(n);
  initialise_normal<double>(exec(), vec(x), {0, 1, 0, 1 << 20, 1 << 20}, RandomSite(1, 0, 0), 0, 1);
  double moments[5] = {};
  for (double const value : x) {
    double power = 1;
    for (double& moment : moments) {
      moment += power / static_cast<double>(n);
      power *= value;
    }
  }
  // Five standard errors of each moment of a normal sample.
  double const root = std::sqrt(static_cast<double>(n));
  EXPECT_NEAR(moments[1], 0, 5 / root);
  EXPECT_NEAR(moments[2], 1, 5 * std::sqrt(2.0) / root);
  EXPECT_NEAR(moments[3], 0, 5 * std::sqrt(15.0) / root);
  EXPECT_NEAR(moments[4], 3, 5 * std::sqrt(96.0) / root);
  double neighbours = 0;
  for (std::size_t i = 0; i + 1 < n; ++i) neighbours += x[i] * x[i + 1] / static_cast<double>(n);
  EXPECT_NEAR(neighbours, 0, 5 / root);
}

}  // namespace

}  // namespace tessera::kernels::test
