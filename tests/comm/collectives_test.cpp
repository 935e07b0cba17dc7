// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What the typed layer adds to the backends.
#include "tessera/comm/collectives.hpp"

#include <gtest/gtest.h>

#include "support/parallel.hpp"
#include "tessera/base/views.hpp"

namespace tessera::comm {
namespace {

TEST(Collectives, AMeanIsTheSumDividedOnce) {
  support::for_each_group({1, 2, 3}, [](Communicator& comm) {
    std::vector<double> values{1.0 * comm.rank(), 3.0};
    all_reduce_mean_in_place(comm, values);
    EXPECT_EQ(values, (std::vector<double>{(comm.size() - 1) / 2.0, 3.0}));
  });
}

TEST(Collectives, NumbersOfTheHostTravelToo) {
  auto& comm = support::world();
  EXPECT_EQ(all_reduce_value(comm, comm.rank(), Op::max), comm.size() - 1);
  EXPECT_EQ(broadcast_value(comm, 10.5 + comm.rank(), comm.size() - 1), 9.5 + comm.size());
  auto const ranks = all_gather_values(comm, comm.rank());
  for (int rank = 0; rank < comm.size(); ++rank) EXPECT_EQ(ranks[static_cast<std::size_t>(rank)], rank);
}

TEST(Collectives, TensorsOfAnyShapeTravelWhole) {
  auto& comm = support::world();
  Kokkos::View<float**, Kokkos::LayoutRight, MemorySpace> owner("values", 3, 5);
  Kokkos::deep_copy(owner, 1.0f);
  Matrix<float> const matrix(owner.data(), 3, 5);
  all_reduce_in_place(comm, matrix, Op::sum).wait_host();
  auto const host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), owner);
  for (std::size_t i = 0; i < 15; ++i) EXPECT_EQ(host.data()[i], static_cast<float>(comm.size()));
}

template <class V>
concept Sendable = requires(Communicator& comm, V&& view) {
  send(comm, std::forward<V>(view), 0);
};

TEST(Collectives, ATemporaryContainerDoesNotCompileBecauseTheMessageOutlivesIt) {
  static_assert(!Sendable<std::vector<float>>);
  static_assert(Sendable<std::vector<float>&>);
  static_assert(Sendable<std::span<float const>>);
  static_assert(Sendable<Vector<float>>);
  static_assert(!Sendable<std::span<bool>>, "a type that no message has");
}

}  // namespace
}  // namespace tessera::comm
