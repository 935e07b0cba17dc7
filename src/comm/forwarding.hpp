// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "tessera/comm/communicator.hpp"

namespace tessera::comm {

/// A communicator that hands everything to another one: decorators override what they change. How children
/// made by split and duplicate are decorated is up to them as well.
class ForwardingCommunicator : public Communicator {
 public:
  ForwardingCommunicator(std::string_view decoration, std::unique_ptr<Communicator> inner)
      : name_(fmt::format("{}({})", decoration, inner->backend())), inner_(std::move(inner)) {}
  /// With `name` as the whole name of the backend.
  ForwardingCommunicator(std::unique_ptr<Communicator> inner, std::string name)
      : name_(std::move(name)), inner_(std::move(inner)) {}

  [[nodiscard]] int rank() const noexcept override { return inner_->rank(); }
  [[nodiscard]] int size() const noexcept override { return inner_->size(); }
  [[nodiscard]] std::string_view backend() const noexcept override { return name_; }

  Request broadcast(void* buffer, std::size_t count, DType type, int root, StreamRef stream) override {
    return inner_->broadcast(buffer, count, type, root, stream);
  }
  Request all_reduce(void const* send, void* receive, std::size_t count, DType type, Op op,
                     StreamRef stream) override {
    return inner_->all_reduce(send, receive, count, type, op, stream);
  }
  Request all_gather(void const* send, void* receive, std::size_t count, DType type,
                     StreamRef stream) override {
    return inner_->all_gather(send, receive, count, type, stream);
  }
  Request reduce_scatter(void const* send, void* receive, std::size_t count, DType type, Op op,
                         StreamRef stream) override {
    return inner_->reduce_scatter(send, receive, count, type, op, stream);
  }
  Request all_to_all(void const* send, void* receive, std::size_t count, DType type,
                     StreamRef stream) override {
    return inner_->all_to_all(send, receive, count, type, stream);
  }
  Request send(void const* buffer, std::size_t count, DType type, int peer, StreamRef stream) override {
    return inner_->send(buffer, count, type, peer, stream);
  }
  Request receive(void* buffer, std::size_t count, DType type, int peer, StreamRef stream) override {
    return inner_->receive(buffer, count, type, peer, stream);
  }
  Request barrier(StreamRef stream) override { return inner_->barrier(stream); }
  void group_begin() override { inner_->group_begin(); }
  void group_end() override { inner_->group_end(); }
  [[nodiscard]] std::unique_ptr<Communicator> split_by_node() override { return inner_->split_by_node(); }
  void progress() override { inner_->progress(); }
  [[noreturn]] void abort(int exit_code) override {
    inner_->abort(exit_code);
    std::_Exit(exit_code);
  }

 protected:
  [[nodiscard]] Communicator& inner() noexcept { return *inner_; }

 private:
  std::string name_;
  std::unique_ptr<Communicator> inner_;
};

}  // namespace tessera::comm
