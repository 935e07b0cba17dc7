// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A double of the CUDA runtime and NCCL calls that backends/nccl makes, over host memory, for machines
// without a GPU. It is linked in place of libcudart and libnccl, to the same object files. Its ranks are
// threads of one process; each sets its own device.
//
// What is as on a GPU:
// - Streams are queues that their own thread works off in order; calls return at once. An event is reached
// when the
//   stream comes to it; a stream that waits for an event stops there.
// - An NCCL operation runs in its stream and holds it until the other ranks have come. Calls between
// ncclGroupStart
//   and ncclGroupEnd are one operation. The n-th collective of a communicator meets the n-th of the other
//   ranks, whatever it is; different ones are an error.
// - A non-blocking communicator works in the background: after a call its state is ncclInProgress for a
// while, and
//   a further call meanwhile is refused. An event recorded too early is reached too early. The first message
//   between two ranks is enqueued only when the other rank has called as well.
// - ncclCommAbort ends what this rank has under way and lets its stream go on; the other ranks keep waiting.
// - Two ranks of a communicator on one device are refused when all have come.
//
// What is not modelled:
// - Kernels, device memory apart from the host's (an access from the wrong side does not crash), unified
// memory.
// - The default stream and what waits for it; priorities, timing events, capture into graphs.
// - Limits: how many kernels run at once (operations of different communicators never hold each other up),
// channels,
//   buffers, protocols; the order of additions in a sum, which is that of the ranks here.
// - ncclCommSplit, user-made operators, registered memory, and what else the backend does not call.
// - How long anything takes, and that a lost process is noticed over a network (break_communicators does).
#pragma once

#include <map>
#include <string>

namespace tessera::support::cuda_double {

/// Settings as at the start of the program: 8 devices with addresses of their own, memory of the host is not
/// the device's, nothing is held. The calling thread has device 0, plays node 0, and has called nothing and
/// asked no call to fail. Other threads keep theirs, and what was made and not ended is still there.
void reset();

/// How many devices the calling process sees. 0: as on a machine without any.
void set_device_count(int count);
/// Lets all devices have one address, as when each rank was shown the same one.
void set_one_address(bool one);
/// The node that the calling thread plays: devices of different nodes are different ones.
void set_node(int node);
/// Whether memory that the double did not allocate counts as memory of the device: then tests written for
/// host memory reach NCCL.
void set_all_memory_on_device(bool all);

/// The `nth` call (1: the next) of `function` by the calling thread fails, once, whatever else is to fail;
/// one that ends something does so all the same.
void fail_call(std::string const& function, int nth);
/// How often the calling thread has called each function since reset_calls.
[[nodiscard]] std::map<std::string, int> calls();
void reset_calls();

/// Lets the background state of all communicators on `device` be a failure of the network, as when another
/// rank's process has died.
void break_communicators(int device);
/// From now on, communicators on `device` do not get to meet the others.
void hold_openings(int device);
/// Whether ncclCommAbort hangs, before it has ended anything.
void hold_aborts(bool hold);

/// Communicators, streams, events and pieces of memory that were made and not ended.
[[nodiscard]] int objects_alive();

}  // namespace tessera::support::cuda_double
