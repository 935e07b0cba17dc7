// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Every call of CUDA and NCCL that the backend makes fails once, on one of two ranks.
#include <map>
#include <span>

#include "nccl/ranks.hpp"

namespace tessera::support {
namespace {

/// Made to end something: a failure of theirs is nobody's business any more.
std::set<std::string> const ending{"cudaEventDestroy", "cudaFree",        "cudaStreamDestroy",
                                   "ncclCommAbort",    "ncclCommDestroy", "ncclCommFinalize"};

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

void call_everything(comm::Communicator& group) {
  auto const ranks = static_cast<std::size_t>(group.size());
  DeviceArray<float> const whole(6 * ranks, 1.0f);
  DeviceArray<float> const other(6 * ranks, 0.0f);
  std::span<float> const part(other.data(), 6);
  comm::all_reduce_in_place(group, whole, comm::Op::sum).wait_host();
  comm::all_gather(group, part, whole).wait_host();
  comm::reduce_scatter(group, whole, part, comm::Op::max).wait_host();
  comm::all_to_all(group, whole, other).wait_host();
  comm::broadcast(group, whole, 0).wait_host();
  comm::barrier(group);
  int const peer = (group.rank() + 1) % group.size();
  comm::Request sent;
  comm::Request received;
  {
    comm::GroupGuard const guard(group);
    sent = comm::send(group, whole, peer);
    received = comm::receive(group, other, peer);
  }
  sent.wait_host();
  received.wait_host();
}

/// A life of the backend; rank 1 has `fails` fail at its `nth` call.
std::vector<std::string> live(std::string const& fails, int nth, std::map<std::string, int>* calls) {
  Sessions sessions;
  auto const body = [&](comm::Communicator& world) {
    cuda::reset_calls();
    if (world.rank() == 1 && nth > 0) cuda::fail_call(fails, nth);
    {
      auto const session = backends::nccl::open(world, patient);
      Announced const announced(sessions, *session);
      auto const group = session->over(world.duplicate());
      call_everything(*group);
      call_everything(*group->split(0, -group->rank()));
    }
    if (world.rank() == 1 && calls != nullptr) *calls = cuda::calls();
  };
  return words_of(
      run_ranks(2, 0, body, [&](int rank) { sessions.cancel("rank " + std::to_string(rank) + " failed"); }));
}

class FailingCalls : public OnNccl {};

TEST_F(FailingCalls, EachIsToldByNameAndNobodyHangs) {
  std::map<std::string, int> calls;
  ASSERT_EQ(live("", 0, &calls), std::vector<std::string>(2));
  EXPECT_GE(calls.size(), 25u);
  int told = 0;
  for (auto const& [function, count] : calls) {
    if (function == "cudaGetLastError") continue;
    SCOPED_TRACE(function);
    auto const words = live(function, 1, nullptr);
    if (ending.contains(function)) {
      EXPECT_EQ(words, std::vector<std::string>(2));
      continue;
    }
    ++told;
    expect_words(words[1], {function.c_str(), " failed: "});
    EXPECT_EQ(cuda::objects_alive(), 0);
  }
  EXPECT_GE(told, 18);
}

TEST_F(FailingCalls, TheLastOfEachKindToo) {
  std::map<std::string, int> calls;
  ASSERT_EQ(live("", 0, &calls), std::vector<std::string>(2));
  for (auto const& [function, count] : calls) {
    // How often some are called is a matter of time, and memory is taken by the test as well.
    bool const counted =
        !std::set<std::string>{"cudaEventQuery", "ncclCommGetAsyncError", "cudaMalloc"}.contains(function);
    if (count == 1 || !counted) continue;
    SCOPED_TRACE(function);
    auto const words = live(function, count, nullptr);
    if (!ending.contains(function)) expect_words(words[1], {function.c_str(), " failed: "});
    EXPECT_EQ(cuda::objects_alive(), 0);
  }
}

}  // namespace
}  // namespace tessera::support
