// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tensors.hpp"
#include "tessera/kernels/cross_entropy.hpp"
#include "tessera/kernels/embedding.hpp"
#include "tessera/kernels/tree.hpp"

namespace tessera::kernels::test {

namespace {

Buffer<std::int32_t> random_tokens(std::size_t count, int vocabulary, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_int_distribution<std::int32_t> draw(0, vocabulary - 1);
  Buffer<std::int32_t> tokens(count);
  for (auto& token : tokens) token = draw(engine);
  return tokens;
}

Vector<std::int32_t const> view(Buffer<std::int32_t> const& tokens) {
  return Vector<std::int32_t const>(tokens.data(), tokens.size());
}

template <class T>
class TokenKernelTest : public ::testing::Test {};
TYPED_TEST_SUITE(TokenKernelTest, ComputeTypes);

TYPED_TEST(TokenKernelTest, EmbeddingEqualsReferenceOnEveryTileOfTheVocabulary) {
  using T = TypeParam;
  std::size_t const d = 67;
  auto const tokens = random_tokens(40, 30, 1);
  auto table = as<T>(random_tensor(10 * d, 2));
  auto dy = as<T>(random_tensor(40 * d, 3));
  for (std::int64_t const first : {0, 10, 20}) {
    auto out = as<T>(random_tensor(40 * d, 4));
    embedding_forward<T>(exec(), view(tokens), mat(table, d), first, mat(out, d), false);
    expect_near(out, reference::embedding(tokens, widened(table), d, first), 0);
    auto dtable = zeros<T>(10 * d);
    embedding_backward<T>(exec(), view(tokens), mat(dy, d), first, mat(dtable, d));
    expect_near(dtable, reference::embedding_gradient(tokens, widened(dy), 10, d, first), tolerance<T>());
  }
}

TYPED_TEST(TokenKernelTest, EmbeddingOfAllTilesAccumulatedIsTheWholeEmbedding) {
  using T = TypeParam;
  std::size_t const d = 5;
  auto const tokens = random_tokens(40, 30, 1);
  auto table = as<T>(random_tensor(30 * d, 2));
  auto whole = zeros<T>(40 * d);
  embedding_forward<T>(exec(), view(tokens), mat(table, d), 0, mat(whole, d), false);
  auto sum = zeros<T>(40 * d);
  for (std::size_t tile = 0; tile < 3; ++tile) {
    embedding_forward<T>(exec(), view(tokens), Matrix<T const>(table.data() + tile * 10 * d, 10, d),
                         static_cast<std::int64_t>(tile * 10), mat(sum, d), tile > 0);
  }
  EXPECT_TRUE(same_bits(sum, whole));
}

TEST(EmbeddingTest, OthersTokensGivePositiveZero) {
  Buffer<std::int32_t> const tokens{0, 5};
  Buffer<float> table{-0.0F, 1.0F};
  Buffer<float> out(4, -1.0F);
  embedding_forward<float>(exec(), view(tokens), mat(table, 2), 0, mat(out, 2), false);
  EXPECT_TRUE(same_bits(out, Buffer<float>{0.0F, 1.0F, 0.0F, 0.0F}));
}

TYPED_TEST(TokenKernelTest, PositionsEqualReference) {
  using T = TypeParam;
  std::size_t const d = 67;
  std::size_t const batch = 3;
  std::size_t const positions = 4;
  std::size_t const first = 2;
  DropoutRows dropout;
  dropout.probability = 0.25F;
  dropout.site = RandomSite(1, 2, 3);
  dropout.first_position = first;
  dropout.batch = batch;
  dropout.total_positions = 7;
  auto x = as<T>(random_tensor(positions * batch * d, 5));
  auto const before = x;
  auto table = as<T>(random_tensor(7 * d, 6));
  position_forward<T>(exec(), mat(x, d), mat(table, d), first, batch, dropout, mat(x, d));
  auto dtable = as<T>(random_tensor(7 * d, 7));
  Tensor expected = widened(dtable);
  for (std::size_t r = 0; r < positions * batch; ++r) {
    std::size_t const s = r / batch;
    Tensor const factors = factors_of(0.25F, dropout.site, ((r % batch) * 7 + first + s) * d, d);
    for (std::size_t c = 0; c < d; ++c) {
      T const sum = before[r * d + c] + table[(first + s) * d + c];
      EXPECT_EQ(x[r * d + c], sum * static_cast<T>(factors[c]));
      expected[(first + s) * d + c] += before[r * d + c];
    }
  }
  auto dx = before;
  position_backward<T>(exec(), mat(dx, d), first, batch, mat(dtable, d));
  expect_near(dtable, expected, tolerance<T>(4));
}

/// Loss and gradient over a vocabulary of `tiles` tiles of `width` columns each, `vocabulary` of them real.
template <class T>
struct TiledCrossEntropy {
  TiledCrossEntropy(std::size_t n, std::size_t width, std::size_t tiles, std::size_t vocabulary, double scale)
      : targets(random_tokens(n, static_cast<int>(vocabulary), 8)), loss(n) {
    whole = random_tensor(n * width * tiles, 9, 12);
    Buffer<T> maximum(n);
    Buffer<T> sums(tiles * n);
    Buffer<T> target_logits(tiles * n);
    std::vector<Buffer<T>> tile_logits;
    auto const valid = [&](std::size_t tile) {
      auto const left = static_cast<std::int64_t>(vocabulary) - static_cast<std::int64_t>(tile * width);
      return std::clamp<std::int64_t>(left, 0, static_cast<std::int64_t>(width));
    };
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      tile_logits.push_back(columns_of(tile, n, width, tiles));
      cross_entropy_max<T>(exec(), mat(tile_logits[tile], width), valid(tile), vec(maximum), tile > 0);
    }
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      cross_entropy_sums<T>(exec(), mat(tile_logits[tile], width), valid(tile), vec(maximum), view(targets),
                            static_cast<std::int64_t>(tile * width), Vector<T>(&sums[tile * n], n),
                            Vector<T>(&target_logits[tile * n], n));
    }
    Buffer<T> sum(n);
    Buffer<T> target_logit(n);
    tree_sum<T>(exec(), mat(sums, n), vec(sum));
    tree_sum<T>(exec(), mat(target_logits, n), vec(target_logit));
    cross_entropy_loss<T>(exec(), vec(maximum), vec(sum), vec(target_logit), vec(loss));
    gradient.resize(whole.size());
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      cross_entropy_backward<T>(exec(), mat(tile_logits[tile], width), valid(tile), vec(maximum), vec(sum),
                                view(targets), static_cast<std::int64_t>(tile * width), T(scale));
      put_columns(tile, n, width, tiles, tile_logits[tile]);
    }
  }

  Buffer<T> columns_of(std::size_t tile, std::size_t n, std::size_t width, std::size_t tiles) const {
    Buffer<T> part(n * width);
    for (std::size_t i = 0; i < part.size(); ++i) {
      part[i] = static_cast<T>(whole[i / width * width * tiles + tile * width + i % width]);
    }
    return part;
  }
  void put_columns(std::size_t tile, std::size_t n, std::size_t width, std::size_t tiles,
                   Buffer<T> const& part) {
    for (std::size_t i = 0; i < n * width; ++i) {
      gradient[i / width * width * tiles + tile * width + i % width] = part[i];
    }
  }

  Buffer<std::int32_t> targets;
  Tensor whole;
  Buffer<T> loss, gradient;
};

