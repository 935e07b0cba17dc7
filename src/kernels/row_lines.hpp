// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Arrays of one row that a kernel goes through several times. A line gives sums over the row and a map over
// it, of terms of the line's elements and those of further streams. `ReadLine` reads its arrays each time;
// `HeldLine` has read them at once into the registers of a device's warp, so that many loads are under way
// and memory is read one time. Both add in the same order, so the choice shows in no bit.
#pragma once

#include "tessera/kernels/launch.hpp"

namespace tessera::kernels {

template <class Team, class... Streams>
class ReadLine {
 public:
  KOKKOS_INLINE_FUNCTION ReadLine(Team const& team, std::ptrdiff_t n, Streams const&... streams)
      : team_(team), n_(n), held_{streams...} {}

  template <class A, class Term, class... More>
  KOKKOS_INLINE_FUNCTION A sum_of(Term const& term, More const&... more) const {
    A sum;
    held_.apply(
        [&](Streams const&... streams) { sum = team_.template sum_of<A>(n_, term, streams..., more...); });
    return sum;
  }
  template <class F, class... More>
  KOKKOS_INLINE_FUNCTION void map(F const& f, More const&... more) const {
    held_.apply([&](Streams const&... streams) { team_.map(n_, f, streams..., more...); });
  }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION Team const& team() const { return team_; }

 private:
  Team const& team_;
  std::ptrdiff_t n_;
  detail::HeldStreams<Streams...> held_;
};

/// A row of at most 32 P packs of W elements, that all begin on multiples of 16 bytes. Lane l holds packs l,
/// l + 32 and so on.
template <int P, int W, class Team, class... Elements>
class HeldLine {
 public:
  /// Without elements: they come by keep().
  KOKKOS_INLINE_FUNCTION HeldLine(Team const& team, std::ptrdiff_t n)
      : team_(team), packs_(static_cast<int>(n / W)) {}
  KOKKOS_INLINE_FUNCTION HeldLine(Team const& team, std::ptrdiff_t n, Read<Elements> const&... streams)
      : HeldLine(team, n) {
    for_own_packs([&](int k, std::ptrdiff_t i) { held_[k].load(i, streams...); });
  }

  template <class A, class Term, class... More>
  KOKKOS_INLINE_FUNCTION A sum_of(Term const& term, More const&... more) const {
    A value = A(0);
    map([&](auto const&... elements) { value = value + static_cast<A>(term(elements...)); }, more...);
    return team_.folded(value, Plus{});
  }
  template <class F, class... More>
  KOKKOS_INLINE_FUNCTION void map(F const& f, More const&... more) const {
    numbered_map([&](int, int, auto&... elements) { f(elements...); }, more...);
  }
  /// f(k, j, ...) also gets where the element is held: the j-th of the lane's k-th pack.
  template <class F, class... More>
  KOKKOS_INLINE_FUNCTION void numbered_map(F const& f, More const&... more) const {
    for_own_packs([&](int k, std::ptrdiff_t i) {
      auto const body = [&](int j, auto&... others) {
        held_[k].apply(j, [&](auto const&... elements) { f(k, j, elements..., others...); });
      };
      detail::apply_to_packs<W, decltype(body), More...>(i, true, body, more...,
                                                         more.template load<W>(i, true)...);
    });
  }
  /// Element (k, j) of a line of one array.
  template <class T>
  KOKKOS_INLINE_FUNCTION void keep(int k, int j, T element) {
    held_[k].first.element[j] = element;
  }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION Team const& team() const { return team_; }
  /// Index in the row of the first element of the lane's k-th pack.
  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::ptrdiff_t first_of_pack(int k) const {
    return static_cast<std::ptrdiff_t>(team_.lane() + k * warp_lanes) * W;
  }
  /// g(k, index of the first element) for the lane's packs.
  template <class G>
  KOKKOS_INLINE_FUNCTION void for_own_packs(G const& g) const {
#if defined(__CUDA_ARCH__)
#pragma unroll
#endif
    for (int k = 0; k < P; ++k) {
      if (team_.lane() + k * warp_lanes < packs_) g(k, first_of_pack(k));
    }
  }

 private:
  Team const& team_;
  int packs_;
  detail::PackSet<W, Elements...> held_[P];
};

/// The line of a row: held when P is not 0. W is the number of elements in 16 bytes of the narrowest array.
template <int P, class Team, class... Elements>
KOKKOS_INLINE_FUNCTION auto make_line(Team const& team, std::ptrdiff_t n, Read<Elements> const&... streams) {
  if constexpr (P == 0) {
    return ReadLine<Team, Read<Elements>...>(team, n, streams...);
  } else {
    return HeldLine<P, elements_of_pack<Read<Elements>...>, Team, Elements...>(team, n, streams...);
  }
}

/// The P of rows of n elements of T that begin at `aligned` places: few sizes, since each is a kernel.
template <class T>
int held_packs(std::ptrdiff_t n, bool aligned) {
  constexpr int pack = static_cast<int>(16 / sizeof(T));
  if (runs_on_host || pack < 4 || !aligned || n % pack != 0 || n / pack > 8 * warp_lanes) return 0;
  return n / pack <= 4 * warp_lanes ? 4 : 8;
}

/// Calls launch(std::integral_constant<int, P>) for the P of held_packs<T>, which a host has no use for.
template <class T, class Launch>
void with_held_packs(int packs, Launch const& launch) {
  if constexpr (!runs_on_host && sizeof(T) < 8) {
    if (packs == 4) return launch(std::integral_constant<int, 4>());
    if (packs == 8) return launch(std::integral_constant<int, 8>());
  }
  launch(std::integral_constant<int, 0>());
}

}  // namespace tessera::kernels
