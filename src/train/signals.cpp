// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/signals.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>

#include "tessera/base/error.hpp"

namespace tessera::train {

namespace {

constexpr std::array watched{SIGUSR1, SIGTERM};
constexpr std::int64_t same_request_ns = 1'000'000'000;

// What a handler may touch: atomics without locks.
std::atomic<int> first_signal{0};
std::array<std::atomic<std::int64_t>, watched.size()> arrivals{};  // 0: not yet
static_assert(std::atomic<std::int64_t>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

bool exists = false;
std::array<struct sigaction, watched.size()> actions_before{};

std::int64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec + 1;
}

extern "C" void remember_signal(int signal) {
  std::int64_t const now = now_ns();
  int none = 0;
  first_signal.compare_exchange_strong(none, signal);
  std::int64_t earlier = 0;
  if (arrivals[signal == SIGUSR1 ? 0 : 1].compare_exchange_strong(earlier, now)) return;
  if (now - earlier < same_request_ns) return;
  std::signal(signal, SIG_DFL);
  std::raise(signal);  // takes effect when this handler returns
}

}  // namespace

SignalWatch::SignalWatch() {
  require(!exists, "one SignalWatch exists at a time");
  exists = true;
  struct sigaction action {};
  action.sa_handler = &remember_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigset_t unblocked;
  sigemptyset(&unblocked);
  for (std::size_t i = 0; i < watched.size(); ++i) {
    sigaction(watched[i], &action, &actions_before[i]);
    sigaddset(&unblocked, watched[i]);
  }
  pthread_sigmask(SIG_UNBLOCK, &unblocked, nullptr);
}

SignalWatch::~SignalWatch() {
  for (std::size_t i = 0; i < watched.size(); ++i) sigaction(watched[i], &actions_before[i], nullptr);
  first_signal = 0;
  for (auto& arrival : arrivals) arrival = 0;
  exists = false;
}

int SignalWatch::first() const noexcept { return first_signal; }

}  // namespace tessera::train
