// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A tensor-parallel collective that is forgotten, or one too many, does not compile.
#include "tessera/layers/column_linear.hpp"
#include "tessera/layers/norm.hpp"
#include "tessera/layers/row_linear.hpp"

using namespace tessera;
using namespace tessera::layers;

void use(Context const& context, Norm<float> const& norm, ColumnLinear<float> const& column,
         RowLinear<float> const& row, NormSaved<float> const& saved, Residual<float> x,
         Replicated<float> whole, ShardedFeatures<float> features, Cube<float> levels, Matrix<float> memory) {
#if CASE == 0
  norm.forward(context, x, x, saved);
  column.forward(context, gather(context, x, memory).wait(context), features);
  Residual<float> const y = reduce(context, row.forward(context, features, levels), memory).wait(context);
  row.backward_input(context, gather(context, y, memory).wait(context), features);
  column.backward_parameters(context, features, whole);
#elif CASE == 1  // a sum that was never completed
  norm.forward(context, row.forward(context, features, levels), x,
               saved);  // error: cannot convert
#elif CASE == 2
  column.forward(context, row.forward(context, features, levels),
                 features);  // error: cannot convert
#elif CASE == 3
  Residual<float> const y = column.backward_input(context, features, levels);  // error: to non-scalar type
#elif CASE == 4  // features that other ranks hold
  norm.forward(context, features, x, saved);  // error: cannot convert
#elif CASE == 5  // a reduction that was started and not awaited
  norm.forward(context, reduce(context, row.forward(context, features, levels), memory), x,
               saved);  // error: cannot convert
#elif CASE == 6
  column.forward(context, gather(context, x, memory),
                 features);  // error: cannot convert
#elif CASE == 7  // positions that other ranks hold
  column.forward(context, x, features);  // error: cannot convert
#elif CASE == 8
  row.backward_input(context, x, features);  // error: cannot convert
#elif CASE == 9  // already whole
  reduce(context, whole, memory).wait(context);  // error: no matching function for call to
#elif CASE == 10
  gather(context, whole, memory).wait(context);  // error: no matching function for call to
#elif CASE == 11  // an operation has one owner
  auto pending = gather(context, x, memory);
  auto const copy = pending;  // error: use of deleted function
#endif
}
