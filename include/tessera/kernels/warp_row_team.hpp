// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The team of a row on a device: 32 neighbouring threads, each one lane of a sum. What they say to each other
// goes through a `Warp`: on a device its registers, in tests threads that are played on the host.
#pragma once

#include <cstddef>

#include "tessera/kernels/streams.hpp"
#include "tessera/kernels/sum.hpp"

namespace tessera::kernels {

/// The calling thread of a device among the 32 of its warp.
class Warp {
 public:
  KOKKOS_INLINE_FUNCTION explicit Warp(int lane) : lane_(lane) {}
  /// This thread's number among the 32.
  [[nodiscard]] KOKKOS_INLINE_FUNCTION int lane() const { return lane_; }
  /// The value of the lane whose number differs in the bits of `mask`. All lanes call it.
  template <class A>
  KOKKOS_INLINE_FUNCTION A exchanged(A const& value, int mask) const {
    return exchanged_in_warp(value, lane_ ^ mask);
  }
  /// Bit l is set where lane l calls with `condition` true. All lanes call it.
  [[nodiscard]] KOKKOS_INLINE_FUNCTION unsigned where(bool condition) const { return lanes_where(condition); }
  KOKKOS_INLINE_FUNCTION void synchronise() const { synchronise_warp(); }

 private:
  int lane_;
};

/// HostRowTeam's operations by a warp, with the bits that it gives for the same number of lanes.
template <class W>
class WarpRowTeam {
 public:
  KOKKOS_INLINE_FUNCTION explicit WarpRowTeam(W const& warp) : warp_(warp) {}

  template <class G>
  KOKKOS_INLINE_FUNCTION void for_each(std::ptrdiff_t n, G const& g) const {
    for (std::ptrdiff_t i = lane(); i < n; i += warp_lanes) g(i);
  }
  template <class F, class... Streams>
  KOKKOS_INLINE_FUNCTION void map(std::ptrdiff_t n, F const& f, Streams const&... streams) const {
    constexpr int pack = elements_of_pack<Streams...>;
    bool const aligned = (streams.aligned() && ...);
    std::ptrdiff_t const packs = n / pack;
    for (std::ptrdiff_t p = lane(); p < packs; p += warp_lanes) map_pack(p * pack, aligned, f, streams...);
    for (std::ptrdiff_t i = packs * pack + lane(); i < n; i += warp_lanes) f(streams.at(i)...);
  }
  template <class G>
  KOKKOS_INLINE_FUNCTION void once(G const& g) const {
    if (lane() == 0) g();
  }
  KOKKOS_INLINE_FUNCTION void barrier() const { warp_.synchronise(); }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION int lane() const { return warp_.lane(); }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION W const& warp() const { return warp_; }

  template <class A, class Term>
  KOKKOS_INLINE_FUNCTION A sum(std::ptrdiff_t n, Term const& term) const {
    return fold<A>(n, A(0), Plus{}, term);
  }
  template <class A, class Term>
  KOKKOS_INLINE_FUNCTION A max(std::ptrdiff_t n, A least, Term const& term) const {
    return fold<A>(n, least, Larger{}, term);
  }
  template <class A, class Term, class... Streams>
  KOKKOS_INLINE_FUNCTION A sum_of(std::ptrdiff_t n, Term const& term, Streams const&... streams) const {
    return fold_packs<A>(n, A(0), Plus{}, term, streams...);
  }
  template <class A, class Term, class... Streams>
  KOKKOS_INLINE_FUNCTION A max_of(std::ptrdiff_t n, A least, Term const& term,
                                  Streams const&... streams) const {
    return fold_packs<A>(n, least, Larger{}, term, streams...);
  }

  /// The lanes' values by halving; every lane gets the result.
  template <class A, class Fold>
  KOKKOS_INLINE_FUNCTION A folded(A value, Fold combine) const {
    for (int distance = warp_lanes / 2; distance > 0; distance /= 2)
      value = combine(value, warp_.exchanged(value, distance));
    return value;
  }

 private:
  /// Pack p goes to lane p mod 32, what is left after the last whole pack to the first lanes; then the lanes'
  /// tree.
  template <class A, class Fold, class Term, class... Streams>
  KOKKOS_INLINE_FUNCTION A fold_packs(std::ptrdiff_t n, A identity, Fold combine, Term const& term,
                                      Streams const&... streams) const {
    A value = identity;
    map(
        n, [&](auto const&... elements) { value = combine(value, static_cast<A>(term(elements...))); },
        streams...);
    return folded(value, combine);
  }

  template <class A, class Fold, class Term>
  KOKKOS_INLINE_FUNCTION A fold(std::ptrdiff_t n, A identity, Fold combine, Term const& term) const {
    A total = identity;
    for (std::ptrdiff_t begin = 0; begin < n; begin += sum_block) {
      std::ptrdiff_t const end = begin + sum_block < n ? begin + sum_block : n;
      A value = identity;
      for (std::ptrdiff_t i = begin + lane(); i < end; i += warp_lanes)
        value = combine(value, static_cast<A>(term(i)));
      total = combine(total, folded(value, combine));
    }
    return total;
  }

  W warp_;
};

using DeviceRowTeam = WarpRowTeam<Warp>;

}  // namespace tessera::kernels
