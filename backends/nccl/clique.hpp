// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device.hpp"
#include "vendor.hpp"

namespace tessera::backends::nccl {

/// NCCL's communicator, non-blocking: its calls return while it works in the background, and between two of
/// them it must have settled. Any thread may abort it or ask for its failure; the rest is its owner's.
class Clique {
 public:
  /// `name` is that of the communicator in messages.
  Clique(std::shared_ptr<DeviceContext> context, std::string_view name);
  Clique(Clique const&) = delete;
  Clique& operator=(Clique const&) = delete;
  /// Ends it in good order where all is well, else aborts it.
  ~Clique();

  /// Begins to meet the other of `ranks` processes that have the same `id`. Throws CommError if it fails
  /// here.
  void start(ncclUniqueId const& id, int ranks, int rank);
  /// Until they have met. Throws CommError if it fails, or takes longer than DeviceLimits::opening.
  void await_others(int ranks);

  /// False while the library works on earlier calls. Throws CommError once it has failed or was aborted.
  [[nodiscard]] bool settled();
  /// `action(ncclComm_t)` while no other thread aborts it. Throws CommError if that has happened.
  void use(std::function<void(ncclComm_t)> const& action);

  /// Ends all that is under way in it, on this rank, and itself. The first `reason` is kept.
  void abort(std::string_view reason) noexcept;
  /// The part of abort that cannot hang: what is left to do is end_now of what it gives, which may be null.
  [[nodiscard]] ncclComm_t give_up(std::string_view reason) noexcept;
  /// What the library, or who aborted it, says; nothing while all is well, or its owner makes a call.
  [[nodiscard]] std::optional<std::string> failure() noexcept;
  [[nodiscard]] std::string const& name() const noexcept { return name_; }

 private:
  void expect_alive() const;
  [[nodiscard]] bool background_done();
  void finalize();

  std::shared_ptr<DeviceContext> context_;
  std::string name_;
  std::mutex mutex_;
  ncclComm_t comm_ = nullptr;
  bool open_ = false;
  std::string aborted_;  // why, once it was
};

/// Aborts all of `comms`, each on a thread of its own: one may wait for the kernels of another (NCCL's issue
/// 1013). Those that hang for a second are left behind.
void end_now(std::vector<ncclComm_t> comms) noexcept;

}  // namespace tessera::backends::nccl
