// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What a training run is told, as plain data. An application fills it from its command line and a file; a
// program that uses the library fills it by hand. The defaults are those of inputs/tiny.toml: a run that
// trains in about a minute on two cores. validation.hpp says which values fit together and derives what is
// left open.
//
// A member is called `section.key` in messages and in TOML files: parallel.tp, batch.seq_length.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tessera/model/config.hpp"

namespace tessera::train {

/// How the work is cut and by which libraries it is done.
struct ParallelConfig {
  int tp = 1;                      ///< t, tensor-parallel degree
  int pp = 1;                      ///< p, pipeline stages
  int dp = 0;                      ///< d, replicas; 0: the ranks that tp and pp leave
  bool sequence_parallel = false;  ///< cut activations between the tensor-parallel parts along S
  int tiles = 0;                   ///< T; 0: auto, one tile a rank (fast); else the same bits on every layout
  int batch_tiles = 0;             ///< R, leaves of the gradient tree; 0: auto (docs/numerics.md, rule 3)
  std::string schedule = "1f1b";   ///< of the pipeline: gpipe or 1f1b
  std::string mesh_order = "tp,dp,pp";  ///< axes of the mesh, those of neighbouring ranks first
  int ranks_per_node = 0;               ///< 0: found by asking the system; else one machine plays several
  bool allow_split_tp = false;          ///< let a tensor-parallel group span nodes
  std::vector<std::int64_t> pipeline_layers;  ///< layers of each stage; empty: as even as they can be
  std::string backend = "auto";  ///< communicator: auto (mpi when started by its launcher), mpi, loopback ...
  std::string tp_backend = "auto";  ///< by what the ranks of an axis reach each other: auto, mpi,
  std::string dp_backend =
      "auto";  ///< hierarchical (inside nodes, then across) or nccl (docs/parallelism.md)
  std::string pp_backend = "auto";  ///< not hierarchical: a pipeline sums nothing
  std::string matmul = "auto";  ///< matrix products: auto (the fastest there is), onednn, cblas, plain ...
  std::int64_t bucket_bytes = 25 * 1024 * 1024;  ///< gradients reduced over dp in one call, bytes
  bool overlap_grad_reduce = true;               ///< start them while backward still runs
  bool cuda_graph = false;  ///< record forward and backward once and let a GPU repeat them (docs/gpu.md)

  bool operator==(ParallelConfig const&) const = default;
};

struct DataConfig {
  std::string path = "/usr/share/common-licenses";  ///< a file or a directory; the default is on every Debian
  std::string format = "auto";                      ///< auto, bytes, llmc or u16 (docs/data.md)
  std::string validation_path;                      ///< empty: the tail of `path`
  double validation_fraction = 0.1;                 ///< of `path`, in [0, 1); not used with a validation_path

  bool operator==(DataConfig const&) const = default;
};

/// The batch of one step: global_batch_size sequences of seq_length tokens, in M microbatches over all
/// replicas.
struct BatchConfig {
  std::int64_t seq_length = 128;        ///< S, tokens
  std::int64_t micro_batch_size = 2;    ///< B, sequences
  std::int64_t global_batch_size = 16;  ///< M * B, sequences

  bool operator==(BatchConfig const&) const = default;
};

/// A loss_scale that leaves it to training.precision: auto with fp16, else 1.
inline constexpr std::int64_t loss_scale_by_precision = -1;

/// AdamW with decoupled decay on a warm-up + cosine schedule.
struct OptimizerConfig {
  double lr = 2e-3;                ///< at the end of the warm-up
  double min_lr = 2e-4;            ///< from decay_steps on
  std::int64_t warmup_steps = 20;  ///< linear from 0
  std::int64_t decay_steps = 0;    ///< where the cosine ends; 0: training.steps
  double weight_decay = 0.1;       ///< of weights and embeddings, not of norms and biases
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double clip_grad = 1.0;  ///< largest global norm; 0: no clipping
  // Of the loss before gradients are made of it; powers of two.
  std::int64_t loss_scale = loss_scale_by_precision;        ///< 0: auto, as large as overflows let it be
  std::int64_t initial_loss_scale = std::int64_t{1} << 32;  ///< of auto
  std::int64_t min_loss_scale = 1;                          ///< of auto
  std::int64_t loss_scale_window = 1000;                    ///< of auto: updates until it is doubled

