// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/attention.hpp"

#include <algorithm>
#include <string>

#include "kernels/attention_device.hpp"
#include "kernels/attention_host.hpp"
#include "kernels/flash/device.hpp"
#include "tessera/base/error.hpp"

namespace tessera::kernels {

namespace {

std::string const attention_forward_label = "tessera::kernels::attention_forward";
std::string const attention_backward_label = "tessera::kernels::attention_backward";

/// Runs f(index, scratch) for every (sequence, head).
template <class T, class F>
void for_each_head(ExecutionSpace const& exec, std::string const& label, AttentionShape const& shape,
                   F const& f) {
  using Policy = Kokkos::TeamPolicy<ExecutionSpace>;
  std::size_t const bytes = attention_scratch_bytes<T>(shape);
  std::size_t const limit = attention_scratch_limit();
  if (bytes > limit) {
    throw ConfigError({"attention over " + std::to_string(shape.positions) + " positions takes " +
                       std::to_string(bytes) + " bytes of scratch memory a thread and Kokkos gives at most " +
                       std::to_string(limit) + ": choose a shorter sequence length"});
  }
  Policy policy(exec, static_cast<int>(shape.batch * shape.heads), 1);
  policy.set_scratch_size(1, Kokkos::PerTeam(static_cast<int>(bytes)));
  Kokkos::parallel_for(label, policy, [=](typename Policy::member_type const& team) {
    f(static_cast<std::ptrdiff_t>(team.league_rank()),
      static_cast<T*>(team.team_scratch(1).get_shmem_aligned(static_cast<std::ptrdiff_t>(bytes) - 64, 64)));
  });
}

}  // namespace

std::size_t attention_scratch_limit() {
  return static_cast<std::size_t>(Kokkos::TeamPolicy<ExecutionSpace>::scratch_size_max(1));
}

template <class T>
std::size_t attention_scratch_bytes(AttentionShape const& shape) {
  if constexpr (!runs_on_host) return 0;
  auto const forward = attention::ForwardScratch<T>(shape, nullptr).size;
  auto const backward = attention::BackwardScratch<T>(shape, nullptr).size;
  return static_cast<std::size_t>(std::max(forward, backward)) * sizeof(T) + 64;
}

template <class T>
void attention_forward(ExecutionSpace const& exec, AttentionShape const& shape, ConstMatrix<T> qkv,
                       DropoutHeads const& dropout, Matrix<T> out, Vector<Wide<T>> log_sum_exp) {
  attention::Forward<T> const call{shape,      qkv.data(),
                                   out.data(), log_sum_exp.data(),
                                   dropout,    DropoutFactors(dropout.probability, dropout.site)};
  if constexpr (runs_on_host) {
    for_each_head<Wide<T>>(exec, attention_forward_label, shape, [=](std::ptrdiff_t index, Wide<T>* memory) {
      attention::forward_head(call, index, memory);
    });
  } else if (!flash::forward(exec, attention_forward_label, call)) {
    attention::forward_on_device(exec, attention_forward_label, call);
  }
}

template <class T>
void attention_backward(ExecutionSpace const& exec, AttentionShape const& shape, ConstMatrix<T> qkv,
                        ConstMatrix<T> out, ConstVector<Wide<T>> log_sum_exp, ConstMatrix<T> dout,
                        DropoutHeads const& dropout, Matrix<T> dqkv) {
  attention::Backward<T> const call{shape,
                                    qkv.data(),
                                    out.data(),
                                    log_sum_exp.data(),
                                    dout.data(),
                                    dropout,
                                    DropoutFactors(dropout.probability, dropout.site),
                                    dqkv.data()};
  if constexpr (runs_on_host) {
    for_each_head<Wide<T>>(exec, attention_backward_label, shape, [=](std::ptrdiff_t index, Wide<T>* memory) {
      attention::backward_head(call, index, memory);
    });
  } else if (!flash::backward(exec, attention_backward_label, call)) {
    attention::backward_on_device(exec, attention_backward_label, call);
  }
}

#define TESSERA_INSTANTIATE(T)                                                                      \
  template void attention_forward<T>(ExecutionSpace const&, AttentionShape const&, ConstMatrix<T>,  \
                                     DropoutHeads const&, Matrix<T>, Vector<Wide<T>>);              \
  template void attention_backward<T>(ExecutionSpace const&, AttentionShape const&, ConstMatrix<T>, \
                                      ConstMatrix<T>, ConstVector<Wide<T>>, ConstMatrix<T>,         \
                                      DropoutHeads const&, Matrix<T>);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)

template std::size_t attention_scratch_bytes<float>(AttentionShape const&);
template std::size_t attention_scratch_bytes<double>(AttentionShape const&);

}  // namespace tessera::kernels
