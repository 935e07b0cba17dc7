// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Gradients that were not reduced do not reach the optimiser, and what exists once is not copied.
#include "tessera/comm/request.hpp"
#include "tessera/data_parallel/gradient_reducer.hpp"
#include "tessera/model/stage.hpp"
#include "tessera/optim/adamw.hpp"

using namespace tessera;

void use(ExecutionSpace const& exec, params::ParameterStore<float>& store, optim::Adamw<float> const& adamw,
         data_parallel::GradientReducer<float>& reducer, comm::Request request,
         [[maybe_unused]] model::Stage<float> const& stage) {
  params::LocalGradients<float> local(store);
#if CASE == 0
  adamw.update(exec, reducer.finish(std::move(local)), 1e-3, 1.0, 1);
  comm::Request const moved(std::move(request));
#elif CASE == 1  // the reduction is missing
  adamw.update(exec, std::move(local), 1e-3, 1.0,
               1);  // error: cannot convert
#elif CASE == 2
  params::ReducedGradients<float> const made(store);  // error: is private within this context
#elif CASE == 3
  params::ReducedGradients<float> const converted(
      local);  // error: no matching function for call to
               // 'tessera::params::ReducedGradients<float>::ReducedGradients
#elif CASE == 4  // an update uses gradients up, it says so at the call
  auto const reduced = reducer.finish(std::move(local));
  adamw.update(exec, reduced, 1e-3, 1.0, 1);  // error: cannot bind rvalue reference
#elif CASE == 5
  reducer.finish(local);  // error: cannot bind rvalue reference
#elif CASE == 6
  params::LocalGradients<float> const copy(local);  // error: use of deleted function
#elif CASE == 7
  auto const reduced = reducer.finish(std::move(local));
  params::ReducedGradients<float> const copy(reduced);  // error: use of deleted function
#elif CASE == 8
  comm::Request const copy(request);  // error: use of deleted function
#elif CASE == 9
  model::Stage<float> const copy(stage);  // error: use of deleted function
#elif CASE == 10
  data_parallel::GradientReducer<float> const copy(reducer);  // error: use of deleted function
#endif
}
