// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"
#include "datatype.hpp"

namespace tessera::backends::nccl {

namespace {

void issue_broadcast(Call const& call, Target const& to) {
  check_library(ncclBroadcast(call.receive, call.receive, call.count, to_nccl(call.type), call.peer, to.comm,
                              to.stream),
                "ncclBroadcast", to.comm);
}

void issue_all_reduce(Call const& call, Target const& to) {
  check_library(ncclAllReduce(call.send, call.receive, call.count, to_nccl(call.type), to_nccl(call.op),
                              to.comm, to.stream),
                "ncclAllReduce", to.comm);
}

void issue_all_gather(Call const& call, Target const& to) {
  check_library(ncclAllGather(call.send, call.receive, call.count, to_nccl(call.type), to.comm, to.stream),
                "ncclAllGather", to.comm);
}

void issue_reduce_scatter(Call const& call, Target const& to) {
  check_library(ncclReduceScatter(call.send, call.receive, call.count, to_nccl(call.type), to_nccl(call.op),
                                  to.comm, to.stream),
                "ncclReduceScatter", to.comm);
}

}  // namespace

comm::Request NcclCommunicator::broadcast(void* buffer, std::size_t count, DType type, int root,
                                          StreamRef stream) {
  if (count == 0) return {};
  if (!is_on_device(buffer)) return host_->broadcast(buffer, count, type, root, stream);
  return channel_.submit({"broadcast", issue_broadcast, nullptr, buffer, count, type, {}, root}, stream);
}

comm::Request NcclCommunicator::all_reduce(void const* send, void* receive, std::size_t count, DType type,
                                           comm::Op op, StreamRef stream) {
  if (count == 0) return {};
  if (!is_on_device(receive)) return host_->all_reduce(send, receive, count, type, op, stream);
  return channel_.submit({"all_reduce", issue_all_reduce, send, receive, count, type, op}, stream);
}

comm::Request NcclCommunicator::all_gather(void const* send, void* receive, std::size_t count, DType type,
                                           StreamRef stream) {
  if (count == 0) return {};
  if (!is_on_device(receive)) return host_->all_gather(send, receive, count, type, stream);
  return channel_.submit({"all_gather", issue_all_gather, send, receive, count, type}, stream);
}

comm::Request NcclCommunicator::reduce_scatter(void const* send, void* receive, std::size_t count, DType type,
                                               comm::Op op, StreamRef stream) {
  if (count == 0) return {};
  if (!is_on_device(receive)) return host_->reduce_scatter(send, receive, count, type, op, stream);
  return channel_.submit({"reduce_scatter", issue_reduce_scatter, send, receive, count, type, op}, stream);
}

/// NCCL has none: a sum of one byte of every rank ends on none before all have started it.
comm::Request NcclCommunicator::barrier(StreamRef stream) {
  return channel_.submit({"barrier", issue_all_reduce, channel_.word(), channel_.word(), 1}, stream);
}

}  // namespace tessera::backends::nccl
