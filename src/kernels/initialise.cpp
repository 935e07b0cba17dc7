// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/initialise.hpp"

#include "tessera/base/error.hpp"
#include "tessera/kernels/dropout.hpp"
#include "tessera/kernels/math.hpp"

namespace tessera::kernels {

namespace {

std::string const label_normal = "tessera::kernels::initialise_normal";

/// Elements of a run that one team draws.
constexpr std::int64_t normal_block = 4096;

/// Two independent normal numbers.
struct NormalPair {
  double first, second;
};

KOKKOS_INLINE_FUNCTION NormalPair normal_pair(std::uint32_t a, std::uint32_t b) {
  double const radius = std::sqrt(-2.0 * math::log(unit_interval(a)));
  auto const [cosine, sine] = math::cosine_sine_of_turns(unit_interval(b));
  return {radius * cosine, radius * sine};
}

/// On devices only: a host draws whole chunks.
[[maybe_unused]] KOKKOS_INLINE_FUNCTION double normal_number(RandomSite const& site, std::uint64_t element) {
  Philox4 const drawn = site.block(element / 4);
  int const pair = static_cast<int>(element % 4) / 2 * 2;
  auto const [first, second] = normal_pair(drawn.value[pair], drawn.value[pair + 1]);
  return element % 2 == 0 ? first : second;
}

/// out[i] = mean + stddev * (normal number of element first + i), whole chunks at a time.
template <class T>
void draw_normals(RandomSite const& site, std::uint64_t first, std::ptrdiff_t n, double mean, double stddev,
                  T* out) {
  std::uint64_t const end = first + static_cast<std::uint64_t>(n);
  for (std::uint64_t begin = first; begin < end;) {
    std::uint64_t const origin = begin / dropout_chunk * dropout_chunk;
    std::uint64_t const stop = origin + dropout_chunk < end ? origin + dropout_chunk : end;
    std::uint32_t numbers[dropout_chunk];
    draw_chunk(site, origin / dropout_chunk, numbers);
    double normals[dropout_chunk];
    detail::independent(dropout_chunk / 2, [&](std::ptrdiff_t pair) {
      auto const [a, b] = normal_pair(numbers[2 * pair], numbers[2 * pair + 1]);
      normals[2 * pair] = a;
      normals[2 * pair + 1] = b;
    });
    for (std::uint64_t e = begin; e < stop; ++e)
      out[e - first] = static_cast<T>(mean + stddev * normals[e - origin]);
    begin = stop;
  }
}

/// draw_normals by a team.
template <class T>
KOKKOS_INLINE_FUNCTION void draw_by_team(RowTeam const& team, RandomSite const& site, std::uint64_t first,
                                         std::ptrdiff_t n, double mean, double stddev, T* out) {
  if constexpr (runs_on_host) {
    draw_normals(site, first, n, mean, stddev, out);
  } else {
    team.for_each(n, [&](std::ptrdiff_t i) {
      out[i] = static_cast<T>(mean + stddev * normal_number(site, first + static_cast<std::uint64_t>(i)));
    });
  }
}

}  // namespace

template <class T>
void initialise_normal(ExecutionSpace const& exec, Vector<T> x, ElementRuns const& runs,
                       RandomSite const& site, double mean, double stddev) {
  require(runs.outer * runs.run == static_cast<std::int64_t>(x.extent(0)),
          "initialise_normal: runs cover the tile");
  std::int64_t const blocks = (runs.run + normal_block - 1) / normal_block;
  T* const to = x.data();
  rows(
      exec, label_normal, runs.outer * blocks, KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t index) {
        std::int64_t const outer = index / blocks;
        std::int64_t const begin = index % blocks * normal_block;
        std::int64_t const end = begin + normal_block < runs.run ? begin + normal_block : runs.run;
        std::int64_t const valid =
            runs.valid_run < begin ? begin : (runs.valid_run < end ? runs.valid_run : end);
        auto const first = static_cast<std::uint64_t>(runs.first + outer * runs.stride + begin);
        T* const block = to + outer * runs.run + begin;
        draw_by_team(team, site, first, valid - begin, mean, stddev, block);
        team.for_each(end - valid, [&](std::ptrdiff_t i) { block[valid - begin + i] = T(0); });
      });
}

template void initialise_normal<float>(ExecutionSpace const&, Vector<float>, ElementRuns const&,
                                       RandomSite const&, double, double);
template void initialise_normal<double>(ExecutionSpace const&, Vector<double>, ElementRuns const&,
                                        RandomSite const&, double, double);

}  // namespace tessera::kernels
