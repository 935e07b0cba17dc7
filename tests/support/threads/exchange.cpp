// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "support/threads/exchange.hpp"

#include <algorithm>
#include <cstring>

#include "tessera/base/error.hpp"
#include "tessera/comm/device_ops.hpp"

namespace tessera::support {

struct Exchange::Entry {
  Part part{};
  void const* source = nullptr;  ///< of a message
  void* target = nullptr;        ///< of a receive
  std::size_t bytes = 0;
  bool done = false;
  bool withdrawn = false;
  std::string error;
};

namespace {

using Tickets = std::vector<Exchange::Ticket>;

template <class T>
void combine(void* into, void const* from, std::size_t count, comm::Op op) {
  auto* const a = static_cast<T*>(into);
  auto const* const b = static_cast<T const*>(from);
  for (std::size_t i = 0; i < count; ++i) {
    if (op == comm::Op::sum) a[i] = static_cast<T>(a[i] + b[i]);
    if (op == comm::Op::max) a[i] = std::max(a[i], b[i]);
    if (op == comm::Op::min) a[i] = std::min(a[i], b[i]);
  }
}

void combine(void* into, void const* from, std::size_t count, DType type, comm::Op op) {
  switch (type) {
    case DType::u8: return combine<std::uint8_t>(into, from, count, op);
    case DType::i32: return combine<std::int32_t>(into, from, count, op);
    case DType::i64: return combine<std::int64_t>(into, from, count, op);
    case DType::u64: return combine<std::uint64_t>(into, from, count, op);
    case DType::f32: return combine<float>(into, from, count, op);
    case DType::f64: return combine<double>(into, from, count, op);
    case DType::bf16:
    case DType::f16: throw CommError("bf16 and f16 only travel");
  }
}

std::vector<std::byte> bytes_of(void const* from, std::size_t bytes) {
  auto const* const first = static_cast<std::byte const*>(from);
  return bytes == 0 ? std::vector<std::byte>() : std::vector<std::byte>(first, first + bytes);
}

void put(void* to, std::byte const* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

bool agree(Part const& a, Part const& b) {
  return a.kind == b.kind && a.count == b.count && a.type == b.type && a.op == b.op && a.root == b.root;
}

/// `block(rank)`: what each rank receives, out of copies, so that in-place calls are like others.
void deliver(std::vector<Part> const& parts) {
  Part const& first = parts.front();
  std::size_t const ranks = parts.size();
  std::size_t const bytes = first.count * size_bytes(first.type);
  bool const whole = first.kind == Exchanged::reduce_scatter || first.kind == Exchanged::all_to_all;
  std::vector<std::vector<std::byte>> given;
  for (auto const& part : parts) {
    bool const gives =
        first.kind != Exchanged::broadcast || given.size() == static_cast<std::size_t>(first.root);
    given.push_back(gives ? bytes_of(part.send, whole ? bytes * ranks : bytes) : std::vector<std::byte>());
  }
  bool const reduces = first.kind == Exchanged::all_reduce || first.kind == Exchanged::reduce_scatter;
  auto sum = given.front();
  for (std::size_t r = 1; reduces && r < ranks; ++r)
    combine(sum.data(), given[r].data(), sum.size() / size_bytes(first.type), first.type, first.op);
  for (std::size_t r = 0; r < ranks; ++r) {
    auto* const to = static_cast<std::byte*>(parts[r].receive);
    switch (first.kind) {
      case Exchanged::broadcast: put(to, given[static_cast<std::size_t>(first.root)].data(), bytes); break;
      case Exchanged::all_reduce: put(to, sum.data(), bytes); break;
      case Exchanged::reduce_scatter: put(to, sum.data() + r * bytes, bytes); break;
      case Exchanged::all_gather:
        for (std::size_t s = 0; s < ranks; ++s) put(to + s * bytes, given[s].data(), bytes);
        break;
      case Exchanged::all_to_all:
        for (std::size_t s = 0; s < ranks; ++s) put(to + s * bytes, given[s].data() + r * bytes, bytes);
        break;
      case Exchanged::barrier: break;
    }
  }
}

}  // namespace

Exchange::Ticket Exchange::collective(int rank, Part const& part) {
  auto entry = std::make_shared<Entry>();
  entry->part = part;
  std::lock_guard const lock(mutex_);
  std::size_t const number = next_[static_cast<std::size_t>(rank)]++;
  auto& round = rounds_.try_emplace(number, static_cast<std::size_t>(ranks_)).first->second;
  round[static_cast<std::size_t>(rank)] = entry;
  if (std::find(round.begin(), round.end(), nullptr) == round.end()) {
    perform(round);
    rounds_.erase(number);
    changed_.notify_all();
  }
  return entry;
}

void Exchange::perform(Tickets& round) {
  if (std::any_of(round.begin(), round.end(), [](auto const& entry) { return entry->withdrawn; })) return;
  std::vector<Part> parts;
  for (auto const& entry : round) parts.push_back(entry->part);
  bool const same =
      std::all_of(parts.begin(), parts.end(), [&](Part const& part) { return agree(part, parts.front()); });
  if (same) deliver(parts);
  for (auto const& entry : round) {
    entry->done = same;
    if (!same) entry->error = "the ranks did not call the same collective with the same arguments";
  }
}

Exchange::Ticket Exchange::send(int from, int to, void const* buffer, std::size_t bytes) {
  auto entry = std::make_shared<Entry>();
  entry->source = buffer;
  entry->bytes = bytes;
  return message({from, to}, std::move(entry));
}

Exchange::Ticket Exchange::receive(int from, int to, void* buffer, std::size_t bytes) {
  auto entry = std::make_shared<Entry>();
  entry->target = buffer;
  entry->bytes = bytes;
  return message({from, to}, std::move(entry));
}

Exchange::Ticket Exchange::message(std::pair<int, int> way, Ticket entry) {
  std::lock_guard const lock(mutex_);
  auto& waiting = met_[way];
  bool const meets = !waiting.empty() && (waiting.front()->source == nullptr) != (entry->source == nullptr);
  if (!meets) {
    waiting.push_back(entry);
    return entry;
  }
  Ticket const other = waiting.front();
  if (other->withdrawn) return entry;
  waiting.pop_front();
  if (other->bytes != entry->bytes) {
    other->error = entry->error = "a message meets a receive of another size";
  } else {
    auto const& sent = entry->source != nullptr ? entry : other;
    auto const& got = entry->source != nullptr ? other : entry;
    put(got->target, static_cast<std::byte const*>(sent->source), sent->bytes);
    sent->done = got->done = true;
  }
  changed_.notify_all();
  return entry;
}

void Exchange::expect_no_failure(Entry const& entry) const {
  if (!entry.error.empty()) throw CommError(entry.error);
  if (!entry.done && !given_up_.empty()) throw CommError(given_up_);
}

bool Exchange::done(Ticket const& ticket) {
  std::lock_guard const lock(mutex_);
  expect_no_failure(*ticket);
  return ticket->done;
}

bool Exchange::wait(Ticket const& ticket, std::function<bool()> const& given_up) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    expect_no_failure(*ticket);
    return ticket->done || given_up();
  });
  ticket->withdrawn = !ticket->done;
  return ticket->done;
}

void Exchange::wake() {
  std::lock_guard const lock(mutex_);
  changed_.notify_all();
}

void Exchange::give_up(std::string const& reason) {
  std::lock_guard const lock(mutex_);
  given_up_ = reason;
  changed_.notify_all();
}

}  // namespace tessera::support
