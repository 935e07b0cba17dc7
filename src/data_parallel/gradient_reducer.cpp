// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/data_parallel/gradient_reducer.hpp"

#include <algorithm>
#include <chrono>

#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/kernels/tree.hpp"

namespace tessera::data_parallel {

namespace {

template <class T>
Vector<T> part(Vector<T> const& flat, params::Range range) {
  return Vector<T>(flat.data() + range.begin, static_cast<std::size_t>(range.size()));
}

std::int64_t bucket_elements(std::int64_t bytes, std::size_t element_bytes) {
  std::int64_t const elements = bytes / static_cast<std::int64_t>(element_bytes);
  return std::max<std::int64_t>(1, elements / params::tile_alignment) * params::tile_alignment;
}

}  // namespace

template <class T>
GradientReducer<T>::GradientReducer(params::ParameterStore<T>& store, ExecutionSpace const& exec,
                                    comm::Communicator& dp, Tie tie, ReducerOptions options)
    : store_(&store), exec_(exec), dp_(&dp), tie_(tie), options_(options) {
  std::int64_t const size = bucket_elements(options_.bucket_bytes, sizeof(Wide<T>));
  std::int64_t const end = store.gradient_range().end;
  requests_.resize(dp.size() > 1 ? static_cast<std::size_t>((end + size - 1) / size) : 0);
  ready_from_ = end;
}

template <class T>
params::Range GradientReducer<T>::bucket(std::size_t i) const {
  std::int64_t const size = bucket_elements(options_.bucket_bytes, sizeof(Wide<T>));
  std::int64_t const end = store_->gradient_range().end - static_cast<std::int64_t>(i) * size;
  return {std::max<std::int64_t>(0, end - size), end};
}

template <class T>
void GradientReducer<T>::merge(params::Range range, params::GradientTarget const& target) {
  for (int i = 0; i < target.merges; ++i) {
    int const upper = target.level - i;
    kernels::add_to<Wide<T>>(exec_, part(store_->gradients(upper - 1), range),
                             part(store_->gradients(upper), range));
  }
}

template <class T>
void GradientReducer<T>::gradients_ready(params::Range range, params::GradientTarget const& target) {
  merge(range, target);
  if (!target.last_of_step) return;
  require(range.end == ready_from_, "gradients become ready from the end of the store to its beginning");
  ready_from_ = range.begin;
  if (options_.overlap) start_ready_buckets();
}

template <class T>
void GradientReducer<T>::start_ready_buckets() {
  for (; started_ < requests_.size() && bucket(started_).begin >= ready_from_; ++started_) {
    requests_[started_] = all_reduce_in_place(*dp_, part(store_->gradients(0), bucket(started_)),
                                              comm::Op::sum, StreamRef(exec_));
  }
}

template <class T>
void GradientReducer<T>::add_tied_roles() {
  if (!tie_.table) return;
  auto const range = (*store_)[*tie_.table].range;
  auto const gradients = store_->gradients(0);
  if (tie_.second_gradient) {
    kernels::add_to<Wide<T>>(exec_, part(gradients, range),
                             part(gradients, (*store_)[*tie_.second_gradient].range));
  } else if (tie_.group != nullptr) {
    all_reduce_in_place(*tie_.group, part(gradients, range), comm::Op::sum, StreamRef(exec_))
        .wait(StreamRef(exec_));
  }
}

template <class T>
params::ReducedGradients<T> GradientReducer<T>::finish(params::LocalGradients<T>&& gradients) {
  require(&gradients.store() == store_ && ready_from_ == 0, "every gradient has been reported ready");
  auto const start = std::chrono::steady_clock::now();
  start_ready_buckets();
  for (auto& request : requests_) request.wait(StreamRef(exec_));
  waited_s_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  add_tied_roles();
  started_ = 0;
  ready_from_ = store_->gradient_range().end;
  return params::ReducedGradients<T>(*store_);
}

TESSERA_COMPUTE_TYPES(template class, GradientReducer)

}  // namespace tessera::data_parallel
