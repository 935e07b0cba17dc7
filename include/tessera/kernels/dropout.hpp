// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Dropout masks are functions of an element's global index (rule 13 of docs/numerics.md), never stored:
// backward draws them again. An element is kept with probability 1 - p and then scaled by 1 / (1 - p); the
// random number of element e is number e mod 4 of Philox block e / 4 of the site.
#pragma once

#include <cstdint>

#include "tessera/base/philox.hpp"
#include "tessera/kernels/launch.hpp"

namespace tessera::kernels {

/// Dropout of token rows (n, D), row r = s * batch + b. The global index of (r, c) is
/// ((first_sequence + b) * total_positions + first_position + s) * D + c.
struct DropoutRows {
  float probability = 0;             ///< p in [0, 1); 0 makes the identity at no cost
  RandomSite site;                   ///< where, in which step, of which seed
  std::int64_t first_sequence = 0;   ///< sequence of the global batch that b = 0 is
  std::int64_t first_position = 0;   ///< position that s = 0 is
  std::int64_t batch = 1;            ///< B
  std::int64_t total_positions = 1;  ///< S of the whole sequence, whatever part the rows are
};

/// Dropout of attention probabilities. The global index of (sequence b, head h, query i, key j) is
/// (((first_sequence + b) * total_heads + first_head + h) * S + i) * S + j.
struct DropoutHeads {
  float probability = 0;
  RandomSite site;
  std::int64_t first_sequence = 0;
  std::int64_t first_head = 0;
  std::int64_t total_heads = 1;  ///< H
};

/// The factors by which a site multiplies elements: 0 or 1 / (1 - p). Draws nothing when p is 0.
class DropoutFactors {
 public:
  DropoutFactors() = default;
  DropoutFactors(float probability, RandomSite const& site)
      : site_(site),
        active_(probability > 0),
        threshold_(static_cast<std::uint32_t>(static_cast<double>(probability) * 0x1p32)),
        scale_(1.0 / (1.0 - static_cast<double>(probability))) {}

  [[nodiscard]] KOKKOS_INLINE_FUNCTION bool active() const { return active_; }

  template <class T>
  KOKKOS_INLINE_FUNCTION T of(std::uint32_t bits) const {
    T const scale = static_cast<T>(scale_);
    return bits >= threshold_ ? scale : T(0);
  }
  /// The two parts of it: whether an element stays, and what those that stay are multiplied by.
  [[nodiscard]] KOKKOS_INLINE_FUNCTION bool keeps(std::uint32_t bits) const { return bits >= threshold_; }
  template <class T>
  [[nodiscard]] KOKKOS_INLINE_FUNCTION T scale() const {
    return static_cast<T>(scale_);
  }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION RandomSite const& site() const { return site_; }

