// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Sums of fixed order over messages of NCCL, in queues: the host only starts their stages.
#include "tessera/comm/tree.hpp"

#include <random>

#include "nccl/double_queues.hpp"
#include "tessera/comm/hierarchical.hpp"

namespace tessera::support {
namespace {

/// Below and above the change of algorithms, and what no chunk divides.
constexpr std::size_t few = 1000, many = 40001;
static_assert(few * sizeof(float) < comm::tree_doubling_bytes &&
              many * sizeof(float) > comm::tree_doubling_bytes);

std::unique_ptr<comm::Communicator> queued_tree(std::unique_ptr<comm::Communicator> group) {
  return comm::make_tree(std::move(group), std::make_shared<DoubleQueues>());
}

/// Numbers whose sum shows the order of additions.
std::vector<float> numbers(int rank, std::size_t count) {
  std::mt19937 random(static_cast<unsigned>(rank));
  std::uniform_real_distribution<float> between(-1.0f, 1.0f);
  std::vector<float> values(count);
  for (auto& value : values) value = between(random);
  return values;
}

std::vector<float> tree_sum(int first, int ranks, std::size_t count) {
  if (ranks == 1) return numbers(first, count);
  auto sum = tree_sum(first, ranks / 2, count);
  auto const right = tree_sum(first + ranks / 2, ranks / 2, count);
  for (std::size_t i = 0; i < count; ++i) sum[i] += right[i];
  return sum;
}

template <class T>
std::vector<T> content(DeviceArray<T> const& array) {
  return {array.data(), array.data() + array.size()};
}

class Tree : public OnQueues {};

/// Starts a sum of a stream that is held and orders the stream after it, before anything has happened.
void expect_queued_sum(comm::Communicator& tree, std::size_t count) {
  StreamOfTest stream;
  std::atomic<bool> open{false};
  DeviceArray<float> const source(count, 0.0f), values(count, 0.0f), result(count, 0.0f);
  auto const own = numbers(tree.rank(), count);
  std::copy(own.begin(), own.end(), source.data());
  stream.hold_until(open);
  stream.copy(source, values);
  auto request = comm::all_reduce_in_place(tree, values, comm::Op::sum, stream.ref());
  request.wait(stream.ref());
  stream.copy(values, result);
  EXPECT_TRUE(values.holds(0.0f) && result.holds(0.0f)) << "nothing has happened yet";
  open = true;
  open.notify_all();
  stream.synchronise();
  EXPECT_EQ(content(result), tree_sum(0, tree.size(), count));
}

TEST_F(Tree, GoesOnInQueuesWhileTheHostIsElsewhere) {
  for (int const ranks : {2, 4, 8}) {
    run_well(ranks, [](auto&, auto&, auto& group) {
      auto const tree = queued_tree(group.duplicate());
      for (std::size_t const count : {few, many, few}) expect_queued_sum(*tree, count);
    });
  }
}

TEST_F(Tree, ReduceScatterTooAndEachRankHasItsPartOfTheSum) {
  run_well(4, [](auto&, auto&, auto& group) {
    auto const tree = queued_tree(group.duplicate());
    StreamOfTest stream;
    DeviceArray<float> const whole(4 * few, 0.0f), part(few, 0.0f);
    auto const own = numbers(tree->rank(), 4 * few);
    std::copy(own.begin(), own.end(), whole.data());
    comm::reduce_scatter(*tree, whole, part, comm::Op::sum, stream.ref()).wait(stream.ref());
    stream.synchronise();
    auto const sum = tree_sum(0, 4, 4 * few);
    auto const begin = sum.begin() + tree->rank() * static_cast<std::ptrdiff_t>(few);
    EXPECT_EQ(content(part), std::vector<float>(begin, begin + few));
  });
}

TEST_F(Tree, SeveralAtATimeKeepTheirOrderAndSizesMayGrow) {
  run_well(4, [](auto&, auto&, auto& group) {
    auto const tree = queued_tree(group.duplicate());
    StreamOfTest stream;
    std::atomic<bool> open{false};
    DeviceArray<float> const a(few, 0.0f), b(many, 0.0f), c(2 * many, 0.0f);
    for (auto const* array : {&a, &b, &c}) {
      auto const own = numbers(tree->rank(), array->size());
      std::copy(own.begin(), own.end(), array->data());
    }
    DeviceArray<float> const one(1, 1.0f);
    comm::all_reduce_in_place(*tree, one, comm::Op::sum, stream.ref()).wait_host();
    stream.hold_until(open);
    std::vector<comm::Request> requests;
    for (auto const* array : {&a, &b, &c})
      requests.push_back(comm::all_reduce_in_place(*tree, *array, comm::Op::sum, stream.ref()));
    for (auto& request : requests) EXPECT_FALSE(request.test());
    requests[2].wait(stream.ref());
    open = true;
    open.notify_all();
    requests[0].wait_host();
    EXPECT_EQ(content(a), tree_sum(0, 4, few));
    while (!requests[1].test()) std::this_thread::yield();
    EXPECT_EQ(content(b), tree_sum(0, 4, many));
    stream.synchronise();
    EXPECT_EQ(content(c), tree_sum(0, 4, 2 * many));
  });
}

TEST_F(Tree, WithoutAStreamTooAndAfterWhatIsInTheQueue) {
  run_well(2, [](auto&, auto&, auto& group) {
    auto const tree = queued_tree(group.duplicate());
    StreamOfTest stream;
    std::atomic<bool> open{false};
    DeviceArray<float> const first(many, 0.0f), second(many, 0.0f);
    for (auto const* array : {&first, &second}) {
      auto const own = numbers(tree->rank(), many);
      std::copy(own.begin(), own.end(), array->data());
    }
    expect_queued_sum(*tree, many);  // connects the two
    stream.hold_until(open);
    comm::all_reduce_in_place(*tree, first, comm::Op::sum, stream.ref()).wait(stream.ref());
    auto request = comm::all_reduce_in_place(*tree, second, comm::Op::sum);
    EXPECT_FALSE(request.test()) << "its scratch is that of the first";
    open = true;
    open.notify_all();
    request.wait({});
    EXPECT_EQ(content(second), tree_sum(0, 2, many));
    stream.synchronise();
    EXPECT_EQ(content(first), tree_sum(0, 2, many));
  });
}

TEST_F(Tree, NumbersOfTheHostGoThroughTheParent) {
  cuda::set_all_memory_on_device(false);
  run_well(4, [](auto& world, auto& session, auto& group) {
    auto const tree = queued_tree(group.duplicate());
    EXPECT_EQ(comm::all_reduce_value(*tree, 1.0 + tree->rank(), comm::Op::sum), 10.0);
    auto values = numbers(tree->rank(), many);
    comm::all_reduce_in_place(*tree, values, comm::Op::sum).wait_host();
    EXPECT_EQ(values, tree_sum(0, 4, many));
    int const rank = world.rank();
    auto const levels = comm::make_hierarchical(group.duplicate(), session.over(world.split(rank / 2, rank)),
                                                world.split(rank % 2, rank));
    std::vector<float> const own(1, rank + 1.0f);
    std::vector<float> all(4, 0.0f);
    comm::all_gather(*levels, own, all).wait_host();
    EXPECT_EQ(all, (std::vector<float>{1, 2, 3, 4}));
    EXPECT_EQ(cuda::calls().count("ncclSend") + cuda::calls().count("ncclAllGather"), 0u);
  });
}

TEST_F(Tree, LevelsOverTreesGiveTheSameBits) {
  run_well(4, [](auto& world, auto& session, auto& group) {
    int const rank = world.rank();
    auto const pairs = [&](int color) { return session.over(world.split(color, rank)); };
    auto const levels = comm::make_hierarchical(queued_tree(group.duplicate()), queued_tree(pairs(rank / 2)),
                                                queued_tree(pairs(rank % 2)));
    StreamOfTest stream;
    DeviceArray<float> const values(many, 0.0f);
    auto const own = numbers(rank, many);
    std::copy(own.begin(), own.end(), values.data());
    comm::all_reduce_in_place(*levels, values, comm::Op::sum, stream.ref()).wait(stream.ref());
    stream.synchronise();
    EXPECT_EQ(content(values), tree_sum(0, 4, many));
  });
}

TEST_F(Tree, ADroppedSumHasEnded) {
  run_well(2, [](auto&, auto&, auto& group) {
    auto const tree = queued_tree(group.duplicate());
    StreamOfTest stream;
    DeviceArray<float> const values(many, 1.0f);
    { auto const dropped = comm::all_reduce_in_place(*tree, values, comm::Op::sum, stream.ref()); }
    EXPECT_TRUE(values.holds(2.0f));
  });
}

TEST_F(Tree, WhatIsCutOffInAQueueIsToldAndNobodyHangs) {
  std::atomic<bool> ended{false};
  auto const words = run(2, patient, [&](auto& world, auto& session, auto& group) {
    auto const tree = queued_tree(group.duplicate());
    StreamOfTest stream;
    DeviceArray<float> const values(few, 1.0f);
    comm::all_reduce_in_place(*tree, values, comm::Op::sum, stream.ref()).wait_host();  // connects the two
    if (world.rank() == 1) {
      ended.wait(false);
      return session.cancel("rank 0 ends the job");
    }
    std::atomic<bool> open{false};
    stream.hold_until(open);
    auto request = comm::all_reduce_in_place(*tree, values, comm::Op::sum, stream.ref());
    std::thread watchdog([&] {
      open = true;
      open.notify_all();
      session.cancel("rank 1 was not heard of for 60 s");
    });
    std::string told;
    try {
      request.wait_host();
    } catch (CommError const& error) {
      told = error.what();
    }
    expect_words(told, {"rank 1 was not heard of for 60 s"});
    watchdog.join();
    ended = true;
    ended.notify_all();
  });
  for (auto const& text : words) EXPECT_EQ(text, "");
}

TEST_F(Tree, ASumThatOneRankNeverCallsEndsWithItsTime) {
  std::atomic<bool> ended{false};
  auto const words = run(2, impatient, [&](auto& world, auto&, auto& group) {
    auto const tree = queued_tree(group.duplicate());
    if (world.rank() == 1) return ended.wait(false);
    DeviceArray<float> const values(few, 1.0f);
    std::string told;
    try {
      comm::all_reduce_in_place(*tree, values, comm::Op::sum).wait_host();
    } catch (CommError const& error) {
      told = error.what();
    }
    expect_words(told, {"within 0.2 s", "missing"});
    ended = true;
    ended.notify_all();
  });
  for (auto const& text : words) EXPECT_EQ(text, "");
}

TEST_F(Tree, ADeviceThatFailsIsTold) {
  auto const words = run(2, patient, [](auto& world, auto&, auto& group) {
    DeviceArray<float> const values(few, 1.0f);  // outlives the queues, which go on here
    auto const tree = queued_tree(group.duplicate());
    StreamOfTest stream;
    comm::all_reduce_in_place(*tree, values, comm::Op::sum, stream.ref()).wait_host();
    comm::barrier(world);
    device_has_failed = true;
    comm::all_reduce_in_place(*tree, values, comm::Op::sum, stream.ref()).wait_host();
  });
  for (auto const& text : words) expect_words(text, {"the device has failed"});
}

TEST_F(Tree, ARepeatedStepMakesNoMoreStreamsAndEvents) {
  run_well(2, [](auto&, auto&, auto& group) {
    auto const tree = queued_tree(group.duplicate());
    StreamOfTest stream;
    DeviceArray<float> const small(few, 1.0f), large(many, 1.0f);
    auto const step = [&] {
      auto first = comm::all_reduce_in_place(*tree, small, comm::Op::sum, stream.ref());
      auto second = comm::all_reduce_in_place(*tree, large, comm::Op::sum, stream.ref());
      first.wait(stream.ref());
      second.wait(stream.ref());
      stream.synchronise();
    };
    cuda::reset_calls();
    for (int i = 0; i < 50; ++i) step();
    auto calls = cuda::calls();
    EXPECT_EQ(calls["cudaStreamCreateWithFlags"], 1) << "the tree's own";
    // Of each sum two marks, and two stages of two messages with two events, at most.
    EXPECT_LE(calls["cudaEventCreateWithFlags"], 2 * (2 + 2 * 2 * 2));
    EXPECT_EQ(calls["ncclSend"], 50 * (1 + 2));
  });
}

}  // namespace
}  // namespace tessera::support
