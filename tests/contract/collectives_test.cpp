// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Every collective of every communicator against what it promises, one body for all. The values are small
// integers, so every order of additions gives the same, exact result and the expected value has a closed
// form.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "contract/decorations.hpp"
#include "support/parallel.hpp"
#include "tessera/base/compute_types.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::contract {
namespace {

using comm::Op;

/// 0 and 1, odd, and enough for the tree's second algorithm in the floating types.
constexpr std::size_t counts[] = {0, 1, 257, 20001};
/// The count that is tried with every type and operator.
constexpr std::size_t common_count = 257;

std::vector<Op> operators(std::size_t count) {
  return count == common_count ? std::vector{Op::sum, Op::max, Op::min} : std::vector{Op::sum};
}

/// Element i of what rank `rank` gives: below 8, so that sums over 8 ranks fit every type.
template <class T>
T given(int rank, std::size_t i) {
  return static_cast<T>((i * 5 + static_cast<std::size_t>(rank) * 3) % 7);
}

template <class T>
std::vector<T> gift(int rank, std::size_t count) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = given<T>(rank, i);
  return values;
}

template <class T>
T combined(int size, std::size_t i, Op op) {
  T result = given<T>(0, i);
  for (int rank = 1; rank < size; ++rank) {
    T const next = given<T>(rank, i);
    if (op == Op::sum) result = static_cast<T>(result + next);
    if (op == Op::max) result = std::max(result, next);
    if (op == Op::min) result = std::min(result, next);
  }
  return result;
}

/// Fails once, naming the first wrong element.
template <class T>
void expect_elements(std::vector<T> const& got, std::function<T(std::size_t)> const& expected,
                     char const* what) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == expected(i)) continue;
    ADD_FAILURE() << what << ", " << to_string(dtype_of<T>) << ", " << got.size() << " elements: element "
                  << i << " is " << +got[i] << ", expected " << +expected(i);
    return;
  }
}

template <class T>
void check_all_reduce(comm::Communicator& comm, std::size_t count) {
  for (Op const op : operators(count)) {
    auto const expected = [&](std::size_t i) { return combined<T>(comm.size(), i, op); };
    auto const send = gift<T>(comm.rank(), count);
    std::vector<T> receive(count);
    comm::all_reduce(comm, send, receive, op).wait_host();
    expect_elements<T>(receive, expected, "all_reduce");
    auto in_place = send;
    comm::all_reduce_in_place(comm, in_place, op).wait_host();
    expect_elements<T>(in_place, expected, "all_reduce_in_place");
  }
}

template <class T>
void check_all_gather(comm::Communicator& comm, std::size_t count) {
  auto const ranks = static_cast<std::size_t>(comm.size());
  auto const send = gift<T>(comm.rank(), count);
  auto const expected = [&](std::size_t i) { return given<T>(static_cast<int>(i / count), i % count); };
  std::vector<T> receive(count * ranks);
  comm::all_gather(comm, send, receive).wait_host();
  expect_elements<T>(receive, expected, "all_gather");
  std::vector<T> whole(count * ranks);
  std::copy(send.begin(), send.end(), whole.begin() + comm.rank() * static_cast<std::ptrdiff_t>(count));
  comm::all_gather_in_place(comm, whole).wait_host();
  expect_elements<T>(whole, expected, "all_gather_in_place");
}

template <class T>
void check_reduce_scatter(comm::Communicator& comm, std::size_t count) {
  auto const ranks = static_cast<std::size_t>(comm.size());
  auto const first = static_cast<std::size_t>(comm.rank()) * count;
  for (Op const op : operators(count)) {
    auto const expected = [&](std::size_t i) { return combined<T>(comm.size(), first + i, op); };
    auto send = gift<T>(comm.rank(), count * ranks);
    std::vector<T> receive(count);
    comm::reduce_scatter(comm, send, receive, op).wait_host();
    expect_elements<T>(receive, expected, "reduce_scatter");
    comm::reduce_scatter(comm, send, std::span<T>(send).subspan(first, count), op).wait_host();
    receive.assign(send.begin() + static_cast<std::ptrdiff_t>(first),
                   send.begin() + static_cast<std::ptrdiff_t>(first + count));
    expect_elements<T>(receive, expected, "reduce_scatter in place");
  }
}

