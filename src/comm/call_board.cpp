// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/call_board.hpp"

#include <cstring>

namespace tessera::comm {

/// Release stores keep their order, so no fence is needed: a reader that sees a word of the new call sees the
/// odd version too.
void PostedSlot::write(PostedCall const& call) noexcept {
  auto const version = version_.load(std::memory_order_relaxed);
  version_.store(version + 1, std::memory_order_relaxed);
  std::array<std::uint64_t, sizeof(PostedCall) / sizeof(std::uint64_t)> words;
  std::memcpy(words.data(), &call, sizeof(call));
  for (std::size_t i = 0; i < words.size(); ++i) words_[i].store(words[i], std::memory_order_release);
  version_.store(version + 2, std::memory_order_release);
}

bool PostedSlot::read(PostedCall& call) const noexcept {
  auto const before = version_.load(std::memory_order_acquire);
  if (before == 0 || before % 2 != 0) return false;
  std::array<std::uint64_t, sizeof(PostedCall) / sizeof(std::uint64_t)> words;
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = words_[i].load(std::memory_order_acquire);
  if (version_.load(std::memory_order_relaxed) != before) return false;
  std::memcpy(static_cast<void*>(&call), words.data(), sizeof(call));
  return true;
}

namespace {

void count_up(std::atomic<std::uint64_t>& waits, std::uint64_t by) noexcept {
  waits.store(waits.load(std::memory_order_relaxed) + by, std::memory_order_release);
}

}  // namespace

PostedWait::PostedWait(ProcessRecord& record, PostedCall const& call) noexcept
    : record_(record),
      nested_(record.waits.load(std::memory_order_relaxed) % 2 != 0 && record.waiting.read(outer_)) {
  record_.waiting.write(call);
  count_up(record_.waits, nested_ ? 2 : 1);
}

PostedWait::~PostedWait() {
  if (nested_) record_.waiting.write(outer_);
  count_up(record_.waits, nested_ ? 2 : 1);
}

}  // namespace tessera::comm
