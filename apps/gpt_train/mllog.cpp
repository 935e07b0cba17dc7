// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "mllog.hpp"

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

namespace gpt_train {

namespace {

using OrderedJson = nlohmann::ordered_json;
using SystemClock = std::chrono::system_clock;

std::int64_t milliseconds(SystemClock::time_point moment) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(moment.time_since_epoch()).count();
}

/// Before main: what MPI and the data take to start counts as initialisation.
std::int64_t const program_began_ms = milliseconds(SystemClock::now());

std::string mllog_line(std::int64_t time_ms, std::string_view kind, std::string_view key, OrderedJson value,
                       OrderedJson metadata) {
  return ":::MLLOG " + OrderedJson{{"namespace", ""},           {"time_ms", time_ms},
                                   {"event_type", kind},        {"key", key},
                                   {"value", std::move(value)}, {"metadata", std::move(metadata)}}
                           .dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

OrderedJson place_of(std::source_location const& where) {
  return {{"file", std::filesystem::path(where.file_name()).filename().string()}, {"lineno", where.line()}};
}

}  // namespace

Mllog::Mllog(Write write, std::int64_t global_batch_size)
    : write_(std::move(write)), global_batch_size_(global_batch_size) {}

template <class Value>
void Mllog::event(Kind kind, std::string_view key, Value const& value, std::int64_t step,
                  std::string_view status, std::source_location where) {
  if (!write_) return;
  auto metadata = place_of(where);
  if (step >= 0) metadata["samples_count"] = step * global_batch_size_;
  if (!status.empty()) metadata["status"] = status;
  std::string_view const type = kind == Kind::start  ? "INTERVAL_START"
                                : kind == Kind::stop ? "INTERVAL_END"
                                                     : "POINT_IN_TIME";
  write_(mllog_line(milliseconds(SystemClock::now()), type, key, value, std::move(metadata)));
}

void Mllog::begin(tessera::train::RunConfig const& config, tessera::train::Layout const& layout,
                  RunFacts const& facts) {
  if (!write_) return;
  auto const say = [this](std::string_view key, auto const& value) { event(Kind::point, key, value); };
  auto const& optimizer = config.optimizer;
  write_(mllog_line(program_began_ms, "INTERVAL_START", "init_start", nullptr,
                    place_of(std::source_location::current())));
  say("cache_clear", false);  // nothing here clears the system's caches
  say("seed", config.training.seed);
  say("global_batch_size", config.batch.global_batch_size);
  say("gradient_accumulation_steps", layout.microbatches_per_replica);
  say("max_sequence_length", config.batch.seq_length);
  say("train_samples", facts.train_samples);
  say("eval_samples", config.training.eval_batches * config.batch.global_batch_size);
  say("max_steps", config.training.steps);
  say("opt_name", "adamw");
  say("opt_base_learning_rate", optimizer.lr);
  say("opt_end_learning_rate", optimizer.min_lr);
  say("opt_learning_rate_warmup_steps", optimizer.warmup_steps);
  say("opt_learning_rate_decay_steps", layout.decay_steps - optimizer.warmup_steps);
  say("opt_learning_rate_decay_schedule", "cosine with linear warmup");
  say("opt_adamw_beta_1", optimizer.beta1);
  say("opt_adamw_beta_2", optimizer.beta2);
  say("opt_adamw_epsilon", optimizer.epsilon);
  say("opt_adamw_weight_decay", optimizer.weight_decay);
  say("opt_gradient_clip_norm", optimizer.clip_grad);
}

void Mllog::run_start(std::int64_t step) {
  event(Kind::stop, "init_stop", nullptr);
  event(Kind::start, "run_start", nullptr);
  event(Kind::start, "block_start", nullptr, step);
  in_block_ = true;
}

void Mllog::eval_start(std::int64_t step) {
  event(Kind::stop, "block_stop", nullptr, step);
  in_block_ = false;
  event(Kind::start, "eval_start", nullptr, step);
}

void Mllog::eval_stop(std::int64_t step, double loss, bool last) {
  event(Kind::point, "eval_accuracy", loss, step);
  event(Kind::stop, "eval_stop", nullptr, step);
  if (last) return;
  event(Kind::start, "block_start", nullptr, step);
  in_block_ = true;
}

void Mllog::run_stop(std::int64_t step, bool success) {
  if (in_block_) event(Kind::stop, "block_stop", nullptr, step);
  in_block_ = false;
  event(Kind::point, "trained_samples", step * global_batch_size_);
  event(Kind::stop, "run_stop", nullptr, step, success ? "success" : "aborted");
}

}  // namespace gpt_train