  bool operator==(OptimizerConfig const&) const = default;
};

struct TrainingConfig {
  std::int64_t steps = 200;           ///< parameter updates
  std::int64_t seed = 1;              ///< of initial weights, dropout, data order and sampling; not negative
  std::int64_t eval_interval = 50;    ///< steps between validations; 0: none
  std::int64_t eval_batches = 1;      ///< global batches in one validation, so that every layout may cut them
  std::int64_t log_interval = 1;      ///< steps between progress lines
  std::string precision = "float32";  ///< float32, float64, bf16 or fp16
  std::string on_nonfinite = "stop";  ///< a NaN or infinite gradient: stop, or skip the step

  bool operator==(TrainingConfig const&) const = default;
};

/// What is kept of a run, and where it begins (docs/checkpoints.md).
struct CheckpointConfig {
  std::string save;                  ///< directory of checkpoints; empty: none is saved
  std::string load;                  ///< a checkpoint, or a directory of them, to begin from; empty: step 0
  bool resume = false;               ///< begin from the newest in `save`, where there is one
  bool allow_model_changes = false;  ///< go on with another dropout or epsilon than was saved
  std::int64_t interval = 0;         ///< steps between saves; 0: at the end and when the run has to leave
  double interval_minutes = 0;       ///< time between saves; 0: no matter
  int keep = 2;                      ///< newest checkpoints that stay; 0: all
  bool synchronous = false;          ///< training waits until a checkpoint is on disk
  int ranks_per_file = 1;            ///< neighbours of a node that share one file
  std::string on_failure = "stop";   ///< a save that fails: stop, or continue and try again at the next
  double time_limit_minutes = 0;  ///< of the run, which saves and leaves before; 0: the scheduler's, if known

  bool operator==(CheckpointConfig const&) const = default;
};

/// Files written; an empty path writes none.
struct OutputConfig {
  std::string metrics;  ///< JSON lines, one a step
  std::string trace;    ///< a timeline for ui.perfetto.dev
  std::int64_t trace_spans = std::int64_t{1}
                             << 20;  ///< kept of each rank, 40 bytes each; later ones are lost
  std::string log;                   ///< what is printed, again
  std::string mllog;                 ///< the run's course for MLPerf's tools; -: standard output
  double peak_tflops = 0;            ///< of a rank, that mfu is a share of; 0: that of a large matrix product

  bool operator==(OutputConfig const&) const = default;
};

/// What is done about ranks that do not come along (docs/watchdog.md).
struct WatchdogConfig {
  double timeout = 600;            ///< seconds that a rank may wait for the others; 0: for ever
  bool check_collectives = false;  ///< compare the calls of the ranks before each is made

  bool operator==(WatchdogConfig const&) const = default;
};

/// The text made at the end of a run.
struct SampleConfig {
  std::int64_t length = 200;  ///< tokens; 0: no sample
  std::string prompt = "The ";
  double temperature = 0.8;  ///< 0: always the likeliest token

  bool operator==(SampleConfig const&) const = default;
};

struct RunConfig {
  model::ModelConfig model;
  ParallelConfig parallel;
  DataConfig data;
  BatchConfig batch;
  OptimizerConfig optimizer;
  TrainingConfig training;
  CheckpointConfig checkpoint;
  OutputConfig output;
  WatchdogConfig watchdog;
  SampleConfig sample;

  bool operator==(RunConfig const&) const = default;
};

}  // namespace tessera::train
