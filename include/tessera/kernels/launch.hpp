// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The two ways a kernel starts. `rows` gives each row of a tensor to one team; `elements` runs over a
// tensor's elements in fixed blocks. The body is written once: on a host a team is one thread and its loops
// are plain loops that the compiler vectorises, on a device it is a block of threads.
//
// What a body computes for a row or an element may depend on the row, never on how many there are or where a
// launch begins; so work can be cut between launches and ranks at will without changing a bit.
//
// Labels are `static std::string const`: a launch allocates nothing.
#pragma once

#include <cstddef>
#include <string>

#include "tessera/kernels/streams.hpp"
#include "tessera/kernels/sum.hpp"
#include "tessera/kernels/warp_row_team.hpp"

namespace tessera::kernels {

namespace detail {

/// g(0) ... g(n-1), which the caller promises touch different elements: no order among them.
template <class G>
inline void independent(std::ptrdiff_t n, G const& g) {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep
#endif
  for (std::ptrdiff_t i = 0; i < n; ++i) g(i);
}

}  // namespace detail

/// The calling thread as the team of one row.
class HostRowTeam {
 public:
  /// g(i) for i in [0, n); no order among them, so g writes nothing that another g reads.
  template <class G>
  void for_each(std::ptrdiff_t n, G const& g) const {
    detail::independent(n, g);
  }

  /// f(element i of each stream) for i in [0, n), as for_each; a device moves 16 bytes at a time.
  template <class F, class... Streams>
  void map(std::ptrdiff_t n, F const& f, Streams const&... streams) const {
    detail::independent(n, [&](std::ptrdiff_t i) { f(streams.at(i)...); });
  }

  /// g() once in the team.
  template <class G>
  void once(G const& g) const {
    g();
  }

  /// Makes what the team has written visible to all of it.
  void barrier() const {}

  /// lane_sum and lane_max over the team; every thread gets the result.
  template <class A, class Term>
  A sum(std::ptrdiff_t n, Term const& term) const {
    return lane_sum<A>(n, term);
  }
  template <class A, class Term>
  A max(std::ptrdiff_t n, A least, Term const& term) const {
    return lane_max<A>(n, least, term);
  }

  /// sum and max of term(element i of each stream); a device reads 16 bytes at a time, in an order of its
  /// own.
  template <class A, class Term, class... Streams>
  A sum_of(std::ptrdiff_t n, Term const& term, Streams const&... streams) const {
    return lane_sum<A>(n, [&](std::ptrdiff_t i) { return term(streams.at(i)...); });
  }
  template <class A, class Term, class... Streams>
  A max_of(std::ptrdiff_t n, A least, Term const& term, Streams const&... streams) const {
    return lane_max<A>(n, least, [&](std::ptrdiff_t i) { return term(streams.at(i)...); });
  }
};

using RowTeam = std::conditional_t<runs_on_host, HostRowTeam, DeviceRowTeam>;

namespace detail {

/// Elements one host thread takes at a time.
inline constexpr std::ptrdiff_t element_block = 4096;

template <class F>
struct RowOnHost {
  F f;
  void operator()(std::ptrdiff_t row) const { f(HostRowTeam{}, row); }
};

template <class F>
struct RowOnDevice {
  F f;
  KOKKOS_INLINE_FUNCTION void operator()(std::ptrdiff_t thread) const {
    f(DeviceRowTeam(Warp(static_cast<int>(thread % warp_lanes))), thread / warp_lanes);
  }
};

template <class F>
struct BlockOnHost {
  F f;
  std::ptrdiff_t count;
  void operator()(std::ptrdiff_t block) const {
    std::ptrdiff_t const begin = block * element_block;
    std::ptrdiff_t const left = count - begin;
    F const& g = f;
    independent(left < element_block ? left : element_block, [&](std::ptrdiff_t i) { g(begin + i); });
  }
};

/// map_elements on a device: one pack of elements a thread; the threads after the last whole pack take one
/// element each.
template <class F, class... Streams>
struct MapPacks {
  F f;
  HeldStreams<Streams...> held;
  std::ptrdiff_t packs;
  bool aligned;
  KOKKOS_INLINE_FUNCTION void operator()(std::ptrdiff_t p) const {
    constexpr int pack = elements_of_pack<Streams...>;
    held.apply([&](Streams const&... streams) {
      if (p < packs) {
        map_pack(p * pack, aligned, f, streams...);
      } else {
        f(streams.at(packs * pack + p - packs)...);
      }
    });
  }
};

}  // namespace detail

/// Runs f(RowTeam const& team, std::ptrdiff_t row) for rows [0, count), in no order. f is a KOKKOS_LAMBDA.
template <class F>
void rows(ExecutionSpace const& exec, std::string const& label, std::ptrdiff_t count, F const& f) {
  if (count <= 0) return;
  using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::ptrdiff_t>>;
  if constexpr (runs_on_host) {
    Kokkos::parallel_for(label, Policy(exec, 0, count), detail::RowOnHost<F>{f});
  } else {
    Kokkos::parallel_for(label, Policy(exec, 0, count * warp_lanes), detail::RowOnDevice<F>{f});
  }
}

/// Runs f(std::ptrdiff_t i) for i in [0, count), in no order; each i touches its own elements. f is a
/// KOKKOS_LAMBDA.
template <class F>
void elements(ExecutionSpace const& exec, std::string const& label, std::ptrdiff_t count, F const& f) {
  if (count <= 0) return;
  using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::ptrdiff_t>>;
  if constexpr (runs_on_host) {
    std::ptrdiff_t const blocks = (count + detail::element_block - 1) / detail::element_block;
    Kokkos::parallel_for(label, Policy(exec, 0, blocks), detail::BlockOnHost<F>{f, count});
  } else {
    Kokkos::parallel_for(label, Policy(exec, 0, count), f);
  }
}

/// Runs f(element of each stream) for elements [0, count) of flat tensors, in no order. f is a KOKKOS_LAMBDA
/// of references and values as the streams give them (streams.hpp).
template <class F, class... Streams>
void map_elements(ExecutionSpace const& exec, std::string const& label, std::ptrdiff_t count, F const& f,
                  Streams const&... streams) {
  if (count <= 0) return;
  if constexpr (runs_on_host) {
    elements(exec, label, count, [=](std::ptrdiff_t i) { f(streams.at(i)...); });
  } else {
    using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::ptrdiff_t>>;
    constexpr int pack = elements_of_pack<Streams...>;
    std::ptrdiff_t const packs = count / pack;
    detail::MapPacks<F, Streams...> const body{f, {streams...}, packs, (streams.aligned() && ...)};
    Kokkos::parallel_for(label, Policy(exec, 0, packs + count % pack), body);
  }
}

}  // namespace tessera::kernels
