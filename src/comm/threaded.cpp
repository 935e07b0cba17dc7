// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/threaded.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "leaving_pool.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/progress.hpp"
#include "threaded_call.hpp"

namespace tessera::comm {

namespace {

class ThreadedState final : public RequestState, public ThreadedOperation {
 public:
  ThreadedState(LeavingPool<ThreadedState>& pool, Communicator& inner, CommunicationThread& thread,
                std::atomic<int>& unstarted, Experience& experience)
      : pool_(pool), inner_(inner), thread_(thread), unstarted_(unstarted), experience_(experience) {
    if (thread_.queues() == nullptr) return;
    mark_ = thread_.queues()->make_mark();
    gate_ = thread_.queues()->make_gate();
  }

  Request start(ThreadedCall const& call, StreamRef stream) {
    call_ = call;
    error_ = nullptr;
    left_ = false;
    if (gate_) gate_->close();
    Request request(this);  // ended until it is submitted
    marked_ = mark_ && thread_.queues()->has_queue(stream);
    if (marked_) mark_->set(stream);
    takes_memory_ = !experience_.covers(call);
    if (takes_memory_) ++thread_.taking_memory();
    ended_.store(false, std::memory_order_relaxed);
    unstarted_.fetch_add(1, std::memory_order_relaxed);
    thread_.submit(*this);
    return request;
  }
  /// Ended, and no queue comes to its gate any more.
  [[nodiscard]] bool is_passed() const noexcept {
    return ended_.load(std::memory_order_acquire) && gate_->passed();
  }
  /// Ended, and no queue will ever come to its gate: the device has failed.
  [[nodiscard]] bool is_lost() const noexcept {
    if (!ended_.load(std::memory_order_acquire)) return false;
    try {
      static_cast<void>(mark_->reached());
      return false;
    } catch (DeviceError const&) {
      return true;
    }
  }

  // Of whoever started it.
  bool test() override {
    if (!ended_.load(std::memory_order_acquire)) return false;
    if (error_) std::rethrow_exception(error_);
    thread_.rethrow_failure();
    if (marked_) experience_.add(call_);
    return true;
  }
  void wait_host() override {
    wait_for_end();
    static_cast<void>(test());
  }
  void wait(StreamRef stream) override {
    auto* const queues = thread_.queues();
    if (queues == nullptr || !queues->has_queue(stream) || thread_.taking_memory() > 0) return wait_host();
    if (test()) return;
    gate_->hold(stream);
    left_ = true;
  }
  void release() noexcept override {
    if (left_) return pool_.leave(*this);
    wait_for_end();
    pool_.give_back(*this);
  }

  // Of the thread.
  void const* line() const noexcept override { return &inner_; }
  bool takes_memory() const noexcept override { return takes_memory_; }
  bool holds_queue() const noexcept override { return left_; }
  bool ready() noexcept override {
    bool there = true;
    guarded([&] { there = !marked_ || mark_->reached(); });
    return there;
  }
  void begin(StreamRef own) noexcept override {
    guarded([&] { request_ = issue(inner_, call_, own); });
    unstarted_.fetch_sub(1, std::memory_order_release);
  }
  bool advance() noexcept override {
    bool moved = false;
    guarded([&] { moved = request_.test(); });
    if (!moved && !error_) return false;
    request_ = Request();
    if (gate_) gate_->open();
    if (takes_memory_) --thread_.taking_memory();
    ended_.store(true, std::memory_order_release);  // from here on it may be used again
    ended_.notify_all();
    return true;
  }

 private:
  void wait_for_end() {
    wait_until([this] {
      if (!anything_enlisted()) ended_.wait(false, std::memory_order_acquire);
      return ended_.load(std::memory_order_acquire);
    });
  }
  template <class Body>
  void guarded(Body const& body) noexcept {
    if (error_) return;
    try {
      body();
    } catch (std::exception const& error) {
      error_ = std::current_exception();
      thread_.note_failure(error.what());
    }
  }

  LeavingPool<ThreadedState>& pool_;
  Communicator& inner_;
  CommunicationThread& thread_;
  std::atomic<int>& unstarted_;
  Experience& experience_;
  std::unique_ptr<QueueMark> mark_;  // where a device has queues
  std::unique_ptr<Gate> gate_;
  ThreadedCall call_;
  bool marked_ = false;
  bool takes_memory_ = false;
  std::atomic<bool> left_{false};  // to a queue
  Request request_;                // of inner, the thread's own
  std::exception_ptr error_;
  std::atomic<bool> ended_{true};
};

class ThreadedCommunicator final : public Communicator {
 public:
  ThreadedCommunicator(std::unique_ptr<Communicator> inner, std::shared_ptr<CommunicationThread> thread)
      : thread_(std::move(thread)),
        inner_(std::move(inner)),
        name_(fmt::format("threaded({})", inner_->backend())) {}
  ~ThreadedCommunicator() override {
    wait_until([this] { return pool_.all_free(); });
    if (inner_) thread_->run([this] { inner_.reset(); });
  }

