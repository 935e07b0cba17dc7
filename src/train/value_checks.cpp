// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/kokkos.hpp"
#include "tessera/optim/loss_scale.hpp"
#include "tessera/train/precision.hpp"
#include "train/checks.hpp"

namespace tessera::train {

namespace {

void check_axis_backend(Checks& checks, std::string_view name, std::string const& value) {
  checks.one_of(name, value, {"auto", "mpi", "hierarchical", "nccl"});
  checks.expect(
      value != "nccl" || !tensors_on_host,
      "{} = \"nccl\" moves the memory of GPUs, but this program keeps its tensors on the host: choose "
      "auto, mpi or hierarchical, or build it with a Kokkos for CUDA (docs/gpu.md)",
      name);
}

}  // namespace

bool check_model(Checks& checks, model::ModelConfig const& m) {
  bool possible = checks.between("model.layers", m.layers, 1, most_layers);
  possible &= checks.between("model.hidden_size", m.hidden_size, 1, most_hidden);
  possible &= checks.between("model.heads", m.heads, 1, most_hidden);
  possible &= checks.between("model.ffn_hidden_size", m.ffn_hidden_size, 0, 16 * most_hidden);
  possible &= checks.between("model.vocab_size", m.vocab_size, 1, most_vocab);
  possible &= checks.between("model.max_positions", m.max_positions, 1, most_positions);
  checks.below_one("model.attention_dropout", m.attention_dropout);
  checks.below_one("model.hidden_dropout", m.hidden_dropout);
  checks.positive("model.layer_norm_epsilon", m.layer_norm_epsilon);
  checks.positive("model.init_stddev", m.init_stddev);
  if (!possible) return false;
  std::int64_t const per_head = std::max<std::int64_t>(1, m.hidden_size / m.heads);
  checks.expect(m.hidden_size % m.heads == 0,
                "model.hidden_size = {} is not a multiple of model.heads = {}: take a hidden size of {}",
                m.hidden_size, m.heads, nearest_multiples(m.heads * per_head, m.heads));
  return true;
}

bool check_batch(Checks& checks, BatchConfig const& b) {
  bool possible = checks.between("batch.seq_length", b.seq_length, 1, most_positions);
  possible &= checks.between("batch.micro_batch_size", b.micro_batch_size, 1, most_ranks);
  possible &= checks.between("batch.global_batch_size", b.global_batch_size, 1, most_vocab);
  return possible;
}

namespace {

/// `chosen` is what o.loss_scale comes to.
void check_loss_scale(Checks& checks, OptimizerConfig const& o, std::int64_t chosen) {
  OptimizerConfig const usual;
  auto const scale = [&](std::string_view name, std::int64_t value) {
    return checks.expect(value <= optim::largest_loss_scale && is_power_of_two(value),
                         "{} = {} must be a power of two from 1 to 2^60", name, value);
  };
  if (chosen != 0) {
    checks.expect(chosen <= optim::largest_loss_scale && is_power_of_two(chosen),
                  "optimizer.loss_scale = {} must be auto or a power of two from 1 to 2^60", chosen);
    auto const needs_auto = [&](std::string_view name, bool used) {
      checks.expect(!used, "{} goes with optimizer.loss_scale = auto, but optimizer.loss_scale = {}", name,
                    chosen);
    };
    needs_auto("optimizer.initial_loss_scale", o.initial_loss_scale != usual.initial_loss_scale);
    needs_auto("optimizer.min_loss_scale", o.min_loss_scale != usual.min_loss_scale);
    needs_auto("optimizer.loss_scale_window", o.loss_scale_window != usual.loss_scale_window);
    return;
  }
  bool scales = scale("optimizer.initial_loss_scale", o.initial_loss_scale);
  scales &= scale("optimizer.min_loss_scale", o.min_loss_scale);
  if (scales) {
    checks.expect(o.min_loss_scale <= o.initial_loss_scale,
                  "optimizer.min_loss_scale = {} must not exceed optimizer.initial_loss_scale = {}",
                  o.min_loss_scale, o.initial_loss_scale);
  }
  checks.between("optimizer.loss_scale_window", o.loss_scale_window, 1, most_steps);
}

}  // namespace

void check_optimizer(Checks& checks, RunConfig const& c) {
  OptimizerConfig const& o = c.optimizer;
  bool rates = checks.positive("optimizer.lr", o.lr);
  rates &= checks.not_negative("optimizer.min_lr", o.min_lr);
  if (rates) {
    checks.expect(o.min_lr <= o.lr, "optimizer.min_lr = {} must not exceed optimizer.lr = {}", o.min_lr,
                  o.lr);
  }
  bool lengths = checks.between("optimizer.warmup_steps", o.warmup_steps, 0, most_steps);
  lengths &= checks.between("optimizer.decay_steps", o.decay_steps, 0, most_steps);
  if (lengths && o.decay_steps > 0) {
    checks.expect(
        o.warmup_steps <= o.decay_steps,
        "optimizer.decay_steps = {} ends before optimizer.warmup_steps = {}: decay over more steps, or "
        "0 for all of training.steps = {}",
        o.decay_steps, o.warmup_steps, c.training.steps);
  }
  checks.not_negative("optimizer.weight_decay", o.weight_decay);
  checks.below_one("optimizer.beta1", o.beta1);
  checks.below_one("optimizer.beta2", o.beta2);
  checks.positive("optimizer.epsilon", o.epsilon);
  checks.not_negative("optimizer.clip_grad", o.clip_grad);
  check_loss_scale(checks, o, loss_scale_of(c));
}

void check_run(Checks& checks, RunConfig const& c) {
  checks.between("training.steps", c.training.steps, 0, most_steps);
  checks.between("training.seed", c.training.seed, 0, std::numeric_limits<std::int64_t>::max());
  checks.between("training.eval_interval", c.training.eval_interval, 0, most_steps);
  checks.between("training.eval_batches", c.training.eval_batches, 1, most_steps);
  checks.between("training.log_interval", c.training.log_interval, 1, most_steps);
  checks.one_of("training.precision", c.training.precision, {"float32", "float64", "bf16", "fp16"});
  checks.one_of("training.on_nonfinite", c.training.on_nonfinite, {"stop", "skip"});
  checks.one_of("data.format", c.data.format, {"auto", "bytes", "llmc", "u16"});
  checks.expect(!c.data.path.empty(), "data.path is empty: name a file or a directory with text");
  checks.below_one("data.validation_fraction", c.data.validation_fraction);
  checks.expect(
      c.training.eval_interval == 0 || c.data.validation_fraction != 0 || !c.data.validation_path.empty(),
      "training.eval_interval = {} validates, but data.validation_fraction = 0 sets nothing aside: give a "
      "fraction, data.validation_path, or training.eval_interval = 0",
      c.training.eval_interval);
  checks.between("output.trace_spans", c.output.trace_spans, 1, most_spans);
  checks.not_negative("output.peak_tflops", c.output.peak_tflops);
  checks.not_negative("watchdog.timeout", c.watchdog.timeout);
  checks.between("sample.length", c.sample.length, 0, most_steps);
  checks.not_negative("sample.temperature", c.sample.temperature);
}

void check_checkpoint(Checks& checks, CheckpointConfig const& c) {
  checks.between("checkpoint.interval", c.interval, 0, most_steps);
  checks.not_negative("checkpoint.interval_minutes", c.interval_minutes);
  checks.between("checkpoint.keep", c.keep, 0, most_steps);
  checks.between("checkpoint.ranks_per_file", c.ranks_per_file, 1, most_ranks);
  checks.one_of("checkpoint.on_failure", c.on_failure, {"stop", "continue"});
  checks.not_negative("checkpoint.time_limit_minutes", c.time_limit_minutes);
  if (!c.save.empty()) return;
  auto const needs_save = [&](std::string_view name, bool used) {
    checks.expect(!used, "{} needs a directory of checkpoints: name one with checkpoint.save (--save)", name);
  };
  CheckpointConfig const usual;
  needs_save("checkpoint.resume", c.resume);
  needs_save("checkpoint.keep", c.keep != usual.keep);
  needs_save("checkpoint.synchronous", c.synchronous);
  needs_save("checkpoint.ranks_per_file", c.ranks_per_file != usual.ranks_per_file);
  needs_save("checkpoint.on_failure", c.on_failure != usual.on_failure);
  needs_save("checkpoint.interval", c.interval > 0);
  needs_save("checkpoint.interval_minutes", c.interval_minutes > 0);
  needs_save("checkpoint.time_limit_minutes", c.time_limit_minutes > 0);
}

PossibleLayout check_parallel(Checks& checks, ParallelConfig const& p) {
  PossibleLayout possible;
  possible.grid &= checks.between("parallel.tp", p.tp, 1, most_ranks);
  possible.grid &= checks.between("parallel.pp", p.pp, 1, most_ranks);
  possible.grid &= checks.between("parallel.dp", p.dp, 0, most_ranks);
  possible.tiles &= checks.between("parallel.tiles", p.tiles, 0, most_ranks);
  possible.tiles &= checks.between("parallel.batch_tiles", p.batch_tiles, 0, most_ranks);
  checks.between("parallel.ranks_per_node", p.ranks_per_node, 0, most_ranks);
  checks.between("parallel.bucket_bytes", p.bucket_bytes, 1, most_bytes);
  checks.one_of("parallel.schedule", p.schedule, {"gpipe", "1f1b"});
  checks.expect(is_mesh_order(p.mesh_order),
                "parallel.mesh_order = \"{}\" must name tp, dp and pp once each, for example \"tp,dp,pp\"",
                p.mesh_order);
  check_axis_backend(checks, "parallel.tp_backend", p.tp_backend);
  check_axis_backend(checks, "parallel.dp_backend", p.dp_backend);
  check_axis_backend(checks, "parallel.pp_backend", p.pp_backend);
  checks.expect(
      p.pp_backend != "hierarchical",
      "parallel.pp_backend = \"hierarchical\" sums inside nodes first, but a pipeline sums nothing: "
      "choose mpi, nccl or auto");
  for (int const* count : {&p.tiles, &p.batch_tiles}) {
    if (*count <= 0) continue;
    possible.tiles &= checks.expect(is_power_of_two(*count), "{} = {} must be a power of two, for example {}",
                                    count == &p.tiles ? "parallel.tiles" : "parallel.batch_tiles", *count,
                                    power_of_two_at_most(*count));
  }
  return possible;
}

}  // namespace tessera::train
