// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The harness of the must-not-compile tests on what the base room promises.
#include <memory>

#include "tessera/base/log.hpp"
#include "tessera/base/unique_handle.hpp"

struct IntTraits {
  using Handle = int;
  static Handle null() noexcept { return 0; }
  static void free(Handle) noexcept {}
};
using Handle = tessera::UniqueHandle<IntTraits>;

void use(Handle handle) {
#if CASE == 0
  Handle const other(std::move(handle));
#elif CASE == 1
  Handle const copy(handle);  // error: use of deleted function
#elif CASE == 2
  handle = handle;  // error: use of deleted function
#endif
}
