// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "forwarding.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/device_ops.hpp"
#include "tessera/comm/threaded.hpp"
#include "tree_states.hpp"

namespace tessera::comm {

namespace {

bool is_floating(DType type) { return type == DType::f32 || type == DType::f64; }

class TreeCommunicator final : public ForwardingCommunicator {
 public:
  TreeCommunicator(std::unique_ptr<Communicator> whole, std::shared_ptr<DeviceQueues> queues)
      : ForwardingCommunicator("tree", std::move(whole)), shared_(inner().duplicate(), std::move(queues)) {}

  Request all_reduce(void const* send, void* receive, std::size_t count, DType type, Op op,
                     StreamRef stream) override {
    if (!sums(count, type, op)) return inner().all_reduce(send, receive, count, type, op, stream);
    TreeSum const sum{send, receive, count, type, stream};
    if (count * size_bytes(type) < tree_doubling_bytes) return doubling_.take(shared_, doubling_).start(sum);
    std::size_t const chunk = tree_chunk_count(size(), count);
    void* const own = element(receive, static_cast<std::size_t>(rank()) * chunk, type);
    return scatter_.take(shared_, scatter_).start(sum, chunk, own, true);
  }

  Request reduce_scatter(void const* send, void* receive, std::size_t count, DType type, Op op,
                         StreamRef stream) override {
    if (!sums(count, type, op)) return inner().reduce_scatter(send, receive, count, type, op, stream);
    TreeSum const sum{send, receive, count * static_cast<std::size_t>(size()), type, stream};
    return scatter_.take(shared_, scatter_).start(sum, count, receive, false);
  }

  [[nodiscard]] std::unique_ptr<Communicator> split(std::optional<int> color, int key) override {
    auto part = inner().split(color, key);
    return part ? make_tree(std::move(part), shared_.queues) : nullptr;
  }
  [[nodiscard]] std::unique_ptr<Communicator> duplicate() override {
    return make_tree(inner().duplicate(), shared_.queues);
  }

  void progress() override {
    inner().progress();
    progress_all();
  }

 private:
  [[nodiscard]] bool sums(std::size_t count, DType type, Op op) const noexcept {
    return op == Op::sum && is_floating(type) && size() > 1 && count > 0;
  }

  TreeShared shared_;
  StatePool<TreeDoubling> doubling_;
  StatePool<TreeScatter> scatter_;
};

}  // namespace

void TreeState::begin_sum() {
  on_device_ = shared_.queues ? shared_.queues->is_on_device(sum_.receive) : is_tensor_memory(sum_.receive);
  if (!shared_.queues || !on_device_) return begin();
  if (!shared_.work) shared_.work = shared_.queues->make_work_queue();
  begin_in(*shared_.work, *shared_.queues, sum_.stream);
}

void TreeState::copy_into(void* to, void const* from, std::size_t count) {
  std::size_t const bytes = count * size_bytes(sum_.type);
  if (work() != nullptr) return work()->copy(to, from, bytes);
  copy_bytes(to, from, bytes, sum_.stream);
}

void TreeState::add_into(void* to, void const* a, void const* b, std::size_t count) {
  if (work() != nullptr) return work()->add(to, a, b, count, sum_.type);
  add(to, a, b, count, sum_.type, sum_.stream);
}

Request TreeDoubling::start(TreeSum const& sum) {
  sum_ = sum;
  distance_ = 0;
  Request request(this);
  begin_sum();
  return request;
}

bool TreeDoubling::start_stage() {
  auto& channel = shared_.channel;
  if (distance_ == 0) {
    theirs_ = reserve(sum_.count * size_bytes(sum_.type));
    copy_into(sum_.receive, sum_.send, sum_.count);
    distance_ = 1;
  } else {
    add_into(sum_.receive, sum_.receive, theirs_, sum_.count);
    distance_ *= 2;
  }
  if (distance_ == channel.size()) return false;
  int const peer = channel.rank() ^ distance_;
  GroupGuard const group(channel);
  add_to_stage(channel.receive(theirs_, sum_.count, sum_.type, peer, stream()));
  add_to_stage(channel.send(sum_.receive, sum_.count, sum_.type, peer, stream()));
  return true;
}

std::unique_ptr<Communicator> make_tree(std::unique_ptr<Communicator> inner,
                                        std::shared_ptr<DeviceQueues> queues) {
  if (!std::has_single_bit(static_cast<unsigned>(inner->size()))) {
    throw ConfigError(
        {fmt::format("A group of {} ranks cannot sum in a balanced tree: choose a power of two, or leave "
                     "explicit tiles out.",
                     inner->size())});
  }
  std::vector<std::unique_ptr<Communicator>> parts;
  parts.push_back(std::move(inner));
  return on_their_thread(std::move(parts), [&](std::vector<std::unique_ptr<Communicator>> whole) {
    return std::make_unique<TreeCommunicator>(std::move(whole.front()), std::move(queues));
  });
}

std::size_t tree_scratch_bytes(int size, std::size_t count, DType type) {
  if (size < 2) return 0;
  std::size_t const bytes = count * size_bytes(type);
  if (bytes < tree_doubling_bytes) return bytes;
  return static_cast<std::size_t>(size - 1) * tree_chunk_count(size, count) * size_bytes(type);
}

}  // namespace tessera::comm
