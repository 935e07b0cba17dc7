// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The shapes of blocks that a head size D is worked on with, for the 16-bit types T. They are constants of
// the arithmetic: a tuning that changes them changes bits.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/flash/backward_keys.hpp"
#include "kernels/flash/backward_queries.hpp"
#include "kernels/flash/float_backward.hpp"
#include "kernels/flash/float_forward.hpp"
#include "kernels/flash/forward.hpp"

namespace tessera::kernels::flash {

template <class T, int D, bool drop>
using ForwardChoice = ForwardBody<attention::Forward<T>, D, 4, HeldRows<D, D == 64 ? 2 : 1>, drop>;

template <class T, int D>
using DeltasChoice = DeltasBody<attention::Backward<T>, D>;

template <class T, int D, bool drop>
using QueriesChoice = QueriesBody<attention::Backward<T>, HeldRows<D, D == 64 ? 2 : 1>, D, 4, 32, drop>;

template <class T, int D, bool drop>
using KeysChoice =
    KeysBody<attention::Backward<T>, std::conditional_t<D == 64, HeldRows<D, 1>, SharedRows<D, 1>>, D, 4,
             D == 64 ? 64 : 32, drop>;

/// Calls `launch` with `size` as a constant if there are tiles of that head size for the tensor cores.
template <class Launch>
bool with_head_size(std::int64_t size, Launch const& launch) {
  switch (size) {
    case 64: launch(std::integral_constant<int, 64>()); return true;
    case 80: launch(std::integral_constant<int, 80>()); return true;
    case 96: launch(std::integral_constant<int, 96>()); return true;
    case 128: launch(std::integral_constant<int, 128>()); return true;
    default: return false;
  }
}

}  // namespace tessera::kernels::flash
