// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What other training programs call our options: for the hint that an unknown name gets, and Megatron-LM's
// flags that say an option and its value in one.
#include <algorithm>
#include <string>

#include "options.hpp"

namespace gpt_train {

namespace {

struct OtherName {
  std::string_view name;  ///< in dashes
  std::string_view section, key;
};

constexpr OtherName foreign_names[] = {
    {"n-layer", "model", "layers"},
    {"n-layers", "model", "layers"},
    {"num-hidden-layers", "model", "layers"},
    {"n-head", "model", "heads"},
    {"n-heads", "model", "heads"},
    {"num-heads", "model", "heads"},
    {"n-embd", "model", "hidden_size"},
    {"d-model", "model", "hidden_size"},
    {"dim", "model", "hidden_size"},
    {"embedding-size", "model", "hidden_size"},
    {"d-ff", "model", "ffn_hidden_size"},
    {"intermediate-size", "model", "ffn_hidden_size"},
    {"padded-vocab-size", "model", "vocab_size"},
    {"n-positions", "model", "max_positions"},
    {"dropout", "model", "hidden_dropout"},
    {"initializer-range", "model", "init_stddev"},
    {"init-std", "model", "init_stddev"},
    {"tensor-parallel", "parallel", "tp"},
    {"tensor-parallel-size", "parallel", "tp"},
    {"model-parallel-size", "parallel", "tp"},
    {"pipeline-parallel", "parallel", "pp"},
    {"pipeline-parallel-size", "parallel", "pp"},
    {"pipeline-stages", "parallel", "pp"},
    {"num-stages", "parallel", "pp"},
    {"data-parallel", "parallel", "dp"},
    {"replicas", "parallel", "dp"},
    {"sp", "parallel", "sequence_parallel"},
    {"context-parallel-size", "", ""},  // not ours, and nothing near it would do
    {"expert-model-parallel-size", "", ""},
    {"gpus-per-node", "parallel", "ranks_per_node"},
    {"dataset", "data", "path"},
    {"data-dir", "data", "path"},
    {"input", "data", "path"},
    {"train-data-path", "data", "path"},
    {"val-data-path", "data", "validation_path"},
    {"validation-data", "data", "validation_path"},
    {"split", "data", "validation_fraction"},
    {"block-size", "batch", "seq_length"},
    {"context-length", "batch", "seq_length"},
    {"max-seq-len", "batch", "seq_length"},
    {"sequence-length", "batch", "seq_length"},
    {"batch-size", "batch", "micro_batch_size"},
    {"per-device-train-batch-size", "batch", "micro_batch_size"},
    {"train-batch-size", "batch", "global_batch_size"},
    {"gradient-accumulation-steps", "batch", "global_batch_size"},
    {"learning-rate", "optimizer", "lr"},
    {"max-lr", "optimizer", "lr"},
    {"min-learning-rate", "optimizer", "min_lr"},
    {"warmup", "optimizer", "warmup_steps"},
    {"warmup-iters", "optimizer", "warmup_steps"},
    {"num-warmup-steps", "optimizer", "warmup_steps"},
    {"lr-warmup-fraction", "optimizer", "warmup_steps"},
    {"lr-warmup-samples", "optimizer", "warmup_steps"},
    {"lr-decay-samples", "optimizer", "decay_steps"},
    {"wd", "optimizer", "weight_decay"},
    {"eps", "optimizer", "epsilon"},
    {"adam-epsilon", "optimizer", "epsilon"},
    {"max-grad-norm", "optimizer", "clip_grad"},
    {"grad-clip", "optimizer", "clip_grad"},
    {"gradient-clipping", "optimizer", "clip_grad"},
    {"max-steps", "training", "steps"},
    {"max-iters", "training", "steps"},
    {"num-steps", "training", "steps"},
    {"iterations", "training", "steps"},
    {"epochs", "training", "steps"},
    {"train-samples", "training", "steps"},
    {"exit-interval", "training", "steps"},
    {"random-seed", "training", "seed"},
    {"eval-steps", "training", "eval_interval"},
    {"logging-steps", "training", "log_interval"},
    {"dtype", "training", "precision"},
    {"bf16", "training", "precision"},
    {"fp16", "training", "precision"},
    {"output-dir", "checkpoint", "save"},
    {"checkpoint-dir", "checkpoint", "save"},
    {"save-dir", "checkpoint", "save"},
    {"load-dir", "checkpoint", "load"},
    {"init-from", "checkpoint", "load"},
    {"resume-from-checkpoint", "checkpoint", "load"},
    {"save-steps", "checkpoint", "interval"},
    {"save-total-limit", "checkpoint", "keep"},
    {"log-file", "output", "log"},
};

}  // namespace

std::vector<std::string> other_names() {
  std::vector<std::string> names;
  for (OtherName const& other : foreign_names) names.push_back("--" + std::string(other.name));
  return names;
}

std::string spelled_out(std::string const& argument) {
  return argument == "--bf16" || argument == "--fp16" ? "--precision=" + argument.substr(2) : argument;
}

Option const* option_called(std::string_view flag) {
  auto const found = std::ranges::find_if(
      foreign_names, [&](OtherName const& other) { return flag.substr(2) == other.name; });
  return found != std::ranges::end(foreign_names) ? find_option(found->section, found->key) : nullptr;
}

}  // namespace gpt_train
