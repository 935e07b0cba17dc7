// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "tessera/base/kokkos.hpp"
#include "tessera/comm/call_board.hpp"

namespace tessera::comm {

/// Who is told that a program waits for its device. Null: nobody.
struct DeviceWatchers {
  ProcessRecord* record = nullptr;
};

/// A stretch of a program in which the device does what takes long and the host only tells it what to do.
/// Operations between ranks are waited for in the queues of the device, so that a missing rank blocks the
/// host where it fences, or where a queue is full, and no call of a communicator tells so. Therefore, as long
/// as this lives, the record says between the calls that the process waits for its device.
class DeviceWork {
 public:
  explicit DeviceWork(DeviceWatchers const& watchers);

  /// Blocks until all work given to `exec` so far has ended.
  void fence(ExecutionSpace const& exec) const;

 private:
  std::optional<PostedWait> wait_;
};

}  // namespace tessera::comm
