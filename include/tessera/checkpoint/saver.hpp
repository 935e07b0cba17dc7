// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Saving while training goes on. `begin` copies what is to be saved and returns; a thread of every rank
// writes the copy to disk; once all have, a thread of rank 0 gives the checkpoint its name, and not before.
// The threads make no MPI calls: the ranks agree in `poll`, which the trainer calls once a step while a save
// is under way. src/checkpoint/FORMAT.md has the protocol step by step, and what a crash in each leaves
// behind.
//
//   Saver saver(world.duplicate(), {.directory = "run/checkpoints"});
//   ...
//   if (step % interval == 0) saver.begin(snapshot);
//   if (saver.busy()) if (auto const saved = saver.poll()) say(saved->directory);
//   ...
//   saver.finish();
//
// A save that fails (a full disk, most often) leaves the earlier checkpoints as they were and its own
// temporary directory removed; begin, poll or finish throws the same IoError on every rank, naming the rank,
// the file and the system's reason, and the Saver can be used again. Want of memory, or of a thread that
// writes, is told in the same way as a MemoryError. Whether training goes on is the caller's. What fails when
// a checkpoint has its name (`latest`, removing old ones) is a warning of rank 0 in the log: nothing is lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tessera/checkpoint/box.hpp"
#include "tessera/checkpoint/manifest.hpp"
#include "tessera/checkpoint/shard_file.hpp"
#include "tessera/checkpoint/tensor.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::checkpoint {

class Loader;

struct SaverOptions {
  std::string directory;
  /// How many of the newest checkpoints stay, at least 1; 0: all of them. Only those count that this saver
  /// wrote or that learn_from told it of, so that one whose bytes are damaged never takes the place of a good
  /// one; others stay until so many newer ones count.
  int keep = 2;
  /// `begin` returns when the checkpoint has its name. Nothing is copied, so no memory is needed.
  bool synchronous = false;
  /// So many neighbouring ranks of a node hand their bytes to the first of them, which writes one file. Fewer
  /// files, for the price of sending within `begin` and of the first rank holding the copies of all.
  int ranks_per_file = 1;
  /// The node of each rank, for `ranks_per_file`; empty: the system is asked.
  std::vector<int> nodes{};
};

/// One box that this rank saves. `sources` are memories of the host whose boxes cover it exactly once, its
/// tiles for instance; elements outside `box` are left out.
struct Part {
  std::size_t tensor = 0;  ///< index into Snapshot::tensors
  Box box;
  std::vector<ConstBoxMemory> sources;
  std::optional<TileRange> tiles;
};

/// What is saved. All but `parts` is the same on every rank.
struct Snapshot {
  std::int64_t step = 0;
  Layout layout;
  Values config;
  Values state;
  std::vector<TensorEntry> tensors;
  /// This rank's; over all ranks they cover every tensor exactly once.
  std::vector<Part> parts;
};

/// Memory of a rank whose parts another one writes.
inline constexpr std::size_t handing_over_bytes = std::size_t{8} << 20;

/// Bytes of this rank's parts, which is what the copy of an asynchronous save takes. With `ranks_per_file`
/// the first rank of a group needs the sum over its group and the others handing_over_bytes.
[[nodiscard]] std::int64_t bytes_of_parts(Snapshot const& snapshot);

/// A checkpoint that has been committed. The same on all ranks.
struct SaveResult {
  std::int64_t step = 0;
  std::string directory;
  double blocked_s = 0;    ///< how long it kept the rank that waited most from training
  double total_s = 0;      ///< from begin until the ranks agreed that it is on disk
  std::int64_t bytes = 0;  ///< of all files
  /// The step was there already and whole, so the new one was dropped.
  bool existed = false;
};

class Saver {
 public:
  /// Collective. Makes `directory` and those above it, takes its lock, and removes temporary directories
  /// that a killed job left; one that cannot be removed is a warning in the log. Throws on all ranks the same
  /// ConfigError for options out of range, and IoError: cannot_create when `directory` is a file, cannot be
  /// made or is another running job's, permission when it may not be written.
  ///
  /// Whose lock it is: the file `lock` is held with flock(2), names host, process, job and start, and is
  /// touched every 10 s. One that another process holds is waited for 2 s, since the processes of a job that
  /// was killed take a moment to go, then refused; 3 minutes if that process is of an earlier start of this
  /// Slurm job, as it may be on a node that was lost, whose locks the file system keeps until it gives the
  /// node up. One that is not held but names an owner is a dead job's if
  /// that ran on this host, or was an earlier start of this Slurm job (SLURM_JOB_ID, SLURM_RESTART_COUNT), or
  /// left the file untouched for 60 s by the file system's clock, which is waited for, with a warning in
  /// the log that tells how long: some file systems keep flock within a host. One that is touched meanwhile
  /// is refused.
  Saver(std::unique_ptr<comm::Communicator> world, SaverOptions options);
  Saver(Saver&&) noexcept;
  Saver& operator=(Saver&&) noexcept;
  /// Not collective; waits for this rank's threads. A save whose files are not all written is dropped, every
  /// rank removing its own; one that is being committed is committed.
  ~Saver();

  /// Not collective. Which steps of `directory` are known to be whole or damaged since a loader has verified
  /// them: the one it chose counts among the `keep` kept, those it passed over neither count nor are they
  /// removed. A loader of another directory teaches nothing. Call it before `begin`.
  void learn_from(Loader const& loader);

  /// Collective. Makes the memory for the copies of such a snapshot now instead of in the first `begin`,
  /// which would wait for the system to hand it out, page by page. Waits for a save under way. Throws
  /// MemoryError on all ranks.
  void reserve(Snapshot const& snapshot);

  /// Collective. Ends a save under way first: its result is what the next poll or finish returns, its failure
  /// is thrown, and nothing is begun then. Copies the parts, so that what they point to may change when this
  /// returns, and starts the writer. With `synchronous` it returns when the checkpoint is committed, and
  /// throws if it is not.
  void begin(Snapshot const& snapshot);

  /// Whether a save is under way; the same on all ranks.
  [[nodiscard]] bool busy() const noexcept;

  /// Collective while busy(), else free of charge. Never waits for the disk. Returns the result when the
  /// ranks agree that the checkpoint is committed, which takes two calls or more after the last byte; or that
  /// of a save that ended within `begin`.
  std::optional<SaveResult> poll();

  /// Collective. Waits until nothing is under way. Returns the result of the last save, unless it has been
  /// returned before.
  std::optional<SaveResult> finish();

  /// Memory that this rank holds for copies, bytes.
  [[nodiscard]] std::size_t copy_bytes() const noexcept;

  /// Seconds that this rank has spent in begin, poll and finish since the last call of this.
  [[nodiscard]] double blocked_s() noexcept;

 private:
  class Body;
  std::unique_ptr<Body> body_;
};

}  // namespace tessera::checkpoint
