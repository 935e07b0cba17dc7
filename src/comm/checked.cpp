// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/checked.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "describing.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/call_board.hpp"
#include "tessera/comm/call_text.hpp"
#include "tessera/comm/state_pool.hpp"

namespace tessera::comm {

namespace {

/// What a rank tells the others of its call.
struct Fingerprint {
  PostedCall posted{};
  std::int64_t rank = 0;
};

bool fits(PostedCall const& a, PostedCall const& b) { return a.call == b.call && a.number == b.number; }

/// The calls of the ranks, the same ones together: "rank 1: ...; ranks 0, 2: ...".
std::string differences(std::vector<Fingerprint> const& all, std::string_view name) {
  std::string text;
  std::vector<bool> told(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (told[i]) continue;
    std::vector<int> ranks;
    for (std::size_t j = i; j < all.size(); ++j) {
      if (!fits(all[i].posted, all[j].posted)) continue;
      told[j] = true;
      ranks.push_back(static_cast<int>(all[j].rank));
    }
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", ranks_text(std::move(ranks)),
                        call_text(all[i].posted, name, static_cast<int>(all.size())));
  }
  return text;
}

/// A send: its fingerprint goes first. A receive: the sender's is compared before the message is given out.
class CheckedMessage final : public RequestState {
 public:
  CheckedMessage(StatePool<CheckedMessage>& pool, std::string_view name) : pool_(pool), name_(name) {}

  /// The request of the fingerprint is made by `exchange` from the buffer that it is given.
  template <class Exchange>
  void exchange(Fingerprint const& own, Exchange const& exchange) {
    own_ = own;
    other_ = own;
    header_ = exchange(other_);
  }
  Request start(Request message) {
    message_ = std::move(message);
    return Request(this);
  }

  bool test() override {
    if (!header_.test()) return false;
    compare();
    return message_.test();
  }
  void wait_host() override {
    header_.wait_host();
    compare();
    message_.wait_host();
  }
  void wait(StreamRef stream) override {
    header_.wait_host();
    compare();
    message_.wait(stream);
  }
  void release() noexcept override {
    header_ = Request();
    message_ = Request();
    pool_.give_back(*this);
  }

 private:
  void compare() const {
    auto const& mine = own_.posted.call;
    auto const& theirs = other_.posted.call;
    if (mine.count == theirs.count && mine.type == theirs.type) return;
    throw CommError(fmt::format("messages on {} do not fit: rank {}: {}; rank {}: {}", name_, own_.rank,
                                call_text(own_.posted, name_, 2), other_.rank,
                                call_text(other_.posted, name_, 2)));
  }

  StatePool<CheckedMessage>& pool_;
  std::string_view name_;
  Fingerprint own_, other_;
  Request header_, message_;
};

class CheckedCommunicator final : public DescribingCommunicator<CheckedCommunicator> {
 public:
  CheckedCommunicator(std::unique_ptr<Communicator> checked, std::string_view name, int rank)
      : DescribingCommunicator("checked", std::move(checked)),
        fingerprints_(inner().duplicate()),
        name_(name),
        rank_(rank),
        all_(static_cast<std::size_t>(size())),
        sent_(all_.size()),
        received_(all_.size()) {}

  template <class Start>
  Request around(Call const& call, Start const& start_inner) {
    if (is_message(call.operation)) return message(call, start_inner);
    compare(describe(call, ++collectives_));
    return start_inner();
  }
  std::unique_ptr<Communicator> decorate(std::unique_ptr<Communicator> part) {
    return make_checked(std::move(part), name_, rank_);
  }

  void group_begin() override {
    fingerprints_->group_begin();
    ForwardingCommunicator::group_begin();
  }
  void group_end() override {
    fingerprints_->group_end();
    ForwardingCommunicator::group_end();
  }

 private:
  [[nodiscard]] Fingerprint describe(Call const& call, std::uint64_t number) const noexcept {
    Fingerprint own{{call, number, 0, call_site().line(), {}}, rank_};
    if (own.posted.line != 0) copy_text(own.posted.file, call_site().file_name());
    return own;
  }

  void compare(Fingerprint const& own) {
    fingerprints_->all_gather(&own, all_.data(), sizeof(Fingerprint), DType::u8, {}).wait_host();
    for (auto const& other : all_) {
      if (fits(own.posted, other.posted)) continue;
      throw CommError(
          fmt::format("the ranks of a group do not make the same call: {}", differences(all_, name_)));
    }
  }

  template <class Start>
  Request message(Call const& call, Start const& start_inner) {
    bool const sends = call.operation == Operation::send;
    auto& number = (sends ? sent_ : received_)[static_cast<std::size_t>(call.peer)];
    auto& state = pool_.take(pool_, name_);
    state.exchange(describe(call, ++number), [&](Fingerprint& text) {
      return sends ? fingerprints_->send(&text, sizeof(text), DType::u8, call.peer, {})
                   : fingerprints_->receive(&text, sizeof(text), DType::u8, call.peer, {});
    });
    return state.start(start_inner());
  }

  std::unique_ptr<Communicator> fingerprints_;
  std::string name_;
  int rank_;
  std::uint64_t collectives_ = 0;
  std::vector<Fingerprint> all_;                // (size)
  std::vector<std::uint64_t> sent_, received_;  // (size): messages so far
  StatePool<CheckedMessage> pool_;
};

}  // namespace

std::unique_ptr<Communicator> make_checked(std::unique_ptr<Communicator> inner, std::string_view name,
                                           int rank) {
  if (inner->size() == 1) return inner;
  return std::make_unique<CheckedCommunicator>(std::move(inner), name, rank);
}

}  // namespace tessera::comm
