// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/data/dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "data/failures.hpp"
#include "data/input_file.hpp"
#include "tessera/base/error.hpp"
#include "tessera/data/permutation.hpp"

namespace tessera::data {

namespace {

constexpr std::int64_t most_vocab = std::int64_t{1} << 31;

DatasetOptions checked(DatasetOptions options) {
  std::vector<std::string> problems;
  if (options.path.empty()) problems.push_back("data.path is empty: name a file or a directory");
  if (options.seq_length < 1) {
    problems.push_back(fmt::format("batch.seq_length = {} must be at least 1", options.seq_length));
  }
  if (options.vocab_size < 1 || options.vocab_size > most_vocab) {
    problems.push_back(
        fmt::format("model.vocab_size = {} must be between 1 and {}", options.vocab_size, most_vocab));
  }
  if (!(options.validation_fraction >= 0 && options.validation_fraction < 1)) {
    problems.push_back(
        fmt::format("data.validation_fraction = {} must be in [0, 1)", options.validation_fraction));
  }
  if (!problems.empty()) throw ConfigError(std::move(problems));
  return options;
}

/// Throws at the first id that is not below `vocab_size`; `first` is the place of tokens[0] in `source`.
void check_ids(TokenSource const& source, std::int64_t first, std::span<std::int32_t const> tokens,
               std::int64_t vocab_size) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    auto const id = static_cast<std::uint32_t>(tokens[i]);
    if (id < vocab_size) continue;
    throw DataError(
        fmt::format("{} has id {}, but a vocabulary of {} ends at {}: set model.vocab_size for the "
                    "tokenizer that made the data, or data.format if these are not token ids",
                    source.locate(first + static_cast<std::int64_t>(i)), id, vocab_size, vocab_size - 1));
  }
}

/// Bytes are compared with bytes only: other ids come out of a tokenizer.
void expect_alike(TokenSource const& training, TokenSource const& validation) {
  constexpr std::int64_t of_bytes = 256;
  if ((training.vocab_bound() == of_bytes) == (validation.vocab_bound() == of_bytes)) return;
  throw DataError(
      fmt::format("training data is {} but validation data is {}: both must be bytes, or both ids "
                  "of one tokenizer",
                  training.description(), validation.description()));
}

}  // namespace

Dataset::Dataset(DatasetOptions options) : options_(checked(std::move(options))) {
  Failures failures;
  failures.attempt([&] {
    source_ = open_tokens(options_.path, options_.format);
    cut_training();
  });
  if (!options_.validation_path.empty()) {
    failures.attempt([&] {
      validation_source_ = open_tokens(options_.validation_path, options_.format);
      if (source_) expect_alike(*source_, *validation_source_);
      validation_ = cut(*validation_source_, 0, validation_source_->size(), "validation data");
    });
  }
  failures.rethrow();
}

void Dataset::cut_training() {
  std::int64_t training_tokens = source_->size();
  if (options_.validation_path.empty() && options_.validation_fraction > 0) {
    auto const tail = static_cast<std::int64_t>(
        std::floor(static_cast<double>(training_tokens) * options_.validation_fraction));
    training_tokens -= tail;
    if (options_.validates || tail > options_.seq_length) {
      validation_ =
          cut(*source_, training_tokens, tail,
              fmt::format("the validation part (the last {} of the tokens)", options_.validation_fraction));
    }
  }
  training_ = cut(*source_, 0, training_tokens, "training data");
}

Dataset::Part Dataset::cut(TokenSource const& source, std::int64_t first, std::int64_t tokens,
                           std::string const& what) const {
  std::int64_t const samples = (tokens - 1) / options_.seq_length;
  if (tokens < 1 || samples < 1) {
    throw DataError(
        fmt::format("{} of {} is too short: one sample of batch.seq_length = {} needs {} tokens, found "
                    "{}: give more data or a shorter sequence",
                    what, source.description(), options_.seq_length, options_.seq_length + 1, tokens));
  }
  return {&source, first, samples};
}

void Dataset::read_training(std::int64_t position, std::span<std::int32_t> tokens) const {
  require(position >= 0, "a position counts samples from 0");
  std::int64_t const epoch = position / training_.samples;
  std::int64_t const index = position % training_.samples;
  if (!options_.shuffle) return read_sample(training_, index, tokens);
  Permutation const order(training_.samples, options_.seed, static_cast<std::uint64_t>(epoch));
  read_sample(training_, order(index), tokens);
}

void Dataset::read_validation(std::int64_t index, std::span<std::int32_t> tokens) const {
  require(index >= 0 && validation_.samples > 0, "validation samples are counted from 0, and there are some");
  read_sample(validation_, index % validation_.samples, tokens);
}

void Dataset::read_sample(Part const& part, std::int64_t sample, std::span<std::int32_t> tokens) const {
  require(std::ssize(tokens) == options_.seq_length + 1, "a sample has S + 1 tokens");
  std::int64_t const first = part.first + sample * options_.seq_length;
  part.source->read(first, tokens);
  check_ids(*part.source, first, tokens, options_.vocab_size);
}

void Dataset::check_tokens(int part, int parts) const {
  constexpr std::int64_t most_tokens = 1 << 26;
  std::vector<std::int32_t> chunk(1 << 16);
  for (TokenSource const* source : {source_.get(), validation_source_.get()}) {
    if (source == nullptr || source->vocab_bound() <= options_.vocab_size) continue;
    std::int64_t const first = source->size() / parts * part;
    std::int64_t const end = part + 1 == parts ? source->size() : first + source->size() / parts;
    std::int64_t const last = std::min(end, first + most_tokens);
    for (std::int64_t at = first; at < last; at += std::ssize(chunk)) {
      std::span<std::int32_t> const tokens(
          chunk.data(), static_cast<std::size_t>(std::min<std::int64_t>(std::ssize(chunk), last - at)));
      source->read(at, tokens);
      check_ids(*source, at, tokens, options_.vocab_size);
    }
  }
}

std::vector<std::string> Dataset::files() const {
  auto files = source_->files();
  if (validation_source_) {
    auto const more = validation_source_->files();
    files.insert(files.end(), more.begin(), more.end());
  }
  return files;
}

std::string Dataset::description() const {
  std::string const training = fmt::format("{}: {}", in_quotes(options_.path), source_->description());
  std::string const samples = fmt::format("{} training and {} validation samples of {} tokens",
                                          training_.samples, validation_.samples, options_.seq_length);
  if (!validation_source_) return fmt::format("{}\n{}", training, samples);
  return fmt::format("{}\n{}: {}\n{}", training, in_quotes(options_.validation_path),
                     validation_source_->description(), samples);
}

}  // namespace tessera::data
