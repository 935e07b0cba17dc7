// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/watchdog.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "tessera/base/exit_code.hpp"
#include "tessera/comm/watched.hpp"
#include "train/watchdog/device_watch.hpp"
#include "train/watchdog/hang_report.hpp"
#include "train/watchdog/node_board.hpp"
#include "train/watchdog/processes.hpp"
#include "train/watchdog/records.hpp"
#include "train/watchdog/side_channel.hpp"
#include "train/watchdog/wait_clock.hpp"

namespace tessera::train {

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;
using comm::ProcessRecord;

/// How long another watchdog has to answer, and the whole of its report to come out.
constexpr Milliseconds time_to_answer{700}, time_to_report{4000}, time_to_end{600};
/// Ranks that are tried, from 0 on, for the one that reports.
constexpr int most_speakers = 16;

}  // namespace

struct Watchdog::Parts {
  Parts(comm::Communicator& world, WatchdogOptions given)
      : options(std::move(given)),
        board(world),
        channel(world),
        rank(world.rank()),
        places(static_cast<std::size_t>(world.size())),
        tick(std::clamp(static_cast<int>(options.timeout_s * 100), 20, 250)),
        wake(eventfd(0, EFD_CLOEXEC)) {
    RankPlace const own{board.ranks().front(), board.own().process, board.own().host};
    world.all_gather(&own, places.data(), sizeof(own), DType::u8, {}).wait_host();
    auto const records = board.records();
    for (auto const& record : records)
      neighbours.push_back(&record == &board.own() ? -1 : open_process(record.process));
    start();
  }
  Parts(Parts const&) = delete;
  Parts& operator=(Parts const&) = delete;
  ~Parts() {
    std::uint64_t const one = 1;
    stopped = true;
    (void)!::write(wake, &one, sizeof(one));
    thread.join();
    for (int const file : neighbours) {
      if (file >= 0) close(file);
    }
    close(wake);
  }

