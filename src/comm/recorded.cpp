// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/recorded.hpp"

#include <algorithm>
#include <chrono>

#include "describing.hpp"
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

class RecordedCommunicator final : public DescribingCommunicator<RecordedCommunicator> {
 public:
  RecordedCommunicator(std::unique_ptr<Communicator> recorded, Ledger& ledger, std::string axis)
      : DescribingCommunicator("recorded", std::move(recorded)),
        ledger_(ledger),
        axis_(std::move(axis)),
        totals_(ledger.entry(axis_)) {}

  template <class Start>
  Request around(Call const& call, Start const& start_inner) {
    if (size() == 1) return start_inner();
    auto const start = Clock::now();
    Request request = start_inner();
    std::size_t const bytes = payload_bytes(call, size());
    auto& totals = totals_.by_operation[static_cast<std::size_t>(call.operation)];
    ++totals.calls;
    totals.bytes += bytes;
    return pool_.take(pool_).start(std::move(request), {call.operation, bytes, &totals, start});
  }
  std::unique_ptr<Communicator> decorate(std::unique_ptr<Communicator> part) {
    return make_recorded(std::move(part), ledger_, axis_);
  }

 private:
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
