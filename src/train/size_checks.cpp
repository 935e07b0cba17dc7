// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Whether sizes that are each possible can be multiplied. Every rule bounds from above a count that the room
// makes in 64 bits, with room to spare, so that no forecast, index or offset overflows unseen.
#include "tessera/pipeline/generators.hpp"
#include "train/checks.hpp"

namespace tessera::train {

namespace {

/// Larger than what is kept of a parameter (values, moments, a stack of gradients) or an activation in bytes.
constexpr std::int64_t bytes_kept = 64 * 8;
/// Larger than the number of tensors as wide as D or F that a block saves of a token.
constexpr std::int64_t saved_widths = 16;
/// Larger than the number of matrices of D * max(D, F) in a block, and of messages of a token in it.
constexpr std::int64_t parts_of_block = 10;

/// True if the factors, all of them positive, multiply to a number of 64 bits.
bool countable(std::initializer_list<std::int64_t> factors) {
  std::int64_t product = 1;
  for (std::int64_t const factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product)) return false;
  }
  return true;
}

void check_parameters(Checks& checks, RunConfig const& c, int ranks) {
  auto const& m = c.model;
  std::int64_t const ffn = model::ffn_hidden_size(m);
  std::int64_t const bytes = std::max<std::int64_t>(bytes_kept, 8 * std::int64_t{ranks});
  bool const blocks =
      countable({m.layers, parts_of_block, m.hidden_size, std::max(m.hidden_size, ffn), bytes});
  bool const tables = countable({m.vocab_size + m.max_positions + most_ranks, m.hidden_size, bytes});
  checks.expect(blocks,
                "model.layers = {}, model.hidden_size = {} and the feed-forward size {} make more parameters "
                "than 64 bits can count bytes of: take a smaller model",
                m.layers, m.hidden_size, ffn);
  checks.expect(tables,
                "model.vocab_size = {} and model.max_positions = {} with model.hidden_size = {} make more "
                "parameters than 64 bits can count bytes of: take a smaller model",
                m.vocab_size, m.max_positions, m.hidden_size);
}

void check_tensor_tiles(Checks& checks, RunConfig const& c) {
  std::int64_t const tiles = std::max(c.parallel.tiles, c.parallel.tp);
  std::int64_t const terms = (12 * c.model.layers + 4) * tiles;
  checks.expect(
      terms <= most_vocab,
      "parallel.tiles = {} in the tensors of model.layers = {} are more than the {} that a gradient norm "
      "can add up: take fewer tiles",
      tiles, c.model.layers, most_vocab);
}

/// `microbatches` of one replica.
void check_activations(Checks& checks, RunConfig const& c, std::int64_t microbatches) {
  auto const& [seq_length, micro, global] = c.batch;
  auto const& m = c.model;
  int const slots =
      pipeline::closed_form_slots(c.parallel.schedule, c.parallel.pp, static_cast<int>(microbatches), 0);
  std::int64_t const widest =
      std::max(m.layers * (m.hidden_size + model::ffn_hidden_size(m)), m.vocab_size + most_ranks);
  checks.expect(
      countable({seq_length, micro, saved_widths, widest, slots, 8}) && micro * m.heads <= most_vocab,
      "batch.seq_length = {} x batch.micro_batch_size = {} in {} microbatches at a time make more "
      "activations than 64 bits can count bytes of: take a smaller microbatch",
      seq_length, micro, slots);
}

void check_messages(Checks& checks, RunConfig const& c) {
  auto const& [seq_length, micro, global] = c.batch;
  checks.expect(countable({parts_of_block * (c.model.layers + 1), global, seq_length, c.model.hidden_size, 8,
                           c.parallel.tp}),
                "batch.global_batch_size = {} sequences of batch.seq_length = {} send more than 64 bits can "
                "count bytes of in a step: take a smaller batch",
                global, seq_length);
}

/// Tokens are counted from the first step to the last, and random numbers over all pairs of positions.
void check_counts(Checks& checks, RunConfig const& c) {
  auto const& [seq_length, micro, global] = c.batch;
  for (auto const& [name, times] : {std::pair{"training.steps", c.training.steps},
                                    std::pair{"training.eval_batches", c.training.eval_batches}}) {
    if (times < 1 || times > most_steps) continue;
    checks.expect(
        countable({times, global, seq_length}),
        "{} = {} batches of batch.global_batch_size = {} sequences of batch.seq_length = {} have more "
        "tokens than 64 bits can count",
        name, times, global, seq_length);
  }
  checks.expect(
      countable({global, c.model.heads, seq_length, seq_length}),
      "batch.global_batch_size = {} sequences of batch.seq_length = {} with model.heads = {} have more "
      "attention scores than 64 bits can number: take a smaller batch",
      global, seq_length, c.model.heads);
}

}  // namespace

void check_sizes(Checks& checks, RunConfig const& c, int ranks, int dp) {
  check_parameters(checks, c, ranks);
  check_tensor_tiles(checks, c);
  check_messages(checks, c);
  check_counts(checks, c);
  std::int64_t const microbatches = c.batch.global_batch_size / c.batch.micro_batch_size / dp;
  bool const few = checks.expect(
      microbatches <= most_microbatches,
      "batch.global_batch_size = {} makes {} microbatches of batch.micro_batch_size = {} for a replica "
      "(parallel.dp = {}), but {} are possible: take a larger microbatch or more replicas",
      c.batch.global_batch_size, microbatches, c.batch.micro_batch_size, dp, most_microbatches);
  auto const schedules = pipeline::schedule_names();
  bool const known = std::ranges::find(schedules, c.parallel.schedule) != schedules.end();
  if (few && known && microbatches > 0) check_activations(checks, c, microbatches);
}

}  // namespace tessera::train
