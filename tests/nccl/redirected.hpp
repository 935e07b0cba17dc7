// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Communicators that do something with the stream of every operation.
#pragma once

#include <cstdlib>
#include <memory>
#include <utility>

#include "nccl/double_queues.hpp"

namespace tessera::support {

/// Hands everything to another one, with the stream that `chosen` makes of the one given.
class Redirected : public comm::Communicator {
 public:
  explicit Redirected(std::unique_ptr<comm::Communicator> inner) : inner_(std::move(inner)) {}

  [[nodiscard]] int rank() const noexcept override { return inner_->rank(); }
  [[nodiscard]] int size() const noexcept override { return inner_->size(); }
  [[nodiscard]] std::string_view backend() const noexcept override { return inner_->backend(); }
  comm::Request broadcast(void* buffer, std::size_t count, DType type, int root, StreamRef stream) override {
    return inner_->broadcast(buffer, count, type, root, chosen(stream));
  }
  comm::Request all_reduce(void const* send, void* receive, std::size_t count, DType type, comm::Op op,
                           StreamRef stream) override {
    return inner_->all_reduce(send, receive, count, type, op, chosen(stream));
  }
  comm::Request all_gather(void const* send, void* receive, std::size_t count, DType type,
                           StreamRef stream) override {
    return inner_->all_gather(send, receive, count, type, chosen(stream));
  }
  comm::Request reduce_scatter(void const* send, void* receive, std::size_t count, DType type, comm::Op op,
                               StreamRef stream) override {
    return inner_->reduce_scatter(send, receive, count, type, op, chosen(stream));
  }
  comm::Request all_to_all(void const* send, void* receive, std::size_t count, DType type,
                           StreamRef stream) override {
    return inner_->all_to_all(send, receive, count, type, chosen(stream));
  }
  comm::Request send(void const* buffer, std::size_t count, DType type, int peer, StreamRef stream) override {
    return inner_->send(buffer, count, type, peer, chosen(stream));
  }
  comm::Request receive(void* buffer, std::size_t count, DType type, int peer, StreamRef stream) override {
    return inner_->receive(buffer, count, type, peer, chosen(stream));
  }
  comm::Request barrier(StreamRef stream) override { return inner_->barrier(chosen(stream)); }
  void group_begin() override { inner_->group_begin(); }
  void group_end() override { inner_->group_end(); }
  void progress() override { inner_->progress(); }
  [[noreturn]] void abort(int exit_code) override {
    inner_->abort(exit_code);
    std::_Exit(exit_code);
  }

 protected:
  [[nodiscard]] virtual StreamRef chosen(StreamRef stream) = 0;
  [[nodiscard]] comm::Communicator& inner() { return *inner_; }

 private:
  std::unique_ptr<comm::Communicator> inner_;
};

/// `Derived` also around what is made of it.
template <class Derived>
class RedirectedLike : public Redirected {
 public:
  using Redirected::Redirected;
  [[nodiscard]] std::unique_ptr<comm::Communicator> split(std::optional<int> color, int key) override {
    auto part = inner().split(color, key);
    return part ? std::make_unique<Derived>(std::move(part)) : nullptr;
  }
  [[nodiscard]] std::unique_ptr<comm::Communicator> duplicate() override {
    return std::make_unique<Derived>(inner().duplicate());
  }
  [[nodiscard]] std::unique_ptr<comm::Communicator> split_by_node() override {
    return std::make_unique<Derived>(inner().split_by_node());
  }
};

/// Gives every operation a stream, as programs do.
class WithStream final : public RedirectedLike<WithStream> {
 public:
  using RedirectedLike::RedirectedLike;

 private:
  StreamRef chosen(StreamRef) override { return stream_.ref(); }

  StreamOfTest stream_;
};

/// Waits for the stream before every operation, as an MPI's communicator does, which knows nothing of queues.
class Fenced final : public RedirectedLike<Fenced> {
 public:
  using RedirectedLike::RedirectedLike;

 private:
  StreamRef chosen(StreamRef stream) override {
    if (auto const queue = backends::nccl::queue_of(stream)) cudaStreamSynchronize(*queue);
    return {};
  }
};

}  // namespace tessera::support
