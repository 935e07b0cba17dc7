// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The backend with one rank over memory where this program's tensors lie: with Kokkos on a GPU NCCL itself,
// which no other test runs; on a host what stands below it. All operations in one queue, which waits for
// each.
#include <gtest/gtest.h>

#include "support/threads/communicator.hpp"
#include "tessera/backends/nccl.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/views.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::backends::nccl {
namespace {

constexpr std::size_t count = 100'003;

/// Numbers where tensors lie, written and read by way of the host.
class Numbers {
 public:
  Numbers(ExecutionSpace const& exec, float first)
      : exec_(exec), tensor_("tensor", count), host_("host", count) {
    for (std::size_t i = 0; i < count; ++i) host_(i) = first + static_cast<float>(i % 7);
    Kokkos::deep_copy(exec_, tensor_, host_);
  }
  [[nodiscard]] Vector<float> tensor() const { return Vector<float>(tensor_.data(), count); }
  /// Of those that begin with `first`.
  [[nodiscard]] std::size_t different_from(float first) {
    Kokkos::deep_copy(exec_, host_, tensor_);
    fence(exec_);
    std::size_t different = 0;
    for (std::size_t i = 0; i < count; ++i) different += host_(i) != first + static_cast<float>(i % 7);
    return different;
  }

 private:
  ExecutionSpace exec_;
  Kokkos::View<float*, Kokkos::LayoutRight, MemorySpace> tensor_;
  Kokkos::View<float*, Kokkos::LayoutRight, StagingSpace> host_;
};

/// `start(from, to)` has copied when its request has been waited for.
template <class Start>
void expect_copy(ExecutionSpace const& exec, char const* name, Start const& start) {
  Numbers const from(exec, 1);
  Numbers to(exec, 100);
  auto request = start(from.tensor(), to.tensor());
  request.wait(StreamRef(exec));
  EXPECT_EQ(to.different_from(1), 0u) << name;
}

void run_all_operations(comm::Communicator& group) {
  ExecutionSpace const exec = copying_instance();
  StreamRef const stream(exec);
  using V = Vector<float>;
  expect_copy(exec, "all_reduce", [&](V const& from, V const& to) {
    return comm::all_reduce(group, from, to, comm::Op::sum, stream);
  });
  expect_copy(exec, "reduce_scatter", [&](V const& from, V const& to) {
    return comm::reduce_scatter(group, from, to, comm::Op::max, stream);
  });
  expect_copy(exec, "all_gather",
              [&](V const& from, V const& to) { return comm::all_gather(group, from, to, stream); });
  expect_copy(exec, "all_to_all",
              [&](V const& from, V const& to) { return comm::all_to_all(group, from, to, stream); });
  Numbers own(exec, 3);
  comm::broadcast(group, own.tensor(), 0, stream).wait(stream);
  comm::barrier(group);
  EXPECT_EQ(own.different_from(3), 0u) << "broadcast";
}

TEST(OneRank, AllOperationsAreDoneInTheirQueue) {
  support::run_ranks_well(1, 0, [](comm::Communicator& world) {
    auto const session = open(world, {});
    auto const group = session->over(world.duplicate(), "test");
    run_all_operations(*group);
    run_all_operations(*group->duplicate());
    EXPECT_FALSE(session->failure().has_value());
  });
}

TEST(OneRank, WhatWasCancelledServesOnlyTheMemoryOfHosts) {
  support::run_ranks_well(1, 0, [](comm::Communicator& world) {
    auto const session = open(world, {});
    auto const group = session->over(world.duplicate(), "test");
    run_all_operations(*group);
    session->cancel("the test ends it");
    Numbers own(ExecutionSpace(), 3);
    auto const use = [&] { comm::broadcast(*group, own.tensor(), 0).wait_host(); };
    if (tensors_on_host) {
      EXPECT_NO_THROW(use()) << "it goes by the group below, by which ranks agree on what to do";
    } else {
      EXPECT_THROW(use(), CommError);
    }
  });
}

}  // namespace
}  // namespace tessera::backends::nccl
