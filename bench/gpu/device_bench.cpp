// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The kernels of a training step at the sizes of a GPU, on tensors in its memory:
//
//     bench_device [ROWS]        rows of tokens, 16384 unless said; small numbers try the program on a host
//
// One JSON object a line. "copy": bytes moved a second by a copy. "kernel": bytes that must move (each tensor read
// once, each written once) a second, and that as a share of the copy's. "product", "attention": operations a
// second. Every time is the mean of a run of calls between two waits for the device, the best of several runs.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>

#include "tessera/base/arena.hpp"
#include "tessera/kernels/adamw.hpp"
#include "tessera/kernels/attention.hpp"
#include "tessera/kernels/bias.hpp"
#include "tessera/kernels/cross_entropy.hpp"
#include "tessera/kernels/embedding.hpp"
#include "tessera/kernels/gelu.hpp"
#include "tessera/kernels/initialise.hpp"
#include "tessera/kernels/layer_norm.hpp"
#include "tessera/kernels/matmul.hpp"
#include "tessera/kernels/norm.hpp"
#include "tessera/kernels/residual.hpp"
#include "tessera/kernels/tree.hpp"

namespace tessera::bench {

namespace {

constexpr std::size_t hidden = 768;
constexpr std::size_t heads = 12;
constexpr std::size_t positions = 1024;
constexpr std::size_t vocabulary = 50304;
constexpr std::int64_t true_vocabulary = 50257;

ExecutionSpace exec() { return {}; }

/// Mean seconds of one call, the best of a few runs of calls.
template <class F>
double seconds(F const& call, int calls = 20, int runs = 3) {
  call();
  fence(exec());
  double best = 1e30;
  for (int run = 0; run < runs; ++run) {
    auto const start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) call();
    fence(exec());
    double const all = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::min(best, all / calls);
  }
  return best;
}

/// Random numbers: products of constants take less power, and so less time, than those of real values.
void fill_randomly(Vector<float> x, std::uint32_t site) {
  auto const n = static_cast<std::int64_t>(x.extent(0));
  kernels::initialise_normal<float>(exec(), x, {0, 1, n, n, n}, RandomSite(1, 2, site), 0.0, 1.0);
}

Vector<float> random_vector(Arena& arena, std::size_t n, std::uint32_t site = 1) {
  auto const x = arena.vector<float>(n);
  fill_randomly(x, site);
  return x;
}
Matrix<float> random_matrix(Arena& arena, std::size_t rows, std::size_t columns, std::uint32_t site = 1) {
  return Matrix<float>(random_vector(arena, rows * columns, site).data(), rows, columns);
}

Vector<std::int32_t> random_tokens(Arena& arena, std::size_t n) {
  auto const tokens = arena.vector<std::int32_t>(n);
  RandomSite const site(1, 2, 3);
  auto* const to = tokens.data();
  kernels::elements(
      exec(), "tessera::bench::tokens", static_cast<std::ptrdiff_t>(n), KOKKOS_LAMBDA(std::ptrdiff_t i) {
        to[i] = static_cast<std::int32_t>(site.bits(static_cast<std::uint64_t>(i)) % true_vocabulary);
      });
  return tokens;
}

/// Prints kernels beside the copy.
class Report {
 public:
  explicit Report(std::size_t rows) {
    Arena arena("tessera::bench::copy");
    std::size_t const n = rows * hidden * 4;
    auto const from = random_vector(arena, n), to = arena.vector<float>(n);
    copy_rate_ = 2.0 * static_cast<double>(n) * sizeof(float) /
                 seconds([&] { Kokkos::deep_copy(exec(), to, from); });
    fmt::print("{{\"kind\": \"copy\", \"name\": \"copy\", \"bytes_per_s\": {:.4g}}}\n", copy_rate_);
  }

  /// `floats`: numbers that must move.
  template <class Kernel>
  void kernel(std::string const& name, double floats, Kernel const& call) const {
    double const time = seconds(call), rate = floats * sizeof(float) / time;
    fmt::print("{{\"kind\": \"kernel\", \"name\": \"{}\", \"seconds\": {:.4g}, \"bytes_per_s\": {:.4g}, "
               "\"share_of_copy\": {:.3f}}}\n",
               name, time, rate, rate / copy_rate_);
  }

