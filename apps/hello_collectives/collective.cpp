// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "collective.hpp"

#include <chrono>

#include "tessera/comm/collectives.hpp"

namespace hello {

namespace comm = tessera::comm;

namespace {

/// What rank r puts into element i: small integers, so that sums are exact in any order.
float value(int r, std::size_t i) { return static_cast<float>(r + static_cast<int>(i % 13)); }

float sum_over_ranks(int n, std::size_t i) {
  return static_cast<float>(n) * (value(0, i) + value(n - 1, i)) / 2;
}

/// The part of `whole` that belongs to one rank: the first c of n*c elements.
Buffer first_part(comm::Communicator const& group, Buffer const& whole) {
  return Kokkos::subview(
      whole, Kokkos::make_pair(std::size_t{0}, whole.size() / static_cast<std::size_t>(group.size())));
}

std::size_t whole_count(int n, std::size_t c) { return static_cast<std::size_t>(n) * c; }
std::size_t part_count(int, std::size_t c) { return c; }

double ring_factor(int n) { return (n - 1.0) / n; }

Buffer filled(int rank, std::size_t count) {
  Buffer const buffer("tessera::hello_collectives::buffer", count);
  auto const host = Kokkos::create_mirror_view(buffer);
  for (std::size_t i = 0; i < count; ++i) host(i) = value(rank, i);
  Kokkos::deep_copy(buffer, host);
  return buffer;
}

bool is_right(Collective const& collective, comm::Communicator& group, Buffer const& result, std::size_t c) {
  auto const host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), result);
  int right = 1;
  for (std::size_t i = 0; i < collective.result_count(group.size(), c); ++i) {
    right &= static_cast<int>(host(i) == collective.expected(group.rank(), group.size(), c, i));
  }
  return comm::all_reduce_value(group, right, comm::Op::min) == 1;
}

}  // namespace

std::span<Collective const> collectives() {
  static Collective const table[] = {
      {"all_reduce",
       [](comm::Communicator& group, Buffer const& send, Buffer const& receive) {
         comm::all_reduce(group, send, receive, comm::Op::sum).wait_host();
       },
       [](int, int n, std::size_t, std::size_t i) { return sum_over_ranks(n, i); }, whole_count,
       [](int n) { return 2 * ring_factor(n); }},
      {"all_gather",
       [](comm::Communicator& group, Buffer const& send, Buffer const& receive) {
         comm::all_gather(group, first_part(group, send), receive).wait_host();
       },
       [](int, int, std::size_t c, std::size_t i) { return value(static_cast<int>(i / c), i % c); },
       whole_count, ring_factor},
      {"reduce_scatter",
       [](comm::Communicator& group, Buffer const& send, Buffer const& receive) {
         comm::reduce_scatter(group, send, first_part(group, receive), comm::Op::sum).wait_host();
       },
       [](int rank, int n, std::size_t c, std::size_t i) {
         return sum_over_ranks(n, static_cast<std::size_t>(rank) * c + i);
       },
       part_count, ring_factor},
      {"broadcast",
       [](comm::Communicator& group, Buffer const&, Buffer const& receive) {
         comm::broadcast(group, receive, group.size() - 1).wait_host();
       },
       [](int, int n, std::size_t, std::size_t i) { return value(n - 1, i); }, whole_count,
       [](int) { return 1.0; }},
  };
  return table;
}

Measurement measure(Collective const& collective, comm::Communicator& group, std::size_t c, int repetitions) {
  std::size_t const count = whole_count(group.size(), c);
  Buffer const send = filled(group.rank(), count);
  Buffer const receive = filled(group.rank(), count);
  collective.run(group, send, receive);
  bool const right = is_right(collective, group, receive, c);

  comm::barrier(group);
  auto const start = std::chrono::steady_clock::now();
  for (int i = 0; i < repetitions; ++i) collective.run(group, send, receive);
  std::chrono::duration<double> const elapsed = std::chrono::steady_clock::now() - start;
  return {right, comm::all_reduce_value(group, elapsed.count() / repetitions, comm::Op::max)};
}

}  // namespace hello
