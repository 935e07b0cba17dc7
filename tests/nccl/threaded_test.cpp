// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A thread of its own for communication (comm/threaded.hpp), on queues of the double: the host only starts
// operations, the queue waits for them.
#include "tessera/comm/threaded.hpp"

#include "nccl/redirected.hpp"
#include "tessera/comm/hierarchical.hpp"
#include "tessera/comm/staging.hpp"
#include "tessera/comm/tree.hpp"

namespace tessera::support {
namespace {

/// In place of copying_instance, on the thread: as on a device, it takes memory and waits for all queues.
std::atomic<int> instances_made{0};
ExecutionSpace make_instance() {
  ++instances_made;
  auto const deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (*DoubleQueues::held_of_thread > 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_EQ(*DoubleQueues::held_of_thread, 0) << "a queue waits for this thread, and this thread for it";
  return {};
}

class Threaded : public ::testing::Test {
 protected:
  void SetUp() override {
    cuda::reset();
    queues_stand = device_has_failed = false;
  }
  void TearDown() override { EXPECT_EQ(cuda::objects_alive(), 0) << "streams, events ... that nobody ended"; }

  /// `body(world, communicator over all whose calls a thread makes)` on `ranks` threads. What they threw.
  template <class Body>
  std::vector<std::string> run(int ranks, Body const& body) {
    return words_of(run_ranks(ranks, 2, [&](comm::Communicator& world) {
      auto thread = std::make_shared<comm::CommunicationThread>(std::make_unique<DoubleQueues>());
      auto const group = comm::make_threaded(std::make_unique<Fenced>(world.duplicate()), std::move(thread));
      body(world, *group);
    }));
  }
  template <class Body>
  void run_well(int ranks, Body const& body) {
    for (auto const& words : run(ranks, body)) EXPECT_EQ(words, "");
  }
};

/// all_reduce in a stream that is held, whose end the stream and not the host waits for.
void expect_sum_in_stream(comm::Communicator& world, comm::Communicator& group, float sum) {
  StreamOfTest stream;
  std::atomic<bool> open{false};
  DeviceArray<float> const source(1000, world.rank() + 1.0f);
  DeviceArray<float> const values(1000, 0.0f);
  DeviceArray<float> const result(1000, 0.0f);
  comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref()).wait(stream.ref());  // takes memory
  EXPECT_TRUE(values.holds(0.0f));
  stream.hold_until(open);
  stream.copy(source, values);
  auto request = comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref());
  EXPECT_FALSE(request.test());
  request.wait(stream.ref());  // the host is here at once, though the gate is closed
  stream.copy(values, result);
  EXPECT_TRUE(values.holds(0.0f) && result.holds(0.0f)) << "nothing has happened yet";
  open = true;
  open.notify_all();
  stream.synchronise();
  EXPECT_TRUE(result.holds(sum));
}

TEST_F(Threaded, AnOperationComesAfterTheWorkOfItsStreamAndBeforeWhatWaitsForIt) {
  run_well(2, [](auto& world, auto& group) {
    for (int i = 0; i < 3; ++i) expect_sum_in_stream(world, group, 3.0f);
  });
}

TEST_F(Threaded, SumsOfFixedOrderAndLevelsAreMadeOnTheThread) {
  run_well(4, [](auto& world, auto& group) {
    auto const tree = comm::make_tree(group.duplicate(), std::make_shared<DoubleQueues>());
    EXPECT_EQ(tree->backend().substr(0, 14), "threaded(tree(") << tree->backend();
    expect_sum_in_stream(world, *tree, 10.0f);
    auto inside = group.split(world.rank() / 2, world.rank());
    auto across = group.split(world.rank() % 2, world.rank());
    auto const levels = comm::make_hierarchical(group.duplicate(), std::move(inside), std::move(across));
    EXPECT_EQ(levels->backend().substr(0, 22), "threaded(hierarchical(") << levels->backend();
    expect_sum_in_stream(world, *levels, 10.0f);
  });
}

TEST_F(Threaded, MemoryThatTheLibraryCannotReadIsStagedOnTheThread) {
  for (auto const& words : words_of(run_ranks(2, 0, [](comm::Communicator& world) {
         auto thread = std::make_shared<comm::CommunicationThread>(std::make_unique<DoubleQueues>());
         auto staged = comm::make_staging(world.duplicate(), {.chunk_bytes = 512, .always = true});
         auto const group = comm::make_threaded(std::move(staged), std::move(thread));
         expect_sum_in_stream(world, *group, 3.0f);
       })))
    EXPECT_EQ(words, "");
}

/// Where it takes memory while a queue is held, make_instance fails.
class ThreadedMemory : public Threaded {
 protected:
  /// `body(world, communicator whose memory is staged on the thread)` on two ranks.
  template <class Body>
  void run_staged(Body const& body) {
    instances_made = 0;
    for (auto const& words : words_of(run_ranks(2, 0, [&](comm::Communicator& world) {
           auto thread = std::make_shared<comm::CommunicationThread>(std::make_unique<DoubleQueues>());
           auto staged =
               comm::make_staging(world.duplicate(), {.always = true, .make_instance = &make_instance});
           body(world, *comm::make_threaded(std::move(staged), std::move(thread)));
         })))
      EXPECT_EQ(words, "");
  }
};

TEST_F(ThreadedMemory, MoreOperationsAtATimeThanEverTakeNone) {
  std::atomic<bool> held{false};
  run_staged([&](comm::Communicator& world, comm::Communicator& group) {
    StreamOfTest stream;
    DeviceArray<float> const a(10, 1.0f), b(10, 1.0f), c(10, 1.0f);
    comm::all_reduce_in_place(group, a, comm::Op::sum, stream.ref()).wait(stream.ref());
    if (world.rank() == 1) held.wait(false);  // until then the second of rank 0 does not end
    auto second = comm::all_reduce_in_place(group, b, comm::Op::sum, stream.ref());
    second.wait(stream.ref());
    auto third = comm::all_reduce_in_place(group, c, comm::Op::sum);
    held = true;
    held.notify_all();
    third.wait_host();
    stream.synchronise();
    EXPECT_TRUE(b.holds(2.0f) && c.holds(2.0f));
  });
  EXPECT_EQ(instances_made, 2) << "one on each rank";
}

TEST_F(ThreadedMemory, AnOperationThatTakesSomeStartsWhenNoQueueIsHeld) {
  std::atomic<bool> given{false};
  run_staged([&](comm::Communicator& world, comm::Communicator& group) {
    auto const other = group.duplicate();
    StreamOfTest stream;
    DeviceArray<float> const values(10, 1.0f), others(10, 1.0f);
    comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref()).wait(stream.ref());
    if (world.rank() == 1) given.wait(false);
    auto known = comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref());
    known.wait(stream.ref());
    auto first = comm::all_reduce_in_place(*other, others, comm::Op::sum);
    given = true;
    given.notify_all();
    first.wait_host();
    stream.synchronise();
    EXPECT_TRUE(values.holds(4.0f) && others.holds(2.0f));
  });
}