 private:
  double copy_rate_;
};

void print_operations(std::string const& kind, std::string const& name, double flops, double time) {
  fmt::print("{{\"kind\": \"{}\", \"name\": \"{}\", \"seconds\": {:.4g}, \"flop_per_s\": {:.4g}}}\n", kind, name,
             time, flops / time);
}

void residual_stream(Report const& report, std::size_t rows) {
  Arena arena("tessera::bench::stream");
  auto const x = random_matrix(arena, rows, hidden), y = random_matrix(arena, rows, hidden, 2);
  auto const out = arena.matrix<float>(rows, hidden), sum = arena.matrix<float>(rows, hidden);
  auto const gamma = random_vector(arena, hidden), beta = random_vector(arena, hidden);
  auto const dgamma = arena.matrix<float>(1, hidden), dbeta = arena.matrix<float>(1, hidden);
  auto const mean = arena.vector<float>(rows), rstd = arena.vector<float>(rows);
  auto const n = static_cast<double>(x.size());
  report.kernel("add_to", 3 * n, [&] { kernels::add_to<float>(exec(), flat(out), flat(x)); });
  report.kernel("layer_norm_forward", 2 * n, [&] {
    kernels::layer_norm_forward<float>(exec(), x, gamma, beta, 1e-5F, out, mean, rstd);
  });
  report.kernel("layer_norm_backward", 4 * n, [&] {
    kernels::layer_norm_backward<float>(exec(), y, x, gamma, mean, rstd, out, true);
  });
  report.kernel("layer_norm_backward_parameters", 2 * n, [&] {
    kernels::layer_norm_backward_parameters<float>(exec(), y, x, mean, rstd, dgamma, dbeta, true);
  });
  for (float const probability : {0.0F, 0.1F}) {
    kernels::DropoutRows dropout;
    dropout.probability = probability;
    dropout.site = RandomSite(1, 2, 3);
    dropout.total_positions = static_cast<std::int64_t>(rows);
    auto const name = [&](char const* kernel) { return fmt::format("{}/dropout:{}", kernel, probability); };
    report.kernel(name("bias_dropout_add"), 3 * n, [&] {
      kernels::bias_dropout_add<float>(exec(), y, beta, x, dropout, out);
    });
    report.kernel(name("bias_dropout_add_layer_norm"), 4 * n, [&] {
      kernels::bias_dropout_add_layer_norm<float>(exec(), y, beta, x, dropout, gamma, beta, 1e-5F, out, sum,
                                                  mean, rstd);
    });
  }
}

void feed_forward(Report const& report, std::size_t rows) {
  Arena arena("tessera::bench::ffn");
  auto const pre = random_matrix(arena, rows, 4 * hidden), dout = random_matrix(arena, rows, 4 * hidden, 2);
  auto const out = arena.matrix<float>(rows, 4 * hidden);
  auto const bias = random_vector(arena, 4 * hidden), sums = arena.vector<float>(4 * hidden);
  auto const n = static_cast<double>(pre.size());
  report.kernel("add_bias", 2 * n, [&] { kernels::add_bias<float>(exec(), out, bias); });
  report.kernel("bias_gelu_forward", 3 * n, [&] { kernels::bias_gelu_forward<float>(exec(), pre, bias, out); });
  report.kernel("gelu_backward", 3 * n, [&] { kernels::gelu_backward<float>(exec(), dout, pre, out); });
  report.kernel("column_sums", n, [&] { kernels::column_sums<float>(exec(), dout, sums, true); });
}

void loss(Report const& report, std::size_t rows) {
  Arena arena("tessera::bench::loss");
  auto const logits = random_matrix(arena, rows, vocabulary);
  auto const targets = random_tokens(arena, rows);
  auto const maximum = arena.vector<float>(rows), sum = arena.vector<float>(rows),
             target = arena.vector<float>(rows);
  auto const n = static_cast<double>(logits.size());
  report.kernel("cross_entropy_max", n, [&] {
    kernels::cross_entropy_max<float>(exec(), logits, true_vocabulary, maximum, false);
  });
  report.kernel("cross_entropy_sums", n, [&] {
    kernels::cross_entropy_sums<float>(exec(), logits, true_vocabulary, maximum, targets, 0, sum, target);
  });
  report.kernel("cross_entropy_backward", 2 * n, [&] {
    kernels::cross_entropy_backward<float>(exec(), logits, true_vocabulary, maximum, sum, targets, 0, 1e-4F);
  });
}

void embedding(Report const& report, std::size_t rows) {
  Arena arena("tessera::bench::embedding");
  auto const table = random_matrix(arena, vocabulary, hidden);
  auto const x = random_matrix(arena, rows, hidden, 2);
  auto const tokens = random_tokens(arena, rows);
  auto const n = static_cast<double>(x.size());
  report.kernel("embedding_forward", 2 * n,
                [&] { kernels::embedding_forward<float>(exec(), tokens, table, 0, x, false); });
  report.kernel("embedding_backward", 3 * n,
                [&] { kernels::embedding_backward<float>(exec(), tokens, x, 0, table); });
}

void optimiser(Report const& report, std::size_t rows) {
  Arena arena("tessera::bench::optimiser");
  std::size_t const n = rows * 4096;
  auto const p = random_vector(arena, n), g = random_vector(arena, n), m = arena.vector<float>(n),
             v = arena.vector<float>(n);
  auto const chunks = arena.vector<double>(static_cast<std::size_t>(kernels::norm_chunks(n)));
  kernels::AdamwStep const step{1e-4, 0.9, 0.95, 1e-8, 0.1, 1, 10};
  report.kernel("adamw", 7 * static_cast<double>(n), [&] { kernels::adamw<float>(exec(), p, g, m, v, step); });
  report.kernel("squared_norm", static_cast<double>(n),
                [&] { kernels::squared_norm_chunks<float>(exec(), g, chunks); });
}

Vector<bf16> narrowed(Arena& arena, Vector<float> x) {
  auto const result = arena.vector<bf16>(x.extent(0));
  auto* const to = result.data();
  auto const* const from = x.data();
  kernels::elements(
      exec(), "tessera::bench::narrowed", static_cast<std::ptrdiff_t>(x.extent(0)),
      KOKKOS_LAMBDA(std::ptrdiff_t i) { to[i] = bf16(from[i]); });
  return result;
}

/// The same numbers as T.
template <class T>
Matrix<T> random_matrix_of(Arena& arena, std::size_t rows, std::size_t columns, std::uint32_t site = 1) {
  auto const wide = random_vector(arena, rows * columns, site);
  if constexpr (std::is_same_v<T, float>) {
    return Matrix<T>(wide.data(), rows, columns);
  } else {
    return Matrix<T>(narrowed(arena, wide).data(), rows, columns);
  }
}

/// B (sequences) x H heads of 64, S = 1024, causal: operations of the lower triangle alone.
template <class T>
void attention(std::size_t rows, std::string const& type) {
  Arena arena("tessera::bench::attention");
  auto const batch = static_cast<std::ptrdiff_t>(std::max<std::size_t>(1, rows / positions));
  kernels::AttentionShape const shape{batch, std::min<std::ptrdiff_t>(positions, static_cast<std::ptrdiff_t>(rows)),
                                      heads, hidden / heads};
  auto const n = static_cast<std::size_t>(batch * shape.positions);
  auto const qkv = random_matrix_of<T>(arena, n, 3 * hidden), dqkv = arena.matrix<T>(n, 3 * hidden);
  auto const out = arena.matrix<T>(n, hidden), dout = random_matrix_of<T>(arena, n, hidden, 2);
  auto const log_sum_exp = arena.vector<float>(n * heads);
  kernels::DropoutHeads const none;
  auto const s = static_cast<double>(shape.positions);
  double const pairs = static_cast<double>(batch) * heads * s * (s + 1) / 2;
  double const width = hidden / heads;
  print_operations("attention", "attention_forward/" + type, 4 * width * pairs, seconds([&] {
                     kernels::attention_forward<T>(exec(), shape, qkv, none, out, log_sum_exp);
                   }));
  print_operations("attention", "attention_backward/" + type, 10 * width * pairs, seconds([&] {
                     kernels::attention_backward<T>(exec(), shape, qkv, out, log_sum_exp, dout, none, dqkv);
                   }));
}

/// Products of 8192 x 8192 matrices of random numbers by every provider but the plain one.
void products(std::size_t rows) {
  auto const side = static_cast<std::ptrdiff_t>(rows < 16384 ? 256 : 8192);
  auto const count = static_cast<std::size_t>(side * side);
  double const flops = 2.0 * static_cast<double>(side) * static_cast<double>(side) * static_cast<double>(side);
  kernels::MatmulShape const shape{
      kernels::Transpose::no, kernels::Transpose::yes, side, side, side, side, side, side};
  Arena arena("tessera::bench::products");
  auto const a = random_vector(arena, count), b = random_vector(arena, count, 2), c = arena.vector<float>(count);
  auto const narrow_a = narrowed(arena, a), narrow_b = narrowed(arena, b);
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
  residual_stream(report, rows);
  feed_forward(report, rows);
  loss(report, rows);
  embedding(report, rows);
  optimiser(report, rows);
  products(rows);
  attention<float>(rows, "float32");
  attention<bf16>(rows, "bf16");
}

}  // namespace

}  // namespace tessera::bench

int main(int argc, char** argv) {
  Kokkos::ScopeGuard const kokkos(argc, argv);
  tessera::bench::run(argc > 1 ? static_cast<std::size_t>(std::atoi(argv[1])) : 16384);
  return 0;
}
