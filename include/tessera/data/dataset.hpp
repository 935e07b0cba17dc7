// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Samples out of tokens. A sample is a run of S + 1 consecutive tokens, S inputs and the same moved on by one
// as targets; the next sample begins S tokens later, so every token but the first is a target once an epoch.
// The place of a run in its data is one number, the samples consumed since the start: it says the epoch and
// the sample, for any batch size and any layout, and is all that a checkpoint has to keep.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tessera/data/token_source.hpp"

namespace tessera::data {

struct DatasetOptions {
  std::string path;                  ///< a file, directory or pattern: see open_tokens
  std::string format = "auto";       ///< of both paths: auto, bytes, llmc or u16
  double validation_fraction = 0.1;  ///< in [0, 1): the tail of `path`; not used with a validation_path
  std::string validation_path;       ///< empty: the tail of `path`
  bool validates = true;             ///< false: the tail is set aside all the same, but may be too short
  std::int64_t seq_length = 0;       ///< S, tokens
  std::uint64_t seed = 0;            ///< of the order of the training samples
  std::int64_t vocab_size = 0;       ///< V, without padding: every id must be below it
  bool shuffle = true;               ///< false: training samples in the order of the tokens, every epoch
};

/// The training and validation samples of a run. Each rank opens its own; not collective; one thread at a
/// time. With N tokens, floor(N * validation_fraction) at the end are for validation, and each part has
/// floor((its tokens - 1) / S) samples; a remainder shorter than a sample is not read.
class Dataset {
 public:
  /// Opens the files. Throws ConfigError with all options that make no sense, what open_tokens throws, and
  /// DataError when a part that is asked for has not one sample, with the tokens needed and found. Where both
  /// paths fail, a ConfigError with what is wrong with each and the code of the first.
  explicit Dataset(DatasetOptions options);

  [[nodiscard]] std::int64_t seq_length() const noexcept { return options_.seq_length; }
  /// Samples in an epoch, at least 1.
  [[nodiscard]] std::int64_t training_samples() const noexcept { return training_.samples; }
  /// At least 1 where validation was asked for.
  [[nodiscard]] std::int64_t validation_samples() const noexcept { return validation_.samples; }

  /// Fills `tokens` (S+1) with the training sample at `position`, 0 or more, counted in samples since the
  /// start of training: with n = training_samples(), sample Permutation(n, seed, epoch)(position % n) of
  /// epoch position / n. Allocates nothing. Throws DataError naming file and place of an id that is not below
  /// V, and what TokenSource::read throws.
  void read_training(std::int64_t position, std::span<std::int32_t> tokens) const;

  /// The same for validation, in the order of the tokens; an `index` past the last sample starts again from
  /// the first. There must be validation samples.
  void read_validation(std::int64_t index, std::span<std::int32_t> tokens) const;

  /// Looks for ids that are not below V before they are trained on: the `part`-th of `parts` equal shares of
  /// the tokens, at most 64 Mi of them (of a larger share the beginning; the rest is checked as it is read).
  /// Throws DataError naming file and place. Reads nothing where no id can be too large.
  void check_tokens(int part, int parts) const;

  /// Every file that is read.
  [[nodiscard]] std::vector<std::string> files() const;

  /// What was opened, a line for each source, for the head of a run.
  [[nodiscard]] std::string description() const;

 private:
  /// A run of tokens of one source, cut into samples.
  struct Part {
    TokenSource const* source = nullptr;
    std::int64_t first = 0;  // token
    std::int64_t samples = 0;
  };

  [[nodiscard]] Part cut(TokenSource const& source, std::int64_t first, std::int64_t tokens,
                         std::string const& what) const;
  void cut_training();
  void read_sample(Part const& part, std::int64_t sample, std::span<std::int32_t> tokens) const;

  DatasetOptions options_;
  std::unique_ptr<TokenSource> source_;
  std::unique_ptr<TokenSource> validation_source_;  // null: the tail of source_
  Part training_;
  Part validation_;
};

}  // namespace tessera::data
