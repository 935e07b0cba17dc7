// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What a run of a layer gave, in global coordinates: a rank notes the elements it holds, and any layout can
// be compared with any other.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "tessera/comm/collectives.hpp"

namespace tessera::layers::test {

/// The elements of one tensor that a rank has seen, by their index in the whole tensor.
template <class T>
class Elements {
 public:
  void set(std::int64_t index, T value) {
    auto const i = static_cast<std::size_t>(index);
    if (i >= values_.size()) {
      values_.resize(i + 1);
      known_.resize(i + 1, 0);
    }
    values_[i] = value;
    known_[i] = 1;
  }
  [[nodiscard]] std::size_t size() const { return values_.size(); }
  [[nodiscard]] bool knows(std::size_t i) const { return i < known_.size() && known_[i] != 0; }
  [[nodiscard]] T operator[](std::size_t i) const { return values_[i]; }
  [[nodiscard]] std::int64_t known() const { return std::count(known_.begin(), known_.end(), 1); }
  [[nodiscard]] double largest() const {
    double result = 0;
    for (T const value : values_) result = std::max(result, std::abs(static_cast<double>(value)));
    return result;
  }

 private:
  std::vector<T> values_;
  std::vector<char> known_;
};

template <class T>
using Recording = std::map<std::string, Elements<T>>;

/// Equal to the last bit: -0 is not +0.
struct SameBits {
  template <class T>
  bool operator()(T a, T b, double /*largest*/ = 0) const {
    return std::memcmp(&a, &b, sizeof(T)) == 0;
  }
};

/// Equal but for `relative` of the largest element of the tensor: sums that cancel have no better measure.
struct Near {
  double relative;
  template <class T>
  bool operator()(T a, T b, double largest) const {
    return std::abs(static_cast<double>(a) - static_cast<double>(b)) <= relative * largest;
  }
};

/// How many elements of `part` are as in `whole`; fails for the first that is not.
template <class T, class Same>
std::int64_t compare(std::string const& where, Elements<T> const& part, Elements<T> const& whole,
                     Same const& same) {
  double const largest = whole.largest();
  std::int64_t equal = 0;
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (!part.knows(i)) continue;
    if (!whole.knows(i) || !same(part[i], whole[i], largest)) {
      ADD_FAILURE() << where << ": element " << i << " is " << part[i] << ", expected "
                    << (whole.knows(i) ? whole[i] : std::nan(""));
      break;
    }
    ++equal;
  }
  return equal;
}

/// Fails for the first element of each tensor of which `got`, what this rank holds, is not the same as
/// `expected`, which holds every element, and when the ranks together do not hold every element. Collective
/// over `group`.
template <class T, class Same>
void expect_same(std::string const& layer, comm::Communicator& group, Recording<T> const& got,
                 Recording<T> const& expected, Same const& same) {
  EXPECT_EQ(got.size(), expected.size()) << layer << " records the same tensors on every layout";
  for (auto const& [name, whole] : expected) {
    auto const where = layer + ", tensor " + name + ", rank " + std::to_string(group.rank());
    auto const part = got.find(name);
    std::int64_t const equal = part == got.end() ? 0 : compare(where, part->second, whole, same);
    EXPECT_GE(comm::all_reduce_value(group, equal, comm::Op::sum), whole.known())
        << where << ": not all is as expected";
  }
}

}  // namespace tessera::layers::test