  /// Signals are the main thread's.
  void start() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread = std::thread([this] { watch(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void watch() {
    for (auto last = Clock::now(); !stopped;) {
      wait_for_events();
      auto const now = Clock::now();
      // Posted by the look before, so that the boards of others that have failed with it tell so too.
      bool const failed = board.own().has_failed;
      // A longer pause is one in which this process did not run: it does not count.
      clock.pass(board.own(), std::min(std::chrono::duration_cast<Milliseconds>(now - last), 2 * tick));
      if (clock.waited() == Milliseconds(0)) poked = poked && failed;
      if (int const passed = clock.time_outs(options.timeout_s); failed || passed > 0) look(passed, failed);
      last = now;
      devices.post_failure(board.own());
      obey();
    }
  }

  void wait_for_events() {
    std::vector<pollfd> files{{wake, POLLIN, 0}};
    for (int const file : neighbours) files.push_back({file, POLLIN, 0});
    channel.add_wishes(files);
    if (poll(files.data(), files.size(), static_cast<int>(tick.count())) <= 0) return;
    channel.serve(std::span(files).subspan(1 + neighbours.size()), answers);
    for (std::size_t i = 0; i < neighbours.size(); ++i) {
      if (files[i + 1].revents != 0) neighbour_ended(i);
    }
  }

  /// A wait that is allowed several time-outs is looked at once in each: others may be stopped.
  void look(int time_outs, bool failed) {
    auto& own = board.own();
    bool const another = own.time_outs.exchange(time_outs) != time_outs || own.late != clock.wait();
    own.late = clock.wait();
    if (failed || time_outs >= allowed_time_outs(own)) return alarm();
    if (!another) return;
    poked = false;
    alarm();
  }

  void alarm() {
    if (board.own().phase != ProcessRecord::Phase::running) return;
    if (poked && Clock::now() - poked_at < time_to_report) return;
    int const speaker = poked ? rank : lowest_living();
    if (speaker == rank) return report_hang();
    leave_report_to_other();
    poke(speaker);
  }

  /// For as long as a report takes.
  void leave_report_to_other() {
    poked = true;
    poked_at = Clock::now();
  }

  [[noreturn]] void end_process() {
    devices.cancel();
    board.wait_for_end();
    std::_Exit(static_cast<int>(ExitCode::hang));
  }

  /// A process of this node has ended.
  void neighbour_ended(std::size_t i) {
    close(std::exchange(neighbours[i], -1));
    auto const running = ProcessRecord::Phase::running;
    if (board.records()[i].phase != running || board.own().phase != running) return;
    if ((board.own().orders & (order_end | order_be_quiet)) != 0 || board.lowest_living() != rank) return;
    if (!board.claim_report(time_to_report)) return leave_report_to_other();
    report("a process has ended early", own_node());
  }

  void obey() {
    auto const orders = board.own().orders.fetch_and(order_be_quiet);
    if ((orders & order_end) != 0) end_process();
    if ((orders & order_speak) != 0) report_hang();
  }

  std::string answer(Question question) {
    switch (question) {
      case Question::ping: break;
      case Question::board: return packed_node();
      case Question::speak: board.own().orders |= order_speak; break;
      case Question::end: board.order_end_of_all(order_end, time_to_end); break;
    }
    return {};
  }

  void poke(int speaker) {
    auto const& here = board.ranks();
    auto const place = std::ranges::find(here, speaker);
    if (place == here.end()) {
      (void)channel.ask(std::span(&speaker, 1), Question::speak, time_to_answer, answers);
    } else {
      board.records()[static_cast<std::size_t>(place - here.begin())].orders |= order_speak;
    }
  }

  [[nodiscard]] int lowest_living() {
    int const here = board.lowest_living();
    std::vector<int> others;
    for (int other = 0; other < std::min(here, most_speakers); ++other) {
      if (places[static_cast<std::size_t>(other)].node != board.ranks().front()) others.push_back(other);
    }
    auto const told = channel.ask(others, Question::ping, time_to_answer, answers);
    for (std::size_t i = 0; i < others.size(); ++i) {
      if (told[i]) return others[i];
    }
    return here;
  }

  [[nodiscard]] std::string packed_node() const { return packed(board.records(), board.own()); }
  [[nodiscard]] std::vector<ProcessView> own_node() const { return unpacked(packed_node()); }

  /// Asks each other node through one of its ranks, and another if that is silent: use(answer). The nodes
  /// that are silent all the same.
  template <class Use>
  std::set<int> ask_nodes(Question question, Use const& use) {
    std::set<int> silent;
    for (auto const& place : places) {
      if (place.node != board.ranks().front()) silent.insert(place.node);
    }
    for (int round = 0; round < 3 && !silent.empty(); ++round) {
      std::vector<int> asked, nodes;
      for (int const node : silent) {
        if (int const other = rank_of_node(places, node, round); other >= 0) {
          asked.push_back(other);
          nodes.push_back(node);
        }
      }
      auto const told = channel.ask(asked, question, time_to_answer, answers);
      for (std::size_t i = 0; i < asked.size(); ++i) {
        if (!told[i]) continue;
        use(*told[i]);
        silent.erase(nodes[i]);
      }
    }
    return silent;
  }

  /// The processes of all nodes.
  [[nodiscard]] std::vector<ProcessView> all_nodes() {
    auto views = own_node();
    auto const silent = ask_nodes(Question::board, [&](std::string const& answer) {
      auto more = unpacked(answer);
      views.insert(views.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    });
    for (std::size_t other = 0; other < places.size(); ++other) {
      if (silent.contains(places[other].node)) views.push_back(silent_view(places, other));
    }
    std::ranges::sort(views, {}, &ProcessView::rank);
    return views;
  }

  void report_hang() {
    if (!board.claim_report(time_to_report)) return leave_report_to_other();
    auto const views = all_nodes();
    // While the boards came in, the job may have moved on.
    bool const failed =
        std::ranges::any_of(views, [](ProcessView const& view) { return view.failure.has_value(); });
    if (failed) report("communication between devices has failed", views);
    int const time_outs = time_outs_of_hang(views);
    if (time_outs == 0) return board.release_report();
    report(fmt::format("the job has not moved for {:g} s", options.timeout_s * time_outs), views);
  }

  [[noreturn]] void report(std::string const& what, std::vector<ProcessView> const& views) {
    write_error(fmt::format("{}: error: watchdog: {}; it ends with code {}:\n{}", options.program, what,
                            static_cast<int>(ExitCode::hang), hang_report(views)));
    (void)ask_nodes(Question::end, [](std::string const&) {});
    board.order_end_of_all(order_end, time_to_end);
    end_process();
  }

  WatchdogOptions options;
  NodeBoard board;
  SideChannel channel;
  int rank;
  std::vector<RankPlace> places;  // (world)
  Milliseconds tick;
  int wake;
  SideChannel::Answer const answers = [this](Question question) { return answer(question); };
  std::vector<int> neighbours;  // (records): files that tell the end of a process; -1: none
  std::atomic<bool> stopped = false;
  DeviceWatch devices;
  // Of the thread:
  WaitClock clock;
  bool poked = false;
  Clock::time_point poked_at;
  std::thread thread;
};

Watchdog::Watchdog(comm::Communicator& world, WatchdogOptions options)
    : parts_(std::make_unique<Parts>(world, std::move(options))) {}

Watchdog::~Watchdog() { leave(); }

std::unique_ptr<comm::Communicator> Watchdog::watched(std::unique_ptr<comm::Communicator> inner,
                                                      std::string_view name, int patience) {
  return comm::make_watched(std::move(inner), parts_->board.own(), name, patience);
}

comm::ProcessRecord& Watchdog::record() noexcept { return parts_->board.own(); }

void Watchdog::set_rank(int rank) noexcept { parts_->board.own().rank = rank; }

void Watchdog::look_after(std::shared_ptr<comm::DeviceSession> devices) {
  parts_->devices.look_after(std::move(devices));
}

void Watchdog::end_if_devices_failed() {
  if (parts_->devices.failed()) std::this_thread::sleep_for(2 * time_to_report);
}

void Watchdog::leave() noexcept {
  parts_->board.own().phase = ProcessRecord::Phase::left;
  parts_->board.order_all(order_be_quiet);
}

}  // namespace tessera::train
