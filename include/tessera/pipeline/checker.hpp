// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Proves a schedule before it runs. A schedule that passes cannot hang an executor that keeps the promises of
// schedule.hpp, needs no more memory than stated, and sums weight gradients in the one order that every
// layout shares. All functions here are pure and run the same on every rank, without communication.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "tessera/pipeline/schedule.hpp"

namespace tessera::pipeline {

/// How a send behaves when schedules are tried out for deadlocks.
enum class SendMode {
  buffered,   ///< starts and goes on; each microbatch's slot has a buffer of its own (schedule.hpp)
  rendezvous  ///< waits until the receiver is at the matching receive: the blocking sends of a plain program
};

struct CheckOptions {
  int max_live = std::numeric_limits<int>::max();  ///< bound on `live_activations` of every stage
  SendMode sends = SendMode::buffered;
};

/// Everything that is wrong with `schedule`, one sentence each, naming stage and microbatch; empty when
/// sound. Takes any schedule, however broken. Checked are:
///   - the sizes agree and every microbatch number is in range (else nothing further is looked at);
///   - every stage has the actions of every microbatch exactly once (forward; with `has_backward` backward;
///   the
///     receives and sends of its neighbours), and no others;
///   - receive before compute before send, and forward before backward, of each microbatch;
///   - backwards run in increasing microbatch order (docs/numerics.md, rule 3);
///   - no stage keeps more than `max_live` microbatches alive;
///   - each channel is received in the order in which it is sent;
///   - nothing waits for ever, with sends of the asked mode. A schedule may pass `buffered` and fail
///     `rendezvous` (1F1B does); the messages of the two modes differ.
[[nodiscard]] std::vector<std::string> check(Schedule const& schedule, CheckOptions const& options = {});

/// How many slots (`Saved` and the buffers of messages) `stage` needs when microbatch i uses slot i % slots:
/// the smallest number for which no two microbatches use one at the same time. A microbatch uses its slot
/// from its first action on the stage to its last. In all schedules of generators.hpp it equals
/// `live_activations`. Every microbatch number must be in range, as in a schedule that passes `check`.
[[nodiscard]] int slots(Schedule const& schedule, int stage);

/// The share of the step in which an average stage does nothing, 0 <= share < 1, when every forward lasts
/// `forward_cost`, every backward `backward_cost` (> 0, any unit) and messages take no time: found by running
/// the schedule against a clock. Throws InternalError for other costs and for a schedule that deadlocks.
[[nodiscard]] double bubble_fraction(Schedule const& schedule, double forward_cost, double backward_cost);

}  // namespace tessera::pipeline
