// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What notices that a job no longer moves. When a rank stops, leaves early, or calls something else than the
// others, the others wait for ever, and a communication library says nothing. So every process posts its
// calls on a board (comm/call_board.hpp), and a thread of its own, which makes no call of the communication
// library, looks after it:
//
// - A wait that lasts longer than the time-out is an alarm. The lowest rank that still answers then collects
//   the boards of all, prints one report that names the rank that the others wait for, and ends the job with
//   exit code 76.
// - A process of the same node that ends without having left (leave(), or the destructor) is an alarm at
// once.
// - So is a communicator between devices that its library gives up, of which nobody else would hear while the
// program waits for its device.
//
// The boards of a node lie in one piece of shared memory, so that those of stopped and dead processes can be
// read too. Between nodes the threads ask each other over TCP, and only after an alarm: a job in good order
// sends nothing. A process answers only who knows a random number that the ranks exchange at the start.
//
// Time in which the whole process did not run (suspended, a virtual machine paused) does not count.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tessera/comm/call_board.hpp"
#include "tessera/comm/communicator.hpp"
#include "tessera/comm/device_session.hpp"

namespace tessera::train {

struct WatchdogOptions {
  double timeout_s = 600;
  std::string program{"tessera"};  ///< the report begins with its name
};

class Watchdog {
 public:
  /// Collective over `world`, which it does not keep.
  Watchdog(comm::Communicator& world, WatchdogOptions options);
  Watchdog(Watchdog const&) = delete;
  Watchdog& operator=(Watchdog const&) = delete;
  /// Leaves. The communicators that were made watched are gone by then.
  ~Watchdog();

  /// Collective over `inner`. Decorates it so that its calls are watched (comm/watched.hpp). `patience`: how
  /// many time-outs a wait may last.
  [[nodiscard]] std::unique_ptr<comm::Communicator> watched(std::unique_ptr<comm::Communicator> inner,
                                                            std::string_view name, int patience = 1);
  /// What this process posts: for what waits beside the watched communicators. As long as this lives.
  [[nodiscard]] comm::ProcessRecord& record() noexcept;
  /// By which number the report calls this process: its rank of `world` until this is called.
  void set_rank(int rank) noexcept;
  /// From now on looks whether a communicator of `devices` has failed, and ends them with the job. Not
  /// collective.
  void look_after(std::shared_ptr<comm::DeviceSession> devices);
  /// Where a communicator of the devices has failed, waits until the job is ended for it, so that the errors
  /// that this process meets by it need no words of their own; else returns. Not collective.
  void end_if_devices_failed();
  /// From now on this process may wait as long as it likes, and end, without an alarm; and as what follows
  /// may be the end of the job, others of its node may end too. Not collective.
  void leave() noexcept;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace tessera::train
