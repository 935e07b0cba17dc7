// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/recorded.hpp"

#include <algorithm>
#include <chrono>

#include "forwarding.hpp"
#include "tessera/base/trace.hpp"
#include "tessera/comm/state_pool.hpp"

namespace tessera::comm {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What one call is, for its times and for the timeline.
struct RecordedCall {
  Operation operation;
  std::size_t bytes;
  OperationTotals* totals;
  Clock::time_point start;
};

/// Wraps the request of one call and takes the time of its waits.
class RecordedState final : public RequestState {
 public:
  explicit RecordedState(StatePool<RecordedState>& pool) : pool_(pool) {}

  Request start(Request request, RecordedCall const& call) {
    request_ = std::move(request);
    call_ = call;
    open_ = true;
    return Request(this);
  }

  bool test() override {
    if (!request_.test()) return false;
    close();
    return true;
  }
  void wait_host() override {
    timed([this] { request_.wait_host(); });
  }
  void wait(StreamRef stream) override {
    timed([&] { request_.wait(stream); });
  }
  void release() noexcept override {
    auto const start = Clock::now();
    request_ = Request();
    if (open_) call_.totals->exposed_s += seconds_since(start);
    close();
    pool_.give_back(*this);
  }

 private:
  template <class Wait>
  void timed(Wait const& blocking_wait) {
    TraceSpan const span(to_string(call_.operation).data(), "exposed communication",
                         static_cast<std::int64_t>(call_.bytes));
    auto const start = Clock::now();
    blocking_wait();
    call_.totals->exposed_s += seconds_since(start);
    close();
  }
  void close() noexcept {
    if (open_) call_.totals->in_flight_s += seconds_since(call_.start);
    open_ = false;
  }

  StatePool<RecordedState>& pool_;
  Request request_;
  RecordedCall call_{};
  bool open_ = false;
};

class RecordedCommunicator final : public ForwardingCommunicator {
 public:
  RecordedCommunicator(std::unique_ptr<Communicator> recorded, Ledger& ledger, std::string axis)
      : ForwardingCommunicator("recorded", std::move(recorded)),
        ledger_(ledger),
        axis_(std::move(axis)),
        totals_(ledger.entry(axis_)) {}

  Request broadcast(void* buffer, std::size_t count, DType type, int root, StreamRef stream) override {
    return record(Operation::broadcast, count, type,
                  [&] { return inner().broadcast(buffer, count, type, root, stream); });
  }
  Request all_reduce(void const* send, void* receive, std::size_t count, DType type, Op op,
                     StreamRef stream) override {
    return record(Operation::all_reduce, count, type,
                  [&] { return inner().all_reduce(send, receive, count, type, op, stream); });
  }
  Request all_gather(void const* send, void* receive, std::size_t count, DType type,
                     StreamRef stream) override {
    return record(Operation::all_gather, all(count), type,
                  [&] { return inner().all_gather(send, receive, count, type, stream); });
  }
  Request reduce_scatter(void const* send, void* receive, std::size_t count, DType type, Op op,
                         StreamRef stream) override {
    return record(Operation::reduce_scatter, all(count), type,
                  [&] { return inner().reduce_scatter(send, receive, count, type, op, stream); });
  }
  Request all_to_all(void const* send, void* receive, std::size_t count, DType type,
                     StreamRef stream) override {
    return record(Operation::all_to_all, all(count), type,
                  [&] { return inner().all_to_all(send, receive, count, type, stream); });
  }
  Request send(void const* buffer, std::size_t count, DType type, int peer, StreamRef stream) override {
    return record(Operation::send, count, type,
                  [&] { return inner().send(buffer, count, type, peer, stream); });
  }
  Request receive(void* buffer, std::size_t count, DType type, int peer, StreamRef stream) override {
    return record(Operation::receive, count, type,
                  [&] { return inner().receive(buffer, count, type, peer, stream); });
  }
  Request barrier(StreamRef stream) override {
    return record(Operation::barrier, 0, DType::u8, [&] { return inner().barrier(stream); });
  }

  [[nodiscard]] std::unique_ptr<Communicator> split(std::optional<int> color, int key) override {
    return decorate(inner().split(color, key));
  }
  [[nodiscard]] std::unique_ptr<Communicator> duplicate() override { return decorate(inner().duplicate()); }
  [[nodiscard]] std::unique_ptr<Communicator> split_by_node() override {
    return decorate(inner().split_by_node());
  }

 private:
  [[nodiscard]] std::size_t all(std::size_t count) const noexcept {
    return count * static_cast<std::size_t>(size());
  }

  template <class Start>
  Request record(Operation operation, std::size_t count, DType type, Start const& start_inner) {
    if (size() == 1) return start_inner();
    auto const start = Clock::now();
    Request request = start_inner();
    auto& totals = totals_.by_operation[static_cast<std::size_t>(operation)];
    ++totals.calls;
    totals.bytes += count * size_bytes(type);
    return pool_.take(pool_).start(std::move(request), {operation, count * size_bytes(type), &totals, start});
  }

  std::unique_ptr<Communicator> decorate(std::unique_ptr<Communicator> part) {
    return part ? make_recorded(std::move(part), ledger_, axis_) : nullptr;
  }

  Ledger& ledger_;
  std::string axis_;
  AxisTotals& totals_;
  StatePool<RecordedState> pool_;
};

}  // namespace

OperationTotals& OperationTotals::operator+=(OperationTotals const& other) noexcept {
  calls += other.calls;
  bytes += other.bytes;
  exposed_s += other.exposed_s;
  in_flight_s += other.in_flight_s;
  return *this;
}

OperationTotals AxisTotals::sum() const noexcept {
  OperationTotals sum;
  for (auto const& totals : by_operation) sum += totals;
  return sum;
}

AxisTotals Ledger::totals(std::string_view axis) const noexcept {
  auto const place = std::find(names_.begin(), names_.end(), axis);
  return place == names_.end() ? AxisTotals{} : *totals_[static_cast<std::size_t>(place - names_.begin())];
}

OperationTotals Ledger::sum() const noexcept {
  OperationTotals sum;
  for (auto const& totals : totals_) sum += totals->sum();
  return sum;
}

void Ledger::reset() noexcept {
  for (auto const& totals : totals_) *totals = AxisTotals{};
}

AxisTotals& Ledger::entry(std::string_view axis) {
  auto const place = std::find(names_.begin(), names_.end(), axis);
  if (place != names_.end()) return *totals_[static_cast<std::size_t>(place - names_.begin())];
  names_.emplace_back(axis);
  return *totals_.emplace_back(std::make_unique<AxisTotals>());
}

std::unique_ptr<Communicator> make_recorded(std::unique_ptr<Communicator> inner, Ledger& ledger,
                                            std::string axis) {
  return std::make_unique<RecordedCommunicator>(std::move(inner), ledger, std::move(axis));
}

}  // namespace tessera::comm
