// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Operations that a training step repeats allocate nothing once they have run: counted in every operator new
// of this program, which the communication library below (malloc) does not call.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "contract/decorations.hpp"
#include "support/parallel.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/comm/recorded.hpp"

namespace {
std::atomic<std::size_t> allocations = 0;

/// Apart from operator new, which nvcc takes for code of the device too: nothing can be thrown or counted
/// there.
void* allocate(std::size_t bytes) {
  ++allocations;
  if (void* const memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes); }
// Not inlined: GCC would take free for the wrong partner of a new that it did not inline.
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace tessera::comm {
namespace {

struct Buffers {
  std::vector<float> small = std::vector<float>(5000);
  std::vector<float> large = std::vector<float>(40000);
  std::vector<float> part = std::vector<float>(5000);
};

void repeat_step(Communicator& comm, Buffers& data) {
  auto const whole = std::span(data.large).first(data.part.size() * static_cast<std::size_t>(comm.size()));
  {
    auto const first = all_reduce_in_place(comm, data.large, Op::sum);
    auto const second = all_reduce_in_place(comm, data.small, Op::sum);
    comm.progress();
  }
  reduce_scatter(comm, whole, data.part, Op::sum).wait_host();
  all_gather(comm, data.part, whole).wait_host();
  broadcast(comm, data.small, 0).wait_host();
  (void)all_reduce_value(comm, 1.0, Op::max);
  Request out;
  Request in;
  {
    GroupGuard const group(comm);
    out = send(comm, data.small, (comm.rank() + 1) % comm.size());
    in = receive(comm, data.part, (comm.rank() + comm.size() - 1) % comm.size());
  }
  out.wait_host();
  in.wait_host();
}

/// Whether five steps in a row come to allocate nothing. How many operations are under way at a time, and so
/// how many states exist, depends on when the other ranks answer: the most is seen after a few steps, not
/// after the first.
bool becomes_steady(Communicator& comm, Buffers& data) {
  constexpr int most_steps = 60;
  int steady = 0;
  for (int step = 0; step < most_steps; ++step) {
    std::size_t const before = allocations;
    repeat_step(comm, data);
    steady = allocations == before ? steady + 1 : 0;
    auto const least = all_reduce_value(comm, std::int32_t{steady}, Op::min);
    if (least >= 5) return true;
  }
  return false;
}

TEST(SteadyState, RepeatedOperationsAllocateNothing) {
  for (auto const& decoration : contract::decorations()) {
    support::for_each_group({1, 2, 3, 8}, [&](Communicator& group) {
      auto comm = decoration.make(group);
      if (!comm) return;
      Ledger ledger;
      comm = make_recorded(std::move(comm), ledger, "test");
      Buffers data;
      EXPECT_TRUE(becomes_steady(*comm, data)) << decoration.name;
    });
  }
}

}  // namespace
}  // namespace tessera::comm
