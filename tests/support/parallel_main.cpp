// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// main of the tests that run under mpirun. A test passes when it passes on all ranks: at its end every rank
// tells the others what failed, rank 0 prints it once, and all ranks count it, so that all return the same
// exit code.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "device.hpp"
#include "leaks.hpp"
#include "parallel.hpp"
#include "tessera/base/kokkos.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/comm/session.hpp"
#include "watchdog.hpp"
#include "world.hpp"

namespace tessera::support {

namespace {

std::string describe(::testing::TestPartResult const& part) {
  return std::string(part.file_name() != nullptr ? part.file_name() : "?") + ":" +
         std::to_string(part.line_number()) + ": " + part.message() + "\n";
}

std::string failures_of(::testing::TestResult const& result) {
  std::string text;
  for (int i = 0; i < result.total_part_count(); ++i) {
    if (result.GetTestPartResult(i).failed()) text += describe(result.GetTestPartResult(i));
  }
  return text;
}

/// The texts of all ranks, in rank order. Collective.
std::vector<std::string> gather_texts(comm::Communicator& comm, std::string text) {
  auto const sizes = comm::all_gather_values(comm, static_cast<std::uint64_t>(text.size()));
  std::size_t const longest = *std::max_element(sizes.begin(), sizes.end());
  std::vector<std::uint8_t> own(text.begin(), text.end());
  own.resize(longest);
  std::vector<std::uint8_t> all(longest * sizes.size());
  comm::all_gather(comm, own, all).wait_host();
  std::vector<std::string> texts;
  for (std::size_t rank = 0; rank < sizes.size(); ++rank) {
    auto const first = all.begin() + static_cast<std::ptrdiff_t>(rank * longest);
    texts.emplace_back(first, first + static_cast<std::ptrdiff_t>(sizes[rank]));
  }
  return texts;
}

/// Tells the watchdog what fails while it fails: the rank may not reach the end of the test. It stands before
/// the reporter because a listener of part results must not fail itself.
class FailureNoter final : public ::testing::EmptyTestEventListener {
 public:
  explicit FailureNoter(Watchdog& watchdog) : watchdog_(watchdog) {}

 private:
  void OnTestPartResult(::testing::TestPartResult const& part) override {
    if (part.failed()) watchdog_.note_failure(describe(part));
  }

  Watchdog& watchdog_;
};

/// Adds the failures of the other ranks to each rank's own.
class CollectiveReporter final : public ::testing::EmptyTestEventListener {
 public:
  CollectiveReporter(std::unique_ptr<comm::Communicator> channel, Watchdog& watchdog)
      : channel_(std::move(channel)), watchdog_(watchdog) {}

 private:
  void OnTestStart(::testing::TestInfo const& test) override { watchdog_.enter(name(test)); }

  void OnTestEnd(::testing::TestInfo const& test) override {
    watchdog_.enter("the end of " + name(test) + ", where it waits for the other ranks");
    watchdog_.note_failure(failures_of(*test.result()));
    auto const texts = gather_texts(*channel_, failures_of(*test.result()));
    for (int rank = 0; rank < channel_->size(); ++rank) {
      auto const& text = texts[static_cast<std::size_t>(rank)];
      if (rank != channel_->rank() && !text.empty()) ADD_FAILURE() << "on rank " << rank << ":\n" << text;
    }
  }

  static std::string name(::testing::TestInfo const& test) {
    return std::string(test.test_suite_name()) + "." + test.name();
  }

  std::unique_ptr<comm::Communicator> channel_;
  Watchdog& watchdog_;
};

std::chrono::seconds time_limit() {
  char const* const text = std::getenv("TESSERA_TEST_LIMIT_S");
  return std::chrono::seconds(text != nullptr ? std::atoi(text) : 100);
}

/// MPI, unless TESSERA_TEST_BACKEND in the environment names another backend: a machine with a GPU may have
/// none.
std::unique_ptr<comm::Session> open_backend(int& argc, char**& argv) {
  [[maybe_unused]] LeaksIgnored const ignored;
  char const* const name = std::getenv("TESSERA_TEST_BACKEND");
  return comm::open_session(name != nullptr ? name : "mpi", argc, argv);
}

int run(comm::Communicator& all) {
  set_world(&all);
  Watchdog watchdog(all.rank(), time_limit());
  auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
  if (all.rank() != 0) {
    delete listeners.Release(listeners.default_result_printer());
    delete listeners.Release(listeners.default_xml_generator());
  }
  listeners.Append(new FailureNoter(watchdog));  // GoogleTest deletes its listeners
  auto* const reporter = new CollectiveReporter(all.duplicate(), watchdog);
  listeners.Append(reporter);
  int const failed = RUN_ALL_TESTS();
  watchdog.enter("the end of the program");
  delete listeners.Release(reporter);  // its communicator must go before the session
  set_world(nullptr);
  search_leaks();
  return failed;
}

}  // namespace
}  // namespace tessera::support

int main(int argc, char** argv) {
  tessera::support::let_the_host_read_tensors();
  ::testing::InitGoogleTest(&argc, argv);
  auto const session = tessera::support::open_backend(argc, argv);
  Kokkos::ScopeGuard const kokkos(argc, argv);
  auto const world = session->world();
  if (auto const problem = tessera::comm::launcher_mismatch(world->size())) {
    std::fprintf(stderr, "%s\n", problem->c_str());
    return 1;
  }
  return tessera::support::run(*world);
}
