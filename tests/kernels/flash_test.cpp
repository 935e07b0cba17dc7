// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The tile kernels of attention for GPUs, played on the host, against the reference: the very bodies that are
// launched on a GPU.
#include "kernels/flash/choices.hpp"
#include "played_block.hpp"
#include "tensors.hpp"

namespace tessera::kernels::test {

namespace {

std::vector<bf16> narrowed(Tensor const& tensor) {
  std::vector<bf16> result;
  for (double const x : tensor) result.emplace_back(static_cast<float>(x));
  return result;
}
std::vector<float> narrowed_to(Tensor const& tensor, float) { return as<float>(tensor); }
std::vector<bf16> narrowed_to(Tensor const& tensor, bf16) { return narrowed(tensor); }

/// Forward and backward of one shape, with dropout as of a tile that begins at some head and sequence.
template <class T>
struct Played {
  Played(reference::AttentionSizes s, float p)
      : sizes(s),
        width(s.heads * s.head_size),
        qkv(narrowed_to(random_tensor(s.positions * s.batch * 3 * width, 1, 2), T())),
        dout(narrowed_to(random_tensor(s.positions * s.batch * width, 2), T())),
        out(dout.size()),
        dqkv(qkv.size()),
        log_sum_exp(s.heads * s.batch * s.positions),
        deltas(log_sum_exp.size()) {
    dropout.probability = p;
    dropout.site = RandomSite(11, 12, 13);
    dropout.first_sequence = 2;
    dropout.first_head = 1;
    dropout.total_heads = static_cast<std::int64_t>(s.heads) + 2;
  }

  [[nodiscard]] AttentionShape shape() const {
    return {static_cast<std::ptrdiff_t>(sizes.batch), static_cast<std::ptrdiff_t>(sizes.positions),
            static_cast<std::ptrdiff_t>(sizes.heads), static_cast<std::ptrdiff_t>(sizes.head_size)};
  }
  [[nodiscard]] DropoutFactors drawn() const { return {dropout.probability, dropout.site}; }
  attention::Forward<T> forward() {
    return {shape(), qkv.data(), out.data(), log_sum_exp.data(), dropout, drawn()};
  }
  attention::Backward<T> backward() {
    return {shape(), qkv.data(), out.data(), log_sum_exp.data(), dout.data(), dropout, drawn(), dqkv.data()};
  }
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

  /// Results within some roundings of T of the reference.
  void expect_truth() const {
    double const rounding = std::is_same_v<T, bf16> ? 0x1p-8 : std::numeric_limits<float>::epsilon();
    double const operations = std::is_same_v<T, bf16> ? 2 : 32;
    auto const truth = reference::attention(sizes, widened(qkv), factors());
    expect_near(out, truth.out, operations * rounding);
    expect_near(log_sum_exp, truth.log_sum_exp, tolerance<float>(16));
    expect_near(dqkv, reference::attention_gradient(sizes, widened(qkv), widened(dout), factors()),
                2 * operations * rounding);
  }

  reference::AttentionSizes sizes;
  std::size_t width;
  DropoutHeads dropout;
  std::vector<T> qkv, dout, out, dqkv;
  std::vector<float> log_sum_exp, deltas;
};

template <int D, bool drop>
Played<bf16> play_bf16(std::size_t batch, std::size_t positions, std::size_t heads) {
  Played<bf16> played({batch, positions, heads, D}, drop ? 0.3F : 0.0F);
  play(flash::ForwardChoice<D, drop>{played.forward()});
  play(flash::DeltasChoice<D>{played.backward(), played.deltas.data()});
  play(flash::QueriesChoice<D, drop>{played.backward(), played.deltas.data()});
  play(flash::KeysChoice<D, drop>{played.backward(), played.deltas.data()});
  return played;
}

TEST(FlashAttentionTest, EqualsReferenceInBf16) {
  play_bf16<64, false>(1, 1, 1).expect_truth();
  play_bf16<64, false>(1, 130, 2).expect_truth();
  play_bf16<80, false>(2, 67, 1).expect_truth();
  play_bf16<96, false>(1, 97, 1).expect_truth();
  play_bf16<128, false>(1, 129, 1).expect_truth();
}

TEST(FlashAttentionTest, EqualsReferenceInBf16WithDropout) {
  play_bf16<64, true>(2, 100, 1).expect_truth();
  play_bf16<64, true>(1, 67, 2).expect_truth();
  play_bf16<128, true>(1, 72, 1).expect_truth();
}

template <int D>
Played<float> play_float(reference::AttentionSizes sizes, float probability) {
  Played<float> played(sizes, probability);
  play(flash::FloatForwardBody<D>{played.forward()});
  play(flash::FloatDeltasBody{played.backward(), played.deltas.data()});
  play(flash::FloatQueriesBody<D>{{played.backward(), played.deltas.data()}});
  play(flash::FloatKeysBody<D>{{played.backward(), played.deltas.data()}});
  return played;
}

TEST(FlashAttentionTest, EqualsReferenceInFloat) {
  play_float<64>({1, 1, 1, 1}, 0).expect_truth();
  play_float<64>({2, 130, 1, 33}, 0).expect_truth();
  play_float<128>({1, 67, 2, 80}, 0.3F).expect_truth();
}

/// A head alone and the same one among others.
TEST(FlashAttentionTest, BitsOfAHeadDoNotDependOnTheOthers) {
  auto const all = play_bf16<64, false>(2, 70, 2);
  Played<bf16> alone({1, 70, 1, 64}, 0);
  auto const row = [](std::size_t s) { return s * 2 + 1; };
  for (std::size_t s = 0; s < 70; ++s) {
    for (std::size_t d = 0; d < 64; ++d) {
      for (std::size_t part = 0; part < 3; ++part)
        alone.qkv[(s * 3 + part) * 64 + d] = all.qkv[row(s) * 384 + (2 * part + 1) * 64 + d];
      alone.dout[s * 64 + d] = all.dout[row(s) * 128 + 64 + d];
    }
  }
  play(flash::ForwardChoice<64, false>{alone.forward()});
  play(flash::DeltasChoice<64>{alone.backward(), alone.deltas.data()});
  play(flash::QueriesChoice<64, false>{alone.backward(), alone.deltas.data()});
  play(flash::KeysChoice<64, false>{alone.backward(), alone.deltas.data()});
  std::vector<bf16> out, dqkv;
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
