// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The schedules. Each generator takes any number of stages p >= 1 and microbatches m >= 1 (m < p included)
// and throws ConfigError for less. In all of them a stage takes the microbatches in increasing order, forward
// and backward, so weight gradients are summed in the same order whichever schedule runs (docs/numerics.md,
// rule 3). With forward cost F and backward cost B of a stage, and free messages, one step lasts (m + p -
// 1)(F + B) in both training schedules: they idle the same share of it, (p - 1) / (m + p - 1), and differ in
// memory.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/pipeline/schedule.hpp"

namespace tessera::pipeline {

/// All forwards, then all backwards (Huang et al., "GPipe", NeurIPS 2019; there without order among the
/// backwards). Every stage keeps m microbatches alive. Runs even where a send waits for its receiver.
[[nodiscard]] Schedule gpipe(int stages, int microbatches);

/// One forward, one backward (PipeDream-Flush: Narayanan et al., "Memory-Efficient Pipeline-Parallel DNN
/// Training", ICML 2021). Stage s starts with min(m, p - 1 - s) forwards, then alternates a forward and a
/// backward, then drains; it keeps min(m, p - s) microbatches alive. Neighbours send to each other at the
/// same time, so it needs sends that do not wait (schedule.hpp).
[[nodiscard]] Schedule one_f_one_b(int stages, int microbatches);

/// Forwards alone, for evaluation and sampling; a stage keeps no activations from one microbatch to the next.
/// With `only` the lists of the other stages stay empty: what one rank needs to run, at a p-th of the size.
[[nodiscard]] Schedule forward_only(int stages, int microbatches, std::optional<int> only = {});

/// The training schedule called "gpipe" or "1f1b", `only` as above. Throws ConfigError, with the names there
/// are, for another.
[[nodiscard]] Schedule make_schedule(std::string_view name, int stages, int microbatches,
                                     std::optional<int> only = {});

// What checker.hpp finds by walking through a schedule, in closed form: for a forecast of any size.

/// `slots` and `live_activations` of `stage` in make_schedule(name, stages, microbatches).
[[nodiscard]] int closed_form_slots(std::string_view name, int stages, int microbatches, int stage);
/// `bubble_fraction` of both training schedules, whatever a forward and a backward cost.
[[nodiscard]] double closed_form_bubble(int stages, int microbatches);

/// The names `make_schedule` knows.
[[nodiscard]] std::vector<std::string> schedule_names();

}  // namespace tessera::pipeline
