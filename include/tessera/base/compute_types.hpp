// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The types that a model can be computed in. What is a template of one is instantiated for these, by the
// macros below, and for no others.
#pragma once

#include "tessera/base/bf16.hpp"
#include "tessera/base/f16.hpp"

/// INSTANTIATE(T) for each compute type T.
#define TESSERA_FOR_COMPUTE_TYPES(INSTANTIATE) \
  INSTANTIATE(float)                           \
  INSTANTIATE(double)                          \
  INSTANTIATE(::tessera::bf16)                 \
  INSTANTIATE(::tessera::f16)

/// `WHAT NAME<T>;` for each compute type T, where WHAT is `extern template class`, `template struct`, ...
#define TESSERA_COMPUTE_TYPES(WHAT, NAME) \
  WHAT NAME<float>;                       \
  WHAT NAME<double>;                      \
  WHAT NAME<::tessera::bf16>;             \
  WHAT NAME<::tessera::f16>;
