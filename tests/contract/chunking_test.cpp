// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Counts beyond one MPI call's, with the limit lowered to where a test reaches it: a cut operation gives the
// bytes of an uncut one.
#include <gtest/gtest.h>

#include <vector>

#include "support/parallel.hpp"
#include "tessera/backends/mpi_limits.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::comm {
namespace {

/// 53 elements a part: six pieces of at most 10, the last one short.
constexpr std::size_t part = 53;

class CutCounts : public ::testing::Test {
 protected:
  void SetUp() override { backends::mpi::set_max_count_for_tests(10); }
  void TearDown() override { backends::mpi::set_max_count_for_tests(0); }

  static std::vector<std::int64_t> numbered(int rank, std::size_t count) {
    std::vector<std::int64_t> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = 1000000 * (rank + 1) + static_cast<std::int64_t>(i);
    return values;
  }

  /// `call(communicator, send, receive)` for a cut and an uncut operation.
  template <class Call>
  static void expect_same(std::size_t send_parts, std::size_t receive_parts, Call const& call) {
    support::for_each_group({1, 2, 3, 8}, [&](Communicator& comm) {
      auto const ranks = static_cast<std::size_t>(comm.size());
      auto const parts = [&](std::size_t n) { return part * (n == 0 ? ranks : n); };
      auto const send = numbered(comm.rank(), parts(send_parts));
      std::vector<std::int64_t> cut(parts(receive_parts));
      std::vector<std::int64_t> whole(cut.size());
      call(comm, send, cut);
      backends::mpi::set_max_count_for_tests(0);
      call(comm, send, whole);
      backends::mpi::set_max_count_for_tests(10);
      EXPECT_EQ(cut, whole);
      EXPECT_NE(cut, std::vector<std::int64_t>(cut.size())) << "nothing arrived";
    });
  }
};

constexpr std::size_t one_a_rank = 0;

TEST_F(CutCounts, AllReduceIsTheSame) {
  expect_same(1, 1, [](auto& comm, auto const& send, auto& receive) {
    all_reduce(comm, send, receive, Op::sum).wait_host();
  });
}
TEST_F(CutCounts, AllGatherIsTheSame) {
  expect_same(1, one_a_rank, [](auto& comm, auto const& send, auto& receive) {
    all_gather(comm, send, receive).wait_host();
  });
}
TEST_F(CutCounts, AllGatherInPlaceIsTheSame) {
  expect_same(1, one_a_rank, [](auto& comm, auto const& send, auto& receive) {
    std::copy(send.begin(), send.end(), receive.begin() + comm.rank() * static_cast<std::ptrdiff_t>(part));
    all_gather_in_place(comm, receive).wait_host();
  });
}
TEST_F(CutCounts, ReduceScatterIsTheSame) {
  expect_same(one_a_rank, 1, [](auto& comm, auto const& send, auto& receive) {
    reduce_scatter(comm, send, receive, Op::sum).wait_host();
  });
}
TEST_F(CutCounts, AllToAllIsTheSame) {
  expect_same(one_a_rank, one_a_rank, [](auto& comm, auto const& send, auto& receive) {
    all_to_all(comm, send, receive).wait_host();
  });
}
TEST_F(CutCounts, BroadcastIsTheSame) {
  expect_same(1, 1, [](auto& comm, auto const& send, auto& receive) {
    receive = send;
    broadcast(comm, receive, comm.size() - 1).wait_host();
  });
}
TEST_F(CutCounts, MessagesAreTheSame) {
  expect_same(1, 1, [](auto& comm, auto const& values, auto& receive) {
    Request out;
    Request in;
    GroupGuard const group(comm);
    out = send(comm, values, (comm.rank() + 1) % comm.size());
    in = comm::receive(comm, receive, (comm.rank() + comm.size() - 1) % comm.size());
  });
}

}  // namespace
}  // namespace tessera::comm
