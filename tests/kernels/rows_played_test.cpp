// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Row kernels as a GPU's warps run them, played on the host, against the host's own: equal bits where both
// have one order, near where they do not; and equal bits of every way in which a GPU may read the same rows.
#include <numeric>

#include "kernels/block_sums.hpp"
#include "kernels/layer_norm_row.hpp"
#include "kernels/residual_row.hpp"
#include "kernels/token_rows.hpp"
#include "played_warp.hpp"
#include "tensors.hpp"
#include "tessera/kernels/embedding.hpp"
#include "tessera/kernels/layer_norm.hpp"
#include "tessera/kernels/residual.hpp"

namespace tessera::kernels::test {

namespace {

/// The types of 4 bytes or less: what the played warps exchange.
using NarrowTypes = ::testing::Types<float, bf16, f16>;

/// Memory that begins on a multiple of 64 bytes, as a device's does.
template <class T>
class Aligned {
 public:
  explicit Aligned(std::size_t n) : memory_((n * sizeof(T) + 127) / 64 * 64), n_(n) {}
  Aligned(std::size_t n, unsigned seed) : Aligned(n) {
    Tensor const values = random_tensor(n, seed, 2);
    for (std::size_t i = 0; i < n; ++i) data()[i] = static_cast<T>(static_cast<float>(values[i]));
  }
  Aligned(Aligned const& other) : Aligned(other.n_) { std::copy_n(other.data(), n_, data()); }
  Aligned& operator=(Aligned const&) = delete;

  T* data() const {
    auto const address = reinterpret_cast<std::uintptr_t>(memory_.data());
    return reinterpret_cast<T*>((address + 63) / 64 * 64);
  }
  [[nodiscard]] Vector<T> vector() const { return Vector<T>(data(), n_); }
  [[nodiscard]] Matrix<T> matrix(std::size_t width) const { return Matrix<T>(data(), n_ / width, width); }
  [[nodiscard]] Buffer<T> values() const { return {data(), data() + n_}; }

 private:
  std::vector<unsigned char> memory_;
  std::size_t n_;
};

template <class T>
class PlayedRowsTest : public ::testing::Test {};
TYPED_TEST_SUITE(PlayedRowsTest, NarrowTypes);

/// Sums of blocks of x (tiles * tile_rows, width) and of twice x, W columns a lane.
template <int W, class T>
Buffer<float> sums_of_blocks(Aligned<T> const& x, std::ptrdiff_t tiles, std::ptrdiff_t tile_rows,
                             std::ptrdiff_t width) {
  columns::Sums<float, 2> const sums{{nullptr, nullptr}, tiles, tile_rows, width, false};
  std::ptrdiff_t const blocks = tiles * columns::blocks_of_tile(sums);
  Buffer<float> partial(static_cast<std::size_t>(2 * blocks * width), -1.0F);
  auto const term = [](std::ptrdiff_t, float(&value)[2], T element) {
    value[0] = element;
    value[1] = 2 * element;
  };
  columns::BlockSums<W, float, 2, decltype(term), Read<T>> const body{
      term, {Read<T>(x.data())}, sums, partial.data()};
  play_rows(blocks * body.warps_of_block(), body);
  return partial;
}

TYPED_TEST(PlayedRowsTest, ColumnSumsOfBlocks) {
  using T = TypeParam;
  constexpr std::size_t tiles = 2, tile_rows = 150, width = 72;
  constexpr int pack = elements_of_pack<Read<T>>;
  Aligned<T> const x(tiles * tile_rows * width, 1);
  auto const partial = sums_of_blocks<pack>(x, tiles, tile_rows, width);
  EXPECT_TRUE(same_bits(partial, sums_of_blocks<1>(x, tiles, tile_rows, width)));
  Tensor const truth = reference::column_sums(widened(x.values()), width, tiles);
  for (std::size_t tile = 0; tile < tiles; ++tile) {
    for (std::size_t c = 0; c < width; ++c) {
      double sum = 0;
      for (std::size_t block = 0; block < 3; ++block) sum += partial[(tile * 3 + block) * width + c];
      EXPECT_NEAR(sum, truth[tile * width + c], 1e-4);
      EXPECT_EQ(partial[(6 + tile * 3) * width + c], 2 * partial[tile * 3 * width + c]);
    }
  }
}

template <class T>
struct NormArrays {
  NormArrays(std::size_t n, std::size_t width)
      : count(n),
        d(width),
        x(n * d, 1),
        gamma(d, 2),
        beta(d, 3),
        dy(n * d, 4),
        dx(n * d, 5),
        y(n * d),
        mean(n),
        rstd(n) {}
  NormForward<T> forward() const {
    return {gamma.data(), beta.data(), y.data(), mean.data(), rstd.data(), static_cast<std::ptrdiff_t>(d),
            1e-5F};
  }
  NormBackward<T> backward(bool accumulate) const {
    return {dy.data(),
            x.data(),
            gamma.data(),
            mean.data(),
            rstd.data(),
            dx.data(),
            static_cast<std::ptrdiff_t>(d),
            accumulate};
  }

