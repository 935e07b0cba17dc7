// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The tensor types of the library: row-major Kokkos views that borrow their memory. Owners are Kokkos::View
// without the Unmanaged trait, or an Arena (base/arena.hpp); both convert to these. A borrowed view is two
// words and its extents, so it is passed by value and copying it costs no reference count.
#pragma once

#include <type_traits>

#include "tessera/base/kokkos.hpp"

namespace tessera {

namespace detail {
template <class Data>
using Borrowed =
    Kokkos::View<Data, Kokkos::LayoutRight, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
}  // namespace detail

/// One, two, three dims of T. Shapes are stated where they are used, in the letters of README.md.
template <class T>
using Vector = detail::Borrowed<T*>;
template <class T>
using Matrix = detail::Borrowed<T**>;
template <class T>
using Cube = detail::Borrowed<T***>;

/// Read-only arguments of function templates. They take no part in deduction: T comes from the outputs, and a
/// mutable view converts.
template <class T>
using ConstVector = std::type_identity_t<Vector<T const>>;
template <class T>
using ConstMatrix = std::type_identity_t<Matrix<T const>>;
template <class T>
using ConstCube = std::type_identity_t<Cube<T const>>;

/// The i-th slice of the first dim.
template <class T>
KOKKOS_INLINE_FUNCTION Matrix<T> slice(Cube<T> const& cube, std::size_t i) {
  return Matrix<T>(cube.data() + i * cube.extent(1) * cube.extent(2), cube.extent(1), cube.extent(2));
}
template <class T>
KOKKOS_INLINE_FUNCTION Vector<T> slice(Matrix<T> const& matrix, std::size_t i) {
  return Vector<T>(matrix.data() + i * matrix.extent(1), matrix.extent(1));
}

/// All elements as one dim; every view of this library is contiguous.
template <class View>
KOKKOS_INLINE_FUNCTION auto flat(View const& view) {
  return Vector<typename View::value_type>(view.data(), view.size());
}

}  // namespace tessera
