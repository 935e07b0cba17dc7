// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "agreement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <new>
#include <span>
#include <sstream>
#include <thread>
#include <utility>

#include "gather_texts.hpp"
#include "tessera/comm/collectives.hpp"

namespace gpt_train {

using tessera::ExitCode;

namespace {

/// Texts of users and of files may be part of it; what they hold does not steer the terminal.
std::string message(Failure const& failure) {
  std::string text;
  for (char const c : std::string_view(tessera::ConfigError(failure.problems).what())) {
    bool const control = (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f;
    text += control ? fmt::format("\\x{:02X}", static_cast<unsigned char>(c)) : std::string(1, c);
  }
  return text;
}

}  // namespace

std::optional<Failure> attempt(std::function<void()> const& action) {
  try {
    action();
    return std::nullopt;
  } catch (tessera::ConfigError const& error) {
    return Failure{error.code(), error.problems()};
  } catch (tessera::Error const& error) {
    return Failure{error.code(), {error.what()}};
  } catch (std::bad_alloc const&) {
    return Failure{ExitCode::no_memory, {"the system has no memory left"}};
  } catch (std::exception const& error) {
    return Failure{ExitCode::internal, {error.what()}};
  }
}

namespace {

constexpr char separator = '\0';

/// Lower goes before higher when ranks fail with different codes.
int precedence(ExitCode code) {
  switch (code) {
    case ExitCode::usage: return 0;
    case ExitCode::config: return 1;
    case ExitCode::cannot_create: return 3;
    default: return 2;
  }
}

/// The problems of all ranks, on rank `root`: its own first, each with the ranks that have it unless rank 0
/// is one of them.
std::vector<std::string> all_problems(tessera::comm::Communicator& world,
                                      std::optional<Failure> const& failure, int root) {
  std::string own;
  if (failure) {
    for (auto const& problem : failure->problems) own += problem + separator;
  }
  auto const texts = gather_texts(world, own, root);
  if (texts.empty()) return {};
  std::vector<std::pair<std::string, std::vector<int>>> found;
  for (int i = 0; i < world.size(); ++i) {
    int const rank = (root + i) % world.size();
    std::istringstream text(texts[static_cast<std::size_t>(rank)]);
    for (std::string problem; std::getline(text, problem, separator);) {
      auto known = std::ranges::find(found, problem, [](auto const& one) { return one.first; });
      if (known == found.end()) known = found.insert(known, {problem, {}});
      known->second.push_back(rank);
    }
  }
  std::vector<std::string> problems;
  for (auto const& [problem, ranks] : found) {
    bool const general = std::ranges::count(ranks, 0) > 0;
    auto const others = ranks.size() > 1 ? fmt::format(" and {} more", ranks.size() - 1) : "";
    problems.push_back(general ? problem : fmt::format("rank {}{}: {}", ranks.front(), others, problem));
  }
  return problems;
}

}  // namespace

std::optional<ExitCode> agree(tessera::comm::Communicator& world, std::optional<Failure> const& failure) {
  int const ranks = world.size();
  int const own = failure ? precedence(failure->code) * ranks + world.rank() : 4 * ranks;
  int const first = all_reduce_value(world, own, tessera::comm::Op::min);
  if (first == 4 * ranks) return std::nullopt;
  int const speaker = first % ranks;
  int const code = broadcast_value(world, failure ? static_cast<int>(failure->code) : 0, speaker);
  auto const problems = all_problems(world, failure, speaker);
  if (world.rank() == speaker) print_failure({static_cast<ExitCode>(code), problems});
  barrier(world);
  return static_cast<ExitCode>(code);
}

namespace {

using Milliseconds = std::chrono::milliseconds;

/// A note to every rank above that this one has failed, and one from every rank below that has. They are
/// short enough to leave without the receiver's help: ranks that have not failed never take theirs.
class Notes {
 public:
  void exchange(tessera::comm::Communicator& world) {
    auto const own = static_cast<std::size_t>(world.rank());
    notes_.resize(static_cast<std::size_t>(world.size()));
    for (int rank = world.rank() + 1; rank < world.size(); ++rank)
      sent_.push_back(send(world, std::span(&notes_[own], 1), rank));
    for (int rank = 0; rank < world.rank(); ++rank)
      received_.push_back(receive(world, std::span(&notes_[static_cast<std::size_t>(rank)], 1), rank));
  }

  /// Lets the notes travel for at most `time`; less when all are away or a rank below is known to have
  /// failed. Says whether one is.
  bool one_came_within(Milliseconds time) {
    auto const end = std::chrono::steady_clock::now() + time;
    auto const is_here = [](tessera::comm::Request& note) { return note.test(); };
    while (std::chrono::steady_clock::now() < end) {
      bool away = true;
      for (auto& note : sent_) away &= note.test();
      if (std::ranges::any_of(received_, is_here)) return true;
      if (away && received_.empty()) return false;
      std::this_thread::sleep_for(Milliseconds(1));
    }
    return false;
  }

 private:
  std::vector<std::uint8_t> notes_;  // (ranks): what they say does not matter
  std::vector<tessera::comm::Request> sent_, received_;
};

}  // namespace

void end_job(tessera::comm::Communicator& world, Failure const& failure) {
  constexpr Milliseconds time_to_hear{500}, time_to_be_ended{5000};
  Notes notes;  // never destroyed: that would wait for notes that nobody sends
  // Communication may be what has failed; then nothing can be known of the others.
  (void)attempt([&] {
    notes.exchange(world);
    if (notes.one_came_within(time_to_hear)) std::this_thread::sleep_for(time_to_be_ended);
  });
  print_failure({failure.code, {fmt::format("rank {}: {}", world.rank(), message(failure))}});
  for (;;) world.abort(static_cast<int>(failure.code));  // GCC forgets that the first call does not return
}

void print_failure(Failure const& failure) {
  std::fflush(stdout);
  std::fprintf(stderr, "gpt_train: error: %s\n", message(failure).c_str());
  std::fflush(stderr);
}

}  // namespace gpt_train
