// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/base/kokkos.hpp"

namespace tessera {

/// The queue of work that an operation is ordered with, without the vendor's type. On host spaces there is no
/// queue: work has ended when the call that started it returns, and a StreamRef is null.
/// Borrows: the execution-space instance must outlive it.
class StreamRef {
 public:
  StreamRef() = default;
  explicit StreamRef(ExecutionSpace const& exec) : exec_(&exec) {}
  /// The instance it was made from, or null.
  [[nodiscard]] ExecutionSpace const* exec() const noexcept { return exec_; }

 private:
  ExecutionSpace const* exec_ = nullptr;
};

}  // namespace tessera
