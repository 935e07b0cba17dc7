// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/staging.hpp"

#include <algorithm>
#include <array>

#include "forwarding.hpp"
#include "staged.hpp"
#include "tessera/comm/call.hpp"
#include "tessera/comm/device_ops.hpp"
#include "tessera/comm/state_pool.hpp"

namespace tessera::comm {

namespace {

struct StagingCall {
  Operation kind;
  void const* send;
  void* receive;
  std::size_t count;  ///< elements of one part
  DType type;
  Op op;
  int peer;  ///< or root
  StreamRef stream;
};

/// Pinned memory.
struct HostBuffer : GrowingMemory<StagingSpace> {
  HostBuffer() : GrowingMemory("tessera::comm::staging") {}
};

/// Two of each, since the copies of one chunk go on beside the operation on another.
struct HostBuffers {
  std::array<HostBuffer, 2> send, receive;
};

class StagingState;

/// Operations that stay in their order: all collectives, and the messages to, and from, each peer.
struct Lane {
  Turnstile turns;
  HostBuffers buffers;
  std::unique_ptr<StatePool<StagingState>> pool = std::make_unique<StatePool<StagingState>>();
};

class StagingState final : public StagedState {
 public:
  StagingState(Communicator& inner, Lane& lane, StagingOptions const& options)
      : StagedState(lane.turns), inner_(inner), lane_(lane), options_(options), copies_(copying_instance()) {}

  Request start(StagingCall const& call) {
    call_ = call;
    stage_ = 0;
    if (call.stream.exec() != nullptr) fence(*call.stream.exec());
    direct_ = goes_direct(call);
    std::size_t const whole = std::max<std::size_t>(call.count, 1);
    chunk_ = direct_
                 ? whole
                 : std::min(whole, std::max<std::size_t>(1, options_.chunk_bytes / size_bytes(call.type)));
    chunks_ = (whole + chunk_ - 1) / chunk_;
    begin();
    return Request(this);
  }

 private:
  [[nodiscard]] bool goes_direct(StagingCall const& call) const {
    bool const sums = call.kind == Operation::all_reduce || call.kind == Operation::reduce_scatter;
    if (options_.sums_only && !sums) return true;
    return !options_.always && host_reaches(call.send) && host_reaches(call.receive);
  }
  [[nodiscard]] static bool host_reaches(void const* memory) {
    return memory == nullptr || host_can_read(memory);
  }

  bool start_stage() override {
    std::size_t const k = stage_++;
    if (k == 0) copy_in(0);
    if (k < chunks_) add_to_stage(issue(k));
    if (k + 1 < chunks_) copy_in(k + 1);
    if (k > 0) copy_out(k - 1);
    return k < chunks_;
  }
  void recycle() noexcept override { lane_.pool->give_back(*this); }

  [[nodiscard]] std::size_t ranks() const { return static_cast<std::size_t>(inner_.size()); }
  [[nodiscard]] std::size_t send_parts() const {
    if (call_.kind == Operation::receive || call_.kind == Operation::barrier) return 0;
    return call_.kind == Operation::reduce_scatter || call_.kind == Operation::all_to_all ? ranks() : 1;
  }
  [[nodiscard]] std::size_t receive_parts() const {
    if (call_.kind == Operation::send || call_.kind == Operation::barrier) return 0;
    return call_.kind == Operation::all_gather || call_.kind == Operation::all_to_all ? ranks() : 1;
  }
  [[nodiscard]] std::size_t length(std::size_t k) const {
    return std::min(chunk_, call_.count - std::min(call_.count, k * chunk_));
  }

  /// Chunk k of each part of what is sent, close together in host memory.
  void copy_in(std::size_t k) {
    if (direct_) return;
    auto& buffers = lane_.buffers;
    buffers.send[k % 2].reserve(send_parts() * chunk_ * size_bytes(call_.type));
    buffers.receive[k % 2].reserve(receive_parts() * chunk_ * size_bytes(call_.type));
    std::size_t const bytes = length(k) * size_bytes(call_.type);
    for (std::size_t part = 0; part < send_parts(); ++part) {
      copy_to_host(copies_, buffers.send[k % 2].data() + part * bytes,
                   element(call_.send, part * call_.count + k * chunk_, call_.type), bytes);
    }
    fence(copies_);
  }
  void copy_out(std::size_t k) {
    if (direct_) return;
    std::size_t const bytes = length(k) * size_bytes(call_.type);
    for (std::size_t part = 0; part < receive_parts(); ++part) {
      copy_from_host(copies_, element(call_.receive, part * call_.count + k * chunk_, call_.type),
                     lane_.buffers.receive[k % 2].data() + part * bytes, bytes);
    }
    fence(copies_);
  }

