// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Every call of CUDA and NCCL that the backend makes fails once, on one of two ranks.
#include <map>
#include <span>

#include "nccl/double_queues.hpp"
#include "nccl/ranks.hpp"
#include "tessera/comm/tree.hpp"

namespace tessera::support {
namespace {

/// Made to end something: a failure of theirs is nobody's business any more.
std::set<std::string> const ending{"cudaEventDestroy", "cudaFree",        "cudaStreamDestroy",
                                   "cudaStreamQuery",  "ncclCommDestroy", "ncclCommFinalize"};

/// Announces its session for as long as it lives.
class Announced {
 public:
  Announced(Sessions& sessions, comm::DeviceSession& session) : sessions_(sessions), session_(session) {
    sessions_.add(session_);
  }
  Announced(Announced const&) = delete;
  Announced& operator=(Announced const&) = delete;
  ~Announced() { sessions_.remove(session_); }

 private:
  Sessions& sessions_;
  comm::DeviceSession& session_;
};

/// What operations work on: it outlives them, whatever fails.
struct Working {
  explicit Working(int ranks)
      : whole(6 * static_cast<std::size_t>(ranks), 1.0f), other(6 * static_cast<std::size_t>(ranks), 0.0f) {}
  StreamOfTest stream;
  DeviceArray<float> const whole, other;
};

/// The stream waits for all but the last.
void call_everything(comm::Communicator& group, Working const& on) {
  StreamRef const stream = on.stream.ref();
  std::span<float> const part(on.other.data(), 6);
  comm::all_reduce_in_place(group, on.whole, comm::Op::sum, stream).wait(stream);
  comm::all_gather(group, part, on.whole, stream).wait(stream);
  comm::reduce_scatter(group, on.whole, part, comm::Op::max, stream).wait(stream);
  comm::all_to_all(group, on.whole, on.other, stream).wait(stream);
  comm::broadcast(group, on.whole, 0, stream).wait(stream);
  int const peer = (group.rank() + 1) % group.size();
  comm::Request sent;
  comm::Request received;
  {
    comm::GroupGuard const guard(group);
    sent = comm::send(group, on.whole, peer, stream);
    received = comm::receive(group, on.other, peer, stream);
  }
  sent.wait(stream);
  received.wait(stream);
  comm::barrier(group);
}

/// A sum of fixed order in a queue of its own.
void sum_in_queues(comm::Communicator& group, Working const& on) {
  auto const tree = comm::make_tree(group.duplicate(), std::make_shared<DoubleQueues>());
  comm::all_reduce_in_place(*tree, on.whole, comm::Op::sum, on.stream.ref()).wait(on.stream.ref());
  comm::all_reduce_in_place(*tree, on.whole, comm::Op::sum, on.stream.ref()).wait_host();
}

/// A life of the backend on two ranks; `rank` has `fails` fail at its `nth` call. What they threw.
std::vector<std::string> live(int rank, std::string const& fails, int nth,
                              std::map<std::string, int>* calls) {
  Sessions sessions;
  auto const body = [&](comm::Communicator& world) {
    Working const on(world.size());
    cuda::reset_calls();
    if (world.rank() == rank && nth > 0) cuda::fail_call(fails, nth);
    {
      auto const session = backends::nccl::open(world, patient);
      Announced const announced(sessions, *session);
      auto const group = session->over(world.duplicate());
      call_everything(*group, on);
      call_everything(*group->split(0, -group->rank()), on);
      sum_in_queues(*group, on);
    }
    if (world.rank() == rank && calls != nullptr) *calls = cuda::calls();
  };
  return words_of(run_ranks(
      2, 0, body, [&](int failed) { sessions.cancel("rank " + std::to_string(failed) + " failed"); }));
}

class FailingCalls : public OnQueues {
 protected:
  /// How often `rank` calls each function in a life where all is well.
  static std::map<std::string, int> calls_of(int rank) {
    std::map<std::string, int> calls;
    EXPECT_EQ(live(rank, "", 0, &calls), std::vector<std::string>(2));
    calls.erase("cudaGetLastError");  // tells of others
    return calls;
  }
  static void expect_told(int rank, std::string const& function, int nth) {
    SCOPED_TRACE(function + " on rank " + std::to_string(rank));
    auto const words = live(rank, function, nth, nullptr);
    if (ending.contains(function)) {
      EXPECT_EQ(words, std::vector<std::string>(2));
    } else {
      expect_words(words[static_cast<std::size_t>(rank)], {function.c_str(), " failed: "});
    }
    EXPECT_EQ(cuda::objects_alive(), 0);
  }
};

TEST_F(FailingCalls, EachIsToldByNameAndNobodyHangs) {
  for (int const rank : {0, 1}) {
    auto const calls = calls_of(rank);
    EXPECT_GE(calls.size(), 25u);
    EXPECT_TRUE(calls.contains("cudaStreamWaitEvent"));
    for (auto const& [function, count] : calls) expect_told(rank, function, 1);
  }
}

TEST_F(FailingCalls, TheLastOfEachKindToo) {
  for (auto const& [function, count] : calls_of(1)) {
    // How often some are called is a matter of time.
    bool const counted = !std::set<std::string>{"cudaEventQuery", "ncclCommGetAsyncError"}.contains(function);
    if (count > 1 && counted) expect_told(1, function, count);
  }
}

/// On the thread that looks after the communicators and ends them.
TEST_F(FailingCalls, ThoseOfAWatchdogToo) {
  std::vector<std::unique_ptr<Working>> buffers;
  for (int rank = 0; rank < 2; ++rank) buffers.push_back(std::make_unique<Working>(2));
  auto const words = run(2, patient, [&](auto& world, auto& session, auto& group) {
    auto request =
        comm::receive(group, buffers[static_cast<std::size_t>(world.rank())]->whole, 1 - world.rank());
    std::thread watchdog([&] {
      EXPECT_FALSE(session.failure().has_value());
      cuda::fail_call("ncclCommGetAsyncError", 1);
      expect_words(session.failure().value_or(comm::DeviceFailure{}).reason,
                   {"ncclCommGetAsyncError failed: invalid argument"});
      session.cancel("the watchdog ends the job");
      expect_words(session.failure().value_or(comm::DeviceFailure{}).reason, {"the watchdog ends the job"});
    });
    watchdog.join();
    request.wait_host();
  });
  for (auto const& text : words) expect_words(text, {"receive of 12 x f32", "the watchdog ends the job"});
}

}  // namespace
}  // namespace tessera::support
