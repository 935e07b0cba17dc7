// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/device_work.hpp"

#include <fmt/format.h>

#include "tessera/base/error.hpp"

namespace tessera::comm {

DeviceWork::DeviceWork(DeviceWatchers const& watchers) : session_(watchers.session) {
  PostedCall call;
  call.channel = PostedCall::the_device;
  if (watchers.record != nullptr) wait_.emplace(*watchers.record, call);
}

void DeviceWork::fence(ExecutionSpace const& exec) const {
  tessera::fence(exec);
  if (session_ == nullptr) return;
  auto const failure = session_->failure();
  if (!failure) return;
  throw CommError(fmt::format("communication between devices has failed, in communicator \"{}\": {}",
                              failure->communicator, failure->reason));
}

}  // namespace tessera::comm
