// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Faults on purpose, to test what a crash or a full disk does at a certain moment. Compiled in always, off
// unless the environment variable TESSERA_FAULT is set when the process calls read_faults, or comes by the
// first fault point:
//
//   TESSERA_FAULT=POINT[#N]:ACTION[=VALUE][@RANK][,...]
//
//   POINT   a name below; any other is refused
//   #N      the N-th time the process comes by, from 1; without it, every time
//   ACTION  kill         SIGKILL to the process itself
//           stop         SIGSTOP: a process that no longer answers
//           io_error     throws IoError; VALUE is the error number, 28 (no space left on device) if left out
//           no_memory    throws std::bad_alloc
//           exit         ends the process at once with code VALUE, 0 if left out, as if it had nothing to say
//           sleep        waits for VALUE milliseconds, 1000 if left out
//           err          the caller makes the mistake that is described with the point (fault_errs)
//   @RANK   on this rank only; without it, on all
//
// Points of this room: ckpt.create_file, ckpt.write_data, ckpt.write_metadata, ckpt.sync_file of a shard file
// or model.h5; files.write, files.sync, files.rename, files.sync_directory in write_text_atomically, each
// before the thing that it names.
//
// Points of gpt_train: train.step before a step; train.call, which errs with a barrier of all ranks that the
// others do not call; train.order, which errs with a barrier where the other replicas sum gradients.
//
// Points of a saver, in the order in which a save comes by (FORMAT.md, "Commit"). On each rank that writes:
// ckpt.begin (an asynchronous save's copy), ckpt.create_directory, those of a shard file, ckpt.written. On
// rank 0 then: ckpt.before_whole, model.h5, ckpt.before_manifest, the text file's points,
// ckpt.after_manifest, ckpt.before_move_aside (where the step's name is taken by something damaged),
// ckpt.before_rename, ckpt.after_rename, ckpt.before_latest, the text file's points, and for each old step
// ckpt.before_prune, ckpt.during_prune. When a saver takes its directory and after `latest`, on rank 0:
// ckpt.remove_leftover for each thing that was left half done.
#pragma once

#include <string_view>

namespace tessera::checkpoint {

/// The rank that `@RANK` is compared with; 0 until this is called. Call it before threads start.
void set_fault_rank(int rank) noexcept;

/// Reads TESSERA_FAULT, once. Programs call it when they start, so that a name that is spelt wrong is told
/// then and not at the first save, or never; a Saver and a Loader do. Throws ConfigError when the variable
/// cannot be understood or names a point that there is not.
void read_faults();

/// The same, where it is known how many ranks there are: a ConfigError too where @RANK is none of them.
void read_faults_of(int ranks);

/// Does what TESSERA_FAULT asks for at this point; else costs the reading of one static. Throws IoError or
/// std::bad_alloc when that is what it asks for, and as read_faults. `point` is one of the table in
/// fault_point.cpp. Any thread.
void fault_point(std::string_view point);

/// The same, and says whether the caller is to make its mistake now.
[[nodiscard]] bool fault_errs(std::string_view point);

}  // namespace tessera::checkpoint
