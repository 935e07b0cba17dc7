// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A thread of its own for communication over memory where this program's tensors lie: on a host without
// queues, on a GPU with its own (the double's are in tests/nccl). Ranks are threads, so no MPI is needed.
#include "tessera/comm/threaded.hpp"

#include <gtest/gtest.h>

#include "support/threads/communicator.hpp"
#include "tessera/base/views.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/comm/staging.hpp"
#include "tessera/comm/tree.hpp"

namespace tessera::support {
namespace {

constexpr std::size_t count = 100'003;

/// Numbers in a rank's tensor memory and its host's, moved in the queue of `exec`.
class Numbers {
 public:
  explicit Numbers(ExecutionSpace const& exec)
      : exec_(exec), tensor_("tensor", count), host_("host", count) {}

  void set(double first) {
    for (std::size_t i = 0; i < count; ++i) host_(i) = first + static_cast<double>(i % 7);
    Kokkos::deep_copy(exec_, tensor_, host_);
  }
  [[nodiscard]] Vector<double> tensor() const { return Vector<double>(tensor_.data(), count); }
  void fetch() { Kokkos::deep_copy(exec_, host_, tensor_); }
  [[nodiscard]] double at(std::size_t i) const { return host_(i); }

 private:
  ExecutionSpace exec_;
  Kokkos::View<double*, Kokkos::LayoutRight, MemorySpace> tensor_;
  Kokkos::View<double*, Kokkos::LayoutRight, StagingSpace> host_;
};

/// Operations of a communicator that a thread drives, in a queue of this rank's own, which waits for them.
/// Ranks go on together from step to step.
void add_up(comm::Communicator& world, bool tree) {
  ExecutionSpace const exec = copying_instance();
  StreamRef const stream(exec);
  auto thread = std::make_shared<comm::CommunicationThread>(comm::make_device_queues());
  auto group = comm::make_threaded(
      comm::make_staging(world.duplicate(), {.chunk_bytes = 100'000, .always = true}), thread);
  if (tree) group = comm::make_tree(std::move(group));
  Numbers numbers(exec);
  double expected = 1;
  for (int step = 0; step < 4; ++step) {
    numbers.set(world.rank() + expected);
    auto sum = comm::all_reduce_in_place(*group, numbers.tensor(), comm::Op::sum, stream);
    sum.wait(stream);
    numbers.fetch();
    fence(exec);
    comm::barrier(world);
    for (std::size_t i = 0; i < count; i += 997) {
      ASSERT_EQ(numbers.at(i), 2 * (expected + static_cast<double>(i % 7)) + 1) << "element " << i;
    }
    expected += 1;
  }
}

TEST(CommunicationThread, SumsInTheOrderOfAQueue) {
  run_ranks_well(2, 0, [](comm::Communicator& world) { add_up(world, false); });
}

TEST(CommunicationThread, MakesTheStagesOfASumOfFixedOrder) {
  run_ranks_well(2, 0, [](comm::Communicator& world) { add_up(world, true); });
}

TEST(CommunicationThread, CallsThatMakeCommunicatorsThrowWhatTheyThrowOnIt) {
  comm::CommunicationThread thread(nullptr);
  std::thread::id where;
  thread.run([&] { where = std::this_thread::get_id(); });
  EXPECT_NE(where, std::this_thread::get_id());
  EXPECT_THROW(thread.run([] { throw std::runtime_error("no"); }), std::runtime_error);
  thread.run([&] { thread.run([&] { EXPECT_TRUE(thread.is_caller()); }); });
}

}  // namespace
}  // namespace tessera::support