template <class T>
void check_all_to_all(comm::Communicator& comm, std::size_t count) {
  auto const ranks = static_cast<std::size_t>(comm.size());
  auto const first = static_cast<std::size_t>(comm.rank()) * count;
  auto const send = gift<T>(comm.rank(), count * ranks);
  std::vector<T> receive(count * ranks);
  comm::all_to_all(comm, send, receive).wait_host();
  expect_elements<T>(
      receive, [&](std::size_t i) { return given<T>(static_cast<int>(i / count), first + i % count); },
      "all_to_all");
}

template <class T>
void check_broadcast(comm::Communicator& comm, std::size_t count) {
  for (int const root : {0, comm.size() - 1}) {
    auto values = gift<T>(comm.rank(), count);
    comm::broadcast(comm, values, root).wait_host();
    expect_elements<T>(
        values, [&](std::size_t i) { return given<T>(root, i); }, "broadcast");
  }
}

/// Round the ring in both directions at once: every message crosses another one.
template <class T>
void check_send_receive(comm::Communicator& comm, std::size_t count) {
  int const up = (comm.rank() + 1) % comm.size();
  int const down = (comm.rank() + comm.size() - 1) % comm.size();
  auto const first = gift<T>(comm.rank(), count);
  auto const second = gift<T>(comm.rank() + 1, count);
  std::vector<T> from_down(count);
  std::vector<T> from_up(count);
  std::vector<comm::Request> requests;
  {
    comm::GroupGuard const group(comm);
    requests.push_back(comm::send(comm, first, up));
    requests.push_back(comm::receive(comm, from_down, down));
    requests.push_back(comm::send(comm, second, down));
    requests.push_back(comm::receive(comm, from_up, up));
  }
  for (auto& request : requests) request.wait_host();
  expect_elements<T>(
      from_down, [&](std::size_t i) { return given<T>(down, i); }, "receive from below");
  expect_elements<T>(
      from_up, [&](std::size_t i) { return given<T>(up + 1, i); }, "receive from above");
}

class EveryCommunicator : public ::testing::TestWithParam<Decoration> {
 protected:
  void on_groups(std::function<void(comm::Communicator&)> const& body) {
    support::for_each_group({1, 2, 3, 4, 8}, [&](comm::Communicator& group) {
      auto const comm = GetParam().make(group);
      if (comm) body(*comm);
    });
  }
  template <class Check>
  void on_types_and_counts(Check const& check) {
    on_groups([&](comm::Communicator& comm) {
      check(comm, common_count, std::uint8_t{});
      check(comm, common_count, std::int32_t{});
      check(comm, common_count, std::int64_t{});
      check(comm, common_count, std::uint64_t{});
      for (std::size_t const count : counts) {
        check(comm, count, float{});
        check(comm, count, double{});
      }
    });
  }
  /// Of operations that only move elements, so also of bf16 and f16, whose sums are float32.
  template <class Check>
  void on_moved_types_and_counts(Check const& check) {
    on_types_and_counts(check);
    on_groups([&](comm::Communicator& comm) {
      for (std::size_t const count : counts) check(comm, count, bf16{});
      check(comm, common_count, f16{});
    });
  }
};

TEST_P(EveryCommunicator, AllReduceCombinesAllRanks) {
  on_types_and_counts(
      [](auto& comm, std::size_t n, auto type) { check_all_reduce<decltype(type)>(comm, n); });
}
TEST_P(EveryCommunicator, AllGatherKeepsRankOrder) {
  on_moved_types_and_counts(
      [](auto& comm, std::size_t n, auto type) { check_all_gather<decltype(type)>(comm, n); });
}
TEST_P(EveryCommunicator, ReduceScatterGivesEachRankItsPart) {
  on_types_and_counts(
      [](auto& comm, std::size_t n, auto type) { check_reduce_scatter<decltype(type)>(comm, n); });
}
TEST_P(EveryCommunicator, AllToAllTransposesBlocks) {
  on_moved_types_and_counts(
      [](auto& comm, std::size_t n, auto type) { check_all_to_all<decltype(type)>(comm, n); });
}
TEST_P(EveryCommunicator, BroadcastReachesAllRanks) {
  on_moved_types_and_counts(
      [](auto& comm, std::size_t n, auto type) { check_broadcast<decltype(type)>(comm, n); });
}
TEST_P(EveryCommunicator, CrossingMessagesOfAGroupArrive) {
  on_moved_types_and_counts(
      [](auto& comm, std::size_t n, auto type) { check_send_receive<decltype(type)>(comm, n); });
}

