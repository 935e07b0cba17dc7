// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What a process tells of its communication, in memory that other threads and other processes read at any
// moment: on each of its communicators the last calls, and the call that it is blocked in. Plain words of
// fixed size, without pointers, so that a board may lie in shared memory and travel as bytes. The process
// itself is the only writer; a write is some thirty stores and takes no lock.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tessera/comm/call.hpp"

namespace tessera::comm {

/// One call as it stands on the board.
struct PostedCall {
  /// In place of a channel: no call, but all that the device has been given (device_work.hpp).
  static constexpr std::uint32_t the_device = ~std::uint32_t{0};

  Call call{};
  /// Of collectives: the how-manieth of its communicator, the same on all ranks. Of messages: the
  /// how-manieth to, or from, that peer. From 1.
  std::uint64_t number = 0;
  std::uint32_t channel = 0;    ///< index in the record of its process
  std::uint32_t line = 0;       ///< of the caller; 0: not known
  std::array<char, 64> file{};  ///< the end of its path, zero-terminated

  bool operator==(PostedCall const&) const = default;
};
static_assert(sizeof(PostedCall) % sizeof(std::uint64_t) == 0);

/// A place for one call. A reader that meets a writer gets nothing.
class PostedSlot {
 public:
  void write(PostedCall const& call) noexcept;
  /// False when nothing was ever written, or the call changes just now.
  [[nodiscard]] bool read(PostedCall& call) const noexcept;

 private:
  std::atomic<std::uint64_t> version_{0};  // odd: in change
  std::array<std::atomic<std::uint64_t>, sizeof(PostedCall) / sizeof(std::uint64_t)> words_{};
};

/// One communicator of a process.
struct ChannelRecord {
  static constexpr std::size_t kept_collectives = 8, kept_messages = 4;

  std::array<char, 16> name{};
  std::uint64_t group = 0;  ///< the same number on the ranks of the group, and on no others
  std::int32_t rank = 0, size = 0;
  std::int32_t patience = 1;                               ///< how many time-outs a wait may last
  std::atomic<std::uint64_t> collectives{0}, messages{0};  ///< calls so far
  std::array<PostedSlot, kept_collectives> last_collectives{};
  std::array<PostedSlot, kept_messages> last_messages{};
};

/// One process.
struct ProcessRecord {
  static constexpr std::size_t most_channels = 24;
  enum class Phase : std::uint32_t { absent, running, left };

  std::atomic<Phase> phase{Phase::absent};
  std::atomic<std::int32_t> rank{0};  ///< by which it is called in messages
  std::int32_t process = 0;           ///< its number in the system
  std::uint64_t started = 0;          ///< when the system says that it began, clock ticks since boot
  std::array<char, 64> host{};
  std::atomic<std::uint32_t> channels_used{0};
  std::atomic<std::uint64_t> waits{0};     ///< odd: blocked; each wait has an odd number of its own
  std::atomic<std::uint64_t> late{0};      ///< the wait that lasts for a time-out or more; 0: none
  std::atomic<std::int32_t> time_outs{0};  ///< whole ones that it has lasted for
  std::atomic<std::uint32_t> orders{0};    ///< what its watchdog is asked to do (train/watchdog)
  std::atomic<std::int64_t> end_at{0};     ///< when to obey the order to end, ns of the node's steady clock
  std::atomic<std::int64_t> claimed{0};  ///< the node's first record: when one of it began to report; 0: none
  std::atomic<bool> has_failed{false};   ///< a communicator, for good; the next two were written before
  std::array<char, 16> failed{};         ///< its name
  std::array<char, 240> failure{};       ///< what its library says
  PostedSlot waiting{};                  ///< what it is blocked in, or was the last time
  PostedSlot last{};                     ///< the last call of all channels
  std::array<ChannelRecord, most_channels> channels{};
};

/// The record says that the process is blocked in `call` as long as this lives, and then again what it said
/// before. By the process itself.
class PostedWait {
 public:
  PostedWait(ProcessRecord& record, PostedCall const& call) noexcept;
  PostedWait(PostedWait const&) = delete;
  PostedWait& operator=(PostedWait const&) = delete;
  ~PostedWait();

 private:
  ProcessRecord& record_;
  PostedCall outer_{};  // what it said before
  bool nested_;
};

/// Copies `text`, its end if it is too long, and the zero that ends it.
template <std::size_t n>
void copy_text(std::array<char, n>& to, std::string_view text) noexcept {
  if (text.size() >= n) text.remove_prefix(text.size() - (n - 1));
  text.copy(to.data(), text.size());
  to[text.size()] = '\0';
}

}  // namespace tessera::comm
