// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tessera/comm/communicator.hpp"

namespace tessera::comm {

/// How long a library for devices may keep a rank waiting before it counts as failed.
struct DeviceLimits {
  std::chrono::milliseconds opening{120'000};  ///< until all ranks of a group have opened their communicator
  std::chrono::milliseconds waiting{
      600'000};  ///< for the end of one operation, from when it is first asked for
};

/// What a library says of a communicator that cannot be used any more.
struct DeviceFailure {
  std::string communicator;  ///< the name that it was made under
  std::string reason;
};

/// A communication library that moves the memory of devices, open on this rank's device. It cannot start
/// processes nor tell them of each other, so each of its communicators stands on one that can: an MPI's.
/// Communicators may outlive the session. Only an application opens one.
class DeviceSession {
 public:
  virtual ~DeviceSession() = default;
  DeviceSession() = default;
  DeviceSession(DeviceSession const&) = delete;
  DeviceSession& operator=(DeviceSession const&) = delete;

  /// Collective over `group`, which is used up. A channel between the same ranks in the same order.
  /// Operations on memory that only the host reaches (flags, counts) go through `group` itself; splits and
  /// duplicates are made from its. Throws CommError, on all ranks, where it fails on one or takes longer than
  /// DeviceLimits::opening. `name` is for messages of failures.
  [[nodiscard]] virtual std::unique_ptr<Communicator> over(std::unique_ptr<Communicator> group,
                                                           std::string_view name = {}) = 0;
  /// The device of this rank, for messages: "GPU 2 (0000:65:00.0)".
  [[nodiscard]] virtual std::string device() const = 0;

  /// For a watchdog; may be called by any thread. What the library reports to have failed in one of the
  /// communicators, or nothing while all are well. Never waits for another rank, nor for a call under way.
  [[nodiscard]] virtual std::optional<DeviceFailure> failure() noexcept = 0;
  /// The same. Ends everything under way in all communicators: their requests, waited for or not, throw
  /// CommError with `reason`, and devices are idle again. The communicators cannot be used any more.
  virtual void cancel(std::string_view reason) noexcept = 0;
};

/// One row of the table of device communicators built into this binary.
struct DeviceCommunicatorBackend {
  std::string_view name;
  /// Collective over `world`, all ranks of the job. Takes this rank's device: the one that Kokkos runs on,
  /// else the one of the rank's place in its node. Throws DeviceError, on all ranks, where one has none or
  /// two share one.
  std::unique_ptr<DeviceSession> (*open)(Communicator& world, DeviceLimits const& limits);
  /// Name and version of the library, "NCCL: 2.28.3"; needs no session. Null where it does not tell.
  std::string (*version)() = nullptr;
};

/// All device communicators of this binary, often none. Generated from the folders under backends/.
std::span<DeviceCommunicatorBackend const> device_communicator_backends();

/// Collective over `world`. Opens the backend called `name` of `table`; throws ConfigError naming those there
/// are.
[[nodiscard]] std::unique_ptr<DeviceSession> open_device_session(
    std::span<DeviceCommunicatorBackend const> table, std::string_view name, Communicator& world,
    DeviceLimits const& limits = {});

}  // namespace tessera::comm
