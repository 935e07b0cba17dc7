// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"
#include "datatype.hpp"
#include "tessera/comm/device_ops.hpp"

namespace tessera::backends::nccl {

namespace {

void issue_send(Call const& call, Target const& to) {
  check_library(ncclSend(call.send, call.count, to_nccl(call.type), call.peer, to.comm, to.stream),
                "ncclSend", to.comm);
}

void issue_receive(Call const& call, Target const& to) {
  check_library(ncclRecv(call.receive, call.count, to_nccl(call.type), call.peer, to.comm, to.stream),
                "ncclRecv", to.comm);
}

/// Issued inside a group, as everything is (Channel::issue).
void issue_all_to_all(Call const& call, Target const& to) {
  for (int peer = 0; peer < to.size; ++peer) {
    Call part = call;
    part.peer = peer;
    part.send = comm::element(call.send, static_cast<std::size_t>(peer) * call.count, call.type);
    part.receive = comm::element(call.receive, static_cast<std::size_t>(peer) * call.count, call.type);
    issue_send(part, to);
    issue_receive(part, to);
  }
}

}  // namespace

comm::Request NcclCommunicator::all_to_all(void const* send, void* receive, std::size_t count, DType type,
                                           StreamRef stream) {
  if (count == 0) return {};
  if (!is_on_device(receive)) return host_->all_to_all(send, receive, count, type, stream);
  return channel_.submit({"all_to_all", issue_all_to_all, send, receive, count, type}, stream);
}

comm::Request NcclCommunicator::send(void const* buffer, std::size_t count, DType type, int peer,
                                     StreamRef stream) {
  if (count == 0) return {};
  if (!is_on_device(buffer)) return host_->send(buffer, count, type, peer, stream);
  return channel_.submit({"send", issue_send, buffer, nullptr, count, type, {}, peer}, stream);
}

comm::Request NcclCommunicator::receive(void* buffer, std::size_t count, DType type, int peer,
                                        StreamRef stream) {
  if (count == 0) return {};
  if (!is_on_device(buffer)) return host_->receive(buffer, count, type, peer, stream);
  return channel_.submit({"receive", issue_receive, nullptr, buffer, count, type, {}, peer}, stream);
}

}  // namespace tessera::backends::nccl
