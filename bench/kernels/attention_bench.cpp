// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Attention at GPT-2 124M's heads beside a large matrix product in the same run. Operations counted are those
// of the causal half, 4 and 10 hd a pair of query and key (backward forms five products, two of them again).
#include "measure.hpp"
#include "tessera/kernels/attention.hpp"
#include "tessera/kernels/matmul.hpp"

namespace tessera::bench {

namespace {

constexpr std::ptrdiff_t heads = 12;
constexpr std::ptrdiff_t head_size = 64;

/// The tensors of one call.
struct Call {
  Call(std::ptrdiff_t batch, std::ptrdiff_t positions, float probability)
      : shape{batch, positions, heads, head_size} {
    dropout.probability = probability;
    dropout.site = RandomSite(1, 2, 3);
    dropout.total_heads = heads;
    auto const n = static_cast<std::size_t>(batch * positions);
    qkv = values(n * 3 * width);
    dqkv = qkv;
    out = values(n * width);
    dout = out;
    log_sum_exp.resize(n * heads);
  }
  void forward() {
    kernels::attention_forward<float>(ExecutionSpace(), shape, mat(qkv, 3 * width), dropout, mat(out, width),
                                      vec(log_sum_exp));
  }
  void backward() {
    kernels::attention_backward<float>(ExecutionSpace(), shape, mat(qkv, 3 * width), mat(out, width),
                                       vec(log_sum_exp), mat(dout, width), dropout, mat(dqkv, 3 * width));
  }
  /// Pairs of a query and a key at or before it, over all heads.
  [[nodiscard]] double pairs() const {
    auto const s = static_cast<double>(shape.positions);
    return static_cast<double>(shape.batch * heads) * s * (s + 1) / 2;
  }

  static constexpr std::size_t width = heads * head_size;
  kernels::AttentionShape shape;
  kernels::DropoutHeads dropout;
  std::vector<float> qkv, dqkv, out, dout, log_sum_exp;
};

template <class Run>
void beside_product(benchmark::State& state, double flops, Run const& run) {
  constexpr std::ptrdiff_t side = 1024;
  auto const provider = kernels::make_matmul_provider("auto", DType::f32);
  auto a = values(side * side);
  auto c = a;
  kernels::MatmulShape const shape{
      kernels::Transpose::no, kernels::Transpose::no, side, side, side, side, side, side};
  auto const best = measure(state, run, [&] {
    kernels::matmul<float>(*provider, ExecutionSpace(), shape, a.data(), a.data(), 0.0F, c.data());
  });
  state.counters["GF/s"] = flops / best.own / 1e9;
  state.counters["of_matmul"] = flops / best.own / (2.0 * side * side * side / best.limit);
}

/// Arguments: B, S, dropout in percent.
void attention_forward(benchmark::State& state) {
  Call call(state.range(0), state.range(1), static_cast<float>(state.range(2)) / 100);
  beside_product(state, 4.0 * head_size * call.pairs(), [&] { call.forward(); });
}

void attention_backward(benchmark::State& state) {
  Call call(state.range(0), state.range(1), static_cast<float>(state.range(2)) / 100);
  call.forward();
  beside_product(state, 10.0 * head_size * call.pairs(), [&] { call.backward(); });
}

BENCHMARK(attention_forward)->Args({4, 256, 0})->Args({1, 1024, 0})->Args({4, 256, 10})->UseManualTime();
BENCHMARK(attention_backward)->Args({4, 256, 0})->Args({1, 1024, 0})->Args({4, 256, 10})->UseManualTime();

}  // namespace

}  // namespace tessera::bench
