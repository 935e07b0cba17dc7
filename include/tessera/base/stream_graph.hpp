// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Work of a device's queue, recorded and given to the device again as one: what its launches cost the host is
// paid once (CUDA graphs).
#pragma once

#include <functional>
#include <memory>

#include "tessera/base/kokkos.hpp"

namespace tessera {

class StreamGraph {
 public:
  virtual ~StreamGraph() = default;
  StreamGraph() = default;
  StreamGraph(StreamGraph const&) = delete;
  StreamGraph& operator=(StreamGraph const&) = delete;

  /// Calls `work`, all of which is for `exec`, and keeps what it gives the device instead of doing it, in
  /// place of what was recorded before. `work` may not wait for the device nor allocate its memory. Throws
  /// DeviceError.
  virtual void record(ExecutionSpace const& exec, std::function<void()> const& work) = 0;
  /// Gives `exec` what was recorded last, with the arguments that it had: addresses and numbers. Throws
  /// DeviceError.
  virtual void launch(ExecutionSpace const& exec) = 0;
};

/// Null where there is no device, or none of a vendor whose graphs Tessera knows.
[[nodiscard]] std::unique_ptr<StreamGraph> make_stream_graph();

}  // namespace tessera
