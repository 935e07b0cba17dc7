// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "channel.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::backends::nccl {

/// Operations on device memory go to the channel, those on memory of the host to the communicator that it was
/// opened over. The collectives are in collectives.cpp, the messages in messages.cpp.
class NcclCommunicator final : public comm::Communicator {
 public:
  /// Collective over `host`. `name`: of it and of what is split from it, for a watchdog.
  NcclCommunicator(std::shared_ptr<DeviceContext> context, std::unique_ptr<comm::Communicator> host,
                   std::string_view name);

  [[nodiscard]] int rank() const noexcept override { return channel_.rank(); }
  [[nodiscard]] int size() const noexcept override { return channel_.size(); }
  [[nodiscard]] std::string_view backend() const noexcept override { return library_name; }

  comm::Request broadcast(void* buffer, std::size_t count, DType type, int root, StreamRef stream) override;
  comm::Request all_reduce(void const* send, void* receive, std::size_t count, DType type, comm::Op op,
                           StreamRef stream) override;
  comm::Request all_gather(void const* send, void* receive, std::size_t count, DType type,
                           StreamRef stream) override;
  comm::Request reduce_scatter(void const* send, void* receive, std::size_t count, DType type, comm::Op op,
                               StreamRef stream) override;
  comm::Request all_to_all(void const* send, void* receive, std::size_t count, DType type,
                           StreamRef stream) override;
  comm::Request send(void const* buffer, std::size_t count, DType type, int peer, StreamRef stream) override;
  comm::Request receive(void* buffer, std::size_t count, DType type, int peer, StreamRef stream) override;
  comm::Request barrier(StreamRef stream) override;

  void group_begin() override;
  void group_end() override;
  [[nodiscard]] std::unique_ptr<comm::Communicator> split(std::optional<int> color, int key) override;
  [[nodiscard]] std::unique_ptr<comm::Communicator> duplicate() override;
  [[nodiscard]] std::unique_ptr<comm::Communicator> split_by_node() override;
  void progress() override;
  [[noreturn]] void abort(int exit_code) override;

 private:
  [[nodiscard]] std::unique_ptr<comm::Communicator> over(std::unique_ptr<comm::Communicator> host) const;

  std::shared_ptr<DeviceContext> context_;
  std::unique_ptr<comm::Communicator> host_;
  Channel channel_;
};

/// False for memory that only the host reaches.
[[nodiscard]] bool is_on_device(void const* memory);

}  // namespace tessera::backends::nccl
