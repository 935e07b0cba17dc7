// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/device_ops.hpp"

#include <algorithm>
#include <string>

#include "tessera/base/error.hpp"
#include "tessera/base/kokkos.hpp"

namespace tessera::comm {

namespace {

/// Elements one work item treats: on a host enough for full vectors, on a device neighbours of neighbouring
/// items.
constexpr std::size_t block_count = tensors_on_host ? 4096 : 1;

/// Whether all of the arrays are ordinary memory of the host, though tensors are not.
template <class... Arrays>
bool off_device(Arrays const*... arrays) {
  return !tensors_on_host && (host_can_read(arrays) && ...);
}

ExecutionSpace instance_of(StreamRef stream) {
  return stream.exec() != nullptr ? *stream.exec() : ExecutionSpace();
}

/// Starts `body` on pieces of `count` elements.
template <class Body>
void for_blocks(std::string const& label, std::size_t count, ExecutionSpace const& exec, bool by_host,
                Body const& body) {
  if (by_host) {
    fence(exec);
    body(0, count);
    return;
  }
  auto const blocks = static_cast<std::ptrdiff_t>((count + block_count - 1) / block_count);
  Kokkos::parallel_for(
      label, Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::ptrdiff_t>>(exec, 0, blocks),
      KOKKOS_LAMBDA(std::ptrdiff_t block) {
        std::size_t const begin = static_cast<std::size_t>(block) * block_count;
        body(begin, begin + block_count < count ? block_count : count - begin);
      });
}

template <class T>
struct Add {
  T* to;
  T const* a;
  T const* b;
  KOKKOS_INLINE_FUNCTION void operator()(std::size_t begin, std::size_t n) const {
    T* __restrict const out = to + begin;
    T const* __restrict const left = a + begin;
    T const* __restrict const right = b + begin;
    for (std::size_t i = 0; i < n; ++i) out[i] = left[i] + right[i];
  }
};

/// The same with to == a: a loop of its own, because __restrict pointers must not be equal.
template <class T>
struct AddTo {
  T* to;
  T const* b;
  KOKKOS_INLINE_FUNCTION void operator()(std::size_t begin, std::size_t n) const {
    T* __restrict const out = to + begin;
    T const* __restrict const right = b + begin;
    for (std::size_t i = 0; i < n; ++i) out[i] = out[i] + right[i];
  }
};

template <class T>
struct Divide {
  T* values;
  T divisor;
  KOKKOS_INLINE_FUNCTION void operator()(std::size_t begin, std::size_t n) const {
    for (std::size_t i = begin; i < begin + n; ++i) values[i] = values[i] / divisor;
  }
};

template <class T>
void add_typed(void* to, void const* a, void const* b, std::size_t count, ExecutionSpace const& exec) {
  static std::string const label = "tessera::comm::add";
  auto* const out = static_cast<T*>(to);
  auto const* const left = static_cast<T const*>(a);
  auto const* const right = static_cast<T const*>(b);
  bool const by_host = off_device(to, a, b);
  if (out == left) {
    for_blocks(label, count, exec, by_host, AddTo<T>{out, right});
  } else if (out == right) {
    for_blocks(label, count, exec, by_host, AddTo<T>{out, left});
  } else {
    for_blocks(label, count, exec, by_host, Add<T>{out, left, right});
  }
}

template <class T>
void divide_typed(void* values, double divisor, std::size_t count, StreamRef stream) {
  static std::string const label = "tessera::comm::divide";
  auto const exec = instance_of(stream);
  for_blocks(label, count, exec, off_device(values),
             Divide<T>{static_cast<T*>(values), static_cast<T>(divisor)});
  fence(exec);
}

using Bytes = Kokkos::View<std::byte*, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
using ConstBytes = Kokkos::View<std::byte const*, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
using HostBytes = Kokkos::View<std::byte*, StagingSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
using ConstHostBytes = Kokkos::View<std::byte const*, StagingSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;

}  // namespace

void copy_bytes(void* to, void const* from, std::size_t bytes, StreamRef stream) {
  auto const exec = instance_of(stream);
  start_copy(exec, to, from, bytes);
  if constexpr (!tensors_on_host) fence(exec);
}

void start_copy(ExecutionSpace const& exec, void* to, void const* from, std::size_t bytes) {
  if (to == from || bytes == 0) return;
  bool const by_host = off_device(to, from);
  if (by_host) fence(exec);
  if (tensors_on_host || by_host) {
    std::copy_n(static_cast<std::byte const*>(from), bytes, static_cast<std::byte*>(to));
  } else {
    Kokkos::deep_copy(exec, Bytes(static_cast<std::byte*>(to), bytes),
                      ConstBytes(static_cast<std::byte const*>(from), bytes));
  }
}

void copy_to_host(ExecutionSpace const& exec, void* to, void const* from, std::size_t bytes) {
  if (bytes == 0) return;
  if constexpr (tensors_on_host) {
    std::copy_n(static_cast<std::byte const*>(from), bytes, static_cast<std::byte*>(to));
  } else {
    Kokkos::deep_copy(exec, HostBytes(static_cast<std::byte*>(to), bytes),
                      ConstBytes(static_cast<std::byte const*>(from), bytes));
  }
}

void copy_from_host(ExecutionSpace const& exec, void* to, void const* from, std::size_t bytes) {
  if (bytes == 0) return;
  if constexpr (tensors_on_host) {
    std::copy_n(static_cast<std::byte const*>(from), bytes, static_cast<std::byte*>(to));
  } else {
    Kokkos::deep_copy(exec, Bytes(static_cast<std::byte*>(to), bytes),
                      ConstHostBytes(static_cast<std::byte const*>(from), bytes));
  }
}

void add(void* to, void const* a, void const* b, std::size_t count, DType type, StreamRef stream) {
  auto const exec = instance_of(stream);
  start_add(exec, to, a, b, count, type);
  fence(exec);
}

void start_add(ExecutionSpace const& exec, void* to, void const* a, void const* b, std::size_t count,
               DType type) {
  switch (type) {
    case DType::u8: return add_typed<std::uint8_t>(to, a, b, count, exec);
    case DType::i32: return add_typed<std::int32_t>(to, a, b, count, exec);
    case DType::i64: return add_typed<std::int64_t>(to, a, b, count, exec);
    case DType::u64: return add_typed<std::uint64_t>(to, a, b, count, exec);
    case DType::f32: return add_typed<float>(to, a, b, count, exec);
    case DType::f64: return add_typed<double>(to, a, b, count, exec);
    case DType::bf16:
    case DType::f16: throw InternalError("bf16 and f16 are not added: their sums travel in f32");
  }
}

void divide(void* values, double divisor, std::size_t count, DType type, StreamRef stream) {
  if (type == DType::f32) return divide_typed<float>(values, divisor, count, stream);
  if (type == DType::f64) return divide_typed<double>(values, divisor, count, stream);
  throw CommError("A mean of integers is not defined; convert them to f32 or f64 first.");
}

}  // namespace tessera::comm
