// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "tessera/comm/communicator.hpp"
#include "tessera/comm/state_pool.hpp"

namespace tessera::backends::loopback {

class LoopbackCommunicator;

/// A send or a receive that its counterpart has not met yet.
class Message final : public comm::RequestState {
 public:
  explicit Message(LoopbackCommunicator& owner) : owner_(owner) {}

  bool test() override { return met; }
  void wait_host() override;
  void wait(StreamRef stream) override;
  void release() noexcept override;

  void const* source = nullptr;  ///< of a send
  void* target = nullptr;        ///< of a receive
  std::size_t bytes = 0;
  bool met = false;

 private:
  LoopbackCommunicator& owner_;
};

/// A group of one rank. Collectives are copies and have ended when they return. A message to itself is copied
/// when both its ends are there; the n-th send meets the n-th receive.
class LoopbackCommunicator final : public comm::Communicator {
 public:
  [[nodiscard]] int rank() const noexcept override { return 0; }
  [[nodiscard]] int size() const noexcept override { return 1; }
  [[nodiscard]] std::string_view backend() const noexcept override { return "loopback"; }

  comm::Request broadcast(void*, std::size_t, DType, int, StreamRef) override { return {}; }
  comm::Request all_reduce(void const* send, void* receive, std::size_t count, DType type, comm::Op,
                           StreamRef stream) override {
    return copy(send, receive, count, type, stream);
  }
  comm::Request all_gather(void const* send, void* receive, std::size_t count, DType type,
                           StreamRef stream) override {
    return copy(send, receive, count, type, stream);
  }
  comm::Request reduce_scatter(void const* send, void* receive, std::size_t count, DType type, comm::Op,
                               StreamRef stream) override {
    return copy(send, receive, count, type, stream);
  }
  comm::Request all_to_all(void const* send, void* receive, std::size_t count, DType type,
                           StreamRef stream) override {
    return copy(send, receive, count, type, stream);
  }
  comm::Request send(void const* buffer, std::size_t count, DType type, int peer, StreamRef stream) override;
  comm::Request receive(void* buffer, std::size_t count, DType type, int peer, StreamRef stream) override;
  comm::Request barrier(StreamRef) override { return {}; }

  void group_begin() override {}
  void group_end() override {}
  [[nodiscard]] std::unique_ptr<comm::Communicator> split(std::optional<int> color, int key) override;
  [[nodiscard]] std::unique_ptr<comm::Communicator> duplicate() override;
  [[nodiscard]] std::unique_ptr<comm::Communicator> split_by_node() override;
  void progress() override {}
  [[noreturn]] void abort(int exit_code) override;

  void give_back(Message& message) noexcept;

 private:
  comm::Request copy(void const* from, void* to, std::size_t count, DType type, StreamRef stream);
  /// Meets the oldest message that waits for `message`'s kind, or lets it wait.
  comm::Request post(void const* source, void* target, std::size_t bytes, int peer, StreamRef stream);

  comm::StatePool<Message> pool_;
  std::vector<Message*> waiting_;  // all sends or all receives: two of different kinds would have met
};

}  // namespace tessera::backends::loopback
