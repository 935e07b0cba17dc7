// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The operations of a group as typed functions. Each takes anything contiguous with data() and size(): the
// views of base/views.hpp, Kokkos views, std::span, std::vector. It checks its arguments once, throws
// CommError naming what does not fit, and hands untyped memory to the Communicator. Every function that
// returns a Request has only started when it returns; the buffers belong to the operation until the request
// has ended. `where`, the place of the call, is for messages about it and never given by hand. A Kokkos view
// that owns its memory is kept alive by the request; a borrowed one, a span and a vector must outlive it.
//
//   std::vector<float> x(1000, 1.0f);
//   comm::all_reduce_in_place(*group, x, comm::Op::sum).wait_host();   // every rank: x[i] == group->size()
//
// n is the number of ranks, c a number of elements that all ranks agree on.
#pragma once

#include <ranges>
#include <source_location>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "tessera/base/kokkos.hpp"
#include "tessera/comm/call.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::comm {

namespace detail {

template <class V>
using ElementOf = std::remove_pointer_t<decltype(std::declval<V&>().data())>;

template <class V>
inline constexpr bool is_kokkos_view = Kokkos::is_view<std::remove_cvref_t<V>>::value;

/// A container given as a temporary would be gone before the operation has ended; views and spans only
/// borrow.
template <class V>
inline constexpr bool outlives_call = std::is_lvalue_reference_v<V> || is_kokkos_view<V> ||
                                      std::ranges::enable_borrowed_range<std::remove_cvref_t<V>>;

template <class V>
constexpr bool owns_kokkos_memory() {
  if constexpr (is_kokkos_view<V>) {
    return !std::remove_cvref_t<V>::traits::memory_traits::is_unmanaged;
  } else {
    return false;
  }
}

void check_contiguous(bool contiguous, Communicator const& comm, std::string_view operation);
void check_counts(std::size_t got, std::size_t expected, Communicator const& comm,
                  std::string_view operation);
void check_divides(std::size_t count, Communicator const& comm, std::string_view operation);
void check_peer(int peer, Communicator const& comm, std::string_view operation);

template <class V>
bool is_contiguous(V const& view) {
  if constexpr (is_kokkos_view<V>) return view.span_is_contiguous();
  return true;
}

template <class... Views>
void check_layout(Communicator const& comm, std::string_view operation, Views const&... views) {
  check_contiguous((is_contiguous(views) && ...), comm, operation);
}

/// What a request must hold of a view: a view that shares the ownership of its memory, or nothing.
struct Nothing {
  template <class V>
  explicit Nothing(V const&) {}
};
template <class V>
using Owned = std::conditional_t<owns_kokkos_memory<V>(), V, Nothing>;

template <class... Views>
Request keeping(Request request, Views const&... views) {
  if constexpr ((owns_kokkos_memory<Views>() || ...)) {
    request.keep_alive(std::make_shared<std::tuple<Owned<Views>...>>(Owned<Views>(views)...));
  }
  return request;
}

}  // namespace detail

/// A contiguous run of elements that a message may be read from.
template <class V>
concept Readable = detail::outlives_call<V> && requires(V& view) {
  view.size();
  sizeof(tessera::detail::DTypeOf<std::remove_cv_t<detail::ElementOf<V>>>);
};

/// The same, writable.
template <class V>
concept Writable = Readable<V> && !std::is_const_v<detail::ElementOf<V>>;

/// The same, of a type that ranks combine. bf16 and f16 only travel: their sums are float32
/// sums, rounded at the end.
template <class V>
concept Combinable = Writable<V> && !is_narrow(dtype_of<detail::ElementOf<V>>);

template <class A, class B>
concept SameElement =
    std::is_same_v<std::remove_cv_t<detail::ElementOf<A>>, std::remove_cv_t<detail::ElementOf<B>>>;

