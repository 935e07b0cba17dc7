// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The tile kernels of attention for GPUs, played on the host, against the reference.
#include "kernels/flash/backward.hpp"
#include "kernels/flash/forward.hpp"
#include "played_block.hpp"
#include "tensors.hpp"

namespace tessera::kernels::test {

namespace {

struct Call {
  AttentionShape shape;
  std::uint16_t const* qkv;
  std::uint16_t* out;
  float* log_sum_exp;
  DropoutHeads dropout;
  DropoutFactors factors;
};
struct BackCall {
  AttentionShape shape;
  std::uint16_t const* qkv;
  std::uint16_t const* out;
  float const* log_sum_exp;
  std::uint16_t const* dout;
  DropoutHeads dropout;
  DropoutFactors factors;
  std::uint16_t* dqkv;
};

std::uint16_t narrow(double x) {
  PlayedBlock b(0, 0, {});
  return static_cast<std::uint16_t>(PlayedThread(b, 0).pack(static_cast<float>(x), 0));
}
double wide(std::uint16_t x) {
  PlayedBlock b(0, 0, {});
  return PlayedThread(b, 0).low(x);
}
std::vector<std::uint16_t> narrowed(Tensor const& t) {
  std::vector<std::uint16_t> r(t.size());
  for (std::size_t i = 0; i < t.size(); ++i) r[i] = narrow(t[i]);
  return r;
}
Tensor widened16(std::vector<std::uint16_t> const& t) {
  Tensor r(t.size());
  for (std::size_t i = 0; i < t.size(); ++i) r[i] = wide(t[i]);
  return r;
}

template <int D, int warps, class Own, class QOwn, class KOwn, int step, bool drop>
void check(std::size_t batch, std::size_t positions, std::size_t heads, float probability) {
  reference::AttentionSizes sizes{batch, positions, heads, D};
  std::size_t const width = heads * D;
  auto qkv = narrowed(random_tensor(positions * batch * 3 * width, 1, 2));
  auto dout = narrowed(random_tensor(positions * batch * width, 2));
  std::vector<std::uint16_t> out(dout.size()), dqkv(qkv.size());
  std::vector<float> lse(heads * batch * positions), deltas(lse.size());
  AttentionShape shape{static_cast<std::ptrdiff_t>(batch), static_cast<std::ptrdiff_t>(positions),
                       static_cast<std::ptrdiff_t>(heads), D};
  DropoutHeads dropout;
  dropout.probability = probability;
  dropout.site = RandomSite(11, 12, 13);
  dropout.first_sequence = 2;
  dropout.first_head = 1;
  dropout.total_heads = static_cast<std::int64_t>(heads) + 2;
  DropoutFactors f(probability, dropout.site);
  Tensor factors;
  std::size_t const square = positions * positions;
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t h = 0; h < heads; ++h) {
      auto part = factors_of(probability, dropout.site, ((2 + b) * (heads + 2) + 1 + h) * square, square);
      factors.insert(factors.end(), part.begin(), part.end());
    }
  Call call{shape, qkv.data(), out.data(), lse.data(), dropout, f};
  play(flash::ForwardBody<Call, D, warps, Own, drop>{call});
  auto truth = reference::attention(sizes, widened16(qkv), factors);
  expect_near(widened16(out), truth.out, 0.01);
  expect_near(lse, truth.log_sum_exp, 1e-5);
  BackCall back{shape, qkv.data(), out.data(), lse.data(), dout.data(), dropout, f, dqkv.data()};
  play(flash::DeltasBody<BackCall, D>{back, deltas.data()});
  play(flash::QueriesBody<BackCall, QOwn, D, warps, step, drop>{back, deltas.data()});
  play(flash::KeysBody<BackCall, KOwn, D, warps, step, drop>{back, deltas.data()});
  expect_near(widened16(dqkv), reference::attention_gradient(sizes, widened16(qkv), widened16(dout), factors), 0.02);
}

using namespace flash;
TEST(FlashTest, A) { check<64, 4, HeldRows<64, 2>, HeldRows<64, 2>, HeldRows<64, 1>, 32, false>(1, 130, 2, 0); }
TEST(FlashTest, B) { check<64, 4, HeldRows<64, 1>, HeldRows<64, 1>, HeldRows<64, 1>, 64, true>(2, 128, 2, 0.3F); }
TEST(FlashTest, C) { check<80, 4, HeldRows<80, 1>, HeldRows<80, 1>, SharedRows<80, 1>, 32, true>(2, 67, 1, 0.3F); }
TEST(FlashTest, D) { check<128, 4, SharedRows<128, 2>, HeldRows<128, 1>, SharedRows<128, 1>, 32, false>(1, 200, 1, 0); }
TEST(FlashTest, E) { check<96, 4, SharedRows<96, 2>, HeldRows<96, 1>, SharedRows<96, 1>, 32, true>(1, 1, 1, 0.3F); }

}  // namespace

}  // namespace tessera::kernels::test
