// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Tensors of random numbers, times and lines for bench_device.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "tessera/base/arena.hpp"
#include "tessera/base/bf16.hpp"
#include "tessera/base/dtype.hpp"
#include "tessera/kernels/initialise.hpp"
#include "tessera/kernels/launch.hpp"
#include "tessera/kernels/tree.hpp"

namespace tessera::bench {

inline constexpr std::size_t hidden = 768;
inline constexpr std::size_t heads = 12;
inline constexpr std::size_t positions = 1024;
inline constexpr std::size_t vocabulary = 50304;
inline constexpr std::int64_t true_vocabulary = 50257;

inline ExecutionSpace exec() { return {}; }

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
inline void fill_randomly(Vector<float> x, std::uint32_t site) {
  auto const n = static_cast<std::int64_t>(x.extent(0));
  kernels::initialise_normal<float>(exec(), x, {0, 1, n, n, n}, RandomSite(1, 2, site), 0.0, 1.0);
}

inline Vector<float> random_vector(Arena& arena, std::size_t n, std::uint32_t site = 1) {
  auto const x = arena.vector<float>(n);
  fill_randomly(x, site);
  return x;
}
inline Vector<std::int32_t> random_tokens(Arena& arena, std::size_t n) {
  auto const tokens = arena.vector<std::int32_t>(n);
  RandomSite const site(1, 2, 3);
  auto* const to = tokens.data();
  kernels::elements(
      exec(), "tessera::bench::tokens", static_cast<std::ptrdiff_t>(n), KOKKOS_LAMBDA(std::ptrdiff_t i) {
        to[i] = static_cast<std::int32_t>(site.bits(static_cast<std::uint64_t>(i)) % true_vocabulary);
      });
  return tokens;
}

/// Tokens as uneven as those of text: the most frequent is one in fifteen.
inline Vector<std::int32_t> frequent_tokens(Arena& arena, std::size_t n) {
  auto const tokens = arena.vector<std::int32_t>(n);
  RandomSite const site(1, 2, 4);
  auto* const to = tokens.data();
  kernels::elements(
      exec(), "tessera::bench::tokens", static_cast<std::ptrdiff_t>(n), KOKKOS_LAMBDA(std::ptrdiff_t i) {
        double const u = unit_interval(site.bits(static_cast<std::uint64_t>(i)));
        to[i] = static_cast<std::int32_t>(u * u * u * u * true_vocabulary);
      });
  return tokens;
}

/// Numbers of compute type T that are made from random float32 ones.
template <class T>
Vector<T> random_vector_of(Arena& arena, std::size_t n, std::uint32_t site = 1) {
  if constexpr (std::is_same_v<T, float>) {
    return random_vector(arena, n, site);
  } else {
    auto const x = arena.vector<T>(n);
    kernels::round<T>(exec(), random_vector(arena, n, site), x);
    return x;
  }
}
template <class T>
Matrix<T> random_matrix_of(Arena& arena, std::size_t rows, std::size_t columns, std::uint32_t site = 1) {
  return Matrix<T>(random_vector_of<T>(arena, rows * columns, site).data(), rows, columns);
}

/// Prints kernels beside the copy.
class Report {
 public:
  explicit Report(std::size_t rows) {
    Arena arena("tessera::bench::copy");
    std::size_t const n = rows * hidden * 4;
    auto const from = random_vector(arena, n), to = arena.vector<float>(n);
    copy_rate_ =
        2.0 * static_cast<double>(n) * sizeof(float) / seconds([&] { Kokkos::deep_copy(exec(), to, from); });
    fmt::print("{{\"kind\": \"copy\", \"name\": \"copy\", \"bytes_per_s\": {:.4g}}}\n", copy_rate_);
  }

  /// A kernel that must move `bytes`.
  template <class Kernel>
  void kernel(std::string const& name, double bytes, Kernel const& call) const {
    double const time = seconds(call), rate = bytes / time;
    fmt::print(
        "{{\"kind\": \"kernel\", \"name\": \"{}\", \"seconds\": {:.4g}, \"bytes_per_s\": {:.4g}, "
        "\"share_of_copy\": {:.3f}}}\n",
        name, time, rate, rate / copy_rate_);
  }

 private:
  double copy_rate_;
};

inline void print_operations(std::string const& kind, std::string const& name, double flops, double time) {
  fmt::print("{{\"kind\": \"{}\", \"name\": \"{}\", \"seconds\": {:.4g}, \"flop_per_s\": {:.4g}}}\n", kind,
             name, time, flops / time);
}

/// "layer_norm_forward/bf16".
template <class T>
std::string named(char const* kernel) {
  return fmt::format("{}/{}", kernel, to_string(dtype_of<T>));
}

/// Bytes of `count` elements of T.
template <class T>
double bytes_of(double count) {
  return count * sizeof(T);
}

}  // namespace tessera::bench