TEST_P(EveryCommunicator, MessagesToOnePeerArriveInOrder) {
  on_groups([](comm::Communicator& comm) {
    int const up = (comm.rank() + 1) % comm.size();
    int const down = (comm.rank() + comm.size() - 1) % comm.size();
    std::vector<std::int32_t> const sent{1, 2, 3, 4, 5};
    std::vector<std::int32_t> got(sent.size());
    std::vector<comm::Request> requests;
    {
      comm::GroupGuard const group(comm);
      for (std::size_t i = 0; i < sent.size(); ++i) {
        requests.push_back(comm::send(comm, std::span(&sent[i], 1), up));
      }
      for (auto& value : got) requests.push_back(comm::receive(comm, std::span(&value, 1), down));
    }
    for (auto& request : requests) request.wait_host();
    EXPECT_EQ(got, sent);
  });
}

TEST_P(EveryCommunicator, ManyOperationsAreUnderWayAtOnce) {
  on_groups([](comm::Communicator& comm) {
    std::vector<std::vector<double>> sums(6);
    std::vector<comm::Request> requests;
    for (std::size_t k = 0; k < sums.size(); ++k) {
      sums[k] = gift<double>(comm.rank(), k % 2 == 0 ? 100 : 20000);
      requests.push_back(comm::all_reduce_in_place(comm, sums[k], Op::sum));
    }
    for (std::size_t k = sums.size(); k-- > 0;) requests[k].wait_host();  // the last first
    for (auto const& sum : sums) {
      expect_elements<double>(
          sum, [&](std::size_t i) { return combined<double>(comm.size(), i, Op::sum); }, "sum");
    }
  });
}

TEST_P(EveryCommunicator, BarrierAndProgressEnd) {
  on_groups([](comm::Communicator& comm) {
    auto request = comm.barrier({});
    comm.progress();
    request.wait_host();
    comm::barrier(comm);
  });
}

TEST_P(EveryCommunicator, SplitOrdersByKeyAndLeavesOutThoseWithoutColor) {
  on_groups([](comm::Communicator& comm) {
    bool const member = comm.rank() % 2 == 0;
    auto const part = comm.split(member ? std::optional(0) : std::nullopt, -comm.rank());
    ASSERT_EQ(part != nullptr, member);
    if (!member) return;
    EXPECT_EQ(part->size(), (comm.size() + 1) / 2);
    auto const ranks = comm::all_gather_values(*part, static_cast<std::int32_t>(comm.rank()));
    EXPECT_TRUE(std::is_sorted(ranks.rbegin(), ranks.rend()));
  });
}

TEST_P(EveryCommunicator, DuplicateIsAChannelOfItsOwn) {
  on_groups([](comm::Communicator& comm) {
    auto const other = comm.duplicate();
    int const up = (comm.rank() + 1) % comm.size();
    int const down = (comm.rank() + comm.size() - 1) % comm.size();
    std::int32_t const one = 1;
    std::int32_t const two = 2;
    std::int32_t from_comm = 0;
    std::int32_t from_other = 0;
    std::vector<comm::Request> requests;
    {
      comm::GroupGuard const group(comm);
      comm::GroupGuard const other_group(*other);
      requests.push_back(comm::send(comm, std::span(&one, 1), up));
      requests.push_back(comm::send(*other, std::span(&two, 1), up));
      requests.push_back(comm::receive(*other, std::span(&from_other, 1), down));
      requests.push_back(comm::receive(comm, std::span(&from_comm, 1), down));
    }
    for (auto& request : requests) request.wait_host();
    EXPECT_EQ(from_comm, 1);
    EXPECT_EQ(from_other, 2);
  });
}

TEST_P(EveryCommunicator, RanksOfOneNodeAreFound) {
  std::array<char, 65> host{};
  ASSERT_EQ(gethostname(host.data(), host.size() - 1), 0);
  auto const name = std::hash<std::string>{}(host.data());
  on_groups([&](comm::Communicator& comm) {
    auto const names = comm::all_gather_values(comm, static_cast<std::uint64_t>(name));
    EXPECT_EQ(comm.split_by_node()->size(), std::ranges::count(names, name));
  });
}

INSTANTIATE_TEST_SUITE_P(All, EveryCommunicator, ::testing::ValuesIn(decorations()),
                         [](auto const& instance) { return instance.param.name; });

}  // namespace
}  // namespace tessera::contract
