// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The arrays that an element-wise function reads and writes, so that a host moves elements one after another,
// as its compiler likes best, and a device moves packs of 16 bytes. What is done to an element is the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tessera/base/kokkos.hpp"

namespace tessera::kernels {

/// W neighbouring elements.
template <class T, int W>
struct alignas(W * sizeof(T) < 16 ? W * sizeof(T) : 16) Pack {
  T element[W];
};

namespace detail {

template <class T, int W>
KOKKOS_INLINE_FUNCTION Pack<T, W> load_pack(T const* from, bool aligned) {
  if (aligned) return *reinterpret_cast<Pack<T, W> const*>(from);
  Pack<T, W> pack;
  for (int j = 0; j < W; ++j) pack.element[j] = from[j];
  return pack;
}

template <class T, int W>
KOKKOS_INLINE_FUNCTION void store_pack(T* to, Pack<T, W> const& pack, bool aligned) {
  if (aligned) {
    *reinterpret_cast<Pack<T, W>*>(to) = pack;
    return;
  }
  for (int j = 0; j < W; ++j) to[j] = pack.element[j];
}

template <class T>
KOKKOS_INLINE_FUNCTION bool is_aligned(T const* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0;
}

}  // namespace detail

/// An array that is read.
template <class T>
struct Read {
  using Element = T;
  T const* data;

  KOKKOS_INLINE_FUNCTION explicit Read(T const* array) : data(array) {}
  [[nodiscard]] KOKKOS_INLINE_FUNCTION T const& at(std::ptrdiff_t i) const { return data[i]; }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION bool aligned() const { return detail::is_aligned(data); }
  template <int W>
  [[nodiscard]] KOKKOS_INLINE_FUNCTION Pack<T, W> load(std::ptrdiff_t i, bool aligned) const {
    return detail::load_pack<T, W>(data + i, aligned);
  }
  template <int W>
  KOKKOS_INLINE_FUNCTION void store(std::ptrdiff_t, Pack<T, W> const&, bool) const {}
};

/// An array that is written; what it held is not read.
template <class T>
struct Write {
  using Element = T;
  T* data;

  KOKKOS_INLINE_FUNCTION explicit Write(T* array) : data(array) {}
  [[nodiscard]] KOKKOS_INLINE_FUNCTION T& at(std::ptrdiff_t i) const { return data[i]; }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION bool aligned() const { return detail::is_aligned(data); }
  template <int W>
  [[nodiscard]] KOKKOS_INLINE_FUNCTION Pack<T, W> load(std::ptrdiff_t, bool) const {
    return {};
  }
  template <int W>
  KOKKOS_INLINE_FUNCTION void store(std::ptrdiff_t i, Pack<T, W> const& pack, bool aligned) const {
    detail::store_pack<T, W>(data + i, pack, aligned);
  }
};

/// An array that is read and written.
template <class T>
struct Update : Write<T> {
  KOKKOS_INLINE_FUNCTION explicit Update(T* array) : Write<T>(array) {}
  template <int W>
  [[nodiscard]] KOKKOS_INLINE_FUNCTION Pack<T, W> load(std::ptrdiff_t i, bool aligned) const {
    return detail::load_pack<T, W>(this->data + i, aligned);
  }
};

namespace detail {

/// Elements of a pack: 16 bytes of the narrowest stream.
template <class... Streams>
constexpr int pack_elements() {
  std::size_t narrowest = 16;
  ((narrowest =
        sizeof(typename Streams::Element) < narrowest ? sizeof(typename Streams::Element) : narrowest),
   ...);
  return static_cast<int>(16 / narrowest);
}

/// f(j, element j of each) over the packs that the streams have loaded, then the packs that they store.
template <int W, class F, class... Streams>
KOKKOS_INLINE_FUNCTION void apply_to_packs([[maybe_unused]] std::ptrdiff_t i, [[maybe_unused]] bool aligned,
                                           F const& f, Streams const&... streams,
                                           Pack<typename Streams::Element, W>... packs) {
  for (int j = 0; j < W; ++j) f(j, packs.element[j]...);
  (streams.template store<W>(i, packs, aligned), ...);
}

/// Streams as the members of a functor.
template <class... Streams>
struct HeldStreams;
template <>
struct HeldStreams<> {
  template <class G, class... Before>
  KOKKOS_INLINE_FUNCTION void apply(G const& g, Before const&... before) const {
    g(before...);
  }
};
template <class First, class... Rest>
struct HeldStreams<First, Rest...> {
  First first;
  HeldStreams<Rest...> rest;

  KOKKOS_INLINE_FUNCTION HeldStreams(First const& head, Rest const&... tail) : first(head), rest{tail...} {}
  /// g of all streams.
  template <class G, class... Before>
  KOKKOS_INLINE_FUNCTION void apply(G const& g, Before const&... before) const {
    rest.apply(g, before..., first);
  }
};

/// W neighbouring elements of some arrays that lie on multiples of 16 bytes there, in registers.
template <int W, class... Elements>
struct PackSet;
template <int W>
struct PackSet<W> {
  KOKKOS_INLINE_FUNCTION void load(std::ptrdiff_t) {}
  template <class G, class... Before>
  KOKKOS_INLINE_FUNCTION void apply(int, G const& g, Before const&... before) const {
    g(before...);
  }
};
template <int W, class First, class... Rest>
struct PackSet<W, First, Rest...> {
  Pack<First, W> first;
  PackSet<W, Rest...> rest;

  template <class Stream, class... Streams>
  KOKKOS_INLINE_FUNCTION void load(std::ptrdiff_t i, Stream const& stream, Streams const&... streams) {
    first = stream.template load<W>(i, true);
    rest.load(i, streams...);
  }
  /// g of element j of each.
  template <class G, class... Before>
  KOKKOS_INLINE_FUNCTION void apply(int j, G const& g, Before const&... before) const {
    rest.apply(j, g, before..., first.element[j]);
  }
};

}  // namespace detail

template <class... Streams>
inline constexpr int elements_of_pack = detail::pack_elements<Streams...>();

/// f(j, element i + j of each stream) over one pack of elements.
template <class F, class... Streams>
KOKKOS_INLINE_FUNCTION void map_numbered_pack(std::ptrdiff_t i, bool aligned, F const& f,
                                              Streams const&... streams) {
  constexpr int width = elements_of_pack<Streams...>;
  detail::apply_to_packs<width, F, Streams...>(i, aligned, f, streams...,
                                               streams.template load<width>(i, aligned)...);
}

/// f over one pack of elements from element i on.
template <class F, class... Streams>
KOKKOS_INLINE_FUNCTION void map_pack(std::ptrdiff_t i, bool aligned, F const& f, Streams const&... streams) {
  map_numbered_pack(
      i, aligned, [&](int, auto&... elements) { f(elements...); }, streams...);
}

}  // namespace tessera::kernels
