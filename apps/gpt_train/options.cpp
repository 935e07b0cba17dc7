// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <algorithm>

namespace gpt_train {

namespace {

using namespace tessera::train;
using tessera::model::ModelConfig;

template <auto Group, auto Member>
auto& at(RunConfig& config) {
  return config.*Group.*Member;
}

template <auto Member>
constexpr auto model = &at<&RunConfig::model, Member>;
template <auto Member>
constexpr auto parallel = &at<&RunConfig::parallel, Member>;
template <auto Member>
constexpr auto data = &at<&RunConfig::data, Member>;
template <auto Member>
constexpr auto batch = &at<&RunConfig::batch, Member>;
template <auto Member>
constexpr auto optimizer = &at<&RunConfig::optimizer, Member>;
template <auto Member>
constexpr auto training = &at<&RunConfig::training, Member>;
template <auto Member>
constexpr auto checkpoint = &at<&RunConfig::checkpoint, Member>;
template <auto Member>
constexpr auto output = &at<&RunConfig::output, Member>;
template <auto Member>
constexpr auto watchdog = &at<&RunConfig::watchdog, Member>;
template <auto Member>
constexpr auto sample = &at<&RunConfig::sample, Member>;

Option const table[] = {
    {"model", "name", "--model-name", model<&ModelConfig::name>, "name of the model, for messages"},
    {"model", "layers", "--num-layers,--layers", model<&ModelConfig::layers>, "transformer blocks"},
    {"model", "hidden_size", "--hidden-size", model<&ModelConfig::hidden_size>,
     "width of the residual stream"},
    {"model", "heads", "--num-attention-heads,--heads", model<&ModelConfig::heads>, "attention heads"},
    {"model", "ffn_hidden_size", "--ffn-hidden-size", model<&ModelConfig::ffn_hidden_size>,
     "feed-forward size; 0: 4 x hidden size"},
    {"model", "vocab_size", "--vocab-size", model<&ModelConfig::vocab_size>,
     "size of the vocabulary, without padding"},
    {"model", "max_positions", "--max-position-embeddings", model<&ModelConfig::max_positions>,
     "learned positions"},
    {"model", "attention_dropout", "--attention-dropout", model<&ModelConfig::attention_dropout>,
     "dropout of attention weights"},
    {"model", "hidden_dropout", "--hidden-dropout", model<&ModelConfig::hidden_dropout>,
     "dropout of embeddings and of the two halves of a block"},
    {"model", "layer_norm_epsilon", "--norm-epsilon", model<&ModelConfig::layer_norm_epsilon>,
     "added to the variance in a LayerNorm"},
    {"model", "init_stddev", "--init-method-std", model<&ModelConfig::init_stddev>,
     "standard deviation of initial weights"},

    {"parallel", "tp", "--tensor-model-parallel-size,--tp", parallel<&ParallelConfig::tp>,
     "tensor-parallel degree"},
    {"parallel", "pp", "--pipeline-model-parallel-size,--pp", parallel<&ParallelConfig::pp>,
     "pipeline stages"},
    {"parallel", "dp", "--data-parallel-size,--dp", parallel<&ParallelConfig::dp>,
     "replicas; 0: the ranks that tp and pp leave"},
    {"parallel", "sequence_parallel", "--sequence-parallel", parallel<&ParallelConfig::sequence_parallel>,
     "cut activations between tensor-parallel parts along the sequence"},
    {"parallel", "tiles", "--tiles", parallel<&ParallelConfig::tiles>,
     "tiles of every sharded dim: the same bits on every layout; auto: one a rank, fastest", "auto"},
    {"parallel", "batch_tiles", "--batch-tiles", parallel<&ParallelConfig::batch_tiles>,
     "leaves of the gradient sum over the batch, or auto", "auto"},
    {"parallel", "schedule", "--pipeline-schedule,--schedule", parallel<&ParallelConfig::schedule>,
     "pipeline schedule: gpipe or 1f1b"},
    {"parallel", "mesh_order", "--mesh-order", parallel<&ParallelConfig::mesh_order>,
     "axes of the mesh, those of neighbouring ranks first"},
    {"parallel", "ranks_per_node", "--ranks-per-node", parallel<&ParallelConfig::ranks_per_node>,
     "take every N ranks for a node; 0: ask the system"},
    {"parallel", "allow_split_tp", "--allow-split-tp", parallel<&ParallelConfig::allow_split_tp>,
     "let a tensor-parallel group span nodes"},
    {"parallel", "pipeline_layers", "--pipeline-layers", parallel<&ParallelConfig::pipeline_layers>,
     "layers of each stage, e.g. 10,14,14,10; empty: even"},
    {"parallel", "backend", "--distributed-backend,--backend", parallel<&ParallelConfig::backend>,
     "communication library: auto, mpi, loopback"},
    {"parallel", "tp_backend", "--tp-backend", parallel<&ParallelConfig::tp_backend>,
     "between tensor-parallel ranks: auto, mpi, hierarchical, nccl"},
    {"parallel", "dp_backend", "--dp-backend", parallel<&ParallelConfig::dp_backend>,
     "between replicas: auto, mpi, hierarchical, nccl"},
    {"parallel", "pp_backend", "--pp-backend", parallel<&ParallelConfig::pp_backend>,
     "between pipeline stages: auto, mpi, nccl"},
    {"parallel", "matmul", "--matmul", parallel<&ParallelConfig::matmul>,
     "library of matrix products: auto, onednn, cblas, plain"},
    {"parallel", "bucket_bytes", "--bucket-bytes", parallel<&ParallelConfig::bucket_bytes>,
     "gradients reduced in one call over the replicas, bytes"},
    {"parallel", "overlap_grad_reduce", "--overlap-grad-reduce",
     parallel<&ParallelConfig::overlap_grad_reduce>, "start reducing gradients while backward still runs"},
    {"parallel", "cuda_graph", "--cuda-graph", parallel<&ParallelConfig::cuda_graph>,
     "record forward and backward once and let the GPU repeat them; one rank alone"},

    {"data", "path", "--data-path,--data", data<&DataConfig::path>,
     "text, a directory of it, or token shards"},
    {"data", "format", "--data-format", data<&DataConfig::format>, "auto, bytes, llmc or u16"},
    {"data", "validation_path", "--valid-data-path", data<&DataConfig::validation_path>,
     "data for validation; empty: the tail of the training data"},
    {"data", "validation_fraction", "--validation-fraction", data<&DataConfig::validation_fraction>,
     "size of that tail"},

    {"batch", "seq_length", "--seq-length", batch<&BatchConfig::seq_length>, "tokens of a sequence"},
    {"batch", "micro_batch_size", "--micro-batch-size", batch<&BatchConfig::micro_batch_size>,
     "sequences of a microbatch"},
    {"batch", "global_batch_size", "--global-batch-size", batch<&BatchConfig::global_batch_size>,
     "sequences of a step, over all replicas"},

    {"optimizer", "lr", "--lr", optimizer<&OptimizerConfig::lr>, "learning rate after the warm-up"},
    {"optimizer", "min_lr", "--min-lr", optimizer<&OptimizerConfig::min_lr>, "learning rate after the decay"},
    {"optimizer", "warmup_steps", "--lr-warmup-iters", optimizer<&OptimizerConfig::warmup_steps>,
     "steps of linear warm-up"},
    {"optimizer", "decay_steps", "--lr-decay-iters", optimizer<&OptimizerConfig::decay_steps>,
     "step at which the cosine ends; 0: the last"},
    {"optimizer", "weight_decay", "--weight-decay", optimizer<&OptimizerConfig::weight_decay>,
     "decoupled decay of weights and embeddings"},
    {"optimizer", "beta1", "--adam-beta1", optimizer<&OptimizerConfig::beta1>, "decay of the first moment"},
    {"optimizer", "beta2", "--adam-beta2", optimizer<&OptimizerConfig::beta2>, "decay of the second moment"},
    {"optimizer", "epsilon", "--adam-eps", optimizer<&OptimizerConfig::epsilon>, "added to its root"},
    {"optimizer", "clip_grad", "--clip-grad", optimizer<&OptimizerConfig::clip_grad>,
     "largest norm of the gradient; 0: no clipping"},
    {"optimizer", "loss_scale", "--loss-scale", optimizer<&OptimizerConfig::loss_scale>,
     "factor of the loss while gradients are made, a power of two; auto: as large as overflows let it be; "
     "by-precision: auto with fp16, else 1",
     "auto,by-precision"},
    {"optimizer", "initial_loss_scale", "--initial-loss-scale",
     optimizer<&OptimizerConfig::initial_loss_scale>, "what auto begins with"},
    {"optimizer", "min_loss_scale", "--min-loss-scale", optimizer<&OptimizerConfig::min_loss_scale>,
     "what auto goes down to"},
    {"optimizer", "loss_scale_window", "--loss-scale-window", optimizer<&OptimizerConfig::loss_scale_window>,
     "updates without an overflow after which auto doubles"},

    {"training", "steps", "--train-iters,--steps", training<&TrainingConfig::steps>, "parameter updates"},
    {"training", "seed", "--seed", training<&TrainingConfig::seed>,
     "of weights, dropout, data order and sample"},
    {"training", "eval_interval", "--eval-interval", training<&TrainingConfig::eval_interval>,
     "steps between validations; 0: none"},
    {"training", "eval_batches", "--eval-iters", training<&TrainingConfig::eval_batches>,
     "global batches of a validation"},
    {"training", "log_interval", "--log-interval", training<&TrainingConfig::log_interval>,
     "steps between progress lines"},
    {"training", "precision", "--precision", training<&TrainingConfig::precision>,
     "float32, float64, or bf16 or fp16 with float32 master weights and sums, for short --bf16, --fp16"},
    {"training", "on_nonfinite", "--on-nonfinite", training<&TrainingConfig::on_nonfinite>,
     "when a gradient is NaN or infinite: stop or skip"},

    {"checkpoint", "save", "--save", checkpoint<&CheckpointConfig::save>,
     "directory of checkpoints; empty: nothing is saved"},
    {"checkpoint", "load", "--load", checkpoint<&CheckpointConfig::load>,
     "checkpoint, or directory of them, to begin from"},
    {"checkpoint", "resume", "--resume", checkpoint<&CheckpointConfig::resume>,
     "go on from the newest checkpoint in --save, or begin where there is none"},
    {"checkpoint", "allow_model_changes", "--allow-model-changes",
     checkpoint<&CheckpointConfig::allow_model_changes>,
     "begin from a checkpoint although dropout or the epsilon of norms were others"},
    {"checkpoint", "interval", "--save-interval", checkpoint<&CheckpointConfig::interval>,
     "steps between saves; 0: save at the end, and before leaving early"},
    {"checkpoint", "interval_minutes", "--save-every-minutes",
     checkpoint<&CheckpointConfig::interval_minutes>, "minutes between saves; 0: none by time"},
    {"checkpoint", "keep", "--keep", checkpoint<&CheckpointConfig::keep>,
     "newest checkpoints that stay; 0: all"},
    {"checkpoint", "synchronous", "--save-sync", checkpoint<&CheckpointConfig::synchronous>,
     "wait until a checkpoint is on disk; takes no memory for a copy"},
    {"checkpoint", "ranks_per_file", "--ranks-per-file", checkpoint<&CheckpointConfig::ranks_per_file>,
     "neighbouring ranks of a node that write one file together"},
    {"checkpoint", "on_failure", "--save-on-failure", checkpoint<&CheckpointConfig::on_failure>,
     "when a save fails: stop or continue"},
    {"checkpoint", "time_limit_minutes", "--exit-duration-in-mins,--time-limit-minutes",
     checkpoint<&CheckpointConfig::time_limit_minutes>,
     "save and leave before so many minutes are over; 0: before the end of a Slurm job"},

    {"output", "metrics", "--metrics", output<&OutputConfig::metrics>, "file for a JSON line a step"},
    {"output", "trace", "--trace", output<&OutputConfig::trace>, "file for a timeline (ui.perfetto.dev)"},
    {"output", "trace_spans", "--trace-spans", output<&OutputConfig::trace_spans>,
     "spans of each rank that the timeline has room for"},
    {"output", "log", "--log", output<&OutputConfig::log>, "file for what is printed"},
    {"output", "mllog", "--mllog", output<&OutputConfig::mllog>,
     "file for the lines that MLPerf's tools read; -: standard output"},
    {"output", "peak_tflops", "--peak-tflops", output<&OutputConfig::peak_tflops>,
     "TFLOP/s of a rank that mfu is a share of; 0: measured in a large matrix product"},

    {"watchdog", "timeout", "--timeout", watchdog<&WatchdogConfig::timeout>,
     "seconds that a rank may wait for the others before the job is ended with a report; 0: no limit"},
    {"watchdog", "check_collectives", "--check-collectives", watchdog<&WatchdogConfig::check_collectives>,
     "compare the calls of the ranks before each is made; slow, to find a mistake"},

    {"sample", "length", "--sample-length", sample<&SampleConfig::length>,
     "tokens of text at the end; 0: none"},
    {"sample", "prompt", "--prompt", sample<&SampleConfig::prompt>, "what the text begins with"},
    {"sample", "temperature", "--temperature", sample<&SampleConfig::temperature>,
     "0: always the likeliest token"},
};

}  // namespace

std::string Option::name() const { return std::string(section) + "." + std::string(key); }

std::vector<std::string> Option::flag_names() const {
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin <= flags.size();) {
    std::size_t const end = std::min(flags.find(',', begin), flags.size());
    names.emplace_back(flags.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

std::span<Option const> options() { return table; }

Option const* find_option(std::string_view section, std::string_view key) {
  auto const found = std::ranges::find_if(
      table, [&](Option const& option) { return option.section == section && option.key == key; });
  return found != std::ranges::end(table) ? &*found : nullptr;
}

}  // namespace gpt_train
