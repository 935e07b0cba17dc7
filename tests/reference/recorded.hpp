// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What another framework computed for a small GPT-2 (generate_gpt2.py says for which, and how): read from the
// recorded files, so that tests can compare the library with something it shares no code with.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::recorded {

/// The model, batch and optimiser of the recording.
struct Config {
  int layers, hidden, heads, feed_forward, vocabulary, positions;
  int sequence_length, microbatch_size, global_batch_size, steps;
  double norm_epsilon, learning_rate, beta1, beta2, epsilon, weight_decay, clip;
};

/// A tensor in row-major order of `shape`.
struct Tensor {
  std::vector<std::int64_t> shape;
  std::vector<double> values;
};

/// Three float64 numbers that tell two tensors w of n elements apart.
struct Checksum {
  double sum = 0;   ///< sum of w_i
  double norm = 0;  ///< Euclidean norm
  double ramp = 0;  ///< sum of (i + 1) / n * w_i: sees elements that changed places
};

/// One initial weight, to check the formula with.
struct SpotCheck {
  std::int64_t index;
  double value;
};

struct Recording {
  Config config;
  std::vector<std::vector<int>> tokens;  ///< (global batch, S + 1): inputs are the first S, targets the last
  std::map<std::string, std::vector<SpotCheck>> initial_weights;
  Tensor logits;                            ///< (S, B, V) of the first microbatch at step 0
  std::map<std::string, Tensor> gradients;  ///< at step 0, of the whole batch, before clipping
  std::vector<double> losses;               ///< before each update, mean over the tokens of the global batch
  std::vector<double> gradient_norms;       ///< before clipping
  std::map<std::string, Checksum> final_weights;  ///< after the last update
};

/// What a recording in bf16 or fp16 has alone: numbers of another order of roundings are other numbers.
struct Course {
  Config config;
  std::vector<double> losses, gradient_norms;  ///< as in Recording
};

/// The recording made in `precision` ("float32" or "float64"). Throws DataError when its file is missing or
/// is not such a recording.
[[nodiscard]] Recording read(std::string const& precision);
/// The course of training in `precision`, also "bf16" and "fp16". Throws as `read`.
[[nodiscard]] Course read_course(std::string const& precision);

/// The initial value of element `index` (row-major in the global shape) of the parameter `name`; exact in
/// float.
[[nodiscard]] double initial_weight(std::string_view name, std::int64_t index);

/// Token `position` (0 .. S) of sequence `sequence` of the global batch; `config` gives S and V.
[[nodiscard]] int token(Config const& config, int sequence, int position);

[[nodiscard]] Checksum checksum(std::vector<double> const& values);

}  // namespace tessera::recorded
