// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// From the third step on a step takes no memory: neither through Kokkos nor from malloc. What communication
// and matrix-product libraries take for themselves is told apart by the shared object that asked. And every
// kernel of a step has a name of this library.
#include <dlfcn.h>
#include <execinfo.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "layouts.hpp"
#include "support/parallel.hpp"
#include "tessera/train/memory.hpp"

namespace {

constexpr int most_frames = 24;
constexpr int first_caller = 2;  // after `note` and the function that stands before the allocator

/// The allocations made while counting. The first of ours is kept as a trace to be read afterwards.
struct Count {
  std::atomic<bool> on{false};
  std::atomic<int> ours{0}, of_libraries{0};
  std::array<void*, most_frames> first{};
  int frames = 0;
};
Count count;
thread_local bool inside = false;

/// The name of the shared object that holds `address`, without its folder.
std::string_view object_of(void* address) {
  Dl_info info;
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return "";
  std::string_view const path(info.dli_fname);
  return path.substr(path.rfind('/') + 1);
}

/// Objects that allocate on behalf of whoever called them.
bool works_for_its_caller(std::string_view object) {
  for (std::string_view const name : {"libstdc++", "libc.", "libgcc", "libfmt", "libkokkos"}) {
    if (object.starts_with(name)) return true;
  }
  return false;
}

/// True when the nearest frame that decides is this program's: all of the library is linked into it.
bool is_ours(void* const* frames, int number) {
  auto const program = object_of(reinterpret_cast<void*>(&count));
  for (int i = first_caller; i < number; ++i) {
    auto const object = object_of(frames[i]);
    if (object == program) return true;
    if (!works_for_its_caller(object)) return false;
  }
  return true;
}

void note() {
  if (!count.on || inside) return;
  inside = true;
  std::array<void*, most_frames> frames;
  int const number = backtrace(frames.data(), most_frames);
  if (!is_ours(frames.data(), number)) {
    ++count.of_libraries;
  } else if (count.ours++ == 0) {
    count.first = frames;
    count.frames = number;
  }
  inside = false;
}

std::string first_trace() {
  std::string text;
  for (int i = 0; i < count.frames; ++i) {
    Dl_info info{};
    dladdr(count.first[static_cast<std::size_t>(i)], &info);
    text += std::string("\n  ") + (info.dli_sname != nullptr ? info.dli_sname : info.dli_fname);
  }
  return text;
}

}  // namespace

// The allocator of the C library under its other name, as glibc's manual says ("Replacing malloc"): these
// functions stand before it for the whole process, operator new included.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  note();
  return __libc_malloc(size);
}
void* calloc(std::size_t number, std::size_t size) noexcept {
  note();
  return __libc_calloc(number, size);
}
void* realloc(void* memory, std::size_t size) noexcept {
  note();
  return __libc_realloc(memory, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  note();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  note();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  note();
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
}

namespace tessera::train::test {
namespace {

template <class T>
void count_steps(comm::Communicator& group, RunConfig const& config) {
  AllocationMeter const meter;
  TrainingRun<T> run(group.duplicate(), config);
  for (int step = 1; step <= 2; ++step) run.trainer().step();
  auto const views = meter.allocations();
  count.ours = count.of_libraries = 0;
  count.on = true;
  for (int step = 3; step <= 6; ++step) run.trainer().step();
  count.on = false;
  EXPECT_EQ(meter.allocations(), views) << "Kokkos views";
  EXPECT_EQ(count.ours, 0) << "the first from" << first_trace();
}

TEST(SteadyState, TheCounterSeesAnAllocation) {
  std::string text;
  count.ours = 0;
  count.on = true;
  text.assign(100, 'x');
  std::free(std::malloc(static_cast<std::size_t>(text.size())));
  count.on = false;
  EXPECT_EQ(count.ours, 2) << text;
}

/// Names of the kernels launched since `listen` that are not this library's.
std::set<std::string> strangers;
void note_kernel(char const* name, std::uint32_t, std::uint64_t*) {
  if (!std::string_view(name).starts_with("tessera::")) strangers.insert(name);
}

/// Apart, for nvcc: the body of a test is private.
void launch_stranger() { Kokkos::parallel_for("stranger", 1, KOKKOS_LAMBDA(int){}); }

TEST(SteadyState, EveryKernelOfAStepHasANameOfThisLibrary) {
  namespace tools = Kokkos::Tools::Experimental;
  TokenFile const tokens(61, 20'000);
  auto config = small_run(tokens);
  config.model.vocab_size = 61;
  config.model.hidden_dropout = config.model.attention_dropout = 0.1;
  TrainingRun<float> run(support::group_of(1)->duplicate(), config);
  strangers.clear();
  tools::set_begin_parallel_for_callback(note_kernel);
  tools::set_begin_parallel_reduce_callback(note_kernel);
  tools::set_begin_parallel_scan_callback(note_kernel);
  launch_stranger();
  run.trainer().step();
  run.trainer().validate();
  tools::set_begin_parallel_for_callback(nullptr);
  tools::set_begin_parallel_reduce_callback(nullptr);
  tools::set_begin_parallel_scan_callback(nullptr);
  EXPECT_EQ(strangers, std::set<std::string>{"stranger"});
}

TEST(SteadyState, StepsAfterTheSecondAllocateNothing) {
  TokenFile const tokens(61, 20'000);
  auto config = small_run(tokens);
  config.model.vocab_size = 61;
  config.training.steps = 6;
  config.model.hidden_dropout = config.model.attention_dropout = 0.1;
  std::vector<LayoutCase> const layouts{{{1, 1, 1}},
                                        {{4, 1, 1}, true},
                                        {{2, 2, 1}, true, "gpipe"},
                                        {{2, 1, 2}, false, "1f1b", 2, 1},
                                        {{1, 4, 1}},
                                        {{1, 1, 4}, false, "1f1b", 2, 1}};
  for (int const tiles : {8, 0}) {
    config.parallel.tiles = tiles;
    for (auto const& layout : layouts) {
      auto const group = support::group_of(layout.shape.size());
      if (!group) continue;
      SCOPED_TRACE(layout.name() + " tiles " + std::to_string(tiles));
      count_steps<float>(*group, layout.applied_to(config));
    }
  }
}

TEST(SteadyState, StepsInBf16AfterTheSecondAllocateNothing) {
  TokenFile const tokens(61, 20'000);
  auto config = small_run(tokens);
  config.model.vocab_size = 61;
  config.training.steps = 6;
  config.training.precision = "bf16";
  for (LayoutCase const& layout : {LayoutCase{{1, 1, 1}}, LayoutCase{{2, 2, 1}, true, "gpipe"}}) {
    auto const group = support::group_of(layout.shape.size());
    if (!group) continue;
    SCOPED_TRACE(layout.name());
    count_steps<bf16>(*group, layout.applied_to(config));
  }
}

}  // namespace
}  // namespace tessera::train::test
