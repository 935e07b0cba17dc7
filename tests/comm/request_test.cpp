// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/request.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "support/parallel.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/views.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/comm/session.hpp"

namespace tessera::comm {
namespace {

/// Counts what a request does with its state.
class CountingState final : public RequestState {
 public:
  bool test() override { return ++tests >= ends_at_test; }
  void wait_host() override { ++waits; }
  void wait(StreamRef) override { ++waits; }
  void release() noexcept override { ++releases; }

  int ends_at_test = 1;
  int tests = 0;
  int waits = 0;
  int releases = 0;
};

TEST(Request, AnEmptyRequestHasEnded) {
  Request request;
  EXPECT_TRUE(request.test());
  request.wait_host();
}

TEST(Request, IsReleasedOnceWhenItEnds) {
  CountingState state;
  state.ends_at_test = 3;
  {
    Request request(&state);
    EXPECT_FALSE(request.test());
    EXPECT_FALSE(request.test());
    EXPECT_EQ(state.releases, 0);
    EXPECT_TRUE(request.test());
    EXPECT_EQ(state.releases, 1);
    EXPECT_TRUE(request.test());
    request.wait_host();
  }
  EXPECT_EQ(state.releases, 1);
  EXPECT_EQ(state.waits, 0);
}

TEST(Request, MovedFromIsEmptyAndTheTargetOwns) {
  CountingState state;
  Request first(&state);
  Request second(std::move(first));
  EXPECT_TRUE(first.test());  // NOLINT(bugprone-use-after-move): the promise under test
  EXPECT_EQ(state.tests, 0);
  second = Request();
  EXPECT_EQ(state.releases, 1);
}

TEST(Request, DestroyingOneInFlightWaitsForIt) {
  support::for_each_group({2, 3}, [](Communicator& comm) {
    std::vector<double> values(200000, 1.0);
    { Request const request = all_reduce_in_place(comm, values, Op::sum); }
    EXPECT_EQ(values, std::vector<double>(values.size(), comm.size()));
  });
}

TEST(Request, TestInALoopEndsTheOperation) {
  support::for_each_group({2, 3}, [](Communicator& comm) {
    std::vector<float> values(100000, 2.0f);
    Request request = all_reduce_in_place(comm, values, Op::sum);
    while (!request.test()) std::this_thread::yield();
    EXPECT_EQ(values.back(), 2.0f * static_cast<float>(comm.size()));
  });
}

TEST(Request, KeepsAViewThatOwnsItsMemoryAlive) {
  auto& comm = support::world();
  using Owning = Kokkos::View<float*, Kokkos::LayoutRight, MemorySpace>;
  Request request;
  Kokkos::View<float*, Kokkos::LayoutRight, MemorySpace> view("values", 5);
  std::weak_ptr<void const> const watched = [&] {
    auto owner = std::make_shared<Owning>(view);
    request.keep_alive(owner);
    return std::weak_ptr<void const>(owner);
  }();
  EXPECT_FALSE(watched.expired());
  request = Request();
  EXPECT_TRUE(watched.expired());
  {
    Request const sum = all_reduce_in_place(comm, view, Op::sum);
    EXPECT_EQ(view.use_count(), 2);
  }
  EXPECT_EQ(view.use_count(), 1);
}

std::string message_of(std::function<void()> const& call) {
  try {
    call();
  } catch (CommError const& error) {
    return error.what();
  }
  return "nothing was thrown";
}

void expect_parts(std::string const& message, std::vector<std::string> const& parts) {
  for (auto const& part : parts)
    EXPECT_NE(message.find(part), std::string::npos) << part << " in: " << message;
}

TEST(Errors, ACallThatDoesNotFitNamesOperationAndGroup) {
  auto& comm = support::world();
  std::vector<float> const three(3);
  std::vector<float> two(2);
  auto const group = "rank " + std::to_string(comm.rank()) + " of " + std::to_string(comm.size());
  expect_parts(message_of([&] { (void)all_reduce(comm, three, two, Op::sum); }),
               {"all_reduce", group, "2", "3"});
  expect_parts(message_of([&] { (void)send(comm, two, comm.size()); }), {"send", group, "no rank"});
  expect_parts(message_of([&] { (void)broadcast(comm, two, -1); }), {"broadcast", group, "no rank -1"});
}

TEST(Errors, MpisOwnErrorsAreThrownWithItsText) {
  auto& comm = support::world();
  float value = 0;
  auto const message = message_of([&] { (void)comm.send(&value, 1, DType::f32, comm.size() + 7, {}); });
  expect_parts(message, {"send of 1 x f32 on rank", "(mpi) failed", "nvalid rank", "send_receive.cpp:"});
}

TEST(Errors, ATruncatedMessageIsThrownByTheRequest) {
  support::for_each_group({2}, [](Communicator& comm) {
    std::vector<std::int64_t> values(8);
    if (comm.rank() == 0) {
      send(comm, values, 1).wait_host();
    } else {
      Request request = receive(comm, std::span(values).first(2), 0);
      expect_parts(message_of([&] { request.wait_host(); }),
                   {"receive of 2 x i64 on rank 1 of 2", "truncate"});
    }
  });
}

TEST(Errors, ALoopbackMessageThatCannotArriveIsNamedInsteadOfHanging) {
  int argc = 0;
  char** argv = nullptr;
  auto const self = open_session("loopback", argc, argv)->world();
  std::vector<float> values(4);
  Request request = receive(*self, values, 0);
  expect_parts(message_of([&] { request.wait_host(); }), {"receive of 16 bytes", "for ever"});
}

TEST(Errors, AnUnknownBackendIsAnsweredWithThoseThereAre) {
  int argc = 0;
  char** argv = nullptr;
  try {
    (void)open_session("mpj", argc, argv);
    FAIL() << "nothing was thrown";
  } catch (ConfigError const& error) {
    EXPECT_NE(std::string(error.what()).find("mpi"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("loopback"), std::string::npos);
  }
}

}  // namespace
}  // namespace tessera::comm
