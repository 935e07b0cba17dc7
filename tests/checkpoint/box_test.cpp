// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/box.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>
#include <vector>

#include "sample.hpp"

namespace tessera::checkpoint {

namespace {

using test::random_cut;
using Shape = std::vector<std::int64_t>;

/// The answer to compare with: every element counted.
bool covers_once(Shape const& shape, std::vector<Box> const& boxes) {
  std::vector<int> times(static_cast<std::size_t>(*checked_count(shape)));
  auto const strides = row_major_strides(shape);
  for (auto const& box : boxes) {
    for_each_piece(whole(shape), box, 1, 0,
                   [&](Piece const& piece) { ++times[static_cast<std::size_t>(piece.position)]; });
  }
  return std::ranges::all_of(times, [](int n) { return n == 1; });
}

}  // namespace

TEST(Box, RandomCutsCoverAndAnyChangeIsNoticed) {
  std::mt19937_64 random(1);
  int changed = 0;
  for (auto const& shape : {Shape{40}, Shape{9, 11}, Shape{5, 4, 6}, Shape{3, 2, 4, 3, 2}}) {
    for (int round = 0; round < 60; ++round) {
      auto boxes = random_cut(shape, 1 + random() % 20, random);
      ASSERT_TRUE(covers_once(shape, boxes));
      EXPECT_EQ(problem_of_cover(shape, boxes), std::nullopt);
      auto& box = boxes[random() % boxes.size()];
      auto const dim = random() % shape.size();
      auto& number = random() % 2 == 0 ? box.offset[dim] : box.extent[dim];
      number += random() % 2 == 0 ? 1 : -1;
      if (problem_of_box(shape, box)) continue;
      ++changed;
      EXPECT_EQ(problem_of_cover(shape, boxes) == std::nullopt, covers_once(shape, boxes));
    }
  }
  EXPECT_GT(changed, 50);
}

TEST(Box, SwappedOrDoubledBoxesOfTheRightVolumeAreNoticed) {
  Shape const shape{4, 4};
  std::vector<Box> boxes{{{0, 0}, {2, 4}}, {{0, 0}, {2, 4}}};
  EXPECT_EQ(problem_of_cover(shape, boxes).value(), "element [0, 0] lies in 2 boxes");
  boxes[1] = {{2, 0}, {2, 3}};
  EXPECT_EQ(problem_of_cover(shape, boxes).value(), "element [2, 3] lies in no box");
  EXPECT_EQ(problem_of_cover(shape, {}).value(), "element [0, 0] lies in no box");
  boxes[1] = {{2, 0}, {3, 4}};
  EXPECT_EQ(problem_of_cover(shape, boxes).value(),
            "box 1: offset 2 and extent 3 of dim 0 do not lie in 0:4");
}

TEST(Box, CutsThatNoStraightLineMakesAreCovers) {
  Shape const shape{3, 3};
  std::vector<Box> const wheel{
      {{0, 0}, {1, 2}}, {{0, 2}, {2, 1}}, {{2, 1}, {1, 2}}, {{1, 0}, {2, 1}}, {{1, 1}, {1, 1}}};
  EXPECT_EQ(problem_of_cover(shape, wheel), std::nullopt);
}

namespace {

/// `rows` times 500 boxes that cover a tensor, and the seconds that checking them takes.
std::pair<std::vector<Box>, double> check_rows(std::int64_t rows) {
  Shape const shape{5 * rows, 500, 8};
  std::vector<Box> boxes;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < 500; ++j) boxes.push_back({{5 * i, j, 0}, {5, 1, 8}});
  }
  auto const begin = std::chrono::steady_clock::now();
  EXPECT_EQ(problem_of_cover(shape, boxes), std::nullopt);
  std::chrono::duration<double> const took = std::chrono::steady_clock::now() - begin;
  return {std::move(boxes), took.count()};
}

}  // namespace