/// Collective. view (c): the values of all ranks combined by `op`, on every rank.
template <Combinable V>
Request all_reduce_in_place(Communicator& comm, V&& view, Op op, StreamRef stream = {},
                            std::source_location where = std::source_location::current()) {
  CallSite const here(where);
  detail::check_layout(comm, "all_reduce", view);
  return detail::keeping(
      comm.all_reduce(view.data(), view.data(), view.size(), dtype_of<detail::ElementOf<V>>, op, stream),
      view);
}

/// Collective. receive (c): `send` (c) of all ranks combined by `op`. The two do not overlap.
template <Readable S, Combinable R>
requires SameElement<S, R> Request all_reduce(Communicator& comm, S&& send, R&& receive, Op op,
                                              StreamRef stream = {},
                                              std::source_location where = std::source_location::current()) {
  CallSite const here(where);
  detail::check_layout(comm, "all_reduce", send, receive);
  detail::check_counts(receive.size(), send.size(), comm, "all_reduce");
  return detail::keeping(
      comm.all_reduce(send.data(), receive.data(), send.size(), dtype_of<detail::ElementOf<R>>, op, stream),
      send, receive);
}

/// Collective, and blocks. view (c) of f32 or f64: the sum over the ranks divided by their number, the
/// division after the sum. A mean of its own name because it is not an operation of communication libraries.
template <Combinable V>
void all_reduce_mean_in_place(Communicator& comm, V&& view, StreamRef stream = {},
                              std::source_location where = std::source_location::current());

/// Collective. receive (n*c): `send` (c) of every rank, in rank order. The two do not overlap.
template <Readable S, Writable R>
requires SameElement<S, R> Request all_gather(Communicator& comm, S&& send, R&& receive,
                                              StreamRef stream = {},
                                              std::source_location where = std::source_location::current()) {
  CallSite const here(where);
  detail::check_layout(comm, "all_gather", send, receive);
  detail::check_counts(receive.size(), send.size() * static_cast<std::size_t>(comm.size()), comm,
                       "all_gather");
  return detail::keeping(
      comm.all_gather(send.data(), receive.data(), send.size(), dtype_of<detail::ElementOf<R>>, stream), send,
      receive);
}

/// Collective. whole (n*c): rank r has filled elements r*c to (r+1)*c; at the end all are filled on all
/// ranks.
template <Writable V>
Request all_gather_in_place(Communicator& comm, V&& whole, StreamRef stream = {},
                            std::source_location where = std::source_location::current()) {
  constexpr DType type = dtype_of<detail::ElementOf<V>>;
  CallSite const here(where);
  detail::check_layout(comm, "all_gather", whole);
  detail::check_divides(whole.size(), comm, "all_gather");
  std::size_t const count = whole.size() / static_cast<std::size_t>(comm.size());
  auto* const own = whole.data() + static_cast<std::size_t>(comm.rank()) * count;
  return detail::keeping(comm.all_gather(own, whole.data(), count, type, stream), whole);
}

/// Collective. send (n*c), receive (c): rank r gets elements r*c to (r+1)*c of the values combined by `op`.
/// The two do not overlap, or `receive` is exactly that part of `send` on every rank.
template <Readable S, Combinable R>
requires SameElement<S, R> Request
reduce_scatter(Communicator& comm, S&& send, R&& receive, Op op, StreamRef stream = {},
               std::source_location where = std::source_location::current()) {
  CallSite const here(where);
  detail::check_layout(comm, "reduce_scatter", send, receive);
  detail::check_counts(send.size(), receive.size() * static_cast<std::size_t>(comm.size()), comm,
                       "reduce_scatter");
  return detail::keeping(comm.reduce_scatter(send.data(), receive.data(), receive.size(),
                                             dtype_of<detail::ElementOf<R>>, op, stream),
                         send, receive);
}

