// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Faults on purpose, to test what a crash or a full disk does at a certain moment. Compiled in always, off
// unless the environment variable TESSERA_FAULT is set when the process first comes by a fault point:
//
//   TESSERA_FAULT=POINT[#N]:ACTION[=VALUE][@RANK][,...]
//
//   POINT   a name below, or one that the caller of fault_point documents
//   #N      the N-th time the process comes by, from 1; without it, every time
//   ACTION  kill         SIGKILL to the process itself
//           stop         SIGSTOP: a process that no longer answers
//           io_error     throws IoError; VALUE is the error number, 28 (no space left on device) if left out
//           sleep        waits for VALUE milliseconds, 1000 if left out
//   @RANK   on this rank only; without it, on all
//
// Points of this room: ckpt.create_file, ckpt.write_data, ckpt.write_metadata, ckpt.sync_file of a shard file
// or model.h5; files.write, files.sync, files.rename, files.sync_directory in write_text_atomically, each
// before the thing that it names.
#pragma once

#include <string_view>

namespace tessera::checkpoint {

/// The rank that `@RANK` is compared with; 0 until this is called. Call it before threads start.
void set_fault_rank(int rank) noexcept;

/// Does what TESSERA_FAULT asks for at this point; else costs the reading of one static. Throws IoError when
/// that is what it asks for, and ConfigError when the variable cannot be understood. Any thread.
void fault_point(std::string_view point);

}  // namespace tessera::checkpoint
