// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/tree.hpp"

#include "tessera/base/error.hpp"
#include "tessera/kernels/launch.hpp"

namespace tessera::kernels {

namespace {

/// Elements that one thread sums side by side.
constexpr std::ptrdiff_t block = runs_on_host ? 256 : 1;
constexpr int max_levels = 7;

/// Sums of the finished subtrees to the left of the next leaf, one a level, as in a binary counter.
template <class T>
struct Subtrees {
  T sum[max_levels][block];
};

/// Adds leaf i: it closes the subtrees that end with it. `last` also closes those that end for want of
/// leaves.
template <class T>
KOKKOS_INLINE_FUNCTION void add_leaf(Subtrees<T>& trees, int i, bool last, T const* leaf,
                                     std::ptrdiff_t count, T* out) {
  T value[block] = {};
  for (std::ptrdiff_t c = 0; c < count; ++c) value[c] = leaf[c];
  int level = 0;
  for (; last ? (i >> level) != 0 : ((i >> level) & 1) != 0; ++level) {
    if (((i >> level) & 1) == 0) continue;
    for (std::ptrdiff_t c = 0; c < count; ++c) value[c] = trees.sum[level][c] + value[c];
  }
  T* const to = last ? out : trees.sum[level];
  for (std::ptrdiff_t c = 0; c < count; ++c) to[c] = value[c];
}

std::string const label_tree_sum = "tessera::kernels::tree_sum";
std::string const label_add_to = "tessera::kernels::add_to";
std::string const label_fill = "tessera::kernels::fill";
std::string const label_copy = "tessera::kernels::copy";
std::string const label_round = "tessera::kernels::round";
std::string const label_add_positive_zero = "tessera::kernels::add_positive_zero";

}  // namespace

template <class T>
void tree_sum(ExecutionSpace const& exec, ConstMatrix<T> parts, Vector<T> out) {
  int const count = static_cast<int>(parts.extent(0));
  require(count >= 1 && count <= 64, "tree_sum takes 1 to 64 parts");
  T const* const p = parts.data();
  T* const o = out.data();
  auto const n = static_cast<std::ptrdiff_t>(parts.extent(1));
  elements(
      exec, label_tree_sum, (n + block - 1) / block, KOKKOS_LAMBDA(std::ptrdiff_t index) {
        std::ptrdiff_t const begin = index * block;
        std::ptrdiff_t const own = n - begin < block ? n - begin : block;
        Subtrees<T> trees;
        for (int part = 0; part < count; ++part) {
          add_leaf(trees, part, part + 1 == count, p + part * n + begin, own, o + begin);
        }
      });
}

template <class T>
void add_to(ExecutionSpace const& exec, Vector<T> a, ConstVector<T> b) {
  T* const to = a.data();
  T const* const from = b.data();
  map_elements(
      exec, label_add_to, static_cast<std::ptrdiff_t>(a.extent(0)), KOKKOS_LAMBDA(T & x, T y) { x += y; },
      Update(to), Read(from));
}

template <class T>
void fill(ExecutionSpace const& exec, Vector<T> v, std::type_identity_t<T> value) {
  T* const to = v.data();
  map_elements(
      exec, label_fill, static_cast<std::ptrdiff_t>(v.extent(0)), KOKKOS_LAMBDA(T & x) { x = value; },
      Write(to));
}

template <class T>
void copy(ExecutionSpace const& exec, ConstVector<T> source, Vector<T> destination) {
  T const* const from = source.data();
  T* const to = destination.data();
  map_elements(
      exec, label_copy, static_cast<std::ptrdiff_t>(source.extent(0)), KOKKOS_LAMBDA(T & x, T y) { x = y; },
      Write(to), Read(from));
}

template <class T>
void round(ExecutionSpace const& exec, ConstVector<Wide<T>> source, Vector<T> destination) {
  Wide<T> const* const from = source.data();
  T* const to = destination.data();
  map_elements(
      exec, label_round, static_cast<std::ptrdiff_t>(source.extent(0)),
      KOKKOS_LAMBDA(T & x, Wide<T> value) { x = static_cast<T>(value); }, Write(to), Read(from));
}

template <class T>
void add_positive_zero(ExecutionSpace const& exec, Vector<T> v) {
  T* const to = v.data();
  map_elements(
      exec, label_add_positive_zero, static_cast<std::ptrdiff_t>(v.extent(0)),
      KOKKOS_LAMBDA(T & x) { x += T(0); }, Update(to));
}

#define TESSERA_INSTANTIATE(T)                                                 \
  template void tree_sum<T>(ExecutionSpace const&, ConstMatrix<T>, Vector<T>); \
  template void add_to<T>(ExecutionSpace const&, Vector<T>, ConstVector<T>);   \
  template void fill<T>(ExecutionSpace const&, Vector<T>, T);                  \
  template void copy<T>(ExecutionSpace const&, ConstVector<T>, Vector<T>);     \
  template void add_positive_zero<T>(ExecutionSpace const&, Vector<T>);
TESSERA_INSTANTIATE(float)
TESSERA_INSTANTIATE(double)
#undef TESSERA_INSTANTIATE
#define TESSERA_INSTANTIATE(T)                                             \
  template void copy<T>(ExecutionSpace const&, ConstVector<T>, Vector<T>); \
  template void round<T>(ExecutionSpace const&, ConstVector<float>, Vector<T>);
TESSERA_INSTANTIATE(bf16)
TESSERA_INSTANTIATE(f16)

}  // namespace tessera::kernels
