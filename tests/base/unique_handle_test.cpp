// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/unique_handle.hpp"

#include <gtest/gtest.h>

#include <type_traits>
#include <vector>

namespace tessera {
namespace {

std::vector<int> freed;

struct NumberTraits {
  using Handle = int;
  static Handle null() noexcept { return -1; }
  static void free(Handle handle) noexcept { freed.push_back(handle); }
};
using Number = UniqueHandle<NumberTraits>;

class UniqueHandleTest : public ::testing::Test {
 protected:
  void SetUp() override { freed.clear(); }
};

TEST_F(UniqueHandleTest, FreesItsHandleOnceAndNullNever) {
  {
    Number const empty;
    Number const seven(7);
    EXPECT_FALSE(empty);
    EXPECT_TRUE(seven);
  }
  EXPECT_EQ(freed, std::vector{7});
}

TEST_F(UniqueHandleTest, ZeroIsAHandleLikeAnyOther) {
  { Number const zero(0); }
  EXPECT_EQ(freed, std::vector{0});
}

TEST_F(UniqueHandleTest, MovedFromHoldsNull) {
  Number first(1);
  Number const second(std::move(first));
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): the promise under test
  EXPECT_EQ(second.get(), 1);
  EXPECT_TRUE(freed.empty());
}

TEST_F(UniqueHandleTest, AssignmentFreesWhatWasHeld) {
  Number first(1);
  Number second(2);
  first = std::move(second);
  EXPECT_EQ(freed, std::vector{1});
  EXPECT_EQ(first.get(), 2);
}

TEST_F(UniqueHandleTest, AssigningAnOwnerToItselfChangesNothing) {
  Number owner(5);
  Number& same = owner;
  owner = std::move(same);
  EXPECT_EQ(owner.get(), 5);
  EXPECT_TRUE(freed.empty());
}

TEST_F(UniqueHandleTest, ReleaseGivesUpWithoutFreeing) {
  Number owner(3);
  EXPECT_EQ(owner.release(), 3);
  EXPECT_FALSE(owner);
  owner.reset(4);
  owner.reset();
  EXPECT_EQ(freed, std::vector{4});
}

TEST_F(UniqueHandleTest, AddressLetsACallFillItIn) {
  Number owner;
  *owner.address() = 9;
  EXPECT_TRUE(owner);
}

static_assert(!std::is_copy_constructible_v<Number> && !std::is_copy_assignable_v<Number>);
static_assert(std::is_nothrow_move_constructible_v<Number> && std::is_nothrow_move_assignable_v<Number>);

}  // namespace
}  // namespace tessera
