// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/layers/placement.hpp"

#include "tessera/comm/collectives.hpp"

namespace tessera::layers {

template <class T>
Pending<Replicated<T>> gather(Context const& context, Residual<T> x, Matrix<T> whole) {
  if (!context.sequence_parallel) return Pending<Replicated<T>>(Replicated<T>{x.value});
  return {Replicated<T>{whole}, comm::all_gather(*context.tp, x.value, whole, context.stream())};
}

template <class T>
Pending<Residual<T>> reduce(Context const& context, Partial<T> partial, Matrix<T> shard) {
  if (!context.sequence_parallel) {
    return {Residual<T>{partial.value},
            comm::all_reduce_in_place(*context.tp, partial.value, comm::Op::sum, context.stream())};
  }
  return {Residual<T>{shard},
          comm::reduce_scatter(*context.tp, partial.value, shard, comm::Op::sum, context.stream())};
}

#define TESSERA_INSTANTIATE(T) template Pending<Replicated<T>> gather(Context const&, Residual<T>, Matrix<T>);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)
template Pending<Residual<float>> reduce(Context const&, Partial<float>, Matrix<float>);
template Pending<Residual<double>> reduce(Context const&, Partial<double>, Matrix<double>);

}  // namespace tessera::layers