/// Not by comparing all pairs: of eight times the boxes there are 64 times the pairs.
TEST(Box, AHundredThousandBoxesAreChecked) {
  Shape const shape{1000, 500, 8};
  double const some_s = check_rows(25).second;
  auto [boxes, all_s] = check_rows(200);
  ASSERT_EQ(boxes.size(), 100'000U);
  EXPECT_LT(all_s, 32 * some_s);
  std::swap(boxes[70'000].offset, boxes[70'001].offset);
  EXPECT_EQ(problem_of_cover(shape, boxes), std::nullopt);
  boxes[70'000] = boxes[70'001];
  EXPECT_NE(problem_of_cover(shape, boxes), std::nullopt);
}

TEST(Box, NumbersThatOverflowAreProblemsNotAddresses) {
  constexpr std::int64_t big = INT64_MAX;
  EXPECT_TRUE(problem_of_shape(Shape{big, 2}));
  EXPECT_TRUE(problem_of_shape(Shape{1LL << 32, 1LL << 32}));
  EXPECT_TRUE(problem_of_shape(Shape{0}));
  EXPECT_TRUE(problem_of_shape(Shape{-1}));
  EXPECT_TRUE(problem_of_shape(Shape(9, 1)));
  EXPECT_TRUE(problem_of_shape(Shape{}));
  EXPECT_FALSE(problem_of_shape(Shape{big}));
  EXPECT_TRUE(problem_of_box(Shape{big}, {{big}, {1}}));
  EXPECT_TRUE(problem_of_box(Shape{big}, {{1}, {big}}));
  EXPECT_TRUE(problem_of_box(Shape{4, 4}, {{0}, {4}}));
  EXPECT_FALSE(problem_of_cover(Shape{big}, std::vector<Box>{{{0}, {5}}, {{5}, {big - 5}}}));
}

TEST(Box, CornersBeyondTheLimitAreRefused) {
  Shape const shape(8, 2);
  std::vector<Box> const boxes(1 << 17, Box{Shape(8, 0), Shape(8, 1)});
  EXPECT_NE(problem_of_cover(shape, boxes).value().find("more than can be checked"), std::string::npos);
}

TEST(Box, CopiesBetweenAnyStrides) {
  Shape const shape{5, 6, 7};
  std::vector<std::int32_t> full(5 * 6 * 7);
  for (std::size_t k = 0; k < full.size(); ++k) full[k] = static_cast<std::int32_t>(k);
  ConstBoxMemory const from = row_major(reinterpret_cast<std::byte const*>(full.data()), whole(shape));
  std::mt19937_64 random(2);
  for (int round = 0; round < 100; ++round) {
    auto const box = random_cut(shape, 9, random)[0];
    auto const count = static_cast<std::size_t>(element_count(box));
    // The memory of `box` with the dims in another order, elements two apart.
    Shape order{0, 1, 2};
    std::ranges::shuffle(order, random);
    Shape strides(3);
    std::int64_t stride = 2;
    for (auto const dim : order) {
      strides[static_cast<std::size_t>(dim)] = stride;
      stride *= box.extent[static_cast<std::size_t>(dim)];
    }
    std::vector<std::int32_t> turned(2 * count, -1);
    std::vector<std::int32_t> back(count);
    BoxMemory const memory{reinterpret_cast<std::byte*>(turned.data()), box, strides};
    copy_box(memory, from, box, 4);
    EXPECT_EQ(std::ranges::count(turned, -1), static_cast<std::ptrdiff_t>(count));
    copy_box(row_major(reinterpret_cast<std::byte*>(back.data()), box), {memory.data, box, strides}, box, 4);
    std::size_t k = 0;
    for_each_piece(whole(shape), box, 1, 0, [&](Piece const& piece) {
      EXPECT_EQ(back[k++], static_cast<std::int32_t>(piece.position));
    });
    EXPECT_EQ(k, count);
  }
}

TEST(Box, PiecesCoverInOrderAndKeepTheirLimits) {
  Shape const shape{6, 10, 8};
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    auto const what = random_cut(shape, 1 + random() % 12, random)[0];
    auto const max_span = 1 + static_cast<std::int64_t>(random() % 200);
    auto const max_gap = static_cast<std::int64_t>(random() % 20);
    std::int64_t end = -1;
    std::int64_t elements = 0;
    for_each_piece(whole(shape), what, max_span, max_gap, [&](Piece const& piece) {
      EXPECT_GT(piece.position, end);
      EXPECT_LE(piece.span, max_span);
      EXPECT_EQ(intersection(piece.box, what), piece.box);
      end = piece.position + piece.span - 1;
      elements += element_count(piece.box);
    });
    EXPECT_EQ(elements, element_count(what));
  }
}

}  // namespace tessera::checkpoint
