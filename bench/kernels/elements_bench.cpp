// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Bytes per second of the element-wise and row kernels at GPT-2 124M's sizes (S*B = 1024 rows, D = 768, F =
// 3072), beside a copy that moves as many bytes in the same run. Bytes are those that must move: each tensor
// read and each tensor written once.
#include <cstring>
#include <string>

#include "measure.hpp"
#include "tessera/kernels/adamw.hpp"
#include "tessera/kernels/bias.hpp"
#include "tessera/kernels/cross_entropy.hpp"
#include "tessera/kernels/gelu.hpp"
#include "tessera/kernels/layer_norm.hpp"
#include "tessera/kernels/norm.hpp"
#include "tessera/kernels/residual.hpp"
#include "tessera/kernels/tree.hpp"

namespace tessera::bench {

namespace {

constexpr std::size_t rows = 1024;
constexpr std::size_t hidden = 768;
constexpr std::size_t vocabulary = 50304;

ExecutionSpace const exec() { return {}; }

/// Times `kernel`, which moves `tensors` times `count` floats, beside a copy of the same bytes (read and
/// written).
template <class Kernel>
void beside_copy(benchmark::State& state, std::size_t count, double tensors, Kernel const& kernel) {
  auto const half = static_cast<std::size_t>(static_cast<double>(count) * tensors / 2);
  std::vector<float> const source = values(half);
  std::vector<float> target(half);
  auto const best =
      measure(state, kernel, [&] { std::memcpy(target.data(), source.data(), half * sizeof(float)); });
  double const bytes = 2.0 * static_cast<double>(half) * sizeof(float);
  state.counters["GB/s"] = bytes / best.own / 1e9;
  state.counters["copy_GB/s"] = bytes / best.limit / 1e9;
  state.counters["of_copy"] = best.limit / best.own;
  state.counters["ns/element"] = best.own / static_cast<double>(count) * 1e9;
}

void add_to(benchmark::State& state) {
  auto a = values(rows * hidden);
  auto b = a;
  beside_copy(state, a.size(), 3, [&] { kernels::add_to<float>(exec(), vec(a), vec(b)); });
}

void tree_sum_of_8(benchmark::State& state) {
  auto parts = values(8 * rows * hidden);
  std::vector<float> out(rows * hidden);
  beside_copy(state, out.size(), 9,
              [&] { kernels::tree_sum<float>(exec(), mat(parts, out.size()), vec(out)); });
}

/// The tensors of a layer norm and of the residual stream around it.
struct Stream {
  std::vector<float> x = values(rows * hidden), dy = x, residual = x, y = x, out = x;
  std::vector<float> gamma = values(hidden), beta = gamma, bias = gamma, dgamma = gamma, dbeta = gamma;
  std::vector<float> mean = std::vector<float>(rows), rstd = std::vector<float>(rows, 1.0F);
  kernels::DropoutRows dropout;