  [[nodiscard]] int rank() const noexcept override { return inner_->rank(); }
  [[nodiscard]] int size() const noexcept override { return inner_->size(); }
  [[nodiscard]] std::string_view backend() const noexcept override { return name_; }

  Request broadcast(void* buffer, std::size_t count, DType type, int root, StreamRef stream) override {
    return start({Operation::broadcast, nullptr, buffer, count, type, Op::sum, root}, stream);
  }
  Request all_reduce(void const* send, void* receive, std::size_t count, DType type, Op op,
                     StreamRef stream) override {
    return start({Operation::all_reduce, send, receive, count, type, op}, stream);
  }
  Request all_gather(void const* send, void* receive, std::size_t count, DType type,
                     StreamRef stream) override {
    return start({Operation::all_gather, send, receive, count, type}, stream);
  }
  Request reduce_scatter(void const* send, void* receive, std::size_t count, DType type, Op op,
                         StreamRef stream) override {
    return start({Operation::reduce_scatter, send, receive, count, type, op}, stream);
  }
  Request all_to_all(void const* send, void* receive, std::size_t count, DType type,
                     StreamRef stream) override {
    return start({Operation::all_to_all, send, receive, count, type}, stream);
  }
  Request send(void const* buffer, std::size_t count, DType type, int peer, StreamRef stream) override {
    return start({Operation::send, buffer, nullptr, count, type, Op::sum, peer}, stream);
  }
  Request receive(void* buffer, std::size_t count, DType type, int peer, StreamRef stream) override {
    return start({Operation::receive, nullptr, buffer, count, type, Op::sum, peer}, stream);
  }
  Request barrier(StreamRef stream) override { return start({}, stream); }
  void group_begin() override {}
  void group_end() override {}

  [[nodiscard]] std::unique_ptr<Communicator> split(std::optional<int> color, int key) override {
    return made([&] { return inner_->split(color, key); });
  }
  [[nodiscard]] std::unique_ptr<Communicator> duplicate() override {
    return made([&] { return inner_->duplicate(); });
  }
  [[nodiscard]] std::unique_ptr<Communicator> split_by_node() override {
    return made([&] { return inner_->split_by_node(); });
  }
  void progress() override {
    if (thread_->is_caller()) return inner_->progress();
    thread_->rethrow_failure();
    progress_all();
  }
  [[noreturn]] void abort(int exit_code) override {
    inner_->abort(exit_code);
    std::_Exit(exit_code);
  }

  [[nodiscard]] std::shared_ptr<CommunicationThread> const& thread() const noexcept { return thread_; }
  /// What it was made of; it is of no use any more.
  [[nodiscard]] std::unique_ptr<Communicator> take_inner() noexcept { return std::move(inner_); }

 private:
  /// A level that works on the thread (hierarchical) calls on the thread.
  Request start(ThreadedCall const& call, StreamRef stream) {
    if (thread_->is_caller()) return issue(*inner_, call, stream);
    thread_->rethrow_failure();
    return pool_.take(pool_, *inner_, *thread_, unstarted_, experience_).start(call, stream);
  }
  /// After what this communicator was given before: the ranks make collective calls in one order.
  template <class Make>
  std::unique_ptr<Communicator> made(Make const& make) {
    wait_until([this] { return unstarted_.load(std::memory_order_acquire) == 0; });
    std::unique_ptr<Communicator> threaded;
    thread_->run([&] {
      if (auto part = make()) threaded = make_threaded(std::move(part), thread_);
    });
    return threaded;
  }

  std::shared_ptr<CommunicationThread> thread_;
  std::unique_ptr<Communicator> inner_;
  std::string name_;
  std::atomic<int> unstarted_{0};
  Experience experience_;
  LeavingPool<ThreadedState> pool_;
};

}  // namespace

std::unique_ptr<Communicator> make_threaded(std::unique_ptr<Communicator> inner,
                                            std::shared_ptr<CommunicationThread> thread) {
  return std::make_unique<ThreadedCommunicator>(std::move(inner), std::move(thread));
}

std::unique_ptr<Communicator> on_their_thread(
    std::vector<std::unique_ptr<Communicator>> parts,
    std::function<std::unique_ptr<Communicator>(std::vector<std::unique_ptr<Communicator>>)> const&
        decorate) {
  auto* const first = dynamic_cast<ThreadedCommunicator*>(parts.front().get());
  if (first == nullptr) return decorate(std::move(parts));
  auto const thread = first->thread();
  for (auto& part : parts) {
    if (auto* const threaded = dynamic_cast<ThreadedCommunicator*>(part.get())) part = threaded->take_inner();
  }
  std::unique_ptr<Communicator> whole;
  thread->run([&] { whole = decorate(std::move(parts)); });
  return make_threaded(std::move(whole), thread);
}

}  // namespace tessera::comm
