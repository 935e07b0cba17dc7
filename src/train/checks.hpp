// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What the rules of validation.cpp, value_checks.cpp and size_checks.cpp are written with.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tessera/mesh/mesh_index.hpp"
#include "tessera/train/run_config.hpp"

namespace tessera::train {

// Limits that no machine reaches. What their products can be is looked at in size_checks.cpp.
inline constexpr std::int64_t most_ranks = 1 << 20;
inline constexpr std::int64_t most_layers = 1 << 14;
inline constexpr std::int64_t most_hidden = 1 << 20;
inline constexpr std::int64_t most_positions = 1 << 24;
inline constexpr std::int64_t most_vocab = std::numeric_limits<std::int32_t>::max();
// Of one replica in a step: its list of what to do is made before the first.
inline constexpr std::int64_t most_microbatches = 1 << 20;
// A step is 32 bits of a random number's counter.
inline constexpr std::int64_t most_steps = std::int64_t{1} << 32;
inline constexpr std::int64_t most_bytes = std::int64_t{1} << 40;
// 40 GiB a rank: longer timelines open in no viewer.
inline constexpr std::int64_t most_spans = std::int64_t{1} << 30;

inline bool is_power_of_two(std::int64_t n) {
  return n > 0 && std::has_single_bit(static_cast<std::uint64_t>(n));
}

/// The largest power of two that divides n > 0.
inline std::int64_t power_of_two_in(std::int64_t n) { return n & -n; }

inline std::int64_t power_of_two_at_most(std::int64_t n) {
  return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(n)));
}

/// "up or down" to a multiple of `unit`, for suggestions.
inline std::string nearest_multiples(std::int64_t value, std::int64_t unit) {
  std::int64_t const below = value / unit * unit;
  return below > 0 ? fmt::format("{} or {}", below, below + unit) : fmt::format("{}", unit);
}

/// "a, b, c".
template <class Range>
std::string joined(Range const& range) {
  std::string text;
  for (auto const& element : range) text += fmt::format("{}{}", text.empty() ? "" : ", ", element);
  return text;
}

inline bool is_mesh_order(std::string const& order) { return mesh::order_problem(order).empty(); }

/// Tests rules one after another and keeps a sentence for each that does not hold.
class Checks {
 public:
  template <class... Args>
  bool expect(bool holds, fmt::format_string<Args...> text, Args&&... args) {
    if (!holds) found_.push_back(fmt::format(text, std::forward<Args>(args)...));
    return holds;
  }
  bool between(std::string_view name, std::int64_t value, std::int64_t low, std::int64_t high) {
    return expect(value >= low && value <= high, "{} = {} must be from {} to {}", name, value, low, high);
  }
  bool positive(std::string_view name, double value) {
    return expect(std::isfinite(value) && value > 0, "{} = {} must be a number greater than 0", name, value);
  }
  bool not_negative(std::string_view name, double value) {
    return expect(std::isfinite(value) && value >= 0, "{} = {} must be a number of at least 0", name, value);
  }
  bool below_one(std::string_view name, double value) {
    return expect(value >= 0 && value < 1, "{} = {} must be at least 0 and less than 1", name, value);
  }
  bool one_of(std::string_view name, std::string const& value,
              std::initializer_list<std::string_view> choices) {
    return expect(std::ranges::find(choices, value) != choices.end(), "{} = \"{}\" must be one of: {}", name,
                  value, joined(choices));
  }
  std::vector<std::string> take() { return std::move(found_); }

 private:
  std::vector<std::string> found_;
};

/// Each value by itself. False where a rule that combines values could not be tried.
bool check_model(Checks& checks, model::ModelConfig const& m);
bool check_batch(Checks& checks, BatchConfig const& b);
/// Which values of the layout are possible each by itself, so that rules that combine them can be tried.
struct PossibleLayout {
  bool grid = true;   ///< tp, pp, dp
  bool tiles = true;  ///< tiles and batch_tiles
};
PossibleLayout check_parallel(Checks& checks, ParallelConfig const& p);
void check_optimizer(Checks& checks, RunConfig const& c);
void check_run(Checks& checks, RunConfig const& c);
void check_checkpoint(Checks& checks, CheckpointConfig const& c);

/// Products of values that are each possible: nothing that is counted overflows 64 bits or takes long to
/// make. `dp` is 1 where it is not known.
void check_sizes(Checks& checks, RunConfig const& c, int ranks, int dp);

}  // namespace tessera::train
