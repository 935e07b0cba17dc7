// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>

#include "tessera/comm/call_board.hpp"
#include "tessera/comm/device_session.hpp"

namespace tessera::train {

/// What a watchdog does with the communicators between devices. Any thread may call anything.
class DeviceWatch {
 public:
  void look_after(std::shared_ptr<comm::DeviceSession> devices) noexcept { devices_ = std::move(devices); }
  /// Whether one of them has failed.
  [[nodiscard]] bool failed() const noexcept;
  /// Posts the first failure in the record of this process.
  void post_failure(comm::ProcessRecord& record) const noexcept;
  /// Ends what the devices do, as far as their library lets go of them within a second.
  void cancel() const;

 private:
  std::atomic<std::shared_ptr<comm::DeviceSession>> devices_;
};

}  // namespace tessera::train
