// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

namespace tessera {

namespace detail {
template <class T>
struct WideOf {
  using type = T;
};
}  // namespace detail

/// What numbers of compute type T are added, accumulated and kept as masters in: float for bf16 and f16, else
/// T.
template <class T>
using Wide = typename detail::WideOf<T>::type;

/// Whether T is a type to store and to move only: bf16 and f16.
template <class T>
inline constexpr bool is_narrow_type = !std::is_same_v<T, Wide<T>>;

}  // namespace tessera
