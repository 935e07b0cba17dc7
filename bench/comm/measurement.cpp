// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "measurement.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <vector>

#include "tessera/comm/collectives.hpp"

namespace tessera::bench {

namespace {

using Clock = std::chrono::steady_clock;
using comm::Op;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void summarise(Measurement& result, std::vector<double>& last_s, double own_mean_s,
               comm::Communicator& comm) {
  result.mean_s = std::accumulate(last_s.begin(), last_s.end(), 0.0) / static_cast<double>(last_s.size());
  std::ranges::sort(last_s);
  result.min_s = last_s.front();
  result.median_s = last_s[last_s.size() / 2];
  result.max_s = last_s.back();
  result.rank_mean_s = comm::all_reduce_value(comm, own_mean_s, Op::sum) / comm.size();
  result.rank_min_s = comm::all_reduce_value(comm, own_mean_s, Op::min);
  result.rank_max_s = comm::all_reduce_value(comm, own_mean_s, Op::max);
}

}  // namespace

std::size_t Measurement::count() const {
  return bytes / sizeof(float) / (collective->in_parts ? static_cast<std::size_t>(ranks) : 1);
}

Measurement measure(comm::Communicator& comm, Collective const& collective, std::size_t bytes, bool in_place,
                    Repetition const& repetition) {
  auto const ranks = static_cast<std::size_t>(comm.size());
  auto const rank = static_cast<std::size_t>(comm.rank());
  auto const parts = collective.in_parts ? ranks : 1;
  std::size_t const count = std::max<std::size_t>(bytes / sizeof(float) / parts, 1);
  Buffers data{std::vector<float>(collective.in_parts ? count : 0), std::vector<float>(count * parts),
               std::vector<float>(count * parts)};
  Measurement result{.collective = &collective,
                     .kind = std::string(comm.backend()),
                     .ranks = comm.size(),
                     .asked_bytes = bytes,
                     .bytes = count * parts * sizeof(float),
                     .in_place = in_place,
                     .iterations = repetition.iterations};
  fill(data, rank);
  collective.run(comm, data, in_place);
  result.wrong =
      comm::all_reduce_value(comm, wrong_elements(collective, data, in_place, rank, ranks), Op::sum);
  std::vector<double> last_s;
  double own_s = 0;
  for (int i = -repetition.warmup; i < repetition.iterations; ++i) {
    fill(data, rank);
    comm::barrier(comm);
    auto const start = Clock::now();
    collective.run(comm, data, in_place);
    double const own = seconds_since(start);
    double const last = comm::all_reduce_value(comm, own, Op::max);
    if (i < 0) continue;
    own_s += own;
    last_s.push_back(last);
  }
  summarise(result, last_s, own_s / repetition.iterations, comm);
  return result;
}

double copy_rate(comm::Communicator& comm, std::size_t bytes) {
  std::vector<float> const from(bytes / sizeof(float), 1.0f);
  std::vector<float> to(from.size());
  double best_s = 1e30;
  for (int round = 0; round < 5; ++round) {
    comm::barrier(comm);
    auto const start = Clock::now();
    std::copy(from.begin(), from.end(), to.begin());
    benchmark::DoNotOptimize(to.data());
    best_s = std::min(best_s, comm::all_reduce_value(comm, seconds_since(start), Op::max));
  }
  return static_cast<double>(bytes) / best_s;
}

}  // namespace tessera::bench
