// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/saver.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "checkpoint/agreement.hpp"
#include "checkpoint/directory_lock.hpp"
#include "checkpoint/part_writer.hpp"
#include "checkpoint/saver_options.hpp"
#include "checkpoint/staging.hpp"
#include "checkpoint/waiting.hpp"
#include "tessera/base/log.hpp"
#include "tessera/base/version.hpp"
#include "tessera/checkpoint/commit.hpp"
#include "tessera/checkpoint/fault_point.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/loader.hpp"
#include "tessera/checkpoint/steps.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::checkpoint {

/// What `Saver::Body` is made of; a namespace with a name, since its type is seen outside this file.
namespace saving {

/// The save under way.
struct Save {
  Snapshot snapshot;  // its parts are those that this rank writes
  Clock::time_point start = Clock::now();
  double waited_before_s = 0;
  bool committing = false;
  Written written;
  Committed committed;
  std::optional<Failure> failure;
};

}  // namespace saving

/// A save passes through two phases: all ranks write their files; then rank 0 commits. In each, what may take
/// long runs on a thread, and `ended_` tells when it has. The thread owns `save_` until then.
class Saver::Body {
 public:
  Body(std::unique_ptr<comm::Communicator> world, SaverOptions options)
      : world_(std::move(world)),
        options_(std::move(options)),
        staging_(*world_, options_.ranks_per_file, options_.nodes) {
    set_fault_rank(world_->rank());
    auto const failure = agree(*world_, failure_of([&] {
      read_faults_of(world_->size());
      take_directory();
    }));
    if (failure) throw_failure<IoError>(*failure);
    token_ = broadcast_text(*world_, std::move(token_), 0);
    auto const file = fmt::format("rank_{:05}.h5", world_->rank());
    auto const writer = fmt::format("rank {} on {}", world_->rank(), Owner::self().host);
    job_ = {.directory = "", .file = file, .writer = writer, .step = 0};
  }
  Body(Body const&) = delete;
  Body& operator=(Body const&) = delete;

  ~Body() {
    cancelled_ = true;
    join();
    if (save_ && !save_->committing) drop_own_file();
  }

  void reserve(Snapshot const& snapshot) {
    if (writes_in_place()) return;
    end_save();
    auto const failure = agree(*world_, failure_of_staging([&] { staging_.reserve(snapshot); }));
    if (failure) throw_failure<IoError>(*failure);
  }

  void learn_from(Loader const& loader) {
    if (auto const step = step_in(options_.directory, loader.directory())) known_.whole.insert(*step);
    for (auto const& skipped : loader.skipped()) {
      if (auto const step = step_in(options_.directory, skipped.directory)) known_.damaged.insert(*step);
    }
  }

  void begin(Snapshot const& snapshot) {
    saving::Waiting::Scope const scope(waiting_);
    end_save();
    start(snapshot);
    if (options_.synchronous) end_save();
  }

  [[nodiscard]] bool busy() const noexcept { return save_.has_value(); }

  std::optional<SaveResult> poll() {
    if (save_ && !unreported_) {
      saving::Waiting::Scope const scope(waiting_);
      advance();
    }
    return std::exchange(unreported_, std::nullopt);
  }

  std::optional<SaveResult> finish() {
    saving::Waiting::Scope const scope(waiting_);
    end_save();
    return std::exchange(unreported_, std::nullopt);
  }

  [[nodiscard]] std::size_t copy_bytes() const noexcept { return staging_.bytes(); }

  double take_blocked() noexcept {
    double const now = waiting_.ended_s();
    return now - std::exchange(reported_s_, now);
  }

 private:
  void take_directory() {
    if (world_->rank() != 0) return;
    make_directories(options_.directory);
    auto const self = Owner::self();
    lock_.emplace(options_.directory, self);
    for (auto const& trouble : remove_leftovers(options_.directory))
      log(LogLevel::warning, fmt::format("what an earlier job left stays: {}", trouble));
    token_ = self.token();
  }

  [[nodiscard]] bool writes_in_place() const { return options_.synchronous && staging_.alone(); }

  void start(Snapshot const& snapshot) {
    save_.emplace();
    save_->waited_before_s = waiting_.ended_s();
    save_->snapshot = {snapshot.step, snapshot.layout, snapshot.config, snapshot.state, snapshot.tensors, {}};
    job_.directory = path_in(options_.directory, temporary_name(snapshot.step, token_));
    job_.step = snapshot.step;
    auto& parts = save_->snapshot.parts;
    save_->failure =
        failure_of_staging([&] { parts = writes_in_place() ? snapshot.parts : staging_.copy(snapshot); });
    if (!save_->failure) save_->failure = loss_of_directory();
    run([this] {
      auto const& [step, layout, config, state, tensors, to_write] = save_->snapshot;
      save_->written = write_parts(job_, tensors, to_write, cancelled_);
    });
  }

  /// What a group of ranks has agreed on names its rank.
  template <class Action>
  std::optional<Failure> failure_of_staging(Action const& action) const {
    auto failure = failure_of(action);
    if (failure) failure->named = !staging_.alone();
    return failure;
  }

  /// On rank 0, whether the directory is no longer this job's to write.
  [[nodiscard]] std::optional<Failure> loss_of_directory() const {
    auto failure = failure_of([&] {
      if (lock_) lock_->expect_held();
    });
    if (failure) failure->named = true;  // it is nobody's in particular
    return failure;
  }

