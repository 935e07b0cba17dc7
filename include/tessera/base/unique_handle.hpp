// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

namespace tessera {

/// Sole owner of a C handle. No class of this library writes its own move: it holds one of these.
///
/// `Traits` supplies `using Handle`, `static Handle null() noexcept` and `static void free(Handle) noexcept`.
/// A moved-from owner holds null; assigning an owner to itself changes nothing.
template <class Traits>
class UniqueHandle {
 public:
  using Handle = typename Traits::Handle;

  UniqueHandle() noexcept : handle_(Traits::null()) {}
  explicit UniqueHandle(Handle handle) noexcept : handle_(handle) {}
  UniqueHandle(UniqueHandle const&) = delete;
  UniqueHandle& operator=(UniqueHandle const&) = delete;
  UniqueHandle(UniqueHandle&& other) noexcept : handle_(other.release()) {}
  UniqueHandle& operator=(UniqueHandle&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~UniqueHandle() { reset(); }

  [[nodiscard]] Handle get() const noexcept { return handle_; }
  /// Address for C calls that fill in a handle or change it in place.
  [[nodiscard]] Handle* address() noexcept { return &handle_; }
  [[nodiscard]] explicit operator bool() const noexcept { return handle_ != Traits::null(); }

  /// Gives the handle up without freeing it.
  [[nodiscard]] Handle release() noexcept { return std::exchange(handle_, Traits::null()); }
  /// Frees the handle held, if any, and takes another.
  void reset(Handle handle = Traits::null()) noexcept {
    Handle const old = std::exchange(handle_, handle);
    if (old != Traits::null()) Traits::free(old);
  }

 private:
  Handle handle_;
};

}  // namespace tessera
