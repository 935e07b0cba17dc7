// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/device_work.hpp"

namespace tessera::comm {

DeviceWork::DeviceWork(DeviceWatchers const& watchers) {
  PostedCall call;
  call.channel = PostedCall::the_device;
  if (watchers.record != nullptr) wait_.emplace(*watchers.record, call);
}

void DeviceWork::fence(ExecutionSpace const& exec) const { tessera::fence(exec); }

}  // namespace tessera::comm
