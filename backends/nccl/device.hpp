// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/comm/device_session.hpp"

namespace tessera::backends::nccl {

class Clique;

/// This rank's GPU: its number among those the process sees, and its address on the machine.
struct Device {
  int number = 0;
  std::string bus_id{};
};

/// Collective over `world`. The device that Kokkos runs on, else the one of this rank's place in its node,
/// made the current one. Throws DeviceError on all ranks where one has none or two of a node have the same.
[[nodiscard]] Device take_device(comm::Communicator& world);

/// What the communicators of a session share, and outlives it: the device, the limits, and the list of those
/// that a watchdog looks after.
class DeviceContext {
 public:
  DeviceContext(Device device, comm::DeviceLimits const& limits)
      : device_(std::move(device)), limits_(limits) {}

  [[nodiscard]] Device const& device() const noexcept { return device_; }
  [[nodiscard]] comm::DeviceLimits const& limits() const noexcept { return limits_; }

  void add(Clique& clique);
  void remove(Clique& clique) noexcept;
  [[nodiscard]] std::optional<comm::DeviceFailure> failure() noexcept;
  void cancel(std::string_view reason) noexcept;

 private:
  Device device_;
  comm::DeviceLimits limits_;
  std::mutex mutex_;
  std::vector<Clique*> cliques_;
};

}  // namespace tessera::backends::nccl
