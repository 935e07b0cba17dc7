// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tessera/comm/call_board.hpp"
#include "tessera/comm/device_session.hpp"

namespace tessera::train {

/// What is known of one process when a report is made.
struct ProcessView {
  int rank = 0;
  std::string host;
  int process = 0;
  char state = 'R';      ///< as the system has it; X: gone; ?: its node does not answer
  bool left = false;     ///< in good order
  int time_outs = 0;     ///< whole ones that it has been waiting for
  bool overdue = false;  ///< it waits for longer than its communicator allows
  std::optional<comm::PostedCall> waiting, last;
  std::optional<comm::DeviceFailure> failure;  ///< of one of its communicators

  struct Channel {
    std::string name;
    std::uint64_t group = 0;
    int rank = 0, size = 0;
    std::uint64_t collectives = 0;
    std::vector<comm::PostedCall> calls;     ///< last collectives, any order
    std::vector<comm::PostedCall> messages;  ///< last messages, any order
  };
  std::vector<Channel> channels;
};

/// Reads a record of the board; `state` is what the system says of the process now.
[[nodiscard]] ProcessView view_of(comm::ProcessRecord const& record, char state);

/// How many whole time-outs somebody has been waiting for, if nobody will come: 0 where a wait may still end.
/// That is so when it is overdue, or when a process is stopped.
[[nodiscard]] int time_outs_of_hang(std::vector<ProcessView> const& processes);

/// Says which process, or which calls, the others wait for, one line each, and then who waits in what.
[[nodiscard]] std::string hang_report(std::vector<ProcessView> const& processes);

}  // namespace tessera::train
