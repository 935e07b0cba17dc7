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

#include "tessera/kernels/sum.hpp"

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
};

/// A team of threads: each holds the lanes l with l mod team size = its rank (on a device exactly one), the
/// tree of lanes goes through scratch memory. Gives the bits of HostRowTeam for the same number of lanes.
class DeviceRowTeam {
 public:
  using Member = Kokkos::TeamPolicy<ExecutionSpace>::member_type;
  static constexpr std::size_t scratch_bytes = sum_lanes * sizeof(double);

  KOKKOS_INLINE_FUNCTION explicit DeviceRowTeam(Member const& member)
      : member_(member), scratch_(member.team_scratch(0).get_shmem(scratch_bytes)) {}

  template <class G>
  KOKKOS_INLINE_FUNCTION void for_each(std::ptrdiff_t n, G const& g) const {
    for (std::ptrdiff_t i = member_.team_rank(); i < n; i += member_.team_size()) g(i);
  }
  template <class G>
  KOKKOS_INLINE_FUNCTION void once(G const& g) const {
    if (member_.team_rank() == 0) g();
  }
  KOKKOS_INLINE_FUNCTION void barrier() const { member_.team_barrier(); }

  template <class A, class Term>
  KOKKOS_INLINE_FUNCTION A sum(std::ptrdiff_t n, Term const& term) const {
    return fold<A>(n, A(0), Plus{}, term);
  }
  template <class A, class Term>
  KOKKOS_INLINE_FUNCTION A max(std::ptrdiff_t n, A least, Term const& term) const {
    return fold<A>(n, least, Larger{}, term);
  }

 private:
  template <class A, class Fold, class Term>
  KOKKOS_INLINE_FUNCTION A fold(std::ptrdiff_t n, A identity, Fold combine, Term const& term) const {
    A total = identity;
    for (std::ptrdiff_t begin = 0; begin < n; begin += sum_block) {
      std::ptrdiff_t const end = begin + sum_block < n ? begin + sum_block : n;
      total = combine(total, fold_block<A>(begin, end, identity, combine, term));
    }
    return total;
  }

  template <class A, class Fold, class Term>
  KOKKOS_INLINE_FUNCTION A fold_block(std::ptrdiff_t begin, std::ptrdiff_t end, A identity, Fold combine,
                                      Term const& term) const {
    A* const lane = static_cast<A*>(scratch_);
    for (int l = member_.team_rank(); l < sum_lanes; l += member_.team_size()) {
      A value = identity;
      for (std::ptrdiff_t i = begin + l; i < end; i += sum_lanes)
        value = combine(value, static_cast<A>(term(i)));
      lane[l] = value;
    }
    for (int width = sum_lanes / 2; width > 0; width /= 2) {
      member_.team_barrier();
      for (int l = member_.team_rank(); l < width; l += member_.team_size()) {
        lane[l] = combine(lane[l], lane[l + width]);
      }
    }
    member_.team_barrier();
    A const result = lane[0];
    member_.team_barrier();
    return result;
  }

  Member const& member_;
  void* scratch_;
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
  KOKKOS_INLINE_FUNCTION void operator()(DeviceRowTeam::Member const& member) const {
    f(DeviceRowTeam(member), static_cast<std::ptrdiff_t>(member.league_rank()));
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

}  // namespace detail

/// Runs f(RowTeam const& team, std::ptrdiff_t row) for rows [0, count), in no order. f is a KOKKOS_LAMBDA.
template <class F>
void rows(ExecutionSpace const& exec, std::string const& label, std::ptrdiff_t count, F const& f) {
  if (count <= 0) return;
  if constexpr (runs_on_host) {
    using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::ptrdiff_t>>;
    Kokkos::parallel_for(label, Policy(exec, 0, count), detail::RowOnHost<F>{f});
  } else {
    Kokkos::TeamPolicy<ExecutionSpace> policy(exec, static_cast<int>(count), sum_lanes);
    policy.set_scratch_size(0, Kokkos::PerTeam(DeviceRowTeam::scratch_bytes));
    Kokkos::parallel_for(label, policy, detail::RowOnDevice<F>{f});
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

}  // namespace tessera::kernels
