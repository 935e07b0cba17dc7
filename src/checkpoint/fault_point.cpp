// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/fault_point.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "checkpoint/join.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/files.hpp"

namespace tessera::checkpoint {

namespace {

/// Every point that there is, in the order of fault_point.hpp.
constexpr auto points = std::to_array<std::string_view>({
    "ckpt.create_file",        //
    "ckpt.write_data",         //
    "ckpt.write_metadata",     //
    "ckpt.sync_file",          //
    "files.write",             //
    "files.sync",              //
    "files.rename",            //
    "files.sync_directory",    //
    "ckpt.begin",              //
    "ckpt.create_directory",   //
    "ckpt.written",            //
    "ckpt.before_whole",       //
    "ckpt.before_manifest",    //
    "ckpt.after_manifest",     //
    "ckpt.before_move_aside",  //
    "ckpt.before_rename",      //
    "ckpt.after_rename",       //
    "ckpt.before_latest",      //
    "ckpt.before_prune",       //
    "ckpt.during_prune",       //
    "ckpt.remove_leftover",    //
    "train.step",              //
    "train.call",              //
    "train.order",             //
});

bool is_point(std::string_view name) { return std::ranges::find(points, name) != points.end(); }

enum class Action { kill, stop, io_error, no_memory, exit, sleep, err };

struct Fault {
  std::string point;
  Action action = Action::kill;
  int hit = 0;  // 0: every time
  int value = 0;
  int rank = -1;  // -1: every rank
  std::atomic<int> times = 0;
};

std::atomic<int> fault_rank = 0;

[[noreturn]] void refuse_fault(std::string_view text) {
  throw ConfigError(
      {fmt::format("TESSERA_FAULT: {} is not POINT[#N]:ACTION[=VALUE][@RANK] with N from 1 and one of the "
                   "actions kill, stop, io_error, no_memory, exit, sleep, err",
                   in_quotes(text))});
}

/// Cuts what follows the last `mark` off `rest`; a whole number, at least 0.
std::optional<int> take_number(std::string_view& rest, char mark, std::string_view all) {
  auto const place = rest.rfind(mark);
  if (place == rest.npos) return std::nullopt;
  auto const digits = rest.substr(place + 1);
  int number = 0;
  auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number < 0) refuse_fault(all);
  rest = rest.substr(0, place);
  return number;
}

void parse_fault(std::string_view text, Fault& fault) {
  auto const colon = text.find(':');
  if (colon == text.npos) refuse_fault(text);
  std::string_view point = text.substr(0, colon);
  std::string_view action = text.substr(colon + 1);
  fault.rank = take_number(action, '@', text).value_or(-1);
  auto const value = take_number(action, '=', text);
  auto const hit = take_number(point, '#', text);
  if (hit == 0) refuse_fault(text);
  fault.hit = hit.value_or(0);
  if (!is_point(point)) {
    throw ConfigError({fmt::format("TESSERA_FAULT: there is no fault point {}, but {}", in_quotes(point),
                                   join(std::vector<std::string>(points.begin(), points.end()), ", "))});
  }
  fault.point = point;
  if (action == "kill") {
    fault.action = Action::kill;
  } else if (action == "stop") {
    fault.action = Action::stop;
  } else if (action == "io_error") {
    fault.action = Action::io_error;
    fault.value = value.value_or(ENOSPC);
  } else if (action == "no_memory") {
    fault.action = Action::no_memory;
  } else if (action == "exit") {
    fault.action = Action::exit;
    fault.value = value.value_or(0);
  } else if (action == "err") {
    fault.action = Action::err;
  } else if (action == "sleep") {
    fault.action = Action::sleep;
    fault.value = value.value_or(1000);
  } else {
    refuse_fault(text);
  }
}

std::deque<Fault> faults_of_environment() {
  std::deque<Fault> faults;
  char const* const variable = std::getenv("TESSERA_FAULT");
  for (std::string_view rest = variable == nullptr ? "" : variable; !rest.empty();) {
    auto const one = rest.substr(0, rest.find(','));
    parse_fault(one, faults.emplace_back());
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
  }
  return faults;
}

void act(Fault const& fault) {
  switch (fault.action) {
    case Action::kill: ::raise(SIGKILL); break;
    case Action::stop: ::raise(SIGSTOP); break;
    case Action::exit: std::_Exit(fault.value);
    case Action::err: break;
    case Action::sleep: std::this_thread::sleep_for(std::chrono::milliseconds(fault.value)); break;
    case Action::no_memory: throw std::bad_alloc();
    case Action::io_error:
      throw IoError(
          fmt::format("fault point {}: {}", fault.point, std::generic_category().message(fault.value)));
  }
}

std::deque<Fault>& faults() {
  static std::deque<Fault> faults = faults_of_environment();
  return faults;
}

}  // namespace

void set_fault_rank(int rank) noexcept { fault_rank = rank; }

void read_faults() { static_cast<void>(faults()); }

void read_faults_of(int ranks) {
  auto const& all = faults();
  auto const stray = std::ranges::find_if(all, [&](Fault const& fault) { return fault.rank >= ranks; });
  if (stray == all.end()) return;
  throw ConfigError(
      {fmt::format("TESSERA_FAULT: there is no rank {}: the ranks are 0 to {}", stray->rank, ranks - 1)});
}

void fault_point(std::string_view point) { static_cast<void>(fault_errs(point)); }

bool fault_errs(std::string_view point) {
  auto& all = faults();
  if (!all.empty()) require(is_point(point), "a fault point stands in the table of fault points");
  bool errs = false;
  for (auto& fault : all) {
    if (fault.point != point || (fault.rank >= 0 && fault.rank != fault_rank)) continue;
    int const time = ++fault.times;
    if (fault.hit != 0 && fault.hit != time) continue;
    act(fault);
    errs = errs || fault.action == Action::err;
  }
  return errs;
}

}  // namespace tessera::checkpoint
