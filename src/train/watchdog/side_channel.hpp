// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// How the watchdogs of a job ask each other something while the communication library is stuck: each listens
// on a TCP port that the system chose. One short question on a connection, one answer.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <netinet/in.h>

#include "tessera/comm/communicator.hpp"

namespace tessera::train {

enum class Question : std::uint32_t {
  ping,   ///< are you there?
  board,  ///< what are the records of your node?
  speak,  ///< please report
  end     ///< the report is out: end your node
};

/// Where a rank listens.
struct Endpoint {
  static constexpr std::size_t most_addresses = 4;
  std::array<in6_addr, most_addresses> addresses{};  ///< IPv4 ones as IPv6 writes them
  std::uint32_t count = 0;
  std::uint32_t port = 0;  ///< 0: it does not listen
};

class SideChannel {
 public:
  using Milliseconds = std::chrono::milliseconds;

  /// Collective over `world`.
  explicit SideChannel(comm::Communicator& world);
  SideChannel(SideChannel const&) = delete;
  SideChannel& operator=(SideChannel const&) = delete;
  ~SideChannel();

  /// Asks all `ranks` at the same time. The answers in their order; nothing of those that do not answer
  /// within `time`. Any thread.
  [[nodiscard]] std::vector<std::optional<std::string>> ask(std::span<int const> ranks, Question question,
                                                            Milliseconds time) const;

  /// Polls readable when somebody asks; -1: never.
  [[nodiscard]] int listener() const noexcept { return listener_; }
  /// Takes one question and answers it with what `answer` gives. Strangers get nothing.
  void serve(std::function<std::string(Question)> const& answer) const;

 private:
  struct Letter {
    std::array<std::uint64_t, 2> secret{};
    std::int32_t to = 0;
    Question question = Question::ping;
  };
  void listen();

  int listener_ = -1;
  int rank_ = 0;
  std::array<std::uint64_t, 2> secret_{};
  std::vector<Endpoint> endpoints_;  // (world)
};

}  // namespace tessera::train