  /// Does what takes long, unless something has failed before.
  template <class Action>
  void run(Action action) {
    ended_ = false;
    auto task = [this, action] {
      if (!save_->failure) save_->failure = failure_of_writing(action);
      ended_ = true;
    };
    if (options_.synchronous) return task();
    try {
      thread_ = std::thread(task);
    } catch (std::system_error const& error) {
      save_->failure = {ExitCode::no_memory,
                        fmt::format("cannot start the thread that writes: {}", error.what())};
      ended_ = true;
    }
  }

  void join() {
    if (thread_.joinable()) thread_.join();
  }

  /// Collective: looks whether all ranks have ended a phase, and goes on to the next.
  void advance() {
    bool const ended = ended_;
    std::array<int, 2> all{ended ? 1 : 0, ended && save_->failure ? 0 : 1};
    comm::all_reduce_in_place(*world_, all, comm::Op::min).wait_host();
    auto const [all_ended, all_well] = all;
    if (all_ended == 0) return;
    join();
    if (all_well == 0) fail();
    if (save_->committing) {
      conclude();
    } else {
      start_commit();
    }
  }

  void end_save() {
    while (save_) {
      join();
      advance();
    }
  }

  void start_commit() {
    auto const& snapshot = save_->snapshot;
    Commit what{options_.directory, temporary_name(snapshot.step, token_), token_, options_.keep, known_, {}};
    what.manifest.created_by = fmt::format("tessera {}", version());
    what.manifest.step = snapshot.step;
    what.manifest.layout = snapshot.layout;
    what.manifest.config = snapshot.config;
    what.manifest.state = snapshot.state;
    gather_written(*world_, save_->written, snapshot.tensors, what.manifest);
    save_->committing = true;
    if (world_->rank() != 0) return;
    run([this, what = std::move(what)] {
      lock_->expect_held();
      save_->committed = commit(what);
    });
  }

  void conclude() {
    auto const& committed = save_->committed;
    std::array<std::int64_t, 2> numbers{committed.bytes, committed.existed ? 1 : 0};
    comm::broadcast(*world_, numbers, 0).wait_host();
    std::array<double, 2> times{waiting_.until_now_s() - save_->waited_before_s,
                                saving::seconds_since(save_->start)};
    comm::all_reduce_in_place(*world_, times, comm::Op::max).wait_host();
    auto const step = save_->snapshot.step;
    known_.whole.insert(step);
    known_.damaged.erase(step);
    if (!committed.troubles.empty()) log(LogLevel::warning, committed.troubles);
    unreported_ = {
        step, path_in(options_.directory, step_name(step)), times[0], times[1], numbers[0], numbers[1] != 0};
    save_.reset();
  }

  /// Removes what there is of the save before any rank may begin another, and throws on all. A directory that
  /// is gone is the reason of whatever failed in it.
  [[noreturn]] void fail() {
    std::string rest;
    if (world_->rank() == 0) {
      auto const failure = failure_of([&] { remove_tree(job_.directory); });
      if (failure) rest = fmt::format("; what there is of it stays: {}", failure->message);
    }
    if (auto lost = loss_of_directory()) save_->failure = std::move(lost);
    auto const failure = agree(*world_, save_->failure);
    auto const step = save_->snapshot.step;
    save_.reset();
    throw_failure<IoError>({failure->code, fmt::format("saving step {} failed: {}{}", step, failure->message,
                                                       broadcast_text(*world_, std::move(rest), 0))});
  }

  /// The last rank to do so removes the directory too.
  void drop_own_file() const noexcept {
    ::unlink((job_.directory + "/" + job_.file).c_str());
    ::rmdir(job_.directory.c_str());
  }

  std::unique_ptr<comm::Communicator> world_;
  SaverOptions options_;
  Staging staging_;
  std::optional<DirectoryLock> lock_;  // rank 0
  std::string token_;
  WriteJob job_;
  KnownSteps known_;
  saving::Waiting waiting_;
  double reported_s_ = 0;
  std::optional<SaveResult> unreported_;
  std::optional<saving::Save> save_;
  std::atomic<bool> ended_ = true;
  std::atomic<bool> cancelled_ = false;
  std::thread thread_;
};

Saver::Saver(std::unique_ptr<comm::Communicator> world, SaverOptions options) {
  check(options);
  body_ = std::make_unique<Body>(std::move(world), std::move(options));
}
Saver::Saver(Saver&&) noexcept = default;
Saver& Saver::operator=(Saver&&) noexcept = default;
Saver::~Saver() = default;

void Saver::learn_from(Loader const& loader) { body_->learn_from(loader); }
void Saver::reserve(Snapshot const& snapshot) { body_->reserve(snapshot); }
void Saver::begin(Snapshot const& snapshot) { body_->begin(snapshot); }
bool Saver::busy() const noexcept { return body_->busy(); }
std::optional<SaveResult> Saver::poll() { return body_->poll(); }
std::optional<SaveResult> Saver::finish() { return body_->finish(); }
std::size_t Saver::copy_bytes() const noexcept { return body_->copy_bytes(); }
double Saver::blocked_s() noexcept { return body_->take_blocked(); }

}  // namespace tessera::checkpoint
