// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A ratio to a limit of the machine means something only if both were measured at the same time: the two are
// run in turns, and the best time of each counts.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <limits>
#include <vector>

#include "tessera/base/views.hpp"
#include "tessera/kernels/launch.hpp"

namespace tessera::bench {

inline double now() {
  if constexpr (kernels::runs_on_host) {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  } else {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
}

template <class F>
double seconds(F const& f) {
  double const begin = now();
  f();
  fence(ExecutionSpace());
  return now() - begin;
}

/// Best times of two pieces of work, in seconds.
struct Pair {
  double own = std::numeric_limits<double>::infinity();
  double limit = std::numeric_limits<double>::infinity();
};

/// Runs `own` and `limit` in turns for every iteration of `state`; own's best time is what is reported.
template <class Own, class Limit>
Pair measure(benchmark::State& state, Own const& own, Limit const& limit) {
  Pair best;
  own();
  limit();
  for ([[maybe_unused]] auto _ : state) {
    double const time = seconds(own);
    state.SetIterationTime(time);
    best.own = std::min(best.own, time);
    best.limit = std::min(best.limit, seconds(limit));
  }
  return best;
}

/// Not all zero and not subnormal: real values cost what real values cost.
inline std::vector<float> values(std::size_t count) {
  std::vector<float> result(count);
  for (std::size_t i = 0; i < count; ++i)
    result[i] = 0.001F * static_cast<float>(static_cast<int>(i * 7919 % 2001) - 1000);
  return result;
}

inline Vector<float> vec(std::vector<float>& v) { return Vector<float>(v.data(), v.size()); }
inline Matrix<float> mat(std::vector<float>& v, std::size_t columns) {
  return Matrix<float>(v.data(), v.size() / columns, columns);
}

}  // namespace tessera::bench
