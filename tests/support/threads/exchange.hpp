// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tessera/base/dtype.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::support {

enum class Exchanged { broadcast, all_reduce, all_gather, reduce_scatter, all_to_all, barrier };

/// What one rank brings to a collective.
struct Part {
  Exchanged kind;
  void const* send;
  void* receive;
  std::size_t count;
  DType type = DType::u8;
  comm::Op op = comm::Op::sum;
  int root = 0;
};

/// The ranks of a group that are threads of this process and reach each other's memory. Whoever comes last
/// does the work of all. The n-th collective of a rank meets the n-th of the others, the n-th message its
/// n-th receive. All members are safe to call from all threads.
class Exchange {
 public:
  struct Entry;
  using Ticket = std::shared_ptr<Entry>;

  explicit Exchange(int ranks) : ranks_(ranks), next_(static_cast<std::size_t>(ranks)) {}

  [[nodiscard]] int size() const noexcept { return ranks_; }
  [[nodiscard]] Ticket collective(int rank, Part const& part);
  [[nodiscard]] Ticket send(int from, int to, void const* buffer, std::size_t bytes);
  [[nodiscard]] Ticket receive(int from, int to, void* buffer, std::size_t bytes);

  /// Throws CommError if the ranks did not call the same, or the exchange was given up.
  [[nodiscard]] bool done(Ticket const& ticket);
  /// Until it is done (then true) or `given_up()`; then nobody touches its buffers any more and those who
  /// wait for it wait for ever. Throws as done does.
  bool wait(Ticket const& ticket, std::function<bool()> const& given_up);
  /// Lets all who wait look again whether they have given up.
  void wake();
  /// Fails everything that is and will be under way.
  void give_up(std::string const& reason);

 private:
  void perform(std::vector<Ticket>& round);
  Ticket message(std::pair<int, int> way, Ticket entry);
  void expect_no_failure(Entry const& entry) const;

  int ranks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::size_t> next_;                          // of each rank, the number of its next collective
  std::map<std::size_t, std::vector<Ticket>> rounds_;      // collectives that are not complete
  std::map<std::pair<int, int>, std::deque<Ticket>> met_;  // messages or receives without their counterpart
  std::string given_up_;
};

}  // namespace tessera::support