/// Collective. send, receive (n*c): the r-th c elements of `send` go to rank r, `receive` is filled in rank
/// order.
template <Readable S, Writable R>
requires SameElement<S, R> Request all_to_all(Communicator& comm, S&& send, R&& receive,
                                              StreamRef stream = {},
                                              std::source_location where = std::source_location::current()) {
  CallSite const here(where);
  detail::check_layout(comm, "all_to_all", send, receive);
  detail::check_counts(receive.size(), send.size(), comm, "all_to_all");
  detail::check_divides(send.size(), comm, "all_to_all");
  return detail::keeping(
      comm.all_to_all(send.data(), receive.data(), send.size() / static_cast<std::size_t>(comm.size()),
                      dtype_of<detail::ElementOf<R>>, stream),
      send, receive);
}

/// Collective. view (c): the values of rank `root`, on every rank.
template <Writable V>
Request broadcast(Communicator& comm, V&& view, int root, StreamRef stream = {},
                  std::source_location where = std::source_location::current()) {
  CallSite const here(where);
  detail::check_layout(comm, "broadcast", view);
  detail::check_peer(root, comm, "broadcast");
  return detail::keeping(
      comm.broadcast(view.data(), view.size(), dtype_of<detail::ElementOf<V>>, root, stream), view);
}

/// Sends view (c) to rank `peer`, which calls `receive` for as many elements. Calls that may cross stand in a
/// group.
template <Readable V>
Request send(Communicator& comm, V&& view, int peer, StreamRef stream = {},
             std::source_location where = std::source_location::current()) {
  CallSite const here(where);
  detail::check_layout(comm, "send", view);
  detail::check_peer(peer, comm, "send");
  return detail::keeping(comm.send(view.data(), view.size(), dtype_of<detail::ElementOf<V>>, peer, stream),
                         view);
}

/// Fills view (c) with the next message of rank `peer`.
template <Writable V>
Request receive(Communicator& comm, V&& view, int peer, StreamRef stream = {},
                std::source_location where = std::source_location::current()) {
  CallSite const here(where);
  detail::check_layout(comm, "receive", view);
  detail::check_peer(peer, comm, "receive");
  return detail::keeping(comm.receive(view.data(), view.size(), dtype_of<detail::ElementOf<V>>, peer, stream),
                         view);
}

/// Collective, and blocks until all ranks have called it.
inline void barrier(Communicator& comm, std::source_location where = std::source_location::current()) {
  CallSite const here(where);
  comm.barrier({}).wait_host();
}

/// Collective, and blocks: one number of the host, combined over the ranks. For flags, times and counts; the
/// backend must reach host memory.
template <class T>
[[nodiscard]] T all_reduce_value(Communicator& comm, T value, Op op,
                                 std::source_location where = std::source_location::current()) {
  CallSite const here(where);
  comm.all_reduce(&value, &value, 1, dtype_of<T>, op, {}).wait_host();
  return value;
}

/// Collective, and blocks: the number of rank `root`.
template <class T>
[[nodiscard]] T broadcast_value(Communicator& comm, T value, int root,
                                std::source_location where = std::source_location::current()) {
  CallSite const here(where);
  detail::check_peer(root, comm, "broadcast");
  comm.broadcast(&value, 1, dtype_of<T>, root, {}).wait_host();
  return value;
}

/// Collective, and blocks: the numbers of all ranks, in rank order.
template <class T>
[[nodiscard]] std::vector<T> all_gather_values(Communicator& comm, T value,
                                               std::source_location where = std::source_location::current()) {
  CallSite const here(where);
  std::vector<T> all(static_cast<std::size_t>(comm.size()));
  comm.all_gather(&value, all.data(), 1, dtype_of<T>, {}).wait_host();
  return all;
}

namespace detail {
void finish_mean(Request& sum, void* values, std::size_t count, DType type, Communicator const& comm,
                 StreamRef stream);
}  // namespace detail

template <Combinable V>
void all_reduce_mean_in_place(Communicator& comm, V&& view, StreamRef stream, std::source_location where) {
  Request sum = all_reduce_in_place(comm, view, Op::sum, stream, where);
  detail::finish_mean(sum, view.data(), view.size(), dtype_of<detail::ElementOf<V>>, comm, stream);
}

}  // namespace tessera::comm
