// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// How the watchdogs of a job ask each other something while the communication library is stuck: each listens
// on a TCP port that the system chose. One short question on a connection, one answer. Of one thread, but for
// the constructor.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <poll.h>

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
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::milliseconds;

  /// Collective over `world`.
  explicit SideChannel(comm::Communicator& world);
  SideChannel(SideChannel const&) = delete;
  SideChannel& operator=(SideChannel const&) = delete;
  ~SideChannel();

  using Answer = std::function<std::string(Question)>;
  /// Asks all `ranks` at the same time, and serves those who ask meanwhile: they would else take this process
  /// for a silent one, and two that ask each other would wait for each other. The answers in the order of the
  /// ranks; nothing of those that do not answer within `time`.
  [[nodiscard]] std::vector<std::optional<std::string>> ask(std::span<int const> ranks, Question question,
                                                            Milliseconds time, Answer const& answer);

  /// Adds what to poll for those who ask.
  void add_wishes(std::vector<pollfd>& wishes) const;
  /// Takes questions and answers them with what `answer` gives, as far as that goes without waiting, after a
  /// poll of what add_wishes added. Strangers get nothing.
  void serve(std::span<pollfd const> wishes, Answer const& answer);

 private:
  struct Letter {
    std::array<std::uint64_t, 2> secret{};
    std::int32_t to = 0;
    Question question = Question::ping;
  };
  class Attempt;
  class Visit;
  void listen();
  void converse(std::vector<std::unique_ptr<Attempt>>& attempts,
                std::vector<std::optional<std::string>>& answers, Clock::time_point end,
                Answer const& answer);

  int listener_ = -1;
  int rank_ = 0;
  std::array<std::uint64_t, 2> secret_{};
  std::vector<Endpoint> endpoints_;  // (world)
  std::vector<std::unique_ptr<Visit>> visits_;
};

}  // namespace tessera::train
