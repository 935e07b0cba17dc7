// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "tessera/base/kokkos.hpp"
#include "tessera/comm/call_board.hpp"
#include "tessera/comm/device_session.hpp"

namespace tessera::comm {

/// Who is told that a program waits for its device, and who knows of the operations between devices. Null:
/// nobody.
struct DeviceWatchers {
  ProcessRecord* record = nullptr;
  DeviceSession* session = nullptr;
};

/// A stretch of a program in which the device does what takes long and the host only tells it what to do.
/// Operations between ranks are waited for in the queues of the device, so that a missing rank blocks the
/// host where it fences, or where a queue is full, and no call of a communicator tells so. Therefore, as long
/// as this lives, the record says between the calls that the process waits for its device.
class DeviceWork {
 public:
  explicit DeviceWork(DeviceWatchers const& watchers);

  /// Blocks until all work given to `exec` so far has ended. Throws CommError where a communicator between
  /// devices has failed or was cancelled: its queue went on without the operation, and what was computed
  /// behind it is of no use.
  void fence(ExecutionSpace const& exec) const;

 private:
  DeviceSession* session_;
  std::optional<PostedWait> wait_;
};

}  // namespace tessera::comm
