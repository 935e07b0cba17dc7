// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "train/watchdog/device_watch.hpp"

#include <chrono>
#include <string_view>
#include <utility>

#include "tessera/base/run_within.hpp"

namespace tessera::train {

bool DeviceWatch::failed() const noexcept {
  auto const session = devices_.load();
  return session != nullptr && session->failure().has_value();
}

void DeviceWatch::post_failure(comm::ProcessRecord& record) const noexcept {
  auto const session = devices_.load();
  if (session == nullptr || record.has_failed) return;
  auto const failure = session->failure();
  if (!failure) return;
  comm::copy_text(record.failed, failure->communicator);
  comm::copy_text(record.failure, std::string_view(failure->reason).substr(0, record.failure.size() - 1));
  record.has_failed = true;
}

void DeviceWatch::cancel() const {
  auto session = devices_.load();
  if (session == nullptr) return;
  run_within(std::chrono::seconds(1),
             [session = std::move(session)] { session->cancel("the watchdog ends the job"); });
}

}  // namespace tessera::train
