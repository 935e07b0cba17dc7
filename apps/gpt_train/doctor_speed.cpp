// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "doctor_speed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "doctor_system.hpp"
#include "fma_peak.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/train/peak.hpp"
#include "text.hpp"

namespace gpt_train {

namespace comm = tessera::comm;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Measured {
  bool right = true;
  double median_s = 0;
};

/// Sums of small integers, which float adds exactly in any order, for `limit_s` seconds. Collective.
Measured measure_sums(comm::Communicator& world, std::size_t count, double limit_s) {
  std::vector<float> values(count);
  std::vector<double> times;
  Measured result;
  auto const ranks = static_cast<std::size_t>(world.size());
  auto const begin = Clock::now();
  bool goes_on = true;
  while (goes_on) {
    for (std::size_t i = 0; i < count; ++i)
      values[i] = static_cast<float>((i + static_cast<std::size_t>(world.rank())) % 7);
    comm::barrier(world);
    auto const start = Clock::now();
    comm::all_reduce_in_place(world, values, comm::Op::sum).wait_host();
    times.push_back(seconds_since(start));
    for (std::size_t i = 0; i < count; ++i) {
      std::size_t expected = 0;
      for (std::size_t rank = 0; rank < ranks; ++rank) expected += (i + rank) % 7;
      result.right = result.right && values[i] == static_cast<float>(expected);
    }
    // All ranks stop together.
    goes_on = comm::all_reduce_value(world, std::int32_t{seconds_since(begin) < limit_s}, comm::Op::min) != 0;
  }
  std::ranges::nth_element(times, times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2));
  result.median_s = comm::all_reduce_value(world, times[times.size() / 2], comm::Op::max);
  result.right = comm::all_reduce_value(world, std::int32_t{result.right}, comm::Op::min) != 0;
  return result;
}

/// What may make messages slow.
std::string slow_advice() {
  std::string const cores = "bind ranks to different cores, one each";
  if (waiting_yields()) return "more ranks than cores, or other programs on them? " + cores;
  return "more ranks than cores? Let waiting ranks yield (Open MPI: OMPI_MCA_mpi_yield_when_idle=1), and " +
         cores;
}

}  // namespace

Findings find_collectives(comm::Communicator& world) {
  if (world.size() == 1) return {{Verdict::ok, "one rank: nothing to communicate"}};
  Findings findings;
  double const ranks = world.size();
  for (std::size_t const count : {std::size_t{2}, std::size_t{16} << 10, std::size_t{1} << 20}) {
    auto const measured = measure_sums(world, count, 0.3);
    double const bytes = static_cast<double>(count) * sizeof(float);
    double const bus = bytes / measured.median_s * 2 * (ranks - 1) / ranks * 1e-9;
    auto const speed = fmt::format("all_reduce of {} over {} ranks: {:.1f} us, {:.3f} GB/s bus bandwidth",
                                   bytes_text(bytes), world.size(), measured.median_s * 1e6, bus);
    if (!measured.right) {
      findings.push_back(
          {Verdict::fail, speed + ", but the sum is WRONG",
           "do not trust this communication library: try another version or other transports"});
    } else if (measured.median_s > 2e-3 && bytes <= 8) {
      findings.push_back({Verdict::warn, speed + "; right, but slow for so few bytes", slow_advice()});
    } else {
      findings.push_back({Verdict::ok, speed + "; right"});
    }
  }
  return findings;
}

Findings find_products(comm::Communicator& world, tessera::kernels::MatmulProvider const& provider,
                       bool crowded) {
  comm::barrier(world);
  double const peak = comm::all_reduce_value(world, measure_fma_flops(), comm::Op::sum);
  double const product = tessera::train::measure_peak_flops<float>(provider, world);
  double const share = product / peak;
  auto const text = fmt::format(
      "matrix products (float32, 1024 x 1024): {}, {:.1f} GFLOP/s on all ranks, {:.0f}% of {:.1f} GFLOP/s "
      "that loops of {} fused multiply-adds reach",
      provider.name(), product * 1e-9, 100 * share, peak * 1e-9, fma_instructions());
  if (provider.name().starts_with("plain")) {
    return {{Verdict::warn, text,
             "no library of matrix products is built in: install oneDNN or a CBLAS and configure again"}};
  }
  if (crowded) {
    return {{Verdict::warn,
             text + "; more ranks than cores: the sums of what each reaches in its turns, not what the cores "
                    "do at once",
             "start one rank a core for a share that means something"}};
  }
  if (share < 0.4) {
    return {{Verdict::warn, text,
             "low: are there other programs on these cores, more ranks than cores, or a library built for "
             "another processor?"}};
  }
  return {{Verdict::ok, text}};
}

}  // namespace gpt_train
