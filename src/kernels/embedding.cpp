// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/embedding.hpp"

namespace tessera::kernels {

namespace {

std::string const embedding_forward_label = "tessera::kernels::embedding_forward";
std::string const embedding_backward_label = "tessera::kernels::embedding_backward";
std::string const label_position_forward = "tessera::kernels::position_forward";
std::string const label_position_backward = "tessera::kernels::position_backward";

/// Columns of the table that one team owns in the scatter-add.
constexpr std::ptrdiff_t owned_columns = runs_on_host ? 1024 : 8 * sum_lanes;

/// dtable += dy by rows of equal token, in token order.
template <class T>
struct ScatterAdd {
  std::int32_t const* tokens;
  T const* dy;
  Wide<T>* dtable;
  std::int64_t first_row, held;
  std::ptrdiff_t n, d;

  KOKKOS_INLINE_FUNCTION void operator()(RowTeam const& team, std::ptrdiff_t index) const {
    if constexpr (runs_on_host) {
      all_tokens(team, index);
    } else {
      first_of_token(team, index);
    }
  }

 private:
  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::ptrdiff_t columns_from(std::ptrdiff_t column) const {
    return d - column < owned_columns ? d - column : owned_columns;
  }

  /// On a host a team walks all tokens with its block of columns.
  template <class Team>
  KOKKOS_INLINE_FUNCTION void all_tokens(Team const& team, std::ptrdiff_t block) const {
    std::ptrdiff_t const column = block * owned_columns;
    std::ptrdiff_t const count = columns_from(column);
    for (std::ptrdiff_t row = 0; row < n; ++row) {
      std::int64_t const index = tokens[row] - first_row;
      if (index < 0 || index >= held) continue;
      T const* const slope = dy + row * d + column;
      Wide<T>* const entry = dtable + index * d + column;
      team.for_each(count, [&](std::ptrdiff_t c) { entry[c] += slope[c]; });
    }
  }

  /// On a device the team of the first row of a token adds all rows of that token to its entry, each thread
  /// its columns; `index` counts rows, then blocks of columns.
  template <class Team>
  KOKKOS_INLINE_FUNCTION void first_of_token(Team const& team, std::ptrdiff_t index) const {
    std::ptrdiff_t const row = index % n;
    std::int32_t const token = tokens[row];
    std::int64_t const entry = token - first_row;
    if (entry < 0 || entry >= held || !is_first(team, row, token)) return;
    std::ptrdiff_t const column = index / n * owned_columns + team.lane();
    std::ptrdiff_t const count = columns_from(column - team.lane()) - team.lane();
    constexpr int held_columns = owned_columns / sum_lanes;
    Wide<T> total[held_columns];
    Wide<T>* const to = dtable + entry * d + column;
    for (int i = 0; i < held_columns; ++i) total[i] = i * sum_lanes < count ? to[i * sum_lanes] : Wide<T>(0);
    for (std::ptrdiff_t begin = row; begin < n; begin += sum_lanes) {
      unsigned same = rows_with(team, begin, n, token);
      for (T const* slope = dy + begin * d + column; same != 0; same >>= 1, slope += d) {
        if ((same & 1u) == 0) continue;
        for (int i = 0; i < held_columns; ++i) {
          if (i * sum_lanes < count) total[i] += slope[i * sum_lanes];
        }
      }
    }
    for (int i = 0; i < held_columns; ++i) {
      if (i * sum_lanes < count) to[i * sum_lanes] = total[i];
    }
  }

  /// Bit l is set where row begin + l, before `end`, has `token`.
  template <class Team>
  KOKKOS_INLINE_FUNCTION unsigned rows_with(Team const& team, std::ptrdiff_t begin, std::ptrdiff_t end,
                                            std::int32_t token) const {
    std::ptrdiff_t const own = begin + team.lane();
    return lanes_where(own < end && tokens[own < end ? own : begin] == token);
  }
  template <class Team>
  KOKKOS_INLINE_FUNCTION bool is_first(Team const& team, std::ptrdiff_t row, std::int32_t token) const {
    for (std::ptrdiff_t begin = 0; begin < row; begin += sum_lanes) {
      if (rows_with(team, begin, row, token) != 0) return false;
    }
    return true;
  }
};

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
  auto const n = static_cast<std::ptrdiff_t>(dy.extent(0));
  auto const held = static_cast<std::int64_t>(dtable.extent(0));
  T const* const from = dy.data();
  Wide<T>* const to = dtable.data();
  ScatterAdd<T> const add{tokens.data(), from, to, first_row, held, n, d};
  std::ptrdiff_t const blocks = (d + owned_columns - 1) / owned_columns;
  rows(exec, embedding_backward_label, runs_on_host ? blocks : blocks * n, add);
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
TESSERA_INSTANTIATE(float)
TESSERA_INSTANTIATE(double)
TESSERA_INSTANTIATE(bf16)

}  // namespace tessera::kernels
