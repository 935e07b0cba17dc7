// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

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

}  // namespace tessera