 private:
  RandomSite site_;
  bool active_ = false;
  std::uint32_t threshold_ = 0;
  double scale_ = 1;
};

/// Global index of column 0 of token row `row` of D columns.
KOKKOS_INLINE_FUNCTION std::uint64_t first_element(DropoutRows const& rows, std::ptrdiff_t row,
                                                   std::ptrdiff_t d) {
  std::int64_t const sequence = rows.first_sequence + row % rows.batch;
  std::int64_t const position = rows.first_position + row / rows.batch;
  return static_cast<std::uint64_t>((sequence * rows.total_positions + position) * d);
}

/// Elements whose numbers a host thread draws together: 16 Philox blocks, counted from a multiple of 64.
inline constexpr int dropout_chunk = 64;

/// numbers[i] = the random number of element 64 * chunk + i. The blocks go through the cipher side by side,
/// so that its rounds are vector code; equal to RandomSite::bits, number for number.
void draw_chunk(RandomSite const& site, std::uint64_t chunk, std::uint32_t (&numbers)[dropout_chunk]);

/// factors[i] = the dropout factor of element 64 * chunk + i.
template <class T>
void draw_chunk_factors(DropoutFactors const& dropout, std::uint64_t chunk, T (&factors)[dropout_chunk]);

namespace detail {

/// with_factors on a host: whole chunks are drawn and their elements outside [first, first + n) ignored.
template <class T, class G>
void draw_factors(DropoutFactors const& dropout, std::uint64_t first, std::ptrdiff_t n, G const& g) {
  std::uint64_t const end = first + static_cast<std::uint64_t>(n);
  T factors[dropout_chunk];
  for (std::uint64_t begin = first; begin < end;) {
    std::uint64_t const chunk = begin / dropout_chunk;
    draw_chunk_factors<T>(dropout, chunk, factors);
    T const* const own = factors + begin % dropout_chunk;
    auto const offset = static_cast<std::ptrdiff_t>(begin - first);
    auto const whole = static_cast<std::ptrdiff_t>((chunk + 1) * dropout_chunk - begin);
    auto const left = static_cast<std::ptrdiff_t>(end - begin);
    if (whole == dropout_chunk && left >= whole) {
      independent(dropout_chunk, [&](std::ptrdiff_t i) { g(offset + i, own[i]); });
    } else {
      independent(left < whole ? left : whole, [&](std::ptrdiff_t i) { g(offset + i, own[i]); });
    }
    begin = (chunk + 1) * dropout_chunk;
  }
}

}  // namespace detail

/// g(i, factor of global element first + i) for i in [0, n) over the team; all factors are 1 when inactive.
template <class T, class Team, class G>
KOKKOS_INLINE_FUNCTION void with_factors(Team const& team, DropoutFactors const& factors, std::uint64_t first,
                                         std::ptrdiff_t n, G const& g) {
  if (!factors.active()) {
    team.for_each(n, [&](std::ptrdiff_t i) { g(i, T(1)); });
  } else if constexpr (runs_on_host) {
    detail::draw_factors<T>(factors, first, n, g);
  } else {
    team.for_each(n, [&](std::ptrdiff_t i) {
      g(i, factors.of<T>(factors.site().bits(first + static_cast<std::uint64_t>(i))));
    });
  }
}

namespace detail {

/// map_with_factors on a device, `first` a multiple of 4: a Philox block gives the numbers of four
/// neighbours.
template <class T, class Team, class F, class... Streams>
KOKKOS_INLINE_FUNCTION void map_with_drawn_packs(Team const& team, DropoutFactors const& factors,
                                                 std::uint64_t first, std::ptrdiff_t n, F const& f,
                                                 Streams const&... streams) {
  constexpr int pack = elements_of_pack<Streams...>;
  constexpr int drawn = pack < 4 ? 4 : pack;
  bool const aligned = (streams.aligned() && ...);
  std::ptrdiff_t const packs = pack < 4 ? 0 : n / pack;
  for (std::ptrdiff_t p = team.lane(); p < packs; p += warp_lanes) {
    std::uint32_t numbers[drawn];
    for (int b = 0; b < drawn / 4; ++b) {
      Philox4 const block = factors.site().block((first + static_cast<std::uint64_t>(p * pack)) / 4 + b);
      for (int j = 0; j < 4; ++j) numbers[4 * b + j] = block.value[j];
    }
    map_numbered_pack(
        p * pack, aligned, [&](int j, auto&... values) { f(factors.of<T>(numbers[j]), values...); },
        streams...);
  }
  for (std::ptrdiff_t i = packs * pack + team.lane(); i < n; i += warp_lanes) {
    f(factors.of<T>(factors.site().bits(first + static_cast<std::uint64_t>(i))), streams.at(i)...);
  }
}

}  // namespace detail

/// f(factor of global element first + i, element i of each stream) for i in [0, n) over the team.
template <class T, class Team, class F, class... Streams>
KOKKOS_INLINE_FUNCTION void map_with_factors(Team const& team, DropoutFactors const& factors,
                                             std::uint64_t first, std::ptrdiff_t n, F const& f,
                                             Streams const&... streams) {
  if constexpr (runs_on_host) {
    with_factors<T>(team, factors, first, n,
                    [&](std::ptrdiff_t i, T factor) { f(factor, streams.at(i)...); });
  } else if (!factors.active()) {
    team.map(
        n, [&](auto&... values) { f(T(1), values...); }, streams...);
  } else if (first % 4 != 0) {
    with_factors<T>(team, factors, first, n,
                    [&](std::ptrdiff_t i, T factor) { f(factor, streams.at(i)...); });
  } else {
    detail::map_with_drawn_packs<T>(team, factors, first, n, f, streams...);
  }
}

}  // namespace tessera::kernels
