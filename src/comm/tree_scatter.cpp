// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tessera/comm/device_ops.hpp"
#include "tree_states.hpp"

namespace tessera::comm {

std::size_t tree_chunk_count(int size, std::size_t count) {
  constexpr std::size_t line_count = 16;
  auto const ranks = static_cast<std::size_t>(size);
  std::size_t const even = (count + ranks - 1) / ranks;
  return (even + line_count - 1) / line_count * line_count;
}

Request TreeScatter::start(TreeSum const& sum, std::size_t chunk_count, void* own, bool gather) {
  sum_ = sum;
  chunk_count_ = chunk_count;
  own_ = own;
  gather_ = gather;
  distance_ = 0;
  Request request(this);
  begin_sum();
  return request;
}

std::size_t TreeScatter::length(int chunk) const noexcept {
  std::size_t const first = static_cast<std::size_t>(chunk) * chunk_count_;
  return first >= sum_.count ? 0 : std::min(chunk_count_, sum_.count - first);
}

/// Place of a chunk received in the step of `distance`: the steps before took size - size/distance chunks.
void* TreeScatter::received(int distance, int chunk) const noexcept {
  int const size = shared_.channel.size();
  int const place = size - size / distance + chunk / (2 * distance);
  return element(levels_, static_cast<std::size_t>(place) * chunk_count_, sum_.type);
}

/// Place of the partial sum of a chunk before the step of `distance`.
void const* TreeScatter::held(int distance, int chunk) const noexcept {
  if (distance == 1) return element(sum_.send, static_cast<std::size_t>(chunk) * chunk_count_, sum_.type);
  return received(distance / 2, chunk);
}

void TreeScatter::exchange() {
  auto& channel = shared_.channel;
  int const peer = channel.rank() ^ distance_;
  int const stride = 2 * distance_;
  GroupGuard const group(channel);
  for (int chunk = channel.rank() % stride; chunk < channel.size(); chunk += stride) {
    add_to_stage(channel.receive(received(distance_, chunk), length(chunk), sum_.type, peer, stream()));
  }
  for (int chunk = peer % stride; chunk < channel.size(); chunk += stride) {
    add_to_stage(channel.send(held(distance_, chunk), length(chunk), sum_.type, peer, stream()));
  }
}

void TreeScatter::add_received() {
  int const stride = 2 * distance_;
  bool const last = stride == shared_.channel.size();
  for (int chunk = shared_.channel.rank() % stride; chunk < shared_.channel.size(); chunk += stride) {
    void* const theirs = received(distance_, chunk);
    add_into(last ? own_ : theirs, held(distance_, chunk), theirs, length(chunk));
  }
}

void TreeScatter::gather() {
  auto& channel = shared_.channel;
  GroupGuard const group(channel);
  for (int step = 1; step < channel.size(); ++step) {
    int const peer = channel.rank() ^ step;
    void* const theirs = element(sum_.receive, static_cast<std::size_t>(peer) * chunk_count_, sum_.type);
    add_to_stage(channel.receive(theirs, length(peer), sum_.type, peer, stream()));
    add_to_stage(channel.send(own_, length(channel.rank()), sum_.type, peer, stream()));
  }
}

bool TreeScatter::start_stage() {
  int const size = shared_.channel.size();
  if (distance_ == size) return false;
  if (distance_ == 0) {
    auto const chunks = static_cast<std::size_t>(size - 1);
    levels_ = reserve(chunks * chunk_count_ * size_bytes(sum_.type));
    distance_ = 1;
  } else {
    add_received();
    distance_ *= 2;
  }
  if (distance_ < size) {
    exchange();
    return true;
  }
  if (gather_) gather();
  return gather_;
}

}  // namespace tessera::comm
