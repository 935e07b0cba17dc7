// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Operations and groups in NCCL's part of the double (control.hpp).
#include "support/cuda_double/machine.hpp"
#include "support/cuda_double/nccl_comm.hpp"
#include "support/cuda_double/stream.hpp"
#include "tessera/base/error.hpp"

namespace tessera::support::cuda_double {

namespace {

/// The group that the calling thread is in.
struct Group {
  int depth = 0;
  std::vector<Operation> operations;
};

Group& group() {
  thread_local Group instance;
  return instance;
}

DType dtype_of_nccl(ncclDataType_t type) {
  switch (type) {
    case ncclInt32: return DType::i32;
    case ncclInt64: return DType::i64;
    case ncclUint64: return DType::u64;
    case ncclFloat32: return DType::f32;
    case ncclFloat64: return DType::f64;
    case ncclBfloat16: return DType::bf16;
    case ncclFloat16: return DType::f16;
    default: return DType::u8;
  }
}

comm::Op op_of_nccl(ncclRedOp_t op) {
  return op == ncclMax ? comm::Op::max : op == ncclMin ? comm::Op::min : comm::Op::sum;
}

/// Until the other rank of every message has called as often as this one.
void connect(std::vector<Operation> const& operations, CommState& state) {
  auto& meeting = *state.meeting;
  std::unique_lock lock(meeting.mutex);
  std::vector<std::pair<std::pair<std::pair<int, int>, int>, int>> counterparts;
  for (auto const& operation : operations) {
    if (!operation.is_message) continue;
    auto const way =
        operation.sends ? std::pair(state.rank, operation.peer) : std::pair(operation.peer, state.rank);
    meeting.called[{way, operation.sends ? 0 : 1}] = 1;
    counterparts.push_back({{way, operation.sends ? 1 : 0}, 1});
  }
  meeting.changed.notify_all();
  meeting.changed.wait(lock, [&] {
    return state.aborted ||
           std::all_of(counterparts.begin(), counterparts.end(), [&](auto const& counterpart) {
             return meeting.called[counterpart.first] >= counterpart.second;
           });
  });
}

Exchange::Ticket post(Operation const& operation, CommState const& state) {
  auto& exchange = state.meeting->exchange;
  if (!operation.is_message) return exchange.collective(state.rank, operation.part);
  if (operation.sends) return exchange.send(state.rank, operation.peer, operation.buffer, operation.bytes);
  return exchange.receive(operation.peer, state.rank, operation.buffer, operation.bytes);
}

/// What a stream does when it comes to the operations of a group.
void run(std::vector<Operation> const& operations, CommState& state) {
  try {
    if (state.aborted) return;
    std::vector<Exchange::Ticket> tickets;
    for (auto const& operation : operations) tickets.push_back(post(operation, state));
    for (auto const& ticket : tickets) {
      state.meeting->exchange.wait(ticket, [&] { return state.aborted.load(); });
    }
  } catch (CommError const&) {
    state.failure = ncclInvalidUsage;
  }
}

ncclResult_t add(char const* function, Operation const& operation) {
  if (must_fail(function)) return ncclSystemError;
  if (group().depth == 0) return launch({operation});
  group().operations.push_back(operation);
  return ncclSuccess;
}

ncclResult_t add_collective(char const* function, Part const& part, ncclComm_t comm, cudaStream_t stream) {
  return add(function, {comm, stream, false, part, 0, false, nullptr, 0});
}

ncclResult_t add_message(char const* function, bool sends, void* buffer, std::size_t count,
                         ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
  std::size_t const bytes = count * size_bytes(dtype_of_nccl(type));
  return add(function, {comm, stream, true, {}, peer, sends, buffer, bytes});
}

}  // namespace

ncclResult_t launch(std::vector<Operation> const& operations) {
  if (operations.empty()) return ncclSuccess;
  ncclComm_t const comm = operations.front().comm;
  if (!comm->background.idle()) return ncclInvalidUsage;
  comm->background.push([operations, state = comm->state] {
    connect(operations, *state);
    if (state->aborted) return;
    operations.front().stream->queue.push([operations, state] { run(operations, *state); });
  });
  if (!comm->blocking) return ncclInProgress;
  comm->background.drain();
  return ncclSuccess;
}

}  // namespace tessera::support::cuda_double

using namespace tessera::support;
using namespace tessera::support::cuda_double;

ncclResult_t ncclGroupStart() {
  if (must_fail(__func__)) return ncclSystemError;
  ++group().depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  if (must_fail(__func__)) {
    group() = {};
    return ncclSystemError;
  }
  if (--group().depth > 0) return ncclSuccess;
  auto const operations = std::move(group().operations);
  group().operations.clear();
  return launch(operations);
}

ncclResult_t ncclBroadcast(void const* send, void* receive, std::size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  return add_collective(__func__, {Exchanged::broadcast, send, receive, count, dtype_of_nccl(type), {}, root},
                        comm, stream);
}

ncclResult_t ncclAllReduce(void const* send, void* receive, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  return add_collective(__func__,
                        {Exchanged::all_reduce, send, receive, count, dtype_of_nccl(type), op_of_nccl(op)},
                        comm, stream);
}

ncclResult_t ncclReduceScatter(void const* send, void* receive, std::size_t count, ncclDataType_t type,
                               ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  return add_collective(
      __func__, {Exchanged::reduce_scatter, send, receive, count, dtype_of_nccl(type), op_of_nccl(op)}, comm,
      stream);
}

ncclResult_t ncclAllGather(void const* send, void* receive, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  return add_collective(__func__, {Exchanged::all_gather, send, receive, count, dtype_of_nccl(type)}, comm,
                        stream);
}

ncclResult_t ncclSend(void const* buffer, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return add_message(__func__, true, const_cast<void*>(buffer), count, type, peer, comm, stream);
}

ncclResult_t ncclRecv(void* buffer, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return add_message(__func__, false, buffer, count, type, peer, comm, stream);
}
