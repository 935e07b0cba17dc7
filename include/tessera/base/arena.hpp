// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// All memory of a run is taken once, at set-up, from arenas. The code that takes it is the code that predicts
// it: run over a counting arena it allocates nothing and leaves the exact number of bytes behind, for a model
// of any size. So "needs and has" is known before anything is allocated, and no step allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tessera/base/views.hpp"

namespace tessera {

/// Hands out zero-filled tensors that live as long as the arena. Move-only; not for use by several threads.
class Arena {
 public:
  /// `counting` arenas hand out views with extents but no memory: data() is null.
  enum class Mode { allocating, counting };

  explicit Arena(std::string label, Mode mode = Mode::allocating);

  template <class T>
  Vector<T> vector(std::size_t n) {
    return Vector<T>(take<T>(n), n);
  }
  template <class T>
  Matrix<T> matrix(std::size_t rows, std::size_t columns) {
    return Matrix<T>(take<T>(rows * columns), rows, columns);
  }
  template <class T>
  Cube<T> cube(std::size_t n0, std::size_t n1, std::size_t n2) {
    return Cube<T>(take<T>(n0 * n1 * n2), n0, n1, n2);
  }

  /// From now on all arenas take memory that host code reaches too, where there is a device: tests look at
  /// tensors without copying them.
  static void share_with_host_for_tests();

  [[nodiscard]] bool counting() const noexcept { return mode_ == Mode::counting; }
  /// Bytes handed out so far, alignment included.
  [[nodiscard]] std::size_t used_bytes() const noexcept { return used_bytes_; }

 private:
  template <class T>
  T* take(std::size_t count) {
    return static_cast<T*>(take_bytes(count * sizeof(T)));
  }
  void* take_bytes(std::size_t bytes);

  std::string label_;
  Mode mode_;
  std::size_t used_bytes_ = 0;
  std::vector<Kokkos::View<std::uint64_t*, MemorySpace>> blocks_;  // words: filling bytes is slow
  std::vector<Kokkos::View<std::uint64_t*, SharedSpace>> shared_blocks_;
};

}  // namespace tessera
