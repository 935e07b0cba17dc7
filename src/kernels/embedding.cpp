// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/embedding.hpp"

#include "kernels/device_scratch.hpp"
#include "kernels/token_rows.hpp"

namespace tessera::kernels {

namespace {

std::string const embedding_forward_label = "tessera::kernels::embedding_forward";
std::string const embedding_backward_label = "tessera::kernels::embedding_backward";
std::string const label_order = "tessera::kernels::embedding_order";
std::string const label_position_forward = "tessera::kernels::position_forward";
std::string const label_position_backward = "tessera::kernels::position_backward";

/// dtable += dy by rows of equal token, in token order: a team walks all tokens with its columns.
template <class T>
void add_on_host(ExecutionSpace const& exec, token_rows::Tokens const& of, T const* dy, Wide<T>* dtable,
                 std::ptrdiff_t d) {
  constexpr std::ptrdiff_t owned_columns = 1024;
  std::ptrdiff_t const blocks = (d + owned_columns - 1) / owned_columns;
  rows(exec, embedding_backward_label, blocks, [=](RowTeam const& team, std::ptrdiff_t block) {
    std::ptrdiff_t const column = block * owned_columns;
    std::ptrdiff_t const count = d - column < owned_columns ? d - column : owned_columns;
    for (std::ptrdiff_t row = 0; row < of.n; ++row) {
      std::uint32_t const index = of.entry(row);
      if (index >= of.held) continue;
      T const* const slope = dy + row * d + column;
      Wide<T>* const entry = dtable + static_cast<std::ptrdiff_t>(index) * d + column;
      team.for_each(count, [&](std::ptrdiff_t c) { entry[c] += slope[c]; });
    }
  });
}

template <int W, class T>
void add_by_entry(ExecutionSpace const& exec, token_rows::AddByEntry<W, T> const& add) {
  rows(exec, embedding_backward_label, add.of.n * add.stretches(), add);
}

template <class T>
void add_on_device(ExecutionSpace const& exec, token_rows::Tokens const& of, T const* dy, Wide<T>* dtable,
                   std::ptrdiff_t d) {
  token_rows::Order const order{of, device_scratch<std::int32_t>(exec, of.n + 1)};
  rows(exec, label_order, order.warps(), order);
  constexpr int pack = elements_of_pack<Read<T>>;
  if (d % pack == 0 && detail::is_aligned(dy) && detail::is_aligned(dtable)) {
    add_by_entry<pack, T>(exec, {of, order.order, dy, dtable, d});
  } else {
    add_by_entry<1, T>(exec, {of, order.order, dy, dtable, d});
  }
}

}  // namespace

template <class T>
void embedding_forward(ExecutionSpace const& exec, Vector<std::int32_t const> tokens, ConstMatrix<T> table,
                       std::int64_t first_row, Matrix<Wide<T>> out, bool accumulate) {
  auto const d = static_cast<std::ptrdiff_t>(out.extent(1));
  auto const held = static_cast<std::int64_t>(table.extent(0));
  std::int32_t const* const token = tokens.data();
  T const* const from = table.data();
  Wide<T>* const to = out.data();
  rows(
      exec, embedding_forward_label, static_cast<std::ptrdiff_t>(out.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        std::int64_t const index = token[row] - first_row;
        Wide<T>* const line = to + row * d;
        if (index < 0 || index >= held) {
          team.for_each(d,
                        [&](std::ptrdiff_t c) { line[c] = accumulate ? line[c] + Wide<T>(0) : Wide<T>(0); });
        } else {
          Read const entry(from + index * d);
          if (accumulate) {
            team.map(
                d, [](Wide<T>& x, T value) { x += value; }, Update(line), entry);
          } else {
            team.map(
                d, [](Wide<T>& x, T value) { x = Wide<T>(0) + value; }, Write(line), entry);
          }
        }
      });
}

template <class T>
void embedding_backward(ExecutionSpace const& exec, Vector<std::int32_t const> tokens, ConstMatrix<T> dy,
                        std::int64_t first_row, Matrix<Wide<T>> dtable) {
  auto const d = static_cast<std::ptrdiff_t>(dy.extent(1));
  token_rows::Tokens const of{tokens.data(), static_cast<std::ptrdiff_t>(dy.extent(0)),
                              static_cast<std::uint32_t>(first_row),
                              static_cast<std::uint32_t>(dtable.extent(0))};
  if constexpr (runs_on_host) {
    add_on_host<T>(exec, of, dy.data(), dtable.data(), d);
  } else {
    add_on_device<T>(exec, of, dy.data(), dtable.data(), d);
  }
}

template <class T>
void position_forward(ExecutionSpace const& exec, ConstMatrix<Wide<T>> sum, ConstMatrix<T> table,
                      std::int64_t first_position, std::int64_t batch, DropoutRows const& dropout,
                      Matrix<T> x) {
  auto const d = static_cast<std::ptrdiff_t>(x.extent(1));
  Wide<T> const* const tokens = sum.data();
  T const* const from = table.data();
  T* const to = x.data();
  DropoutFactors const factors(dropout.probability, dropout.site);
  rows(
      exec, label_position_forward, static_cast<std::ptrdiff_t>(x.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        map_with_factors<Wide<T>>(
            team, factors, first_element(dropout, row, d), d,
            [](Wide<T> factor, T& result, Wide<T> token, T position) {
              result = static_cast<T>((token + position) * factor);
            },
            Write(to + row * d), Read(tokens + row * d), Read(from + (first_position + row / batch) * d));
      });
}

template <class T>
void position_backward(ExecutionSpace const& exec, ConstMatrix<T> dx, std::int64_t first_position,
                       std::int64_t batch, Matrix<Wide<T>> dtable) {
  auto const d = static_cast<std::ptrdiff_t>(dx.extent(1));
  T const* const from = dx.data();
  Wide<T>* const to = dtable.data();
  rows(
      exec, label_position_backward, static_cast<std::ptrdiff_t>(dx.extent(0)) / batch,
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t position) {
        Wide<T>* const entry = to + (first_position + position) * d;
        T const* const slopes = from + position * batch * d;
        team.for_each(d, [&](std::ptrdiff_t c) {
          Wide<T> sum = slopes[c];
          for (std::int64_t b = 1; b < batch; ++b) sum += slopes[b * d + c];
          entry[c] += sum;
        });
      });
}

#define TESSERA_INSTANTIATE(T)                                                                           \
  template void embedding_forward<T>(ExecutionSpace const&, Vector<std::int32_t const>, ConstMatrix<T>,  \
                                     std::int64_t, Matrix<Wide<T>>, bool);                               \
  template void embedding_backward<T>(ExecutionSpace const&, Vector<std::int32_t const>, ConstMatrix<T>, \
                                      std::int64_t, Matrix<Wide<T>>);                                    \
  template void position_forward<T>(ExecutionSpace const&, ConstMatrix<Wide<T>>, ConstMatrix<T>,         \
                                    std::int64_t, std::int64_t, DropoutRows const&, Matrix<T>);          \
  template void position_backward<T>(ExecutionSpace const&, ConstMatrix<T>, std::int64_t, std::int64_t,  \
                                     Matrix<Wide<T>>);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)

}  // namespace tessera::kernels
