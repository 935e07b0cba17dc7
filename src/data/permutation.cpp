// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/data/permutation.hpp"

#include <cmath>

#include "tessera/base/error.hpp"
#include "tessera/base/philox.hpp"

namespace tessera::data {

namespace {

constexpr std::uint32_t rounds = 6;

/// The last word of the counter. The sites of a model's layers (layers/random_use.hpp) stay below it.
constexpr std::uint32_t shuffle_site = 0xFFFFFFFFu;

std::uint64_t ceil_sqrt(std::uint64_t n) {
  auto root = static_cast<std::uint64_t>(std::sqrt(static_cast<double>(n)));
  while (root * root < n) ++root;
  while (root > 0 && (root - 1) * (root - 1) >= n) --root;
  return root;
}

}  // namespace

Permutation::Permutation(std::int64_t size, std::uint64_t seed, std::uint64_t epoch)
    : size_(static_cast<std::uint64_t>(size)), root_(ceil_sqrt(size_)), seed_(seed), epoch_(epoch) {
  require(size >= 1 && size <= std::int64_t{1} << 62, "a permutation has 1 to 2^62 elements");
}

std::int64_t Permutation::operator()(std::int64_t index) const {
  auto value = static_cast<std::uint64_t>(index);
  require(value < size_, "the index lies inside the permutation");
  do {
    value = encipher(value);
  } while (value >= size_);
  return static_cast<std::int64_t>(value);
}

std::uint64_t Permutation::encipher(std::uint64_t value) const {
  std::uint64_t left = value / root_;
  std::uint64_t right = value % root_;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    Philox4 const random =
        philox4x32(static_cast<std::uint32_t>(right), static_cast<std::uint32_t>(epoch_ >> 32) << 8 | round,
                   static_cast<std::uint32_t>(epoch_), shuffle_site, static_cast<std::uint32_t>(seed_),
                   static_cast<std::uint32_t>(seed_ >> 32));
    std::uint64_t const mixed = std::uint64_t{random.value[1]} << 32 | random.value[0];
    std::uint64_t const next = (left + mixed % root_) % root_;
    left = right;
    right = next;
  }
  return left * root_ + right;
}

}  // namespace tessera::data
