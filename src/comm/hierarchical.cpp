// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/hierarchical.hpp"

#include <fmt/format.h>

#include "forwarding.hpp"
#include "staged.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/device_ops.hpp"
#include "tessera/comm/state_pool.hpp"
#include "tessera/comm/threaded.hpp"

namespace tessera::comm {

namespace {

struct Levels {
  std::unique_ptr<Communicator> inside;
  std::unique_ptr<Communicator> across;
  Turnstile turns{};
  Scratch scratch{!tensors_on_host};
};

enum class Kind { all_reduce, reduce_scatter, all_gather };

struct HierarchicalCall {
  Kind kind;
  void const* send;
  void* receive;
  std::size_t count;
  DType type;
  Op op;
  StreamRef stream;
};

class HierarchicalState final : public StagedState {
 public:
  HierarchicalState(Levels& levels, StatePool<HierarchicalState>& pool)
      : StagedState(levels.turns),
        levels_(levels),
        pool_(pool),
        local_(static_cast<std::size_t>(levels.inside->rank())),
        locals_(static_cast<std::size_t>(levels.inside->size())),
        nodes_(static_cast<std::size_t>(levels.across->size())) {}

  Request start(HierarchicalCall const& call) {
    call_ = call;
    stages_ = 0;
    begin();
    return Request(this);
  }

 private:
  bool start_stage() override {
    int const stage = stages_++;
    switch (call_.kind) {
      case Kind::all_reduce: return all_reduce(stage);
      case Kind::reduce_scatter: return reduce_scatter(stage);
      case Kind::all_gather: return all_gather(stage);
    }
    return false;
  }
  void recycle() noexcept override { pool_.give_back(*this); }
  [[nodiscard]] void* reserve(std::size_t bytes) {
    return levels_.scratch.reserve(bytes, is_tensor_memory(call_.receive));
  }

  /// Elements 0 .. m*q-1 by scattering, the rest, fewer than m, by all-reduces beside it.
  bool all_reduce(int stage) {
    auto const& [kind, send, receive, count, type, op, stream] = call_;
    std::size_t const part = count / locals_;
    std::size_t const even = part * locals_;
    std::size_t const rest = count - even;
    void* const own = element(receive, local_ * part, type);
    void* const tail = element(receive, even, type);
    if (stage == 0) {
      add_to_stage(levels_.inside->reduce_scatter(send, own, part, type, op, stream));
      add_to_stage(levels_.inside->all_reduce(element(send, even, type), tail, rest, type, op, stream));
    } else if (stage == 1) {
      add_to_stage(levels_.across->all_reduce(own, own, part, type, op, stream));
      add_to_stage(levels_.across->all_reduce(tail, tail, rest, type, op, stream));
    } else if (stage == 2) {
      add_to_stage(levels_.inside->all_gather(own, receive, part, type, stream));
    }
    return stage < 3;
  }

  /// Inside, one reduce-scatter for each node's run of chunks; so this rank has its place's chunk of every
  /// node.
  bool reduce_scatter(int stage) {
    auto const& [kind, send, receive, count, type, op, stream] = call_;
    if (stage == 0) {
      partial_ = reserve(nodes_ * count * size_bytes(type));
      for (std::size_t node = 0; node < nodes_; ++node) {
        add_to_stage(levels_.inside->reduce_scatter(element(send, node * locals_ * count, type),
                                                    element(partial_, node * count, type), count, type, op,
                                                    stream));
      }
    } else if (stage == 1) {
      add_to_stage(levels_.across->reduce_scatter(partial_, receive, count, type, op, stream));
    }
    return stage < 2;
  }

  bool all_gather(int stage) {
    auto const& [kind, send, receive, count, type, op, stream] = call_;
    if (stage == 0) {
      partial_ = reserve(nodes_ * count * size_bytes(type));
      add_to_stage(levels_.across->all_gather(send, partial_, count, type, stream));
    } else if (stage == 1) {
      for (std::size_t node = 0; node < nodes_; ++node) {
        add_to_stage(levels_.inside->all_gather(element(partial_, node * count, type),
                                                element(receive, node * locals_ * count, type), count, type,
                                                stream));
      }
    }
    return stage < 2;
  }

  Levels& levels_;
  StatePool<HierarchicalState>& pool_;
  std::size_t local_;
  std::size_t locals_;
  std::size_t nodes_;
  HierarchicalCall call_{};
  void* partial_ = nullptr;
  int stages_ = 0;
};

/// "hierarchical(mpi)", or "hierarchical(nccl inside, mpi across)".
std::string name_of(Communicator const& inside, Communicator const& across) {
  if (inside.backend() == across.backend()) return fmt::format("hierarchical({})", inside.backend());
  return fmt::format("hierarchical({} inside, {} across)", inside.backend(), across.backend());
}

class HierarchicalCommunicator final : public ForwardingCommunicator {
 public:
  HierarchicalCommunicator(std::unique_ptr<Communicator> whole, std::unique_ptr<Communicator> inside,
                           std::unique_ptr<Communicator> across)
      : ForwardingCommunicator(std::move(whole), name_of(*inside, *across)),
        levels_{std::move(inside), std::move(across)} {}

  Request all_reduce(void const* send, void* receive, std::size_t count, DType type, Op op,
                     StreamRef stream) override {
    return start({Kind::all_reduce, send, receive, count, type, op, stream});
  }
  Request reduce_scatter(void const* send, void* receive, std::size_t count, DType type, Op op,
                         StreamRef stream) override {
    return start({Kind::reduce_scatter, send, receive, count, type, op, stream});
  }
  Request all_gather(void const* send, void* receive, std::size_t count, DType type,
                     StreamRef stream) override {
    return start({Kind::all_gather, send, receive, count, type, Op::sum, stream});
  }

  [[nodiscard]] std::unique_ptr<Communicator> split(std::optional<int> color, int key) override {
    return inner().split(color, key);
  }
  [[nodiscard]] std::unique_ptr<Communicator> duplicate() override {
    return make_hierarchical(inner().duplicate(), levels_.inside->duplicate(), levels_.across->duplicate());
  }
  void progress() override {
    inner().progress();
    progress_all();
  }

 private:
  Request start(HierarchicalCall const& call) {
    if (call.count == 0) return {};
    return pool_.take(levels_, pool_).start(call);
  }

  Levels levels_;
  StatePool<HierarchicalState> pool_;
};

}  // namespace

std::unique_ptr<Communicator> make_hierarchical(std::unique_ptr<Communicator> whole,
                                                std::unique_ptr<Communicator> inside,
                                                std::unique_ptr<Communicator> across) {
  if (whole->size() != inside->size() * across->size() ||
      whole->rank() != across->rank() * inside->size() + inside->rank()) {
    throw CommError(
        fmt::format("hierarchical: rank {} of {} is rank {} of {} inside and {} of {} across; expected rank "
                    "= across * {} + inside",
                    whole->rank(), whole->size(), inside->rank(), inside->size(), across->rank(),
                    across->size(), inside->size()));
  }
  std::vector<std::unique_ptr<Communicator>> parts;
  for (auto* const part : {&whole, &inside, &across}) parts.push_back(std::move(*part));
  return on_their_thread(std::move(parts), [](std::vector<std::unique_ptr<Communicator>> levels) {
    return std::make_unique<HierarchicalCommunicator>(std::move(levels[0]), std::move(levels[1]),
                                                      std::move(levels[2]));
  });
}

}  // namespace tessera::comm