  Request issue(std::size_t k) {
    auto const& [kind, from, to, count, type, op, peer, stream] = call_;
    auto const n = length(k);
    void const* const send = direct_ ? from : lane_.buffers.send[k % 2].data();
    void* const receive = direct_ ? to : lane_.buffers.receive[k % 2].data();
    switch (kind) {
      case Operation::broadcast: return broadcast(send, receive, n);
      case Operation::all_reduce: return inner_.all_reduce(send, receive, n, type, op, {});
      case Operation::all_gather: return inner_.all_gather(send, receive, n, type, {});
      case Operation::reduce_scatter: return inner_.reduce_scatter(send, receive, n, type, op, {});
      case Operation::all_to_all: return inner_.all_to_all(send, receive, n, type, {});
      case Operation::send: return inner_.send(send, n, type, peer, {});
      case Operation::receive: return inner_.receive(receive, n, type, peer, {});
      case Operation::barrier: return inner_.barrier({});
    }
    return {};
  }
  /// In one buffer: what was copied in is what is copied out on the root, too.
  Request broadcast(void const* send, void* receive, std::size_t n) {
    if (!direct_)
      std::copy_n(static_cast<std::byte const*>(send), n * size_bytes(call_.type),
                  static_cast<std::byte*>(receive));
    return inner_.broadcast(receive, n, call_.type, call_.peer, {});
  }

  Communicator& inner_;
  Lane& lane_;
  StagingOptions const& options_;
  ExecutionSpace copies_;
  StagingCall call_{};
  bool direct_ = false;
  std::size_t chunk_ = 1, chunks_ = 0, stage_ = 0;
};

class StagingCommunicator final : public ForwardingCommunicator {
 public:
  StagingCommunicator(std::unique_ptr<Communicator> inner, StagingOptions options)
      : ForwardingCommunicator("staging", std::move(inner)),
        options_(options),
        sends_(static_cast<std::size_t>(size())),
        receives_(static_cast<std::size_t>(size())) {}

  Request broadcast(void* buffer, std::size_t count, DType type, int root, StreamRef stream) override {
    return start(collectives_, {Operation::broadcast, buffer, buffer, count, type, Op::sum, root, stream});
  }
  Request all_reduce(void const* send, void* receive, std::size_t count, DType type, Op op,
                     StreamRef stream) override {
    return start(collectives_, {Operation::all_reduce, send, receive, count, type, op, 0, stream});
  }
  Request all_gather(void const* send, void* receive, std::size_t count, DType type,
                     StreamRef stream) override {
    return start(collectives_, {Operation::all_gather, send, receive, count, type, Op::sum, 0, stream});
  }
  Request reduce_scatter(void const* send, void* receive, std::size_t count, DType type, Op op,
                         StreamRef stream) override {
    return start(collectives_, {Operation::reduce_scatter, send, receive, count, type, op, 0, stream});
  }
  Request all_to_all(void const* send, void* receive, std::size_t count, DType type,
                     StreamRef stream) override {
    return start(collectives_, {Operation::all_to_all, send, receive, count, type, Op::sum, 0, stream});
  }
  Request send(void const* buffer, std::size_t count, DType type, int peer, StreamRef stream) override {
    auto& lane = sends_[static_cast<std::size_t>(peer)];
    return start(lane, {Operation::send, buffer, nullptr, count, type, Op::sum, peer, stream});
  }
  Request receive(void* buffer, std::size_t count, DType type, int peer, StreamRef stream) override {
    auto& lane = receives_[static_cast<std::size_t>(peer)];
    return start(lane, {Operation::receive, nullptr, buffer, count, type, Op::sum, peer, stream});
  }
  Request barrier(StreamRef stream) override {
    return start(collectives_, {Operation::barrier, nullptr, nullptr, 0, DType::u8, Op::sum, 0, stream});
  }

  [[nodiscard]] std::unique_ptr<Communicator> split(std::optional<int> color, int key) override {
    auto part = inner().split(color, key);
    return part ? make_staging(std::move(part), options_) : nullptr;
  }
  [[nodiscard]] std::unique_ptr<Communicator> duplicate() override {
    return make_staging(inner().duplicate(), options_);
  }
  [[nodiscard]] std::unique_ptr<Communicator> split_by_node() override {
    return make_staging(inner().split_by_node(), options_);
  }
  void progress() override {
    inner().progress();
    progress_all();
  }

 private:
  Request start(Lane& lane, StagingCall const& call) {
    if (call.count == 0 && call.kind != Operation::barrier) return {};
    if (size() == 1 && alone(call)) return {};
    return lane.pool->take(inner(), lane, options_).start(call);
  }
  /// A group of one copies on the device. True when that was all there is to do.
  static bool alone(StagingCall const& call) {
    if (call.kind == Operation::send || call.kind == Operation::receive) return false;
    if (call.send != nullptr) {
      copy_bytes(call.receive, call.send, call.count * size_bytes(call.type), call.stream);
    }
    return true;
  }

  StagingOptions options_;
  Lane collectives_;
  std::vector<Lane> sends_, receives_;
};

}  // namespace

std::unique_ptr<Communicator> make_staging(std::unique_ptr<Communicator> inner, StagingOptions options) {
  return std::make_unique<StagingCommunicator>(std::move(inner), options);
}

}  // namespace tessera::comm