  explicit Stream(float probability = 0) {
    dropout.probability = probability;
    dropout.site = RandomSite(1, 2, 3);
    dropout.batch = 4;
    dropout.total_positions = rows / 4;
  }
};

void layer_norm_forward(benchmark::State& state) {
  Stream s;
  beside_copy(state, s.x.size(), 2, [&] {
    kernels::layer_norm_forward<float>(exec(), mat(s.x, hidden), vec(s.gamma), vec(s.beta), 1e-5F,
                                       mat(s.y, hidden), vec(s.mean), vec(s.rstd));
  });
}

void layer_norm_backward(benchmark::State& state) {
  Stream s;
  beside_copy(state, s.x.size(), 4, [&] {
    kernels::layer_norm_backward<float>(exec(), mat(s.dy, hidden), mat(s.x, hidden), vec(s.gamma),
                                        vec(s.mean), vec(s.rstd), mat(s.out, hidden), true);
  });
}

void layer_norm_backward_parameters(benchmark::State& state) {
  Stream s;
  beside_copy(state, s.x.size(), 2, [&] {
    kernels::layer_norm_backward_parameters<float>(exec(), mat(s.dy, hidden), mat(s.x, hidden), vec(s.mean),
                                                   vec(s.rstd), mat(s.dgamma, hidden), mat(s.dbeta, hidden),
                                                   false);
  });
}

/// Argument: dropout in percent.
void bias_dropout_add(benchmark::State& state) {
  Stream s(static_cast<float>(state.range(0)) / 100);
  beside_copy(state, s.x.size(), 3, [&] {
    kernels::bias_dropout_add<float>(exec(), mat(s.x, hidden), vec(s.bias), mat(s.residual, hidden),
                                     s.dropout, mat(s.out, hidden));
  });
}

void bias_dropout_add_layer_norm(benchmark::State& state) {
  Stream s(static_cast<float>(state.range(0)) / 100);
  beside_copy(state, s.x.size(), 4, [&] {
    kernels::bias_dropout_add_layer_norm<float>(
        exec(), mat(s.x, hidden), vec(s.bias), mat(s.residual, hidden), s.dropout, vec(s.gamma), vec(s.beta),
        1e-5F, mat(s.out, hidden), mat(s.y, hidden), vec(s.mean), vec(s.rstd));
  });
}

void dropout_backward(benchmark::State& state) {
  Stream s(static_cast<float>(state.range(0)) / 100);
  beside_copy(state, s.x.size(), 2, [&] {
    kernels::dropout_backward<float>(exec(), mat(s.dy, hidden), s.dropout, mat(s.out, hidden));
  });
}

void add_bias(benchmark::State& state) {
  auto x = values(rows * 4 * hidden);
  auto bias = std::vector<float>(4 * hidden);
  beside_copy(state, x.size(), 2, [&] { kernels::add_bias<float>(exec(), mat(x, bias.size()), vec(bias)); });
}

void column_sums(benchmark::State& state) {
  auto x = values(rows * 4 * hidden);
  auto sums = std::vector<float>(4 * hidden);
  beside_copy(state, x.size(), 1,
              [&] { kernels::column_sums<float>(exec(), mat(x, sums.size()), vec(sums), true); });
}

void bias_gelu_forward(benchmark::State& state) {
  auto pre = values(rows * 4 * hidden);
  auto out = pre;
  auto bias = std::vector<float>(4 * hidden);
  beside_copy(state, pre.size(), 3, [&] {
    kernels::bias_gelu_forward<float>(exec(), mat(pre, bias.size()), vec(bias), mat(out, bias.size()));
  });
}

void gelu_backward(benchmark::State& state) {
  auto pre = values(rows * 4 * hidden);
  auto dout = pre;
  auto dpre = pre;
  beside_copy(state, pre.size(), 3, [&] {
    kernels::gelu_backward<float>(exec(), mat(dout, 4 * hidden), mat(pre, 4 * hidden), mat(dpre, 4 * hidden));
  });
}

void cross_entropy_forward(benchmark::State& state) {
  auto logits = values(rows / 4 * vocabulary);
  std::vector<float> maximum(rows / 4);
  auto sum = maximum;
  auto target = maximum;
  std::vector<std::int32_t> const targets(rows / 4, 17);
  beside_copy(state, logits.size(), 2, [&] {
    kernels::cross_entropy_max<float>(exec(), mat(logits, vocabulary), 50257, vec(maximum), false);
    kernels::cross_entropy_sums<float>(exec(), mat(logits, vocabulary), 50257, vec(maximum),
                                       Vector<std::int32_t const>(targets.data(), targets.size()), 0,
                                       vec(sum), vec(target));
  });
}

void cross_entropy_backward(benchmark::State& state) {
  auto logits = values(rows / 4 * vocabulary);
  std::vector<float> maximum(rows / 4, 1.0F);
  std::vector<float> sum(rows / 4, 50257.0F);
  std::vector<std::int32_t> const targets(rows / 4, 17);
  beside_copy(state, logits.size(), 2, [&] {
    kernels::cross_entropy_backward<float>(exec(), mat(logits, vocabulary), 50257, vec(maximum), vec(sum),
                                           Vector<std::int32_t const>(targets.data(), targets.size()), 0,
                                           1e-3F);
  });
}

void adamw(benchmark::State& state) {
  auto p = values(8 << 20);
  auto g = p;
  auto m = p;
  auto v = std::vector<float>(p.size(), 1e-3F);
  kernels::AdamwStep const step{1e-4, 0.9, 0.95, 1e-8, 0.1, 1, 10};
  beside_copy(state, p.size(), 7,
              [&] { kernels::adamw<float>(exec(), vec(p), vec(g), vec(m), vec(v), step); });
}

void squared_norm(benchmark::State& state) {
  auto x = values(8 << 20);
  std::vector<double> chunks(static_cast<std::size_t>(kernels::norm_chunks(8 << 20)));
  beside_copy(state, x.size(), 1, [&] {
    kernels::squared_norm_chunks<float>(exec(), vec(x), Vector<double>(chunks.data(), chunks.size()));
  });
}

BENCHMARK(add_to)->UseManualTime();
BENCHMARK(tree_sum_of_8)->UseManualTime();
BENCHMARK(layer_norm_forward)->UseManualTime();
BENCHMARK(layer_norm_backward)->UseManualTime();
BENCHMARK(layer_norm_backward_parameters)->UseManualTime();
BENCHMARK(bias_dropout_add)->Arg(0)->Arg(10)->UseManualTime();
BENCHMARK(bias_dropout_add_layer_norm)->Arg(0)->Arg(10)->UseManualTime();
BENCHMARK(dropout_backward)->Arg(0)->Arg(10)->UseManualTime();
BENCHMARK(add_bias)->UseManualTime();
BENCHMARK(column_sums)->UseManualTime();
BENCHMARK(bias_gelu_forward)->UseManualTime();
BENCHMARK(gelu_backward)->UseManualTime();
BENCHMARK(cross_entropy_forward)->UseManualTime();
BENCHMARK(cross_entropy_backward)->UseManualTime();
BENCHMARK(adamw)->UseManualTime();
BENCHMARK(squared_norm)->UseManualTime();

}  // namespace

}  // namespace tessera::bench
