// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Operations belong to streams: the host only starts them.
#include "nccl/ranks.hpp"
#include "nccl/stream_of_test.hpp"
#include "tessera/base/compute_types.hpp"

namespace tessera::support {
namespace {

class Streams : public OnNccl {};

TEST_F(Streams, AnOperationComesAfterTheWorkOfItsStreamAndBeforeWhatWaitsForIt) {
  run_well(2, [](auto& world, auto&, auto& group) {
    StreamOfTest stream;
    std::atomic<bool> open{false};
    DeviceArray<float> const source(1000, world.rank() + 1.0f);
    DeviceArray<float> const values(1000, 0.0f);
    DeviceArray<float> const result(1000, 0.0f);
    stream.hold_until(open);
    stream.copy(source, values);
    auto request = comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref());
    EXPECT_FALSE(request.test());
    request.wait(stream.ref());  // orders the stream; the host is here at once, though the gate is closed
    stream.copy(values, result);
    EXPECT_TRUE(values.holds(0.0f) && result.holds(0.0f)) << "nothing has happened yet";
    open = true;
    open.notify_all();
    stream.synchronise();
    EXPECT_TRUE(result.holds(3.0f));
  });
}

TEST_F(Streams, WithoutAStreamWaitingIsForTheHost) {
  run_well(2, [](auto& world, auto&, auto& group) {
    DeviceArray<double> const values(100, world.rank() + 1.0);
    auto request = comm::all_reduce_in_place(group, values, comm::Op::max);
    request.wait({});
    EXPECT_TRUE(values.holds(2.0));
  });
}

TEST_F(Streams, AStreamThatCannotBeMarkedIsToldWhenTheOperationStarts) {
  auto const words = run(2, patient, [](auto&, auto&, auto& group) {
    StreamOfTest stream;
    DeviceArray<float> const values(10, 1.0f);
    cuda::reset_calls();
    cuda::fail_call("cudaEventRecord", 1);
    EXPECT_THROW((void)comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref()), DeviceError);
    comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref()).wait_host();
    EXPECT_TRUE(values.holds(2.0f));
    auto request = comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref());
    cuda::fail_call("cudaStreamWaitEvent", 1);  // not the operation's own: that one is under way
    request.wait(stream.ref());
  });
  for (auto const& text : words) expect_words(text, {"cudaStreamWaitEvent failed"});
}

template <class T>
void expect_gathered(comm::Communicator& world, comm::Communicator& group) {
  DeviceArray<T> const own(33, T(world.rank() + 0.5f));
  DeviceArray<T> const all(66, T(0.0f));
  comm::all_gather(group, own, all).wait_host();
  for (std::size_t i = 0; i < 66; ++i) EXPECT_EQ(all.data()[i], T(i < 33 ? 0.5f : 1.5f));
}

TEST_F(Streams, NumbersOfSixteenBitsTravel) {
  run_well(2, [](auto& world, auto&, auto& group) {
    expect_gathered<bf16>(world, group);
    expect_gathered<f16>(world, group);
  });
}

TEST_F(Streams, AMessageThatNobodyTakesYetKeepsNobodyFromWorking) {
  std::atomic<bool> sent{false};
  run_well(2, [&](auto& world, auto&, auto& group) {
    DeviceArray<std::int32_t> const message(10, world.rank() == 0 ? 7 : 0);
    DeviceArray<std::int32_t> const sum(10, 1);
    if (world.rank() == 1) sent.wait(false);  // the other rank gets past both calls without this one
    auto moved = world.rank() == 0 ? comm::send(group, message, 1) : comm::receive(group, message, 0);
    auto summed = comm::all_reduce_in_place(group, sum, comm::Op::sum);
    if (world.rank() == 0) {
      sent = true;
      sent.notify_all();
    }
    summed.wait_host();
    moved.wait_host();
    EXPECT_TRUE(message.holds(7) && sum.holds(2));
  });
}

TEST_F(Streams, NumbersOfTheHostGoThroughTheParent) {
  run_well(3, [](auto& world, auto&, auto& group) {
    cuda::reset_calls();
    EXPECT_EQ(comm::all_reduce_value(group, world.rank() + 1, comm::Op::sum), 6);
    EXPECT_EQ(comm::all_gather_values(group, world.rank()), (std::vector{0, 1, 2}));
    std::vector<float> host(5, 1.0f);
    {
      comm::Request sent;
      comm::Request received;
      comm::GroupGuard const guard(group);
      std::vector<float> const own(5, world.rank() * 1.0f);
      sent = comm::send(group, own, (world.rank() + 1) % 3);
      received = comm::receive(group, host, (world.rank() + 2) % 3);
      received.wait_host();
      sent.wait_host();
    }
    EXPECT_EQ(host, std::vector<float>(5, static_cast<float>((world.rank() + 2) % 3)));
    auto const calls = cuda::calls();
    EXPECT_EQ(calls.count("ncclAllReduce") + calls.count("ncclAllGather") + calls.count("ncclSend"), 0u);
  });
}

TEST_F(Streams, WaitingInsideTheOwnGroupIsAnErrorAndNoHang) {
  run_well(2, [](auto& world, auto&, auto& group) {
    DeviceArray<float> const values(10, 1.0f);
    int const peer = 1 - world.rank();
    DeviceArray<float> const got(10, 0.0f);
    comm::Request sent;
    comm::Request received;
    {
      comm::GroupGuard const guard(group);
      sent = comm::send(group, values, peer);
      received = comm::receive(group, got, peer);
      EXPECT_THROW((void)received.test(), CommError);
    }
    received.wait_host();
    EXPECT_TRUE(got.holds(1.0f));
  });
}

TEST_F(Streams, ARepeatedStepMakesNoStreamsAndEventsOfItsOwn) {
  run_well(2, [](auto&, auto&, auto& group) {
    DeviceArray<float> const values(100, 1.0f);
    auto const step = [&] {
      auto first = comm::all_reduce_in_place(group, values, comm::Op::max);
      auto second = comm::all_reduce_in_place(group, values, comm::Op::max);
      first.wait_host();
      second.wait_host();
    };
    step();
    cuda::reset_calls();
    for (int i = 0; i < 3; ++i) step();
    auto const calls = cuda::calls();
    EXPECT_EQ(calls.count("cudaEventCreateWithFlags") + calls.count("cudaStreamCreateWithFlags"), 0u);
    EXPECT_EQ(calls.at("ncclAllReduce"), 6);
  });
}

}  // namespace
}  // namespace tessera::support
