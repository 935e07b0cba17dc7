// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>

#include <algorithm>
#include <optional>

#include "datatype.hpp"
#include "error.hpp"
#include "request.hpp"
#include "tessera/backends/mpi_limits.hpp"
#include "tessera/base/unique_handle.hpp"
#include "tessera/comm/communicator.hpp"
#include "tessera/comm/device_ops.hpp"
#include "tessera/comm/state_pool.hpp"

namespace tessera::backends::mpi {

struct CommTraits {
  using Handle = MPI_Comm;
  static Handle null() noexcept { return MPI_COMM_NULL; }
  static void free(Handle comm) noexcept;
};
using UniqueComm = UniqueHandle<CommTraits>;

/// Each operation is in the file of its name.
class MpiCommunicator final : public comm::Communicator {
 public:
  explicit MpiCommunicator(UniqueComm comm);

  [[nodiscard]] int rank() const noexcept override { return rank_; }
  [[nodiscard]] int size() const noexcept override { return size_; }
  [[nodiscard]] std::string_view backend() const noexcept override { return "mpi"; }

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

  void group_begin() override {}
  void group_end() override {}
  [[nodiscard]] std::unique_ptr<comm::Communicator> split(std::optional<int> color, int key) override;
  [[nodiscard]] std::unique_ptr<comm::Communicator> duplicate() override;
  [[nodiscard]] std::unique_ptr<comm::Communicator> split_by_node() override;
  void progress() override;
  [[noreturn]] void abort(int exit_code) override;

 private:
  [[nodiscard]] CallInfo call(std::string_view operation, std::size_t count = 0,
                              DType type = DType::u8) const {
    return {operation, count, type, rank_, size_};
  }
  /// Runs `start(state)`, which makes the MPI calls of one operation, once earlier work of `stream` has
  /// ended.
  template <class Start>
  comm::Request operation(CallInfo const& info, StreamRef stream, Start const& start) {
    if constexpr (!tensors_on_host) {
      if (stream.exec() != nullptr) fence(*stream.exec());
    }
    MpiState& state = pool_.take(pool_);
    comm::Request request = state.start(info);
    start(state);
    return request;
  }
  /// The same for an operation that is cut: runs `start(state, first element, elements)` for every piece.
  template <class Start>
  comm::Request pieces(CallInfo const& info, StreamRef stream, Start const& start) {
    if (info.count == 0) return {};
    return operation(info, stream, [&](MpiState& state) {
      for (std::size_t first = 0; first < info.count; first += max_count()) {
        start(state, first, static_cast<int>(std::min(max_count(), info.count - first)));
      }
    });
  }

  UniqueComm comm_;
  int rank_ = 0;
  int size_ = 0;
  comm::StatePool<MpiState> pool_;
};

}  // namespace tessera::backends::mpi