TEST_F(ThreadedMemory, NoQueueIsHeldWhileAnOperationTakesSome) {
  run_staged([](comm::Communicator&, comm::Communicator& group) {
    auto const other = group.duplicate();
    StreamOfTest stream;
    DeviceArray<float> const values(10, 1.0f), others(10, 1.0f);
    comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref()).wait(stream.ref());
    std::atomic<bool> open{false};
    stream.hold_until(open);
    auto first = comm::all_reduce_in_place(*other, others, comm::Op::sum, stream.ref());
    auto known = comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref());
    std::thread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      open = true;
      open.notify_all();
    });
    known.wait(stream.ref());
    first.wait(stream.ref());
    later.join();
    stream.synchronise();
    EXPECT_TRUE(values.holds(4.0f) && others.holds(2.0f));
  });
}

/// The host is told of by the flag that the last rank sets before it joins: it has waited when it sees it.
TEST_F(ThreadedMemory, AnotherPeerOrKindOfSumTakesSome) {
  std::atomic<int> joined{0};
  for (auto const &words : run(3, [&](auto&world, auto&group) {
         StreamOfTest stream;
         DeviceArray<float> const values(10, 1.0f);
         auto const join = [&](int number) {
           if (world.rank() != 2) return;
           std::this_thread::sleep_for(std::chrono::milliseconds(50));
           joined = number;
         };
         if (world.rank() == 0) {
           comm::receive(group, values, 1, stream.ref()).wait(stream.ref());
           comm::receive(group, values, 2, stream.ref()).wait(stream.ref());
           EXPECT_EQ(joined, 1);
         } else {
           join(1);
           comm::send(group, values, 0, stream.ref()).wait(stream.ref());
         }
         comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref()).wait(stream.ref());
         join(2);
         comm::all_reduce_in_place(group, values, comm::Op::max, stream.ref()).wait(stream.ref());
         EXPECT_EQ(joined, 2);
         stream.synchronise();
       }))
    EXPECT_EQ(words, "");
}

