// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// How an activation is placed over the tensor-parallel ranks, said in its type. A layer's signature names the
// placement it takes and the one it gives, and only the collectives below convert one into another, so a
// forgotten tensor-parallel collective does not compile. No cost at run time: each type is a view.
//
//   Replicated         (S*B, D)        the same on every rank
//   Residual           (S*B, D)        the residual stream: replicated, or under sequence parallelism (SP)
//                      (S/t*B, D)      cut along S. The one placement that is chosen at run time
//   ShardedFeatures    (tiles, S*B, W/T) the rank's tiles of the columns; tile-major, so that a product over
//   a tile
//                                      does not know how many tiles its rank owns
//   Partial            (S*B, D)        this rank's summand of a sum over the ranks, not yet completed
//
//   gather:  Residual -> Replicated    all-gather along S under SP, else nothing
//   reduce:  Partial  -> Residual      reduce-scatter along S under SP, else all-reduce
//
// T is the compute type, but for sums: partial and completed ones are Partial and Residual of Wide<T>, and
// are rounded to T by the operation that takes them.
#pragma once

#include <utility>

#include "tessera/base/views.hpp"
#include "tessera/comm/request.hpp"
#include "tessera/layers/context.hpp"

namespace tessera::layers {

template <class T>
struct Replicated {
  Matrix<T> value;
};

template <class T>
struct Residual {
  Matrix<T> value;
};

template <class T>
struct ShardedFeatures {
  Cube<T> value;
};

template <class T>
struct Partial {
  Matrix<T> value;
};

/// A placement that a collective under way is making. The value can only be had by waiting for it.
template <class Placed>
class [[nodiscard]] Pending {
 public:
  explicit Pending(Placed placed) : placed_(placed) {}
  Pending(Placed placed, comm::Request request) : placed_(placed), request_(std::move(request)) {}

  /// Orders the compute stream after the collective and gives its result. Throws CommError if it failed.
  Placed wait(Context const& context) {
    request_.wait(context.stream());
    return placed_;
  }

 private:
  Placed placed_;
  comm::Request request_;
};

/// Starts making `x` whole on every rank of tp. Under SP the result lies in `whole` (S*B, D), else it is `x`.
/// Collective over tp.
template <class T>
Pending<Replicated<T>> gather(Context const& context, Residual<T> x, Matrix<T> whole);

/// Starts completing a sum over tp. Under SP the result lies in `shard` (S/t*B, D), else in place of
/// `partial`. Collective over tp.
template <class T>
Pending<Residual<T>> reduce(Context const& context, Partial<T> partial, Matrix<T> shard);

}  // namespace tessera::layers
