// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/checked.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "support/parallel.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::comm {
namespace {

using Calls = std::function<void(Communicator&)>;

/// What the CommError says that `calls` end with.
std::string error_of(Communicator& comm, Calls const& calls) {
  try {
    calls(comm);
  } catch (CommError const& error) {
    return error.what();
  }
  return "no error";
}

void sum(Communicator& comm, std::size_t count) {
  std::vector<float> values(count);
  all_reduce_in_place(comm, values, Op::sum).wait_host();
}

/// Rank 1 makes the calls `odd`, the others `usual`; all are told both calls, in these words.
void expect_told(Calls const& usual, Calls const& odd, std::string const& usual_text,
                 std::string const& odd_text) {
  support::for_each_group({2, 3}, [&](Communicator& group) {
    auto const comm = make_checked(group.duplicate(), "tp", 10 + group.rank());
    auto const text = error_of(*comm, group.rank() == 1 ? odd : usual);
    EXPECT_NE(text.find("the ranks of a group do not make the same call"), text.npos) << text;
    EXPECT_NE(text.find((group.size() == 2 ? "rank 10: " : "ranks 10, 12: ") + usual_text), text.npos)
        << text;
    EXPECT_NE(text.find("rank 11: " + odd_text), text.npos) << text;
    EXPECT_NE(text.find(", at tests/comm/checked_test.cpp:"), text.npos) << text;
    EXPECT_EQ(error_of(*comm, [](Communicator& same) { sum(same, 3); }), "no error");
  });
}

TEST(Checked, AnotherOperationIsTold) {
  expect_told([](auto& comm) { sum(comm, 5); }, [](auto& comm) { barrier(comm); },
              "all_reduce (sum) 1 on tp: 5 x f32, 20 bytes", "barrier 1 on tp");
}

TEST(Checked, AnotherCountIsTold) {
  expect_told([](auto& comm) { sum(comm, 5); }, [](auto& comm) { sum(comm, 6); },
              "all_reduce (sum) 1 on tp: 5 x f32", "all_reduce (sum) 1 on tp: 6 x f32");
}

TEST(Checked, AnotherTypeOrCombinationIsTold) {
  expect_told([](auto& comm) { sum(comm, 1); },
              [](auto& comm) { (void)all_reduce_value(comm, 1.0, Op::sum); },
              "all_reduce (sum) 1 on tp: 1 x f32", "all_reduce (sum) 1 on tp: 1 x f64");
  expect_told([](auto& comm) { sum(comm, 1); },
              [](auto& comm) { (void)all_reduce_value(comm, 1.0F, Op::max); }, "all_reduce (sum) 1",
              "all_reduce (max) 1");
}

TEST(Checked, AnotherRootIsTold) {
  expect_told([](auto& comm) { (void)broadcast_value(comm, 1.0, 0); },
              [](auto& comm) { (void)broadcast_value(comm, 1.0, 1); }, "broadcast 1 on tp from its rank 0",
              "broadcast 1 on tp from its rank 1");
}

TEST(Checked, AMissingCallIsToldAtTheNext) {
  expect_told(
      [](auto& comm) {
        sum(comm, 5);
        sum(comm, 7);
        barrier(comm);
      },
      [](auto& comm) {
        sum(comm, 5);
        barrier(comm);
      },
      "all_reduce (sum) 2 on tp: 7 x f32", "barrier 2 on tp");
}

TEST(Checked, AnotherOrderIsTold) {
  expect_told(
      [](auto& comm) {
        sum(comm, 5);
        barrier(comm);
      },
      [](auto& comm) {
        barrier(comm);
        sum(comm, 5);
      },
      "all_reduce (sum) 1", "barrier 1");
}

TEST(Checked, AMessageOfAnotherSizeIsToldByTheReceiver) {
  support::for_each_group({2}, [](Communicator& group) {
    auto const comm = make_checked(group.duplicate(), "pp", group.rank());
    std::vector<float> values(4);
    auto const some = std::span(values).first(3);
    if (group.rank() == 0) {
      send(*comm, some, 1).wait_host();
      return;
    }
    auto const text = error_of(*comm, [&](auto& checked) { receive(checked, values, 0).wait_host(); });
    EXPECT_NE(text.find("rank 1: receive 1 on pp from its rank 0: 4 x f32"), text.npos) << text;
    EXPECT_NE(text.find("rank 0: send 1 on pp to its rank 1: 3 x f32"), text.npos) << text;
  });
}

}  // namespace
}  // namespace tessera::comm