TEST_F(Threaded, AnOperationWhoseStreamIsNotThereYetHoldsUpItsCommunicatorAlone) {
  run_well(2, [](auto&, auto& group) {
    StreamOfTest stream;
    std::atomic<bool> open{false};
    auto const other = group.duplicate();
    DeviceArray<float> const early(10, 1.0f), late(10, 1.0f), aside(10, 1.0f);
    stream.hold_until(open);
    auto first = comm::all_reduce_in_place(group, early, comm::Op::sum, stream.ref());
    auto second = comm::all_reduce_in_place(group, late, comm::Op::sum);
    comm::all_reduce_in_place(*other, aside, comm::Op::sum).wait_host();
    EXPECT_TRUE(aside.holds(2.0f));
    EXPECT_FALSE(second.test()) << "it came after the first on the same communicator";
    open = true;
    open.notify_all();
    second.wait_host();
    first.wait_host();
    EXPECT_TRUE(early.holds(2.0f) && late.holds(2.0f));
    stream.synchronise();
  });
}

TEST_F(Threaded, MessagesCrossWithoutTheHost) {
  run_well(2, [](auto& world, auto& group) {
    StreamOfTest stream;
    int const peer = 1 - world.rank();
    DeviceArray<float> const own(100, world.rank() + 1.0f), theirs(100, 0.0f), copy(100, 0.0f);
    comm::Request sent, received;
    {
      comm::GroupGuard const guard(group);
      sent = comm::send(group, own, peer, stream.ref());
      received = comm::receive(group, theirs, peer, stream.ref());
    }
    received.wait(stream.ref());
    stream.copy(theirs, copy);
    sent.wait(stream.ref());
    stream.synchronise();
    EXPECT_TRUE(copy.holds(peer + 1.0f));
  });
}

TEST_F(Threaded, WhatFailsWhileNobodyWaitsIsToldByTheNextCall) {
  auto const words = run(2, [](auto& world, auto& group) {
    StreamOfTest stream;
    DeviceArray<float> const values(10, 1.0f);
    comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref()).wait(stream.ref());
    if (world.rank() == 1) throw std::runtime_error("rank 1 leaves");
    std::atomic<bool> open{false};
    stream.hold_until(open);
    auto request = comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref());
    request.wait(stream.ref());
    open = true;
    open.notify_all();
    stream.synchronise();  // the stream goes on, with whatever is there
    comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref()).wait(stream.ref());
  });
  expect_words(words[0], {"an operation of the communication thread failed"});
}

TEST_F(Threaded, AQueueOfADeviceThatHasFailedIsNotWaitedFor) {
  std::atomic<bool> left{false};
  run_well(2, [&](auto& world, auto& group) {
    StreamOfTest stream;
    DeviceArray<float> const values(10, 1.0f);
    comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref()).wait(stream.ref());
    if (world.rank() == 1) left.wait(false);
    auto request = comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref());
    if (world.rank() == 1) {
      request.wait_host();
      device_has_failed = true;
      return device_has_failed.notify_all();
    }
    queues_stand = true;
    request.wait(stream.ref());
    left = true;
    left.notify_all();
    device_has_failed.wait(false);
  });
}

TEST_F(Threaded, AStreamThatCannotBeMarkedIsToldWhenTheOperationStarts) {
  run_well(2, [](auto&, auto& group) {
    StreamOfTest stream;
    DeviceArray<float> const values(10, 1.0f);
    cuda::reset_calls();
    cuda::fail_call("cudaEventRecord", 1);
    EXPECT_THROW((void)comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref()), DeviceError);
    comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref()).wait_host();
    EXPECT_TRUE(values.holds(2.0f));
  });
}

TEST_F(Threaded, ARepeatedStepMakesNoMoreEvents) {
  run_well(2, [](auto&, auto& group) {
    StreamOfTest stream;
    DeviceArray<float> const values(100, 1.0f);
    auto const step = [&] {
      for (int i = 0; i < 3; ++i)
        comm::all_reduce_in_place(group, values, comm::Op::max, stream.ref()).wait(stream.ref());
      stream.synchronise();
      group.barrier({}).wait_host();
    };
    cuda::reset_calls();
    for (int i = 0; i < 50; ++i) step();
    // Three a step, and of those of the step before that are still being put back.
    EXPECT_LE(cuda::calls()["cudaEventCreateWithFlags"], 2 * 3);
  });
}

}  // namespace
}  // namespace tessera::support