TYPED_TEST(TokenKernelTest, CrossEntropyEqualsReferenceWhateverTheTiles) {
  using T = TypeParam;
  std::size_t const n = 9;
  for (auto const& [width, tiles, vocabulary] :
       {std::array<std::size_t, 3>{130, 1, 130}, {67, 4, 201}, {64, 4, 130}, {7000, 1, 6997}}) {
    double const scale = 1.0 / static_cast<double>(n);
    TiledCrossEntropy<T> const call(n, width, tiles, vocabulary, scale);
    auto const truth = reference::cross_entropy(call.whole, width * tiles, vocabulary, call.targets, scale);
    expect_near(call.loss, truth.loss, tolerance<T>());
    expect_near(call.gradient, truth.gradient, tolerance<T>(4));
    for (std::size_t i = 0; i < call.gradient.size(); ++i) {
      if (i % (width * tiles) < vocabulary) continue;
      EXPECT_EQ(call.gradient[i], T(0)) << "padding has no gradient";
    }
  }
}

TEST(CrossEntropyTest, BackwardIsTheGradientOfTheLoss) {
  TiledCrossEntropy<double> const call(3, 20, 2, 33, 1.0);
  expect_gradient(call.whole, call.gradient, [&](Tensor const& moved) {
    auto const truth = reference::cross_entropy(moved, 40, 33, call.targets, 1.0);
    double sum = 0;
    for (double const loss : truth.loss) sum += loss;
    return sum;
  });
}

TEST(CrossEntropyTest, ANanAmongTheLogitsReachesTheLoss) {
  Buffer<float> logits{1.0F, std::numeric_limits<float>::quiet_NaN(), 2.0F};
  Buffer<std::int32_t> const targets{0};
  Buffer<float> maximum(1);
  Buffer<float> sum(1);
  Buffer<float> target(1);
  Buffer<float> loss(1);
  cross_entropy_max<float>(exec(), mat(logits, 3), 3, vec(maximum), false);
  cross_entropy_sums<float>(exec(), mat(logits, 3), 3, vec(maximum), view(targets), 0, vec(sum), vec(target));
  cross_entropy_loss<float>(exec(), vec(maximum), vec(sum), vec(target), vec(loss));
  EXPECT_TRUE(std::isnan(loss[0]));
}

}  // namespace

}  // namespace tessera::kernels::test
