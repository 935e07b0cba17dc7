// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "beginning.hpp"
#include "console.hpp"
#include "events.hpp"
#include "inspection.hpp"
#include "mllog.hpp"
#include "outputs.hpp"
#include "progress.hpp"
#include "saving.hpp"
#include "tessera/comm/device_session.hpp"
#include "tessera/comm/recorded.hpp"
#include "tessera/mesh/mesh.hpp"
#include "tessera/train/memory.hpp"
#include "tessera/train/node_memory.hpp"
#include "tessera/train/signals.hpp"
#include "tessera/train/trainer.hpp"
#include "tessera/train/watchdog.hpp"

namespace gpt_train {

/// What a run stands on, made before any large allocation. Members that hold communicators are made
/// collectively.
struct Setup {
  std::unique_ptr<tessera::train::Watchdog> watchdog;  ///< null: nobody watches
  tessera::comm::Ledger ledger;
  std::shared_ptr<tessera::comm::DeviceSession> devices;  ///< null where tensors lie on hosts
  std::string tensor_way;                                 ///< Session::tensor_way()
  std::optional<tessera::mesh::Mesh> mesh;
  std::unique_ptr<tessera::comm::Communicator> telemetry;
  Inputs inputs;
  tessera::train::Plan plan;
  tessera::train::MemoryPrediction memory;
  std::optional<tessera::train::NodeMemory> node_memory;
  int nodes = 1;
  std::size_t largest_bytes = 0;                         ///< prediction for the rank that needs most
  tessera::train::SignalWatch const* signals = nullptr;  ///< if the run saves
  Departure::Clock::time_point start;                    ///< of the program
  Beginning beginning;
};

/// The loop over the steps, and what is told of it.
template <class T>
class Run {
 public:
  /// Takes the memory of training and fills it: initial weights, or those of `setup.beginning`. Not
  /// collective. Borrows everything.
  Run(tessera::train::RunConfig const& config, Setup& setup, Console& console, double peak_flops);

  /// Collective. Takes the saver of `setup.beginning`, if any, and the memory that it needs.
  void prepare_saving();

  /// Collective. Trains, samples and prints the results. Gives the code of the program.
  tessera::ExitCode run(TraceFile& trace, tessera::train::AllocationMeter const& meter);

 private:
  /// Collective. Writes what the metrics and the log of MLPerf begin with.
  void begin();
  /// Nothing is left to train of the checkpoint that the run began from: says so, and saves it if it lies
  /// elsewhere.
  tessera::ExitCode keep_beginning();
  /// Nothing, or why the run ends before its last step.
  std::optional<tessera::ExitCode> make_step(std::int64_t step);
  /// Says so when an epoch began in the last step, whose first sample was at `position`; of several in one
  /// step the last. Nobody needs to be told of the first.
  void tell_epoch(std::int64_t position);
  void sample();
  /// The validation loss where one is due after `step`.
  std::optional<double> validate(std::int64_t step);
  /// Collective. Prints the results and gives what the metrics end with.
  RunResult finish(tessera::train::AllocationMeter const& meter);

  tessera::train::RunConfig const& config_;
  Setup& setup_;
  Console& console_;
  tessera::train::Efficiency efficiency_;
  Progress progress_;
  double peak_flops_;
  LineFile metrics_, mllog_file_;
  Mllog mllog_;
  std::optional<Saving> saving_;
  tessera::train::Trainer<T> trainer_;
  tessera::train::StepReport last_;
};

TESSERA_COMPUTE_TYPES(extern template class, Run)

}  // namespace gpt_train
