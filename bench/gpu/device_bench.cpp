// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The kernels of a training step at the sizes of a GPU, on tensors in its memory:
//
//     bench_device [ROWS]        rows of tokens, 16384 unless said; small numbers try the program on a host
//
// One JSON object a line. "copy": bytes moved a second by a copy. "kernel": bytes that must move (each tensor
// read once, each written once) a second, and that as a share of the copy's. "product", "attention", "ending"
// (a product and what follows it): operations a second. Every time is the mean of a run of calls between two
// waits for the device, the best of several runs.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "endings.hpp"
#include "measuring.hpp"
#include "tessera/kernels/adamw.hpp"
#include "tessera/kernels/attention.hpp"
#include "tessera/kernels/bias.hpp"
#include "tessera/kernels/cross_entropy.hpp"
#include "tessera/kernels/embedding.hpp"
#include "tessera/kernels/gelu.hpp"
#include "tessera/kernels/layer_norm.hpp"
#include "tessera/kernels/matmul.hpp"
#include "tessera/kernels/norm.hpp"
#include "tessera/kernels/residual.hpp"

namespace tessera::bench {

namespace {

template <class T>
void residual_stream(Report const& report, std::size_t rows) {
  using W = Wide<T>;
  Arena arena("tessera::bench::stream");
  auto const x = random_matrix_of<T>(arena, rows, hidden);
  auto const y = random_matrix_of<W>(arena, rows, hidden, 2);
  auto const out = arena.matrix<T>(rows, hidden), sum = arena.matrix<T>(rows, hidden);
  auto const gamma = random_vector(arena, hidden), beta = random_vector(arena, hidden);
  auto const dgamma = arena.matrix<W>(1, hidden), dbeta = arena.matrix<W>(1, hidden);
  auto const mean = arena.vector<W>(rows), rstd = arena.vector<W>(rows);
  auto const n = static_cast<double>(x.size());
  report.kernel(named<T>("layer_norm_forward"), bytes_of<T>(2 * n),
                [&] { kernels::layer_norm_forward<T>(exec(), x, gamma, beta, 1e-5F, out, mean, rstd); });
  report.kernel(named<T>("layer_norm_backward"), bytes_of<T>(3 * n) + bytes_of<W>(n),
                [&] { kernels::layer_norm_backward<T>(exec(), y, x, gamma, mean, rstd, out, true); });
  report.kernel(named<T>("layer_norm_backward_parameters"), bytes_of<T>(n) + bytes_of<W>(n), [&] {
    kernels::layer_norm_backward_parameters<T>(exec(), y, x, mean, rstd, dgamma, dbeta, true);
  });
  for (float const probability : {0.0F, 0.1F}) {
    kernels::DropoutRows dropout;
    dropout.probability = probability;
    dropout.site = RandomSite(1, 2, 3);
    dropout.total_positions = static_cast<std::int64_t>(rows);
    auto const name = [&](char const* kernel) {
      return named<T>(kernel) + (probability > 0 ? "/dropout" : "");
    };
    report.kernel(name("bias_dropout_add"), bytes_of<T>(2 * n) + bytes_of<W>(n),
                  [&] { kernels::bias_dropout_add<T>(exec(), y, beta, x, dropout, out); });
    report.kernel(name("bias_dropout_add_layer_norm"), bytes_of<T>(3 * n) + bytes_of<W>(n), [&] {
      kernels::bias_dropout_add_layer_norm<T>(exec(), y, beta, x, dropout, gamma, beta, 1e-5F, out, sum, mean,
                                              rstd);
    });
  }
}

template <class T>
void feed_forward(Report const& report, std::size_t rows) {
  Arena arena("tessera::bench::ffn");
  auto const pre = random_matrix_of<T>(arena, rows, 4 * hidden),
             dout = random_matrix_of<T>(arena, rows, 4 * hidden, 2);
  auto const out = arena.matrix<T>(rows, 4 * hidden);
  auto const bias = random_vector(arena, 4 * hidden), sums = arena.vector<float>(4 * hidden);
  auto const n = static_cast<double>(pre.size());
  report.kernel(named<T>("add_bias"), bytes_of<T>(2 * n), [&] { kernels::add_bias<T>(exec(), out, bias); });
  report.kernel(named<T>("bias_gelu_forward"), bytes_of<T>(3 * n),
                [&] { kernels::bias_gelu_forward<T>(exec(), pre, bias, out); });
  report.kernel(named<T>("gelu_backward"), bytes_of<T>(3 * n),
                [&] { kernels::gelu_backward<T>(exec(), dout, pre, out); });
  report.kernel(named<T>("column_sums"), bytes_of<T>(n),
                [&] { kernels::column_sums<T>(exec(), dout, sums, true); });
}

template <class T>
void loss(Report const& report, std::size_t rows) {
  using W = Wide<T>;
  Arena arena("tessera::bench::loss");
  auto const logits = random_matrix_of<T>(arena, rows, vocabulary);
  auto const targets = random_tokens(arena, rows);
  auto const maximum = arena.vector<W>(rows), sum = arena.vector<W>(rows), target = arena.vector<W>(rows);
  double const bytes = bytes_of<T>(static_cast<double>(logits.size()));
  report.kernel(named<T>("cross_entropy_max"), bytes,
                [&] { kernels::cross_entropy_max<T>(exec(), logits, true_vocabulary, maximum, false); });
  report.kernel(named<T>("cross_entropy_sums"), bytes, [&] {
    kernels::cross_entropy_sums<T>(exec(), logits, true_vocabulary, maximum, targets, 0, sum, target);
  });
  report.kernel(named<T>("cross_entropy_backward"), 2 * bytes, [&] {
    kernels::cross_entropy_backward<T>(exec(), logits, true_vocabulary, maximum, sum, targets, 0, 1e-4F);
  });
}

template <class T>
void embedding(Report const& report, std::size_t rows) {
  using W = Wide<T>;
  Arena arena("tessera::bench::embedding");
  auto const table = random_matrix_of<T>(arena, vocabulary, hidden);
  auto const dtable = arena.matrix<W>(vocabulary, hidden), x = arena.matrix<W>(rows, hidden);
  auto const dx = random_matrix_of<T>(arena, rows, hidden, 2);
  auto const tokens = random_tokens(arena, rows);
  auto const n = static_cast<double>(x.size());
  report.kernel(named<T>("embedding_forward"), bytes_of<T>(n) + bytes_of<W>(n),
                [&] { kernels::embedding_forward<T>(exec(), tokens, table, 0, x, false); });
  report.kernel(named<T>("embedding_backward"), bytes_of<T>(n) + bytes_of<W>(2 * n),
                [&] { kernels::embedding_backward<T>(exec(), tokens, dx, 0, dtable); });
  auto const frequent = frequent_tokens(arena, rows);
  report.kernel(named<T>("embedding_backward") + "/frequent", bytes_of<T>(n),
                [&] { kernels::embedding_backward<T>(exec(), frequent, dx, 0, dtable); });
}

void optimiser(Report const& report, std::size_t rows) {
  Arena arena("tessera::bench::optimiser");
  std::size_t const count = rows * 4096;
  auto const n = static_cast<double>(count);
  auto const p = random_vector(arena, count), g = random_vector(arena, count), m = arena.vector<float>(count),
             v = arena.vector<float>(count);
  auto const chunks = arena.vector<double>(
      static_cast<std::size_t>(kernels::norm_chunks(static_cast<std::ptrdiff_t>(count))));
  auto const weights = arena.vector<bf16>(count);
  kernels::AdamwStep const step{1e-4, 0.9, 0.95, 1e-8, 0.1, 1, 10};
  report.kernel("adamw", bytes_of<float>(7 * n), [&] { kernels::adamw<float>(exec(), p, g, m, v, step); });
  report.kernel("round", bytes_of<float>(n) + bytes_of<bf16>(n),
                [&] { kernels::round<bf16>(exec(), p, weights); });
  report.kernel("squared_norm", bytes_of<float>(n),
                [&] { kernels::squared_norm_chunks<float>(exec(), g, chunks); });
  report.kernel("add_to", bytes_of<float>(3 * n), [&] { kernels::add_to<float>(exec(), m, g); });
}

/// B sequences of 1024 positions, 12 heads of 64, causal: operations of the lower triangle alone.
template <class T>
void attention(std::size_t rows) {
  Arena arena("tessera::bench::attention");
  auto const length = std::min(positions, rows);
  auto const batch = rows / length;
  kernels::AttentionShape const shape{static_cast<std::ptrdiff_t>(batch), static_cast<std::ptrdiff_t>(length),
                                      heads, hidden / heads};
  std::size_t const n = batch * length;
  auto const qkv = random_matrix_of<T>(arena, n, 3 * hidden), dqkv = arena.matrix<T>(n, 3 * hidden);
  auto const out = arena.matrix<T>(n, hidden), dout = random_matrix_of<T>(arena, n, hidden, 2);
  auto const log_sum_exp = arena.vector<Wide<T>>(n * heads);
  kernels::DropoutHeads const none;
  double const pairs = static_cast<double>(batch * heads * length) * static_cast<double>(length + 1) / 2;
  double const width = hidden / heads;
  double const forward =
      seconds([&] { kernels::attention_forward<T>(exec(), shape, qkv, none, out, log_sum_exp); }, 3, 2);
  print_operations("attention", named<T>("attention_forward"), 4 * width * pairs, forward);
  double const backward = seconds(
      [&] { kernels::attention_backward<T>(exec(), shape, qkv, out, log_sum_exp, dout, none, dqkv); }, 3, 1);
  print_operations("attention", named<T>("attention_backward"), 10 * width * pairs, backward);
}

/// Products of 8192 x 8192 matrices of random numbers by every provider but the plain one.
void products(std::size_t rows) {
  auto const side = static_cast<std::ptrdiff_t>(rows < 16384 ? 256 : 8192);
  auto const count = static_cast<std::size_t>(side * side);
  double const flops =
      2.0 * static_cast<double>(side) * static_cast<double>(side) * static_cast<double>(side);
  kernels::MatmulShape const shape{
      kernels::Transpose::no, kernels::Transpose::yes, side, side, side, side, side, side};
  Arena arena("tessera::bench::products");
  auto const a = random_vector(arena, count), b = random_vector(arena, count, 2),
             c = arena.vector<float>(count);
  auto const narrow_a = random_vector_of<bf16>(arena, count),
             narrow_b = random_vector_of<bf16>(arena, count, 2);
  for (auto const& backend : kernels::matmul_backends()) {
    auto const provider = backend.make();
    auto const time = [&](DType operands, void const* left, void const* right) {
      if (!provider->supports(operands)) return;
      auto const multiply = [&] {
        provider->multiply(StreamRef(), operands, operands, shape, left, right, 0, c.data());
      };
      print_operations("product", fmt::format("{}/{}/{}", backend.name, to_string(operands), side), flops,
                       seconds(multiply, 10, 2));
    };
    time(DType::f32, a.data(), b.data());
    time(DType::bf16, narrow_a.data(), narrow_b.data());
  }
}

void run(std::size_t rows) {
  Report const report(rows);
  residual_stream<float>(report, rows);
  residual_stream<bf16>(report, rows);
  feed_forward<float>(report, rows);
  feed_forward<bf16>(report, rows);
  loss<float>(report, rows);
  loss<bf16>(report, rows);
  embedding<float>(report, rows);
  embedding<bf16>(report, rows);
  optimiser(report, rows);
  products(rows);
  Endings(rows).run("auto");
  attention<bf16>(rows);
  attention<float>(rows);
}

}  // namespace

}  // namespace tessera::bench

int main(int argc, char** argv) {
  Kokkos::ScopeGuard const kokkos(argc, argv);
  tessera::bench::run(argc > 1 ? static_cast<std::size_t>(std::atoi(argv[1])) : 16384);
  return 0;
}
