// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "tessera/base/error.hpp"
#include "tessera/comm/device_ops.hpp"

namespace tessera::backends::loopback {

void Message::wait_host() {
  if (met) return;
  throw CommError(fmt::format(
      "{} of {} bytes on rank 0 of 1 (loopback) would wait for ever: nothing was {} itself.",
      source != nullptr ? "send" : "receive", bytes, source != nullptr ? "received by" : "sent to"));
}

void Message::wait(StreamRef) { wait_host(); }

void Message::release() noexcept { owner_.give_back(*this); }

comm::Request LoopbackCommunicator::copy(void const* from, void* to, std::size_t count, DType type,
                                         StreamRef stream) {
  comm::copy_bytes(to, from, count * size_bytes(type), stream);
  return {};
}

comm::Request LoopbackCommunicator::send(void const* buffer, std::size_t count, DType type, int peer,
                                         StreamRef stream) {
  return post(buffer, nullptr, count * size_bytes(type), peer, stream);
}

comm::Request LoopbackCommunicator::receive(void* buffer, std::size_t count, DType type, int peer,
                                            StreamRef stream) {
  return post(nullptr, buffer, count * size_bytes(type), peer, stream);
}

comm::Request LoopbackCommunicator::post(void const* source, void* target, std::size_t bytes, int peer,
                                         StreamRef stream) {
  if (peer != 0) {
    throw CommError(fmt::format("A message to or from rank {}, but rank 0 of 1 (loopback) is alone.", peer));
  }
  if (bytes == 0) return {};
  bool const is_send = source != nullptr;
  if (waiting_.empty() || (waiting_.front()->source != nullptr) == is_send) {
    Message& message = pool_.take(*this);
    message.source = source;
    message.target = target;
    message.bytes = bytes;
    message.met = false;
    waiting_.push_back(&message);
    return comm::Request(&message);
  }
  Message& other = *waiting_.front();
  if (other.bytes != bytes) {
    throw CommError(
        fmt::format("A message of {} bytes meets a receive of {} bytes on rank 0 of 1 (loopback).",
                    is_send ? bytes : other.bytes, is_send ? other.bytes : bytes));
  }
  waiting_.erase(waiting_.begin());
  comm::copy_bytes(is_send ? other.target : target, is_send ? source : other.source, bytes, stream);
  other.met = true;
  return {};
}

void LoopbackCommunicator::give_back(Message& message) noexcept {
  std::erase(waiting_, &message);
  pool_.give_back(message);
}

std::unique_ptr<comm::Communicator> LoopbackCommunicator::split(std::optional<int> color, int) {
  return color ? std::make_unique<LoopbackCommunicator>() : nullptr;
}

std::unique_ptr<comm::Communicator> LoopbackCommunicator::duplicate() {
  return std::make_unique<LoopbackCommunicator>();
}

std::unique_ptr<comm::Communicator> LoopbackCommunicator::split_by_node() { return duplicate(); }

void LoopbackCommunicator::abort(int exit_code) { std::_Exit(exit_code); }

}  // namespace tessera::backends::loopback