  std::size_t count, d;
  Aligned<T> x;
  Aligned<float> gamma, beta, dy;
  Aligned<T> dx, y;
  Aligned<float> mean, rstd;
};

template <int P, class T>
void play_norm(NormArrays<T> const& arrays, bool accumulate) {
  auto const norm = arrays.forward();
  play_rows(static_cast<std::ptrdiff_t>(arrays.count), [&](auto const& team, std::ptrdiff_t row) {
    normalise_row<T>(make_line<P>(team, norm.d, Read<T>(arrays.x.data() + row * norm.d)), norm, row);
  });
  play_rows(static_cast<std::ptrdiff_t>(arrays.count), [&](auto const& team, std::ptrdiff_t row) {
    backward_row<P, T>(team, arrays.backward(accumulate), row);
  });
}

/// A result of T: near to a unit in its last place, which two orders of addition may differ by.
template <class T>
void expect_near_rounded(Buffer<T> const& a, Buffer<T> const& b) {
  double const unit = std::is_same_v<T, bf16> ? 0x1p-7 : std::is_same_v<T, f16> ? 0x1p-10 : 1e-5;
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(float(a[i]), float(b[i]), unit * (1 + std::abs(float(b[i]))));
}

TYPED_TEST(PlayedRowsTest, NormsOfHeldRowsAreThoseOfRowsReadAgain) {
  using T = TypeParam;
  std::size_t const pack = elements_of_pack<Read<T>>;
  for (std::size_t const packs : {1, 33, 96, 128}) {
    for (bool const accumulate : {false, true}) {
      NormArrays<T> const held(2, packs * pack), read = held, host = held;
      play_norm<4>(held, accumulate);
      play_norm<0>(read, accumulate);
      EXPECT_TRUE(same_bits(held.y.values(), read.y.values()));
      EXPECT_TRUE(same_bits(held.dx.values(), read.dx.values()));
      EXPECT_TRUE(same_bits(held.mean.values(), read.mean.values()));
      EXPECT_TRUE(same_bits(held.rstd.values(), read.rstd.values()));
      layer_norm_forward<T>(exec(), host.x.matrix(host.d), host.gamma.vector(), host.beta.vector(), 1e-5F,
                            host.y.matrix(host.d), host.mean.vector(), host.rstd.vector());
      layer_norm_backward<T>(exec(), host.dy.matrix(host.d), host.x.matrix(host.d), host.gamma.vector(),
                             host.mean.vector(), host.rstd.vector(), host.dx.matrix(host.d), accumulate);
      expect_near_rounded(held.y.values(), host.y.values());
      expect_near_rounded(held.dx.values(), host.dx.values());
    }
  }
}

TYPED_TEST(PlayedRowsTest, RowsAreAddedAsOnAHostAndHeldForTheNorm) {
  using T = TypeParam;
  NormArrays<T> const arrays(3, 40 * elements_of_pack<Read<T>>);
  Aligned<T> const out(3 * arrays.d), truth(3 * arrays.d), y(3 * arrays.d);
  for (float const probability : {0.0F, 0.3F}) {
    DropoutRows dropout;
    dropout.probability = probability;
    dropout.site = RandomSite(42, 7, 3);
    dropout.first_position = 2;
    dropout.total_positions = 20;
    Addition<T> const add{arrays.dy.data(),
                          arrays.beta.data(),
                          arrays.x.data(),
                          out.data(),
                          static_cast<std::ptrdiff_t>(arrays.d),
                          dropout,
                          DropoutFactors(probability, dropout.site)};
    play_rows(3, [&](auto const& team, std::ptrdiff_t row) {
      normalise_row<T>(add_line<4, T>(team, add, row), arrays.forward(), row);
    });
    bias_dropout_add_layer_norm<T>(exec(), arrays.dy.matrix(arrays.d), arrays.beta.vector(),
                                   arrays.x.matrix(arrays.d), dropout, arrays.gamma.vector(),
                                   arrays.beta.vector(), 1e-5F, truth.matrix(arrays.d), y.matrix(arrays.d),
                                   arrays.mean.vector(), arrays.rstd.vector());
    EXPECT_TRUE(same_bits(out.values(), truth.values()));
    expect_near_rounded(arrays.y.values(), y.values());
  }
}

template <int W, class T>
void play_table_gradient(token_rows::Tokens const& of, Aligned<T> const& dy, Aligned<float> const& dtable,
                         std::size_t d) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(of.n) + 1, -1);
  token_rows::Order const put{of, order.data()};
  play_rows(put.warps(), put);
  token_rows::AddByEntry<W, T> const add{of, order.data(), dy.data(), dtable.data(),
                                         static_cast<std::ptrdiff_t>(d)};
  play_rows(of.n * add.stretches(), add);
}

/// One token that is most of the batch, others of all vocabularies, on every tile of the table.
TYPED_TEST(PlayedRowsTest, GradientsOfATokenTableHaveTheBitsOfAHost) {
  using T = TypeParam;
  constexpr int pack = elements_of_pack<Read<T>>;
  constexpr std::size_t n = 131;
  std::vector<std::int32_t> tokens(n);
  for (std::size_t i = 0; i < n; ++i) tokens[i] = i % 3 != 0 ? 12 : static_cast<std::int32_t>(i * 7 % 30);
  for (std::size_t const d : {std::size_t{8}, std::size_t{40 * pack}, std::size_t{67}}) {
    Aligned<T> const dy(n * d, 1);
    for (std::uint32_t const first : {0U, 10U, 20U}) {
      Aligned<float> const played(10 * d, 2), truth(10 * d, 2);
      token_rows::Tokens const of{tokens.data(), static_cast<std::ptrdiff_t>(n), first, 10};
      if (d % pack == 0) {
        play_table_gradient<pack>(of, dy, played, d);
      } else {
        play_table_gradient<1>(of, dy, played, d);
      }
      embedding_backward<T>(exec(), Vector<std::int32_t const>(tokens.data(), n), dy.matrix(d), first,
                            truth.matrix(d));
      EXPECT_TRUE(same_bits(played.values(), truth.values())) << "d " << d << ", first " << first;
    }
  }
}

}  // namespace

}  // namespace tessera::kernels::test
